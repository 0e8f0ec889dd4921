//! The steps of a plan, in order: what a creation does, what a dry run shows, what preflight asks.

use studio_discovery::SecurityGroupId;

use super::{Asks, PlannedCall, instance, mount_access, security_group};
use crate::{GroupPlan, HostGroups, HostPlan, Market, MountTarget, MountTargetId, Placement};

/// A step of a plan.
#[derive(Clone, Copy, Debug)]
pub(crate) enum PlannedStep<'p> {
    /// A group that exists, or will.
    SecurityGroup(&'p GroupPlan),
    /// Access to a mount target for members of a group.
    MountAccess { target: &'p MountTarget, nfs: &'p GroupPlan },
    /// The launch.
    Instance { placement: &'p Placement, market: Market },
}

/// The groups that exist by now, by their names.
#[derive(Clone, Debug, Default)]
pub(crate) struct Made {
    pub(crate) groups: Vec<(String, SecurityGroupId)>,
}

impl Made {
    pub(crate) fn group(&self, plan: &GroupPlan) -> Option<&SecurityGroupId> {
        self.groups.iter().find(|(name, _)| *name == plan.name).map(|(_, id)| id)
    }
}

/// The steps of a creation in one placement, paid for in one way, with these groups.
pub(crate) fn steps<'p>(groups: &'p HostGroups, placement: &'p Placement, market: Market) -> Vec<PlannedStep<'p>> {
    let mut steps = Vec::new();
    if let HostGroups::Named { docker, nfs } = groups {
        steps.extend(std::iter::once(docker).chain(nfs).map(PlannedStep::SecurityGroup));
        if let Some(nfs) = nfs {
            steps.extend(placement.mount_targets.iter().map(|target| PlannedStep::MountAccess { target, nfs }));
        }
    }
    steps.push(PlannedStep::Instance { placement, market });
    steps
}

impl PlannedStep<'_> {
    fn calls(&self, plan: &HostPlan) -> Vec<PlannedCall> {
        match self {
            Self::SecurityGroup(group) => security_group::calls(plan, group),
            Self::MountAccess { target, nfs } => mount_access::calls(target, nfs),
            Self::Instance { placement, market } => instance::calls(plan, placement, *market),
        }
    }

    /// Adds what can be asked of this step before it is done. `has` tells the groups that a mount target has; `own_host` is a live host of
    /// the owner, for want of the one that is to be made.
    pub(crate) fn asks(
        &self,
        plan: &HostPlan,
        has: impl Fn(&MountTargetId) -> Option<Vec<SecurityGroupId>>,
        own_host: Option<&crate::InstanceId>,
        asks: &mut Asks,
    ) {
        match self {
            Self::SecurityGroup(group) => security_group::asks(plan, group, asks),
            Self::MountAccess { target, nfs } => {
                if let Some(has) = has(&target.id) {
                    mount_access::asks(target, nfs, &has, asks);
                }
            }
            Self::Instance { .. } => instance::asks(own_host, asks),
        }
    }
}

impl HostPlan {
    /// The calls in order, when the first placement has capacity.
    pub fn calls(&self) -> Vec<PlannedCall> {
        self.first_steps().iter().flat_map(|step| step.calls(self)).collect()
    }

    /// The steps in the first placement.
    pub(crate) fn first_steps(&self) -> Vec<PlannedStep<'_>> {
        let first = self.placements.first().zip(self.markets.first());
        first.map(|(placement, market)| steps(&self.groups, placement, *market)).unwrap_or_default()
    }
}
