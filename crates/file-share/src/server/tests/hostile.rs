//! A host that sends whatever it likes gets nothing outside the share, and does not end or fill the server.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use proptest::prelude::*;
use rustix::io::Errno;
use tokio::io::AsyncWriteExt as _;
use zerocopy::IntoBytes as _;

use super::peer::{Peer, errno, server, text};
use crate::{
    LostConnection, MAX_MESSAGE, PING, Server, ShareSettings,
    message::{BatchForgetIn, HEADER, InHeader, Rename2In, SetAttrIn, WriteIn, fattr, opcode},
    nodes::ROOT,
};

const SECRET: &[u8] = b"not shared";

/// A share with a secret beside it.
fn beside_a_secret() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let folder = tempfile::tempdir().expect("made");
    let (share, outside) = (folder.path().join("share"), folder.path().join("outside"));
    for path in [&share, &outside] {
        fs::create_dir(path).expect("made");
    }
    fs::write(outside.join("secret"), SECRET).expect("written");
    (folder, share, outside)
}

fn untouched(outside: &Path) {
    let names: Vec<_> = fs::read_dir(outside).expect("there").map(|entry| entry.expect("read").file_name()).collect();
    assert_eq!(names, ["secret"]);
    assert_eq!(fs::read(outside.join("secret")).expect("there"), SECRET);
}

#[tokio::test]
async fn names_lead_nowhere_else() {
    let (_folder, share, outside) = beside_a_secret();
    fs::create_dir(share.join("d")).expect("made");
    let mut peer = Peer::mount(&server(&share)).await;
    let d = peer.walk("d").await.expect("there").nodeid;
    let long = "n".repeat(256);
    for name in ["", ".", "..", "../outside", "/etc", "d/..", "/", long.as_str()] {
        let wrong = |answered: super::peer::Answered| assert!(matches!(answered, Err(22 | 36)), "{name}: {answered:?}");
        for at in [ROOT, d] {
            wrong(peer.call(opcode::LOOKUP, at, &text(name)).await);
            wrong(peer.call(opcode::MKDIR, at, &[&[0; 8][..], &text(name)].concat()).await);
            wrong(peer.call(opcode::CREATE, at, &[&[0; 16][..], &text(name)].concat()).await);
            wrong(peer.call(opcode::MKNOD, at, &[&[0; 16][..], &text(name)].concat()).await);
            wrong(peer.call(opcode::UNLINK, at, &text(name)).await);
            wrong(peer.call(opcode::RMDIR, at, &text(name)).await);
            wrong(peer.call(opcode::SYMLINK, at, &[text(name), text("x")].concat()).await);
            wrong(peer.call(opcode::LINK, at, &[&d.to_ne_bytes()[..], &text(name)].concat()).await);
            let to = Rename2In { newdir: ROOT, ..Rename2In::default() };
            wrong(peer.call(opcode::RENAME2, at, &[to.as_bytes(), &text(name), &text("x")].concat()).await);
            wrong(peer.call(opcode::RENAME2, at, &[to.as_bytes(), &text("d"), &text(name)].concat()).await);
            wrong(peer.call(opcode::RENAME, at, &[&ROOT.to_ne_bytes()[..], &text("d"), &text(name)].concat()).await);
        }
    }
    // A name without an end.
    assert_eq!(peer.call(opcode::LOOKUP, ROOT, b"d").await.err(), Some(errno(Errno::INVAL)));
    untouched(&outside);
    assert_eq!(fs::read_dir(&share).expect("there").count(), 1);
}

#[tokio::test]
async fn links_are_not_followed() {
    let (_folder, share, outside) = beside_a_secret();
    symlink(outside.join("secret"), share.join("to-file")).expect("linked");
    symlink(&outside, share.join("to-folder")).expect("linked");
    symlink("/proc/self/root", share.join("to-root")).expect("linked");
    let mut peer = Peer::mount(&server(&share)).await;
    for name in ["to-file", "to-folder", "to-root"] {
        let link = peer.walk(name).await.expect("there").nodeid;
        assert_eq!(peer.open(link, 0).await.err(), Some(errno(Errno::LOOP)), "{name}");
        assert_eq!(peer.lookup(link, "secret").await.err(), Some(errno(Errno::NOTDIR)), "{name}");
        assert_eq!(peer.create(link, "new", 2, 0o644).await.err(), Some(errno(Errno::NOTDIR)), "{name}");
        assert_eq!(peer.call(opcode::OPENDIR, link, &[0; 8]).await.err(), Some(errno(Errno::NOTDIR)), "{name}");
        for change in [
            SetAttrIn { valid: fattr::SIZE, ..SetAttrIn::default() },
            SetAttrIn { valid: fattr::MODE, mode: 0o777, ..SetAttrIn::default() },
        ] {
            assert!(peer.call(opcode::SETATTR, link, change.as_bytes()).await.is_err(), "{name}");
        }
    }
    // To create at a link's name does not create what it leads to.
    symlink(outside.join("made"), share.join("dangling")).expect("linked");
    assert!(peer.create(ROOT, "dangling", 2, 0o644).await.is_err());
    untouched(&outside);
}

#[tokio::test]
async fn what_leaves_the_share_is_out_of_reach() {
    let (_folder, share, outside) = beside_a_secret();
    fs::create_dir_all(share.join("d/inner")).expect("made");
    fs::write(share.join("d/inner/f"), "f").expect("written");
    let mut peer = Peer::mount(&server(&share)).await;
    let inner = peer.walk("d/inner").await.expect("there").nodeid;
    let file = peer.walk("d/inner/f").await.expect("there").nodeid;
    // The app moves a folder out that the host knows, and puts a link in its place.
    fs::rename(share.join("d"), share.with_file_name("moved")).expect("moved");
    symlink(&outside, share.join("d")).expect("linked");
    for node in [inner, file] {
        assert_eq!(peer.attributes(node).await.err(), Some(errno(Errno::STALE)));
        assert_eq!(peer.open(node, 0).await.err(), Some(errno(Errno::STALE)));
    }
    assert_eq!(peer.lookup(inner, "f").await.err(), Some(errno(Errno::STALE)));
    assert_eq!(peer.create(inner, "new", 2, 0o644).await.err(), Some(errno(Errno::STALE)));
    untouched(&outside);
}

#[tokio::test]
async fn no_race_of_renames_opens_a_way_out() {
    let (_folder, share, outside) = beside_a_secret();
    fs::create_dir_all(share.join("d/sub")).expect("made");
    fs::write(share.join("d/sub/secret"), "inside").expect("written");
    symlink(outside.parent().expect("a folder"), share.join("link")).expect("linked");
    fs::create_dir(outside.with_file_name("sub")).expect("made");
    fs::write(outside.with_file_name("sub").join("secret"), SECRET).expect("written");
    let stop = Arc::new(AtomicBool::new(false));
    // `d` is a folder and a link to outside, in turns.
    let swapping = std::thread::spawn({
        let (stop, share) = (stop.clone(), share.clone());
        move || {
            let mut swaps = 0_u32;
            while !stop.load(Ordering::Relaxed) {
                let flags = rustix::fs::RenameFlags::EXCHANGE;
                let cwd = rustix::fs::CWD;
                rustix::fs::renameat_with(cwd, share.join("d"), cwd, share.join("link"), flags).expect("exchanged");
                swaps += 1;
            }
            swaps
        }
    });
    let mut peer = Peer::mount(&server(&share)).await;
    let (mut inside, mut refused) = (0, 0);
    for _ in 0..2000 {
        match peer.content("d/sub/secret").await {
            Ok(content) => {
                assert_eq!(content, b"inside");
                inside += 1;
            }
            Err(_) => refused += 1,
        }
    }
    stop.store(true, Ordering::Relaxed);
    let swaps = swapping.join().expect("it swapped");
    assert!(swaps > 100 && inside > 0 && refused > 0, "{swaps} {inside} {refused}");
}

#[tokio::test]
async fn numbers_that_were_not_given_out_mean_nothing() {
    let (_folder, share, outside) = beside_a_secret();
    fs::write(share.join("f"), "f").expect("written");
    let mut peer = Peer::mount(&server(&share)).await;
    let file = peer.walk("f").await.expect("there").nodeid;
    let fh = peer.open(file, 2).await.expect("opened");
    use std::os::unix::fs::MetadataExt as _;
    let secret = fs::metadata(outside.join("secret")).expect("there").ino();
    for node in [0, 2, secret, file + 1, file - 1, u64::MAX] {
        assert_eq!(peer.attributes(node).await.err(), Some(errno(Errno::STALE)));
        assert_eq!(peer.open(node, 0).await.err(), Some(errno(Errno::STALE)));
        assert_eq!(peer.read(node, fh, 0, 10).await.err(), Some(errno(Errno::BADF)), "the file of another node");
        assert_eq!(peer.release(node, fh).await.err(), Some(errno(Errno::BADF)));
    }
    for handle in [0, 1, 2, fh + 1, u64::MAX] {
        assert_eq!(peer.read(file, handle, 0, 10).await.err(), Some(errno(Errno::BADF)));
        assert_eq!(peer.write(file, handle, 0, b"x").await.err(), Some(errno(Errno::BADF)));
    }
    // A file is no folder, and a folder no file.
    assert_eq!(peer.open(ROOT, 0).await.err(), Some(errno(Errno::ISDIR)));
    assert_eq!(peer.call(opcode::OPENDIR, file, &[0; 8]).await.err(), Some(errno(Errno::NOTDIR)));
    // Forgotten, as often as one likes.
    let forget = peer.message(opcode::FORGET, file, &u64::MAX.to_ne_bytes());
    peer.send(&forget).await;
    let forget = peer.message(opcode::FORGET, ROOT, &u64::MAX.to_ne_bytes());
    peer.send(&forget).await;
    assert_eq!(peer.attributes(file).await.err(), Some(errno(Errno::STALE)));
    peer.attributes(ROOT).await.expect("the root stays");
}

#[tokio::test]
async fn lengths_are_not_believed() {
    let (_folder, share, _) = beside_a_secret();
    let server = server(&share);
    let header = |len: usize| InHeader {
        len: u32::try_from(len).expect("short"),
        unique: 2,
        nodeid: ROOT,
        ..InHeader::default()
    };
    for wrong in [0, 1, HEADER - 1, MAX_MESSAGE + 1, u32::MAX as usize] {
        let mut peer = Peer::connect(&server, [1; 16]).await;
        peer.send(header(wrong).as_bytes()).await;
        let ended = peer.closed().await;
        assert!(matches!(ended, LostConnection::Protocol(_)), "{wrong}: {ended}");
    }
    let mut peer = Peer::mount(&server).await;
    let (entry, fh) = peer.create(ROOT, "f", 2, 0o644).await.expect("made");
    // More than the message holds.
    for size in [4, u32::MAX] {
        let arguments = WriteIn { fh, size, ..WriteIn::default() };
        let answered = peer.call(opcode::WRITE, entry.nodeid, &[arguments.as_bytes(), b"abc"].concat()).await;
        assert_eq!(answered.err(), Some(errno(Errno::INVAL)));
    }
    assert_eq!(peer.write(entry.nodeid, fh, u64::MAX, b"abc").await.err(), Some(errno(Errno::INVAL)));
    assert_eq!(peer.read(entry.nodeid, fh, 0, u32::MAX).await.expect("read"), b"");
    assert!(peer.read(entry.nodeid, fh, u64::MAX, u32::MAX).await.is_err());
    let forget = BatchForgetIn { count: u32::MAX, dummy: 0 };
    let message = peer.message(opcode::BATCH_FORGET, 0, forget.as_bytes());
    peer.send(&message).await;
    // One that is cut off waits for the rest, and ends with the stream.
    let message = peer.message(opcode::LOOKUP, ROOT, &text("f"));
    peer.send(&message[..HEADER + 1]).await;
    assert!(matches!(peer.close().await, LostConnection::Ended));
}

#[tokio::test]
async fn a_flood_meets_limits() {
    let (_folder, share, _) = beside_a_secret();
    for number in 0..30 {
        fs::write(share.join(format!("f{number}")), "f").expect("written");
    }
    let settings = ShareSettings { max_open: 10, max_known: 20, max_owners: 5, ..ShareSettings::new(&share) };
    let server = Arc::new(Server::new(settings).expect("shared"));
    let mut peer = Peer::mount(&server).await;
    let file = peer.walk("f0").await.expect("there").nodeid;
    let mut opened = Vec::new();
    let refused = loop {
        match peer.open(file, 0).await {
            Ok(fh) => opened.push(fh),
            Err(error) => break error,
        }
    };
    assert_eq!((opened.len(), refused), (10, errno(Errno::NFILE)));
    assert_eq!(peer.create(ROOT, "new", 2, 0o644).await.err(), Some(errno(Errno::NFILE)));
    assert!(!share.join("new").exists(), "a file that can't be opened is not made");
    peer.release(file, opened[0]).await.expect("closed");
    peer.open(file, 0).await.expect("there is room again");
    let mut known = 0;
    while known < 30 && peer.lookup(ROOT, &format!("f{known}")).await.is_ok() {
        known += 1;
    }
    assert_eq!((known, server.known()), (19, 20));
    assert_eq!(peer.lookup(ROOT, "f29").await.err(), Some(errno(Errno::NFILE)));

    // Many requests at once, none of whose answers is taken: the server stops reading, and goes on when they are.
    let mut sent = Vec::new();
    for _ in 0..5000 {
        sent.extend(peer.message(opcode::GETATTR, ROOT, &[0; 16]));
    }
    peer.send(&sent).await;
    for _ in 0..5000 {
        assert!(matches!(peer.receive().await, Some((_, Ok(_)))));
    }
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_what_needs_no_work_meets_limits_too() {
    let (_folder, share, _) = beside_a_secret();
    let mut peer = Peer::mount(&server(&share)).await;
    let lookup = peer.message(opcode::LOOKUP, ROOT, &text("missing"));
    let (ping, interrupt) = (peer.message(PING, 0, &[]), peer.message(opcode::INTERRUPT, 0, &[0; 8]));
    for flood in [lookup, ping, interrupt] {
        // More than both sides of the stream hold; none of the answers is taken.
        let many = (5 << 20) / flood.len();
        let bytes = flood.repeat(many);
        let mut sending = std::pin::pin!(peer.writer.write_all(&bytes));
        let sent = tokio::time::timeout(std::time::Duration::from_secs(1), &mut sending).await;
        assert!(sent.is_err(), "the server takes requests whose answers nobody takes");
        // It goes on when they are.
        let mut answers = 0;
        let mut sent = false;
        while answers < many {
            let mut answer = std::pin::pin!(Peer::message_from(&mut peer.reader));
            loop {
                tokio::select! {
                    done = &mut sending, if !sent => { done.expect("sent"); sent = true; }
                    answer = &mut answer => break drop(answer.expect("an answer")),
                }
            }
            answers += 1;
        }
    }
}

/// Requests that are nearly right.
fn requests() -> impl Strategy<Value = Vec<(u32, u8, Vec<u8>)>> {
    let body = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..120),
        (prop::collection::vec(prop_oneof![Just(0_u8), Just(1), any::<u8>()], 0..64), "[a-c./]{0,4}")
            .prop_map(|(head, name)| [head, text(&name), text("b")].concat()),
        "[a-c]{1,2}".prop_map(|name| text(&name)),
    ];
    prop::collection::vec((0_u32..60, any::<u8>(), body), 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_message_ends_the_server_or_leaves_the_share(requests in requests()) {
        let (_folder, share, outside) = beside_a_secret();
        fs::create_dir_all(share.join("a/b")).expect("made");
        fs::write(share.join("b"), "b").expect("written");
        symlink(&outside, share.join("c")).expect("linked");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let mut peer = Peer::mount(&server(&share)).await;
            let mut nodes = vec![0, ROOT, 2];
            for name in ["a", "b", "c"] {
                nodes.push(peer.lookup(ROOT, name).await.expect("there").nodeid);
            }
            for (operation, node, body) in requests {
                let node = nodes[usize::from(node) % nodes.len()];
                let message = peer.message(operation, node, &body);
                peer.send(&message).await;
                let silent = [opcode::FORGET, opcode::BATCH_FORGET, opcode::DESTROY, opcode::NOTIFY_REPLY];
                if !silent.contains(&operation) {
                    drop(peer.receive().await.expect("an answer").1);
                }
            }
            peer.attributes(ROOT).await.expect("it answers still");
        });
        untouched(&outside);
    }
}
