//! What the library tells: a spinner with the elapsed time on a terminal, lines elsewhere.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use sdocker::{Notice, Observer};

use crate::{printer::Printer, waiting::Waiting};

/// Shows what the library tells, and what it waits for.
pub struct Progress<'p> {
    printer: &'p Printer,
    running: Mutex<HashMap<String, Waiting<'p>>>,
}

impl<'p> Progress<'p> {
    /// Tells by this printer.
    pub fn new(printer: &'p Printer) -> Self {
        Self { printer, running: Mutex::default() }
    }

    fn start(&self, what: String) {
        let waiting = Waiting::visibly(self.printer, &what);
        self.running.lock().unwrap_or_else(PoisonError::into_inner).insert(what, waiting);
    }

    fn end(&self, what: &str) -> Option<Waiting<'p>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).remove(what)
    }
}

impl Observer for Progress<'_> {
    fn notice(&self, notice: Notice) {
        match notice {
            Notice::Asking(what) => self.start(what),
            Notice::Answered(what) => drop(self.end(&what)),
            Notice::Started(what) => {
                tracing::info!("{what}: started");
                self.start(what);
            }
            Notice::Finished { what, detail } => {
                let elapsed = self.end(&what).map(|stage| stage.elapsed()).unwrap_or_default();
                let detail = if detail.is_empty() { String::new() } else { format!(": {detail}") };
                let tick = console::style("✓").for_stderr().green();
                tracing::info!("{what}: done in {elapsed:?}{detail}");
                self.printer.info(format!("{tick} {what}{detail} ({:.1}s)", elapsed.as_secs_f64()));
            }
            Notice::Failed { what, detail } => {
                drop(self.end(&what));
                tracing::warn!("{what}: failed: {detail}");
                let cross = console::style("✗").for_stderr().red();
                self.printer.stderr(&format!("{cross} {what}: {detail}"));
            }
            Notice::Info(line) => self.printer.info(line),
            Notice::Warning(line) => self.printer.warn(line),
            Notice::Error(line) => self.printer.error(line),
            Notice::Hint(line) => self.printer.hint(line),
            Notice::LogTail(lines) => {
                self.printer.stderr("the end of the host's bootstrap log:");
                for line in lines {
                    self.printer.stderr(&format!("  | {line}"));
                }
            }
            _ => {}
        }
    }
}
