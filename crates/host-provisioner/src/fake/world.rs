//! What there is, in a form that tests compare and print.

use std::collections::BTreeMap;

use super::State;

/// Live instances, groups with their rules, and mount targets with their groups. Groups are named, not numbered, so that a world
/// in which a group was deleted and made again is the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct World {
    /// The ids of instances that are not shutting down or terminated.
    pub live_instances: Vec<String>,
    /// Each group's inbound and outbound rules.
    pub groups: BTreeMap<String, Vec<String>>,
    /// Each mount target's groups, sorted.
    pub mount_targets: BTreeMap<String, Vec<String>>,
}

impl World {
    pub(super) fn of(state: &State) -> Self {
        let name = |id: &studio_discovery::SecurityGroupId| {
            let group = state.groups.iter().find(|group| group.id == *id);
            group.map_or_else(|| format!("gone {id}"), |group| group.name.clone())
        };
        let rule = |way: &str, rule: &crate::Rule| {
            let peer = match &rule.peer {
                crate::Peer::Group(id) => name(id),
                crate::Peer::Network(network) => network.clone(),
            };
            let protocol = if rule.protocol == crate::Protocol::Udp { "udp " } else { "" };
            format!("{way} {protocol}{}-{} {peer}", rule.from_port, rule.to_port)
        };
        let live = state.instances.iter().map(|record| &record.instance).filter(|instance| !instance.state.is_ended());
        let groups = state.groups.iter().map(|group| {
            let ingress = group.ingress.iter().map(|allowed| rule("in", allowed));
            let egress = group.egress.iter().map(|allowed| rule("out", allowed));
            (group.name.clone(), ingress.chain(egress).collect())
        });
        let mount_targets = state.mount_targets.iter().map(|target| {
            let mut groups: Vec<String> = target.groups.iter().map(name).collect();
            groups.sort();
            (target.target.id.to_string(), groups)
        });
        Self {
            live_instances: live.map(|instance| instance.id.to_string()).collect(),
            groups: groups.collect(),
            mount_targets: mount_targets.collect(),
        }
    }
}
