//! A remote Docker host behind mutual TLS: credentials, client, readiness, and the Docker CLI's context store.
//!
//! The parts build on each other in one direction: [`HostCredentials`] are made for a host; [`wait_until_ready`] or [`probe_once`]
//! prove that it answers, and only they make a [`DockerHost`]; a [`ContextSpec`] can only be made of a [`DockerHost`]. So a context
//! for a host that never answered cannot be written.
//!
//! The crate reads no environment variable, home or current directory: paths are arguments.

mod api;
mod client;
mod context;
mod credentials;
mod dialer;
mod endpoint;
mod error;
mod own_issuer;
mod probe;
mod proxies;
mod readiness;
mod stages;
mod transport;

/// What fuzz targets call that is not part of the interface.
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing {
    use std::path::Path;

    /// Whether these rules leave a path out; `None` where they are refused.
    pub fn ignores(rules: &str, path: &Path) -> Option<bool> {
        let rules = crate::client::IgnoreRules::parse(rules, &[Path::new("Dockerfile")]).ok()?;
        Some(rules.ignores(path))
    }
}

pub use api::{ApiRange, ApiVersion, NoApiVersion};
pub use bollard::models;
pub use client::{
    BuildRequest, Client, ContainerLog, ContainerOutcome, FOLDER_IMAGE, HostInput, HostPath, HostProcess, HostProgram,
    ImageProgress, JoinTokens, LogLine, NodeRole, RunRequest, SWARM_PORT, ServiceRequest, Stream, SwarmNode, SwarmPart,
    SwarmService, SwarmTask, with_causes, written,
};
pub use context::{Context, ContextSpec, ContextStore};
pub use credentials::{ClientCredentials, HostCredentials, HostNames, WriteServerKey};
pub use dialer::{DaemonStream, Dialer};
pub use endpoint::Endpoint;
pub use error::Error;
pub use probe::{DockerHost, ProbeError, probe_once, probe_through};
pub use proxies::{ClientProxy, ProxyVariables};
pub use readiness::{InstanceStatus, InstanceWatch, NotReady, ReadyEvent, wait_until_ready};
pub use stages::{StageLine, StageSource, StageState, StatusFile, read_stages, stages_in};
#[cfg(feature = "mock")]
pub use {readiness::MockInstanceWatch, stages::MockStageSource};

/// The examples of the README are tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
