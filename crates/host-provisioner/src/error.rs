//! What can go wrong in planning, creating, undoing and terminating a host.

use std::{fmt, sync::Arc};

use aws_answers::codes;
use studio_discovery::{DomainId, FileSystemId, SubnetId, VpcId};

use crate::{
    CloudError, HostId, ImageId, InstanceId, InstanceType, JournalError, MountTargetId, UserDataError, Zone,
    cloud::why_ended,
};

/// What undo did, and what it could not do.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct UndoReport {
    /// What is gone again.
    pub undone: Vec<String>,
    /// What stays because something else uses it by now.
    pub kept: Vec<String>,
    /// What may remain although it should not.
    pub remains: Vec<Remaining>,
}

impl UndoReport {
    /// Whether there was nothing to undo.
    pub fn is_empty(&self) -> bool {
        self.undone.is_empty() && self.kept.is_empty() && self.remains.is_empty()
    }
}

/// Something that may remain. Its `Display` says what, and why.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Remaining {
    /// What, by id or token.
    pub what: String,
    /// Why; `None` where the instance that uses it remains.
    pub why: Option<Arc<ProvisionError>>,
}

impl fmt::Display for Remaining {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.why {
            Some(why) => write!(f, "{}: {why}", self.what),
            None => write!(f, "{}: the instance that uses it remains", self.what),
        }
    }
}

pub(crate) fn remaining(what: &str, error: ProvisionError) -> Remaining {
    Remaining { what: what.to_owned(), why: Some(Arc::new(error)) }
}

/// A host could not be planned, created or terminated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProvisionError {
    /// The Region knows no such instance type.
    #[error("no instance type {instance_type} in this Region")]
    UnknownInstanceType {
        /// The type asked for.
        instance_type: InstanceType,
        /// Types of similar names, nearest first.
        suggestions: Vec<InstanceType>,
    },
    /// There is no image of the id that the configuration names.
    #[error("no image {image} that this account can use")]
    UnknownImage {
        /// The image.
        image: ImageId,
    },
    /// The image is for other processors than the type has.
    #[error("image {image} is for {image_architecture}, but {instance_type} is {type_architecture}")]
    WrongArchitecture {
        /// The image.
        image: ImageId,
        /// Its architecture.
        image_architecture: &'static str,
        /// The type.
        instance_type: InstanceType,
        /// Its architecture.
        type_architecture: &'static str,
    },
    /// No image by the names that AWS publishes.
    #[error("no available image for {instance_type} in this Region")]
    NoImage {
        /// The type.
        instance_type: InstanceType,
    },
    /// No image of AWS's that sdocker knows has a driver for the type's GPUs.
    #[error("AWS's images with Amazon Linux 2023 have no driver for the GPUs of {instance_type}")]
    NoDriver {
        /// The type.
        instance_type: InstanceType,
    },
    /// What is asked for can't be stopped instead of terminated (`--on-idle stop`).
    #[error("{what} can't be stopped when it is idle: {why}")]
    CannotStop {
        /// What.
        what: &'static str,
        /// Why not.
        why: &'static str,
    },
    /// The subnet is not one of the domain's.
    #[error("subnet {subnet} is not one of the domain's")]
    UnknownSubnet {
        /// The subnet asked for.
        subnet: SubnetId,
        /// The domain's.
        known: Vec<SubnetId>,
    },
    /// None of the subnets asked for has a mount target of every file system that the app has mounted.
    #[error("no mount target of {file_system} in {}", join(subnets))]
    NoMountTarget {
        /// The file system.
        file_system: FileSystemId,
        /// The subnets that were looked at.
        subnets: Vec<SubnetId>,
        /// The domain's subnets that have one.
        with_mount_target: Vec<SubnetId>,
    },
    /// The domain names no subnet.
    #[error("domain {domain} has no subnet")]
    NoSubnet {
        /// The domain.
        domain: DomainId,
    },
    /// The app's network interface has no security group that a rule could name.
    #[error("neither the user profile nor the domain names a security group")]
    NoAppSecurityGroup,
    /// The mount target has as many groups as the account may have on an interface.
    #[error("mount target {mount_target} has {count} security groups already, and EFS takes no more")]
    MountTargetFull {
        /// The mount target.
        mount_target: MountTargetId,
        /// How many it has.
        count: usize,
        /// What EFS answered.
        source: CloudError,
    },
    /// What the host would run at boot is larger than EC2 takes, or can't be rendered.
    #[error(transparent)]
    UserData(#[from] UserDataError),
    /// A value that a call would carry is beyond what EC2's documents allow.
    #[error("AWS does not take {what}: {why}")]
    NotTaken {
        /// The value, and the setting that it comes from.
        what: String,
        /// What is allowed.
        why: String,
    },
    /// Another group has the name already, in other letters.
    #[error(
        "{vpc} has a security group whose name differs from {name} in upper and lower case only, and EC2 takes no other of that name"
    )]
    GroupNameTaken {
        /// The name.
        name: String,
        /// The VPC.
        vpc: VpcId,
    },
    /// No subnet has capacity for the type.
    #[error("no capacity for {instance_type} in {}", join(tried))]
    NoCapacity {
        /// The type.
        instance_type: InstanceType,
        /// The zones or subnets that were tried.
        tried: Vec<String>,
        /// What EC2 said last.
        #[source]
        source: CloudError,
    },
    /// No plan was given.
    #[error("there is no plan of a host to be created")]
    NoPlan,
    /// Fewer hosts than were wanted could be created.
    #[error("{made} of {count} hosts could be launched, but at least {at_least} were wanted")]
    TooFew {
        /// How many could.
        made: usize,
        /// How many were to be.
        count: usize,
        /// How many were wanted at least.
        at_least: usize,
        /// Why the first of the others could not.
        #[source]
        source: Box<ProvisionError>,
        /// Why the rest of them could not.
        others: Vec<ProvisionError>,
    },
    /// The instance ended before it could be used.
    #[error("instance {instance} is {state}{}", why_ended(code.as_deref(), reason.as_deref()).map(|why| format!(": {why}")).unwrap_or_default())]
    InstanceEnded {
        /// The instance.
        instance: InstanceId,
        /// Its state.
        state: &'static str,
        /// EC2's code of the reason (`StateReason.Code`).
        code: Option<String>,
        /// EC2's words.
        reason: Option<String>,
    },
    /// A host that is in no state to be started.
    #[error("{host} can't be started: {why}")]
    NotStartable {
        /// The host.
        host: String,
        /// What it is instead.
        why: String,
    },
    /// The instance got no address.
    #[error("instance {instance} has no private address")]
    NoAddress {
        /// The instance.
        instance: InstanceId,
    },
    /// Termination was accepted but not seen to happen in time.
    #[error("instance {instance} is still {state}")]
    StillThere {
        /// The instance.
        instance: InstanceId,
        /// Its state.
        state: &'static str,
    },
    /// The instance is not a host of sdocker.
    #[error("instance {instance} is not a Docker host of sdocker")]
    NotAHost {
        /// The instance.
        instance: InstanceId,
    },
    /// It can't be told what became of a host, so that nothing was done about it; its record remains.
    #[error("cannot tell what became of {}: {doubt}", instance.as_ref().map_or_else(|| format!("host {host}"), |id| format!("instance {id}")))]
    Doubtful {
        /// The host.
        host: String,
        /// Its instance, where it is known to have had one.
        instance: Option<InstanceId>,
        /// Why it can't be told.
        doubt: crate::Doubt,
    },
    /// An instance that was launched, and does not answer yet; its record remains.
    #[error("instance {instance} is there, but does not answer: {why}")]
    NoAnswerYet {
        /// The instance.
        instance: InstanceId,
        /// What was tried, and what came of it.
        why: String,
    },
    /// The host is somebody else's, and was left alone.
    #[error("instance {instance} is the host of {owner} in domain {domain}")]
    NotYours {
        /// The instance.
        instance: InstanceId,
        /// Whose host it is, by its tags.
        owner: String,
        /// Its domain, by its tags.
        domain: String,
    },
    /// The user asked to stop.
    #[error("interrupted")]
    Interrupted,
    /// Another process works on this host right now.
    #[error("host {host} is being worked on by another process")]
    Busy {
        /// The host.
        host: HostId,
    },
    /// Another process of this home went on changing what hosts share.
    #[error("another sdocker command was changing mount targets for {} s", within.as_secs())]
    NoTurn {
        /// How long was waited for it.
        within: std::time::Duration,
    },
    /// The journal can't be read or written.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A call to the cloud failed.
    #[error(transparent)]
    Cloud(#[from] CloudError),
    /// What an interrupted creation had made could not all be undone; its record remains.
    #[error("not everything that its creation made could be undone")]
    NotUndone {
        /// What was undone, and what remains.
        report: UndoReport,
    },
    /// Creation failed, and what it had made was dealt with as the report says.
    #[error("{error}")]
    Undone {
        /// Why creation failed.
        #[source]
        error: Box<ProvisionError>,
        /// What was undone, and what remains.
        report: UndoReport,
    },
}

impl ProvisionError {
    /// What to do about it, where AWS's own code tells.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Cloud(error) => error.hint(),
            Self::GroupNameTaken { .. } => Some(
                "delete that group where nobody needs it, or prepare groups and name them in HostSGs in sdocker.conf",
            ),
            Self::InstanceEnded { code: Some(code), .. } => codes::state_reason_hint(code),
            _ => None,
        }
    }

    /// What may remain after this error, by id or token, and why; empty where nothing does.
    pub fn remains(&self) -> Vec<String> {
        match self {
            Self::Undone { report, .. } | Self::NotUndone { report } => {
                report.remains.iter().map(ToString::to_string).collect()
            }
            Self::StillThere { instance, .. } | Self::NoAnswerYet { instance, .. } => {
                vec![format!("instance {instance}")]
            }
            Self::Doubtful { instance: Some(instance), .. } => vec![format!("instance {instance}")],
            Self::Doubtful { host, instance: None, .. } => vec![format!("what was made for host {host}")],
            _ => Vec::new(),
        }
    }
}

fn join(items: &[impl ToString]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// A zone as an error names it, or the subnet where the zone is not known.
pub(crate) fn location(subnet: &SubnetId, zone: Option<&Zone>) -> String {
    match zone {
        Some(zone) => format!("{subnet} ({zone})"),
        None => subnet.to_string(),
    }
}
