//! Streams to processes of an agent.

use std::{io, pin::Pin};

use bollard::{
    container::{AttachContainerResults, LogOutput},
    errors::Error as DaemonError,
    exec::{CreateExecOptions, StartExecOptions, StartExecResults},
    query_parameters::AttachContainerOptionsBuilder,
};
use bytes::Bytes;
use docker_remote::Client;
use futures_util::{Stream, StreamExt as _};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::io::StreamReader;

use crate::{Error, error::daemon};

/// What the daemon frames at once, at most (its copy buffer is 32 KiB).
const FRAME: usize = 64 << 10;

/// A process's standard output.
pub type Reader = Pin<Box<dyn AsyncRead + Send>>;

/// A process's standard input.
pub type Writer = Pin<Box<dyn AsyncWrite + Send>>;

/// Runs a command in a container; its standard error goes to the log.
///
/// # Cancel safety
/// Dropped, the command may have been started all the same. Its input has ended then.
///
/// # Errors
/// The daemon refuses, or there is no such container.
pub async fn exec(client: &Client, container: &str, command: Vec<String>) -> Result<(Reader, Writer), Error> {
    let options = CreateExecOptions {
        attach_stdin: Some(true),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        cmd: Some(command),
        ..CreateExecOptions::default()
    };
    let exec =
        client.bollard_short().create_exec(container, options).await.map_err(daemon(client, "reach the agent"))?;
    let options = StartExecOptions { detach: false, tty: false, output_capacity: Some(FRAME) };
    let started = client.bollard().start_exec(&exec.id, Some(options)).await;
    match started.map_err(daemon(client, "connect to the agent"))? {
        StartExecResults::Attached { output, input } => Ok((reader(output), input)),
        StartExecResults::Detached => Err(Error::NoStream),
    }
}

/// Takes over the input and output of a container that was made for it and does not run yet.
///
/// # Cancel safety
/// Dropped, the container stays, and does not run. Where its input is for one client only (`StdinOnce`), that may have ended.
///
/// # Errors
/// The daemon refuses, or there is no such container.
pub async fn attach(client: &Client, container: &str) -> Result<(Reader, Writer), Error> {
    let options = AttachContainerOptionsBuilder::new().stream(true).stdin(true).stdout(true).stderr(true).build();
    let attached = client.bollard().attach_container(container, Some(options)).await;
    let AttachContainerResults { output, input } = attached.map_err(daemon(client, "connect to the agent"))?;
    Ok((reader(output), input))
}

fn reader(output: impl Stream<Item = Result<LogOutput, DaemonError>> + Send + 'static) -> Reader {
    let output = output.filter_map(|piece| async {
        match piece {
            Ok(LogOutput::StdOut { message }) => Some(Ok::<Bytes, io::Error>(message)),
            Ok(LogOutput::StdErr { message }) => {
                tracing::warn!("the agent: {}", String::from_utf8_lossy(&message).trim_end());
                None
            }
            Ok(_) => None,
            Err(error) => Some(Err(io::Error::other(error))),
        }
    });
    Box::pin(StreamReader::new(output.boxed()))
}
