//! The journal: one durable record per host, written before every act that costs money or changes something shared.
//!
//! # Guarantees
//! - A record that [`OpenRecord::update`] has returned from survives a crash of the process and of the machine: it is written to a
//!   temporary file, synced, renamed over the old one, and the directory is synced.
//! - A reader sees either the old record or the new one, never a mixture.
//! - While an [`OpenRecord`] lives, no other process opens the same record: it holds an exclusive lock, which the kernel
//!   releases when the process dies, however it dies.
//! - A record of a newer version is refused and never rewritten. One that can't be read is set aside under another name and reported.

#[cfg(test)]
pub(crate) mod fuse;
mod record;

use std::{
    fs::{self, File, TryLockError},
    io::{self, Write},
    path::{Path, PathBuf},
};

use atomic_write_file::AtomicWriteFile;

pub use record::{Record, RecordState, RecordedInstance, Resource, ResourceKind, ResourceState};

use crate::HostId;

/// The version of the record format that this crate writes, and the newest that it reads.
pub const RECORD_VERSION: u32 = 1;

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
    /// The record is not one: torn, or not JSON, or of another shape.
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

/// A folder of records. Several processes, on several machines that share the folder, may use it at once.
#[derive(Clone, Debug)]
pub struct Journal {
    dir: PathBuf,
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
    /// A record that can't be used, and stays where it is.
    Unusable(JournalError),
    /// A record that could not be read, and was set aside.
    SetAside {
        /// Why it could not be read.
        error: JournalError,
        /// Where it is now.
        moved_to: PathBuf,
    },
}

/// A record under an exclusive lock.
#[derive(Debug)]
pub struct OpenRecord {
    record: Record,
    path: PathBuf,
    lock_path: PathBuf,
    _lock: File,
    #[cfg(test)]
    fuse: fuse::Fuse,
}

/// A process's turn among those of one home.
#[derive(Debug)]
pub struct Turn {
    _lock: File,
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
    /// The journal in this folder, which is made when the first record is.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            #[cfg(test)]
            fuse: fuse::Fuse::default(),
        }
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Writes a new record and keeps it open.
    ///
    /// # Errors
    /// A folder or file that can't be written; a record of that host that exists.
    pub fn begin(&self, record: Record) -> Result<OpenRecord, JournalError> {
        create_private_dir(&self.dir)?;
        let (lock_path, lock) = self.lock_file(&record.host)?;
        lock.lock().map_err(io_error("lock", &lock_path))?;
        let path = self.path(&record.host);
        if path.exists() {
            let source = io::Error::from(io::ErrorKind::AlreadyExists);
            return Err(JournalError::Io { attempted: "create", path, source });
        }
        let mut open = self.open_record(record, path, lock_path, lock);
        open.update(|_| ())?;
        Ok(open)
    }

    /// Opens the record of a host for working on it.
    ///
    /// # Errors
    /// A record that can't be read, which stays as it is.
    pub fn open(&self, host: &HostId) -> Result<Opened, JournalError> {
        let path = self.path(host);
        if !path.exists() {
            return Ok(Opened::Missing);
        }
        let (lock_path, lock) = self.lock_file(host)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(Opened::Busy),
            Err(TryLockError::Error(source)) => {
                return Err(JournalError::Io { attempted: "lock", path: lock_path, source });
            }
        }
        // Read only now: whoever had the lock may have finished with the record meanwhile.
        match read(&path)? {
            Some(record) => Ok(Opened::Open(Box::new(self.open_record(record, path, lock_path, lock)))),
            None => {
                // This lock file was made just now, for a record that is gone.
                let _ = fs::remove_file(&lock_path);
                Ok(Opened::Missing)
            }
        }
    }

    /// Waits for this process's turn to change something that the hosts of this home share; over when the result is dropped.
    ///
    /// # Errors
    /// A lock file that can't be made or locked.
    pub async fn turn(&self) -> Result<Turn, JournalError> {
        create_private_dir(&self.dir)?;
        let path = self.dir.join("turn.lock");
        let lock = move || {
            let file = File::options().read(true).write(true).create(true).truncate(false).open(&path);
            let file = file.map_err(io_error("open", &path))?;
            file.lock().map_err(io_error("lock", &path))?;
            Ok(Turn { _lock: file })
        };
        match tokio::task::spawn_blocking(lock).await {
            Ok(turn) => turn,
            Err(stopped) => {
                let source = io::Error::other(stopped);
                Err(JournalError::Io { attempted: "lock", path: self.dir.join("turn.lock"), source })
            }
        }
    }

    /// Everything in the journal, oldest first; unreadable entries come last. Malformed records are set aside.
    ///
    /// # Errors
    /// A folder that can't be read. A missing one is an empty journal.
    pub fn entries(&self) -> Result<Vec<Entry>, JournalError> {
        let mut entries = Vec::new();
        for host in self.hosts()? {
            let path = self.path(&host);
            match read(&path) {
                Ok(None) => {}
                Ok(Some(record)) if self.is_locked(&host) => entries.push(Entry::Busy(record)),
                Ok(Some(record)) => entries.push(Entry::Idle(record)),
                Err(error @ JournalError::Malformed { .. }) => {
                    let moved_to = set_aside(&path)?;
                    entries.push(Entry::SetAside { error, moved_to });
                }
                Err(error) => entries.push(Entry::Unusable(error)),
            }
        }
        entries.sort_by_key(|entry| match entry {
            Entry::Idle(record) | Entry::Busy(record) => (false, Some(record.created), Some(record.host.clone())),
            Entry::Unusable(_) | Entry::SetAside { .. } => (true, None, None),
        });
        Ok(entries)
    }

    /// The readable records, oldest first.
    ///
    /// # Errors
    /// As [`entries`](Self::entries).
    pub fn records(&self) -> Result<Vec<Record>, JournalError> {
        let records = self.entries()?.into_iter().filter_map(|entry| match entry {
            Entry::Idle(record) | Entry::Busy(record) => Some(record),
            Entry::Unusable(_) | Entry::SetAside { .. } => None,
        });
        Ok(records.collect())
    }

    fn open_record(&self, record: Record, path: PathBuf, lock_path: PathBuf, lock: File) -> OpenRecord {
        OpenRecord {
            record,
            path,
            lock_path,
            _lock: lock,
            #[cfg(test)]
            fuse: self.fuse.clone(),
        }
    }

    fn hosts(&self) -> Result<Vec<HostId>, JournalError> {
        let listing = match fs::read_dir(&self.dir) {
            Ok(listing) => listing,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(JournalError::Io { attempted: "read", path: self.dir.clone(), source }),
        };
        let mut hosts = Vec::new();
        for file in listing {
            let path = file.map_err(io_error("read", &self.dir))?.path();
            if path.extension().is_some_and(|extension| extension == "json")
                && let Some(host) = path.file_stem().and_then(|stem| stem.to_str())
                && !host.starts_with('.')
            {
                hosts.push(HostId::new(host));
            }
        }
        hosts.sort();
        Ok(hosts)
    }

    fn is_locked(&self, host: &HostId) -> bool {
        let lock = File::options().read(true).write(true).open(self.lock_path(host));
        lock.is_ok_and(|lock| matches!(lock.try_lock(), Err(TryLockError::WouldBlock)))
    }

    fn path(&self, host: &HostId) -> PathBuf {
        self.dir.join(format!("{host}.json"))
    }

    fn lock_path(&self, host: &HostId) -> PathBuf {
        self.dir.join(format!("{host}.lock"))
    }

    fn lock_file(&self, host: &HostId) -> Result<(PathBuf, File), JournalError> {
        let path = self.lock_path(host);
        let file = File::options().read(true).write(true).create(true).truncate(false).open(&path);
        match file {
            Ok(file) => Ok((path, file)),
            Err(source) => Err(JournalError::Io { attempted: "open", path, source }),
        }
    }
}

impl OpenRecord {
    /// The record as it was last written.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Changes the record, durably.
    ///
    /// # Errors
    /// A file that can't be written; the record then is as before, in memory and on disk.
    pub fn update(&mut self, change: impl FnOnce(&mut Record)) -> Result<(), JournalError> {
        let mut changed = self.record.clone();
        change(&mut changed);
        #[cfg(test)]
        self.fuse.burn();
        write(&self.path, &changed)?;
        #[cfg(test)]
        self.fuse.burn();
        self.record = changed;
        Ok(())
    }

    /// Removes the record: nothing of the host remains that it would have to remember.
    ///
    /// # Errors
    /// A file that can't be removed. Gone already is no error.
    pub fn remove(self) -> Result<(), JournalError> {
        #[cfg(test)]
        self.fuse.burn();
        for path in [&self.path, &self.lock_path] {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(JournalError::Io { attempted: "remove", path: path.clone(), source: error });
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn read(path: &Path) -> Result<Option<Record>, JournalError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            let expected = "expected JSON, found bytes that are not UTF-8".to_owned();
            return Err(JournalError::Malformed { path: path.to_owned(), line: 1, column: 1, expected });
        }
        Err(source) => return Err(JournalError::Io { attempted: "read", path: path.to_owned(), source }),
    };
    // The version is looked at first: what a newer version wrote need not have this version's shape.
    let malformed = |error: serde_json::Error| JournalError::Malformed {
        path: path.to_owned(),
        line: error.line(),
        column: error.column(),
        expected: error.to_string(),
    };
    let version: Version = serde_json::from_str(&text).map_err(malformed)?;
    if version.version > RECORD_VERSION {
        return Err(JournalError::Newer { path: path.to_owned(), found: version.version });
    }
    serde_json::from_str(&text).map(Some).map_err(malformed)
}

#[derive(serde::Deserialize)]
struct Version {
    version: u32,
}

fn write(path: &Path, record: &Record) -> Result<(), JournalError> {
    let write = || -> io::Result<()> {
        let mut file = AtomicWriteFile::open(path)?;
        serde_json::to_writer_pretty(&mut file, record)?;
        file.write_all(b"\n")?;
        file.commit()
    };
    write().map_err(io_error("write", path))
}

/// Renames a file to the first free name of `<name>.corrupt`, `<name>.corrupt.1`, ...
fn set_aside(path: &Path) -> Result<PathBuf, JournalError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".corrupt");
    let first = PathBuf::from(name);
    let numbered = (1_u32..).map(|count| first.with_added_extension(count.to_string()));
    let target = std::iter::once(first.clone()).chain(numbered).find(|free| !free.exists()).unwrap_or(first);
    fs::rename(path, &target).map_err(io_error("set aside", path))?;
    Ok(target)
}

fn create_private_dir(dir: &Path) -> Result<(), JournalError> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(io_error("create", dir))
}

fn io_error<'a>(attempted: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> JournalError + 'a {
    move |source| JournalError::Io { attempted, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests;
