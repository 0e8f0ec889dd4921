//! What the provisioner tells, passed on to the observer as it comes.

use std::{
    mem,
    sync::{Arc, Mutex},
};

use host_provisioner::{Event, Warning};

use crate::{Notice, Observer, observer::Labelled};

/// Progress of one piece of work.
pub(crate) struct Progress<'o> {
    observer: &'o dyn Observer,
    state: Arc<State>,
}

/// What the observer of the provisioner, which must outlive every borrow, shares with its work.
#[derive(Default)]
struct State {
    /// Each with the name of the host that it is about, where there are several.
    queue: Mutex<Vec<(Option<String>, Event)>>,
    warnings: Mutex<Vec<Warning>>,
    arrived: tokio::sync::Notify,
}

/// Collects events; [`Progress::drive`] passes them on as they come.
struct Collector {
    state: Arc<State>,
    label: Option<String>,
}

impl host_provisioner::Observer for Collector {
    fn notice(&self, event: &Event) {
        if let Ok(mut queue) = self.state.queue.lock() {
            queue.push((self.label.clone(), event.clone()));
        }
        self.state.arrived.notify_one();
    }
}

impl<'o> Progress<'o> {
    pub(crate) fn new(observer: &'o dyn Observer) -> Self {
        Self { observer, state: Arc::default() }
    }

    /// The observer to give to a provisioner.
    pub(crate) fn observer(&self) -> Arc<dyn host_provisioner::Observer> {
        Arc::new(Collector { state: self.state.clone(), label: None })
    }

    /// The observer to give to a provisioner for one of several hosts: what is told of it begins with this.
    pub(crate) fn observer_of(&self, label: String) -> Arc<dyn host_provisioner::Observer> {
        Arc::new(Collector { state: self.state.clone(), label: Some(label) })
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
            for (label, event) in events {
                match label {
                    Some(label) => self.tell(event, &Labelled { observer: self.observer, label: &label }),
                    None => self.tell(event, self.observer),
                }
            }
            if let Some(result) = done {
                return result;
            }
        }
    }

    fn tell(&self, event: Event, observer: &dyn Observer) {
        match event {
            Event::Started(step) => observer.notice(Notice::Started(step.to_string())),
            Event::Finished(step) => {
                observer.notice(Notice::Finished { what: step.to_string(), detail: String::new() });
            }
            Event::Warned(warning) => self.warn(warning),
            Event::Waiting { wait, at_most, .. } => {
                observer.info(format!("  waiting for {wait} (at most {} s)", at_most.as_secs()));
            }
            _ => {}
        }
    }
}
