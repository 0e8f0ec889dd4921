//! A user's hosts without a cloud: a daemon in memory, and launches that wait for a word.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use docker_on_demand::{
    ApiVersion, Claim, Connection, Engine, Found, Hidden, History, Hosts, Limits, Proxy, Settings, Tell,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex},
    sync::{Mutex as AsyncMutex, Semaphore, watch},
    time::Instant,
};

/// What the hosts of the test are like, and what comes of launches.
pub(crate) struct Situation {
    pub found: Found,
    /// What the next launches come to.
    pub outcome: Result<(), String>,
    pub launches: usize,
    pub shared: Vec<PathBuf>,
    pub refuses_to_share: Option<String>,
    /// What a host turns out to be that is not reached.
    pub lost: Found,
    pub is_cut: bool,
    /// What is remembered of launches, or why it can't be told.
    pub history: Result<History, String>,
}

pub(crate) struct Fake {
    began: Instant,
    claim: Arc<AsyncMutex<()>>,
    pub situation: Mutex<Situation>,
    /// The first lines of requests, and the bodies of those that have a length, as the daemon sees them.
    seen: Arc<Mutex<Vec<String>>>,
    /// One permit for each launch that may end.
    pub may_end: Semaphore,
    /// Whether hosts have their ports here.
    pub linked: watch::Sender<bool>,
}

pub(crate) fn nothing() -> Found {
    Found::Nothing { ended: Some("its host ended at 12:00 UTC".to_owned()) }
}

impl Fake {
    pub(crate) fn new(found: Found) -> Arc<Self> {
        let situation = Situation {
            found,
            outcome: Ok(()),
            launches: 0,
            shared: Vec::new(),
            refuses_to_share: None,
            lost: nothing(),
            is_cut: false,
            history: Ok(History::default()),
        };
        Arc::new(Self {
            began: Instant::now(),
            claim: Arc::default(),
            situation: Mutex::new(situation),
            seen: Arc::default(),
            may_end: Semaphore::new(0),
            linked: watch::Sender::new(true),
        })
    }

    pub(crate) fn proxy(self: &Arc<Self>) -> Arc<Proxy> {
        let settings = Settings {
            patience: Duration::from_secs(45),
            limits: Limits::default(),
            hidden: Hidden { label: "agent".to_owned(), images: vec!["agents".to_owned()] },
            other_kind: "ask for another".to_owned(),
        };
        Proxy::new(self.clone(), settings)
    }

    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.lock().expect("sound").clone()
    }

    pub(crate) fn set(&self, change: impl FnOnce(&mut Situation)) {
        change(&mut self.situation.lock().expect("sound"));
    }

    pub(crate) fn launches(&self) -> usize {
        self.situation.lock().expect("sound").launches
    }
}

#[async_trait]
impl Hosts for Fake {
    async fn find(&self) -> Found {
        self.situation.lock().expect("sound").found.clone()
    }

    async fn connect(&self, _host: &str) -> io::Result<Connection> {
        if self.situation.lock().expect("sound").is_cut {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let (ours, theirs) = duplex(1 << 16);
        tokio::spawn(daemon(theirs, self.seen.clone()));
        Ok(Box::new(ours))
    }

    async fn lost(&self, _host: &str, _why: &io::Error) -> Found {
        let mut situation = self.situation.lock().expect("sound");
        situation.found = situation.lost.clone();
        situation.found.clone()
    }

    async fn claim(&self, _tell: &Tell) -> Result<Claim, String> {
        Ok(Box::new(self.claim.clone().lock_owned().await))
    }

    async fn history(&self) -> Result<History, String> {
        self.situation.lock().expect("sound").history.clone()
    }

    async fn remember(&self, history: &History) -> Result<(), String> {
        self.situation.lock().expect("sound").history = Ok(history.clone());
        Ok(())
    }

    fn now(&self) -> Duration {
        Duration::from_secs(1_700_000_000) + self.began.elapsed()
    }

    async fn launch(&self, tell: Tell) -> Result<(), String> {
        self.situation.lock().expect("sound").launches += 1;
        tell("launching".to_owned());
        self.may_end.acquire().await.expect("open").forget();
        let mut situation = self.situation.lock().expect("sound");
        if situation.outcome.is_ok() {
            situation.found = Found::Host("new".into());
        }
        situation.outcome.clone()
    }

    async fn share(&self, _host: &str, path: &Path) -> Result<(), String> {
        let mut situation = self.situation.lock().expect("sound");
        situation.shared.push(path.to_owned());
        situation.refuses_to_share.clone().map_or(Ok(()), Err)
    }

    async fn linked(&self, _host: &str) {
        self.linked.subscribe().wait_for(|linked| *linked).await.expect("a sender");
    }

    async fn daemon_socket(&self, _host: &str) -> PathBuf {
        "/run/of/the/host.sock".into()
    }

    fn engine(&self) -> Engine {
        Engine {
            name: "c5.xlarge".to_owned(),
            version: "25.0".to_owned(),
            oldest: ApiVersion(1, 24),
            newest: ApiVersion(1, 44),
            architecture: "amd64".to_owned(),
            processors: 4,
            memory: 8 << 30,
            gpus: 0,
        }
    }
}

/// A daemon's end of a connection.
async fn daemon(mut stream: DuplexStream, seen: Arc<Mutex<Vec<String>>>) -> io::Result<()> {
    let mut read = Vec::new();
    loop {
        let end = loop {
            if let Some(end) = read.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            if stream.read_buf(&mut read).await? == 0 {
                return Ok(());
            }
        };
        let head = String::from_utf8_lossy(&read[..end]).to_ascii_lowercase();
        let line = String::from_utf8_lossy(&read[..end]).lines().next().unwrap_or_default().to_owned();
        read.drain(..end);
        seen.lock().expect("sound").push(line.clone());
        let length = head.lines().find_map(|header| header.strip_prefix("content-length: ")?.trim().parse().ok());
        if let Some(length) = length.filter(|length: &usize| *length > 0) {
            while read.len() < length {
                stream.read_buf(&mut read).await?;
            }
            let body: Vec<u8> = read.drain(..length).collect();
            seen.lock().expect("sound").push(String::from_utf8_lossy(&body).into_owned());
        }
        let path = line.split(' ').nth(1).unwrap_or_default().split('?').next().unwrap_or_default().to_owned();
        let path = path.trim_start_matches("/v1.44").to_owned();
        let json = |status: &str, body: &str| {
            format!(
                "HTTP/1.1 {status}\r\nApi-Version: 1.52\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )
        };
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        match path.as_str() {
            "/_ping" => stream.write_all(json("200 OK", "OK").as_bytes()).await?,
            "/version" => {
                stream.write_all(json("200 OK", r#"{"ApiVersion":"1.52","Version":"29"}"#).as_bytes()).await?
            }
            "/containers/json" => {
                let list = r#"[{"Id":"1","Labels":{"agent":"files"}},{"Id":"2","Labels":{}}]"#;
                stream.write_all(json("200 OK", list).as_bytes()).await?;
            }
            "/containers/create" => stream.write_all(json("201 Created", r#"{"Id":"made"}"#).as_bytes()).await?,
            "/images/create" if line.contains("nosuch") => {
                stream.write_all(json("404 Not Found", r#"{"message":"no such repository"}"#).as_bytes()).await?;
            }
            "/images/create" => {
                let pulled = "14\r\n{\"status\":\"pulled\"}\r\n0\r\n\r\n";
                stream.write_all(format!("{chunked}{pulled}").as_bytes()).await?;
            }
            // Says after each chunk how much it has read, before it reads more.
            "/build" => {
                stream.write_all(chunked.as_bytes()).await?;
                loop {
                    while !read.ends_with(b"\r\n") {
                        stream.read_buf(&mut read).await?;
                    }
                    let said = format!("{:02} read\n", read.len());
                    let is_last = read.ends_with(b"0\r\n\r\n");
                    read.clear();
                    stream.write_all(format!("{:x}\r\n{said}\r\n", said.len()).as_bytes()).await?;
                    if is_last {
                        break;
                    }
                }
                stream.write_all(b"0\r\n\r\n").await?;
            }
            // Sends back what it gets, then one word more after the other side has ended.
            "/containers/c/attach" => {
                let head = b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n";
                stream.write_all(head).await?;
                loop {
                    stream.write_all(&read).await?;
                    read.clear();
                    if stream.read_buf(&mut read).await? == 0 {
                        break;
                    }
                }
                stream.write_all(b"and the end").await?;
                return stream.shutdown().await;
            }
            "/events" => {
                let event = |id: &str, label: &str| {
                    let event = format!(
                        r#"{{"Type":"container","id":"{id}","timeNano":5,"Actor":{{"Attributes":{{{label}}}}}}}"#
                    );
                    format!("{:x}\r\n{event}\n\r\n", event.len() + 1)
                };
                let events = format!("{chunked}{}{}", event("hidden", r#""agent":"files""#), event("seen", ""));
                stream.write_all(events.as_bytes()).await?;
                // Until the daemon ends.
                stream.write_all(b"0\r\n\r\n").await?;
            }
            _ => stream.write_all(json("404 Not Found", r#"{"message":"no such thing"}"#).as_bytes()).await?,
        }
    }
}

/// A client of the socket.
pub(crate) struct Client {
    stream: DuplexStream,
    read: Vec<u8>,
}

impl Client {
    pub(crate) fn of(proxy: &Arc<Proxy>) -> Self {
        let (ours, theirs) = duplex(1 << 16);
        let proxy = proxy.clone();
        tokio::spawn(async move { proxy.serve_client(Box::new(theirs)).await });
        Self { stream: ours, read: Vec::new() }
    }

    pub(crate) async fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.expect("sent");
    }

    /// Reads until this has come; what came until then.
    pub(crate) async fn until(&mut self, text: &str) -> String {
        loop {
            let read = String::from_utf8_lossy(&self.read).into_owned();
            if let Some(at) = read.find(text) {
                self.read.drain(..at + text.len());
                return read[..at + text.len()].to_owned();
            }
            assert!(
                self.stream.read_buf(&mut self.read).await.expect("read") > 0,
                "it ends with {read:?} before {text:?}"
            );
        }
    }

    /// Sends a request without a body; the status and the body of the response, which has a length.
    pub(crate) async fn ask(&mut self, method: &str, target: &str) -> (u16, String) {
        self.ask_with(method, target, "", "").await
    }

    pub(crate) async fn ask_with(&mut self, method: &str, target: &str, headers: &str, body: &str) -> (u16, String) {
        let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
        self.send(&format!("{method} {target} HTTP/1.1\r\nHost: docker\r\n{headers}{length}\r\n{body}")).await;
        let head = self.until("\r\n\r\n").await;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        let length = head.lines().find_map(|header| header.strip_prefix("Content-Length: ")?.parse::<usize>().ok());
        let length = length.expect("a length");
        while self.read.len() < length {
            assert!(self.stream.read_buf(&mut self.read).await.expect("read") > 0, "it ends early");
        }
        (status, String::from_utf8_lossy(&self.read.drain(..length).collect::<Vec<u8>>()).into_owned())
    }

    /// What was read together with what was asked for last.
    pub(crate) fn read_ahead(&self) -> &[u8] {
        &self.read
    }

    pub(crate) async fn end(&mut self) {
        self.stream.shutdown().await.expect("ended");
    }

    /// Everything until the other side ends.
    pub(crate) async fn rest(mut self) -> String {
        self.stream.read_to_end(&mut self.read).await.expect("read");
        String::from_utf8_lossy(&self.read).into_owned()
    }
}
