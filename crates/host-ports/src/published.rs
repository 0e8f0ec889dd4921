//! What of a container is to be at localhost.

use std::{collections::BTreeMap, net::IpAddr};

use bollard::models::{ContainerInspectResponse, PortMap};

/// Where a port leads to, as the host reaches it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target {
    /// A name or an address.
    pub host: String,
    /// The port there.
    pub port: u16,
}

/// The ports of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Published {
    /// TCP ports of the host, and where each leads to.
    pub(crate) tcp: BTreeMap<u16, Target>,
    /// UDP ports of the host.
    pub(crate) udp: Vec<u16>,
}

impl Published {
    /// What a container publishes, as far as it is known: ports that the daemon chooses are, once it runs.
    pub(crate) fn of(container: &ContainerInspectResponse) -> Self {
        let mut published = Self::default();
        let host_config = container.host_config.as_ref();
        if is_on_host_network(container) {
            // It publishes nothing, and what it listens on is the host's; what it says of itself is what there is to know.
            let exposed = container.config.as_ref().and_then(|config| config.exposed_ports.clone()).unwrap_or_default();
            for port in exposed {
                published.add(&port, "", &port);
            }
            return published;
        }
        published.add_all(host_config.and_then(|config| config.port_bindings.as_ref()));
        published.add_all(container.network_settings.as_ref().and_then(|settings| settings.ports.as_ref()));
        published
    }

    fn add_all(&mut self, ports: Option<&PortMap>) {
        for (port, bindings) in ports.into_iter().flatten() {
            for binding in bindings.iter().flatten() {
                let host_port = binding.host_port.as_deref().unwrap_or_default();
                self.add(port, binding.host_ip.as_deref().unwrap_or_default(), host_port);
            }
        }
    }

    /// Adds a port: `container` is like `8080/tcp`. A range, or none, is settled once the container runs.
    fn add(&mut self, container: &str, address: &str, host: &str) {
        let protocol = container.split_once('/').map_or("tcp", |(_, protocol)| protocol);
        let port = host.split('/').next().and_then(|port| port.parse().ok()).filter(|port| *port != 0);
        match (protocol, port) {
            ("tcp", Some(port)) => {
                let target = Target { host: reached_at(address), port };
                self.tcp.entry(port).and_modify(|known| *known = target.clone().min(known.clone())).or_insert(target);
            }
            ("udp", Some(port)) if !self.udp.contains(&port) => self.udp.push(port),
            _ => {}
        }
    }
}

/// Where the host itself reaches what is published at an address of its own.
fn reached_at(address: &str) -> String {
    match address.parse::<IpAddr>() {
        Ok(IpAddr::V6(address)) if address.is_unspecified() => "::1".to_owned(),
        Ok(address) if !address.is_unspecified() => address.to_string(),
        _ => "127.0.0.1".to_owned(),
    }
}

fn is_on_host_network(container: &ContainerInspectResponse) -> bool {
    container.host_config.as_ref().and_then(|config| config.network_mode.as_deref()) == Some("host")
}

/// The address of a container on a network, by the network's name.
pub(crate) fn address_on(container: &ContainerInspectResponse, network: &str) -> Option<String> {
    let networks = container.network_settings.as_ref()?.networks.as_ref()?;
    networks.get(network)?.ip_address.clone().filter(|address| !address.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn published(text: &str) -> Published {
        Published::of(&serde_json::from_str(text).expect("a container"))
    }

    fn tcp(published: &Published) -> Vec<(u16, &str)> {
        published.tcp.iter().map(|(port, target)| (*port, target.host.as_str())).collect()
    }

    #[test]
    fn ports_are_known_before_a_container_runs_unless_the_daemon_chooses_them() {
        let created = published(
            r#"{"HostConfig": {"NetworkMode": "default", "PortBindings": {
                "80/tcp": [{"HostIp": "", "HostPort": "8000"}, {"HostIp": "::", "HostPort": "8000"}],
                "81/tcp": [{"HostIp": "10.0.0.1", "HostPort": "8001"}], "82/tcp": [{"HostIp": "", "HostPort": ""}],
                "83/tcp": [{"HostPort": "9000-9010"}], "53/udp": [{"HostPort": "53"}, {"HostIp": "::", "HostPort": "53"}]}},
                "NetworkSettings": {"Ports": {}}}"#,
        );
        assert_eq!(tcp(&created), [(8000, "127.0.0.1"), (8001, "10.0.0.1")]);
        assert_eq!(created.udp, [53]);
        let running = published(
            r#"{"HostConfig": {"PortBindings": {"82/tcp": [{"HostIp": "", "HostPort": ""}]}},
                "NetworkSettings": {"Ports": {"81/tcp": null,
                "82/tcp": [{"HostIp": "0.0.0.0", "HostPort": "32768"}, {"HostIp": "::", "HostPort": "32768"}]}}}"#,
        );
        assert_eq!(tcp(&running), [(32768, "127.0.0.1")]);
    }

    #[test]
    fn a_container_on_the_hosts_network_has_the_ports_that_it_exposes() {
        let container = published(
            r#"{"HostConfig": {"NetworkMode": "host"}, "Config": {"ExposedPorts": {"8888/tcp": {}, "9/udp": {}}}}"#,
        );
        assert_eq!(tcp(&container), [(8888, "127.0.0.1")]);
        assert_eq!(container.udp, [9]);
    }
}
