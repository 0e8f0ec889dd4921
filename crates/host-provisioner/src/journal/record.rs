//! The record of one host.

use std::{fmt, net::IpAddr};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use studio_discovery::{AccountId, DomainId, Region, SecurityGroupId, SubnetId, UserProfileName, VpcId};

use super::RECORD_VERSION;
use crate::{ClientToken, CloudName, HostId, HostPlan, InstanceId, InstanceType, Market, MountTargetId, Place};

/// What is known of one host: what was meant to be made, what was made, and what of it is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The version of this format.
    pub version: u32,
    /// The host.
    pub host: HostId,
    /// What is going on with it.
    pub state: RecordState,
    /// When its creation began.
    pub created: Timestamp,
    /// When it ends itself at the latest, unless it is kept longer.
    pub expires: Timestamp,
    /// The cloud; `None` in a record of an earlier sdocker: see [`place`](Self::place).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud: Option<CloudName>,
    /// The account; `None` where it is not known, as in a record of an earlier sdocker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountId>,
    /// The Region.
    pub region: Region,
    /// The domain.
    pub domain: DomainId,
    /// Whose host it is.
    pub owner: UserProfileName,
    /// The VPC.
    pub vpc: VpcId,
    /// The instance type.
    pub instance_type: InstanceType,
    /// The daemon's port.
    pub daemon_port: u16,
    /// The Docker context that was current before, to fall back to.
    pub previous_context: Option<String>,
    /// What was made or is about to be made, in order.
    pub resources: Vec<Resource>,
    /// The instance, once it is known.
    pub instance: Option<RecordedInstance>,
    /// Why creation failed, where it did.
    pub failure: Option<String>,
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

/// The instance of a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

/// One thing in the cloud.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    /// What became of it.
    pub state: ResourceState,
    /// Which.
    #[serde(flatten)]
    pub kind: ResourceKind,
}

/// What became of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResourceState {
    /// The call was about to be made; whether it took effect is unknown.
    Intended,
    /// Made by this host's creation.
    Created,
    /// Was there before, or belongs to others by now; not ours to undo.
    Adopted,
    /// Undone, or never made.
    Gone,
}

/// A kind of resource, with what is needed to find it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ResourceKind {
    /// A security group.
    SecurityGroup {
        /// Its VPC.
        vpc: VpcId,
        /// Its name.
        name: String,
        /// Its id, once known.
        id: Option<SecurityGroupId>,
    },
    /// The membership of a group in a mount target's list.
    MountTargetGroup {
        /// The mount target.
        mount_target: MountTargetId,
        /// The group.
        group: SecurityGroupId,
    },
    /// An instance.
    Instance {
        /// The token of its launch.
        client_token: ClientToken,
        /// The subnet it was asked for in.
        subnet: SubnetId,
        /// Spot or on demand.
        market: Market,
        /// When the launch was about to be asked for.
        asked: Timestamp,
        /// Its id, once known.
        id: Option<InstanceId>,
    },
}

impl fmt::Display for ResourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SecurityGroup { name, id: Some(id), .. } => write!(f, "security group {name} ({id})"),
            Self::SecurityGroup { vpc, name, id: None } => write!(f, "security group {name} in {vpc}"),
            Self::MountTargetGroup { mount_target, group } => {
                write!(f, "NFS access of {group} to mount target {mount_target}")
            }
            Self::Instance { id: Some(id), .. } => write!(f, "instance {id}"),
            Self::Instance { client_token, id: None, .. } => write!(f, "an instance with client token {client_token}"),
        }
    }
}

impl Record {
    /// The record with which the creation of a host begins.
    pub(crate) fn creating(plan: &HostPlan, cloud: CloudName, previous_context: Option<String>) -> Self {
        let bootstrap = plan.placements.first().map(|placement| &placement.bootstrap);
        Self {
            version: RECORD_VERSION,
            host: plan.host.clone(),
            state: RecordState::Creating,
            created: plan.created,
            expires: plan.expires,
            cloud: Some(cloud),
            account: Some(plan.account.clone()),
            region: plan.region.clone(),
            domain: plan.domain.clone(),
            owner: plan.owner.clone(),
            vpc: plan.vpc.clone(),
            instance_type: plan.instance_type.clone(),
            daemon_port: bootstrap.map_or(0, |bootstrap| bootstrap.daemon_port),
            previous_context,
            resources: Vec::new(),
            instance: None,
            failure: None,
        }
    }

    /// The host's name among contexts and directories, `<instance-type>_<instance-id>`, once there is an instance.
    pub fn name(&self) -> Option<String> {
        self.instance.as_ref().map(|instance| host_name(&self.instance_type, &instance.id))
    }

    /// Where it is. It is asked about there, and nowhere else.
    ///
    /// An earlier sdocker recorded the Region only. Its account is unknown then; and it is the sandbox's where its VPC is one that AWS
    /// can't have: ids there are hexadecimal (EC2 user guide, "Resource IDs"), and the sandbox's VPC is called `vpc-studio`.
    pub fn place(&self) -> Place {
        let of_aws = || {
            let id = self.vpc.as_str().strip_prefix("vpc-").unwrap_or_default();
            !id.is_empty() && id.chars().all(|c| c.is_ascii_hexdigit())
        };
        let cloud = self.cloud.unwrap_or_else(|| if of_aws() { CloudName::Aws } else { CloudName::Sandbox });
        Place { cloud, account: self.account.clone(), region: self.region.clone() }
    }

    /// The ids of its instances that may still be there.
    pub(crate) fn instances(&self) -> impl Iterator<Item = &InstanceId> {
        self.resources.iter().filter(|resource| resource.state != ResourceState::Gone).filter_map(|resource| {
            match &resource.kind {
                ResourceKind::Instance { id, .. } => id.as_ref(),
                _ => None,
            }
        })
    }

    /// Whether someone still has to finish what was begun: creating, undoing or terminating.
    pub fn is_unfinished(&self) -> bool {
        self.state != RecordState::Ready
    }
}

/// The name of a host among contexts and directories: `<instance-type>_<instance-id>`.
pub(crate) fn host_name(instance_type: &InstanceType, instance: &InstanceId) -> String {
    format!("{instance_type}_{instance}")
}
