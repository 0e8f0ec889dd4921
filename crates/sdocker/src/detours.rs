//! Docker's own clients may take another way to a host than `sdocker`: through a proxy of the environment, which need not lead there.

use std::{fmt, time::Duration};

use docker_remote::{ClientCredentials, ClientProxy, Endpoint, probe_through};

use crate::{
    Observer, Surroundings,
    lookup::{KnownHost, Lookup},
};

/// How long a proxy has to lead to a host.
const WITHIN: Duration = Duration::from_secs(10);

/// A client that does not get to a host.
#[derive(Debug)]
#[non_exhaustive]
pub struct Blocked {
    /// The client.
    pub client: Client,
    proxy: ClientProxy,
    why: String,
}

/// A kind of client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// The Docker CLI, Compose, buildx.
    Cli,
    /// docker-py, docker-compose 1.x, and what is built on them.
    DockerPy,
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cli => "docker and docker compose do",
            Self::DockerPy => "docker-py and docker-compose 1.x do",
        })
    }
}

impl fmt::Display for Blocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { client, proxy, why } = self;
        write!(f, "{client} not reach the host: they go through the proxy {proxy} ({}), where {why}", proxy.variable)
    }
}

/// The clients that would not get to a host, which is tried on the way that each of them takes.
///
/// # Cancel safety
/// It only asks, and can be dropped at any time.
pub async fn blocked(
    surroundings: &Surroundings,
    endpoint: &Endpoint,
    credentials: &ClientCredentials,
) -> Vec<Blocked> {
    let proxies = &surroundings.proxies;
    let (cli, docker_py) = (proxies.of_cli(endpoint), proxies.of_docker_py(endpoint));
    let attempt = async |proxy: &ClientProxy| {
        let tried = probe_through(proxy, endpoint, credentials, WITHIN).await;
        tried.err().map(|error| error.to_string())
    };
    let mut blocked = Vec::new();
    for (client, proxy) in [(Client::Cli, cli), (Client::DockerPy, docker_py)] {
        let Some(proxy) = proxy else { continue };
        let known = blocked.iter().find(|other: &&Blocked| other.proxy.to_string() == proxy.to_string());
        let why = match known {
            Some(other) => Some(other.why.clone()),
            None => attempt(&proxy).await,
        };
        blocked.extend(why.map(|why| Blocked { client, proxy, why }));
    }
    blocked
}

/// The same of a host that this home knows, where it has the credentials for it.
///
/// # Cancel safety
/// It only asks, and can be dropped at any time.
pub async fn blocked_from(surroundings: &Surroundings, lookup: &Lookup, host: &KnownHost) -> Vec<Blocked> {
    match ClientCredentials::load(&lookup.layout.client_certs(&host.name)) {
        Ok(credentials) => blocked(surroundings, &Endpoint::new(host.address.clone(), host.port), &credentials).await,
        Err(_) => Vec::new(),
    }
}

/// Says which clients do not get to a host, and what to do.
pub fn warn(blocked: &[Blocked], in_notebook: bool, observer: &dyn Observer) {
    for blocked in blocked {
        observer.warn(blocked);
    }
    if !blocked.is_empty() {
        observer.hint(remedy(in_notebook));
    }
}

/// What makes every client go straight.
pub fn remedy(in_notebook: bool) -> &'static str {
    if in_notebook {
        "in the notebook: `import json, os, subprocess; os.environ.update(json.loads(subprocess.check_output([\"sdocker\", \"env\", \
         \"--shell\", \"json\"])))`, which puts the host into NO_PROXY"
    } else {
        "`eval \"$(sdocker env)\"` in each terminal puts the host into NO_PROXY"
    }
}
