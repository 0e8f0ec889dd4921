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

/// How many connections to a port of another machine there are in the network namespace of a process, over IPv4.
///
/// # Panics
/// There is no such process.
pub fn connections_to(process: u32, port: u16) -> usize {
    let table = fs::read_to_string(format!("/proc/{process}/net/tcp")).expect("it runs");
    // proc_pid_net(5): the third field is the other side, the fourth the state; 01 is established.
    let is_one = |line: &&str| {
        let fields: Vec<_> = line.split_whitespace().collect();
        matches!(fields[..], [_, _, remote, "01", ..] if remote.ends_with(&format!(":{port:04X}")))
    };
    table.lines().filter(is_one).count()
}
