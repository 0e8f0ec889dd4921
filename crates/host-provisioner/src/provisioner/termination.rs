//! Terminating a host, and seeing it go.

use studio_discovery::{DomainId, OwnerName};

use super::Provisioner;
use crate::{
    AskedAbout, Doubt, Ended, HostId, Instance, InstanceId, OpenRecord, Opened, Presence, ProvisionError, Record,
    RecordState, TAG_DOMAIN, TAG_HOST, TAG_OWNER, Warning, steps::Executor,
};

/// A host that was terminated.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Terminated {
    /// Its instance, where it ever had one.
    pub instance: Option<InstanceId>,
    /// How it ended.
    pub ended: Ended,
}

impl Provisioner {
    /// Terminates a host of the journal: first the instance, which is seen to go; then the client's files; the record last.
    /// May be repeated, after a failure as after success.
    ///
    /// # Cancel safety
    /// Dropped, it leaves the record, which says that the host is to end, and the instance may be ending. Another call, or
    /// [`recover`](Self::recover), goes on.
    ///
    /// # Errors
    /// [`ProvisionError::Busy`] while another process works on the host; [`ProvisionError::Doubtful`] where its own place can't be asked
    /// about it; a failed call. After each of them the record remains.
    pub async fn terminate(&self, host: &HostId) -> Result<Terminated, ProvisionError> {
        match self.work.journal.open(host).await? {
            Opened::Open(open) => self.terminate_open(*open).await,
            Opened::Busy => Err(ProvisionError::Busy { host: host.clone() }),
            Opened::Missing => Ok(Terminated { instance: None, ended: Ended::Already }),
        }
    }

    pub(crate) async fn terminate_open(&self, open: OpenRecord) -> Result<Terminated, ProvisionError> {
        let living = self.vet(open.record()).await?;
        // A creation that nobody finished has more to undo than its instance.
        if matches!(open.record().state, RecordState::Creating | RecordState::Undoing) {
            return self.undo_for_good(open).await;
        }
        self.terminate_vetted(open, &living).await
    }

    /// Terminates a host of which these instances are alive, in its own place, and ours.
    pub(crate) async fn terminate_vetted(
        &self,
        mut open: OpenRecord,
        living: &[InstanceId],
    ) -> Result<Terminated, ProvisionError> {
        open.update(|record| record.state = RecordState::Terminating)?;
        let (instance, ended) = Executor::new(&self.work).end(&mut open, living).await?;
        self.settle_terminated(open).await?;
        Ok(Terminated { instance, ended })
    }

    async fn undo_for_good(&self, open: OpenRecord) -> Result<Terminated, ProvisionError> {
        let instance = open.record().instance.as_ref().map(|instance| instance.id.clone());
        match self.undo(open, ProvisionError::Interrupted).await {
            ProvisionError::Undone { report, .. } if report.remains.is_empty() => {
                Ok(Terminated { instance, ended: Ended::Now })
            }
            ProvisionError::Undone { report, .. } => Err(ProvisionError::NotUndone { report }),
            ProvisionError::Interrupted => Ok(Terminated { instance, ended: Ended::Already }),
            error => Err(error),
        }
    }

    /// The end of a host's record, whose instance is gone.
    pub(crate) async fn settle_terminated(&self, open: OpenRecord) -> Result<(), ProvisionError> {
        let record: Record = open.record().clone();
        // A record is there to end an instance. Files that can't be removed never keep it: whoever ran a host in Studio may be unable to
        // remove what the host wrote, for ever.
        if let Err(error) = self.forget_files(&record).await {
            self.work.warn(Warning::FilesLeft { host: record.host, why: with_causes(error.as_ref()) });
        }
        open.remove()?;
        Ok(())
    }

    /// Terminates an instance that the journal does not know: a host of another home of this owner, or of the first `sdocker`, which
    /// made no tags, so that only `listed` says of it that it is a host: this home's list of hosts names it.
    ///
    /// # Cancel safety
    /// Dropped, it leaves an instance that was asked to end, or was not, and no record of that: another call tells.
    ///
    /// # Errors
    /// [`ProvisionError::NotYours`] for the host of another owner, or of nobody knows whom; [`ProvisionError::NotAHost`] for every other
    /// instance; [`ProvisionError::Doubtful`] where it is not listed in this place. All are left alone.
    pub async fn terminate_unrecorded(
        &self,
        id: &InstanceId,
        listed: bool,
        owner: Option<(&DomainId, &OwnerName)>,
    ) -> Result<Terminated, ProvisionError> {
        let found = self.work.cloud.presence(&[AskedAbout { instance: id, record: None }]).await.pop();
        let (instance, alive) = match found {
            Some(Presence::Alive(instance)) => (instance, true),
            Some(Presence::Ended(Some(instance))) => (instance, false),
            Some(Presence::Unknown(Doubt::Failed(error))) => {
                return Err(ProvisionError::Doubtful {
                    host: id.to_string(),
                    instance: Some(id.clone()),
                    doubt: Doubt::Failed(error),
                });
            }
            Some(Presence::Unknown(doubt)) if listed => {
                return Err(ProvisionError::Doubtful { host: id.to_string(), instance: Some(id.clone()), doubt });
            }
            _ => return Err(ProvisionError::NotAHost { instance: id.clone() }),
        };
        whose(&instance, listed, owner)?;
        let ended = match alive {
            true => self.within(self.work.bounds.patience.termination).end_instance(id, None).await?,
            false => Ended::Already,
        };
        Ok(Terminated { instance: Some(id.clone()), ended })
    }
}

/// Refuses an instance without a record that is not this owner's host.
fn whose(instance: &Instance, listed: bool, owner: Option<(&DomainId, &OwnerName)>) -> Result<(), ProvisionError> {
    let tags = [TAG_HOST, TAG_DOMAIN, TAG_OWNER].map(|key| instance.tag(key));
    let [host, domain_of_it, owner_of_it] = tags;
    if tags.iter().all(Option::is_none) {
        // The first `sdocker` named its hosts so, where it might tag them at all.
        let named = instance.tag("Name").is_none_or(|name| name == "DockerHost");
        return if listed && named { Ok(()) } else { Err(ProvisionError::NotAHost { instance: instance.id.clone() }) };
    }
    let ours = owner.is_some_and(|(domain, owner)| {
        domain_of_it == Some(domain.as_str()) && owner_of_it == Some(owner.as_str()) && host.is_some()
    });
    if ours { Ok(()) } else { Err(not_yours(instance)) }
}

/// Refuses an instance of a record whose tags say that it is somebody else's. Without tags it is what the record says.
pub(crate) fn check_owner(record: &Record, instance: &Instance) -> Result<(), ProvisionError> {
    let foreign = |key: &str, ours: &str| instance.tag(key).is_some_and(|theirs| theirs != ours);
    if foreign(TAG_DOMAIN, record.domain.as_str()) || foreign(TAG_OWNER, record.owner.as_str()) {
        return Err(not_yours(instance));
    }
    Ok(())
}

fn not_yours(instance: &Instance) -> ProvisionError {
    let tag = |key: &str| instance.tag(key).unwrap_or("nobody knows whom").to_owned();
    ProvisionError::NotYours { instance: instance.id.clone(), owner: tag(TAG_OWNER), domain: tag(TAG_DOMAIN) }
}

/// What an error says, with its causes.
pub(crate) fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
