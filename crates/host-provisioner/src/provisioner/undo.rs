//! Undoing what a creation made, from its record alone, in reverse.

use super::Provisioner;
use crate::{JournalError, OpenRecord, ProvisionError, RecordState, UndoReport, error::remaining, steps::Executor};

impl Provisioner {
    /// Undoes a creation that failed. The record goes when nothing remains; else it stays, for [`recover`](Self::recover).
    ///
    /// The result is the error to report: the given one, with what was done about it where anything was.
    ///
    /// # Cancel safety
    /// Not to be dropped: what is not undone by then stays, on record, until [`recover`](Self::recover) undoes it.
    pub async fn undo(&self, open: OpenRecord, error: ProvisionError) -> ProvisionError {
        let report = self.undo_whole(open, &error).await;
        if report.is_empty() {
            return error;
        }
        ProvisionError::Undone { error: Box::new(error), report }
    }

    /// Ends the instance of a creation that failed, and leaves what others may use to [`Self::undo_whole`]. What remains, that tries again.
    pub(super) async fn undo_own(&self, open: &mut OpenRecord, error: &ProvisionError) -> UndoReport {
        // What can't be written now is tried again with the rest.
        let _ = mark(open, error);
        let work = self.to_the_end_within(self.work.bounds.patience.undo);
        Executor::new(&work).undo_own(open).await
    }

    pub(super) async fn undo_whole(&self, mut open: OpenRecord, error: &ProvisionError) -> UndoReport {
        let marked = mark(&mut open, error);
        let work = self.to_the_end_within(self.work.bounds.patience.undo);
        let mut report = Executor::new(&work).undo(&mut open).await;
        if let Err(journal) = marked {
            report.remains.push(remaining("the record", journal.into()));
        }
        let host = open.record().host.clone();
        if report.remains.is_empty()
            && let Err(error) = self.settle_terminated(open).await
        {
            report.remains.push(remaining(&format!("files of host {host}"), error));
        }
        report
    }
}

fn mark(open: &mut OpenRecord, error: &ProvisionError) -> Result<(), JournalError> {
    let failure = error.to_string();
    open.update(|record| {
        record.state = RecordState::Undoing;
        record.failure.get_or_insert(failure);
    })
}
