//! What there is to say of a link, for people and for programs.

use std::path::PathBuf;

use host_ports::PortState;
use serde::{Deserialize, Serialize};

/// How a link is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct LinkState {
    /// The name of the host.
    pub host: String,
    /// Since when, by RFC 3339.
    pub since: String,
    /// Whether folders and ports have got as far as they get at first: each is there, or it is said why not.
    pub settled: bool,
    /// Why the daemon is out of reach, where it is.
    pub unreachable: Option<String>,
    /// The folders.
    pub folders: Vec<FolderLine>,
    /// The ports of running containers.
    pub ports: Vec<PortLine>,
}

/// A folder of the app.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FolderLine {
    /// The folder.
    pub path: PathBuf,
    /// Whether containers can only read it.
    pub read_only: bool,
    /// What containers see of it.
    pub state: FolderState,
    /// Why it is not shared, or what happened to it.
    pub why: Option<String>,
}

/// What containers see of a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FolderState {
    /// Not there yet: nothing.
    Starting,
    /// Its files, live.
    Shared,
    /// They wait: the connection is being made again.
    Waiting,
    /// Nothing: it can't be shared.
    Failed,
}

/// A port of a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PortLine {
    /// The container's name.
    pub container: String,
    /// The port that it publishes on the host.
    pub host_port: u16,
    /// The port of 127.0.0.1 in this app that leads to it; `None` where there is none.
    pub local_port: Option<u16>,
    /// Why it is another port, or none.
    pub why: Option<String>,
}

impl From<host_ports::PortLine> for PortLine {
    fn from(line: host_ports::PortLine) -> Self {
        let (local_port, why) = match line.state {
            PortState::Open(port) if port == line.host_port => (Some(port), None),
            PortState::Open(port) => (Some(port), Some(format!("{} is taken in this app", line.host_port))),
            PortState::Failed(why) => (None, Some(why)),
            PortState::Udp => (None, Some("UDP ports are not forwarded, only TCP".to_owned())),
            _ => (None, None),
        };
        Self { container: line.container, host_port: line.host_port, local_port, why }
    }
}
