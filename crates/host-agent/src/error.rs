//! What can go wrong with an agent.

use std::{io, path::PathBuf};

use docker_remote::Client;

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
    /// The daemon does not say what is asked.
    #[error(transparent)]
    Asked(#[from] docker_remote::Error),
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
    /// There is no way to the agent past the daemon.
    #[error("there is no direct connection to the host's port {port}")]
    Direct {
        /// The port.
        port: u16,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// The daemon took the request, and gave no stream.
    #[error("the daemon gave no connection to the agent")]
    NoStream,
}

/// Makes an [`Error::Daemon`] of what the daemon said.
pub fn daemon(client: &Client, attempted: &'static str) -> impl FnOnce(bollard::errors::Error) -> Error + use<> {
    let endpoint = client.endpoint().to_string();
    move |source| Error::Daemon { attempted, endpoint, source: Box::new(source) }
}
