//! VPCs.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use studio_discovery::VpcId;

use crate::CloudError;

/// Reads of VPCs.
///
/// # Cancel safety
/// Every method of it only reads, and can be dropped at any time.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait Networks: Send + Sync {
    /// How DNS is set up in a VPC (`ec2:DescribeVpcAttribute`, once for each of the two).
    async fn dns(&self, vpc: &VpcId) -> Result<VpcDns, CloudError>;
}

/// The DNS attributes of a VPC. With either off, Amazon's resolver does not resolve the private names of instances (VPC user guide,
/// "DNS attributes for your VPC").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct VpcDns {
    /// `enableDnsSupport`: whether Amazon's resolver answers in the VPC.
    pub resolution: bool,
    /// `enableDnsHostnames`: whether instances have names that it knows.
    pub hostnames: bool,
}

impl Default for VpcDns {
    /// Both on.
    fn default() -> Self {
        Self { resolution: true, hostnames: true }
    }
}
