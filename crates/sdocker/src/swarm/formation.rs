//! Forming a Swarm of hosts that answer, and adding some to it.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use docker_remote::{Client, JoinTokens, NodeRole};
use futures_util::future::try_join_all;
use tokio::time::{Instant, sleep};

use super::{Swarm, address, has_nvidia, labels, managers};
use crate::{Error, HostSelector, Observer, Result, error::Context as _, places::Look};

/// How long new nodes have to be ready.
const READY_WITHIN: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(200);

/// A host that is to be a node.
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) client: Client,
    /// By which the other nodes reach it.
    pub(crate) address: IpAddr,
    pub(crate) labels: BTreeMap<String, String>,
}

/// Forms a Swarm; the first of the members are its managers.
pub(crate) async fn form(members: &[Member], observer: &dyn Observer) -> Result<()> {
    let (first, others) = members.split_first().context("a Swarm needs a host")?;
    let formed = async {
        let addresses: Vec<IpAddr> = members.iter().map(|member| member.address).collect();
        first.client.init_swarm(first.address, pool(&addresses)).await.map_err(|error| refused(&first.name, error))?;
        let tokens = first.client.join_tokens().await?;
        let (managing, working) = others.split_at((managers(members.len()) - 1).min(others.len()));
        // One after the other: each changes who has to agree.
        for member in managing {
            join(member, NodeRole::Manager, &tokens, &[first.address]).await?;
        }
        let reached = [first.address];
        try_join_all(working.iter().map(|member| join(member, NodeRole::Worker, &tokens, &reached))).await?;
        settle(&first.client, members).await
    };
    let nodes = |(): &()| format!("{} nodes, managers: {}", members.len(), managers(members.len()));
    observer.stage_with("forming the Swarm", formed, nodes).await
}

/// Where the Swarm's networks are: not where the hosts are. Of itself Docker takes 10.0.0.0/8 (Docker documentation, "docker swarm init",
/// `--default-addr-pool`), which most VPCs are in: containers on such a network would take its addresses for those of the VPC.
fn pool(hosts: &[IpAddr]) -> &'static str {
    let in_ten = |address: &IpAddr| matches!(address, IpAddr::V4(address) if address.octets()[0] == 10);
    if hosts.iter().any(in_ten) { "192.168.0.0/16" } else { "10.0.0.0/8" }
}

async fn join(member: &Member, role: NodeRole, tokens: &JoinTokens, managers: &[IpAddr]) -> Result<()> {
    let joined = member.client.join_swarm(tokens, role, member.address, managers).await;
    joined.map_err(|error| refused(&member.name, error))
}

fn refused(name: &str, error: docker_remote::Error) -> Error {
    let said = docker_remote::with_causes(&error);
    let whole = Error::new(format!("{name} can't be a node of the Swarm"));
    let whole = if said.contains("live-restore") {
        whole.hint("its daemon was started for a host by itself: create hosts for a Swarm with --swarm")
    } else if said.contains("imeout") || said.contains("deadline") {
        whole.hint(
            "hosts reach each other if their security group admits its own members: TCP ports 2377 and 7946, UDP ports 7946 and 4789",
        )
    } else {
        whole
    };
    whole.because(error)
}

/// Labels the nodes, and waits until all are ready.
async fn settle(manager: &Client, members: &[Member]) -> Result<()> {
    let label = |member: &Member| {
        let (client, labels, name) = (member.client.clone(), member.labels.clone(), member.name.clone());
        async move {
            let part = client.swarm_part().await?;
            let node = part.with_context(|| format!("{name} did not join"))?.node;
            manager.label_node(&node, &labels).await?;
            Ok::<String, Error>(node)
        }
    };
    let wanted = try_join_all(members.iter().map(label)).await?;
    let deadline = Instant::now() + READY_WITHIN;
    loop {
        let nodes = manager.swarm_nodes().await?;
        let is_ready = |id: &&String| nodes.iter().any(|node| node.id == **id && node.state == "ready");
        let missing = wanted.iter().filter(|id| !is_ready(id)).count();
        if missing == 0 {
            return Ok(());
        }
        if Instant::now() >= deadline {
            let within = READY_WITHIN.as_secs();
            return Err(Error::new(format!("{missing} nodes of the Swarm are not ready after {within} s")));
        }
        sleep(PAUSE).await;
    }
}

impl Swarm<'_> {
    /// Makes a host that is none a node: a manager, where the Swarm is to have more of them.
    pub(crate) async fn add(&self, selector: &HostSelector) -> Result<String> {
        let seen = self.selected(selector)?;
        let name = seen.host.name.clone();
        let (client, part) = seen.daemon.as_ref().with_context(|| format!("{name} does not answer"))?;
        if part.is_some() {
            return Err(Error::new(format!("{name} is in a Swarm already")));
        }
        let address = address(&seen.host).with_context(|| format!("the private address of {name} is not known"))?;
        let instance = match self.look_at(&seen.host).await {
            Look::Alive(instance) => *instance,
            Look::Ended(_) => return Err(Error::new(format!("{name} has ended"))),
            Look::Unknown(error) => return Err(Error::new(format!("cannot tell what {name} is")).because(error)),
        };
        let nodes = self.manager.swarm_nodes().await?;
        let present: Vec<IpAddr> = nodes
            .iter()
            .filter(|node| node.role == NodeRole::Manager && node.reachable == Some(true))
            .filter_map(|node| node.address.parse().ok())
            .collect();
        let role = if present.len() < managers(nodes.len() + 1) { NodeRole::Manager } else { NodeRole::Worker };
        let labels =
            labels(&instance, has_nvidia(client).await?, seen.host.record.as_ref().map(|record| record.expires));
        let member = Member { name: name.clone(), client: client.clone(), address, labels };
        let tokens = self.manager.join_tokens().await?;
        // A manager that is reached by name has another address here.
        let reached = if present.is_empty() { vec![self.manager_address()?] } else { present };
        join(&member, role, &tokens, &reached).await?;
        settle(&self.manager, std::slice::from_ref(&member)).await?;
        Ok(name)
    }

    fn manager_address(&self) -> Result<IpAddr> {
        let host = self
            .hosts
            .iter()
            .find(|seen| seen.daemon.as_ref().is_some_and(|(client, _)| client.endpoint() == self.manager.endpoint()));
        host.and_then(|seen| address(&seen.host)).context("the private address of the manager is not known")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_networks_of_a_swarm_are_clear_of_its_hosts() {
        let addresses = |texts: &[&str]| texts.iter().map(|text| text.parse().expect("an address")).collect::<Vec<_>>();
        assert_eq!(pool(&addresses(&["172.31.4.5", "10.0.1.2"])), "192.168.0.0/16");
        assert_eq!(pool(&addresses(&["172.31.4.5", "192.168.1.2"])), "10.0.0.0/8");
    }
}
