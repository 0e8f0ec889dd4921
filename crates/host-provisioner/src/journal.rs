//! The journal: one durable record per host, written before every act that costs money or changes something shared.
//!
//! # Guarantees
//! - A record that [`OpenRecord::update`] has returned from is kept by the [`JournalStore`]: in files, over a crash of the process and of the
//!   machine.
//! - A reader sees either the old record or the new one, never a mixture.
//! - While an [`OpenRecord`] lives, no other process opens the same record.
//! - No step is forgotten, and none begins without an intent: see [`OpenRecord::update`].
//! - A record of a newer version is refused and never rewritten. One that can't be read, for whatever reason, stays where it is, and is
//!   reported each time: absent and unreadable are different answers.

mod files;
#[cfg(test)]
pub(crate) mod fuse;
mod memory;
mod record;
mod store;
mod timely;

use std::{
    any::Any,
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

pub use files::FileStore;
pub use memory::MemoryStore;
pub use record::{
    AccessIntent, GroupIntent, Intent, LaunchIntent, Record, RecordState, RecordedInstance, Step, StepState, Stops,
};
pub use store::{HeldEntry, JournalStore};

use crate::HostId;
use timely::Timely;

/// How long a file of the journal may take, which may lie on a network file system.
const FILES_WITHIN: Duration = Duration::from_secs(30);

/// The version of the record format that this crate writes, and the newest that it reads.
pub const RECORD_VERSION: u32 = 1;

/// How long a record's lock is tried for before its host counts as busy: listings and starting processes hold one for a moment.
const BUSY_AFTER: Duration = Duration::from_secs(1);

/// A folder or record of the journal can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// Reading or writing failed.
    #[error("cannot {attempted} {path}")]
    Io {
        /// What was attempted.
        attempted: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// The record was written by a newer version.
    #[error("{path} has version {found}, and this version reads up to {RECORD_VERSION}")]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
    /// A change that does not follow from what was recorded.
    #[error("the record of host {host} is not changed: {why}")]
    Unlawful {
        /// The host.
        host: HostId,
        /// What was not allowed.
        why: String,
    },
    /// The record is not one: torn, or not JSON, or of another shape, or another host's.
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
}

impl JournalError {
    /// The file or folder that it is about.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Io { path, .. } | Self::Newer { path, .. } | Self::Malformed { path, .. } => Some(path),
            Self::Unlawful { .. } => None,
        }
    }

    fn malformed(path: &Path, expected: &impl ToString) -> Self {
        Self::Malformed { path: path.to_owned(), line: 1, column: 1, expected: expected.to_string() }
    }
}

/// Records of hosts, one each. Several processes, on several machines that share its store, may use it at once. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Journal {
    store: Arc<dyn JournalStore>,
    /// Ends the process, as far as a test is concerned, at a write.
    #[cfg(test)]
    pub(crate) fuse: fuse::Fuse,
}

/// What the journal holds for one host.
#[derive(Debug)]
pub enum Entry {
    /// A record that nobody works on; if it is unfinished, whoever did is dead.
    Idle(Record),
    /// A record that another process works on right now.
    Busy(Record),
    /// A record that can't be used, and stays where it is until someone looks at it.
    Unusable(JournalError),
}

/// A record under an exclusive lock.
#[derive(Debug)]
#[must_use = "nobody else can work on the host until it is dropped"]
pub struct OpenRecord {
    record: Record,
    held: Box<dyn HeldEntry>,
    #[cfg(test)]
    fuse: fuse::Fuse,
}

/// A process's turn among those of one home.
#[must_use = "the turn is over when it is dropped"]
pub struct Turn {
    _held: Box<dyn Any + Send>,
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Turn")
    }
}

/// Whether a record could be opened.
#[derive(Debug)]
pub enum Opened {
    /// It is open, and locked.
    Open(Box<OpenRecord>),
    /// Another process has it.
    Busy,
    /// There is none (any more).
    Missing,
}

impl Journal {
    /// The journal in the files of this folder.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self::kept_in(Arc::new(Timely::new(FileStore::new(dir), FILES_WITHIN)))
    }

    /// A journal that is kept in this store.
    pub fn kept_in(store: Arc<dyn JournalStore>) -> Self {
        Self {
            store,
            #[cfg(test)]
            fuse: fuse::Fuse::default(),
        }
    }

    /// Writes a new record and keeps it open.
    ///
    /// # Errors
    /// A record that can't be written; one of that host that exists, or is held.
    pub fn begin(&self, record: Record) -> Result<OpenRecord, JournalError> {
        let exists = || JournalError::Io {
            attempted: "create",
            path: self.store.path(&record.host),
            source: io::ErrorKind::AlreadyExists.into(),
        };
        let held = self.store.try_hold(&record.host)?.ok_or_else(exists)?;
        if self.store.read(&record.host)?.is_some() {
            return Err(exists());
        }
        let mut open = self.opened(record, held);
        open.update(|_| ())?;
        Ok(open)
    }

    /// Opens the record of a host for working on it. A lock that another process holds for a moment is waited for.
    ///
    /// # Cancel safety
    /// It can be dropped at any time.
    ///
    /// # Errors
    /// A record that can't be read, which stays as it is.
    pub async fn open(&self, host: &HostId) -> Result<Opened, JournalError> {
        // Only then is it held: that leaves a trace.
        if self.store.read(host)?.is_none() {
            return Ok(Opened::Missing);
        }
        let mut waited = Duration::ZERO;
        let held = loop {
            match self.store.try_hold(host)? {
                Some(held) => break held,
                None if waited < BUSY_AFTER => {
                    tokio::time::sleep(BUSY_AFTER / 20).await;
                    waited += BUSY_AFTER / 20;
                }
                None => return Ok(Opened::Busy),
            }
        };
        // Read again: whoever held it may have finished with the record meanwhile.
        match self.read(host)? {
            Some(record) => Ok(Opened::Open(Box::new(self.opened(record, held)))),
            None => {
                // The lock was made just now, for a record that is gone.
                held.remove()?;
                Ok(Opened::Missing)
            }
        }
    }

    /// Waits for this process's turn to change something that the hosts of this home share; over when the result is dropped.
    ///
    /// # Cancel safety
    /// It can be dropped at any time; a turn that comes later then is over at once.
    ///
    /// # Errors
    /// There is no turn to be had.
    pub async fn turn(&self) -> Result<Turn, JournalError> {
        let store = self.store.clone();
        match tokio::task::spawn_blocking(move || store.turn()).await {
            Ok(turn) => turn.map(|held| Turn { _held: held }),
            Err(stopped) => Err(JournalError::Io {
                attempted: "wait for a turn at",
                path: PathBuf::from("the journal"),
                source: io::Error::other(stopped),
            }),
        }
    }

    /// Everything in the journal, oldest first; what can't be used comes last. Takes no lock that keeps others waiting: only of an
    /// unfinished record it is asked, for a moment, whether somebody works on it.
    ///
    /// # Errors
    /// A folder that can't be read. A missing one is an empty journal.
    pub fn entries(&self) -> Result<Vec<Entry>, JournalError> {
        let mut entries = Vec::new();
        for host in self.store.hosts()? {
            let host = match host {
                Ok(host) => host,
                Err(error) => {
                    entries.push(Entry::Unusable(error));
                    continue;
                }
            };
            match self.read(&host) {
                Ok(None) => {}
                Ok(Some(record)) if record.is_unfinished() && self.store.is_held(&host) => {
                    entries.push(Entry::Busy(record));
                }
                Ok(Some(record)) => entries.push(Entry::Idle(record)),
                Err(error) => entries.push(Entry::Unusable(error)),
            }
        }
        entries.sort_by_key(|entry| match entry {
            Entry::Idle(record) | Entry::Busy(record) => (false, Some(record.created), Some(record.host.clone())),
            Entry::Unusable(_) => (true, None, None),
        });
        Ok(entries)
    }

    /// Takes what is no usable record out of use, as [`OpenRecord::set_aside`] does. `None` where another process is working on it.
    ///
    /// # Errors
    /// It can't be moved.
    pub fn set_aside(&self, place: &Path) -> Result<Option<PathBuf>, JournalError> {
        self.store.set_aside(place)
    }

    /// The readable records, oldest first.
    ///
    /// # Errors
    /// As [`entries`](Self::entries).
    pub fn records(&self) -> Result<Vec<Record>, JournalError> {
        let records = self.entries()?.into_iter().filter_map(|entry| match entry {
            Entry::Idle(record) | Entry::Busy(record) => Some(record),
            Entry::Unusable(_) => None,
        });
        Ok(records.collect())
    }

    fn opened(&self, record: Record, held: Box<dyn HeldEntry>) -> OpenRecord {
        OpenRecord {
            record,
            held,
            #[cfg(test)]
            fuse: self.fuse.clone(),
        }
    }

    fn read(&self, host: &HostId) -> Result<Option<Record>, JournalError> {
        let Some(text) = self.store.read(host)? else { return Ok(None) };
        parsed(&text, host, &self.store.path(host)).map(Some)
    }
}

impl OpenRecord {
    /// The record as it was last written.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Records that a step is about to be made. Returns its number.
    pub(crate) fn intend(&mut self, intent: Intent) -> Result<usize, JournalError> {
        let number = self.record.steps.len();
        self.update(|record| record.steps.push(Step { state: StepState::Intended, intent }))?;
        Ok(number)
    }

    /// Records what became of a step.
    pub(crate) fn set_state(&mut self, number: usize, state: StepState) -> Result<(), JournalError> {
        self.update(|record| record.steps[number].state = state)
    }

    /// Changes the record, durably. Only into one that follows from it: no step is forgotten or begun without an intent, and states go on as
    /// [`RecordState::may_become`] and [`StepState::may_become`] say.
    ///
    /// # Errors
    /// A change that does not follow; a file that can't be written. The record then is as before, in memory and on disk.
    pub fn update(&mut self, change: impl FnOnce(&mut Record)) -> Result<(), JournalError> {
        let mut changed = self.record.clone();
        change(&mut changed);
        if let Some(why) = self.record.forbids(&changed) {
            return Err(JournalError::Unlawful { host: self.record.host.clone(), why });
        }
        #[cfg(test)]
        self.fuse.burn();
        self.held.write(&text(&changed)?)?;
        #[cfg(test)]
        self.fuse.burn();
        self.record = changed;
        Ok(())
    }

    /// Takes the record out of use: its user gives it up, although something may remain. It is kept beside the others, as
    /// `<host>.forgotten`, which is no record to anybody but people. Returns its path.
    ///
    /// # Errors
    /// It can't be moved.
    pub fn set_aside(self) -> Result<PathBuf, JournalError> {
        self.held.set_aside()
    }

    /// Removes the record: nothing of the host remains that it would have to remember.
    ///
    /// # Errors
    /// It can't be removed. Gone already is no error.
    pub fn remove(self) -> Result<(), JournalError> {
        #[cfg(test)]
        self.fuse.burn();
        self.held.remove()
    }
}

/// The record of a host, from its text.
fn parsed(text: &str, host: &HostId, place: &Path) -> Result<Record, JournalError> {
    let malformed = |error: serde_json::Error| JournalError::Malformed {
        path: place.to_owned(),
        line: error.line().max(1),
        column: error.column().max(1),
        expected: in_plain_words(&error),
    };
    // The version is looked at first: what a newer version wrote need not have this version's shape.
    let version: Version = serde_json::from_str(text).map_err(malformed)?;
    if version.version > RECORD_VERSION {
        return Err(JournalError::Newer { path: place.to_owned(), found: version.version });
    }
    let record: Record = serde_json::from_str(text).map_err(malformed)?;
    if record.host != *host {
        let expected = format!("expected the record of host {host}, found that of {}", record.host);
        return Err(JournalError::malformed(place, &expected));
    }
    Ok(record)
}

/// What serde says, without the place, which is said before, and without the names of types.
fn in_plain_words(error: &serde_json::Error) -> String {
    let said = error.to_string();
    let what = said.rsplit_once(" at line ").map_or(said.as_str(), |(what, _)| what);
    match what.split_once(", expected ") {
        Some((what, expected)) => {
            let kind = expected.trim_start_matches("a ").split(' ').next().unwrap_or_default();
            let expected = match kind {
                "struct" | "map" | "internally" => "an object",
                "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number",
                "tuple" | "sequence" => "a list",
                "variant" | "enum" => "one of the names that are known here",
                _ => expected,
            };
            format!("{what}, expected {expected}")
        }
        None => what.to_owned(),
    }
}

fn text(record: &Record) -> Result<String, JournalError> {
    let unlawful =
        |error: serde_json::Error| JournalError::Unlawful { host: record.host.clone(), why: error.to_string() };
    serde_json::to_string_pretty(record).map(|text| text + "\n").map_err(unlawful)
}

#[derive(serde::Deserialize)]
struct Version {
    version: u32,
}

#[cfg(test)]
pub(crate) mod tests;
