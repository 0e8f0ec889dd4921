//! `sdocker recover`.

use host_provisioner::{Entry, Record, Recovered};
use serde::Serialize;

use crate::{
    config,
    failure::Hinted,
    interrupt::{Interrupt, Work},
    layout::host_name,
    lookup::{self, Lookup},
    printer::Printer,
    progress::Progress,
    session::{self, Session},
    world::World,
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
    /// `adopted`, `undone`, `terminated`, `ended`, `busy` or `failed`.
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
}

pub(crate) async fn run(args: &Args, world: &World, printer: &Printer, interrupt: &Interrupt) -> anyhow::Result<()> {
    let lookup = Lookup::new(world);
    let progress = Progress::new(printer);
    let session = match Session::open(world, printer).await {
        Ok(session) => Some(session),
        // Records can be settled outside Studio as well: they know their Region.
        Err(error) => {
            printer.warn(format!("hosts without a record can't be looked for: {error:#}"));
            None
        }
    };
    let environment = match &session {
        Some(session) => match session.discover(printer).await {
            Ok(discovery) => Some(discovery.environment),
            Err(error) => {
                printer.warn(format!("hosts without a record can't be looked for: {error:#}"));
                None
            }
        },
        None => None,
    };
    let clouds = match &session {
        Some(session) => session.clouds.clone(),
        None => {
            let region = lookup.journal.records()?.first().map(|record| record.region.clone());
            session::clouds_for(world, region.as_ref(), printer).await?
        }
    };
    let _working = interrupt.begin(Work {
        stopping: "what is settled stays settled, the rest is left as it is".to_owned(),
        leaves: "what was not settled".to_owned(),
        host: None,
    })?;
    let provisioner = session::provisioner(&clouds, &lookup, &progress, interrupt.stop().clone());
    let owner = environment.as_ref().map(|environment| (&environment.domain, &environment.owner));
    let recovery = progress.drive(provisioner.recover(owner)).await?;
    if let Some(error) = &recovery.orphans_unknown {
        printer.warn(format!("hosts without a record can't be looked for: {error}"));
    }

    let port = config::read(&lookup.layout.configuration_files())?.host.daemon_port;
    let mut failed = Hinted::new("not everything could be settled");
    if interrupt.stop().is_cancelled() {
        failed = Hinted::new("interrupted before everything was settled");
    }
    let mut all_settled = true;
    let mut report = Report::default();
    for (record, outcome) in recovery.settled {
        report.settled.push(settled(&record, &outcome));
        if let Recovered::Failed(error) = outcome {
            all_settled = false;
            failed = failed.remains(format!("{}: {error}", name(&record))).also(error);
        }
    }
    for record in &recovery.left {
        all_settled = false;
        failed = failed.remains(format!("{}, which was not settled", name(record)));
        report.left.push(name(record));
    }
    report.unusable = recovery.unusable.iter().map(unusable).collect();
    for instance in &recovery.orphans {
        let outcome = if interrupt.stop().is_cancelled() {
            Ok("listed")
        } else if args.terminate {
            progress.drive(provisioner.terminate_unrecorded(&instance.id, true)).await.map(|_| "terminated")
        } else if let (true, Some(environment)) = (args.adopt, &environment) {
            let adopted = progress.drive(provisioner.adopt_unrecorded(instance, environment, port)).await;
            adopted.map(|adopted| if adopted { "adopted" } else { "failed" })
        } else {
            Ok("listed")
        };
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(error) => {
                printer.error(format!("{}: {error}", instance.id));
                failed = failed.also(error);
                "failed"
            }
        };
        if outcome == "failed" {
            all_settled = false;
            failed = failed.remains(format!("instance {}", instance.id));
        }
        report.orphans.push(Orphan {
            instance_id: instance.id.to_string(),
            instance_type: instance.instance_type.to_string(),
            state: instance.state.as_str(),
            launched: instance.launched.map(|time| time.to_string()),
            outcome,
        });
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
        Recovered::Failed(error) => ("failed", [vec![error.to_string()], error.remains()].concat()),
    };
    Settled { host: name(record), outcome, details }
}

fn unusable(entry: &Entry) -> String {
    match entry {
        Entry::Unusable(error) => lookup::unusable(error),
        Entry::Idle(record) | Entry::Busy(record) => name(record),
    }
}

fn human(report: &Report) -> String {
    let mut lines = Vec::new();
    for settled in &report.settled {
        let what = match settled.outcome {
            "adopted" => "came up: it is in use now",
            "undone" => "creation undone",
            "terminated" => "termination finished",
            "ended" => "had ended by itself: its records are removed",
            "busy" => "another sdocker command works on it",
            _ => "could not be settled",
        };
        lines.push(format!("{}: {what}", settled.host));
        lines.extend(settled.details.iter().map(|detail| format!("  {detail}")));
    }
    lines.extend(report.unusable.iter().map(|what| format!("unusable record: {what}")));
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
