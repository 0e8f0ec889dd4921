//! Operations on attributes.

use std::os::fd::AsFd;

use rustix::{
    fs::{self, Access, AtFlags, CWD, FileType, Mode, OFlags, Statx, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT},
    io::Errno,
};

use super::{Fd, Server};
use crate::{
    handles::Kind,
    message::{Answer, AttrOut, KStatFs, SetAttrIn, fattr},
    tree::{self, Identity},
};

/// The mode that a file itself gets. Set-user-id and set-group-id would give the user's rights in the app to whoever runs what a
/// container wrote; they are only shown. And the user keeps the right to read and write: root in a container has it whatever the mode says.
pub(super) fn real_mode(mode: u32, is_folder: bool) -> Mode {
    Mode::from_raw_mode(mode & 0o1777 | if is_folder { 0o700 } else { 0o600 })
}

impl Server {
    pub(super) fn get_attributes(&self, node: u64) -> Result<Answer, Errno> {
        let is_watched = self.state().is_watched(node);
        let found = self.find(node)?;
        Ok(self.told(node, &found.status, is_watched && matches!(found.fd, Fd::Named(_))))
    }

    /// What the other side is told of a file's attributes.
    pub(super) fn told(&self, node: u64, status: &Statx, is_watched: bool) -> Answer {
        let state = self.state();
        let shown = state.owners.get(Identity::of(status));
        let (attr_valid, attr_valid_nsec) = self.cache_for(is_watched && state.notices_file(node, status));
        Answer::of(&AttrOut { attr_valid, attr_valid_nsec, dummy: 0, attr: self.attributes(status, shown) })
    }

    /// The mode of a file, as the other side sees it.
    pub(super) fn shown_mode(&self, status: &Statx) -> u32 {
        self.state().owners.get(Identity::of(status)).mode(status.stx_mode.into())
    }

    pub(super) fn set_attributes(&self, node: u64, wanted: &SetAttrIn) -> Result<Answer, Errno> {
        let is_watched = self.state().is_watched(node);
        let found = self.find(node)?;
        let mut status = found.status;
        let has = |flag: u32| wanted.valid & flag != 0;
        if has(fattr::SIZE) {
            let handle = if has(fattr::FH) { Some(self.state().handles.get(wanted.fh, node)?) } else { None };
            match handle.filter(|handle| handle.kind == Kind::File { writable: true }) {
                Some(handle) => fs::ftruncate(&handle.fd, wanted.size)?,
                None if Identity::of(&status).is_folder => return Err(Errno::ISDIR),
                None => fs::ftruncate(tree::reopen(&found, OFlags::WRONLY)?, wanted.size)?,
            }
        }
        if has(fattr::UID) || has(fattr::GID) {
            self.state().owners.change(Identity::of(&status), |shown| {
                if has(fattr::UID) {
                    shown.uid = Some(wanted.uid).filter(|uid| *uid != status.stx_uid);
                }
                if has(fattr::GID) {
                    shown.gid = Some(wanted.gid).filter(|gid| *gid != status.stx_gid);
                }
            });
        }
        if has(fattr::MODE) {
            status = self.change_mode(&found, &status, wanted.mode)?;
        }
        if has(fattr::ATIME) || has(fattr::MTIME) {
            let time = |set: bool, now: bool, seconds: u64, nanoseconds: u32| Timespec {
                tv_sec: seconds.cast_signed(),
                tv_nsec: match (set, now) {
                    (false, _) => UTIME_OMIT,
                    (true, true) => UTIME_NOW,
                    (true, false) => nanoseconds.into(),
                },
            };
            let times = Timestamps {
                last_access: time(has(fattr::ATIME), has(fattr::ATIME_NOW), wanted.atime, wanted.atimensec),
                last_modification: time(has(fattr::MTIME), has(fattr::MTIME_NOW), wanted.mtime, wanted.mtimensec),
            };
            if tree::kind(&status) == FileType::Symlink {
                fs::utimensat(&found, "", &times, AtFlags::EMPTY_PATH)?;
            } else {
                fs::utimensat(CWD, tree::by_descriptor(&found), &times, AtFlags::empty())?;
            }
        }
        let status = tree::status(&found)?;
        self.state().own.file(node, &status);
        Ok(self.told(node, &status, is_watched && matches!(found.fd, Fd::Named(_))))
    }

    /// Changes a mode, and remembers what the file itself can't take of it.
    pub(super) fn change_mode(&self, fd: impl AsFd, before: &Statx, mode: u32) -> Result<Statx, Errno> {
        if tree::kind(before) == FileType::Symlink {
            return Err(Errno::OPNOTSUPP);
        }
        match fs::chmodat(
            CWD,
            tree::by_descriptor(fd.as_fd()),
            real_mode(mode, Identity::of(before).is_folder),
            AtFlags::empty(),
        ) {
            // A file of somebody else, or a file system without modes.
            Ok(()) | Err(Errno::PERM | Errno::OPNOTSUPP | Errno::ROFS) => {}
            Err(error) => return Err(error),
        }
        let status = tree::status(fd)?;
        let real = u32::from(status.stx_mode) & 0o7777;
        self.state().owners.change(Identity::of(&status), |shown| {
            shown.mode = Some((mode & 0o7777, real)).filter(|(wanted, real)| wanted != real);
        });
        Ok(status)
    }

    /// Whether the user may do it; so may everybody in a container.
    pub(super) fn access(&self, node: u64, mask: u32) -> Result<Answer, Errno> {
        let mask = Access::from_bits(mask & 0o7).ok_or(Errno::INVAL)?;
        if self.settings.read_only && mask.contains(Access::WRITE_OK) {
            return Err(Errno::ROFS);
        }
        let found = self.find(node)?;
        if tree::kind(&found.status) != FileType::Symlink {
            fs::accessat(CWD, tree::by_descriptor(&found), mask, AtFlags::empty())?;
        }
        Ok(Answer::empty())
    }

    pub(super) fn file_system(&self, node: u64) -> Result<Answer, Errno> {
        let found = fs::fstatvfs(self.find(node)?)?;
        let small = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
        Ok(Answer::of(&KStatFs {
            blocks: found.f_blocks,
            bfree: found.f_bfree,
            bavail: found.f_bavail,
            files: found.f_files,
            ffree: found.f_ffree,
            bsize: small(found.f_bsize),
            namelen: small(found.f_namemax),
            frsize: small(found.f_frsize),
            ..KStatFs::default()
        }))
    }
}
