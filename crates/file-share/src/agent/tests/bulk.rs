//! Writes that are on their way together.

use std::{
    fs::{self, File},
    io::Write as _,
    sync::mpsc,
    time::Duration,
};

use rustix::io::Errno;

use super::{mounted::mounted, places::mount_files};

const MIB: usize = 1 << 20;

/// A write that is not at the beginning of one is two for the kernel, of which the second is short.
const PAGE: usize = 4096;

#[test]
fn several_are_on_their_way_and_who_closes_the_file_waits_for_them() {
    let prepare = |app: &std::path::Path| fs::write(app.join("big"), "").expect("written");
    mounted(prepare, |share| {
        let mut file = File::options().write(true).open(share.host.join("big")).expect("opened");
        // What the kernel asks with the first write to a mount it does not ask again.
        file.write_all(&[0; PAGE]).expect("written");
        let held = share.hold();
        let (told, events) = mpsc::channel();
        let within = Duration::from_secs(60);
        std::thread::scope(|scope| {
            scope.spawn(move || {
                for byte in 1..=8 {
                    file.write_all(&vec![byte; MIB]).expect("taken");
                }
                told.send("written").expect("heard");
                drop(file);
                told.send("closed").expect("heard");
            });
            assert_eq!(events.recv_timeout(within), Ok("written"));
            assert_eq!(
                fs::metadata(share.app.join("big")).expect("there").len(),
                PAGE as u64,
                "the server does nothing"
            );
            assert_eq!(events.recv_timeout(Duration::from_millis(200)), Err(mpsc::RecvTimeoutError::Timeout));
            drop(held);
            assert_eq!(events.recv_timeout(within), Ok("closed"));
        });
        let written = fs::read(share.app.join("big")).expect("there");
        assert_eq!(written.len(), PAGE + 8 * MIB);
        let is_whole = |byte: usize| {
            let from = PAGE + (byte - 1) * MIB;
            written[from..from + MIB].iter().all(|is| usize::from(*is) == byte)
        };
        assert!((1..=8).all(is_whole));
    });
}

#[test]
fn a_full_disk_is_told_to_who_writes_or_closes() {
    mounted(
        |app| mount_files(app, "4m"),
        |share| {
            let path = share.host.join("big");
            // One that is told by the next write, and one by the end.
            for size in [64, 5] {
                let mut file = File::create(&path).expect("made");
                let refused = (0..size).find_map(|_| file.write_all(&[7; MIB]).err());
                // As fsync(2) says it, close(2) does.
                let refused = refused.or_else(|| file.sync_all().err()).expect("there is no room for that");
                assert_eq!(Errno::from_io_error(&refused), Some(Errno::NOSPC));
                drop(file);
            }
            let mut copy = std::process::Command::new("dd");
            copy.args(["if=/dev/zero", "bs=1M", "count=5", "status=none"]).arg(format!("of={}", path.display()));
            let copied = copy.output().expect("it runs");
            assert!(!copied.status.success() && String::from_utf8_lossy(&copied.stderr).contains("No space left"));
            // There is room again, and nothing is told twice.
            fs::remove_file(&path).expect("removed");
            fs::write(&path, vec![1; 2 * MIB]).expect("written");
            assert_eq!(fs::read(share.app.join("big")).expect("there"), vec![1; 2 * MIB]);
        },
    );
}

#[test]
fn nothing_is_lost_by_breaks() {
    mounted(
        |_| {},
        |share| {
            let stop = std::sync::atomic::AtomicBool::new(false);
            std::thread::scope(|scope| {
                let writing = scope.spawn(|| {
                    let mut rounds = 0_u8;
                    while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                        rounds = rounds.wrapping_add(1);
                        let path = share.host.join("big");
                        fs::write(&path, vec![rounds; 5 * MIB]).expect("no break is seen");
                        assert!(fs::read(share.app.join("big")).expect("there").iter().all(|byte| *byte == rounds));
                        assert_eq!(fs::metadata(&path).expect("there").len(), 5 * MIB as u64);
                    }
                    rounds
                });
                for _ in 0..20 {
                    share.connect();
                    std::thread::sleep(Duration::from_millis(20));
                }
                stop.store(true, std::sync::atomic::Ordering::Relaxed);
                assert!(writing.join().expect("it ends") > 0);
            });
        },
    );
}
