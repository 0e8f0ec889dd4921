//! The usual place of Docker's socket, for clients that know no contexts.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use crate::{CloudChoice, Surroundings, clouds};

/// Where clients look that are told nothing.
const USUAL: &str = "/var/run/docker.sock";

/// How long `sudo` may take, which is not to ask for a password.
const TAKES: Duration = Duration::from_secs(5);

/// Whether the usual place leads to this socket.
pub(super) fn leads(socket: &Path) -> bool {
    fs::read_link(USUAL).is_ok_and(|to| to == socket)
}

/// Links the usual place to a socket, where nothing is there and this user may; `None` where it does not lead there.
pub(super) async fn make(surroundings: &Surroundings, socket: &Path) -> Option<PathBuf> {
    let usual = PathBuf::from(USUAL);
    if leads(socket) {
        return Some(usual);
    }
    // Hosts of the sandbox are on this very machine, and so may be its own daemon.
    let is_free = matches!(usual.symlink_metadata(), Err(error) if error.kind() == io::ErrorKind::NotFound);
    if !is_free || clouds::choose(surroundings) == CloudChoice::Sandbox {
        return None;
    }
    if std::os::unix::fs::symlink(socket, &usual).is_err() {
        as_root(surroundings, "ln", &["-s".as_ref(), socket, &usual]).await;
    }
    // Another process may have been first, for the same socket or for another.
    leads(socket).then_some(usual)
}

/// Removes the link, if it leads to this socket.
pub(super) async fn remove(surroundings: &Surroundings, socket: &Path) {
    let usual = Path::new(USUAL);
    if leads(socket) && fs::remove_file(usual).is_err() {
        as_root(surroundings, "rm", &[usual]).await;
    }
}

/// Runs a program by `sudo`, if that needs no password. Whether it has done it is for the caller to see.
async fn as_root(surroundings: &Surroundings, program: &str, arguments: &[&Path]) {
    let (Some(sudo), Some(program)) = (surroundings.which("sudo"), surroundings.which(program)) else { return };
    let mut command = tokio::process::Command::new(sudo);
    command.arg("-n").arg(program).args(arguments).kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let _ = tokio::time::timeout(TAKES, command.status()).await;
}
