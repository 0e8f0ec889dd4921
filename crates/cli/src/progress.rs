//! Progress of long work: a spinner with the elapsed time on a terminal, lines elsewhere.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use host_provisioner::{Event, Observer, Warning};

use crate::{printer::Printer, waiting::Waiting};

/// Progress of one command.
pub(crate) struct Progress<'p> {
    printer: &'p Printer,
    state: Arc<State>,
}

/// What the observer of the provisioner, which must outlive every borrow, shares with its command.
#[derive(Default)]
struct State {
    queue: Mutex<Vec<Event>>,
    warnings: Mutex<Vec<Warning>>,
    arrived: tokio::sync::Notify,
}

/// Collects events; [`Progress::drive`] shows them as they come.
struct Collector(Arc<State>);

impl Observer for Collector {
    fn notice(&self, event: &Event) {
        if let Ok(mut queue) = self.0.queue.lock() {
            queue.push(event.clone());
        }
        self.0.arrived.notify_one();
    }
}

impl<'p> Progress<'p> {
    pub(crate) fn new(printer: &'p Printer) -> Self {
        Self { printer, state: Arc::default() }
    }

    /// The observer to give to a provisioner.
    pub(crate) fn observer(&self) -> Arc<dyn Observer> {
        Arc::new(Collector(self.state.clone()))
    }

    /// The warnings so far.
    pub(crate) fn warnings(&self) -> Vec<Warning> {
        self.state.warnings.lock().map(|warnings| warnings.clone()).unwrap_or_default()
    }

    /// A warning that is shown and remembered, each once.
    pub(crate) fn warn(&self, warning: Warning) {
        if let Ok(mut warnings) = self.state.warnings.lock() {
            if warnings.contains(&warning) {
                return;
            }
            warnings.push(warning.clone());
        }
        self.printer.warn(warning);
    }

    /// Shows what the observer is told while the work goes on.
    pub(crate) async fn drive<T>(&self, work: impl Future<Output = T>) -> T {
        let mut stages = Stages::new(self.printer);
        tokio::pin!(work);
        loop {
            let done = tokio::select! {
                biased;
                result = &mut work => Some(result),
                () = self.state.arrived.notified() => None,
            };
            let events = self.state.queue.lock().map(|mut queue| std::mem::take(&mut *queue)).unwrap_or_default();
            for event in events {
                match event {
                    Event::Started(step) => stages.start(&step.to_string()),
                    Event::Finished(step) => stages.finish(&step.to_string(), ""),
                    Event::Warned(warning) => self.warn(warning),
                    Event::Waiting { wait, at_most, .. } => {
                        self.printer.info(format!("  waiting for {wait} (at most {} s)", at_most.as_secs()));
                    }
                    _ => {}
                }
            }
            if let Some(result) = done {
                return result;
            }
        }
    }
}

/// Stages that run, possibly several at a time.
pub(crate) struct Stages<'p> {
    printer: &'p Printer,
    running: HashMap<String, Waiting<'p>>,
}

impl<'p> Stages<'p> {
    pub(crate) fn new(printer: &'p Printer) -> Self {
        Self { printer, running: HashMap::new() }
    }

    pub(crate) fn start(&mut self, what: &str) {
        tracing::info!("{what}: started");
        self.running.insert(what.to_owned(), Waiting::visibly(self.printer, what));
    }

    pub(crate) fn finish(&mut self, what: &str, detail: &str) {
        let elapsed = self.running.remove(what).map(|stage| stage.elapsed()).unwrap_or_default();
        let detail = if detail.is_empty() { String::new() } else { format!(": {detail}") };
        let tick = console::style("✓").for_stderr().green();
        tracing::info!("{what}: done in {elapsed:?}{detail}");
        self.printer.info(format!("{tick} {what}{detail} ({:.1}s)", elapsed.as_secs_f64()));
    }

    pub(crate) fn fail(&mut self, what: &str, detail: &str) {
        self.running.remove(what);
        tracing::warn!("{what}: failed: {detail}");
        let cross = console::style("✗").for_stderr().red();
        self.printer.stderr(&format!("{cross} {what}: {detail}"));
    }
}
