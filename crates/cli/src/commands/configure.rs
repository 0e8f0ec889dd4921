//! `sdocker configure`: everything that the SageMaker Python SDK's Local Mode needs on this side.

use std::path::PathBuf;

use sdocker::Home;
use sdocker_console::{Printer, Progress};
use serde::Serialize;

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

#[derive(Debug, Default, Serialize)]
struct Report {
    /// What was done; with `--dry-run`, what would be.
    actions: Vec<String>,
    /// What stays although it was asked to go, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    kept: Vec<String>,
    /// What stays as it is although Local Mode would have it otherwise, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    left: Vec<String>,
    dry_run: bool,
}

pub(crate) async fn run(args: &Args, home: &Home, printer: &Printer) -> anyhow::Result<()> {
    if args.undo {
        let undone = home.deconfigure()?;
        let report = Report { actions: undone.actions, kept: undone.kept, ..Report::default() };
        return printer.result(&report, || human(&report, "nothing to undo"));
    }
    let observer = Progress::new(printer);
    let configured = home.configure(args.dry_run, &observer).await?;
    let report = Report {
        actions: configured.actions.clone(),
        left: configured.left.iter().map(ToString::to_string).collect(),
        dry_run: args.dry_run,
        ..Report::default()
    };
    printer.result(&report, || human(&report, "Local Mode is configured already"))?;
    home.warn_of_obstacles(&configured, &args.folders, &observer).await;
    Ok(())
}

fn human(report: &Report, nothing: &str) -> String {
    let mut lines = report.actions.clone();
    lines.extend(report.kept.iter().map(|kept| format!("kept: {kept}")));
    if lines.is_empty() {
        return nothing.to_owned();
    }
    if report.dry_run {
        lines.push("nothing was changed (--dry-run)".to_owned());
    }
    lines.join("\n")
}
