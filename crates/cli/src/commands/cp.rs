//! `sdocker cp`: files from here to a host and back, through its daemon.

use sdocker::{Home, copy::CopyPath};
use sdocker_console::{Interrupt, Printer, Progress, Work, shown};

/// Copy files to or from a host.
///
/// Files go through the daemon's own connection. One path is HOST:/PATH, or :/PATH for the current host; the other is local. As with `cp`, if the
/// destination is an existing folder, files are copied into it. On the host, files belong to root. If the daemon runs in a container (Docker in
/// Docker), paths are those in that container.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What to copy: a local path, or HOST:/PATH.
    #[arg(value_name = "FROM")]
    from: CopyPath,
    /// Where to copy it: a local path, or HOST:/PATH.
    #[arg(value_name = "TO")]
    to: CopyPath,
}

pub(crate) async fn run(args: &Args, home: &Home, printer: &Printer, interrupt: &Interrupt) -> anyhow::Result<()> {
    let _working = interrupt.begin(Work {
        stopping: "the copy is being stopped".to_owned(),
        leaves: "what was copied by then".to_owned(),
        hosts: Vec::new(),
    })?;
    let done = home.copy(&args.from, &args.to, &Progress::new(printer), interrupt.stop()).await?;
    if done.amount.left_out > 0 {
        printer.warn(format!("{} devices, sockets or pipes were left out", done.amount.left_out));
    }
    printer.result(&done, || shown::copied(&done))
}
