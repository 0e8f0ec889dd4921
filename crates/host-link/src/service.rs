//! A process in the background of which there is at most one.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use rustix::{
    io::Errno,
    process::{Flock, FlockType, Pid, PidfdFlags, Signal, fcntl_getlk, pidfd_open, pidfd_send_signal},
};
use serde::{Serialize, de::DeserializeOwned};
use whole_file::Links;

/// How long a process that was asked to end may take.
const ENDS_WITHIN: Duration = Duration::from_secs(20);

/// How long it may take until a process that was started is there: one that leaves its session is another by then.
const BEGINS_WITHIN: Duration = Duration::from_secs(5);

/// How often somebody who waits looks again.
const LOOKS_EVERY: Duration = Duration::from_millis(25);

/// How much of the log is kept when a process begins.
const LOG: u64 = 1 << 20;

/// The largest state that is read, and how much of a log's end its last line is looked for in.
const MOST: u64 = 16 << 20;
const LAST: u64 = 64 << 10;

/// A failure, with what was attempted.
#[derive(Debug, thiserror::Error)]
#[error("cannot {attempted} {path}")]
pub struct ServiceError {
    attempted: &'static str,
    path: PathBuf,
    #[source]
    source: io::Error,
}

/// The place of a process: its lock, its state and its log, in a folder of their own.
///
/// The lock is the kernel's, and goes with the process however it ends (fcntl(2), `F_SETLK`). The folder belongs on this machine's own
/// disk: whose lock it is can't be told over a network.
#[derive(Clone, Debug)]
pub struct Service {
    folder: PathBuf,
}

/// The right to be the process, until it is dropped.
#[derive(Debug)]
pub struct Claim {
    service: Service,
    /// No other descriptor of the file may be closed in this process: that would give the lock up.
    _lock: File,
}

impl Service {
    /// The process whose files are in this folder, which need not exist yet.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// What it writes, and what is written about it.
    pub fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    fn lock(&self) -> PathBuf {
        self.folder.join("lock")
    }

    fn state_file(&self) -> PathBuf {
        self.folder.join("state.json")
    }

    /// Takes the right to be the process; `None` where another has it.
    ///
    /// # Errors
    /// The folder can't be written.
    pub fn claim(&self) -> Result<Option<Claim>, ServiceError> {
        self.make_folder()?;
        let path = self.lock();
        let lock = whole_file::lock_file(&path).map_err(failed("open", &path))?;
        if !whole_file::claim(&lock).map_err(failed("lock", &path))? {
            return Ok(None);
        }
        // That of an earlier process says nothing of this one.
        let state = self.state_file();
        match fs::remove_file(&state) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed("remove", &state)(error)),
            _ => {}
        }
        Ok(Some(Claim { service: self.clone(), _lock: lock }))
    }

    /// The process that there is. Not to be asked by itself.
    pub fn process(&self) -> Option<u32> {
        self.holder().and_then(|pid| u32::try_from(pid.as_raw_nonzero().get()).ok())
    }

    /// Whether the process was stopped (proc_pid_stat(5)): it is there, and does nothing.
    pub fn is_stopped(&self) -> bool {
        let Some(process) = self.process() else { return false };
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        // The name before it may hold anything.
        stat.rsplit_once(") ").is_some_and(|(_, fields)| fields.starts_with(['T', 't']))
    }

    fn holder(&self) -> Option<Pid> {
        let lock = File::options().read(true).write(true).open(self.lock()).ok()?;
        fcntl_getlk(&lock, &Flock::from(FlockType::WriteLock)).ok()?.and_then(|held| held.pid)
    }

    /// What the process last said of itself; `None` where there is none, or it said nothing yet.
    pub fn state<T: DeserializeOwned>(&self) -> Option<T> {
        self.holder()?;
        serde_json::from_slice(&whole_file::read(&self.state_file(), MOST, Links::Refuse).ok()?).ok()
    }

    /// Starts the process, unless there is one. It is given no input, writes to the log, and is in a group of its own; a session of its
    /// own is for it to ask for. Waits until it is there, and no longer than `within` until what it says of itself is enough; whether it was.
    ///
    /// # Errors
    /// It can't be started, or ended at once.
    pub fn start<T: DeserializeOwned>(
        &self,
        mut command: Command,
        within: Duration,
        is_enough: impl Fn(&T) -> bool,
    ) -> Result<bool, ServiceError> {
        use std::os::unix::process::CommandExt as _;
        // One more would end by itself, but might take the place of this one before, should it end meanwhile.
        if self.state::<T>().is_some_and(|state| is_enough(&state)) {
            return Ok(true);
        }
        self.make_folder()?;
        let path = self.log();
        if fs::metadata(&path).is_ok_and(|log| log.len() > LOG) {
            fs::rename(&path, path.with_extension("old")).map_err(failed("replace", &path))?;
        }
        let log = File::options().append(true).create(true).mode(0o600).open(&path).map_err(failed("write", &path))?;
        let own = log.try_clone().map_err(failed("write", &path))?;
        command.stdin(Stdio::null()).stdout(own).stderr(log).process_group(0);
        let mut started = command.spawn().map_err(failed("start the process of", &self.folder))?;
        let began = Instant::now();
        loop {
            if self.state::<T>().is_some_and(|state| is_enough(&state)) {
                return Ok(true);
            }
            // It may be the parent of what goes on, or have found another.
            let ended = started.try_wait().map_err(failed("wait for the process of", &self.folder))?;
            if ended.is_some_and(|status| !status.success()) && self.holder().is_none() {
                let error = io::Error::other(format!("it ended at once: {}", last_line(&path)));
                return Err(failed("start the process of", &self.folder)(error));
            }
            // Whoever looks next finds it, and does not say that there is none.
            let waited = began.elapsed();
            if waited > within && (self.holder().is_some() || waited > BEGINS_WITHIN) {
                return Ok(false);
            }
            std::thread::sleep(LOOKS_EVERY);
        }
    }

    /// Ends the process, if there is one, and waits for its end: asks at first, and does not ask again. Whether there was one.
    ///
    /// # Errors
    /// It is not this user's.
    pub fn stop(&self) -> Result<bool, ServiceError> {
        let Some(pid) = self.holder() else { return Ok(false) };
        let failed = failed("end the process of", &self.folder);
        let process = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(process) => process,
            Err(Errno::SRCH) => return Ok(true),
            Err(error) => return Err(failed(error.into())),
        };
        let mut signal = Signal::TERM;
        let mut asked = None;
        // Its number may be another's by now; the descriptor is that of the one that was found.
        while self.holder() == Some(pid) {
            let late = asked.is_some_and(|asked: Instant| asked.elapsed() > ENDS_WITHIN);
            if late {
                signal = Signal::KILL;
            }
            if asked.is_none() || late {
                // One that was stopped hears it once it goes on.
                let sent = pidfd_send_signal(&process, signal).and_then(|()| pidfd_send_signal(&process, Signal::CONT));
                match sent {
                    Ok(()) | Err(Errno::SRCH) => asked = Some(Instant::now()),
                    Err(error) => return Err(failed(error.into())),
                }
            }
            std::thread::sleep(LOOKS_EVERY);
        }
        Ok(true)
    }

    fn make_folder(&self) -> Result<(), ServiceError> {
        use std::os::unix::fs::MetadataExt as _;
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.folder)
            .map_err(failed("create", &self.folder))?;
        // In a folder that all may write, somebody else may have been first.
        let owner = fs::metadata(&self.folder).map_err(failed("look at", &self.folder))?.uid();
        if owner == rustix::process::geteuid().as_raw() {
            Ok(())
        } else {
            Err(failed("use", &self.folder)(io::Error::other(format!("it belongs to user {owner}"))))
        }
    }
}

impl Claim {
    /// Says what others find by [`Service::state`].
    ///
    /// # Errors
    /// The file can't be written.
    pub fn tell(&self, state: &impl Serialize) -> Result<(), ServiceError> {
        let path = self.service.state_file();
        let text = serde_json::to_vec_pretty(state).map_err(|error| failed("write", &path)(error.into()))?;
        whole_file::replace(&path, &text, 0o600).map_err(failed("write", &path))
    }
}

fn failed(attempted: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ServiceError + use<> {
    let path = path.to_owned();
    move |source| ServiceError { attempted, path, source }
}

fn last_line(log: &Path) -> String {
    let end = whole_file::read_end(log, LAST, Links::Refuse).unwrap_or_default();
    let text = String::from_utf8_lossy(&end);
    text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing").to_owned()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    /// A process that holds a lock as the service would: with `flock`'s counterpart for POSIX locks there is none, so this test's own
    /// program, run again.
    fn holder(service: &Service, what: &str) -> Command {
        let mut command = Command::new(std::env::current_exe().expect("known"));
        command.args(["--exact", "service::tests::the_process_itself", "--nocapture", "--include-ignored"]);
        command.env("SERVICE", &service.folder).env("DOES", what);
        command
    }

    #[test]
    #[ignore = "it is the process that the other tests start"]
    fn the_process_itself() {
        let Some(folder) = std::env::var_os("SERVICE") else { return };
        let service = Service::new(folder);
        let Some(claim) = service.claim().expect("writable") else { return };
        match std::env::var("DOES").as_deref() {
            Ok("ends") => {
                io::stderr().write_all(b"for no reason\n").expect("written");
                std::process::exit(1);
            }
            Ok("stays") => {
                claim.tell(&vec!["there"]).expect("written");
                std::thread::sleep(Duration::from_secs(60));
            }
            _ => {}
        }
    }

    #[test]
    fn there_is_one_process_at_most_and_its_end_is_the_end_of_its_state() {
        let home = tempfile::tempdir().expect("made");
        let service = Service::new(home.path().join("service"));
        let is_there = |state: &Vec<String>| *state == ["there"];
        assert_eq!((service.process(), service.state::<Vec<String>>()), (None, None));
        assert!(!service.stop().expect("nothing to end"));
        let within = Duration::from_secs(30);
        assert!(service.start(holder(&service, "stays"), within, is_there).expect("started"));
        let first = service.process().expect("it runs");
        assert!(service.claim().expect("writable").is_none());
        // Another finds the first, and is content.
        assert!(service.start(holder(&service, "stays"), within, is_there).expect("there"));
        assert_eq!(service.process(), Some(first));
        // One that is stopped ends as well, and at once.
        let stop = Command::new("kill").args(["-STOP", &first.to_string()]).status();
        assert!(stop.expect("it runs").success());
        // A signal takes its time on a busy machine.
        let sent = Instant::now();
        while !service.is_stopped() {
            assert!(sent.elapsed() < within, "it is not stopped");
            std::thread::yield_now();
        }
        let asked = Instant::now();
        assert!(service.stop().expect("ended"));
        assert!(asked.elapsed() < ENDS_WITHIN / 2, "{:?}", asked.elapsed());
        assert_eq!((service.process(), service.state::<Vec<String>>()), (None, None));
    }

    #[test]
    fn a_process_is_there_when_it_was_started() {
        let home = tempfile::tempdir().expect("made");
        let service = Service::new(home.path().join("service"));
        let enough = service.start(holder(&service, "stays"), Duration::ZERO, |_: &Vec<String>| false);
        assert!(!enough.expect("started"));
        assert!(service.process().is_some());
        assert!(service.stop().expect("ended"));
    }

    #[test]
    fn a_process_that_ends_at_once_is_an_error_that_says_what_it_said() {
        let home = tempfile::tempdir().expect("made");
        let service = Service::new(home.path().join("service"));
        let started = service.start(holder(&service, "ends"), Duration::from_secs(30), |_: &Vec<String>| true);
        let error = started.expect_err("it ended");
        assert!(std::error::Error::source(&error).expect("a cause").to_string().contains("for no reason"));
    }
}
