//! The tags by which a host and its groups are known.

/// The tag whose value is the [`HostId`](crate::HostId).
pub const TAG_HOST: &str = "sdocker:host";
/// The tag whose value is the domain.
pub const TAG_DOMAIN: &str = "sdocker:domain";
/// The tag whose value is the owner's user profile.
pub const TAG_OWNER: &str = "sdocker:owner";
/// The tag whose value is the time at which the host ends itself at the latest, by RFC 3339.
pub const TAG_EXPIRES: &str = "sdocker:expires";
