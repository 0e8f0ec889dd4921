//! What can be known of a plan before it is carried out, without changing anything.
//!
//! A plan exists only where the reads that it needs were allowed and gave what it needs; this looks at what only the changes would
//! show otherwise: permissions, room on the mount target, the zones that offer the type, the account's quota, the VPC's DNS.

mod check;
mod permissions;

use studio_discovery::{SecurityGroupId, StudioEnvironment, Tag};

pub use check::{Check, Room, Severity, Subject, Unproven};

use crate::{
    Cloud, CloudError, GroupPlan, HostGroups, HostPlan, Instance, InstanceFilter, InstanceTypeInfo, MountTarget,
    ProvisionError, QuotaClass, TAG_DOMAIN, TAG_HOST, TAG_OWNER, USUAL_SECURITY_GROUPS, VolumeKey, Warning,
};

/// Looks for what would keep a plan's host from coming up, with independent calls at the same time. Changes nothing.
///
/// The checks are in a fixed order. What can't be told is a check too.
///
/// # Cancel safety
/// It only asks, and can be dropped at any time.
pub async fn examine(
    cloud: &Cloud,
    environment: &StudioEnvironment,
    plan: &HostPlan,
    instance_type: &InstanceTypeInfo,
) -> Vec<Check> {
    let everything = InstanceFilter::default();
    let instances = cloud.instances.list(&everything);
    let (dns, targets, offered, encryption, instances) =
        tokio::join!(dns(cloud, plan), mount_targets(cloud, plan), offered(cloud, plan), encryption(cloud), instances);
    let attached = targets.attached;
    let mut checks = vec![sizes(plan), dns];
    checks.extend(targets.checks);
    checks.push(offered);
    checks.extend(encryption);
    let own_host = match instances {
        Ok(instances) => {
            checks.extend(quota(cloud, plan, instance_type, &instances).await);
            instances.into_iter().find(|instance| is_own(instance, plan)).map(|instance| instance.id)
        }
        Err(error) => {
            checks.push(refused_or_unproven(error));
            None
        }
    };
    checks.extend(permissions::examine(cloud, environment, plan, &attached, own_host).await);
    checks
}

/// The quick part, for right before a creation: whether instances may be looked at, without which nobody sees one come up or end; and
/// whether EC2 would take the launch, where something else would be changed first. What can't be told is no error.
///
/// # Cancel safety
/// It only asks, and can be dropped at any time.
///
/// # Errors
/// The launch would be refused, or `ec2:DescribeInstances` is.
pub async fn check_launch(
    cloud: &Cloud,
    environment: &StudioEnvironment,
    plan: &HostPlan,
) -> Result<(), ProvisionError> {
    let of_this_host = vec![Tag::new(TAG_HOST, plan.host.as_str())];
    let look = InstanceFilter { tags: of_this_host, ..InstanceFilter::default() };
    let (look, launch) =
        tokio::join!(cloud.instances.list(&look), check_launch_before_changes(cloud, environment, plan));
    match look {
        Err(error) if error.is_access_denied() => Err(error.into()),
        _ => launch,
    }
}

async fn check_launch_before_changes(
    cloud: &Cloud,
    environment: &StudioEnvironment,
    plan: &HostPlan,
) -> Result<(), ProvisionError> {
    if !changes_something_first(cloud, plan).await {
        return Ok(());
    }
    match permissions::launch(cloud, environment, plan).await {
        Some(Check::Refused { error, only_tags: false }) => Err(error.into()),
        _ => Ok(()),
    }
}

/// Whether a creation would change something before its launch: a group, its rules, a mount target's list.
async fn changes_something_first(cloud: &Cloud, plan: &HostPlan) -> bool {
    let HostGroups::Named { docker, nfs } = &plan.groups else { return false };
    let lacks = |group: &GroupPlan| group.existing.is_none() || !group.missing_ingress.is_empty();
    if lacks(docker) || nfs.as_ref().is_some_and(lacks) {
        return true;
    }
    let id = nfs.as_ref().and_then(|nfs| nfs.existing.as_ref());
    let (Some(id), Some(placement)) = (id, plan.placements.first()) else { return false };
    for target in &placement.mount_targets {
        match cloud.mount_targets.security_groups(&target.id).await {
            Ok(groups) if groups.contains(id) => {}
            _ => return true,
        }
    }
    false
}

fn sizes(plan: &HostPlan) -> Check {
    let user_data =
        plan.placements.iter().map(|placement| placement.user_data.as_bytes().len()).max().unwrap_or_default();
    let left_out = plan.warnings.iter().find_map(|warning| match warning {
        Warning::TagsLeftOut { keys } => Some(keys.clone()),
        _ => None,
    });
    Check::Sizes { user_data, tags: plan.tags.len(), tags_left_out: left_out.unwrap_or_default() }
}

async fn dns(cloud: &Cloud, plan: &HostPlan) -> Check {
    match cloud.networks.dns(&plan.vpc).await {
        Ok(dns) => Check::Dns { vpc: plan.vpc.clone(), dns },
        Err(error) => unproven(error),
    }
}

struct Targets {
    checks: Vec<Check>,
    /// The first placement's mount targets, with the groups they have, where those could be read.
    attached: Vec<(MountTarget, Vec<SecurityGroupId>)>,
}

/// Whether there is room for one more group on each mount target, where one will be put there.
async fn mount_targets(cloud: &Cloud, plan: &HostPlan) -> Targets {
    let mut targets = Targets { checks: Vec::new(), attached: Vec::new() };
    let HostGroups::Named { nfs: Some(nfs), .. } = &plan.groups else { return targets };
    for (position, placement) in plan.placements.iter().enumerate() {
        for target in &placement.mount_targets {
            let groups = match cloud.mount_targets.security_groups(&target.id).await {
                Ok(groups) => groups,
                Err(error) => {
                    targets.checks.push(refused_or_unproven(error));
                    return targets;
                }
            };
            let there = nfs.existing.as_ref().is_some_and(|id| groups.contains(id));
            let room = if there || groups.len() < USUAL_SECURITY_GROUPS {
                Room::There
            } else {
                match cloud.quotas.groups_per_interface().await {
                    Ok(limit) if groups.len() as u64 >= limit => Room::Full,
                    Ok(_) => Room::There,
                    Err(_) => Room::Unknown,
                }
            };
            targets.checks.push(Check::MountTarget {
                mount_target: target.id.clone(),
                subnet: placement.subnet.clone(),
                groups: groups.len(),
                room,
                first_choice: position == 0,
            });
            if position == 0 {
                targets.attached.push((target.clone(), groups));
            }
        }
    }
    targets
}

async fn offered(cloud: &Cloud, plan: &HostPlan) -> Check {
    match cloud.instance_types.zones(&plan.instance_type).await {
        Ok(zones) => {
            let wanted = plan.placements.iter().filter_map(|placement| placement.zone.clone()).collect();
            Check::Offered { instance_type: plan.instance_type.clone(), zones, wanted }
        }
        Err(error) => unproven(error),
    }
}

/// A key of the account for its volumes; `None` where it is AWS's own, which everybody may use.
async fn encryption(cloud: &Cloud) -> Option<Check> {
    match cloud.volumes.default_key().await {
        Ok(VolumeKey::Aws) => None,
        Ok(VolumeKey::Customer(key)) => Some(Check::Encryption { key }),
        Err(error) => Some(unproven(error)),
    }
}

fn is_own(instance: &Instance, plan: &HostPlan) -> bool {
    !instance.state.is_ended()
        && instance.tag(TAG_DOMAIN) == Some(plan.domain.as_str())
        && instance.tag(TAG_OWNER) == Some(plan.owner.as_str())
}

/// The virtual CPUs that the account may run, those that run, and those that the host would add; `None` where the type is of a class
/// whose quota is not looked at.
async fn quota(
    cloud: &Cloud,
    plan: &HostPlan,
    instance_type: &InstanceTypeInfo,
    instances: &[Instance],
) -> Option<Check> {
    let class = QuotaClass::of(&plan.instance_type)?;
    let market = *plan.markets.last()?;
    let limit = match cloud.quotas.vcpus(class, market).await {
        Ok(limit) => limit,
        Err(error) => return Some(unproven(error)),
    };
    let counts = |instance: &&Instance| {
        !instance.state.is_ended()
            && instance.market == market
            && QuotaClass::of(&instance.instance_type) == Some(class)
    };
    let running = instances.iter().filter(counts).filter_map(|instance| instance.vcpus).map(u64::from).sum();
    Some(Check::Quota { class, limit, running, wanted: instance_type.vcpus.map(u64::from) })
}

fn unproven(error: CloudError) -> Check {
    Check::Unproven { action: error.action, why: Unproven::Asked(error) }
}

fn refused_or_unproven(error: CloudError) -> Check {
    if error.is_refusal() { Check::Refused { error, only_tags: false } } else { unproven(error) }
}

#[cfg(all(test, feature = "fake"))]
mod tests;
