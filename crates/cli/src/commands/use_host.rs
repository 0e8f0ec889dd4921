//! `sdocker use`: make a host the current one.

use anyhow::Context as _;
use clap_complete::engine::ArgValueCompleter;
use sdocker::{Home, HostSelector, detours, durations};
use sdocker_console::{Interrupt, Printer, Progress, shown};

use crate::{commands::link, completion};

/// Make a host the current one.
///
/// It becomes current for the Docker CLI, and for sdocker's own commands. If the host is stopped, it is started first.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("which").required(true).args(["host", "instance_id"]))]
pub(crate) struct Args {
    /// The host: its name, its instance id, or the beginning of either.
    #[arg(value_name = "HOST", add = ArgValueCompleter::new(completion::hosts))]
    host: Option<HostSelector>,
    /// The same as HOST, for compatibility with sdocker 2022.
    #[arg(long, value_name = "ID", add = ArgValueCompleter::new(completion::hosts))]
    instance_id: Option<HostSelector>,
    /// Wait until the host is ready, as `create-host` does.
    #[arg(long)]
    wait: bool,
    /// How long to wait, with --wait or for a stopped host to start.
    #[arg(long, value_name = "DURATION", value_parser = durations::parse_wait, default_value = "15m")]
    timeout: std::time::Duration,
}

pub(crate) async fn run(args: &Args, home: &Home, printer: &Printer, interrupt: &Interrupt) -> anyhow::Result<()> {
    let observer = Progress::new(printer);
    let host = args.host.as_ref().or(args.instance_id.as_ref()).context("name the host")?;
    if home.start_host(host, args.timeout, &observer, interrupt.stop()).await? {
        printer.info("it was stopped, and runs again");
    } else if args.wait {
        home.wait_for(host, args.timeout, &observer, interrupt.stop()).await?;
    }
    let used = home.use_host(host, &observer).await?;
    if let Some(refused) = &used.refused {
        printer.warn(&refused.what);
        printer.hint(&refused.fix);
    }
    detours::warn(&used.blocked, home.surroundings().in_notebook, &observer);
    sdocker::link::remember(home.surroundings(), &used.host.name)?;
    for note in link::start(home.surroundings(), &used.host.name, &observer) {
        printer.info(note);
    }
    printer.result(&used, || shown::used(&used))
}
