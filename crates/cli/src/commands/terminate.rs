//! `sdocker terminate-current-host` and `sdocker terminate-host`.

use std::collections::HashMap;

use host_provisioner::{Ended, InstanceId, ProvisionError, Provisioner, PurgeReport, Record, Terminated};
use serde::Serialize;

use crate::{
    client_files::HostFiles,
    failure::Hinted,
    interrupt::{Interrupt, Work, Working},
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
    /// Hosts that an interrupted command did not terminate, or not to the end.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    left: Vec<String>,
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

pub(crate) async fn run_current(
    args: &CurrentArgs,
    world: &World,
    printer: &Printer,
    interrupt: &Interrupt,
) -> anyhow::Result<()> {
    let lookup = Lookup::new(world);
    let target = Target::Known(Box::new(lookup.current()?));
    terminate(vec![target], args.purge, &lookup, world, printer, interrupt).await
}

pub(crate) async fn run(args: &Args, world: &World, printer: &Printer, interrupt: &Interrupt) -> anyhow::Result<()> {
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
    terminate(targets, args.purge, &lookup, world, printer, interrupt).await
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
    interrupt: &Interrupt,
) -> anyhow::Result<()> {
    let working = interrupt.begin(work(&targets))?;
    let progress = Progress::new(printer);
    let mut done = Done::default();
    let mut failures = Vec::new();
    let mut clouds = HashMap::new();
    let mut unfinished = None;
    for target in targets {
        let name = target_name(&target);
        if !working.take_on(target.record().map(|record| &record.host)) {
            done.left.push(name);
            continue;
        }
        let region = target.record().map(|record| record.region.clone());
        if !clouds.contains_key(&region) {
            let opening = session::clouds_for(world, region.as_ref(), printer);
            let Some(opened) = interrupt.for_a_moment(opening).await else {
                done.left.push(name);
                continue;
            };
            clouds.insert(region.clone(), opened?);
        }
        let provisioner = session::provisioner(&clouds[&region], lookup, &progress, interrupt.stop().clone());
        let outcome = interrupt.for_a_moment(progress.drive(end(&target, &provisioner, lookup, printer))).await;
        let is_stopped = interrupt.stop().is_cancelled();
        match outcome {
            Some(Ok(terminated)) => done.terminated.push(One {
                instance_id: terminated.instance.map(|instance| instance.to_string()),
                already: terminated.ended == Ended::Already,
            }),
            Some(Err(error)) if !(is_stopped && matches!(error, ProvisionError::StillThere { .. })) => {
                failures.push((name, error));
            }
            // Asked to stop, an instance is not seen to go.
            _ => {
                done.left.push(name.clone());
                unfinished = Some(name);
            }
        }
    }
    if failures.is_empty() && done.left.is_empty() && purge.purge {
        let purging = purge_groups(lookup, world, printer, &progress, interrupt.stop().clone());
        done.purged = interrupt.for_a_moment(purging).await.transpose()?.map(Purged::from);
    }
    done.failed =
        failures.iter().map(|(host, error)| Failed { host: host.clone(), error: error.to_string() }).collect();
    if (failures.is_empty() && done.left.is_empty()) || !done.terminated.is_empty() {
        printer.result(&done, || human(&done))?;
    }
    if !done.left.is_empty() {
        return Err(stopped(&done, unfinished.as_deref(), failures, working).into());
    }
    if purge.purge && failures.is_empty() && done.purged.is_none() {
        let again = "`sdocker terminate-host --all --purge` removes them, once no host is left";
        return Err(Hinted::new("interrupted before the security groups were removed").hint(again).into());
    }
    finish(failures, printer)
}

fn work(targets: &[Target]) -> Work {
    let stopping = match targets {
        [one] => format!("the termination of {} is being finished", target_name(one)),
        _ => "after the host that is being terminated".to_owned(),
    };
    Work { stopping, leaves: "the host that is being terminated, and those after it".to_owned(), host: None }
}

async fn end(
    target: &Target,
    provisioner: &Provisioner,
    lookup: &Lookup,
    printer: &Printer,
) -> Result<Terminated, ProvisionError> {
    match target {
        Target::Unfinished(record) => provisioner.terminate(&record.host).await,
        Target::Known(host) => match &host.record {
            Some(record) => provisioner.terminate(&record.host).await,
            None => {
                let ended = provisioner.terminate_unrecorded(&host.instance, true).await;
                if ended.is_ok()
                    && let Err(error) = HostFiles::new(lookup).forget_named(&host.name, &host.instance, None)
                {
                    printer.warn(format!("{} is gone, but not all that was kept of it: {error:#}", host.name));
                }
                ended
            }
        },
        Target::Unknown(instance) => provisioner.terminate_unrecorded(instance, false).await,
    }
}

/// Says of an interrupted command what is left.
fn stopped(
    done: &Done,
    unfinished: Option<&str>,
    failures: Vec<(String, ProvisionError)>,
    working: Working<'_>,
) -> Hinted {
    let count = done.terminated.len();
    let all = count + done.left.len() + failures.len();
    let mut error = Hinted::new(format!("interrupted: {count} of {all} hosts terminated"));
    for (name, failure) in failures {
        error = error.remains(name).also(failure);
    }
    for name in &done.left {
        if unfinished != Some(name.as_str()) {
            error = error.leaves(format!("{name}, which nothing was done to"));
        }
    }
    let error = match unfinished {
        Some(name) => working.hand_on(error, &format!("{name}, which is being terminated")),
        None => error,
    };
    error.hint("`sdocker terminate-host --all` goes on; `sdocker list-hosts` shows what is left")
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
