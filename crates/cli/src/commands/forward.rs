//! `sdocker forward`: ports of a host at localhost, for clients that insist on localhost.

use std::process::ExitCode;

use clap_complete::engine::ArgValueCompleter;
use host_agent::Program;
use sdocker::{
    HostSelector, Surroundings,
    forward::{Ports, forward},
};
use sdocker_console::{Interrupt, Printer, Progress, shown};

use super::share::PORTS_COMMAND;
use crate::completion;

/// Make ports of a host available on localhost.
///
/// Runs until Ctrl-C. Goes through the daemon's own connection, and so reaches any TCP port on the host, open to this app or not. Ports that
/// containers publish on the current host are on localhost without this command.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The host's ports, or LOCAL:HOST. A local port of 0 picks any free one.
    #[arg(value_name = "PORT[:PORT]", value_parser = str::parse::<Ports>, required = true)]
    ports: Vec<Ports>,
    /// The host, instead of the current one: its name, its instance id, or the beginning of either.
    #[arg(long, visible_alias = "host", value_name = "HOST", add = ArgValueCompleter::new(completion::hosts))]
    instance_id: Option<HostSelector>,
}

pub(crate) async fn run(
    args: &Args,
    surroundings: &Surroundings,
    printer: &Printer,
    interrupt: &Interrupt,
) -> anyhow::Result<ExitCode> {
    let (program, command) = (Program::running()?, PORTS_COMMAND.map(str::to_owned).to_vec());
    let host = args.instance_id.as_ref();
    let forwarding = forward(host, &args.ports, program, command, surroundings, &Progress::new(printer)).await?;
    printer.result(&forwarding, || shown::forwarding(&forwarding))?;
    interrupt.say("no longer forwarding");
    interrupt.stop().cancelled().await;
    printer.info("no longer forwarding");
    Ok(ExitCode::FAILURE)
}
