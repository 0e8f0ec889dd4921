//! What the other side itself changed: it knows that, and is not told.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use rustix::fs::Statx;

use crate::tree::Identity;

/// An event comes right after its change.
const KEPT: Duration = Duration::from_secs(2);

/// So many are looked through for what is out of date.
const MANY: usize = 4096;

/// What shows that a file was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    size: u64,
    modified: (i64, u32),
    changed: (i64, u32),
}

impl Stamp {
    pub(crate) fn of(status: &Statx) -> Self {
        let time = |time: rustix::fs::StatxTimestamp| (time.tv_sec, time.tv_nsec);
        Self { size: status.stx_size, modified: time(status.stx_mtime), changed: time(status.stx_ctime) }
    }
}

/// A name in the folder of a node.
pub(crate) type Named = (u64, Box<[u8]>);

/// What was changed lately, and what it was then.
#[derive(Debug, Default)]
pub(crate) struct OwnChanges {
    files: HashMap<u64, (Stamp, Instant)>,
    /// The file that a name in a folder means since then, or none.
    names: HashMap<Named, (Option<Identity>, Instant)>,
}

impl OwnChanges {
    pub(crate) fn file(&mut self, node: u64, status: &Statx) {
        let now = Instant::now();
        if self.files.len() > MANY {
            self.files.retain(|_, (_, at)| now.duration_since(*at) < KEPT);
        }
        if self.files.len() <= 2 * MANY {
            self.files.insert(node, (Stamp::of(status), now));
        }
    }

    pub(crate) fn name(&mut self, folder: u64, name: &[u8], means: Option<Identity>) {
        let now = Instant::now();
        if self.names.len() > MANY {
            self.names.retain(|_, (_, at)| now.duration_since(*at) < KEPT);
        }
        if self.names.len() <= 2 * MANY {
            self.names.insert((folder, name.into()), (means, now));
        }
    }

    /// Whether a file is still as the other side made it.
    pub(crate) fn is_file(&self, node: u64, status: &Statx) -> bool {
        self.files.get(&node).is_some_and(|(stamp, _)| *stamp == Stamp::of(status))
    }

    /// Whether a name still means what the other side made it mean.
    pub(crate) fn is_name(&self, folder: u64, name: &[u8], means: Option<Identity>) -> bool {
        // Looked for rarely, and the key is not borrowed in parts.
        self.names.get(&(folder, Box::from(name))).is_some_and(|(made, _)| *made == means)
    }
}
