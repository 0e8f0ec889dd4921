//! The hosts that this home knows: from the journal, and from `sdocker-hosts.conf` where older tools made them.

use std::path::Path;

use docker_remote::ContextStore;
use host_provisioner::{CloudName, Entry, InstanceId, InstanceType, Journal, JournalError, Place, Record, RecordState};

use crate::{
    Error, HostSelector, Observer, Surroundings,
    client_files::entry,
    disk,
    hosts_conf::{ActiveHost, HostsConf},
    layout::{Layout, host_name},
    socket, storage,
};

/// What is done where hosts are looked up.
const READ_HOSTS: &str = "read the hosts of this home";

/// A host that this home knows.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct KnownHost {
    /// `<instance-type>_<instance-id>`.
    pub name: String,
    /// Its instance.
    pub instance: InstanceId,
    /// The instance's type.
    pub instance_type: InstanceType,
    /// The name or address by which it is reached.
    pub address: String,
    /// The port of its daemon's TLS endpoint.
    pub port: u16,
    /// Whether the Docker CLI talks to it.
    pub current: bool,
    /// Its record; a host of the first `sdocker` has none.
    pub record: Option<Record>,
}

impl KnownHost {
    /// A host without a record.
    pub(crate) fn of(entry: &ActiveHost, current: bool) -> Self {
        Self {
            name: entry.name(),
            instance: entry.instance_id.clone(),
            instance_type: entry.instance_type.clone(),
            address: entry.instance_dns.clone(),
            port: entry.port,
            current,
            record: None,
        }
    }

    /// Where it is: by its record, else as far as its name tells (EC2 user guide, "EC2 instance hostnames and domains").
    pub fn place(&self) -> Option<Place> {
        if let Some(record) = &self.record {
            return Some(record.place.clone());
        }
        let region = match self.address.split_once('.')?.1 {
            "ec2.internal" => Some("us-east-1"),
            domain => domain.strip_suffix(".compute.internal"),
        };
        Some(Place { cloud: CloudName::Aws, account: None, region: region?.parse().ok()? })
    }

    /// Where its daemon listens, as `DOCKER_HOST` takes it.
    pub fn endpoint(&self) -> String {
        format!("tcp://{}:{}", self.address, self.port)
    }

    /// Its entry in `sdocker-hosts.conf`.
    pub fn entry(&self) -> ActiveHost {
        ActiveHost {
            instance_id: self.instance.clone(),
            instance_dns: self.address.clone(),
            port: self.port,
            instance_type: self.instance_type.clone(),
        }
    }
}

/// The hosts of one home, and the files they are kept in.
#[derive(Clone)]
pub struct Lookup {
    /// Where the files are.
    pub(crate) layout: Layout,
    /// The records of hosts that this home created.
    pub(crate) journal: Journal,
    /// The list of hosts that other tools read.
    pub(crate) hosts_conf: HostsConf,
    /// Docker's contexts.
    pub(crate) contexts: ContextStore,
    docker_host: Option<String>,
    docker_context: Option<String>,
    /// The socket on demand, as DOCKER_HOST names it.
    socket: String,
}

impl Lookup {
    /// The hosts of the home in these surroundings. Nothing is read yet.
    pub fn new(surroundings: &Surroundings) -> Self {
        let layout = Layout::new(surroundings);
        Self {
            journal: Journal::new(layout.journal()),
            hosts_conf: HostsConf::new(layout.hosts_conf()),
            contexts: ContextStore::new(&surroundings.docker_config),
            docker_host: surroundings.docker_host.clone(),
            docker_context: surroundings.docker_context.clone(),
            socket: socket::endpoint(surroundings),
            layout,
        }
    }

    /// Whether this home has the client's key for a host: not before the host was used from here. A key that can't be looked at may be there.
    pub fn has_key(&self, host: &str) -> bool {
        self.layout.client_certs(host).join("key.pem").try_exists().unwrap_or(true)
    }

    /// Every host, the current one first. The calling thread waits for storage, if not for ever.
    ///
    /// # Errors
    /// What can't be read, or storage that does not answer within a minute.
    pub fn hosts(&self) -> crate::Result<Vec<KnownHost>> {
        let lookup = self.clone();
        storage::in_time_blocking(READ_HOSTS, move || lookup.read())
    }

    /// The same, read by another thread.
    ///
    /// # Cancel safety
    /// It only reads, and can be dropped at any time.
    pub(crate) async fn hosts_aside(&self) -> crate::Result<Vec<KnownHost>> {
        let lookup = self.clone();
        storage::in_time(READ_HOSTS, move || lookup.read()).await
    }

    /// Docker's current context, read by another thread.
    ///
    /// # Cancel safety
    /// It only reads, and can be dropped at any time.
    pub(crate) async fn context_aside(&self) -> crate::Result<Option<String>> {
        let contexts = self.contexts.clone();
        storage::in_time("read Docker's current context", move || Ok(contexts.current()?)).await
    }

    fn read(&self) -> crate::Result<Vec<KnownHost>> {
        let mut records = self.journal.records()?;
        let mut hosts = Vec::new();
        for entry in self.hosts_conf.hosts() {
            let position = records.iter().position(|record| instance_of(record) == Some(&entry.instance_id));
            hosts.push(KnownHost {
                name: entry.name(),
                instance: entry.instance_id,
                instance_type: entry.instance_type,
                address: entry.instance_dns,
                port: entry.port,
                current: false,
                record: position.map(|position| records.remove(position)),
            });
        }
        for record in records {
            let Some(instance) = record.instance.clone() else { continue };
            hosts.push(KnownHost {
                name: host_name(&record.instance_type, &instance.id),
                instance: instance.id,
                instance_type: record.instance_type.clone(),
                address: instance.endpoint,
                port: record.daemon_port,
                current: false,
                record: Some(record),
            });
        }
        // Without a readable config.json, the Docker CLI talks to none of them.
        if let Some(position) = self.current_among(&hosts).unwrap_or_default() {
            let host = hosts.remove(position);
            hosts.insert(0, KnownHost { current: true, ..host });
        }
        Ok(hosts)
    }

    /// Which of the hosts the Docker CLI talks to, if it is one of them: as DOCKER_HOST says, else DOCKER_CONTEXT, else `currentContext` of
    /// its config.json (docker/cli, `cli/command/cli.go`, `resolveContextName`).
    fn current_among(&self, hosts: &[KnownHost]) -> Result<Option<usize>, docker_remote::Error> {
        if let Some(daemon) = &self.docker_host {
            let daemon = daemon.trim_end_matches('/');
            if daemon == self.socket {
                return Ok(self.position_on_demand(hosts));
            }
            return Ok(hosts.iter().position(|host| host.endpoint() == daemon));
        }
        let context = match &self.docker_context {
            Some(context) => Some(context.clone()),
            None => self.contexts.current()?,
        };
        Ok(match context.as_deref() {
            Some(socket::CONTEXT) => self.position_on_demand(hosts),
            Some(context) => hosts.iter().position(|host| host.name == context),
            None => None,
        })
    }

    /// The host that the socket on demand leads to, among these in the order of `sdocker-hosts.conf`: the first that can be used from here.
    pub(crate) fn on_demand(&self, hosts: &[KnownHost]) -> Option<KnownHost> {
        self.position_on_demand(hosts).and_then(|position| hosts.get(position).cloned())
    }

    fn position_on_demand(&self, hosts: &[KnownHost]) -> Option<usize> {
        let is_ready = |host: &KnownHost| host.record.as_ref().is_none_or(|record| record.state == RecordState::Ready);
        hosts.iter().position(|host| is_ready(host) && self.has_key(&host.name))
    }

    /// The current host: the one that the Docker CLI talks to. There is no other.
    ///
    /// # Errors
    /// There is none, or that can't be told; `instead` says of each other host what could be done with it.
    pub fn current(&self, instead: impl Fn(&KnownHost) -> String) -> crate::Result<KnownHost> {
        let lookup = self.clone();
        let (hosts, why_none) = storage::in_time_blocking(READ_HOSTS, move || {
            let hosts = lookup.read()?;
            lookup.current_among(&hosts)?;
            Ok((hosts, lookup.why_none()))
        })?;
        match hosts.first() {
            Some(host) if host.current => Ok(host.clone()),
            _ => {
                let mut error = Error::new(format!("there is no current host: {why_none}"));
                for host in &hosts {
                    error = error.hint(instead(host));
                }
                if hosts.is_empty() {
                    error = error.hint("`sdocker create-host --instance-type c5.xlarge` creates one");
                }
                Err(error)
            }
        }
    }

    /// Where the Docker CLI goes in place of a host that is known here.
    fn why_none(&self) -> String {
        match (&self.docker_host, &self.docker_context, self.contexts.current()) {
            (Some(daemon), ..) => format!("DOCKER_HOST is {daemon}"),
            (None, Some(context), _) => format!("DOCKER_CONTEXT is {context}"),
            (None, None, Ok(Some(context))) => format!("Docker's context is {context}"),
            (None, None, Ok(None)) => "Docker's context is default".to_owned(),
            (None, None, Err(error)) => error.to_string(),
        }
    }

    /// The host that is meant; else the current one; else the first that is known, which is said. Not for what ends a host.
    ///
    /// # Errors
    /// There is none, or it could be several; records that can't be read.
    pub fn find(&self, host: Option<&HostSelector>, observer: &dyn Observer) -> crate::Result<KnownHost> {
        let lookup = self.clone();
        self.choose(storage::in_time_blocking(READ_HOSTS, move || lookup.read_with_why())?, host, observer)
    }

    /// The same, read by another thread.
    ///
    /// # Cancel safety
    /// It only reads, and can be dropped at any time.
    pub(crate) async fn find_aside(
        &self,
        host: Option<&HostSelector>,
        observer: &dyn Observer,
    ) -> crate::Result<KnownHost> {
        let lookup = self.clone();
        self.choose(storage::in_time(READ_HOSTS, move || lookup.read_with_why()).await?, host, observer)
    }

    /// The hosts, and why none of them is current where none is.
    fn read_with_why(&self) -> crate::Result<(Vec<KnownHost>, String)> {
        Ok((self.read()?, self.why_none()))
    }

    fn choose(
        &self,
        (hosts, why_none): (Vec<KnownHost>, String),
        host: Option<&HostSelector>,
        observer: &dyn Observer,
    ) -> crate::Result<KnownHost> {
        let Some(selector) = host else {
            let Some(host) = hosts.into_iter().next() else { return self.current(|_| String::new()) };
            if !host.current {
                observer.warn(format!("no host is current, since {why_none}: this is {}", host.name));
            }
            return Ok(host);
        };
        selector.choose(&hosts)?.ok_or_else(|| unknown(selector, &hosts))
    }

    /// Mends the list that other tools read, where it is broken. Returns what to say of it.
    pub fn mend_hosts_conf(&self) -> Option<String> {
        let lookup = self.clone();
        let mended = storage::in_time_blocking("look at sdocker-hosts.conf", move || {
            let Self { hosts_conf, journal, .. } = lookup;
            Ok(hosts_conf.mend(|| journal.records().unwrap_or_default().iter().filter_map(entry).collect()))
        });
        // Whoever needs it is told.
        mended.unwrap_or_default()
    }

    /// What the user should know of the journal: unfinished records that nobody works on, in one line, and unusable ones.
    pub fn notices(&self) -> Vec<String> {
        let journal = self.journal.clone();
        let entries = match storage::in_time_blocking("read the journal", move || Ok(journal.entries()?)) {
            Ok(entries) => entries,
            Err(error) => return vec![format!("the journal of hosts can't be read: {error}")],
        };
        let (mut unfinished, mut ready) = (Vec::new(), Vec::new());
        let mut notices = Vec::new();
        for entry in entries {
            match entry {
                Entry::Idle(record) if record.is_unfinished() => unfinished.push(describe(&record)),
                Entry::Idle(record) => ready.push(record),
                Entry::Busy(_) => {}
                Entry::Unusable(error) => notices.push(unusable(&error)),
            }
        }
        if !unfinished.is_empty() {
            let hosts = count(unfinished.len());
            notices.push(format!("{hosts} interrupted: {}; run `sdocker recover`", unfinished.join(", ")));
        }
        notices.extend(disk::due(&self.layout, &ready));
        notices
    }
}

/// No host here is the one that is meant.
pub(crate) fn unknown(selector: &HostSelector, hosts: &[KnownHost]) -> Error {
    let error = Error::new(format!("no host {selector} is known here"));
    let known: Vec<&str> = hosts.iter().map(|host| host.name.as_str()).collect();
    let error = if known.is_empty() { error } else { error.hint(format!("known are {}", known.join(", "))) };
    error.hint("`sdocker recover` finds hosts that were created from another home")
}

/// A record that can't be read, and what to do about it.
pub fn unusable(error: &JournalError) -> String {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
    let stem = error.path().and_then(Path::file_stem).unwrap_or_default().to_string_lossy();
    match error {
        JournalError::Newer { .. } => format!("a host's record is left alone: {error}; use the newer sdocker for it"),
        JournalError::Malformed { .. } => format!(
            "a host's record can't be read: {error}; `sdocker recover` looks for its host; `sdocker recover --forget {stem}` \
             drops the record once that is settled"
        ),
        _ => format!("a host's record can't be read: {error}{cause}"),
    }
}

fn count(hosts: usize) -> String {
    if hosts == 1 { "1 host was".to_owned() } else { format!("{hosts} hosts were") }
}

fn describe(record: &Record) -> String {
    let doing = match record.state {
        RecordState::Creating => "creation of",
        RecordState::Undoing => "clean-up of",
        RecordState::Terminating => "termination of",
        RecordState::Ready => "",
    };
    format!("{doing} {}", record.name().unwrap_or_else(|| record.instance_type.to_string()))
}

fn instance_of(record: &Record) -> Option<&InstanceId> {
    record.instance.as_ref().map(|instance| &instance.id)
}
