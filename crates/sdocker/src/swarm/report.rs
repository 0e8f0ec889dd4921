//! What a Swarm is, and what it does.

use std::collections::{BTreeMap, HashMap};

use docker_remote::{NodeRole, SwarmService, SwarmTask};
use jiff::Timestamp;

use super::Swarm;
use crate::Result;

/// What a manager says of the Swarm.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SwarmReport {
    /// The nodes, managers first.
    pub nodes: Vec<NodeReport>,
    /// The jobs, by their names.
    pub jobs: Vec<Job>,
    /// How many tasks wait for a node.
    pub waiting: usize,
}

/// A node.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NodeReport {
    /// The name of its host, where it is one of this home's; else its host name.
    pub name: String,
    /// Its id.
    pub id: String,
    /// Whether it is a manager.
    pub manager: bool,
    /// Whether it leads the managers.
    pub leader: bool,
    /// `ready`, `down`, `disconnected` or `unknown`.
    pub state: String,
    /// `active`, `pause` or `drain`.
    pub availability: String,
    /// How many tasks run on it.
    pub running: usize,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// When its host ends itself at the latest, where that is known here.
    pub expires: Option<Timestamp>,
}

/// A job: so many runs to completion.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Job {
    /// The name of its service.
    pub name: String,
    /// How many runs are to complete.
    pub wanted: u64,
    /// How many have.
    pub completed: u64,
    /// How many run now.
    pub running: usize,
    /// Runs that were begun more than once, or may have been, since a node was lost or a run failed: each by its number, with the nodes in order.
    pub repeated: Vec<(u64, Vec<String>)>,
}

impl SwarmReport {
    /// Whether so many managers are there that the Swarm can change; and how many more may be lost.
    pub fn managers(&self) -> (usize, usize) {
        let managers: Vec<_> = self.nodes.iter().filter(|node| node.manager).collect();
        (managers.iter().filter(|node| node.state == "ready").count(), managers.len())
    }
}

impl Swarm<'_> {
    pub(crate) async fn report(&self) -> Result<SwarmReport> {
        let (nodes, tasks, services) =
            tokio::try_join!(self.manager.swarm_nodes(), self.manager.swarm_tasks(), self.manager.swarm_services())?;
        let mut names = HashMap::new();
        let mut reports: Vec<NodeReport> = nodes
            .into_iter()
            .map(|node| {
                let host = self.host_of(&node).map(|seen| &seen.host);
                let name = host.map_or(node.hostname.clone(), |host| host.name.clone());
                names.insert(node.id.clone(), name.clone());
                let runs = |task: &&SwarmTask| task.state == "running" && task.node.as_ref() == Some(&node.id);
                NodeReport {
                    name,
                    manager: node.role == NodeRole::Manager,
                    leader: node.leader,
                    running: if node.state == "ready" { tasks.iter().filter(runs).count() } else { 0 },
                    state: node.state,
                    availability: node.availability,
                    labels: node.labels,
                    expires: host.and_then(|host| host.record.as_ref()).map(|record| record.expires),
                    id: node.id,
                }
            })
            .collect();
        reports.sort_by_key(|node| (!node.manager, !node.leader, node.name.clone()));
        let waiting = tasks.iter().filter(|task| task.is_live() && task.node.is_none()).count();
        let mut jobs: Vec<Job> = services.iter().filter_map(|service| job(service, &tasks, &names)).collect();
        jobs.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(SwarmReport { nodes: reports, jobs, waiting })
    }
}

/// What came of a job so far.
fn job(service: &SwarmService, tasks: &[SwarmTask], names: &HashMap<String, String>) -> Option<Job> {
    let wanted = service.completions?;
    let mut slots: BTreeMap<u64, Vec<&SwarmTask>> = BTreeMap::new();
    for task in tasks.iter().filter(|task| task.service == service.id) {
        slots.entry(task.slot).or_default().push(task);
    }
    let is_complete = |tasks: &Vec<&SwarmTask>| tasks.iter().any(|task| task.state == "complete");
    let completed = slots.values().filter(|tasks| is_complete(tasks)).count() as u64;
    let current = |tasks: &&Vec<&SwarmTask>| !is_complete(tasks) && tasks.iter().any(|task| task.state == "running");
    let running = slots.values().filter(current).count();
    let mut repeated = Vec::new();
    for (slot, tasks) in &mut slots {
        tasks.sort_by(|one, other| one.created.cmp(&other.created));
        let begun: Vec<String> = tasks
            .iter()
            .filter(|task| task.started)
            .map(|task| {
                let name =
                    task.node.as_ref().and_then(|id| names.get(id)).map_or("a node that is gone", String::as_str);
                format!("{name} ({})", task.state)
            })
            .collect();
        if begun.len() > 1 {
            repeated.push((*slot, begun));
        }
    }
    Some(Job { name: service.name.clone(), wanted, completed, running, repeated })
}
