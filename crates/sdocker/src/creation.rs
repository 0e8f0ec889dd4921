//! A new host's way from a request to its use: plan, provision, wait, context, Local Mode.

use std::{
    net::IpAddr,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use docker_remote::{ClientCredentials, DockerHost, Endpoint, HostCredentials, HostNames, WriteServerKey};
use host_provisioner::{
    CloudName, Creation, HostPlan, InstanceTypeInfo, ProvisionError, Provisioner, Record, RecordedInstance, Survey,
    preflight,
};
use studio_discovery::StudioEnvironment;

use crate::{
    CloudChoice, Error, Fate, HostRequest, Observer, Stop, Surroundings,
    client_files::{HostFiles, entry},
    clients::{self, Obstacle},
    clouds::{self, Clouds},
    config::{self, Config},
    detours::{self, Blocked},
    docker_cli::{self, Refused},
    error::Context as _,
    hooks::Hooks,
    layout::Layout,
    link::Lent,
    local_mode,
    lookup::{KnownHost, Lookup},
    others,
    progress::Progress,
    readiness::{self, BootingHost},
    request::{self, Ways},
    session::{self, Session},
    writable,
};

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
}

/// What a plan is made of.
struct Prepared {
    /// What is asked for, with what the settings say of the rest.
    asked: HostRequest,
    session: Session,
    environment: StudioEnvironment,
    planned: Planned,
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
    surroundings: &Surroundings,
    observer: &dyn Observer,
) -> crate::Result<HostPlan> {
    let lookup = Lookup::new(surroundings);
    Ok(prepare(asked, surroundings, &lookup, None, observer, false).await?.planned.plan)
}

async fn prepare(
    asked: &HostRequest,
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
    let asked = asked.clone().or(&config);
    // What can't be edited later must be known before money is spent.
    let previous_context = lookup.contexts.current()?;
    let is_sandbox = clouds::choose(surroundings) == CloudChoice::Sandbox;
    let mut session = match session {
        Some(session) => session,
        None => Session::open(surroundings, observer).await?,
    };
    let mut ways = Ways::of(&asked, session.facts.app().kind, is_sandbox);
    if for_use && ways.mounts && local_mode::prepare_space(surroundings, &session.facts, lookup, observer) {
        session.facts = session::local_facts(surroundings)?;
    }
    let mut environment = session.discover(observer).await?.environment;
    if !ways.mounts {
        environment = environment.without_shared_storage();
    }
    let lent = if ways.lends { Lent::of(&asked.shares, surroundings)? } else { Lent::default() };
    let asking = observer.asking("asking EC2 and EFS what a host needs");
    let cloud = if is_sandbox { CloudName::Sandbox } else { CloudName::Aws };
    let (planned, others) = tokio::join!(
        plan(&asked, surroundings, &config, &session.clouds, &environment),
        others::running(lookup, &session.clouds, cloud, &environment.region),
    );
    let planned = planned?;
    drop(asking);
    for line in others {
        observer.info(line);
    }
    for warning in &planned.plan.warnings {
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
    Ok(Prepared { asked, session, environment, planned, previous_context, ways, lent })
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
    observer: &dyn Observer,
    stop: &dyn Stop,
) -> crate::Result<NewHost> {
    let lookup = Lookup::new(surroundings);
    let prepared = prepare(asked, surroundings, &lookup, session, observer, true).await?;
    let Prepared { asked, session, environment, planned, previous_context, ways, lent } = prepared;
    let Planned { plan, shared_home, hooks, embedded, .. } = planned;
    clients::warn(&clients::overrides(surroundings, &[]), observer);
    if let Some(problem) = writable::problems(surroundings, &lookup, shared_home.as_deref()).into_iter().next() {
        return Err(problem);
    }
    let asking = observer.asking("asking EC2 whether it would allow the launch");
    preflight::check_launch(&session.clouds.cloud, &environment, &plan).await?;
    drop(asking);

    if let Some(shared_home) = &shared_home {
        lookup.layout.link_hosts_to(shared_home)?;
        hooks.share(shared_home)?;
    }
    if !stop.take_on(Some(&plan.host)) {
        return Err(ProvisionError::Interrupted.into());
    }
    let progress = Progress::new(observer);
    let provisioner = session::provisioner(&session.clouds, &lookup, &progress, stop.token().clone());
    let mut creation = progress.drive(provisioner.create(&plan, previous_context)).await?;
    let flow =
        Flow { asked: &asked, surroundings, observer, lookup: &lookup, session: &session, stop, ways, lent: &lent };
    match flow.finish(&mut creation, embedded).await {
        Ok(mut ready) => {
            let warnings = progress.warnings().into_iter().chain(plan.warnings);
            ready.warnings = warnings.map(|warning| warning.to_string()).collect();
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

/// What a creation starts from.
pub struct Planned {
    /// What is to be made.
    pub plan: HostPlan,
    /// What the instance type is.
    pub instance_type: InstanceTypeInfo,
    /// The folder of the home that this app and the host share; `None` where they share none.
    pub shared_home: Option<std::path::PathBuf>,
    /// What the host is to run.
    pub(crate) hooks: Hooks,
    /// The daemon's identity, where the host gets it in its user data.
    pub embedded: Option<HostCredentials>,
}

/// Reads what a host needs, and plans it. Changes nothing.
///
/// # Cancel safety
/// It only reads, and can be dropped at any time.
pub async fn plan(
    asked: &HostRequest,
    surroundings: &Surroundings,
    config: &Config,
    clouds: &Clouds,
    environment: &StudioEnvironment,
) -> crate::Result<Planned> {
    let shared_home = request::shared_home(surroundings, environment);
    let hooks: Hooks = match &shared_home {
        Some(_) => Hooks::find(&Layout::new(surroundings))?,
        None => Hooks::default(),
    };
    let embedded = match &shared_home {
        Some(_) => None,
        None => Some(embedded_credentials(environment, asked)?),
    };
    let request = request::request(asked, surroundings, config, (shared_home.clone(), hooks.told()), embedded.as_ref());
    let survey = Survey::take(&clouds.cloud, environment, &request).await?;
    let plan = HostPlan::new(environment, &request, &survey)?;
    Ok(Planned { plan, instance_type: survey.instance_type, shared_home, hooks, embedded })
}

/// A new host's way from instance to use.
struct Flow<'a> {
    asked: &'a HostRequest,
    surroundings: &'a Surroundings,
    observer: &'a dyn Observer,
    lookup: &'a Lookup,
    session: &'a Session,
    stop: &'a dyn Stop,
    ways: Ways,
    lent: &'a Lent,
}

impl Flow<'_> {
    async fn finish(&self, creation: &mut Creation, embedded: Option<HostCredentials>) -> crate::Result<NewHost> {
        let why = tokio::select! {
            why = misnamed(creation.record()) => why,
            () = self.stop.token().cancelled() => return Err(ProvisionError::Interrupted.into()),
        };
        if let Some(why) = why {
            self.observer.warn(format!("{why}: the host is reached by its address"));
            creation.reach_by_address()?;
        }
        let record = creation.record().clone();
        let host = entry(&record).context("the instance has no address")?;
        let name = host.name();
        let certs = self.lookup.layout.certs(&name);
        let client = self.lookup.layout.new_client_certs(&name);
        let client = client.with_context(|| format!("cannot make the folder of {name}'s keys"))?;
        match &embedded {
            Some(credentials) => credentials.write_apart(&certs, &client, WriteServerKey::No)?,
            None => {
                let instance = record.instance.as_ref().context("the instance has no address")?;
                let lifetime = record.expires.duration_since(record.created);
                credentials(&names(instance), lifetime.try_into().unwrap_or_default())?.write_apart(
                    &certs,
                    &client,
                    WriteServerKey::Yes,
                )?;
            }
        }
        let endpoint = host.endpoint();
        let mut ready = NewHost {
            record,
            endpoint: endpoint.clone(),
            certs: self.lookup.layout.client_certs(&name),
            answered: None,
            idle_timeout: self.asked.idle_timeout(),
            notes: Vec::new(),
            warnings: Vec::new(),
            refused: None,
            blocked: Vec::new(),
            obstacles: Vec::new(),
        };
        self.lent.write(&self.lookup.layout.link(&name))?;
        if !self.asked.wait {
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
            &BootingHost {
                instance: &host.instance_id,
                folder: &self.lookup.layout.host(&name),
                endpoint: &endpoint,
                credentials: &credentials,
            },
            self.asked.ready_within(),
            self.observer,
            self.stop.token(),
        )
        .await?;
        HostFiles::new(self.lookup).make_current(&host, &answered)?;
        self.hand_over(creation)?;
        ready.refused = docker_cli::refused(self.surroundings, &name, answered.api()).await;
        ready.blocked = detours::blocked(self.surroundings, &endpoint, &credentials).await;
        ready.obstacles = clients::obstacles(self.surroundings, &KnownHost::of(&host, true)).await;
        ready.answered = Some(answered);
        // The host works; what Local Mode lacks is said, and can be mended with `sdocker configure`.
        match local_mode::apply(self.surroundings, &self.session.facts, self.lookup, self.ways, self.observer) {
            Ok(notes) => ready.notes.extend(notes),
            Err(error) => {
                self.observer.warn(format!("Local Mode is not configured: {error:#}; `sdocker configure` tries again"))
            }
        }
        Ok(ready)
    }

    /// Gives the host to the user, unless a signal came before: the one or the other, whenever it comes.
    fn hand_over(&self, creation: &mut Creation) -> crate::Result<()> {
        if !self.stop.commit(Fate::HandedOver) {
            return Err(ProvisionError::Interrupted.into());
        }
        Ok(creation.hand_over()?)
    }
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

async fn undo(provisioner: &Provisioner, creation: Creation, error: Error, progress: &Progress<'_>) -> Error {
    // Of what was stopped there is nothing more to say; whatever else failed is the cause.
    let interrupted = matches!(error.cause(), Some(ProvisionError::Interrupted)) && error.is_wrapper();
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

fn credentials(names: &HostNames, lifetime: Duration) -> crate::Result<HostCredentials> {
    Ok(HostCredentials::generate(names, SystemTime::now(), validity(lifetime))?)
}

/// How often its maximum lifetime a host can be kept, at the most: what `user_data/start.sh` of host-provisioner sets.
const KEEP_LIMIT: u32 = 7;

/// `sdocker keep` may extend a host's life up to its limit; the certificate outlives it by a month.
fn validity(lifetime: Duration) -> Duration {
    lifetime.saturating_mul(KEEP_LIMIT) + Duration::from_secs(30 * 24 * 3600)
}

/// Credentials made before the instance has a name or an address: for every name that EC2 gives in this Region, and with an issuer by
/// which the host adds its addresses. They can serve as this one host only, because no other host's clients know this CA.
fn embedded_credentials(environment: &StudioEnvironment, asked: &HostRequest) -> crate::Result<HostCredentials> {
    let domain = match environment.region.as_str() {
        // EC2 user guide, "EC2 instance hostnames and domains".
        "us-east-1" => "ec2.internal".to_owned(),
        region => format!("{region}.compute.internal"),
    };
    let names = HostNames { dns: vec![format!("*.{domain}")], addresses: Vec::new() };
    Ok(HostCredentials::generate_with_issuer(&names, SystemTime::now(), validity(asked.max_lifetime()))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A week is the longest that a host lives by itself, and it can be kept for seven times as long.
    #[test]
    fn a_certificate_outlives_the_longest_that_a_host_can_be_kept() {
        let week = Duration::from_secs(7 * 24 * 3600);
        let now = SystemTime::now();
        let made = HostCredentials::generate(&HostNames::default(), now, validity(week)).expect("made");
        assert!(made.server_certificate().contains("BEGIN CERTIFICATE"));
        assert!(validity(week) > 7 * week, "{:?}", validity(week));
    }
}
