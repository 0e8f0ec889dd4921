//! Files that several processes of one home may edit.

use std::{fs, io, os::unix::fs::DirBuilderExt as _, path::Path};

use whole_file::Lock;

/// The turn to edit a file, until it is dropped: by a lock beside the file, which is replaced whole.
pub(crate) fn lock_of(path: &Path) -> io::Result<Lock> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = path.with_file_name(format!(".{name}.lock"));
    if let Some(folder) = beside.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    Lock::wait(whole_file::lock_file(&beside)?)
}
