//! The journal: one durable record per host, written before every act that costs money or changes something shared.
//!
//! # Guarantees
//! - A record that [`OpenRecord::update`] has returned from survives a crash of the process and of the machine: it is written to a
//!   temporary file, synced, renamed over the old one, and the directory is synced.
//! - A reader sees either the old record or the new one, never a mixture.
//! - While an [`OpenRecord`] lives, no other process opens the same record: it holds an exclusive lock, which the kernel
//!   releases when the process dies, however it dies.
//! - A record of a newer version is refused and never rewritten. One that can't be read, for whatever reason, stays where it is, and is
//!   reported each time: absent and unreadable are different answers.

#[cfg(test)]
pub(crate) mod fuse;
mod record;

use std::{
    fs::{self, File, TryLockError},
    io::{self, Read as _, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use atomic_write_file::AtomicWriteFile;

pub use record::{
    AccessIntent, GroupIntent, Intent, LaunchIntent, Record, RecordState, RecordedInstance, Step, StepState,
};

use crate::HostId;

/// The version of the record format that this crate writes, and the newest that it reads.
pub const RECORD_VERSION: u32 = 1;

/// How long a record's lock is tried for before its host counts as busy: listings and starting processes hold one for a moment.
const BUSY_AFTER: Duration = Duration::from_secs(1);

/// The largest record that is read; real ones have a few kilobytes.
const MAX_RECORD: u64 = 1 << 20;

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
    /// A record that can't be used, and stays where it is until someone looks at it.
    Unusable(JournalError),
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
        if exists(&path)? {
            let source = io::Error::from(io::ErrorKind::AlreadyExists);
            return Err(JournalError::Io { attempted: "create", path, source });
        }
        let mut open = self.open_record(record, path, lock_path, lock);
        open.update(|_| ())?;
        Ok(open)
    }

    /// Opens the record of a host for working on it. A lock that another process holds for a moment is waited for.
    ///
    /// # Errors
    /// A record that can't be read, which stays as it is.
    pub async fn open(&self, host: &HostId) -> Result<Opened, JournalError> {
        let path = self.path(host);
        // Only then: opening the lock would make its file.
        if !exists(&path)? {
            return Ok(Opened::Missing);
        }
        let (lock_path, lock) = self.lock_file(host)?;
        let mut waited = Duration::ZERO;
        loop {
            match lock.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if waited < BUSY_AFTER => {
                    tokio::time::sleep(BUSY_AFTER / 20).await;
                    waited += BUSY_AFTER / 20;
                }
                Err(TryLockError::WouldBlock) => return Ok(Opened::Busy),
                Err(TryLockError::Error(source)) => {
                    return Err(JournalError::Io { attempted: "lock", path: lock_path, source });
                }
            }
        }
        // Read only now: whoever had the lock may have finished with the record meanwhile.
        match read(&path, host)? {
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

    /// Everything in the journal, oldest first; what can't be used comes last. Takes no lock that keeps others waiting: only of an
    /// unfinished record it is asked, for a moment, whether somebody works on it.
    ///
    /// # Errors
    /// A folder that can't be read. A missing one is an empty journal.
    pub fn entries(&self) -> Result<Vec<Entry>, JournalError> {
        let mut entries = Vec::new();
        for path in self.files()? {
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            let host = match name.parse::<HostId>() {
                Ok(host) => host,
                Err(error) => {
                    entries.push(Entry::Unusable(JournalError::malformed(&path, &error)));
                    continue;
                }
            };
            match read(&path, &host) {
                Ok(None) => {}
                Ok(Some(record)) if record.is_unfinished() && self.is_locked(&host) => {
                    entries.push(Entry::Busy(record))
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

    /// Takes a file out of use that is no usable record, as [`OpenRecord::set_aside`] does. `None` where another process works on it.
    ///
    /// # Errors
    /// A file that can't be renamed.
    pub fn set_aside(&self, path: &Path) -> Result<Option<PathBuf>, JournalError> {
        let lock_path = path.with_extension("lock");
        let lock = File::options().read(true).open(&lock_path);
        if let Ok(lock) = &lock
            && matches!(lock.try_lock(), Err(TryLockError::WouldBlock))
        {
            return Ok(None);
        }
        set_aside(path, &lock_path).map(Some)
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

    /// The files that are records by their names, sorted.
    fn files(&self) -> Result<Vec<PathBuf>, JournalError> {
        let listing = match fs::read_dir(&self.dir) {
            Ok(listing) => listing,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(JournalError::Io { attempted: "read", path: self.dir.clone(), source }),
        };
        let mut files = Vec::new();
        for file in listing {
            let path = file.map_err(io_error("read", &self.dir))?.path();
            // A file that begins with a dot is one that a dead process was writing.
            let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
            if path.extension().is_some_and(|extension| extension == "json") && !hidden {
                files.push(path);
            }
        }
        files.sort();
        Ok(files)
    }

    /// Whether somebody works on a record. The lock is shared among those who ask, and whoever wants to work waits for longer than that.
    fn is_locked(&self, host: &HostId) -> bool {
        let lock = File::options().read(true).open(self.lock_path(host));
        lock.is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock)))
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

    /// Records that a step is about to be made. Returns its number.
    pub(crate) fn intend(&mut self, intent: Intent) -> Result<usize, JournalError> {
        let number = self.record.steps.len();
        self.update(|record| record.steps.push(Step { state: StepState::Intended, intent }))?;
        Ok(number)
    }

    /// Records what became of a step.
    pub(crate) fn settle(&mut self, number: usize, state: StepState) -> Result<(), JournalError> {
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
        write(&self.path, &changed)?;
        #[cfg(test)]
        self.fuse.burn();
        self.record = changed;
        Ok(())
    }

    /// Takes the record out of use: its user gives it up, although something may remain. It is kept beside the others, as
    /// `<host>.forgotten`, which is no record to anybody but people. Returns its path.
    ///
    /// # Errors
    /// A file that can't be renamed.
    pub fn set_aside(self) -> Result<PathBuf, JournalError> {
        set_aside(&self.path, &self.lock_path)
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

fn set_aside(path: &Path, lock_path: &Path) -> Result<PathBuf, JournalError> {
    let kept_as = path.with_extension("forgotten");
    fs::rename(path, &kept_as).map_err(io_error("rename", path))?;
    // An empty file, that the next listing does not mind.
    let _ = fs::remove_file(lock_path);
    Ok(kept_as)
}

/// Whether a file is there; an error where that can't be told.
fn exists(path: &Path) -> Result<bool, JournalError> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(io_error("look at", path)(error)),
    }
}

fn read(path: &Path, host: &HostId) -> Result<Option<Record>, JournalError> {
    let bytes = match bytes(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(JournalError::Io { attempted: "read", path: path.to_owned(), source }),
    };
    let not_text = |_| JournalError::malformed(path, &"expected JSON, found bytes that are not UTF-8");
    let text = String::from_utf8(bytes).map_err(not_text)?;
    let malformed = |error: serde_json::Error| JournalError::Malformed {
        path: path.to_owned(),
        line: error.line().max(1),
        column: error.column().max(1),
        expected: error.to_string(),
    };
    // The version is looked at first: what a newer version wrote need not have this version's shape.
    let version: Version = serde_json::from_str(&text).map_err(malformed)?;
    if version.version > RECORD_VERSION {
        return Err(JournalError::Newer { path: path.to_owned(), found: version.version });
    }
    let record: Record = serde_json::from_str(&text).map_err(malformed)?;
    if record.host != *host {
        return Err(JournalError::malformed(
            path,
            &format!("expected the record of host {host}, found that of {}", record.host),
        ));
    }
    Ok(Some(record))
}

/// What a regular file of a sensible size holds. Whoever can write into the home could have put a pipe there, which would be waited for.
fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOFOLLOW;
    let file = File::options().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    if found.len() > MAX_RECORD {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it has {} bytes", found.len())));
    }
    let mut bytes = Vec::new();
    file.take(MAX_RECORD).read_to_end(&mut bytes)?;
    Ok(bytes)
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

fn create_private_dir(dir: &Path) -> Result<(), JournalError> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(io_error("create", dir))
}

fn io_error<'a>(attempted: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> JournalError + 'a {
    move |source| JournalError::Io { attempted, path: path.to_owned(), source }
}

#[cfg(test)]
pub(crate) mod tests;
