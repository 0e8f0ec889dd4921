//! The stages of a host's bootstrap, as the host writes them into its `status` file.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use whole_file::Links;

/// The largest file that is read; a whole bootstrap has a few kilobytes.
const MOST: u64 = 1 << 20;

/// How long shared storage has to answer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(2);

/// A line of the file: `<RFC 3339 time> <stage> <state> [detail]`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StageLine {
    /// When, by the host's clock.
    pub time: String,
    /// Which stage.
    pub stage: String,
    /// What became of it.
    pub state: StageState,
    /// What there is to say about it; may be empty.
    pub detail: String,
}

/// What became of a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StageState {
    /// It began.
    Started,
    /// It succeeded.
    Done,
    /// It failed, and with it the bootstrap.
    Failed,
    /// It went on, but not as well as it should.
    Warning,
    /// Something worth knowing.
    Info,
}

/// Where stages are read from.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
pub trait StageSource: Send + Sync {
    /// Every line so far, in order. Lines that can't be read are left out; nothing there yet is an empty list.
    fn lines(&self) -> Vec<StageLine>;
}

/// A `status` file on shared storage.
#[derive(Clone, Debug)]
pub struct StatusFile {
    path: PathBuf,
    /// A read is under way: of storage that hangs, one is enough.
    reading: Arc<AtomicBool>,
}

impl StatusFile {
    /// The file at this path, which need not exist yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), reading: Arc::default() }
    }
}

impl StageSource for StatusFile {
    fn lines(&self) -> Vec<StageLine> {
        if self.reading.swap(true, Ordering::AcqRel) {
            return Vec::new();
        }
        let Self { path, reading } = self.clone();
        // Opened afresh each time: a network file system shows what another machine wrote when a file is opened.
        let read = move || {
            let lines = read_stages(&path);
            reading.store(false, Ordering::Release);
            lines
        };
        whole_file::within(ANSWERS_WITHIN, read).unwrap_or_default()
    }
}

/// The stages in a file.
///
/// # Errors
/// A file that can't be read. A missing one is empty.
pub fn read_stages(path: &Path) -> io::Result<Vec<StageLine>> {
    // What runs on the host may have put anything there.
    match whole_file::read(path, MOST, Links::Refuse) {
        Ok(bytes) => Ok(stages_in(&String::from_utf8_lossy(&bytes))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// The stages in the text of such a file. Lines that can't be read are left out.
pub fn stages_in(text: &str) -> Vec<StageLine> {
    // What follows the last newline is still being written.
    let complete = text.rfind('\n').map_or("", |end| &text[..end]);
    complete.lines().filter_map(line).collect()
}

fn line(line: &str) -> Option<StageLine> {
    let mut words = line.splitn(4, ' ');
    let (time, stage, state) = (words.next()?, words.next()?, words.next()?);
    let state = match state {
        "started" => StageState::Started,
        "done" => StageState::Done,
        "failed" => StageState::Failed,
        "warning" => StageState::Warning,
        "info" => StageState::Info,
        _ => return None,
    };
    let detail = words.next().unwrap_or_default().trim().to_owned();
    Some(StageLine { time: time.to_owned(), stage: stage.to_owned(), state, detail })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_and_broken_ones_left_out() {
        let text = "2026-01-02T03:04:05Z mounts started\n\
                    nonsense\n\
                    2026-01-02T03:04:06Z mounts done 2 mounts in 1 s\n\
                    2026-01-02T03:04:07Z image failed no route to registry\n\
                    2026-01-02T03:04:08Z daemon done half a li";
        let lines: Vec<_> = stages_in(text).into_iter().map(|line| (line.stage, line.state, line.detail)).collect();
        assert_eq!(
            lines,
            [
                ("mounts".to_owned(), StageState::Started, String::new()),
                ("mounts".to_owned(), StageState::Done, "2 mounts in 1 s".to_owned()),
                ("image".to_owned(), StageState::Failed, "no route to registry".to_owned()),
            ]
        );
    }

    #[test]
    fn what_is_no_file_has_no_stages_and_keeps_nobody_waiting() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("status");
        assert!(std::process::Command::new("mkfifo").arg(&path).status().expect("coreutils").success());
        assert_eq!(StatusFile::new(&path).lines(), []);
        std::fs::remove_file(&path).expect("removed");
        // A container on the host may point it at any file of this user.
        std::os::unix::fs::symlink("secret", &path).expect("linked");
        std::fs::write(folder.path().join("secret"), "2026-01-02T03:04:05Z mounts started\n").expect("written");
        let status = StatusFile::new(&path);
        assert_eq!(status.lines(), []);
        std::fs::remove_file(&path).expect("removed");
        std::fs::rename(folder.path().join("secret"), &path).expect("renamed");
        assert_eq!(status.lines().len(), 1);
    }

    #[test]
    fn a_missing_file_has_no_stages() {
        assert_eq!(StatusFile::new("/nonexistent/status").lines(), []);
    }
}
