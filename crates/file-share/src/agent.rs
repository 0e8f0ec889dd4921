//! The agent: it mounts FUSE where the files are wanted, and passes messages between the kernel and a stream.
//!
//! It runs as root beside a container runtime. It mounts in the namespace of its parent, which is the one in which that runtime makes
//! bind mounts; so it runs in the process namespace of its machine, in a container of its own.

mod handover;
mod mount;
mod notifier;
mod opens;
mod pump;
mod writes;

use std::{future::Future, io, path::PathBuf, time::Duration};

use tokio::sync::mpsc;

use handover::Handovers;
pub use handover::{relay, relay_stream};
use mount::{Mounted, Namespace};
use pump::{End, Pump};

/// A folder that the agent makes appear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountPoint {
    /// Where, in the parent's mount namespace.
    pub path: PathBuf,
    /// Whether the kernel refuses changes before it asks. The server refuses them, whatever the kernel does.
    pub read_only: bool,
}

/// What the agent does.
#[derive(Clone, Debug)]
pub struct AgentSettings {
    /// The folders, in the order of their servers' numbers.
    pub mounts: Vec<MountPoint>,
    /// How long a folder without a connection is kept. Who uses it waits for so long, and gets errors from then on.
    pub give_up_after: Duration,
    /// A list in the parent's mount namespace, for the machine to protect folders by when it boots again: one a line, those whose protection
    /// would be gone. It is written where its own folder exists.
    pub guarded: PathBuf,
}

/// Why an agent can't do its work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AgentError {
    /// A folder can't be mounted.
    #[error("cannot mount {path}: {attempted}")]
    Mount {
        /// The folder.
        path: PathBuf,
        /// What was attempted.
        attempted: &'static str,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// The parent's mounts are out of reach.
    #[error("cannot enter the mount namespace of the parent process")]
    Namespace(#[source] io::Error),
    /// There can be no connections.
    #[error("cannot listen for connections")]
    Listen(#[source] io::Error),
}

/// Mounts the folders, and passes messages until `stop`, or until a folder was without a connection for too long. Nothing stays
/// mounted; folders that it made stay, empty, and nothing can be written into them.
///
/// # Cancel safety
/// Not to be dropped, but stopped: dropped, it leaves mounts behind that answer with errors, until the next agent for these folders takes
/// them off.
///
/// # Errors
/// A folder can't be mounted; none is then.
pub async fn run_agent(settings: AgentSettings, stop: impl Future<Output = ()>) -> Result<(), AgentError> {
    let handovers = Handovers::listen().map_err(AgentError::Listen)?;
    let namespace = Namespace::of_parent().map_err(AgentError::Namespace)?;
    let mut mounted = Vec::new();
    for point in &settings.mounts {
        match namespace.mount(point, &settings.guarded) {
            Ok(share) => mounted.push(share),
            Err(error) => {
                drop(namespace.unmount(&paths(&settings.mounts[..mounted.len()])));
                return Err(error);
            }
        }
    }
    tracing::info!("{} folders are mounted", mounted.len());
    let outcome = pass_messages(mounted, handovers, settings.give_up_after, stop).await;
    // Detached while the kernel can still be answered with an error, so that nobody waits.
    if let Err(error) = namespace.unmount(&paths(&settings.mounts)) {
        tracing::warn!("cannot unmount: {error}");
    }
    outcome
}

fn paths(mounts: &[MountPoint]) -> Vec<PathBuf> {
    mounts.iter().map(|point| point.path.clone()).collect()
}

async fn pass_messages(
    mounted: Vec<Mounted>,
    handovers: Handovers,
    give_up_after: Duration,
    stop: impl Future<Output = ()>,
) -> Result<(), AgentError> {
    let mut pumps = tokio::task::JoinSet::new();
    let mut connections = Vec::new();
    for share in mounted {
        // Two at most: one that waits to be taken, and the next.
        let (sender, receiver) = mpsc::channel(2);
        connections.push(sender);
        let pump = Pump::new(share, receiver, give_up_after).map_err(AgentError::Listen)?;
        pumps.spawn(pump.run());
    }
    tokio::select! {
        () = stop => {}
        ended = handovers.distribute(&connections) => return Err(AgentError::Listen(ended)),
        // One that gave up takes the others along: they have the same client.
        ended = pumps.join_next() => match ended {
            Some(Ok(End::GaveUp)) => tracing::warn!("no connection for {} s: giving up", give_up_after.as_secs()),
            Some(Ok(End::Unmounted)) => tracing::warn!("a folder was unmounted by somebody else"),
            Some(Err(error)) => tracing::error!("{error}"),
            None => {}
        },
    }
    Ok(())
}

#[cfg(test)]
mod tests;
