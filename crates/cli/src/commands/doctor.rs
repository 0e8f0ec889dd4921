//! `sdocker doctor`: whether a host could be created, proved as far as it can be without spending anything.

use std::process::ExitCode;

use clap_complete::engine::ArgValueCompleter;
use console::{Style, StyledObject};
use host_provisioner::InstanceType;
use sdocker::{
    Home,
    doctor::{Examination, Finding, Fix, State},
    setup::{ProgramsSay, SetupRequest, set_up},
};
use sdocker_console::{Printer, Progress};
use serde::Serialize;
use studio_discovery::SubnetId;

use crate::{commands::setup, completion};

/// Check that a host can be created, before any money is spent.
///
/// Makes the same read calls as `create-host`, asks EC2 whether it would allow each change (DryRun), and checks what Docker clients and
/// Local Mode need in this app. Changes nothing. The exit code is 0 only if a host is likely to come up.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The EC2 instance type to launch. [default: InstanceType in sdocker.conf, else c5.xlarge]
    #[arg(long, value_name = "TYPE", value_parser = str::parse::<InstanceType>, add = ArgValueCompleter::new(completion::instance_types))]
    instance_type: Option<InstanceType>,
    /// The subnet, instead of the domain's first subnet with a mount target.
    #[arg(long, value_name = "ID", value_parser = str::parse::<SubnetId>)]
    subnet_id: Option<SubnetId>,
    /// Fix what can safely be fixed in this app: remove the files of hosts that are gone, and do what `setup` does, after showing what it
    /// would install and asking. Nothing in AWS is changed.
    #[arg(long)]
    fix: bool,
    /// Install what is missing without asking.
    #[arg(long, requires = "fix")]
    yes: bool,
}

#[derive(Debug, Serialize)]
struct Report {
    /// Whether a host could be expected to come up.
    ready: bool,
    findings: Vec<Finding>,
}

pub(crate) async fn run(args: &Args, home: &Home, printer: &Printer) -> anyhow::Result<ExitCode> {
    let observer = Progress::new(printer);
    let fix = match args.fix {
        false => Fix::Nothing,
        true if args.yes || may_install(home, &observer, printer)? => Fix::All,
        true => Fix::Leftovers,
    };
    // Settings that can't be read are among the findings.
    let set = home.settings().ok().and_then(|settings| settings.instance_type);
    let examination = Examination {
        instance_type: args.instance_type.clone().or(set).unwrap_or_else(|| "c5.xlarge".into()),
        subnet: args.subnet_id.clone(),
        fix,
        programs_say: ProgramsSay::OnStandardError,
    };
    let findings = home.examine(&examination, &observer).await;
    let ready = findings.iter().all(|finding| finding.state != State::Failed);
    let report = Report { ready, findings };
    printer.result(&report, || human(&report))?;
    if !args.fix && report.findings.iter().any(Finding::is_repairable) {
        printer.hint("`sdocker doctor --fix` fixes what can be fixed here");
    }
    Ok(if ready { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Whether what `setup` would do may be done: it is said, and asked on a terminal. Elsewhere nobody could answer.
fn may_install(home: &Home, observer: &Progress<'_>, printer: &Printer) -> anyhow::Result<bool> {
    let request = SetupRequest { dry_run: true, ..SetupRequest::default() };
    let planned = set_up(&request, home.surroundings(), observer)?;
    if planned.found.tools().missing().is_empty() {
        return Ok(true);
    }
    match setup::confirm(&planned, printer) {
        Some(answer) => Ok(answer),
        None => {
            printer.hint("nothing is installed without confirmation: `sdocker doctor --fix --yes` does this");
            Ok(false)
        }
    }
}

fn human(report: &Report) -> String {
    let mut lines = lines(&report.findings);
    lines.push(if report.ready { "a host can be created" } else { "no host can be created" }.to_owned());
    lines.join("\n")
}

fn label(state: State) -> StyledObject<&'static str> {
    let style = Style::new();
    match state {
        State::Ok => style.green().apply_to("ok"),
        State::Fixed => style.green().apply_to("fixed"),
        State::Unproven => style.dim().apply_to("unproven"),
        State::Warning => style.yellow().apply_to("warning"),
        State::Failed => style.red().bold().apply_to("FAILED"),
    }
}

/// As lines for people: what several findings in a row have in common is said once.
fn lines(findings: &[Finding]) -> Vec<String> {
    let advice = |finding: &Finding| {
        let why = (!finding.why.is_empty()).then(|| format!("why: {}", finding.why));
        let lines = why.into_iter().chain(finding.fix.iter().map(|fix| format!("fix: {fix}")));
        if finding.state == State::Fixed { Vec::new() } else { lines.collect::<Vec<_>>() }
    };
    let mut lines = Vec::new();
    for (position, finding) in findings.iter().enumerate() {
        lines.push(format!("{:<9} {}: {}", label(finding.state), finding.subject, finding.what));
        let said = advice(finding);
        if findings.get(position + 1).is_none_or(|next| advice(next) != said) {
            lines.extend(said.into_iter().map(|line| format!("          {line}")));
        }
    }
    lines
}
