//! Files that stand for a right, which one process has at a time.

use std::{
    fs::{File, TryLockError},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use rustix::{
    fs::{FlockOperation, fcntl_lock},
    io::Errno,
};

/// Opens a file to lock, and makes it where there is none, for its owner only. What is in it stays.
///
/// # Errors
/// It can't be opened.
pub fn lock_file(path: &Path) -> io::Result<File> {
    File::options().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

/// The lock of a whole file (flock(2)), until it is dropped. The kernel releases it when its process dies, however it dies.
///
/// Closing the file would not always be enough: a child that this process has just forked has it open as well, until it becomes another
/// program. So the lock is given up, and then the file is closed.
///
/// Over NFS, an exclusive lock needs a file that is open for writing, and a shared one a file that is open for reading (flock(2), "NFS
/// details").
#[derive(Debug)]
#[must_use = "dropped, it is given up"]
pub struct Lock(File);

impl Lock {
    /// Waits until nobody else has it.
    ///
    /// # Errors
    /// The file system has no such locks.
    pub fn wait(file: File) -> io::Result<Self> {
        file.lock()?;
        Ok(Self(file))
    }

    /// Takes it, unless somebody else has it.
    ///
    /// # Errors
    /// The file system has no such locks.
    pub fn if_free(file: File) -> io::Result<Option<Self>> {
        Self::unless_taken(file.try_lock(), file)
    }

    /// Takes it together with whoever shares it, unless somebody has it alone.
    ///
    /// # Errors
    /// The file system has no such locks.
    pub fn shared_if_free(file: File) -> io::Result<Option<Self>> {
        Self::unless_taken(file.try_lock_shared(), file)
    }

    fn unless_taken(taken: Result<(), TryLockError>, file: File) -> io::Result<Option<Self>> {
        match taken {
            Ok(()) => Ok(Some(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // What can't be unlocked can only be closed.
        let _ = self.0.unlock();
    }
}

/// Takes the lock of a whole file (fcntl(2), "Advisory record locking"), which other processes see, and who has it, over NFS as well; whether
/// no other process has it. It is this process's until it closes the file, by whatever handle, or ends.
///
/// # Errors
/// The file system has no such locks.
pub fn claim(file: &File) -> io::Result<bool> {
    match fcntl_lock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(Errno::AGAIN | Errno::ACCESS) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A child that has been forked and is not another program yet has the file open as this does: a second handle stands for it.
    #[test]
    fn a_lock_that_was_dropped_is_free_whoever_else_has_its_file_open() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("lock");
        let open = || lock_file(&path).expect("opened");
        let file = open();
        let of_a_child = file.try_clone().expect("there");
        let lock = Lock::if_free(file).expect("locks").expect("free");
        assert!(Lock::if_free(open()).expect("locks").is_none());
        assert!(Lock::shared_if_free(open()).expect("locks").is_none());
        drop(lock);
        let shared = Lock::shared_if_free(open()).expect("locks").expect("free");
        assert!(Lock::shared_if_free(open()).expect("locks").is_some(), "it is shared");
        assert!(Lock::if_free(open()).expect("locks").is_none());
        drop((shared, of_a_child));
        drop(Lock::wait(open()).expect("free"));
    }
}
