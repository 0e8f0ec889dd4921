//! `sdocker use`: make a host the current one.

use host_provisioner::InstanceId;
use serde::Serialize;

use sdocker::{
    Error, Surroundings,
    client_files::HostFiles,
    detours, docker_cli, local_mode,
    lookup::Lookup,
    places::{Look, Places},
};

use crate::{printer::Printer, progress::Progress};

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

pub(crate) async fn run(args: &Args, surroundings: &Surroundings, printer: &Printer) -> anyhow::Result<()> {
    let observer = Progress::new(printer);
    let lookup = Lookup::new(surroundings);
    let known = lookup.find(Some(&args.instance_id), &observer)?;
    let host = known.entry();
    let files = HostFiles::new(&lookup);
    let answered = match files.probe(&host).await {
        Ok(answered) => answered,
        Err(error) => {
            let refused = Error::new(format!("{} can't be used", known.name));
            let refused = match Places::new(surroundings, &observer).look_at(&known).await {
                Look::Ended(_) => refused.hint("it has ended: `sdocker recover` clears what is left of it here"),
                _ => refused.hint(format!("`sdocker status --instance-id {}` says more", known.instance)),
            };
            return Err(refused.because(error).into());
        }
    };
    files.make_current(&host, &answered)?;
    local_mode::warn_of_overrides(surroundings, &known.name, &observer);
    if let Some(refused) = docker_cli::refused(surroundings, &known.name, answered.api()).await {
        printer.warn(refused.what);
        printer.hint(refused.fix);
    }
    let blocked = detours::blocked(surroundings, answered.endpoint(), answered.credentials()).await;
    detours::warn(&blocked, surroundings.in_notebook, &observer);
    let used = Used {
        endpoint: answered.endpoint().to_string(),
        docker_version: answered.version().to_owned(),
        name: known.name,
    };
    printer.result(&used, || {
        format!("{} is the current host: Docker {} at {}", used.name, used.docker_version, used.endpoint)
    })
}
