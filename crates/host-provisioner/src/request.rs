//! What a user asks for when asking for a host.

use std::{path::PathBuf, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use studio_discovery::{SecurityGroupId, SubnetId, Tag};

use crate::{Hooks, HostId, Identity, ImageId, InstanceType, ProxySettings};

/// What a user asks for. Everything that makes one plan differ from another is in here, in the environment or in the survey,
/// so that the same three give the same plan, byte for byte.
#[derive(Clone, Debug)]
pub struct HostRequest {
    /// The name of the host to be.
    pub host: HostId,
    /// The time of the request, from which the maximum lifetime counts in the tag `sdocker:expires`.
    pub now: Timestamp,
    /// The instance type.
    pub instance_type: InstanceType,
    /// One subnet, instead of the domain's in their order.
    pub subnet: Option<SubnetId>,
    /// What is to run the daemon.
    pub engine: EngineChoice,
    /// Whether it is to be a node of a Swarm: then its daemon is one that Swarm takes, and its group lets the other nodes in.
    pub swarm: bool,
    /// Spot or on demand.
    pub market: MarketChoice,
    /// After how long the host ends itself, whatever runs on it.
    pub max_lifetime: Duration,
    /// After how long without use the host ends itself; `None`: never.
    pub idle_timeout: Option<Duration>,
    /// What its end by itself is.
    pub on_idle: OnIdle,
    /// The folder that holds `hosts/`, as a path that the host will mount; `None` where no storage is shared.
    pub shared_home: Option<PathBuf>,
    /// Whether the app shares files with the host: then its group lets the app in at [`FILES_PORT`](crate::FILES_PORT) as well.
    pub shares_files: bool,
    /// The user's own scripts there, for the host to run.
    pub hooks: Hooks,
    /// Where the host's certificate and key come from.
    pub identity: Identity,
    /// Proxy settings of the client, offered to the daemon.
    pub proxy: ProxySettings,
    /// What the configuration file says.
    pub config: HostConfig,
}

/// The settings of `sdocker.conf` that shape a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostConfig {
    /// `ImageId`: this image instead of the newest one that fits.
    pub image: Option<ImageId>,
    /// `Key`: the name of an EC2 key pair.
    pub key_name: Option<String>,
    /// `Port`: the daemon's port.
    pub daemon_port: u16,
    /// `EBSVolumeSize`: of the root volume, in GiB.
    pub volume_gib: u32,
    /// `InstanceProfileArn`.
    pub instance_profile_arn: Option<String>,
    /// `HostSGs`: these security groups and no others; nothing is created, and no mount target is changed.
    pub security_groups: Vec<SecurityGroupId>,
    /// `DockerImageURI`: the image of engine `dind`.
    pub dind_image: String,
    /// `DockerImageNvidiaURI`: the image of engine `dind` on types with NVIDIA GPUs.
    pub dind_nvidia_image: Option<String>,
    /// `AdditionalPorts`: further ports that reach containers.
    pub additional_ports: Vec<u16>,
    /// `Tags`: of everything that is made for a host, beside sdocker's own.
    pub tags: Vec<Tag>,
}

impl Default for HostConfig {
    /// The defaults of `sdocker.conf`, unchanged since 2022, but for the image: Docker's next major version may give up what Studio's CLI and
    /// the host's scripts rely on.
    fn default() -> Self {
        Self {
            image: None,
            key_name: None,
            daemon_port: 1111,
            volume_gib: 400,
            instance_profile_arn: None,
            security_groups: Vec::new(),
            dind_image: "docker:29-dind".to_owned(),
            dind_nvidia_image: None,
            additional_ports: Vec::new(),
            tags: Vec::new(),
        }
    }
}

/// What is to run the daemon.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum EngineChoice {
    /// Docker in Docker on types without GPUs, the image's own daemon on types with NVIDIA GPUs.
    #[default]
    Auto,
    /// Docker in Docker.
    Dind,
    /// The image's own daemon.
    Native,
}

/// What a host does that ends itself: because it is idle, or because its maximum lifetime is over. EC2 knows one behaviour of an instance that is
/// shut down from within, whatever the reason (EC2 user guide, "Change instance initiated shutdown behavior").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum OnIdle {
    /// The instance is terminated, and its disk deleted.
    #[default]
    Terminate,
    /// The instance is stopped. Its disk stays, and costs money, until somebody terminates the host.
    Stop,
}

impl OnIdle {
    /// Whether it is what every host does that is not asked for anything else.
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// How the host is to be paid for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MarketChoice {
    /// On demand.
    #[default]
    OnDemand,
    /// Spot, or not at all.
    Spot,
    /// Spot, and on demand where no subnet has Spot capacity.
    SpotOrOnDemand,
}
