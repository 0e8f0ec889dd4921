//! Reading what others may have written: only regular files, and no more of them than is expected.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom},
    path::Path,
    sync::mpsc,
    thread,
    time::Duration,
};

use rustix::fs::{Mode, OFlags};

/// Whether a link in place of the file is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Links {
    /// As people keep their dotfiles elsewhere.
    Follow,
    /// Where others can write to the folder: a link would let them have any file of the reader's read.
    Refuse,
}

/// The content of a file of at most this many bytes.
///
/// Nothing that is no regular file is read: a pipe would be waited for, and a device may never end. A file on a network file system may keep the
/// caller waiting nevertheless: where that matters, this is called on a thread that can be given up.
///
/// # Errors
/// No such file; no regular file, or a link that is refused; a file that is larger ([`io::ErrorKind::FileTooLarge`]).
pub fn read(path: &Path, at_most: u64, links: Links) -> io::Result<Vec<u8>> {
    let file = open(path, links)?;
    let mut bytes = Vec::new();
    // It may grow meanwhile.
    file.take(at_most.saturating_add(1)).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length <= at_most) {
        return Ok(bytes);
    }
    Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it is larger than {at_most} bytes")))
}

/// The content of a file of at most this many bytes, which must be UTF-8.
///
/// # Errors
/// As [`read`]; bytes that are not UTF-8 ([`io::ErrorKind::InvalidData`]).
pub fn read_text(path: &Path, at_most: u64, links: Links) -> io::Result<String> {
    let not_text = |_| io::Error::new(io::ErrorKind::InvalidData, "stream did not contain valid UTF-8");
    String::from_utf8(read(path, at_most, links)?).map_err(not_text)
}

/// The last bytes of a file, at most this many.
///
/// # Errors
/// No such file; no regular file, or a link that is refused.
pub fn read_end(path: &Path, at_most: u64, links: Links) -> io::Result<Vec<u8>> {
    let mut file = open(path, links)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(at_most)))?;
    let mut bytes = Vec::new();
    file.take(at_most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Does something on a thread of its own, and gives it up after this long: a file system whose server is gone keeps its callers waiting for
/// ever. The thread then goes on by itself.
///
/// # Errors
/// What the work says; [`io::ErrorKind::TimedOut`].
pub fn within<T: Send + 'static>(
    limit: Duration,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let (send, receive) = mpsc::sync_channel(1);
    // Nobody may be there any more to take the answer.
    thread::Builder::new().name("files".to_owned()).spawn(move || drop(send.send(work())))?;
    let late = |_| io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {} s", limit.as_secs()));
    receive.recv_timeout(limit).map_err(late)?
}

fn open(path: &Path, links: Links) -> io::Result<File> {
    // Without waiting: a pipe opens at once, and is seen to be one.
    let mut flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    if links == Links::Refuse {
        flags |= OFlags::NOFOLLOW;
    }
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"))
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink, process::Command};

    use super::*;

    #[test]
    fn what_does_not_answer_is_given_up() {
        assert_eq!(within(Duration::from_secs(60), || Ok(7)).expect("answered"), 7);
        let (_held, never) = mpsc::channel::<()>();
        let waits = move || never.recv().map_err(io::Error::other);
        let given_up = within(Duration::from_millis(10), waits).expect_err("nobody answers");
        assert_eq!(given_up.kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn only_regular_files_are_read_and_no_more_of_them_than_expected() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let at = |name: &str| folder.path().join(name);
        fs::write(at("file"), "content").expect("written");
        symlink("file", at("link")).expect("linked");
        assert!(Command::new("mkfifo").arg(at("pipe")).status().expect("coreutils").success());
        assert_eq!(read(&at("file"), 7, Links::Refuse).expect("read"), b"content");
        assert_eq!(read_text(&at("link"), 7, Links::Follow).expect("read"), "content");
        assert_eq!(read_end(&at("file"), 3, Links::Refuse).expect("read"), b"ent");
        assert_eq!(read_end(&at("file"), 70, Links::Refuse).expect("read"), b"content");
        let kind = |name: &str, at_most, links| read(&at(name), at_most, links).expect_err(name).kind();
        assert_eq!(kind("file", 6, Links::Follow), io::ErrorKind::FileTooLarge);
        assert!(read(&at("link"), 7, Links::Refuse).is_err());
        assert_eq!(kind("pipe", 7, Links::Follow), io::ErrorKind::InvalidInput);
        assert_eq!(kind(".", 7, Links::Follow), io::ErrorKind::InvalidInput);
        assert_eq!(kind("none", 7, Links::Follow), io::ErrorKind::NotFound);
        // A device that never ends, too.
        assert_eq!(
            read(Path::new("/dev/zero"), 7, Links::Follow).expect_err("refused").kind(),
            io::ErrorKind::InvalidInput
        );
    }
}
