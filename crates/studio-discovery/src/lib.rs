//! What SageMaker Studio app is this process in, and what are its domain, network, file system and owner?

mod api;
mod environment;
mod error;
mod ids;

#[cfg(feature = "mock")]
pub use api::MockStudioApi;
pub use api::{DomainDescription, SpaceDescription, StudioApi, UserProfileDescription};
pub use environment::{AppKind, EfsHome, SharedMount, StudioApp, StudioEnvironment, Tag};
pub use error::{ApiError, DiscoveryError};
pub use ids::{
    AccessPointId, AccountId, DomainId, FileSystemId, Region, RoleArn, SecurityGroupId, SpaceName, SubnetId,
    UserProfileName, VpcId,
};
