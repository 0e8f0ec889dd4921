//! `sdocker terminate-current-host` and `sdocker terminate-host`.

use host_provisioner::{
    Ended, Entry, InstanceId, JournalError, Place, ProvisionError, Provisioner, PurgeReport, Record, ResourceKind,
    Terminated,
};
use serde::Serialize;
use studio_discovery::{DomainId, UserProfileName};

use sdocker::{
    Error, Surroundings,
    client_files::HostFiles,
    lookup::{self, KnownHost, Lookup},
    places::Places,
    progress::Progress as Driven,
    session::{self, Session},
};

use crate::{
    interrupt::{Interrupt, Work, Working},
    printer::Printer,
    progress::Progress,
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
    surroundings: &Surroundings,
    printer: &Printer,
    interrupt: &Interrupt,
) -> anyhow::Result<()> {
    let lookup = Lookup::new(surroundings);
    // What ends a host never takes another one instead.
    let host = lookup
        .current(|other| format!("`sdocker terminate-host --instance-id {}` ends {}", other.instance, other.name))?;
    terminate(vec![Target::Known(Box::new(host))], args.purge, &lookup, surroundings, printer, interrupt).await
}

pub(crate) async fn run(
    args: &Args,
    surroundings: &Surroundings,
    printer: &Printer,
    interrupt: &Interrupt,
) -> anyhow::Result<()> {
    let lookup = Lookup::new(surroundings);
    let hosts = lookup.hosts()?;
    // A creation whose instance has no address yet is no host that could be used, but one that can be ended.
    let without_address = lookup.journal.records()?.into_iter().filter(|record| record.instance.is_none());
    let mut unfinished = without_address.map(|record| Target::Unfinished(Box::new(record)));
    let targets = match &args.instance_id {
        Some(instance) => {
            let known = hosts.into_iter().find(|host| host.instance == *instance);
            let known = known.map(|host| Target::Known(Box::new(host)));
            let known = known.or_else(|| unfinished.find(|target| target.launched(instance)));
            vec![known.unwrap_or_else(|| Target::Unknown(instance.clone()))]
        }
        None => {
            let mut targets: Vec<Target> = hosts.into_iter().map(|host| Target::Known(Box::new(host))).collect();
            targets.extend(unfinished);
            targets.extend(lookup.journal.entries()?.into_iter().filter_map(|entry| match entry {
                Entry::Unusable(error) => Some(Target::Unreadable(error)),
                Entry::Idle(_) | Entry::Busy(_) => None,
            }));
            targets
        }
    };
    terminate(targets, args.purge, &lookup, surroundings, printer, interrupt).await
}

enum Target {
    Known(Box<KnownHost>),
    /// A creation that got no instance, as far as its record knows, or none with an address.
    Unfinished(Box<Record>),
    /// An instance that may be a host of another home.
    Unknown(InstanceId),
    /// A host of which nothing is known, because its record can't be read.
    Unreadable(JournalError),
}

impl Target {
    fn record(&self) -> Option<&Record> {
        match self {
            Self::Known(host) => host.record.as_ref(),
            Self::Unfinished(record) => Some(record),
            Self::Unknown(_) | Self::Unreadable(_) => None,
        }
    }

    /// Whether its creation launched this instance.
    fn launched(&self, instance: &InstanceId) -> bool {
        let resources = self.record().map(|record| record.resources.as_slice()).unwrap_or_default();
        resources
            .iter()
            .any(|resource| matches!(&resource.kind, ResourceKind::Instance { id: Some(id), .. } if id == instance))
    }

    fn place(&self) -> Option<Place> {
        match self {
            Self::Known(host) => host.place(),
            _ => self.record().map(Record::place),
        }
    }
}

async fn terminate(
    targets: Vec<Target>,
    purge: Purge,
    lookup: &Lookup,
    surroundings: &Surroundings,
    printer: &Printer,
    interrupt: &Interrupt,
) -> anyhow::Result<()> {
    let working = interrupt.begin(work(&targets))?;
    let observer = Progress::new(printer);
    let progress = Driven::new(&observer);
    let mut done = Done::default();
    let mut failures: Vec<(String, Error)> = Vec::new();
    let mut places = Places::new(surroundings, &observer);
    let mut owner = None;
    let mut unfinished = None;
    for target in targets {
        let name = target_name(&target);
        if !working.take_on(target.record().map(|record| &record.host)) {
            done.left.push(name);
            continue;
        }
        let ending = async {
            let clouds = match &target {
                Target::Unreadable(error) => return Err(Error::new(lookup::unusable(error))),
                target => places.of(target.place().as_ref()).await?,
            };
            let provisioner = session::provisioner(&clouds, lookup, &progress, interrupt.stop().clone());
            // A host without a record is ended only where its tags say that it is this user's.
            if target.record().is_none() && owner.is_none() {
                owner = places.owner(lookup).await;
            }
            let owner = owner.as_ref().map(|(domain, owner)| (domain, owner));
            Ok(progress.drive(end(&target, owner, &provisioner, lookup, printer)).await?)
        };
        let outcome = interrupt.for_a_moment(ending).await;
        let is_stopped = interrupt.stop().is_cancelled();
        match outcome {
            Some(Ok(terminated)) => done.terminated.push(One {
                instance_id: terminated.instance.map(|instance| instance.to_string()),
                already: terminated.ended == Ended::Already,
            }),
            Some(Err(error)) if !(is_stopped && matches!(error.cause(), Some(ProvisionError::StillThere { .. }))) => {
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
        let purging = purge_groups(lookup, surroundings, &observer, &progress, interrupt.stop().clone());
        done.purged = interrupt.for_a_moment(purging).await.transpose()?.map(Purged::from);
    }
    done.failed =
        failures.iter().map(|(host, error)| Failed { host: host.clone(), error: format!("{error:#}") }).collect();
    if (failures.is_empty() && done.left.is_empty()) || !done.terminated.is_empty() {
        printer.result(&done, || human(&done))?;
    }
    if !done.left.is_empty() {
        return Err(stopped(&done, unfinished.as_deref(), failures, working).into());
    }
    if purge.purge && failures.is_empty() && done.purged.is_none() {
        let again = "`sdocker terminate-host --all --purge` removes them, once no host is left";
        return Err(Error::new("interrupted before the security groups were removed").hint(again).into());
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
    owner: Option<(&DomainId, &UserProfileName)>,
    provisioner: &Provisioner,
    lookup: &Lookup,
    printer: &Printer,
) -> Result<Terminated, ProvisionError> {
    match target {
        Target::Unfinished(record) => provisioner.terminate(&record.host).await,
        Target::Known(host) => match &host.record {
            Some(record) => provisioner.terminate(&record.host).await,
            None => {
                let ended = provisioner.terminate_unrecorded(&host.instance, true, owner).await;
                if ended.is_ok()
                    && let Err(error) = HostFiles::new(lookup).forget_named(&host.name, &host.instance, None)
                {
                    printer.warn(format!("{} is gone, but not all that was kept of it: {error:#}", host.name));
                }
                ended
            }
        },
        Target::Unreadable(_) => unreachable!("it was refused"),
        Target::Unknown(instance) => provisioner.terminate_unrecorded(instance, false, owner).await,
    }
}

/// Says of an interrupted command what is left.
fn stopped(done: &Done, unfinished: Option<&str>, failures: Vec<(String, Error)>, working: Working<'_>) -> Error {
    let count = done.terminated.len();
    let all = count + done.left.len() + failures.len();
    let mut error = Error::new(format!("interrupted: {count} of {all} hosts terminated"));
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

/// Whether a host that was to be ended may be there still, beside what the error itself lists.
fn may_remain(error: &Error) -> bool {
    match error.cause::<ProvisionError>() {
        Some(ProvisionError::NotAHost { .. } | ProvisionError::NotYours { .. } | ProvisionError::Busy { .. }) => false,
        Some(error) => error.remains().is_empty(),
        None => true,
    }
}

fn finish(mut failures: Vec<(String, Error)>, printer: &Printer) -> anyhow::Result<()> {
    match failures.len() {
        0 => Ok(()),
        1 => {
            let (name, error) = failures.remove(0);
            let refused = matches!(
                error.cause(),
                Some(ProvisionError::NotAHost { .. } | ProvisionError::NotYours { .. } | ProvisionError::Busy { .. })
            );
            if refused {
                return Err(error.into());
            }
            let mut whole = Error::new(format!("{name} could not be terminated"));
            if may_remain(&error) {
                whole = whole.remains(name);
            }
            Err(whole.because(error).into())
        }
        several => {
            let mut whole = Error::new(format!("{several} hosts could not be terminated"));
            for (name, error) in failures {
                printer.error(format!("{name}: {error:#}"));
                if may_remain(&error) {
                    whole = whole.remains(name);
                }
                whole = whole.also(error);
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
        Target::Unreadable(_) => "a host whose record can't be read".to_owned(),
    }
}

async fn purge_groups(
    lookup: &Lookup,
    surroundings: &Surroundings,
    observer: &Progress<'_>,
    progress: &Driven<'_>,
    stop: tokio_util::sync::CancellationToken,
) -> sdocker::Result<PurgeReport> {
    let session = Session::open(surroundings, observer).await?;
    let environment = session.discover(observer).await?.environment;
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
