//! Streams that break: what was done is answered again, and not done again.

use std::{fs, sync::Arc};

use rustix::io::Errno;
use zerocopy::IntoBytes as _;

use super::peer::{Peer, errno, server, text};
use crate::{
    Hello, LostConnection, PING, PONG, Server,
    message::{CreateIn, MkDirIn, opcode},
    nodes::ROOT,
};

#[tokio::test]
async fn a_request_that_is_repeated_is_done_once() {
    let folder = tempfile::tempdir().expect("made");
    let server = server(folder.path());
    let mut peer = Peer::mount(&server).await;
    let arguments = CreateIn { flags: 0o302, mode: 0o100_644, ..CreateIn::default() };
    let message = peer.message(opcode::CREATE, ROOT, &[arguments.as_bytes(), &text("new")].concat());
    // A stream that breaks after each byte of the request; then one that breaks before the answer.
    for length in (0..message.len()).step_by(7).chain([message.len()]) {
        let mut peer = Peer::connect(&server, [7; 16]).await;
        peer.send(&message[..length]).await;
        peer.close().await;
        assert_eq!(folder.path().join("new").exists(), length == message.len(), "{length}");
    }
    // Done anew, O_EXCL would make it fail.
    let mut peer = Peer::connect(&server, [7; 16]).await;
    peer.send(&message).await;
    let (_, first) = peer.receive().await.expect("an answer");
    peer.send(&message).await;
    let (_, second) = peer.receive().await.expect("an answer");
    assert_eq!(first.expect("made"), second.expect("made"));
    assert_eq!(fs::read_dir(folder.path()).expect("there").count(), 1);
}

#[tokio::test]
async fn open_files_go_on_after_a_break_and_not_after_a_new_mount() {
    let folder = tempfile::tempdir().expect("made");
    let server = server(folder.path());
    let mut peer = Peer::mount(&server).await;
    let (entry, fh) = peer.create(ROOT, "f", 2, 0o100_600).await.expect("made");
    drop(peer);
    let mut peer = Peer::connect(&server, [7; 16]).await;
    peer.write(entry.nodeid, fh, 0, b"after").await.expect("written");
    assert_eq!(fs::read(folder.path().join("f")).expect("there"), b"after");

    // Another mount: numbers of the first mean nothing, answers to it are not given, owners stay.
    let mut peer = Peer::connect(&server, [8; 16]).await;
    peer.init().await;
    assert_eq!(peer.read(entry.nodeid, fh, 0, 10).await.err(), Some(errno(Errno::BADF)));
    assert_eq!(peer.attributes(entry.nodeid).await.err(), Some(errno(Errno::STALE)));
    let found = peer.walk("f").await.expect("there");
    assert_ne!(found.nodeid, entry.nodeid);
    assert_eq!(found.attr.uid, entry.attr.uid);
}

#[tokio::test]
async fn another_process_gives_out_other_numbers() {
    let folder = tempfile::tempdir().expect("made");
    fs::write(folder.path().join("f"), "").expect("written");
    let mut first = Peer::mount(&server(folder.path())).await;
    let before = first.walk("f").await.expect("there").nodeid;
    // The host's kernel still holds the numbers of a server that ended.
    let mut second = Peer::connect(&server(folder.path()), [7; 16]).await;
    assert_eq!(second.attributes(before).await.err(), Some(errno(Errno::STALE)));
    assert_ne!(second.walk("f").await.expect("there").nodeid, before);
}

#[tokio::test]
async fn a_later_stream_takes_over() {
    let folder = tempfile::tempdir().expect("made");
    let server = server(folder.path());
    let first = Peer::mount(&server).await;
    let mut second = Peer::connect(&server, [7; 16]).await;
    second.attributes(ROOT).await.expect("answered");
    assert!(matches!(first.closed().await, LostConnection::Ended));
}

#[tokio::test(start_paused = true)]
async fn silence_ends_a_stream() {
    let folder = tempfile::tempdir().expect("made");
    let server: Arc<Server> = server(folder.path());
    let mut peer = Peer::mount(&server).await;
    let message = peer.message(PING, 0, &[]);
    peer.send(&message).await;
    assert_eq!(peer.receive().await, Some((0, Err(-PONG))));
    assert!(matches!(peer.closed().await, LostConnection::Silent));
}

#[tokio::test]
async fn what_greets_otherwise_is_no_agent() {
    let folder = tempfile::tempdir().expect("made");
    let server = server(folder.path());
    let (mut ours, theirs) = tokio::io::duplex(1024);
    let serving = tokio::spawn(async move {
        let (reader, writer) = tokio::io::split(theirs);
        server.serve(reader, writer).await
    });
    tokio::io::AsyncWriteExt::write_all(&mut ours, &[b'x'; Hello::LENGTH]).await.expect("sent");
    assert!(matches!(serving.await.expect("no panic"), LostConnection::Protocol(_)));
}

#[tokio::test]
async fn folders_are_made_once_under_many_breaks() {
    let folder = tempfile::tempdir().expect("made");
    let server = server(folder.path());
    let mut unique = Peer::mount(&server).await;
    for number in 0..50 {
        let arguments = MkDirIn { mode: 0o755, umask: 0 };
        let message =
            unique.message(opcode::MKDIR, ROOT, &[arguments.as_bytes(), &text(&format!("d{number}"))].concat());
        let mut lost = Peer::connect(&server, [7; 16]).await;
        lost.send(&message).await;
        lost.close().await;
        let mut again = Peer::connect(&server, [7; 16]).await;
        again.send(&message).await;
        again.receive().await.expect("an answer").1.expect("made");
    }
    assert_eq!(fs::read_dir(folder.path()).expect("there").count(), 50);
}
