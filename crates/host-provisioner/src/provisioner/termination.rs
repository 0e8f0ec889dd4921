//! Terminating a host, and seeing it go.

use jiff::Timestamp;

use super::Provisioner;
use crate::{
    CloudError, HostId, Instance, InstanceFilter, InstanceId, OpenRecord, Opened, ProvisionError, Record, RecordState,
    ResourceKind, ResourceState, Step, TAG_HOST, Wait, Warning,
};

/// A host that was terminated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terminated {
    /// Its instance, where it ever had one.
    pub instance: Option<InstanceId>,
    /// How it ended.
    pub ended: Ended,
}

/// How an instance ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By this call.
    Now,
    /// Before this call.
    Already,
}

impl Provisioner {
    /// Terminates a host of the journal: first the instance, which is seen to go; then the client's files; the record last.
    /// May be repeated, after a failure as after success.
    ///
    /// # Errors
    /// [`ProvisionError::Busy`] while another process works on the host; a failed call, after which the record remains.
    pub async fn terminate(&self, host: &HostId) -> Result<Terminated, ProvisionError> {
        match self.journal.open(host).await? {
            Opened::Open(open) => self.terminate_open(*open).await,
            Opened::Busy => Err(ProvisionError::Busy { host: host.clone() }),
            Opened::Missing => Ok(Terminated { instance: None, ended: Ended::Already }),
        }
    }

    pub(super) async fn terminate_open(&self, mut open: OpenRecord) -> Result<Terminated, ProvisionError> {
        // A creation that nobody finished has more to undo than its instance.
        if matches!(open.record().state, RecordState::Creating | RecordState::Undoing) {
            return self.undo_for_good(open).await;
        }
        open.update(|record| record.state = RecordState::Terminating)?;
        let mut terminated = Terminated { instance: None, ended: Ended::Already };
        for position in 0..open.record().resources.len() {
            let resource = &open.record().resources[position];
            let ResourceKind::Instance { id: Some(id), .. } = &resource.kind else { continue };
            let id = id.clone();
            if resource.state != ResourceState::Gone {
                terminated.ended = self.within(self.bounds.patience.termination).end_instance(&id, None).await?;
                open.update(|record| record.resources[position].state = ResourceState::Gone)?;
            }
            terminated.instance = Some(id);
        }
        self.settle_terminated(open).await?;
        Ok(terminated)
    }

    async fn undo_for_good(&self, open: OpenRecord) -> Result<Terminated, ProvisionError> {
        let instance = open.record().instance.as_ref().map(|instance| instance.id.clone());
        match self.undo(open, ProvisionError::Interrupted).await {
            ProvisionError::Undone { report, .. } if report.remains.is_empty() => {
                Ok(Terminated { instance, ended: Ended::Now })
            }
            ProvisionError::Interrupted => Ok(Terminated { instance, ended: Ended::Already }),
            error => Err(error),
        }
    }

    /// The end of a host's record, whose instance is gone.
    pub(super) async fn settle_terminated(&self, open: OpenRecord) -> Result<(), ProvisionError> {
        let record: Record = open.record().clone();
        // A record is there to end an instance. Files that can't be removed never keep it: whoever ran a host in Studio may be unable to
        // remove what the host wrote, for ever.
        if let Err(error) = self.forget_files(&record).await {
            self.warn(Warning::FilesLeft { host: record.host, why: with_causes(error.as_ref()) });
        }
        open.remove()?;
        Ok(())
    }

    /// Terminates an instance that the journal does not know: a host of another home, or of the first `sdocker`, which `known_as_host`
    /// says of it where no tag does.
    ///
    /// # Errors
    /// [`ProvisionError::NotAHost`] for every other instance, which is left alone.
    pub async fn terminate_unrecorded(
        &self,
        id: &InstanceId,
        known_as_host: bool,
    ) -> Result<Terminated, ProvisionError> {
        let instance: Option<Instance> = self.cloud.instances.describe(id).await?;
        let is_host = known_as_host || instance.as_ref().is_some_and(|instance| instance.tag(TAG_HOST).is_some());
        if !is_host {
            return Err(ProvisionError::NotAHost { instance: id.clone() });
        }
        let ended = match instance {
            Some(instance) if !instance.state.is_ended() => {
                self.within(self.bounds.patience.termination).end_instance(id, None).await?
            }
            _ => Ended::Already,
        };
        Ok(Terminated { instance: Some(id.clone()), ended })
    }

    /// Terminates an instance and sees it go. `asked` is when it was launched, where that was a moment ago: until EC2 knows a new
    /// instance everywhere, it may answer that there is none.
    pub(super) async fn end_instance(
        &self,
        id: &InstanceId,
        asked: Option<Timestamp>,
    ) -> Result<Ended, ProvisionError> {
        let step = Step::Terminate { instance: id.clone() };
        self.started(&step);
        let instances = &self.cloud.instances;
        let terminate = || self.bounds.persistently("a termination", || instances.terminate(id));
        let patience = asked.map(|asked| self.bounds.may_still_appear_for(asked)).unwrap_or_default();
        let answer = self.bounds.repeat(Wait::Launched, patience, CloudError::is_not_found, terminate).await;
        match answer {
            Ok(()) => self.see_it_go(id).await?,
            Err(error) if error.is_not_found() => {
                self.finished(step);
                return Ok(Ended::Already);
            }
            Err(error) => return Err(error.into()),
        }
        self.finished(step);
        Ok(Ended::Now)
    }

    async fn see_it_go(&self, id: &InstanceId) -> Result<(), ProvisionError> {
        let filter = InstanceFilter { ids: vec![id.clone()], ..InstanceFilter::default() };
        let look = || async {
            let list = || self.cloud.instances.list(&filter);
            let found = self.bounds.persistently("looking for an instance", list).await?;
            match found.into_iter().find(|instance| !instance.state.is_ended()) {
                Some(instance) => {
                    Err(ProvisionError::StillThere { instance: id.clone(), state: instance.state.as_str() })
                }
                None => Ok(()),
            }
        };
        let lives = |error: &ProvisionError| matches!(error, ProvisionError::StillThere { .. });
        self.bounds.repeat(Wait::End { instance: id.clone() }, self.bounds.patience.ends, lives, look).await
    }
}

/// What an error says, with its causes.
fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
