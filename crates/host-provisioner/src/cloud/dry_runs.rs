//! Asking whether a call would be allowed, without making it.

use async_trait::async_trait;
use studio_discovery::{SecurityGroupId, Tag, VpcId};

use crate::{CloudError, InstanceId, LaunchSpec, NetworkInterfaceId, Rule, Tagged};

/// EC2's `DryRun` (EC2 API reference, "Common query parameters"). EFS has no such thing.
///
/// # Cancel safety
/// Every method of it only asks, and can be dropped at any time.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait DryRuns: Send + Sync {
    /// Whether the caller may make this call. Changes nothing, and may be repeated.
    ///
    /// # Errors
    /// `AccessDenied`: it may not. Any other error leaves it unknown.
    async fn dry_run(&self, call: &DryRun) -> Result<(), CloudError>;
}

/// A call to ask about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DryRun {
    /// `ec2:RunInstances`.
    Launch(Box<LaunchSpec>),
    /// `ec2:CreateSecurityGroup`.
    CreateGroup {
        /// The VPC.
        vpc: VpcId,
        /// The group's name; EC2 refuses one that is taken.
        name: String,
        /// Its description.
        description: String,
        /// Its tags.
        tags: Vec<Tag>,
    },
    /// `ec2:AuthorizeSecurityGroupIngress`.
    AuthorizeIngress {
        /// The group, which exists.
        group: SecurityGroupId,
        /// The rules.
        rules: Vec<Rule>,
    },
    /// `ec2:ModifyNetworkInterfaceAttribute` of the security groups, as EFS does on behalf of the caller.
    SetInterfaceGroups {
        /// The interface.
        interface: NetworkInterfaceId,
        /// All its groups.
        groups: Vec<SecurityGroupId>,
    },
    /// `ec2:TerminateInstances`.
    Terminate(InstanceId),
}

impl DryRun {
    /// The IAM action.
    pub fn action(&self) -> &'static str {
        match self {
            Self::Launch(_) => "ec2:RunInstances",
            Self::CreateGroup { .. } => "ec2:CreateSecurityGroup",
            Self::AuthorizeIngress { .. } => "ec2:AuthorizeSecurityGroupIngress",
            Self::SetInterfaceGroups { .. } => "ec2:ModifyNetworkInterfaceAttribute",
            Self::Terminate(_) => "ec2:TerminateInstances",
        }
    }

    /// The same call with fewer tags, which need a permission of their own; `None` where it has none. Asked again and again, what a
    /// creation falls back to.
    pub fn with_fewer_tags(&self) -> Option<Self> {
        match self {
            Self::Launch(spec) if !spec.tags.is_empty() => {
                let tagged = spec.tagged.less(spec.market)?;
                let tags = if tagged == Tagged::Nothing { Vec::new() } else { spec.tags.clone() };
                Some(Self::Launch(Box::new(LaunchSpec { tags, tagged, ..spec.as_ref().clone() })))
            }
            Self::CreateGroup { vpc, name, description, tags } if !tags.is_empty() => {
                let (vpc, name, description) = (vpc.clone(), name.clone(), description.clone());
                Some(Self::CreateGroup { vpc, name, description, tags: Vec::new() })
            }
            _ => None,
        }
    }
}
