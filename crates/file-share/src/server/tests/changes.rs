//! What the other side is told of changes, and what not.

use std::{
    fs,
    sync::Arc,
    time::{Duration, SystemTime},
};

use zerocopy::IntoBytes as _;

use super::peer::{Peer, server, text};
use crate::{
    Server, ShareSettings,
    message::{self, CACHE_DIR, KEEP_CACHE, OPEN_AGAIN, OUT_HEADER, OpenIn, OpenOut, Rename2In, notify, opcode},
    nodes::ROOT,
};

/// A notice as the peer has it.
fn name(folder: u64, name: &str) -> (i32, Vec<u8>) {
    (notify::INVAL_ENTRY, message::name_changed(folder, name.as_bytes())[OUT_HEADER..].to_vec())
}

fn file(node: u64, only_attributes: bool) -> (i32, Vec<u8>) {
    (notify::INVAL_INODE, message::file_changed(node, only_attributes)[OUT_HEADER..].to_vec())
}

#[tokio::test]
async fn the_other_side_is_told_of_changes_and_not_of_its_own() {
    let folder = tempfile::tempdir().expect("made");
    let path = |name: &str| folder.path().join(name);
    // Long enough for a machine that has much else to do.
    let settings =
        ShareSettings { gather_changes_for: Duration::from_millis(250), ..ShareSettings::new(folder.path()) };
    let mut peer = Peer::mount(&Arc::new(Server::new(settings).expect("shared"))).await;
    peer.attributes(ROOT).await.expect("there");
    // All that changes something, by the other side itself.
    let (entry, fh) = peer.create(ROOT, "own", 2, 0o100_644).await.expect("made");
    peer.write(entry.nodeid, fh, 0, b"text").await.expect("written");
    peer.release(entry.nodeid, fh).await.expect("closed");
    peer.call(opcode::LINK, ROOT, &[&entry.nodeid.to_ne_bytes()[..], &text("hard")].concat()).await.expect("linked");
    peer.call(opcode::UNLINK, ROOT, &text("hard")).await.expect("removed");
    // Changes are looked at here: the file has one name fewer, which the other side knows.
    fs::write(path("meanwhile"), "").expect("written");
    peer.notice(&name(ROOT, "meanwhile")).await;
    let rename = Rename2In { newdir: ROOT, ..Rename2In::default() };
    let rename = [rename.as_bytes(), &text("own"), &text("renamed")].concat();
    peer.call(opcode::RENAME2, ROOT, &rename).await.expect("renamed");
    peer.call(opcode::SYMLINK, ROOT, &[text("link"), text("to")].concat()).await.expect("linked");
    peer.call(opcode::MKDIR, ROOT, &[&[0xed, 1, 0, 0, 0, 0, 0, 0][..], &text("d")].concat()).await.expect("made");
    peer.call(opcode::RMDIR, ROOT, &text("d")).await.expect("removed");
    // A change by the app, whose notice comes after all that there may be of those.
    fs::write(path("last"), "").expect("written");
    peer.notice(&name(ROOT, "last")).await;
    let of_app = [name(ROOT, "meanwhile"), name(ROOT, "last"), file(ROOT, false)];
    let own = |notice: &&(i32, Vec<u8>)| !of_app.contains(notice);
    assert_eq!(peer.notices.iter().filter(own).collect::<Vec<_>>(), Vec::<&(i32, Vec<u8>)>::new());

    // The app's change of what the other side wrote.
    fs::write(path("renamed"), "TEXT").expect("written");
    peer.notice(&file(entry.nodeid, false)).await;
    peer.notices.clear();
    fs::remove_file(path("renamed")).expect("removed");
    peer.notice(&name(ROOT, "renamed")).await;
    assert_eq!(peer.notices[0], file(ROOT, false), "the names that are kept of the folder go first");
}

#[tokio::test]
async fn only_what_is_noticed_may_be_kept_for_long() {
    let folder = tempfile::tempdir().expect("made");
    let path = |name: &str| folder.path().join(name);
    fs::create_dir(path("d")).expect("made");
    fs::write(path("f"), "").expect("written");
    fs::write(path("two"), "").expect("written");
    fs::hard_link(path("two"), path("names")).expect("linked");
    let settings = ShareSettings::new(folder.path());
    let (long, short) = (settings.watched_cache_for.as_secs(), settings.cache_for.as_secs());
    let mut peer = Peer::mount(&server(folder.path())).await;
    let found = peer.lookup(ROOT, "f").await.expect("there");
    assert_eq!((found.entry_valid, found.attr_valid), (long, long));
    // By its other name it may be changed unnoticed.
    let found = peer.lookup(ROOT, "two").await.expect("there");
    assert_eq!((found.entry_valid, found.attr_valid), (long, short));
    // A folder's attributes change with what is in it.
    let found = peer.lookup(ROOT, "d").await.expect("there");
    assert_eq!((found.entry_valid, found.attr_valid), (long, short));
    assert!(peer.lookup(found.nodeid, "nothing").await.is_err());
    assert_eq!(peer.attributes(found.nodeid).await.expect("there").attr_valid, long);
    // A folder that moved away, unseen.
    assert_eq!(peer.attributes(ROOT).await.expect("there").attr_valid, long);

    let settings = ShareSettings { max_watches: 1, ..settings };
    let mut peer = Peer::mount(&Arc::new(Server::new(settings).expect("shared"))).await;
    assert_eq!(peer.lookup(ROOT, "f").await.expect("there").attr_valid, long);
    let d = peer.lookup(ROOT, "d").await.expect("there").nodeid;
    fs::write(path("d/f"), "").expect("written");
    let found = peer.lookup(d, "f").await.expect("there");
    assert_eq!((found.entry_valid, found.attr_valid), (short, short));
}

#[tokio::test]
async fn the_names_in_a_folder_may_be_kept_once_no_more_come_under_its_time() {
    const KEPT: u32 = KEEP_CACHE | CACHE_DIR | OPEN_AGAIN;
    let folder = tempfile::tempdir().expect("made");
    let settings = ShareSettings { max_watches: 1, ..ShareSettings::new(folder.path()) };
    fs::create_dir(folder.path().join("d")).expect("made");
    let changed = |name: &str, ago: Duration| {
        let at = SystemTime::now() - ago;
        fs::File::open(folder.path().join(name)).and_then(|folder| folder.set_modified(at)).expect("set");
    };
    let mut peer = Peer::mount(&Arc::new(Server::new(settings).expect("shared"))).await;
    let flags = async |peer: &mut Peer, node: u64| {
        let opened = peer.ask::<OpenOut>(opcode::OPENDIR, node, OpenIn::default().as_bytes()).await.expect("opened");
        opened.open_flags
    };
    changed("", Duration::ZERO);
    assert_eq!(flags(&mut peer, ROOT).await, 0);
    changed("", Duration::from_secs(1));
    assert_eq!(flags(&mut peer, ROOT).await, KEPT);
    // One of which nobody would tell that it has changed.
    changed("d", Duration::from_secs(1));
    let d = peer.lookup(ROOT, "d").await.expect("there").nodeid;
    assert_eq!(flags(&mut peer, d).await, 0);
}

#[tokio::test]
async fn names_that_are_kept_from_the_other_side_are_in_no_notice() {
    let folder = tempfile::tempdir().expect("made");
    let settings = ShareSettings { without_dot_entries: true, ..ShareSettings::new(folder.path()) };
    let mut peer = Peer::mount(&Arc::new(Server::new(settings).expect("shared"))).await;
    assert!(peer.lookup(ROOT, "nothing").await.is_err());
    for name in [".secret", "seen"] {
        fs::write(folder.path().join(name), "").expect("written");
    }
    peer.notice(&name(ROOT, "seen")).await;
    assert!(!peer.notices.contains(&name(ROOT, ".secret")), "{:?}", peer.notices);
}
