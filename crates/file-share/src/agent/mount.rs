//! Mounting in the namespace of the parent process.

use std::{
    ffi::CString,
    fs::{self, File},
    io::{self, Read as _, Write as _},
    os::{
        fd::{AsFd as _, AsRawFd as _, OwnedFd},
        unix::ffi::{OsStrExt as _, OsStringExt as _},
    },
    path::{Path, PathBuf},
};

use nix::sched::CloneFlags;
use rustix::{
    fs::{IFlags, Mode, OFlags},
    mount::{MountFlags, UnmountFlags, mount, unmount},
    thread::{LinkNameSpaceType, move_into_link_name_space},
};

use super::{AgentError, MountPoint};

/// As the kernel's table of mounts calls a share.
const FILE_SYSTEM: &str = "fuse.sdocker";

/// The source of what lies beneath a share where its folder can't be protected otherwise.
const GUARD: &str = "sdocker-guard";

/// The kind of file system that is in memory (statfs(2), `TMPFS_MAGIC`).
const TMPFS: i64 = 0x0102_1994;

/// How much the kernel reads ahead of who reads in order, in KiB: enough to have several requests on their way. A mount begins with 128.
const READ_AHEAD: &[u8] = b"2048";

/// A mounted folder: the kernel's end of it.
#[derive(Debug)]
pub(super) struct Mounted {
    pub(super) device: OwnedFd,
    pub(super) read_ahead: Option<ReadAhead>,
}

/// The kernel's setting of how much it reads ahead in a mount (sysfs-class-bdi).
#[derive(Debug)]
pub(super) struct ReadAhead(File);

impl ReadAhead {
    /// Of the mount at a path, in the namespace of this thread.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let table = fs::read("/proc/thread-self/mountinfo")?;
        let device = table.split(|byte| *byte == b'\n').rev().find_map(|line| {
            let mut fields = line.split(|byte| *byte == b' ').skip(2);
            let (device, _, at) = (fields.next()?, fields.next()?, fields.next()?);
            (unescaped(at) == path).then_some(device)
        });
        let device = device.and_then(|device| str::from_utf8(device).ok()).ok_or(io::ErrorKind::NotFound)?;
        File::options().write(true).open(format!("/sys/class/bdi/{device}/read_ahead_kb")).map(Self)
    }

    /// Raises it. Once the mount has begun: then the kernel sets it by itself.
    pub(super) fn raise(&self) -> io::Result<()> {
        (&self.0).write_all(READ_AHEAD)
    }
}

/// A mount namespace.
#[derive(Debug)]
pub(super) struct Namespace(File);

impl Namespace {
    pub(super) fn of_parent() -> io::Result<Self> {
        let parent = rustix::process::getppid().ok_or_else(|| io::Error::other("the agent has no parent in sight"))?;
        File::open(format!("/proc/{}/ns/mnt", parent.as_raw_nonzero())).map(Self)
    }

    /// Does something in the namespace: in a thread of its own, since the other threads must stay in theirs.
    fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> io::Result<T> {
        std::thread::scope(|scope| {
            let entered = scope.spawn(|| {
                // setns(2): a thread that shares its working directory with others can't change its namespace.
                nix::sched::unshare(CloneFlags::CLONE_FS)?;
                move_into_link_name_space(self.0.as_fd(), Some(LinkNameSpaceType::Mount))?;
                Ok(work())
            });
            entered.join().unwrap_or_else(|_| Err(io::Error::other("the thread ended")))
        })
    }

    pub(super) fn mount(&self, point: &MountPoint, guarded: &Path) -> Result<Mounted, AgentError> {
        let failed = |attempted: &'static str| {
            let path = point.path.clone();
            move |source: io::Error| AgentError::Mount { path, attempted, source }
        };
        // The agent's own: there is none in the namespace of a container runtime, perhaps.
        let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let device = rustix::fs::open("/dev/fuse", flags, Mode::empty());
        let device = device.map_err(|error| failed("open /dev/fuse")(error.into()))?;
        let entered = self.enter(|| {
            detach(&point.path).map_err(failed("detach what is left of an earlier mount"))?;
            fs::create_dir_all(&point.path).map_err(failed("make the folder"))?;
            if guard(&point.path).map_err(failed("protect the folder beneath"))? == Lasts::UntilBoot
                && let Err(error) = list(guarded, &point.path)
            {
                tracing::warn!("after a boot, {} is not protected: {error}", point.path.display());
            }
            mount_fuse(&device, point).map_err(failed("mount it"))?;
            // What reads slower is a mount all the same.
            Ok(ReadAhead::of(&point.path).inspect_err(|error| tracing::info!("reads less far ahead: {error}")).ok())
        });
        let read_ahead = entered.map_err(AgentError::Namespace)??;
        Ok(Mounted { device, read_ahead })
    }

    /// Detaches the mounts at these paths, in use or not: who uses them gets errors.
    pub(super) fn unmount(&self, paths: &[PathBuf]) -> io::Result<()> {
        self.enter(|| paths.iter().try_for_each(|path| detach(path)))?
    }
}

pub(super) fn mount_fuse(device: &OwnedFd, point: &MountPoint) -> io::Result<()> {
    let mut flags = MountFlags::NOSUID | MountFlags::NODEV;
    if point.read_only {
        flags |= MountFlags::RDONLY;
    }
    // Everybody in a container may do what the user of the server may: the server decides, not the kernel by modes.
    let data = format!("fd={},rootmode=40000,user_id=0,group_id=0,allow_other", device.as_raw_fd());
    let data = CString::new(data)?;
    Ok(mount("sdocker", &point.path, FILE_SYSTEM, flags, data.as_c_str())?)
}

/// Sees to it that nothing is written into the folder beneath the share: what finds no share there must fail, and not fill the host's
/// disk with what is lost in the end.
fn guard(folder: &Path) -> io::Result<Lasts> {
    let is_empty = fs::read_dir(folder)?.next().is_none();
    // A file system in memory takes the flag as well, and forgets the folder.
    let is_in_memory = rustix::fs::statfs(folder)?.f_type == TMPFS;
    if is_empty && make_immutable(folder).is_ok() {
        return Ok(if is_in_memory { Lasts::UntilBoot } else { Lasts::ForEver });
    }
    let flags = MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount(GUARD, folder, "tmpfs", flags, c"size=4k,mode=0555")?;
    Ok(Lasts::UntilBoot)
}

/// For how long a folder is protected.
#[derive(Debug, PartialEq, Eq)]
enum Lasts {
    UntilBoot,
    ForEver,
}

/// Adds a folder to a list of which each line is one.
fn list(guarded: &Path, folder: &Path) -> io::Result<()> {
    let folder = folder.as_os_str().as_bytes();
    if !guarded.parent().is_some_and(Path::is_dir) || folder.contains(&b'\n') {
        return Ok(());
    }
    let mut file = File::options().read(true).append(true).create(true).open(guarded)?;
    let mut listed = Vec::new();
    file.read_to_end(&mut listed)?;
    if listed.split(|byte| *byte == b'\n').any(|line| line == folder) {
        return Ok(());
    }
    file.write_all(&[folder, b"\n"].concat())
}

fn make_immutable(folder: &Path) -> io::Result<()> {
    let folder = File::open(folder)?;
    let flags = rustix::fs::ioctl_getflags(&folder)?;
    if !flags.contains(IFlags::IMMUTABLE) {
        rustix::fs::ioctl_setflags(&folder, flags | IFlags::IMMUTABLE)?;
    }
    Ok(())
}

/// Detaches what earlier agents mounted at a path, dead or alive, one over the other.
fn detach(path: &Path) -> io::Result<()> {
    // Of this thread: the process as a whole is in another namespace.
    let table = fs::read("/proc/thread-self/mountinfo")?;
    for _ in 0..ours(&table, path) {
        // By force: whoever waits for an answer that nobody will give gets an error (umount(2), `MNT_FORCE`; fuse aborts the connection).
        unmount(path, UnmountFlags::FORCE | UnmountFlags::DETACH | UnmountFlags::NOFOLLOW)?;
    }
    Ok(())
}

/// How many mounts of ours are at a path (proc_pid_mountinfo(5)).
fn ours(table: &[u8], path: &Path) -> usize {
    let is_ours = |line: &&[u8]| {
        let fields: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
        let kind = fields.iter().position(|field| *field == b"-").and_then(|dash| fields.get(dash + 1..dash + 3));
        let ours =
            matches!(kind, Some([kind, source]) if *kind == FILE_SYSTEM.as_bytes() || *source == GUARD.as_bytes());
        ours && fields.get(4).is_some_and(|at| unescaped(at) == path)
    };
    table.split(|byte| *byte == b'\n').filter(is_ours).count()
}

/// A path as the table writes it: blanks, tabs, newlines and backslashes as octal numbers.
fn unescaped(text: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, more)) = rest.split_first() {
        let number = more.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        match number.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) if *first == b'\\' => {
                bytes.push(byte);
                rest = &more[3..];
            }
            _ => {
                bytes.push(*first);
                rest = more;
            }
        }
    }
    std::ffi::OsString::from_vec(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_listed_once_and_only_on_a_machine_that_keeps_a_list() {
        let home = tempfile::tempdir().expect("a folder");
        let guarded = home.path().join("var/guarded");
        list(&guarded, Path::new("/tmp/a")).expect("nothing to do");
        assert!(!guarded.exists());
        fs::create_dir(home.path().join("var")).expect("made");
        for folder in ["/tmp/a b", "/tmp/a", "/tmp/a b", "/tmp/of\ntwo"] {
            list(&guarded, Path::new(folder)).expect("listed");
        }
        assert_eq!(fs::read_to_string(&guarded).expect("there"), "/tmp/a b\n/tmp/a\n");
    }

    #[test]
    fn only_mounts_of_ours_are_detached() {
        let table = b"36 35 98:0 / /home/a\\040b rw,noatime master:1 - fuse.sdocker sdocker rw\n\
            37 35 98:0 / /home/a\\040b rw - tmpfs sdocker-guard ro\n\
            38 35 98:0 / /home/a\\040b rw - tmpfs tmpfs rw\n\
            39 35 98:0 / /home rw - fuse.sdocker sdocker rw\n\
            40 35 98:0 / /home/x rw - fuse.sshfs sdocker rw\n";
        let count = |path: &str| ours(table, Path::new(path));
        assert_eq!((count("/home/a b"), count("/home"), count("/home/x"), count("/")), (2, 1, 0, 0));
        assert_eq!(unescaped(b"/a\\134\\011b\\").as_os_str().as_bytes(), b"/a\\\tb\\");
    }
}
