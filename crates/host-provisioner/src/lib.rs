//! Plans an EC2 Docker host for SageMaker Studio; creates, resumes, undoes and terminates it.

#[cfg(feature = "aws")]
pub mod aws;
mod bootstrap;
mod bounds;
mod client_files;
mod cloud;
mod error;
#[cfg(feature = "fake")]
pub mod fake;
#[cfg(feature = "fake")]
pub mod faults;
mod group_plan;
mod ids;
mod instance_type;
mod journal;
mod limits;
mod observer;
mod patience;
mod place;
mod plan;
pub mod preflight;
mod presence;
mod provisioner;
mod request;
#[cfg(feature = "sandbox")]
pub mod sandbox;
mod steps;
mod survey;
mod tag_keys;
mod user_data;
mod warning;

pub use bootstrap::{Bootstrap, Engine, Hooks, HostMount, Identity, ProxySettings};
pub use client_files::{Adoption, ClientFiles, ClientFilesError};
pub use cloud::{
    Architecture, Cloud, CloudError, CloudErrorKind, DryRun, DryRuns, GROUPS_PER_INTERFACE, Image, ImageFilter, Images,
    Instance, InstanceFilter, InstanceState, InstanceTypeInfo, InstanceTypes, Instances, LaunchSpec, Market,
    MountTarget, MountTargets, Networks, Peer, Protocol, QuotaClass, Quotas, RootVolume, Rule, SecurityGroup,
    SecurityGroups, Seen, SpotPrices, Tagged, Territory, USUAL_SECURITY_GROUPS, VolumeKey, Volumes, VpcDns,
};
pub use error::{ProvisionError, Remaining, UndoReport};
pub use group_plan::{FILES_PORT, GroupPlan, PlannedRule};
pub use ids::{ClientToken, HostId, ImageId, InstanceId, InstanceType, MountTargetId, NetworkInterfaceId, Zone};
pub use instance_type::well_known_types;
pub use journal::{
    AccessIntent, Entry, FileStore, GroupIntent, HeldEntry, Intent, Journal, JournalError, JournalStore, LaunchIntent,
    MemoryStore, OpenRecord, Opened, RECORD_VERSION, Record, RecordState, RecordedInstance, Step, StepState, Stops,
    Turn,
};
pub use observer::{Activity, Event, Observer, Unobserved, Wait};
pub use patience::Patience;
pub use place::{CloudName, Place};
pub use plan::{HostGroups, HostPlan, MAX_TAGS, Placement, shared_paths};
pub use presence::{AskedAbout, Doubt, Presence};
pub use provisioner::{Creation, Order, Provisioner, PurgeReport, Recovered, Recovery, SPARE, Several, Terminated};
pub use request::{EngineChoice, HostConfig, HostRequest, MarketChoice, OnIdle};
pub use steps::{Action, Condition, Ended, On, Permission, PlannedCall, StepKind, Task, Whose, permissions};
pub use survey::Survey;
pub use tag_keys::{TAG_DOMAIN, TAG_EXPIRES, TAG_HOST, TAG_OWNER, TAG_STOPS};
pub use user_data::{MAX_USER_DATA, UserData, UserDataError, render_user_data};
pub use warning::Warning;
#[cfg(any(test, feature = "mock"))]
pub use {
    client_files::MockClientFiles,
    cloud::{
        MockDryRuns, MockImages, MockInstanceTypes, MockInstances, MockMountTargets, MockNetworks, MockQuotas,
        MockSecurityGroups, MockSpotPrices, MockTerritory, MockVolumes,
    },
    observer::MockObserver,
};
