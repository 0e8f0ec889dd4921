//! What a caller is told while work goes on.

use std::{fmt, time::Duration};

use jiff::Timestamp;
use studio_discovery::SubnetId;

use crate::{HostId, InstanceId, Market, MountTargetId, Warning, Zone, error::location};

/// Is told what happens, as it happens. Called between awaits: it must not block for long.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
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
    /// Something was begun.
    Started(Activity),
    /// It came to its end.
    Finished(Activity),
    /// Something is waited for, and has been for [`Patience::silence`](crate::Patience::silence).
    Waiting {
        /// What.
        wait: Wait,
        /// Since when.
        since: Timestamp,
        /// For how long at most, from then on.
        at_most: Duration,
    },
    /// Something works less well than it could.
    Warned(Warning),
}

/// What is waited for. Its `Display` goes after "waiting for".
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Wait {
    /// The cloud's answer to a call.
    Answer {
        /// The IAM action.
        action: &'static str,
    },
    /// A call to succeed that the cloud did not carry out, or did not answer.
    Success {
        /// What the call is to do.
        doing: &'static str,
    },
    /// A security group that was made a moment ago to be found.
    Group {
        /// Its id or name.
        group: String,
    },
    /// An instance that was launched a moment ago to be found, or to be certainly none.
    Launched,
    /// An instance to have its address.
    Address {
        /// The instance.
        instance: InstanceId,
    },
    /// An instance to run again.
    Start {
        /// The instance.
        instance: InstanceId,
    },
    /// An instance to end.
    End {
        /// The instance.
        instance: InstanceId,
    },
    /// Instances that are ending to let go of a security group.
    Release {
        /// The group's name.
        group: String,
    },
    /// Another process of this home that changes what hosts share.
    Turn,
    /// The client's files of a host.
    Files {
        /// The host.
        host: HostId,
    },
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer { action } => write!(f, "an answer to {action}"),
            Self::Success { doing } => write!(f, "the cloud to carry out {doing}"),
            Self::Group { group } => write!(f, "security group {group} to be found"),
            Self::Launched => f.write_str("EC2 to know whether an instance was launched"),
            Self::Address { instance } => write!(f, "the address of {instance}"),
            Self::Start { instance } => write!(f, "{instance} to run again"),
            Self::End { instance } => write!(f, "{instance} to end"),
            Self::Release { group } => write!(f, "ending instances to let go of security group {group}"),
            Self::Files { host } => write!(f, "the files of host {host}"),
            Self::Turn => f.write_str("another sdocker command that changes mount targets"),
        }
    }
}

/// A piece of work that changes something or takes its time.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Activity {
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
    /// Starting an instance again that was stopped.
    Start {
        /// The instance.
        instance: InstanceId,
    },
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

impl fmt::Display for Activity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SecurityGroup { name } => write!(f, "security group {name}"),
            Self::MountTarget { mount_target } => write!(f, "NFS access to mount target {mount_target}"),
            Self::Launch { subnet, zone, market } => {
                let spot = if *market == Market::Spot { " Spot" } else { "n" };
                write!(f, "launching a{spot} instance in {}", location(subnet, zone.as_ref()))
            }
            Self::Address { instance } => write!(f, "address of {instance}"),
            Self::Resolve => f.write_str("finding out whether an instance was launched"),
            Self::Start { instance } => write!(f, "starting {instance}"),
            Self::Terminate { instance } => write!(f, "terminating {instance}"),
            Self::Detach { mount_target } => write!(f, "taking NFS access off mount target {mount_target}"),
            Self::DeleteGroup { name } => write!(f, "deleting security group {name}"),
        }
    }
}
