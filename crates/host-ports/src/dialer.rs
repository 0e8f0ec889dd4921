//! Connections to whatever a host reaches.

use std::{collections::HashMap, sync::Arc};

use bollard::{
    errors::Error as DaemonError,
    models::{ContainerCreateBody, HostConfig},
    query_parameters::{CreateContainerOptionsBuilder, RemoveContainerOptionsBuilder},
};
use docker_remote::Client;
use host_agent::{Program, daemon};
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::{Error, Relay, RelayError, relay::Connection};

/// The user and group of nobody, who needs no right to connect.
const NOBODY: &str = "65534:65534";

/// What dials on the host.
#[derive(Clone, Debug)]
pub struct Agent {
    /// The host.
    pub client: Client,
    /// This program.
    pub program: Program,
    /// The arguments by which this program calls [`serve_agent`](crate::serve_agent) with its standard input and output.
    pub command: Vec<String>,
}

/// Dials from a host. The agent is started by the first connection, and again where it went away; cloning shares it.
#[derive(Clone, Debug)]
pub struct Dialer(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    agent: Agent,
    relay: Mutex<Option<Relay>>,
}

impl Dialer {
    /// Starts nothing yet.
    pub fn new(agent: Agent) -> Self {
        Self(Arc::new(Shared { agent, relay: Mutex::new(None) }))
    }

    /// The host.
    pub fn client(&self) -> &Client {
        &self.0.agent.client
    }

    /// Sees to it that there is an agent, so that the first connection need not wait for it.
    ///
    /// # Cancel safety
    /// Dropped while it starts the agent, it may leave a container on the host that was created and never runs. The next call starts
    /// another.
    ///
    /// # Errors
    /// The host refuses, or is out of reach.
    pub async fn prepare(&self) -> Result<(), Error> {
        self.relay().await.map(drop)
    }

    /// Connects to a port, as the host reaches it.
    ///
    /// # Cancel safety
    /// Dropped, the connection is given up. What may become of an agent that is being started, [`prepare`](Self::prepare) says.
    ///
    /// # Errors
    /// The port does not take the connection, or the host is out of reach.
    pub async fn connect(&self, host: &str, port: u16) -> Result<Connection, Error> {
        match self.relay().await?.connect(host, port).await {
            // It went away in between.
            Err(RelayError::Lost(_)) => Ok(self.relay().await?.connect(host, port).await?),
            outcome => Ok(outcome?),
        }
    }

    async fn relay(&self) -> Result<Relay, Error> {
        let mut relay = self.0.relay.lock().await;
        if let Some(relay) = &*relay
            && relay.is_there().await.is_ok()
        {
            return Ok(relay.clone());
        }
        *relay = None;
        Ok(relay.insert(self.0.agent.start().await?).clone())
    }
}

impl Agent {
    /// Starts an agent of its own for a stream. It ends, and its container goes, with the stream.
    async fn start(&self) -> Result<Relay, Error> {
        let image = host_agent::ensure_image(&self.client, &self.program).await?;
        let name = format!("sdocker-ports-{}", Uuid::new_v4().simple());
        let options = CreateContainerOptionsBuilder::new().name(&name).build();
        let created = self.client.bollard_short().create_container(Some(options), self.container(image)).await;
        created.map_err(daemon(&self.client, "create the ports' agent"))?;
        match self.begin(&name).await {
            Ok(relay) => Ok(relay),
            Err(error) => {
                let options = RemoveContainerOptionsBuilder::new().force(true).build();
                match self.client.bollard_short().remove_container(&name, Some(options)).await {
                    Ok(()) | Err(DaemonError::DockerResponseServerError { status_code: 404 | 409, .. }) => {}
                    Err(left) => tracing::warn!("container {name} is left on the host: {left}"),
                }
                Err(error)
            }
        }
    }

    async fn begin(&self, name: &str) -> Result<Relay, Error> {
        let (reader, writer) = host_agent::attach(&self.client, name).await?;
        let started = self.client.bollard_short().start_container(name, None).await;
        started.map_err(daemon(&self.client, "start the ports' agent"))?;
        Ok(Relay::begin(reader, writer).await?)
    }

    fn container(&self, image: String) -> ContainerCreateBody {
        let words = |words: &[&str]| Some(words.iter().map(|word| (*word).to_owned()).collect());
        ContainerCreateBody {
            image: Some(image),
            entrypoint: Some(self.program.entry_point()),
            cmd: Some(self.command.clone()),
            env: words(&["HOME=/tmp"]),
            user: Some(NOBODY.to_owned()),
            labels: Some(HashMap::from([(host_agent::LABEL.to_owned(), "ports".to_owned())])),
            // The agent's input ends with the connection to it, and so does the agent.
            open_stdin: Some(true),
            stdin_once: Some(true),
            attach_stdin: Some(true),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            host_config: Some(HostConfig {
                auto_remove: Some(true),
                network_mode: Some("host".to_owned()),
                cap_drop: words(&["ALL"]),
                security_opt: words(&["no-new-privileges"]),
                readonly_rootfs: Some(true),
                ..HostConfig::default()
            }),
            ..ContainerCreateBody::default()
        }
    }
}
