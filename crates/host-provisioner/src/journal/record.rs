//! The record of one host.

mod written;

use std::{fmt, net::IpAddr};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use studio_discovery::{DomainId, OwnerName, SecurityGroupId, SubnetId, VpcId};

use crate::{ClientToken, HostId, Instance, InstanceId, InstanceType, Market, MountTargetId, Place};

/// What is known of one host: where it is, and the steps of its creation, each with what became of it.
///
/// As JSON it is what every version of sdocker reads and writes: see `written`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "written::Written", into = "written::Written")]
#[non_exhaustive]
pub struct Record {
    /// The host.
    pub host: HostId,
    /// What is going on with it.
    pub state: RecordState,
    /// When its creation began.
    pub created: Timestamp,
    /// When it ends itself at the latest, unless it is kept longer.
    pub expires: Timestamp,
    /// Where it is. It is asked about there, and nowhere else.
    pub place: Place,
    /// The domain.
    pub domain: DomainId,
    /// Whose host it is.
    pub owner: OwnerName,
    /// The VPC.
    pub vpc: VpcId,
    /// The instance type.
    pub instance_type: InstanceType,
    /// The daemon's port.
    pub daemon_port: u16,
    /// The Docker context that was current before, to fall back to.
    pub previous_context: Option<String>,
    /// What was made or is about to be made, in order.
    pub steps: Vec<Step>,
    /// The instance, once it is known.
    pub instance: Option<RecordedInstance>,
    /// Why creation failed, where it did.
    pub failure: Option<String>,
    /// Of a host that stops when it ends itself, what is known of that.
    pub stops: Option<Stops>,
}

/// Of a host whose instance is stopped when it ends itself, and whose disk stays until somebody terminates it (`--on-idle stop`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Stops {
    /// The size of its disk, in GiB, which is paid for; `None` where it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume_gib: Option<u32>,
    /// Since when it was to be started again: written before EC2 is asked, and taken out once the instance runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_asked: Option<Timestamp>,
}

/// What is going on with a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordState {
    /// Being created.
    Creating,
    /// Created, and handed to the user.
    Ready,
    /// Creation failed; what it made is being undone.
    Undoing,
    /// Being terminated.
    Terminating,
}

impl RecordState {
    /// Whether a host in this state may come into that one. What is being undone or terminated is nothing else any more.
    pub fn may_become(self, next: Self) -> bool {
        match self {
            Self::Creating => matches!(next, Self::Creating | Self::Ready | Self::Undoing),
            Self::Ready => matches!(next, Self::Ready | Self::Terminating),
            Self::Undoing | Self::Terminating => next == self,
        }
    }
}

/// The instance of a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RecordedInstance {
    /// Its id.
    pub id: InstanceId,
    /// The name or address by which clients reach it.
    pub endpoint: String,
    /// Its private DNS name, in a VPC that has such names.
    pub private_dns: Option<String>,
    /// Its private address.
    pub private_address: Option<IpAddr>,
}

/// One step of a creation: what was intended, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Step {
    /// What became of it.
    pub state: StepState,
    /// What was intended.
    #[serde(flatten)]
    pub intent: Intent,
}

/// What became of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    /// The call was about to be made; whether it took effect is unknown.
    Intended,
    /// Made by this host's creation.
    Created,
    /// Was there before, or belongs to others by now; not ours to undo.
    Adopted,
    /// Undone, or never made.
    Gone,
}

impl StepState {
    /// Whether a step in this state may come into that one. What was adopted is never called our own, and what is gone stays gone.
    pub fn may_become(self, next: Self) -> bool {
        match self {
            Self::Intended => true,
            Self::Created => matches!(next, Self::Created | Self::Adopted | Self::Gone),
            Self::Adopted => matches!(next, Self::Adopted | Self::Gone),
            Self::Gone => next == Self::Gone,
        }
    }
}

/// What a step is to make, with what is needed to find it again: what the journal holds before the call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Intent {
    /// A security group.
    SecurityGroup(GroupIntent),
    /// The membership of a group in a mount target's list.
    #[serde(rename = "mount_target_group")]
    MountAccess(AccessIntent),
    /// An instance.
    Instance(LaunchIntent),
}

/// A security group that is to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct GroupIntent {
    /// Its VPC.
    pub vpc: VpcId,
    /// Its name.
    pub name: String,
    /// Its id, once known.
    pub id: Option<SecurityGroupId>,
}

/// A group that is to be put on a mount target's list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AccessIntent {
    /// The mount target.
    pub mount_target: MountTargetId,
    /// The group.
    pub group: SecurityGroupId,
}

/// An instance that is to be launched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LaunchIntent {
    /// The token of its launch.
    pub client_token: ClientToken,
    /// Which of the instances of that launch it is to be, from 0.
    #[serde(default, skip_serializing_if = "is_first")]
    pub launch_index: u32,
    /// The subnet it was asked for in.
    pub subnet: SubnetId,
    /// Spot or on demand.
    pub market: Market,
    /// When the launch was about to be asked for.
    pub asked: Timestamp,
    /// Its id, once known.
    pub id: Option<InstanceId>,
}

impl LaunchIntent {
    /// Whether this instance is the one that was to be launched, as far as the record knows.
    pub fn launched(&self, instance: &Instance) -> bool {
        match &self.id {
            Some(id) => *id == instance.id,
            None => {
                Some(&self.client_token) == instance.client_token.as_ref() && self.launch_index == instance.launch_index
            }
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_first(index: &u32) -> bool {
    *index == 0
}

impl fmt::Display for Intent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SecurityGroup(GroupIntent { name, id: Some(id), .. }) => write!(f, "security group {name} ({id})"),
            Self::SecurityGroup(GroupIntent { vpc, name, id: None }) => write!(f, "security group {name} in {vpc}"),
            Self::MountAccess(AccessIntent { mount_target, group }) => {
                write!(f, "NFS access of {group} to mount target {mount_target}")
            }
            Self::Instance(LaunchIntent { id: Some(id), .. }) => write!(f, "instance {id}"),
            Self::Instance(LaunchIntent { client_token, launch_index, id: None, .. }) => {
                write!(f, "an instance with client token {client_token}")?;
                if *launch_index > 0 { write!(f, ", number {} of its launch", launch_index + 1) } else { Ok(()) }
            }
        }
    }
}

impl Record {
    /// The host's name among contexts and directories, `<instance-type>_<instance-id>`, once there is an instance.
    pub fn name(&self) -> Option<String> {
        self.instance.as_ref().map(|instance| host_name(&self.instance_type, &instance.id))
    }

    /// Its launches, in order.
    pub fn launches(&self) -> impl Iterator<Item = (StepState, &LaunchIntent)> {
        self.steps.iter().filter_map(|step| match &step.intent {
            Intent::Instance(launch) => Some((step.state, launch)),
            _ => None,
        })
    }

    /// The ids of its instances that may still be there.
    pub(crate) fn instances(&self) -> impl Iterator<Item = &InstanceId> {
        let launches = self.launches().filter(|(state, _)| *state != StepState::Gone);
        launches.filter_map(|(_, launch)| launch.id.as_ref())
    }

    /// Whether its creation made a security group, or may have, which other hosts use as well.
    pub fn made_what_others_use(&self) -> bool {
        let open = |step: &Step| matches!(step.state, StepState::Intended | StepState::Created);
        self.steps.iter().any(|step| open(step) && matches!(step.intent, Intent::SecurityGroup(_)))
    }

    /// Whether someone still has to finish what was begun: creating, undoing or terminating.
    pub fn is_unfinished(&self) -> bool {
        self.state != RecordState::Ready
    }

    /// Why this record may not become that one: a step that is forgotten or becomes another, one that begins with anything but an intent,
    /// a state that does not follow from the one before.
    pub(crate) fn forbids(&self, next: &Self) -> Option<String> {
        if !self.state.may_become(next.state) {
            return Some(format!("a host that is {:?} does not become {:?}", self.state, next.state));
        }
        if next.steps.len() < self.steps.len() {
            return Some("a step would be forgotten".to_owned());
        }
        let (known, new) = next.steps.split_at(self.steps.len());
        for (was, is) in self.steps.iter().zip(known) {
            let same = std::mem::discriminant(&was.intent) == std::mem::discriminant(&is.intent);
            if !same || !was.state.may_become(is.state) {
                return Some(format!(
                    "{} that is {:?} does not become {} that is {:?}",
                    was.intent, was.state, is.intent, is.state
                ));
            }
        }
        let made = new.iter().find(|step| step.state != StepState::Intended);
        made.map(|step| format!("{} begins as {:?}, and was never intended", step.intent, step.state))
    }
}

/// The name of a host among contexts and directories: `<instance-type>_<instance-id>`.
pub(crate) fn host_name(instance_type: &InstanceType, instance: &InstanceId) -> String {
    format!("{instance_type}_{instance}")
}
