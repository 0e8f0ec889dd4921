//! Making sure that a security group exists and allows what it must.

use jiff::Timestamp;
use studio_discovery::{SecurityGroupId, Tag, VpcId};
use tokio::time::Instant;

use crate::{
    CloudError, CloudErrorKind, GroupPlan, HostPlan, Instance, InstanceFilter, InstanceId, OpenRecord, ProvisionError,
    Resource, ResourceKind, ResourceState, Rule, SecurityGroup, Step, TAG_HOST, Wait, Warning,
    provisioner::{Provisioner, undo::Outcome},
};

impl Provisioner {
    /// The id of a group that exists and has every inbound rule of its plan.
    pub(crate) async fn ensure_group(
        &self,
        group: &GroupPlan,
        plan: &HostPlan,
        open: &mut OpenRecord,
    ) -> Result<SecurityGroupId, ProvisionError> {
        self.check_stop()?;
        if let Some(id) = &group.existing {
            if !group.missing_ingress.is_empty() {
                let step = Step::SecurityGroup { name: group.name.clone() };
                self.started(&step);
                // Rules that others rely on are not journaled: they are added, and never taken away again.
                self.allow(id, group).await?;
                self.finished(step);
            }
            return Ok(id.clone());
        }
        let step = Step::SecurityGroup { name: group.name.clone() };
        self.started(&step);
        let position = intend(open, group)?;
        let id = match self.create_group(group, plan).await {
            Ok(id) => {
                settle(open, position, Some(&id), ResourceState::Created)?;
                self.allow(&id, group).await?;
                self.close_egress(&id, group).await?;
                id
            }
            Err(error) if error.kind == CloudErrorKind::AlreadyExists => {
                let present = self.find_group(group).await?;
                // Ours after all, where the answer to a first try was lost.
                let ours = present.tags.contains(&Tag::new(TAG_HOST, plan.host.as_str()));
                let state = if ours { ResourceState::Created } else { ResourceState::Adopted };
                settle(open, position, Some(&present.id), state)?;
                let id = present.id.clone();
                self.allow(&id, &group.clone().against(&[present])).await?;
                if ours {
                    self.close_egress(&id, group).await?;
                }
                id
            }
            Err(error) => {
                if !error.outcome_is_unknown() {
                    settle(open, position, None, ResourceState::Gone)?;
                }
                return Err(error.into());
            }
        };
        self.finished(step);
        Ok(id)
    }

    async fn create_group(&self, group: &GroupPlan, plan: &HostPlan) -> Result<SecurityGroupId, CloudError> {
        let tags = plan.group_tags();
        let groups = &self.cloud.security_groups;
        let tagged = groups.create(&group.vpc, &group.name, &group.description, &tags).await;
        match tagged {
            Err(error) if error.may_be_for_tags() => {
                match groups.create(&group.vpc, &group.name, &group.description, &[]).await {
                    // As for the launch.
                    Err(untagged) if untagged.is_access_denied() => Err(error),
                    outcome => {
                        self.warn(Warning::NoTags);
                        outcome
                    }
                }
            }
            outcome => outcome,
        }
    }

    async fn find_group(&self, group: &GroupPlan) -> Result<SecurityGroup, CloudError> {
        let names = [group.name.as_str()];
        let found = self.bounds.once_it_appears(&group.name, || async {
            let found = self.cloud.security_groups.find(&group.vpc, &names).await?;
            found.into_iter().next().ok_or_else(|| {
                CloudError::new(
                    "ec2:DescribeSecurityGroups",
                    format!("security group {}", group.name),
                    CloudErrorKind::NotFound,
                )
            })
        });
        found.await
    }

    /// Adds the inbound rules that are missing. Someone else may be adding the same ones.
    async fn allow(&self, id: &SecurityGroupId, group: &GroupPlan) -> Result<(), ProvisionError> {
        let missing: Vec<Rule> = group.missing_ingress.iter().map(|rule| rule.within(id)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        self.check_stop()?;
        let groups = &self.cloud.security_groups;
        match self.bounds.once_it_appears(id.as_str(), || groups.authorize_ingress(id, &missing)).await {
            Err(error) if error.kind == CloudErrorKind::AlreadyExists => {
                for rule in &missing {
                    let one = || groups.authorize_ingress(id, std::slice::from_ref(rule));
                    match self.bounds.once_it_appears(id.as_str(), one).await {
                        Err(error) if error.kind != CloudErrorKind::AlreadyExists => return Err(error.into()),
                        _ => {}
                    }
                }
                Ok(())
            }
            outcome => Ok(outcome?),
        }
    }

    /// Narrows what leaves a group that was created just now. A role that may not do so gets a warning, as the first `sdocker`
    /// did not ask for these permissions.
    async fn close_egress(&self, id: &SecurityGroupId, group: &GroupPlan) -> Result<(), ProvisionError> {
        let Some(egress) = &group.egress else { return Ok(()) };
        self.check_stop()?;
        let rules: Vec<Rule> = egress.iter().map(|rule| rule.within(id)).collect();
        let groups = &self.cloud.security_groups;
        let narrowed = async {
            match self.bounds.once_it_appears(id.as_str(), || groups.authorize_egress(id, &rules)).await {
                Err(error) if error.kind != CloudErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
            self.bounds.once_it_appears(id.as_str(), || groups.revoke_default_egress(id)).await
        };
        match narrowed.await {
            Err(error) if error.is_access_denied() => {
                self.warn(Warning::OpenEgress { group: group.name.clone() });
                Ok(())
            }
            outcome => Ok(outcome?),
        }
    }

    /// Whether it is this host's creation that made the group.
    pub(crate) async fn group_made_here(
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

    pub(crate) async fn undo_group(
        &self,
        id: &SecurityGroupId,
        name: &str,
        open: &OpenRecord,
    ) -> Result<Outcome, ProvisionError> {
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
    pub(crate) async fn delete_group(
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
    pub(crate) async fn others_in(
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

fn intend(open: &mut OpenRecord, group: &GroupPlan) -> Result<usize, ProvisionError> {
    let kind = ResourceKind::SecurityGroup { vpc: group.vpc.clone(), name: group.name.clone(), id: None };
    let position = open.record().resources.len();
    open.update(|record| record.resources.push(Resource { state: ResourceState::Intended, kind }))?;
    Ok(position)
}

fn settle(
    open: &mut OpenRecord,
    position: usize,
    id: Option<&SecurityGroupId>,
    state: ResourceState,
) -> Result<(), ProvisionError> {
    open.update(|record| {
        let resource = &mut record.resources[position];
        resource.state = state;
        if let ResourceKind::SecurityGroup { id: known, .. } = &mut resource.kind {
            *known = id.cloned();
        }
    })?;
    Ok(())
}

/// Who made a security group.
pub(crate) enum Made {
    Here(SecurityGroupId),
    Elsewhere,
    /// It has no tags at all.
    Untold(SecurityGroupId),
}

pub(crate) fn own_instances(open: &OpenRecord) -> Vec<InstanceId> {
    let resources = &open.record().resources;
    resources
        .iter()
        .filter_map(|resource| match &resource.kind {
            ResourceKind::Instance { id, .. } => id.clone(),
            _ => None,
        })
        .collect()
}
