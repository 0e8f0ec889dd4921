//! What a caller is told while work goes on.

use std::fmt;

use studio_discovery::SubnetId;

use crate::{InstanceId, Market, MountTargetId, Warning, Zone, error::place};

/// Is told what happens, as it happens. Called between awaits: it must not block for long.
pub trait Observer: Send + Sync {
    /// Something happened.
    fn notice(&self, event: &Event);
}

/// An observer that ignores everything.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unobserved;

impl Observer for Unobserved {
    fn notice(&self, _event: &Event) {}
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A step began.
    Started(Step),
    /// A step came to its end.
    Finished(Step),
    /// Something works less well than it could.
    Warned(Warning),
}

/// A step of provisioning that changes something or takes its time.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// Creating a security group, or adding what it lacks.
    SecurityGroup {
        /// Its name.
        name: String,
    },
    /// Adding the NFS group to a mount target.
    MountTarget {
        /// The mount target.
        mount_target: MountTargetId,
    },
    /// Launching the instance.
    Launch {
        /// Where.
        subnet: SubnetId,
        /// Its zone, where known.
        zone: Option<Zone>,
        /// Spot or on demand.
        market: Market,
    },
    /// Waiting until a new instance has its address.
    Address {
        /// The instance.
        instance: InstanceId,
    },
    /// Finding out whether a launch whose answer was lost took effect.
    Resolve,
    /// Terminating an instance, and seeing it go.
    Terminate {
        /// The instance.
        instance: InstanceId,
    },
    /// Taking the NFS group off a mount target.
    Detach {
        /// The mount target.
        mount_target: MountTargetId,
    },
    /// Deleting a security group, once nothing uses it.
    DeleteGroup {
        /// Its name.
        name: String,
    },
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SecurityGroup { name } => write!(f, "security group {name}"),
            Self::MountTarget { mount_target } => write!(f, "NFS access to mount target {mount_target}"),
            Self::Launch { subnet, zone, market } => {
                let spot = if *market == Market::Spot { " Spot" } else { "n" };
                write!(f, "launching a{spot} instance in {}", place(subnet, zone.as_ref()))
            }
            Self::Address { instance } => write!(f, "address of {instance}"),
            Self::Resolve => f.write_str("finding out whether an instance was launched"),
            Self::Terminate { instance } => write!(f, "terminating {instance}"),
            Self::Detach { mount_target } => write!(f, "taking NFS access off mount target {mount_target}"),
            Self::DeleteGroup { name } => write!(f, "deleting security group {name}"),
        }
    }
}
