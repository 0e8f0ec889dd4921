//! What the provisioner tells, passed on to the observer as it comes.

use std::{
    mem,
    sync::{Arc, Mutex},
};

use host_provisioner::{Event, Warning};

use crate::{Notice, Observer};

/// Progress of one piece of work.
pub(crate) struct Progress<'o> {
    observer: &'o dyn Observer,
    state: Arc<State>,
}

/// What the observer of the provisioner, which must outlive every borrow, shares with its work.
#[derive(Default)]
struct State {
    queue: Mutex<Vec<Event>>,
    warnings: Mutex<Vec<Warning>>,
    arrived: tokio::sync::Notify,
}

/// Collects events; [`Progress::drive`] passes them on as they come.
struct Collector(Arc<State>);

impl host_provisioner::Observer for Collector {
    fn notice(&self, event: &Event) {
        if let Ok(mut queue) = self.0.queue.lock() {
            queue.push(event.clone());
        }
        self.0.arrived.notify_one();
    }
}

impl<'o> Progress<'o> {
    pub(crate) fn new(observer: &'o dyn Observer) -> Self {
        Self { observer, state: Arc::default() }
    }

    /// The observer to give to a provisioner.
    pub(crate) fn observer(&self) -> Arc<dyn host_provisioner::Observer> {
        Arc::new(Collector(self.state.clone()))
    }

    /// The warnings so far.
    pub(crate) fn warnings(&self) -> Vec<Warning> {
        self.state.warnings.lock().map(|warnings| warnings.clone()).unwrap_or_default()
    }

    /// A warning that is passed on and remembered, each once.
    pub(crate) fn warn(&self, warning: Warning) {
        if let Ok(mut warnings) = self.state.warnings.lock() {
            if warnings.contains(&warning) {
                return;
            }
            warnings.push(warning.clone());
        }
        self.observer.warn(warning);
    }

    /// Passes on what the provisioner tells while the work goes on.
    pub(crate) async fn drive<T>(&self, work: impl Future<Output = T>) -> T {
        tokio::pin!(work);
        loop {
            let done = tokio::select! {
                biased;
                result = &mut work => Some(result),
                () = self.state.arrived.notified() => None,
            };
            let events = self.state.queue.lock().map(|mut queue| mem::take(&mut *queue)).unwrap_or_default();
            for event in events {
                match event {
                    Event::Started(step) => self.observer.notice(Notice::Started(step.to_string())),
                    Event::Finished(step) => {
                        self.observer.notice(Notice::Finished { what: step.to_string(), detail: String::new() });
                    }
                    Event::Warned(warning) => self.warn(warning),
                    Event::Waiting { wait, at_most, .. } => {
                        self.observer.info(format!("  waiting for {wait} (at most {} s)", at_most.as_secs()));
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
