//! `sdocker keep`: put off the end of a host, through the storage it shares. That needs no permission in AWS.

use std::time::Duration;

use sdocker::{
    Home,
    durations::{self, minute},
};
use sdocker_console::{Printer, Progress};
use serde_json::json;

use crate::commands::one_host::OneHost;

/// Keep a host running longer.
///
/// It will not end before then, neither because it is idle nor at its maximum lifetime. A host can be kept for at most seven times its maximum
/// lifetime, counted from its launch.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How long to keep it running, from now.
    #[arg(long = "for", value_name = "DURATION", value_parser = durations::parse, default_value = "4h")]
    duration: Duration,
    #[command(flatten)]
    host: OneHost,
}

pub(crate) async fn run(args: &Args, home: &Home, printer: &Printer) -> anyhow::Result<()> {
    let host = home.host(args.host.selector(), &Progress::new(printer))?;
    let until = home.keep(&host, args.duration).await?;
    let kept = json!({"name": host.name, "until": until.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()});
    printer.result(&kept, || {
        let until = minute(until);
        format!("{} is kept running until {until} at least; the host notices within a minute", host.name)
    })
}
