//! Hosts of this home as one Docker Swarm: formed, looked at, and kept whole.
//!
//! Nothing of it is kept here: which hosts are in a Swarm, and what they do in it, is asked of their daemons each time. A node is told from
//! others by its label [`INSTANCE_LABEL`].
//!
//! # Guarantees
//! - What lets others join goes from a manager's daemon to the new node's, over mutual TLS, and nowhere else.
//! - A node is only taken off the list once it left, or once its instance is seen to have ended.

mod changes;
mod formation;
mod images;
mod report;

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use docker_remote::{Client, SwarmPart};
use futures_util::future::join_all;
use host_provisioner::{Instance, InstanceId};
use jiff::Timestamp;

pub use changes::{Mended, Removed};
pub use images::{REGISTRY_IMAGE, SharedImage};
pub use report::{Job, NodeReport, Repeated, SwarmReport};

pub(crate) use formation::{Member, form};

use crate::{
    Error, HostSelector, Observer, Result, Surroundings, Unobserved,
    client_files::HostFiles,
    lookup::{KnownHost, Lookup},
    places::{Look, Places},
};

/// The label of a node that names its instance.
pub const INSTANCE_LABEL: &str = "sdocker.instance";

/// The label of a node that says when its host ends itself at the latest, in seconds since 1970: ten minutes before, a manager gives it no more tasks
/// (`tend` of host-provisioner's `user_data/uses.sh`).
const ENDS_LABEL: &str = "sdocker.ends";

/// How long before a host's end that is.
const DRAINED_BEFORE: Duration = Duration::from_secs(600);

/// How many managers a Swarm of so many nodes is to have: one, or three, of which one may be lost (Docker documentation, "Administer and maintain
/// a swarm of Docker Engines": an odd number; a majority has to be there).
pub(crate) fn managers(nodes: usize) -> usize {
    if nodes >= 5 { 3 } else { 1 }
}

/// What a node is labelled with.
pub(crate) fn labels(instance: &Instance, has_nvidia: bool, ends: Option<Timestamp>) -> BTreeMap<String, String> {
    let market = match instance.market {
        host_provisioner::Market::OnDemand => "on-demand",
        host_provisioner::Market::Spot => "spot",
    };
    let mut labels = BTreeMap::from([
        (INSTANCE_LABEL.to_owned(), instance.id.to_string()),
        ("sdocker.type".to_owned(), instance.instance_type.to_string()),
        ("sdocker.market".to_owned(), market.to_owned()),
        ("sdocker.gpu".to_owned(), if has_nvidia { "nvidia" } else { "none" }.to_owned()),
    ]);
    labels.extend(ends.map(|ends| (ENDS_LABEL.to_owned(), ends.as_second().to_string())));
    labels.extend(instance.zone.as_ref().map(|zone| ("sdocker.zone".to_owned(), zone.to_string())));
    labels
}

/// Whether a daemon has NVIDIA's runtime.
pub(crate) async fn has_nvidia(client: &Client) -> Result<bool> {
    Ok(client.info().await?.runtimes.is_some_and(|runtimes| runtimes.contains_key("nvidia")))
}

/// The address by which the nodes reach a host.
pub(crate) fn address(host: &KnownHost) -> Option<IpAddr> {
    let instance = host.record.as_ref().and_then(|record| record.instance.as_ref());
    instance.and_then(|instance| instance.private_address).or_else(|| host.address.parse().ok())
}

/// A host of this home, with what its daemon says of its part in a Swarm.
struct Seen {
    host: KnownHost,
    /// `None` where the daemon does not answer.
    daemon: Option<(Client, Option<SwarmPart>)>,
}

/// How long a host may take to say whether it is in a Swarm.
pub(crate) const SAYS_WITHIN: Duration = Duration::from_secs(3);

/// The id of a host as a node of a Swarm; `None` where it is in none, or does not say so soon.
pub(crate) async fn node_of(host: &KnownHost, files: &HostFiles) -> Option<String> {
    let says = async { files.client(&host.entry()).await.ok()?.swarm_part().await.ok().flatten() };
    Some(tokio::time::timeout(SAYS_WITHIN, says).await.ok().flatten()?.node)
}

/// Tells the managers of the Swarm that a host is in, if any, that it ends later.
pub(crate) async fn kept(surroundings: &Surroundings, host: &KnownHost, until: Timestamp) -> Result<()> {
    if node_of(host, &HostFiles::new(&Lookup::new(surroundings))).await.is_none() {
        return Ok(());
    }
    Swarm::find(surroundings, &Unobserved).await?.ends_later(host, until).await
}

/// The Swarm of this home's hosts.
pub(crate) struct Swarm<'a> {
    surroundings: &'a Surroundings,
    observer: &'a dyn Observer,
    hosts: Vec<Seen>,
    /// A manager that answers.
    manager: Client,
}

impl<'a> Swarm<'a> {
    /// Finds it: the one that the current host is in, else that of any other host.
    pub(crate) async fn find(surroundings: &'a Surroundings, observer: &'a dyn Observer) -> Result<Self> {
        let lookup = Lookup::new(surroundings);
        let files = HostFiles::new(&lookup);
        let asking = observer.asking("asking the hosts about their Swarm");
        let look = |host: KnownHost| {
            let files = &files;
            async move {
                let daemon = async {
                    let client = files.client(&host.entry()).await.ok()?;
                    let part = client.swarm_part().await.ok()?;
                    Some((client, part))
                };
                let daemon = daemon.await;
                Seen { host, daemon }
            }
        };
        let hosts: Vec<Seen> = join_all(lookup.hosts_aside().await?.into_iter().map(look)).await;
        drop(asking);
        let parts: Vec<(&Seen, &Client, &SwarmPart)> = hosts
            .iter()
            .filter_map(|seen| seen.daemon.as_ref().and_then(|(client, part)| Some((seen, client, part.as_ref()?))))
            .collect();
        let manager = parts.iter().find(|(_, _, part)| part.manages && part.error.is_none());
        let manager = match (manager, parts.first()) {
            (Some((_, client, _)), _) => (*client).clone(),
            (None, Some((seen, _, part))) => {
                let why = part.error.clone().unwrap_or_else(|| "it is a worker".to_owned());
                let error = Error::new("no manager of the Swarm answers")
                    .because(Error::new(format!("{} is a node of it, and says: {why}", seen.host.name)));
                return Err(error.hint(
                    "if more than half of the managers are lost for good, `docker swarm init --force-new-cluster` on a remaining one continues \
                     with that one alone",
                ));
            }
            (None, None) => {
                return Err(Error::new("no host of this home that answers is in a Swarm")
                    .hint("`sdocker create-host --count 3 --swarm` creates hosts that form one"));
            }
        };
        Ok(Self { surroundings, observer, hosts, manager })
    }

    /// Tells the managers that a host ends later than they were told.
    pub(crate) async fn ends_later(&self, host: &KnownHost, until: Timestamp) -> Result<()> {
        let nodes = self.manager.swarm_nodes().await?;
        let is_it = |node: &&docker_remote::SwarmNode| {
            node.labels.get(INSTANCE_LABEL).is_some_and(|id| id == host.instance.as_str())
        };
        let Some(node) = nodes.iter().find(is_it) else { return Ok(()) };
        let before = node.labels.get(ENDS_LABEL).and_then(|ends| Timestamp::from_second(ends.parse().ok()?).ok());
        let labels = BTreeMap::from([(ENDS_LABEL.to_owned(), until.as_second().to_string())]);
        self.manager.label_node(&node.id, &labels).await?;
        // It was given no more tasks because of its end, which is later now.
        let soon =
            before.is_some_and(|before| before.duration_since(Timestamp::now()).unsigned_abs() <= DRAINED_BEFORE);
        if node.availability == "drain" && soon {
            self.manager.drain_node(&node.id, false).await?;
        }
        Ok(())
    }

    /// The nodes.
    pub(crate) async fn nodes(&self) -> Result<Vec<docker_remote::SwarmNode>> {
        Ok(self.manager.swarm_nodes().await?)
    }

    /// Gives a node no more tasks, and takes those away that it has.
    pub(crate) async fn drain_first(&self, node: &str) -> Result<()> {
        Ok(self.manager.drain_node(node, true).await?)
    }

    /// The host that is a node.
    fn host_of(&self, node: &docker_remote::SwarmNode) -> Option<&Seen> {
        let instance = node.labels.get(INSTANCE_LABEL).map(|id| InstanceId::new(id.clone()));
        self.hosts.iter().find(|seen| {
            let same = |(_, part): &(Client, Option<SwarmPart>)| part.as_ref().is_some_and(|part| part.node == node.id);
            Some(&seen.host.instance) == instance.as_ref() || seen.daemon.as_ref().is_some_and(same)
        })
    }

    /// The daemon of a node that answers here, and says that it is that node: one that has left is on the list as it was for a while.
    fn daemon_of(&self, node: &docker_remote::SwarmNode) -> Option<&Client> {
        let (client, part) = self.host_of(node)?.daemon.as_ref()?;
        part.as_ref().is_some_and(|part| part.node == node.id).then_some(client)
    }

    fn selected(&self, selector: &HostSelector) -> Result<&Seen> {
        let hosts: Vec<KnownHost> = self.hosts.iter().map(|seen| seen.host.clone()).collect();
        let chosen = selector.choose(&hosts)?.ok_or_else(|| crate::lookup::unknown(selector, &hosts))?;
        self.hosts
            .iter()
            .find(|seen| seen.host.instance == chosen.instance)
            .ok_or_else(|| Error::new(format!("there is no host {}", chosen.name)))
    }

    /// What the cloud says of a host.
    async fn look_at(&self, host: &KnownHost) -> Look {
        Places::new(self.surroundings, self.observer).look_at(host).await
    }
}
