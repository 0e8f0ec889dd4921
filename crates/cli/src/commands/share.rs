//! `sdocker share`: folders of this app appear live on a host, at the same paths.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use anyhow::Context as _;
use clap_complete::engine::ArgValueCompleter;
use host_files::{Event, Program, Sharing};
use sdocker::{
    HostSelector, Surroundings,
    client_files::HostFiles,
    durations,
    link::{self, Lent},
    lookup::Lookup,
};
use sdocker_console::{Interrupt, Printer, Progress, Work};
use serde::Serialize;

use crate::completion;

/// How this program is an agent for files.
pub(super) const FILES_COMMAND: [&str; 2] = ["-v", "share-agent"];

/// How it is one for ports.
pub(super) const PORTS_COMMAND: [&str; 2] = ["share-agent", "ports"];

/// Descriptors that are not for files that containers open.
const OWN_DESCRIPTORS: u64 = 128;

/// Share folders of this app with a host, live and at the same paths.
///
/// Runs until Ctrl-C. Mount the folders into containers with `docker run -v FOLDER:...`, as on one machine; files that containers write belong to
/// you in this app. This needs only the connection to the daemon: no EFS, no other port.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The folders. With `:ro`, containers can only read them.
    #[arg(value_name = "FOLDER[:ro]", required = true)]
    folders: Vec<String>,
    /// The host, instead of the current one: its name, its instance id, or the beginning of either.
    #[arg(long, visible_alias = "host", value_name = "HOST", add = ArgValueCompleter::new(completion::hosts))]
    instance_id: Option<HostSelector>,
    /// How long containers wait for files before they get errors, if this command is not running or can't reach the host.
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = durations::parse_wait)]
    give_up_after: Duration,
}

#[derive(Debug, Serialize)]
struct Shared {
    host: String,
    folders: Vec<PathBuf>,
}

pub(crate) async fn run(
    args: &Args,
    surroundings: &Surroundings,
    printer: &Printer,
    interrupt: &Interrupt,
) -> anyhow::Result<ExitCode> {
    let lookup = Lookup::new(surroundings);
    let shares = Lent::of(&args.folders, surroundings)?.shares();
    let host = lookup.find(args.instance_id.as_ref(), &Progress::new(printer))?;
    let client = HostFiles::new(&lookup).client(&host.entry()).await?;
    let shared = Shared { host: host.name.clone(), folders: shares.iter().map(|share| share.path.clone()).collect() };
    let sharing = Sharing {
        client,
        program: Program::running()?,
        command: FILES_COMMAND.map(str::to_owned).to_vec(),
        // Beside what the process in the background lends.
        owner: format!("{} (sdocker share)", link::owner(surroundings)),
        shares,
        give_up_after: args.give_up_after,
        max_open: open_files()?,
        port: Some(link::FILES_PORT),
    };
    let _working = interrupt.begin(Work {
        stopping: "the folders are being unmounted".to_owned(),
        leaves: format!("folders that are mounted on {} until --give-up-after", host.name),
        hosts: Vec::new(),
    })?;
    let mut said = Ok(());
    let events = |event: Event| match event {
        Event::Ready => {
            said = printer.result(&shared, || {
                let folders: Vec<String> = shared.folders.iter().map(|path| path.display().to_string()).collect();
                format!("{} on {}: live until Ctrl-C", folders.join(", "), shared.host)
            });
        }
        Event::Reconnecting { path, reason } => tracing::warn!("{}: {reason}; connecting again", path.display()),
        Event::AgentReplaced => printer.warn(
            "the container that shares the folders was removed, and is back; restart the containers that use them",
        ),
        _ => {}
    };
    sharing.serve(interrupt.stop().cancelled(), events).await?;
    said?;
    printer.info(format!("nothing is shared with {} any more", host.name));
    Ok(ExitCode::FAILURE)
}

/// How many files containers may have open: as many as the system lets this process.
pub(super) fn open_files() -> anyhow::Result<usize> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(1 << 20).min(1 << 20);
    setrlimit(Resource::Nofile, Rlimit { current: Some(most), maximum: limit.maximum })
        .context("cannot raise the limit of open files to the system's maximum")?;
    Ok(usize::try_from(most.saturating_sub(OWN_DESCRIPTORS))?)
}
