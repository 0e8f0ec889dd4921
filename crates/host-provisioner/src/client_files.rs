//! What the client keeps of a host: its context, credentials and entries, which come after the host and go after it.

use async_trait::async_trait;

use crate::Record;

/// Why the client's files could not be changed.
pub type ClientFilesError = Box<dyn std::error::Error + Send + Sync>;

/// The client's side of a host. Provisioning knows when it must come and go, not what it consists of.
#[async_trait]
pub trait ClientFiles: Send + Sync {
    /// Makes a host that came up usable from here, if it answers; `false` where it does not answer, or can't be trusted.
    /// May be repeated.
    async fn adopt(&self, record: &Record) -> Result<bool, ClientFilesError>;

    /// Removes everything that is kept of a host. What is gone already is no error, so that this may be repeated. An error says what
    /// is left; everything else must have been removed nevertheless.
    async fn forget(&self, record: &Record) -> Result<(), ClientFilesError>;
}
