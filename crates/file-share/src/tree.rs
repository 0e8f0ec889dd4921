//! The shared folder: how its files are opened, and nothing else.

use std::{
    ffi::OsStr,
    os::{
        fd::{AsFd, AsRawFd as _, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::Path,
    sync::Arc,
};

use rustix::{
    fs::{self, AtFlags, Mode, OFlags, ResolveFlags, Statx, StatxFlags},
    io::Errno,
};

/// Beneath the folder that it starts from, over no link of any kind. The kernel checks that while it walks, so that no rename in
/// between leads out (openat2(2)).
const BENEATH: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_MAGICLINKS);

/// A path for the kernel has at most 4,096 bytes; a longer one is walked in parts.
const PART: usize = 3000;

/// How often a walk that a rename disturbed is begun again.
const TRIES: usize = 16;

/// File systems that show the kernel or processes rather than files (statfs(2)): not shared, wherever they are mounted.
const NO_FILES: &[u64] = &[
    0x9fa0,      // proc
    0x6265_6572, // sysfs
    0x0027_e0eb, // cgroup
    0x6367_7270, // cgroup2
    0x1cd1,      // devpts
    0x6462_6720, // debugfs
    0x7472_6163, // tracefs
    0xcafe_4a11, // bpf
    0x7363_6673, // securityfs
    0x6573_5543, // fusectl
    0x6265_6570, // configfs
    0x6e73_6673, // nsfs
    0x1980_0202, // mqueue
];

/// File systems that other machines write as well, or whose changes are not noticed here for another reason (statfs(2)).
const REMOTE: &[u64] = &[
    0x6969,      // NFS, and so EFS
    0x6573_5546, // FUSE, and so Mountpoint for Amazon S3
    0x0bd0_0bd0, // Lustre, and so FSx
    0xff53_4d42, // CIFS
    0xfe53_4d42, // SMB 2
    0x517b,      // SMB
    0x00c3_6400, // Ceph
    0x5346_414f, // AFS
    0x6b41_4653, // kAFS
    0x0102_1997, // 9p
    0x0116_1970, // GFS2
    0x7461_636f, // OCFS2
];

/// What is mounted at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileSystem {
    /// Files that only this machine changes.
    Local,
    /// Files that change without notice.
    Remote,
    /// The kernel, or processes.
    NoFiles,
}

/// What makes a file the same file: a number is given to another one after its end, but not with the same time of birth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Identity {
    pub(crate) device: u64,
    pub(crate) inode: u64,
    /// Nanoseconds; 0 where the file system does not say.
    pub(crate) born: i64,
    pub(crate) is_folder: bool,
}

impl Identity {
    pub(crate) fn of(found: &Statx) -> Self {
        let has_birth = found.stx_mask & StatxFlags::BTIME.bits() != 0;
        let born = found.stx_btime.tv_sec.wrapping_mul(1_000_000_000).wrapping_add(found.stx_btime.tv_nsec.into());
        Self {
            device: (u64::from(found.stx_dev_major) << 32) | u64::from(found.stx_dev_minor),
            inode: found.stx_ino,
            born: if has_birth { born } else { 0 },
            is_folder: kind(found) == fs::FileType::Directory,
        }
    }
}

/// What kind of file it is.
pub(crate) fn kind(found: &Statx) -> fs::FileType {
    fs::FileType::from_raw_mode(found.stx_mode.into())
}

/// What a descriptor is of.
pub(crate) fn status(fd: impl AsFd) -> Result<Statx, Errno> {
    fs::statx(fd, "", AtFlags::EMPTY_PATH | AtFlags::SYMLINK_NOFOLLOW, wanted())
}

/// What is at a name in a folder.
pub(crate) fn status_at(folder: impl AsFd, name: &OsStr) -> Result<Statx, Errno> {
    debug_assert!(!name.as_bytes().contains(&b'/'));
    fs::statx(folder, name, AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT, wanted())
}

fn wanted() -> StatxFlags {
    StatxFlags::BASIC_STATS | StatxFlags::BTIME
}

/// Opens what is at these names below a folder, for no use but to name it.
pub(crate) fn open(root: impl AsFd, names: &[Arc<[u8]>]) -> Result<OwnedFd, Errno> {
    let mut at: Option<OwnedFd> = None;
    let mut names = names;
    loop {
        let mut part = Vec::new();
        while let Some((name, rest)) = names.split_first() {
            if !part.is_empty() {
                if part.len() + name.len() > PART {
                    break;
                }
                part.push(b'/');
            }
            part.extend_from_slice(name);
            names = rest;
        }
        if part.is_empty() {
            part.push(b'.');
        }
        let from = at.as_ref().map_or_else(|| root.as_fd(), AsFd::as_fd);
        let next = open_beneath(from, OsStr::from_bytes(&part), OFlags::PATH | OFlags::NOFOLLOW, Mode::empty())?;
        if names.is_empty() {
            return Ok(next);
        }
        at = Some(next);
    }
}

/// Opens a path below a folder.
pub(crate) fn open_beneath(folder: impl AsFd, path: &OsStr, flags: OFlags, mode: Mode) -> Result<OwnedFd, Errno> {
    for _ in 0..TRIES {
        match fs::openat2(folder.as_fd(), path, flags | OFlags::CLOEXEC, mode, BENEATH) {
            // Something was renamed meanwhile, and the kernel can't tell whether it led out.
            Err(Errno::AGAIN) => {}
            outcome => return outcome,
        }
    }
    Err(Errno::AGAIN)
}

/// Opens a file that was opened for no use but to name it, for use. Only regular files and folders: to open anything else may wait, or
/// do something.
pub(crate) fn reopen(fd: impl AsFd, flags: OFlags) -> Result<OwnedFd, Errno> {
    match kind(&status(fd.as_fd())?) {
        fs::FileType::RegularFile | fs::FileType::Directory => {}
        fs::FileType::Symlink => return Err(Errno::LOOP),
        _ => return Err(Errno::NXIO),
    }
    fs::open(by_descriptor(fd), flags | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY, Mode::empty())
}

/// A path to what a descriptor is of, for calls that only take paths. The descriptor must not be of a symbolic link where the call
/// follows links.
pub(crate) fn by_descriptor(fd: impl AsFd) -> String {
    format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd())
}

/// What a file is on.
pub(crate) fn file_system(fd: impl AsFd) -> Result<FileSystem, Errno> {
    let found = fs::fstatfs(fd)?;
    #[expect(clippy::cast_sign_loss, reason = "a magic number")]
    let magic = found.f_type as u64 & 0xffff_ffff;
    Ok(match magic {
        magic if NO_FILES.contains(&magic) => FileSystem::NoFiles,
        magic if REMOTE.contains(&magic) => FileSystem::Remote,
        _ => FileSystem::Local,
    })
}

/// Opens the folder that is shared.
pub(crate) fn open_root(path: &Path) -> Result<OwnedFd, Errno> {
    fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}
