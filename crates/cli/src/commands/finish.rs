//! `sdocker finish`: what a [`Successor`](crate::successor::Successor) does.

use std::time::Duration;

use anyhow::Context as _;
use host_provisioner::HostId;
use sdocker::Home;
use sdocker_console::{Interrupt, Printer, Progress, successor};
use tokio::time::{Instant, sleep, timeout};

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

const PAUSE: Duration = Duration::from_secs(20);

pub(crate) async fn run(args: &Args, home: &Home, printer: &Printer, interrupt: &Interrupt) -> anyhow::Result<()> {
    let needed = timeout(ENDS_WITHIN, tokio::task::spawn_blocking(successor::is_needed)).await;
    if !needed.context("the previous process does not end")?? {
        return Ok(());
    }
    let observer = Progress::new(printer);
    let deadline = Instant::now() + FINISHES_WITHIN;
    let mut failed = None;
    for host in args.hosts.iter().rev() {
        // One that can't be finished keeps none of the others from it.
        if let Err(error) = finish(host, home, &observer, interrupt, deadline).await {
            tracing::error!("finishing host {host}: {error:#}");
            failed.get_or_insert(error);
        }
    }
    failed.map_or(Ok(()), |error| Err(error.into()))
}

async fn finish(
    host: &HostId,
    home: &Home,
    observer: &Progress<'_>,
    interrupt: &Interrupt,
    deadline: Instant,
) -> sdocker::Result<()> {
    loop {
        match home.finish(host, observer, interrupt.stop().clone()).await {
            Err(error) if Instant::now() + PAUSE < deadline => {
                tracing::warn!("finishing host {host}: {error:#}; it is tried again");
                sleep(PAUSE).await;
            }
            outcome => return outcome,
        }
    }
}
