//! The script that cloud-init runs on a host's first boot.

use crate::Bootstrap;

/// User data can't be rendered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UserDataError {
    /// EC2 takes at most 16 KiB.
    #[error("the user data would be {bytes} bytes long; EC2 takes at most {MAX_USER_DATA}")]
    TooLarge {
        /// How long it would be.
        bytes: usize,
    },
}

/// How long user data can be, in bytes, before base64 (EC2 user guide, "User data limits").
pub const MAX_USER_DATA: usize = 16 * 1024;

/// Renders the script.
///
/// # Errors
/// A script that would be too large.
pub fn render_user_data(bootstrap: &Bootstrap) -> Result<String, UserDataError> {
    let script = format!("#!/bin/bash\n# {}\n", bootstrap.host);
    if script.len() > MAX_USER_DATA { Err(UserDataError::TooLarge { bytes: script.len() }) } else { Ok(script) }
}
