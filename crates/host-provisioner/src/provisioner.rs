//! Creating, undoing, terminating and recovering hosts: every change journaled before it is made.

mod creation;
mod groups;
mod launch;
mod mount_access;
mod patience;
mod purge;
mod recovery;
mod termination;
mod undo;

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

pub use creation::Creation;
pub use purge::PurgeReport;
pub use recovery::{Recovered, Recovery};
pub use termination::{Ended, Terminated};
pub use undo::{Remaining, UndoReport};

use crate::{ClientFiles, Cloud, Event, Journal, Observer, ProvisionError, Step};

/// Creates, undoes, terminates and recovers hosts.
///
/// # Guarantees
/// - Before a call that costs money or changes something shared, the intent is durable in the journal; so a process that dies at
///   any point leaves a record from which [`recover`](Self::recover) finishes or undoes the work.
/// - Only what a host's own creation made is undone. What others use by then is left, and said so.
/// - A host is never launched twice for one creation: a repeated launch carries the journaled token of the first.
/// - Asked to stop (the token is cancelled), creation stops between two calls, never within one, and undoes what it made.
///
/// # Caveats
/// Single calls are tried again by the cloud's own adapter (the AWS SDK's standard retry with jitter). Here only what one call
/// can't know is tried again: a resource that does not appear yet, the launch, and every call that cleans up.
#[derive(Clone)]
pub struct Provisioner {
    cloud: Cloud,
    journal: Journal,
    files: Arc<dyn ClientFiles>,
    observer: Arc<dyn Observer>,
    stop: CancellationToken,
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
        Self { cloud, journal, files, observer, stop }
    }

    /// The journal.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    fn check_stop(&self) -> Result<(), ProvisionError> {
        if self.stop.is_cancelled() { Err(ProvisionError::Interrupted) } else { Ok(()) }
    }

    fn started(&self, step: &Step) {
        self.observer.notice(&Event::Started(step.clone()));
    }

    fn finished(&self, step: Step) {
        self.observer.notice(&Event::Finished(step));
    }

    fn warn(&self, warning: crate::Warning) {
        self.observer.notice(&Event::Warned(warning));
    }
}

#[cfg(all(test, feature = "fake"))]
pub(crate) mod tests;
