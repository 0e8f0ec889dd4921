//! The agent's container.

use std::{collections::HashMap, path::PathBuf, time::Duration};

use bollard::{
    errors::Error as DaemonError,
    models::{ContainerCreateBody, ContainerSummary, DeviceMapping, HostConfig},
    query_parameters::{
        CreateContainerOptionsBuilder, LogsOptionsBuilder, RemoveContainerOptionsBuilder, StopContainerOptionsBuilder,
    },
};
use docker_remote::Client;
use futures_util::StreamExt as _;
use sha2::{Digest as _, Sha256};

use host_agent::{Program, ensure_image};

use crate::{Error, Share};

/// Whose folders an agent shares.
const OWNER: &str = "sdocker.files.owner";

/// Which, one a line.
const PATHS: &str = "sdocker.files.paths";

/// How often an end is asked for where the daemon does not answer.
const ASKS_EVERY: Duration = Duration::from_secs(2);

/// How long the agent may take to unmount.
const STOPS_WITHIN: i32 = 10;

/// The agent of one owner.
#[derive(Clone, Debug)]
pub(crate) struct Agent {
    client: Client,
    program: Program,
    owner: String,
    shares: Vec<Share>,
    give_up_after: Duration,
    /// What is run in the container: this program's own command for an agent.
    command: Vec<String>,
}

impl Agent {
    pub(crate) fn new(
        client: Client,
        program: Program,
        command: Vec<String>,
        owner: String,
        shares: Vec<Share>,
        give_up_after: Duration,
    ) -> Self {
        Self { client, program, owner, shares, give_up_after, command }
    }

    /// The name of its container. One for each owner.
    pub(crate) fn name(&self) -> String {
        let hash = Sha256::digest(&self.owner);
        format!("sdocker-files-{:02x}{:02x}{:02x}{:02x}", hash[0], hash[1], hash[2], hash[3])
    }

    fn failed(&self, attempted: &'static str) -> impl FnOnce(DaemonError) -> Error + use<> {
        let failed = host_agent::daemon(&self.client, attempted);
        |error| failed(error).into()
    }

    /// Starts it, unless one with the same folders runs.
    pub(crate) async fn ensure(&self) -> Result<(), Error> {
        if self.is_running().await? {
            return Ok(());
        }
        self.remove().await?;
        let image = ensure_image(&self.client, &self.program).await?;
        let options = CreateContainerOptionsBuilder::new().name(&self.name()).build();
        let created = self.client.bollard_short().create_container(Some(options), self.container(image)).await;
        created.map_err(self.failed("create the agent's container"))?;
        let started = self.client.bollard_short().start_container(&self.name(), None).await;
        started.map_err(self.failed("start the agent's container"))
    }

    /// Whether its container runs, with these folders. Another owner's folders are not taken.
    async fn is_running(&self) -> Result<bool, Error> {
        let mut is_running = false;
        for agent in self.client.containers(false).await.map_err(host_agent::Error::from)? {
            let label = |name: &str| agent.labels.as_ref().and_then(|labels| labels.get(name)).cloned();
            match label(OWNER) {
                None => {}
                Some(owner) if owner == self.owner => is_running |= label(PATHS) == Some(self.paths()),
                Some(other) => self.check_free(&agent, other)?,
            }
        }
        Ok(is_running)
    }

    fn check_free(&self, other: &ContainerSummary, owner: String) -> Result<(), Error> {
        let paths = other.labels.as_ref().and_then(|labels| labels.get(PATHS)).cloned().unwrap_or_default();
        for taken in paths.lines().filter_map(|line| line.split_once(':').map(|(_, path)| PathBuf::from(path))) {
            if let Some(share) =
                self.shares.iter().find(|share| share.path.starts_with(&taken) || taken.starts_with(&share.path))
            {
                return Err(Error::Taken { path: share.path.clone(), owner });
            }
        }
        Ok(())
    }

    /// The folders, as the label has them.
    fn paths(&self) -> String {
        let line = |share: &Share| format!("{}:{}", if share.read_only { "ro" } else { "rw" }, share.path.display());
        self.shares.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    fn container(&self, image: String) -> ContainerCreateBody {
        let mut command = self.command.clone();
        command.extend(["mount".to_owned(), format!("--give-up-after={}s", self.give_up_after.as_secs())]);
        for share in &self.shares {
            command.push(format!("{}:{}", share.path.display(), if share.read_only { "ro" } else { "rw" }));
        }
        let fuse = DeviceMapping {
            path_on_host: Some("/dev/fuse".to_owned()),
            path_in_container: Some("/dev/fuse".to_owned()),
            cgroup_permissions: Some("rwm".to_owned()),
        };
        let words = |words: &[&str]| Some(words.iter().map(|word| (*word).to_owned()).collect());
        ContainerCreateBody {
            image: Some(image),
            entrypoint: Some(self.program.entry_point()),
            cmd: Some(command),
            env: words(&["HOME=/tmp"]),
            labels: Some(HashMap::from([
                (host_agent::LABEL.to_owned(), "files".to_owned()),
                (OWNER.to_owned(), self.owner.clone()),
                (PATHS.to_owned(), self.paths()),
            ])),
            host_config: Some(HostConfig {
                // To see its parent, in whose mount namespace it mounts. To enter that of another process takes both rights; the
                // third protects the folders beneath the mounts (namespaces(7), ioctl_iflags(2)).
                pid_mode: Some("host".to_owned()),
                cap_add: words(&["SYS_ADMIN", "SYS_PTRACE", "LINUX_IMMUTABLE"]),
                security_opt: words(&["seccomp=unconfined", "apparmor=unconfined", "label=disable"]),
                devices: Some(vec![fuse]),
                // Nobody reaches its socket.
                network_mode: Some("none".to_owned()),
                ..HostConfig::default()
            }),
            ..ContainerCreateBody::default()
        }
    }

    /// What it runs in its container to hand a connection over: its own input and output, or one by a port of the host.
    pub(crate) fn relay(&self, share: usize, port: Option<u16>) -> Vec<String> {
        let relay =
            ["relay".to_owned(), share.to_string()].into_iter().chain(port.map(|port| format!("--port={port}")));
        self.program.entry_point().into_iter().chain(self.command.clone()).chain(relay).collect()
    }

    /// The end of its log.
    pub(crate) async fn log(&self) -> String {
        let options = LogsOptionsBuilder::new().stdout(true).stderr(true).tail("5").build();
        let lines = self.client.bollard().logs(&self.name(), Some(options));
        let lines: Vec<String> =
            lines.filter_map(|line| async { line.ok().map(|line| line.to_string()) }).collect().await;
        lines.concat().trim().replace('\n', "; ")
    }

    /// Waits until its container has ended. The daemon keeps the streams of an exec open in one that was killed.
    pub(crate) async fn ended(&self) {
        loop {
            // Where there is none, it is gone. Else the daemon is out of reach, as the stream will be.
            if self.client.wait(&self.name()).await.is_ok()
                || matches!(self.client.inspect(&self.name()).await, Ok(None))
            {
                return;
            }
            tokio::time::sleep(ASKS_EVERY).await;
        }
    }

    /// Whether its container runs now; `None` where there is none, or the daemon does not say.
    pub(crate) async fn state(&self) -> Option<bool> {
        let found = self.client.inspect(&self.name()).await.ok()??;
        found.state.and_then(|state| state.running)
    }

    /// Ends it, which unmounts the folders, and removes its container. There may be none.
    pub(crate) async fn remove(&self) -> Result<(), Error> {
        let stopped = StopContainerOptionsBuilder::new().t(STOPS_WITHIN).build();
        let is_gone = |error: &DaemonError| {
            matches!(error, DaemonError::DockerResponseServerError { status_code: 304 | 404 | 409, .. })
        };
        match self.client.bollard_short().stop_container(&self.name(), Some(stopped)).await {
            Err(error) if !is_gone(&error) => return Err(self.failed("stop the agent's container")(error)),
            _ => {}
        }
        let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
        match self.client.bollard_short().remove_container(&self.name(), Some(options)).await {
            Err(error) if !is_gone(&error) => Err(self.failed("remove the agent's container")(error)),
            _ => Ok(()),
        }
    }
}
