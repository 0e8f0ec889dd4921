use std::{
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::Path,
    sync::{Arc, Mutex, mpsc as events},
    thread,
    time::{Duration, Instant, SystemTime},
};

use bytes::Bytes;
use futures_util::StreamExt as _;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use tokio::sync::mpsc;

use super::*;
use crate::{HostCredentials, HostNames, ProbeError, WriteServerKey};

/// How a daemon answers that means no good.
#[derive(Clone, Copy, Debug)]
enum Answers {
    /// As daemons do.
    Well,
    /// As fast as it can, and without an end.
    Floods,
    /// A byte now and then.
    Trickles,
}

pub(crate) type Server = StreamOwned<ServerConnection, TcpStream>;

/// A server that answers every request so, and what its clients need.
fn daemon(answers: Answers) -> (Endpoint, ClientCredentials) {
    serve(move |_, stream| {
        if matches!(answers, Answers::Well) {
            return answer(stream, "200 OK", r#"{"Version": "29.0.0", "ApiVersion": "1.52", "ContainersRunning": 3}"#);
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
        let chunk = format!("8000\r\n{:32768}\r\n", "");
        loop {
            if matches!(answers, Answers::Floods) {
                stream.write_all(chunk.as_bytes())?;
            } else {
                stream.write_all(b"1\r\n \r\n")?;
                thread::sleep(Duration::from_millis(20));
            }
            stream.flush()?;
        }
    })
}

pub(crate) fn answer(stream: &mut Server, status: &str, body: &str) -> io::Result<()> {
    let length = body.len();
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")?;
    stream.flush()
}

/// A server that answers each request, by its first line, in a thread of its own, and what its clients need. It serves until the process ends.
fn serve(
    answers: impl Fn(&str, &mut Server) -> io::Result<()> + Send + Sync + 'static,
) -> (Endpoint, ClientCredentials) {
    let names =
        HostNames { dns: vec!["localhost".to_owned()], addresses: vec!["127.0.0.1".parse().expect("an address")] };
    let made = HostCredentials::generate(&names, SystemTime::now(), Duration::from_secs(3600)).expect("made");
    let folder = tempfile::tempdir().expect("a folder");
    made.write(folder.path(), WriteServerKey::Yes).expect("written");
    let at = |file: &str| folder.path().join("server").join(file);
    (serve_with(&at("cert.pem"), &at("key.pem"), answers), made.client().clone())
}

/// The same, with this certificate and key.
pub(crate) fn serve_with(
    certificate: &Path,
    key: &Path,
    answers: impl Fn(&str, &mut Server) -> io::Result<()> + Send + Sync + 'static,
) -> Endpoint {
    let chain = CertificateDer::pem_file_iter(certificate).expect("there").collect::<Result<_, _>>();
    let key = PrivateKeyDer::from_pem_file(key).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(chain.expect("certificates"), key)
        .expect("a pair");
    let (config, answers) = (Arc::new(config), Arc::new(answers));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let (config, answers) = (config.clone(), answers.clone());
            // A client that has enough ends its thread.
            thread::spawn(move || -> io::Result<()> {
                let connection = ServerConnection::new(config).map_err(io::Error::other)?;
                let mut stream = BufReader::new(StreamOwned::new(connection, client));
                let (mut request, mut line, mut length, mut chunked) = (String::new(), String::new(), 0, false);
                stream.read_line(&mut request)?;
                while stream.read_line(&mut line)? > 2 {
                    if let Some(said) = line.to_lowercase().strip_prefix("content-length:") {
                        length = said.trim().parse().map_err(io::Error::other)?;
                    }
                    chunked |= line.eq_ignore_ascii_case("transfer-encoding: chunked\r\n");
                    line.clear();
                }
                // All of it: a connection that is closed before takes its answer with it.
                while chunked {
                    line.clear();
                    stream.read_line(&mut line)?;
                    let size = usize::from_str_radix(line.trim(), 16).map_err(io::Error::other)?;
                    stream.read_exact(&mut vec![0; size + 2])?;
                    chunked = size > 0;
                }
                stream.read_exact(&mut vec![0; length])?;
                answers(&request, stream.get_mut())
            });
        }
    });
    Endpoint::new("127.0.0.1", port)
}

fn client(endpoint: &Endpoint, credentials: &ClientCredentials) -> Client {
    Client::with_connector(endpoint, transport::connector(credentials).expect("sound"), ApiVersion::new(1, 41))
}

#[tokio::test]
async fn an_answer_has_an_end_and_a_size() {
    let (endpoint, credentials) = daemon(Answers::Well);
    let sound = client(&endpoint, &credentials);
    assert_eq!(sound.info().await.expect("it answers").containers_running, Some(3));
    assert_eq!(sound.version().await.expect("it answers").version.as_deref(), Some("29.0.0"));

    let (endpoint, credentials) = daemon(Answers::Floods);
    let probed = probe_once(&endpoint, &credentials, Duration::from_secs(20)).await.expect_err("too much");
    assert!(matches!(&probed, ProbeError::NotDocker { why, .. } if why.contains("more than 4 MiB")), "{probed}");
    for error in [
        client(&endpoint, &credentials).info().await.map(drop).expect_err("too much"),
        client(&endpoint, &credentials).version().await.map(drop).expect_err("too much"),
        client(&endpoint, &credentials).containers(true).await.map(drop).expect_err("too much"),
        client(&endpoint, &credentials).images(true).await.map(drop).expect_err("too much"),
        client(&endpoint, &credentials).inspect("any").await.map(drop).expect_err("too much"),
        client(&endpoint, &credentials).has_image("any:1").await.map(drop).expect_err("too much"),
        client(&endpoint, &credentials).ensure_network("any").await.expect_err("too much"),
        client(&endpoint, &credentials).events().next().await.expect("an end").map(drop).expect_err("too much"),
    ] {
        assert!(error.to_string().contains("more than 4 MiB"), "{error}");
    }

    let (endpoint, credentials) = daemon(Answers::Trickles);
    let began = Instant::now();
    let within = Duration::from_millis(300);
    let slow = client(&endpoint, &credentials).says::<SystemInfo>("/info", "ask for information", within).await;
    let slow = slow.expect_err("it never ends");
    assert!(slow.to_string().contains("no whole answer within 0.3 s"), "{slow}");
    assert!(began.elapsed() < Duration::from_secs(5));
}

/// The same of what bollard asks, and of what is said line by line.
#[tokio::test]
async fn what_changes_something_has_an_answer_with_an_end_and_a_size() {
    let (endpoint, credentials) = daemon(Answers::Floods);
    let flooded = client(&endpoint, &credentials);
    let archive = || stream::once(async { Ok(Bytes::from_static(b"archive")) });
    let build =
        BuildRequest { folder: env!("CARGO_MANIFEST_DIR").into(), tag: "any:1".to_owned(), ..BuildRequest::default() };
    for error in [
        flooded.ping().await.expect_err("too much"),
        flooded.run(&RunRequest::default(), |_| ()).await.map(drop).expect_err("too much"),
        flooded.init_swarm([10, 0, 0, 1].into(), "10.1.0.0/16").await.expect_err("too much"),
        flooded.write_to_host("/folder", "file", b"text", SAYS_WITHIN).await.expect_err("too much"),
        flooded.wait("any").await.map(drop).expect_err("too much"),
        flooded.pull("any:1").next().await.expect("an end").map(drop).expect_err("too much"),
        flooded.load(archive()).next().await.expect("an end").map(drop).expect_err("too much"),
        flooded.import("any", "1", archive()).next().await.expect("an end").map(drop).expect_err("too much"),
        flooded.build(&build).next().await.expect("an end").map(drop).expect_err("too much"),
    ] {
        assert!(with_causes(&error).contains("more than 4 MiB"), "{}", with_causes(&error));
    }

    let (endpoint, credentials) = daemon(Answers::Trickles);
    let (connector, within) = (transport::connector(&credentials).expect("sound"), Duration::from_millis(300));
    let slow = Client::with_patience(&endpoint, connector, ApiVersion::new(1, 41), within);
    let began = Instant::now();
    let slow = slow.run(&RunRequest::default(), |_| ()).await.expect_err("it never ends");
    assert!(with_causes(&slow).contains("no whole answer within 0.3 s"), "{}", with_causes(&slow));
    assert!(began.elapsed() < Duration::from_secs(20));
}

/// In the words of the daemon, however it says so.
#[tokio::test]
async fn a_refusal_is_told_in_the_daemons_words() {
    let (endpoint, credentials) = serve(|request, stream| match request {
        _ if request.contains("/images/create") => {
            answer(stream, "404 Not Found", r#"{"message": "manifest for any:1 not found"}"#)
        }
        _ if request.contains("/build") => {
            answer(stream, "200 OK", "{\"stream\": \"Step 1\"}\n{\"error\": \"no such stage\"}")
        }
        _ => answer(stream, "200 OK", r#"{"StatusCode": 3, "Error": null}"#),
    });
    let client = client(&endpoint, &credentials);
    let pulled = client.pull("any:1").next().await.expect("an end").map(drop).expect_err("refused");
    assert!(pulled.to_string().contains("manifest for any:1 not found"), "{pulled}");
    let build =
        BuildRequest { folder: env!("CARGO_MANIFEST_DIR").into(), tag: "any:1".to_owned(), ..BuildRequest::default() };
    let built: Vec<_> = client.build(&build).collect().await;
    assert_eq!(built[0].as_ref().expect("a step").status, "Step 1");
    assert!(built[1].as_ref().expect_err("it failed").to_string().contains("no such stage"), "{built:?}");
    assert_eq!(client.wait("any").await.expect("it ended"), 3);
}

/// However the daemon cuts its answer into pieces.
#[tokio::test]
async fn events_come_one_after_the_other_until_they_end() {
    let (heard, requests) = events::channel();
    let (endpoint, credentials) = serve(move |request, stream| {
        heard.send(request.trim().to_owned()).map_err(io::Error::other)?;
        stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
        for piece in ["{\"Action\": \"cre", "ate\"}\n{\"Action\": \"start\"}\n", "\n", "{\"Action\": \"die\"}\n"] {
            write!(stream, "{:x}\r\n{piece}\r\n", piece.len())?;
            stream.flush()?;
        }
        stream.write_all(b"0\r\n\r\n")?;
        stream.flush()
    });
    let filters = HashMap::from([("type", vec!["container"])]);
    let events = client(&endpoint, &credentials).events_since("1.5", &filters);
    let actions: Vec<String> = events.map(|event| event.expect("an event").action.unwrap_or_default()).collect().await;
    assert_eq!(actions, ["create", "start", "die"]);
    let asked = requests.recv().expect("it was asked");
    assert_eq!(asked, "GET /v1.41/events?since=1.5&filters=%7B%22type%22%3A%5B%22container%22%5D%7D HTTP/1.1");
}

/// A client of a daemon that makes a container when it may go on, and removes it; nothing else is answered. What it is asked, in order.
fn of_a_daemon_that_only_makes_and_removes() -> (Client, mpsc::UnboundedReceiver<String>, events::Sender<()>) {
    let (heard, requests) = mpsc::unbounded_channel();
    let (go_on, may_go_on) = events::channel::<()>();
    let may_go_on = Mutex::new(may_go_on);
    let (endpoint, credentials) = serve(move |request, stream| {
        heard.send(request.trim().to_owned()).map_err(io::Error::other)?;
        if request.contains("/create") {
            may_go_on.lock().expect("not poisoned").recv().map_err(io::Error::other)?;
            return answer(stream, "201 Created", r#"{"Id": "c1", "Warnings": []}"#);
        }
        if request.contains("/images/") {
            return answer(stream, "200 OK", "{}");
        }
        if request.starts_with("DELETE ") {
            return answer(stream, "204 No Content", "");
        }
        // The others are never answered.
        loop {
            thread::park();
        }
    });
    (client(&endpoint, &credentials), requests, go_on)
}

/// The process may end with the answer: whatever ran out of time, the container was removed by then.
#[tokio::test]
async fn the_container_of_work_that_runs_out_of_time_is_removed_before_that_is_told() {
    for (work, late_at) in [("files", "/archive"), ("write", "/archive"), ("files", "/create")] {
        let (client, mut requests, go_on) = of_a_daemon_that_only_makes_and_removes();
        if late_at != "/create" {
            go_on.send(()).expect("it listens");
        }
        let within = Duration::from_secs(20);
        let working = async {
            match work {
                "files" => client.files_of_host("/folder", 1000, within).await.map(drop),
                _ => client.write_to_host("/folder", "file", b"text", within).await,
            }
        };
        let time_passes = async {
            while let Some(request) = requests.recv().await {
                if request.contains(late_at) {
                    break;
                }
            }
            tokio::time::pause();
            tokio::time::advance(within).await;
            tokio::time::resume();
            // The daemon makes it, too late.
            let _ = go_on.send(());
        };
        let (told, ()) = tokio::join!(working, time_passes);
        let told = told.expect_err("it is never answered");
        assert!(told.to_string().contains("the daemon did not do it within 20 s"), "{told}");
        let mut then = std::iter::from_fn(|| requests.try_recv().ok());
        assert!(then.any(|request| request.starts_with("DELETE ")), "{work}, late at {late_at}: the container stays");
    }
}

/// Whatever the work on it was doing when it was dropped.
#[tokio::test]
async fn the_container_of_work_that_is_dropped_is_removed() {
    for (work, dropped_at) in [("run", "/attach"), ("files", "/archive"), ("run", "/create"), ("files", "/create")] {
        let (client, mut requests, go_on) = of_a_daemon_that_only_makes_and_removes();
        let mut hears = async |what: &str| {
            while let Some(request) = requests.recv().await {
                if request.contains(what) {
                    return;
                }
            }
        };
        let working = async {
            match work {
                "run" => client.run(&RunRequest::default(), |_| ()).await.map(drop),
                _ => client.files_of_host("/folder", 1000, SAYS_WITHIN).await.map(drop),
            }
        };
        if dropped_at != "/create" {
            go_on.send(()).expect("it listens");
        }
        tokio::select! {
            ended = working => panic!("{work}: {ended:?}"),
            () = hears(dropped_at) => {}
        }
        // Where it had not been answered yet.
        let _ = go_on.send(());
        let removed = tokio::time::timeout(Duration::from_secs(60), hears("DELETE ")).await;
        removed.unwrap_or_else(|_| panic!("{work}, dropped at {dropped_at}: the container stays"));
    }
}
