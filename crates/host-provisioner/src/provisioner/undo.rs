//! Undoing what a creation made, from its record alone, in reverse.

use std::{fmt, sync::Arc};

use jiff::Timestamp;
use studio_discovery::{SecurityGroupId, Tag, VpcId};
use tokio::time::Instant;

use super::Provisioner;
use crate::{
    ClientToken, CloudError, CloudErrorKind, Instance, InstanceFilter, InstanceId, MountTargetId, OpenRecord,
    ProvisionError, RecordState, ResourceKind, ResourceState, SecurityGroup, Step, TAG_HOST, Wait, Warning,
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
enum Outcome {
    Undone(String),
    NothingToUndo,
    InUse(String),
}

/// Who made a security group.
enum Made {
    Here(SecurityGroupId),
    Elsewhere,
    /// It has no tags at all.
    Untold(SecurityGroupId),
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

    async fn undo_instance(&self, id: &InstanceId, asked: Timestamp) -> Result<Outcome, ProvisionError> {
        self.end_instance(id, Some(asked)).await?;
        Ok(Outcome::Undone(format!("instance {id}")))
    }

    /// The answer to a launch was lost: whatever carries its token is terminated.
    async fn undo_lost_launch(&self, token: &ClientToken, asked: Timestamp) -> Result<Outcome, ProvisionError> {
        let step = Step::Resolve;
        self.started(&step);
        let found = self.find_launched(token, asked).await;
        self.finished(step);
        match found? {
            Some(instance) => self.undo_instance(&instance.id, asked).await,
            None => Ok(Outcome::NothingToUndo),
        }
    }

    /// The instance that carries a token; `None` once there is certainly none.
    pub(super) async fn find_launched(
        &self,
        token: &ClientToken,
        asked: Timestamp,
    ) -> Result<Option<Instance>, CloudError> {
        let filter = InstanceFilter { client_token: Some(token.clone()), ..InstanceFilter::default() };
        let look = || async {
            let found = self.bounds.persistently("looking for a launch", || self.cloud.instances.list(&filter)).await?;
            found.into_iter().next().ok_or_else(|| {
                CloudError::new("ec2:DescribeInstances", format!("instance of token {token}"), CloudErrorKind::NotFound)
            })
        };
        let patience = self.bounds.may_still_appear_for(asked);
        match self.bounds.repeat(Wait::Launched, patience, CloudError::is_not_found, look).await {
            Ok(instance) => Ok(Some(instance)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn undo_membership(
        &self,
        target: &MountTargetId,
        group: &SecurityGroupId,
        open: &OpenRecord,
    ) -> Result<Outcome, ProvisionError> {
        let what = format!("NFS access of {group} to mount target {target}");
        if !self.others_in(group, &own_instances(open)).await?.is_empty() {
            return Ok(Outcome::InUse(what));
        }
        let step = Step::Detach { mount_target: target.clone() };
        self.started(&step);
        self.detach(target, group).await?;
        self.finished(step);
        Ok(Outcome::Undone(what))
    }

    /// Whether it is this host's creation that made the group.
    async fn group_made_here(
        &self,
        vpc: &VpcId,
        name: &str,
        id: Option<&SecurityGroupId>,
        intended: bool,
        host: &str,
    ) -> Result<Made, ProvisionError> {
        if let (Some(id), false) = (id, intended) {
            return Ok(Made::Here(id.clone()));
        }
        // The answer to the creation was lost: the tag tells whose the group is. Without the permission to tag it can't be told,
        // and the group stays, which costs nothing, and is said.
        let found: Vec<SecurityGroup> = self
            .bounds
            .persistently("looking for a group", || async { self.cloud.security_groups.find(vpc, &[name]).await })
            .await?;
        Ok(match found.into_iter().next() {
            Some(group) if group.tags.contains(&Tag::new(TAG_HOST, host)) => Made::Here(group.id),
            Some(group) if group.tags.is_empty() => Made::Untold(group.id),
            _ => Made::Elsewhere,
        })
    }

    async fn undo_group(&self, id: &SecurityGroupId, name: &str, open: &OpenRecord) -> Result<Outcome, ProvisionError> {
        // What could not be taken off a mount target still holds the group: that is no one else's use of it.
        let attached = open.record().resources.iter().any(|resource| {
            matches!(&resource.kind, ResourceKind::MountTargetGroup { group, .. } if group == id)
                && matches!(resource.state, ResourceState::Intended | ResourceState::Created)
        });
        if attached {
            let error = CloudError::new("ec2:DeleteSecurityGroup", id.as_str(), CloudErrorKind::InUse);
            return Err(error.with_message(None, "a mount target still has it").into());
        }
        if self.delete_group(id, name, &own_instances(open), Some(open.record().created)).await? {
            return Ok(Outcome::Undone(format!("security group {name} ({id})")));
        }
        // Somebody launched with it since it was taken off the mount targets: put it back for them.
        for resource in &open.record().resources {
            if let ResourceKind::MountTargetGroup { mount_target, group } = &resource.kind
                && group == id
                && resource.state == ResourceState::Gone
            {
                self.keep_attached(mount_target, id).await?;
            }
        }
        Ok(Outcome::InUse(format!("security group {name} ({id})")))
    }

    /// Deletes a group as soon as instances that are ending let go of it; `false` where another live instance, or anything else
    /// that does not let go, uses it. `made` is when it was created, where that was a moment ago: until EC2 knows a new group everywhere,
    /// it may answer that there is none.
    pub(super) async fn delete_group(
        &self,
        id: &SecurityGroupId,
        name: &str,
        ending: &[InstanceId],
        made: Option<Timestamp>,
    ) -> Result<bool, ProvisionError> {
        let step = Step::DeleteGroup { name: name.to_owned() };
        self.started(&step);
        let began = Instant::now();
        // The network interface of an instance may be there for a moment longer than the instance (EC2 user guide, "Delete a security
        // group": DependencyViolation until then).
        let may_let_go = || !ending.is_empty() && began.elapsed() < self.bounds.patience.ends;
        let appears = made.map(|made| self.bounds.may_still_appear_for(made)).unwrap_or_default();
        let try_once = || async {
            if !self.others_in(id, ending).await?.is_empty() {
                return Ok(false);
            }
            let delete = || self.cloud.security_groups.delete(id);
            let delete = || self.bounds.persistently("deleting a group", delete);
            let wait = Wait::Group { group: name.to_owned() };
            match self.bounds.repeat(wait, appears, CloudError::is_not_found, delete).await {
                Ok(()) => Ok(true),
                Err(error) if error.is_not_found() => Ok(true),
                // Worth waiting only while an instance that is ending still holds it.
                Err(error)
                    if error.kind == CloudErrorKind::InUse && !may_let_go() && self.ending_in(id).await?.is_empty() =>
                {
                    Ok(false)
                }
                Err(error) => Err(ProvisionError::from(error)),
            }
        };
        let held = |error: &ProvisionError| matches!(error, ProvisionError::Cloud(error) if error.kind == CloudErrorKind::InUse);
        let wait = Wait::Release { group: name.to_owned() };
        let deleted = self.bounds.repeat(wait, self.bounds.patience.releases, held, try_once).await?;
        self.finished(step);
        Ok(deleted)
    }

    /// Live instances in a group, but for these.
    pub(super) async fn others_in(
        &self,
        group: &SecurityGroupId,
        but: &[InstanceId],
    ) -> Result<Vec<Instance>, ProvisionError> {
        let mut instances = self.in_group(group).await?;
        instances.retain(|instance| !instance.state.is_ended() && !but.contains(&instance.id));
        Ok(instances)
    }

    async fn ending_in(&self, group: &SecurityGroupId) -> Result<Vec<Instance>, ProvisionError> {
        let mut instances = self.in_group(group).await?;
        instances.retain(|instance| instance.state == crate::InstanceState::ShuttingDown);
        Ok(instances)
    }

    async fn in_group(&self, group: &SecurityGroupId) -> Result<Vec<Instance>, ProvisionError> {
        let filter = InstanceFilter { security_group: Some(group.clone()), ..InstanceFilter::default() };
        Ok(self.bounds.persistently("listing a group's instances", || self.cloud.instances.list(&filter)).await?)
    }
}

fn own_instances(open: &OpenRecord) -> Vec<InstanceId> {
    let resources = &open.record().resources;
    resources
        .iter()
        .filter_map(|resource| match &resource.kind {
            ResourceKind::Instance { id, .. } => id.clone(),
            _ => None,
        })
        .collect()
}

fn remaining(what: &str, error: ProvisionError) -> Remaining {
    Remaining { what: what.to_owned(), why: Some(Arc::new(error)) }
}
