//! The process in the background that serves this app's files and its host's ports.

use std::{os::unix::process::CommandExt as _, process::Command, time::Duration};

use host_agent::Program;
use sdocker::{
    Surroundings,
    link::{self, FolderState, LinkState, Means},
    lookup::Lookup,
};
use sdocker_console::{Interrupt, Printer, Work};

use super::share::{FILES_COMMAND, PORTS_COMMAND, open_files};
use crate::options::to_repeat;

/// How long a command waits for files and ports. They come later all the same.
const SETTLES_WITHIN: Duration = Duration::from_secs(30);

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

/// Starts the process for a host, and waits until it has got as far as it gets at first. Returns what there is to say; what fails is a
/// warning, since the host works without it.
pub(crate) fn start(surroundings: &Surroundings, host: &str, printer: &Printer) -> Vec<String> {
    // Ports come when there are any; folders are to be there when the host is handed over.
    let lends = link::lent(surroundings, host).is_ok_and(|lent| lent.is_some_and(|lent| !lent.shares().is_empty()));
    let within = if lends { SETTLES_WITHIN } else { Duration::ZERO };
    match link::start(surroundings, host, command(surroundings, host), within) {
        Ok(Some(state)) => told(&state, printer),
        Ok(None) if !lends => Vec::new(),
        Ok(None) => {
            vec!["this app's files and ports are not available yet; `sdocker status` shows their state".to_owned()]
        }
        Err(error) => {
            printer.warn(format!("this app's files and ports are not served: {error:#}"));
            printer.hint(format!("{} says more; the next command tries again", link::log(surroundings).display()));
            Vec::new()
        }
    }
}

fn told(state: &LinkState, printer: &Printer) -> Vec<String> {
    let mut notes = Vec::new();
    for folder in &state.folders {
        match (folder.state, &folder.why) {
            (FolderState::Shared, _) => notes.push(format!("{} is live in containers", folder.path.display())),
            (_, why) => {
                let why = why.as_deref().unwrap_or("no reason is known");
                printer.warn(format!("containers can't see {}: {why}", folder.path.display()));
            }
        }
    }
    if let Some(why) = &state.unreachable {
        printer.warn(format!("container ports are not available on localhost: {why}"));
    }
    notes
}

/// Starts the process for the current host, where it should run and does not. Nothing waits for it, and nothing fails for it.
pub(crate) fn again(surroundings: &Surroundings, printer: &Printer) {
    if link::is_running(surroundings) {
        return;
    }
    let lookup = Lookup::new(surroundings);
    let Ok(host) = lookup.current(|_| String::new()) else { return };
    if link::has_gone(surroundings, &host.name) {
        return;
    }
    // A host that is nobody's yet, or that was created before there was this, is served from `use` on.
    match link::lent(surroundings, &host.name) {
        Ok(Some(_)) if lookup.has_key(&host.name) => {}
        Ok(_) => return,
        Err(error) => return printer.warn(format!("{error:#}")),
    }
    if let Err(error) = link::start(surroundings, &host.name, command(surroundings, &host.name), Duration::ZERO) {
        tracing::warn!("{error:#}");
    }
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
