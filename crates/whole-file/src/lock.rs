//! Files that stand for a right, which one process has at a time.

use std::{fs::File, io, os::unix::fs::OpenOptionsExt as _, path::Path};

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
