//! Operations on names: look up, make, rename, remove.

use std::{ffi::OsStr, os::fd::AsFd};

use rustix::{
    fs::{self, AtFlags, CWD, FileType, Mode, OFlags, RenameFlags, Statx},
    io::Errno,
};

use super::{Found, Server, attributes::real_mode};
use crate::{
    message::{Answer, EntryOut, InHeader, Name},
    tree::{self, Identity},
};

const SET_GROUP: u32 = 0o2000;

impl Server {
    pub(super) fn lookup(&self, parent: u64, name: Name<'_>) -> Result<Answer, Errno> {
        let folder = self.find_folder(parent)?;
        match self.look_up(&folder, parent, name) {
            // That there is none may be kept as well, where it is told of one that comes: number 0 says so.
            Err(Errno::NOENT) if self.state().watches.contains(parent) => {
                let (entry_valid, entry_valid_nsec) = self.cache_for(true);
                Ok(Answer::of(&EntryOut { entry_valid, entry_valid_nsec, ..EntryOut::default() }))
            }
            outcome => Ok(Answer::of(&outcome?)),
        }
    }

    pub(super) fn look_up(&self, folder: &Found, parent: u64, name: Name<'_>) -> Result<EntryOut, Errno> {
        let is_watched = self.watch(parent, folder);
        let status = tree::status_at(folder, name.as_os_str())?;
        self.check_device(folder, name.as_os_str(), &status)?;
        self.entry(parent, name.as_bytes(), &status, is_watched)
    }

    pub(super) fn forget(&self, forgotten: &[(u64, u64)]) {
        let mut state = self.state();
        for (node, times) in forgotten {
            if let Some(identity) = state.nodes.forget(*node, *times) {
                state.owners.forget(identity);
            }
        }
    }

    pub(super) fn read_link(&self, node: u64) -> Result<Answer, Errno> {
        let target = fs::readlinkat(self.find(node)?, "", Vec::new())?;
        Ok(Answer::empty().and(target.as_bytes()))
    }

    pub(super) fn make_link(&self, header: &InHeader, name: Name<'_>, target: &OsStr) -> Result<Answer, Errno> {
        let folder = self.find_folder(header.nodeid)?;
        fs::symlinkat(target, &folder, name.as_os_str())?;
        self.made(header, &folder, name, None)
    }

    /// Regular files, FIFOs and sockets. Devices are for root, and mean nothing to the app.
    pub(super) fn make_node(&self, header: &InHeader, name: Name<'_>, mode: u32) -> Result<Answer, Errno> {
        let kind = FileType::from_raw_mode(mode);
        if !matches!(kind, FileType::RegularFile | FileType::Fifo | FileType::Socket) {
            return Err(Errno::PERM);
        }
        let folder = self.find_folder(header.nodeid)?;
        fs::mknodat(&folder, name.as_os_str(), kind, real_mode(mode & 0o777, false), 0)?;
        self.made(header, &folder, name, Some(mode))
    }

    pub(super) fn make_folder(&self, header: &InHeader, name: Name<'_>, mode: u32) -> Result<Answer, Errno> {
        let folder = self.find_folder(header.nodeid)?;
        fs::mkdirat(&folder, name.as_os_str(), real_mode(mode & 0o777, true))?;
        // Folders in a folder that gives its group away do so, too (inode_init_owner in the kernel).
        let inherited = self.shown_mode(&folder.status) & SET_GROUP;
        self.made(header, &folder, name, Some(mode | inherited))
    }

    fn made(&self, header: &InHeader, folder: &Found, name: Name<'_>, mode: Option<u32>) -> Result<Answer, Errno> {
        let is_watched = self.watch(header.nodeid, folder);
        let fd = tree::open_beneath(folder, name.as_os_str(), OFlags::PATH | OFlags::NOFOLLOW, Mode::empty())?;
        let status = self.own(header, folder, &fd, mode)?;
        self.named_by_other_side(header.nodeid, name.as_bytes(), Some(Identity::of(&status)));
        let entry = self.entry(header.nodeid, name.as_bytes(), &status, is_watched)?;
        self.state().own.file(entry.nodeid, &status);
        Ok(Answer::of(&entry))
    }

    /// Gives a new file its mode, and the owner that the other side expects.
    pub(super) fn own(
        &self,
        header: &InHeader,
        folder: &Found,
        fd: impl AsFd,
        mode: Option<u32>,
    ) -> Result<Statx, Errno> {
        let mut status = tree::status(fd.as_fd())?;
        // This process's own umask took some of it.
        if let Some(mode) = mode
            && u32::from(status.stx_mode) & 0o7777 != mode & 0o7777
        {
            status = self.change_mode(fd, &status, mode)?;
        }
        let mut state = self.state();
        let parent = state.owners.get(Identity::of(&folder.status));
        let gives_group = parent.mode(folder.status.stx_mode.into()) & SET_GROUP != 0;
        let gid = if gives_group { parent.gid.unwrap_or(folder.status.stx_gid) } else { header.gid };
        state.owners.change(Identity::of(&status), |shown| {
            shown.uid = Some(header.uid).filter(|uid| *uid != status.stx_uid);
            shown.gid = Some(gid).filter(|gid| *gid != status.stx_gid);
        });
        Ok(status)
    }

    pub(super) fn remove(&self, parent: u64, name: Name<'_>, flags: AtFlags) -> Result<Answer, Errno> {
        let folder = self.find_folder(parent)?;
        let status = tree::status_at(&folder, name.as_os_str())?;
        fs::unlinkat(&folder, name.as_os_str(), flags)?;
        self.named_by_other_side(parent, name.as_bytes(), None);
        self.removed(&status, parent, name);
        Ok(Answer::empty())
    }

    fn removed(&self, status: &Statx, parent: u64, name: Name<'_>) {
        let identity = Identity::of(status);
        let last = identity.is_folder || status.stx_nlink <= 1;
        let mut state = self.state();
        state.nodes.unseen(identity, parent, name.as_bytes(), last);
        let node = state.nodes.number(identity);
        if last && node.is_none() {
            state.owners.forget(identity);
        }
        drop(state);
        // What has other names has changed: it has one fewer.
        if let Some(node) = node.filter(|_| !last)
            && let Ok(file) = self.find(node)
        {
            self.changed_by_other_side(node, &file);
        }
    }

    pub(super) fn rename(&self, from: (u64, Name<'_>), to: (u64, Name<'_>), flags: u32) -> Result<Answer, Errno> {
        let flags = RenameFlags::from_bits(flags).ok_or(Errno::INVAL)?;
        if flags.contains(RenameFlags::WHITEOUT) {
            return Err(Errno::INVAL);
        }
        let (old_folder, new_folder) = (self.find_folder(from.0)?, self.find_folder(to.0)?);
        let source = tree::status_at(&old_folder, from.1.as_os_str())?;
        let target = match tree::status_at(&new_folder, to.1.as_os_str()) {
            Ok(status) => Some(status),
            Err(Errno::NOENT) => None,
            Err(error) => return Err(error),
        };
        fs::renameat_with(&old_folder, from.1.as_os_str(), &new_folder, to.1.as_os_str(), flags)?;
        let (source, target) = (Some(source), target);
        let same = source.as_ref().map(Identity::of) == target.as_ref().map(Identity::of);
        if same {
            // Two names of one file: rename(2) does nothing.
            return Ok(Answer::empty());
        }
        let (old, new) = ((from.0, from.1.as_bytes()), (to.0, to.1.as_bytes()));
        self.named_by_other_side(new.0, new.1, source.as_ref().map(Identity::of));
        let exchanged = target.as_ref().filter(|_| flags.contains(RenameFlags::EXCHANGE));
        self.named_by_other_side(old.0, old.1, exchanged.map(Identity::of));
        match target {
            Some(target) if flags.contains(RenameFlags::EXCHANGE) => {
                self.state().nodes.moved(Identity::of(&target), new, old);
            }
            Some(target) => self.removed(&target, to.0, to.1),
            None => {}
        }
        if let Some(source) = source {
            self.state().nodes.moved(Identity::of(&source), old, new);
        }
        Ok(Answer::empty())
    }

    pub(super) fn link(&self, file: u64, parent: u64, name: Name<'_>) -> Result<Answer, Errno> {
        let (file, folder) = (self.find(file)?, self.find_folder(parent)?);
        // The magic link leads to the file that was checked, a symbolic link included, and no further.
        fs::linkat(CWD, tree::by_descriptor(&file), &folder, name.as_os_str(), AtFlags::SYMLINK_FOLLOW)?;
        let status = tree::status(&file)?;
        self.named_by_other_side(parent, name.as_bytes(), Some(Identity::of(&status)));
        let is_watched = self.state().watches.contains(parent);
        let entry = self.entry(parent, name.as_bytes(), &status, is_watched)?;
        self.state().own.file(entry.nodeid, &status);
        Ok(Answer::of(&entry))
    }
}
