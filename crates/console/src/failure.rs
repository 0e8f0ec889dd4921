//! Errors as the user sees them: what failed, why, what to do, what remains.

use std::process::ExitCode;

use sdocker::permission::Caller;
use serde_json::json;

use crate::printer::Printer;

/// Prints an error of this caller's, and says with which code to exit.
pub fn report(printer: &Printer, error: &anyhow::Error, caller: &Caller) -> ExitCode {
    let hints = sdocker::hints(error.as_ref(), caller);
    let (leaves, may_remain) = (sdocker::leaves(error.as_ref()), sdocker::remains(error.as_ref()));
    let remains = [leaves.clone(), may_remain.clone()].concat();
    let mut lines: Vec<String> = Vec::new();
    for cause in error.chain() {
        let line = cause.to_string();
        // A transparent error repeats its source.
        if lines.last().is_none_or(|last| !last.ends_with(&line)) {
            lines.push(line);
        }
    }
    // Text and lists of text are always JSON.
    let _ = printer.failure(&json!({"error": {"message": lines.join(": "), "hints": hints, "remains": remains}}));
    printer.error(&lines[0]);
    for line in &lines[1..] {
        tracing::error!("because: {line}");
        printer.stderr(&format!("  because: {line}"));
    }
    for what in sdocker::undone(error.as_ref()) {
        tracing::info!("undone: {what}");
        printer.stderr(&format!("  undone: {what}"));
    }
    for (label, list) in [("remains", leaves), ("may remain", may_remain)] {
        for what in list {
            tracing::error!("{label}: {what}");
            printer.stderr(&format!("  {label}: {what}"));
        }
    }
    for hint in hints {
        printer.hint(hint);
    }
    if remains.is_empty() { ExitCode::from(1) } else { ExitCode::from(3) }
}
