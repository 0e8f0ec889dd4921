//! This app's files and its hosts' ports: what keeps an app and its current host together, in a process in the background.
//!
//! One process per app, for the current host: a program that embeds this library calls [`serve`] in a task of its own, or in a process that
//! it starts by [`start`].

mod beginning;
mod gone;
mod lent;

use std::{process::Command, time::Duration};

use docker_remote::{Client, ClientCredentials, Endpoint};
use host_files::Program;
use host_link::{Link, Service};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

pub use beginning::{begin, begin_again, lends};
pub use host_link::{FolderLine, FolderState, LinkState, PortLine};
pub use host_provisioner::FILES_PORT;
pub use lent::{Lent, share};

use crate::{
    Surroundings, Unobserved,
    error::Context as _,
    lookup::{KnownHost, Lookup},
    places::Places,
    session::local_facts,
    socket,
};
use gone::Gone;

/// How long the host has to answer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);

/// How long the host keeps the folders without a connection.
const GIVE_UP_AFTER: Duration = Duration::from_secs(10 * 60);

/// How long the cloud has to say that a host is stopped, before it is connected to.
const SAYS_WITHIN: Duration = Duration::from_secs(3);

/// How soon a daemon that does not answer is connected to again.
const CONNECTS_EVERY: Duration = Duration::from_secs(5);

/// The network and the port of SDKs from 2.203 on, which publish none.
const SERVING: (&str, u16) = ("sagemaker", 8080);

/// How this program serves.
#[derive(Clone, Debug)]
pub struct Means {
    /// The program that is put on the host.
    pub program: Program,
    /// The arguments by which it is an agent for files: see [`host_files::Sharing::command`].
    pub files_command: Vec<String>,
    /// The arguments by which it is one for ports: see [`host_ports::Agent::command`].
    pub ports_command: Vec<String>,
    /// How many files containers may have open.
    pub max_open: usize,
}

/// The process of this app. Apps that share a home, as in Studio Classic, have one each.
fn service(surroundings: &Surroundings) -> Service {
    Service::new(socket::processes(surroundings))
}

/// How the process is; `None` where none runs, or it did not say yet.
pub fn state(surroundings: &Surroundings) -> Option<LinkState> {
    service(surroundings).state()
}

/// Whether the process runs.
pub fn is_running(surroundings: &Surroundings) -> bool {
    service(surroundings).process().is_some()
}

/// Whether a host was seen to be stopped or to have ended: the process ended for that, and is not to be started again before the host is.
pub fn has_gone(surroundings: &Surroundings, host: &str) -> bool {
    gone::is_known(surroundings, host)
}

/// Why nobody serves files and ports to a host, where somebody should: what that means, and what mends it.
pub(crate) struct Unserved {
    pub what: String,
    pub fix: String,
}

/// Whether files and ports of this app should be served to a host, and are not.
pub(crate) fn unserved(surroundings: &Surroundings, host: &KnownHost) -> crate::Result<Option<Unserved>> {
    let Some(lent) = lent(surroundings, &host.name)?.filter(|_| host.current) else { return Ok(None) };
    let service = service(surroundings);
    let Some(process) = service.process() else {
        if gone::is_known(surroundings, &host.name) {
            return Ok(None);
        }
        let fix = format!(
            "`sdocker use --instance-id {}` serves them again; {} says why it ended",
            host.instance,
            service.log().display()
        );
        return Ok(Some(Unserved { what: lent.unserved(), fix }));
    };
    if service.is_stopped() {
        let what = format!(
            "the process that serves them ({process}) is stopped, so containers wait for this app's files, and connections for ports"
        );
        return Ok(Some(Unserved { what, fix: format!("`kill -CONT {process}` lets it go on") }));
    }
    Ok(None)
}

/// Where the process says what it does.
pub fn log(surroundings: &Surroundings) -> std::path::PathBuf {
    service(surroundings).log()
}

/// What this app lends a host; `None` for hosts of which nothing is remembered.
///
/// # Errors
/// It can't be read.
pub fn lent(surroundings: &Surroundings, host: &str) -> crate::Result<Option<Lent>> {
    Lent::read(&Lookup::new(surroundings).layout.link(host))
}

/// Remembers a host, of which nothing is known yet, as one to which this app lends nothing but its localhost.
///
/// # Errors
/// It can't be written.
pub fn remember(surroundings: &Surroundings, host: &str) -> crate::Result<()> {
    match lent(surroundings, host)? {
        Some(_) => Ok(()),
        None => Lent::default().write(&Lookup::new(surroundings).layout.link(host)),
    }
}

/// Starts the process by a command that calls [`serve`] for this host, unless it runs; one for another host is ended before. Waits, no
/// longer than `within`, until files and ports are there or have failed, and returns how they are; `None` where they still are on their way.
///
/// # Errors
/// The process does not start.
pub fn start(
    surroundings: &Surroundings,
    host: &str,
    command: Command,
    within: Duration,
) -> crate::Result<Option<LinkState>> {
    let service = service(surroundings);
    if service.state().is_some_and(|state: LinkState| state.host != host) {
        service.stop()?;
    }
    service.start(command, within, |state: &LinkState| state.host == host && state.settled)?;
    Ok(service.state().filter(|state: &LinkState| state.host == host && state.settled))
}

/// Ends the process, if there is one.
///
/// # Errors
/// It can't be ended.
pub fn stop(surroundings: &Surroundings) -> crate::Result<bool> {
    Ok(service(surroundings).stop()?)
}

/// Ends the process of a host that has ended. One that said nothing yet finds out by itself.
pub(crate) async fn stop_serving(surroundings: &Surroundings, host: &str) -> crate::Result<()> {
    let service = service(surroundings);
    if service.state().is_none_or(|state: LinkState| state.host != host) {
        return Ok(());
    }
    let stopped = tokio::task::spawn_blocking(move || service.stop()).await;
    stopped.context("cannot wait for the end of the process in the background")?.map(drop).map_err(Into::into)
}

/// Serves files and ports to a host, until `stop`, the host's end, or until it is stopped, unless another process of this app does.
///
/// # Cancel safety
/// Not to be dropped, but stopped: dropped, it does not wait until the folders are off the host. Tasks see to that for as long as the
/// runtime goes on; without them, the host keeps the folders for ten minutes.
///
/// # Errors
/// There is no such host, or this home has no credentials for it.
pub async fn serve(
    surroundings: &Surroundings,
    host: &str,
    means: Means,
    stop: CancellationToken,
) -> crate::Result<()> {
    let Some(claim) = service(surroundings).claim()? else { return Ok(()) };
    let lookup = Lookup::new(surroundings);
    let known = lookup.hosts_aside().await?.into_iter().find(|known| known.name == host);
    let known = known.with_context(|| format!("there is no host {host}"))?;
    let lent = Lent::read(&lookup.layout.link(host))?.unwrap_or_default();
    let credentials = ClientCredentials::load(&lookup.layout.client_certs(host))?;
    let endpoint = Endpoint::new(&known.address, known.port);
    let key = lookup.layout.client_certs(host).join("key.pem");
    // A file system that does not answer says nothing about the host.
    let is_taken_out = || matches!(key.try_exists(), Ok(false));
    let look = || async { Gone::of(&Places::new(surroundings, &Unobserved).look_at(&known).await) };
    // Whatever is sent to an instance that is stopped is lost.
    if known.record.as_ref().is_some_and(|record| record.stops.is_some())
        && let Ok(Some(gone)) = timeout(SAYS_WITHIN, look()).await
    {
        gone::note(surroundings, host, gone);
        return Ok(());
    }
    let (reached, is_reached) = watch::channel(true);
    let serving = async {
        let client = tokio::select! {
            () = stop.cancelled() => return,
            client = connect(&endpoint, &credentials, &reached) => client,
        };
        gone::is_back(surroundings, host);
        let link = Link {
            host: host.to_owned(),
            client,
            program: means.program,
            files_command: means.files_command,
            ports_command: means.ports_command,
            owner: owner(surroundings),
            shares: lent.shares(),
            give_up_after: GIVE_UP_AFTER,
            max_open: means.max_open,
            files_port: Some(FILES_PORT),
            serving: Some((SERVING.0.to_owned(), SERVING.1)),
        };
        let told = |state: &LinkState| {
            reached.send_replace(state.unreachable.is_none());
            if let Err(error) = claim.tell(state) {
                tracing::warn!("{error}");
            }
        };
        link.serve(stop.cancelled(), told).await;
    };
    tokio::select! {
        biased;
        // Nothing is left on it, and nobody there would answer.
        gone = gone::gone(is_taken_out, look, is_reached, &stop) => gone::note(surroundings, host, gone),
        () = serving => {}
    }
    Ok(())
}

async fn connect(endpoint: &Endpoint, credentials: &ClientCredentials, reached: &watch::Sender<bool>) -> Client {
    let mut said = String::new();
    loop {
        match Client::connect(endpoint, credentials, ANSWERS_WITHIN).await {
            Ok(client) => return client,
            Err(error) => {
                let why = error.to_string();
                if why != said {
                    tracing::warn!("{why}");
                    said = why;
                }
            }
        }
        reached.send_replace(false);
        sleep(CONNECTS_EVERY).await;
    }
}

/// Whose folders they are, in words that another app's user understands. A Studio app has the same name whenever it runs, and all of them
/// have the same home and the same host name.
pub fn owner(surroundings: &Surroundings) -> String {
    if let Ok(facts) = local_facts(surroundings)
        && let Some(app) = facts.app().arn.rsplit(':').next().and_then(|resource| resource.strip_prefix("app/"))
    {
        return format!("the Studio app {app}");
    }
    let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{} of {}", surroundings.home.display(), machine.trim())
}
