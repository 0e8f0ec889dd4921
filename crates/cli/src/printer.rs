//! The one owner of standard output and standard error.

use std::{
    fmt::Display,
    io::{self, IsTerminal as _, Write as _},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use indicatif::MultiProgress;
use serde::Serialize;

use crate::args::Output;

/// Results go to standard output; progress, hints, warnings and errors to standard error.
#[derive(Debug)]
pub(crate) struct Printer {
    output: Output,
    quiet: bool,
    bars: Option<MultiProgress>,
    // Two concurrent tasks must not mix their lines.
    line: Mutex<()>,
    has_result: AtomicBool,
}

impl Printer {
    /// A notebook and a pipe get lines, not control codes.
    pub(crate) fn new(output: Output, quiet: bool, in_notebook: bool) -> Self {
        if in_notebook {
            // Its commands run on a terminal that understands nothing, in an environment that asks for colours (ipykernel's).
            console::set_colors_enabled(false);
            console::set_colors_enabled_stderr(false);
        }
        let bars = (io::stderr().is_terminal() && !in_notebook).then(MultiProgress::new);
        Self { output, quiet, bars, line: Mutex::new(()), has_result: AtomicBool::new(false) }
    }

    pub(crate) fn is_json(&self) -> bool {
        self.output == Output::Json
    }

    /// Where progress bars may be drawn; `None` in a notebook or a pipe.
    pub(crate) fn bars(&self) -> Option<&MultiProgress> {
        self.bars.as_ref().filter(|_| !self.quiet)
    }

    /// The result of a command.
    pub(crate) fn result(&self, json: &impl Serialize, human: impl FnOnce() -> String) -> anyhow::Result<()> {
        match self.output {
            Output::Json => {
                self.has_result.store(true, Ordering::Relaxed);
                self.stdout(&serde_json::to_string_pretty(json)?);
            }
            Output::Human => self.stdout(&human()),
        }
        Ok(())
    }

    /// The failure of a command, where its result was not printed before it: there is one JSON document at most.
    pub(crate) fn failure(&self, json: &impl Serialize) -> anyhow::Result<()> {
        if self.is_json() && !self.has_result.load(Ordering::Relaxed) { self.result(json, String::new) } else { Ok(()) }
    }

    /// A result that is text whatever the output format: a script, a policy.
    pub(crate) fn stdout(&self, text: &str) {
        let text = text.trim_end_matches('\n');
        if text.is_empty() {
            return;
        }
        self.suspended(|| {
            // Whoever closed the pipe does not want the rest.
            let _ = writeln!(io::stdout().lock(), "{text}");
        });
    }

    /// What goes on, unless the user wants quiet.
    pub(crate) fn info(&self, line: impl Display) {
        if !self.quiet {
            self.stderr(&line.to_string());
        }
    }

    pub(crate) fn warn(&self, line: impl Display) {
        tracing::warn!("{line}");
        let label = console::style("warning:").for_stderr().yellow().bold();
        self.stderr(&format!("{label} {line}"));
    }

    pub(crate) fn hint(&self, line: impl Display) {
        if !self.quiet {
            let label = console::style("hint:").for_stderr().cyan().bold();
            self.stderr(&format!("{label} {line}"));
        }
    }

    pub(crate) fn error(&self, line: impl Display) {
        tracing::error!("{line}");
        let label = console::style("error:").for_stderr().red().bold();
        self.stderr(&format!("{label} {line}"));
    }

    pub(crate) fn stderr(&self, line: &str) {
        self.suspended(|| {
            let _ = writeln!(io::stderr().lock(), "{line}");
        });
    }

    fn suspended(&self, write: impl FnOnce()) {
        let _turn = self.line.lock();
        match &self.bars {
            Some(bars) => bars.suspend(write),
            None => write(),
        }
    }
}
