//! Creating, undoing, terminating and recovering hosts: every change journaled before it is made.

mod creation;
mod files;
mod purge;
mod recovery;
mod several;
mod start;
mod succession;
mod termination;
mod undo;

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

pub use creation::Creation;
pub use purge::PurgeReport;
pub use recovery::{Recovered, Recovery};
pub use several::{Order, Several};
pub use start::SPARE;
pub use termination::Terminated;

use crate::{ClientFiles, Cloud, Journal, Observer, Patience, bounds::Bounds, steps::Work};

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
    pub(crate) work: Work,
    files: Arc<dyn ClientFiles>,
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
        let cloud = cloud.together();
        let work = Work { cloud: bounds.around(cloud.clone()), unbounded: cloud, bounds, journal, observer, stop };
        Self { work, files }
    }

    /// The same, with this patience in place of the default.
    #[must_use]
    pub fn with_patience(self, patience: Patience) -> Self {
        let bounds = Bounds::new(patience, self.work.observer.clone(), self.work.stop.clone());
        Self { work: self.work.bounded(bounds), ..self }
    }

    /// The work, with all that it does within this time from now.
    fn within(&self, at_most: Duration) -> Work {
        self.work.clone().bounded(self.work.bounds.within(at_most))
    }

    /// The work, for what is done within this time even though the user asked to stop.
    fn to_the_end_within(&self, at_most: Duration) -> Work {
        let bounds = self.work.bounds.within(at_most).to_the_end();
        Work { stop: CancellationToken::new(), ..self.work.clone().bounded(bounds) }
    }

    /// The journal.
    pub fn journal(&self) -> &Journal {
        &self.work.journal
    }

    /// The outcome of work that can be repeated, unless it takes longer than a moment after the user asked to stop; nothing of it is begun
    /// after that.
    async fn for_a_moment<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        if self.work.stop.is_cancelled() {
            return None;
        }
        let moment = async {
            self.work.stop.cancelled().await;
            tokio::time::sleep(MOMENT).await;
        };
        tokio::select! {
            biased;
            outcome = work => Some(outcome),
            () = moment => None,
        }
    }
}

#[cfg(all(test, feature = "fake"))]
pub(crate) mod tests;
