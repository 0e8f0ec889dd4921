//! What an examination finds.

use std::fmt;

use studio_discovery::{SubnetId, VpcId};

use crate::{CloudError, InstanceType, MAX_TAGS, MAX_USER_DATA, MountTargetId, QuotaClass, VpcDns, Zone};

/// Something that was found out. Its `Display` says what.
#[derive(Debug)]
#[non_exhaustive]
pub enum Check {
    /// EC2 would allow a call.
    Allowed {
        /// The IAM action.
        action: &'static str,
    },
    /// AWS would refuse a call: the caller may not make it, or what it names does not exist, is beyond a limit, or the account is not
    /// ready.
    Refused {
        /// EC2's or EFS's answer.
        error: CloudError,
        /// Whether only tags are refused, without which a host comes up as well.
        only_tags: bool,
    },
    /// Whether the caller may make a call, or what it would say, is not known.
    Unproven {
        /// The IAM action.
        action: &'static str,
        /// Why.
        why: Unproven,
    },
    /// How DNS is set up in the VPC.
    Dns {
        /// The VPC.
        vpc: VpcId,
        /// Its attributes.
        dns: VpcDns,
    },
    /// Whether `EFSDockerHost` is on a mount target, or can be put there.
    MountTarget {
        /// The mount target.
        mount_target: MountTargetId,
        /// Its subnet.
        subnet: SubnetId,
        /// How many groups it has.
        groups: usize,
        /// Whether there is room for the group, or it is there already.
        room: Room,
        /// Whether the host would be launched in this subnet first.
        first_choice: bool,
    },
    /// Where the instance type is offered.
    Offered {
        /// The type.
        instance_type: InstanceType,
        /// The zones of the Region that offer it.
        zones: Vec<Zone>,
        /// The zones in which the host could be, as far as they are known.
        wanted: Vec<Zone>,
    },
    /// How many virtual CPUs may run.
    Quota {
        /// The class of types that share the quota.
        class: QuotaClass,
        /// How many may run.
        limit: u64,
        /// How many do.
        running: u64,
        /// How many the host would add; `None` where that is not known.
        wanted: Option<u64>,
    },
    /// With which key of the account the host's volumes would be encrypted, which not everybody may use.
    Encryption {
        /// The key's ARN.
        key: String,
    },
    /// How much of EC2's limits the launch takes.
    Sizes {
        /// The user data, in bytes before base64.
        user_data: usize,
        /// The tags.
        tags: usize,
        /// The keys of the user profile's tags that EC2 does not take, or has no room for.
        tags_left_out: Vec<String>,
    },
}

/// Whether a mount target takes one more security group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// It does, or needs none.
    There,
    /// It has as many as the account's quota allows.
    Full,
    /// It has as many as an account may have unless its quota was raised, and whether it was could not be read.
    Unknown,
}

/// Why something is not known.
#[derive(Debug)]
#[non_exhaustive]
pub enum Unproven {
    /// The service has no way to ask without doing it.
    NoDryRun,
    /// What the call is about does not exist yet.
    NothingToAskAbout {
        /// What.
        what: &'static str,
    },
    /// Asking failed.
    Asked(CloudError),
}

/// What a check means for a creation, the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It is as it should be.
    Ok,
    /// It is not known.
    Unproven,
    /// A host would come up, but something would be missing.
    Warning,
    /// No host could be expected to come up, or to be ended.
    Failed,
}

/// What a check is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// What the caller may do.
    Permissions,
    /// The VPC's DNS.
    Network,
    /// The mount targets.
    Storage,
    /// The zones that offer the type.
    Zones,
    /// The account's quota.
    Quota,
    /// The key of volumes.
    Encryption,
    /// EC2's limits of one launch.
    Sizes,
    /// What EC2 says of the launch itself.
    Launch,
}

impl Subject {
    /// Why it matters.
    pub fn why(self) -> &'static str {
        match self {
            Self::Permissions => "a creation that is refused midway is undone, but gives no host",
            Self::Network => {
                "apps reach a host by its private DNS name, or else by its address; and the host finds its registry by DNS"
            }
            Self::Storage => {
                "a host mounts EFS through its subnet's own mount target, to which a security group lets it"
            }
            Self::Zones => "a host must be in the zone of a mount target, and not every zone has every type",
            Self::Quota => "EC2 refuses a launch beyond the account's quota",
            Self::Encryption => {
                "EC2 accepts a launch whose volumes it may not encrypt, and then ends the instance with Client.InternalError"
            }
            Self::Launch => "EC2 would refuse the launch as it is",
            Self::Sizes => "EC2 refuses larger user data and more tags",
        }
    }
}

impl Check {
    /// What it means for a creation.
    pub fn severity(&self) -> Severity {
        match self {
            Self::Allowed { .. } => Severity::Ok,
            Self::Refused { only_tags: true, .. } => Severity::Warning,
            Self::Refused { .. } => Severity::Failed,
            Self::Unproven { .. } => Severity::Unproven,
            Self::Dns { dns, .. } if !dns.resolution => Severity::Failed,
            Self::Dns { dns, .. } if !dns.hostnames => Severity::Warning,
            Self::MountTarget { room: Room::Full, first_choice: true, .. } => Severity::Failed,
            Self::MountTarget { room: Room::Full, .. } => Severity::Warning,
            Self::MountTarget { room: Room::Unknown, .. } => Severity::Unproven,
            Self::Offered { zones, .. } if zones.is_empty() => Severity::Failed,
            Self::Offered { zones, wanted, .. } if !wanted.is_empty() => {
                match wanted.iter().filter(|zone| zones.contains(zone)).count() {
                    0 => Severity::Failed,
                    some if some < wanted.len() => Severity::Warning,
                    _ => Severity::Ok,
                }
            }
            Self::Quota { limit, running, wanted, .. } if running + wanted.unwrap_or(1) > *limit => Severity::Failed,
            Self::Sizes { tags_left_out, .. } if !tags_left_out.is_empty() => Severity::Warning,
            // Only KMS could tell.
            Self::Encryption { .. } => Severity::Unproven,
            Self::Dns { .. }
            | Self::MountTarget { .. }
            | Self::Offered { .. }
            | Self::Quota { .. }
            | Self::Sizes { .. } => Severity::Ok,
        }
    }

    /// The IAM action that it is about, where it is about one.
    pub fn action(&self) -> Option<&str> {
        match self {
            Self::Allowed { action } | Self::Unproven { action, .. } => Some(action),
            Self::Refused { error, .. } => Some(error.refused_action()),
            _ => None,
        }
    }

    /// What it is about, where asking failed too.
    pub fn subject(&self) -> Subject {
        match self {
            Self::Dns { .. } | Self::Unproven { action: "ec2:DescribeVpcAttribute", .. } => Subject::Network,
            Self::MountTarget { .. } => Subject::Storage,
            Self::Offered { .. } | Self::Unproven { action: "ec2:DescribeInstanceTypeOfferings", .. } => Subject::Zones,
            Self::Quota { .. } | Self::Unproven { action: "servicequotas:GetServiceQuota", .. } => Subject::Quota,
            Self::Encryption { .. } | Self::Unproven { action: "ec2:GetEbsDefaultKmsKeyId", .. } => Subject::Encryption,
            Self::Sizes { .. } => Subject::Sizes,
            Self::Refused { error, .. } if !error.is_access_denied() => Subject::Launch,
            Self::Allowed { .. } | Self::Refused { .. } | Self::Unproven { .. } => Subject::Permissions,
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Allowed { action } => write!(f, "EC2 would allow {action}"),
            Self::Refused { error, .. } => error.fmt(f),
            Self::Unproven { action, why: Unproven::NoDryRun } => {
                write!(f, "{action}: cannot be checked without making the change")
            }
            Self::Unproven { action, why: Unproven::NothingToAskAbout { what } } => {
                write!(f, "{action}: there is no {what} yet to ask about")
            }
            Self::Unproven { why: Unproven::Asked(error), .. } => error.fmt(f),
            Self::Dns { vpc, dns } => {
                let on = |on| if on { "on" } else { "off" };
                write!(f, "DNS resolution is {} in {vpc}, DNS hostnames are {}", on(dns.resolution), on(dns.hostnames))
            }
            Self::MountTarget { mount_target, subnet, groups, room, .. } => {
                let plural = if *groups == 1 { "" } else { "s" };
                let room = match room {
                    Room::There => "there is room for a host's",
                    Room::Full => "by the account's quota there is no room for a host's",
                    Room::Unknown => {
                        "whether there is room for a host's depends on the account's quota, which can't be read"
                    }
                };
                write!(f, "{mount_target} in {subnet} has {groups} security group{plural}: {room}")
            }
            Self::Offered { instance_type, zones, wanted } => {
                let names = |zones: &[Zone]| zones.iter().map(Zone::as_str).collect::<Vec<_>>().join(", ");
                if zones.is_empty() {
                    return write!(f, "{instance_type} is offered in no zone of this Region");
                }
                write!(f, "{instance_type} is offered in {}", names(zones))?;
                let missing: Vec<Zone> = wanted.iter().filter(|zone| !zones.contains(zone)).cloned().collect();
                if missing.is_empty() { Ok(()) } else { write!(f, ", not in {}", names(&missing)) }
            }
            Self::Quota { class, limit, running, wanted } => {
                write!(f, "{running} of {limit} virtual CPUs of class {} are in use", class.name())?;
                wanted.map_or(Ok(()), |wanted| write!(f, ", and a host takes {wanted}"))
            }
            Self::Encryption { key } => {
                write!(
                    f,
                    "EC2 encrypts volumes with {key}, a key of the account: whether it may do so for this role is not known"
                )
            }
            Self::Sizes { user_data, tags, tags_left_out } => {
                write!(f, "user data of {user_data} of {MAX_USER_DATA} bytes, {tags} of {MAX_TAGS} tags")?;
                if tags_left_out.is_empty() {
                    return Ok(());
                }
                write!(f, "; EC2 does not take, or has no room for, the user profile's {}", tags_left_out.join(", "))
            }
        }
    }
}
