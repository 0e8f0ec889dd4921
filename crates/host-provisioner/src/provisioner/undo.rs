//! Undoing what a creation made, from its record alone, in reverse.

use std::{fmt, sync::Arc};

use super::Provisioner;
use crate::{
    OpenRecord, ProvisionError, RecordState, ResourceKind, ResourceState, Warning, steps::security_group::Made,
};

/// What undo did, and what it could not do.
#[derive(Clone, Debug, Default)]
pub struct UndoReport {
    /// What is gone again.
    pub undone: Vec<String>,
    /// What stays because something else uses it by now.
    pub kept: Vec<String>,
    /// What may remain although it should not.
    pub remains: Vec<Remaining>,
}

impl UndoReport {
    /// Whether there was nothing to undo.
    pub fn is_empty(&self) -> bool {
        self.undone.is_empty() && self.kept.is_empty() && self.remains.is_empty()
    }
}

/// Something that may remain. Its `Display` says what, and why.
#[derive(Clone, Debug)]
pub struct Remaining {
    /// What, by id or token.
    pub what: String,
    /// Why; `None` where the instance that uses it remains.
    pub why: Option<Arc<ProvisionError>>,
}

impl fmt::Display for Remaining {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.why {
            Some(why) => write!(f, "{}: {why}", self.what),
            None => write!(f, "{}: the instance that uses it remains", self.what),
        }
    }
}

/// What became of one resource.
pub(crate) enum Outcome {
    Undone(String),
    NothingToUndo,
    InUse(String),
}

impl Provisioner {
    /// Undoes a creation that failed. The record goes when nothing remains; else it stays, for [`recover`](Self::recover).
    ///
    /// The result is the error to report: the given one, with what was done about it where anything was.
    pub async fn undo(&self, mut open: OpenRecord, error: ProvisionError) -> ProvisionError {
        let failure = error.to_string();
        let marked = open.update(|record| {
            record.state = RecordState::Undoing;
            record.failure.get_or_insert(failure);
        });
        let mut report = self.within(self.bounds.patience.undo).to_the_end().undo_resources(&mut open).await;
        if let Err(journal) = marked {
            report.remains.push(remaining("the record", journal.into()));
        }
        let host = open.record().host.clone();
        if report.remains.is_empty()
            && let Err(error) = self.settle_terminated(open).await
        {
            report.remains.push(remaining(&format!("files of host {host}"), error));
        }
        if report.is_empty() {
            return error;
        }
        ProvisionError::Undone { error: Box::new(error), report }
    }

    async fn undo_resources(&self, open: &mut OpenRecord) -> UndoReport {
        let mut report = UndoReport::default();
        let mut instance_remains = false;
        let mut unanswered = None;
        for position in (0..open.record().resources.len()).rev() {
            let resource = open.record().resources[position].clone();
            let intended = match resource.state {
                ResourceState::Intended => true,
                ResourceState::Created => false,
                ResourceState::Adopted | ResourceState::Gone => continue,
            };
            if instance_remains && !matches!(resource.kind, ResourceKind::Instance { .. }) {
                // The instance still uses it; and only once the instance is gone can others' use of it be told from ours.
                report.remains.push(Remaining { what: resource.kind.to_string(), why: None });
                continue;
            }
            if let Some(why) = &unanswered
                && !matches!(resource.kind, ResourceKind::Instance { .. })
            {
                // What costs nothing by the hour is not worth another wait for a cloud that does not answer.
                report.remains.push(Remaining { what: resource.kind.to_string(), why: Some(Arc::clone(why)) });
                continue;
            }
            let outcome = match &resource.kind {
                ResourceKind::Instance { id: Some(id), asked, .. } => self.undo_instance(id, *asked).await,
                ResourceKind::Instance { id: None, client_token, asked, .. } => {
                    self.undo_lost_launch(client_token, *asked).await
                }
                ResourceKind::MountTargetGroup { mount_target, group } => {
                    self.undo_membership(mount_target, group, open).await
                }
                ResourceKind::SecurityGroup { vpc, name, id } => {
                    let host = open.record().host.to_string();
                    match self.group_made_here(vpc, name, id.as_ref(), intended, &host).await {
                        Ok(Made::Here(id)) => self.undo_group(&id, name, open).await,
                        Ok(Made::Untold(id)) => Ok(Outcome::InUse(format!(
                            "security group {name} ({id}), which has no tag that says who made it"
                        ))),
                        Ok(Made::Elsewhere) => Ok(Outcome::NothingToUndo),
                        Err(error) => Err(error),
                    }
                }
            };
            let state = match outcome {
                Ok(Outcome::Undone(what)) => {
                    report.undone.push(what);
                    ResourceState::Gone
                }
                Ok(Outcome::NothingToUndo) => ResourceState::Gone,
                Ok(Outcome::InUse(what)) => {
                    self.warn(Warning::LeftInUse { what: what.clone() });
                    report.kept.push(what);
                    ResourceState::Adopted
                }
                Err(error) => {
                    instance_remains |= matches!(resource.kind, ResourceKind::Instance { .. });
                    let silent = matches!(&error, ProvisionError::Cloud(error) if error.is_without_answer());
                    let why = Arc::new(error);
                    if silent {
                        unanswered = Some(Arc::clone(&why));
                    }
                    report.remains.push(Remaining { what: resource.kind.to_string(), why: Some(why) });
                    continue;
                }
            };
            if let Err(error) = open.update(|record| record.resources[position].state = state) {
                report.remains.push(remaining("the record", error.into()));
            }
        }
        report
    }
}

fn remaining(what: &str, error: ProvisionError) -> Remaining {
    Remaining { what: what.to_owned(), why: Some(Arc::new(error)) }
}
