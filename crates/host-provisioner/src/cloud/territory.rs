//! Where a cloud's calls go, and whose account that is.

use async_trait::async_trait;
use studio_discovery::{AccountId, VpcId};

use crate::{CloudError, Place};

/// What tells one place from another.
///
/// # Cancel safety
/// Every method of it only reads, and can be dropped at any time.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait Territory: Send + Sync {
    /// The cloud and the Region to which calls go. The account is left open: only an answer tells it.
    fn place(&self) -> Place;

    /// What these credentials see (`ec2:DescribeSecurityGroups`, which hosts need anyway).
    ///
    /// `sts:GetCallerIdentity` would say the account as well and needs no permission at all, but it needs an endpoint of its own, which a
    /// VPC without internet access need not have.
    async fn seen(&self, vpc: &VpcId) -> Result<Seen, CloudError>;
}

/// What credentials see of an account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Seen {
    /// The account, by the owner of the groups named `default`: each VPC has one that can't be deleted (VPC user guide, "Default security
    /// groups") nor shared ("Share security groups with AWS Organizations"). `None` where the account has no VPC of its own in the Region.
    pub account: Option<AccountId>,
    /// Whether any group of the VPC that was asked about is seen: its owner and those with whom it is shared see some, others none.
    pub sees_vpc: bool,
}
