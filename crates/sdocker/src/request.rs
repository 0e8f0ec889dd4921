//! What a new host is to be, and what of it is taken from settings and surroundings.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use docker_remote::HostCredentials;
use host_provisioner::{
    EngineChoice, Hooks, HostConfig, HostId, Identity, InstanceType, MarketChoice, OnIdle, ProxySettings, shared_paths,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use studio_discovery::{AppKind, StudioEnvironment, SubnetId, Tag};

use crate::{CloudChoice, Surroundings, clouds, config::Config, durations::Timeout};

/// Said before money is spent, where the host gets no files of the app.
pub(crate) const WITHOUT_SHARED_STORAGE: &str = "the host can't see this app's files: images, builds, contexts and volumes on the host work; \
     bind mounts of local folders, and with them Local Mode's local data, do not";

/// How long a new host has to become ready.
const READY_WITHIN: Duration = Duration::from_secs(15 * 60);

const IDLE_TIMEOUT: Duration = Duration::from_secs(60 * 60);
const MAX_LIFETIME: Duration = Duration::from_secs(12 * 60 * 60);

/// How a host gets the app's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum Files {
    /// The app shares them with the host; EFS is not touched.
    Share,
    /// The host mounts the app's EFS; files elsewhere are not on the host.
    Efs,
    /// The host gets no files of the app.
    None,
}

/// What comes of it for an app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ways {
    /// Whether the app lends files.
    pub lends: bool,
    /// Whether the host mounts EFS.
    pub mounts: bool,
}

impl Ways {
    pub(crate) fn of(asked: &HostRequest, kind: AppKind, surroundings: &Surroundings) -> Self {
        let (lends, mounts) = match asked.files {
            Some(Files::Share) => (true, false),
            Some(Files::Efs) => (false, true),
            Some(Files::None) => (false, false),
            // Who names folders wants them lent.
            None => (Self::lends_by_default(kind, surroundings) || !asked.shares.is_empty(), true),
        };
        Self { lends, mounts }
    }

    /// Whether an app lends its files where nothing is said. A host of the sandbox has them anyway.
    pub(crate) fn lends_by_default(kind: AppKind, surroundings: &Surroundings) -> bool {
        !kind.home_is_efs() && clouds::choose(surroundings) != CloudChoice::Sandbox
    }
}

/// What a new host is to be. What is not said is as `sdocker.conf` says, else by default.
#[derive(Clone, Debug)]
pub struct HostRequest {
    /// The EC2 instance type.
    pub instance_type: InstanceType,
    /// Types that do as well where there is no capacity for it, in the order in which they are tried.
    pub other_types: Vec<InstanceType>,
    /// For how long capacity is asked for again, where there is none.
    pub retry_for: Duration,
    /// Whether it is to be a node of a Swarm. Hosts that are created together form one.
    pub swarm: bool,
    /// The subnet, in place of the first of the domain's that has a mount target and capacity.
    pub subnet: Option<SubnetId>,
    /// What runs the daemon.
    pub engine: Option<EngineChoice>,
    /// After how long without use the host ends itself; by default an hour.
    pub idle_timeout: Option<Timeout>,
    /// What its end by itself is; by default it is terminated.
    pub on_idle: Option<OnIdle>,
    /// After how long the host ends itself, whatever runs on it; by default twelve hours.
    pub max_lifetime: Option<Duration>,
    /// What the host may cost at most, in US dollars: it ends itself by then, or earlier by `max_lifetime`.
    pub max_cost: Option<f64>,
    /// On demand, or Spot; by default on demand.
    pub market: Option<MarketChoice>,
    /// How the host gets the app's files; `None`: by EFS in Studio Classic, lent by the app in a space, beside the EFS that it has mounted.
    pub files: Option<Files>,
    /// The folders that the app lends, such as `/home/me/data:ro`, in place of its home.
    pub shares: Vec<String>,
    /// Tags of everything that is made for the host, beside sdocker's own; they go before those of the same keys in `sdocker.conf`.
    pub tags: Vec<Tag>,
    /// Whether to wait until the host is ready, and to configure Local Mode then. [`Studio::create_host`](crate::Studio::create_host) always
    /// does.
    pub wait: bool,
    /// How long to wait; by default a quarter of an hour.
    pub ready_within: Option<Duration>,
    /// Whether to keep a host that does not become ready, to look into why. It still ends itself.
    pub keep_failed: bool,
}

impl HostRequest {
    /// The keys of `sdocker.conf` that it takes the place of; its instance type may come from there itself. Tags are not among them: those of both
    /// hold.
    pub fn keys(&self) -> Vec<&'static str> {
        [
            ("Engine", self.engine.is_some()),
            ("IdleTimeout", self.idle_timeout.is_some()),
            ("OnIdle", self.on_idle.is_some()),
            ("MaxLifetime", self.max_lifetime.is_some()),
            ("MaxCost", self.max_cost.is_some()),
            ("SubnetId", self.subnet.is_some()),
            ("Market", self.market.is_some()),
            // Who names folders wants them shared, whatever the file says of files.
            ("Files", self.files.is_some() || !self.shares.is_empty()),
            ("Shares", !self.shares.is_empty()),
            ("Timeout", self.ready_within.is_some()),
            ("KeepFailed", self.keep_failed),
        ]
        .into_iter()
        .filter_map(|(key, is_set)| is_set.then_some(key))
        .collect()
    }

    /// A host of this type, which is waited for.
    pub fn new(instance_type: impl Into<InstanceType>) -> Self {
        Self {
            instance_type: instance_type.into(),
            other_types: Vec::new(),
            retry_for: Duration::ZERO,
            swarm: false,
            subnet: None,
            engine: None,
            idle_timeout: None,
            on_idle: None,
            max_lifetime: None,
            max_cost: None,
            market: None,
            files: None,
            shares: Vec::new(),
            tags: Vec::new(),
            wait: true,
            ready_within: None,
            keep_failed: false,
        }
    }

    /// The request, with what the settings say where it says nothing.
    pub(crate) fn or(mut self, config: &Config) -> Self {
        self.subnet = self.subnet.or_else(|| config.subnet.clone());
        self.engine = self.engine.or(config.engine);
        self.idle_timeout = self.idle_timeout.or(config.idle_timeout);
        self.on_idle = self.on_idle.or(config.on_idle);
        self.max_lifetime = self.max_lifetime.or(config.max_lifetime);
        self.max_cost = self.max_cost.or(config.max_cost);
        self.market = self.market.or(config.market);
        // Who names folders on the command line wants them lent, whatever is said of files elsewhere.
        self.files = self.files.or(config.files.filter(|_| self.shares.is_empty()));
        if self.shares.is_empty() {
            self.shares.clone_from(&config.shares);
        }
        self.ready_within = self.ready_within.or(config.ready_within);
        self.keep_failed |= config.keep_failed;
        self.tags = tags(&self.tags, &config.host.tags);
        self
    }

    pub(crate) fn idle_timeout(&self) -> Option<Duration> {
        self.idle_timeout.map_or(Some(IDLE_TIMEOUT), |timeout| timeout.0)
    }

    pub(crate) fn max_lifetime(&self) -> Duration {
        self.max_lifetime.unwrap_or(MAX_LIFETIME)
    }

    pub(crate) fn ready_within(&self) -> Duration {
        self.ready_within.unwrap_or(READY_WITHIN)
    }

    /// The instance types, each once, in the order in which they are tried.
    pub fn instance_types(&self) -> Vec<InstanceType> {
        let mut types = vec![self.instance_type.clone()];
        for other in &self.other_types {
            if !types.contains(other) {
                types.push(other.clone());
            }
        }
        types
    }
}

/// The request as the provisioner takes it; `asked` has what the settings say already.
pub(crate) fn request(
    asked: &HostRequest,
    surroundings: &Surroundings,
    config: &Config,
    shares_files: bool,
    (shared_home, hooks): (Option<PathBuf>, Hooks),
    embedded: Option<&HostCredentials>,
) -> host_provisioner::HostRequest {
    let embedded = embedded.and_then(|credentials| Some((credentials, credentials.issuer()?)));
    host_provisioner::HostRequest {
        host: HostId::generate(),
        now: Timestamp::now(),
        instance_type: asked.instance_type.clone(),
        subnet: asked.subnet.clone(),
        engine: asked.engine.unwrap_or_default(),
        swarm: asked.swarm,
        market: asked.market.unwrap_or_default(),
        max_lifetime: asked.max_lifetime(),
        idle_timeout: asked.idle_timeout(),
        on_idle: asked.on_idle.unwrap_or_default(),
        shared_home,
        shares_files,
        hooks,
        identity: match embedded {
            Some((credentials, (issuer, issuer_key))) => Identity::Embedded {
                ca: credentials.ca_certificate().to_owned(),
                certificate: credentials.server_certificate().to_owned(),
                key: credentials.server_key().to_owned(),
                issuer: issuer.to_owned(),
                issuer_key: issuer_key.to_owned(),
            },
            None => Identity::Shared,
        },
        proxy: proxy(surroundings),
        config: HostConfig { tags: asked.tags.clone(), ..config.host.clone() },
    }
}

/// Tags of a request, and those of other keys that the configuration has.
fn tags(asked: &[Tag], configured: &[Tag]) -> Vec<Tag> {
    let others = configured.iter().filter(|tag| asked.iter().all(|asked| asked.key != tag.key));
    asked.iter().chain(others).cloned().collect()
}

/// The folder that holds `hosts/` where the host sees it as well: SDOCKER_HOME itself, else one in the folder that the app shares with its
/// hosts ([`StudioEnvironment::shared_folder`]), which is the user's own wherever there is one.
pub(crate) fn shared_home(surroundings: &Surroundings, environment: &StudioEnvironment) -> Option<PathBuf> {
    let shared = shared_paths(environment);
    let on = |folder: &Path| shared.iter().any(|root| folder.starts_with(root));
    if on(&surroundings.sdocker_home) {
        return Some(surroundings.sdocker_home.clone());
    }
    // One that can't be looked at is shared nevertheless: writing there says what is wrong, and the host's key stays out of user data.
    let is_folder = |folder: &&Path| match folder.metadata() {
        Ok(found) => found.is_dir(),
        Err(error) => error.kind() != std::io::ErrorKind::NotFound,
    };
    environment.shared_folder().filter(is_folder).map(|folder| folder.join(".sdocker"))
}

/// The client's proxies, for the daemon. What is in the VPC is reached directly, the instance's metadata always.
fn proxy(surroundings: &Surroundings) -> ProxySettings {
    if surroundings.http_proxy.is_none() && surroundings.https_proxy.is_none() {
        return ProxySettings::default();
    }
    let given =
        surroundings.no_proxy.iter().flat_map(|list| list.split(',')).map(str::trim).filter(|name| !name.is_empty());
    let mut no_proxy: Vec<String> = given.map(str::to_owned).collect();
    for name in ["localhost", "127.0.0.1", "169.254.169.254", ".internal"] {
        if !no_proxy.iter().any(|known| known == name) {
            no_proxy.push(name.to_owned());
        }
    }
    ProxySettings { http: surroundings.http_proxy.clone(), https: surroundings.https_proxy.clone(), no_proxy }
}
