//! Finishing what a process that is gone had begun.

use super::{Provisioner, Recovered};
use crate::{HostId, Opened, ProvisionError, RecordState, UndoReport};

impl Provisioner {
    /// Finishes what a process that is gone had begun with a host: undoes its creation, even if the host came up meanwhile, or ends its
    /// termination. `None` where there is nothing to finish: the record is gone, or the host is in the user's hands.
    ///
    /// Unlike [`recover`](Self::recover) it adopts nothing: the user asked for the end.
    ///
    /// # Cancel safety
    /// Dropped, it leaves the record, which says how far it came: another call, or [`recover`](Self::recover), goes on.
    ///
    /// # Errors
    /// A record that can't be read. What fails in the cloud is in the result, and the record remains.
    pub async fn finish(&self, host: &HostId) -> Result<Option<Recovered>, ProvisionError> {
        let open = match self.work.journal.open(host).await? {
            Opened::Open(open) => *open,
            Opened::Busy => return Ok(Some(Recovered::Busy)),
            Opened::Missing => return Ok(None),
        };
        Ok(match open.record().state {
            RecordState::Ready => None,
            RecordState::Terminating => Some(match self.terminate_open(open).await {
                Ok(_) => Recovered::Terminated,
                Err(error) => Recovered::Failed(error),
            }),
            RecordState::Creating | RecordState::Undoing => {
                // The successor may see another place than the process before it.
                match self.vet(open.record()).await {
                    Ok(_) => {}
                    Err(error @ ProvisionError::Doubtful { .. }) => return Ok(Some(Recovered::Unknown(error))),
                    Err(error) => return Ok(Some(Recovered::Failed(error))),
                }
                Some(match self.undo(open, ProvisionError::Interrupted).await {
                    ProvisionError::Undone { report, .. } if report.remains.is_empty() => Recovered::Undone(report),
                    ProvisionError::Interrupted => Recovered::Undone(UndoReport::default()),
                    error => Recovered::Failed(error),
                })
            }
        })
    }
}
