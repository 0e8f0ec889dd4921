//! What discovery asks SageMaker, as a trait in domain types.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{
    AppKind, Tag,
    error::ApiError,
    ids::{DomainId, FileSystemId, RoleArn, SecurityGroupId, SpaceName, SubnetId, UserProfileName, VpcId},
};

/// Reads of the SageMaker control plane. No call changes anything, so every one may be repeated.
///
/// # Cancel safety
/// Every method of it only reads, and can be dropped at any time.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait StudioApi: Send + Sync {
    /// `sagemaker:DescribeDomain`.
    async fn describe_domain(&self, domain: &DomainId) -> Result<DomainDescription, ApiError>;

    /// `sagemaker:DescribeUserProfile`.
    async fn describe_user_profile(
        &self,
        domain: &DomainId,
        profile: &UserProfileName,
    ) -> Result<UserProfileDescription, ApiError>;

    /// `sagemaker:DescribeSpace`.
    async fn describe_space(&self, domain: &DomainId, space: &SpaceName) -> Result<SpaceDescription, ApiError>;

    /// `sagemaker:ListTags`, every page.
    async fn list_tags(&self, arn: &str) -> Result<Vec<Tag>, ApiError>;
}

/// Where scripts are registered that Studio runs when an app starts.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait LifecycleConfigs: Send + Sync {
    /// `sagemaker:CreateStudioLifecycleConfig`, of a script in base64; its ARN. A name that is taken is an error.
    ///
    /// # Cancel safety
    /// It can be dropped at any time. Whether the script is registered is unknown then; under the same name it can't be again.
    async fn create(&self, name: &str, app: AppKind, content: &str) -> Result<String, ApiError>;
}

/// What discovery takes from `DescribeDomain`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DomainDescription {
    /// `AppNetworkAccessType`; a missing one means `PublicInternetOnly`.
    pub vpc_only: bool,
    /// `VpcId`.
    pub vpc: Option<VpcId>,
    /// `SubnetIds`.
    pub subnets: Vec<SubnetId>,
    /// `DefaultUserSettings.SecurityGroups`.
    pub default_security_groups: Vec<SecurityGroupId>,
    /// `DefaultSpaceSettings.SecurityGroups`.
    pub space_security_groups: Vec<SecurityGroupId>,
    /// `DefaultUserSettings.ExecutionRole`.
    pub default_execution_role: Option<RoleArn>,
    /// `DefaultSpaceSettings.ExecutionRole`.
    pub space_execution_role: Option<RoleArn>,
    /// `HomeEfsFileSystemId`; absent in a domain without EFS.
    pub file_system: Option<FileSystemId>,
}

/// What discovery takes from `DescribeUserProfile`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserProfileDescription {
    /// `UserProfileArn`, of which the tags can be asked.
    pub arn: Option<String>,
    /// `UserSettings.SecurityGroups`.
    pub security_groups: Vec<SecurityGroupId>,
    /// `UserSettings.ExecutionRole`.
    pub execution_role: Option<RoleArn>,
    /// `HomeEfsFileSystemUid`.
    pub efs_uid: Option<u32>,
}

/// What discovery takes from `DescribeSpace`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpaceDescription {
    /// Whether `SpaceSharingSettings.SharingType` is `Shared`.
    pub shared: bool,
    /// `OwnershipSettings.OwnerUserProfileName`.
    pub owner: Option<UserProfileName>,
    /// `HomeEfsFileSystemUid`: of a shared space, whose home is its own folder on EFS.
    pub efs_uid: Option<u32>,
}
