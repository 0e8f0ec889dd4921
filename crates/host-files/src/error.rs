//! What can go wrong with sharing.

use std::{io, path::PathBuf};

use file_share::ShareError;

/// A failure, with what was attempted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The daemon answered with an error, or did not answer.
    #[error("cannot {attempted} at {endpoint}")]
    Daemon {
        /// What was attempted.
        attempted: &'static str,
        /// The daemon.
        endpoint: String,
        /// What the daemon or the transport said.
        #[source]
        source: Box<bollard::errors::Error>,
    },
    /// This program's own files can't be read.
    #[error("cannot read this program's own {path}")]
    Program {
        /// The file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// This program does not run on the host.
    #[error("the host's processor is {host}, and this program is for {own}")]
    Architecture {
        /// The host's.
        host: String,
        /// This machine's.
        own: &'static str,
    },
    /// A folder can't be shared.
    #[error("cannot share a folder")]
    Share(#[from] ShareError),
    /// Two folders of which one is in the other.
    #[error("{inner} is in {outer}, which is shared as well")]
    Nested {
        /// The one that is in the other.
        inner: PathBuf,
        /// The other.
        outer: PathBuf,
    },
    /// A path on a host belongs to one app.
    #[error("{path} on the host is shared by {owner}")]
    Taken {
        /// The path.
        path: PathBuf,
        /// Whose it is.
        owner: String,
    },
    /// The agent ended before it could be reached.
    #[error("the agent on the host ended: {log}")]
    AgentEnded {
        /// What it said last.
        log: String,
    },
}
