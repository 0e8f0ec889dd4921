//! The one owner of standard output and standard error. Printing never ends a command, nor changes what it does: what can't be
//! written is remembered, and said where it still can be.

use std::{
    fmt::Display,
    io::{self, BufRead as _, IsTerminal as _, Write as _},
    process::ExitCode,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use clap::ValueEnum;
use indicatif::{MultiProgress, ProgressDrawTarget};
use serde::Serialize;

use crate::{
    plain::{plain, plain_json},
    terminal::LastingTerminal,
    waiting::Waits,
};

/// How often bars are drawn in a second, at most.
const DRAWN_PER_SECOND: u8 = 20;

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Human,
    /// One JSON document.
    Json,
}

/// Results go to standard output; progress, hints, warnings and errors to standard error.
#[derive(Debug)]
pub struct Printer {
    output: Output,
    quiet: bool,
    bars: Option<MultiProgress>,
    // Two concurrent tasks must not mix their lines.
    line: Mutex<()>,
    waits: Waits,
    has_result: AtomicBool,
    /// Why a result did not reach standard output.
    lost: Mutex<Option<io::Error>>,
    /// Whether standard error can't be written to any more, which is logged once.
    is_unheard: AtomicBool,
}

impl Printer {
    /// The owner of this process's output. A notebook and a pipe get lines, not control codes.
    pub fn new(output: Output, quiet: bool, in_notebook: bool) -> Self {
        if in_notebook {
            // Its commands run on a terminal that understands nothing, in an environment that asks for colours (ipykernel's).
            console::set_colors_enabled(false);
            console::set_colors_enabled_stderr(false);
        }
        let bars = (io::stderr().is_terminal() && !in_notebook).then(|| {
            let terminal = Box::new(LastingTerminal::stderr());
            MultiProgress::with_draw_target(ProgressDrawTarget::term_like_with_hz(terminal, DRAWN_PER_SECOND))
        });
        Self {
            output,
            quiet,
            bars,
            line: Mutex::new(()),
            waits: Waits::new(),
            has_result: AtomicBool::new(false),
            lost: Mutex::new(None),
            is_unheard: AtomicBool::new(false),
        }
    }

    /// Whether the result is one JSON document.
    pub fn is_json(&self) -> bool {
        self.output == Output::Json
    }

    /// Where progress bars may be drawn; `None` in a notebook or a pipe.
    pub(crate) fn bars(&self) -> Option<&MultiProgress> {
        self.bars.as_ref().filter(|_| !self.quiet)
    }

    /// What is waited for.
    pub(crate) fn waits(&self) -> &Waits {
        &self.waits
    }

    /// The result of a command.
    ///
    /// # Errors
    /// It is no JSON.
    pub fn result(&self, json: &impl Serialize, human: impl FnOnce() -> String) -> anyhow::Result<()> {
        match self.output {
            Output::Json => {
                self.has_result.store(true, Ordering::Relaxed);
                self.stdout(&plain_json(&serde_json::to_string_pretty(json)?));
            }
            Output::Human => self.stdout(&human()),
        }
        Ok(())
    }

    /// The failure of a command, where its result was not printed before it: there is one JSON document at most.
    ///
    /// # Errors
    /// It is no JSON.
    pub fn failure(&self, json: &impl Serialize) -> anyhow::Result<()> {
        if self.is_json() && !self.has_result.load(Ordering::Relaxed) { self.result(json, String::new) } else { Ok(()) }
    }

    /// A result that is text whatever the output format: a script, a policy.
    pub fn stdout(&self, text: &str) {
        self.waits.end();
        let text = plain(text.trim_end_matches('\n'));
        if text.is_empty() {
            return;
        }
        self.suspended(|| {
            let mut stdout = io::stdout().lock();
            let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.write_all(b"\n"));
            // Only what was flushed is known to be written, or not: a full disk shows no earlier.
            if let Err(error) = written.and_then(|()| stdout.flush()) {
                tracing::error!("the result could not be written to standard output: {error}");
                self.lost.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            }
        });
    }

    /// The code to end with: 1 in place of 0 where a result was lost.
    pub fn final_code(&self, code: ExitCode) -> ExitCode {
        let Some(error) = self.lost.lock().unwrap_or_else(PoisonError::into_inner).take() else { return code };
        // Whoever closed the pipe, as `head` does, does not want the rest.
        if error.kind() != io::ErrorKind::BrokenPipe {
            self.error(format!("the result could not be written to standard output: {error}"));
            self.stderr("  what the command did is done");
        }
        if code == ExitCode::SUCCESS { ExitCode::from(1) } else { code }
    }

    /// What goes on, unless the user wants quiet.
    pub fn info(&self, line: impl Display) {
        if !self.quiet {
            self.stderr(&line.to_string());
        }
    }

    /// What is not as it should be, and did not stop the command.
    pub fn warn(&self, line: impl Display) {
        tracing::warn!("{line}");
        let label = console::style("warning:").for_stderr().yellow().bold();
        self.stderr(&format!("{label} {line}"));
    }

    /// What to do next, unless the user wants quiet.
    pub fn hint(&self, line: impl Display) {
        if !self.quiet {
            let label = console::style("hint:").for_stderr().cyan().bold();
            self.stderr(&format!("{label} {line}"));
        }
    }

    /// What failed.
    pub fn error(&self, line: impl Display) {
        tracing::error!("{line}");
        let label = console::style("error:").for_stderr().red().bold();
        self.stderr(&format!("{label} {line}"));
    }

    /// A line on standard error, whatever the user wants.
    pub fn stderr(&self, line: &str) {
        let line = plain(line);
        self.suspended(|| {
            // In one piece, so that what other processes write does not come between.
            if let Err(error) = io::stderr().lock().write_all(format!("{line}\n").as_bytes())
                && !self.is_unheard.swap(true, Ordering::Relaxed)
            {
                tracing::warn!("can't write to standard error any more ({error}); the work goes on");
            }
        });
        self.waits.heard();
    }

    /// Whether there is somebody who can answer: on a terminal, and not in a notebook.
    pub fn can_ask(&self) -> bool {
        self.bars.is_some() && io::stdin().is_terminal()
    }

    /// Asks a question that is answered with yes or no; `None` where nobody can answer.
    pub fn confirm(&self, question: &str) -> Option<bool> {
        if !self.can_ask() {
            return None;
        }
        // The user is waited for, and nobody else. No lock is held meanwhile: who interrupts is answered.
        let _asking = self.waits.pause();
        let mut answer = String::new();
        let mut ask = || {
            io::stderr().lock().write_all(plain(&format!("{question} [y/N] ")).as_bytes())?;
            // A line of a terminal has an end (termios(3), "Canonical and noncanonical mode").
            io::stdin().lock().read_line(&mut answer)
        };
        let _ = ask();
        self.waits.heard();
        Some(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
    }

    fn suspended(&self, write: impl FnOnce()) {
        let _turn = self.line.lock();
        match &self.bars {
            Some(bars) => bars.suspend(write),
            None => write(),
        }
    }
}
