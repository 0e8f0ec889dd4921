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
mod report;

use std::{collections::BTreeMap, net::IpAddr};

use docker_remote::{Client, SwarmPart};
use futures_util::future::join_all;
use host_provisioner::{Instance, InstanceId};

pub use changes::{Mended, Removed};
pub use report::{Job, NodeReport, SwarmReport};

pub(crate) use formation::{Member, form};

use crate::{
    Error, HostSelector, Observer, Result, Surroundings,
    client_files::HostFiles,
    lookup::{KnownHost, Lookup},
    places::{Look, Places},
};

/// The label of a node that names its instance.
pub const INSTANCE_LABEL: &str = "sdocker.instance";

/// How many managers a Swarm of so many nodes is to have: one, or three, of which one may be lost (Docker documentation, "Administer and maintain
/// a swarm of Docker Engines": an odd number; a majority has to be there).
pub(crate) fn managers(nodes: usize) -> usize {
    if nodes >= 5 { 3 } else { 1 }
}

/// What a node is labelled with.
pub(crate) fn labels(instance: &Instance, has_nvidia: bool) -> BTreeMap<String, String> {
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
                    "where more than half of the managers are lost for good, `docker swarm init --force-new-cluster` on one that is left goes on \
                     with it alone",
                ));
            }
            (None, None) => {
                return Err(Error::new("no host of this home that answers is in a Swarm")
                    .hint("`sdocker create-host --count 3 --swarm` creates hosts that form one"));
            }
        };
        Ok(Self { surroundings, observer, hosts, manager })
    }

    /// The host that is a node.
    fn host_of(&self, node: &docker_remote::SwarmNode) -> Option<&Seen> {
        let instance = node.labels.get(INSTANCE_LABEL).map(|id| InstanceId::new(id.clone()));
        self.hosts.iter().find(|seen| {
            let same = |(_, part): &(Client, Option<SwarmPart>)| part.as_ref().is_some_and(|part| part.node == node.id);
            Some(&seen.host.instance) == instance.as_ref() || seen.daemon.as_ref().is_some_and(same)
        })
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
