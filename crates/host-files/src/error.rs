//! What can go wrong with sharing.

use std::path::PathBuf;

use file_share::ShareError;

/// A failure, with what was attempted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The agent can't be put on the host, or not be reached there.
    #[error(transparent)]
    Agent(#[from] host_agent::Error),
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
