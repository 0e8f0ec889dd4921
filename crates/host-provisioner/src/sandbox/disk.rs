//! The account's state on disk.

use std::{
    io::{self, Write as _},
    path::PathBuf,
};

use atomic_write_file::AtomicWriteFile;
use whole_file::{Links, Lock};

use super::{SandboxError, fresh};
use crate::fake::{State, Store};

/// The largest state that is read: an instance takes some kilobytes.
const MOST: u64 = 64 << 20;

/// A file that one process at a time reads, changes and replaces.
#[derive(Debug)]
pub(super) struct Disk {
    path: PathBuf,
}

impl Disk {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Fails where the file is not an account.
    pub(super) fn check(&self) -> Result<(), SandboxError> {
        let text = match whole_file::read_text(&self.path, MOST, Links::Refuse) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(source) => return Err(SandboxError::File { attempted: "read", path: self.path.clone(), source }),
            Ok(text) => text,
        };
        serde_json::from_str::<State>(&text).map(drop).map_err(|error| SandboxError::Malformed {
            path: self.path.clone(),
            line: error.line().max(1),
            column: error.column().max(1),
            expected: error.to_string(),
        })
    }

    fn load(&self) -> io::Result<State> {
        match whole_file::read_text(&self.path, MOST, Links::Refuse) {
            Ok(text) => Ok(serde_json::from_str(&text)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(fresh()),
            Err(error) => Err(error),
        }
    }

    fn save(&self, state: &State) -> io::Result<()> {
        let mut file = AtomicWriteFile::open(&self.path)?;
        serde_json::to_writer_pretty(&mut file, state)?;
        file.write_all(b"\n")?;
        file.commit()
    }
}

impl Store for Disk {
    fn try_with<T>(&self, change: impl FnOnce(&mut State) -> T) -> io::Result<T> {
        let _lock = Lock::wait(whole_file::lock_file(&self.path.with_extension("lock"))?)?;
        let mut state = self.load()?;
        let before = serde_json::to_string(&state)?;
        let result = change(&mut state);
        if serde_json::to_string(&state)? != before {
            self.save(&state)?;
        }
        Ok(result)
    }
}
