//! Rules of security groups, in EC2's form and ours.

use std::collections::HashMap;

use aws_sdk_ec2::types::{IpPermission, IpRange, Ipv6Range, UserIdGroupPair};

use crate::{Peer, Protocol, Rule};

/// The rules as EC2 takes them. Groups of other accounts are named with those.
pub(super) fn permissions(rules: &[Rule], elsewhere: &HashMap<String, String>) -> Vec<IpPermission> {
    let permission = |rule: &Rule| {
        let permission = IpPermission::builder()
            .ip_protocol(rule.protocol.as_str())
            .from_port(rule.from_port.into())
            .to_port(rule.to_port.into());
        match &rule.peer {
            Peer::Group(group) => {
                let pair = UserIdGroupPair::builder().group_id(group.as_str());
                permission.user_id_group_pairs(pair.set_user_id(elsewhere.get(group.as_str()).cloned()).build())
            }
            Peer::Network(network) => permission.ip_ranges(IpRange::builder().cidr_ip(network).build()),
        }
        .build()
    };
    rules.iter().map(permission).collect()
}

/// The outbound rules that EC2 gives every new group, the second one in a VPC that has IPv6 addresses (VPC user guide, "Default security
/// groups").
pub(super) fn everything() -> [IpPermission; 2] {
    let all = || IpPermission::builder().ip_protocol("-1");
    let v6 = Ipv6Range::builder().cidr_ipv6("::/0").build();
    [all().ip_ranges(IpRange::builder().cidr_ip("0.0.0.0/0").build()).build(), all().ipv6_ranges(v6).build()]
}

/// Rules of TCP and UDP, one per peer. A rule for all protocols (`-1`) has no ports and stands for all of them.
pub(super) fn rules(permissions: &[IpPermission]) -> Vec<Rule> {
    let mut rules = Vec::new();
    for permission in permissions {
        let port = |port: Option<i32>, otherwise| port.and_then(|port| port.try_into().ok()).unwrap_or(otherwise);
        let ports = || (port(permission.from_port(), 0), port(permission.to_port(), u16::MAX));
        let (protocol, (from_port, to_port)) = match permission.ip_protocol() {
            Some("tcp" | "6") => (Protocol::Tcp, ports()),
            Some("udp" | "17") => (Protocol::Udp, ports()),
            Some("-1") => (Protocol::Tcp, (0, u16::MAX)),
            _ => continue,
        };
        let groups = permission.user_id_group_pairs().iter().filter_map(|pair| pair.group_id());
        let networks = permission.ip_ranges().iter().filter_map(|range| range.cidr_ip());
        let v6 = permission.ipv6_ranges().iter().filter_map(|range| range.cidr_ipv6());
        let lists = permission.prefix_list_ids().iter().filter_map(|list| list.prefix_list_id());
        let peers = groups.map(|id| Peer::Group(id.into()));
        let peers = peers.chain(networks.chain(v6).chain(lists).map(|network| Peer::Network(network.to_owned())));
        rules.extend(peers.map(|peer| Rule { protocol, from_port, to_port, peer }));
    }
    rules
}
