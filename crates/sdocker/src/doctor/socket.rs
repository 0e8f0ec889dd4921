//! The socket on demand: whether it answers, and whether clients find it.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
    time::{Instant, sleep, timeout},
};

use super::finding::{Findings, State};
use crate::{
    CloudChoice, Surroundings, clouds,
    lookup::Lookup,
    on_demand,
    socket::{self, CONTEXT},
};

/// How long a process that was just started may take until it answers.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// How soon it is asked again.
const AGAIN: Duration = Duration::from_millis(100);

pub(super) async fn examine(surroundings: &Surroundings, lookup: &Lookup, findings: &mut Findings) {
    if !socket::is_wanted(surroundings) {
        return;
    }
    let path = socket::path(surroundings);
    let shown = path.display();
    match answers(surroundings).await {
        Ok(()) => {
            let state = on_demand::state(surroundings).unwrap_or_default();
            let host = match (state.host, state.failure) {
                (Some(host), _) => format!("it leads to {host}"),
                (None, None) => format!("what needs a host launches a {}", state.instance_type),
                (None, Some(why)) => format!("nothing was launched: {why}"),
            };
            findings.ok("socket", format!("{shown} answers; {host}"));
        }
        Err(error) => {
            let log = on_demand::log(surroundings);
            findings
                .add("socket", State::Warning, format!("{shown} does not answer: {error}"))
                .because("`docker` has no daemon, and no host is launched")
                .fix(format!(
                    "the next `sdocker status` starts its process again; {} says why it ended",
                    log.display()
                ));
        }
    }
    match lookup.contexts.current() {
        Ok(Some(current)) if current == CONTEXT => {}
        Ok(current) => {
            let current = current.unwrap_or_else(|| "default".to_owned());
            findings
                .add("socket", State::Warning, format!("docker's context is {current}, and not {CONTEXT}"))
                .because("`docker` bypasses the socket")
                .fix(format!("`docker context use {CONTEXT}`, or `sdocker down` if you no longer want it"));
        }
        // That contexts can't be read is said with the hosts.
        Err(_) => {}
    }
    // That DOCKER_HOST leads elsewhere is said of the environment. Hosts of the sandbox are beside this machine's own daemon.
    let is_told = surroundings.docker_host.as_deref() == Some(&socket::endpoint(surroundings));
    if !is_told && clouds::choose(surroundings) != CloudChoice::Sandbox && !on_demand::is_linked(surroundings) {
        findings
            .add("socket", State::Warning, format!("nothing but docker's context leads to {shown}"))
            .because("docker-py, docker-compose 1.x and testcontainers do not support contexts")
            .fix("`eval \"$(sdocker env)\"`");
    }
}

/// Whether somebody answers, as a client asks.
async fn answers(surroundings: &Surroundings) -> io::Result<()> {
    let until = Instant::now() + ANSWERS_WITHIN;
    loop {
        let asked = timeout(ANSWERS_WITHIN, ping(surroundings)).await;
        match asked.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Err(_) if Instant::now() < until => sleep(AGAIN).await,
            asked => return asked,
        }
    }
}

async fn ping(surroundings: &Surroundings) -> io::Result<()> {
    let mut stream = UnixStream::connect(socket::path(surroundings)).await?;
    stream.write_all(b"GET /_ping HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n").await?;
    let mut read = [0; 12];
    stream.read_exact(&mut read).await?;
    match &read {
        // With 503 it is there, and its host does not answer, which is said of the host.
        b"HTTP/1.1 200" | b"HTTP/1.1 503" => Ok(()),
        other => Err(io::Error::other(format!("it says {}", String::from_utf8_lossy(other)))),
    }
}
