//! Entries as files of a folder, which several processes, on several machines, may share.

use std::{
    any::Any,
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use atomic_write_file::AtomicWriteFile;
use whole_file::{Links, Lock};

use super::{HeldEntry, JournalError, JournalStore};
use crate::HostId;

/// The largest record that is read; real ones have a few kilobytes.
const MAX_RECORD: u64 = 1 << 20;

/// A folder of records, `<host>.json`, each with its lock, `<host>.lock`. The folder is made when the first record is.
///
/// # Guarantees
/// - A text that was written survives a crash of the machine: it is written to a temporary file, synced, renamed over the old one, and the
///   directory is synced.
/// - The kernel releases a lock when its process dies, however it dies.
#[derive(Clone, Debug)]
pub struct FileStore {
    dir: PathBuf,
}

impl FileStore {
    /// The records in this folder.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    fn lock_path(&self, host: &HostId) -> PathBuf {
        self.dir.join(format!("{host}.lock"))
    }

    /// The files that are records by their names, sorted.
    fn files(&self) -> Result<Vec<PathBuf>, JournalError> {
        let listing = match fs::read_dir(&self.dir) {
            Ok(listing) => listing,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(io_error("read", &self.dir)(source)),
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

    fn create_dir(&self) -> Result<(), JournalError> {
        use std::os::unix::fs::DirBuilderExt as _;
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.dir).map_err(io_error("create", &self.dir))
    }
}

impl JournalStore for FileStore {
    fn path(&self, host: &HostId) -> PathBuf {
        self.dir.join(format!("{host}.json"))
    }

    fn hosts(&self) -> Result<Vec<Result<HostId, JournalError>>, JournalError> {
        let named = |path: PathBuf| {
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            name.parse().map_err(|error| JournalError::malformed(&path, &error))
        };
        Ok(self.files()?.into_iter().map(named).collect())
    }

    fn read(&self, host: &HostId) -> Result<Option<String>, JournalError> {
        let path = self.path(host);
        // Whoever can write into the home could have put a pipe there, or a link.
        let bytes = match whole_file::read(&path, MAX_RECORD, Links::Refuse) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(io_error("read", &path)(source)),
        };
        let not_text = |_| JournalError::malformed(&path, &"expected JSON, found bytes that are not UTF-8");
        String::from_utf8(bytes).map(Some).map_err(not_text)
    }

    fn try_hold(&self, host: &HostId) -> Result<Option<Box<dyn HeldEntry>>, JournalError> {
        self.create_dir()?;
        Ok(HeldFile::if_free(self.path(host))?.map(|held| Box::new(held) as _))
    }

    fn is_held(&self, host: &HostId) -> bool {
        // Shared among those who ask, and whoever wants to hold it tries for longer than that.
        let lock = File::options().read(true).open(self.lock_path(host));
        lock.is_ok_and(|lock| matches!(Lock::shared_if_free(lock), Ok(None)))
    }

    fn set_aside(&self, place: &Path) -> Result<Option<PathBuf>, JournalError> {
        HeldFile::if_free(place.to_owned())?.map(|held| Box::new(held).set_aside()).transpose()
    }

    fn turn(&self) -> Result<Box<dyn Any + Send>, JournalError> {
        self.create_dir()?;
        let path = self.dir.join("turn.lock");
        let lock = lock_file(&path)?;
        Ok(Box::new(Lock::wait(lock).map_err(io_error("lock", &path))?))
    }
}

#[derive(Debug)]
struct HeldFile {
    path: PathBuf,
    lock_path: PathBuf,
    _lock: Lock,
}

impl HeldFile {
    /// The record at this path, unless somebody works on it.
    fn if_free(path: PathBuf) -> Result<Option<Self>, JournalError> {
        let lock_path = path.with_extension("lock");
        let lock = Lock::if_free(lock_file(&lock_path)?).map_err(io_error("lock", &lock_path))?;
        Ok(lock.map(|lock| Self { path, lock_path, _lock: lock }))
    }
}

impl HeldEntry for HeldFile {
    fn write(&mut self, text: &str) -> Result<(), JournalError> {
        let write = || -> io::Result<()> {
            let mut file = AtomicWriteFile::open(&self.path)?;
            file.write_all(text.as_bytes())?;
            file.commit()
        };
        write().map_err(io_error("write", &self.path))
    }

    fn remove(self: Box<Self>) -> Result<(), JournalError> {
        for path in [&self.path, &self.lock_path] {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io_error("remove", path)(error)),
                _ => {}
            }
        }
        Ok(())
    }

    fn set_aside(self: Box<Self>) -> Result<PathBuf, JournalError> {
        let kept_as = self.path.with_extension("forgotten");
        fs::rename(&self.path, &kept_as).map_err(io_error("rename", &self.path))?;
        // An empty file, that the next listing does not mind.
        let _ = fs::remove_file(&self.lock_path);
        Ok(kept_as)
    }
}

fn lock_file(path: &Path) -> Result<File, JournalError> {
    whole_file::lock_file(path).map_err(io_error("open", path))
}

fn io_error<'a>(attempted: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> JournalError + 'a {
    move |source| JournalError::Io { attempted, path: path.to_owned(), source }
}
