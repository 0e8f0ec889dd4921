//! What can go wrong with ports.

use std::{io, net::SocketAddr};

use crate::RelayError;

/// A failure, with what was attempted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The agent can't be put on the host, or not be reached there.
    #[error(transparent)]
    Agent(#[from] host_agent::Error),
    /// The agent does not connect.
    #[error(transparent)]
    Relay(#[from] RelayError),
    /// The daemon does not tell what is asked.
    #[error(transparent)]
    Daemon(#[from] docker_remote::Error),
    /// The daemon tells nothing any more.
    #[error("the daemon closed its event stream")]
    Ended,
    /// The daemon has a time that is none.
    #[error("the daemon does not tell its time")]
    NoTime,
    /// A port of this machine can't be had.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
}
