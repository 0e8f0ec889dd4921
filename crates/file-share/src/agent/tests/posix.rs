//! What POSIX and Linux promise of files, one promise after the other: each is tried on a folder of this machine as well, so that no
//! expectation is of this file's making. After pjdfstest, whose areas these are.
//!
//! Left out: what depends on who asks (every user of a container may do what the app's user may), device files, and times of access.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::{Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::{
        ffi::OsStrExt as _,
        fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, symlink},
    },
    path::Path,
};

use rustix::{
    fs::{AtFlags, CWD, FallocateFlags, FlockOperation, Mode, OFlags, RenameFlags, Timespec, Timestamps, UTIME_OMIT},
    io::Errno,
};

use super::{
    mounted::{Share, mounted},
    places::mount_files,
};

/// An outcome, without what is different in each folder.
type Outcome = Result<String, Errno>;

fn said(value: impl std::fmt::Debug) -> Outcome {
    Ok(format!("{value:?}"))
}

fn io<T>(outcome: std::io::Result<T>) -> Result<T, Errno> {
    outcome.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
}

fn kind_size_links_mode(path: &Path) -> Outcome {
    let found = io(fs::symlink_metadata(path))?;
    let size = if found.is_dir() { 0 } else { found.size() };
    said((found.mode(), size, if found.is_dir() { 0 } else { found.nlink() }))
}

/// One promise: its name, and what is done in an empty folder.
type Promise = (&'static str, fn(&Path) -> Outcome);

const PROMISES: &[Promise] = &[
    ("open: O_CREAT|O_EXCL refuses what is there", |at| {
        io(File::create(at.join("f")))?;
        io(File::create_new(at.join("f"))).map(|_| String::new())
    }),
    ("open: O_EXCL refuses a dangling link", |at| {
        io(symlink("nowhere", at.join("l")))?;
        io(File::create_new(at.join("l"))).map(|_| String::new())
    }),
    ("open: O_CREAT through a dangling link makes its target", |at| {
        io(symlink("target", at.join("l")))?;
        io(File::create(at.join("l")))?;
        kind_size_links_mode(&at.join("target"))
    }),
    ("open: O_NOFOLLOW refuses a link", |at| {
        io(symlink("f", at.join("l")))?;
        io(File::options().read(true).custom_flags(OFlags::NOFOLLOW.bits() as i32).open(at.join("l")))
            .map(|_| String::new())
    }),
    ("open: a folder is not written", |at| io(File::options().write(true).open(at)).map(|_| String::new())),
    ("open: O_DIRECTORY refuses a file", |at| {
        io(File::create(at.join("f")))?;
        rustix::fs::open(at.join("f"), OFlags::DIRECTORY, Mode::empty()).map(|_| String::new())
    }),
    ("open: O_TRUNC empties", |at| {
        io(fs::write(at.join("f"), "long"))?;
        io(File::create(at.join("f")))?;
        kind_size_links_mode(&at.join("f"))
    }),
    ("open: a file is not a folder", |at| {
        io(File::create(at.join("f")))?;
        io(File::open(at.join("f/g"))).map(|_| String::new())
    }),
    ("open: the mask takes from a mode", |at| {
        let make = |mode: u32, name: &str| io(File::options().write(true).create(true).mode(mode).open(at.join(name)));
        make(0o777, "a")?;
        make(0o600, "b")?;
        said((kind_size_links_mode(&at.join("a"))?, kind_size_links_mode(&at.join("b"))?))
    }),
    ("open: read-only is not written", |at| {
        io(fs::write(at.join("f"), "x"))?;
        io(io(File::open(at.join("f")))?.write(b"y")).map(|_| String::new())
    }),
    ("names: 255 bytes and no more", |at| {
        io(File::create(at.join("n".repeat(255))))?;
        io(File::create(at.join("n".repeat(256)))).map(|_| String::new())
    }),
    ("names: any bytes but slash and NUL", |at| {
        let name = OsStr::from_bytes(b"\xff\xfe \n\t\\\x01");
        io(fs::write(at.join(name), "x"))?;
        said(io(fs::read_dir(at))?.map(|entry| entry.map(|entry| entry.file_name()).ok()).collect::<Vec<_>>())
    }),
    ("mkdir: what is there stays", |at| {
        io(fs::create_dir(at.join("d")))?;
        io(fs::create_dir(at.join("d"))).map(|()| String::new())
    }),
    ("mkdir: not in a folder that is not there", |at| io(fs::create_dir(at.join("a/b"))).map(|()| String::new())),
    ("rmdir: only empty", |at| {
        io(fs::create_dir_all(at.join("a/b")))?;
        io(fs::remove_dir(at.join("a"))).map(|()| String::new())
    }),
    ("rmdir: no file", |at| {
        io(File::create(at.join("f")))?;
        io(fs::remove_dir(at.join("f"))).map(|()| String::new())
    }),
    ("rmdir: not by its own dot", |at| {
        io(fs::create_dir(at.join("d")))?;
        rustix::fs::rmdir(at.join("d/.")).map(|()| String::new())
    }),
    ("unlink: no folder", |at| {
        io(fs::create_dir(at.join("d")))?;
        match io(fs::remove_file(at.join("d"))) {
            // POSIX says EPERM, Linux EISDIR.
            Err(Errno::PERM | Errno::ISDIR) => Ok("refused".to_owned()),
            other => other.map(|()| String::new()),
        }
    }),
    ("unlink: what is open goes on, with no links", |at| {
        let mut file = io(File::options().read(true).write(true).create(true).truncate(true).open(at.join("f")))?;
        io(fs::remove_file(at.join("f")))?;
        io(file.write_all(b"still here"))?;
        io(file.set_len(5))?;
        io(file.seek(SeekFrom::Start(0)))?;
        let mut text = String::new();
        io(file.read_to_string(&mut text))?;
        let found = io(file.metadata())?;
        said((text, found.nlink(), found.len(), at.join("f").exists()))
    }),
    ("unlink: what is open and was replaced is two files", |at| {
        let mut old = io(File::options().read(true).write(true).create(true).truncate(true).open(at.join("f")))?;
        io(fs::write(at.join("new"), "new"))?;
        io(fs::rename(at.join("new"), at.join("f")))?;
        io(old.write_all(b"old"))?;
        io(old.rewind())?;
        let mut text = String::new();
        io(old.read_to_string(&mut text))?;
        said((text, io(fs::read_to_string(at.join("f")))?))
    }),
    ("rename: over a file", |at| {
        io(fs::write(at.join("a"), "a"))?;
        io(fs::write(at.join("b"), "b"))?;
        io(fs::rename(at.join("a"), at.join("b")))?;
        said((at.join("a").exists(), io(fs::read_to_string(at.join("b")))?))
    }),
    ("rename: over an empty folder", |at| {
        io(fs::create_dir_all(at.join("a/x")))?;
        io(fs::create_dir(at.join("b")))?;
        io(fs::rename(at.join("a"), at.join("b")))?;
        said((at.join("a").exists(), at.join("b/x").is_dir()))
    }),
    ("rename: not over a folder that is not empty", |at| {
        io(fs::create_dir_all(at.join("a")))?;
        io(fs::create_dir_all(at.join("b/x")))?;
        match io(fs::rename(at.join("a"), at.join("b"))) {
            Err(Errno::EXIST | Errno::NOTEMPTY) => Ok("refused".to_owned()),
            other => other.map(|()| String::new()),
        }
    }),
    ("rename: no file over a folder", |at| {
        io(File::create(at.join("f")))?;
        io(fs::create_dir(at.join("d")))?;
        io(fs::rename(at.join("f"), at.join("d"))).map(|()| String::new())
    }),
    ("rename: no folder over a file", |at| {
        io(File::create(at.join("f")))?;
        io(fs::create_dir(at.join("d")))?;
        io(fs::rename(at.join("d"), at.join("f"))).map(|()| String::new())
    }),
    ("rename: no folder into itself", |at| {
        io(fs::create_dir_all(at.join("a/b")))?;
        io(fs::rename(at.join("a"), at.join("a/b/c"))).map(|()| String::new())
    }),
    ("rename: two names of one file stay", |at| {
        io(fs::write(at.join("a"), "a"))?;
        io(fs::hard_link(at.join("a"), at.join("b")))?;
        io(fs::rename(at.join("a"), at.join("b")))?;
        said((at.join("a").exists(), at.join("b").exists()))
    }),
    ("rename: RENAME_NOREPLACE", |at| {
        io(fs::write(at.join("a"), "a"))?;
        io(fs::write(at.join("b"), "b"))?;
        rustix::fs::renameat_with(CWD, at.join("a"), CWD, at.join("b"), RenameFlags::NOREPLACE).map(|()| String::new())
    }),
    ("rename: RENAME_EXCHANGE", |at| {
        io(fs::write(at.join("a"), "a"))?;
        io(fs::create_dir(at.join("b")))?;
        rustix::fs::renameat_with(CWD, at.join("a"), CWD, at.join("b"), RenameFlags::EXCHANGE)?;
        said((at.join("a").is_dir(), io(fs::read_to_string(at.join("b")))?))
    }),
    ("rename: an open file follows", |at| {
        let mut file = io(File::create(at.join("a")))?;
        io(fs::create_dir(at.join("d")))?;
        io(fs::rename(at.join("a"), at.join("d/b")))?;
        io(file.write_all(b"after"))?;
        said(io(fs::read_to_string(at.join("d/b")))?)
    }),
    ("link: one file by two names", |at| {
        io(fs::write(at.join("a"), "a"))?;
        io(fs::hard_link(at.join("a"), at.join("b")))?;
        io(fs::write(at.join("b"), "both"))?;
        let same = io(fs::metadata(at.join("a")))?.ino() == io(fs::metadata(at.join("b")))?.ino();
        said((same, io(fs::read_to_string(at.join("a")))?, kind_size_links_mode(&at.join("a"))?))
    }),
    ("link: no folder", |at| {
        io(fs::create_dir(at.join("d")))?;
        io(fs::hard_link(at.join("d"), at.join("e"))).map(|()| String::new())
    }),
    ("link: not over what is there", |at| {
        io(fs::write(at.join("a"), "a"))?;
        io(fs::write(at.join("b"), "b"))?;
        io(fs::hard_link(at.join("a"), at.join("b"))).map(|()| String::new())
    }),
    ("link: a symbolic link itself", |at| {
        io(symlink("to", at.join("l")))?;
        io(fs::hard_link(at.join("l"), at.join("m")))?;
        said(io(fs::read_link(at.join("m")))?)
    }),
    ("symlink: any target up to a path's length", |at| {
        let target = "x/".repeat(2000);
        io(symlink(&target, at.join("l")))?;
        said((io(fs::read_link(at.join("l")))?.as_os_str().len(), kind_size_links_mode(&at.join("l"))?))
    }),
    ("symlink: a loop has an end", |at| {
        io(symlink("b", at.join("a")))?;
        io(symlink("a", at.join("b")))?;
        io(fs::read(at.join("a"))).map(|_| String::new())
    }),
    ("symlink: relative, into a folder and back", |at| {
        io(fs::create_dir(at.join("d")))?;
        io(fs::write(at.join("f"), "f"))?;
        io(symlink("../f", at.join("d/l")))?;
        said(io(fs::read_to_string(at.join("d/l")))?)
    }),
    ("truncate: longer is zeros, shorter is gone", |at| {
        io(fs::write(at.join("f"), "text"))?;
        let file = io(File::options().write(true).open(at.join("f")))?;
        io(file.set_len(2))?;
        io(file.set_len(6))?;
        said(io(fs::read(at.join("f")))?)
    }),
    ("truncate: no folder", |at| io(rustix_truncate(at)).map(|()| String::new())),
    ("truncate: no negative or endless length", |at| {
        io(io(File::create(at.join("f")))?.set_len(1 << 62)).map(|()| String::new())
    }),
    ("write: a hole reads as zeros", |at| {
        let file = io(File::create(at.join("f")))?;
        io(file.write_all_at(b"end", 100_000))?;
        let text = io(fs::read(at.join("f")))?;
        said((text.len(), text[..100_000].iter().all(|byte| *byte == 0), &text[100_000..] == b"end"))
    }),
    ("write: O_APPEND, whatever the position", |at| {
        let mut one = io(File::options().append(true).create(true).open(at.join("f")))?;
        let mut other = io(File::options().append(true).open(at.join("f")))?;
        for round in 0..20 {
            io(write!(one, "{round},"))?;
            io(one.seek(SeekFrom::Start(0)))?;
            io(write!(other, "{round};"))?;
        }
        said(io(fs::read_to_string(at.join("f")))?)
    }),
    ("lseek: SEEK_HOLE and SEEK_DATA", |at| {
        let file = io(File::options().read(true).write(true).create(true).truncate(true).open(at.join("f")))?;
        io(file.write_all_at(b"x", 0))?;
        io(file.write_all_at(b"x", 8 << 20))?;
        io(file.sync_all())?;
        let seek = |to| rustix::fs::seek(&file, to);
        use rustix::fs::SeekFrom::{Data, Hole};
        said((seek(Data(0)), seek(Hole(8 << 20)), seek(Data(9 << 20)), seek(Hole(0)).is_ok_and(|at| at < 8 << 20)))
    }),
    ("fallocate: makes longer, keeps size, punches", |at| {
        let file = io(File::options().read(true).write(true).create(true).truncate(true).open(at.join("f")))?;
        rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, 10_000)?;
        let longer = io(file.metadata())?.len();
        rustix::fs::fallocate(&file, FallocateFlags::KEEP_SIZE, 0, 100_000)?;
        io(file.write_all_at(&[7; 10_000], 0))?;
        rustix::fs::fallocate(&file, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, 4096, 4096)?;
        let text = io(fs::read(at.join("f")))?;
        said((longer, text.len(), text[4095], text[4096], text[8191], text[8192]))
    }),
    ("copy_file_range", |at| {
        io(fs::write(at.join("a"), "0123456789"))?;
        let (from, to) = (io(File::open(at.join("a")))?, io(File::create(at.join("b")))?);
        let mut offset = 3;
        let copied = rustix::fs::copy_file_range(&from, Some(&mut offset), &to, None, 4)?;
        said((copied, io(fs::read_to_string(at.join("b")))?))
    }),
    ("chmod: permissions, set-user-id and the sticky bit", |at| {
        io(File::create(at.join("f")))?;
        io(fs::create_dir(at.join("d")))?;
        let mut modes = Vec::new();
        for mode in [0, 0o400, 0o755, 0o4711, 0o2755, 0o1777, 0o640] {
            io(fs::set_permissions(at.join("f"), fs::Permissions::from_mode(mode)))?;
            io(fs::set_permissions(at.join("d"), fs::Permissions::from_mode(mode | 0o700)))?;
            modes.push((io(fs::metadata(at.join("f")))?.mode(), io(fs::metadata(at.join("d")))?.mode()));
        }
        said(modes)
    }),
    ("chown: user and group, alone and together", |at| {
        io(File::create(at.join("f")))?;
        io(symlink("f", at.join("l")))?;
        let mut owners = Vec::new();
        for (uid, gid) in [(Some(999), Some(998)), (Some(5), None), (None, Some(6)), (Some(0), Some(0))] {
            io(std::os::unix::fs::chown(at.join("f"), uid, gid))?;
            io(std::os::unix::fs::lchown(at.join("l"), gid, uid))?;
            for name in ["f", "l"] {
                let found = io(fs::symlink_metadata(at.join(name)))?;
                owners.push((found.uid(), found.gid()));
            }
        }
        said(owners)
    }),
    ("mkdir: a folder that gives its group away", |at| {
        io(fs::create_dir(at.join("d")))?;
        io(std::os::unix::fs::chown(at.join("d"), None, Some(77)))?;
        io(fs::set_permissions(at.join("d"), fs::Permissions::from_mode(0o2775)))?;
        io(fs::create_dir(at.join("d/e")))?;
        io(File::create(at.join("d/f")))?;
        let (e, f) = (io(fs::metadata(at.join("d/e")))?, io(fs::metadata(at.join("d/f")))?);
        said((e.gid(), e.mode(), f.gid(), f.mode()))
    }),
    ("utimensat: nanoseconds, apart, before 1970", |at| {
        io(File::create(at.join("f")))?;
        let time = |tv_sec, tv_nsec| Timespec { tv_sec, tv_nsec };
        let omit = time(0, UTIME_OMIT);
        let mut times = Vec::new();
        for (last_access, last_modification) in
            [(time(1, 2), time(3, 999_999_999)), (omit, time(-5, 7)), (time(1 << 32, 0), omit)]
        {
            let set = Timestamps { last_access, last_modification };
            rustix::fs::utimensat(CWD, at.join("f"), &set, AtFlags::empty())?;
            let found = io(fs::metadata(at.join("f")))?;
            times.push((found.atime(), found.atime_nsec(), found.mtime(), found.mtime_nsec()));
        }
        said(times)
    }),
    ("times: a write and a new name are changes", |at| {
        let set = Timestamps {
            last_access: Timespec { tv_sec: 1, tv_nsec: 0 },
            last_modification: Timespec { tv_sec: 1, tv_nsec: 0 },
        };
        io(fs::create_dir(at.join("d")))?;
        io(fs::write(at.join("f"), "f"))?;
        for name in ["d", "f"] {
            rustix::fs::utimensat(CWD, at.join(name), &set, AtFlags::empty())?;
        }
        io(fs::write(at.join("f"), "g"))?;
        io(File::create(at.join("d/new")))?;
        said((io(fs::metadata(at.join("f")))?.mtime() > 1, io(fs::metadata(at.join("d")))?.mtime() > 1))
    }),
    ("mknod: a FIFO", |at| {
        rustix::fs::mknodat(CWD, at.join("p"), rustix::fs::FileType::Fifo, Mode::from_raw_mode(0o644), 0)?;
        let writing = std::thread::spawn({
            let path = at.join("p");
            move || fs::write(path, "through")
        });
        let text = io(fs::read_to_string(at.join("p")))?;
        drop(writing.join());
        said(text)
    }),
    ("bind: a socket", |at| {
        // A short path: a socket's has 108 bytes.
        let folder = io(File::open(at))?;
        let path = format!("/proc/self/fd/{}/s", std::os::fd::AsRawFd::as_raw_fd(&folder));
        let listener = io(std::os::unix::net::UnixListener::bind(&path))?;
        let mut client = io(std::os::unix::net::UnixStream::connect(&path))?;
        io(client.write_all(b"hello"))?;
        drop(client);
        let mut text = String::new();
        io(io(listener.accept())?.0.read_to_string(&mut text))?;
        said(text)
    }),
    ("flock: of two descriptions, one at a time", |at| {
        let (one, other) = (io(File::create(at.join("f")))?, io(File::open(at.join("f")))?);
        rustix::fs::flock(&one, FlockOperation::LockExclusive)?;
        let refused = rustix::fs::flock(&other, FlockOperation::NonBlockingLockExclusive);
        rustix::fs::flock(&one, FlockOperation::Unlock)?;
        said((refused, rustix::fs::flock(&other, FlockOperation::NonBlockingLockExclusive)))
    }),
    ("fcntl: locks of another process", |at| {
        let file = io(File::create(at.join("f")))?;
        rustix::fs::fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive)?;
        let script = "import fcntl, sys
try: fcntl.lockf(open(sys.argv[1], 'r+'), fcntl.LOCK_EX | fcntl.LOCK_NB); print('taken')
except BlockingIOError: print('held')";
        let other = std::process::Command::new("python3").args(["-c", script]).arg(at.join("f")).output();
        said(other.map(|other| String::from_utf8_lossy(&other.stdout).trim().to_owned()).unwrap_or("held".to_owned()))
    }),
    ("rename: a file over one that is open, many times", |at| {
        io(fs::write(at.join("f"), "0"))?;
        let mut open = Vec::new();
        for round in 1..20 {
            open.push(io(File::open(at.join("f")))?);
            io(fs::write(at.join("new"), round.to_string()))?;
            io(fs::rename(at.join("new"), at.join("f")))?;
        }
        let mut seen = Vec::new();
        for mut file in open {
            let mut text = String::new();
            io(file.read_to_string(&mut text))?;
            seen.push(text);
        }
        said(seen)
    }),
    ("open: a folder that was removed while it is open", |at| {
        io(fs::create_dir(at.join("d")))?;
        let folder = io(File::open(at.join("d")))?;
        io(fs::remove_dir(at.join("d")))?;
        let made = rustix::fs::openat(&folder, "f", OFlags::CREATE | OFlags::WRONLY, Mode::from_raw_mode(0o644));
        made.map(|_| String::new())
    }),
    ("statfs: names have 255 bytes", |at| said(rustix::fs::statvfs(at)?.f_namemax)),
];

fn rustix_truncate(path: &Path) -> std::io::Result<()> {
    // To open it to be written is what is refused, as truncate(2) is.
    File::options().write(true).open(path).and_then(|file| file.set_len(0))
}

#[test]
fn promises_are_kept_as_on_a_folder_of_this_machine() {
    mounted(
        |_| {},
        |share| {
            let local = share.app.parent().expect("a folder").join("local");
            let mut broken = Vec::new();
            for (number, (promise, act)) in PROMISES.iter().enumerate() {
                let in_folder = |root: &Path| {
                    let at = root.join(format!("p{number}"));
                    fs::create_dir_all(&at).expect("made");
                    act(&at)
                };
                let (shared, expected) = (in_folder(&share.host), in_folder(&local));
                if shared != expected {
                    broken.push(format!("{promise}: {shared:?}, and not {expected:?}"));
                }
            }
            assert!(broken.is_empty(), "{}", broken.join("\n"));
        },
    );
}

#[test]
fn extended_attributes_are_refused_as_by_a_file_system_without_them() {
    mounted(
        |app| fs::write(app.join("f"), "").expect("written"),
        |share| {
            let path = share.host.join("f");
            let set = rustix::fs::setxattr(&path, "user.a", b"b", rustix::fs::XattrFlags::empty());
            let listed = rustix::fs::listxattr(&path, &mut [0_u8; 64][..]);
            let got = rustix::fs::getxattr(&path, "user.a", &mut [0_u8; 64][..]);
            assert_eq!((set, got), (Err(Errno::OPNOTSUPP), Err(Errno::OPNOTSUPP)));
            assert!(matches!(listed, Ok(0) | Err(Errno::OPNOTSUPP)), "{listed:?}");
        },
    );
}

#[test]
fn nothing_of_100_000_names_is_lost_while_others_come_and_go() {
    const MANY: usize = 100_000;
    let prepare = |app: &Path| {
        // In memory: it is made faster there.
        mount_files(app, "100m");
        fs::create_dir(app.join("many")).expect("made");
        for number in 0..MANY {
            // Names of one file: they are made faster than files.
            if number % 1000 == 0 {
                fs::write(app.join(format!("many/{number}")), "").expect("written");
            } else {
                let first = app.join(format!("many/{}", number - number % 1000));
                fs::hard_link(first, app.join(format!("many/{number}"))).expect("linked");
            }
        }
    };
    mounted(prepare, |share| {
        let before = fs::read_dir("/proc/self/fd").expect("there").count();
        let mut seen = std::collections::HashSet::new();
        let mut come_and_go = 0;
        for entry in fs::read_dir(share.host.join("many")).expect("there") {
            let name = entry.expect("read").file_name().into_string().expect("UTF-8");
            if seen.len() % 500 == 0 {
                // On both sides.
                for root in [&share.host, &share.app] {
                    let other = root.join(format!("many/other-{}", seen.len()));
                    fs::write(&other, "").expect("written");
                    if seen.len() % 1000 == 0 {
                        fs::remove_file(&other).expect("removed");
                    }
                    come_and_go += 1;
                }
            }
            assert!(name.starts_with("other-") || seen.insert(name.clone()), "{name} comes twice");
        }
        assert_eq!((seen.len(), come_and_go > 100), (MANY, true));
        let after = fs::read_dir("/proc/self/fd").expect("there").count();
        assert!(after < before + 100, "{before} descriptors before, {after} after");
    });
}

fn count(share: &Share, name: &str) -> usize {
    fs::read_to_string(share.app.join(name)).expect("there").lines().count()
}

const GIT: &str = r#"
git() { command git -c user.email=a@b -c user.name=a -c safe.directory='*' "$@"; }
git init -q repository; cd repository
for i in 1 2 3; do for j in $(seq 50); do echo $i >d$j; done; git add .; git commit -qm $i; done
git gc -q; git fsck --no-progress; git checkout -q HEAD~1; test -z "$(git status --short)"; test "$(cat d50)" = 2"#;

/// Installs a package that is made for it, and removes it.
const PIP: &str = r#"
python3 -c "
import zipfile
with zipfile.ZipFile('some-1.0-py3-none-any.whl', 'w') as wheel:
    for number in range(200): wheel.writestr(f'some/m{number}.py', f'value = {number}')
    wheel.writestr('some/__init__.py', '')
    wheel.writestr('some-1.0.dist-info/METADATA', 'Metadata-Version: 2.1\nName: some\nVersion: 1.0\n')
    wheel.writestr('some-1.0.dist-info/WHEEL', 'Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n')
    wheel.writestr('some-1.0.dist-info/RECORD', '')"
python3 -m pip install -q --no-index --no-deps --no-cache-dir --disable-pip-version-check --root-user-action=ignore \
    --target=site some-1.0-py3-none-any.whl
test "$(PYTHONPATH=site python3 -c 'import some.m199; print(some.m199.value)')" = 199
rm -r site"#;

#[test]
fn programs_work() {
    mounted(
        |_| {},
        |share| {
            let run = |script: &str| {
                let ran = std::process::Command::new("sh").args(["-ec", script]).current_dir(&share.host).output();
                let ran = ran.expect("it runs");
                assert!(ran.status.success(), "{script}: {}", String::from_utf8_lossy(&ran.stderr));
            };
            // Appended to by several at once.
            run(
                "for p in 1 2 3 4; do (i=0; while [ $i -lt 100 ]; do echo $p-$i >>log; i=$((i + 1)); done) & done; wait",
            );
            assert_eq!(count(share, "log"), 400);
            let there = |program: &[&str]| {
                let ran = std::process::Command::new(program[0]).args(&program[1..]).output();
                ran.is_ok_and(|ran| ran.status.success())
            };
            if there(&["git", "--version"]) {
                run(GIT);
            }
            if !there(&["python3", "--version"]) {
                return;
            }
            if there(&["python3", "-m", "pip", "--version"]) {
                run(PIP);
            }
            for journal in ["wal", "delete", "truncate"] {
                run(&format!(
                "python3 -c \"
import sqlite3, threading
def work(n):
    db = sqlite3.connect('{journal}.db', timeout=60, isolation_level=None)
    for i in range(15):
        db.execute('begin immediate')
        (value,) = db.execute('select a from t').fetchone()
        db.execute('update t set a = ?', (value + 1,))
        db.execute('commit')
    db.close()
db = sqlite3.connect('{journal}.db', timeout=60)
db.execute('pragma journal_mode={journal}'); db.execute('create table t(a)'); db.execute('insert into t values (0)'); db.commit()
threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
[t.start() for t in threads]; [t.join() for t in threads]
assert db.execute('select a from t').fetchone() == (60,), db.execute('select a from t').fetchone()
assert db.execute('pragma integrity_check').fetchone() == ('ok',)\""
            ));
            }
        },
    );
}
