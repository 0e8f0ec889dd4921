//! The names of the socket on demand: what everybody knows of it.

use std::path::PathBuf;

use crate::{Surroundings, checksum::sha256};

/// Its Docker context.
pub(crate) const CONTEXT: &str = "sdocker";

/// The folder of this home's processes, on this machine's own disk: apps that share a home have one each.
pub(crate) fn processes(surroundings: &Surroundings) -> PathBuf {
    let name = sha256(surroundings.sdocker_home.as_os_str().as_encoded_bytes());
    surroundings.runtime.join(&name[..12])
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

/// The file that says what is launched on demand: there as long as a socket is wanted.
pub(crate) fn wanted(surroundings: &Surroundings) -> PathBuf {
    surroundings.sdocker_home.join("up.json")
}

/// Whether a socket is wanted.
pub(crate) fn is_wanted(surroundings: &Surroundings) -> bool {
    wanted(surroundings).exists()
}
