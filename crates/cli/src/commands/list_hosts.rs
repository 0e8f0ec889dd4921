//! `sdocker list-hosts`.

use sdocker::Home;
use sdocker_console::{Printer, Progress, shown};

/// List the hosts of this home.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Make no AWS calls: print what is recorded in this home.
    #[arg(long)]
    offline: bool,
}

pub(crate) async fn run(args: &Args, home: &Home, printer: &Printer) -> anyhow::Result<()> {
    let list = home.list(args.offline, &Progress::new(printer)).await?;
    printer.result(&list, || shown::hosts(&list))?;
    for line in list.hosts.iter().filter_map(shown::stopped_host) {
        printer.info(line);
    }
    Ok(())
}
