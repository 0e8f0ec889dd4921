//! `sdocker terminate-current-host` and `sdocker terminate-host`.

use std::collections::HashMap;

use host_provisioner::{Ended, InstanceId, ProvisionError, PurgeReport, Record};
use serde::Serialize;

use crate::{
    client_files::HostFiles,
    failure::Hinted,
    interrupt,
    lookup::{KnownHost, Lookup},
    printer::Printer,
    progress::Progress,
    session::{self, Session},
    world::World,
};

/// Terminate the current host.
///
/// The instance is seen to go; then its context, credentials and records go. Docker's current context becomes what it was before.
#[derive(Debug, clap::Args)]
pub(crate) struct CurrentArgs {
    #[command(flatten)]
    purge: Purge,
}

/// Terminate one host, or all.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("which").required(true).args(["instance_id", "all"]))]
pub(crate) struct Args {
    /// The host.
    #[arg(long, value_name = "ID", value_parser = str::parse::<InstanceId>)]
    instance_id: Option<InstanceId>,
    /// Every host that this home knows, unfinished ones included.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    purge: Purge,
}

#[derive(Clone, Copy, Debug, clap::Args)]
struct Purge {
    /// Remove the security groups DockerHost and EFSDockerHost as well, unless something else uses them.
    #[arg(long)]
    purge: bool,
}

/// What was done, as `--output json` prints it.
#[derive(Debug, Default, Serialize)]
struct Done {
    terminated: Vec<One>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failed: Vec<Failed>,
    #[serde(skip_serializing_if = "Option::is_none")]
    purged: Option<Purged>,
}

#[derive(Debug, Serialize)]
struct Failed {
    host: String,
    error: String,
}

#[derive(Debug, Serialize)]
struct One {
    instance_id: Option<String>,
    /// Whether the instance had ended before.
    already: bool,
}

#[derive(Debug, Serialize)]
struct Purged {
    removed: Vec<String>,
    kept: Vec<String>,
}

impl From<PurgeReport> for Purged {
    fn from(report: PurgeReport) -> Self {
        Self { removed: report.removed, kept: report.kept }
    }
}

pub(crate) async fn run_current(args: &CurrentArgs, world: &World, printer: &Printer) -> anyhow::Result<()> {
    let lookup = Lookup::new(world);
    let target = Target::Known(Box::new(lookup.current()?));
    terminate(vec![target], args.purge, &lookup, world, printer).await
}

pub(crate) async fn run(args: &Args, world: &World, printer: &Printer) -> anyhow::Result<()> {
    let lookup = Lookup::new(world);
    let targets = match &args.instance_id {
        Some(instance) => {
            let known = lookup.hosts()?.into_iter().find(|host| host.instance == *instance);
            vec![known.map_or_else(|| Target::Unknown(instance.clone()), |host| Target::Known(Box::new(host)))]
        }
        None => {
            let mut targets: Vec<Target> =
                lookup.hosts()?.into_iter().map(|host| Target::Known(Box::new(host))).collect();
            let without_instance = lookup.journal.records()?.into_iter().filter(|record| record.instance.is_none());
            targets.extend(without_instance.map(|record| Target::Unfinished(Box::new(record))));
            targets
        }
    };
    terminate(targets, args.purge, &lookup, world, printer).await
}

enum Target {
    Known(Box<KnownHost>),
    /// A creation that got no instance, as far as its record knows.
    Unfinished(Box<Record>),
    /// An instance that may be a host of another home.
    Unknown(InstanceId),
}

impl Target {
    fn record(&self) -> Option<&Record> {
        match self {
            Self::Known(host) => host.record.as_ref(),
            Self::Unfinished(record) => Some(record),
            Self::Unknown(_) => None,
        }
    }
}

async fn terminate(
    targets: Vec<Target>,
    purge: Purge,
    lookup: &Lookup,
    world: &World,
    printer: &Printer,
) -> anyhow::Result<()> {
    let stop = interrupt::watch()?;
    let progress = Progress::new(printer);
    let mut done = Done::default();
    let mut failures = Vec::new();
    let mut clouds = HashMap::new();
    for target in targets {
        let region = target.record().map(|record| record.region.clone());
        if !clouds.contains_key(&region) {
            clouds.insert(region.clone(), session::clouds_for(world, region.as_ref(), printer).await?);
        }
        let provisioner = session::provisioner(&clouds[&region], lookup, &progress, stop.clone());
        let outcome = match (&target, target.record()) {
            (_, Some(record)) => progress.drive(provisioner.terminate(&record.host)).await,
            (Target::Known(host), None) => {
                let ended = progress.drive(provisioner.terminate_unrecorded(&host.instance, true)).await;
                if ended.is_ok()
                    && let Err(error) = HostFiles::new(lookup).forget_named(&host.name, &host.instance, None)
                {
                    printer.warn(format!("{} is gone, but not all that was kept of it: {error:#}", host.name));
                }
                ended
            }
            (Target::Unknown(instance), None) => {
                progress.drive(provisioner.terminate_unrecorded(instance, false)).await
            }
            (Target::Unfinished(_), None) => continue,
        };
        match outcome {
            Ok(terminated) => done.terminated.push(One {
                instance_id: terminated.instance.map(|instance| instance.to_string()),
                already: terminated.ended == Ended::Already,
            }),
            Err(error) => failures.push((target_name(&target), error)),
        }
    }
    if failures.is_empty() && purge.purge {
        done.purged = Some(purge_groups(lookup, world, printer, &progress, stop).await?.into());
    }
    done.failed =
        failures.iter().map(|(host, error)| Failed { host: host.clone(), error: error.to_string() }).collect();
    if failures.is_empty() || !done.terminated.is_empty() {
        printer.result(&done, || human(&done))?;
    }
    finish(failures, printer)
}

fn finish(mut failures: Vec<(String, ProvisionError)>, printer: &Printer) -> anyhow::Result<()> {
    match failures.len() {
        0 => Ok(()),
        1 => {
            let (name, error) = failures.remove(0);
            let remains = !matches!(error, ProvisionError::NotAHost { .. } | ProvisionError::Busy { .. });
            let error = anyhow::Error::new(error);
            Err(if remains {
                Hinted::new(format!("{name} could not be terminated")).remains(name).because(error)
            } else {
                error
            })
        }
        several => {
            let mut whole = Hinted::new(format!("{several} hosts could not be terminated"));
            for (name, error) in failures {
                let error = anyhow::Error::new(error);
                printer.error(format!("{name}: {error:#}"));
                whole = whole.remains(name).also(error);
            }
            Err(whole.into())
        }
    }
}

fn target_name(target: &Target) -> String {
    match target {
        Target::Known(host) => host.name.clone(),
        Target::Unfinished(record) => format!("host {}", record.host),
        Target::Unknown(instance) => instance.to_string(),
    }
}

async fn purge_groups(
    lookup: &Lookup,
    world: &World,
    printer: &Printer,
    progress: &Progress<'_>,
    stop: tokio_util::sync::CancellationToken,
) -> anyhow::Result<PurgeReport> {
    let session = Session::open(world, printer).await?;
    let environment = session.discover(printer).await?.environment;
    let provisioner = session::provisioner(&session.clouds, lookup, progress, stop);
    Ok(progress.drive(provisioner.purge(&environment.vpc, &environment.file_systems())).await?)
}

fn human(done: &Done) -> String {
    let mut lines: Vec<String> = done
        .terminated
        .iter()
        .map(|one| match (&one.instance_id, one.already) {
            (Some(instance), false) => format!("terminated {instance}"),
            (Some(instance), true) => format!("{instance} had ended already; its records are removed"),
            (None, _) => "an unfinished creation was cleared".to_owned(),
        })
        .collect();
    if lines.is_empty() {
        lines.push("no hosts to terminate".to_owned());
    }
    if let Some(purged) = &done.purged {
        lines.extend(purged.removed.iter().map(|what| format!("removed {what}")));
        lines.extend(purged.kept.iter().map(|what| format!("kept {what}")));
    }
    lines.join("\n")
}
