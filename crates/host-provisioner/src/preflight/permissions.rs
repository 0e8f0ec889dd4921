//! Whether the changes of a plan would be allowed.

use studio_discovery::{SecurityGroupId, StudioEnvironment};

use super::{Check, Unproven};
use crate::{
    Cloud, CloudError, DryRun, HostGroups, HostPlan, InstanceId, MountTarget, MountTargetId, Tagged, steps::Asks,
};

/// Every change that the plan needs, and its undo.
pub(super) async fn examine(
    cloud: &Cloud,
    environment: &StudioEnvironment,
    plan: &HostPlan,
    mount_targets: &[(MountTarget, Vec<SecurityGroupId>)],
    own_host: Option<InstanceId>,
) -> Vec<Check> {
    let mut asks = Asks::default();
    let has = |target: &MountTargetId| {
        mount_targets.iter().find(|(known, _)| known.id == *target).map(|(_, groups)| groups.clone())
    };
    for step in plan.first_steps() {
        step.asks(plan, has, own_host.as_ref(), &mut asks);
    }
    let mut checks: Vec<Check> = launch(cloud, environment, plan).await.into_iter().collect();
    for check in futures_util::future::join_all(asks.calls.into_iter().map(|call| ask(cloud, call))).await {
        // Two groups need the same permission.
        if checks.iter().all(|known: &Check| known.to_string() != check.to_string()) {
            checks.push(check);
        }
    }
    let mut seen = std::collections::HashSet::new();
    let unproven = asks.unproven.into_iter().filter(|(action, _)| seen.insert(*action));
    checks.extend(unproven.map(|(action, why)| Check::Unproven { action, why }));
    checks
}

/// What EC2 says of the launch in the first placement. A group that does not exist yet can't be named: the app's own stand in for it.
pub(super) async fn launch(cloud: &Cloud, environment: &StudioEnvironment, plan: &HostPlan) -> Option<Check> {
    let existing = match &plan.groups {
        HostGroups::Given(groups) => Some(groups.clone()),
        HostGroups::Named { docker, nfs } => {
            std::iter::once(docker).chain(nfs).map(|group| group.existing.clone()).collect()
        }
    };
    let groups = existing.as_ref().unwrap_or(&environment.security_groups);
    let spec = plan.launch_spec(plan.placements.first()?, *plan.markets.first()?, groups, Tagged::Everything);
    Some(match ask(cloud, DryRun::Launch(Box::new(spec))).await {
        // Perhaps only with the groups that stand in: where EC2 names what it refuses, that tells.
        Check::Refused { error, .. }
            if existing.is_none() && error.is_access_denied() && !names_more_than_groups(&error) =>
        {
            Check::Unproven { action: error.action, why: Unproven::NothingToAskAbout { what: "security group" } }
        }
        check => check,
    })
}

/// Whether EC2 would refuse the call. A host that is not found may just have ended, which says nothing of the next one.
fn is_plain_no(call: &DryRun, error: &CloudError) -> bool {
    error.is_access_denied() || error.is_refusal() && !matches!(call, DryRun::Terminate(_))
}

/// Whether AWS's words name a resource, and no security group.
fn names_more_than_groups(error: &CloudError) -> bool {
    error.message.split_once("on resource: ").is_some_and(|(_, resource)| !resource.contains(":security-group/"))
}

/// What EC2 says of a call; where it is refused, whether it would be allowed with fewer tags.
async fn ask(cloud: &Cloud, call: DryRun) -> Check {
    let action = call.action();
    let error = match cloud.dry_runs.dry_run(&call).await {
        Ok(()) => return Check::Allowed { action },
        Err(error) if !is_plain_no(&call, &error) => return Check::Unproven { action, why: Unproven::Asked(error) },
        Err(error) => error,
    };
    let mut only_tags = false;
    let mut fewer = call.with_fewer_tags().filter(|_| error.may_be_for_tags());
    while let Some(call) = fewer.take() {
        match cloud.dry_runs.dry_run(&call).await {
            Ok(()) => only_tags = true,
            Err(error) if error.may_be_for_tags() => fewer = call.with_fewer_tags(),
            Err(_) => {}
        }
    }
    Check::Refused { error, only_tags }
}
