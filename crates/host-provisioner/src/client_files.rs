//! What the client keeps of a host: its context, credentials and entries, which come after the host and go after it.

use async_trait::async_trait;

use crate::Record;

/// Why the client's files could not be changed.
pub type ClientFilesError = Box<dyn std::error::Error + Send + Sync>;

/// The client's side of a host. Provisioning knows when it must come and go, not what it consists of.
///
/// # Cancel safety
/// Every method of it is dropped where it takes too long, or the user asked to stop, and is called again by the next recovery: it must
/// leave no file half written.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait ClientFiles: Send + Sync {
    /// Makes a host that came up usable from here, if it answers. May be repeated.
    ///
    /// An error, as a missing answer, is no reason to end a host.
    async fn adopt(&self, record: &Record) -> Result<Adoption, ClientFilesError>;

    /// Whether a host can be used from here once it is started again. Its instance is stopped: there is nobody to ask, and nothing is made for it
    /// before it answers. May be repeated.
    async fn adopt_stopped(&self, record: &Record) -> Result<Adoption, ClientFilesError>;

    /// Removes everything that is kept of a host. What is gone already is no error, so that this may be repeated. An error says what
    /// is left; everything else must have been removed nevertheless.
    async fn forget(&self, record: &Record) -> Result<(), ClientFilesError>;
}

/// Whether a host that was being created when its creator died can be used from here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Adoption {
    /// It answered, and is in use from now on.
    Adopted,
    /// It does not answer, or not as it should: it may still boot, or be out of reach for a while.
    NoAnswer {
        /// What was tried, and what came of it.
        why: String,
    },
    /// It can never be used from here: its creator died before it made the credentials.
    Never {
        /// What is missing.
        why: String,
    },
}
