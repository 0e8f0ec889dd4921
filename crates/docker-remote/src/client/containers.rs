//! Containers: list, run and wait, logs.

use bollard::{
    container::LogOutput,
    models::{
        ContainerCreateBody, ContainerInspectResponse, ContainerSummary, ContainerWaitExitError, ContainerWaitResponse,
        HostConfig,
    },
    query_parameters::{
        AttachContainerOptionsBuilder, CreateContainerOptionsBuilder, LogsOptionsBuilder, RemoveContainerOptionsBuilder,
    },
};
use bytes::Bytes;
use futures_util::StreamExt as _;

use super::{Client, SAYS_WITHIN, Stream, temporary::Temporary};
use crate::{Error, transport};

/// A container to be run to its end.
#[derive(Clone, Debug, Default)]
pub struct RunRequest {
    /// The image; it must be on the host.
    pub image: String,
    /// The command, instead of the image's own.
    pub command: Option<Vec<String>>,
    /// Environment variables, `NAME=value`.
    pub environment: Vec<String>,
    /// Bind mounts, `/source/on/the/host:/target[:ro]`.
    pub binds: Vec<String>,
    /// The network, instead of the default one.
    pub network: Option<String>,
    /// A name for the container.
    pub name: Option<String>,
}

/// How a container ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ContainerOutcome {
    /// Its exit code.
    pub exit_code: i64,
    /// What it wrote to its standard output.
    pub stdout: Vec<u8>,
    /// What it wrote to its standard error.
    pub stderr: Vec<u8>,
}

/// A piece of a container's output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogLine {
    /// Of its standard output, or of its terminal.
    Stdout(Bytes),
    /// Of its standard error.
    Stderr(Bytes),
}

/// Which logs to read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ContainerLog {
    /// Whether to wait for more until the container ends.
    pub follow: bool,
    /// Only this many lines of what was written so far; all where `None`.
    pub tail: Option<usize>,
    /// Whether each line begins with its time.
    pub timestamps: bool,
}

impl From<LogOutput> for LogLine {
    fn from(output: LogOutput) -> Self {
        match output {
            LogOutput::StdErr { message } => Self::Stderr(message),
            LogOutput::StdOut { message } | LogOutput::StdIn { message } | LogOutput::Console { message } => {
                Self::Stdout(message)
            }
        }
    }
}

impl Client {
    /// Running containers, or all.
    ///
    /// # Cancel safety
    /// It only asks, and can be dropped at any time.
    ///
    /// # Errors
    /// The daemon does not answer.
    pub async fn containers(&self, all: bool) -> Result<Vec<ContainerSummary>, Error> {
        self.says(&format!("/containers/json?all={all}"), "list containers", SAYS_WITHIN).await
    }

    /// What a container is and does; `None` where there is none of this name or id.
    ///
    /// # Cancel safety
    /// It only reads, and can be dropped at any time.
    ///
    /// # Errors
    /// The daemon does not answer.
    pub async fn inspect(&self, container: &str) -> Result<Option<ContainerInspectResponse>, Error> {
        self.says_if_there(&format!("/containers/{container}/json"), "look at a container", SAYS_WITHIN).await
    }

    /// Runs a container to its end, passes its output on as it comes, and removes it.
    ///
    /// # Cancel safety
    /// Dropped, it removes the container, running or not, in a task that goes on for as long as the runtime does. Without that, the container
    /// stays on the daemon; where it has a name ([`RunRequest::name`]), it can be found by it.
    ///
    /// # Errors
    /// The daemon refuses, or the connection breaks; the container is removed then as well, if it can be. A container that fails is
    /// no error.
    pub async fn run(&self, request: &RunRequest, mut output: impl FnMut(&LogLine)) -> Result<i64, Error> {
        let attempted = || format!("run {}", request.image);
        let options = request.name.as_ref().map(|name| CreateContainerOptionsBuilder::new().name(name).build());
        let config = ContainerCreateBody {
            image: Some(request.image.clone()),
            cmd: request.command.clone(),
            env: Some(request.environment.clone()),
            host_config: Some(HostConfig {
                binds: Some(request.binds.clone()),
                network_mode: request.network.clone(),
                ..HostConfig::default()
            }),
            ..ContainerCreateBody::default()
        };
        let container = Temporary::create(self, options, config, &attempted()).await?;
        let id = container.id().to_owned();
        let outcome = async {
            // Attached before it starts, as the Docker CLI does: the log of a container that ends at once may be followed too late.
            let options = AttachContainerOptionsBuilder::new().stream(true).stdout(true).stderr(true).build();
            let attached = self.docker.attach_container(&id, Some(options)).await;
            let mut attached = attached.map_err(self.failed(&attempted()))?.output;
            self.short.start_container(&id, None).await.map_err(self.failed(&attempted()))?;
            while let Some(piece) = attached.next().await {
                output(&LogLine::from(piece.map_err(self.failed(&attempted()))?));
            }
            self.wait(&id).await
        };
        let outcome = outcome.await;
        let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
        let removed = self.short.remove_container(&id, Some(options)).await;
        container.removed();
        let exit_code = outcome?;
        removed.map_err(self.failed(&format!("remove container {id}")))?;
        Ok(exit_code)
    }

    /// Runs a container to its end and collects its output, which should be small.
    ///
    /// # Cancel safety
    /// As [`run`](Self::run).
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub async fn run_collected(&self, request: &RunRequest) -> Result<ContainerOutcome, Error> {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let exit_code = self
            .run(request, |line| match line {
                LogLine::Stdout(bytes) => stdout.extend_from_slice(bytes),
                LogLine::Stderr(bytes) => stderr.extend_from_slice(bytes),
            })
            .await?;
        Ok(ContainerOutcome { exit_code, stdout, stderr })
    }

    /// Waits until a container has ended, and returns its exit code.
    ///
    /// # Cancel safety
    /// It only waits, and can be dropped at any time; the container goes on.
    ///
    /// # Errors
    /// There is no such container, or the connection breaks.
    pub async fn wait(&self, container: &str) -> Result<i64, Error> {
        let attempted = format!("wait for container {container}");
        let path = format!("/containers/{}/wait", transport::encoded(container));
        let mut said = self.lines::<ContainerWaitResponse>("POST", &path, transport::empty(), attempted.clone());
        match said.next().await.transpose()? {
            Some(ContainerWaitResponse { error: Some(ContainerWaitExitError { message: Some(why) }), .. }) => {
                Err(self.reported(attempted, why))
            }
            Some(said) => Ok(said.status_code),
            None => Err(self.reported(attempted, "the daemon ended the answer")),
        }
    }

    /// A container's output. Followed, it ends with the container.
    pub fn logs(&self, container: &str, log: ContainerLog) -> Stream<LogLine> {
        let tail = log.tail.map_or_else(|| "all".to_owned(), |lines| lines.to_string());
        let options = LogsOptionsBuilder::new()
            .follow(log.follow)
            .stdout(true)
            .stderr(true)
            .timestamps(log.timestamps)
            .tail(&tail)
            .build();
        let client = self.clone();
        let attempted = format!("read the logs of container {container}");
        let lines = self.docker.logs(container, Some(options));
        let lines = lines.map(move |line| line.map(LogLine::from).map_err(client.failed(&attempted)));
        Box::pin(lines)
    }
}
