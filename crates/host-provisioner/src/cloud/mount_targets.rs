//! EFS mount targets: the file system's network interfaces, at most one per Availability Zone.

use std::net::IpAddr;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use studio_discovery::{FileSystemId, SecurityGroupId, SubnetId, VpcId};

use crate::{CloudError, MountTargetId, NetworkInterfaceId, Zone};

/// How many security groups a network interface, and so a mount target, can have where the account's quota was not raised (Amazon VPC user
/// guide, "Amazon VPC quotas": "Security groups per network interface", default 5, at most 16). EFS itself states no number any more
/// (ModifyMountTargetSecurityGroups: "An array of VPC security group IDs", up to 100 by its pattern), so that its answer decides, and this
/// only tells from where on the account is worth asking about.
pub const USUAL_SECURITY_GROUPS: usize = 5;

/// Mount targets of a file system.
///
/// # Cancel safety
/// Every method of it can be dropped at any time. Whether a list was replaced is unknown then, as where the answer was lost, and a call
/// that is still on its way may undo what somebody else writes next. Whoever settles the record reads the list again.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait MountTargets: Send + Sync {
    /// Every mount target of a file system, in no particular order (`elasticfilesystem:DescribeMountTargets`, every page).
    async fn list(&self, file_system: &FileSystemId) -> Result<Vec<MountTarget>, CloudError>;

    /// The security groups of a mount target (`elasticfilesystem:DescribeMountTargetSecurityGroups`).
    async fn security_groups(&self, mount_target: &MountTargetId) -> Result<Vec<SecurityGroupId>, CloudError>;

    /// Replaces the whole list of security groups of a mount target
    /// (`elasticfilesystem:ModifyMountTargetSecurityGroups`). The list is shared state: read it right before.
    /// Repeating the call changes nothing more. More groups than the account may have on an interface are
    /// [`CloudErrorKind::LimitExceeded`](crate::CloudErrorKind::LimitExceeded).
    async fn set_security_groups(
        &self,
        mount_target: &MountTargetId,
        groups: &[SecurityGroupId],
    ) -> Result<(), CloudError>;
}

/// A mount target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MountTarget {
    /// Its id.
    pub id: MountTargetId,
    /// The file system it belongs to.
    pub file_system: FileSystemId,
    /// The subnet it is in.
    pub subnet: SubnetId,
    /// The VPC it is in, where the answer says so.
    pub vpc: Option<VpcId>,
    /// The Availability Zone it is in.
    pub zone: Zone,
    /// Its network interface, which carries its security groups; `None` where the answer does not say.
    pub interface: Option<NetworkInterfaceId>,
    /// Its address in the subnet.
    pub address: IpAddr,
    /// Whether it is available; else it is being created, updated or deleted.
    pub available: bool,
}
