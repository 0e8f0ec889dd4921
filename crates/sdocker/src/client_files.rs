//! What this home keeps of a host: Docker context, credentials, entries.

use crate::error::Context as _;
use async_trait::async_trait;
use docker_remote::{Client, ClientCredentials, ContextSpec, ContextStore, DockerHost, probe_once};
use host_provisioner::{Adoption, ClientFiles, ClientFilesError, InstanceId, Record, RecordState};

use crate::{
    Error,
    hosts_conf::{ActiveHost, HostsConf},
    layout::Layout,
    lookup::Lookup,
    socket, storage,
};

/// How long a host has to answer one probe.
const PROBE_WITHIN: std::time::Duration = std::time::Duration::from_secs(10);

/// The files of hosts in one home.
#[derive(Clone)]
pub struct HostFiles {
    layout: Layout,
    hosts_conf: HostsConf,
    contexts: ContextStore,
}

impl HostFiles {
    /// The files of the hosts that are looked up here.
    pub fn new(lookup: &Lookup) -> Self {
        Self { layout: lookup.layout.clone(), hosts_conf: lookup.hosts_conf.clone(), contexts: lookup.contexts.clone() }
    }

    /// Makes a host that answered the current one: context, list of hosts, the fork's link.
    ///
    /// # Cancel safety
    /// It can be dropped at any time, and repeated; what it was writing may still appear.
    pub async fn make_current(&self, host: &ActiveHost, answered: &DockerHost) -> crate::Result<()> {
        let (files, host, answered) = (self.clone(), host.clone(), answered.clone());
        let what = format!("make {} the current host", host.name());
        storage::in_time(what, move || files.write_current(&host, &answered)).await
    }

    fn write_current(&self, host: &ActiveHost, answered: &DockerHost) -> crate::Result<()> {
        let name = host.name();
        self.write_context(host, answered)?;
        // A copy for other tools: a host that works is not given up for it.
        if let Err(error) = self.hosts_conf.put_first(std::slice::from_ref(host)) {
            tracing::warn!("{error:#}");
        }
        self.layout.link_for_samples(&name)?;
        // The socket on demand leads to the first of the list.
        if self.contexts.current()?.as_deref() != Some(socket::CONTEXT) {
            self.contexts.use_context(Some(&name))?;
        }
        Ok(())
    }

    /// Writes the context of a host that answered, which need not be the current one.
    ///
    /// # Cancel safety
    /// It can be dropped at any time, and repeated; what it was writing may still appear.
    pub async fn keep_context(&self, host: &ActiveHost, answered: &DockerHost) -> crate::Result<()> {
        let (files, host, answered) = (self.clone(), host.clone(), answered.clone());
        let what = format!("write the context of {}", host.name());
        storage::in_time(what, move || files.write_context(&host, &answered)).await
    }

    fn write_context(&self, host: &ActiveHost, answered: &DockerHost) -> crate::Result<()> {
        let name = host.name();
        answered.credentials().write_trust(&self.layout.client_certs(&name))?;
        let description = format!("sdocker: {} in SageMaker Studio's network", host.instance_type);
        Ok(self.contexts.create(&ContextSpec::for_host(answered, &name, &description))?)
    }

    /// Puts hosts first in the list of hosts, ready or not. However many they are, the list is written once.
    ///
    /// # Cancel safety
    /// It can be dropped at any time, and repeated.
    pub async fn list_first(&self, hosts: Vec<ActiveHost>) -> crate::Result<()> {
        let hosts_conf = self.hosts_conf.clone();
        storage::in_time("write sdocker-hosts.conf", move || hosts_conf.put_first(&hosts)).await
    }

    /// Removes what is kept of a host. What is gone already is no error, and what can't be removed keeps nothing else from going.
    ///
    /// # Cancel safety
    /// It can be dropped at any time, and repeated.
    ///
    /// # Errors
    /// What is left, and why.
    pub async fn forget_named(
        &self,
        name: &str,
        instance: &InstanceId,
        previous_context: Option<&str>,
    ) -> crate::Result<()> {
        let (files, instance) = (self.clone(), instance.clone());
        let (name, previous) = (name.to_owned(), previous_context.map(str::to_owned));
        let what = format!("remove what is kept of {name}");
        storage::in_time(what, move || files.remove_named(&name, &instance, previous.as_deref())).await
    }

    fn remove_named(&self, name: &str, instance: &InstanceId, previous_context: Option<&str>) -> crate::Result<()> {
        let context = self.contexts.remove(name, previous_context).map_err(Error::from);
        let entry = self.hosts_conf.remove(instance);
        let folder = self
            .layout
            .remove_host(name)
            .with_context(|| format!("cannot remove {} whole", self.layout.host(name).display()));
        let left: Vec<String> =
            [context, entry, folder].into_iter().filter_map(Result::err).map(|error| format!("{error:#}")).collect();
        if left.is_empty() { Ok(()) } else { Err(Error::new(left.join("; "))) }
    }

    /// A client of a host's daemon, with the credentials that this home has of it.
    ///
    /// # Cancel safety
    /// It only asks, and can be dropped at any time.
    pub async fn client(&self, host: &ActiveHost) -> crate::Result<Client> {
        let answered = self.probe(host).await;
        Ok(answered.with_context(|| format!("cannot reach {}", host.name()))?.client().clone())
    }

    /// Asks a host whether it is there, with the credentials that this home has of it.
    ///
    /// # Cancel safety
    /// It only asks, and can be dropped at any time.
    pub async fn probe(&self, host: &ActiveHost) -> crate::Result<DockerHost> {
        let answered = probe_once(&host.endpoint(), &self.credentials(host)?, PROBE_WITHIN).await?;
        // From the first time on, whatever asked.
        if let Err(error) = answered.credentials().write_trust(&self.layout.client_certs(&host.name())) {
            tracing::warn!("{}: its own certificate is not kept: {error}", host.name());
        }
        Ok(answered)
    }

    /// Its creator makes the credentials right after the launch. Where there are none, it died before, and the host never gets its own.
    fn without_key(&self, host: &ActiveHost) -> Option<Adoption> {
        let key = self.layout.client_certs(&host.name()).join("key.pem");
        let is_missing = matches!(key.symlink_metadata(), Err(error) if error.kind() == std::io::ErrorKind::NotFound);
        is_missing.then(|| Adoption::Never { why: format!("there is no {}", key.display()) })
    }

    fn credentials(&self, host: &ActiveHost) -> crate::Result<ClientCredentials> {
        Ok(ClientCredentials::load(&self.layout.client_certs(&host.name()))?)
    }
}

/// The entry of a record's host, once it has an instance.
pub fn entry(record: &Record) -> Option<ActiveHost> {
    record.instance.as_ref().map(|instance| ActiveHost {
        instance_id: instance.id.clone(),
        instance_dns: instance.endpoint.clone(),
        port: record.daemon_port,
        instance_type: record.instance_type.clone(),
    })
}

#[async_trait]
impl ClientFiles for HostFiles {
    async fn adopt(&self, record: &Record) -> Result<Adoption, ClientFilesError> {
        let Some(host) = entry(record) else {
            return Ok(Adoption::NoAnswer { why: "its address is unknown".to_owned() });
        };
        if let Some(never) = self.without_key(&host) {
            return Ok(never);
        }
        let answered = match self.probe(&host).await {
            Ok(answered) => answered,
            Err(error) => return Ok(Adoption::NoAnswer { why: format!("{error:#}") }),
        };
        self.make_current(&host, &answered).await?;
        Ok(Adoption::Adopted)
    }

    async fn adopt_stopped(&self, record: &Record) -> Result<Adoption, ClientFilesError> {
        let Some(host) = entry(record) else {
            return Ok(Adoption::NoAnswer { why: "its address is not known".to_owned() });
        };
        if let Some(never) = self.without_key(&host) {
            return Ok(never);
        }
        self.credentials(&host)?;
        Ok(Adoption::Adopted)
    }

    async fn forget(&self, record: &Record) -> Result<(), ClientFilesError> {
        if let Some(host) = entry(record) {
            // Of a creation that failed nothing else tells later why.
            if matches!(record.state, RecordState::Creating | RecordState::Undoing) {
                let (files, name) = (self.clone(), host.name());
                let kept = storage::in_time("keep its logs", move || Ok(files.layout.keep_logs(&name)?)).await;
                if let Err(error) = kept {
                    tracing::warn!("the logs of {} are not kept: {error}", host.name());
                }
            }
            self.forget_named(&host.name(), &host.instance_id, record.previous_context.as_deref()).await?;
        }
        Ok(())
    }
}
