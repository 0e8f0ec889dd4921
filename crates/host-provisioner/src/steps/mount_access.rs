//! A host's way to a mount target: `EFSDockerHost` on the target's list of security groups, which is shared with everyone else's.

use serde_json::json;
use studio_discovery::SecurityGroupId;

use super::{
    Action, Applied, Asks, Condition, Kind, On, Origin, Permission, PlannedCall, Resolved, Slot, Task, Undone, Work,
    security_group::{group_id, own_instances},
};
use crate::{
    AccessIntent, Activity, CloudErrorKind, DryRun, GroupPlan, Intent, MountTarget, MountTargetId, ProvisionError,
    Record, RecordedInstance, preflight::Unproven,
};

/// The step.
pub(crate) enum AccessStep {}

/// A read of mount targets.
const READS_TARGETS: Permission = Permission {
    statement: "MountTargets",
    on: &[On::FileSystems],
    only_for_mounts: true,
    why: "finds the mount target in the host's own subnet, and the groups it has",
    ..Permission::READ
};

impl Kind for AccessStep {
    type Wanted = AccessIntent;
    type Made = ();
    type Intended = AccessIntent;
    type Target = ();

    const PERMISSIONS: &'static [Permission] = &[
        Permission {
            actions: &[Action::called("elasticfilesystem:DescribeMountTargets")],
            tasks: &[Task::Create, Task::Doctor],
            ..READS_TARGETS
        },
        Permission {
            actions: &[Action::called("elasticfilesystem:DescribeMountTargets")],
            tasks: &[Task::Purge],
            even_prepared: false,
            ..READS_TARGETS
        },
        Permission {
            actions: &[Action::called("elasticfilesystem:DescribeMountTargetSecurityGroups")],
            tasks: &[Task::Create, Task::Doctor],
            ..READS_TARGETS
        },
        Permission {
            actions: &[Action::called("elasticfilesystem:DescribeMountTargetSecurityGroups")],
            tasks: &[Task::Recover, Task::Purge],
            even_prepared: false,
            ..READS_TARGETS
        },
        Permission {
            actions: &[Action::within(
                "ec2:DescribeNetworkInterfaceAttribute",
                "elasticfilesystem:DescribeMountTargetSecurityGroups",
            )],
            tasks: &[Task::Create, Task::Doctor],
            even_prepared: true,
            only_prepared: false,
            only_for_mounts: true,
            ..Permission::READ
        },
        Permission {
            actions: &[Action::within(
                "ec2:DescribeNetworkInterfaceAttribute",
                "elasticfilesystem:DescribeMountTargetSecurityGroups",
            )],
            tasks: &[Task::Recover, Task::Purge],
            even_prepared: false,
            only_prepared: false,
            only_for_mounts: true,
            ..Permission::READ
        },
        Permission {
            statement: "MountTargetAccess",
            actions: &[Action::called("elasticfilesystem:ModifyMountTargetSecurityGroups")],
            on: &[On::FileSystems],
            condition: Condition::None,
            tasks: &[Task::Create, Task::Recover, Task::Purge],
            even_prepared: false,
            only_prepared: false,
            only_for_mounts: true,
            only_for_stops: false,
            why: "adds EFSDockerHost to the mount target beside the groups it has, and takes it off again",
        },
        Permission {
            statement: "MountTargetInterface",
            actions: &[Action::within(
                "ec2:ModifyNetworkInterfaceAttribute",
                "elasticfilesystem:ModifyMountTargetSecurityGroups",
            )],
            on: &[On::MountTargetInterfaces, On::SecurityGroups],
            condition: Condition::InVpc,
            tasks: &[Task::Create, Task::Recover, Task::Purge],
            even_prepared: false,
            only_prepared: false,
            only_for_mounts: true,
            only_for_stops: false,
            why: "EFS changes a mount target's groups on its network interface with the caller's own permissions (EFS API reference); \
                  sdocker never makes this call itself",
        },
    ];
    const ENDS_WITH_HOST: bool = false;

    fn activity(wanted: &AccessIntent) -> Activity {
        Activity::MountTarget { mount_target: wanted.mount_target.clone() }
    }

    fn intend(wanted: &AccessIntent) -> Intent {
        Intent::MountAccess(wanted.clone())
    }

    async fn present(work: &Work, wanted: &AccessIntent) -> Result<Option<()>, ProvisionError> {
        let groups = work.cloud.mount_targets.security_groups(&wanted.mount_target).await?;
        Ok(groups.contains(&wanted.group).then_some(()))
    }

    async fn apply(work: &Work, wanted: &AccessIntent, _slot: &mut Slot<'_>) -> Result<Applied<()>, ProvisionError> {
        Ok(match work.add_to_list(&wanted.mount_target, &wanted.group).await {
            Ok(()) => Applied::Made(()),
            Err(ProvisionError::Cloud(error)) => Applied::failed(error),
            Err(error) => Applied::Refused(error),
        })
    }

    fn note(_made: &(), _intent: &mut Intent, _instance: &mut Option<RecordedInstance>) {}

    async fn complete(
        _work: &Work,
        _wanted: &AccessIntent,
        _made: (),
        _origin: Origin,
        _slot: Option<Slot<'_>>,
    ) -> Result<(), ProvisionError> {
        Ok(())
    }

    fn known(_intended: &AccessIntent) -> Option<()> {
        Some(())
    }

    /// Whether the list was changed need not be known: taking the group off it works in either case.
    async fn resolve(_work: &Work, _intended: &AccessIntent, _record: &Record) -> Result<Resolved<()>, ProvisionError> {
        Ok(Resolved::Made(()))
    }

    async fn undo(
        work: &Work,
        _target: (),
        intended: &AccessIntent,
        record: &Record,
    ) -> Result<Undone, ProvisionError> {
        let AccessIntent { mount_target, group } = intended;
        let what = Intent::MountAccess(intended.clone()).to_string();
        if !work.others_in(group, &own_instances(record)).await?.is_empty() {
            return Ok(Undone::InUse(what));
        }
        let activity = Activity::Detach { mount_target: mount_target.clone() };
        work.started(&activity);
        work.detach(mount_target, group).await?;
        work.finished(activity);
        Ok(Undone::Gone(what))
    }
}

/// Its call, for a dry run.
pub(super) fn calls(target: &MountTarget, nfs: &GroupPlan) -> Vec<PlannedCall> {
    let parameters = json!({"MountTargetId": target.id, "SecurityGroups": ["<those it has>", group_id(nfs)]});
    vec![PlannedCall { action: "elasticfilesystem:ModifyMountTargetSecurityGroups", parameters }]
}

/// What can be asked of letting hosts onto a mount target that has these groups, unless they are let already.
pub(super) fn asks(target: &MountTarget, nfs: &GroupPlan, has: &[SecurityGroupId], asks: &mut Asks) {
    if nfs.existing.as_ref().is_some_and(|id| has.contains(id)) {
        return;
    }
    asks.unproven.push(("elasticfilesystem:ModifyMountTargetSecurityGroups", Unproven::NoDryRun));
    if let Some(interface) = &target.interface {
        // A group that does not exist yet can't be named.
        let groups = has.iter().chain(&nfs.existing).cloned().collect();
        asks.calls.push(DryRun::SetInterfaceGroups { interface: interface.clone(), groups });
    }
}

impl Work {
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
        let mut groups = self.cloud.mount_targets.security_groups(target).await?;
        if groups.contains(group) {
            return Ok(());
        }
        let count = groups.len();
        groups.push(group.clone());
        // How many there can be is the account's own quota: EFS says so, and changes nothing then.
        match self.cloud.mount_targets.set_security_groups(target, &groups).await {
            Err(error) if error.kind == CloudErrorKind::LimitExceeded => {
                Err(ProvisionError::MountTargetFull { mount_target: target.clone(), count, source: error })
            }
            result => Ok(result?),
        }
    }

    /// Takes the group off the list, and leaves the others there. A mount target that is gone is no error.
    pub(crate) async fn detach(&self, target: &MountTargetId, group: &SecurityGroupId) -> Result<(), ProvisionError> {
        let _turn = self.turn().await?;
        let mount_targets = &self.cloud.mount_targets;
        let result = async {
            let read = || mount_targets.security_groups(target);
            let mut groups = self.bounds.persistently("reading a mount target's groups", read).await?;
            if !groups.contains(group) {
                return Ok(());
            }
            groups.retain(|other| other != group);
            let write = || mount_targets.set_security_groups(target, &groups);
            self.bounds.persistently("taking a group off a mount target", write).await
        };
        match result.await {
            Err(error) if !error.is_not_found() => Err(error.into()),
            _ => Ok(()),
        }
    }
}
