//! A folder, and its share: mounted by the kernel of this machine, in a mount namespace that the test alone sees.

use std::{
    io,
    path::{Path, PathBuf},
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use nix::sched::CloneFlags;
use rustix::{
    fs::{Mode, OFlags},
    mount::{MountPropagationFlags, UnmountFlags, mount_change, unmount},
    pipe::{PipeFlags, pipe_with},
};
use tokio::{
    io::{AsyncRead, ReadBuf},
    net::{UnixStream, unix::pipe},
    runtime::Handle,
    sync::{mpsc, oneshot},
    task::AbortHandle,
};

use super::super::{
    MountPoint,
    handover::Handover,
    mount::{Mounted, ReadAhead, mount_fuse},
    pump::Pump,
};
use crate::{Server, ShareSettings};

/// A share that is mounted.
pub(super) struct Share {
    /// The folder, as the app has it.
    pub(super) app: PathBuf,
    /// The same, as containers have it.
    pub(super) host: PathBuf,
    server: Mutex<Arc<Server>>,
    handovers: mpsc::Sender<Handover>,
    connection: Mutex<Option<AbortHandle>>,
    /// How many bytes the server was asked in.
    asked: Arc<AtomicU64>,
    /// One thread each, as they are two processes otherwise.
    agent_side: Loop,
    server_side: Loop,
    _folder: tempfile::TempDir,
}

/// A thread that runs tasks, until this is dropped.
struct Loop {
    runtime: Handle,
    _stop: oneshot::Sender<()>,
}

impl Loop {
    fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        std::thread::spawn(move || drop(runtime.block_on(stopped)));
        Self { runtime: handle, _stop: stop }
    }
}

/// Runs a test of a share in a mount namespace of its own, whose folder `prepare` fills first. Not where the machine lets nobody mount.
pub(super) fn mounted(prepare: impl FnOnce(&Path) + Send, test: impl FnOnce(&Share) + Send) {
    mounted_with(ShareSettings::new, prepare, test);
}

/// As [`mounted`], shared in another way.
pub(super) fn mounted_with(
    settings: impl FnOnce(PathBuf) -> ShareSettings + Send,
    prepare: impl FnOnce(&Path) + Send,
    test: impl FnOnce(&Share) + Send,
) {
    std::thread::scope(|scope| {
        let tested = scope.spawn(|| {
            // A thread has a namespace of its own, and so have the programs that it starts (unshare(2)).
            let namespace = nix::sched::unshare(CloneFlags::CLONE_FS | CloneFlags::CLONE_NEWNS);
            let device =
                rustix::fs::open("/dev/fuse", OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty());
            let (Ok(()), Ok(device)) = (namespace, device) else {
                assert!(std::env::var_os("SDOCKER_REQUIRE_ALL").is_none(), "nothing can be mounted here");
                return;
            };
            let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
            mount_change("/", private).expect("private");
            let folder = tempfile::tempdir().expect("made");
            let (app, host) = (folder.path().join("app"), folder.path().join("host"));
            for path in [&app, &host] {
                std::fs::create_dir(path).expect("made");
            }
            prepare(&app);
            let point = MountPoint { path: host.clone(), read_only: false };
            mount_fuse(&device, &point).expect("mounted");
            let read_ahead = ReadAhead::of(&host).ok();
            let (agent_side, server_side) = (Loop::start(), Loop::start());
            let (handovers, received) = mpsc::channel(2);
            let pump = {
                let _inside = agent_side.runtime.enter();
                Pump::new(Mounted { device, read_ahead }, received, Duration::from_secs(60)).expect("made")
            };
            agent_side.runtime.spawn(pump.run());
            let server = Mutex::new(Arc::new(Server::new(settings(app.clone())).expect("shared")));
            let connection = Mutex::default();
            let share = Share {
                app,
                host,
                server,
                handovers,
                connection,
                asked: Arc::default(),
                agent_side,
                server_side,
                _folder: folder,
            };
            share.connect();
            test(&share);
        });
        if let Err(panic) = tested.join() {
            std::panic::resume_unwind(panic);
        }
    });
}

impl Share {
    /// Connects agent and server, in the place of a connection that there is.
    pub(super) fn connect(&self) {
        self.cut();
        let pipe = || pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).expect("made");
        let ((input, answers), (requests, output)) = (pipe(), pipe());
        let (relay, other_end) = std::os::unix::net::UnixStream::pair().expect("made");
        relay.set_nonblocking(true).expect("set");
        let handover = {
            let _inside = self.agent_side.runtime.enter();
            Handover { input, output, relay: UnixStream::from_std(relay).expect("a stream") }
        };
        self.handovers.blocking_send(handover).expect("taken");
        let server = self.server.lock().expect("whole").clone();
        let asked = self.asked.clone();
        let serving = self.server_side.runtime.spawn(async move {
            let _other_end = other_end;
            let requests = Counted { inner: pipe::Receiver::from_owned_fd(requests).expect("a pipe"), bytes: asked };
            server.serve(requests, pipe::Sender::from_owned_fd(answers).expect("a pipe")).await
        });
        *self.connection.lock().expect("whole") = Some(serving.abort_handle());
    }

    /// From now on the server does nothing, until this is dropped.
    pub(super) fn hold(&self) -> tokio::sync::OwnedMutexGuard<()> {
        let writing = self.server.lock().expect("whole").writing.clone();
        writing.blocking_lock_owned()
    }

    /// How many bytes the server was asked in.
    pub(super) fn asked(&self) -> u64 {
        self.asked.load(Ordering::SeqCst)
    }

    /// The client ends, and another takes its place.
    pub(super) fn restart(&self) {
        self.cut();
        *self.server.lock().expect("whole") = Arc::new(Server::new(ShareSettings::new(&self.app)).expect("shared"));
        self.connect();
    }

    /// Cuts the connection.
    pub(super) fn cut(&self) {
        if let Some(connection) = self.connection.lock().expect("whole").take() {
            connection.abort();
        }
    }
}

/// Counts what is read.
struct Counted {
    inner: pipe::Receiver,
    bytes: Arc<AtomicU64>,
}

impl AsyncRead for Counted {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(context, into))?;
        self.bytes.fetch_add((into.filled().len() - before) as u64, Ordering::SeqCst);
        Poll::Ready(Ok(()))
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        // Whoever waits gets an error.
        let _ = unmount(&self.host, UnmountFlags::FORCE | UnmountFlags::DETACH);
    }
}
