//! Instance types.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{Architecture, CloudError, InstanceType, Zone};

/// Reads of instance types.
///
/// # Cancel safety
/// Every method of it only reads, and can be dropped at any time.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait InstanceTypes: Send + Sync {
    /// What a type is (`ec2:DescribeInstanceTypes`); `None` where the Region knows no such type.
    async fn describe(&self, instance_type: &InstanceType) -> Result<Option<InstanceTypeInfo>, CloudError>;

    /// The Availability Zones that offer a type, sorted (`ec2:DescribeInstanceTypeOfferings`).
    async fn zones(&self, instance_type: &InstanceType) -> Result<Vec<Zone>, CloudError>;
}

/// What provisioning needs to know of an instance type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct InstanceTypeInfo {
    /// Its name.
    pub instance_type: InstanceType,
    /// Its processors.
    pub architecture: Architecture,
    /// How many NVIDIA GPUs it has.
    pub nvidia_gpus: u32,
    /// Its memory in MiB; `None` where unknown.
    pub memory_mib: Option<u64>,
    /// Its default number of virtual CPUs; `None` where unknown.
    pub vcpus: Option<u32>,
}
