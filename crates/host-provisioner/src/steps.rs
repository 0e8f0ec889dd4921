//! What a host is made of: a file for each kind of thing, with all that is done about it.

pub(crate) mod instance;
pub(crate) mod mount_access;
pub(crate) mod security_group;
