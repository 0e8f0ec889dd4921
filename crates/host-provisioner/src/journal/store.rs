//! Where a journal keeps its entries.

use std::{
    any::Any,
    fmt,
    path::{Path, PathBuf},
};

use super::JournalError;
use crate::HostId;

/// Where a [`Journal`](crate::Journal) keeps its entries: a text for each host, under a lock of its own. What the texts say, and which changes
/// are lawful, is the journal's business.
///
/// # Guarantees that an implementation gives
/// - What [`HeldEntry::write`] has returned from is kept, whatever happens to the process afterwards, for as long as the store is.
/// - A reader sees the old text or the new one, never a part.
/// - One [`HeldEntry`] of a host exists at a time, in all processes that use the store; it ends with the process.
/// - Absent and unreadable are different answers.
///
/// Every call may block for as long as storage does.
pub trait JournalStore: fmt::Debug + Send + Sync {
    /// Where the entry of a host is, for messages: a file, for one that is kept in files.
    fn path(&self, host: &HostId) -> PathBuf;

    /// The hosts that have an entry, and what looks like an entry and is none. Nothing at all is an empty list.
    ///
    /// # Errors
    /// The store can't be read.
    fn hosts(&self) -> Result<Vec<Result<HostId, JournalError>>, JournalError>;

    /// The text of an entry; `None` where there is none.
    ///
    /// # Errors
    /// There is one, or may be, and it can't be read.
    fn read(&self, host: &HostId) -> Result<Option<String>, JournalError>;

    /// Takes the lock of an entry, whether there is an entry or not; `None` where somebody has it.
    ///
    /// # Errors
    /// It can't be told.
    fn try_hold(&self, host: &HostId) -> Result<Option<Box<dyn HeldEntry>>, JournalError>;

    /// Whether somebody holds an entry. Whoever asks keeps nobody from holding it.
    fn is_held(&self, host: &HostId) -> bool;

    /// Takes what looks like an entry, and is none that can be used, out of sight, and says where it is then; `None` where somebody holds it.
    ///
    /// # Errors
    /// It can't be moved.
    fn set_aside(&self, place: &Path) -> Result<Option<PathBuf>, JournalError>;

    /// Waits for this process's turn among those that use the store; over when the result is dropped.
    ///
    /// # Errors
    /// There is no turn to be had.
    fn turn(&self) -> Result<Box<dyn Any + Send>, JournalError>;
}

/// The entry of a host, held by this process until it is dropped.
pub trait HeldEntry: fmt::Debug + Send + Sync {
    /// Replaces its text, or gives it the first.
    ///
    /// # Errors
    /// It can't be written; it then is as it was.
    fn write(&mut self, text: &str) -> Result<(), JournalError>;

    /// Removes it. Gone already is no error.
    ///
    /// # Errors
    /// It can't be removed.
    fn remove(self: Box<Self>) -> Result<(), JournalError>;

    /// Takes it out of sight, and says where it is then.
    ///
    /// # Errors
    /// It can't be moved.
    fn set_aside(self: Box<Self>) -> Result<PathBuf, JournalError>;
}
