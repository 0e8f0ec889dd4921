//! A daemon's part in a Swarm: forming and joining it, and what a manager knows of its nodes and tasks.

use std::{collections::BTreeMap, fmt, net::IpAddr, time::Duration};

use bollard::{
    models::{NodeSpec, NodeSpecAvailabilityEnum, NodeSpecRoleEnum, SwarmInitRequest, SwarmJoinRequest},
    query_parameters::{DeleteNodeOptionsBuilder, LeaveSwarmOptionsBuilder, UpdateNodeOptionsBuilder},
};
use serde::Deserialize;

use super::{Client, SAYS_WITHIN, unless};
use crate::Error;

/// The port by which nodes reach managers (Docker documentation, "Getting started with Swarm mode").
pub const SWARM_PORT: u16 = 2377;

/// How long a change of a Swarm may take. The daemon itself gives up a join after 20 seconds (moby, `swarmConnectTimeout`).
const CHANGES_WITHIN: Duration = Duration::from_secs(60);

/// How often a change of a node is tried that others change at the same time.
const RACES: u32 = 5;

/// What lets others join a Swarm: secrets, which are neither shown nor kept.
pub struct JoinTokens {
    worker: String,
    manager: String,
}

impl fmt::Debug for JoinTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JoinTokens")
    }
}

/// What a node does in a Swarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeRole {
    /// It has the Swarm's state, with the other managers, and runs tasks as well.
    Manager,
    /// It runs tasks.
    Worker,
}

/// A daemon's own part in a Swarm (`GET /info`).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SwarmPart {
    /// Its id as a node.
    pub node: String,
    /// Whether it is a manager that answers for the Swarm.
    pub manages: bool,
    /// What is wrong, in the daemon's words.
    pub error: Option<String>,
}

/// A node, as a manager sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SwarmNode {
    /// Its id.
    pub id: String,
    /// Its host name.
    pub hostname: String,
    /// Its address.
    pub address: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its part.
    pub role: NodeRole,
    /// `active`, `pause` or `drain`: whether it is given tasks.
    pub availability: String,
    /// `ready`, `down`, `disconnected` or `unknown`.
    pub state: String,
    /// Whether this manager is reached by the others; `None` for a worker.
    pub reachable: Option<bool>,
    /// Whether it leads the managers.
    pub leader: bool,
}

/// A task: one run of a container of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SwarmTask {
    /// Its id.
    pub id: String,
    /// The id of its service.
    pub service: String,
    /// Which of the service's tasks it is, from 0 in a job. Another task of the same slot takes its place where it fails.
    pub slot: u64,
    /// The id of the node that it was given to.
    pub node: Option<String>,
    /// Where it is, such as `pending`, `running` or `complete` (Docker documentation, "Swarm task states").
    pub state: String,
    /// Whether its container was started at some time. Of a task that was lost with its node the Swarm does not say; it may have been.
    pub started: bool,
    /// What is wrong with it, in the daemon's words.
    pub error: Option<String>,
    /// When it was made, as the daemon writes it: texts of two tasks compare as their times do.
    pub created: String,
}

impl SwarmTask {
    /// Whether it waits, runs, or is on its way between the two.
    pub fn is_live(&self) -> bool {
        !matches!(self.state.as_str(), "complete" | "shutdown" | "failed" | "rejected" | "remove" | "orphaned")
    }
}

/// A service.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SwarmService {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// How many tasks are to complete, where it is a job.
    pub completions: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct NodeSaid {
    #[serde(rename = "ID")]
    id: String,
    spec: NodeSpecSaid,
    description: Description,
    status: NodeStatusSaid,
    manager_status: Option<ManagerSaid>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct NodeSpecSaid {
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
    role: String,
    availability: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Description {
    #[serde(default)]
    hostname: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct NodeStatusSaid {
    state: String,
    #[serde(default)]
    addr: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ManagerSaid {
    #[serde(default)]
    leader: bool,
    #[serde(default)]
    reachability: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TaskSaid {
    #[serde(rename = "ID")]
    id: String,
    #[serde(rename = "ServiceID", default)]
    service: String,
    #[serde(default)]
    slot: u64,
    #[serde(rename = "NodeID")]
    node: Option<String>,
    #[serde(default)]
    created_at: String,
    status: TaskStatusSaid,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TaskStatusSaid {
    state: String,
    err: Option<String>,
    container_status: Option<ContainerSaid>,
}

#[derive(Deserialize)]
struct ContainerSaid {
    #[serde(rename = "PID", default)]
    pid: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ServiceSaid {
    #[serde(rename = "ID")]
    id: String,
    spec: ServiceSpecSaid,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ServiceSpecSaid {
    name: String,
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
    mode: ModeSaid,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ModeSaid {
    replicated_job: Option<JobSaid>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct JobSaid {
    total_completions: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SwarmSaid {
    join_tokens: TokensSaid,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TokensSaid {
    worker: String,
    manager: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct VersionedNode {
    version: Version,
    spec: NodeSpec,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Version {
    index: i64,
}

impl Client {
    /// This daemon's part in a Swarm; `None` where it is in none.
    ///
    /// # Cancel safety
    /// It only asks, and can be dropped at any time.
    ///
    /// # Errors
    /// The daemon does not answer.
    pub async fn swarm_part(&self) -> Result<Option<SwarmPart>, Error> {
        let info = self.info().await?;
        let part = info.swarm.and_then(|swarm| {
            let node = swarm.node_id.filter(|node| !node.is_empty())?;
            let error = swarm.error.filter(|error| !error.is_empty());
            Some(SwarmPart { node, manages: swarm.control_available.unwrap_or_default(), error })
        });
        Ok(part)
    }

    /// Makes this daemon the first manager of a new Swarm, which others reach by this address. `pool` is where its networks are.
    ///
    /// # Cancel safety
    /// Dropped, it may have made the Swarm; [`swarm_part`](Self::swarm_part) tells.
    ///
    /// # Errors
    /// The daemon refuses, such as one that is in a Swarm already, or that has live-restore.
    pub async fn init_swarm(&self, address: IpAddr, pool: &str) -> Result<(), Error> {
        let request = SwarmInitRequest {
            listen_addr: Some(format!("0.0.0.0:{SWARM_PORT}")),
            advertise_addr: Some(address.to_string()),
            default_addr_pool: Some(vec![pool.to_owned()]),
            subnet_size: Some(24),
            ..SwarmInitRequest::default()
        };
        self.changes("form a Swarm", self.short.init_swarm(request)).await.map(drop)
    }

    /// What lets others join, from a manager.
    ///
    /// # Cancel safety
    /// It only asks, and can be dropped at any time.
    ///
    /// # Errors
    /// This is no manager, or too few managers are there.
    pub async fn join_tokens(&self) -> Result<JoinTokens, Error> {
        let SwarmSaid { join_tokens: TokensSaid { worker, manager } } =
            self.says("/swarm", "ask for the Swarm", SAYS_WITHIN).await?;
        Ok(JoinTokens { worker, manager })
    }

    /// Makes this daemon a node of a Swarm.
    ///
    /// # Cancel safety
    /// Dropped, it may have joined; [`swarm_part`](Self::swarm_part) tells.
    ///
    /// # Errors
    /// The daemon refuses, or does not reach the managers.
    pub async fn join_swarm(
        &self,
        tokens: &JoinTokens,
        role: NodeRole,
        address: IpAddr,
        managers: &[IpAddr],
    ) -> Result<(), Error> {
        let token = match role {
            NodeRole::Manager => &tokens.manager,
            NodeRole::Worker => &tokens.worker,
        };
        let request = SwarmJoinRequest {
            listen_addr: Some(format!("0.0.0.0:{SWARM_PORT}")),
            advertise_addr: Some(address.to_string()),
            remote_addrs: Some(managers.iter().map(|manager| format!("{manager}:{SWARM_PORT}")).collect()),
            join_token: Some(token.clone()),
            ..SwarmJoinRequest::default()
        };
        self.changes("join the Swarm", self.short.join_swarm(request)).await
    }

    /// Takes this daemon out of its Swarm; a manager only by force. One that is in none: no error.
    ///
    /// # Cancel safety
    /// It can be dropped at any time, and repeated.
    ///
    /// # Errors
    /// The daemon refuses.
    pub async fn leave_swarm(&self, force: bool) -> Result<(), Error> {
        let options = LeaveSwarmOptionsBuilder::new().force(force).build();
        let left = self.changes("leave the Swarm", self.short.leave_swarm(Some(options))).await;
        match left {
            Err(_) if matches!(self.swarm_part().await, Ok(None)) => Ok(()),
            left => left,
        }
    }

    /// The nodes, from a manager.
    ///
    /// # Cancel safety
    /// It only asks, and can be dropped at any time.
    ///
    /// # Errors
    /// This is no manager, or too few managers are there.
    pub async fn swarm_nodes(&self) -> Result<Vec<SwarmNode>, Error> {
        let nodes: Vec<NodeSaid> = self.says("/nodes", "list the nodes of the Swarm", SAYS_WITHIN).await?;
        let node = |said: NodeSaid| SwarmNode {
            id: said.id,
            hostname: said.description.hostname,
            address: said.status.addr,
            labels: said.spec.labels.unwrap_or_default(),
            role: if said.spec.role == "manager" { NodeRole::Manager } else { NodeRole::Worker },
            availability: said.spec.availability,
            state: said.status.state,
            reachable: said.manager_status.as_ref().map(|manager| manager.reachability == "reachable"),
            leader: said.manager_status.is_some_and(|manager| manager.leader),
        };
        Ok(nodes.into_iter().map(node).collect())
    }

    /// The tasks of all services, those that are over included as far as the Swarm remembers them, from a manager.
    ///
    /// # Cancel safety
    /// It only asks, and can be dropped at any time.
    ///
    /// # Errors
    /// This is no manager, or too few managers are there.
    pub async fn swarm_tasks(&self) -> Result<Vec<SwarmTask>, Error> {
        let tasks: Vec<TaskSaid> = self.says("/tasks", "list the tasks of the Swarm", SAYS_WITHIN).await?;
        let task = |said: TaskSaid| SwarmTask {
            id: said.id,
            service: said.service,
            slot: said.slot,
            node: said.node.filter(|node| !node.is_empty()),
            started: matches!(said.status.state.as_str(), "running" | "complete" | "failed" | "orphaned")
                || said.status.container_status.is_some_and(|status| status.pid > 0),
            state: said.status.state,
            error: said.status.err.filter(|error| !error.is_empty()),
            created: said.created_at,
        };
        Ok(tasks.into_iter().map(task).collect())
    }

    /// The services, from a manager.
    ///
    /// # Cancel safety
    /// It only asks, and can be dropped at any time.
    ///
    /// # Errors
    /// This is no manager, or too few managers are there.
    pub async fn swarm_services(&self) -> Result<Vec<SwarmService>, Error> {
        let services: Vec<ServiceSaid> = self.says("/services", "list the services of the Swarm", SAYS_WITHIN).await?;
        let service = |said: ServiceSaid| SwarmService {
            id: said.id,
            name: said.spec.name,
            labels: said.spec.labels.unwrap_or_default(),
            completions: said.spec.mode.replicated_job.and_then(|job| job.total_completions),
        };
        Ok(services.into_iter().map(service).collect())
    }

    /// Gives a node labels, beside those that it has.
    ///
    /// # Cancel safety
    /// It can be dropped at any time, and repeated.
    ///
    /// # Errors
    /// This is no manager, or there is no such node.
    pub async fn label_node(&self, node: &str, labels: &BTreeMap<String, String>) -> Result<(), Error> {
        let add = |spec: &mut NodeSpec| spec.labels.get_or_insert_default().extend(labels.clone());
        self.change_node(node, &format!("label node {node}"), add).await
    }

    /// Takes all tasks off a node, and gives it none; or gives it tasks again.
    ///
    /// # Cancel safety
    /// It can be dropped at any time, and repeated.
    ///
    /// # Errors
    /// This is no manager, or there is no such node.
    pub async fn drain_node(&self, node: &str, drain: bool) -> Result<(), Error> {
        let availability = if drain { NodeSpecAvailabilityEnum::DRAIN } else { NodeSpecAvailabilityEnum::ACTIVE };
        self.change_node(node, &format!("drain node {node}"), |spec| spec.availability = Some(availability)).await
    }

    /// Makes a worker a manager, or the other way round.
    ///
    /// # Cancel safety
    /// It can be dropped at any time, and repeated.
    ///
    /// # Errors
    /// This is no manager, or there is no such node; the last manager can't become a worker.
    pub async fn change_role(&self, node: &str, role: NodeRole) -> Result<(), Error> {
        let (role, doing) = match role {
            NodeRole::Manager => (NodeSpecRoleEnum::MANAGER, "promote"),
            NodeRole::Worker => (NodeSpecRoleEnum::WORKER, "demote"),
        };
        self.change_node(node, &format!("{doing} node {node}"), |spec| spec.role = Some(role)).await
    }

    /// Takes a node off the list. One that is not there: no error.
    ///
    /// # Cancel safety
    /// It can be dropped at any time, and repeated.
    ///
    /// # Errors
    /// This is no manager; the node is a manager still.
    pub async fn remove_node(&self, node: &str) -> Result<(), Error> {
        let options = DeleteNodeOptionsBuilder::new().force(true).build();
        let removed = unless(404, self.short.delete_node(node, Some(options)));
        self.changes(&format!("remove node {node}"), removed).await
    }

    async fn change_node(&self, node: &str, attempted: &str, change: impl Fn(&mut NodeSpec)) -> Result<(), Error> {
        for race in 1.. {
            let VersionedNode { version, mut spec } =
                self.says(&format!("/nodes/{node}"), attempted, SAYS_WITHIN).await?;
            change(&mut spec);
            let options = UpdateNodeOptionsBuilder::new().version(version.index).build();
            match self.changes(attempted, self.short.update_node(node, spec, options)).await {
                // Somebody changed the node in between.
                Err(error) if race < RACES && super::with_causes(&error).contains("out of sequence") => {}
                changed => return changed,
            }
        }
        unreachable!("the loop returns in its last round")
    }

    pub(super) async fn changes<T>(
        &self,
        attempted: &str,
        change: impl Future<Output = Result<T, bollard::errors::Error>>,
    ) -> Result<T, Error> {
        match tokio::time::timeout(CHANGES_WITHIN, change).await {
            Ok(changed) => changed.map_err(self.failed(attempted)),
            Err(_) => Err(self.late(attempted)),
        }
    }

    fn late(&self, attempted: &str) -> Error {
        self.reported(attempted, format!("no answer within {} s", CHANGES_WITHIN.as_secs()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lets_others_join_is_not_shown() {
        let tokens = JoinTokens { worker: "SWMTKN-1-worker".to_owned(), manager: "SWMTKN-1-manager".to_owned() };
        assert_eq!(format!("{tokens:?}"), "JoinTokens");
    }
}
