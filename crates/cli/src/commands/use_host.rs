//! `sdocker use`: make a host the current one.

use host_provisioner::InstanceId;
use sdocker::{Home, detours};
use sdocker_console::{Printer, Progress};
use serde::Serialize;

use crate::commands::link;

/// Make a host the current one: for Docker's contexts, and for sdocker's own commands.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The host.
    #[arg(long, value_name = "ID", value_parser = str::parse::<InstanceId>)]
    instance_id: InstanceId,
}

#[derive(Debug, Serialize)]
struct Used {
    name: String,
    endpoint: String,
    docker_version: String,
}

pub(crate) async fn run(args: &Args, home: &Home, printer: &Printer) -> anyhow::Result<()> {
    let observer = Progress::new(printer);
    let sdocker::Used { host, answered, refused, blocked, .. } = home.use_host(&args.instance_id, &observer).await?;
    if let Some(refused) = refused {
        printer.warn(refused.what);
        printer.hint(refused.fix);
    }
    detours::warn(&blocked, home.surroundings().in_notebook, &observer);
    let used = Used {
        endpoint: answered.endpoint().to_string(),
        docker_version: answered.version().to_owned(),
        name: host.name,
    };
    sdocker::link::remember(home.surroundings(), &used.name)?;
    for note in link::start(home.surroundings(), &used.name, printer) {
        printer.info(note);
    }
    printer.result(&used, || {
        format!("{} is the current host: Docker {} at {}", used.name, used.docker_version, used.endpoint)
    })
}
