//! The stages of a host's bootstrap, as the host writes them into its `status` file.

use std::{fs, io, path::Path, path::PathBuf};

/// A line of the file: `<RFC 3339 time> <stage> <state> [detail]`.
#[derive(Clone, Debug, PartialEq, Eq)]
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
pub trait StageSource: Send + Sync {
    /// Every line so far, in order. Lines that can't be read are left out; nothing there yet is an empty list.
    fn lines(&self) -> Vec<StageLine>;
}

/// A `status` file on shared storage.
#[derive(Clone, Debug)]
pub struct StatusFile {
    path: PathBuf,
}

impl StatusFile {
    /// The file at this path, which need not exist yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }
}

impl StageSource for StatusFile {
    fn lines(&self) -> Vec<StageLine> {
        // Opened afresh each time: a network file system shows what another machine wrote when a file is opened.
        read_stages(&self.path).unwrap_or_default()
    }
}

/// The stages in a file.
///
/// # Errors
/// A file that can't be read. A missing one is empty.
pub fn read_stages(path: &Path) -> io::Result<Vec<StageLine>> {
    match fs::read(path) {
        Ok(bytes) => Ok(parse(&String::from_utf8_lossy(&bytes))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn parse(text: &str) -> Vec<StageLine> {
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
        let lines: Vec<_> = parse(text).into_iter().map(|line| (line.stage, line.state, line.detail)).collect();
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
    fn a_missing_file_has_no_stages() {
        assert_eq!(StatusFile::new("/nonexistent/status").lines(), []);
    }
}
