//! Plans an EC2 Docker host for SageMaker Studio; creates, resumes, undoes and terminates it.

mod bootstrap;
mod cloud;
mod ids;

pub use bootstrap::{Bootstrap, Engine, HostMount, Identity, ProxySettings};
pub use cloud::{
    Architecture, Cloud, CloudError, CloudErrorKind, Image, ImageFilter, Images, Instance, InstanceFilter,
    InstanceState, InstanceTypeInfo, InstanceTypes, Instances, LaunchSpec, MAX_SECURITY_GROUPS, Market, MountTarget,
    MountTargets, Peer, RootVolume, Rule, SecurityGroup, SecurityGroups,
};
pub use ids::{ClientToken, HostId, ImageId, InstanceId, InstanceType, MountTargetId, Zone};
