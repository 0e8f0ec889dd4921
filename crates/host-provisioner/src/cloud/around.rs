//! Something around every call of a cloud.

use std::{collections::BTreeMap, future::Future, num::NonZeroU32, sync::Arc};

use async_trait::async_trait;
use studio_discovery::{FileSystemId, SecurityGroupId, Tag, VpcId};

use super::{
    Cloud, CloudError, DryRun, DryRuns, Image, ImageFilter, Images, Instance, InstanceFilter, InstanceTypeInfo,
    InstanceTypes, Instances, LaunchSpec, Market, MountTarget, MountTargets, Networks, QuotaClass, Quotas, Rule,
    SecurityGroup, SecurityGroups, Seen, SpotPrices, Territory, VolumeKey, Volumes, VpcDns,
};
use crate::{ImageId, InstanceId, InstanceType, MountTargetId, Place, Zone};

/// What is done around each call: a bound, a fault.
pub(crate) trait Around: Send + Sync + 'static {
    /// Makes the call, or does not. `action` is its IAM action, with ` (dry run)` after that of a dry run.
    fn call<T: Send>(
        &self,
        action: &'static str,
        call: impl Future<Output = Result<T, CloudError>> + Send,
    ) -> impl Future<Output = Result<T, CloudError>> + Send;
}

struct Through<A> {
    cloud: Cloud,
    around: A,
}

impl Cloud {
    /// This cloud, with something around each of its calls.
    pub(crate) fn with<A: Around>(self, around: A) -> Self {
        Self::of(Arc::new(Through { cloud: self, around }))
    }
}

#[async_trait]
impl<A: Around> Images for Through<A> {
    async fn list(&self, filter: &ImageFilter) -> Result<Vec<Image>, CloudError> {
        self.around.call("ec2:DescribeImages", self.cloud.images.list(filter)).await
    }

    async fn describe(&self, id: &ImageId) -> Result<Option<Image>, CloudError> {
        self.around.call("ec2:DescribeImages", self.cloud.images.describe(id)).await
    }
}

#[async_trait]
impl<A: Around> InstanceTypes for Through<A> {
    async fn describe(&self, instance_type: &InstanceType) -> Result<Option<InstanceTypeInfo>, CloudError> {
        self.around.call("ec2:DescribeInstanceTypes", self.cloud.instance_types.describe(instance_type)).await
    }

    async fn zones(&self, instance_type: &InstanceType) -> Result<Vec<Zone>, CloudError> {
        self.around.call("ec2:DescribeInstanceTypeOfferings", self.cloud.instance_types.zones(instance_type)).await
    }
}

#[async_trait]
impl<A: Around> SecurityGroups for Through<A> {
    async fn find(&self, vpc: &VpcId, names: &[String]) -> Result<Vec<SecurityGroup>, CloudError> {
        self.around.call("ec2:DescribeSecurityGroups", self.cloud.security_groups.find(vpc, names)).await
    }

    async fn describe(&self, ids: &[SecurityGroupId]) -> Result<Vec<SecurityGroup>, CloudError> {
        self.around.call("ec2:DescribeSecurityGroups", self.cloud.security_groups.describe(ids)).await
    }

    async fn create(
        &self,
        vpc: &VpcId,
        name: &str,
        description: &str,
        tags: &[Tag],
    ) -> Result<SecurityGroupId, CloudError> {
        let call = self.cloud.security_groups.create(vpc, name, description, tags);
        self.around.call("ec2:CreateSecurityGroup", call).await
    }

    async fn authorize_ingress(&self, group: &SecurityGroupId, rules: &[Rule]) -> Result<(), CloudError> {
        let call = self.cloud.security_groups.authorize_ingress(group, rules);
        self.around.call("ec2:AuthorizeSecurityGroupIngress", call).await
    }

    async fn authorize_egress(&self, group: &SecurityGroupId, rules: &[Rule]) -> Result<(), CloudError> {
        let call = self.cloud.security_groups.authorize_egress(group, rules);
        self.around.call("ec2:AuthorizeSecurityGroupEgress", call).await
    }

    async fn revoke_default_egress(&self, group: &SecurityGroupId) -> Result<(), CloudError> {
        let call = self.cloud.security_groups.revoke_default_egress(group);
        self.around.call("ec2:RevokeSecurityGroupEgress", call).await
    }

    async fn delete(&self, group: &SecurityGroupId) -> Result<(), CloudError> {
        self.around.call("ec2:DeleteSecurityGroup", self.cloud.security_groups.delete(group)).await
    }

    async fn interfaces_using(&self, group: &SecurityGroupId) -> Result<Vec<String>, CloudError> {
        self.around.call("ec2:DescribeNetworkInterfaces", self.cloud.security_groups.interfaces_using(group)).await
    }
}

#[async_trait]
impl<A: Around> MountTargets for Through<A> {
    async fn list(&self, file_system: &FileSystemId) -> Result<Vec<MountTarget>, CloudError> {
        self.around.call("elasticfilesystem:DescribeMountTargets", self.cloud.mount_targets.list(file_system)).await
    }

    async fn security_groups(&self, mount_target: &MountTargetId) -> Result<Vec<SecurityGroupId>, CloudError> {
        let call = self.cloud.mount_targets.security_groups(mount_target);
        self.around.call("elasticfilesystem:DescribeMountTargetSecurityGroups", call).await
    }

    async fn set_security_groups(
        &self,
        mount_target: &MountTargetId,
        groups: &[SecurityGroupId],
    ) -> Result<(), CloudError> {
        let call = self.cloud.mount_targets.set_security_groups(mount_target, groups);
        self.around.call("elasticfilesystem:ModifyMountTargetSecurityGroups", call).await
    }
}

#[async_trait]
impl<A: Around> Instances for Through<A> {
    async fn run_several(&self, spec: &LaunchSpec, at_most: NonZeroU32) -> Result<Vec<Instance>, CloudError> {
        self.around.call("ec2:RunInstances", self.cloud.instances.run_several(spec, at_most)).await
    }

    async fn describe(&self, id: &InstanceId) -> Result<Option<Instance>, CloudError> {
        self.around.call("ec2:DescribeInstances", self.cloud.instances.describe(id)).await
    }

    async fn list(&self, filter: &InstanceFilter) -> Result<Vec<Instance>, CloudError> {
        self.around.call("ec2:DescribeInstances", self.cloud.instances.list(filter)).await
    }

    async fn terminate_all(&self, ids: &[InstanceId]) -> Result<(), CloudError> {
        self.around.call("ec2:TerminateInstances", self.cloud.instances.terminate_all(ids)).await
    }

    async fn start(&self, id: &InstanceId) -> Result<(), CloudError> {
        self.around.call("ec2:StartInstances", self.cloud.instances.start(id)).await
    }
}

#[async_trait]
impl<A: Around> Networks for Through<A> {
    async fn dns(&self, vpc: &VpcId) -> Result<VpcDns, CloudError> {
        self.around.call("ec2:DescribeVpcAttribute", self.cloud.networks.dns(vpc)).await
    }
}

#[async_trait]
impl<A: Around> Quotas for Through<A> {
    async fn vcpus(&self, class: QuotaClass, market: Market) -> Result<u64, CloudError> {
        self.around.call("servicequotas:GetServiceQuota", self.cloud.quotas.vcpus(class, market)).await
    }

    async fn groups_per_interface(&self) -> Result<u64, CloudError> {
        self.around.call("servicequotas:GetServiceQuota", self.cloud.quotas.groups_per_interface()).await
    }
}

#[async_trait]
impl<A: Around> SpotPrices for Through<A> {
    async fn current(&self, instance_type: &InstanceType) -> Result<BTreeMap<Zone, f64>, CloudError> {
        self.around.call("ec2:DescribeSpotPriceHistory", self.cloud.spot_prices.current(instance_type)).await
    }
}

#[async_trait]
impl<A: Around> Volumes for Through<A> {
    async fn default_key(&self) -> Result<VolumeKey, CloudError> {
        self.around.call("ec2:GetEbsDefaultKmsKeyId", self.cloud.volumes.default_key()).await
    }
}

#[async_trait]
impl<A: Around> Territory for Through<A> {
    fn place(&self) -> Place {
        self.cloud.territory.place()
    }

    async fn seen(&self, vpc: &VpcId) -> Result<Seen, CloudError> {
        self.around.call("ec2:DescribeSecurityGroups", self.cloud.territory.seen(vpc)).await
    }
}

#[async_trait]
impl<A: Around> DryRuns for Through<A> {
    async fn dry_run(&self, call: &DryRun) -> Result<(), CloudError> {
        let action = match call {
            DryRun::Launch(_) => "ec2:RunInstances (dry run)",
            DryRun::CreateGroup { .. } => "ec2:CreateSecurityGroup (dry run)",
            DryRun::AuthorizeIngress { .. } => "ec2:AuthorizeSecurityGroupIngress (dry run)",
            DryRun::SetInterfaceGroups { .. } => "ec2:ModifyNetworkInterfaceAttribute (dry run)",
            DryRun::Terminate(_) => "ec2:TerminateInstances (dry run)",
        };
        self.around.call(action, self.cloud.dry_runs.dry_run(call)).await
    }
}
