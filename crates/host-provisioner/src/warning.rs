//! What works less well than it could, and why.

use std::fmt;

use studio_discovery::{DomainId, SecurityGroupId};

use crate::{HostId, InstanceId, InstanceType, MountTargetId, TAG_DOMAIN, Tagged};

/// Something that a user should know, although the work goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// `ec2:DescribeInstanceTypes` was refused: the type's architecture and GPUs are read off its name.
    TypeNotDescribed {
        /// The type.
        instance_type: InstanceType,
    },
    /// `ec2:CreateTags` was refused: the host carries no tags.
    NoTags,
    /// `ec2:CreateTags` was refused for some of what a launch makes: only these carry tags.
    FewerTags {
        /// What carries tags.
        tagged: Tagged,
    },
    /// EC2 does not take some of the user profile's tags, or has no room for them.
    TagsLeftOut {
        /// Their keys.
        keys: Vec<String>,
    },
    /// `ec2:AuthorizeSecurityGroupEgress` or `ec2:RevokeSecurityGroupEgress` was refused: the group keeps EC2's outbound rule that
    /// allows everything.
    OpenEgress {
        /// The group's name.
        group: String,
    },
    /// A group that was there before lets more in than a host needs, or is another domain's.
    StrangeGroup {
        /// The group's name and id.
        group: String,
        /// What is strange about it.
        what: Vec<String>,
    },
    /// A group of an earlier `sdocker` has no tag, and is used because its rules are the domain's.
    AdoptedGroup {
        /// Its name.
        name: String,
        /// The group.
        group: SecurityGroupId,
        /// The domain.
        domain: DomainId,
    },
    /// The groups that an administrator prepared let none of the app's reach these ports.
    GivenGroupsLack {
        /// The groups (`HostSGs`).
        groups: Vec<SecurityGroupId>,
        /// The ports.
        ports: Vec<u16>,
        /// The app's groups.
        app_groups: Vec<SecurityGroupId>,
    },
    /// No group of a mount target lets the groups in that an administrator prepared.
    MountTargetShut {
        /// The mount target.
        mount_target: MountTargetId,
        /// The groups (`HostSGs`).
        groups: Vec<SecurityGroupId>,
    },
    /// The image names a larger root volume than was asked for.
    VolumeGrown {
        /// The size of the image's root device, in GiB.
        to_gib: u32,
    },
    /// No Spot capacity; the host is paid for at the on-demand price.
    NotSpot {
        /// What EC2 said of the last request for one.
        why: String,
    },
    /// There is no capacity for a type, and the next one is tried.
    NextType {
        /// What EC2 said.
        why: String,
        /// The next type.
        next: InstanceType,
    },
    /// There is no capacity, and it is asked for again.
    TriedAgain {
        /// What EC2 said.
        why: String,
        /// For how long yet.
        within: std::time::Duration,
    },
    /// The app and the host share no storage: the server's key travels in user data.
    KeyInUserData,
    /// Undo left something that others use by now.
    LeftInUse {
        /// What was left.
        what: String,
    },
    /// The host is gone, and its record with it; something that this home keeps of it could not be removed.
    FilesLeft {
        /// The host.
        host: HostId,
        /// What, and why.
        why: String,
    },
    /// An instance could not be looked at, and was taken as it was recorded.
    NotVerified {
        /// The instance.
        instance: InstanceId,
        /// Why.
        why: String,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TypeNotDescribed { instance_type } => write!(
                f,
                "not allowed to call ec2:DescribeInstanceTypes: what {instance_type} is was read off its name"
            ),
            Self::NoTags => f.write_str(
                "not allowed to call ec2:CreateTags: the host carries no tags, so that it can only be found through this home's records",
            ),
            Self::FewerTags { tagged } => {
                let missing = match tagged {
                    Tagged::Instance => "volume and network interface carry",
                    Tagged::AllButSpotRequest => "Spot request carries",
                    _ => "network interface carries",
                };
                write!(f, "not allowed to call ec2:CreateTags for all that the launch makes: the host's {missing} no tags")
            }
            Self::TagsLeftOut { keys } => write!(
                f,
                "the user profile's tags {} are not copied to the host: EC2 does not take them, or has no room for them",
                keys.join(", ")
            ),
            Self::OpenEgress { group } => write!(
                f,
                "not allowed to call ec2:AuthorizeSecurityGroupEgress and ec2:RevokeSecurityGroupEgress: security group {group} keeps the \
                 outbound rule that allows everything"
            ),
            Self::StrangeGroup { group, what } => write!(
                f,
                "security group {group} was not made as sdocker makes it: {}",
                what.join(", ")
            ),
            Self::AdoptedGroup { name, group, domain } => write!(
                f,
                "security group {name} ({group}) of an earlier sdocker is used, as its rules are this domain's; it has no tag that says so, \
                 which `sdocker policy` demands: aws ec2 create-tags --resources {group} --tags Key={TAG_DOMAIN},Value={domain}"
            ),
            Self::GivenGroupsLack { groups, ports, app_groups } => {
                let list = |items: &[SecurityGroupId]| items.iter().map(SecurityGroupId::as_str).collect::<Vec<_>>().join(", ");
                let ports: Vec<String> = ports.iter().map(ToString::to_string).collect();
                write!(
                    f,
                    "no inbound rule of {} (HostSGs) lets this app's security groups ({}) reach port {} of a host",
                    list(groups),
                    list(app_groups),
                    ports.join(", ")
                )
            }
            Self::MountTargetShut { mount_target, groups } => {
                let groups: Vec<&str> = groups.iter().map(SecurityGroupId::as_str).collect();
                write!(
                    f,
                    "no security group of mount target {mount_target} lets {} (HostSGs) in on port 2049, so that a host could not mount the file \
                     system",
                    groups.join(", ")
                )
            }
            Self::VolumeGrown { to_gib } => write!(f, "the image needs a root volume of {to_gib} GiB, which is what the host gets"),
            Self::NotSpot { why } => write!(f, "no Spot capacity, so the host is launched on demand: {why}"),
            Self::NextType { why, next } => write!(f, "{why}; {next} is tried next"),
            Self::TriedAgain { why, within } => {
                write!(f, "{why}; this is tried again each minute, for {} more at most", minutes(*within))
            }
            Self::KeyInUserData => f.write_str(
                "this app shares no storage with the host: its first keys travel in the instance's user data, and are trusted until the host was \
                 reached for the first time",
            ),
            Self::LeftInUse { what } => write!(f, "{what} was left, because something else uses it by now"),
            Self::FilesLeft { host, why } => write!(f, "host {host} is gone, but not all that was kept of it: {why}"),
            Self::NotVerified { instance, why } => write!(f, "could not look at instance {instance}: {why}"),
        }
    }
}

fn minutes(duration: std::time::Duration) -> String {
    match duration.as_secs().div_ceil(60) {
        1 => "1 minute".to_owned(),
        minutes => format!("{minutes} minutes"),
    }
}
