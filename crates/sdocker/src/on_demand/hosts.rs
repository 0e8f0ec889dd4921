//! This home's hosts, as the socket asks for them.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError},
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use docker_on_demand::{Claim, Connection, Engine, Found, History, Hosts, Tell};
use docker_remote::{ApiRange, ClientCredentials, Dialer, probe_once};
use host_provisioner::{CloudName, Entry};
use jiff::Timestamp;
use tokio::{
    sync::{Mutex, OnceCell, watch},
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;
use whole_file::Links;

use super::{LinkCommand, ending::Ending, engine::Facts, launched, shares::Shares, wanted::Wanted};
use crate::{
    Error, Notice, Observer, Surroundings, Unobserved,
    client_files::HostFiles,
    creation::{self, Receiver},
    disk,
    durations::minute,
    link::{self, Means},
    lookup::{KnownHost, Lookup},
    places::{Look, Places},
    recovery, socket, starting, status,
    storage::in_time,
    termination::{self, Which},
};

/// How long what the home's files say is good, where they have not changed.
const GOOD_FOR: Duration = Duration::from_secs(5);

/// How long a daemon may take to say what it speaks.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);

/// How soon the cloud is asked again about a host that does not answer.
const ASKS_EVERY: Duration = Duration::from_secs(5);

/// How long a host that may be stopped has to let a connection be made.
const CONNECTS_WITHIN: Duration = Duration::from_secs(3);

/// How long a host that is started again may take until it answers.
const STARTS_WITHIN: Duration = Duration::from_secs(15 * 60);

/// How long files and ports may take after a launch.
const LINKED_WITHIN: Duration = Duration::from_secs(30);

/// How often it is looked whether another app's launch has come to its end.
const LOOKS_EVERY: Duration = Duration::from_millis(500);

/// Where daemons of real hosts have their socket.
const DAEMON_SOCKET: &str = "/var/run/docker.sock";

pub(super) struct StudioHosts {
    surroundings: Surroundings,
    wanted: Wanted,
    /// What is known of the engine by now.
    engine: std::sync::Mutex<Facts>,
    link: LinkCommand,
    stop: CancellationToken,
    shares: Shares,
    /// Whether files and ports of a host that was launched are on their way.
    linking: watch::Sender<bool>,
    seen: Mutex<Seen>,
}

/// What was seen.
#[derive(Default)]
struct Seen {
    /// What the home's files were.
    files: Option<(Vec<Stamp>, Instant)>,
    host: Option<Arc<Known>>,
    /// How the last host ended.
    ended: Option<String>,
    /// What was last found out of a host that does not answer.
    doubt: Option<(String, Instant)>,
    /// The host that was seen to be stopped, until this home's files say something else of it.
    stopped: Option<(Arc<str>, Vec<Stamp>)>,
    /// The host that this process starts again.
    starting: Option<Arc<str>>,
}

/// What changes when a file is replaced: its number and its time; `None` where there is none.
type Stamp = Option<(u64, i64, i64)>;

/// A host, and how it is connected to.
struct Known {
    host: KnownHost,
    name: Arc<str>,
    dialer: Dialer,
    credentials: ClientCredentials,
    /// Which versions of the API it answers.
    range: OnceCell<ApiRange>,
}

impl Known {
    fn is_of_sandbox(&self) -> bool {
        self.host.place().is_some_and(|place| place.cloud == CloudName::Sandbox)
    }
}

impl StudioHosts {
    pub(super) fn new(
        surroundings: Surroundings,
        wanted: Wanted,
        means: Means,
        link: LinkCommand,
        stop: CancellationToken,
    ) -> crate::Result<Arc<Self>> {
        let ended = whole_file::read_text(&ended_file(&surroundings), 1 << 12, Links::Refuse).ok();
        let seen = Mutex::new(Seen { ended, ..Seen::default() });
        let shares = Shares::new(means, stop.clone());
        let engine = std::sync::Mutex::new(wanted.engine.clone());
        let linking = watch::Sender::new(false);
        Ok(Arc::new(Self { surroundings, wanted, engine, link, stop, shares, linking, seen }))
    }

    /// The host that there is, and how the last one ended.
    pub(super) async fn known(&self) -> (Option<String>, Option<String>) {
        let host = match self.find().await {
            Found::Host(host) => Some(host.to_string()),
            Found::Stopped(said) => return (None, Some(said)),
            _ => None,
        };
        let ended = self.seen.lock().await.ended.clone().filter(|_| host.is_none());
        (host, ended)
    }

    /// When a host says that it ends itself; `None` where it says nothing.
    pub(super) async fn ending(&self, host: &str) -> Option<Ending> {
        let known = self.by_name(host).await.ok()?;
        let life = status::life_of(&known.host, &Lookup::new(&self.surroundings)).await?;
        let times = [life.expires_at, life.idle_deadline].into_iter().flatten();
        let at = times.filter_map(|time| time.parse().ok()).min()?;
        Some(Ending { host: host.to_owned(), at })
    }

    /// Whether a host stops when it ends itself, and is not terminated.
    pub(super) async fn stops(&self, host: &str) -> bool {
        let known = self.by_name(host).await.ok();
        known.is_some_and(|known| known.host.record.as_ref().is_some_and(|record| record.stops.is_some()))
    }

    /// Serves again what a process that was killed served to the host that there is.
    pub(super) async fn resume(&self) {
        let Ok(Some(known)) = self.look().await else { return };
        let lookup = Lookup::new(&self.surroundings);
        let client = HostFiles::new(&lookup).client(&known.host.entry()).await;
        match client {
            Ok(client) => self.shares.resume(client, &known.name, &self.surroundings).await,
            Err(error) => tracing::warn!("{error:#}"),
        }
    }

    /// Waits until nothing of this process is on a host any more.
    pub(super) async fn end(&self) {
        self.shares.end().await;
    }

    /// What changes when a host comes or goes.
    fn files(&self, lookup: &Lookup) -> Vec<Stamp> {
        let seen = |path: &Path| fs::metadata(path).ok().map(|found| (found.ino(), found.mtime(), found.mtime_nsec()));
        vec![seen(&lookup.layout.hosts_conf()), seen(&lookup.layout.journal())]
    }

    /// The host that this home's files name. One that is gone from them has ended.
    async fn look(&self) -> crate::Result<Option<Arc<Known>>> {
        let lookup = Lookup::new(&self.surroundings);
        let files = self.files(&lookup);
        let mut seen = self.seen.lock().await;
        // Another app may have started it since.
        if seen.stopped.as_ref().is_some_and(|(_, then)| *then != files) {
            seen.stopped = None;
        }
        if seen.files.as_ref().is_some_and(|(known, when)| *known == files && when.elapsed() < GOOD_FOR) {
            return Ok(seen.host.clone());
        }
        let hosts = lookup.hosts_aside().await?;
        self.shares.serve_only(|name| hosts.iter().any(|host| host.name == name)).await;
        let known = match lookup.on_demand(&hosts) {
            Some(host)
                if seen
                    .host
                    .as_ref()
                    .is_some_and(|known| known.host.endpoint() == host.endpoint() && *known.name == *host.name) =>
            {
                seen.host.clone()
            }
            Some(host) => {
                let credentials = ClientCredentials::load(&lookup.layout.client_certs(&host.name))?;
                let dialer = Dialer::new(&host.entry().endpoint(), &credentials)?;
                tracing::info!("the host is {}", host.name);
                let range = OnceCell::new();
                Some(Arc::new(Known { name: host.name.as_str().into(), host, dialer, credentials, range }))
            }
            None => None,
        };
        if let Some(before) = &seen.host
            && known.as_ref().is_none_or(|known| known.name != before.name)
        {
            let name = before.name.clone();
            self.has_ended(&mut seen, &name);
        }
        seen.host.clone_from(&known);
        seen.files = Some((files, Instant::now()));
        Ok(known)
    }

    fn has_ended(&self, seen: &mut Seen, name: &str) {
        let ended = format!("its host {name} ended at {}", minute(Timestamp::now()));
        tracing::info!("{ended}");
        if let Err(error) = whole_file::replace(&ended_file(&self.surroundings), ended.as_bytes(), 0o600) {
            tracing::warn!("{error}");
        }
        seen.ended = Some(ended);
        seen.doubt = None;
    }

    /// Asks a daemon, once, which versions of the API it answers.
    async fn learn(&self, known: &Known) -> io::Result<ApiRange> {
        let answered = probe_once(&known.host.entry().endpoint(), &known.credentials, ANSWERS_WITHIN)
            .await
            .map_err(io::Error::other)?;
        let facts = {
            let mut facts = self.engine.lock().unwrap_or_else(PoisonError::into_inner);
            facts.learn(answered.api()).then(|| facts.clone())
        };
        if let Some(engine) = facts
            && let Err(error) = (Wanted { engine, ..self.wanted.clone() }).write(&self.surroundings)
        {
            tracing::warn!("{error:#}");
        }
        Ok(answered.api())
    }

    async fn by_name(&self, host: &str) -> io::Result<Arc<Known>> {
        let known = self.look().await.map_err(io::Error::other)?;
        known.filter(|known| *known.name == *host).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// The right to launch, among all apps of this home.
    async fn claim(&self, tell: &Tell) -> crate::Result<fs::File> {
        let mut is_told = false;
        let lock = loop {
            let surroundings = self.surroundings.clone();
            if let Some(lock) = in_time("lock this home's launches", move || launched::claim(&surroundings)).await? {
                break lock;
            }
            if !std::mem::replace(&mut is_told, true) {
                tell("another app of this home launches a host".to_owned());
            }
            tokio::select! {
                () = sleep(LOOKS_EVERY) => {}
                () = self.stop.cancelled() => return Err(Error::new("the launch was stopped")),
            }
        };
        // Another app may have launched one meanwhile.
        self.forget_files().await;
        Ok(lock)
    }

    /// Starts the host again that is stopped; whether there is a host. Where there is one, whatever it is by now, none is launched.
    async fn start(&self, tell: &Tell, observer: &dyn Observer) -> crate::Result<bool> {
        let Some(known) = self.look().await? else { return Ok(false) };
        tell(format!("sdocker: starting {}", known.name));
        self.seen.lock().await.starting = Some(known.name.clone());
        let started = self.start_it(&known, observer).await;
        self.seen.lock().await.starting = None;
        started?;
        self.serve_link(known.name.to_string());
        self.runs_again().await;
        tell("sdocker: the host is ready".to_owned());
        Ok(true)
    }

    async fn start_it(&self, known: &Known, observer: &dyn Observer) -> crate::Result<()> {
        let lookup = Lookup::new(&self.surroundings);
        let clouds = Places::new(&self.surroundings, observer).of(known.host.place().as_ref()).await?;
        starting::start(&known.host, &clouds, &lookup, STARTS_WITHIN, observer, &self.stop).await.map(drop)
    }

    async fn runs_again(&self) {
        let mut seen = self.seen.lock().await;
        (seen.stopped, seen.files, seen.doubt) = (None, None, None);
    }

    async fn create(&self, tell: &Tell) -> crate::Result<()> {
        let told = tell.clone();
        let observer = move |notice: Notice| {
            if let Some(line) = line(notice) {
                tracing::info!("{line}");
                told(format!("sdocker: {line}"));
            }
        };
        settle(&self.surroundings, &observer, &self.stop).await?;
        if self.start(tell, &observer).await? {
            return Ok(());
        }
        tell(format!("sdocker: launching {}", self.wanted.wish.instance_type));
        let request = self.wanted.wish.request()?;
        let made =
            creation::create(&request, &self.surroundings, None, Receiver::Socket, &observer, &self.stop).await?;
        let name = made.record.name().unwrap_or_default();
        self.serve_link(name);
        self.forget_files().await;
        tell("sdocker: the host is ready".to_owned());
        Ok(())
    }

    /// Has files and ports served to a host, by the process that is for it. Requests go on meanwhile, but for those that need either.
    fn serve_link(&self, host: String) {
        let (surroundings, command) = (self.surroundings.clone(), (self.link)(&host));
        let linking = self.linking.clone();
        linking.send_replace(true);
        tokio::task::spawn_blocking(move || {
            if let Err(error) = link::start(&surroundings, &host, command, LINKED_WITHIN) {
                tracing::warn!("files and ports are not served: {error:#}");
            }
            linking.send_replace(false);
        });
    }

    async fn forget_files(&self) {
        self.seen.lock().await.files = None;
    }

    /// What the cloud knows of a host that does not answer. One that has ended is taken out of this home.
    async fn ask(&self, known: &Known, why: &io::Error) -> Found {
        match Places::new(&self.surroundings, &Unobserved).look_at(&known.host).await {
            Look::Ended(_) => {
                if let Err(error) = self.clear(&known.host).await {
                    tracing::warn!("not all that was kept of {} is gone: {error:#}", known.name);
                }
                let mut seen = self.seen.lock().await;
                if seen.host.take().is_some() {
                    self.has_ended(&mut seen, &known.name);
                }
                seen.files = None;
                Found::Nothing { ended: seen.ended.clone() }
            }
            Look::Alive(instance) if instance.state.is_stopped() => self.is_stopped(known).await,
            Look::Alive(_) => {
                Found::Doubtful(format!("{} does not answer: {why}; `sdocker status` says more", known.name))
            }
            Look::Unknown(error) => Found::Doubtful(format!(
                "{} does not answer ({why}), and it is not known whether it has ended: {error:#}",
                known.name
            )),
        }
    }

    /// Of a host that is stopped. One whose maximum lifetime is over is started by nobody but the user.
    async fn is_stopped(&self, known: &Known) -> Found {
        let (name, instance) = (&known.name, &known.host.instance);
        let over =
            known.host.record.as_ref().map(|record| record.expires).filter(|expires| *expires <= Timestamp::now());
        if let Some(over) = over {
            return Found::Doubtful(format!(
                "{name} is stopped, and its maximum lifetime was over at {}: decide what becomes of it; {}",
                minute(over),
                disk::choices(&known.host.instance)
            ));
        }
        let files = self.files(&Lookup::new(&self.surroundings));
        self.seen.lock().await.stopped = Some((name.clone(), files));
        Found::Stopped(format!("its host {name} is stopped (`sdocker use {instance}` starts it as well)"))
    }

    async fn clear(&self, host: &KnownHost) -> crate::Result<()> {
        let lookup = Lookup::new(&self.surroundings);
        let targets = termination::targets(&Which::Host(host.instance.clone().into()), &lookup)?;
        let stop = CancellationToken::new();
        let cleared = termination::terminate(targets, false, &self.surroundings, &lookup, &Unobserved, &stop).await?;
        cleared.error().map_or(Ok(()), Err)
    }
}

#[async_trait]
impl Hosts for StudioHosts {
    async fn find(&self) -> Found {
        let looked = self.look().await;
        let (stopped, starting) = {
            let seen = self.seen.lock().await;
            (seen.stopped.as_ref().map(|(name, _)| name.clone()), seen.starting.clone())
        };
        match looked {
            Ok(Some(known)) if starting.as_ref() == Some(&known.name) => {
                Found::Stopped(format!("its host {} is starting", known.name))
            }
            Ok(Some(known)) if stopped.as_ref() == Some(&known.name) => self.is_stopped(&known).await,
            Ok(Some(known)) => Found::Host(known.name.clone()),
            Ok(None) => Found::Nothing { ended: self.seen.lock().await.ended.clone() },
            Err(error) => Found::Doubtful(format!("it is not known whether there is a host: {error:#}")),
        }
    }

    async fn connect(&self, host: &str) -> io::Result<Connection> {
        let known = self.by_name(host).await?;
        // A packet to an instance that is stopped is answered by nobody: EC2 is asked sooner.
        let stream = match known.host.record.as_ref().and_then(|record| record.stops.as_ref()) {
            Some(_) => tokio::time::timeout(CONNECTS_WITHIN, known.dialer.dial()).await??,
            None => known.dialer.dial().await?,
        };
        known.range.get_or_try_init(|| self.learn(&known)).await?;
        self.seen.lock().await.doubt = None;
        Ok(Box::new(stream))
    }

    async fn lost(&self, host: &str, why: &io::Error) -> Found {
        self.forget_files().await;
        let known = match self.by_name(host).await {
            Ok(known) => known,
            // It was taken out of this home meanwhile.
            Err(_) => return self.find().await,
        };
        if let Some((said, when)) = &self.seen.lock().await.doubt
            && when.elapsed() < ASKS_EVERY
        {
            return Found::Doubtful(said.clone());
        }
        let found = self.ask(&known, why).await;
        if let Found::Doubtful(said) = &found {
            tracing::warn!("{said}");
            self.seen.lock().await.doubt = Some((said.clone(), Instant::now()));
        }
        found
    }

    async fn claim(&self, tell: &Tell) -> Result<Claim, String> {
        let claim = Self::claim(self, tell).await.map_err(|error| format!("no host was launched: {error:#}"))?;
        Ok(Box::new(claim))
    }

    async fn history(&self) -> Result<History, String> {
        let surroundings = self.surroundings.clone();
        let history =
            in_time("read what is remembered of this home's launches", move || launched::read(&surroundings)).await;
        history.map_err(|error| format!("{error:#}"))
    }

    async fn remember(&self, history: &History) -> Result<(), String> {
        let (surroundings, history) = (self.surroundings.clone(), history.clone());
        let remembered = in_time("remember this launch", move || launched::write(&surroundings, &history)).await;
        remembered.map_err(|error| format!("{error:#}"))
    }

    fn now(&self) -> Duration {
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
    }

    async fn launch(&self, tell: Tell) -> Result<(), String> {
        self.create(&tell).await.map_err(|error| {
            tracing::warn!("no host was launched: {error:#}");
            format!("no host was launched: {error:#}")
        })
    }

    async fn share(&self, host: &str, path: &Path) -> Result<(), String> {
        let known = self.by_name(host).await.map_err(|error| error.to_string())?;
        if known.is_of_sandbox() || self.wanted.shared.iter().any(|shared| path.starts_with(shared)) {
            return Ok(());
        }
        // Before that, it is not known what the host has.
        self.linked(host).await;
        let lent = link::lent(&self.surroundings, host).map_err(|error| format!("{error:#}"))?.unwrap_or_default();
        if lent.shows(path) {
            return Ok(());
        }
        if let Some(outer) = lent.shares().into_iter().find(|share| path.starts_with(&share.path)) {
            let (outer, path) = (outer.path.display(), path.display());
            return Err(format!("it is hidden in {outer}; `sdocker up --share {outer} --share {path}` shares both"));
        }
        let folder = folder_of(path)?;
        let lookup = Lookup::new(&self.surroundings);
        let files = HostFiles::new(&lookup);
        let entry = known.host.entry();
        self.shares.have(files.client(&entry), host, folder, &self.surroundings).await
    }

    async fn linked(&self, _host: &str) {
        // The sender is this one's.
        let _ = self.linking.subscribe().wait_for(|linking| !linking).await;
    }

    async fn daemon_socket(&self, host: &str) -> PathBuf {
        let Ok(known) = self.by_name(host).await else { return DAEMON_SOCKET.into() };
        let at = known.is_of_sandbox().then(|| sandbox_socket(&self.surroundings, &known.host)).flatten();
        at.unwrap_or_else(|| DAEMON_SOCKET.into())
    }

    fn engine(&self) -> Engine {
        self.engine.lock().unwrap_or_else(PoisonError::into_inner).engine()
    }
}

/// The folder by which a host gets something: a single file comes with the one that it is in, of which its container sees nothing else.
fn folder_of(path: &Path) -> Result<&Path, String> {
    use std::os::unix::fs::FileTypeExt as _;
    let kind = fs::metadata(path).map_err(|error| error.to_string())?.file_type();
    if kind.is_dir() {
        return Ok(path);
    }
    if kind.is_file() {
        return path.parent().ok_or_else(|| "it is in no folder".to_owned());
    }
    let kind = if kind.is_socket() { "a socket" } else { "no file" };
    Err(format!("it is {kind}, and what listens here is not on the host"))
}

/// Finishes or undoes what a process left that was ended in the middle of a launch, so that nothing is paid for twice.
pub(super) async fn settle(
    surroundings: &Surroundings,
    observer: &dyn Observer,
    stop: &CancellationToken,
) -> crate::Result<()> {
    for entry in Lookup::new(surroundings).journal.entries()? {
        if let Entry::Idle(record) = entry
            && record.is_unfinished()
        {
            observer.info("settling a launch that was interrupted");
            recovery::finish(&record.host, surroundings, observer, stop.clone()).await?;
        }
    }
    Ok(())
}

fn ended_file(surroundings: &Surroundings) -> PathBuf {
    socket::folder(surroundings).join("ended")
}

/// Hosts of the sandbox share this machine's `/var/run`: their sockets are apart.
fn sandbox_socket(surroundings: &Surroundings, host: &KnownHost) -> Option<PathBuf> {
    let folder = Lookup::new(surroundings).layout.sandbox().join("instances").join(host.instance.as_str());
    let settings = fs::read_to_string(folder.join("settings")).ok()?;
    let link = settings.lines().find_map(|line| line.strip_prefix("link="))?;
    Some(Path::new("/run/sdocker").join(link.trim_matches('\'')).join("docker.sock"))
}

/// What is told of a launch.
fn line(notice: Notice) -> Option<String> {
    let with = |what: String, detail: String| if detail.is_empty() { what } else { format!("{what}: {detail}") };
    match notice {
        Notice::Started(what) => Some(what),
        Notice::Finished { what, detail } if !detail.is_empty() => Some(with(what, detail)),
        Notice::Failed { what, detail } => Some(format!("failed: {}", with(what, detail))),
        Notice::Info(line) => Some(line.trim().to_owned()),
        Notice::Warning(line) | Notice::Error(line) => Some(format!("warning: {line}")),
        _ => None,
    }
}
