//! What steps work with.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::{Activity, Cloud, Event, Journal, Observer, ProvisionError, Turn, Wait, Warning, bounds::Bounds};

/// One piece of work: a cloud of which each call is bounded in time, and who hears of it.
#[derive(Clone)]
pub(crate) struct Work {
    /// As it was given.
    pub(crate) unbounded: Cloud,
    /// The same, with every call bounded in time.
    pub(crate) cloud: Cloud,
    pub(crate) bounds: Bounds,
    pub(crate) journal: Journal,
    pub(crate) observer: Arc<dyn Observer>,
    /// Cancelled when the user asks to stop.
    pub(crate) stop: CancellationToken,
}

impl Work {
    pub(crate) fn bounded(self, bounds: Bounds) -> Self {
        Self { cloud: bounds.around(self.unbounded.clone()), bounds, ..self }
    }

    pub(crate) fn check_stop(&self) -> Result<(), ProvisionError> {
        if self.stop.is_cancelled() { Err(ProvisionError::Interrupted) } else { Ok(()) }
    }

    pub(crate) fn started(&self, activity: &Activity) {
        self.observer.notice(&Event::Started(activity.clone()));
    }

    pub(crate) fn finished(&self, activity: Activity) {
        self.observer.notice(&Event::Finished(activity));
    }

    pub(crate) fn warn(&self, warning: Warning) {
        self.observer.notice(&Event::Warned(warning));
    }

    /// Waits for this process's turn to change what the hosts of this home share.
    pub(crate) async fn turn(&self) -> Result<Turn, ProvisionError> {
        let within = self.bounds.patience.cleans_up;
        match self.bounds.wait(Wait::Turn, within, self.journal.turn()).await {
            Some(turn) => Ok(turn?),
            None => Err(ProvisionError::NoTurn { within }),
        }
    }
}
