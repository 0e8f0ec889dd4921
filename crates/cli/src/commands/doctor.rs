//! `sdocker doctor`: whether a host could be created, proved as far as it can be without spending anything.

mod finding;
mod hosts;
mod repair;
mod studio;
mod surroundings;

use std::process::ExitCode;

use host_provisioner::InstanceType;
use serde::Serialize;
use studio_discovery::SubnetId;

use self::finding::{Finding, Findings, State};
use crate::{lookup::Lookup, permission::Caller, places::Places, printer::Printer, session::Session, world::World};

pub(super) use surroundings::overrides;

/// Prove that a host could be created, before any money is spent.
///
/// Reads what `create-host` reads, asks EC2 whether it would allow each change (DryRun), and looks at what Docker clients and Local Mode
/// need here; changes nothing. Ends with 0 only if a host could be expected to come up.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The EC2 instance type that is to be launched.
    #[arg(long, value_name = "TYPE", default_value = "c5.xlarge", value_parser = str::parse::<InstanceType>)]
    instance_type: InstanceType,
    /// The subnet, instead of the first of the domain's that has a mount target.
    #[arg(long, value_name = "ID", value_parser = str::parse::<SubnetId>)]
    subnet_id: Option<SubnetId>,
    /// Mend what can be mended safely here: remove what is kept of hosts that are gone, and do what `setup` does. Nothing in AWS is
    /// changed.
    #[arg(long)]
    fix: bool,
}

#[derive(Debug, Serialize)]
struct Report {
    /// Whether a host could be expected to come up.
    ready: bool,
    findings: Vec<Finding>,
}

pub(crate) async fn run(args: &Args, world: &World, printer: &Printer) -> anyhow::Result<ExitCode> {
    let lookup = Lookup::new(world);
    let mut findings = Findings::default();
    match Session::open(world, printer).await {
        Ok(session) => studio::examine(args, world, &session, &lookup, &mut findings).await,
        Err(error) => {
            findings.error("app", &error, &Caller::of(world));
            surroundings::files(world, &lookup, None, &mut findings);
        }
    }
    surroundings::tools(world, &mut findings);
    surroundings::environment(world, &mut findings);
    let mut places = Places::new(world, printer);
    hosts::examine(world, &lookup, &mut places, &mut findings).await;
    let mut findings = findings.into_list();
    if args.fix {
        repair::all(&mut findings, &lookup, &mut places, world, printer).await;
    }

    let ready = findings.iter().all(|finding| finding.state != State::Failed);
    let report = Report { ready, findings };
    printer.result(&report, || human(&report))?;
    if !args.fix && report.findings.iter().any(|finding| finding.repair.is_some()) {
        printer.hint("`sdocker doctor --fix` mends what can be mended here");
    }
    Ok(if ready { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn human(report: &Report) -> String {
    let mut lines = finding::lines(&report.findings);
    lines.push(if report.ready { "a host can be created" } else { "no host can be created" }.to_owned());
    lines.join("\n")
}
