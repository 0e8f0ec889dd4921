//! `sdocker configure`: everything that the SageMaker Python SDK's Local Mode needs on this side.

use std::path::PathBuf;

use host_provisioner::shared_paths;
use localmode_config::{
    Action, DockerHostCheck, Left, Request, SharedFolder, check_docker_host, not_visible, plan, undo,
};
use serde::Serialize;
use studio_discovery::{LocalFacts, StudioEnvironment};

use super::setup::{self, Found};
use crate::{detours, lookup::Lookup, printer::Printer, session::Session, world::World};

/// Configure the SageMaker Python SDK's Local Mode.
///
/// Makes the temporary folder that containers share with the SDK, on storage that the host sees, and names it in
/// ~/.sagemaker/config.yaml. What is in the way is moved aside as it is, and --undo gives it back. Says what else would stand in
/// Local Mode's way.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Put back what was there before.
    #[arg(long, conflicts_with = "dry_run")]
    undo: bool,
    /// Say what would be done, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// Folders with data for containers, to be told which of them the host does not see; beside the working directory.
    #[arg(value_name = "FOLDERS", conflicts_with = "undo")]
    folders: Vec<PathBuf>,
}

#[derive(Debug, Default, Serialize)]
struct Report {
    /// What was done; with `--dry-run`, what would be.
    actions: Vec<String>,
    /// What stays although it was asked to go, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    kept: Vec<String>,
    /// What stays as it is although Local Mode would have it otherwise, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    left: Vec<String>,
    dry_run: bool,
}

pub(crate) async fn run(args: &Args, world: &World, printer: &Printer) -> anyhow::Result<()> {
    let lookup = Lookup::new(world);
    if args.undo {
        let undone = undo(&lookup.layout.configure_record())?;
        let report = Report { actions: undone.done, kept: undone.kept, ..Report::default() };
        return printer.result(&report, || human(&report, "nothing to undo"));
    }
    let session = Session::open(world, printer).await?;
    let environment = session.discover(printer).await?.environment;
    let request = request(world, &session.facts, &lookup);
    let plan = plan(&request)?;
    let (actions, left) = if args.dry_run {
        (plan.actions, plan.left)
    } else {
        let applied = localmode_config::apply(&plan)?;
        (applied.done, applied.left)
    };
    let report = Report {
        actions: actions.iter().map(ToString::to_string).collect(),
        left: left.iter().map(ToString::to_string).collect(),
        dry_run: args.dry_run,
        ..Report::default()
    };
    printer.result(&report, || human(&report, "Local Mode is configured already"))?;
    warn_of_left(&left, printer);
    if !args.dry_run {
        warn_of_moves(&actions, printer);
    }
    if let Ok(host) = lookup.current(|_| String::new()) {
        warn_of_overrides(world, &host.name, printer);
        detours::warn(&detours::blocked_from(world, &lookup, &host).await, printer);
    }
    warn_of_invisible(world, &environment, &args.folders, printer);
    for missing in Found::look(world, &setup::default_bin(world), None).tools().missing() {
        printer.warn(format!("Local Mode does not find {missing}"));
        printer.hint("`sdocker setup` puts it there");
    }
    if !environment.app.kind.home_is_efs() {
        printer.hint(
            "a host that was created before this sees the folders only if it was created by this version of sdocker",
        );
    }
    Ok(())
}

fn human(report: &Report, nothing: &str) -> String {
    let mut lines = report.actions.clone();
    lines.extend(report.kept.iter().map(|kept| format!("kept: {kept}")));
    if lines.is_empty() {
        return nothing.to_owned();
    }
    if report.dry_run {
        lines.push("nothing was changed (--dry-run)".to_owned());
    }
    lines.join("\n")
}

/// Configures Local Mode for an app, and returns what was done.
pub(crate) fn apply(
    world: &World,
    facts: &LocalFacts,
    lookup: &Lookup,
    printer: &Printer,
) -> anyhow::Result<Vec<String>> {
    let applied = localmode_config::apply(&plan(&request(world, facts, lookup))?)?;
    warn_of_left(&applied.left, printer);
    warn_of_moves(&applied.done, printer);
    Ok(applied.done.iter().map(|action| format!("Local Mode: {action}")).collect())
}

/// In a space, whose home is an EBS volume, the folders that Local Mode uses must lie on EFS before the host is planned, because the
/// host mounts what is there then. Whether anything was changed.
///
/// What can't be done is said, and never keeps a host from being created.
pub(crate) fn prepare_space(world: &World, facts: &LocalFacts, lookup: &Lookup, printer: &Printer) -> bool {
    let request = request(world, facts, lookup);
    if !matches!(request.shared, SharedFolder::At(_)) {
        return false;
    }
    match plan(&request).and_then(|plan| Ok((localmode_config::apply(&plan)?, plan.actions.is_empty()))) {
        Ok((applied, was_done)) => {
            // What is left is said once the host is there, by `apply`.
            warn_of_moves(&applied.done, printer);
            !was_done
        }
        Err(error) => {
            let error = anyhow::Error::new(error);
            printer.warn(format!("Local Mode's folders are not ready, so containers will not share them: {error:#}"));
            printer.hint("mend it, run `sdocker configure`, and create another host then");
            true
        }
    }
}

fn warn_of_left(left: &[Left], printer: &Printer) {
    for left in left {
        printer.warn(left);
        for advice in &left.advice {
            printer.hint(advice);
        }
    }
}

/// What is the user's and lies elsewhere now.
fn warn_of_moves(done: &[Action], printer: &Printer) {
    for (path, to) in done.iter().filter_map(Action::moves) {
        printer.warn(format!("what was at {} is at {} now: Local Mode needs its place", path.display(), to.display()));
        printer.hint("`sdocker configure --undo` gives it back");
    }
}

fn request(world: &World, facts: &LocalFacts, lookup: &Lookup) -> Request {
    let shared = match facts.shared_folder() {
        _ if facts.app().kind.home_is_efs() => SharedFolder::Home,
        Some(efs) => SharedFolder::At(efs.join(".sdocker/local-mode")),
        None => SharedFolder::Nowhere,
    };
    Request { home: world.home.clone(), shared, record: lookup.layout.configure_record() }
}

/// Warns where a variable of the environment leads Docker clients elsewhere.
pub(crate) fn warn_of_overrides(world: &World, context: &str, printer: &Printer) {
    let endpoint = Lookup::new(world).hosts().ok().and_then(|hosts| {
        hosts.into_iter().find(|host| host.name == context).map(|host| format!("tcp://{}:{}", host.address, host.port))
    });
    let Some(endpoint) = endpoint else { return };
    let check = check_docker_host(context, &endpoint, world.docker_host.as_deref(), world.docker_context.as_deref());
    if let DockerHostCheck::Overridden { variable, value } = check {
        printer.warn(format!("{variable}={value} is set in the environment and overrides every Docker context"));
        printer.hint(format!("`unset {variable}`, or `eval \"$(sdocker env)\"`"));
    }
}

fn warn_of_invisible(world: &World, environment: &StudioEnvironment, folders: &[PathBuf], printer: &Printer) {
    let shared = shared_paths(environment);
    let cwd = world.cwd.clone().unwrap_or_default();
    let mut looked_at: Vec<PathBuf> = folders.iter().map(|folder| cwd.join(folder)).collect();
    looked_at.extend(world.cwd.clone());
    for path in not_visible(looked_at.iter().map(PathBuf::as_path), &shared) {
        printer.warn(format!(
            "{} is not on storage that a host sees: containers would get an empty folder in its place",
            path.display()
        ));
    }
}
