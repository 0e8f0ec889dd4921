//! What SageMaker Studio app is this process in, and what are its domain, network, file system and owner?

mod api;
#[cfg(feature = "aws")]
pub mod aws;
mod discover;
mod environment;
mod error;
mod facts;
mod ids;
mod mounts;
mod region;

pub use api::{DomainDescription, LifecycleConfigs, SpaceDescription, StudioApi, UserProfileDescription};
#[cfg(any(test, feature = "mock"))]
pub use api::{MockLifecycleConfigs, MockStudioApi};
pub use discover::{Discovery, DiscoveryWarning, discover, hint, owner_of};
pub use environment::{AppKind, EfsHome, SharedMount, StudioApp, StudioEnvironment, Tag};
pub use error::{ApiError, DiscoveryError};
pub use facts::{LocalFacts, LocalSources};
pub use ids::{
    AccessPointId, AccountId, Alphabet, DomainId, FileSystemId, InvalidId, OwnerName, Region, RoleArn, SecurityGroupId,
    Shape, SpaceName, SubnetId, UserProfileName, VpcId,
};
pub use region::{RegionChoice, RegionConflict, RegionSources};

/// The examples of the README are tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
