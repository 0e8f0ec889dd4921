//! Operations on folders.

use std::{
    mem::MaybeUninit,
    os::fd::AsFd,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rustix::{
    fs::{self, OFlags, RawDir, SeekFrom, Statx},
    io::Errno,
};
use zerocopy::IntoBytes as _;

use super::{Fd, Found, Server};
use crate::{
    handles::Kind,
    message::{Answer, CACHE_DIR, DirEnt, EntryOut, KEEP_CACHE, MAX_WRITE, Name, OPEN_AGAIN, ReadIn},
    tree::{self, Identity},
};

/// A change that comes so long after another has another time: file systems take theirs from the kernel's tick, of 10 ms at most.
const SETTLES_IN: Duration = Duration::from_millis(50);

impl Server {
    pub(super) fn open_folder(&self, node: u64) -> Result<Answer, Errno> {
        if self.state().handles.is_full() {
            return Err(Errno::NFILE);
        }
        let folder = self.find_folder(node)?;
        // Before it is read: whoever keeps what is read is told of every change after that.
        let is_watched = self.watch(node, &folder);
        let fd = tree::reopen(&folder, OFlags::RDONLY | OFlags::DIRECTORY)?;
        let mut opened = self.opened(node, fd, Kind::Folder)?;
        // The kernel takes the names that it keeps for those of a time of modification. So none may come under that time any more.
        if is_watched && is_settled(&folder.status, SystemTime::now()) {
            opened.open_flags |= KEEP_CACHE | CACHE_DIR | OPEN_AGAIN;
        }
        Ok(Answer::of(&opened))
    }

    /// Entries from a position on, as the file system numbers them: so an entry is neither left out nor repeated where others are removed
    /// meanwhile.
    pub(super) fn read_folder(&self, node: u64, wanted: &ReadIn, plus: bool) -> Result<Answer, Errno> {
        let handle = self.state().handles.get(wanted.fh, node)?;
        if handle.kind != Kind::Folder {
            return Err(Errno::NOTDIR);
        }
        let folder = Found { status: tree::status(&handle.fd)?, fd: Fd::Open(handle.clone()) };
        let size = wanted.size.min(MAX_WRITE) as usize;
        let mut answer = Answer::with_room(size);
        let mut buffer = [MaybeUninit::uninit(); 16 << 10];
        // A description of its own for the position: another request may read the same handle.
        let own = tree::reopen(&folder, OFlags::RDONLY | OFlags::DIRECTORY)?;
        fs::seek(&own, SeekFrom::Start(wanted.offset))?;
        let mut entries = RawDir::new(own.as_fd(), &mut buffer);
        while let Some(entry) = entries.next() {
            let entry = match entry {
                Err(Errno::INTR) => continue,
                entry => entry?,
            };
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." && self.is_hidden(&self.state().nodes, node, name) {
                continue;
            }
            let head = size_of::<DirEnt>() + if plus { size_of::<EntryOut>() } else { 0 };
            let length = (head + name.len()).next_multiple_of(8);
            if answer.len() + length > size {
                break;
            }
            if plus {
                // Without a number the kernel takes only the name: for these two, and for what went away or is not shared.
                let told = Name::new(name).and_then(|name| self.look_up(&folder, node, name)).unwrap_or_default();
                answer = answer.and(told.as_bytes());
            }
            let kind = entry.file_type().as_raw_mode() >> 12;
            let namelen = u32::try_from(name.len()).unwrap_or(u32::MAX);
            let ino = self.inode(Identity::of(&folder.status).device, entry.ino());
            let head = DirEnt { ino, off: entry.next_entry_cookie(), namelen, kind };
            answer = answer.and(head.as_bytes()).and(name);
            let padded = answer.len().next_multiple_of(8) - answer.len();
            answer = answer.and(&[0; 8][..padded]);
        }
        Ok(answer)
    }
}

/// Whether another change of a folder would show in its time of modification.
fn is_settled(status: &Statx, now: SystemTime) -> bool {
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos().cast_signed();
    let modified = i128::from(status.stx_mtime.tv_sec) * 1_000_000_000 + i128::from(status.stx_mtime.tv_nsec);
    now.abs_diff(modified) > SETTLES_IN.as_nanos()
}
