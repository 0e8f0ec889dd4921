//! A client of a Docker daemon behind mutual TLS: the operations that a tool which embeds this crate expects.

mod build;
mod containers;
mod context_archive;
mod host_folder;
mod ignore_rules;
mod images;
mod swarm;
mod temporary;
#[cfg(test)]
pub(crate) mod tests;

use std::{collections::HashMap, pin::Pin, time::Duration};

use bollard::{
    ClientVersion, Docker,
    models::{EventMessage, NetworkCreateRequest, SystemInfo, SystemVersion},
};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http_body_util::Full;
use hyper_util::client::legacy::Client as HttpClient;
use serde::de::{DeserializeOwned, IgnoredAny};

pub use build::BuildRequest;
pub use containers::{ContainerLog, ContainerOutcome, LogLine, RunRequest};
#[cfg(fuzzing)]
pub(crate) use ignore_rules::IgnoreRules;
pub use images::ImageProgress;
pub use swarm::{JoinTokens, NodeRole, SWARM_PORT, SwarmNode, SwarmPart, SwarmService, SwarmTask};

use crate::{
    ApiVersion, ClientCredentials, Endpoint, Error, probe_once,
    transport::{self, Connector},
};

/// How long the daemon may take until it begins to answer. A build or a load answers only when it has read everything, so this is
/// no measure of health.
const ANSWERS_WITHIN: u64 = 24 * 3600;

/// How long the daemon may take to say something of itself, to the end.
const SAYS_WITHIN: Duration = Duration::from_secs(20);

/// The newest version of Docker's API that bollard speaks.
const NEWEST_API: &ClientVersion = bollard::API_DEFAULT_VERSION;

/// A stream of results, for as long as the daemon sends them.
pub type Stream<T> = Pin<Box<dyn stream::Stream<Item = Result<T, Error>> + Send>>;

/// A client of a daemon. Cloning shares its connections.
#[derive(Clone, Debug)]
pub struct Client {
    docker: Docker,
    endpoint: Endpoint,
    /// For answers that are read no further than is expected of them.
    bounded: HttpClient<Connector, Full<Bytes>>,
}

impl Client {
    /// Connects, which proves that the daemon is there and agrees on a version of the API.
    ///
    /// # Cancel safety
    /// It only asks, and can be dropped at any time.
    ///
    /// # Errors
    /// Why the daemon does not answer.
    pub async fn connect(
        endpoint: &Endpoint,
        credentials: &ClientCredentials,
        within: std::time::Duration,
    ) -> Result<Self, crate::ProbeError> {
        Ok(probe_once(endpoint, credentials, within).await?.client().clone())
    }

    /// A client for a daemon that speaks up to this version of the API.
    pub(crate) fn with_connector(endpoint: &Endpoint, connector: Connector, api: ApiVersion) -> Self {
        let executor = hyper_util::rt::TokioExecutor::new();
        let http = hyper_util::client::legacy::Client::builder(executor).build(connector.clone());
        let transport = move |request: bollard::BollardRequest| {
            let answer = http.request(request);
            async move { answer.await.map_err(bollard::errors::Error::from) }
        };
        let address = format!("https://{}", endpoint.authority());
        let docker = Docker::connect_with_custom_transport(transport, Some(address), ANSWERS_WITHIN, &version(api));
        // The call makes no connection and has nothing that could fail.
        let docker = docker.unwrap_or_else(|_| unreachable!("a custom transport is only stored"));
        Self { docker, endpoint: endpoint.clone(), bounded: transport::client(&connector) }
    }

    /// Where the daemon is.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// bollard's client, for whatever this one does not offer.
    pub fn bollard(&self) -> &Docker {
        &self.docker
    }

    /// Asks whether the daemon is there (`GET /_ping`).
    ///
    /// # Cancel safety
    /// It only asks, and can be dropped at any time.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn ping(&self) -> Result<(), Error> {
        self.docker.ping().await.map(drop).map_err(self.failed("ping the daemon"))
    }

    /// The versions of the daemon and its parts (`GET /version`).
    ///
    /// # Cancel safety
    /// It only asks, and can be dropped at any time.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn version(&self) -> Result<SystemVersion, Error> {
        self.says("/version", "ask for the version", SAYS_WITHIN).await
    }

    /// What the daemon says of itself (`GET /info`).
    ///
    /// # Cancel safety
    /// It only asks, and can be dropped at any time.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn info(&self) -> Result<SystemInfo, Error> {
        self.says("/info", "ask for information", SAYS_WITHIN).await
    }

    /// What the daemon says, in one answer that has an end and a size.
    async fn says<T: DeserializeOwned>(&self, path: &str, attempted: &str, within: Duration) -> Result<T, Error> {
        let said = self.says_if_there(path, attempted, within).await?;
        said.ok_or_else(|| self.reported(attempted, "HTTP status 404"))
    }

    /// The same of something that need not be there.
    async fn says_if_there<T: DeserializeOwned>(
        &self,
        path: &str,
        attempted: &str,
        within: Duration,
    ) -> Result<Option<T>, Error> {
        let path = self.versioned(path);
        let said = async {
            let (status, body) =
                transport::get_by(&self.bounded, &self.endpoint, &path).await.map_err(|error| with_causes(&error))?;
            let body = body?;
            match status {
                200 => serde_json::from_slice(&body).map(Some).map_err(|error| error.to_string()),
                404 => Ok(None),
                _ => Err(format!("HTTP status {status}")),
            }
        };
        let late = |_| Err(format!("no whole answer within {} s", within.as_secs_f32()));
        let said = tokio::time::timeout(within, said).await.unwrap_or_else(late);
        said.map_err(|why| self.reported(attempted, why))
    }

    /// What happens on the daemon from now on (`GET /events`), without end.
    pub fn events(&self) -> Stream<EventMessage> {
        self.events_by("")
    }

    /// What happened on the daemon since a moment, in seconds of its own clock, and happens from now on, as far as it passes these filters, without
    /// end.
    pub fn events_since(&self, since: &str, filters: &HashMap<&str, Vec<&str>>) -> Stream<EventMessage> {
        // A map of strings has nothing that could fail.
        let filters = serde_json::to_string(filters).unwrap_or_default();
        self.events_by(&format!("?since={}&filters={}", transport::encoded(since), transport::encoded(&filters)))
    }

    fn events_by(&self, query: &str) -> Stream<EventMessage> {
        let client = self.clone();
        let lines = transport::lines(self.bounded.clone(), &self.endpoint, &self.versioned(&format!("/events{query}")));
        Box::pin(lines.map(move |line| {
            let event = line.and_then(|line| serde_json::from_slice(&line).map_err(|error| error.to_string()));
            event.map_err(|why| client.reported("follow events", why))
        }))
    }

    fn versioned(&self, path: &str) -> String {
        let ClientVersion { major_version, minor_version } = self.docker.client_version();
        format!("/v{major_version}.{minor_version}{path}")
    }

    /// Makes sure that there is a network of this name: a bridge where it has to be made.
    ///
    /// # Cancel safety
    /// It can be dropped at any time: the network is made then, or not, and the next call makes it where it is missing.
    ///
    /// # Errors
    /// The daemon refuses.
    pub async fn ensure_network(&self, name: &str) -> Result<(), Error> {
        let request = NetworkCreateRequest {
            name: name.to_owned(),
            driver: Some("bridge".to_owned()),
            ..NetworkCreateRequest::default()
        };
        let found: Option<IgnoredAny> = self
            .says_if_there(&format!("/networks/{}", transport::encoded(name)), "look at a network", SAYS_WITHIN)
            .await?;
        if found.is_some() {
            return Ok(());
        }
        match self.docker.create_network(request).await {
            // Somebody else made it in between.
            Err(bollard::errors::Error::DockerResponseServerError { status_code: 409, .. }) | Ok(_) => Ok(()),
            Err(error) => Err(self.failed(&format!("create network {name}"))(error)),
        }
    }

    fn failed(&self, attempted: &str) -> impl FnOnce(bollard::errors::Error) -> Error + use<> {
        let (attempted, endpoint) = (attempted.to_owned(), self.endpoint.to_string());
        move |source| match source {
            bollard::errors::Error::DockerStreamError { error } => {
                Error::Reported { attempted, endpoint, message: error }
            }
            source => Error::Daemon { attempted, endpoint, source: Box::new(source) },
        }
    }

    fn reported(&self, attempted: impl Into<String>, message: impl Into<String>) -> Error {
        Error::Reported { attempted: attempted.into(), endpoint: self.endpoint.to_string(), message: message.into() }
    }
}

/// An error with its causes, in one line.
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        said = format!("{said}: {error}");
        cause = error.source();
    }
    said
}

/// The older of the daemon's version and bollard's newest.
fn version(theirs: ApiVersion) -> ClientVersion {
    let agreed = theirs.min(ApiVersion::new(NEWEST_API.major_version, NEWEST_API.minor_version));
    ClientVersion { major_version: agreed.major, minor_version: agreed.minor }
}
