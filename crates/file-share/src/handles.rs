//! Open files and folders: they keep their descriptor, and so outlive their names.

use std::{collections::HashMap, os::fd::OwnedFd, sync::Arc};

use rustix::io::Errno;

/// An open file or folder.
#[derive(Debug)]
pub(crate) struct Handle {
    pub(crate) node: u64,
    pub(crate) fd: OwnedFd,
    pub(crate) kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    File { writable: bool },
    Folder,
}

/// All that are open.
#[derive(Debug)]
pub(crate) struct Handles {
    open: HashMap<u64, Arc<Handle>>,
    next: u64,
    max: usize,
}

impl Handles {
    /// Numbers begin at `first`: those of before must mean nothing.
    pub(crate) fn new(first: u64, max: usize) -> Self {
        Self { open: HashMap::new(), next: first, max }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.open.len() >= self.max
    }

    pub(crate) fn add(&mut self, handle: Handle) -> Result<u64, Errno> {
        if self.is_full() {
            return Err(Errno::NFILE);
        }
        let number = self.next;
        self.next += 1;
        self.open.insert(number, Arc::new(handle));
        Ok(number)
    }

    /// An open file, by its number and the node that it was opened as.
    pub(crate) fn get(&self, number: u64, node: u64) -> Result<Arc<Handle>, Errno> {
        self.open.get(&number).filter(|handle| handle.node == node).cloned().ok_or(Errno::BADF)
    }

    pub(crate) fn close(&mut self, number: u64, node: u64) -> Result<(), Errno> {
        self.get(number, node)?;
        self.open.remove(&number);
        Ok(())
    }
}
