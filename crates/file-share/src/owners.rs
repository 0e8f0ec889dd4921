//! The owners and modes that the other side set: it sees them, while the files stay the user's.

use std::collections::HashMap;

use crate::tree::Identity;

/// What was set of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) uid: Option<u32>,
    pub(crate) gid: Option<u32>,
    /// The mode that was set where the file itself could not take it, and the one that the file had then: a change of the file's own
    /// counts again.
    pub(crate) mode: Option<(u32, u32)>,
}

impl Shown {
    pub(crate) fn mode(&self, real: u32) -> u32 {
        match self.mode {
            Some((shown, then)) if then == real & 0o7777 => (real & !0o7777) | shown,
            _ => real,
        }
    }
}

/// What was set, for at most so many files.
#[derive(Debug)]
pub(crate) struct Owners {
    shown: HashMap<Identity, Shown>,
    max: usize,
}

impl Owners {
    pub(crate) fn new(max: usize) -> Self {
        Self { shown: HashMap::new(), max }
    }

    pub(crate) fn get(&self, identity: Identity) -> Shown {
        self.shown.get(&identity).copied().unwrap_or_default()
    }

    /// Remembers a change. Without room for another file it is not remembered: that file shows what it is.
    pub(crate) fn change(&mut self, identity: Identity, change: impl FnOnce(&mut Shown)) {
        let mut shown = self.get(identity);
        change(&mut shown);
        if shown == Shown::default() {
            self.shown.remove(&identity);
        } else if self.shown.len() < self.max || self.shown.contains_key(&identity) {
            self.shown.insert(identity, shown);
        }
    }

    pub(crate) fn forget(&mut self, identity: Identity) {
        self.shown.remove(&identity);
    }
}
