//! Moving what is the user's out of the way, and giving it back.
//!
//! It is renamed and never copied, so that nothing of it can be lost or changed: contents, modes, times, links and open files. Its new
//! place is a folder that is made for it alone, so that nothing is ever overwritten, on any file system.

use std::{
    fs, io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

/// A free place for what is at this path: `<path>.before-sdocker/<name>`.
pub(crate) fn place_for(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default();
    let folder = |count: usize| {
        let mut name = name.to_owned();
        name.push(".before-sdocker");
        if count > 1 {
            name.push(format!("-{count}"));
        }
        path.with_file_name(name)
    };
    let free = (1..).map(folder).find(|folder| fs::symlink_metadata(folder).is_err());
    free.unwrap_or_default().join(name)
}

/// Moves something to its place.
pub(crate) fn move_to(path: &Path, place: &Path) -> io::Result<()> {
    let folder = place.parent().unwrap_or(place);
    fs::DirBuilder::new().mode(0o700).create(folder)?;
    fs::rename(path, place).inspect_err(|_| {
        let _ = fs::remove_dir(folder);
    })
}

/// Moves it back, where nothing else is there now. Nothing is overwritten: a folder is renamed onto nothing or an empty folder, and
/// anything else gets a second name first, which fails where there is something.
pub(crate) fn give_back(place: &Path, path: &Path) -> io::Result<()> {
    if fs::symlink_metadata(path).is_ok() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    if fs::symlink_metadata(place)?.is_dir() {
        fs::rename(place, path)?;
    } else {
        fs::hard_link(place, path)?;
        fs::remove_file(place)?;
    }
    match place.parent() {
        Some(folder) => fs::remove_dir(folder).or(Ok(())),
        None => Ok(()),
    }
}
