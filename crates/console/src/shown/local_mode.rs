//! Local Mode: what was installed and configured for it.

use sdocker::{local_mode::Configured, setup::SetUp};

/// What was configured, or would be.
pub fn configured(configured: &Configured) -> String {
    done(configured, "Local Mode is configured already")
}

/// What was put back.
pub fn deconfigured(undone: &Configured) -> String {
    done(undone, "nothing to undo")
}

fn done(configured: &Configured, nothing: &str) -> String {
    let mut lines = configured.actions.clone();
    lines.extend(configured.kept.iter().map(|kept| format!("kept: {kept}")));
    if lines.is_empty() {
        return nothing.to_owned();
    }
    if configured.dry_run {
        lines.push("nothing was changed (--dry-run)".to_owned());
    }
    lines.join("\n")
}

/// What was installed, or would be.
pub fn set_up(done: &SetUp) -> String {
    if done.actions.is_empty() {
        "nothing is missing".to_owned()
    } else if done.dry_run {
        format!("{}\nnothing was changed (--dry-run)", done.actions.join("\n"))
    } else {
        "everything that Local Mode needs is installed".to_owned()
    }
}
