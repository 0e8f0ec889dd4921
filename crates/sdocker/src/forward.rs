//! Ports of a host at localhost, for clients that insist on localhost.

use std::str::FromStr;

use host_agent::Program;
use host_ports::{Agent, Dialer, Listener, Listeners, Target};
use serde::Serialize;

use crate::{Error, HostSelector, Observer, Surroundings, client_files::HostFiles, lookup::Lookup};

/// A port of a host, and the local port that reaches it: `PORT` or `LOCAL:HOST`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// The local port; 0: any free one.
    pub local: u16,
    /// The host's port.
    pub host: u16,
}

impl FromStr for Ports {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let port = |text: &str| text.parse::<u16>().map_err(|_| format!("`{text}` is not a port between 0 and 65535"));
        let (local, host) = match text.split_once(':') {
            Some((local, host)) => (port(local)?, port(host)?),
            None => (port(text)?, port(text)?),
        };
        if host == 0 { Err("the port of the host can't be 0".to_owned()) } else { Ok(Self { local, host }) }
    }
}

/// Ports of a host that are at localhost until this is dropped. Its JSON is what `forward --output json` prints.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct Forwarding {
    /// The host's name.
    pub host: String,
    /// The ports.
    pub ports: Vec<Forwarded>,
    #[serde(skip)]
    _open: Vec<Listener>,
}

/// A port of a host that is at localhost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Forwarded {
    /// The local address.
    pub local: String,
    /// The host's port.
    pub host: u16,
}

/// Makes ports of a host available at localhost, through its daemon's own connection. `program` runs there by `command` as an agent: see
/// [`host_ports::Agent`].
///
/// # Cancel safety
/// It can be dropped at any time; no port is open then.
///
/// # Errors
/// There is no such host, it does not answer or can't run the program, or a local port is taken.
pub async fn forward(
    host: Option<&HostSelector>,
    ports: &[Ports],
    program: Program,
    command: Vec<String>,
    surroundings: &Surroundings,
    observer: &dyn Observer,
) -> crate::Result<Forwarding> {
    let lookup = Lookup::new(surroundings);
    let host = lookup.find(host, observer)?;
    let client = HostFiles::new(&lookup).client(&host.entry()).await?;
    let dialer = Dialer::new(Agent { client, program, command });
    // Before anything is promised.
    dialer.prepare().await.map_err(|error| no_agent(error, &host.name))?;
    let listeners = Listeners::new(dialer);
    let (mut forwarded, mut open) = (Vec::new(), Vec::new());
    for ports in ports {
        // As the host reaches itself; what is bound to an address of its own is not meant by a bare port.
        let target = Target { host: "127.0.0.1".to_owned(), port: ports.host };
        let listener = listeners.open(ports.local, vec![target]).await.map_err(|error| {
            let hint = format!("take another local port: `sdocker forward 0:{}`", ports.host);
            Error::new(format!("cannot listen on localhost:{}", ports.local)).hint(hint).because(error)
        })?;
        forwarded.push(Forwarded { local: listener.address().to_string(), host: ports.host });
        open.push(listener);
    }
    Ok(Forwarding { host: host.name, ports: forwarded, _open: open })
}

fn no_agent(error: host_ports::Error, host: &str) -> Error {
    let refused = Error::new(format!("ports of {host} can't be reached"));
    match &error {
        host_ports::Error::Agent(host_agent::Error::Architecture { .. }) => refused.hint(
            "on such a host, only ports that AdditionalPorts opened at its launch can be reached, at the host's own address",
        ),
        _ => refused,
    }
    .because(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_one_or_two() {
        assert_eq!("8080".parse(), Ok(Ports { local: 8080, host: 8080 }));
        assert_eq!("0:8080".parse(), Ok(Ports { local: 0, host: 8080 }));
        for wrong in ["", "0", "x", "8080:", ":8080", "1:2:3", "65536", "1:0"] {
            assert!(wrong.parse::<Ports>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn its_json_is_what_programs_read() {
        let ports = vec![Forwarded { local: "127.0.0.1:8080".to_owned(), host: 80 }];
        let forwarding = Forwarding { host: "c5.xlarge_i-1".to_owned(), ports, _open: Vec::new() };
        let json = r#"{"host":"c5.xlarge_i-1","ports":[{"local":"127.0.0.1:8080","host":80}]}"#;
        assert_eq!(serde_json::to_string(&forwarding).expect("JSON"), json);
    }
}
