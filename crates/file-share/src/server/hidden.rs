//! What of the folder is kept from the other side.

use std::{os::unix::ffi::OsStrExt as _, path::PathBuf};

use crate::nodes::{Nodes, ROOT};

/// Names in the folder itself that begin with a dot, but for what is shown of them.
#[derive(Debug)]
pub(super) struct Hidden {
    /// Names from the folder on.
    shown: Vec<Vec<Vec<u8>>>,
}

impl Hidden {
    pub(super) fn but(shown: &[PathBuf]) -> Self {
        let names = |path: &PathBuf| path.iter().map(|name| name.as_bytes().to_vec()).collect();
        Self { shown: shown.iter().map(names).collect() }
    }

    /// Whether a name in a folder is hidden.
    pub(super) fn hides(&self, nodes: &Nodes, folder: u64, name: &[u8]) -> bool {
        if folder == ROOT {
            return name.starts_with(b".") && !self.shown.iter().any(|path| path[0] == name);
        }
        if self.shown.iter().all(|path| path.len() == 1) {
            return false;
        }
        // Of a folder that is nowhere now, nobody knows whether it is one of those on the way.
        let Some(folder) = path_of(nodes, folder) else { return true };
        let is_hidden = folder.first().is_some_and(|first| first.starts_with(b"."));
        is_hidden
            && !self.shown.iter().any(|path| folder.starts_with(path))
            && !self
                .shown
                .iter()
                .any(|path| path.starts_with(&folder) && path.get(folder.len()).is_some_and(|next| next == name))
    }

    /// Whether a name is that of a folder on the way to what is shown. It is to stay where it is: elsewhere all that is in it would be seen.
    pub(super) fn leads_on(&self, nodes: &Nodes, folder: u64, name: &[u8]) -> bool {
        let through = |folder: &[Vec<u8>]| {
            self.shown
                .iter()
                .any(|path| path.starts_with(folder) && path.len() > folder.len() + 1 && path[folder.len()] == name)
        };
        self.shown.iter().any(|path| path.len() > 1) && path_of(nodes, folder).is_some_and(|folder| through(&folder))
    }
}

/// The names from the shared folder to one in it.
fn path_of(nodes: &Nodes, folder: u64) -> Option<Vec<Vec<u8>>> {
    let path = nodes.paths(folder).ok()?.into_iter().next()?;
    Some(path.into_iter().map(|name| name.to_vec()).collect())
}
