//! `sdocker swarm`: the Docker Swarm of this home's hosts.

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use sdocker::{
    Home, HostSelector, durations,
    swarm::{Job, REGISTRY_IMAGE, SharedImage, SwarmReport},
};
use sdocker_console::{Printer, Progress, align};
use serde::Serialize;
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
                let done = home.remove_from_swarm(host, remove.timeout, &observer).await?;
                removed.push(json!({"host": done.host, "moved_tasks": done.moved}));
            }
            printer.result(&json!({"removed": removed}), || {
                let names: Vec<String> =
                    removed.iter().filter_map(|host| Some(host["host"].as_str()?.to_owned())).collect();
                listed(&names, "is no longer a node of the Swarm")
            })
        }
        What::Push(push) => {
            let shared = home.share_images(&push.images, &push.registry_image, &observer).await?;
            let value: Vec<_> = shared
                .iter()
                .map(|one| json!({"image": one.image, "shared_as": one.shared, "hosts": one.hosts}))
                .collect();
            printer.result(&json!({"images": value}), || {
                let line =
                    |one: &SharedImage| format!("{} is {} on {} nodes\n", one.image, one.shared, one.hosts.len());
                shared.iter().map(line).collect::<String>()
            })
        }
        What::Mend => {
            let mended = home.mend_swarm(&observer).await?;
            let value = json!({"removed": mended.removed, "promoted": mended.promoted, "doubtful": mended.doubtful});
            printer.result(&value, || {
                let mut text = listed(&mended.removed, "has ended, and was removed from the Swarm");
                text += &listed(&mended.promoted, "is a manager now");
                if text.is_empty() { "there was nothing to mend\n".to_owned() } else { text }
            })?;
            for name in &mended.doubtful {
                printer.warn(format!("{name} does not answer, but its host may be there: it stays on the list"));
            }
            Ok(())
        }
    }
}

fn listed(names: &[String], what: &str) -> String {
    names.iter().map(|name| format!("{name} {what}\n")).collect()
}

/// A Swarm, as `--output json` prints it.
#[derive(Debug, Serialize)]
struct Shown {
    nodes: Vec<Node>,
    managers: usize,
    managers_ready: usize,
    waiting_tasks: usize,
    jobs: Vec<ShownJob>,
}

#[derive(Debug, Serialize)]
struct Node {
    name: String,
    role: &'static str,
    leader: bool,
    state: String,
    availability: String,
    running_tasks: usize,
    labels: BTreeMap<String, String>,
    expires: Option<String>,
}

#[derive(Debug, Serialize)]
struct ShownJob {
    name: String,
    wanted: u64,
    completed: u64,
    running: usize,
    repeated: Vec<Repeated>,
}

/// A run of a job that was started more than once.
#[derive(Debug, Serialize)]
struct Repeated {
    run: u64,
    nodes: Vec<String>,
}

impl ShownJob {
    fn of(job: &Job) -> Self {
        let repeated = job.repeated.iter().map(|(run, nodes)| Repeated { run: *run, nodes: nodes.clone() });
        Self {
            name: job.name.clone(),
            wanted: job.wanted,
            completed: job.completed,
            running: job.running,
            repeated: repeated.collect(),
        }
    }
}

fn print(report: &SwarmReport, printer: &Printer) -> anyhow::Result<()> {
    let (ready, managers) = report.managers();
    let node = |node: &sdocker::swarm::NodeReport| Node {
        name: node.name.clone(),
        role: if node.manager { "manager" } else { "worker" },
        leader: node.leader,
        state: node.state.clone(),
        availability: node.availability.clone(),
        running_tasks: node.running,
        labels: node.labels.clone(),
        expires: node.expires.map(|expires| expires.to_string()),
    };
    let shown = Shown {
        nodes: report.nodes.iter().map(node).collect(),
        managers,
        managers_ready: ready,
        waiting_tasks: report.waiting,
        jobs: report.jobs.iter().map(ShownJob::of).collect(),
    };
    printer.result(&shown, || human(&shown))?;
    let lost = shown.nodes.iter().filter(|node| node.state != "ready").count();
    if lost > 0 {
        printer.warn(format!("{lost} nodes are lost, {} of {managers} managers among them", managers - ready));
        printer.hint("`sdocker swarm mend` removes those whose hosts have ended");
    }
    if managers > 1 && ready * 2 <= managers + 1 {
        printer.warn("if one more manager is lost, the Swarm can't be changed any more; running tasks continue");
    }
    Ok(())
}

fn human(shown: &Shown) -> String {
    let rows = shown.nodes.iter().map(|node| {
        let role = if node.leader { "leader" } else { node.role };
        let label = |key: &str| node.labels.get(key).cloned().unwrap_or_default();
        let state = match node.availability.as_str() {
            "active" => node.state.clone(),
            availability => format!("{}, {availability}", node.state),
        };
        let expires = node.expires.as_deref().and_then(|expires| expires.split('.').next()).unwrap_or_default();
        [
            node.name.clone(),
            role.to_owned(),
            state,
            node.running_tasks.to_string(),
            label("sdocker.zone"),
            label("sdocker.market"),
            expires.to_owned(),
        ]
    });
    let head = ["NODE", "ROLE", "STATE", "TASKS", "ZONE", "MARKET", "EXPIRES"];
    let mut text = align(Some(head.into()), rows);
    if !text.ends_with('\n') {
        text.push('\n');
    }
    if shown.waiting_tasks > 0 {
        let _ = writeln!(text, "{} tasks wait for a node", shown.waiting_tasks);
    }
    for job in &shown.jobs {
        let running = if job.running > 0 { format!(", {} running", job.running) } else { String::new() };
        let _ = writeln!(text, "job {}: {} of {} done{running}", job.name, job.completed, job.wanted);
        for Repeated { run, nodes } in &job.repeated {
            let _ = writeln!(text, "  run {run} was started more than once: {}", nodes.join(", then "));
        }
    }
    text
}
