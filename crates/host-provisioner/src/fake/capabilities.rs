//! The cloud's traits over an account.

use std::{collections::BTreeMap, num::NonZeroU32};

use async_trait::async_trait;
use studio_discovery::{
    ApiError, DomainDescription, DomainId, FileSystemId, SecurityGroupId, SpaceDescription, SpaceName, StudioApi, Tag,
    UserProfileDescription, UserProfileName, VpcId,
};

use super::{Account, State, Store};
use crate::{
    CloudError, CloudErrorKind, CloudName, DryRun, DryRuns, GROUPS_PER_INTERFACE, Image, ImageFilter, ImageId, Images,
    Instance, InstanceFilter, InstanceId, InstanceType, InstanceTypeInfo, InstanceTypes, Instances, LaunchSpec, Market,
    MountTarget, MountTargetId, MountTargets, Networks, Place, QuotaClass, Quotas, Rule, SecurityGroup, SecurityGroups,
    Seen, SpotPrices, Territory, USUAL_SECURITY_GROUPS, VolumeKey, Volumes, VpcDns, Zone,
};

#[async_trait]
impl<S: Store> Images for Account<S> {
    async fn list(&self, filter: &ImageFilter) -> Result<Vec<Image>, CloudError> {
        self.with(|state| {
            state.allow("ec2:DescribeImages", "")?;
            let named = |image: &&Image| filter.names.iter().any(|pattern| matches_name(pattern, &image.name));
            Ok(state.images.iter().filter(named).cloned().collect())
        })?
    }

    async fn describe(&self, id: &ImageId) -> Result<Option<Image>, CloudError> {
        self.with(|state| {
            state.allow("ec2:DescribeImages", "")?;
            Ok(state.images.iter().find(|image| image.id == *id).cloned())
        })?
    }
}

#[async_trait]
impl<S: Store> InstanceTypes for Account<S> {
    async fn describe(&self, instance_type: &InstanceType) -> Result<Option<InstanceTypeInfo>, CloudError> {
        self.with(|state| {
            state.allow("ec2:DescribeInstanceTypes", "")?;
            Ok(state.instance_types.iter().find(|kind| kind.instance_type == *instance_type).cloned())
        })?
    }

    async fn zones(&self, instance_type: &InstanceType) -> Result<Vec<Zone>, CloudError> {
        self.with(|state| {
            state.allow("ec2:DescribeInstanceTypeOfferings", "")?;
            let known = state.instance_types.iter().any(|kind| kind.instance_type == *instance_type);
            let zones = state.subnets.iter().map(|subnet| subnet.zone.clone()).filter(|_| known);
            Ok(zones.filter(|zone| !state.not_offered.contains(&(instance_type.clone(), zone.clone()))).collect())
        })?
    }
}

#[async_trait]
impl<S: Store> SecurityGroups for Account<S> {
    async fn find(&self, vpc: &VpcId, names: &[String]) -> Result<Vec<SecurityGroup>, CloudError> {
        self.with(|state| state.find_groups(vpc, names))?
    }

    async fn describe(&self, ids: &[SecurityGroupId]) -> Result<Vec<SecurityGroup>, CloudError> {
        self.with(|state| state.describe_groups(ids))?
    }

    async fn create(
        &self,
        vpc: &VpcId,
        name: &str,
        _description: &str,
        tags: &[Tag],
    ) -> Result<SecurityGroupId, CloudError> {
        self.with(|state| state.create_group(vpc, name, tags))?
    }

    async fn authorize_ingress(&self, group: &SecurityGroupId, rules: &[Rule]) -> Result<(), CloudError> {
        self.with(|state| state.authorize("ec2:AuthorizeSecurityGroupIngress", group, rules))?
    }

    async fn authorize_egress(&self, group: &SecurityGroupId, rules: &[Rule]) -> Result<(), CloudError> {
        self.with(|state| state.authorize("ec2:AuthorizeSecurityGroupEgress", group, rules))?
    }

    async fn revoke_default_egress(&self, group: &SecurityGroupId) -> Result<(), CloudError> {
        self.with(|state| state.revoke_default_egress(group))?
    }

    async fn delete(&self, group: &SecurityGroupId) -> Result<(), CloudError> {
        self.with(|state| state.delete_group(group))?
    }

    async fn interfaces_using(&self, group: &SecurityGroupId) -> Result<Vec<String>, CloudError> {
        self.with(|state| state.interfaces_using(group))?
    }
}

#[async_trait]
impl<S: Store> MountTargets for Account<S> {
    async fn list(&self, file_system: &FileSystemId) -> Result<Vec<MountTarget>, CloudError> {
        self.with(|state| {
            state.allow("elasticfilesystem:DescribeMountTargets", file_system.as_str())?;
            let targets = state.mount_targets.iter().map(|state| &state.target);
            Ok(targets.filter(|target| target.file_system == *file_system).cloned().collect())
        })?
    }

    async fn security_groups(&self, mount_target: &MountTargetId) -> Result<Vec<SecurityGroupId>, CloudError> {
        self.with(|state| state.mount_target_groups(mount_target))?
    }

    async fn set_security_groups(
        &self,
        mount_target: &MountTargetId,
        groups: &[SecurityGroupId],
    ) -> Result<(), CloudError> {
        self.with(|state| state.set_mount_target_groups(mount_target, groups))?
    }
}

#[async_trait]
impl<S: Store> Instances for Account<S> {
    async fn run_several(&self, spec: &LaunchSpec, at_most: NonZeroU32) -> Result<Vec<Instance>, CloudError> {
        self.with(|state| state.run(spec, at_most.get()))?
    }

    async fn describe(&self, id: &InstanceId) -> Result<Option<Instance>, CloudError> {
        let filter = InstanceFilter { ids: vec![id.clone()], ..InstanceFilter::default() };
        Ok(self.with(|state| state.list(&filter))??.pop())
    }

    async fn list(&self, filter: &InstanceFilter) -> Result<Vec<Instance>, CloudError> {
        self.with(|state| state.list(filter))?
    }

    async fn terminate_all(&self, ids: &[InstanceId]) -> Result<(), CloudError> {
        self.with(|state| state.terminate(ids))?
    }

    async fn start(&self, id: &InstanceId) -> Result<(), CloudError> {
        self.with(|state| state.start(id))?
    }
}

#[async_trait]
impl<S: Store> Networks for Account<S> {
    async fn dns(&self, vpc: &VpcId) -> Result<VpcDns, CloudError> {
        self.with(|state| state.allow("ec2:DescribeVpcAttribute", vpc.as_str()).map(|()| state.dns))?
    }
}

#[async_trait]
impl<S: Store> Quotas for Account<S> {
    async fn vcpus(&self, class: QuotaClass, market: Market) -> Result<u64, CloudError> {
        let action = "servicequotas:GetServiceQuota";
        let code = class.code(market);
        self.with(|state| {
            state.allow(action, code)?;
            state.vcpus.ok_or_else(|| CloudError::new(action, code, CloudErrorKind::NotFound))
        })?
    }

    async fn groups_per_interface(&self) -> Result<u64, CloudError> {
        self.with(|state| {
            state.allow("servicequotas:GetServiceQuota", GROUPS_PER_INTERFACE)?;
            Ok(state.groups_per_interface.unwrap_or(USUAL_SECURITY_GROUPS) as u64)
        })?
    }
}

#[async_trait]
impl<S: Store> SpotPrices for Account<S> {
    async fn current(&self, instance_type: &InstanceType) -> Result<BTreeMap<Zone, f64>, CloudError> {
        self.with(|state| {
            state.allow("ec2:DescribeSpotPriceHistory", instance_type.as_str())?;
            let of_type = state.spot_prices.iter().filter(|(named, ..)| named == instance_type);
            Ok(of_type.map(|(_, zone, usd)| (zone.clone(), *usd)).collect())
        })?
    }
}

#[async_trait]
impl<S: Store> Volumes for Account<S> {
    async fn default_key(&self) -> Result<VolumeKey, CloudError> {
        self.with(|state| {
            state.allow("ec2:GetEbsDefaultKmsKeyId", "")?;
            Ok(state.volume_key.as_deref().map_or(VolumeKey::Aws, VolumeKey::named))
        })?
    }
}

#[async_trait]
impl<S: Store> Territory for Account<S> {
    fn place(&self) -> Place {
        let region = self.with(|state| state.region.clone()).unwrap_or_default();
        Place { cloud: CloudName::Aws, account: None, region }
    }

    async fn seen(&self, vpc: &VpcId) -> Result<Seen, CloudError> {
        self.with(|state| {
            state.allow("ec2:DescribeSecurityGroups", "")?;
            let sees_vpc = state.subnets.iter().any(|subnet| subnet.vpc == *vpc);
            Ok(Seen { account: state.account.clone(), sees_vpc })
        })?
    }
}

#[async_trait]
impl<S: Store> DryRuns for Account<S> {
    async fn dry_run(&self, call: &DryRun) -> Result<(), CloudError> {
        let action = call.action();
        self.with(|state| state.answer(action, true))??;
        self.with(|state| match call {
            DryRun::Launch(spec) => state.allow_tagged(action, spec.subnet.as_str(), &spec.tags),
            DryRun::CreateGroup { vpc, tags, .. } => state.allow_tagged(action, vpc.as_str(), tags),
            DryRun::AuthorizeIngress { group, .. } => state.allow(action, group.as_str()),
            DryRun::SetInterfaceGroups { interface, .. } => state.allow(action, interface.as_str()),
            DryRun::Terminate(instance) => state.allow(action, instance.as_str()),
        })?
    }
}

#[async_trait]
impl<S: Store> StudioApi for Account<S> {
    async fn describe_domain(&self, domain: &DomainId) -> Result<DomainDescription, ApiError> {
        self.with(|state| {
            let action = "sagemaker:DescribeDomain";
            may(state, action, domain.as_str())?;
            let found = (state.domain_id == *domain).then(|| state.domain.clone());
            found.ok_or_else(|| not_found(action, domain.to_string()))
        })
        .map_err(unavailable)?
    }

    async fn describe_user_profile(
        &self,
        domain: &DomainId,
        profile: &UserProfileName,
    ) -> Result<UserProfileDescription, ApiError> {
        self.with(|state| {
            let action = "sagemaker:DescribeUserProfile";
            may(state, action, profile.as_str())?;
            let found = (state.domain_id == *domain && state.profile_name == *profile).then(|| state.profile.clone());
            found.ok_or_else(|| not_found(action, profile.to_string()))
        })
        .map_err(unavailable)?
    }

    async fn describe_space(&self, _domain: &DomainId, space: &SpaceName) -> Result<SpaceDescription, ApiError> {
        self.with(|state| {
            may(state, "sagemaker:DescribeSpace", space.as_str())?;
            Ok(SpaceDescription { owner: Some(state.profile_name.clone()), ..SpaceDescription::default() })
        })
        .map_err(unavailable)?
    }

    async fn list_tags(&self, arn: &str) -> Result<Vec<Tag>, ApiError> {
        self.with(|state| {
            may(state, "sagemaker:ListTags", arn)?;
            Ok(state.profile_tags.clone())
        })
        .map_err(unavailable)?
    }
}

fn not_found(action: &'static str, resource: String) -> ApiError {
    ApiError::NotFound { action, resource, message: "ResourceNotFound: there is none of that name".to_owned() }
}

fn may(state: &State, action: &'static str, resource: &str) -> Result<(), ApiError> {
    state.allow(action, resource).map_err(|error| ApiError::AccessDenied {
        action,
        resource: resource.to_owned(),
        message: error.message,
    })
}

/// EC2's name patterns: `*` and `?`.
fn matches_name(pattern: &str, name: &str) -> bool {
    fn matches(pattern: &[u8], name: &[u8]) -> bool {
        match (pattern.split_first(), name.split_first()) {
            (None, None) => true,
            (Some((b'*', rest)), _) => {
                matches(rest, name) || name.split_first().is_some_and(|(_, after)| matches(pattern, after))
            }
            (Some((b'?', rest)), Some((_, after))) => matches(rest, after),
            (Some((expected, rest)), Some((found, after))) => expected == found && matches(rest, after),
            _ => false,
        }
    }
    matches(pattern.as_bytes(), name.as_bytes())
}

fn unavailable(error: CloudError) -> ApiError {
    ApiError::Service { action: error.action, code: "Unavailable".to_owned(), message: error.message }
}
