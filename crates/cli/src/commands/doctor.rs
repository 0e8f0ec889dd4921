//! `sdocker doctor`: whether a host could be created, proved as far as it can be without spending anything.

use std::process::ExitCode;

use clap_complete::engine::ArgValueCompleter;
use host_provisioner::InstanceType;
use sdocker::{
    Home,
    doctor::{Examination, Finding, Fix},
    setup::{ProgramsSay, SetupRequest, set_up},
};
use sdocker_console::{Printer, Progress, shown};
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
    let diagnosis = home.examine(&examination, &observer).await;
    printer.result(&diagnosis, || shown::diagnosis(&diagnosis))?;
    if !args.fix && diagnosis.findings.iter().any(Finding::is_repairable) {
        printer.hint("`sdocker doctor --fix` fixes what can be fixed here");
    }
    Ok(if diagnosis.ready { ExitCode::SUCCESS } else { ExitCode::FAILURE })
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
