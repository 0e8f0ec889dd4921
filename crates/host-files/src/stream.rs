//! A connection to the agent: an exec in its container, whose input and output it takes over.

use std::{io, pin::Pin};

use bollard::{
    container::LogOutput,
    exec::{CreateExecOptions, StartExecOptions, StartExecResults},
};
use bytes::Bytes;
use docker_remote::Client;
use futures_util::StreamExt as _;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::io::StreamReader;

use crate::{
    Error,
    agent::{Agent, daemon},
};

/// What the daemon frames at once, at most (its copy buffer is 32 KiB).
const FRAME: usize = 64 << 10;

pub(crate) type Reader = Pin<Box<dyn AsyncRead + Send>>;
pub(crate) type Writer = Pin<Box<dyn AsyncWrite + Send>>;

/// Connects to the agent for one of its folders.
pub(crate) async fn connect(client: &Client, agent: &Agent, share: usize) -> Result<(Reader, Writer), Error> {
    let options = CreateExecOptions {
        attach_stdin: Some(true),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        cmd: Some(agent.relay(share)),
        ..CreateExecOptions::default()
    };
    let exec = client.bollard().create_exec(&agent.name(), options).await.map_err(daemon(client, "reach the agent"))?;
    let options = StartExecOptions { detach: false, tty: false, output_capacity: Some(FRAME) };
    let started = client.bollard().start_exec(&exec.id, Some(options)).await;
    match started.map_err(daemon(client, "connect to the agent"))? {
        StartExecResults::Attached { output, input } => {
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
            Ok((Box::pin(StreamReader::new(output.boxed())), input))
        }
        StartExecResults::Detached => Err(Error::AgentEnded { log: "the daemon gave no connection".to_owned() }),
    }
}
