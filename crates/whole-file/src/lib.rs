//! Files of the user, replaced whole: a reader finds the old text or the new one, never a part of either, whatever happens to the process
//! or the machine in between. And files that others may have written, read as far as is expected of them, and never waited for; and
//! files that stand for a right.

mod bounded;
mod lock;

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use atomic_write_file::AtomicWriteFile;

pub use bounded::{Links, read, read_end, read_text, within};
pub use lock::{Lock, claim, lock_file};

/// Linux follows as many links (path_resolution(7)).
const MAX_LINKS: usize = 40;

/// Replaces a file, or makes it with this mode, in folders that only their owner can look into. A file that is there keeps its mode
/// and owner. A link stays a link, and what it leads to is replaced in its own folder: people keep their dotfiles elsewhere.
///
/// # Errors
/// A folder or file that can't be written, or a circle of links; the file then is as it was.
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let target = target(path)?;
    if let Some(folder) = target.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let mut file = AtomicWriteFile::options().mode(mode).open(target)?;
    file.write_all(bytes)?;
    file.commit()
}

/// Where a path leads, whether there is a file or not: the path itself, where it is no link.
///
/// # Errors
/// A link that can't be read, or more links than Linux follows.
pub fn target(path: &Path) -> io::Result<PathBuf> {
    let mut target = path.to_owned();
    for _ in 0..MAX_LINKS {
        match fs::read_link(&target) {
            Ok(next) => target = target.parent().map_or(next.clone(), |folder| folder.join(&next)),
            // No link, or nothing at all.
            Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::NotFound) => {
                return Ok(target);
            }
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("too many levels of links"))
}

/// The examples of the README are tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn mode(path: &Path) -> u32 {
        path.metadata().expect("there").permissions().mode() & 0o7777
    }

    #[test]
    fn new_files_are_private_and_old_ones_keep_their_mode() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("a/b/file");
        replace(&path, b"one", 0o600).expect("written");
        assert_eq!((mode(&path), mode(&folder.path().join("a"))), (0o600, 0o700));
        for kept in [0o640, 0o664] {
            fs::set_permissions(&path, fs::Permissions::from_mode(kept)).expect("changed");
            replace(&path, b"two", 0o600).expect("written");
            assert_eq!((mode(&path), fs::read(&path).expect("readable")), (kept, b"two".to_vec()));
        }
    }

    #[test]
    fn links_stay_links_wherever_they_lead() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("dotfiles")).expect("made");
        symlink("dotfiles", at("alias")).expect("linked");
        symlink("alias/../alias/second", at("first")).expect("linked");
        // A link to a link, which leads nowhere yet.
        symlink("file", at("dotfiles/second")).expect("linked");
        replace(&at("first"), b"one", 0o600).expect("written");
        assert_eq!(fs::read(at("dotfiles/file")).expect("readable"), b"one");
        replace(&at("first"), b"two", 0o600).expect("written");
        assert_eq!(fs::read(at("dotfiles/file")).expect("readable"), b"two");
        for link in ["first", "dotfiles/second"] {
            assert!(fs::symlink_metadata(at(link)).expect("there").is_symlink(), "{link}");
        }
        symlink("circle", at("circle")).expect("linked");
        assert!(replace(&at("circle"), b"", 0o600).is_err());
    }
}
