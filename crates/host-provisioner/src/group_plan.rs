//! The security groups of a host: which, with what rules, and what is missing of them.

use serde::{Deserialize, Serialize};
use studio_discovery::{DomainId, SecurityGroupId, StudioEnvironment, Tag, VpcId};

use crate::{HostRequest, MountTarget, MountTargetId, Peer, Protocol, Rule, SecurityGroup, TAG_DOMAIN, Warning};

/// What begins the name of the group that lets the app reach the daemon and the endpoints; the domain ends it. By itself it is the name that
/// the first `sdocker`, its AWS-samples fork and earlier versions of this one gave.
const DOCKER_GROUP: &str = "DockerHost";
/// The same of the group that host and mount target share, for NFS.
const NFS_GROUP: &str = "EFSDockerHost";

/// The names that a domain's groups may have: its own, and the earlier ones.
pub(crate) fn names(domain: &DomainId) -> [String; 4] {
    let own = |kind: &str| format!("{kind}-{domain}");
    [own(DOCKER_GROUP), own(NFS_GROUP), DOCKER_GROUP.to_owned(), NFS_GROUP.to_owned()]
}

/// Whether a group of one of these names is one for NFS.
pub(crate) fn is_for_nfs(group: &SecurityGroup) -> bool {
    group.name.starts_with(NFS_GROUP)
}

/// Whether a group of one of these names is the domain's: by its name, by its tag, or, where it has an earlier name and no tag, by its rules.
/// Both predecessors made groups without tags: `DockerHost`, which lets a group of the app reach every port, and `EFSDockerHost`, which lets
/// its own members reach NFS (`create_sg` in both).
pub(crate) fn is_of_domain(group: &SecurityGroup, domain: &DomainId, app_groups: &[SecurityGroupId]) -> bool {
    if group.name != DOCKER_GROUP && group.name != NFS_GROUP {
        return true;
    }
    match group.tags.iter().find(|tag| tag.key == TAG_DOMAIN) {
        Some(tag) => tag.value == domain.as_str(),
        None => has_our_rules(group, app_groups),
    }
}

fn has_our_rules(group: &SecurityGroup, app_groups: &[SecurityGroupId]) -> bool {
    let ours = |rule: &Rule| match &rule.peer {
        Peer::Group(peer) if is_for_nfs(group) => {
            *peer == group.id && (rule.from_port, rule.to_port) == (NFS_PORT, NFS_PORT)
        }
        Peer::Group(peer) if *peer == group.id => swarm_rules().any(|wanted| wanted.within(peer) == *rule),
        Peer::Group(peer) => app_groups.contains(peer),
        Peer::Network(_) => false,
    };
    !group.ingress.is_empty() && group.ingress.iter().all(ours)
}

/// The SDK's default `serving_port`, at which Local Mode looks for an endpoint.
pub(crate) const ENDPOINT_PORT: u16 = 8080;

/// The port by which an app may reach the agent that shares its files, beside the daemon's own connection. Something listens there only while such
/// a connection is being made.
pub const FILES_PORT: u16 = 1112;
const NFS_PORT: u16 = 2049;

/// By which the nodes of a Swarm reach each other: 2377 for managers, 7946 among all, 4789 for overlay networks (Docker documentation,
/// "Getting started with Swarm mode", "Open protocols and ports between the hosts").
const SWARM_PORTS: [(Protocol, u16); 4] =
    [(Protocol::Tcp, 2377), (Protocol::Tcp, 7946), (Protocol::Udp, 7946), (Protocol::Udp, 4789)];

/// Rules between hosts of one Swarm, and nobody else.
fn swarm_rules() -> impl Iterator<Item = PlannedRule> {
    SWARM_PORTS.into_iter().map(|(protocol, port)| PlannedRule { protocol, port, peer: None })
}

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

/// A rule for one port, whose peer may be a group that does not exist yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PlannedRule {
    /// What it is for.
    #[serde(default, skip_serializing_if = "Protocol::is_tcp")]
    pub protocol: Protocol,
    /// The port.
    pub port: u16,
    /// The other side; `None` is the group itself.
    pub peer: Option<SecurityGroupId>,
}

impl PlannedRule {
    /// The rule in a group of this id.
    pub(crate) fn within(&self, group: &SecurityGroupId) -> Rule {
        Rule::of(self.protocol, self.port, Peer::Group(self.peer.clone().unwrap_or_else(|| group.clone())))
    }

    /// A rule for a TCP port.
    fn tcp(port: u16, peer: Option<SecurityGroupId>) -> Self {
        Self { protocol: Protocol::Tcp, port, peer }
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

/// The same, with what is opened where it can be.
pub(crate) fn opened_ports(request: &HostRequest) -> Vec<u16> {
    let mut ports = client_ports(request);
    if request.shares_files && !ports.contains(&FILES_PORT) {
        ports.push(FILES_PORT);
    }
    ports
}

/// What groups that an administrator prepared do not let in although the app needs it: a port that no rule opens, neither to a group of the app nor
/// to addresses, which may be the app's.
pub(crate) fn lacks_of_given(
    environment: &StudioEnvironment,
    request: &HostRequest,
    present: &[SecurityGroup],
) -> Option<Warning> {
    let given = &request.config.security_groups;
    let read: Vec<&SecurityGroup> = present.iter().filter(|group| given.contains(&group.id)).collect();
    // What could not be read may have the rule.
    if given.is_empty() || read.len() < given.len() || environment.security_groups.is_empty() {
        return None;
    }
    let opens = |rule: &Rule, port: u16| {
        let to_app = match &rule.peer {
            Peer::Group(peer) => environment.security_groups.contains(peer),
            Peer::Network(_) => true,
        };
        to_app && rule.protocol.is_tcp() && (rule.from_port..=rule.to_port).contains(&port)
    };
    let closed = |port: &u16| !read.iter().flat_map(|group| &group.ingress).any(|rule| opens(rule, *port));
    let ports: Vec<u16> = client_ports(request).into_iter().filter(closed).collect();
    (!ports.is_empty()).then(|| Warning::GivenGroupsLack {
        groups: given.clone(),
        ports,
        app_groups: environment.security_groups.clone(),
    })
}

/// The mount targets of a placement that let none of the groups in that an administrator prepared, nor any address: hosts could mount nothing.
pub(crate) fn shut_to_given(
    given: &[SecurityGroupId],
    targets: &[MountTarget],
    read: &[(MountTargetId, Vec<SecurityGroup>)],
) -> Vec<Warning> {
    let opens = |rule: &Rule| {
        let to_host = match &rule.peer {
            Peer::Group(peer) => given.contains(peer),
            Peer::Network(_) => true,
        };
        to_host && rule.protocol.is_tcp() && (rule.from_port..=rule.to_port).contains(&NFS_PORT)
    };
    let shut = |target: &&MountTarget| {
        let groups = read.iter().find(|(id, _)| *id == target.id).map(|(_, groups)| groups);
        groups.is_some_and(|groups| !groups.iter().flat_map(|group| &group.ingress).any(opens))
    };
    let shut = targets.iter().filter(shut);
    shut.map(|target| Warning::MountTargetShut { mount_target: target.id.clone(), groups: given.to_vec() }).collect()
}

/// `DockerHost-<domain>`: every port that is opened, from every group of the app, for a Swarm what its nodes need of each other, and nothing else.
pub(crate) fn docker_group(
    (vpc, domain): (&VpcId, &DomainId),
    app_groups: &[SecurityGroupId],
    request: &HostRequest,
) -> GroupPlan {
    let wanted = opened_ports(request)
        .into_iter()
        .flat_map(|port| app_groups.iter().map(move |group| PlannedRule::tcp(port, Some(group.clone()))))
        .chain(swarm_rules().filter(|_| request.swarm));
    let description = "Docker hosts of SageMaker Studio: reached from Studio apps";
    plan((DOCKER_GROUP, description), (vpc, domain), wanted.collect(), None)
}

/// `EFSDockerHost-<domain>`: NFS between its own members, in and out.
pub(crate) fn nfs_group(vpc: &VpcId, domain: &DomainId) -> GroupPlan {
    let nfs = vec![PlannedRule::tcp(NFS_PORT, None)];
    let description = "Docker hosts of SageMaker Studio: NFS to the EFS of the domain";
    plan((NFS_GROUP, description), (vpc, domain), nfs.clone(), Some(nfs))
}

fn plan(
    (kind, description): (&str, &str),
    (vpc, domain): (&VpcId, &DomainId),
    ingress: Vec<PlannedRule>,
    egress: Option<Vec<PlannedRule>>,
) -> GroupPlan {
    GroupPlan {
        name: format!("{kind}-{domain}"),
        description: description.to_owned(),
        vpc: vpc.clone(),
        existing: None,
        present_ingress: 0,
        missing_ingress: ingress.clone(),
        ingress,
        egress,
    }
}

impl GroupPlan {
    /// What of the group that is there is not as sdocker makes it: whoever finds one by its name may find anybody's.
    pub(crate) fn strange(&self, present: &[SecurityGroup], of_domain: &Tag) -> Option<Warning> {
        let group = present.iter().find(|group| Some(&group.id) == self.existing.as_ref())?;
        // Between hosts of a Swarm, of this domain's as well, whether this host is to be in one or not.
        let between = swarm_rules().filter(|_| !is_for_nfs(group));
        let wanted: Vec<Rule> =
            self.ingress.iter().cloned().chain(between).map(|rule| rule.within(&group.id)).collect();
        // A port that was open to a group of the app before is no stranger's, nor are all of them, as the first `sdocker` opened them.
        let as_before = |rule: &Rule| rule.from_port == rule.to_port || (rule.from_port, rule.to_port) == (0, u16::MAX);
        let known = |rule: &Rule| wanted.iter().any(|wanted| wanted.peer == rule.peer && as_before(rule));
        let strange = group.ingress.iter().filter(|rule| !known(rule));
        let mut what: Vec<String> = strange.map(|rule| format!("it lets in {rule}")).collect();
        if let Some(other) = group.tags.iter().find(|tag| tag.key == of_domain.key && tag.value != of_domain.value) {
            what.insert(0, format!("it is tagged as that of domain {}", other.value));
        }
        let group = format!("{} ({})", group.name, group.id);
        (!what.is_empty()).then_some(Warning::StrangeGroup { group, what })
    }

    /// What is to be said where a group without a tag is used because of its rules.
    pub(crate) fn adopted(&self, present: &[SecurityGroup], domain: &DomainId) -> Option<Warning> {
        let group = present.iter().find(|group| Some(&group.id) == self.existing.as_ref())?;
        let earlier = group.name == DOCKER_GROUP || group.name == NFS_GROUP;
        let untagged = group.tags.iter().all(|tag| tag.key != TAG_DOMAIN);
        (earlier && untagged).then(|| Warning::AdoptedGroup {
            name: group.name.clone(),
            group: group.id.clone(),
            domain: domain.clone(),
        })
    }

    /// The same plan in a VPC that has these groups: the domain's own group, else an earlier one that is the domain's; two would take two of
    /// a mount target's few places.
    pub(crate) fn against(mut self, present: &[SecurityGroup], domain: &DomainId) -> Self {
        let suffix = format!("-{domain}");
        let kind = self.name.strip_suffix(&suffix).unwrap_or(&self.name).to_owned();
        let own = format!("{kind}{suffix}");
        let app_groups: Vec<SecurityGroupId> = self.ingress.iter().filter_map(|rule| rule.peer.clone()).collect();
        // Names are unique within a VPC only: another VPC's group of that name is of no use, and not ours to change.
        let named = |name: &str| present.iter().find(|group| group.name == name && group.vpc == self.vpc);
        let earlier = || named(&kind).filter(|group| is_of_domain(group, domain, &app_groups));
        let existing = named(&own).or_else(earlier);
        self.name = existing.map_or(own.clone(), |group| group.name.clone());
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
