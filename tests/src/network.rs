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

/// How many connections to a port of another machine there are in the network namespace of a process.
///
/// # Panics
/// There is no such process.
pub fn connections_to(process: u32, port: u16) -> usize {
    sockets(process).iter().filter(|(_, remote, state)| state == "01" && is_of(remote, port)).count()
}

/// Whether something listens at a port in the network namespace of a process.
///
/// # Panics
/// There is no such process.
pub fn listens_at(process: u32, port: u16) -> bool {
    sockets(process).iter().any(|(local, _, state)| state == "0A" && is_of(local, port))
}

/// The TCP sockets of a process's network namespace: their own side, the other side, and the state (proc_pid_net(5)).
fn sockets(process: u32) -> Vec<(String, String, String)> {
    let table = |name| fs::read_to_string(format!("/proc/{process}/net/{name}")).expect("it runs");
    let socket = |line: &str| {
        let mut fields = line.split_whitespace().skip(1).map(str::to_owned);
        Some((fields.next()?, fields.next()?, fields.next()?))
    };
    [table("tcp"), table("tcp6")].concat().lines().filter_map(socket).collect()
}

fn is_of(address: &str, port: u16) -> bool {
    address.ends_with(&format!(":{port:04X}"))
}
