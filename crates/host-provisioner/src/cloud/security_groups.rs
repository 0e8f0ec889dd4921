//! Security groups.

use std::fmt;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use studio_discovery::{SecurityGroupId, Tag, VpcId};

use crate::CloudError;

/// Security groups of a VPC.
///
/// # Cancel safety
/// Every method of it can be dropped at any time. Whether a change took effect is unknown then, as where its answer was lost. That a group
/// is to be created is on record before, and whoever settles the record finds it by its name and tag; every other change can be repeated.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait SecurityGroups: Send + Sync {
    /// The groups of these names in a VPC, with their rules (`ec2:DescribeSecurityGroups`). Names that no group has are left out.
    async fn find(&self, vpc: &VpcId, names: &[String]) -> Result<Vec<SecurityGroup>, CloudError>;

    /// The groups of these ids; `NotFound` where one does not exist (`ec2:DescribeSecurityGroups`).
    async fn describe(&self, ids: &[SecurityGroupId]) -> Result<Vec<SecurityGroup>, CloudError>;

    /// Creates an empty group (`ec2:CreateSecurityGroup`), with tags in the same call (`ec2:CreateTags` where there are any).
    /// A group of that name in the VPC: `AlreadyExists`. EC2 gives a new group one outbound rule that allows everything.
    async fn create(
        &self,
        vpc: &VpcId,
        name: &str,
        description: &str,
        tags: &[Tag],
    ) -> Result<SecurityGroupId, CloudError>;

    /// Adds inbound rules (`ec2:AuthorizeSecurityGroupIngress`). One that exists already: `AlreadyExists`, and none is added.
    async fn authorize_ingress(&self, group: &SecurityGroupId, rules: &[Rule]) -> Result<(), CloudError>;

    /// Adds outbound rules (`ec2:AuthorizeSecurityGroupEgress`), as [`authorize_ingress`](Self::authorize_ingress) does inbound ones.
    async fn authorize_egress(&self, group: &SecurityGroupId, rules: &[Rule]) -> Result<(), CloudError>;

    /// Takes away the outbound rules that allow everything, to IPv4 and to IPv6 (`ec2:RevokeSecurityGroupEgress`); gone already counts as
    /// done.
    async fn revoke_default_egress(&self, group: &SecurityGroupId) -> Result<(), CloudError>;

    /// Deletes a group (`ec2:DeleteSecurityGroup`). Gone already: `NotFound`. Still used: `InUse`.
    async fn delete(&self, group: &SecurityGroupId) -> Result<(), CloudError>;

    /// The ids of the network interfaces that use a group (`ec2:DescribeNetworkInterfaces`).
    async fn interfaces_using(&self, group: &SecurityGroupId) -> Result<Vec<String>, CloudError>;
}

/// A security group with its rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SecurityGroup {
    /// Its id.
    pub id: SecurityGroupId,
    /// Its name, unique in its VPC.
    pub name: String,
    /// Its VPC.
    pub vpc: VpcId,
    /// Inbound rules of TCP and UDP, one per port range and peer. Rules for other protocols are left out, rules for all protocols
    /// appear as all TCP ports.
    pub ingress: Vec<Rule>,
    /// Outbound rules, likewise.
    pub egress: Vec<Rule>,
    /// Its tags.
    pub tags: Vec<Tag>,
}

/// What a rule is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// TCP.
    #[default]
    Tcp,
    /// UDP.
    Udp,
}

impl Protocol {
    /// EC2's name of it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }

    pub(crate) fn is_tcp(&self) -> bool {
        *self == Self::Tcp
    }
}

/// A rule of TCP or UDP.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Rule {
    /// What it is for.
    #[serde(default)]
    pub protocol: Protocol,
    /// The first port.
    pub from_port: u16,
    /// The last port; the same as the first for one port.
    pub to_port: u16,
    /// The other side.
    pub peer: Peer,
}

/// The other side of a rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Peer {
    /// Network interfaces that have this group.
    Group(SecurityGroupId),
    /// Addresses in CIDR notation, IPv4 or IPv6, or a prefix list's id.
    Network(String),
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.from_port, self.to_port) {
            (0, u16::MAX) => f.write_str("every port")?,
            (one, last) if one == last => write!(f, "port {one}")?,
            (first, last) => write!(f, "ports {first} to {last}")?,
        }
        if self.protocol == Protocol::Udp {
            f.write_str(" of UDP")?;
        }
        match &self.peer {
            Peer::Group(group) => write!(f, " from {group}"),
            Peer::Network(network) => write!(f, " from {network}"),
        }
    }
}

impl Rule {
    /// One TCP port, from or to one peer.
    pub fn port(port: u16, peer: Peer) -> Self {
        Self::of(Protocol::Tcp, port, peer)
    }

    /// One port, from or to one peer.
    pub fn of(protocol: Protocol, port: u16, peer: Peer) -> Self {
        Self { protocol, from_port: port, to_port: port, peer }
    }

    /// Whether this rule allows everything that the other allows.
    pub fn covers(&self, other: &Self) -> bool {
        let same_peer =
            self.peer == other.peer || matches!(&self.peer, Peer::Network(network) if network == "0.0.0.0/0");
        same_peer
            && self.protocol == other.protocol
            && self.from_port <= other.from_port
            && other.to_port <= self.to_port
    }
}
