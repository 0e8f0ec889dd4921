//! Instances.

use std::{net::IpAddr, num::NonZeroU32};

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use studio_discovery::{SecurityGroupId, SubnetId, Tag};

use crate::{
    Bootstrap, ClientToken, CloudError, CloudErrorKind, ImageId, InstanceId, InstanceType, OnIdle, UserData, Zone,
};

/// EC2 instances.
///
/// # Cancel safety
/// Every method of it can be dropped at any time. Whether a launch or a termination took effect is unknown then, as where its answer was
/// lost. The token of a launch is on record before, and whoever settles the record finds the instance by it; a termination is asked for
/// again.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait Instances: Send + Sync {
    /// Launches instances, with one call (`ec2:RunInstances`): as many as there is capacity for in the subnet, one at least and so many at most
    /// (EC2 API reference, `RunInstances`, `MaxCount`). Always: IMDSv2 required with hop limit 1, encrypted gp3 root volume that
    /// is deleted with the instance, instance-initiated shutdown as the spec says, tags in the same call, which are those of all of them.
    ///
    /// Repeated with the same token, spec and number: the same instances, in whatever state they are now. An implementation never
    /// repeats it by itself: the caller has to know when an answer was lost.
    async fn run_several(&self, spec: &LaunchSpec, at_most: NonZeroU32) -> Result<Vec<Instance>, CloudError>;

    /// Launches one instance: [`run_several`](Self::run_several) of one.
    async fn run(&self, spec: &LaunchSpec) -> Result<Instance, CloudError> {
        let launched = self.run_several(spec, NonZeroU32::MIN).await?;
        launched.into_iter().next().ok_or_else(|| {
            let resource = format!("{} in {}", spec.instance_type, spec.subnet);
            let error = CloudError::new("ec2:RunInstances", resource, CloudErrorKind::Unavailable);
            error.with_message(None, "the answer names no instance")
        })
    }

    /// One instance (`ec2:DescribeInstances`); `None` where there is none of that id (or not yet, or no more).
    async fn describe(&self, id: &InstanceId) -> Result<Option<Instance>, CloudError>;

    /// Every instance that the filter matches, terminated ones included while EC2 still lists them (`ec2:DescribeInstances`,
    /// every page).
    async fn list(&self, filter: &InstanceFilter) -> Result<Vec<Instance>, CloudError>;

    /// Terminates instances, with one call (`ec2:TerminateInstances`). One that is shutting down or terminated already: no error.
    /// One that never was, or that EC2 has forgotten: `NotFound`, and then it may be that none was terminated.
    async fn terminate_all(&self, ids: &[InstanceId]) -> Result<(), CloudError>;

    /// Starts an instance again that is stopped (`ec2:StartInstances`). One that runs or is about to: no error, so that it may be repeated. One
    /// that is being stopped, or ends: an error with the code `IncorrectInstanceState` (EC2 API reference, "Client error codes"). It keeps its
    /// private address, its name and its volumes; what was on instance store volumes is lost (EC2 user guide, "Stop and start Amazon EC2 instances",
    /// "What happens when you stop an instance").
    async fn start(&self, id: &InstanceId) -> Result<(), CloudError>;

    /// Terminates one instance.
    async fn terminate(&self, id: &InstanceId) -> Result<(), CloudError> {
        self.terminate_all(std::slice::from_ref(id)).await
    }
}

/// What to launch.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LaunchSpec {
    /// The idempotence token.
    pub client_token: ClientToken,
    /// The instance type.
    pub instance_type: InstanceType,
    /// The image.
    pub image: ImageId,
    /// The subnet of its one network interface, which gets no public address unless the subnet gives one.
    pub subnet: SubnetId,
    /// The security groups of that interface.
    pub security_groups: Vec<SecurityGroupId>,
    /// The root volume.
    pub root_volume: RootVolume,
    /// The image's further volumes, by their device names: encrypted, and deleted with the instance, whatever the image says.
    pub other_volumes: Vec<String>,
    /// What becomes of it when it is shut down from within (`InstanceInitiatedShutdownBehavior`).
    pub on_idle: OnIdle,
    /// The name of an EC2 key pair, for those who want to log in.
    pub key_name: Option<String>,
    /// The ARN of an instance profile.
    pub instance_profile_arn: Option<String>,
    /// Spot or on demand.
    pub market: Market,
    /// Tags; none where `ec2:CreateTags` is missing.
    pub tags: Vec<Tag>,
    /// What of all that the call makes carries them.
    pub tagged: Tagged,
    /// What cloud-init runs at first boot.
    pub user_data: UserData,
    /// What `user_data` was rendered from: the sandbox has no cloud-init and follows this instead.
    pub bootstrap: Bootstrap,
}

/// What a launch gives its tags to. A role may be allowed to tag some kinds of resources and not others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tagged {
    /// The instance, its volume, its network interface, and the Spot request where there is one.
    #[default]
    Everything,
    /// The instance, its volume and its network interface, where the launch makes a Spot request as well.
    AllButSpotRequest,
    /// The instance and its volume.
    InstanceAndVolume,
    /// The instance.
    Instance,
    /// Nothing.
    Nothing,
}

impl Tagged {
    /// The next to try where this is refused: what is missed least goes first, the tags by which a host is found last.
    pub fn less(self, market: Market) -> Option<Self> {
        match self {
            Self::Everything if market == Market::Spot => Some(Self::AllButSpotRequest),
            Self::Everything | Self::AllButSpotRequest => Some(Self::InstanceAndVolume),
            Self::InstanceAndVolume => Some(Self::Instance),
            Self::Instance => Some(Self::Nothing),
            Self::Nothing => None,
        }
    }
}

/// How an instance is paid for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Market {
    /// At the on-demand price.
    #[default]
    OnDemand,
    /// A one-time Spot request, terminated on interruption.
    Spot,
}

/// A gp3 root volume, encrypted with the account's default key for EBS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RootVolume {
    /// The image's root device name.
    pub device: String,
    /// Its size in GiB.
    pub size_gib: u32,
}

/// Which instances to list: those that match every part that is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InstanceFilter {
    /// Of these ids. Ids that do not exist are left out.
    pub ids: Vec<InstanceId>,
    /// With this tag, whatever its value.
    pub tag_key: Option<String>,
    /// With these tags and values.
    pub tags: Vec<Tag>,
    /// Launched with this token.
    pub client_token: Option<ClientToken>,
    /// With a network interface in this security group (EC2's filter `instance.group-id`).
    pub security_group: Option<SecurityGroupId>,
}

/// An instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Instance {
    /// Its id.
    pub id: InstanceId,
    /// Its type.
    pub instance_type: InstanceType,
    /// Its state.
    pub state: InstanceState,
    /// `PrivateDnsName`; `None` in a VPC without DNS hostnames, and once terminated.
    pub private_dns: Option<String>,
    /// `PrivateIpAddress`; `None` once terminated.
    pub private_address: Option<IpAddr>,
    /// Its subnet; `None` once terminated.
    pub subnet: Option<SubnetId>,
    /// Its zone.
    pub zone: Option<Zone>,
    /// When it was launched.
    pub launched: Option<Timestamp>,
    /// The token it was launched with.
    pub client_token: Option<ClientToken>,
    /// Which of the instances of its launch it is, from 0 (EC2 API reference, `Instance`, `AmiLaunchIndex`).
    #[serde(default)]
    pub launch_index: u32,
    /// Spot or on demand.
    pub market: Market,
    /// Its virtual CPUs; `None` where EC2 does not say.
    pub vcpus: Option<u32>,
    /// The security groups of its network interface.
    pub security_groups: Vec<SecurityGroupId>,
    /// Its tags.
    pub tags: Vec<Tag>,
    /// Why it was stopped or terminated, in EC2's words (`StateReason.Message`).
    pub state_reason: Option<String>,
    /// EC2's code of that reason, such as `Server.InsufficientInstanceCapacity` (`StateReason.Code`).
    #[serde(default)]
    pub state_code: Option<String>,
}

/// The state of an instance, by EC2's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InstanceState {
    /// Being prepared.
    Pending,
    /// Running, and paid for.
    Running,
    /// Being stopped.
    Stopping,
    /// Stopped: no compute is paid, the volume is.
    Stopped,
    /// Being terminated.
    ShuttingDown,
    /// Gone for good; EC2 lists it for about an hour more.
    Terminated,
}

impl InstanceState {
    /// EC2's name of it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::ShuttingDown => "shutting-down",
            Self::Terminated => "terminated",
        }
    }

    /// Whether the instance is gone or certainly going.
    pub fn is_ended(self) -> bool {
        matches!(self, Self::ShuttingDown | Self::Terminated)
    }

    /// Whether the instance is stopped, or about to be: nothing runs on it, and it can be started again.
    pub fn is_stopped(self) -> bool {
        matches!(self, Self::Stopping | Self::Stopped)
    }
}

impl Instance {
    /// An instance of which nothing else is known.
    pub fn new(id: InstanceId, instance_type: InstanceType, state: InstanceState) -> Self {
        Self {
            id,
            instance_type,
            state,
            private_dns: None,
            private_address: None,
            subnet: None,
            zone: None,
            launched: None,
            client_token: None,
            launch_index: 0,
            market: Market::OnDemand,
            vcpus: None,
            security_groups: Vec::new(),
            tags: Vec::new(),
            state_reason: None,
            state_code: None,
        }
    }

    /// The value of a tag.
    pub fn tag(&self, key: &str) -> Option<&str> {
        self.tags.iter().find(|tag| tag.key == key).map(|tag| tag.value.as_str())
    }

    /// Why it stopped or ended, with EC2's code, where EC2 says.
    pub fn why_ended(&self) -> Option<String> {
        why_ended(self.state_code.as_deref(), self.state_reason.as_deref())
    }

    /// The name by which clients reach it: the private DNS name, or the private address where there is none.
    pub fn endpoint_name(&self) -> Option<String> {
        self.private_dns
            .clone()
            .filter(|name| !name.is_empty())
            .or_else(|| self.private_address.map(|address| address.to_string()))
    }
}

/// EC2's code and words, each once. Most of its words begin with the code.
pub(crate) fn why_ended(code: Option<&str>, reason: Option<&str>) -> Option<String> {
    match (code, reason.filter(|reason| !reason.is_empty())) {
        (Some(code), Some(reason)) if !reason.starts_with(code) => Some(format!("{code}: {reason}")),
        (_, Some(reason)) => Some(reason.to_owned()),
        (code, None) => code.map(str::to_owned),
    }
}
