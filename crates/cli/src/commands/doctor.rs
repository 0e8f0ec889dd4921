//! `sdocker doctor`: whether a host could be created, proved as far as it can be without spending anything.

use std::process::ExitCode;

use host_provisioner::{HostGroups, HostPlan, InstanceType, Warning};
use serde::Serialize;
use studio_discovery::{StudioEnvironment, SubnetId};

use super::{
    create_host::{self, request},
    setup::{self, Found},
    status,
};
use crate::{clouds::Clouds, config, failure, lookup::Lookup, printer::Printer, session::Session, world::World};

/// Prove that a host could be created, before any money is spent.
///
/// Reads what `create-host` reads, and asks EC2 whether it would allow the launch; changes nothing. Ends with 0 only if a host could be
/// expected to come up.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The EC2 instance type that is to be launched.
    #[arg(long, value_name = "TYPE", default_value = "c5.xlarge")]
    instance_type: InstanceType,
    /// The subnet, instead of the first of the domain's that has a mount target.
    #[arg(long, value_name = "ID")]
    subnet_id: Option<SubnetId>,
}

/// What was found out about something.
#[derive(Debug, Serialize)]
struct Finding {
    subject: &'static str,
    state: State,
    what: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fix: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    /// It is as it should be.
    Ok,
    /// It can't be known without changing something.
    Unproven,
    /// A host would come up, but something would be missing.
    Warning,
    /// No host would come up.
    Failed,
}

#[derive(Debug, Serialize)]
struct Report {
    /// Whether a host could be expected to come up.
    ready: bool,
    findings: Vec<Finding>,
}

/// The findings so far.
#[derive(Debug, Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn ok(&mut self, subject: &'static str, what: impl Into<String>) {
        self.add(subject, State::Ok, what, Vec::new());
    }

    fn add(&mut self, subject: &'static str, state: State, what: impl Into<String>, fix: Vec<String>) {
        self.0.push(Finding { subject, state, what: what.into(), fix });
    }

    fn error(&mut self, subject: &'static str, error: &anyhow::Error) {
        self.add(subject, State::Failed, format!("{error:#}"), failure::hints(error));
    }
}

pub(crate) async fn run(args: &Args, world: &World, printer: &Printer) -> anyhow::Result<ExitCode> {
    let mut findings = Findings::default();
    let lookup = Lookup::new(world);
    match Session::open(world, printer).await {
        Ok(session) => in_studio(args, world, &session, &lookup, &mut findings).await,
        Err(error) => findings.error("app", &error),
    }
    tools(world, &mut findings);
    environment(world, &mut findings);
    hosts(&lookup, &mut findings).await;

    let ready = findings.0.iter().all(|finding| finding.state != State::Failed);
    let report = Report { ready, findings: findings.0 };
    printer.result(&report, || human(&report))?;
    Ok(if ready { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The app and its domain, and what a host would need of them.
async fn in_studio(args: &Args, world: &World, session: &Session, lookup: &Lookup, findings: &mut Findings) {
    let discovery = match studio_discovery::discover(&session.facts, session.clouds.studio.as_ref()).await {
        Ok(discovery) => discovery,
        Err(error) => return findings.error("app", &error.into()),
    };
    let environment = &discovery.environment;
    let what = format!("{:?} app of {} in domain {}", environment.app.kind, environment.owner, environment.domain);
    findings.ok("app", what);
    for warning in &discovery.warnings {
        findings.add("app", State::Warning, warning.to_string(), Vec::new());
    }
    match request::shared_home(world, environment) {
        Some(folder) => findings.ok("storage", format!("{} is shared with the host", folder.display())),
        None => findings.add("storage", State::Warning, request::WITHOUT_SHARED_STORAGE, Vec::new()),
    }
    if let Err(error) = launch(args, world, &session.clouds, environment, lookup, findings).await {
        findings.error("host", &error);
    }
}

async fn launch(
    args: &Args,
    world: &World,
    clouds: &Clouds,
    environment: &StudioEnvironment,
    lookup: &Lookup,
    findings: &mut Findings,
) -> anyhow::Result<()> {
    let config = config::read(&lookup.layout.configuration_files())?;
    let create = create_host::Args::plain(args.instance_type.clone(), args.subnet_id.clone());
    let plan = create_host::plan(&create, world, &config, clouds, environment).await?.plan;
    let subnets: Vec<_> = plan.placements.iter().map(|placement| placement.subnet.to_string()).collect();
    findings.ok("host", format!("{} with image {} in {}", plan.instance_type, plan.image.id, subnets.join(", ")));
    for warning in &plan.warnings {
        findings.add("host", State::Warning, warning.to_string(), Vec::new());
    }
    permission(clouds, environment, &plan, findings).await;
    Ok(())
}

/// Asks EC2 whether the launch would be allowed.
async fn permission(clouds: &Clouds, environment: &StudioEnvironment, plan: &HostPlan, findings: &mut Findings) {
    // A group that does not exist yet can't be named: the app's own stand in for it.
    let (groups, unproven) = match &plan.groups {
        HostGroups::Given(groups) => (groups.clone(), None),
        HostGroups::Named { docker, nfs } => {
            let wanted = [Some(docker), nfs.as_ref()].into_iter().flatten();
            let existing: Option<Vec<_>> = wanted.map(|group| group.existing.clone()).collect();
            let unproven = "whether the security groups and the rules of the mount target may be changed";
            (existing.unwrap_or_else(|| environment.security_groups.clone()), Some(unproven))
        }
    };
    let (Some(placement), Some(market)) = (plan.placements.first(), plan.markets.first()) else { return };
    let instances = &clouds.cloud.instances;
    match instances.may_run(&plan.launch_spec(placement, *market, &groups, &plan.tags)).await {
        Ok(()) => findings.ok("permissions", "EC2 would allow the launch"),
        Err(tagged) => match instances.may_run(&plan.launch_spec(placement, *market, &groups, &[])).await {
            Ok(()) => {
                let error = tagged.into();
                findings.add("permissions", State::Warning, Warning::NoTags.to_string(), failure::hints(&error));
            }
            Err(error) => findings.error("permissions", &error.into()),
        },
    }
    if let Some(what) = unproven {
        let fix = vec!["`sdocker policy` prints the permissions; a creation that is refused is undone".to_owned()];
        findings.add("permissions", State::Unproven, what, fix);
    }
}

/// What Local Mode needs on this side. A host comes up without it.
fn tools(world: &World, findings: &mut Findings) {
    let found = Found::look(world, &setup::default_bin(world), None);
    let missing = found.tools().missing();
    for missing in &missing {
        let fix = vec!["`sdocker setup` puts it there".to_owned()];
        findings.add("tools", State::Warning, format!("Local Mode does not find {missing}"), fix);
    }
    if missing.is_empty() {
        let sdk = found.sdk.unwrap_or_default();
        findings.ok("tools", format!("Docker CLI, Docker Compose and the SageMaker Python SDK {sdk} are there"));
    }
}

/// Variables that lead clients elsewhere.
fn environment(world: &World, findings: &mut Findings) {
    for (variable, value) in [("DOCKER_HOST", &world.docker_host), ("DOCKER_CONTEXT", &world.docker_context)] {
        if let Some(value) = value {
            let what = format!("{variable}={value} is set in the environment and overrides every Docker context");
            let fix = vec![format!("`unset {variable}`, or `eval \"$(sdocker env)\"` once there is a host")];
            findings.add("environment", State::Warning, what, fix);
        }
    }
    for variable in &world.ca_bundles {
        let what = format!("{variable} is set: docker-py and docker-compose 1.x would not trust the host's own CA");
        findings.add("environment", State::Warning, what, vec![format!("`unset {variable}` where they are used")]);
    }
}

/// The hosts that there are: whether the app reaches them.
async fn hosts(lookup: &Lookup, findings: &mut Findings) {
    let hosts = match lookup.hosts() {
        Ok(hosts) => hosts,
        Err(error) => return findings.error("hosts", &error),
    };
    for host in hosts {
        let daemon = status::daemon(&host, lookup).await;
        match daemon.error {
            None => findings.ok("hosts", format!("{} answers", host.name)),
            Some(error) => {
                let fix = vec![format!("`sdocker status --instance-id {}` says more", host.instance)];
                findings.add("hosts", State::Warning, format!("{} does not answer: {error}", host.name), fix);
            }
        }
    }
}

fn human(report: &Report) -> String {
    let rows = report.findings.iter().map(|finding| {
        let state = match finding.state {
            State::Ok => "ok",
            State::Unproven => "unproven",
            State::Warning => "warning",
            State::Failed => "FAILED",
        };
        let fix = finding.fix.iter().map(|fix| format!("\n  {fix}")).collect::<String>();
        (state, finding.subject, format!("{}{fix}", finding.what))
    });
    let mut lines: Vec<String> = rows.map(|(state, subject, what)| format!("{state:<9} {subject}: {what}")).collect();
    lines.push(if report.ready { "a host can be created" } else { "no host can be created" }.to_owned());
    lines.join("\n")
}
