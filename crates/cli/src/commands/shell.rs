//! `sdocker shell`: a root shell on a host, through its daemon.

use std::process::ExitCode;

use docker_remote::HostProgram;
use sdocker::Home;
use sdocker_console::{Interrupt, Printer, Progress, attached};

use crate::{commands::one_host::OneHost, environment};

/// Get a root shell on a host, or run a command there.
///
/// It goes through the daemon's own connection, so it needs no SSH, no key and no open port. On a terminal, the shell gets a terminal of the same
/// size; in a pipe, input, output and errors are passed on unchanged. The exit code is the command's own. If the daemon runs in a container
/// (Docker in Docker), you are in that container, not on the instance itself. Meanwhile the host counts as in use; a shell that is left at its
/// prompt for an hour exits.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    host: OneHost,
    /// A command and its arguments, run without a shell.
    #[arg(value_name = "COMMAND", last = true)]
    command: Vec<String>,
}

pub(crate) async fn run(
    args: &Args,
    home: &Home,
    printer: &Printer,
    interrupt: &Interrupt,
) -> anyhow::Result<ExitCode> {
    let host = home.host(args.host.selector(), &Progress::new(printer))?;
    let terminal = attached::terminal().map(|size| (environment::terminal(), size));
    if args.command.is_empty() && terminal.is_some() {
        printer.info(format!("root on {}; Ctrl-D ends it", host.name));
    }
    let program = HostProgram { command: args.command.clone(), terminal };
    let process = home.start_on(&host, &program).await?;
    attached::attach(process, &host.name, printer, interrupt).await
}
