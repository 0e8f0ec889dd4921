//! `sdocker swarm`: the Docker Swarm of this home's hosts.

use std::time::Duration;

use sdocker::{
    Home, HostSelector, durations,
    swarm::{REGISTRY_IMAGE, SwarmReport},
};
use sdocker_console::{Printer, Progress, shown};
use serde_json::json;

/// Show or change the Docker Swarm of your hosts.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Show the nodes and the progress of the jobs.
    Status,
    /// Add hosts as nodes; they must have been created with --swarm.
    Add(AddArgs),
    /// Remove hosts, after moving their tasks to the other nodes. The hosts keep running.
    Remove(RemoveArgs),
    /// Remove nodes whose hosts have terminated, and replace lost managers.
    Mend,
    /// Make images of the current host available to all nodes.
    ///
    /// A registry in the Swarm, on the nodes' own disks, serves them. On each node their name is `localhost:5000/IMAGE`.
    Push(PushArgs),
}

#[derive(Debug, clap::Args)]
struct AddArgs {
    /// The hosts.
    #[arg(value_name = "HOST", required = true)]
    hosts: Vec<HostSelector>,
}

#[derive(Debug, clap::Args)]
struct RemoveArgs {
    /// The hosts.
    #[arg(value_name = "HOST", required = true)]
    hosts: Vec<HostSelector>,
    /// How long to wait for their tasks to stop. A host whose tasks do not stop in time stays in the Swarm.
    #[arg(long, value_name = "DURATION", value_parser = durations::parse_wait, default_value = "5m")]
    timeout: Duration,
}

#[derive(Debug, clap::Args)]
struct PushArgs {
    /// The images, by their names on the current host.
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<String>,
    /// The image that the registry runs.
    #[arg(long, value_name = "IMAGE", default_value = REGISTRY_IMAGE)]
    registry_image: String,
}

pub(crate) async fn run(args: &Args, home: &Home, printer: &Printer) -> anyhow::Result<()> {
    let observer = Progress::new(printer);
    match &args.what {
        What::Status => print(&home.swarm(&observer).await?, printer),
        What::Add(add) => {
            let mut added = Vec::new();
            for host in &add.hosts {
                added.push(home.add_to_swarm(host, &observer).await?);
            }
            printer.result(&json!({"added": added}), || listed(&added, "is a node of the Swarm"))
        }
        What::Remove(remove) => {
            let mut removed = Vec::new();
            for host in &remove.hosts {
                removed.push(home.remove_from_swarm(host, remove.timeout, &observer).await?);
            }
            printer.result(&json!({"removed": removed}), || {
                listed(removed.iter().map(|done| &done.host), "is no longer a node of the Swarm")
            })
        }
        What::Push(push) => {
            let shared = home.share_images(&push.images, &push.registry_image, &observer).await?;
            printer.result(&json!({"images": shared}), || shown::shared_images(&shared))
        }
        What::Mend => {
            let mended = home.mend_swarm(&observer).await?;
            printer.result(&mended, || shown::mended(&mended))?;
            for name in &mended.doubtful {
                printer.warn(format!("{name} does not answer, but its host may be there: it stays on the list"));
            }
            Ok(())
        }
    }
}

fn listed<'n>(names: impl IntoIterator<Item = &'n String>, what: &str) -> String {
    names.into_iter().map(|name| format!("{name} {what}\n")).collect()
}

fn print(report: &SwarmReport, printer: &Printer) -> anyhow::Result<()> {
    let (ready, managers) = report.managers();
    printer.result(report, || shown::swarm(report))?;
    let lost = report.nodes.iter().filter(|node| node.state != "ready").count();
    if lost > 0 {
        printer.warn(format!("{lost} nodes are lost, {} of {managers} managers among them", managers - ready));
        printer.hint("`sdocker swarm mend` removes those whose hosts have ended");
    }
    if managers > 1 && ready * 2 <= managers + 1 {
        printer.warn("if one more manager is lost, the Swarm can't be changed any more; running tasks continue");
    }
    Ok(())
}
