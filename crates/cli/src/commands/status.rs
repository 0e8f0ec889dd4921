//! `sdocker status`: what runs, since when, until when, how healthy.

use std::{process::ExitCode, time::Duration};

use sdocker::{Home, on_demand};
use sdocker_console::{Interrupt, Printer, Progress, shown};
use serde_json::json;

use crate::commands::one_host::OneHost;

/// Show the state of a host: health, use, and when it terminates itself.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    host: OneHost,
    /// Print it again whenever it changes, until Ctrl-C or the host's end.
    #[arg(long, short)]
    watch: bool,
}

/// How often a host that is watched is looked at: it writes of its own life once a minute.
const LOOKS_EACH: Duration = Duration::from_secs(5);

pub(crate) async fn run(
    args: &Args,
    home: &Home,
    printer: &Printer,
    interrupt: &Interrupt,
) -> anyhow::Result<ExitCode> {
    let mut shown = None;
    loop {
        let (text, is_over) = show(args, home, printer, shown.as_ref()).await?;
        if !args.watch || is_over {
            return Ok(ExitCode::SUCCESS);
        }
        shown = Some(text);
        interrupt.say("no longer watching");
        if interrupt.stop().run_until_cancelled(tokio::time::sleep(LOOKS_EACH)).await.is_none() {
            return Ok(ExitCode::FAILURE);
        }
    }
}

/// Prints the state, unless it is what was shown before; returns its text, and whether nothing more is to come.
async fn show(args: &Args, home: &Home, printer: &Printer, before: Option<&String>) -> anyhow::Result<(String, bool)> {
    let observer = Progress::new(printer);
    let socket = on_demand::state(home.surroundings());
    // Without a host there is nothing else to say.
    if let Some(socket) = socket.as_ref().filter(|_| args.host.selector().is_none())
        && !home.hosts()?.iter().any(|host| host.current)
    {
        let text = shown::no_host(socket);
        if before != Some(&text) {
            printer.result(&json!({"state": "none", "on_demand": socket}), || text.clone())?;
        }
        return Ok((text, false));
    }
    let host = home.host(args.host.selector(), &observer)?;
    let status = home.status(host, &observer).await;
    let text = shown::status(&status, socket.as_ref());
    if before != Some(&text) {
        printer.result(&status, || text.clone())?;
    }
    let is_gone = status.state == "terminated" || status.state == "shutting-down";
    if is_gone {
        printer.hint("the host is gone: `sdocker recover` cleans up what is left of it here");
    }
    Ok((text, is_gone))
}
