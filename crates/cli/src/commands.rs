//! The commands, a file each.

pub(crate) mod build;
pub(crate) mod config;
pub(crate) mod configure;
pub(crate) mod cp;
pub(crate) mod create_host;
pub(crate) mod doctor;
pub(crate) mod ecr_login;
pub(crate) mod env;
pub(crate) mod finish;
pub(crate) mod forward;
pub(crate) mod host_options;
pub(crate) mod keep;
pub(crate) mod lifecycle_config;
pub(crate) mod link;
pub(crate) mod list_hosts;
pub(crate) mod logs;
pub(crate) mod manual;
pub(crate) mod one_host;
pub(crate) mod policy;
pub(crate) mod recover;
pub(crate) mod setup;
pub(crate) mod share;
pub(crate) mod share_agent;
pub(crate) mod shell;
pub(crate) mod status;
pub(crate) mod swarm;
pub(crate) mod terminate;
pub(crate) mod up;
pub(crate) mod use_host;

use std::process::ExitCode;

use clap::CommandFactory as _;
use sdocker::{Home, Surroundings, lookup::Lookup};
use sdocker_console::{Interrupt, Printer};

use crate::args::{Args, Command};

/// Runs a command. What fails is an error; a code other than 0 without an error is the command's own.
pub(crate) async fn run(
    command: Command,
    surroundings: &Surroundings,
    printer: &Printer,
    interrupt: &Interrupt,
) -> anyhow::Result<ExitCode> {
    if (touches_hosts(&command) || looks_for_hosts(&command))
        && let Some(notice) = Lookup::new(surroundings).mend_hosts_conf()
    {
        printer.warn(notice);
    }
    if touches_hosts(&command) {
        for notice in sdocker::hangup::notice(surroundings).into_iter().chain(Lookup::new(surroundings).notices()) {
            printer.warn(notice);
        }
    }
    if touches_hosts(&command) || uses_host(&command) {
        for notice in sdocker::on_demand::notices(surroundings) {
            printer.warn(notice);
        }
    }
    if uses_host(&command) {
        up::again(surroundings);
        link::again(surroundings, printer);
    }
    let home = Home::new(surroundings.clone());
    match command {
        Command::CreateHost(args) => create_host::run(&args, &home, printer, interrupt).await,
        Command::TerminateCurrentHost(args) => terminate::run_current(&args, &home, printer, interrupt).await,
        Command::TerminateHost(args) => terminate::run(&args, &home, printer, interrupt).await,
        Command::ListHosts(args) => list_hosts::run(&args, &home, printer).await,
        Command::Status(args) => return status::run(&args, &home, printer, interrupt).await,
        Command::Logs(args) => return logs::run(&args, &home, printer, interrupt).await,
        Command::Shell(args) => return shell::run(&args, &home, printer, interrupt).await,
        Command::Cp(args) => cp::run(&args, &home, printer, interrupt).await,
        Command::Use(args) => use_host::run(&args, &home, printer, interrupt).await,
        Command::Recover(args) => recover::run(&args, &home, printer, interrupt).await,
        Command::Swarm(args) => swarm::run(&args, &home, printer).await,
        Command::Build(args) => build::run(&args, &home, printer, interrupt).await,
        Command::Env(args) => env::run(&args, &home, printer),
        Command::Config(args) => return config::run(&args, &home, printer),
        Command::Configure(args) => configure::run(&args, &home, printer).await,
        Command::Doctor(args) => return doctor::run(&args, &home, printer).await,
        Command::Setup(args) => setup::run(&args, surroundings, printer),
        Command::Keep(args) => keep::run(&args, &home, printer).await,
        Command::Forward(args) => return forward::run(&args, surroundings, printer, interrupt).await,
        Command::Share(args) => return share::run(&args, surroundings, printer, interrupt).await,
        Command::ShareAgent(args) => share_agent::run(args, interrupt).await,
        Command::Link(args) => link::run(&args, surroundings, interrupt).await,
        Command::Up(args) => up::run(&args, &home, printer).await,
        Command::Down(_) => up::down(&home, printer).await,
        Command::Socket(_) => up::serve(surroundings, interrupt).await,
        Command::EcrLogin(args) => ecr_login::run(&args, surroundings, printer).await,
        Command::LifecycleConfig(args) => lifecycle_config::run(&args, surroundings, printer).await,
        Command::Policy(args) => policy::run(&args, surroundings, printer).await,
        Command::Finish(args) => finish::run(&args, &home, printer, interrupt).await,
        Command::Completions(args) => manual::completions(&args, printer),
        Command::Manpages(args) => manual::manpages(&args, Args::command(), printer),
    }?;
    Ok(ExitCode::SUCCESS)
}

/// Whether an interrupted command before this one matters to it. `recover` itself says more.
fn touches_hosts(command: &Command) -> bool {
    matches!(
        command,
        Command::CreateHost(_)
            | Command::TerminateCurrentHost(_)
            | Command::TerminateHost(_)
            | Command::ListHosts(_)
            | Command::Status(_)
            | Command::Use(_)
            | Command::Up(_)
            | Command::Down(_)
    )
}

/// Whether it is for somebody who goes on with the current host: files and ports are served again then, where nobody does.
fn uses_host(command: &Command) -> bool {
    matches!(
        command,
        Command::ListHosts(_)
            | Command::Status(_)
            | Command::Env(_)
            | Command::Doctor(_)
            | Command::Keep(_)
            | Command::EcrLogin(_)
    )
}

/// Whether it asks which hosts there are, beside those that [`touches_hosts`] names.
fn looks_for_hosts(command: &Command) -> bool {
    matches!(
        command,
        Command::Recover(_)
            | Command::Env(_)
            | Command::Configure(_)
            | Command::Doctor(_)
            | Command::Keep(_)
            | Command::Logs(_)
            | Command::Shell(_)
            | Command::Cp(_)
            | Command::Forward(_)
            | Command::Share(_)
    )
}
