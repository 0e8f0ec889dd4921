//! The hosts that this home knows: from the journal, and from `sdocker-hosts.conf` where older tools made them.

use docker_remote::ContextStore;
use host_provisioner::{Entry, InstanceId, InstanceType, Journal, JournalError, Record, RecordState};

use crate::{failure::Hinted, hosts_conf::HostsConf, layout::Layout, layout::host_name, world::World};

/// A host that this home knows.
#[derive(Clone, Debug)]
pub(crate) struct KnownHost {
    /// `<instance-type>_<instance-id>`.
    pub(crate) name: String,
    pub(crate) instance: InstanceId,
    pub(crate) instance_type: InstanceType,
    /// The name or address by which it is reached.
    pub(crate) address: String,
    pub(crate) port: u16,
    /// Its record; a host of the first `sdocker` has none.
    pub(crate) record: Option<Record>,
}

/// The hosts of one home, and the files they are kept in.
pub(crate) struct Lookup {
    pub(crate) layout: Layout,
    pub(crate) journal: Journal,
    pub(crate) hosts_conf: HostsConf,
    pub(crate) contexts: ContextStore,
}

impl Lookup {
    pub(crate) fn new(world: &World) -> Self {
        let layout = Layout::new(world);
        Self {
            journal: Journal::new(layout.journal()),
            hosts_conf: HostsConf::new(layout.hosts_conf()),
            contexts: ContextStore::new(&world.docker_config),
            layout,
        }
    }

    /// Every host, the current one first.
    pub(crate) fn hosts(&self) -> anyhow::Result<Vec<KnownHost>> {
        let mut records = self.journal.records()?;
        let mut hosts = Vec::new();
        for entry in self.hosts_conf.hosts()? {
            let position = records.iter().position(|record| instance_of(record) == Some(&entry.instance_id));
            hosts.push(KnownHost {
                name: entry.name(),
                instance: entry.instance_id,
                instance_type: entry.instance_type,
                address: entry.instance_dns,
                port: entry.port,
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
                record: Some(record),
            });
        }
        let current = self.contexts.current().ok().flatten();
        if let Some(position) = hosts.iter().position(|host| Some(&host.name) == current.as_ref()) {
            let host = hosts.remove(position);
            hosts.insert(0, host);
        }
        Ok(hosts)
    }

    /// The current host: the one of Docker's current context, else the first of `sdocker-hosts.conf`, else the only one.
    pub(crate) fn current(&self) -> anyhow::Result<KnownHost> {
        let hosts = self.hosts()?;
        hosts.into_iter().next().ok_or_else(|| {
            Hinted::new("there is no current host")
                .hint("`sdocker create-host --instance-type c5.xlarge` makes one")
                .into()
        })
    }

    /// A host by its instance, or the current one.
    pub(crate) fn find(&self, instance: Option<&InstanceId>) -> anyhow::Result<KnownHost> {
        let Some(instance) = instance else { return self.current() };
        let hosts = self.hosts()?;
        let known: Vec<String> = hosts.iter().map(|host| host.instance.to_string()).collect();
        hosts.into_iter().find(|host| host.instance == *instance).ok_or_else(|| {
            let error = Hinted::new(format!("no host {instance} is known here"));
            let error = if known.is_empty() { error } else { error.hint(format!("known are {}", known.join(", "))) };
            error.hint("`sdocker recover` finds hosts that were made from another home").into()
        })
    }

    /// What the user should know of the journal: unfinished records that nobody works on, in one line, and unusable ones.
    pub(crate) fn notices(&self) -> Vec<String> {
        let entries = match self.journal.entries() {
            Ok(entries) => entries,
            Err(error) => return vec![format!("the journal of hosts can't be read: {error}")],
        };
        let mut unfinished = Vec::new();
        let mut notices = Vec::new();
        for entry in entries {
            match entry {
                Entry::Idle(record) if record.is_unfinished() => unfinished.push(describe(&record)),
                Entry::Idle(_) | Entry::Busy(_) => {}
                Entry::Unusable(error) => notices.push(unusable(&error)),
            }
        }
        if !unfinished.is_empty() {
            let hosts = count(unfinished.len());
            notices.push(format!("{hosts} interrupted: {}; run `sdocker recover`", unfinished.join(", ")));
        }
        notices
    }
}

/// A record that can't be read, and what to do about it.
pub(crate) fn unusable(error: &JournalError) -> String {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
    match error {
        JournalError::Newer { .. } => format!("a host's record is left alone: {error}; use the newer sdocker for it"),
        JournalError::Malformed { path, .. } => format!(
            "a host's record can't be read: {error}; `sdocker recover` looks for its host; remove {} once that is settled",
            path.display()
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
