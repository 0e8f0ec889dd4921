//! SIGINT, SIGTERM and SIGHUP: the first asks the command to stop, a second one ends it.
//!
//! - They are heard by a thread of their own, whatever the command's thread is blocked in.
//! - A command that is in the middle of nothing ends at once. Work that must not be dropped is announced with
//!   [`Interrupt::begin`]: it is asked to stop, and a [`Successor`] stands by to finish it in case that this process is ended first.
//! - A second signal counts only a second after the first, and never if it is SIGHUP: a terminal that is closed sends SIGHUP twice
//!   (its shell and the kernel), and IPython answers "interrupt kernel" with SIGINT, SIGHUP and SIGINT within 0.3 s, then SIGKILL
//!   (pexpect, `spawn.terminate`).
//! - What was ignored when the process began stays ignored, as `nohup` asks.

use std::{
    io,
    path::PathBuf,
    process::{ExitCode, exit},
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc},
    thread,
    time::{Duration, Instant},
};

use host_provisioner::HostId;
use procfs_core::{FromRead as _, process::Status};
use sdocker::{Error, permission::Caller};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::{failure, printer::Printer, raw_terminal, successor::Successor};

/// How long after the first signal another one is taken for the same wish.
const SAME_WISH: Duration = Duration::from_secs(1);

/// How long a command may take to end, or the work on one host to come to its end, after it was asked to stop.
const GRACE: Duration = Duration::from_millis(1500);

/// How long a last line may take to be printed.
const LAST_LINE: Duration = Duration::from_millis(300);

/// What signals do to the running command.
#[derive(Clone)]
pub struct Interrupt(Arc<Shared>);

struct Shared {
    printer: Arc<Printer>,
    /// The options of the command line by which a successor gets to the same hosts.
    options: Vec<String>,
    /// The file in which a successor says what it does.
    log: PathBuf,
    /// Work is asked to stop.
    stop: CancellationToken,
    /// The command is to end where it is.
    leave: CancellationToken,
    state: Mutex<State>,
}

struct State {
    /// When the first signal came, and which.
    first: Option<(Instant, Kind)>,
    /// What is true of a command that ends where it is.
    words: &'static str,
    work: Option<Work>,
    successor: Option<Successor>,
}

/// A signal that is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Hangup = 1,
    Interrupt = 2,
    Terminate = 15,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Hangup => "SIGHUP",
            Self::Interrupt => "SIGINT",
            Self::Terminate => "SIGTERM",
        }
    }

    /// The code of a command that it ended, where nothing remains: as shells give it (POSIX.1-2024, "Shell Command Language", 2.8.2).
    fn code(self) -> u8 {
        128 + self as u8
    }
}

/// Work that is not dropped at a signal, with the words that are true of it.
#[derive(Clone, Debug)]
pub struct Work {
    /// What happens now, said at the first signal: "what was made is being undone".
    pub stopping: String,
    /// What is left by a process that ends now: "a host whose creation is being undone".
    pub leaves: String,
    /// The hosts whose records a successor takes over.
    pub hosts: Vec<HostId>,
}

/// Work that goes on until this is dropped.
pub struct Working<'i> {
    interrupt: &'i Interrupt,
}

impl Interrupt {
    /// Hears signals from now on. `options` are those of the command line by which a successor gets to the same hosts, and `log` is the file
    /// in which it says what it does.
    ///
    /// # Errors
    /// No thread, or no handler, can be had.
    pub fn start(printer: Arc<Printer>, options: Vec<String>, log: PathBuf) -> io::Result<Self> {
        let state = State { first: None, words: "interrupted", work: None, successor: None };
        let interrupt = Self(Arc::new(Shared {
            printer,
            options,
            log,
            stop: CancellationToken::new(),
            leave: CancellationToken::new(),
            state: Mutex::new(state),
        }));
        let (ready, is_ready) = mpsc::channel();
        let hearing = interrupt.clone();
        thread::Builder::new().name("signals".to_owned()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
            match runtime {
                Ok(runtime) => runtime.block_on(hearing.hear(&ready)),
                Err(error) => drop(ready.send(Err(error))),
            }
        })?;
        is_ready.recv().map_err(io::Error::other)??;
        Ok(interrupt)
    }

    async fn hear(&self, ready: &mpsc::Sender<io::Result<()>>) {
        let ignored = Status::from_file("/proc/self/status").map_or(0, |status| status.sigign);
        let listen = |kind: SignalKind| {
            let is_ignored = ignored & (1 << (kind.as_raw_value() - 1)) != 0;
            if is_ignored { Ok(None) } else { signal(kind).map(Some) }
        };
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(listen);
        let [Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)] = kinds else {
            let failed = kinds.into_iter().find_map(Result::err).unwrap_or_else(|| io::ErrorKind::Other.into());
            return drop(ready.send(Err(failed)));
        };
        drop(ready.send(Ok(())));
        loop {
            let kind = tokio::select! {
                () = received(&mut interrupt) => Kind::Interrupt,
                () = received(&mut terminate) => Kind::Terminate,
                () = received(&mut hangup) => Kind::Hangup,
            };
            self.receive(kind);
        }
    }

    /// Does what a signal asks for. Nothing here may block: not even printing, to a terminal that stands still.
    fn receive(&self, kind: Kind) {
        let mut state = self.state();
        let name = kind.name();
        match state.first {
            None => {
                state.first = Some((Instant::now(), kind));
                self.0.stop.cancel();
                match state.work.clone() {
                    Some(work) => self.stop_work(name, &work, &mut state),
                    None => self.leave(kind, state.words),
                }
            }
            Some((first, _)) if kind != Kind::Hangup && first.elapsed() >= SAME_WISH => {
                if let Some(work) = state.work.clone() {
                    self.give_up(name, &work, state.successor.is_some());
                }
            }
            Some(_) => {}
        }
    }

    fn stop_work(&self, name: &'static str, work: &Work, state: &mut State) {
        let started = (!work.hosts.is_empty()).then(|| Successor::start(&work.hosts, &self.0.options));
        let log = self.0.log.display();
        let what_then = match &started {
            Some(Ok(_)) => {
                format!("if this command is killed first, that is finished in the background (log: {log})")
            }
            Some(Err(_)) | None => "interrupt again to stop at once".to_owned(),
        };
        let line = format!("stopping: {}; {what_then}", work.stopping);
        let failure = match started {
            Some(Ok(successor)) => {
                state.successor = Some(successor);
                None
            }
            Some(Err(error)) => Some(error),
            None => None,
        };
        let printer = self.0.printer.clone();
        aside(move || {
            printer.stderr(&line);
            tracing::warn!("{name}: {line}");
            if let Some(error) = failure {
                tracing::error!("no process to finish this in the background could be started: {error}");
            }
        });
    }

    /// Lets the command end where it is, and ends it if it can't.
    fn leave(&self, kind: Kind, words: &'static str) {
        self.0.leave.cancel();
        let printer = self.0.printer.clone();
        aside(move || {
            tracing::warn!("{}: {words}", kind.name());
            thread::sleep(GRACE);
            aside(move || {
                failure::report(&printer, &Error::new(words).into(), &Caller::default());
            });
            thread::sleep(LAST_LINE);
            raw_terminal::restore();
            exit(kind.code().into());
        });
    }

    fn give_up(&self, name: &'static str, work: &Work, has_successor: bool) {
        let error = Error::new("stopped at once");
        let error = if has_successor { self.in_background(error, &work.leaves) } else { error.remains(&work.leaves) };
        let printer = self.0.printer.clone();
        aside(move || {
            aside(move || {
                tracing::warn!("{name}: a second signal");
                failure::report(&printer, &error.into(), &Caller::default());
            });
            thread::sleep(LAST_LINE);
            raw_terminal::restore();
            exit(3);
        });
    }

    /// An error that leaves something which a successor takes care of.
    fn in_background(&self, error: Error, what: &str) -> Error {
        let log = self.0.log.display();
        error.leaves(what).hint(format!("this continues in the background; see {log} for the result"))
    }

    /// The code to end with: in place of 1, which says that nothing remains, that of the signal which stopped the command.
    pub fn final_code(&self, code: ExitCode) -> ExitCode {
        match self.state().first {
            Some((_, kind)) if code == ExitCode::FAILURE => ExitCode::from(kind.code()),
            _ => code,
        }
    }

    /// Whether the first signal says that the terminal was closed.
    pub fn hung_up(&self) -> bool {
        self.state().first.is_some_and(|(_, kind)| kind == Kind::Hangup)
    }

    /// The first signal, by its name.
    pub(crate) fn signal(&self) -> Option<&'static str> {
        self.state().first.map(|(_, kind)| kind.name())
    }

    /// Cancelled at the first signal.
    pub fn stop(&self) -> &CancellationToken {
        &self.0.stop
    }

    /// Comes to its end when the command is to end where it is; its error then.
    ///
    /// # Cancel safety
    /// It only waits, and can be dropped at any time.
    pub async fn left(&self) -> anyhow::Error {
        self.0.leave.cancelled().await;
        Error::new(self.state().words).into()
    }

    /// Its error, where the command is to end where it is.
    pub fn ended(&self) -> Option<anyhow::Error> {
        self.0.leave.is_cancelled().then(|| Error::new(self.state().words).into())
    }

    /// What is said of a command that ends where it is.
    pub fn say(&self, words: &'static str) {
        self.state().words = words;
    }

    /// Announces work that is not to be dropped at a signal.
    ///
    /// # Errors
    /// A signal came before.
    pub fn begin(&self, work: Work) -> anyhow::Result<Working<'_>> {
        let mut state = self.state();
        if state.first.is_some() {
            return Err(Error::new(state.words).into());
        }
        state.work = Some(work);
        Ok(Working { interrupt: self })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Working<'_> {
    /// Goes on to these hosts, unless a signal came.
    pub fn take_on(&self, hosts: Vec<HostId>) -> bool {
        let mut state = self.interrupt.state();
        if let (None, Some(work)) = (state.first, &mut state.work) {
            work.hosts = hosts;
            return true;
        }
        false
    }

    /// From here on nothing is undone any more, unless a signal came: then nothing changes. The words are those of a command that ends
    /// where it is.
    pub fn commit(&self, words: &'static str) -> bool {
        let mut state = self.interrupt.state();
        let may = state.first.is_none();
        if may {
            state.work = None;
            state.words = words;
        }
        may
    }

    /// Ends the work without its end: the successor finishes it, and the error says so. Without one, what is left remains.
    pub fn hand_on(self, error: Error, what: &str) -> Error {
        match self.interrupt.state().successor.take() {
            Some(successor) => {
                successor.take_over();
                self.interrupt.in_background(error, what)
            }
            None => error.remains(what),
        }
    }
}

impl Drop for Working<'_> {
    fn drop(&mut self) {
        let mut state = self.interrupt.state();
        state.work = None;
        if let Some(successor) = state.successor.take() {
            successor.dismiss();
        }
    }
}

async fn received(signal: &mut Option<tokio::signal::unix::Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

/// Does something that may block where it blocks nobody.
fn aside(what: impl FnOnce() + Send + 'static) {
    // Without a thread the line is lost, and the signal is obeyed all the same.
    let _ = thread::Builder::new().spawn(what);
}
