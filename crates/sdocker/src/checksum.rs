//! How scripts and archives are told from others.

use sha2::{Digest as _, Sha256};

/// The SHA-256 of these bytes, in lower-case hexadecimal digits.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
