//! Settling what interrupted commands left, and finding hosts that no record knows.

use jiff::Timestamp;
use studio_discovery::{DomainId, OwnerName, StudioEnvironment, Tag};

use super::Provisioner;
use crate::{
    Adoption, AskedAbout, ClientToken, Doubt, Entry, HostId, Instance, InstanceFilter, InstanceId, Intent,
    LaunchIntent, Opened, Place, Presence, ProvisionError, Record, RecordState, Step, StepState, Stops, TAG_DOMAIN,
    TAG_EXPIRES, TAG_HOST, TAG_OWNER, TAG_STOPS, UndoReport, Wait, presence::launched,
};

/// What recovery found and did.
#[derive(Debug, Default)]
#[non_exhaustive]
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
    Undone(UndoReport),
    /// Its termination was finished.
    Terminated,
    /// Its instance had ended by itself; what was kept of it is gone.
    Ended,
    /// It can't be told what became of it, or it does not answer yet: nothing was done, and the record remains.
    Unknown(ProvisionError),
    /// It could not be settled; the record remains.
    Failed(ProvisionError),
    /// Another process works on it.
    Busy,
}

impl Provisioner {
    /// Settles every record of this place that nobody works on, and lists this owner's live hosts that have none. Safe to run twice, and
    /// beside other commands. Records of other places are left as they are.
    ///
    /// # Cancel safety
    /// Dropped, what is settled stays settled. The record of a host that was being worked on says how far that came, and another recovery
    /// goes on with it.
    ///
    /// # Errors
    /// A journal that can't be read. What fails for one host is in the result, and does not stop the others.
    pub async fn recover(&self, owner: Option<(&DomainId, &OwnerName)>) -> Result<Recovery, ProvisionError> {
        let mut recovery = Recovery::default();
        let here = self.work.cloud.territory.place();
        let mut records = Vec::new();
        for entry in self.work.journal.entries()? {
            match entry {
                Entry::Idle(record) if here.reaches(&record.place) => records.push(record),
                Entry::Busy(record) if record.is_unfinished() => recovery.settled.push((record, Recovered::Busy)),
                Entry::Idle(_) | Entry::Busy(_) => {}
                unusable => recovery.unusable.push(unusable),
            }
        }
        let (settled, left) = self.settle_all(records).await;
        recovery.settled.extend(settled);
        recovery.left = left;
        if let Some((domain, owner)) = owner {
            match self.for_a_moment(self.hosts_without_record(domain, owner)).await {
                Some(Ok(orphans)) => recovery.orphans = orphans,
                Some(Err(error)) => recovery.orphans_unknown = Some(error),
                None => {}
            }
        }
        Ok(recovery)
    }

    /// Settles these records, those of hosts in use only where their hosts have ended. The second list is of those that were not settled, or
    /// not to the end, because the user asked to stop.
    ///
    /// # Cancel safety
    /// As of [`recover`](Self::recover).
    pub async fn settle_all(&self, records: Vec<Record>) -> (Vec<(Record, Recovered)>, Vec<Record>) {
        let (mut unfinished, ready): (Vec<_>, Vec<_>) = records.into_iter().partition(Record::is_unfinished);
        // What one of several hosts made for all of them is undone once the others are gone.
        unfinished.sort_by_key(Record::made_what_others_use);
        let (mut settled, mut left) = (Vec::new(), Vec::new());
        for record in unfinished {
            match self.for_a_moment(self.settle(&record.host)).await {
                Some(Some(done)) => settled.push((record, done)),
                Some(None) => {}
                None => left.push(record),
            }
        }
        let asked: Vec<_> = ready.iter().filter_map(|record| Some((record, instance_of(record)?))).collect();
        let asked_about: Vec<_> =
            asked.iter().map(|(record, instance)| AskedAbout { instance, record: Some(record) }).collect();
        // Asked to stop, what was settled is told, and nothing else looked at.
        let Some(presences) = self.for_a_moment(self.work.cloud.presence(&asked_about)).await else {
            return (settled, left);
        };
        for ((record, instance), presence) in asked.iter().zip(presences) {
            let done = match presence {
                Presence::Alive(_) => self.settle_started(record).await,
                Presence::Ended(_) => self.settle_ended(&record.host).await,
                Presence::Unknown(doubt) => Some(Recovered::Unknown(ProvisionError::Doubtful {
                    host: record.host.to_string(),
                    instance: Some(instance.clone()),
                    doubt,
                })),
            };
            settled.extend(done.map(|done| ((*record).clone(), done)));
        }
        (settled, left)
    }

    /// `None` where the record is gone or finished by now.
    async fn settle(&self, host: &HostId) -> Option<Recovered> {
        let mut open = match self.work.journal.open(host).await {
            Ok(Opened::Open(open)) => *open,
            Ok(Opened::Busy) => return Some(Recovered::Busy),
            Ok(Opened::Missing) => return None,
            Err(error) => return Some(Recovered::Failed(error.into())),
        };
        let state = open.record().state;
        if state == RecordState::Ready {
            return None;
        }
        let living = match self.vet(open.record()).await {
            Ok(living) => living,
            Err(error @ ProvisionError::Doubtful { .. }) => return Some(Recovered::Unknown(error)),
            Err(error) => return Some(Recovered::Failed(error)),
        };
        if state == RecordState::Terminating {
            return Some(match self.terminate_vetted(open, &living).await {
                Ok(_) => Recovered::Terminated,
                Err(error) => Recovered::Failed(error),
            });
        }
        let instance = open.record().instance.as_ref().map(|instance| instance.id.clone());
        if let Some(instance) = instance.filter(|id| state == RecordState::Creating && living.contains(id)) {
            match self.adopt_files(open.record()).await {
                Ok(Adoption::Adopted) => {
                    return Some(match open.update(|record| record.state = RecordState::Ready) {
                        Ok(()) => Recovered::Adopted,
                        Err(error) => Recovered::Failed(error.into()),
                    });
                }
                // It stopped when it was idle before anybody used it, and answers nobody any more.
                Ok(Adoption::NoAnswer { .. }) if self.is_stopped(&instance).await => {}
                Ok(Adoption::NoAnswer { why }) => {
                    return Some(Recovered::Unknown(ProvisionError::NoAnswerYet { instance, why }));
                }
                Ok(Adoption::Never { .. }) => {}
                Err(source) => {
                    let why = super::termination::with_causes(source.as_ref());
                    return Some(Recovered::Unknown(ProvisionError::NoAnswerYet { instance, why }));
                }
            }
        }
        Some(match self.undo(open, ProvisionError::Interrupted).await {
            ProvisionError::Undone { report, .. } if report.remains.is_empty() => Recovered::Undone(report),
            ProvisionError::Undone { report, .. } => Recovered::Failed(ProvisionError::NotUndone { report }),
            ProvisionError::Interrupted => Recovered::Undone(UndoReport::default()),
            error => Recovered::Failed(error),
        })
    }

    /// Looks at a host before anything about it is changed: this must be its place, its instances must be known, and ours. Returns those
    /// that are alive.
    pub(super) async fn vet(&self, record: &Record) -> Result<Vec<InstanceId>, ProvisionError> {
        let doubtful = |instance: Option<&InstanceId>, doubt| ProvisionError::Doubtful {
            host: record.host.to_string(),
            instance: instance.or_else(|| record.instances().next()).cloned(),
            doubt,
        };
        let asked: Vec<_> = record.instances().map(|instance| AskedAbout { instance, record: Some(record) }).collect();
        // Until EC2 knows a new instance everywhere, it may answer that there is none.
        let young = !self.work.bounds.may_still_appear_for(launched(record)).is_zero();
        let another_look_may_tell = |answers: &Vec<Presence>| {
            answers.iter().any(|answer| match answer {
                Presence::Unknown(Doubt::TooYoung { .. }) => young,
                Presence::Unknown(Doubt::Failed(error)) => error.is_transient(),
                _ => false,
            })
        };
        let look = || async {
            let answers = self.work.cloud.presence(&asked).await;
            if another_look_may_tell(&answers) { Err(answers) } else { Ok(answers) }
        };
        let wait = Wait::Success { doing: "looking for an instance" };
        let answers = self.work.bounds.repeat(wait, self.work.bounds.patience.cleans_up, |_| true, look).await;
        let answers = answers.unwrap_or_else(|answers| answers);
        let mut living = Vec::new();
        let mut proved = false;
        for (asked, answer) in asked.iter().zip(answers) {
            match answer {
                Presence::Alive(instance) => {
                    super::termination::check_owner(record, &instance)?;
                    living.push(instance.id);
                    proved = true;
                }
                Presence::Ended(_) => proved = true,
                Presence::Unknown(doubt) => return Err(doubtful(Some(asked.instance), doubt)),
            }
        }
        let unsettled = |step: &Step| matches!(step.state, StepState::Intended | StepState::Created);
        // What was seen, was seen in its place. Nothing follows from what is not seen anywhere else.
        if !proved && record.steps.iter().any(unsettled) {
            self.work.cloud.prove_place(record).await.map_err(|doubt| doubtful(None, doubt))?;
        } else if !proved && !self.work.cloud.territory.place().reaches(&record.place) {
            let (host, asked) = (record.place.clone(), self.work.cloud.territory.place());
            return Err(doubtful(None, Doubt::Elsewhere { host, asked }));
        }
        Ok(living)
    }

    /// Whether an instance is stopped, or about to be; one that is not seen is not.
    async fn is_stopped(&self, instance: &InstanceId) -> bool {
        let found = self.work.cloud.instances.describe(instance).await;
        matches!(found, Ok(Some(found)) if found.state.is_stopped())
    }

    /// Of a host that is there, whose start was interrupted: it runs, or it does not, and ends itself in any case.
    async fn settle_started(&self, record: &Record) -> Option<Recovered> {
        record.stops.as_ref().filter(|stops| stops.start_asked.is_some())?;
        match self.work.journal.open(&record.host).await {
            Ok(Opened::Open(mut open)) => super::start::settled(&mut open).err().map(Recovered::Failed),
            Ok(_) => None,
            Err(error) => Some(Recovered::Failed(error.into())),
        }
    }

    async fn settle_ended(&self, host: &HostId) -> Option<Recovered> {
        match self.work.journal.open(host).await {
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

    /// Makes a record of a live host that has none, where its credentials are within reach and it answers. One that is stopped is not asked, and
    /// stays stopped: its record says that it stops, what is known of its disk, and when its maximum lifetime is over.
    ///
    /// # Cancel safety
    /// Dropped, it has made no record. The client may have its files of the host all the same; another call makes the record.
    ///
    /// # Errors
    /// A journal that can't be written.
    pub async fn adopt_unrecorded(
        &self,
        instance: &Instance,
        environment: &StudioEnvironment,
        daemon_port: u16,
    ) -> Result<Adoption, ProvisionError> {
        let Some((recorded, subnet)) = crate::steps::recorded(instance).zip(instance.subnet.clone()) else {
            return Ok(Adoption::NoAnswer { why: "it has no address".to_owned() });
        };
        let here = self.work.cloud.territory.place();
        let launched = instance.launched.unwrap_or_else(Timestamp::now);
        let expires = instance.tag(TAG_EXPIRES).and_then(|time| time.parse().ok());
        let token = instance.client_token.clone().unwrap_or_else(ClientToken::generate);
        // A tag is what anybody may have written: it names a host only if it could be a host's name.
        let host = instance.tag(TAG_HOST).and_then(|tag| tag.parse::<HostId>().ok());
        // Those that were launched together have the same.
        let known = self.work.journal.records()?;
        let is_stopped = instance.state.is_stopped();
        // One that is stopped is one of those, whatever its tags are.
        let stops = match instance.tag(TAG_STOPS) {
            Some(gib) => Some(Stops { volume_gib: gib.parse().ok(), start_asked: None }),
            None => is_stopped.then(Stops::default),
        };
        let host = host.filter(|host| known.iter().all(|record| record.host != *host));
        let record = Record {
            host: host.unwrap_or_else(HostId::generate),
            state: RecordState::Creating,
            created: launched,
            expires: expires.unwrap_or(launched),
            place: Place {
                cloud: here.cloud,
                account: Some(environment.account.clone()),
                region: environment.region.clone(),
            },
            domain: environment.domain.clone(),
            owner: environment.owner.clone(),
            vpc: environment.vpc.clone(),
            instance_type: instance.instance_type.clone(),
            daemon_port,
            previous_context: None,
            steps: vec![Step {
                state: StepState::Adopted,
                intent: Intent::Instance(LaunchIntent {
                    client_token: token,
                    launch_index: instance.launch_index,
                    subnet,
                    market: instance.market,
                    asked: launched,
                    id: Some(instance.id.clone()),
                }),
            }],
            instance: Some(recorded),
            failure: None,
            stops,
        };
        let adopted =
            if is_stopped { self.adopt_stopped_files(&record).await } else { self.adopt_files(&record).await };
        let adoption = match adopted {
            Ok(adoption) => adoption,
            Err(error) => Adoption::NoAnswer { why: super::termination::with_causes(error.as_ref()) },
        };
        if adoption == Adoption::Adopted {
            self.work.journal.begin(record)?.update(|record| record.state = RecordState::Ready)?;
        }
        Ok(adoption)
    }

    /// Live instances of this owner in this domain that no readable record knows.
    ///
    /// # Cancel safety
    /// It only reads, and can be dropped at any time.
    ///
    /// # Errors
    /// A journal that can't be read, or a failed `ec2:DescribeInstances`.
    pub async fn hosts_without_record(
        &self,
        domain: &DomainId,
        owner: &OwnerName,
    ) -> Result<Vec<Instance>, ProvisionError> {
        let tags = vec![Tag::new(TAG_DOMAIN, domain.as_str()), Tag::new(TAG_OWNER, owner.as_str())];
        let mut found = self.work.cloud.instances.list(&InstanceFilter { tags, ..InstanceFilter::default() }).await?;
        let records = self.work.journal.records()?;
        found.retain(|instance| {
            let recorded = records.iter().any(|record| {
                let host = instance.tag(TAG_HOST).is_some_and(|host| host == record.host.as_str());
                host || record.launches().any(|(_, launch)| launch.launched(instance))
                    || instance_of(record).as_ref() == Some(&instance.id)
            });
            !instance.state.is_ended() && !recorded
        });
        Ok(found)
    }
}

fn instance_of(record: &Record) -> Option<InstanceId> {
    let recorded = record.instance.as_ref().map(|instance| instance.id.clone());
    recorded.or_else(|| record.launches().find_map(|(_, launch)| launch.id.clone()))
}
