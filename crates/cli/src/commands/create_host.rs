//! `sdocker create-host`: plan, provision, wait, context, Local Mode.

mod outcome;

use std::sync::{Mutex, PoisonError};

use clap::{CommandFactory as _, error::ErrorKind};
use clap_complete::engine::ArgValueCompleter;
use host_provisioner::{EngineChoice, HostId, InstanceType, MarketChoice};
use sdocker::{
    Fate, Files, Home, HostRequest, Stop,
    durations::{self, Timeout},
};
use sdocker_console::{Interrupt, Printer, Progress, Work, Working};
use studio_discovery::{SubnetId, Tag};
use tokio_util::sync::CancellationToken;

use crate::{commands::link, completion};

/// Create a Docker host, and make it the current one.
///
/// Launches an EC2 instance in the domain's own subnet, mounts your EFS home on it at the same paths, runs a Docker daemon there
/// behind mutual TLS, makes a Docker context current and configures Local Mode. Whatever fails, or when you press Ctrl-C, what was
/// made is undone.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The EC2 instance type, such as c5.xlarge, m7g.large (arm64) or g5.xlarge (GPU).
    /// [default: InstanceType in sdocker.conf]
    #[arg(value_name = "TYPE", value_parser = str::parse::<InstanceType>, add = ArgValueCompleter::new(completion::instance_types))]
    type_of_instance: Option<InstanceType>,
    /// The same, as the first sdocker took it.
    #[arg(long, value_name = "TYPE", value_parser = str::parse::<InstanceType>, conflicts_with = "type_of_instance", add = ArgValueCompleter::new(completion::instance_types))]
    instance_type: Option<InstanceType>,
    /// The subnet, instead of the first of the domain's that has a mount target and capacity.
    #[arg(long, value_name = "ID", value_parser = str::parse::<SubnetId>)]
    subnet_id: Option<SubnetId>,
    /// What runs the daemon: Docker in Docker, or the image's own daemon. auto: dind, but native on GPU types. [default: auto]
    #[arg(long, value_enum)]
    engine: Option<EngineChoice>,
    /// End the host after this long without use, such as 30m or 2h; or never. [default: 60m]
    #[arg(long, value_name = "DURATION", value_parser = durations::parse_or_never)]
    idle_timeout: Option<Timeout>,
    /// Terminate the host after this long, whatever runs on it. [default: 12h]
    #[arg(long, value_name = "DURATION", value_parser = durations::parse)]
    max_lifetime: Option<std::time::Duration>,
    /// Use Spot only; fail if there is no Spot capacity.
    #[arg(long, conflicts_with_all = ["spot_or_on_demand", "on_demand"])]
    spot: bool,
    /// Use Spot, and fall back to on-demand if there is no Spot capacity.
    #[arg(long, conflicts_with = "on_demand")]
    spot_or_on_demand: bool,
    /// Do not use Spot, whatever Market in sdocker.conf says.
    #[arg(long)]
    on_demand: bool,
    /// How the host gets this app's files. By default over EFS in Studio Classic; in a space this app shares them, besides any EFS that is
    /// mounted in it.
    #[arg(long, value_enum, value_name = "HOW")]
    files: Option<Files>,
    /// Share this folder instead of the home without its dot entries; with `:ro` containers can only read it. Can be given several times.
    #[arg(long = "share", value_name = "FOLDER[:ro]")]
    shares: Vec<String>,
    /// Give this tag to everything that is made for the host; can be given several times. It goes before Tags in sdocker.conf.
    #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = tag)]
    tags: Vec<Tag>,
    /// Return as soon as the instance is launched; `sdocker use` connects to it once it is ready.
    #[arg(long)]
    no_wait: bool,
    /// How long to wait for the host to become ready. [default: 15m]
    #[arg(long, value_name = "DURATION", value_parser = durations::parse_wait)]
    timeout: Option<std::time::Duration>,
    /// Keep a host that does not become ready, for debugging. It still terminates itself.
    #[arg(long)]
    keep_failed: bool,
    /// Print the plan and the exact API calls, without changing anything.
    #[arg(long)]
    dry_run: bool,
}

/// A tag as people write it: the value may hold further signs.
fn tag(text: &str) -> Result<Tag, String> {
    let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE")?;
    if key.is_empty() { Err("expected KEY=VALUE".to_owned()) } else { Ok(Tag::new(key, value)) }
}

impl Args {
    /// What is asked for, and else what `sdocker.conf` says.
    fn instance_type(&self, home: &Home) -> anyhow::Result<InstanceType> {
        if let Some(asked) = self.type_of_instance.as_ref().or(self.instance_type.as_ref()) {
            return Ok(asked.clone());
        }
        let words = "name an instance type, as in `sdocker create c5.xlarge`, or set InstanceType in sdocker.conf";
        let missing = || {
            let mut usage = crate::args::Args::command();
            usage.build();
            let usage = usage.find_subcommand_mut("create-host").expect("this command");
            usage.error(ErrorKind::MissingRequiredArgument, words)
        };
        Ok(home.settings()?.instance_type.ok_or_else(missing)?)
    }

    fn request(&self, instance_type: InstanceType) -> HostRequest {
        let mut request = HostRequest::new(instance_type);
        request.subnet.clone_from(&self.subnet_id);
        request.engine = self.engine;
        request.idle_timeout = self.idle_timeout;
        request.max_lifetime = self.max_lifetime;
        request.market = match (self.spot, self.spot_or_on_demand, self.on_demand) {
            (true, ..) => Some(MarketChoice::Spot),
            (_, true, _) => Some(MarketChoice::SpotOrOnDemand),
            (.., true) => Some(MarketChoice::OnDemand),
            _ => None,
        };
        request.files = self.files;
        request.shares.clone_from(&self.shares);
        request.tags.clone_from(&self.tags);
        request.wait = !self.no_wait;
        request.ready_within = self.timeout;
        request.keep_failed = self.keep_failed;
        request
    }
}

/// What a signal does to a creation.
struct Stopping<'i> {
    interrupt: &'i Interrupt,
    instance_type: &'i InstanceType,
    working: Mutex<Option<Working<'i>>>,
}

impl Stop for Stopping<'_> {
    fn token(&self) -> &CancellationToken {
        self.interrupt.stop()
    }

    fn take_on(&self, host: Option<&HostId>) -> bool {
        let begun = self.interrupt.begin(Work {
            stopping: "what was made is being undone".to_owned(),
            leaves: format!("the creation of a {}, which is being undone", self.instance_type),
            host: host.cloned(),
        });
        begun.map(|working| *self.working.lock().unwrap_or_else(PoisonError::into_inner) = Some(working)).is_ok()
    }

    fn commit(&self, fate: Fate) -> bool {
        let working = self.working.lock().unwrap_or_else(PoisonError::into_inner);
        working.as_ref().is_some_and(|working| {
            working.commit(match fate {
                Fate::HandedOver => "interrupted; the host is there, `sdocker status` shows it",
                Fate::KeptFailed => "interrupted: the host that failed is kept",
            })
        })
    }
}

pub(crate) async fn run(args: &Args, home: &Home, printer: &Printer, interrupt: &Interrupt) -> anyhow::Result<()> {
    interrupt.say("interrupted before anything was made");
    let instance_type = args.instance_type(home)?;
    let request = args.request(instance_type.clone());
    let observer = Progress::new(printer);
    if args.dry_run {
        let plan = home.plan(&request, &observer).await?;
        return outcome::print_plan(&plan, &home.settings()?.given, printer);
    }
    let stopping = Stopping { interrupt, instance_type: &instance_type, working: Mutex::new(None) };
    match home.create_host(&request, &observer, &stopping).await {
        Ok(mut host) => {
            if host.answered.is_some() {
                let name = host.record.name().unwrap_or_default();
                host.notes.extend(link::start(home.surroundings(), &name, printer));
            }
            outcome::print(host, home.surroundings(), &observer, printer)
        }
        Err(error) => Err(interrupt.ended().unwrap_or_else(|| error.into())),
    }
}
