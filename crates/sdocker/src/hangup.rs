//! A creation whose terminal was closed: nobody saw how it ended, so the next command says it.

use std::fs;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use whole_file::Links;

use crate::{Surroundings, durations::minute, layout::Layout};

/// The largest file that is read.
const MOST: u64 = 1 << 16;

/// How a creation ended whose terminal was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Ended {
    /// Nothing of it is left.
    Undone,
    /// Something may be.
    Remaining,
}

#[derive(Debug, Serialize, Deserialize)]
struct Note {
    at: Timestamp,
    ended: Ended,
}

/// Keeps for the next command how a creation ended whose terminal was closed.
pub fn remember(surroundings: &Surroundings, ended: Ended) {
    let path = Layout::new(surroundings).hangup();
    let note = Note { at: Timestamp::now(), ended };
    let written = serde_json::to_vec_pretty(&note).map_err(Into::into);
    if let Err(error) = written.and_then(|bytes| whole_file::replace(&path, &bytes, 0o600)) {
        tracing::warn!("that the terminal was closed can't be kept in {}: {error}", path.display());
    }
}

/// What to say of a creation whose terminal was closed, once.
pub fn notice(surroundings: &Surroundings) -> Option<String> {
    let path = Layout::new(surroundings).hangup();
    let text = whole_file::read_text(&path, MOST, Links::Follow).ok()?;
    // What can't be removed would be said for ever.
    fs::remove_file(&path).ok()?;
    let note: Note = serde_json::from_str(&text).ok()?;
    let what = match note.ended {
        Ended::Undone => "and nothing of it is left",
        Ended::Remaining => "and something of it may be left: run `sdocker recover`",
    };
    Some(format!(
        "the terminal of the last `create-host` was closed, so it was stopped at {}, {what}; in tmux, or with `nohup`, it would have gone on",
        minute(note.at)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_once() {
        let home = tempfile::tempdir().expect("made");
        let surroundings = Surroundings::new(home.path());
        assert_eq!(notice(&surroundings), None);
        remember(&surroundings, Ended::Remaining);
        let said = notice(&surroundings).expect("said");
        assert!(said.contains("was closed") && said.contains("sdocker recover"), "{said}");
        assert_eq!(notice(&surroundings), None);
    }
}
