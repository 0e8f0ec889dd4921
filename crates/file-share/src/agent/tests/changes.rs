//! What the app changes is seen in containers at once, though the kernel keeps what it knows for an hour.

use std::{
    fs,
    io::{Read as _, Seek as _, Write as _},
    path::PathBuf,
    time::{Duration, Instant},
};

use super::mounted::{Share, mounted_with};
use crate::ShareSettings;

const HOUR: Duration = Duration::from_secs(3600);

fn kept_for_an_hour(root: PathBuf) -> ShareSettings {
    ShareSettings { cache_for: HOUR, watched_cache_for: HOUR, ..ShareSettings::new(root) }
}

/// How long something takes to be seen.
fn seen(what: &str, mut is_seen: impl FnMut() -> bool) -> Duration {
    let began = Instant::now();
    while !is_seen() {
        assert!(began.elapsed() < Duration::from_secs(20), "{what} is not seen");
        std::thread::sleep(Duration::from_micros(200));
    }
    began.elapsed()
}

/// What a file begins with. Not by `fs::read`, which asks for the file's attributes: the kernel takes its time of access for out of date after
/// each read, and would learn of a change by the way.
fn read(share: &Share, name: &str) -> String {
    let mut bytes = [0; 64];
    let read = fs::File::open(share.host.join(name)).and_then(|mut file| file.read(&mut bytes));
    String::from_utf8_lossy(&bytes[..read.unwrap_or_default()]).into_owned()
}

#[test]
fn edits_are_seen_within_50_ms() {
    let prepare = |app: &std::path::Path| {
        fs::create_dir_all(app.join("d/inner")).expect("made");
        fs::write(app.join("f"), "0").expect("written");
    };
    mounted_with(kept_for_an_hour, prepare, |share| {
        let mut took = Vec::new();
        for round in 1..=15 {
            let text = |word: &str| format!("{word}{round}");
            // In place, of the same size half of the time.
            assert!(!read(share, "f").is_empty());
            fs::write(share.app.join("f"), text("")).expect("written");
            took.push(seen("an edit in place", || read(share, "f") == text("")));
            // As editors do it.
            fs::write(share.app.join("new"), text("renamed")).expect("written");
            fs::rename(share.app.join("new"), share.app.join("f")).expect("renamed");
            took.push(seen("a replacement", || read(share, "f") == text("renamed")));
            // New names, in a folder that was listed before.
            let listed = || fs::read_dir(share.host.join("d/inner")).expect("there").count();
            let before = listed();
            assert!(!share.host.join(text("d/inner/n")).exists(), "that it is not there may be kept");
            fs::write(share.app.join("d/inner").join(text("n")), text("n")).expect("written");
            took.push(seen("a new file", || read(share, &text("d/inner/n")) == text("n")));
            took.push(seen("the new file in its folder", || listed() == before + 1));
            fs::remove_file(share.app.join("d/inner").join(text("n"))).expect("removed");
            took.push(seen("a removal", || !share.host.join(text("d/inner/n")).exists()));
            // Folders that move, with what is in them.
            fs::write(share.app.join("d/inner/moves"), "").expect("written");
            assert!(share.host.join("d/inner/moves").exists());
            fs::rename(share.app.join("d"), share.app.join("e")).expect("renamed");
            took.push(seen("a moved folder", || {
                share.host.join("e/inner/moves").exists() && !share.host.join("d").exists()
            }));
            fs::rename(share.app.join("e"), share.app.join("d")).expect("renamed");
            took.push(seen("a moved folder", || share.host.join("d/inner/moves").exists()));
            // Attributes alone.
            let mode = if round % 2 == 0 { 0o640 } else { 0o604 };
            let permissions = std::os::unix::fs::PermissionsExt::from_mode(mode);
            fs::set_permissions(share.app.join("f"), permissions).expect("set");
            took.push(seen("a mode", || {
                let found = fs::metadata(share.host.join("f")).expect("there");
                std::os::unix::fs::MetadataExt::mode(&found) & 0o777 == mode
            }));
        }
        took.sort();
        // Of the median: this machine may do something else meanwhile.
        let (median, most) = (took[took.len() / 2], took[took.len() - 1]);
        assert!(median < Duration::from_millis(50), "{median:?}, at most {most:?}");
    });
}

#[test]
fn an_open_file_and_a_mapping_see_edits() {
    mounted_with(
        kept_for_an_hour,
        |app| fs::write(app.join("f"), "one").expect("written"),
        |share| {
            let mut open = fs::File::open(share.host.join("f")).expect("opened");
            let again = |open: &mut fs::File| {
                let mut bytes = [0; 64];
                let read = open.rewind().and_then(|()| open.read(&mut bytes)).expect("read");
                String::from_utf8_lossy(&bytes[..read]).into_owned()
            };
            assert_eq!(again(&mut open), "one");
            for text in ["two", "six", "seven", "s"] {
                fs::write(share.app.join("f"), text).expect("written");
                seen("an edit", || again(&mut open) == text);
            }
            // What a program that is mapped contains: there is no request by which the kernel would find out.
            let script = "import mmap, time
end = time.monotonic() + 20
with open('f', 'rb') as f:
    m = mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)
    print(m[:1].decode(), flush=True)
    while m[:1] != b'S': assert time.monotonic() < end
    print('seen', flush=True)";
            let mut mapping = std::process::Command::new("python3");
            mapping.args(["-c", script]).current_dir(&share.host).stdout(std::process::Stdio::piped());
            let Ok(mut mapping) = mapping.spawn() else { return };
            let mut lines = std::io::BufRead::lines(std::io::BufReader::new(mapping.stdout.take().expect("piped")));
            assert_eq!(lines.next().expect("a line").expect("read"), "s");
            fs::File::options()
                .write(true)
                .open(share.app.join("f"))
                .and_then(|mut f| f.write_all(b"S"))
                .expect("written");
            assert_eq!(lines.next().expect("a line").expect("read"), "seen");
            mapping.wait().expect("it ends");
        },
    );
}

#[test]
fn what_was_not_noticed_is_told_after_a_break() {
    mounted_with(
        kept_for_an_hour,
        |app| fs::write(app.join("f"), "before").expect("written"),
        |share| {
            assert_eq!(read(share, "f"), "before");
            share.cut();
            fs::write(share.app.join("f"), "after!").expect("written");
            share.connect();
            seen("an edit during a break", || read(share, "f") == "after!");
            // More than the system keeps for a reader (inotify(7), `max_queued_events`): nothing is known of single changes.
            let queued = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").expect("readable");
            let queued: usize = queued.trim().parse().expect("a number");
            share.cut();
            for _ in 0..queued / 3 {
                for name in ["x", "y"] {
                    fs::File::create(share.app.join(name)).expect("made");
                    fs::remove_file(share.app.join(name)).expect("removed");
                }
            }
            fs::write(share.app.join("f"), "at last").expect("written");
            share.connect();
            seen("an edit among many", || read(share, "f") == "at last");
        },
    );
}

#[test]
fn without_room_for_watches_edits_are_seen_within_a_second() {
    let settings = |root| ShareSettings { max_watches: 0, watched_cache_for: HOUR, ..ShareSettings::new(root) };
    mounted_with(
        settings,
        |app| fs::write(app.join("f"), "before").expect("written"),
        |share| {
            assert_eq!(read(share, "f"), "before");
            fs::write(share.app.join("f"), "after").expect("written");
            let took = seen("an edit", || read(share, "f") == "after");
            // A second, and what this machine takes for something else; where folders are watched it would be kept for an hour.
            assert!(took < Duration::from_millis(2500), "{took:?}");
        },
    );
}

#[test]
fn what_is_read_again_takes_no_messages() {
    const FILES: usize = 300;
    let name = |n: usize| format!("d/{n}");
    let prepare = |app: &std::path::Path| {
        fs::create_dir(app.join("d")).expect("made");
        (0..FILES).for_each(|n| fs::write(app.join(name(n)), format!("text {n}")).expect("written"));
    };
    mounted_with(kept_for_an_hour, prepare, |share| {
        let listed = || fs::read_dir(share.host.join("d")).expect("there").count();
        let all = || listed() + (0..FILES).filter(|n| read(share, &name(*n)) == format!("text {n}")).count();
        // The names are kept once their folder has not changed for a moment.
        std::thread::sleep(Duration::from_millis(60));
        assert_eq!(all(), 2 * FILES);
        let before = share.asked();
        assert_eq!(all(), 2 * FILES);
        let asked = share.asked() - before;
        // Whether the server is there is asked now and then.
        assert!(asked < 1000, "{asked} bytes for {FILES} files");
        // An edit is seen, by the next who opens the file; and what is open may be removed.
        fs::write(share.app.join(name(1)), "new").expect("written");
        seen("an edit", || read(share, &name(1)) == "new");
        let mut open = fs::File::open(share.host.join(name(2))).expect("opened");
        // What the kernel has of it is dropped.
        rustix::fs::fadvise(&open, 0, None, rustix::fs::Advice::DontNeed).expect("dropped");
        fs::remove_file(share.host.join(name(2))).expect("removed");
        let mut text = String::new();
        open.read_to_string(&mut text).expect("read");
        assert_eq!(text, "text 2");
        assert!(!share.app.join(name(2)).exists());
    });
}

#[test]
fn to_look_at_a_file_again_that_was_read_takes_no_message() {
    const FILES: usize = 300;
    let name = |n: usize| format!("d/{n}");
    let prepare = |app: &std::path::Path| {
        fs::create_dir(app.join("d")).expect("made");
        (0..FILES).for_each(|n| fs::write(app.join(name(n)), "text").expect("written"));
    };
    mounted_with(kept_for_an_hour, prepare, |share| {
        let open = |n: usize| fs::File::open(share.host.join(name(n))).expect("opened");
        assert!((0..FILES).all(|n| share.host.join(name(n)).exists()));
        // As `tar` does it: has the file changed while it was read?
        let before = share.asked();
        for n in 0..FILES {
            let (mut file, mut text) = (open(n), [0; 8]);
            assert_eq!((file.read(&mut text).expect("read"), file.metadata().expect("there").len()), (4, 4));
        }
        // OPEN, READ and RELEASE, of 48, 80 and 64 bytes; GETATTR would be 56 more.
        let asked = (share.asked() - before) / FILES as u64;
        assert!((180..210).contains(&asked), "{asked} bytes a file");
        // What it is once it has been written to, by either side.
        let mut file = open(0);
        fs::File::options()
            .append(true)
            .open(share.host.join(name(0)))
            .and_then(|mut f| f.write_all(b"!"))
            .expect("written");
        assert_eq!(file.metadata().expect("there").len(), 5);
        assert_eq!(file.read(&mut [0; 8]).expect("read"), 5);
        fs::write(share.app.join(name(0)), "longer").expect("written");
        seen("another size", || file.metadata().expect("there").len() == 6);
    });
}

#[test]
fn a_folder_is_listed_as_it_is_however_soon_changes_follow() {
    mounted_with(
        kept_for_an_hour,
        |app| fs::create_dir(app.join("d")).expect("made"),
        |share| {
            let names = |at: &std::path::Path| {
                let names = fs::read_dir(at.join("d")).expect("there").map(|entry| entry.expect("read").file_name());
                names.collect::<std::collections::BTreeSet<_>>()
            };
            for round in 0..60_u64 {
                // Two changes, and somebody who lists all the time: before, between and after them.
                let name = |n: u64| share.app.join(format!("d/{round}-{n}"));
                let until = Instant::now() + Duration::from_millis(100 + round);
                let listing = || {
                    while Instant::now() < until {
                        names(&share.host);
                    }
                };
                std::thread::scope(|scope| {
                    scope.spawn(listing);
                    std::thread::sleep(Duration::from_millis(60));
                    fs::write(name(0), "").expect("written");
                    // Up to several of the kernel's ticks, by whose number a file system says when it was changed.
                    std::thread::sleep(Duration::from_micros(170 * round));
                    fs::write(name(1), "").expect("written");
                    // What `tar -x` and `rsync` do: the folder looks as old as before.
                    if round % 3 == 0 {
                        let old = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1);
                        fs::File::open(share.app.join("d")).and_then(|d| d.set_modified(old)).expect("set");
                    }
                });
                seen("both", || names(&share.host) == names(&share.app));
                // Of the host itself, it knows at once.
                fs::remove_file(share.host.join(format!("d/{round}-0"))).expect("removed");
                fs::write(share.host.join(format!("d/{round}-2")), "").expect("written");
                assert_eq!(names(&share.host), names(&share.app));
            }
        },
    );
}

#[test]
fn what_is_open_across_another_client_is_an_error_and_not_another_file() {
    mounted_with(
        kept_for_an_hour,
        |app| fs::write(app.join("f"), "text").expect("written"),
        |share| {
            assert_eq!((read(share, "f"), read(share, "f")), ("text".to_owned(), "text".to_owned()));
            let mut open = fs::File::open(share.host.join("f")).expect("opened");
            share.restart();
            seen("the file, by its name", || read(share, "f") == "text");
            let mut bytes = Vec::new();
            match open.read_to_end(&mut bytes) {
                Ok(_) => assert_eq!(bytes, b"text"),
                Err(error) => assert_eq!(error.raw_os_error(), Some(rustix::io::Errno::STALE.raw_os_error())),
            }
        },
    );
}
