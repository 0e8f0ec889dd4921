//! A new host's way from a request to its use: plan, provision, wait, context, Local Mode.

mod created;
mod planning;
mod preview;
mod pricing;
mod several;

use std::{net::IpAddr, path::PathBuf, time::Duration};

use docker_remote::{ClientCredentials, DockerHost, Endpoint, HostCredentials, HostNames, WriteServerKey};
use host_provisioner::{
    CloudName, Creation, HostPlan, InstanceTypeInfo, MarketChoice, OnIdle, ProvisionError, Provisioner, Record,
    RecordedInstance, preflight, shared_paths,
};
use studio_discovery::StudioEnvironment;
use tokio_util::sync::CancellationToken;

pub use created::{AllCreated, Created, NotCreated};
pub use planning::{Planned, plan};
pub use preview::{Preview, Settings};
pub use several::{Count, FailedHost, NewHosts, create_several};

use crate::{
    CloudChoice, Error, Fate, HostRequest, Observer, Stop, Surroundings,
    client_files::{HostFiles, entry},
    clients::{self, Obstacle},
    clouds, config,
    cost::{Asked, Hourly},
    detours::{self, Blocked},
    docker_cli::{self, Refused},
    durations,
    error::Context as _,
    history::History,
    hosts_conf::ActiveHost,
    link::Lent,
    local_mode,
    lookup::{KnownHost, Lookup},
    others,
    progress::Progress,
    readiness::{self, BootingHost},
    request::{self, Ways},
    session::{self, Session},
    storage, writable,
};
use planning::{PlannedHost, PlannedHosts};

/// How long a name may take to be resolved.
const RESOLVES_WITHIN: Duration = Duration::from_secs(5);

/// A host that was created.
pub struct NewHost {
    /// Its record.
    pub record: Record,
    /// Where its daemon listens.
    pub endpoint: Endpoint,
    /// The folder of the client's certificates.
    pub certs: PathBuf,
    /// The host as it answered; `None` where it was not waited for.
    pub answered: Option<DockerHost>,
    /// How long it may be without use before it ends itself; `None`: idleness does not end it.
    pub idle_timeout: Option<Duration>,
    /// What its end by itself is.
    pub on_idle: OnIdle,
    /// What was done beside the host.
    pub notes: Vec<String>,
    /// What is not as it should be, and did not keep the host from coming up.
    pub warnings: Vec<String>,
    /// The Docker CLI here, where the host does not answer it.
    pub refused: Option<Refused>,
    /// The clients that do not get to it as the environment is.
    pub blocked: Vec<Blocked>,
    /// What leads clients past it.
    pub obstacles: Vec<Obstacle>,
    /// What it costs; `None` where that was not found out meanwhile.
    pub hourly: Option<Hourly>,
}

/// Who is given a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receiver {
    /// A user, who is told which clients get to it.
    User,
    /// The socket, which all clients get to, and behind which one waits.
    Socket,
}

/// What a plan is made of.
struct Prepared {
    /// What is asked for, with what the settings say of the rest.
    asked: HostRequest,
    /// What it costs, as soon as that is known.
    price: Asked,
    session: Session,
    environment: StudioEnvironment,
    planned: PlannedHosts,
    previous_context: Option<String>,
    ways: Ways,
    /// What the app lends.
    lent: Lent,
}

/// Plans a host, and changes nothing.
///
/// # Cancel safety
/// It only reads, and can be dropped at any time.
///
/// # Errors
/// Everything for which no host could be created, as far as it is seen without changing anything.
pub async fn dry_run(
    asked: &HostRequest,
    count: Option<Count>,
    surroundings: &Surroundings,
    observer: &dyn Observer,
) -> crate::Result<(HostPlan, Option<Hourly>)> {
    let lookup = Lookup::new(surroundings);
    let prepared =
        prepare(asked, count.map_or(1, |count| count.of), surroundings, &lookup, None, observer, false).await?;
    let plan = prepared.planned.first().clone();
    let market = plan.markets.first().copied().unwrap_or_default();
    let zone = plan.placements.first().and_then(|placement| placement.zone.as_ref());
    let hourly = prepared.price.whole(&prepared.asked.instance_type).await.hourly(market, zone);
    Ok((plan, hourly))
}

/// What a host would be, for whoever launches it later.
pub(crate) struct Outline {
    /// What would be made.
    pub plan: HostPlan,
    /// What the instance type is.
    pub instance_type: InstanceTypeInfo,
    /// Which folders of the app the host would mount.
    pub shared: Vec<PathBuf>,
}

/// Finds out what a host would be, and changes nothing.
///
/// # Errors
/// Everything for which no host could be created, as far as it is seen without changing anything.
pub(crate) async fn outline(
    asked: &HostRequest,
    surroundings: &Surroundings,
    observer: &dyn Observer,
) -> crate::Result<Outline> {
    let lookup = Lookup::new(surroundings);
    let prepared = prepare(asked, 1, surroundings, &lookup, None, observer, false).await?;
    let (plan, instance_type) = (prepared.planned.first().clone(), prepared.planned.instance_type);
    Ok(Outline { plan, instance_type, shared: shared_paths(&prepared.environment) })
}

async fn prepare(
    asked: &HostRequest,
    count: usize,
    surroundings: &Surroundings,
    lookup: &Lookup,
    session: Option<Session>,
    observer: &dyn Observer,
    for_use: bool,
) -> crate::Result<Prepared> {
    let config = config::read(&lookup.layout.configuration_files())?;
    for warning in &config.warnings {
        observer.warn(warning);
    }
    let mut asked = asked.clone().or(&config);
    // What can't be edited later must be known before money is spent.
    let previous_context = lookup.context_aside().await?;
    let is_sandbox = clouds::choose(surroundings) == CloudChoice::Sandbox;
    let mut session = match session {
        Some(session) => session,
        None => Session::open(surroundings, observer).await?,
    };
    let mut ways = Ways::of(&asked, session.facts.app().kind, surroundings);
    if for_use && ways.mounts && local_mode::prepare_space(surroundings, &session.facts, lookup, observer) {
        session.facts = session::local_facts(surroundings)?;
    }
    let mut environment = session.discover(observer).await?.environment;
    if !ways.mounts {
        environment = environment.without_shared_storage();
    }
    let lent = if ways.lends { Lent::of(&asked.shares, surroundings)? } else { Lent::default() };
    let types = asked.instance_types();
    let spot = asked.market.unwrap_or_default() != MarketChoice::OnDemand;
    let volume_gib = config.host.volume_gib;
    let price = Asked::begin(&session.clouds, &lookup.layout, &environment.region, types, spot, volume_gib);
    if let Some(most) = asked.max_cost {
        if asked.on_idle == Some(OnIdle::Stop) {
            let why = "there is no limit to what a host that stops can cost: its disk costs money until the host is terminated";
            return Err(Error::new(why)
                .hint("leave out --max-cost, or --on-idle stop; `--max-lifetime` limits how long it runs"));
        }
        let asking = observer.asking("asking AWS for prices");
        asked.max_lifetime = Some(pricing::affordable(&asked, most, count, &price).await?);
        drop(asking);
    }
    let asking = observer.asking("asking EC2 and EFS what a host needs");
    let cloud = if is_sandbox { CloudName::Sandbox } else { CloudName::Aws };
    let (planned, others) = tokio::join!(
        planning::plan_hosts(&asked, count, surroundings, &config, &session.clouds, &environment),
        others::running(lookup, &session.clouds, cloud, &environment.region),
    );
    let planned = planned?;
    drop(asking);
    for line in others {
        observer.info(line);
    }
    for warning in planned.warnings() {
        observer.warn(warning);
    }
    for line in planned.hooks.announced() {
        observer.info(line);
    }
    let own = match std::env::consts::ARCH {
        "aarch64" => "arm64",
        other => other,
    };
    if ways.lends && planned.instance_type.architecture.as_str() != own {
        let host = planned.instance_type.architecture.as_str();
        let why = format!("this app is for {own}, so its files can't be shared with a host of {host}");
        if asked.files.is_some() || !asked.shares.is_empty() {
            return Err(Error::new(why).hint("take another instance type, or `--files efs` or `--files none`"));
        }
        observer.warn(why);
        ways.lends = false;
    }
    if ways.lends {
        observer.info(format!("this app shares its files with the host: {lent}"));
    } else if planned.shared_home.is_none() {
        observer.info(request::WITHOUT_SHARED_STORAGE);
    }
    let lent = if ways.lends { lent } else { Lent::default() };
    Ok(Prepared { asked, price, session, environment, planned, previous_context, ways, lent })
}

/// Creates a host, and makes it the current one. Whatever fails, what was made is undone.
///
/// # Cancel safety
/// Not to be dropped once [`Stop::take_on`] was asked: what exists then stays until a recovery undoes it. Before, nothing was changed.
/// Stopping is for `stop`.
///
/// # Errors
/// No host was created. What may remain nevertheless is listed.
pub async fn create(
    asked: &HostRequest,
    surroundings: &Surroundings,
    session: Option<Session>,
    receiver: Receiver,
    observer: &dyn Observer,
    stop: &dyn Stop,
) -> crate::Result<NewHost> {
    let lookup = Lookup::new(surroundings);
    let prepared = prepare(asked, 1, surroundings, &lookup, session, observer, true).await?;
    prepared.check(surroundings, &lookup, observer).await?;
    let PlannedHost { plans, embedded } = prepared.planned.only();
    let asked = &prepared.asked;
    let session = &prepared.session;
    let host = prepared.planned.first().host.clone();
    if !stop.take_on(Some(&host)) {
        return Err(ProvisionError::Interrupted.into());
    }
    let progress = Progress::new(observer);
    let provisioner = session::provisioner(&session.clouds, &lookup, &progress, stop.token().clone());
    let created = provisioner.create_first(plans, asked.retry_for, prepared.previous_context.clone());
    let mut creation = progress.drive(created).await?;
    let flow = Flow { asked, receiver, surroundings, observer, lookup: &lookup, stop, prepared: &prepared };
    match flow.finish(&mut creation, embedded.as_ref()).await {
        Ok(mut ready) => {
            let warnings = progress.warnings().into_iter().chain(prepared.planned.warnings().cloned());
            ready.warnings = warnings.map(|warning| warning.to_string()).collect();
            pricing::remember(&mut ready, &prepared, &lookup);
            Ok(ready)
        }
        // Who interrupts does not want it kept.
        Err(error) if asked.keep_failed && stop.commit(Fate::KeptFailed) => {
            creation.keep_failed(format!("{error:#}"))?;
            Err(kept(creation.record(), &lookup, error))
        }
        Err(error) => {
            let logs = creation.record().name().map(|name| lookup.layout.failed(&name));
            let error = undo(&provisioner, creation, error, &progress).await;
            Err(match logs.filter(|logs| logs.is_dir()) {
                Some(logs) => error.hint(format!("the host's logs are in {}", logs.display())),
                None => error,
            })
        }
    }
}

impl Prepared {
    /// What is found out before anything is changed or paid for, and what the host finds when it comes up.
    async fn check(&self, surroundings: &Surroundings, lookup: &Lookup, observer: &dyn Observer) -> crate::Result<()> {
        clients::warn(&clients::overrides(surroundings, &[]), observer);
        let shared_home = self.planned.shared_home.as_deref();
        if let Some(problem) = writable::problems(surroundings, lookup, shared_home).into_iter().next() {
            return Err(problem);
        }
        let asking = observer.asking("asking EC2 whether it would allow the launch");
        preflight::check_launch(&self.session.clouds.cloud, &self.environment, self.planned.first()).await?;
        drop(asking);
        if let Some(shared_home) = shared_home {
            let (layout, hooks, shared) = (lookup.layout.clone(), self.planned.hooks.clone(), shared_home.to_owned());
            let share = move || {
                layout.link_hosts_to(&shared)?;
                hooks.share(&shared)
            };
            storage::in_time(format!("share {} with the host", shared_home.display()), share).await?;
        }
        Ok(())
    }
}

/// A new host's way from instance to use.
struct Flow<'a> {
    asked: &'a HostRequest,
    receiver: Receiver,
    surroundings: &'a Surroundings,
    observer: &'a dyn Observer,
    lookup: &'a Lookup,
    stop: &'a dyn Stop,
    prepared: &'a Prepared,
}

impl Flow<'_> {
    async fn finish(&self, creation: &mut Creation, embedded: Option<&HostCredentials>) -> crate::Result<NewHost> {
        let (host, mut ready) = self.introduce(creation, embedded, self.stop.token()).await?;
        if !self.asked.wait {
            HostFiles::new(self.lookup).list_first(vec![host.clone()]).await?;
            self.hand_over(creation)?;
            ready.notes.push(not_ready_yet(&host));
            return Ok(ready);
        }
        let answered = self.wait_for(&host, &ready, self.observer, self.stop.token()).await?;
        HostFiles::new(self.lookup).make_current(&host, &answered).await?;
        self.hand_over(creation)?;
        if self.receiver == Receiver::User {
            self.look_at_clients(&host, &mut ready, answered).await?;
        }
        ready.notes.extend(self.configure());
        Ok(ready)
    }

    /// Gives a host whose instance is there its name and its identity.
    async fn introduce(
        &self,
        creation: &mut Creation,
        embedded: Option<&HostCredentials>,
        stop: &CancellationToken,
    ) -> crate::Result<(ActiveHost, NewHost)> {
        let why = tokio::select! {
            why = misnamed(creation.record()) => why,
            () = stop.cancelled() => return Err(ProvisionError::Interrupted.into()),
        };
        if let Some(why) = why {
            self.observer.warn(format!("{why}: the host is reached by its address"));
            creation.reach_by_address()?;
        }
        let record = creation.record().clone();
        let host = entry(&record).context("the instance has no address")?;
        let name = host.name();
        let (made, server_key) = match embedded {
            Some(credentials) => (credentials.clone(), WriteServerKey::No),
            None => {
                let instance = record.instance.as_ref().context("the instance has no address")?;
                let lifetime = record.expires.duration_since(record.created).try_into().unwrap_or_default();
                (planning::credentials(&names(instance), lifetime)?, WriteServerKey::Yes)
            }
        };
        let (layout, of) = (self.lookup.layout.clone(), name.clone());
        storage::in_time(format!("write {name}'s keys"), move || {
            let client = layout.new_client_certs(&of);
            let client = client.with_context(|| format!("cannot make the folder of {of}'s keys"))?;
            Ok(made.write_apart(&layout.certs(&of), &client, server_key)?)
        })
        .await?;
        let ready = NewHost {
            record,
            endpoint: host.endpoint(),
            certs: self.lookup.layout.client_certs(&name),
            answered: None,
            idle_timeout: self.prepared.asked.idle_timeout(),
            on_idle: self.prepared.asked.on_idle.unwrap_or_default(),
            notes: Vec::new(),
            warnings: Vec::new(),
            refused: None,
            blocked: Vec::new(),
            obstacles: Vec::new(),
            hourly: None,
        };
        self.prepared.lent.write(&self.lookup.layout.link(&name))?;
        Ok((host, ready))
    }

    async fn wait_for(
        &self,
        host: &ActiveHost,
        ready: &NewHost,
        observer: &dyn Observer,
        stop: &CancellationToken,
    ) -> crate::Result<DockerHost> {
        let credentials = ClientCredentials::load(&ready.certs)?;
        if let Some(usually) = History::read(&self.lookup.layout).usually(&host.instance_type) {
            observer.info(format!("  it usually takes about {} until a host is ready", durations::show(usually)));
        }
        let booting = BootingHost {
            instance: &host.instance_id,
            folder: &self.lookup.layout.host(&host.name()),
            endpoint: &ready.endpoint,
            credentials: &credentials,
        };
        let cloud = &self.prepared.session.clouds.cloud;
        readiness::wait(cloud, &booting, self.asked.ready_within(), observer, stop).await
    }

    /// Finds out which clients get to a host that answers.
    async fn look_at_clients(&self, host: &ActiveHost, ready: &mut NewHost, answered: DockerHost) -> crate::Result<()> {
        ready.refused = docker_cli::refused(self.surroundings, &host.name(), answered.api()).await;
        let credentials = ClientCredentials::load(&ready.certs)?;
        ready.blocked = detours::blocked(self.surroundings, &ready.endpoint, &credentials).await;
        ready.obstacles = clients::obstacles(self.surroundings, &KnownHost::of(host, true)).await;
        ready.answered = Some(answered);
        Ok(())
    }

    /// Configures Local Mode. The host works; what Local Mode lacks is said, and can be mended with `sdocker configure`.
    fn configure(&self) -> Vec<String> {
        let Prepared { session, ways, .. } = self.prepared;
        match local_mode::apply(self.surroundings, &session.facts, self.lookup, *ways, self.observer) {
            Ok(notes) => notes,
            Err(error) => {
                let why = format!("Local Mode is not configured: {error:#}; `sdocker configure` tries again");
                self.observer.warn(why);
                Vec::new()
            }
        }
    }

    /// Gives the host to the user, unless a signal came before: the one or the other, whenever it comes.
    fn hand_over(&self, creation: &mut Creation) -> crate::Result<()> {
        if !self.stop.commit(Fate::HandedOver) {
            return Err(ProvisionError::Interrupted.into());
        }
        Ok(creation.hand_over()?)
    }
}

fn not_ready_yet(host: &ActiveHost) -> String {
    format!("it is not ready yet: `sdocker use --instance-id {}` connects to it once it is", host.instance_id)
}

/// What is said of a host that failed and was kept.
fn kept(record: &Record, lookup: &Lookup, error: Error) -> Error {
    let Some(instance) = &record.instance else { return error };
    let folder = lookup.layout.host(&record.name().unwrap_or_default());
    Error::new("the host failed, and is kept (--keep-failed)")
        .leaves(format!("instance {}", instance.id))
        .hint(format!(
            "`sdocker terminate-host --instance-id {}` ends it; its files are in {}",
            instance.id,
            folder.display()
        ))
        .because(error)
}

/// Of what was stopped there is nothing more to say; whatever else failed is the cause.
fn is_interruption(error: &Error) -> bool {
    matches!(error.cause(), Some(ProvisionError::Interrupted)) && error.is_wrapper()
}

async fn undo(provisioner: &Provisioner, creation: Creation, error: Error, progress: &Progress<'_>) -> Error {
    let interrupted = is_interruption(&error);
    let undone = progress.drive(provisioner.undo(creation.into_record(), ProvisionError::Interrupted)).await;
    match undone {
        _ if interrupted => undone.into(),
        ProvisionError::Undone { report, .. } if report.remains.is_empty() => {
            Error::new(format!("no host was created; undone: {}", report.undone.join(", "))).because(error)
        }
        other => Error::new("no host was created, and not everything could be undone").also(other).because(error),
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What failed while a host was handed over is the cause, whatever came of it.
    #[test]
    fn only_an_interruption_is_one() {
        assert!(is_interruption(&ProvisionError::Interrupted.into()));
        assert!(!is_interruption(&Error::new("cannot hand over").because(ProvisionError::Interrupted)));
        let other = ProvisionError::NoAppSecurityGroup;
        assert!(!is_interruption(&other.into()));
    }
}
