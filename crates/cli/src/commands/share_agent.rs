//! `sdocker share-agent`: the other end of `sdocker share`, in a container on the host. It is for nobody to call.

use std::{io, os::fd::AsFd as _, path::PathBuf, time::Duration};

use clap::Subcommand;
use file_share::{AgentSettings, MountPoint};
use host_agent::direct;
use sdocker::durations;
use sdocker_console::{Interrupt, Work};
use tokio::net::unix::pipe;

/// What a host protects when it boots: `daemon.sh` of its user data reads it.
const GUARDED: &str = "/var/lib/sdocker/guarded";

/// Make the folders of a client appear on this host.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Mount folders, and pass what is asked of them to their client.
    Mount {
        /// How long to keep them without a client.
        #[arg(long, value_parser = durations::parse_wait)]
        give_up_after: Duration,
        /// The folders.
        #[arg(value_name = "FOLDER:ro|rw", required = true, value_parser = mount_point)]
        folders: Vec<MountPoint>,
    },
    /// Connect to whatever the client names.
    Ports,
    /// Hand a connection to the client over.
    Relay {
        /// The number of the folder.
        folder: u32,
        /// Wait at this port for the client, in place of standard input and output.
        #[arg(long)]
        port: Option<u16>,
    },
}

fn mount_point(text: &str) -> Result<MountPoint, String> {
    match text.rsplit_once(':') {
        Some((path, mode @ ("ro" | "rw"))) => Ok(MountPoint { path: PathBuf::from(path), read_only: mode == "ro" }),
        _ => Err("a folder ends in `:ro` or `:rw`".to_owned()),
    }
}

pub(crate) async fn run(args: Args, interrupt: &Interrupt) -> anyhow::Result<()> {
    match args.task {
        Task::Mount { give_up_after, folders } => {
            let _working = interrupt.begin(Work {
                stopping: "the folders are being unmounted".to_owned(),
                leaves: "mounts that nobody serves".to_owned(),
                hosts: Vec::new(),
            })?;
            let settings = AgentSettings { mounts: folders, give_up_after, guarded: GUARDED.into() };
            file_share::run_agent(settings, interrupt.stop().cancelled()).await?;
        }
        Task::Ports => {
            interrupt.say("the agent was stopped");
            let (input, output) = standard_streams()?;
            host_ports::serve_agent(input, output).await?;
        }
        Task::Relay { folder, port: None } => file_share::relay(folder, io::stdin(), io::stdout())?,
        Task::Relay { folder, port: Some(port) } => {
            let (input, output) = standard_streams()?;
            file_share::relay_stream(folder, direct::accept(input, output, port).await?).await?;
        }
    }
    Ok(())
}

fn standard_streams() -> io::Result<(pipe::Receiver, pipe::Sender)> {
    let input = pipe::Receiver::from_owned_fd(io::stdin().as_fd().try_clone_to_owned()?)?;
    let output = pipe::Sender::from_owned_fd(io::stdout().as_fd().try_clone_to_owned()?)?;
    Ok((input, output))
}
