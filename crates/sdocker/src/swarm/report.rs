//! What a Swarm is, and what it does.

use std::collections::{BTreeMap, HashMap};

use docker_remote::{NodeRole, SwarmService, SwarmTask};
use jiff::Timestamp;
use serde::{Serialize, Serializer, ser::SerializeStruct as _};

use super::Swarm;
use crate::Result;

/// What a manager says of the Swarm. Its JSON is what `swarm status --output json` prints.
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
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct NodeReport {
    /// The name of its host, where it is one of this home's; else its host name.
    pub name: String,
    /// Its id.
    #[serde(skip)]
    pub id: String,
    /// Whether it is a manager.
    #[serde(rename = "role", serialize_with = "role")]
    pub manager: bool,
    /// Whether it leads the managers.
    pub leader: bool,
    /// `ready`, `down`, `disconnected` or `unknown`.
    pub state: String,
    /// `active`, `pause` or `drain`.
    pub availability: String,
    /// How many tasks run on it.
    #[serde(rename = "running_tasks")]
    pub running: usize,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// When its host ends itself at the latest, where that is known here.
    pub expires: Option<Timestamp>,
}

/// A job: so many runs to completion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
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
    /// Runs that were begun more than once, or may have been, since a node was lost or a run failed.
    pub repeated: Vec<Repeated>,
}

/// A run of a job that was started more than once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Repeated {
    /// Its number.
    pub run: u64,
    /// The nodes, in order, each with the state of the run there.
    pub nodes: Vec<String>,
}

impl SwarmReport {
    /// How many managers are ready, and how many there are.
    pub fn managers(&self) -> (usize, usize) {
        let managers: Vec<_> = self.nodes.iter().filter(|node| node.manager).collect();
        (managers.iter().filter(|node| node.state == "ready").count(), managers.len())
    }
}

impl Serialize for SwarmReport {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let (ready, managers) = self.managers();
        let mut document = serializer.serialize_struct("SwarmReport", 5)?;
        document.serialize_field("nodes", &self.nodes)?;
        document.serialize_field("managers", &managers)?;
        document.serialize_field("managers_ready", &ready)?;
        document.serialize_field("waiting_tasks", &self.waiting)?;
        document.serialize_field("jobs", &self.jobs)?;
        document.end()
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "so serde calls it")]
fn role<S: Serializer>(manager: &bool, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.serialize_str(if *manager { "manager" } else { "worker" })
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
            repeated.push(Repeated { run: *slot, nodes: begun });
        }
    }
    Some(Job { name: service.name.clone(), wanted, completed, running, repeated })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_json_is_what_programs_read() {
        let node = |name: &str, manager, state: &str, expires: Option<&str>| NodeReport {
            name: name.to_owned(),
            id: "n1".to_owned(),
            manager,
            leader: manager,
            state: state.to_owned(),
            availability: "active".to_owned(),
            running: 1,
            labels: BTreeMap::from([("sdocker.zone".to_owned(), "a".to_owned())]),
            expires: expires.map(|expires| expires.parse().expect("a time")),
        };
        let repeated = vec![Repeated { run: 7, nodes: vec!["one (failed)".to_owned(), "two (running)".to_owned()] }];
        let job = Job { name: "job".to_owned(), wanted: 9, completed: 4, running: 1, repeated };
        let report = SwarmReport {
            nodes: vec![node("one", true, "ready", Some("2026-01-01T00:00:00.5Z")), node("two", false, "down", None)],
            jobs: vec![job],
            waiting: 2,
        };
        assert_eq!(
            serde_json::to_string(&report).expect("JSON"),
            r#"{"nodes":[{"name":"one","role":"manager","leader":true,"state":"ready","availability":"active","running_tasks":1,"labels":{"sdocker.zone":"a"},"expires":"2026-01-01T00:00:00.5Z"},{"name":"two","role":"worker","leader":false,"state":"down","availability":"active","running_tasks":1,"labels":{"sdocker.zone":"a"},"expires":null}],"managers":1,"managers_ready":1,"waiting_tasks":2,"jobs":[{"name":"job","wanted":9,"completed":4,"running":1,"repeated":[{"run":7,"nodes":["one (failed)","two (running)"]}]}]}"#
        );
    }
}
