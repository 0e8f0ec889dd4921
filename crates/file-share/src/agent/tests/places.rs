//! What is mounted below a share, and what becomes of writes where there is no room.

use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    os::unix::fs::MetadataExt as _,
    path::Path,
    time::{Duration, Instant},
};

use rustix::{
    io::Errno,
    mount::{MountFlags, mount, mount_bind},
};

use super::mounted::mounted;

pub(super) fn mount_files(at: &Path, size: &str) {
    let options = std::ffi::CString::new(format!("size={size},mode=0755")).expect("no NUL");
    mount("tmpfs", at, "tmpfs", MountFlags::NOSUID, options.as_c_str()).expect("mounted");
}

#[test]
fn mounts_below_a_share_are_crossed_and_never_seen_empty() {
    let prepare = |app: &Path| {
        for name in ["efs", "later", "bound", "kernel", "elsewhere"] {
            fs::create_dir(app.join(name)).expect("made");
        }
        fs::write(app.join("later/beneath"), "").expect("written");
        mount_files(&app.join("efs"), "1m");
        fs::write(app.join("efs/f"), "on EFS").expect("written");
        fs::write(app.join("elsewhere/g"), "bound").expect("written");
        mount_bind(app.join("elsewhere"), app.join("bound")).expect("mounted");
        mount("proc", app.join("kernel"), "proc", MountFlags::NOSUID, None).expect("mounted");
    };
    mounted(prepare, |share| {
        let host = |name: &str| share.host.join(name);
        assert_eq!(fs::read_to_string(host("efs/f")).expect("read"), "on EFS");
        assert_eq!(fs::read_to_string(host("bound/g")).expect("read"), "bound");
        fs::write(host("efs/new"), "back").expect("written");
        assert_eq!(fs::read_to_string(share.app.join("efs/new")).expect("read"), "back");
        // What is no files is refused, and said in a listing.
        for refused in [fs::read_dir(host("kernel")).map(|_| ()), fs::read(host("kernel/self/environ")).map(|_| ())] {
            assert_eq!(refused.expect_err("refused").raw_os_error(), Some(Errno::ACCESS.raw_os_error()));
        }
        let names = fs::read_dir(&share.host).expect("there").count();
        assert_eq!(names, 5);
        // As between file systems of one machine.
        let moved = fs::hard_link(host("efs/f"), host("f")).expect_err("another file system");
        assert_eq!(Errno::from_io_error(&moved), Some(Errno::XDEV));
        // Two files of one number are two files.
        let number = |name: &str| fs::metadata(host(name)).expect("there").ino();
        fs::write(host("elsewhere/h"), "").expect("written");
        let app = |name: &str| fs::metadata(share.app.join(name)).expect("there").ino();
        assert_eq!(number("elsewhere/h"), app("elsewhere/h"));
        assert_ne!(number("efs/f"), app("efs/f"));
        // Room is that of the place.
        let room = |at: &Path| rustix::fs::statvfs(at).map(|found| found.f_blocks * found.f_frsize).expect("there");
        assert_eq!(room(&host("efs")), 1 << 20);
        assert_eq!(room(&share.host), room(&share.app));
        // Mounted where the host has already looked.
        assert!(host("later/beneath").exists());
        mount_files(&share.app.join("later"), "1m");
        fs::write(share.app.join("later/f"), "later").expect("written");
        let began = Instant::now();
        while fs::read_to_string(host("later/f")).ok().as_deref() != Some("later") {
            assert!(began.elapsed() < Duration::from_secs(2), "what is mounted later is not seen");
        }
        assert!(!host("later/beneath").exists());
    });
}

#[test]
fn a_full_disk_of_the_app_is_full_in_containers() {
    mounted(
        |app| mount_files(app, "1m"),
        |share| {
            let mut file = File::create(share.host.join("big")).expect("made");
            let mut written = 0;
            let refused = loop {
                match file.write(&[7; 50_000]) {
                    Ok(count) => written += count,
                    Err(error) => break error,
                }
            };
            assert_eq!(Errno::from_io_error(&refused), Some(Errno::NOSPC));
            // What was written is.
            let found = fs::metadata(share.app.join("big")).expect("there").len();
            assert_eq!(usize::try_from(found), Ok(written));
            assert!((900_000..=1 << 20).contains(&written), "{written}");
            fs::remove_file(share.host.join("big")).expect("removed");
            drop(file);
            fs::write(share.host.join("small"), "room again").expect("written");
            assert_eq!(fs::read_to_string(share.app.join("small")).expect("there"), "room again");
        },
    );
}

#[test]
fn no_synced_write_is_lost_by_breaks_and_by_the_end_of_the_client() {
    mounted(
        |_| {},
        |share| {
            let stop = std::sync::atomic::AtomicBool::new(false);
            std::thread::scope(|scope| {
                let writing = scope.spawn(|| {
                    let mut file =
                        File::options().append(true).create(true).open(share.host.join("log")).expect("made");
                    let mut synced = 0_u32;
                    while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                        writeln!(file, "{synced}").and_then(|()| file.sync_data()).expect("no break is seen");
                        synced += 1;
                    }
                    synced
                });
                let lines = || fs::read_to_string(share.app.join("log")).unwrap_or_default().lines().count();
                for _ in 0..30 {
                    let before = lines();
                    while lines() < before + 3 {
                        std::thread::yield_now();
                    }
                    share.connect();
                }
                stop.store(true, std::sync::atomic::Ordering::Relaxed);
                let synced = writing.join().expect("it ends");
                let text = fs::read_to_string(share.app.join("log")).expect("there");
                let expected: String = (0..synced).map(|number| format!("{number}\n")).collect();
                assert_eq!(text, expected, "each once, in order");
            });

            // Another process serves the same mount: what is open is stale, and what was synced is there.
            let mut file = File::create(share.host.join("last")).expect("made");
            file.write_all(b"synced").and_then(|()| file.sync_all()).expect("synced");
            share.restart();
            assert_eq!(fs::read_to_string(share.app.join("last")).expect("there"), "synced");
            assert!(file.write_all(b"more").is_err(), "what is written is not said to be where it is not");
            let mut text = String::new();
            File::open(share.host.join("last"))
                .and_then(|mut file| file.read_to_string(&mut text))
                .expect("opened anew");
            assert_eq!(text, "synced");
        },
    );
}

#[test]
fn the_kernel_reads_further_ahead_than_by_itself() {
    mounted(
        |_| {},
        |share| {
            // It has begun once something is answered.
            assert!(fs::metadata(&share.host).expect("there").is_dir());
            let device = fs::metadata(&share.host).expect("there").dev();
            let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
            let Ok(read_ahead) = fs::read_to_string(format!("/sys/class/bdi/{major}:{minor}/read_ahead_kb")) else {
                return;
            };
            assert_eq!(read_ahead.trim(), "2048");
        },
    );
}
