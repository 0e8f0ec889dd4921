//! `sdocker logs`: what a host did to come up, what its daemon says, and what becomes of it.

use std::{process::ExitCode, time::Duration};

use sdocker::{Home, HostLog};
use sdocker_console::{Interrupt, Printer, Progress};
use serde_json::json;

use crate::commands::one_host::OneHost;

/// How often a log that is followed is looked at: a host writes its daemon's log once a minute.
const LOOKS_EACH: Duration = Duration::from_secs(5);

/// Print a log of a host.
///
/// Needs no AWS permissions. If the host does not answer, prints what was last seen of the log. The logs of the last five hosts that failed are
/// kept after their termination.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which log.
    #[arg(value_name = "LOG", default_value = "bootstrap")]
    log: HostLog,
    /// Keep printing what is added to it, until Ctrl-C.
    #[arg(short, long)]
    follow: bool,
    #[command(flatten)]
    host: OneHost,
}

pub(crate) async fn run(
    args: &Args,
    home: &Home,
    printer: &Printer,
    interrupt: &Interrupt,
) -> anyhow::Result<ExitCode> {
    let observer = Progress::new(printer);
    let host = args.host.selector();
    let first = home.log(host, args.log, &observer).await?;
    let print = |text: &str| {
        let part = json!({"host": first.host, "log": args.log.name(), "text": text});
        printer.result(&part, || text.trim_end().to_owned())
    };
    print(&first.text)?;
    if !args.follow || first.is_over {
        return Ok(ExitCode::SUCCESS);
    }
    interrupt.say("no longer following");
    let mut shown = first.text.clone();
    while interrupt.stop().run_until_cancelled(tokio::time::sleep(LOOKS_EACH)).await.is_some() {
        let now = home.log(host, args.log, &observer).await?;
        let added = now.added_since(&shown);
        if !added.is_empty() {
            print(added)?;
        }
        shown = now.text;
    }
    Ok(ExitCode::FAILURE)
}
