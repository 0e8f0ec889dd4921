//! `sdocker terminate-current-host` and `sdocker terminate-host`.

use clap_complete::engine::ArgValueCompleter;
use sdocker::{
    Error, Home, HostSelector,
    termination::{Target, Terminations, Which},
};
use sdocker_console::{Interrupt, Printer, Progress, Stopping, Work, shown};

use crate::completion;

/// Terminate the current host.
///
/// Waits until the instance is shutting down, then removes its context, credentials and record. The Docker context that was current before
/// the host becomes current again.
#[derive(Debug, clap::Args)]
pub(crate) struct CurrentArgs {
    #[command(flatten)]
    how: How,
}

/// Terminate hosts.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("which").required(true).args(["hosts", "instance_id", "all"]))]
pub(crate) struct Args {
    /// The hosts: their names, their instance ids, or the beginning of either.
    #[arg(value_name = "HOST", add = ArgValueCompleter::new(completion::hosts))]
    hosts: Vec<HostSelector>,
    /// The same as HOST, for compatibility with sdocker 2022.
    #[arg(long, value_name = "ID", add = ArgValueCompleter::new(completion::hosts))]
    instance_id: Option<HostSelector>,
    /// Terminate all hosts of this home, including unfinished ones.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    how: How,
}

#[derive(Clone, Copy, Debug, clap::Args)]
struct How {
    /// Also remove the domain's two security groups, unless something else uses them.
    #[arg(long)]
    purge: bool,
    /// Do not ask. By default, on a terminal, sdocker asks before --all and before terminating a host with running containers.
    #[arg(long, short)]
    yes: bool,
}

pub(crate) async fn run_current(
    args: &CurrentArgs,
    home: &Home,
    printer: &Printer,
    interrupt: &Interrupt,
) -> anyhow::Result<()> {
    run_on(&[Which::Current], args.how, home, printer, interrupt).await
}

pub(crate) async fn run(args: &Args, home: &Home, printer: &Printer, interrupt: &Interrupt) -> anyhow::Result<()> {
    let named: Vec<Which> = args.hosts.iter().chain(&args.instance_id).cloned().map(Which::Host).collect();
    let which = if named.is_empty() { vec![Which::All] } else { named };
    run_on(&which, args.how, home, printer, interrupt).await
}

async fn run_on(
    which: &[Which],
    how: How,
    home: &Home,
    printer: &Printer,
    interrupt: &Interrupt,
) -> anyhow::Result<()> {
    let mut targets = Vec::new();
    for which in which {
        targets.extend(home.targets(which)?);
    }
    if !how.yes && !may_end(&targets, which == [Which::All], home, printer).await {
        return Err(Error::new("nothing was terminated").hint("`--yes` terminates without asking").into());
    }
    let purge = how.purge;
    let stopping = Stopping::begun(interrupt, work(&targets))?;
    let observer = Progress::new(printer);
    let ended = home.terminate(targets, purge, &observer, &stopping).await?;
    let is_whole = ended.failed.is_empty() && ended.left.is_empty();
    if is_whole || !ended.terminated.is_empty() {
        printer.result(&ended, || shown::terminations(&ended))?;
    }
    if !ended.left.is_empty() {
        return Err(stopped(ended, stopping).into());
    }
    if purge && is_whole && ended.purged.is_none() {
        let again = "`sdocker terminate-host --all --purge` removes them, once no host is left";
        return Err(Error::new("interrupted before the security groups were removed").hint(again).into());
    }
    if let [_, _, ..] = ended.failed.as_slice() {
        for (name, error) in &ended.failed {
            printer.error(format!("{name}: {error:#}"));
        }
    }
    ended.error().map_or(Ok(()), |error| Err(error.into()))
}

/// Whether hosts may be ended: asked on a terminal, where it is all of them or containers run on one.
async fn may_end(targets: &[Target], all: bool, home: &Home, printer: &Printer) -> bool {
    if !printer.can_ask() || targets.is_empty() {
        return true;
    }
    let in_use = home.in_use(targets).await;
    if !all && in_use.is_empty() {
        return true;
    }
    let names: Vec<String> = targets.iter().map(Target::name).collect();
    for host in &in_use {
        let count = host.containers.len();
        let containers = if count == 1 { "a container runs" } else { "containers run" };
        printer.stderr(&format!("on {} {containers}: {}", host.host, host.containers.join(", ")));
    }
    printer.confirm(&format!("terminate {}?", names.join(", "))).unwrap_or(true)
}

fn work(targets: &[Target]) -> Work {
    let stopping = match targets {
        [one] => format!("the termination of {} is being finished", one.name()),
        _ => "after the host that is being terminated".to_owned(),
    };
    Work { stopping, leaves: "the host that is being terminated, and those after it".to_owned(), hosts: Vec::new() }
}

/// Says of an interrupted command what is left.
fn stopped(ended: Terminations, stopping: Stopping<'_>) -> Error {
    let count = ended.terminated.len();
    let all = count + ended.left.len() + ended.failed.len();
    let mut error = Error::new(format!("interrupted: {count} of {all} hosts terminated"));
    for (name, failure) in ended.failed {
        error = error.remains(name).also(failure);
    }
    for name in &ended.left {
        if !ended.unfinished.contains(name) {
            error = error.leaves(format!("{name}, which was not touched"));
        }
    }
    let error = match ended.unfinished.as_slice() {
        [] => error,
        [name] => stopping.hand_on(error, &format!("{name}, which is being terminated")),
        names => stopping.hand_on(error, &format!("{}, which are being terminated", names.join(", "))),
    };
    error.hint("`sdocker terminate-host --all` continues; `sdocker list-hosts` shows what is left")
}
