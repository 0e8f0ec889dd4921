//! Making sure that a security group exists and allows what it must.

use studio_discovery::{SecurityGroupId, Tag};

use super::Provisioner;
use crate::{
    CloudError, CloudErrorKind, GroupPlan, HostPlan, OpenRecord, ProvisionError, Resource, ResourceKind, ResourceState,
    Rule, SecurityGroup, Step, TAG_HOST, Warning,
};

impl Provisioner {
    /// The id of a group that exists and has every inbound rule of its plan.
    pub(super) async fn ensure_group(
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
