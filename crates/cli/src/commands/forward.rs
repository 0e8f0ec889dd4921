//! `sdocker forward`: a listener on localhost for a port of a host, for clients that insist on localhost.

use std::{net::Ipv4Addr, process::ExitCode};

use anyhow::Context as _;
use host_provisioner::InstanceId;
use serde::Serialize;
use tokio::net::{TcpListener, TcpStream};

use sdocker::{Error, Surroundings, lookup::Lookup};

use crate::{interrupt::Interrupt, printer::Printer, progress::Progress};

/// Make a port of a host available on localhost, until Ctrl-C.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The port of the host, or LOCAL:HOST. A local port of 0 takes any free one.
    #[arg(value_name = "PORT[:PORT]", value_parser = Ports::parse)]
    ports: Ports,
    /// The host, instead of the current one.
    #[arg(long, value_name = "ID", value_parser = str::parse::<InstanceId>)]
    instance_id: Option<InstanceId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ports {
    local: u16,
    host: u16,
}

impl Ports {
    fn parse(text: &str) -> Result<Self, String> {
        let port = |text: &str| text.parse::<u16>().map_err(|_| format!("`{text}` is no port between 0 and 65535"));
        let (local, host) = match text.split_once(':') {
            Some((local, host)) => (port(local)?, port(host)?),
            None => (port(text)?, port(text)?),
        };
        if host == 0 { Err("the port of the host can't be 0".to_owned()) } else { Ok(Self { local, host }) }
    }
}

#[derive(Debug, Serialize)]
struct Listening {
    local: String,
    host: String,
}

pub(crate) async fn run(
    args: &Args,
    surroundings: &Surroundings,
    printer: &Printer,
    interrupt: &Interrupt,
) -> anyhow::Result<ExitCode> {
    let host = Lookup::new(surroundings).find(args.instance_id.as_ref(), &Progress::new(printer))?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, args.ports.local)).await.map_err(|error| {
        let hint = format!("take another local port: `sdocker forward 0:{}`", args.ports.host);
        Error::new(format!("cannot listen on localhost:{}", args.ports.local)).hint(hint).because(error)
    })?;
    let local = listener.local_addr().context("the listener has no address")?;
    let target = (host.address.clone(), args.ports.host);
    let listening = Listening { local: local.to_string(), host: format!("{}:{}", target.0, target.1) };
    printer.result(&listening, || {
        format!("{} reaches {} of {}; Ctrl-C ends it", listening.local, args.ports.host, host.name)
    })?;
    loop {
        tokio::select! {
            () = interrupt.stop().cancelled() => {
                printer.info(format!("{} is forwarded no longer", listening.local));
                return Ok(ExitCode::FAILURE);
            }
            accepted = listener.accept() => {
                let (client, _) = accepted.context("cannot accept a connection")?;
                let target = target.clone();
                tokio::spawn(async move {
                    if let Err(error) = relay(client, &target).await {
                        tracing::warn!("{}:{}: {error}", target.0, target.1);
                    }
                });
            }
        }
    }
}

async fn relay(mut client: TcpStream, target: &(String, u16)) -> std::io::Result<()> {
    // A host that does not answer closes the client's connection, which is what a closed port would do.
    let mut host = TcpStream::connect((target.0.as_str(), target.1)).await?;
    client.set_nodelay(true)?;
    host.set_nodelay(true)?;
    tokio::io::copy_bidirectional(&mut client, &mut host).await?;
    Ok(())
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
