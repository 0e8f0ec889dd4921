//! Settling what interrupted commands left, and finding hosts that no record knows.

use std::collections::BTreeSet;

use jiff::Timestamp;
use studio_discovery::{DomainId, StudioEnvironment, Tag, UserProfileName};

use super::Provisioner;
use crate::{
    ClientToken, Entry, HostId, Instance, InstanceFilter, InstanceId, Opened, ProvisionError, RECORD_VERSION, Record,
    RecordState, Resource, ResourceKind, ResourceState, TAG_DOMAIN, TAG_EXPIRES, TAG_HOST, TAG_OWNER,
};

/// What recovery found and did.
#[derive(Debug, Default)]
pub struct Recovery {
    /// What was done about each record that needed it, oldest first.
    pub settled: Vec<(Record, Recovered)>,
    /// Entries of the journal that can't be used, with what was done about them.
    pub unusable: Vec<Entry>,
    /// Live hosts of this owner that no record knows.
    pub orphans: Vec<Instance>,
    /// Why orphans could not be looked for.
    pub orphans_unknown: Option<ProvisionError>,
    /// Records that were not settled, or not to the end, because the user asked to stop.
    pub left: Vec<Record>,
}

/// What was done about a record.
#[derive(Debug)]
pub enum Recovered {
    /// The host had come up, and is in use from now on.
    Adopted,
    /// Its creation was undone.
    Undone(super::UndoReport),
    /// Its termination was finished.
    Terminated,
    /// Its instance had ended by itself; what was kept of it is gone.
    Ended,
    /// It could not be settled; the record remains.
    Failed(ProvisionError),
    /// Another process works on it.
    Busy,
}

impl Provisioner {
    /// Settles every record that nobody works on, and lists this owner's live hosts that have none. Safe to run twice, and beside
    /// other commands.
    ///
    /// # Errors
    /// A journal that can't be read. What fails for one host is in the result, and does not stop the others.
    pub async fn recover(&self, owner: Option<(&DomainId, &UserProfileName)>) -> Result<Recovery, ProvisionError> {
        let mut recovery = Recovery::default();
        let mut ready = Vec::new();
        for entry in self.journal.entries()? {
            match entry {
                Entry::Idle(record) if record.is_unfinished() => {
                    match self.for_a_moment(self.settle(&record.host)).await {
                        Some(Some(done)) => recovery.settled.push((record, done)),
                        Some(None) => {}
                        None => recovery.left.push(record),
                    }
                }
                Entry::Idle(record) => ready.push(record),
                Entry::Busy(record) if record.is_unfinished() => recovery.settled.push((record, Recovered::Busy)),
                Entry::Busy(_) => {}
                unusable => recovery.unusable.push(unusable),
            }
        }
        // Asked to stop, what was settled is told, and nothing else looked at.
        let Some(ended) = self.for_a_moment(self.ended_among(ready)).await else { return Ok(recovery) };
        for record in ended? {
            if let Some(done) = self.settle_ended(&record.host).await {
                recovery.settled.push((record, done));
            }
        }
        if let Some((domain, owner)) = owner {
            match self.for_a_moment(self.hosts_without_record(domain, owner)).await {
                Some(Ok(orphans)) => recovery.orphans = orphans,
                Some(Err(error)) => recovery.orphans_unknown = Some(error),
                None => {}
            }
        }
        Ok(recovery)
    }

    /// `None` where the record is gone or finished by now.
    async fn settle(&self, host: &HostId) -> Option<Recovered> {
        let mut open = match self.journal.open(host).await {
            Ok(Opened::Open(open)) => *open,
            Ok(Opened::Busy) => return Some(Recovered::Busy),
            Ok(Opened::Missing) => return None,
            Err(error) => return Some(Recovered::Failed(error.into())),
        };
        match open.record().state {
            RecordState::Ready => None,
            RecordState::Terminating => Some(match self.terminate_open(open).await {
                Ok(_) => Recovered::Terminated,
                Err(error) => Recovered::Failed(error),
            }),
            RecordState::Creating if self.can_adopt(open.record()).await => {
                Some(match open.update(|record| record.state = RecordState::Ready) {
                    Ok(()) => Recovered::Adopted,
                    Err(error) => Recovered::Failed(error.into()),
                })
            }
            RecordState::Creating | RecordState::Undoing => {
                Some(match self.undo(open, ProvisionError::Interrupted).await {
                    ProvisionError::Undone { report, .. } if report.remains.is_empty() => Recovered::Undone(report),
                    ProvisionError::Interrupted => Recovered::Undone(super::UndoReport::default()),
                    error => Recovered::Failed(error),
                })
            }
        }
    }

    async fn can_adopt(&self, record: &Record) -> bool {
        let Some(instance) = &record.instance else { return false };
        let alive = match self.cloud.instances.describe(&instance.id).await {
            Ok(Some(found)) => !found.state.is_ended(),
            Ok(None) | Err(_) => false,
        };
        alive && matches!(self.adopt_files(record).await, Ok(true))
    }

    /// Those whose instance is certainly gone.
    async fn ended_among(&self, mut records: Vec<Record>) -> Result<Vec<Record>, ProvisionError> {
        let ids: Vec<InstanceId> = records.iter().filter_map(instance_of).collect();
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let filter = InstanceFilter { ids, ..InstanceFilter::default() };
        let found = self.cloud.instances.list(&filter).await?;
        let alive: BTreeSet<InstanceId> =
            found.into_iter().filter(|instance| !instance.state.is_ended()).map(|instance| instance.id).collect();
        records.retain(|record| instance_of(record).is_none_or(|id| !alive.contains(&id)));
        Ok(records)
    }

    async fn settle_ended(&self, host: &HostId) -> Option<Recovered> {
        match self.journal.open(host).await {
            Ok(Opened::Open(open)) if open.record().state == RecordState::Ready => {
                Some(match self.settle_terminated(*open).await {
                    Ok(()) => Recovered::Ended,
                    Err(error) => Recovered::Failed(error),
                })
            }
            Ok(_) => None,
            Err(error) => Some(Recovered::Failed(error.into())),
        }
    }

    /// Makes a record of a live host that has none, where its credentials are within reach; `false` where they are not, or it
    /// does not answer.
    ///
    /// # Errors
    /// A journal that can't be written.
    pub async fn adopt_unrecorded(
        &self,
        instance: &Instance,
        environment: &StudioEnvironment,
        daemon_port: u16,
    ) -> Result<bool, ProvisionError> {
        let Some((recorded, subnet)) = super::launch::recorded(instance).zip(instance.subnet.clone()) else {
            return Ok(false);
        };
        let launched = instance.launched.unwrap_or_else(Timestamp::now);
        let expires = instance.tag(TAG_EXPIRES).and_then(|time| time.parse().ok());
        let token = instance.client_token.clone().unwrap_or_else(ClientToken::generate);
        // A tag is what anybody may have written: it names a host only if it could be a host's name.
        let host = instance.tag(TAG_HOST).and_then(|tag| tag.parse().ok());
        let record = Record {
            version: RECORD_VERSION,
            host: host.unwrap_or_else(HostId::generate),
            state: RecordState::Creating,
            created: launched,
            expires: expires.unwrap_or(launched),
            region: environment.region.clone(),
            domain: environment.domain.clone(),
            owner: environment.owner.clone(),
            vpc: environment.vpc.clone(),
            instance_type: instance.instance_type.clone(),
            daemon_port,
            previous_context: None,
            resources: vec![Resource {
                state: ResourceState::Adopted,
                kind: ResourceKind::Instance {
                    client_token: token,
                    subnet,
                    market: instance.market,
                    asked: launched,
                    id: Some(instance.id.clone()),
                },
            }],
            instance: Some(recorded),
            failure: None,
        };
        if !matches!(self.adopt_files(&record).await, Ok(true)) {
            return Ok(false);
        }
        self.journal.begin(record)?.update(|record| record.state = RecordState::Ready)?;
        Ok(true)
    }

    /// Live instances of this owner in this domain that no readable record knows.
    ///
    /// # Errors
    /// A journal that can't be read, or a failed `ec2:DescribeInstances`.
    pub async fn hosts_without_record(
        &self,
        domain: &DomainId,
        owner: &UserProfileName,
    ) -> Result<Vec<Instance>, ProvisionError> {
        let tags = vec![Tag::new(TAG_DOMAIN, domain.as_str()), Tag::new(TAG_OWNER, owner.as_str())];
        let mut found = self.cloud.instances.list(&InstanceFilter { tags, ..InstanceFilter::default() }).await?;
        let records = self.journal.records()?;
        found.retain(|instance| {
            let recorded = records.iter().any(|record| {
                let host = instance.tag(TAG_HOST).is_some_and(|host| host == record.host.as_str());
                host || instance_of(record).as_ref() == Some(&instance.id)
            });
            !instance.state.is_ended() && !recorded
        });
        Ok(found)
    }
}

fn instance_of(record: &Record) -> Option<InstanceId> {
    let recorded = record.instance.as_ref().map(|instance| instance.id.clone());
    recorded.or_else(|| {
        record.resources.iter().find_map(|resource| match &resource.kind {
            ResourceKind::Instance { id, .. } => id.clone(),
            _ => None,
        })
    })
}
