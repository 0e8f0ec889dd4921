//! A program on a terminal of its own, which can be closed as one closes a tab.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::fs::OpenOptionsExt as _,
    },
    process::{Child, Command},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

use nix::{
    fcntl::OFlag,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    pty::{grantpt, posix_openpt, ptsname_r, unlockpt},
};

/// A terminal, with the program that has it.
#[derive(Debug)]
pub struct Terminal {
    /// The program, which leads a session whose terminal this is.
    pub child: Child,
    keys: Option<File>,
    said: Arc<Mutex<String>>,
    closing: Arc<AtomicBool>,
    screen: Option<JoinHandle<()>>,
}

impl Terminal {
    /// Runs a program with its arguments, environment and folder on a new terminal.
    ///
    /// # Panics
    /// There is no terminal to be had.
    pub fn run(program: &Command) -> Self {
        // None but the screen may hold this end: a copy in any other process would keep the terminal open.
        let master = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC).expect("a pseudo-terminal");
        grantpt(&master).and_then(|()| unlockpt(&master)).expect("a pseudo-terminal");
        let name = ptsname_r(&master).expect("its name");
        let own = || {
            let mut options = File::options();
            options.read(true).write(true).custom_flags(OFlag::O_NOCTTY.bits()).open(&name).expect("a terminal")
        };
        let mut command = Command::new("setsid");
        // The kernel hangs it up, wherever these tests run: nohup would have it ignore that.
        command.args(["--ctty", "env", "--default-signal=HUP"]).arg(program.get_program()).args(program.get_args());
        command.env_clear().env("TERM", "xterm");
        command.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
        if let Some(folder) = program.get_current_dir() {
            command.current_dir(folder);
        }
        let child = command.stdin(own()).stdout(own()).stderr(own()).spawn().expect("it runs");
        // Only the program holds the terminal open now.
        drop(command);
        let master = File::from(OwnedFd::from(master));
        let keys = master.try_clone().expect("a terminal");
        let (said, closing) = (Arc::default(), Arc::<AtomicBool>::default());
        let screen = std::thread::spawn({
            let (said, closing) = (Arc::clone(&said), closing.clone());
            move || show(master, &said, &closing)
        });
        Self { child, keys: Some(keys), said, closing, screen: Some(screen) }
    }

    /// Types something.
    ///
    /// # Panics
    /// The terminal is closed.
    pub fn enter(&mut self, text: &str) {
        self.keys.as_mut().expect("an open terminal").write_all(text.as_bytes()).expect("it takes keys");
    }

    /// What the screen has shown.
    ///
    /// # Panics
    /// The screen broke.
    pub fn said(&self) -> String {
        self.said.lock().expect("a screen").clone()
    }

    /// Closes the terminal.
    ///
    /// # Panics
    /// The screen broke.
    pub fn close(&mut self) {
        self.keys = None;
        self.closing.store(true, Ordering::Relaxed);
        if let Some(screen) = self.screen.take() {
            screen.join().expect("a screen");
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::Relaxed);
    }
}

fn show(mut master: File, said: &Mutex<String>, closing: &AtomicBool) {
    let mut piece = [0; 4096];
    while !closing.load(Ordering::Relaxed) {
        let mut ready = [PollFd::new(master.as_fd(), PollFlags::POLLIN)];
        if poll(&mut ready, PollTimeout::from(20_u8)) == Ok(0) {
            continue;
        }
        // EIO: no program has the terminal any more.
        let Ok(count) = master.read(&mut piece) else { return };
        said.lock().expect("a screen").push_str(&String::from_utf8_lossy(&piece[..count]));
    }
}
