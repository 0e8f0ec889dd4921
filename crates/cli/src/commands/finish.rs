//! `sdocker finish`: what a [`Successor`](crate::successor::Successor) does.

use std::time::Duration;

use anyhow::Context as _;
use host_provisioner::HostId;
use sdocker::Home;
use sdocker_console::{Interrupt, Printer, Progress, successor};
use tokio::time::timeout;

/// Finish what a process that was ended left of hosts, once its end of standard input is closed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The hosts, by their records. What the first of several made for all is finished last.
    #[arg(long = "host", value_name = "ID", required = true)]
    hosts: Vec<HostId>,
}

/// How long the process before may take to end: longer than its own undo may take. One that stands still is not waited for.
const ENDS_WITHIN: Duration = Duration::from_secs(3600);

/// How long it is tried, while the cloud does not answer or another process works on the host.
const FINISHES_WITHIN: Duration = Duration::from_secs(600);

pub(crate) async fn run(args: &Args, home: &Home, printer: &Printer, interrupt: &Interrupt) -> anyhow::Result<()> {
    let needed = timeout(ENDS_WITHIN, tokio::task::spawn_blocking(successor::is_needed)).await;
    if !needed.context("the previous process does not end")?? {
        return Ok(());
    }
    Ok(home.finish(&args.hosts, FINISHES_WITHIN, &Progress::new(printer), interrupt.stop()).await?)
}
