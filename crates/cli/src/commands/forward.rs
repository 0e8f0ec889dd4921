//! `sdocker forward`: ports of a host at localhost, for clients that insist on localhost.

use std::process::ExitCode;

use clap_complete::engine::ArgValueCompleter;
use host_agent::Program;
use host_ports::{Agent, Dialer, Listener, Listeners, Target};
use sdocker::{Error, HostSelector, Surroundings, client_files::HostFiles, lookup::Lookup};
use sdocker_console::{Interrupt, Printer, Progress};
use serde::Serialize;

use super::share::PORTS_COMMAND;
use crate::completion;

/// Make ports of a host available on localhost.
///
/// Runs until Ctrl-C. Goes through the daemon's own connection, and so reaches any TCP port on the host, open to this app or not. Ports that
/// containers publish on the current host are on localhost without this command.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The host's ports, or LOCAL:HOST. A local port of 0 picks any free one.
    #[arg(value_name = "PORT[:PORT]", value_parser = Ports::parse, required = true)]
    ports: Vec<Ports>,
    /// The host, instead of the current one: its name, its instance id, or the beginning of either.
    #[arg(long, visible_alias = "host", value_name = "HOST", add = ArgValueCompleter::new(completion::hosts))]
    instance_id: Option<HostSelector>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ports {
    local: u16,
    host: u16,
}

impl Ports {
    fn parse(text: &str) -> Result<Self, String> {
        let port = |text: &str| text.parse::<u16>().map_err(|_| format!("`{text}` is not a port between 0 and 65535"));
        let (local, host) = match text.split_once(':') {
            Some((local, host)) => (port(local)?, port(host)?),
            None => (port(text)?, port(text)?),
        };
        if host == 0 { Err("the port of the host can't be 0".to_owned()) } else { Ok(Self { local, host }) }
    }
}

#[derive(Debug, Serialize)]
struct Forwarded {
    host: String,
    ports: Vec<Port>,
}

#[derive(Debug, Serialize)]
struct Port {
    local: String,
    host: u16,
}

pub(crate) async fn run(
    args: &Args,
    surroundings: &Surroundings,
    printer: &Printer,
    interrupt: &Interrupt,
) -> anyhow::Result<ExitCode> {
    let lookup = Lookup::new(surroundings);
    let host = lookup.find(args.instance_id.as_ref(), &Progress::new(printer))?;
    let client = HostFiles::new(&lookup).client(&host.entry()).await?;
    let command = PORTS_COMMAND.map(str::to_owned).to_vec();
    let dialer = Dialer::new(Agent { client, program: Program::running()?, command });
    // Before anything is promised.
    dialer.prepare().await.map_err(|error| no_agent(error, &host.name))?;
    let listeners = Listeners::new(dialer);
    let mut open: Vec<(Ports, Listener)> = Vec::new();
    for ports in &args.ports {
        // As the host reaches itself; what is bound to an address of its own is not meant by a bare port.
        let target = Target { host: "127.0.0.1".to_owned(), port: ports.host };
        let listener = listeners.open(ports.local, vec![target]).await.map_err(|error| {
            let hint = format!("take another local port: `sdocker forward 0:{}`", ports.host);
            Error::new(format!("cannot listen on localhost:{}", ports.local)).hint(hint).because(error)
        })?;
        open.push((*ports, listener));
    }
    let port = |(ports, listener): &(Ports, Listener)| Port { local: listener.address().to_string(), host: ports.host };
    let forwarded = Forwarded { host: host.name.clone(), ports: open.iter().map(port).collect() };
    printer.result(&forwarded, || {
        let lines = forwarded.ports.iter().map(|port| format!("{} reaches {} of {}", port.local, port.host, host.name));
        format!("{}; Ctrl-C ends it", lines.collect::<Vec<_>>().join("\n"))
    })?;
    interrupt.say("no longer forwarding");
    interrupt.stop().cancelled().await;
    printer.info("no longer forwarding");
    Ok(ExitCode::FAILURE)
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
        assert_eq!(Ports::parse("8080"), Ok(Ports { local: 8080, host: 8080 }));
        assert_eq!(Ports::parse("0:8080"), Ok(Ports { local: 0, host: 8080 }));
        for wrong in ["", "0", "x", "8080:", ":8080", "1:2:3", "65536", "1:0"] {
            assert!(Ports::parse(wrong).is_err(), "{wrong}");
        }
    }
}
