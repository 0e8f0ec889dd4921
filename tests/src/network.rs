//! Networks of tests, apart from this machine's.

use std::{cell::Cell, fs, io, process::Command};

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

/// Moves this thread, unless it was moved before, into a network namespace of its own: on a shared loopback interface, the port of one app's
/// container would be answered by another's, or be taken by it. Needs root.
///
/// # Errors
/// Whoever this is may not have one.
///
/// # Panics
/// The loopback interface can't be set up.
pub fn of_this_test() -> io::Result<()> {
    thread_local!(static MOVED: Cell<bool> = const { Cell::new(false) });
    if !MOVED.get() {
        of_its_own()?;
        // The hosts of the sandbox reach each other by way of it.
        fs::write("/proc/sys/net/ipv4/ip_forward", "1")?;
        MOVED.set(true);
    }
    Ok(())
}
