//! `sdocker use`: make a host the current one.

use host_provisioner::InstanceId;
use serde::Serialize;

use crate::{
    client_files::HostFiles,
    commands::configure,
    detours, docker_cli,
    failure::Hinted,
    lookup::Lookup,
    places::{Look, Places},
    printer::Printer,
    world::World,
};

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

pub(crate) async fn run(args: &Args, world: &World, printer: &Printer) -> anyhow::Result<()> {
    let lookup = Lookup::new(world);
    let known = lookup.find(Some(&args.instance_id), printer)?;
    let host = known.entry();
    let files = HostFiles::new(&lookup);
    let answered = match files.probe(&host).await {
        Ok(answered) => answered,
        Err(error) => {
            let refused = Hinted::new(format!("{} can't be used", known.name));
            let refused = match Places::new(world, printer).look_at(&known).await {
                Look::Ended(_) => refused.hint("it has ended: `sdocker recover` clears what is left of it here"),
                _ => refused.hint(format!("`sdocker status --instance-id {}` says more", known.instance)),
            };
            return Err(refused.because(error));
        }
    };
    files.make_current(&host, &answered)?;
    configure::warn_of_overrides(world, &known.name, printer);
    if let Some(refused) = docker_cli::refused(world, &known.name, answered.api()).await {
        printer.warn(refused.what);
        printer.hint(refused.fix);
    }
    let blocked = detours::blocked(world, answered.endpoint(), answered.credentials()).await;
    detours::warn(&blocked, printer);
    let used = Used {
        endpoint: answered.endpoint().to_string(),
        docker_version: answered.version().to_owned(),
        name: known.name,
    };
    printer.result(&used, || {
        format!("{} is the current host: Docker {} at {}", used.name, used.docker_version, used.endpoint)
    })
}
