//! Whether the files about hosts can be written. It is asked before money is spent: a host that nobody could be told about would
//! be undone after it has booted.

use std::{
    collections::BTreeSet,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use crate::{Error, Surroundings, lookup::Lookup};

/// More than all files of a host together, the certificates and contexts among them.
const ROOM: usize = 256 * 1024;

/// The folders that can't be written, with what to do about each.
pub(crate) fn problems(surroundings: &Surroundings, lookup: &Lookup, shared_home: Option<&Path>) -> Vec<crate::Error> {
    let mut folders = lookup.layout.written();
    folders.extend(lookup.contexts.written());
    folders.extend(shared_home.map(|home| home.join("hosts")));
    // Most of them do not exist yet, and will be made where something does.
    let existing: BTreeSet<PathBuf> = folders.iter().map(|folder| existing(folder)).collect();
    let tried = existing.into_iter().filter_map(|folder| attempt(&folder).err().map(|error| (folder, error)));
    tried.map(|(folder, error)| problem(surroundings, &folder, error)).collect()
}

fn existing(folder: &Path) -> PathBuf {
    let found = folder.ancestors().find(|ancestor| ancestor.symlink_metadata().is_ok());
    found.unwrap_or(folder).to_owned()
}

/// Really writes a file: modes, owners, mounts, quotas and full disks all have their say.
fn attempt(folder: &Path) -> io::Result<()> {
    let mut file = tempfile::Builder::new().prefix(".sdocker-").tempfile_in(folder)?;
    file.write_all(&vec![0; ROOM])?;
    // NFS, and file systems that allocate late, say only then that there is no room.
    file.as_file().sync_all()
}

fn problem(surroundings: &Surroundings, folder: &Path, error: io::Error) -> crate::Error {
    let shown = folder.display();
    let hint = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            format!("free some space there: `df -h '{shown}'` and `du -xsh ~/* ~/.[a-z]*` show what takes it")
        }
        io::ErrorKind::NotADirectory => format!("{shown} must be a folder: move away what is there"),
        _ if folder.starts_with(&surroundings.docker_config) => {
            format!("make {shown} writable for this user, or set DOCKER_CONFIG to a folder that is")
        }
        _ if folder.starts_with(&surroundings.sdocker_home) => {
            format!("make {shown} writable for this user, or set SDOCKER_HOME to a folder that is")
        }
        _ => format!("make {shown} writable for this user"),
    };
    Error::new(format!("{shown} can't be written; a host's files are kept there")).hint(hint).because(error)
}
