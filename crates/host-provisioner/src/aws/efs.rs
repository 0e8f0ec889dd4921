//! EFS.

use async_trait::async_trait;
use aws_answers::OnlyAws;
use aws_config::SdkConfig;
use aws_sdk_efs::{
    Client, config,
    types::{LifeCycleState, MountTargetDescription},
};
use studio_discovery::{FileSystemId, SecurityGroupId};

use super::errors::Classifier;
use crate::{CloudError, CloudErrorKind, MountTarget, MountTargetId, MountTargets};

pub(super) struct Efs {
    client: Client,
    classifier: Classifier,
}

impl Efs {
    pub(super) fn new(config: &SdkConfig) -> Self {
        Self {
            client: Client::from_conf(config::Builder::from(config).interceptor(OnlyAws).build()),
            classifier: Classifier::new(config, "elasticfilesystem"),
        }
    }
}

#[async_trait]
impl MountTargets for Efs {
    async fn list(&self, file_system: &FileSystemId) -> Result<Vec<MountTarget>, CloudError> {
        let mut found = Vec::new();
        let mut marker = None;
        loop {
            let answer = self
                .client
                .describe_mount_targets()
                .file_system_id(file_system.as_str())
                .set_marker(marker)
                .send()
                .await
                .map_err(|error| {
                    self.classifier.classify("elasticfilesystem:DescribeMountTargets", file_system.as_str(), error)
                })?;
            found.extend(answer.mount_targets().iter().filter_map(mount_target));
            marker = answer.next_marker().map(str::to_owned);
            if marker.is_none() {
                return Ok(found);
            }
        }
    }

    async fn security_groups(&self, mount_target: &MountTargetId) -> Result<Vec<SecurityGroupId>, CloudError> {
        let answer = self
            .client
            .describe_mount_target_security_groups()
            .mount_target_id(mount_target.as_str())
            .send()
            .await
            .map_err(|error| {
                let action = "elasticfilesystem:DescribeMountTargetSecurityGroups";
                for_interface(
                    self.classifier.classify(action, mount_target.as_str(), error),
                    "ec2:DescribeNetworkInterfaceAttribute",
                )
            })?;
        Ok(answer.security_groups().iter().map(|id| id.as_str().into()).collect())
    }

    async fn set_security_groups(
        &self,
        mount_target: &MountTargetId,
        groups: &[SecurityGroupId],
    ) -> Result<(), CloudError> {
        let groups = groups.iter().map(ToString::to_string).collect();
        self.client
            .modify_mount_target_security_groups()
            .mount_target_id(mount_target.as_str())
            .set_security_groups(Some(groups))
            .send()
            .await
            .map_err(|error| {
                let action = "elasticfilesystem:ModifyMountTargetSecurityGroups";
                for_interface(
                    self.classifier.classify(action, mount_target.as_str(), error),
                    "ec2:ModifyNetworkInterfaceAttribute",
                )
            })?;
        Ok(())
    }
}

/// EFS does both on the mount target's network interface as well, with the caller's permissions (EFS API reference). It names its own
/// action in a refusal, and not that of EC2 (github.com/aws/aws-parallelcluster/issues/1139).
fn for_interface(mut error: CloudError, action: &'static str) -> CloudError {
    if let CloudErrorKind::AccessDenied { refused: refused @ None } = &mut error.kind {
        *refused = Some(action.to_owned());
    }
    error
}

/// `None` for a mount target without an address, which is of no use.
fn mount_target(found: &MountTargetDescription) -> Option<MountTarget> {
    Some(MountTarget {
        id: found.mount_target_id().into(),
        file_system: found.file_system_id().into(),
        subnet: found.subnet_id().into(),
        vpc: found.vpc_id().map(Into::into),
        zone: found.availability_zone_name().unwrap_or_default().into(),
        interface: found.network_interface_id().map(Into::into),
        address: found.ip_address()?.parse().ok()?,
        available: *found.life_cycle_state() == LifeCycleState::Available,
    })
}
