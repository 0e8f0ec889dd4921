//! `sdocker create-host`: plan, provision, wait, context, Local Mode.

use std::str::FromStr;

use clap::{CommandFactory as _, error::ErrorKind};
use clap_complete::engine::ArgValueCompleter;
use host_provisioner::{EngineChoice, InstanceType, MarketChoice};
use sdocker::{
    Count, Home, HostRequest, Surroundings,
    creation::{NewHost, NewHosts},
    durations,
    link::lends,
};
use sdocker_console::{Interrupt, Printer, Progress, Stopping, Work, shown};
use studio_discovery::{SubnetId, Tag};

use crate::{
    commands::{
        host_options::{Ends, Lends, Spot},
        link,
    },
    completion,
};

/// Create a Docker host, and make it the current one.
///
/// Launches an EC2 instance in the domain's own subnet, makes your files available on it at the same paths, runs a Docker daemon there
/// behind mutual TLS, makes its Docker context current and configures Local Mode. If anything fails, or you press Ctrl-C, everything it
/// created is removed again.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The EC2 instance type, such as c5.xlarge, m7g.large (arm64) or g5.xlarge (GPU). Or several of the same architecture, such as
    /// c5.xlarge,c6i.xlarge: the first one with capacity is launched. [default: InstanceType in sdocker.conf]
    #[arg(value_name = "TYPE", value_parser = types, add = ArgValueCompleter::new(completion::instance_types))]
    type_of_instance: Option<Types>,
    /// The same as TYPE, for compatibility with sdocker 2022.
    #[arg(long, value_name = "TYPE", value_parser = types, conflicts_with = "type_of_instance", add = ArgValueCompleter::new(completion::instance_types))]
    instance_type: Option<Types>,
    /// Create this many hosts at once; the first becomes the current one. See also --at-least.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=MOST))]
    count: Option<u16>,
    /// Succeed if at least this many of the hosts can be created. By default, all or none are created.
    #[arg(long, value_name = "M", requires = "count", value_parser = clap::value_parser!(u16).range(1..=MOST))]
    at_least: Option<u16>,
    /// Form one Docker Swarm of the hosts, with one manager, or three if there are five hosts or more. Uses --engine native.
    #[arg(long, conflicts_with_all = ["no_wait", "keep_failed"])]
    swarm: bool,
    /// If there is no capacity, try again every minute for this long, such as 30m.
    #[arg(long, value_name = "DURATION", value_parser = durations::parse)]
    retry_for: Option<std::time::Duration>,
    /// The subnet, instead of the domain's first subnet with a mount target and capacity.
    #[arg(long, value_name = "ID", value_parser = str::parse::<SubnetId>)]
    subnet_id: Option<SubnetId>,
    /// What runs the daemon: Docker in Docker (dind), or the image's own daemon (native). [default: auto]
    #[arg(long, value_enum)]
    engine: Option<EngineChoice>,
    #[command(flatten)]
    ends: Ends,
    /// Terminate the host before it costs more than this, in US dollars. Fails if AWS's prices can't be looked up.
    #[arg(long, value_name = "USD", value_parser = usd)]
    max_cost: Option<f64>,
    #[command(flatten)]
    spot: Spot,
    /// Do not use Spot, whatever Market in sdocker.conf says.
    #[arg(long, conflicts_with_all = ["spot", "spot_or_on_demand"])]
    on_demand: bool,
    #[command(flatten)]
    lends: Lends,
    /// Add this tag to everything that is created for the host. Can be repeated. Takes precedence over Tags in sdocker.conf.
    #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = tag)]
    tags: Vec<Tag>,
    /// Return as soon as the instance is launched; connect later with `sdocker use`.
    #[arg(long)]
    no_wait: bool,
    /// How long to wait for the host to become ready. [default: 15m]
    #[arg(long, value_name = "DURATION", value_parser = durations::parse_wait)]
    timeout: Option<std::time::Duration>,
    /// Keep a host that does not become ready, for debugging. It still terminates itself.
    #[arg(long, conflicts_with = "count")]
    keep_failed: bool,
    /// Print the plan and the exact API calls, without changing anything.
    #[arg(long)]
    dry_run: bool,
}

/// More hosts than anybody should ask for by mistake.
const MOST: i64 = 200;

/// Instance types, of which the first with capacity is wanted.
#[derive(Clone, Debug)]
struct Types(Vec<InstanceType>);

/// Instance types as people write them.
fn types(text: &str) -> Result<Types, <InstanceType as FromStr>::Err> {
    text.split(',').map(|name| name.trim().parse()).collect::<Result<_, _>>().map(Types)
}

/// A tag as people write it: the value may hold further signs.
fn tag(text: &str) -> Result<Tag, String> {
    let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE")?;
    if key.is_empty() { Err("expected KEY=VALUE".to_owned()) } else { Ok(Tag::new(key, value)) }
}

/// An amount of US dollars.
fn usd(text: &str) -> Result<f64, String> {
    let usd = text.trim_start_matches('$').parse::<f64>().ok().filter(|usd| usd.is_finite() && *usd > 0.0);
    usd.ok_or_else(|| "expected an amount of US dollars, such as 5 or 0.50".to_owned())
}

impl Args {
    fn asked_types(&self) -> Option<&Types> {
        self.type_of_instance.as_ref().or(self.instance_type.as_ref())
    }

    /// What is asked for, and else what `sdocker.conf` says.
    fn instance_types(&self, home: &Home) -> anyhow::Result<Vec<InstanceType>> {
        if let Some(Types(asked)) = self.asked_types() {
            return Ok(asked.clone());
        }
        let words = "name an instance type, as in `sdocker create c5.xlarge`, or set InstanceType in sdocker.conf";
        let missing = || {
            let mut usage = crate::args::Args::command();
            usage.build();
            let usage = usage.find_subcommand_mut("create-host").expect("this command");
            usage.error(ErrorKind::MissingRequiredArgument, words)
        };
        Ok(vec![home.settings()?.instance_type.ok_or_else(missing)?])
    }

    /// How many hosts are wanted, where it is said.
    fn count(&self) -> anyhow::Result<Option<Count>> {
        let Some(of) = self.count.or(self.swarm.then_some(1)) else { return Ok(None) };
        let at_least = self.at_least.unwrap_or(of);
        let usage = || {
            let words = format!("--at-least {at_least} is more than --count {of}");
            crate::args::Args::command().error(ErrorKind::ValueValidation, words)
        };
        Ok(Some(Count::new(of.into(), at_least.into()).ok_or_else(usage)?))
    }

    fn request(&self, mut types: Vec<InstanceType>) -> HostRequest {
        let mut request = HostRequest::new(types.remove(0));
        request.other_types = types;
        request.retry_for = self.retry_for.unwrap_or_default();
        request.swarm = self.swarm;
        request.subnet.clone_from(&self.subnet_id);
        request.engine = self.engine;
        request.idle_timeout = self.ends.idle_timeout;
        request.on_idle = self.ends.on_idle;
        request.max_lifetime = self.ends.max_lifetime;
        request.max_cost = self.max_cost;
        request.market = self.spot.market().or(self.on_demand.then_some(MarketChoice::OnDemand));
        request.files = self.lends.files;
        request.shares.clone_from(&self.lends.shares);
        request.tags.clone_from(&self.tags);
        request.wait = !self.no_wait;
        request.ready_within = self.timeout;
        request.keep_failed = self.keep_failed;
        request
    }
}

pub(crate) async fn run(args: &Args, home: &Home, printer: &Printer, interrupt: &Interrupt) -> anyhow::Result<()> {
    interrupt.say("interrupted before anything was created");
    if args.swarm && args.engine == Some(EngineChoice::Dind) {
        let words = "a Swarm needs the image's own daemon: leave out --engine dind";
        return Err(crate::args::Args::command().error(ErrorKind::ArgumentConflict, words).into());
    }
    let request = args.request(args.instance_types(home)?);
    let count = args.count()?;
    let observer = Progress::new(printer);
    if args.dry_run {
        let mut options = request.keys();
        options.extend(args.asked_types().map(|_| "InstanceType"));
        let preview = home.preview(&request, count, options, &observer).await?;
        return printer.result(&preview, || shown::plan(&preview));
    }
    let what = match count {
        Some(count) => format!("{} hosts", count.of),
        None => format!("a {}", request.instance_type),
    };
    let work = Work {
        stopping: "what was made is being undone".to_owned(),
        leaves: format!("the creation of {what}, which is being undone"),
        hosts: Vec::new(),
    };
    let stopping = Stopping::new(interrupt, work);
    if let Some(count) = count {
        return match home.create_hosts(&request, count, &observer, &stopping).await {
            Ok(hosts) => print_several(hosts, home.surroundings(), &observer, printer),
            Err(error) => Err(interrupt.ended().unwrap_or_else(|| error.into())),
        };
    }
    match home.create_host(&request, &observer, &stopping).await {
        Ok(mut host) => {
            if host.answered.is_some() {
                let name = host.record.name().unwrap_or_default();
                host.notes.extend(link::start(home.surroundings(), &name, &observer));
            }
            print(&host, home.surroundings(), &observer, printer)
        }
        Err(error) => Err(interrupt.ended().unwrap_or_else(|| error.into())),
    }
}

fn print(
    host: &NewHost,
    surroundings: &Surroundings,
    observer: &Progress<'_>,
    printer: &Printer,
) -> anyhow::Result<()> {
    let created = host.created();
    printer.result(&created, || shown::new_host(host, &created))?;
    if host.warn_of_detours(surroundings, observer) {
        printer.hint(
            "`docker ps` talks to it now; `sdocker terminate-current-host` ends it, `sdocker keep` keeps it longer",
        );
    }
    Ok(())
}

fn print_several(
    mut new: NewHosts,
    surroundings: &Surroundings,
    observer: &Progress<'_>,
    printer: &Printer,
) -> anyhow::Result<()> {
    if let Some(first) = new.hosts.first_mut().filter(|host| host.answered.is_some()) {
        let name = first.record.name().unwrap_or_default();
        first.notes.extend(link::start(surroundings, &name, observer));
        if new.hosts.len() > 1 && lends(surroundings, &name) {
            new.warnings
                .push(format!("this app's files are live on {name} only, until another host is the current one"));
        }
    }
    let created = new.created();
    printer.result(&created, || shown::new_hosts(&new, &created))?;
    for failed in &created.failed {
        printer.warn(format!("host {} was not created: {}", failed.number, failed.error));
    }
    if let Some(first) = new.hosts.first()
        && first.warn_of_detours(surroundings, observer)
    {
        let name = first.record.name().unwrap_or_default();
        printer.hint(format!("`docker ps` talks to {name} now; `docker --context` or `sdocker use` takes another"));
    }
    Ok(())
}
