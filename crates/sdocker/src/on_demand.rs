//! Hosts on demand: a local Docker socket, whose host is launched by the first request that needs one.
//!
//! One process per app answers the socket, in the background: [`up`] starts it, [`down`] ends it, and a program that embeds this library
//! calls [`serve`] in a task of its own, or in a process that it starts by `up`.

mod ending;
mod engine;
mod hosts;
mod launched;
mod root_link;
mod shares;
mod wanted;

use std::{
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

pub use docker_on_demand::Holdings;
use docker_on_demand::{Hidden, Limits, Proxy, Settings};
use host_link::{Claim, Service};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::{net::UnixListener, sync::watch};
use tokio_util::sync::CancellationToken;

pub use wanted::Wish;

use crate::{
    Error, Observer, Surroundings, clients, creation,
    error::Context as _,
    link::Means,
    lookup::Lookup,
    socket::{self, CONTEXT},
};
use ending::Ending;
use hosts::StudioHosts;
use wanted::Wanted;

/// How long a request waits for a host: docker-py gives up after 60 s.
const PATIENCE: Duration = Duration::from_secs(45);

/// How long the process may take to answer.
const STARTS_WITHIN: Duration = Duration::from_secs(20);

/// How often the process says how it is, where that has changed.
const TELLS_EVERY: Duration = Duration::from_millis(500);

/// The longest path of a socket (unix(7), without the last zero).
const LONGEST: usize = 107;

/// Makes the command of the process that serves files and ports to a host.
pub type LinkCommand = Arc<dyn Fn(&str) -> Command + Send + Sync>;

/// How the socket is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct SocketState {
    /// Where it is.
    pub socket: PathBuf,
    /// Since when it is answered, by RFC 3339; nothing where nobody answers it now.
    pub since: String,
    /// What is launched by the first request that needs it.
    pub instance_type: String,
    /// The host that there is.
    pub host: Option<String>,
    /// How the last one ended.
    pub ended: Option<String>,
    /// What the launch that goes on told last.
    pub launching: Option<String>,
    /// Why nothing is launched now.
    pub failure: Option<String>,
    /// What the host holds that is nowhere else, or the one before held: it goes with it.
    pub holdings: Option<Holdings>,
    /// When the host ends itself (RFC 3339), where that is near.
    pub ends: Option<String>,
    /// Whether it stops then, and keeps what it holds.
    pub stops: bool,
}

impl SocketState {
    /// That the host ends itself soon, and what goes with it; `None` where it does not.
    pub fn warning(&self) -> Option<String> {
        let (host, ends) = (self.host.as_ref()?, self.ends.as_ref()?);
        let at = ends.parse::<Timestamp>().ok()?.strftime("%H:%M UTC");
        if self.stops {
            return Some(format!("{host} stops itself at {at} unless it is used or kept, and keeps its disk"));
        }
        let held = self.holdings.as_ref().filter(|holdings| holdings.host == *host && !holdings.is_empty());
        let held = held.map(|holdings| format!(", and with it {holdings}")).unwrap_or_default();
        Some(format!("{host} ends itself at {at} unless it is used or kept{held}"))
    }
}

/// What the user should know of the socket's host now.
pub fn notices(surroundings: &Surroundings) -> Vec<String> {
    let said: Option<SocketState> = service(surroundings).state();
    said.and_then(|state| state.warning()).into_iter().collect()
}

/// A socket that answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Up {
    /// Where it is.
    pub socket: PathBuf,
    /// Its Docker context.
    pub context: String,
    /// What is launched by the first request that needs it.
    pub instance_type: String,
    /// The host that is there already.
    pub host: Option<String>,
    /// The usual place of Docker's socket, where that leads here: clients that know no contexts find it there.
    pub linked: Option<PathBuf>,
}

fn service(surroundings: &Surroundings) -> Service {
    Service::new(socket::folder(surroundings))
}

/// How the socket is; `None` where none is wanted. One that nobody answers has no time since when it is answered.
pub fn state(surroundings: &Surroundings) -> Option<SocketState> {
    let said: Option<SocketState> = service(surroundings).state();
    said.or_else(|| {
        let wanted = Wanted::read(surroundings).ok()??;
        let (socket, instance_type) = (socket::path(surroundings), wanted.wish.instance_type);
        Some(SocketState { socket, instance_type, ..SocketState::default() })
    })
}

/// Whether a socket is wanted, and nobody answers it: [`up`] was called, and the process has ended since, or the app was started again.
pub fn is_missing(surroundings: &Surroundings) -> bool {
    socket::is_wanted(surroundings) && service(surroundings).process().is_none()
}

/// The variables by which clients that know no contexts find the socket; `None` where none is wanted.
/// One without a value is to go.
pub fn variables(surroundings: &Surroundings) -> Option<Vec<(&'static str, Option<String>)>> {
    socket::is_wanted(surroundings).then(|| {
        vec![
            ("DOCKER_HOST", Some(socket::endpoint(surroundings))),
            ("DOCKER_TLS_VERIFY", None),
            ("DOCKER_CERT_PATH", None),
        ]
    })
}

/// Whether the usual place of Docker's socket leads to this one.
pub(crate) fn is_linked(surroundings: &Surroundings) -> bool {
    root_link::leads(&socket::path(surroundings))
}

/// Where the process says what it does.
pub fn log(surroundings: &Surroundings) -> PathBuf {
    service(surroundings).log()
}

/// Has the socket answered by a process that this command starts, which calls [`serve`]; makes its context current. Nothing is launched. A
/// process that answers for another wish is ended before, and its launch undone.
///
/// # Cancel safety
/// It can be dropped at any time, and repeated.
///
/// # Errors
/// A host as it is wished for could not be launched, as far as that is seen without changing anything; files that can't be written; a process
/// that does not start.
pub async fn up(
    surroundings: &Surroundings,
    wish: &Wish,
    command: Command,
    observer: &dyn Observer,
) -> crate::Result<Up> {
    let socket = socket::path(surroundings);
    if socket.as_os_str().len() > LONGEST {
        let why = format!("{} is too long for a socket", socket.display());
        return Err(Error::new(why).hint("set XDG_RUNTIME_DIR to a folder with a shorter path"));
    }
    let outline = creation::outline(&wish.request()?, surroundings, observer).await?;
    let engine = engine::Facts::of(&outline, surroundings).await;
    let contexts = Lookup::new(surroundings).contexts;
    let before = Wanted::read(surroundings)?;
    let previous_context = match &before {
        Some(before) => before.previous_context.clone(),
        None => contexts.current()?.filter(|context| context != CONTEXT),
    };
    let wanted = Wanted { wish: wish.clone(), previous_context, engine, shared: outline.shared };
    let service = service(surroundings);
    // One for the same wish goes on, and with it what it has learned of its hosts.
    if before.is_none_or(|before| before.wish != wanted.wish) {
        wanted.write(surroundings)?;
        stop(&service).await?;
        launched::forget_failure(surroundings)?;
    }
    start(service.clone(), command).await?;
    contexts.create_for_socket(CONTEXT, "sdocker: a host in SageMaker Studio's network, on demand", &socket)?;
    contexts.use_context(Some(CONTEXT))?;
    clients::warn(&clients::overrides(surroundings, &[]), observer);
    let linked = root_link::make(surroundings, &socket).await;
    let state = state(surroundings).unwrap_or_default();
    Ok(Up { socket, context: CONTEXT.to_owned(), instance_type: wish.instance_type.clone(), host: state.host, linked })
}

/// Starts the process of a socket that is wanted, unless it runs. Nothing is waited for.
///
/// # Errors
/// It does not start.
pub fn again(surroundings: &Surroundings, command: Command) -> crate::Result<()> {
    service(surroundings).start(command, Duration::ZERO, |_: &SocketState| true).map(drop).map_err(Into::into)
}

/// Takes the socket and its context away; the context from before is current again, or that of the host that there is, which goes on. Whether
/// there was a socket.
///
/// # Cancel safety
/// It can be dropped at any time, and repeated: a launch that was interrupted is settled by whoever is next.
///
/// # Errors
/// The process can't be ended, files not be written, or a launch that was interrupted not be settled.
pub async fn down(surroundings: &Surroundings, observer: &dyn Observer) -> crate::Result<bool> {
    let lookup = Lookup::new(surroundings);
    let wanted = Wanted::read(surroundings)?;
    let host = lookup.hosts_aside().await?.into_iter().find(|host| host.current).map(|host| host.name);
    // A launch that goes on is undone before the process ends.
    let ran = stop(&service(surroundings)).await?;
    let previous = wanted.as_ref().and_then(|wanted| wanted.previous_context.clone());
    root_link::remove(surroundings, &socket::path(surroundings)).await;
    lookup.contexts.remove(CONTEXT, host.as_deref().or(previous.as_deref()))?;
    Wanted::remove(surroundings)?;
    shares::forget(surroundings);
    // An undo may take longer than the process was given.
    hosts::settle(surroundings, observer, &CancellationToken::new()).await?;
    Ok(ran || wanted.is_some())
}

async fn start(service: Service, command: Command) -> crate::Result<()> {
    let log = service.log();
    let started = tokio::task::spawn_blocking(move || {
        service.start(command, STARTS_WITHIN, |state: &SocketState| !state.socket.as_os_str().is_empty())
    });
    match started.await.context("cannot wait for the process in the background")?? {
        true => Ok(()),
        false => Err(Error::new("the socket does not answer").hint(format!("{} says more", log.display()))),
    }
}

async fn stop(service: &Service) -> crate::Result<bool> {
    let service = service.clone();
    let stopped = tokio::task::spawn_blocking(move || service.stop()).await;
    Ok(stopped.context("cannot wait for the end of the process in the background")??)
}

/// Answers the socket until `stop`, unless another process of this app does. A launch that goes on then is undone.
///
/// # Cancel safety
/// Not to be dropped, but stopped: what a launch has made then stays, on record, until it is settled.
///
/// # Errors
/// No socket is wanted, or it can't be made.
pub async fn serve(
    surroundings: &Surroundings,
    means: Means,
    link: LinkCommand,
    stop: CancellationToken,
) -> crate::Result<()> {
    let Some(claim) = service(surroundings).claim()? else { return Ok(()) };
    let wanted = Wanted::read(surroundings)?.context("there is no socket: `sdocker up` makes one")?;
    let path = socket::path(surroundings);
    let listener = bind(&path)?;
    let hosts = StudioHosts::new(surroundings.clone(), wanted.clone(), means, link, stop.clone())?;
    let settings = Settings {
        patience: PATIENCE,
        limits: Limits::default(),
        hidden: Hidden {
            label: host_agent::LABEL.to_owned(),
            images: [host_agent::IMAGE, docker_remote::FOLDER_IMAGE].map(str::to_owned).into(),
        },
        other_kind: "`sdocker up --instance-type g5.xlarge` asks for another".to_owned(),
    };
    let proxy = Proxy::new(hosts.clone(), settings);
    let resuming = hosts.clone();
    tokio::spawn(async move { resuming.resume().await });
    // In an app that was started again there is no link any more.
    let (linking, linked) = (surroundings.clone(), path.clone());
    tokio::spawn(async move { root_link::make(&linking, &linked).await });
    let serving = proxy.clone().serve(listener, stop.clone());
    let first = SocketState {
        socket: path.clone(),
        since: Timestamp::now().to_string(),
        instance_type: wanted.wish.instance_type.clone(),
        ..SocketState::default()
    };
    let (near, ending) = watch::channel(None);
    let watching = ending::watch(&hosts, |ending: Option<Ending>| {
        if near.borrow().as_ref() != ending.as_ref() {
            near.send_replace(ending);
        }
    });
    let telling = tell(&claim, first, &proxy, &hosts, &ending);
    tokio::select! {
        () = serving => {}
        () = telling => {}
        () = watching => {}
    }
    // What it has made is undone, and then it has come to its end.
    while proxy.status().launching.is_some() {
        tokio::time::sleep(TELLS_EVERY).await;
    }
    hosts.end().await;
    let _ = fs::remove_file(&path);
    Ok(())
}

/// Says how the socket is, whenever that has changed.
async fn tell(
    claim: &Claim,
    first: SocketState,
    proxy: &Proxy,
    hosts: &StudioHosts,
    ending: &watch::Receiver<Option<Ending>>,
) {
    let mut told = None;
    let mut warned = None;
    loop {
        let now = proxy.status();
        let (host, ended) = hosts.known().await;
        let ends = ending.borrow().clone().filter(|ending| host.as_ref() == Some(&ending.host));
        let stops = match &host {
            Some(host) => hosts.stops(host).await,
            None => false,
        };
        let state = SocketState {
            stops,
            ends: ends.map(|ending| ending.at.to_string()),
            // It may be another app's.
            failure: now.failure.filter(|_| host.is_none()),
            host,
            ended,
            launching: now.launching,
            holdings: now.holdings.filter(|holdings| !holdings.is_empty()),
            ..first.clone()
        };
        if state.ends != warned {
            if let Some(warning) = state.warning() {
                tracing::warn!("{warning}");
            }
            warned.clone_from(&state.ends);
        }
        if told.as_ref() != Some(&state) {
            if let Err(error) = claim.tell(&state) {
                tracing::warn!("{error}");
            }
            told = Some(state);
        }
        tokio::time::sleep(TELLS_EVERY).await;
    }
}

/// Listens. Whoever holds the claim is the only one, so what is there is of one that has ended.
fn bind(path: &Path) -> crate::Result<UnixListener> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(Error::new(format!("cannot replace {}", path.display())).because(error));
        }
        _ => {}
    }
    let listener = UnixListener::bind(path).with_context(|| format!("cannot listen at {}", path.display()))?;
    // Its folder lets nobody else in either.
    let private = fs::set_permissions(path, fs::Permissions::from_mode(0o600));
    private.with_context(|| format!("cannot keep {} from others", path.display()))?;
    Ok(listener)
}
