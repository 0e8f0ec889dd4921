//! A process that finishes what this one began, in case that this one is ended first.
//!
//! An undo takes longer than a notebook gives it: IPython kills a command half a second after it was interrupted. So at the first signal a
//! process is started that is this binary again, in a session of its own, out of reach of the terminal and of the notebook. It waits
//! until this process is gone, which it sees by a pipe whose other end only this process holds; and unless it was told that all is done, it
//! then finishes what the records of the hosts say.

use std::{
    env,
    io::{self, Read as _, Write as _},
    os::unix::process::CommandExt as _,
    process::{Child, Command, Stdio},
};

use host_provisioner::HostId;

/// What a process says to its successor at a good end.
const DONE: &[u8] = b"done\n";

/// A process that stands by.
pub struct Successor {
    process: Child,
}

impl Successor {
    /// Starts one for the records of hosts, with these options of the command line. It sees this environment, with its credentials.
    pub fn start(hosts: &[HostId], options: &[String]) -> io::Result<Self> {
        // The binary that runs, even if another one is in its place by now.
        let mut command = Command::new("/proc/self/exe");
        command.arg0("sdocker").arg("finish").args(options);
        command.args(hosts.iter().flat_map(|host| ["--host", host.as_str()]));
        // Out of reach of what is sent to this group until it has a session of its own.
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        Ok(Self { process: command.spawn()? })
    }

    /// Tells it that there is nothing to finish.
    pub fn dismiss(mut self) {
        if let Some(mut pipe) = self.process.stdin.take() {
            // One that is gone needs not be told.
            let _ = pipe.write_all(DONE);
        }
    }

    /// Lets it begin as soon as this process is gone, and not before: the pipe stays open until then.
    pub fn take_over(self) {
        std::mem::forget(self.process.stdin);
    }
}

/// Waits, as a successor, for the end of the process before; whether it left something to finish.
pub fn is_needed() -> bool {
    let mut said = Vec::new();
    // An error is an end as well.
    let _ = io::stdin().lock().take(DONE.len() as u64).read_to_end(&mut said);
    said != DONE
}

/// Puts this process into a session of its own, which no terminal's end reaches: as what it is, or as a process that it starts.
/// `false` where that process goes on in its place.
pub fn detach() -> bool {
    if rustix::process::setsid().is_ok() {
        return true;
    }
    // The leader of a group, which a successor is at first, can't have another session; a process that it starts can.
    let again = Command::new("/proc/self/exe").arg0("sdocker").args(env::args_os().skip(1)).spawn();
    again.is_err()
}
