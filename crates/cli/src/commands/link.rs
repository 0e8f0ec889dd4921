//! The process in the background that serves this app's files and its host's ports.

use std::{os::unix::process::CommandExt as _, process::Command};

use host_agent::Program;
use sdocker::{
    Surroundings,
    link::{self, Means},
};
use sdocker_console::{Interrupt, Printer, Progress, Work};

use super::share::{FILES_COMMAND, PORTS_COMMAND, open_files};
use crate::options::to_repeat;

/// Serve files and ports to a host.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The host's name.
    #[arg(long)]
    host: String,
}

/// What it takes to put this program on a host.
pub(super) fn means() -> anyhow::Result<Means> {
    Ok(Means {
        program: Program::running()?,
        files_command: FILES_COMMAND.map(str::to_owned).to_vec(),
        ports_command: PORTS_COMMAND.map(str::to_owned).to_vec(),
        max_open: open_files()?,
    })
}

pub(crate) async fn run(args: &Args, surroundings: &Surroundings, interrupt: &Interrupt) -> anyhow::Result<()> {
    let means = means()?;
    let _working = interrupt.begin(Work {
        stopping: "files and ports are being withdrawn from the host".to_owned(),
        leaves: format!("folders that are mounted on {}", args.host),
        hosts: Vec::new(),
    })?;
    link::serve(surroundings, &args.host, means, interrupt.stop().clone()).await?;
    Ok(())
}

/// Starts the process for a host. Returns what there is to say.
pub(crate) fn start(surroundings: &Surroundings, host: &str, observer: &Progress<'_>) -> Vec<String> {
    link::begin(surroundings, host, command(surroundings, host), observer)
}

/// Starts the process for the current host, where it should run and does not.
pub(crate) fn again(surroundings: &Surroundings, printer: &Printer) {
    link::begin_again(surroundings, |host| command(surroundings, host), &Progress::new(printer));
}

/// This program again, as the process.
pub(crate) fn command(surroundings: &Surroundings, host: &str) -> Command {
    background(surroundings, &["link", "--host", host])
}

/// This program again, as a process in the background for the same hosts.
pub(super) fn background(surroundings: &Surroundings, words: &[&str]) -> Command {
    // The one that runs, even if another is in its place by now.
    let mut command = Command::new("/proc/self/exe");
    command.arg0("sdocker").arg("-v").args(words);
    command.args(to_repeat(surroundings.region.as_deref(), surroundings.cloud));
    command.current_dir("/");
    command
}
