//! `sdocker finish`: what a [`Successor`](crate::successor::Successor) does.

use std::time::Duration;

use anyhow::Context as _;
use host_provisioner::{HostId, Provisioner, Recovered};
use tokio::time::{Instant, sleep, timeout};

use sdocker::{Surroundings, lookup::Lookup, places::Places, progress::Progress as Work, session};

use crate::{interrupt::Interrupt, printer::Printer, progress::Progress, successor};

/// Finish what a process that was ended left of a host, once its end of standard input is closed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The host, by its record.
    #[arg(long, value_name = "ID")]
    host: HostId,
}

/// How long the process before may take to end: longer than its own undo may take. One that stands still is not waited for.
const ENDS_WITHIN: Duration = Duration::from_secs(3600);

/// How long it is tried, while the cloud does not answer or another process works on the host.
const FINISHES_WITHIN: Duration = Duration::from_secs(600);

const PAUSE: Duration = Duration::from_secs(20);

pub(crate) async fn run(
    args: &Args,
    surroundings: &Surroundings,
    printer: &Printer,
    interrupt: &Interrupt,
) -> anyhow::Result<()> {
    let host = &args.host;
    let needed = timeout(ENDS_WITHIN, tokio::task::spawn_blocking(successor::is_needed)).await;
    if !needed.with_context(|| format!("finishing host {host}: the process before does not end"))?? {
        return Ok(());
    }
    let deadline = Instant::now() + FINISHES_WITHIN;
    loop {
        match finish(host, surroundings, printer, interrupt).await {
            Ok(()) => return Ok(()),
            Err(error) if Instant::now() + PAUSE < deadline => {
                tracing::warn!("finishing host {host}: {error:#}; it is tried again");
                sleep(PAUSE).await;
            }
            Err(error) => return Err(error),
        }
    }
}

async fn finish(
    host: &HostId,
    surroundings: &Surroundings,
    printer: &Printer,
    interrupt: &Interrupt,
) -> anyhow::Result<()> {
    let lookup = Lookup::new(surroundings);
    let Some(record) = lookup.journal.records()?.into_iter().find(|record| record.host == *host) else { return Ok(()) };
    if !record.is_unfinished() {
        return Ok(());
    }
    tracing::info!("finishing host {host}, as the process that worked on it was ended");
    let observer = Progress::new(printer);
    let clouds = Places::new(surroundings, &observer).of(Some(&record.place)).await?;
    let progress = Work::new(&observer);
    let provisioner: Provisioner = session::provisioner(&clouds, &lookup, &progress, interrupt.stop().clone());
    match progress.drive(provisioner.finish(host)).await? {
        Some(Recovered::Undone(report)) => {
            tracing::info!("host {host}: creation undone: {}", report.undone.join(", "));
        }
        Some(Recovered::Failed(error) | Recovered::Unknown(error)) => return Err(error.into()),
        Some(Recovered::Busy) => anyhow::bail!("another process works on it"),
        Some(outcome) => tracing::info!("host {host}: {outcome:?}"),
        None => {}
    }
    Ok(())
}
