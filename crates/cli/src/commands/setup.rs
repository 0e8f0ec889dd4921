//! `sdocker setup`: docker, compose and the SageMaker SDK where they are missing.

pub(crate) mod archive;
mod found;
mod steps;

use std::path::PathBuf;

use serde::Serialize;

use crate::{failure::Hinted, printer::Printer, world::World};

pub(crate) use found::Found;

const DEFAULT_SDK: &str = "sagemaker>=2.80.0";

/// Put docker, compose and the SageMaker SDK where they are missing.
///
/// Takes the package manager that it finds and may use (apt-get, dnf or yum as root or with sudo, else conda), or the archives that
/// are named. Does nothing that is done already.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Say what would be done, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// A static archive of the Docker CLI, such as download.docker.com has, with its checksum. A URL or a file.
    #[arg(long, value_name = "URL#sha256=SUM")]
    docker_from: Option<archive::Source>,
    /// The program of Docker Compose, with its checksum. A URL or a file.
    #[arg(long, value_name = "URL#sha256=SUM")]
    compose_from: Option<archive::Source>,
    /// The SDK to install with pip where it is missing.
    #[arg(long, value_name = "REQUIREMENT", default_value = DEFAULT_SDK)]
    sdk: String,
    /// The Python that runs the SDK, instead of the first on PATH.
    #[arg(long, value_name = "PROGRAM")]
    python: Option<PathBuf>,
    /// Where programs go, in its folder `bin`: by default /usr/local as root, else ~/.local.
    #[arg(long, value_name = "FOLDER")]
    prefix: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
struct Report {
    /// What was done; with `--dry-run`, what would be.
    actions: Vec<String>,
    dry_run: bool,
    found: Found,
}

/// Where programs go by default.
pub(crate) fn default_bin(world: &World) -> PathBuf {
    let prefix = if rustix::process::geteuid().is_root() { "/usr/local".into() } else { world.home.join(".local") };
    prefix.join("bin")
}

pub(crate) fn run(args: &Args, world: &World, printer: &Printer) -> anyhow::Result<()> {
    let report = carry_out(args, world, printer)?;
    printer.result(&report, || {
        if report.actions.is_empty() {
            "nothing is missing".to_owned()
        } else if report.dry_run {
            "nothing was changed (--dry-run)".to_owned()
        } else {
            "everything that Local Mode needs is there".to_owned()
        }
    })
}

/// Does what `setup` does without options.
pub(crate) fn install(world: &World, printer: &Printer) -> anyhow::Result<()> {
    let args = Args {
        dry_run: false,
        docker_from: None,
        compose_from: None,
        sdk: DEFAULT_SDK.to_owned(),
        python: None,
        prefix: None,
    };
    carry_out(&args, world, printer).map(drop)
}

fn carry_out(args: &Args, world: &World, printer: &Printer) -> anyhow::Result<Report> {
    let bin = args.prefix.as_ref().map_or_else(|| default_bin(world), |prefix| prefix.join("bin"));
    if let Some(python) = &args.python
        && world.which(&python.to_string_lossy()).is_none()
    {
        return Err(Hinted::new(format!("there is no program {}", python.display()))
            .hint("name a Python with --python")
            .into());
    }
    let mut actions = Vec::new();
    let mut failed = false;
    let mut found = Found::look(world, &bin, args.python.as_deref());
    // What compose comes to is known only once it is there.
    for _ in 0..2 {
        let steps = steps::plan(args, world, &bin, &found)?;
        for step in &steps {
            printer.info(step);
            actions.push(step.to_string());
            if !args.dry_run
                && let Err(error) = step.take()
            {
                // The others may be done nevertheless.
                printer.warn(format!("{error:#}"));
                failed = true;
            }
        }
        if args.dry_run || steps.is_empty() {
            break;
        }
        found = Found::look(world, &bin, args.python.as_deref());
        if failed {
            break;
        }
    }
    let missing = found.tools().missing();
    if failed || (!args.dry_run && !missing.is_empty()) {
        let missing: Vec<_> = missing.iter().map(ToString::to_string).collect();
        let error = Hinted::new(match missing.as_slice() {
            [] => "not everything could be done".to_owned(),
            missing => format!("still missing: {}", missing.join(", ")),
        });
        return Err(error.hint("`sdocker setup --dry-run` says what is left to do").into());
    }
    let on_path = std::env::split_paths(&world.path).any(|folder| folder == bin);
    if !on_path && found.uses(&bin) {
        printer.warn(format!("{} is not on PATH", bin.display()));
        printer.hint(format!("export PATH={}:$PATH", bin.display()));
    }
    Ok(Report { actions, dry_run: args.dry_run, found })
}
