//! What a file system owes to whoever uses it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink},
    sync::Arc,
};

use rustix::io::Errno;
use zerocopy::IntoBytes as _;

use super::peer::{Peer, errno, server, text};
use crate::{
    Server, ShareSettings,
    message::{CopyFileRangeIn, EntryOut, LSeekIn, LSeekOut, MkDirIn, MkNodIn, Rename2In, SetAttrIn, fattr, opcode},
    nodes::ROOT,
};

const O_RDWR: i32 = 2;
const O_TRUNC: i32 = 0o1000;
const O_APPEND: i32 = 0o2000;
const EXCHANGE: u32 = 2;

#[tokio::test]
async fn an_open_file_outlives_its_names() {
    let folder = tempfile::tempdir().expect("made");
    let mut peer = Peer::mount(&server(folder.path())).await;
    let (entry, fh) = peer.create(ROOT, "a", O_RDWR, 0o100_644).await.expect("made");
    peer.write(entry.nodeid, fh, 0, b"one").await.expect("written");
    assert_eq!(fs::read(folder.path().join("a")).expect("there"), b"one");
    let arguments = Rename2In { newdir: ROOT, ..Rename2In::default() };
    peer.call(opcode::RENAME2, ROOT, &[arguments.as_bytes(), &text("a"), &text("b")].concat()).await.expect("renamed");
    assert_eq!(peer.lookup(ROOT, "b").await.expect("there").nodeid, entry.nodeid);
    peer.call(opcode::UNLINK, ROOT, &text("b")).await.expect("removed");
    assert_eq!(peer.lookup(ROOT, "b").await.err(), Some(errno(Errno::NOENT)));

    // Removed, and still a file.
    peer.write(entry.nodeid, fh, 3, b"two").await.expect("written");
    assert_eq!(peer.read(entry.nodeid, fh, 0, 100).await.expect("read"), b"onetwo");
    let found = peer.attributes(entry.nodeid).await.expect("there").attr;
    assert_eq!((found.nlink, found.size), (0, 6));
    let shorter = SetAttrIn { valid: fattr::SIZE | fattr::FH, fh, size: 2, ..SetAttrIn::default() };
    peer.call(opcode::SETATTR, entry.nodeid, shorter.as_bytes()).await.expect("cut");
    let again = peer.open(entry.nodeid, 0).await.expect("opened again");
    assert_eq!(peer.read(entry.nodeid, again, 0, 100).await.expect("read"), b"on");
    for fh in [fh, again] {
        peer.release(entry.nodeid, fh).await.expect("closed");
    }
    assert_eq!(peer.attributes(entry.nodeid).await.err(), Some(errno(Errno::STALE)));
}

#[tokio::test]
async fn files_are_known_by_what_they_are_and_not_by_their_names() {
    let folder = tempfile::tempdir().expect("made");
    let path = |name: &str| folder.path().join(name);
    fs::create_dir_all(path("dir/sub")).expect("made");
    fs::write(path("dir/sub/f"), "old").expect("written");
    let mut peer = Peer::mount(&server(folder.path())).await;
    let file = peer.walk("dir/sub/f").await.expect("there").nodeid;

    // A hard link is the same file.
    let linked: EntryOut =
        peer.ask(opcode::LINK, ROOT, &[&file.to_ne_bytes()[..], &text("g")].concat()).await.expect("linked");
    assert_eq!((linked.nodeid, linked.attr.nlink), (file, 2));
    // It is found by its other name, where the app removes one.
    fs::remove_file(path("dir/sub/f")).expect("removed");
    assert_eq!(peer.attributes(file).await.expect("there").attr.nlink, 1);

    // What the app puts in its place is another file: the first is stale, and a lookup finds the second.
    fs::write(path("new"), "new").expect("written");
    fs::rename(path("new"), path("g")).expect("renamed");
    assert_eq!(peer.open(file, 0).await.err(), Some(errno(Errno::STALE)));
    assert_ne!(peer.lookup(ROOT, "g").await.expect("there").nodeid, file);
    assert_eq!(peer.content("g").await.expect("read"), b"new");

    // A folder that was moved by the other side takes what is known of its files along.
    fs::write(path("dir/sub/h"), "h").expect("written");
    let file = peer.walk("dir/sub/h").await.expect("there").nodeid;
    let sub = peer.walk("dir/sub").await.expect("there").nodeid;
    let dir = peer.walk("dir").await.expect("there").nodeid;
    let arguments = Rename2In { newdir: ROOT, ..Rename2In::default() };
    peer.call(opcode::RENAME2, dir, &[arguments.as_bytes(), &text("sub"), &text("moved")].concat())
        .await
        .expect("moved");
    assert_eq!(peer.attributes(file).await.expect("there").attr.size, 1);
    assert_eq!(peer.walk("moved").await.expect("there").nodeid, sub);

    // Exchanged: each is where the other was.
    fs::write(path("x"), "x").expect("written");
    fs::write(path("y"), "yy").expect("written");
    let (x, y) = (peer.walk("x").await.expect("x").nodeid, peer.walk("y").await.expect("y").nodeid);
    let arguments = Rename2In { newdir: ROOT, flags: 2, padding: 0 };
    peer.call(opcode::RENAME2, ROOT, &[arguments.as_bytes(), &text("x"), &text("y")].concat())
        .await
        .expect("exchanged");
    assert_eq!(
        (peer.attributes(x).await.expect("x").attr.size, peer.attributes(y).await.expect("y").attr.size),
        (1, 2)
    );
    assert_eq!(fs::read(path("y")).expect("there"), b"x");
}

#[tokio::test]
async fn owners_and_modes_are_shown_as_they_were_set_and_files_stay_the_users() {
    let folder = tempfile::tempdir().expect("made");
    let path = |name: &str| folder.path().join(name);
    let mut peer = Peer::mount(&server(folder.path())).await;
    peer.uid = 999;
    let (entry, fh) = peer.create(ROOT, "made", O_RDWR, 0o100_600).await.expect("made");
    assert_eq!((entry.attr.uid, entry.attr.gid, entry.attr.mode), (999, 999, 0o100_600));
    let made = fs::metadata(path("made")).expect("there");
    assert_eq!((made.uid(), made.mode()), (rustix::process::getuid().as_raw(), 0o100_600));
    peer.release(entry.nodeid, fh).await.expect("closed");

    // No mask of this process's takes anything from a mode.
    let arguments = MkDirIn { mode: 0o777, umask: 0 };
    let made: EntryOut =
        peer.ask(opcode::MKDIR, ROOT, &[arguments.as_bytes(), &text("d")].concat()).await.expect("made");
    assert_eq!((made.attr.uid, made.attr.mode), (999, 0o40777));
    assert_eq!(fs::metadata(path("d")).expect("there").mode(), 0o40777);

    // Set-user-id is shown, and is not what the app has.
    let set = SetAttrIn {
        valid: fattr::UID | fattr::GID | fattr::MODE,
        uid: 7,
        gid: 8,
        mode: 0o4755,
        ..SetAttrIn::default()
    };
    peer.call(opcode::SETATTR, entry.nodeid, set.as_bytes()).await.expect("set");
    let shown = peer.walk("made").await.expect("there").attr;
    assert_eq!((shown.uid, shown.gid, shown.mode), (7, 8, 0o104_755));
    assert_eq!(fs::metadata(path("made")).expect("there").mode(), 0o100_755);
    // Read-only files are the user's to write, as they are root's in a container: the app's user is not root.
    let set = SetAttrIn { valid: fattr::MODE, mode: 0o444, ..SetAttrIn::default() };
    peer.call(opcode::SETATTR, entry.nodeid, set.as_bytes()).await.expect("set");
    assert_eq!(peer.walk("made").await.expect("there").attr.mode, 0o100_444);
    assert_eq!(fs::metadata(path("made")).expect("there").mode(), 0o100_644);
    let (key, fh) = peer.create(ROOT, "key", O_RDWR, 0o100_400).await.expect("made");
    assert_eq!((key.attr.mode, fs::metadata(path("key")).expect("there").mode()), (0o100_400, 0o100_600));
    peer.release(key.nodeid, fh).await.expect("closed");
    let arguments = MkDirIn { mode: 0o555, umask: 0 };
    let cache: EntryOut =
        peer.ask(opcode::MKDIR, ROOT, &[arguments.as_bytes(), &text("cache")].concat()).await.expect("made");
    assert_eq!((cache.attr.mode, fs::metadata(path("cache")).expect("there").mode()), (0o40555, 0o40755));
    // What the app sets later counts.
    fs::set_permissions(path("made"), fs::Permissions::from_mode(0o640)).expect("set");
    let shown = peer.walk("made").await.expect("there").attr;
    assert_eq!((shown.uid, shown.mode), (7, 0o100_640));

    // A file in its place is another one.
    peer.call(opcode::UNLINK, ROOT, &text("made")).await.expect("removed");
    fs::write(path("made"), "").expect("written");
    assert_eq!(peer.walk("made").await.expect("there").attr.uid, rustix::process::getuid().as_raw());

    // Devices are for root.
    let arguments = MkNodIn { mode: 0o020_666, rdev: 0x103, ..MkNodIn::default() };
    let refused = peer.call(opcode::MKNOD, ROOT, &[arguments.as_bytes(), &text("null")].concat()).await;
    assert_eq!(refused.err(), Some(errno(Errno::PERM)));
    let arguments = MkNodIn { mode: 0o010_666, ..MkNodIn::default() };
    peer.call(opcode::MKNOD, ROOT, &[arguments.as_bytes(), &text("fifo")].concat()).await.expect("made");
    // To open it here would wait.
    let fifo = peer.walk("fifo").await.expect("there").nodeid;
    assert_eq!(peer.open(fifo, 0).await.err(), Some(errno(Errno::NXIO)));
}

#[tokio::test]
async fn any_number_of_files_takes_no_descriptors() {
    let folder = tempfile::tempdir().expect("made");
    let expected: BTreeSet<String> = (0..20_000).map(|number| format!("file-{number:05}")).collect();
    for name in &expected {
        fs::write(folder.path().join(name), name).expect("written");
    }
    let server = server(folder.path());
    let mut peer = Peer::mount(&server).await;
    let before = fs::read_dir("/proc/self/fd").expect("readable").count();
    for (plus, size) in [(true, 128 << 10), (false, 4096)] {
        let listed = peer.list(ROOT, plus, size).await.expect("listed");
        let own = [".".to_owned(), "..".to_owned()];
        assert_eq!(listed.len(), 20_002, "nothing is repeated");
        assert_eq!(listed.into_iter().filter(|name| !own.contains(name)).collect::<BTreeSet<_>>(), expected);
    }
    assert_eq!(server.known(), 20_001);
    // Other tests of this process have some open meanwhile.
    let after = fs::read_dir("/proc/self/fd").expect("readable").count();
    assert!(after < before + 200, "{before} before, {after} after");
    assert_eq!(peer.content("file-19999").await.expect("read"), b"file-19999");
}

#[tokio::test]
async fn links_holes_and_appends() {
    let folder = tempfile::tempdir().expect("made");
    let path = |name: &str| folder.path().join(name);
    let mut peer = Peer::mount(&server(folder.path())).await;
    peer.call(opcode::SYMLINK, ROOT, &[text("l"), text("no/such")].concat()).await.expect("linked");
    let link = peer.walk("l").await.expect("there");
    assert_eq!(peer.call(opcode::READLINK, link.nodeid, &[]).await.expect("read"), b"no/such");
    assert_eq!(fs::read_link(path("l")).expect("there").to_str(), Some("no/such"));
    let times = SetAttrIn { valid: fattr::MTIME, mtime: 1, ..SetAttrIn::default() };
    peer.call(opcode::SETATTR, link.nodeid, times.as_bytes()).await.expect("set");
    assert_eq!(fs::symlink_metadata(path("l")).expect("there").mtime(), 1);

    let (entry, fh) = peer.create(ROOT, "sparse", O_RDWR, 0o100_644).await.expect("made");
    peer.write(entry.nodeid, fh, 1 << 20, b"end").await.expect("written");
    let arguments = LSeekIn { fh, offset: 0, whence: 3, padding: 0 };
    let data: LSeekOut = peer.ask(opcode::LSEEK, entry.nodeid, arguments.as_bytes()).await.expect("sought");
    assert_eq!(data.offset, 1 << 20);
    let (other, into) = peer.create(ROOT, "copy", O_RDWR, 0o100_644).await.expect("made");
    let arguments = CopyFileRangeIn {
        fh_in: fh,
        off_in: 1 << 20,
        nodeid_out: other.nodeid,
        fh_out: into,
        off_out: 0,
        len: 10,
        flags: 0,
    };
    peer.call(opcode::COPY_FILE_RANGE, entry.nodeid, arguments.as_bytes()).await.expect("copied");
    assert_eq!(fs::read(path("copy")).expect("there"), b"end");

    // What the app added meanwhile is not written over, whatever place the kernel took for the end.
    let appending = peer.open(other.nodeid, O_RDWR | O_APPEND).await.expect("opened");
    fs::write(path("copy"), "longer than before").expect("written");
    peer.write(other.nodeid, appending, 3, b"!").await.expect("written");
    assert_eq!(fs::read(path("copy")).expect("there"), b"longer than before!");
    peer.open(other.nodeid, O_RDWR | O_TRUNC).await.expect("opened");
    assert_eq!(fs::read(path("copy")).expect("there"), b"");
    // Not offered, so that the kernel does without.
    assert_eq!(peer.call(40, entry.nodeid, &[0; 24]).await.err(), Some(errno(Errno::NOSYS)));
}

#[tokio::test]
async fn a_path_may_be_longer_than_the_kernel_takes_at_once() {
    let folder = tempfile::tempdir().expect("made");
    let mut peer = Peer::mount(&server(folder.path())).await;
    let name = "d".repeat(250);
    let mut at = ROOT;
    for _ in 0..20 {
        let arguments = MkDirIn { mode: 0o755, umask: 0 };
        at = peer
            .ask::<EntryOut>(opcode::MKDIR, at, &[arguments.as_bytes(), &text(&name)].concat())
            .await
            .expect("made")
            .nodeid;
    }
    let (entry, fh) = peer.create(at, "f", O_RDWR, 0o100_644).await.expect("made");
    peer.write(entry.nodeid, fh, 0, b"deep").await.expect("written");
    peer.release(entry.nodeid, fh).await.expect("closed");
    let fh = peer.open(entry.nodeid, 0).await.expect("opened");
    assert_eq!(peer.read(entry.nodeid, fh, 0, 10).await.expect("read"), b"deep");
}

#[tokio::test]
async fn a_share_that_is_read_only_refuses_every_change() {
    let folder = tempfile::tempdir().expect("made");
    fs::write(folder.path().join("f"), "as it was").expect("written");
    symlink("f", folder.path().join("l")).expect("linked");
    let before = fs::metadata(folder.path().join("f")).expect("there");
    let settings = ShareSettings { read_only: true, ..ShareSettings::new(folder.path()) };
    let mut peer = Peer::mount(&Arc::new(Server::new(settings).expect("shared"))).await;
    let node = peer.walk("f").await.expect("there").nodeid;
    let fh = peer.open(node, 0).await.expect("opened");
    // By its number alone: what follows may be right or wrong.
    let changes = [
        opcode::SETATTR,
        opcode::SYMLINK,
        opcode::MKNOD,
        opcode::MKDIR,
        opcode::UNLINK,
        opcode::RMDIR,
        opcode::RENAME,
        opcode::LINK,
        opcode::WRITE,
        opcode::SETXATTR,
        opcode::REMOVEXATTR,
        opcode::CREATE,
        opcode::FALLOCATE,
        opcode::RENAME2,
        opcode::COPY_FILE_RANGE,
        opcode::TMPFILE,
    ];
    for change in changes {
        for at in [ROOT, node] {
            assert_eq!(peer.call(change, at, &text("f")).await.err(), Some(errno(Errno::ROFS)), "{change}");
        }
    }
    for flags in [1, O_RDWR, O_TRUNC, O_APPEND | 1, 3] {
        assert_eq!(peer.open(node, flags).await.err(), Some(errno(Errno::ROFS)), "{flags:o}");
    }
    assert_eq!(peer.write(node, fh, 0, b"x").await.err(), Some(errno(Errno::ROFS)));
    assert_eq!(peer.call(opcode::ACCESS, node, &[2, 0, 0, 0, 0, 0, 0, 0]).await.err(), Some(errno(Errno::ROFS)));
    assert_eq!(peer.read(node, fh, 0, 100).await.expect("read"), b"as it was");
    let after = fs::metadata(folder.path().join("f")).expect("there");
    assert_eq!((before.ctime_nsec(), before.mtime_nsec()), (after.ctime_nsec(), after.mtime_nsec()));
    assert_eq!(fs::read_dir(folder.path()).expect("there").count(), 2);
}

#[tokio::test]
async fn a_home_is_shared_without_its_dot_entries() {
    let folder = tempfile::tempdir().expect("made");
    for inner in [".ssh", "work/.git"] {
        fs::create_dir_all(folder.path().join(inner)).expect("made");
    }
    fs::write(folder.path().join(".ssh/key"), "secret").expect("written");
    fs::write(folder.path().join("f"), "f").expect("written");
    let settings = ShareSettings { without_dot_entries: true, ..ShareSettings::new(folder.path()) };
    let mut peer = Peer::mount(&Arc::new(Server::new(settings).expect("a folder"))).await;
    assert_eq!(peer.lookup(ROOT, ".ssh").await.err(), Some(errno(Errno::NOENT)));
    assert_eq!(peer.create(ROOT, ".bashrc", O_RDWR, 0o100_644).await.err(), Some(errno(Errno::ACCESS)));
    let into = |name: &str| {
        let arguments = Rename2In { newdir: ROOT, ..Rename2In::default() };
        [arguments.as_bytes(), &text("f"), &text(name)].concat()
    };
    for (operation, body, refused) in [
        (opcode::UNLINK, text(".ssh"), Errno::NOENT),
        (opcode::RMDIR, text(".ssh"), Errno::NOENT),
        (opcode::MKDIR, [MkDirIn::default().as_bytes(), &text(".config")].concat(), Errno::ACCESS),
        (opcode::SYMLINK, [text(".profile"), text("f")].concat(), Errno::ACCESS),
        (opcode::RENAME2, into(".profile"), Errno::ACCESS),
    ] {
        assert_eq!(peer.call(operation, ROOT, &body).await.err(), Some(errno(refused)), "{operation}");
    }
    peer.call(opcode::RENAME2, ROOT, &into("g")).await.expect("renamed");
    // Below it, they are files like others.
    let work = peer.lookup(ROOT, "work").await.expect("there");
    peer.lookup(work.nodeid, ".git").await.expect("there");
    let listed: BTreeSet<String> = peer
        .list(ROOT, true, 4096)
        .await
        .expect("listed")
        .into_iter()
        .filter(|name| !matches!(name.as_str(), "." | ".."))
        .collect();
    assert_eq!(listed, BTreeSet::from(["g".to_owned(), "work".to_owned()]));
}

#[tokio::test]
async fn of_what_is_hidden_only_what_is_named_is_shared() {
    let folder = tempfile::tempdir().expect("made");
    for inner in [".ssh", ".cache/x/.deep", ".cache/secret", ".config", "work"] {
        fs::create_dir_all(folder.path().join(inner)).expect("made");
    }
    let shown = [".cache/x", ".config"].map(Into::into).to_vec();
    let settings = ShareSettings { without_dot_entries: true, shown, ..ShareSettings::new(folder.path()) };
    let mut peer = Peer::mount(&Arc::new(Server::new(settings).expect("a folder"))).await;
    let mut names = BTreeMap::new();
    let cache = peer.lookup(ROOT, ".cache").await.expect("there").nodeid;
    let shown = peer.lookup(cache, "x").await.expect("there").nodeid;
    let config = peer.lookup(ROOT, ".config").await.expect("there").nodeid;
    for (at, folder) in [("home", ROOT), ("cache", cache), ("x", shown)] {
        let listed = peer.list(folder, true, 4096).await.expect("listed");
        names.insert(
            at,
            listed.into_iter().filter(|name| !matches!(name.as_str(), "." | "..")).collect::<BTreeSet<_>>(),
        );
    }
    let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    let expected = [("home", set(&[".cache", ".config", "work"])), ("cache", set(&["x"])), ("x", set(&[".deep"]))];
    assert_eq!(names, BTreeMap::from(expected));
    for (parent, name) in [(ROOT, ".ssh"), (cache, "secret"), (cache, ".ssh")] {
        assert_eq!(peer.lookup(parent, name).await.err(), Some(errno(Errno::NOENT)), "{name}");
    }
    peer.create(shown, "made", O_RDWR, 0o100_644).await.expect("made");
    peer.create(config, ".made", O_RDWR, 0o100_644).await.expect("made");
    for (parent, name) in [(cache, "made"), (ROOT, ".made")] {
        assert_eq!(peer.create(parent, name, O_RDWR, 0o100_644).await.err(), Some(errno(Errno::ACCESS)), "{name}");
    }
    // The folder on the way stays where it is: elsewhere it would show all that is in it, or something else would take its place.
    let work = peer.lookup(ROOT, "work").await.expect("there").nodeid;
    let rename = |newdir: u64, from: &str, to: &str, flags: u32| {
        let arguments = Rename2In { newdir, flags, ..Rename2In::default() };
        [arguments.as_bytes(), &text(from), &text(to)].concat()
    };
    for (operation, parent, body) in [
        (opcode::RENAME2, ROOT, rename(ROOT, ".cache", "seen", 0)),
        (opcode::RENAME2, ROOT, rename(work, ".cache", "seen", 0)),
        (opcode::RENAME2, ROOT, rename(ROOT, "work", ".cache", EXCHANGE)),
        (opcode::RENAME2, ROOT, rename(ROOT, ".cache", "work", EXCHANGE)),
        (opcode::RENAME2, cache, rename(ROOT, "secret", "seen", 0)),
        (opcode::RENAME2, shown, rename(cache, ".deep", "secret", EXCHANGE)),
        (opcode::RMDIR, ROOT, text(".cache")),
    ] {
        let refused = peer.call(operation, parent, &body).await.err();
        assert!([Errno::ACCESS, Errno::NOENT].map(|error| Some(errno(error))).contains(&refused), "{refused:?}");
    }
    let secret = folder.path().join(".cache/secret");
    assert!(secret.is_dir());
    // What the app itself moves elsewhere under a hidden name stays hidden, also for who knows its number.
    fs::rename(folder.path().join(".cache"), folder.path().join(".moved")).expect("renamed");
    assert_eq!(peer.lookup(cache, "secret").await.err(), Some(errno(Errno::NOENT)));
}
