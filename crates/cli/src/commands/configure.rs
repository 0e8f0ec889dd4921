//! `sdocker configure`: everything that the SageMaker Python SDK's Local Mode needs on this side.

use std::path::PathBuf;

use sdocker::Home;
use sdocker_console::{Printer, Progress, shown};

/// Configure the SageMaker Python SDK's Local Mode.
///
/// Creates the temporary folder that containers share with the SDK, on storage that the host can see, and sets it in
/// ~/.sagemaker/config.yaml. Anything in the way is moved aside unchanged, and --undo moves it back. Also warns about anything else that
/// would keep Local Mode from working.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Restore what was there before.
    #[arg(long, conflicts_with = "dry_run")]
    undo: bool,
    /// Print what would be done, without changing anything.
    #[arg(long)]
    dry_run: bool,
    /// Folders with data for containers: warns about those that the host can't see. The working directory is always checked.
    #[arg(value_name = "FOLDERS", conflicts_with = "undo")]
    folders: Vec<PathBuf>,
}

pub(crate) async fn run(args: &Args, home: &Home, printer: &Printer) -> anyhow::Result<()> {
    if args.undo {
        let undone = home.deconfigure()?;
        return printer.result(&undone, || shown::deconfigured(&undone));
    }
    let observer = Progress::new(printer);
    let configured = home.configure(args.dry_run, &observer).await?;
    printer.result(&configured, || shown::configured(&configured))?;
    home.warn_of_obstacles(&configured, &args.folders, &observer).await;
    Ok(())
}
