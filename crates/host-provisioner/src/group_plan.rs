//! The security groups of a host: which, with what rules, and what is missing of them.

use serde::{Deserialize, Serialize};
use studio_discovery::{SecurityGroupId, Tag, VpcId};

use crate::{HostRequest, Peer, Rule, SecurityGroup, Warning};

/// The group that lets the app reach the daemon and the endpoints.
pub(crate) const DOCKER_GROUP: &str = "DockerHost";
/// The group that host and mount target share, for NFS.
pub(crate) const NFS_GROUP: &str = "EFSDockerHost";
/// Both names.
pub(crate) fn names() -> [String; 2] {
    [DOCKER_GROUP, NFS_GROUP].map(str::to_owned)
}

/// The SDK's default `serving_port`, at which Local Mode looks for an endpoint.
pub(crate) const ENDPOINT_PORT: u16 = 8080;
const NFS_PORT: u16 = 2049;

/// A security group that a host needs, and what is missing of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct GroupPlan {
    /// Its name, by which it is found in the VPC.
    pub name: String,
    /// Its description, when it is created.
    pub description: String,
    /// The VPC.
    pub vpc: VpcId,
    /// The group, where it exists already.
    pub existing: Option<SecurityGroupId>,
    /// How many inbound rules it has.
    #[serde(skip)]
    pub present_ingress: usize,
    /// The inbound rules that it is to have.
    pub ingress: Vec<PlannedRule>,
    /// Those of them that it lacks: all, where it does not exist yet.
    pub missing_ingress: Vec<PlannedRule>,
    /// The only outbound rules that it is to have, when it is created; `None` leaves EC2's rule that allows everything.
    pub egress: Option<Vec<PlannedRule>>,
}

/// A rule for one TCP port, whose peer may be a group that does not exist yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PlannedRule {
    /// The port.
    pub port: u16,
    /// The other side; `None` is the group itself.
    pub peer: Option<SecurityGroupId>,
}

impl PlannedRule {
    /// The rule in a group of this id.
    pub(crate) fn within(&self, group: &SecurityGroupId) -> Rule {
        Rule::port(self.port, Peer::Group(self.peer.clone().unwrap_or_else(|| group.clone())))
    }
}

/// The ports of a host that clients reach: the daemon's, the endpoints', and those of the configuration; each once.
pub(crate) fn client_ports(request: &HostRequest) -> Vec<u16> {
    let mut ports = vec![request.config.daemon_port, ENDPOINT_PORT];
    for port in &request.config.additional_ports {
        if !ports.contains(port) {
            ports.push(*port);
        }
    }
    ports
}

/// `DockerHost`: every client port from every group of the app, and nothing else.
pub(crate) fn docker_group(
    vpc: &VpcId,
    app_groups: &[SecurityGroupId],
    request: &HostRequest,
    existing: &[SecurityGroup],
) -> GroupPlan {
    let wanted = client_ports(request)
        .into_iter()
        .flat_map(|port| app_groups.iter().map(move |group| PlannedRule { port, peer: Some(group.clone()) }));
    let description = "Docker hosts of SageMaker Studio: reached from Studio apps";
    plan(DOCKER_GROUP, description, vpc, wanted.collect(), None, existing)
}

/// `EFSDockerHost`: NFS between its own members, in and out.
pub(crate) fn nfs_group(vpc: &VpcId, existing: &[SecurityGroup]) -> GroupPlan {
    let nfs = vec![PlannedRule { port: NFS_PORT, peer: None }];
    let description = "Docker hosts of SageMaker Studio: NFS to the EFS of the domain";
    plan(NFS_GROUP, description, vpc, nfs.clone(), Some(nfs), existing)
}

fn plan(
    name: &str,
    description: &str,
    vpc: &VpcId,
    ingress: Vec<PlannedRule>,
    egress: Option<Vec<PlannedRule>>,
    existing: &[SecurityGroup],
) -> GroupPlan {
    let plan = GroupPlan {
        name: name.to_owned(),
        description: description.to_owned(),
        vpc: vpc.clone(),
        existing: None,
        present_ingress: 0,
        missing_ingress: ingress.clone(),
        ingress,
        egress,
    };
    plan.against(existing)
}

impl GroupPlan {
    /// What of the group that is there is not as sdocker makes it: whoever finds one by its name may find anybody's.
    pub(crate) fn strange(&self, present: &[SecurityGroup], of_domain: &Tag) -> Option<Warning> {
        let group = present.iter().find(|group| Some(&group.id) == self.existing.as_ref())?;
        let wanted: Vec<Rule> = self.ingress.iter().map(|rule| rule.within(&group.id)).collect();
        // A port that was open to a group of the app before is no stranger's.
        let known =
            |rule: &Rule| wanted.iter().any(|wanted| wanted.peer == rule.peer && rule.from_port == rule.to_port);
        let strange = group.ingress.iter().filter(|rule| !known(rule));
        let mut what: Vec<String> = strange.map(|rule| format!("it lets in {rule}")).collect();
        if let Some(other) = group.tags.iter().find(|tag| tag.key == of_domain.key && tag.value != of_domain.value) {
            what.insert(0, format!("it is tagged as that of domain {}", other.value));
        }
        let group = format!("{} ({})", group.name, group.id);
        (!what.is_empty()).then_some(Warning::StrangeGroup { group, what })
    }

    /// The same plan in a VPC that has these groups.
    pub(crate) fn against(mut self, present: &[SecurityGroup]) -> Self {
        // Names are unique within a VPC only: another VPC's group of that name is of no use, and not ours to change.
        let existing = present.iter().find(|group| group.name == self.name && group.vpc == self.vpc);
        self.existing = existing.map(|group| group.id.clone());
        self.present_ingress = existing.map_or(0, |group| group.ingress.len());
        self.missing_ingress = self.ingress.clone();
        if let Some(group) = existing {
            self.missing_ingress
                .retain(|rule| !group.ingress.iter().any(|rule_there| rule_there.covers(&rule.within(&group.id))));
        }
        self
    }
}
