//! Changes that the other side did not make: it is told of them, and then may keep what it knows for long.

use std::{collections::HashMap, convert::Infallible, future::pending, mem::MaybeUninit, sync::Arc};

use bytes::Bytes;
use rustix::{
    fs::inotify::{ReadFlags, Reader},
    io::{Errno, fcntl_dupfd_cloexec},
};
use tokio::{io::unix::AsyncFd, sync::Semaphore, time::sleep};

use super::{Found, Server};
use crate::{
    message::{self, Name},
    nodes::ROOT,
    own::Named,
    tree::{self, FileSystem, Identity},
    watches::{is_of_content, is_of_name},
};

/// How many changes are taken from the system before they are told.
const MAX_NOTICED: usize = 8192;

/// How many are looked at before other work has its turn.
const AT_ONCE: usize = 256;

/// How many notices wait in a connection.
const MAX_NOTICES: usize = 256;

/// Changes that were noticed and not told yet. It outlives connections.
#[derive(Debug, Default)]
pub(super) struct Noticed {
    names: HashMap<Named, ReadFlags>,
    folders: HashMap<u64, ReadFlags>,
    /// Files of which something may have been missed.
    doubted: Vec<u64>,
}

impl Server {
    /// Watches a folder of which something is about to be told; before that is read, so that no change is missed. Whether it is watched.
    pub(super) fn watch(&self, node: u64, folder: &Found) -> bool {
        let device = Identity::of(&folder.status).device;
        let state = &mut *self.state();
        let keep = self.settings.watched_cache_for;
        state.devices.get(&device) == Some(&FileSystem::Local) && state.watches.watch(node, folder, keep)
    }

    /// Tells the other side of changes, for as long as it is connected.
    pub(crate) async fn tell_changes(&self) -> Infallible {
        // A descriptor of its own: the connection before this one may not have ended yet.
        let inotify = self.state().watches.inotify().and_then(|inotify| fcntl_dupfd_cloexec(inotify, 0).ok());
        #[expect(
            deprecated,
            reason = "the successor is unsafe code; an OwnedFd, which is never taken out, is what it asks for"
        )]
        let inotify = inotify.and_then(|inotify| AsyncFd::new(inotify).ok());
        let permits = Arc::new(Semaphore::new(MAX_NOTICES));
        loop {
            while self.replies.has_notice() {
                // Nobody closes it. The other side need not take them: then no more are made.
                let Ok(permit) = permits.clone().acquire_owned().await else { return pending().await };
                if self.replies.send_notice(permit).is_err() {
                    self.doubt_everything();
                }
            }
            if self.look_at_changes() {
                // For the other parts of the connection.
                tokio::task::yield_now().await;
                continue;
            }
            let changed = async {
                let Some(inotify) = &inotify else { return pending().await };
                // Not taken for read before it is: there may be more than is taken at once.
                let Ok(mut ready) = inotify.readable().await else { return pending().await };
                self.take_changes();
                sleep(self.settings.gather_changes_for).await;
                if self.take_changes() {
                    ready.clear_ready();
                }
            };
            tokio::select! {
                () = self.replies.noticed.notified() => {}
                () = changed => {}
            }
        }
    }

    /// Takes what the system noticed. Whether that was all.
    fn take_changes(&self) -> bool {
        let mut buffer = [MaybeUninit::uninit(); 16 << 10];
        let (mut lost, mut is_all) = (false, false);
        let mut noticed = self.noticed();
        let mut state = self.state();
        let Some(inotify) = state.watches.inotify() else { return true };
        let mut events = Reader::new(inotify, &mut buffer);
        while noticed.names.len() < MAX_NOTICED || !events.is_buffer_empty() {
            let event = match events.next() {
                Ok(event) => event,
                Err(Errno::INTR) => continue,
                Err(_) => {
                    is_all = true;
                    break;
                }
            };
            lost |= event.events().contains(ReadFlags::QUEUE_OVERFLOW);
            if let Some(folder) = state.watches.node(event.wd()) {
                match event.file_name() {
                    Some(name) if self.is_hidden(&state.nodes, folder, name.to_bytes()) => {}
                    Some(name) => {
                        *noticed.names.entry((folder, name.to_bytes().into())).or_insert(ReadFlags::empty()) |=
                            event.events();
                    }
                    None => *noticed.folders.entry(folder).or_insert(ReadFlags::empty()) |= event.events(),
                }
            }
            if event.events().contains(ReadFlags::IGNORED) {
                state.watches.ended(event.wd());
            }
        }
        drop((noticed, state));
        if lost {
            self.doubt_everything();
        }
        is_all
    }

    /// Something was missed: whatever the other side was told may be out of date. That a name meant nothing is not remembered here; where it
    /// does now, the other side finds out when it asks again.
    fn doubt_everything(&self) {
        let all = self.state().nodes.all();
        self.noticed().doubted = all;
    }

    /// Makes notices of some changes. Whether there were any.
    fn look_at_changes(&self) -> bool {
        let (mut names, folders, doubted) = {
            let noticed = &mut *self.noticed();
            let some: Vec<_> = noticed.names.keys().take(AT_ONCE).cloned().collect();
            let names: Vec<_> = some.into_iter().filter_map(|name| noticed.names.remove_entry(&name)).collect();
            let from = noticed.doubted.len().saturating_sub(AT_ONCE);
            (names, std::mem::take(&mut noticed.folders), noticed.doubted.split_off(from))
        };
        if names.is_empty() && folders.is_empty() && doubted.is_empty() {
            return false;
        }
        names.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        for names in names.chunk_by(|((one, _), _), ((other, _), _)| one == other) {
            self.look_at_names(names);
        }
        for folder in folders.into_keys() {
            match self.find_folder(folder) {
                Ok(found) if self.state().own.is_file(folder, &found.status) => {}
                _ => self.notice(message::file_changed(folder, true)),
            }
        }
        for node in doubted {
            self.doubt(node);
        }
        true
    }

    /// Looks at changes of names in one folder.
    fn look_at_names(&self, names: &[(Named, ReadFlags)]) {
        let Some(((folder, _), _)) = names.first() else { return };
        let folder = *folder;
        let found = self.find_folder(folder).ok();
        let (mut is_folder_changed, mut notices) = (false, Vec::new());
        for ((_, name), events) in names {
            // What is in a folder that can't be found any more is looked up anew.
            let status = match (&found, Name::new(name)) {
                (Some(found), Ok(name)) => tree::status_at(found, name.as_os_str()).ok(),
                _ => None,
            };
            let means = status.as_ref().map(Identity::of);
            let mut state = self.state();
            let is_named = is_of_name(*events) && !state.own.is_name(folder, name, means);
            if let Some(means) = means.filter(|_| is_named) {
                state.nodes.found(means, folder, name);
            }
            let node = means.and_then(|means| state.nodes.number(means));
            let changed = match (node, &status) {
                (Some(node), Some(status)) if !state.own.is_file(node, status) => Some((node, status)),
                _ => None,
            };
            drop(state);
            if is_named {
                notices.push(message::name_changed(folder, name));
                is_folder_changed = true;
            }
            if let Some((node, status)) = changed {
                let only_attributes = Identity::of(status).is_folder || !is_of_content(*events);
                notices.push(message::file_changed(node, only_attributes));
            }
        }
        // With the names that were read of it; first, so that whoever finds one of them finds it in the folder, too.
        if is_folder_changed {
            self.notice(message::file_changed(folder, false));
        }
        for notice in notices {
            self.notice(notice);
        }
    }

    /// Takes whatever was told of a file for out of date.
    fn doubt(&self, node: u64) {
        let state = self.state();
        let links: Vec<_> =
            state.nodes.links(node).iter().filter(|link| state.watches.contains(link.parent)).cloned().collect();
        let is_kept = node == ROOT || !links.is_empty() || state.watches.contains(node);
        drop(state);
        if is_kept {
            self.notice(message::file_changed(node, false));
        }
        for link in links {
            self.notice(message::name_changed(link.parent, &link.name));
        }
    }

    fn notice(&self, notice: Vec<u8>) {
        self.replies.notice(Bytes::from(notice));
    }
}
