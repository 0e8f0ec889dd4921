//! What can go wrong with a remote Docker host.

use std::{io, path::PathBuf};

/// A failure, with what was attempted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A certificate or key could not be made.
    #[error("cannot make {what}")]
    Credentials {
        /// What was being made.
        what: &'static str,
        /// Why it failed.
        #[source]
        source: rcgen::Error,
    },
    /// Certificates or keys can't be used for TLS.
    #[error("cannot use the certificate and key of the client")]
    Tls(#[source] rustls::Error),
    /// A PEM file holds something else.
    #[error("{path}: expected {expected}")]
    NotPem {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        expected: &'static str,
    },
    /// A certificate or key belongs to somebody else, who could say whom this user trusts.
    #[error("{path} is not to be trusted: it belongs to user {owner}")]
    OfAnother {
        /// The file, or its folder.
        path: PathBuf,
        /// Its owner.
        owner: u32,
    },
    /// Somebody else may have written whom this user is to trust.
    #[error("{path} is not to be trusted: others than its owner may write it (mode {mode:o})")]
    NotTrusted {
        /// The file or folder.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// Reading, writing or removing a file failed.
    #[error("cannot {attempted} {path}")]
    File {
        /// What was attempted.
        attempted: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// A file of the Docker CLI is not what the CLI writes. It was not changed.
    #[error("{path}:{line}:{column}: {expected}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
        /// What was expected there.
        expected: String,
    },
    /// A name that can't be a context's.
    #[error("`{name}` can't be the name of a Docker context")]
    ContextName {
        /// The name.
        name: String,
    },
    /// There is no such context.
    #[error("there is no Docker context {name}")]
    NoContext {
        /// Its name.
        name: String,
    },
    /// The daemon answered with an error, or did not answer.
    #[error("cannot {attempted} at {endpoint}")]
    Daemon {
        /// What was attempted.
        attempted: String,
        /// The daemon.
        endpoint: String,
        /// What the daemon or the transport said.
        #[source]
        source: Box<bollard::errors::Error>,
    },
    /// The daemon reported a failure in the course of a pull, a build or a load.
    #[error("cannot {attempted} at {endpoint}: {message}")]
    Reported {
        /// What was attempted.
        attempted: String,
        /// The daemon.
        endpoint: String,
        /// The daemon's words.
        message: String,
    },
}

pub(crate) fn file(attempted: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Error {
    let path = path.into();
    move |source| Error::File { attempted, path, source }
}
