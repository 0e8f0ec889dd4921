//! Creating, undoing, terminating and recovering hosts: every change journaled before it is made.

mod creation;
mod files;
mod purge;
mod recovery;
mod succession;
mod termination;
pub(crate) mod undo;

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

pub use creation::Creation;
pub use purge::PurgeReport;
pub use recovery::{Recovered, Recovery};
pub use termination::{Ended, Terminated};
pub use undo::{Remaining, UndoReport};

use crate::{ClientFiles, Cloud, Event, Journal, Observer, Patience, ProvisionError, Step, bounds::Bounds};

/// How long work that can be repeated may still take after the user asked to stop.
const MOMENT: Duration = Duration::from_millis(1500);

/// Creates, undoes, terminates and recovers hosts.
///
/// # Guarantees
/// - Before a call that costs money or changes something shared, the intent is durable in the journal; so a process that dies at
///   any point leaves a record from which [`recover`](Self::recover) finishes or undoes the work.
/// - Only what a host's own creation made is undone. What others use by then is left, and said so.
/// - A host is never launched twice for one creation: a repeated launch carries the journaled token of the first.
/// - Asked to stop (the token is cancelled), creation stops between two calls, never within one, and undoes what it made.
///
/// - No wait is without an end: see [`Patience`], which [`with_patience`](Self::with_patience) sets.
///
/// # Caveats
/// Single calls are tried again by the cloud's own adapter (the AWS SDK's standard retry with jitter). Here only what one call
/// can't know is tried again: a resource that does not appear yet, the launch, and every call that cleans up.
#[derive(Clone)]
pub struct Provisioner {
    /// As it was given.
    pub(crate) asked: Cloud,
    /// The same, with every call bounded in time.
    pub(crate) cloud: Cloud,
    pub(crate) bounds: Bounds,
    pub(crate) journal: Journal,
    pub(crate) files: Arc<dyn ClientFiles>,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) stop: CancellationToken,
}

impl Provisioner {
    /// A provisioner over a cloud, a journal and the client's files.
    pub fn new(
        cloud: Cloud,
        journal: Journal,
        files: Arc<dyn ClientFiles>,
        observer: Arc<dyn Observer>,
        stop: CancellationToken,
    ) -> Self {
        let bounds = Bounds::new(Patience::default(), observer.clone(), stop.clone());
        Self { cloud: bounds.around(cloud.clone()), asked: cloud, bounds, journal, files, observer, stop }
    }

    /// The same, with this patience in place of the default.
    #[must_use]
    pub fn with_patience(self, patience: Patience) -> Self {
        let bounds = Bounds::new(patience, self.observer.clone(), self.stop.clone());
        self.bounded(bounds)
    }

    /// The same, with all that it does within this time from now.
    pub(crate) fn within(&self, at_most: Duration) -> Self {
        self.clone().bounded(self.bounds.within(at_most))
    }

    /// The same, for what is done even though the user asked to stop.
    pub(crate) fn to_the_end(&self) -> Self {
        Self { stop: CancellationToken::new(), ..self.clone().bounded(self.bounds.to_the_end()) }
    }

    fn bounded(self, bounds: Bounds) -> Self {
        Self { cloud: bounds.around(self.asked.clone()), bounds, ..self }
    }

    /// The journal.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    pub(crate) fn check_stop(&self) -> Result<(), ProvisionError> {
        if self.stop.is_cancelled() { Err(ProvisionError::Interrupted) } else { Ok(()) }
    }

    /// The outcome of work that can be repeated, unless it takes longer than a moment after the user asked to stop; nothing of it is begun
    /// after that.
    async fn for_a_moment<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        if self.stop.is_cancelled() {
            return None;
        }
        let moment = async {
            self.stop.cancelled().await;
            tokio::time::sleep(MOMENT).await;
        };
        tokio::select! {
            biased;
            outcome = work => Some(outcome),
            () = moment => None,
        }
    }

    pub(crate) fn started(&self, step: &Step) {
        self.observer.notice(&Event::Started(step.clone()));
    }

    pub(crate) fn finished(&self, step: Step) {
        self.observer.notice(&Event::Finished(step));
    }

    pub(crate) fn warn(&self, warning: crate::Warning) {
        self.observer.notice(&Event::Warned(warning));
    }
}

#[cfg(all(test, feature = "fake"))]
pub(crate) mod tests;
