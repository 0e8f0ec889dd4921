//! One listener for each port that a running container publishes.

mod follow;

use std::collections::{BTreeMap, HashMap};

use bollard::models::{ContainerInspectResponse, EventMessage, EventMessageTypeEnum};
use docker_remote::Client;

use crate::{
    Error, Listener, Listeners, Target,
    published::{Published, address_on},
};

/// Keeps the ports of a host's containers at localhost.
#[derive(Debug)]
pub struct ContainerPorts {
    client: Client,
    listeners: Listeners,
    /// A network whose containers serve at a port that they do not publish.
    serving: Option<(String, u16)>,
    known: HashMap<String, Container>,
    /// The port of `serving`, while a container is on that network.
    endpoint: Option<(Vec<Target>, Opened)>,
}

/// A port of a container, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PortLine {
    /// The container's name.
    pub container: String,
    /// The port of the host.
    pub host_port: u16,
    /// What became of it.
    pub state: PortState,
}

/// Where a port is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PortState {
    /// At 127.0.0.1, at this port: the same one, unless that was taken.
    Open(u16),
    /// Nowhere: none is free.
    Failed(String),
    /// Nowhere: only TCP is brought here.
    Udp,
}

/// Something that whoever keeps ports may want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PortEvent {
    /// These are the ports from now on.
    Ports(Vec<PortLine>),
    /// The daemon is followed; said again after each [`Lost`](Self::Lost).
    Following,
    /// The daemon is out of reach; what is open stays so, and the daemon is asked again.
    Lost(String),
}

#[derive(Debug, Default)]
struct Container {
    name: String,
    published: Published,
    is_running: bool,
    /// Where it is on the network of `serving`.
    serving_at: Option<String>,
    open: BTreeMap<u16, (Target, Opened)>,
}

#[derive(Debug)]
enum Opened {
    At(Listener),
    Failed(String),
}

impl Opened {
    fn state(&self) -> PortState {
        match self {
            Self::At(listener) => PortState::Open(listener.address().port()),
            Self::Failed(why) => PortState::Failed(why.clone()),
        }
    }
}

impl ContainerPorts {
    /// Ports of the containers of a host.
    pub fn new(client: Client, listeners: Listeners) -> Self {
        Self { client, listeners, serving: None, known: HashMap::new(), endpoint: None }
    }

    /// Also keeps a port for the containers of a network that listen there and do not publish it: connections go to the first of them
    /// that takes them, by its own address.
    #[must_use]
    pub fn serving(self, network: impl Into<String>, port: u16) -> Self {
        Self { serving: Some((network.into(), port)), ..self }
    }

    /// The ports, by container.
    pub fn lines(&self) -> Vec<PortLine> {
        let mut lines = Vec::new();
        for container in self.known.values() {
            let line = |host_port, state| PortLine { container: container.name.clone(), host_port, state };
            lines.extend(container.open.iter().map(|(port, (_, opened))| line(*port, opened.state())));
            if container.is_running {
                lines.extend(container.published.udp.iter().map(|port| line(*port, PortState::Udp)));
            }
        }
        if let (Some((network, port)), Some((_, opened))) = (&self.serving, &self.endpoint) {
            let container = format!("network {network}");
            lines.push(PortLine { container, host_port: *port, state: opened.state() });
        }
        lines.sort_by(|a, b| (&a.container, a.host_port).cmp(&(&b.container, b.host_port)));
        lines
    }

    /// Learns of every container that there is, and forgets those that there are no more.
    async fn look_at_all(&mut self) -> Result<(), Error> {
        let listed = self.client.containers(true).await?;
        let is_agent = |labels: &Option<HashMap<String, String>>| {
            labels.as_ref().is_some_and(|labels| labels.contains_key(host_agent::LABEL))
        };
        let ids: Vec<String> =
            listed.into_iter().filter(|found| !is_agent(&found.labels)).filter_map(|found| found.id).collect();
        self.known.retain(|id, _| ids.contains(id));
        for id in ids {
            self.look_at(&id).await?;
        }
        self.settle_endpoint().await;
        Ok(())
    }

    /// Learns of a container, and opens its ports if it runs.
    async fn look_at(&mut self, id: &str) -> Result<(), Error> {
        let Some(found) = self.client.inspect(id).await? else {
            self.known.remove(id);
            return Ok(());
        };
        let container = self.known.entry(id.to_owned()).or_default();
        container.learn(&found, self.serving.as_ref());
        self.settle(id).await;
        Ok(())
    }

    async fn heard(&mut self, event: &EventMessage) -> Result<(), Error> {
        let (Some(actor), Some(action)) = (&event.actor, event.action.as_deref()) else { return Ok(()) };
        let attribute = |name: &str| actor.attributes.as_ref().and_then(|attributes| attributes.get(name)).cloned();
        if attribute(host_agent::LABEL).is_some() {
            return Ok(());
        }
        match (event.typ, action) {
            (Some(EventMessageTypeEnum::CONTAINER), action) => {
                let Some(id) = actor.id.as_deref() else { return Ok(()) };
                match action {
                    "create" | "start" | "rename" | "update" => self.look_at(id).await?,
                    "die" => self.stopped(id),
                    "destroy" => drop(self.known.remove(id)),
                    _ => return Ok(()),
                }
            }
            // A container that is being started joins its networks first. It can't be looked at until it runs; what it was created
            // with is known.
            (Some(EventMessageTypeEnum::NETWORK), "connect") => {
                if let Some(id) = attribute("container") {
                    self.open_fixed(&id).await;
                }
            }
            (Some(EventMessageTypeEnum::NETWORK), "disconnect") => {
                if let Some(container) = attribute("container").and_then(|id| self.known.get_mut(&id))
                    && !container.is_running
                {
                    container.open.clear();
                }
            }
            _ => return Ok(()),
        }
        self.settle_endpoint().await;
        Ok(())
    }

    fn stopped(&mut self, id: &str) {
        if let Some(container) = self.known.get_mut(id) {
            container.is_running = false;
            container.serving_at = None;
            container.open.clear();
        }
    }

    /// Opens what a container has, closes what it has no longer.
    async fn settle(&mut self, id: &str) {
        match self.known.get_mut(id) {
            Some(container) if container.is_running => {
                let published = &container.published.tcp;
                container.open.retain(|port, (target, opened)| {
                    published.get(port) == Some(target) && matches!(opened, Opened::At(_))
                });
            }
            Some(container) => return container.open.clear(),
            None => return,
        }
        self.open_fixed(id).await;
    }

    async fn open_fixed(&mut self, id: &str) {
        let Some(container) = self.known.get(id) else { return };
        let missing = container.published.tcp.iter().filter(|(port, _)| !container.open.contains_key(port));
        let missing: Vec<(u16, Target)> = missing.map(|(port, target)| (*port, target.clone())).collect();
        for (port, target) in missing {
            // The port is a container's own, rather than that of a network.
            if self.serving.as_ref().is_some_and(|(_, serving)| *serving == port) {
                self.endpoint = None;
            }
            let opened = self.open(port, vec![target.clone()]).await;
            if let Some(container) = self.known.get_mut(id) {
                container.open.insert(port, (target, opened));
            }
        }
    }

    async fn open(&self, port: u16, targets: Vec<Target>) -> Opened {
        match self.listeners.open_next(port, targets).await {
            Ok(listener) => Opened::At(listener),
            Err(error) => Opened::Failed(error.to_string()),
        }
    }

    /// Opens or closes the port of the serving network.
    async fn settle_endpoint(&mut self) {
        let Some((_, port)) = &self.serving else { return };
        let port = *port;
        let is_published = self.known.values().any(|container| container.open.contains_key(&port));
        let mut targets: Vec<Target> = self
            .known
            .values()
            .filter_map(|container| container.serving_at.clone())
            .map(|host| Target { host, port })
            .collect();
        targets.sort();
        if is_published || targets.is_empty() {
            self.endpoint = None;
        } else if self.endpoint.as_ref().is_none_or(|(known, _)| *known != targets) {
            self.endpoint = None;
            let opened = self.open(port, targets.clone()).await;
            self.endpoint = Some((targets, opened));
        }
    }
}

impl Container {
    fn learn(&mut self, found: &ContainerInspectResponse, serving: Option<&(String, u16)>) {
        self.name = found.name.as_deref().unwrap_or_default().trim_start_matches('/').to_owned();
        self.is_running = found.state.as_ref().and_then(|state| state.running).unwrap_or_default();
        self.published = Published::of(found);
        let address = serving.filter(|_| self.is_running).and_then(|(network, _)| address_on(found, network));
        self.serving_at = address;
    }
}
