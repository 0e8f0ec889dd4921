//! The socket: what becomes of each request.

use std::{io, sync::Arc, time::Duration};

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::{net::UnixListener, task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    Connection, Engine, Found, Hosts, Limits, absent,
    answer::Answer,
    binds,
    body::Body,
    head::{Request, Response},
    holdings::{Holdings, Stock},
    launches::{Launches, outcome},
    narration::Narration,
    pool::{Pool, Taken},
    relay::{Failed, relay},
    route::{Made, Route, Story, Target},
    wire::{Wire, send},
};

/// The longest description of a container, a volume or a service.
const MOST_MADE: usize = 16 << 20;

/// The longest list that is looked through.
const MOST_LIST: usize = 256 << 20;

/// How much of a request is read that is refused, so that its sender gets to the answer.
const MOST_REFUSED: usize = 1 << 20;

/// How long the rest of it is read.
const LINGERS: Duration = Duration::from_secs(5);

/// How long a daemon may take to say that it is there.
const PINGS_WITHIN: Duration = Duration::from_secs(10);

/// How often a request may find that the host is another one by now.
const MOST_HOSTS: usize = 4;

/// What belongs to the program itself, and is kept from clients.
#[derive(Clone, Debug)]
pub struct Hidden {
    /// A label of containers.
    pub label: String,
    /// The names of images, without tags. Their containers are hidden as well.
    pub images: Vec<String>,
}

/// How a socket behaves.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long a request waits for a launch, unless its client has all the time that it takes. docker-py gives up after 60 s
    /// (`DEFAULT_TIMEOUT_SECONDS`).
    pub patience: Duration,
    /// How often hosts are launched.
    pub limits: Limits,
    /// What is kept from clients.
    pub hidden: Hidden,
    /// What a program calls the command that asks for another kind of host, for messages.
    pub other_kind: String,
}

/// How a socket is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// What the launch that goes on told last.
    pub launching: Option<String>,
    /// Why nothing is launched after a launch that failed.
    pub failure: Option<String>,
    /// What the host holds that is nowhere else, or held when it was last seen.
    pub holdings: Option<Holdings>,
}

/// A local Docker socket in front of a host.
pub struct Proxy {
    hosts: Arc<dyn Hosts>,
    launches: Arc<Launches>,
    pool: Pool,
    stock: Stock,
    settings: Settings,
}

/// What became of a request that was to go to a host.
enum Forwarded {
    /// It is answered; whether the client's connection is for another request.
    Answered(bool),
    /// The host was not reached, and this is known of it.
    NotReached(Found),
}

impl Proxy {
    /// A socket in front of these hosts.
    pub fn new(hosts: Arc<dyn Hosts>, settings: Settings) -> Arc<Self> {
        let launches = Launches::new(hosts.clone(), settings.limits.clone());
        Arc::new(Self { hosts, launches, pool: Pool::new(), stock: Stock::default(), settings })
    }

    pub(crate) fn hosts(&self) -> &dyn Hosts {
        &*self.hosts
    }

    pub(crate) fn engine(&self) -> Engine {
        self.hosts.engine()
    }

    pub(crate) fn hidden(&self) -> &Hidden {
        &self.settings.hidden
    }

    /// How it is.
    pub fn status(&self) -> Status {
        let launching = self.launches.running().map(|launch| launch.borrow().lines.last().cloned().unwrap_or_default());
        Status { launching, failure: self.launches.failure(), holdings: self.stock.seen() }
    }

    /// Answers whoever connects, until `stop`. A launch that goes on then is not waited for.
    ///
    /// # Cancel safety
    /// It can be dropped at any time: its connections end.
    pub async fn serve(self: Arc<Self>, listener: UnixListener, stop: CancellationToken) {
        let mut clients = JoinSet::new();
        let counting = self.clone();
        clients.spawn(async move { counting.take_stock().await });
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => return,
                Some(_) = clients.join_next() => continue,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => {
                    let proxy = self.clone();
                    clients.spawn(async move { proxy.serve_client(Box::new(stream)).await });
                }
                // As many files are open as may be: some are closed soon.
                Err(error) => {
                    tracing::warn!("a connection can't be accepted: {error}");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    /// Looks at what a host holds, at first and after each change.
    async fn take_stock(&self) {
        if let Err(why) = self.launches.recall().await {
            tracing::warn!("{why}");
        }
        loop {
            if let Found::Host(host) = self.hosts.find().await {
                let lists = ["/containers/json?all=1", "/images/json", "/volumes"].map(Request::get);
                if let Some(lists) = self.ask_all(&host, lists).await {
                    self.stock.see(Holdings::of(&host, lists, &self.settings.hidden));
                }
            }
            self.stock.is_due().await;
        }
    }

    /// What a daemon says to several requests; `None` where it does not.
    async fn ask_all<const N: usize>(&self, host: &str, requests: [Request; N]) -> Option<[Value; N]> {
        let mut daemon = self.pool.take(&*self.hosts, host, true).await.ok()?;
        let mut said = [const { Value::Null }; N];
        for (request, said) in requests.iter().zip(&mut said) {
            let (_, body) = self.ask(&mut daemon.wire, request).await.ok()?;
            *said = serde_json::from_slice(&body).unwrap_or_default();
        }
        Some(said)
    }

    /// Answers one client, until its connection ends.
    ///
    /// # Cancel safety
    /// It can be dropped at any time: the connection ends.
    pub async fn serve_client(&self, connection: Connection) {
        let mut client = Wire::new(connection);
        loop {
            let request = match client.reader.head::<Request>().await {
                Ok(Some(request)) => request,
                Ok(None) => return,
                Err(error) => {
                    let answer = Answer::error(400, format!("this is no request: {error}"));
                    let _ = send(&mut client.writer, &answer.bytes("GET", &self.engine(), false)).await;
                    return;
                }
            };
            match self.respond(&mut client, request).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => return tracing::debug!("{error}"),
            }
        }
    }

    /// Answers a request; whether the connection is for another.
    async fn respond(&self, client: &mut Wire, mut request: Request) -> io::Result<bool> {
        let engine = self.engine();
        let target = Target::of(&request.target);
        let route = Route::of(&request.method, &target);
        if let Some(refusal) = refused(&target, &engine) {
            return self.say(client, &request, false, refusal).await;
        }
        if route == Route::Events {
            return self.tell_events(client, &request).await.map(|()| false);
        }
        let until = (!request.is_patient()).then(|| Instant::now() + self.settings.patience);
        // docker-py gives pulls and builds all the time that they take, and others no more than 60 s. It takes an error of a load from nothing but the
        // stream, and one of an import from nothing but the status (docker/api/build.py, docker/api/image.py, docker/models/images.py).
        let is_load = target.path == "/images/load";
        let is_import = target.path == "/images/create" && route == Route::Tells(Story::Silent);
        let body = match route {
            Route::Creates(_) => Some(self.read(client, &mut request).await?),
            _ => None,
        };
        let mut found = self.hosts.find().await;
        for _ in 0..MOST_HOSTS {
            // Of a host that is stopped it is not known what it has: it is asked, once it runs.
            let (answer, gone) = match found {
                Found::Host(host) => match self.forward(client, &request, &route, body.as_ref(), &host).await? {
                    Forwarded::Answered(keeps) => return Ok(keeps),
                    Forwarded::NotReached(now) => {
                        found = now;
                        continue;
                    }
                },
                Found::Doubtful(why) => {
                    return self.say(client, &request, body.is_some(), Answer::error(503, why)).await;
                }
                Found::Nothing { ended } => (absent::answer(&route, &engine, ended.as_deref()), Some(ended)),
                Found::Stopped(said) => (absent::while_stopped(&route, &engine, &said), None),
            };
            if let Some(answer) = answer {
                return self.say(client, &request, body.is_some(), answer).await;
            }
            if let (Route::Creates(Made::Container), Some(body), Some(ended)) = (&route, &body, gone) {
                let answer = self.without_image(body, &engine, ended.as_deref()).await;
                return self.say(client, &request, true, answer).await;
            }
            let launch = match self.launches.ask().await {
                Ok(launch) => launch,
                Err(why) => return self.say(client, &request, body.is_some(), Answer::error(503, why)).await,
            };
            if let Route::Tells(story) = route
                && !(is_import && until.is_some())
            {
                let until = until.filter(|_| is_load);
                return self.narrate(client, &request, story, launch, until).await.map(|()| false);
            }
            let waited = tokio::select! {
                waited = outcome(launch, until) => waited,
                // What it sent is kept. Whoever has gone is not waited for; the launch goes on.
                () = client.reader.ended() => return Ok(false),
            };
            if let Err(why) = waited {
                return self.say(client, &request, body.is_some(), Answer::error(503, why)).await;
            }
            found = self.hosts.find().await;
        }
        let answer = Answer::error(503, "hosts come and go: try again");
        self.say(client, &request, body.is_some(), answer).await
    }

    /// A host that is launched now has no image: its client is told so at once, and pulls it, which shows how the launch comes along.
    async fn without_image(&self, body: &Bytes, engine: &Engine, ended: Option<&str>) -> Answer {
        let Ok(container) = serde_json::from_slice::<Value>(body) else {
            return Answer::error(400, "the container's description is no JSON");
        };
        if engine.gpus == 0 && binds::wants_gpu(&container) {
            let kind = &self.settings.other_kind;
            return Answer::error(400, format!("{} has no GPU, so none is launched for this: {kind}", engine.name));
        }
        if let Err(why) = self.launches.ask().await {
            return Answer::error(503, why);
        }
        let image = container["Image"].as_str().unwrap_or_default();
        let why = ended.map(|ended| format!("{ended}, and a new one is starting"));
        let why = why.unwrap_or_else(|| "the host is starting".to_owned());
        Answer::error(404, format!("No such image: {image}: {why}"))
    }

    async fn narrate(
        &self,
        client: &mut Wire,
        request: &Request,
        story: Story,
        launch: crate::launches::Watched,
        until: Option<Instant>,
    ) -> io::Result<()> {
        let narration = Narration::begin(client, story, &self.engine(), request.waits_to_send()).await?;
        let told = narration.tell(client, launch, until).await?;
        let daemon = match told {
            Ok(()) => self.daemon_of_launched().await,
            Err(why) => Err(why),
        };
        match daemon {
            Ok(mut daemon) => {
                let told = narration.go_on(client, &mut daemon.wire, request).await;
                self.stock.has_changed();
                told
            }
            Err(why) => {
                narration.fail(client, &why).await?;
                linger(client, &mut request.body()?).await;
                Ok(())
            }
        }
    }

    /// A connection to the host that was launched; why there is none.
    async fn daemon_of_launched(&self) -> Result<Taken, String> {
        let host = match self.hosts.find().await {
            Found::Host(host) => host,
            Found::Doubtful(why) | Found::Stopped(why) => return Err(why),
            Found::Nothing { ended } => return Err(ended.unwrap_or_else(|| "the host has gone".to_owned())),
        };
        let taken = self.pool.take(&*self.hosts, &host, true).await;
        taken.map_err(|error| format!("{host} is not reached: {error}"))
    }

    /// The body of a request that is looked at, and changed.
    async fn read(&self, client: &mut Wire, request: &mut Request) -> io::Result<Bytes> {
        if request.waits_to_send() {
            send(&mut client.writer, &Response::new(100).bytes()).await?;
        }
        let body = client.reader.whole(&mut request.body()?, MOST_MADE).await?;
        request.has_body(body.len());
        Ok(body)
    }

    async fn forward(
        &self,
        client: &mut Wire,
        request: &Request,
        route: &Route,
        body: Option<&Bytes>,
        host: &Arc<str>,
    ) -> io::Result<Forwarded> {
        if starts_container(request, route) {
            self.hosts.linked(host).await;
        }
        let (Route::Creates(made), Some(body)) = (route, body) else {
            return self.pass(client, request, route, None, host).await;
        };
        let Ok(mut described) = serde_json::from_slice::<Value>(body) else {
            // It is the daemon's to say what is wrong.
            return self.pass(client, request, route, Some(body), host).await;
        };
        if let Err(why) = binds::resolve(*made, &mut described, &*self.hosts, host).await {
            return self.say(client, request, true, Answer::error(400, why)).await.map(Forwarded::Answered);
        }
        let (mut request, body) = (request.clone(), Bytes::from(described.to_string()));
        request.has_body(body.len());
        self.pass(client, &request, route, Some(&body), host).await
    }

    /// Passes a request on to a host's daemon.
    async fn pass(
        &self,
        client: &mut Wire,
        request: &Request,
        route: &Route,
        body: Option<&Bytes>,
        host: &Arc<str>,
    ) -> io::Result<Forwarded> {
        let mut fresh = false;
        loop {
            let mut daemon = match self.pool.take(&*self.hosts, host, fresh).await {
                Ok(daemon) => daemon,
                Err(error) => return Ok(Forwarded::NotReached(self.hosts.lost(host, &error).await)),
            };
            // As it is known by now.
            let engine = self.engine();
            let failed = if is_edited(route) {
                // Whether a daemon is there is known soon.
                let within = if *route == Route::Ping { PINGS_WITHIN } else { Duration::MAX };
                let asked = tokio::time::timeout(within, self.ask(&mut daemon.wire, request)).await;
                let Ok(asked) = asked else {
                    self.pool.clear();
                    let late = io::Error::new(io::ErrorKind::TimedOut, "it takes too long to answer");
                    return Ok(Forwarded::NotReached(self.hosts.lost(host, &late).await));
                };
                match asked {
                    Ok((response, said)) => {
                        let said = self.edited(route, said, host).await;
                        self.keep(host, daemon.wire, response.keeps());
                        let answer = Answer::instead(response, said);
                        return self.say(client, request, false, answer).await.map(Forwarded::Answered);
                    }
                    Err(error) => error,
                }
            } else {
                let body = body.map(|body| &body[..]);
                match relay(client, &mut daemon.wire, request, body, |response| cap(response, &engine)).await {
                    Ok(kept) => {
                        if request.method != "GET" {
                            self.stock.has_changed();
                        }
                        self.keep(host, daemon.wire, kept.daemon);
                        return Ok(Forwarded::Answered(kept.client));
                    }
                    Err(Failed::Midway(error)) => return Err(error),
                    Err(Failed::Unanswered(error)) => error,
                }
            };
            self.pool.clear();
            // A connection that was used before may have been closed meanwhile. What changes something is not asked twice.
            if daemon.is_used && matches!(request.method.as_str(), "GET" | "HEAD") {
                fresh = true;
                continue;
            }
            let answer = Answer::error(502, format!("{host} went away before it answered: {failed}"));
            return self.say(client, request, body.is_some(), answer).await.map(Forwarded::Answered);
        }
    }

    fn keep(&self, host: &Arc<str>, wire: Wire, keeps: bool) {
        if keeps {
            self.pool.put(host.clone(), wire);
        }
    }

    /// Asks a daemon for something that has no end but a whole.
    async fn ask(&self, daemon: &mut Wire, request: &Request) -> io::Result<(Response, Bytes)> {
        send(&mut daemon.writer, &request.bytes()).await?;
        let response: Response = daemon.reader.head().await?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let body = response.body(&request.method)?;
        let mut body = body.ok_or_else(|| io::Error::other("the daemon's answer has no end"))?;
        let said = daemon.reader.whole(&mut body, MOST_LIST).await?;
        Ok((response, said))
    }

    /// What a client is to see of a response.
    async fn edited(&self, route: &Route, said: Bytes, host: &str) -> Bytes {
        let Ok(mut value) = serde_json::from_slice::<Value>(&said) else { return said };
        match route {
            Route::Version => {
                let engine = self.engine();
                let (newest, oldest) = (json!(engine.newest.to_string()), json!(engine.oldest.to_string()));
                value["ApiVersion"] = newest.clone();
                value["MinAPIVersion"] = oldest.clone();
                for part in value["Components"].as_array_mut().into_iter().flatten() {
                    if part["Name"] == json!("Engine") {
                        part["Details"]["ApiVersion"] = newest.clone();
                        part["Details"]["MinAPIVersion"] = oldest.clone();
                    }
                }
            }
            Route::Info => self.subtract(&mut value, host).await,
            route => self.settings.hidden.hide(route, &mut value),
        }
        value.to_string().into()
    }

    /// Takes what is hidden out of the counts of `/info`.
    async fn subtract(&self, info: &mut Value, host: &str) {
        let hidden = &self.settings.hidden;
        let list = |path: &str, filters: Value| {
            let filters: String = filters.to_string().bytes().map(|byte| format!("%{byte:02X}")).collect();
            Request::get(&format!("{path}filters={filters}"))
        };
        let containers = list("/containers/json?all=1&", json!({"label": [hidden.label]}));
        let images = list("/images/json?", json!({"reference": hidden.images}));
        let Some([containers, images]) = self.ask_all(host, [containers, images]).await else { return };
        let (Some(containers), Some(images)) = (containers.as_array(), images.as_array()) else { return };
        let mut less = |key: &str, by: usize| {
            if let Some(count) = info[key].as_u64() {
                info[key] = json!(count.saturating_sub(by as u64));
            }
        };
        let running = containers.iter().filter(|container| container["State"] == json!("running")).count();
        less("Containers", containers.len());
        less("ContainersRunning", running);
        less("ContainersStopped", containers.len() - running);
        less("Images", images.len());
    }

    /// Answers a request here; whether the connection is for another.
    async fn say(&self, client: &mut Wire, request: &Request, is_read: bool, answer: Answer) -> io::Result<bool> {
        let mut body = if is_read { Body::sized(0) } else { request.body()? };
        let is_short = match body {
            Body::Sized(length) => length == 0 || (length <= MOST_REFUSED as u64 && !request.waits_to_send()),
            Body::Chunked(_) => false,
        };
        let keeps = request.keeps() && is_short;
        if is_short {
            client.reader.whole(&mut body, MOST_REFUSED).await?;
        }
        send(&mut client.writer, &answer.bytes(&request.method, &self.engine(), keeps)).await?;
        if !is_short {
            linger(client, &mut body).await;
        }
        Ok(keeps)
    }
}

/// Reads what else was sent, for a while, after the answer. Closed with something unread, the connection might take the answer with it; and some
/// clients look for it only once they have sent everything.
async fn linger(client: &mut Wire, body: &mut Body) {
    let rest = async { while let Ok(Some(_)) = client.reader.content(body).await {} };
    let _ = tokio::time::timeout(LINGERS, rest).await;
}

/// Whether a container is started, whose ports are looked for at once.
fn starts_container(request: &Request, route: &Route) -> bool {
    matches!(route, Route::Named("container", _))
        && request.method == "POST"
        && Target::of(&request.target).path.ends_with("/start")
}

fn is_edited(route: &Route) -> bool {
    matches!(route, Route::Ping | Route::Version | Route::Info) || Hidden::concerns(route)
}

/// The refusal of a version of the API, in the daemon's own words (moby, `api/server/middleware/version.go`).
fn refused(target: &Target<'_>, engine: &Engine) -> Option<Answer> {
    let version = target.version?;
    if version > engine.newest {
        let newest = engine.newest;
        let why = format!("client version {version} is too new. Maximum supported API version is {newest}");
        return Some(Answer::error(400, why));
    }
    (version < engine.oldest).then(|| {
        let oldest = engine.oldest;
        Answer::error(
            400,
            format!(
                "client version {version} is too old. Minimum supported API version is {oldest}, please upgrade your client to a newer version"
            ),
        )
    })
}

/// Lets a response say no other version of the API than all others do.
fn cap(response: &mut Response, engine: &Engine) {
    if response.headers.get("Api-Version").is_some() {
        response.headers.set("Api-Version", engine.newest.to_string());
    }
}
