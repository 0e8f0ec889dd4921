//! `sdocker completions` and `sdocker manpages`, made from the same definition that parses the command line.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Command;
use clap_complete::{Shell, env::Shells};
use sdocker_console::Printer;
use serde_json::json;

use crate::completion::COMPLETE;

/// Print a completion script for a shell.
///
/// In bash: `source <(sdocker completions bash)`.
///
/// It completes commands, options, hosts, instance types and settings, without any AWS calls.
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

pub(crate) fn completions(args: &CompletionsArgs, printer: &Printer) -> anyhow::Result<()> {
    let mut script = Vec::new();
    let shell = args.shell.to_string();
    let shells = Shells::builtins();
    let completer = shells.completer(&shell).with_context(|| format!("{shell} is not known"))?;
    completer.write_registration(COMPLETE, "sdocker", "sdocker", "sdocker", &mut script)?;
    let mut script = String::from_utf8(script)?;
    if args.shell == Shell::Zsh {
        // In a folder of `fpath` it is the function of its file's name, which is to complete when it is called first (zshcompsys(1), "Autoloaded
        // files").
        script.push_str("[[ $funcstack[1] != _sdocker ]] || _clap_dynamic_completer_sdocker \"$@\"\n");
    }
    printer.stdout(&script);
    Ok(())
}

pub(crate) fn manpages(args: &ManpagesArgs, program: Command, printer: &Printer) -> anyhow::Result<()> {
    let failed = || format!("cannot write man pages to {}", args.folder.display());
    std::fs::create_dir_all(&args.folder).with_context(failed)?;
    clap_mangen::generate_to(program, &args.folder).with_context(failed)?;
    let folder = args.folder.display().to_string();
    printer.result(&json!({"folder": folder}), || format!("man pages are in {folder}"))
}
