//! `sdocker recover`.

use host_provisioner::{Adoption, Entry, Place, Record, Recovered};
use serde::Serialize;

use sdocker::{
    Error, Surroundings, config,
    layout::host_name,
    lookup::{self, Lookup},
    places::Places,
    progress::Progress as Driven,
    session::{self, Session},
};

use crate::{
    interrupt::{Interrupt, Work},
    printer::Printer,
    progress::Progress,
};

/// Settle what interrupted commands left, and find hosts without a record.
///
/// An interrupted creation is finished where its host came up, and undone otherwise; an interrupted termination is finished.
/// Hosts of this user that no record knows are listed; `--adopt` makes records of them, `--terminate` ends them.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Terminate hosts of this user that have no record.
    #[arg(long, conflicts_with = "adopt")]
    terminate: bool,
    /// Take hosts of this user that have no record back into use, where their credentials are on shared storage.
    #[arg(long)]
    adopt: bool,
}

#[derive(Debug, Default, Serialize)]
struct Report {
    settled: Vec<Settled>,
    unusable: Vec<String>,
    orphans: Vec<Orphan>,
    /// Hosts that an interrupted command did not settle.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    left: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Settled {
    host: String,
    /// `adopted`, `undone`, `terminated`, `ended`, `unknown`, `busy` or `failed`.
    outcome: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    details: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Orphan {
    instance_id: String,
    instance_type: String,
    state: &'static str,
    launched: Option<String>,
    /// `listed`, `adopted`, `terminated` or `failed`.
    outcome: &'static str,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

pub(crate) async fn run(
    args: &Args,
    surroundings: &Surroundings,
    printer: &Printer,
    interrupt: &Interrupt,
) -> anyhow::Result<()> {
    let lookup = Lookup::new(surroundings);
    let observer = Progress::new(printer);
    let progress = Driven::new(&observer);
    let session = match Session::open(surroundings, &observer).await {
        Ok(session) => Some(session),
        // Records can be settled outside Studio as well: they know their Region.
        Err(error) => {
            printer.warn(format!("hosts without a record can't be looked for: {error:#}"));
            None
        }
    };
    let environment = match &session {
        Some(session) => match session.discover(&observer).await {
            Ok(discovery) => Some(discovery.environment),
            Err(error) => {
                printer.warn(format!("hosts without a record can't be looked for: {error:#}"));
                None
            }
        },
        None => None,
    };
    let mut places = Places::new(surroundings, &observer);
    let mut report = Report::default();
    let mut settled_records = Vec::new();
    let mut by_place: Vec<(Place, Vec<Record>)> = Vec::new();
    for entry in lookup.journal.entries()? {
        match entry {
            Entry::Idle(record) => match by_place.iter_mut().find(|(place, _)| *place == record.place()) {
                Some((_, records)) => records.push(record),
                None => by_place.push((record.place(), vec![record])),
            },
            Entry::Busy(record) => settled_records.push((record, Recovered::Busy)),
            Entry::Unusable(error) => report.unusable.push(lookup::unusable(&error)),
        }
    }
    let _working = interrupt.begin(Work {
        stopping: "what is settled stays settled, the rest is left as it is".to_owned(),
        leaves: "what was not settled".to_owned(),
        host: None,
    })?;
    let mut failed = Error::new("not everything could be settled");
    let mut all_settled = report.unusable.is_empty();
    for (place, records) in by_place {
        let clouds = match places.of(Some(&place)).await {
            Ok(clouds) => clouds,
            Err(error) => {
                let text = format!("{error:#}");
                for record in records {
                    report.settled.push(Settled {
                        host: name(&record),
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
        let provisioner = session::provisioner(&clouds, &lookup, &progress, interrupt.stop().clone());
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
    if interrupt.stop().is_cancelled() {
        failed = failed.hint("it was interrupted: `sdocker recover` goes on");
    } else if let (Some(session), Some(environment)) = (&session, &environment) {
        let provisioner = session::provisioner(&session.clouds, &lookup, &progress, interrupt.stop().clone());
        let me = (&environment.domain, &environment.owner);
        let orphans = progress.drive(provisioner.hosts_without_record(me.0, me.1)).await;
        let orphans = orphans.unwrap_or_else(|error| {
            printer.warn(format!("hosts without a record can't be looked for: {error}"));
            Vec::new()
        });
        for instance in &orphans {
            let outcome = if interrupt.stop().is_cancelled() {
                Ok("listed")
            } else if args.terminate {
                let ended = progress.drive(provisioner.terminate_unrecorded(&instance.id, false, Some(me))).await;
                ended.map(|_| "terminated").map_err(Error::from)
            } else if args.adopt {
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
                    printer.error(format!("{}: {why}", instance.id));
                    all_settled = false;
                    failed = failed.remains(format!("instance {}", instance.id)).also(error);
                    ("failed", Some(why))
                }
            };
            report.orphans.push(Orphan {
                instance_id: instance.id.to_string(),
                instance_type: instance.instance_type.to_string(),
                state: instance.state.as_str(),
                launched: instance.launched.map(|time| time.to_string()),
                outcome,
                why,
            });
        }
    }
    printer.result(&report, || human(&report))?;
    if report.orphans.iter().any(|orphan| orphan.outcome == "listed") {
        printer.hint(
            "`sdocker recover --adopt` takes hosts without a record into use, `sdocker recover --terminate` ends them",
        );
    }
    if all_settled && !interrupt.stop().is_cancelled() { Ok(()) } else { Err(failed.into()) }
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
    Settled { host: name(record), outcome, details }
}

fn human(report: &Report) -> String {
    let mut lines = Vec::new();
    for settled in &report.settled {
        let what = match settled.outcome {
            "adopted" => "came up: it is in use now",
            "undone" => "creation undone",
            "terminated" => "termination finished",
            "ended" => "had ended by itself: its records are removed",
            "unknown" => "left as it is",
            "busy" => "another sdocker command works on it",
            _ => "could not be settled",
        };
        lines.push(format!("{}: {what}", settled.host));
        lines.extend(settled.details.iter().map(|detail| format!("  {detail}")));
    }
    lines.extend(report.unusable.iter().cloned());
    for orphan in &report.orphans {
        let since = orphan.launched.as_deref().unwrap_or("an unknown time");
        let (id, kind, state) = (&orphan.instance_id, &orphan.instance_type, orphan.state);
        let outcome = if orphan.outcome == "listed" { "" } else { orphan.outcome };
        lines.push(
            format!("host without a record: {id} ({kind}, {state}, since {since}) {outcome}").trim_end().to_owned(),
        );
    }
    lines.extend(report.left.iter().map(|host| format!("{host}: left as it is")));
    if lines.is_empty() {
        lines.push("nothing to settle".to_owned());
    }
    lines.join("\n")
}
