//! Operations on open files.

use std::{os::fd::OwnedFd, sync::Arc};

use rustix::{
    buffer::spare_capacity,
    fs::{self, FallocateFlags, Mode, OFlags, SeekFrom},
    io::{self, Errno},
};

use super::{Server, attributes::real_mode};
use crate::{
    handles::{Handle, Kind},
    message::{
        Answer, CopyFileRangeIn, CreateIn, EntryOut, FAllocateIn, FSYNC_FDATASYNC, FSyncIn, InHeader, KEEP_CACHE,
        LSeekIn, LSeekOut, MAX_WRITE, NO_FLUSH, Name, OPEN_AGAIN, OpenOut, ReadIn, WriteIn, WriteOut,
    },
    tree,
};

/// Flags of open(2) that mean something here. They have the same numbers on x86-64 and arm64.
const OPEN_FLAGS: OFlags =
    OFlags::RWMODE.union(OFlags::APPEND).union(OFlags::TRUNC).union(OFlags::SYNC).union(OFlags::DSYNC);

/// The most that is copied in one go: others wait meanwhile.
const COPY_AT_ONCE: u64 = 64 << 20;

impl Server {
    pub(super) fn open(&self, node: u64, flags: u32) -> Result<Answer, Errno> {
        let flags = OFlags::from_bits_retain(flags) & OPEN_FLAGS;
        if self.settings.read_only && is_writable(flags) {
            return Err(Errno::ROFS);
        }
        if self.state().handles.is_full() {
            return Err(Errno::NFILE);
        }
        let found = self.find(node)?;
        if tree::Identity::of(&found.status).is_folder {
            return Err(Errno::ISDIR);
        }
        let fd = tree::reopen(&found, flags)?;
        if flags.contains(OFlags::TRUNC) {
            self.changed_by_other_side(node, &fd);
        }
        let mut opened = self.opened(node, fd, Kind::File { writable: is_writable(flags) })?;
        // As long as it is kept what the file is: where changes are noticed.
        let is_watched = self.state().is_watched(node);
        if is_writable(flags) || !is_watched || !self.state().notices_file(node, &found.status) {
            return Ok(Answer::of(&opened));
        }
        opened.open_flags |= OPEN_AGAIN;
        Ok(Answer::of(&opened).and(self.told(node, &found.status, true).content()))
    }

    pub(super) fn opened(&self, node: u64, fd: OwnedFd, kind: Kind) -> Result<OpenOut, Errno> {
        let mut state = self.state();
        let fh = state.handles.add(Handle { node, fd, kind })?;
        state.nodes.opened(node, fh);
        let open_flags = match kind {
            Kind::Folder => 0,
            Kind::File { writable: true } => KEEP_CACHE,
            Kind::File { writable: false } => KEEP_CACHE | NO_FLUSH,
        };
        Ok(OpenOut { fh, open_flags, padding: 0 })
    }

    pub(super) fn create(&self, header: &InHeader, name: Name<'_>, wanted: &CreateIn) -> Result<Answer, Errno> {
        if self.state().handles.is_full() {
            return Err(Errno::NFILE);
        }
        let requested = OFlags::from_bits_retain(wanted.flags);
        let flags = requested & OPEN_FLAGS;
        let folder = self.find_folder(header.nodeid)?;
        let is_watched = self.watch(header.nodeid, &folder);
        let new = flags | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        let mode = real_mode(wanted.mode & 0o777, false);
        let (fd, entry) = match tree::open_beneath(&folder, name.as_os_str(), new, mode) {
            Ok(fd) => {
                let status = self.own(header, &folder, &fd, Some(wanted.mode & 0o7777))?;
                self.named_by_other_side(header.nodeid, name.as_bytes(), Some(tree::Identity::of(&status)));
                let entry = self.entry(header.nodeid, name.as_bytes(), &status, is_watched)?;
                self.state().own.file(entry.nodeid, &status);
                (fd, entry)
            }
            // The app made one meanwhile.
            Err(Errno::EXIST) if !requested.contains(OFlags::EXCL) => {
                let named = OFlags::PATH | OFlags::NOFOLLOW;
                let found = tree::open_beneath(&folder, name.as_os_str(), named, Mode::empty())?;
                let fd = tree::reopen(&found, flags)?;
                (fd, self.look_up(&folder, header.nodeid, name)?)
            }
            Err(error) => return Err(error),
        };
        let EntryOut { nodeid, .. } = entry;
        match self.opened(nodeid, fd, Kind::File { writable: is_writable(flags) }) {
            Ok(opened) => Ok(Answer::of(&entry).and(zerocopy::IntoBytes::as_bytes(&opened))),
            Err(error) => {
                self.forget(&[(nodeid, 1)]);
                Err(error)
            }
        }
    }

    fn file(&self, node: u64, handle: u64) -> Result<Arc<Handle>, Errno> {
        let handle = self.state().handles.get(handle, node)?;
        if handle.kind == Kind::Folder { Err(Errno::ISDIR) } else { Ok(handle) }
    }

    pub(super) fn release(&self, node: u64, handle: u64) -> Result<Answer, Errno> {
        let closed = self.state().handles.get(handle, node)?;
        // To close it is an event.
        if closed.kind == (Kind::File { writable: true }) {
            self.changed_by_other_side(node, &closed.fd);
        }
        let mut state = self.state();
        state.handles.close(handle, node)?;
        state.nodes.closed(node, handle);
        Ok(Answer::empty())
    }

    pub(super) fn read(&self, node: u64, wanted: &ReadIn) -> Result<Answer, Errno> {
        let file = self.file(node, wanted.fh)?;
        let size = wanted.size.min(MAX_WRITE) as usize;
        let mut answer = Answer::with_room(size);
        // Until the end or all: a short answer means the end of the file to the kernel.
        while answer.len() < size {
            let at = wanted.offset.checked_add(answer.len() as u64).ok_or(Errno::INVAL)?;
            let left = size - answer.len();
            let bytes = answer.bytes();
            // The room was reserved exactly, or the allocator gave more.
            bytes.reserve_exact(left);
            let before = bytes.len();
            match io::pread(&file.fd, spare_capacity(bytes), at) {
                Ok(0) => break,
                Ok(_) => bytes.truncate(before + left),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(answer)
    }

    pub(super) fn write(&self, node: u64, wanted: &WriteIn, data: &[u8]) -> Result<Answer, Errno> {
        let file = self.file(node, wanted.fh)?;
        let mut written = 0;
        while written < data.len() {
            let at = wanted.offset.checked_add(written as u64).ok_or(Errno::INVAL)?;
            match io::pwrite(&file.fd, &data[written..], at) {
                Ok(0) => break,
                Ok(count) => written += count,
                Err(Errno::INTR) => {}
                // What was written is written.
                Err(_) if written > 0 => break,
                Err(error) => return Err(error),
            }
        }
        self.changed_by_other_side(node, &file.fd);
        let size = u32::try_from(written).unwrap_or(u32::MAX);
        Ok(Answer::of(&WriteOut { size, padding: 0 }))
    }

    pub(super) fn sync(&self, node: u64, wanted: &FSyncIn) -> Result<Answer, Errno> {
        let handle = self.state().handles.get(wanted.fh, node)?;
        if wanted.fsync_flags & FSYNC_FDATASYNC != 0 {
            fs::fdatasync(&handle.fd)?;
        } else {
            fs::fsync(&handle.fd)?;
        }
        Ok(Answer::empty())
    }

    pub(super) fn allocate(&self, node: u64, wanted: &FAllocateIn) -> Result<Answer, Errno> {
        let file = self.file(node, wanted.fh)?;
        let flags = FallocateFlags::from_bits_retain(wanted.mode);
        let known = FallocateFlags::KEEP_SIZE | FallocateFlags::PUNCH_HOLE | FallocateFlags::ZERO_RANGE;
        if !known.contains(flags) {
            return Err(Errno::OPNOTSUPP);
        }
        fs::fallocate(&file.fd, flags, wanted.offset, wanted.length)?;
        self.changed_by_other_side(node, &file.fd);
        Ok(Answer::empty())
    }

    pub(super) fn seek(&self, node: u64, wanted: &LSeekIn) -> Result<Answer, Errno> {
        let file = self.file(node, wanted.fh)?;
        // Only what the kernel can't know itself. The position that this moves is nobody's: reads and writes say theirs.
        let to = match wanted.whence {
            3 => SeekFrom::Data(wanted.offset),
            4 => SeekFrom::Hole(wanted.offset),
            _ => return Err(Errno::INVAL),
        };
        Ok(Answer::of(&LSeekOut { offset: fs::seek(&file.fd, to)? }))
    }

    pub(super) fn copy_range(&self, node: u64, wanted: &CopyFileRangeIn) -> Result<Answer, Errno> {
        let (from, to) = (self.file(node, wanted.fh_in)?, self.file(wanted.nodeid_out, wanted.fh_out)?);
        let (mut at, mut into) = (wanted.off_in, wanted.off_out);
        let length = usize::try_from(wanted.len.min(COPY_AT_ONCE)).unwrap_or(usize::MAX);
        let copied = fs::copy_file_range(&from.fd, Some(&mut at), &to.fd, Some(&mut into), length)?;
        self.changed_by_other_side(wanted.nodeid_out, &to.fd);
        Ok(Answer::of(&WriteOut { size: u32::try_from(copied).unwrap_or(u32::MAX), padding: 0 }))
    }
}

fn is_writable(flags: OFlags) -> bool {
    flags & OFlags::RWMODE != OFlags::RDONLY || flags.contains(OFlags::TRUNC)
}
