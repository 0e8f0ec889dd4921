//! Taking nodes out of a Swarm, and mending it where some were lost.

use std::time::Duration;

use docker_remote::{NodeRole, SwarmNode, SwarmTask};
use serde::Serialize;
use tokio::time::{Instant, sleep};

use super::{Swarm, managers};
use crate::{Error, HostSelector, Result, error::Context as _, places::Look};

/// How long a node that left, or a new manager, may take to be seen so.
const SEEN_WITHIN: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(300);

/// A host that is no node any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Removed {
    /// The host's name.
    pub host: String,
    /// How many tasks ran on it, and go on elsewhere.
    #[serde(rename = "moved_tasks")]
    pub moved: usize,
}

/// What was done to mend a Swarm.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Mended {
    /// Nodes that were taken off the list: their hosts have ended.
    pub removed: Vec<String>,
    /// Workers that became managers.
    pub promoted: Vec<String>,
    /// Nodes that do not answer, although their hosts may be there.
    pub doubtful: Vec<String>,
}

impl Swarm<'_> {
    /// Takes a host out of the Swarm: its tasks move first, for so long at most; the last host ends the Swarm.
    pub(crate) async fn remove(&self, selector: &HostSelector, within: Duration) -> Result<Removed> {
        let seen = self.selected(selector)?;
        let name = seen.host.name.clone();
        let nodes = self.manager.swarm_nodes().await?;
        let is_it = |node: &&SwarmNode| self.host_of(node).is_some_and(|of| of.host.instance == seen.host.instance);
        let node = nodes.iter().find(is_it).with_context(|| format!("{name} is no node of the Swarm"))?;
        let daemon = seen.daemon.as_ref().map(|(client, _)| client);
        if nodes.len() == 1 {
            let client = daemon.with_context(|| format!("{name} does not answer"))?;
            client.leave_swarm(true).await?;
            return Ok(Removed { host: name, moved: 0 });
        }
        let moving = format!("moving the tasks of {name}");
        let moved = match self.observer.stage_with(moving, self.drain(node, within), ToString::to_string).await {
            Ok(moved) => moved,
            Err(error) => {
                // It stays as it was.
                self.manager.drain_node(&node.id, false).await?;
                return Err(error);
            }
        };
        // What is asked of the node that goes is asked of another one from here on.
        let manager = self.another_manager(node, &nodes).await?;
        if node.role == NodeRole::Manager {
            manager.change_role(&node.id, NodeRole::Worker).await?;
        }
        if let Some(client) = daemon {
            self.until("the node to be a worker", || async {
                Ok(!matches!(client.swarm_part().await?, Some(part) if part.manages))
            })
            .await?;
            client.leave_swarm(false).await?;
        }
        manager.remove_node(&node.id).await?;
        Ok(Removed { host: name, moved })
    }

    /// Takes the tasks off a node. Returns how many there were.
    async fn drain(&self, node: &SwarmNode, within: Duration) -> Result<usize> {
        let here = |task: &&SwarmTask| {
            task.node.as_ref() == Some(&node.id) && matches!(task.state.as_str(), "running" | "starting" | "preparing")
        };
        let moved = self.manager.swarm_tasks().await?.iter().filter(here).count();
        self.manager.drain_node(&node.id, true).await?;
        let deadline = Instant::now() + within;
        // A node that is gone tells nothing of its tasks any more.
        if node.state != "ready" {
            return Ok(moved);
        }
        loop {
            let left = self.manager.swarm_tasks().await?.iter().filter(here).count();
            if left == 0 {
                return Ok(moved);
            }
            if Instant::now() >= deadline {
                return Err(Error::new(format!("{left} tasks did not end within {} s", within.as_secs())));
            }
            sleep(PAUSE).await;
        }
    }

    /// A manager other than this node, which is made where there is none.
    async fn another_manager(&self, node: &SwarmNode, nodes: &[SwarmNode]) -> Result<docker_remote::Client> {
        let client_of = |other: &SwarmNode| self.daemon_of(other).cloned();
        let others = || nodes.iter().filter(|other| other.id != node.id && other.state == "ready");
        let reached = others().filter(|other| other.reachable == Some(true)).find_map(client_of);
        if let Some(client) = reached {
            return Ok(client);
        }
        let next = others().find_map(|other| Some((other, client_of(other)?)));
        let (next, client) = next.context("no other node of the Swarm answers, so there would be no manager")?;
        self.manager.change_role(&next.id, NodeRole::Manager).await?;
        self.until("another node to be a manager", || async {
            Ok(client.swarm_part().await?.is_some_and(|part| part.manages))
        })
        .await?;
        Ok(client)
    }

    /// Takes nodes off the list whose hosts have ended, and makes workers managers where too few are left.
    pub(crate) async fn mend(&self) -> Result<Mended> {
        let mut mended = Mended::default();
        let nodes = self.manager.swarm_nodes().await?;
        let before = nodes.iter().filter(|node| node.role == NodeRole::Manager).count();
        let mut left = Vec::new();
        for node in nodes {
            if node.state == "ready" {
                left.push(node);
                continue;
            }
            let seen = self.host_of(&node);
            let name = seen.map_or(node.hostname.clone(), |seen| seen.host.name.clone());
            let ended = match seen {
                Some(seen) => matches!(self.look_at(&seen.host).await, Look::Ended(_)),
                // This home made every node, and knows each of its hosts until it ends it.
                None => node.labels.contains_key(super::INSTANCE_LABEL),
            };
            if !ended {
                mended.doubtful.push(name);
                continue;
            }
            if node.role == NodeRole::Manager {
                self.manager.change_role(&node.id, NodeRole::Worker).await?;
            }
            self.manager.remove_node(&node.id).await?;
            mended.removed.push(name);
        }
        // Who had three keeps three for as long as there are three nodes.
        let wanted = if before >= 3 && left.len() >= 3 { 3 } else { managers(left.len()) };
        let managing = left.iter().filter(|node| node.role == NodeRole::Manager).count();
        // A node may be lost and not be seen so yet: only one whose daemon answers here will do.
        let answers = |node: &&SwarmNode| self.daemon_of(node).is_some();
        let is_free = |node: &&SwarmNode| node.role == NodeRole::Worker && node.availability == "active";
        let workers = left.iter().filter(is_free).filter(answers);
        for node in workers.take(wanted.saturating_sub(managing)) {
            self.manager.change_role(&node.id, NodeRole::Manager).await?;
            let is_there = || async {
                let nodes = self.manager.swarm_nodes().await?;
                Ok(nodes.iter().any(|known| known.id == node.id && known.reachable == Some(true)))
            };
            self.until("another node to be a manager", is_there).await?;
            let name = self.host_of(node).map_or(node.hostname.clone(), |seen| seen.host.name.clone());
            mended.promoted.push(name);
        }
        Ok(mended)
    }

    async fn until<R: Future<Output = Result<bool>>>(&self, what: &str, mut is_so: impl FnMut() -> R) -> Result<()> {
        let deadline = Instant::now() + SEEN_WITHIN;
        while !is_so().await? {
            if Instant::now() >= deadline {
                return Err(Error::new(format!("waited {} s for {what}", SEEN_WITHIN.as_secs())));
            }
            sleep(PAUSE).await;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn their_json_is_what_programs_read() {
        let removed = Removed { host: "one".to_owned(), moved: 3 };
        assert_eq!(serde_json::to_string(&removed).expect("JSON"), r#"{"host":"one","moved_tasks":3}"#);
        let mended = Mended { removed: vec!["one".to_owned()], promoted: Vec::new(), doubtful: Vec::new() };
        let json = r#"{"removed":["one"],"promoted":[],"doubtful":[]}"#;
        assert_eq!(serde_json::to_string(&mended).expect("JSON"), json);
    }
}
