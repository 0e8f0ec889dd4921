//! Giving hosts NFS access to a mount target, whose list of security groups is shared with everyone else's.

use studio_discovery::SecurityGroupId;

use crate::{
    CloudError, MAX_SECURITY_GROUPS, MountTargetId, OpenRecord, ProvisionError, Resource, ResourceKind, ResourceState,
    Step, Turn, Wait,
    provisioner::{Provisioner, undo::Outcome},
    steps::security_group::own_instances,
};

impl Provisioner {
    /// Sees to it that a mount target has the group.
    pub(crate) async fn attach(
        &self,
        target: &MountTargetId,
        group: &SecurityGroupId,
        open: &mut OpenRecord,
    ) -> Result<(), ProvisionError> {
        self.check_stop()?;
        if self.groups_with_room(target, group).await?.contains(group) {
            return Ok(());
        }
        let step = Step::MountTarget { mount_target: target.clone() };
        self.started(&step);
        let kind = ResourceKind::MountTargetGroup { mount_target: target.clone(), group: group.clone() };
        let position = open.record().resources.len();
        open.update(|record| record.resources.push(Resource { state: ResourceState::Intended, kind }))?;
        match self.add_to_list(target, group).await {
            Ok(()) => open.update(|record| record.resources[position].state = ResourceState::Created)?,
            Err(error) => {
                if !matches!(&error, ProvisionError::Cloud(error) if error.outcome_is_unknown()) {
                    open.update(|record| record.resources[position].state = ResourceState::Gone)?;
                }
                return Err(error);
            }
        }
        self.finished(step);
        Ok(())
    }

    /// Puts the group back where another host's clean-up took it off in between.
    pub(crate) async fn keep_attached(
        &self,
        target: &MountTargetId,
        group: &SecurityGroupId,
    ) -> Result<(), ProvisionError> {
        if self.cloud.mount_targets.security_groups(target).await?.contains(group) {
            return Ok(());
        }
        self.add_to_list(target, group).await
    }

    /// The list is read right before it is replaced, and by one process of this home at a time.
    async fn add_to_list(&self, target: &MountTargetId, group: &SecurityGroupId) -> Result<(), ProvisionError> {
        let _turn = self.turn().await?;
        let mut groups = self.groups_with_room(target, group).await?;
        if !groups.contains(group) {
            groups.push(group.clone());
            self.cloud.mount_targets.set_security_groups(target, &groups).await?;
        }
        Ok(())
    }

    /// Takes the group off the list, and leaves the others there. A mount target that is gone is no error.
    pub(crate) async fn detach(&self, target: &MountTargetId, group: &SecurityGroupId) -> Result<(), ProvisionError> {
        let _turn = self.turn().await?;
        let mount_targets = &self.cloud.mount_targets;
        let result = async {
            let mut groups = self
                .bounds
                .persistently("reading a mount target's groups", || mount_targets.security_groups(target))
                .await?;
            if !groups.contains(group) {
                return Ok(());
            }
            groups.retain(|other| other != group);
            self.bounds
                .persistently("taking a group off a mount target", || {
                    mount_targets.set_security_groups(target, &groups)
                })
                .await
        };
        match result.await {
            Err(error) if !error.is_not_found() => Err(error.into()),
            _ => Ok(()),
        }
    }

    async fn turn(&self) -> Result<Turn, ProvisionError> {
        let within = self.bounds.patience.cleans_up;
        match self.bounds.wait(Wait::Turn, within, self.journal.turn()).await {
            Some(turn) => Ok(turn?),
            None => Err(ProvisionError::NoTurn { within }),
        }
    }

    async fn groups_with_room(
        &self,
        target: &MountTargetId,
        group: &SecurityGroupId,
    ) -> Result<Vec<SecurityGroupId>, ProvisionError> {
        let groups: Result<Vec<SecurityGroupId>, CloudError> = self.cloud.mount_targets.security_groups(target).await;
        let groups = groups?;
        if groups.len() >= MAX_SECURITY_GROUPS && !groups.contains(group) {
            return Err(ProvisionError::MountTargetFull { mount_target: target.clone(), count: groups.len() });
        }
        Ok(groups)
    }

    pub(crate) async fn undo_membership(
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
}
