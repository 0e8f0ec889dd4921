//! Networks of tests, apart from this machine's.

use std::{io, process::Command};

use nix::sched::{CloneFlags, unshare};

/// Moves this thread, and what it starts from now on, into a network namespace of its own, with a loopback interface and nothing else.
/// Needs root.
///
/// # Errors
/// Whoever this is may not have one.
///
/// # Panics
/// The loopback interface can't be set up.
pub fn of_its_own() -> io::Result<()> {
    unshare(CloneFlags::CLONE_NEWNET)?;
    let up = Command::new("ip").args(["link", "set", "lo", "up"]).status().expect("ip runs");
    assert!(up.success(), "a namespace without loopback");
    Ok(())
}
