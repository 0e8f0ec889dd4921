//! `sdocker create-host`: plan, provision, wait, context, Local Mode.

mod outcome;
pub(super) mod request;

use std::{net::IpAddr, time::SystemTime};

use anyhow::Context as _;
use clap::ValueEnum;
use docker_remote::{ClientCredentials, Endpoint, HostCredentials, HostNames, WriteServerKey};
use host_provisioner::{
    Creation, EngineChoice, HostPlan, InstanceType, InstanceTypeInfo, ProvisionError, Provisioner, Record,
    RecordedInstance, Survey, preflight,
};
use studio_discovery::{StudioEnvironment, SubnetId};

use crate::{
    client_files::{HostFiles, entry},
    commands::{configure, doctor},
    config,
    detours::{self, Blocked},
    docker_cli::{self, Refused},
    durations::{self, Timeout},
    failure::Hinted,
    interrupt::{Interrupt, Work, Working},
    lookup::Lookup,
    printer::Printer,
    progress::Progress,
    readiness,
    session::{self, Session},
    waiting::Waiting,
    world::World,
    writable,
};

/// Create a Docker host, and make it the current one.
///
/// Launches an EC2 instance in the domain's own subnet, mounts your EFS home on it at the same paths, runs a Docker daemon there
/// behind mutual TLS, makes a Docker context current and configures Local Mode. Whatever fails, or when you press Ctrl-C, what was
/// made is undone.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The EC2 instance type, such as c5.xlarge, m7g.large (arm64) or g5.xlarge (GPU).
    #[arg(long, value_name = "TYPE", value_parser = str::parse::<InstanceType>)]
    instance_type: InstanceType,
    /// The subnet, instead of the first of the domain's that has a mount target and capacity.
    #[arg(long, value_name = "ID", value_parser = str::parse::<SubnetId>)]
    subnet_id: Option<SubnetId>,
    /// What runs the daemon: Docker in Docker, or the image's own daemon. auto: dind, but native on GPU types. [default: auto]
    #[arg(long, value_enum)]
    engine: Option<Engine>,
    /// End the host after this long without use, such as 30m or 2h; or never. [default: 60m]
    #[arg(long, value_name = "DURATION", value_parser = durations::parse_or_never)]
    idle_timeout: Option<Timeout>,
    /// End the host after this long, whatever runs on it. [default: 12h]
    #[arg(long, value_name = "DURATION", value_parser = durations::parse)]
    max_lifetime: Option<std::time::Duration>,
    /// Launch a Spot instance, or none.
    #[arg(long, conflicts_with = "spot_or_on_demand")]
    spot: bool,
    /// Launch a Spot instance, and on demand where there is no Spot capacity.
    #[arg(long)]
    spot_or_on_demand: bool,
    /// Return as soon as the instance is launched; `sdocker use` connects to it once it is ready.
    #[arg(long)]
    no_wait: bool,
    /// How long to wait for the host to become ready.
    #[arg(long, value_name = "DURATION", value_parser = durations::parse_wait, default_value = "15m")]
    timeout: std::time::Duration,
    /// Keep a host that does not become ready, to look into why. It still ends itself.
    #[arg(long)]
    keep_failed: bool,
    /// Print the plan and the exact API calls, and change nothing.
    #[arg(long)]
    dry_run: bool,
}

/// How long a name may take to be resolved.
const RESOLVES_WITHIN: std::time::Duration = std::time::Duration::from_secs(5);

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Engine {
    Auto,
    Dind,
    Native,
}

impl From<Engine> for EngineChoice {
    fn from(engine: Engine) -> Self {
        match engine {
            Engine::Auto => Self::Auto,
            Engine::Dind => Self::Dind,
            Engine::Native => Self::Native,
        }
    }
}

pub(crate) async fn run(args: &Args, world: &World, printer: &Printer, interrupt: &Interrupt) -> anyhow::Result<()> {
    interrupt.say("interrupted before anything was made");
    let lookup = Lookup::new(world);
    let config = config::read(&lookup.layout.configuration_files())?;
    for warning in &config.warnings {
        printer.warn(warning);
    }
    // What can't be edited later must be known before money is spent.
    let previous_context = lookup.contexts.current()?;

    let mut session = Session::open(world, printer).await?;
    if !args.dry_run && configure::prepare_space(world, &session.facts, &lookup, printer) {
        session.facts = session::local_facts(world)?;
    }
    let environment = session.discover(printer).await?.environment;
    let asking = Waiting::visibly(printer, "asking EC2 and EFS what a host needs");
    let Planned { plan, shared_home, embedded, .. } = plan(args, world, &config, &session.clouds, &environment).await?;
    drop(asking);
    for warning in &plan.warnings {
        printer.warn(warning);
    }
    if shared_home.is_none() {
        printer.info(request::WITHOUT_SHARED_STORAGE);
    }
    if args.dry_run {
        return outcome::print_plan(&plan, printer);
    }
    for (variable, what) in doctor::overrides(world) {
        printer.warn(what);
        printer.hint(format!("`unset {variable}`, or `eval \"$(sdocker env)\"` once the host is there"));
    }
    if let Some(problem) = writable::problems(world, &lookup, shared_home.as_deref()).into_iter().next() {
        return Err(problem);
    }
    let asking = Waiting::visibly(printer, "asking EC2 whether it would allow the launch");
    preflight::check_launch(&session.clouds.cloud, &environment, &plan).await?;
    drop(asking);

    if let Some(shared_home) = &shared_home {
        lookup.layout.link_hosts_to(shared_home)?;
        lookup.layout.share_hooks(shared_home)?;
    }
    let working = interrupt.begin(Work {
        stopping: "what was made is being undone".to_owned(),
        leaves: format!("the creation of a {}, which is being undone", plan.instance_type),
        host: Some(plan.host.clone()),
    })?;
    let progress = Progress::new(printer);
    let provisioner = session::provisioner(&session.clouds, &lookup, &progress, interrupt.stop().clone());
    let mut creation = progress.drive(provisioner.create(&plan, previous_context)).await?;
    let flow = Flow { args, world, printer, lookup: &lookup, session: &session, interrupt, working: &working };
    match flow.finish(&mut creation, embedded).await {
        Ok(ready) => {
            let warnings = progress.warnings().into_iter().chain(plan.warnings).map(|warning| warning.to_string());
            outcome::print(&ready, creation.record(), warnings.collect(), printer)
        }
        // Who interrupts does not want it kept.
        Err(error) if args.keep_failed && working.commit("interrupted: the host that failed is kept") => {
            creation.keep_failed(format!("{error:#}"))?;
            Err(kept(creation.record(), &lookup, error))
        }
        Err(error) => Err(undo(&provisioner, creation, error, &progress).await),
    }
}

/// What is said of a host that failed and was kept.
fn kept(record: &Record, lookup: &Lookup, error: anyhow::Error) -> anyhow::Error {
    let Some(instance) = &record.instance else { return error };
    let folder = lookup.layout.host(&record.name().unwrap_or_default());
    Hinted::new("the host failed, and is kept (--keep-failed)")
        .leaves(format!("instance {}", instance.id))
        .hint(format!(
            "`sdocker terminate-host --instance-id {}` ends it; its files are in {}",
            instance.id,
            folder.display()
        ))
        .because(error)
}

impl Args {
    /// Nothing but an instance type and perhaps a subnet.
    pub(super) fn plain(instance_type: InstanceType, subnet_id: Option<SubnetId>) -> Self {
        Self {
            instance_type,
            subnet_id,
            engine: None,
            idle_timeout: None,
            max_lifetime: None,
            spot: false,
            spot_or_on_demand: false,
            no_wait: false,
            timeout: std::time::Duration::ZERO,
            keep_failed: false,
            dry_run: true,
        }
    }
}

/// What a creation starts from.
pub(super) struct Planned {
    pub(super) plan: HostPlan,
    /// What the instance type is.
    pub(super) instance_type: InstanceTypeInfo,
    shared_home: Option<std::path::PathBuf>,
    embedded: Option<HostCredentials>,
}

/// Reads what a host needs, and plans it. Changes nothing.
pub(super) async fn plan(
    args: &Args,
    world: &World,
    config: &config::Config,
    clouds: &crate::clouds::Clouds,
    environment: &StudioEnvironment,
) -> anyhow::Result<Planned> {
    let shared_home = request::shared_home(world, environment);
    let embedded = match &shared_home {
        Some(_) => None,
        None => Some(embedded_credentials(environment, args, config)?),
    };
    let request = request::request(args, world, config, shared_home.clone(), embedded.as_ref());
    let survey = Survey::take(&clouds.cloud, environment, &request).await?;
    let plan = HostPlan::new(environment, &request, &survey)?;
    Ok(Planned { plan, instance_type: survey.instance_type, shared_home, embedded })
}

/// A new host's way from instance to use.
struct Flow<'a> {
    args: &'a Args,
    world: &'a World,
    printer: &'a Printer,
    lookup: &'a Lookup,
    session: &'a Session,
    interrupt: &'a Interrupt,
    working: &'a Working<'a>,
}

/// What a host is like when `create-host` ends.
pub(super) struct Ready {
    endpoint: Endpoint,
    certs: std::path::PathBuf,
    docker_version: Option<String>,
    idle_timeout: Option<std::time::Duration>,
    notes: Vec<String>,
    /// The Docker CLI here, where the host does not answer it.
    refused: Option<Refused>,
    /// The clients that do not get to it as the environment is.
    blocked: Vec<Blocked>,
}

impl Flow<'_> {
    async fn finish(&self, creation: &mut Creation, embedded: Option<HostCredentials>) -> anyhow::Result<Ready> {
        let why = tokio::select! {
            why = misnamed(creation.record()) => why,
            () = self.interrupt.stop().cancelled() => return Err(ProvisionError::Interrupted.into()),
        };
        if let Some(why) = why {
            self.printer.warn(format!("{why}: the host is reached by its address"));
            creation.reach_by_address()?;
        }
        let record = creation.record().clone();
        let host = entry(&record).context("the instance has no address")?;
        let name = host.name();
        let certs = self.lookup.layout.certs(&name);
        match &embedded {
            Some(credentials) => credentials.write(&certs, WriteServerKey::No)?,
            None => {
                let instance = record.instance.as_ref().context("the instance has no address")?;
                let lifetime = record.expires.duration_since(record.created);
                credentials(&names(instance), lifetime.try_into().unwrap_or_default())?
                    .write(&certs, WriteServerKey::Yes)?;
            }
        }
        let endpoint = Endpoint { host: host.instance_dns.clone(), port: host.port };
        let mut ready = Ready {
            endpoint: endpoint.clone(),
            certs: self.lookup.layout.client_certs(&name),
            docker_version: None,
            idle_timeout: request::idle_timeout(self.args, &config::read(&self.lookup.layout.configuration_files())?),
            notes: Vec::new(),
            refused: None,
            blocked: Vec::new(),
        };
        if self.args.no_wait {
            self.lookup.hosts_conf.put_first(&host)?;
            self.hand_over(creation)?;
            ready.notes.push(format!(
                "it is not ready yet: `sdocker use --instance-id {}` connects to it once it is",
                host.instance_id
            ));
            return Ok(ready);
        }
        let credentials = ClientCredentials::load(&ready.certs)?;
        let answered = readiness::wait(
            &self.session.clouds.cloud,
            &readiness::BootingHost {
                instance: &host.instance_id,
                folder: &self.lookup.layout.host(&name),
                endpoint: &endpoint,
                credentials: &credentials,
            },
            self.args.timeout,
            self.printer,
            self.interrupt.stop(),
        )
        .await?;
        HostFiles::new(self.lookup).make_current(&host, &answered)?;
        self.hand_over(creation)?;
        ready.docker_version = Some(answered.version().to_owned());
        ready.refused = docker_cli::refused(self.world, &name, answered.api()).await;
        ready.blocked = detours::blocked(self.world, &endpoint, &credentials).await;
        // The host works; what Local Mode lacks is said, and can be mended with `sdocker configure`.
        match configure::apply(self.world, &self.session.facts, self.lookup, self.printer) {
            Ok(notes) => ready.notes.extend(notes),
            Err(error) => {
                self.printer.warn(format!("Local Mode is not configured: {error:#}; `sdocker configure` tries again"))
            }
        }
        Ok(ready)
    }

    /// Gives the host to the user, unless a signal came before: the one or the other, whenever it comes.
    fn hand_over(&self, creation: &mut Creation) -> anyhow::Result<()> {
        if !self.working.commit("interrupted; the host is there, `sdocker status` shows it") {
            return Err(ProvisionError::Interrupted.into());
        }
        Ok(creation.hand_over()?)
    }
}

async fn undo(
    provisioner: &Provisioner,
    creation: Creation,
    error: anyhow::Error,
    progress: &Progress<'_>,
) -> anyhow::Error {
    let interrupted = error.downcast_ref::<ProvisionError>().is_some();
    let undone = progress.drive(provisioner.undo(creation.into_record(), ProvisionError::Interrupted)).await;
    match undone {
        _ if interrupted => undone.into(),
        ProvisionError::Undone { report, .. } if report.remains.is_empty() => {
            Hinted::new(format!("no host was created; undone: {}", report.undone.join(", "))).because(error)
        }
        other => Hinted::new("no host was created, and not everything could be undone").also(other).because(error),
    }
}

/// Why the host can't be reached by its name, where it can by its address: Amazon's resolver knows the name only where the VPC's DNS
/// hostnames are on (VPC user guide, "DNS attributes for your VPC"), and another resolver may know another machine by it.
async fn misnamed(record: &Record) -> Option<String> {
    let instance = record.instance.as_ref()?;
    let (address, name) = (instance.private_address?, instance.private_dns.as_deref()?);
    let found = tokio::time::timeout(RESOLVES_WITHIN, tokio::net::lookup_host((name, record.daemon_port))).await;
    let Ok(Ok(found)) = found else { return Some(format!("this app does not resolve {name}")) };
    let others: Vec<String> =
        found.map(|found| found.ip()).filter(|ip| *ip != address).map(|ip| ip.to_string()).collect();
    // Clients take any of the addresses.
    (!others.is_empty()).then(|| format!("{name} is {} for this app, and not {address}", others.join(", ")))
}

fn names(instance: &RecordedInstance) -> HostNames {
    HostNames {
        dns: instance.private_dns.iter().cloned().collect(),
        addresses: instance.private_address.into_iter().collect::<Vec<IpAddr>>(),
    }
}

fn credentials(names: &HostNames, lifetime: std::time::Duration) -> anyhow::Result<HostCredentials> {
    Ok(HostCredentials::generate(names, SystemTime::now(), validity(lifetime))?)
}

/// `sdocker keep` may extend a host's life; the certificate outlives it by a month.
fn validity(lifetime: std::time::Duration) -> std::time::Duration {
    lifetime + std::time::Duration::from_secs(30 * 24 * 3600)
}

/// Credentials made before the instance has a name or an address: for every name that EC2 gives in this Region, and with an issuer by
/// which the host adds its addresses. They can serve as this one host only, because no other host's clients know this CA.
fn embedded_credentials(
    environment: &StudioEnvironment,
    args: &Args,
    config: &config::Config,
) -> anyhow::Result<HostCredentials> {
    let domain = match environment.region.as_str() {
        // EC2 user guide, "EC2 instance hostnames and domains".
        "us-east-1" => "ec2.internal".to_owned(),
        region => format!("{region}.compute.internal"),
    };
    let names = HostNames { dns: vec![format!("*.{domain}")], addresses: Vec::new() };
    Ok(HostCredentials::generate_with_issuer(&names, SystemTime::now(), validity(request::max_lifetime(args, config)))?)
}
