//! The names of the socket on demand: what everybody knows of it.

use std::path::PathBuf;

use sha2::{Digest as _, Sha256};

use crate::Surroundings;

/// Its Docker context.
pub(crate) const CONTEXT: &str = "sdocker";

/// The folder of this home's processes, on this machine's own disk: apps that share a home have one each.
pub(crate) fn processes(surroundings: &Surroundings) -> PathBuf {
    let hash = Sha256::digest(surroundings.sdocker_home.as_os_str().as_encoded_bytes());
    let name: String = hash.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    surroundings.runtime.join(name)
}

/// The folder of the socket's process.
pub(crate) fn folder(surroundings: &Surroundings) -> PathBuf {
    processes(surroundings).join("up")
}

/// The socket. Its path is short: a socket's has at most 107 bytes (unix(7)).
pub(crate) fn path(surroundings: &Surroundings) -> PathBuf {
    folder(surroundings).join("docker.sock")
}

/// As `DOCKER_HOST` takes it.
pub(crate) fn endpoint(surroundings: &Surroundings) -> String {
    format!("unix://{}", path(surroundings).display())
}
