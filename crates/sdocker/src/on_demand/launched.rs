//! What this home remembers of the launches on demand, whatever becomes of the processes that made them.

use std::{fs::File, io, path::PathBuf};

use docker_on_demand::History;
use whole_file::Links;

use crate::{Error, Surroundings, error::Context as _, layout::Layout};

/// The largest file that is read: what a launch says when it fails has an end.
const MOST: u64 = 1 << 16;

fn file(surroundings: &Surroundings) -> PathBuf {
    Layout::new(surroundings).launches()
}

pub(super) fn read(surroundings: &Surroundings) -> crate::Result<History> {
    let file = file(surroundings);
    let unreadable = |error: io::Error| {
        let shown = file.display();
        let why = format!("it is not known how often hosts were launched: remove {shown}, which can't be read");
        Error::new(why).because(error)
    };
    match whole_file::read(&file, MOST, Links::Refuse) {
        Ok(text) => serde_json::from_slice(&text).map_err(|error| unreadable(error.into())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(History::default()),
        Err(error) => Err(unreadable(error)),
    }
}

pub(super) fn write(surroundings: &Surroundings, history: &History) -> crate::Result<()> {
    let file = file(surroundings);
    let text = serde_json::to_vec_pretty(history)?;
    whole_file::replace(&file, &text, 0o600).with_context(|| format!("cannot write {}", file.display()))
}

/// Forgets that the last launch failed, which was one of another wish. How many there were is remembered.
pub(super) fn forget_failure(surroundings: &Surroundings) -> crate::Result<()> {
    // Whoever launches now writes what comes of it.
    let Some(_claim) = claim(surroundings)? else { return Ok(()) };
    let mut history = read(surroundings)?;
    match history.failure.take() {
        Some(_) => write(surroundings, &history),
        None => Ok(()),
    }
}

/// The right to launch, among all apps of this home; `None` where another has it.
pub(super) fn claim(surroundings: &Surroundings) -> crate::Result<Option<File>> {
    let path = surroundings.sdocker_home.join("launching");
    let lock = whole_file::lock_file(&path).with_context(|| format!("cannot open {}", path.display()))?;
    let is_ours = whole_file::claim(&lock).with_context(|| format!("cannot lock {}", path.display()))?;
    Ok(is_ours.then_some(lock))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_cannot_be_read_is_no_permission_to_launch() {
        let home = tempfile::tempdir().expect("a folder");
        let surroundings = Surroundings::new(home.path());
        assert_eq!(read(&surroundings).expect("nothing yet"), History::default());
        let mut history = History::default();
        history.begun.push(std::time::Duration::from_millis(1_700_000_000_001));
        write(&surroundings, &history).expect("written");
        assert_eq!(read(&surroundings).expect("written"), history);
        forget_failure(&surroundings).expect("there is none");
        for broken in ["{", &" ".repeat(1 << 17)] {
            fs::write(file(&surroundings), broken).expect("written");
            let error = format!("{:#}", read(&surroundings).expect_err("it is broken"));
            assert!(error.contains("it is not known how often hosts were launched"), "{error}");
        }
    }
}
