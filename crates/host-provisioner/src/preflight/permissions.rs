//! Whether the changes of a plan would be allowed.

use studio_discovery::{SecurityGroupId, StudioEnvironment};

use super::{Finding, Unproven};
use crate::{Cloud, CloudError, DryRun, GroupPlan, HostGroups, HostPlan, InstanceId, MountTarget, Rule, Tagged};

/// Every change that the plan needs, and its undo.
pub(super) async fn examine(
    cloud: &Cloud,
    environment: &StudioEnvironment,
    plan: &HostPlan,
    mount_targets: &[(MountTarget, Vec<SecurityGroupId>)],
    own_host: Option<InstanceId>,
) -> Vec<Finding> {
    let mut calls = Vec::new();
    let mut unproven = Vec::new();
    if let HostGroups::Named { docker, nfs } = &plan.groups {
        group(plan, docker, &mut calls, &mut unproven);
        if let Some(nfs) = nfs {
            group(plan, nfs, &mut calls, &mut unproven);
            for (target, groups) in mount_targets {
                mount_target(nfs, target, groups, &mut calls, &mut unproven);
            }
        }
    }
    match own_host {
        Some(id) => calls.push(DryRun::Terminate(id)),
        None => unproven.push(("ec2:TerminateInstances", Unproven::NothingToAskAbout { what: "host" })),
    }
    let mut findings: Vec<Finding> = launch(cloud, environment, plan).await.into_iter().collect();
    for finding in futures_util::future::join_all(calls.into_iter().map(|call| ask(cloud, call))).await {
        // Two groups need the same permission.
        if findings.iter().all(|known: &Finding| known.to_string() != finding.to_string()) {
            findings.push(finding);
        }
    }
    let mut seen = std::collections::HashSet::new();
    let unproven = unproven.into_iter().filter(|(action, _)| seen.insert(*action));
    findings.extend(unproven.map(|(action, why)| Finding::Unproven { action, why }));
    findings
}

/// What EC2 says of the launch in the first placement. A group that does not exist yet can't be named: the app's own stand in for it.
pub(super) async fn launch(cloud: &Cloud, environment: &StudioEnvironment, plan: &HostPlan) -> Option<Finding> {
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
        Finding::Refused { error, .. }
            if existing.is_none() && error.is_access_denied() && !names_more_than_groups(&error) =>
        {
            Finding::Unproven { action: error.action, why: Unproven::NothingToAskAbout { what: "security group" } }
        }
        finding => finding,
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
async fn ask(cloud: &Cloud, call: DryRun) -> Finding {
    let action = call.action();
    let error = match cloud.dry_runs.dry_run(&call).await {
        Ok(()) => return Finding::Allowed { action },
        Err(error) if !is_plain_no(&call, &error) => return Finding::Unproven { action, why: Unproven::Asked(error) },
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
    Finding::Refused { error, only_tags }
}

/// What making a group comes to, or the rules that one lacks.
fn group(plan: &HostPlan, group: &GroupPlan, calls: &mut Vec<DryRun>, unproven: &mut Vec<(&'static str, Unproven)>) {
    let Some(id) = &group.existing else {
        let tags = plan.group_tags().to_vec();
        let (vpc, name, description) = (group.vpc.clone(), group.name.clone(), group.description.clone());
        calls.push(DryRun::CreateGroup { vpc, name, description, tags });
        let what = "security group";
        let mut later = vec!["ec2:AuthorizeSecurityGroupIngress", "ec2:DeleteSecurityGroup"];
        if group.egress.is_some() {
            later.extend(["ec2:AuthorizeSecurityGroupEgress", "ec2:RevokeSecurityGroupEgress"]);
        }
        unproven.extend(later.into_iter().map(|action| (action, Unproven::NothingToAskAbout { what })));
        return;
    };
    if !group.missing_ingress.is_empty() {
        let rules: Vec<Rule> = group.missing_ingress.iter().map(|rule| rule.within(id)).collect();
        calls.push(DryRun::AuthorizeIngress { group: id.clone(), rules });
    }
}

/// What letting hosts onto a mount target comes to, unless they are.
fn mount_target(
    nfs: &GroupPlan,
    target: &MountTarget,
    groups: &[SecurityGroupId],
    calls: &mut Vec<DryRun>,
    unproven: &mut Vec<(&'static str, Unproven)>,
) {
    if nfs.existing.as_ref().is_some_and(|id| groups.contains(id)) {
        return;
    }
    unproven.push(("elasticfilesystem:ModifyMountTargetSecurityGroups", Unproven::NoDryRun));
    if let Some(interface) = &target.interface {
        // A group that does not exist yet can't be named.
        let groups = groups.iter().chain(&nfs.existing).cloned().collect();
        calls.push(DryRun::SetInterfaceGroups { interface: interface.clone(), groups });
    }
}
