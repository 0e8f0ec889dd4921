//! `sdocker completions` and `sdocker manpages`, made from the same definition that parses the command line.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Command;
use clap_complete::Shell;
use sdocker_console::Printer;
use serde_json::json;

/// Print a completion script for a shell.
#[derive(Debug, clap::Args)]
pub(crate) struct CompletionsArgs {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

/// Write the man pages into a folder.
#[derive(Debug, clap::Args)]
pub(crate) struct ManpagesArgs {
    /// The folder, created if it does not exist.
    folder: PathBuf,
}

pub(crate) fn completions(args: &CompletionsArgs, mut program: Command, printer: &Printer) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut program, "sdocker", &mut script);
    printer.stdout(&String::from_utf8(script)?);
    Ok(())
}

pub(crate) fn manpages(args: &ManpagesArgs, program: Command, printer: &Printer) -> anyhow::Result<()> {
    let failed = || format!("cannot write man pages to {}", args.folder.display());
    std::fs::create_dir_all(&args.folder).with_context(failed)?;
    clap_mangen::generate_to(program, &args.folder).with_context(failed)?;
    let folder = args.folder.display().to_string();
    printer.result(&json!({"folder": folder}), || format!("man pages are in {folder}"))
}
