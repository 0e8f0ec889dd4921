//! The tags by which a host and its groups are known.

/// The tag whose value is the [`HostId`](crate::HostId).
pub const TAG_HOST: &str = "sdocker:host";
/// The tag whose value is the domain.
pub const TAG_DOMAIN: &str = "sdocker:domain";
/// The tag whose value is the owner's user profile.
pub const TAG_OWNER: &str = "sdocker:owner";
/// The tag whose value is the time at which the host ends itself at the latest, by RFC 3339.
pub const TAG_EXPIRES: &str = "sdocker:expires";
/// The tag of a host whose instance is stopped when it ends itself; its value is the size in GiB of the disk that it keeps then. No answer that
/// hosts are listed with tells it otherwise: what becomes of an instance at its shutdown is an attribute, which `ec2:DescribeInstanceAttribute` tells.
pub const TAG_STOPS: &str = "sdocker:stops";
