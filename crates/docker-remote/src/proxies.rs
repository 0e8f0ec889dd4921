//! The way that Docker's clients take to a host: straight, or through a proxy of the environment.
//!
//! A host in a VPC is reached directly. But a client that finds proxy variables takes the proxy for it as for anything else, unless
//! `NO_PROXY` excludes it, and each kind of client has its own rules.

use std::{collections::BTreeMap, fmt, net::IpAddr};

use hyper::Uri;
use ipnet::IpNet;

use crate::Endpoint;

/// Every variable that one of the clients reads. Some read the upper case first, some the lower.
const NAMES: [&str; 6] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"];
/// The two spellings of what is reached directly.
const EXCLUDED: [&str; 2] = ["NO_PROXY", "no_proxy"];

/// The proxy variables of an environment, of which only those for TLS matter here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProxyVariables(BTreeMap<&'static str, String>);

/// A proxy that a client takes.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientProxy {
    /// The variable that names it.
    pub variable: &'static str,
    url: String,
}

impl ProxyVariables {
    /// The variables as this function gives them.
    pub fn new(variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = NAMES.into_iter().filter_map(|name| Some((name, variable(name)?)));
        Self(set.filter(|(_, value)| !value.trim().is_empty()).collect())
    }

    /// The proxy that the Docker CLI takes to a host, and with it Compose from version 2, buildx and everything that is built on
    /// Go's client of Docker; `None` where it goes straight.
    ///
    /// The client takes Go's `http.ProxyFromEnvironment` for every `tcp://` endpoint (docker/go-connections, `sockets/sockets.go`), and
    /// that follows golang.org/x/net/http/httpproxy: upper case first, nothing for `localhost` and loopback addresses, and of
    /// `NO_PROXY` addresses, networks and domains, each with a port or none.
    pub fn of_cli(&self, host: &Endpoint) -> Option<ClientProxy> {
        let proxy = self.first(["HTTPS_PROXY", "https_proxy"])?;
        let excluded = self.first(EXCLUDED).map(|excluded| excluded.url).unwrap_or_default();
        (!go_excludes(&excluded, host)).then_some(proxy)
    }

    /// The proxy that docker-py takes to a host, and with it docker-compose 1.x, testcontainers and the like; `None` where it goes
    /// straight.
    ///
    /// It is built on the library `requests`: lower case first, and of `no_proxy` addresses, networks and endings of names
    /// (requests, `utils.should_bypass_proxies`).
    pub fn of_docker_py(&self, host: &Endpoint) -> Option<ClientProxy> {
        let proxy = self.first(["https_proxy", "HTTPS_PROXY"]).or_else(|| self.first(["all_proxy", "ALL_PROXY"]))?;
        let excluded = self.first(["no_proxy", "NO_PROXY"]).map(|excluded| excluded.url).unwrap_or_default();
        (!requests_excludes(&excluded, host)).then_some(proxy)
    }

    /// `NO_PROXY` and `no_proxy` as they must be for every client to go straight to a host: what the user has in them, and the host.
    /// Nothing where no proxy is set.
    pub fn excluding(&self, host: &Endpoint) -> Vec<(&'static str, String)> {
        if NAMES[..4].iter().all(|name| !self.0.contains_key(name)) {
            return Vec::new();
        }
        let excluding = EXCLUDED.into_iter().rev().zip(EXCLUDED).map(|(other, name)| {
            // A client that reads this one first must not lose what it reads now, from the other.
            let own = self.first([name, other]).map(|own| own.url).unwrap_or_default();
            if go_excludes(&own, host) && requests_excludes(&own, host) {
                return (name, own);
            }
            let gap = if own.is_empty() || own.trim_end().ends_with(',') { "" } else { "," };
            (name, format!("{own}{gap}{}", host.host))
        });
        excluding.collect()
    }

    /// `NO_PROXY` and `no_proxy` without these hosts, where one of them is in there: what [`excluding`](Self::excluding) added. `None`: nothing
    /// else was in it.
    pub fn including(&self, hosts: &[&str]) -> Vec<(&'static str, Option<String>)> {
        let without = EXCLUDED.into_iter().filter_map(|name| {
            let own = self.0.get(name)?;
            let (ours, others): (Vec<_>, Vec<_>) = own.split(',').partition(|entry| hosts.contains(&entry.trim()));
            (!ours.is_empty()).then(|| (name, (!others.is_empty()).then(|| others.join(","))))
        });
        without.collect()
    }

    fn first(&self, names: [&'static str; 2]) -> Option<ClientProxy> {
        let (variable, url) = names.into_iter().find_map(|name| Some((name, self.0.get(name)?)))?;
        Some(ClientProxy { variable, url: url.clone() })
    }
}

impl ClientProxy {
    /// Its address; `None` where it is not spoken to in plain HTTP, or is no URL. Go takes `http` where there is no scheme.
    pub(crate) fn uri(&self) -> Option<Uri> {
        let url = self.url.trim();
        let uri: Uri = if url.contains("://") { url.parse() } else { format!("http://{url}").parse() }.ok()?;
        (uri.scheme_str() == Some("http") && uri.host().is_some()).then_some(uri)
    }

    /// User name and password, as they stand in the URL.
    pub(crate) fn user(&self) -> Option<&str> {
        let authority = self.url.split_once("://").map_or(self.url.as_str(), |(_, rest)| rest);
        let authority = authority.split(['/', '?', '#']).next()?;
        authority.rsplit_once('@').map(|(user, _)| user)
    }
}

/// Without user name and password.
impl fmt::Display for ClientProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.user() {
            Some(user) => f.write_str(&self.url.replacen(&format!("{user}@"), "", 1)),
            None => f.write_str(&self.url),
        }
    }
}

/// The same.
impl fmt::Debug for ClientProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={self}", self.variable)
    }
}

fn go_excludes(excluded: &str, endpoint: &Endpoint) -> bool {
    let host = endpoint.host.trim().to_lowercase();
    let address = host.parse::<IpAddr>().ok();
    if endpoint.host == "localhost" || address.is_some_and(|address| address.is_loopback()) {
        return true;
    }
    excluded.split(',').map(|entry| entry.trim().to_lowercase()).any(|entry| {
        if entry == "*" {
            return true;
        }
        if let Ok(network) = entry.parse::<IpNet>() {
            return address.is_some_and(|address| network.contains(&address));
        }
        let (name, port) = name_and_port(&entry);
        if port.is_some_and(|port| port != endpoint.port.to_string()) || name.is_empty() {
            return false;
        }
        if let Ok(excluded) = name.parse::<IpAddr>() {
            return address == Some(excluded);
        }
        let name = name.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(name);
        if name.starts_with('.') { host.ends_with(name) } else { host == name || host.ends_with(&format!(".{name}")) }
    })
}

/// As Go's `net.SplitHostPort`, where a name without a port is the name.
fn name_and_port(entry: &str) -> (&str, Option<&str>) {
    if let Some(rest) = entry.strip_prefix('[') {
        return match rest.split_once("]:") {
            Some((name, port)) => (name, Some(port)),
            None => (entry, None),
        };
    }
    match entry.split_once(':') {
        Some((name, port)) if !port.contains(':') => (name, Some(port).filter(|port| !port.is_empty())),
        _ => (entry, None),
    }
}

fn requests_excludes(excluded: &str, endpoint: &Endpoint) -> bool {
    let host = endpoint.host.to_lowercase();
    if excluded.trim() == "*" {
        return true;
    }
    let excluded = excluded.replace(' ', "").to_lowercase();
    let mut entries = excluded.split(',').filter(|entry| !entry.is_empty());
    match host.parse::<IpAddr>() {
        // Networks only of IPv4.
        Ok(address) => entries.any(|entry| match entry.parse::<IpNet>() {
            Ok(network) => address.is_ipv4() && network.contains(&address),
            Err(_) => entry == host,
        }),
        // Older versions take any ending of a name, 2.34 whole labels: what both exclude is excluded.
        Err(_) => {
            let with_port = format!("{host}:{}", endpoint.port);
            entries.map(|entry| entry.trim_start_matches('.')).any(|entry| {
                [&host, &with_port].into_iter().any(|name| name == entry || name.ends_with(&format!(".{entry}")))
            })
        }
    }
}

#[cfg(test)]
mod tests;
