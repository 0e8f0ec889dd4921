//! What can go wrong in configuring Local Mode.

use std::{io, path::PathBuf};

/// A failure. Nothing was overwritten that could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Reading or writing failed.
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
    /// A file is not what the SDK, or this crate, writes.
    #[error("{path}:{line}:{column}: {expected}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
        /// What was expected.
        expected: String,
    },
    /// The file is valid YAML, but can't be edited without touching the rest of it.
    #[error("cannot edit {path} in place: {why}")]
    NotEditable {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
}

pub(crate) fn file(attempted: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Error {
    let path = path.into();
    move |source| Error::File { attempted, path, source }
}
