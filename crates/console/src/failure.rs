//! Errors as the user sees them: what failed, why, what to do, what remains.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

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

/// Help and version, or what is wrong with the command line: in JSON as well, where that was asked for.
pub fn usage(answer: &clap::Error, json: bool) -> ExitCode {
    let mut printed = answer.print();
    if json && answer.exit_code() != 0 {
        let text = answer.to_string();
        let message = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
        let failure = json!({"error": {"message": message, "hints": [], "remains": []}});
        printed = printed.and_then(|()| writeln!(io::stdout(), "{failure:#}"));
    }
    match (answer.exit_code(), printed.and_then(|()| io::stdout().flush())) {
        (0, Err(_)) => ExitCode::FAILURE,
        (code, _) => ExitCode::from(u8::try_from(code).unwrap_or(2)),
    }
}
