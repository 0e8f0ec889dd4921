//! Folders in which changes are noticed: what the other side was told of them may be kept for long, since it is told of each change.

use std::{
    collections::HashMap,
    fs,
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
    time::{Duration, Instant},
};

use rustix::{
    fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags},
    io::Errno,
};

use crate::tree;

/// What makes another side's knowledge of a folder or its files out of date. `CLOSE_WRITE` is for what was written through a mapping,
/// which is no event by itself (inotify(7)).
const CHANGES: WatchFlags = WatchFlags::MODIFY
    .union(WatchFlags::CLOSE_WRITE)
    .union(WatchFlags::ATTRIB)
    .union(WatchFlags::CREATE)
    .union(WatchFlags::DELETE)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::ONLYDIR);

/// How soon a folder is tried again where the system has no room for another watch.
const TRIED_AGAIN: Duration = Duration::from_secs(10);

/// The part of a user's watches that is taken at most: editors and notebooks need theirs.
const PART_OF_ALL: usize = 4;

#[derive(Debug)]
struct Watch {
    number: i32,
    /// When the last of what was told of this folder must be asked for again.
    needed_until: Instant,
}

/// The folders that are watched, by their nodes.
#[derive(Debug)]
pub(crate) struct Watches {
    /// `None` where the system has no more of them.
    inotify: Option<Arc<OwnedFd>>,
    folders: HashMap<u64, Watch>,
    nodes: HashMap<i32, u64>,
    max: usize,
    full_until: Option<Instant>,
}

impl Watches {
    /// Watches nothing yet, and never more than `max` folders.
    pub(crate) fn new(max: usize) -> Self {
        let inotify = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC);
        if let Err(error) = &inotify {
            tracing::warn!("changes are not noticed at once: {error}");
        }
        let of_system = fs::read_to_string("/proc/sys/fs/inotify/max_user_watches").ok();
        let of_system = of_system.and_then(|text| text.trim().parse::<usize>().ok()).map(|all| all / PART_OF_ALL);
        Self {
            inotify: inotify.ok().filter(|_| max > 0).map(Arc::new),
            folders: HashMap::new(),
            nodes: HashMap::new(),
            max: max.min(of_system.unwrap_or(max)),
            full_until: None,
        }
    }

    /// Where events are read.
    pub(crate) fn inotify(&self) -> Option<Arc<OwnedFd>> {
        self.inotify.clone()
    }

    pub(crate) fn len(&self) -> usize {
        self.folders.len()
    }

    pub(crate) fn contains(&self, node: u64) -> bool {
        self.folders.contains_key(&node)
    }

    /// The folder of an event.
    pub(crate) fn node(&self, number: i32) -> Option<u64> {
        self.nodes.get(&number).copied()
    }

    /// Watches a folder, of which something is told that may be kept for so long. Whether it is watched; changes from now on are noticed.
    pub(crate) fn watch(&mut self, node: u64, folder: impl AsFd, keep: Duration) -> bool {
        let now = Instant::now();
        if let Some(watch) = self.folders.get_mut(&node) {
            watch.needed_until = now + keep;
            return true;
        }
        let Some(inotify) = &self.inotify else { return false };
        if self.full_until.is_some_and(|until| now < until) {
            return false;
        }
        if self.folders.len() >= self.max {
            self.drop_unneeded(now);
            if self.folders.len() >= self.max {
                self.full_until = Some(now + TRIED_AGAIN);
                return false;
            }
            return self.watch(node, folder, keep);
        }
        match inotify::add_watch(inotify, tree::by_descriptor(folder.as_fd()), CHANGES) {
            Ok(number) => {
                // The same folder by another node: the table had forgotten it meanwhile.
                if let Some(before) = self.nodes.insert(number, node) {
                    self.folders.remove(&before);
                }
                self.folders.insert(node, Watch { number, needed_until: now + keep });
                true
            }
            Err(error) => {
                if matches!(error, Errno::NOSPC | Errno::NOMEM) {
                    tracing::info!("no room for another watch after {}", self.folders.len());
                    self.full_until = Some(now + TRIED_AGAIN);
                }
                false
            }
        }
    }

    /// The system watches a folder no longer: it was removed, or unmounted.
    pub(crate) fn ended(&mut self, number: i32) {
        if let Some(node) = self.nodes.remove(&number) {
            self.folders.remove(&node);
        }
    }

    /// Watches nothing any more.
    pub(crate) fn clear(&mut self) {
        if let Some(inotify) = &self.inotify {
            for number in self.nodes.keys() {
                // One that ended meanwhile is none.
                let _ = inotify::remove_watch(inotify, *number);
            }
        }
        self.nodes.clear();
        self.folders.clear();
    }

    /// Ends watches of which nobody keeps anything.
    fn drop_unneeded(&mut self, now: Instant) {
        let Some(inotify) = &self.inotify else { return };
        let nodes = &mut self.nodes;
        self.folders.retain(|_, watch| {
            let needed = watch.needed_until > now;
            if !needed {
                nodes.remove(&watch.number);
                let _ = inotify::remove_watch(inotify, watch.number);
            }
            needed
        });
    }
}

/// Whether an event is about which file a name means.
pub(crate) fn is_of_name(events: ReadFlags) -> bool {
    events.intersects(ReadFlags::CREATE | ReadFlags::DELETE | ReadFlags::MOVED_FROM | ReadFlags::MOVED_TO)
}

/// Whether an event is about what a file contains.
pub(crate) fn is_of_content(events: ReadFlags) -> bool {
    events.intersects(ReadFlags::MODIFY | ReadFlags::CLOSE_WRITE)
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn watches_have_an_end_and_make_room() {
        let folders: Vec<_> = (0..4).map(|_| tempfile::tempdir().expect("made")).collect();
        let open = |at: usize| File::open(folders[at].path()).expect("there");
        let mut watches = Watches::new(2);
        let hour = Duration::from_secs(3600);
        assert!(watches.watch(10, open(0), hour));
        assert!(watches.watch(11, open(1), Duration::ZERO));
        // That of which nobody keeps anything goes.
        assert!(watches.watch(12, open(2), hour));
        assert!(watches.contains(10) && !watches.contains(11) && watches.contains(12));
        // All are needed.
        assert!(!watches.watch(13, open(3), hour));
        assert!(watches.watch(10, open(0), hour), "one that is watched stays so");
        // The same folder under another number.
        let mut watches = Watches::new(2);
        assert!(watches.watch(10, open(0), hour) && watches.watch(20, open(0), hour));
        assert_eq!((watches.contains(10), watches.contains(20), watches.len()), (false, true, 1));
    }
}
