//! A cloud that fails where it is told to: a decorator over any other, which also writes down what was called.

use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use studio_discovery::{FileSystemId, SecurityGroupId, Tag, VpcId};

use crate::{
    Cloud, CloudError, CloudErrorKind, Image, ImageFilter, ImageId, Images, Instance, InstanceFilter, InstanceId,
    InstanceType, InstanceTypeInfo, InstanceTypes, Instances, LaunchSpec, MountTarget, MountTargetId, MountTargets,
    Rule, SecurityGroup, SecurityGroups, Zone,
};

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It fails with an error of the service, and took no effect.
    Fail,
    /// The service throttles it.
    Throttle,
    /// The role may not make it.
    Deny,
    /// It takes effect, and its answer is lost.
    LoseAnswer,
    /// It never reaches the service, which the caller can't tell.
    LoseRequest,
    /// The process dies before it (a panic, which the test catches).
    DieBefore,
    /// The process dies after it took effect.
    DieAfter,
}

/// The panic of a process that dies.
pub const DEATH: &str = "the process dies here";

/// What is to happen, and what did.
#[derive(Debug, Default)]
pub struct Script {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Faults by the number of the call, from 0.
    faults: Vec<(usize, Fault)>,
    calls: Vec<&'static str>,
}

impl Script {
    /// This fault at each of these calls, counted from 0.
    pub fn new(faults: impl IntoIterator<Item = (usize, Fault)>) -> Arc<Self> {
        let inner = Inner { faults: faults.into_iter().collect(), calls: Vec::new() };
        Arc::new(Self { inner: Mutex::new(inner) })
    }

    /// The actions called so far.
    pub fn calls(&self) -> Vec<&'static str> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).calls.clone()
    }

    fn next(&self, action: &'static str) -> Option<Fault> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let number = inner.calls.len();
        inner.calls.push(action);
        inner.faults.iter().find(|(at, _)| *at == number).map(|(_, fault)| *fault)
    }
}

/// A cloud with faults.
pub struct Faulty {
    cloud: Cloud,
    script: Arc<Script>,
}

impl Faulty {
    /// This cloud, with the faults of a script.
    #[expect(clippy::new_ret_no_self, reason = "a cloud is what one wants of it")]
    pub fn new(cloud: Cloud, script: Arc<Script>) -> Cloud {
        let faulty = Arc::new(Self { cloud: cloud.clone(), script });
        Cloud {
            images: faulty.clone(),
            instance_types: faulty.clone(),
            security_groups: faulty.clone(),
            mount_targets: faulty.clone(),
            instances: faulty,
            // Only an examination asks these, and no creation depends on them.
            ..cloud
        }
    }

    async fn call<T>(
        &self,
        action: &'static str,
        effect: impl Future<Output = Result<T, CloudError>>,
    ) -> Result<T, CloudError> {
        let lost = || CloudErrorKind::NoAnswer {
            endpoint: "https://example.invalid".to_owned(),
            region: "eu-west-1".to_owned(),
            never_sent: false,
        };
        match self.script.next(action) {
            None => effect.await,
            Some(Fault::Fail) => {
                let error = CloudError::new(action, "", CloudErrorKind::Other);
                Err(error.with_message("InjectedFailure".to_owned(), "it was told to fail"))
            }
            Some(Fault::Throttle) => Err(CloudError::new(action, "", CloudErrorKind::Throttled)),
            Some(Fault::Deny) => {
                Err(CloudError::new(action, "", CloudErrorKind::AccessDenied { refused: Some(action.to_owned()) }))
            }
            Some(Fault::LoseRequest) => Err(CloudError::new(action, "", lost())),
            Some(Fault::LoseAnswer) => effect.await.and(Err(CloudError::new(action, "", lost()))),
            Some(Fault::DieBefore) => panic!("{DEATH}"),
            Some(Fault::DieAfter) => {
                let _ = effect.await;
                panic!("{DEATH}")
            }
        }
    }
}

#[async_trait]
impl Images for Faulty {
    async fn list(&self, filter: &ImageFilter) -> Result<Vec<Image>, CloudError> {
        self.call("ec2:DescribeImages", self.cloud.images.list(filter)).await
    }

    async fn describe(&self, id: &ImageId) -> Result<Option<Image>, CloudError> {
        self.call("ec2:DescribeImages", self.cloud.images.describe(id)).await
    }
}

#[async_trait]
impl InstanceTypes for Faulty {
    async fn describe(&self, instance_type: &InstanceType) -> Result<Option<InstanceTypeInfo>, CloudError> {
        self.call("ec2:DescribeInstanceTypes", self.cloud.instance_types.describe(instance_type)).await
    }

    async fn zones(&self, instance_type: &InstanceType) -> Result<Vec<Zone>, CloudError> {
        self.call("ec2:DescribeInstanceTypeOfferings", self.cloud.instance_types.zones(instance_type)).await
    }
}

#[async_trait]
impl SecurityGroups for Faulty {
    async fn find(&self, vpc: &VpcId, names: &[&str]) -> Result<Vec<SecurityGroup>, CloudError> {
        self.call("ec2:DescribeSecurityGroups", self.cloud.security_groups.find(vpc, names)).await
    }

    async fn describe(&self, ids: &[SecurityGroupId]) -> Result<Vec<SecurityGroup>, CloudError> {
        self.call("ec2:DescribeSecurityGroups", self.cloud.security_groups.describe(ids)).await
    }

    async fn create(
        &self,
        vpc: &VpcId,
        name: &str,
        description: &str,
        tags: &[Tag],
    ) -> Result<SecurityGroupId, CloudError> {
        let effect = self.cloud.security_groups.create(vpc, name, description, tags);
        self.call("ec2:CreateSecurityGroup", effect).await
    }

    async fn authorize_ingress(&self, group: &SecurityGroupId, rules: &[Rule]) -> Result<(), CloudError> {
        let effect = self.cloud.security_groups.authorize_ingress(group, rules);
        self.call("ec2:AuthorizeSecurityGroupIngress", effect).await
    }

    async fn authorize_egress(&self, group: &SecurityGroupId, rules: &[Rule]) -> Result<(), CloudError> {
        let effect = self.cloud.security_groups.authorize_egress(group, rules);
        self.call("ec2:AuthorizeSecurityGroupEgress", effect).await
    }

    async fn revoke_default_egress(&self, group: &SecurityGroupId) -> Result<(), CloudError> {
        let effect = self.cloud.security_groups.revoke_default_egress(group);
        self.call("ec2:RevokeSecurityGroupEgress", effect).await
    }

    async fn delete(&self, group: &SecurityGroupId) -> Result<(), CloudError> {
        self.call("ec2:DeleteSecurityGroup", self.cloud.security_groups.delete(group)).await
    }

    async fn interfaces_using(&self, group: &SecurityGroupId) -> Result<Vec<String>, CloudError> {
        self.call("ec2:DescribeNetworkInterfaces", self.cloud.security_groups.interfaces_using(group)).await
    }
}

#[async_trait]
impl MountTargets for Faulty {
    async fn list(&self, file_system: &FileSystemId) -> Result<Vec<MountTarget>, CloudError> {
        self.call("elasticfilesystem:DescribeMountTargets", self.cloud.mount_targets.list(file_system)).await
    }

    async fn security_groups(&self, mount_target: &MountTargetId) -> Result<Vec<SecurityGroupId>, CloudError> {
        let effect = self.cloud.mount_targets.security_groups(mount_target);
        self.call("elasticfilesystem:DescribeMountTargetSecurityGroups", effect).await
    }

    async fn set_security_groups(
        &self,
        mount_target: &MountTargetId,
        groups: &[SecurityGroupId],
    ) -> Result<(), CloudError> {
        let effect = self.cloud.mount_targets.set_security_groups(mount_target, groups);
        self.call("elasticfilesystem:ModifyMountTargetSecurityGroups", effect).await
    }
}

#[async_trait]
impl Instances for Faulty {
    async fn run(&self, spec: &LaunchSpec) -> Result<Instance, CloudError> {
        self.call("ec2:RunInstances", self.cloud.instances.run(spec)).await
    }

    async fn describe(&self, id: &InstanceId) -> Result<Option<Instance>, CloudError> {
        self.call("ec2:DescribeInstances", self.cloud.instances.describe(id)).await
    }

    async fn list(&self, filter: &InstanceFilter) -> Result<Vec<Instance>, CloudError> {
        self.call("ec2:DescribeInstances", self.cloud.instances.list(filter)).await
    }

    async fn terminate(&self, id: &InstanceId) -> Result<(), CloudError> {
        self.call("ec2:TerminateInstances", self.cloud.instances.terminate(id)).await
    }
}
