//! `sdocker setup`: docker, compose and the SageMaker SDK where they are missing.

use std::path::PathBuf;

use sdocker::{
    Error, Surroundings, Unobserved,
    setup::{DEFAULT_SDK, ProgramsSay, SetUp, SetupRequest, Source, set_up},
};
use sdocker_console::{Printer, Progress, shown};

/// Install Docker, Compose and the SageMaker SDK if they are missing.
///
/// Uses apt-get, dnf or yum as root or with sudo, else conda; or the archives that you name. What is already installed is left alone.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Print what would be done, without changing anything.
    #[arg(long)]
    dry_run: bool,
    /// Do not ask before installing. sdocker asks only on a terminal.
    #[arg(long, short, conflicts_with = "dry_run")]
    yes: bool,
    /// A static archive of the Docker CLI, such as those on download.docker.com, with its checksum. A URL or a file.
    #[arg(long, value_name = "URL#sha256=SUM")]
    docker_from: Option<Source>,
    /// The Docker Compose binary, with its checksum. A URL or a file.
    #[arg(long, value_name = "URL#sha256=SUM")]
    compose_from: Option<Source>,
    /// The SDK to install with pip if it is missing.
    #[arg(long, value_name = "REQUIREMENT", default_value = DEFAULT_SDK)]
    sdk: String,
    /// The Python to install the SDK for, instead of the first on PATH.
    #[arg(long, value_name = "PROGRAM")]
    python: Option<PathBuf>,
    /// Install programs into the folder `bin` of this prefix: by default /usr/local as root, else ~/.local.
    #[arg(long, value_name = "FOLDER")]
    prefix: Option<PathBuf>,
}

/// Says what would be installed, and asks; `None` where nobody can answer.
pub(super) fn confirm(planned: &SetUp, printer: &Printer) -> Option<bool> {
    printer.stderr("Local Mode can't find the following, which would be installed:");
    for action in &planned.actions {
        printer.stderr(&format!("  {action}"));
    }
    printer.confirm("do this?")
}

pub(crate) fn run(args: &Args, surroundings: &Surroundings, printer: &Printer) -> anyhow::Result<()> {
    let request = SetupRequest {
        dry_run: args.dry_run,
        docker_from: args.docker_from.clone(),
        compose_from: args.compose_from.clone(),
        sdk: args.sdk.clone(),
        python: args.python.clone(),
        prefix: args.prefix.clone(),
        programs_say: ProgramsSay::OnStandardError,
    };
    let observer = Progress::new(printer);
    if printer.can_ask() && !args.yes && !args.dry_run {
        let planned = set_up(&SetupRequest { dry_run: true, ..request.clone() }, surroundings, &Unobserved)?;
        if !planned.actions.is_empty() && confirm(&planned, printer) == Some(false) {
            return Err(Error::new("nothing was installed")
                .hint("`sdocker setup --yes` installs without asking")
                .into());
        }
    }
    let done = set_up(&request, surroundings, &observer)?;
    printer.result(&done, || shown::set_up(&done))
}
