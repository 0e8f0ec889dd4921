//! `sdocker keep`: put off the end of a host, through the storage it shares. That needs no permission in AWS.

use std::time::Duration;

use sdocker::{Home, durations};
use sdocker_console::{Printer, Progress};
use serde::Serialize;

use crate::commands::one_host::OneHost;

/// Keep a host running longer.
///
/// Neither idleness nor age end it before then.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// For how long, from now.
    #[arg(long = "for", value_name = "DURATION", value_parser = durations::parse, default_value = "4h")]
    duration: Duration,
    #[command(flatten)]
    host: OneHost,
}

#[derive(Debug, Serialize)]
struct Kept {
    name: String,
    until: String,
}

pub(crate) async fn run(args: &Args, home: &Home, printer: &Printer) -> anyhow::Result<()> {
    let host = home.host(args.host.selector(), &Progress::new(printer))?;
    let until = home.keep(&host, args.duration).await?;
    let kept = Kept { until: until.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(), name: host.name };
    printer.result(&kept, || {
        let until = until.strftime("%Y-%m-%d %H:%M UTC");
        format!("{} stays until {until} at least; the host takes note within a minute", kept.name)
    })
}
