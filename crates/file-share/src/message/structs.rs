//! The `struct`s of `linux/fuse.h` that are used, field by field under the kernel's names.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The numbers of the operations (`enum fuse_opcode`).
pub(crate) mod opcode {
    pub(crate) const LOOKUP: u32 = 1;
    pub(crate) const FORGET: u32 = 2;
    pub(crate) const GETATTR: u32 = 3;
    pub(crate) const SETATTR: u32 = 4;
    pub(crate) const READLINK: u32 = 5;
    pub(crate) const SYMLINK: u32 = 6;
    pub(crate) const MKNOD: u32 = 8;
    pub(crate) const MKDIR: u32 = 9;
    pub(crate) const UNLINK: u32 = 10;
    pub(crate) const RMDIR: u32 = 11;
    pub(crate) const RENAME: u32 = 12;
    pub(crate) const LINK: u32 = 13;
    pub(crate) const OPEN: u32 = 14;
    pub(crate) const READ: u32 = 15;
    pub(crate) const WRITE: u32 = 16;
    pub(crate) const STATFS: u32 = 17;
    pub(crate) const RELEASE: u32 = 18;
    pub(crate) const FSYNC: u32 = 20;
    pub(crate) const SETXATTR: u32 = 21;
    pub(crate) const REMOVEXATTR: u32 = 24;
    pub(crate) const FLUSH: u32 = 25;
    pub(crate) const INIT: u32 = 26;
    pub(crate) const OPENDIR: u32 = 27;
    pub(crate) const READDIR: u32 = 28;
    pub(crate) const RELEASEDIR: u32 = 29;
    pub(crate) const FSYNCDIR: u32 = 30;
    pub(crate) const ACCESS: u32 = 34;
    pub(crate) const CREATE: u32 = 35;
    pub(crate) const INTERRUPT: u32 = 36;
    pub(crate) const DESTROY: u32 = 38;
    pub(crate) const NOTIFY_REPLY: u32 = 41;
    pub(crate) const BATCH_FORGET: u32 = 42;
    pub(crate) const FALLOCATE: u32 = 43;
    pub(crate) const READDIRPLUS: u32 = 44;
    pub(crate) const RENAME2: u32 = 45;
    pub(crate) const LSEEK: u32 = 46;
    pub(crate) const COPY_FILE_RANGE: u32 = 47;
    pub(crate) const TMPFILE: u32 = 51;
}

/// Flags of INIT.
pub(crate) mod init {
    pub(crate) const ASYNC_READ: u32 = 1;
    pub(crate) const ATOMIC_O_TRUNC: u32 = 1 << 3;
    pub(crate) const BIG_WRITES: u32 = 1 << 5;
    pub(crate) const AUTO_INVAL_DATA: u32 = 1 << 12;
    pub(crate) const DO_READDIRPLUS: u32 = 1 << 13;
    pub(crate) const READDIRPLUS_AUTO: u32 = 1 << 14;
    pub(crate) const ASYNC_DIO: u32 = 1 << 15;
    pub(crate) const PARALLEL_DIROPS: u32 = 1 << 18;
    pub(crate) const MAX_PAGES: u32 = 1 << 22;
    pub(crate) const CACHE_SYMLINKS: u32 = 1 << 23;
}

/// Which fields of SETATTR count (`FATTR_*`).
pub(crate) mod fattr {
    pub(crate) const MODE: u32 = 1;
    pub(crate) const UID: u32 = 1 << 1;
    pub(crate) const GID: u32 = 1 << 2;
    pub(crate) const SIZE: u32 = 1 << 3;
    pub(crate) const ATIME: u32 = 1 << 4;
    pub(crate) const MTIME: u32 = 1 << 5;
    pub(crate) const FH: u32 = 1 << 6;
    pub(crate) const ATIME_NOW: u32 = 1 << 7;
    pub(crate) const MTIME_NOW: u32 = 1 << 8;
}

/// The numbers of notices (`enum fuse_notify_code`).
pub(crate) mod notify {
    pub(crate) const INVAL_INODE: i32 = 2;
    pub(crate) const INVAL_ENTRY: i32 = 3;
}

/// A flag of an answer to OPEN: the kernel keeps what it has read of the file before, as long as its size and time of change stay
/// (`FOPEN_KEEP_CACHE`).
pub(crate) const KEEP_CACHE: u32 = 1 << 1;

/// Another, for folders: the kernel keeps the names that it reads, as long as the folder's time of modification stays (`FOPEN_CACHE_DIR`).
pub(crate) const CACHE_DIR: u32 = 1 << 3;

/// Another: closing the file is told to nobody (`FOPEN_NOFLUSH`). A kernel before 5.16 tells it all the same.
pub(crate) const NO_FLUSH: u32 = 1 << 5;

/// Another, which is our own, and which the kernel never sees: the agent may open the file or folder again by itself, to be read, until it is
/// told that it has changed. An answer that has it for a file carries the file's attributes, too (`fuse_attr_out`).
pub(crate) const OPEN_AGAIN: u32 = 1 << 31;

/// A flag of the notice `INVAL_ENTRY`: to look up again, and not to tear away from those who use it. Kernels before 6.2 do the latter.
pub(crate) const EXPIRE_ONLY: u32 = 1;

/// A flag of WRITE: what a mapping changed, written by nobody in particular (`FUSE_WRITE_CACHE`).
pub(crate) const WRITE_CACHE: u32 = 1;

/// A flag of FSYNC: data only.
pub(crate) const FSYNC_FDATASYNC: u32 = 1;

macro_rules! structs {
    ($($(#[$doc:meta])* $name:ident { $($field:ident: $kind:ty),* $(,)? })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
        #[repr(C)]
        pub(crate) struct $name { $(pub(crate) $field: $kind),* }
    )*};
}

structs! {
    /// `fuse_in_header`
    InHeader { len: u32, opcode: u32, unique: u64, nodeid: u64, uid: u32, gid: u32, pid: u32, total_extlen: u16, padding: u16 }
    /// `fuse_out_header`
    OutHeader { len: u32, error: i32, unique: u64 }
    /// `fuse_attr`
    Attr {
        ino: u64, size: u64, blocks: u64, atime: u64, mtime: u64, ctime: u64, atimensec: u32, mtimensec: u32, ctimensec: u32,
        mode: u32, nlink: u32, uid: u32, gid: u32, rdev: u32, blksize: u32, flags: u32,
    }
    /// `fuse_entry_out`
    EntryOut {
        nodeid: u64, generation: u64, entry_valid: u64, attr_valid: u64, entry_valid_nsec: u32, attr_valid_nsec: u32, attr: Attr,
    }
    /// `fuse_attr_out`
    AttrOut { attr_valid: u64, attr_valid_nsec: u32, dummy: u32, attr: Attr }
    /// `fuse_forget_one`
    ForgetOne { nodeid: u64, nlookup: u64 }
    /// `fuse_batch_forget_in`
    BatchForgetIn { count: u32, dummy: u32 }
    /// `fuse_setattr_in`
    SetAttrIn {
        valid: u32, padding: u32, fh: u64, size: u64, lock_owner: u64, atime: u64, mtime: u64, ctime: u64, atimensec: u32,
        mtimensec: u32, ctimensec: u32, mode: u32, unused4: u32, uid: u32, gid: u32, unused5: u32,
    }
    /// `fuse_mknod_in`
    MkNodIn { mode: u32, rdev: u32, umask: u32, padding: u32 }
    /// `fuse_mkdir_in`
    MkDirIn { mode: u32, umask: u32 }
    /// `fuse_rename2_in`
    Rename2In { newdir: u64, flags: u32, padding: u32 }
    /// `fuse_open_in`
    OpenIn { flags: u32, open_flags: u32 }
    /// `fuse_create_in`
    CreateIn { flags: u32, mode: u32, umask: u32, open_flags: u32 }
    /// `fuse_open_out`
    OpenOut { fh: u64, open_flags: u32, padding: u32 }
    /// `fuse_release_in`
    ReleaseIn { fh: u64, flags: u32, release_flags: u32, lock_owner: u64 }
    /// `fuse_read_in`
    ReadIn { fh: u64, offset: u64, size: u32, read_flags: u32, lock_owner: u64, flags: u32, padding: u32 }
    /// `fuse_write_in`
    WriteIn { fh: u64, offset: u64, size: u32, write_flags: u32, lock_owner: u64, flags: u32, padding: u32 }
    /// `fuse_write_out`
    WriteOut { size: u32, padding: u32 }
    /// `fuse_kstatfs`
    KStatFs {
        blocks: u64, bfree: u64, bavail: u64, files: u64, ffree: u64, bsize: u32, namelen: u32, frsize: u32, padding: u32,
        spare: [u32; 6],
    }
    /// `fuse_fsync_in`
    FSyncIn { fh: u64, fsync_flags: u32, padding: u32 }
    /// `fuse_init_in`, without what came after 7.36
    InitIn { major: u32, minor: u32, max_readahead: u32, flags: u32 }
    /// `fuse_init_out`
    InitOut {
        major: u32, minor: u32, max_readahead: u32, flags: u32, max_background: u16, congestion_threshold: u16, max_write: u32,
        time_gran: u32, max_pages: u16, map_alignment: u16, flags2: u32, unused: [u32; 7],
    }
    /// `fuse_access_in`
    AccessIn { mask: u32, padding: u32 }
    /// `fuse_fallocate_in`
    FAllocateIn { fh: u64, offset: u64, length: u64, mode: u32, padding: u32 }
    /// `fuse_lseek_in`
    LSeekIn { fh: u64, offset: u64, whence: u32, padding: u32 }
    /// `fuse_lseek_out`
    LSeekOut { offset: u64 }
    /// `fuse_copy_file_range_in`
    CopyFileRangeIn { fh_in: u64, off_in: u64, nodeid_out: u64, fh_out: u64, off_out: u64, len: u64, flags: u64 }
    /// `fuse_notify_inval_inode_out`
    NotifyInvalInodeOut { ino: u64, off: i64, len: i64 }
    /// `fuse_notify_inval_entry_out`, without the name
    NotifyInvalEntryOut { parent: u64, namelen: u32, flags: u32 }
    /// `fuse_dirent`, without the name
    DirEnt { ino: u64, off: u64, namelen: u32, kind: u32 }
}
