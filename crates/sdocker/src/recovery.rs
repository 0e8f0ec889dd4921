//! Settling what interrupted work left, and finding hosts without a record.

use std::time::Duration;

use host_provisioner::{Adoption, Entry, HostId, Place, ProvisionError, Record, Recovered};
use serde::Serialize;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    Error, Observer, Stop, Surroundings, config,
    disk::Disk,
    history::History,
    layout::host_name,
    lookup::{self, Lookup},
    places::Places,
    progress::Progress,
    session::{self, Session},
};

/// How long nothing is done before what a process left is tried again.
const PAUSE: Duration = Duration::from_secs(20);

/// What to do with hosts of this user that have no record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unrecorded {
    /// List them.
    #[default]
    List,
    /// Take them back into use, where their credentials are on shared storage. Those that are stopped stay so, and can be started.
    Adopt,
    /// Terminate them.
    Terminate,
}

/// What a recovery came to.
#[derive(Debug, Default, Serialize)]
#[non_exhaustive]
pub struct Recovery {
    /// The records that were looked at.
    pub settled: Vec<Settled>,
    /// Records that can not be read, each with where it was put.
    pub unusable: Vec<String>,
    /// Hosts of this user that have no record.
    pub orphans: Vec<Orphan>,
    /// Hosts that an interrupted command did not settle.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<String>,
    /// What is not settled, where anything is not.
    #[serde(skip)]
    pub failure: Option<Error>,
}

/// What became of a record.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct Settled {
    /// The host: its name, or the id of its record.
    pub host: String,
    /// The name of its record.
    pub record: String,
    /// `adopted`, `undone`, `terminated`, `ended`, `unknown`, `busy` or `failed`.
    pub outcome: &'static str,
    /// What was done for it, or what is in the way.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<String>,
}

/// A host of this user that has no record in this home.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct Orphan {
    /// Its instance.
    pub instance_id: String,
    /// The instance's type.
    pub instance_type: String,
    /// EC2's name of the instance's state.
    pub state: &'static str,
    /// When it was launched.
    pub launched: Option<String>,
    /// `listed`, `adopted`, `terminated` or `failed`.
    pub outcome: &'static str,
    /// Of one that is stopped and was adopted: its disk, and until when it is to be decided what becomes of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk: Option<Disk>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// Finishes interrupted creations whose host came up, undoes the others, finishes interrupted terminations, and looks for hosts of this
/// user that have no record.
///
/// # Cancel safety
/// Not to be dropped while it changes something; what is settled stays settled, and another recovery goes on with the rest.
///
/// # Errors
/// A journal or settings that can't be read. What can't be settled is no error: it is in [`Recovery::failure`].
pub async fn recover(
    wish: Unrecorded,
    surroundings: &Surroundings,
    observer: &dyn Observer,
    stop: &dyn Stop,
) -> crate::Result<Recovery> {
    let lookup = Lookup::new(surroundings);
    let progress = Progress::new(observer);
    let session = match Session::open(surroundings, observer).await {
        Ok(session) => Some(session),
        // Records can be settled outside Studio as well: they know their Region.
        Err(error) => {
            observer.warn(format!("cannot look for hosts without a record: {error:#}"));
            None
        }
    };
    let environment = match &session {
        Some(session) => match session.discover(observer).await {
            Ok(discovery) => Some(discovery.environment),
            Err(error) => {
                observer.warn(format!("cannot look for hosts without a record: {error:#}"));
                None
            }
        },
        None => None,
    };
    let mut places = Places::new(surroundings, observer);
    let mut report = Recovery::default();
    let mut settled_records = Vec::new();
    let mut unreadable = Vec::new();
    let mut by_place: Vec<(Place, Vec<Record>)> = Vec::new();
    for entry in lookup.journal.entries()? {
        match entry {
            Entry::Idle(record) => match by_place.iter_mut().find(|(place, _)| *place == record.place) {
                Some((_, records)) => records.push(record),
                None => by_place.push((record.place.clone(), vec![record])),
            },
            Entry::Busy(record) => settled_records.push((record, Recovered::Busy)),
            Entry::Unusable(error) => {
                let record = error.path().map(|path| path.display().to_string());
                unreadable.push(record.unwrap_or_else(|| "a record".to_owned()));
                report.unusable.push(lookup::unusable(&error));
            }
        }
    }
    if !stop.take_on(None) {
        return Err(ProvisionError::Interrupted.into());
    }
    let mut failed = Error::new("not everything could be cleaned up").of_recovery();
    let mut all_settled = unreadable.is_empty();
    for record in unreadable {
        failed = failed.remains(format!("whatever is named in {record}, which can't be read"));
    }
    for (place, records) in by_place {
        let clouds = match places.of(Some(&place)).await {
            Ok(clouds) => clouds,
            Err(error) => {
                let text = format!("{error:#}");
                for record in records {
                    report.settled.push(Settled {
                        host: name(&record),
                        record: record.host.to_string(),
                        outcome: "unknown",
                        details: vec![text.clone()],
                    });
                    // Of a host in use nothing is left to do; it was only not looked at.
                    if record.is_unfinished() {
                        failed = failed.remains(format!("{}: {text}", name(&record)));
                        all_settled = false;
                    }
                }
                failed = failed.also(error);
                continue;
            }
        };
        let provisioner = session::provisioner(&clouds, &lookup, &progress, stop.token().clone());
        let (settled, left) = progress.drive(provisioner.settle_all(records)).await;
        settled_records.extend(settled);
        for record in left {
            all_settled = false;
            failed = failed.remains(format!("{}, which was not settled", name(&record)));
            report.left.push(name(&record));
        }
    }
    for (record, outcome) in settled_records {
        report.settled.push(settled(&record, &outcome));
        if let Recovered::Failed(error) | Recovered::Unknown(error) = outcome {
            all_settled = false;
            if error.remains().is_empty() {
                failed = failed.remains(format!("{}: {error}", name(&record)));
            }
            failed = failed.also(error);
        }
    }

    let port = config::read(&lookup.layout.configuration_files())?.host.daemon_port;
    if stop.token().is_cancelled() {
        failed = failed.hint("it was interrupted: `sdocker recover` goes on");
    } else if let (Some(session), Some(environment)) = (&session, &environment) {
        let provisioner = session::provisioner(&session.clouds, &lookup, &progress, stop.token().clone());
        let me = (&environment.domain, &environment.owner);
        let orphans = progress.drive(provisioner.hosts_without_record(me.0, me.1)).await;
        let orphans = orphans.unwrap_or_else(|error| {
            observer.warn(format!("cannot look for hosts without a record: {error}"));
            Vec::new()
        });
        for instance in &orphans {
            let outcome = if stop.token().is_cancelled() {
                Ok("listed")
            } else if wish == Unrecorded::Terminate {
                let ended = progress.drive(provisioner.terminate_unrecorded(&instance.id, false, Some(me))).await;
                ended.map(|_| "terminated").map_err(Error::from)
            } else if wish == Unrecorded::Adopt {
                match progress.drive(provisioner.adopt_unrecorded(instance, environment, port)).await {
                    Ok(Adoption::Adopted) => Ok("adopted"),
                    Ok(Adoption::NoAnswer { why } | Adoption::Never { why }) => Err(Error::new(why)),
                    Err(error) => Err(error.into()),
                }
            } else {
                Ok("listed")
            };
            let (outcome, why) = match outcome {
                Ok(outcome) => (outcome, None),
                Err(error) => {
                    let why = format!("{error:#}");
                    observer.error(format!("{}: {why}", instance.id));
                    all_settled = false;
                    failed = failed.remains(format!("instance {}", instance.id)).also(error);
                    ("failed", Some(why))
                }
            };
            let disk = if outcome == "adopted" && instance.state.is_stopped() {
                let records = lookup.journal.records()?;
                let adopted = |record: &&Record| record.instance.as_ref().is_some_and(|known| known.id == instance.id);
                records.iter().find(adopted).and_then(|record| Disk::of(record, true, &History::read(&lookup.layout)))
            } else {
                None
            };
            report.orphans.push(Orphan {
                instance_id: instance.id.to_string(),
                instance_type: instance.instance_type.to_string(),
                state: instance.state.as_str(),
                launched: instance.launched.map(|time| time.to_string()),
                outcome,
                disk,
                why,
            });
        }
    }
    if !all_settled || stop.token().is_cancelled() {
        report.failure = Some(failed);
    }
    Ok(report)
}

fn name(record: &Record) -> String {
    match &record.instance {
        Some(instance) => host_name(&record.instance_type, &instance.id),
        None => format!("{} of {}", record.instance_type, record.created.strftime("%Y-%m-%d %H:%MZ")),
    }
}

fn settled(record: &Record, outcome: &Recovered) -> Settled {
    let (outcome, details) = match outcome {
        Recovered::Adopted => ("adopted", Vec::new()),
        Recovered::Undone(report) => ("undone", report.undone.clone()),
        Recovered::Terminated => ("terminated", Vec::new()),
        Recovered::Ended => ("ended", Vec::new()),
        Recovered::Busy => ("busy", Vec::new()),
        Recovered::Unknown(error) => ("unknown", vec![error.to_string()]),
        Recovered::Failed(error) => ("failed", [vec![error.to_string()], error.remains()].concat()),
    };
    Settled { host: name(record), record: record.host.to_string(), outcome, details }
}

/// Finishes or undoes what a process that was ended left of hosts, the first of them last: what it made for all is finished then.
pub(crate) async fn finish_all(
    hosts: &[HostId],
    within: Duration,
    surroundings: &Surroundings,
    observer: &dyn Observer,
    stop: &CancellationToken,
) -> crate::Result<()> {
    let deadline = Instant::now() + within;
    let mut failed = None;
    for host in hosts.iter().rev() {
        if let Err(error) = finish_by(host, deadline, surroundings, observer, stop).await {
            tracing::error!("finishing host {host}: {error:#}");
            failed.get_or_insert(error);
        }
    }
    failed.map_or(Ok(()), Err)
}

async fn finish_by(
    host: &HostId,
    deadline: Instant,
    surroundings: &Surroundings,
    observer: &dyn Observer,
    stop: &CancellationToken,
) -> crate::Result<()> {
    loop {
        match finish(host, surroundings, observer, stop.clone()).await {
            Err(error) if Instant::now() + PAUSE < deadline => {
                tracing::warn!("finishing host {host}: {error:#}; it is tried again");
                sleep(PAUSE).await;
            }
            outcome => return outcome,
        }
    }
}

/// Finishes or undoes what a process that was ended left of one host; nothing where nothing is left to do.
///
/// # Cancel safety
/// As of [`recover`].
///
/// # Errors
/// It can't be settled now: the cloud does not answer, or another process works on the host.
pub(crate) async fn finish(
    host: &HostId,
    surroundings: &Surroundings,
    observer: &dyn Observer,
    stop: CancellationToken,
) -> crate::Result<()> {
    let lookup = Lookup::new(surroundings);
    let Some(record) = lookup.journal.records()?.into_iter().find(|record| record.host == *host) else { return Ok(()) };
    if !record.is_unfinished() {
        return Ok(());
    }
    tracing::info!("finishing host {host}, as the process that worked on it was ended");
    let clouds = Places::new(surroundings, observer).of(Some(&record.place)).await?;
    let progress = Progress::new(observer);
    let provisioner = session::provisioner(&clouds, &lookup, &progress, stop);
    match progress.drive(provisioner.finish(host)).await? {
        Some(Recovered::Undone(report)) => {
            tracing::info!("host {host}: creation undone: {}", report.undone.join(", "));
        }
        Some(Recovered::Failed(error) | Recovered::Unknown(error)) => return Err(error.into()),
        Some(Recovered::Busy) => return Err(Error::new("another process is working on it")),
        Some(outcome) => tracing::info!("host {host}: {outcome:?}"),
        None => {}
    }
    Ok(())
}
