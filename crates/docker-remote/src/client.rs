//! A client of a Docker daemon behind mutual TLS: the operations that a tool which embeds this crate expects.

mod build;
mod containers;
mod context_archive;
mod host_folder;
mod ignore_rules;
mod images;
mod on_host;
mod services;
mod swarm;
mod temporary;
#[cfg(test)]
pub(crate) mod tests;
mod written;

use std::{collections::HashMap, pin::Pin, time::Duration};

use bollard::{
    ClientVersion, Docker,
    models::{EventMessage, NetworkCreateRequest, SystemInfo, SystemVersion},
};
use futures_util::{StreamExt as _, stream};
use hyper_util::{
    client::legacy::{Client as HttpClient, connect::Connect},
    rt::TokioExecutor,
};
use serde::de::{DeserializeOwned, IgnoredAny};

pub use build::BuildRequest;
pub use containers::{ContainerLog, ContainerOutcome, LogLine, RunRequest};
pub use host_folder::{FOLDER_IMAGE, HostPath};
#[cfg(fuzzing)]
pub(crate) use ignore_rules::IgnoreRules;
pub use images::ImageProgress;
pub use on_host::{HostInput, HostProcess, HostProgram};
pub use services::ServiceRequest;
pub use swarm::{JoinTokens, NodeRole, SWARM_PORT, SwarmNode, SwarmPart, SwarmService, SwarmTask};
pub use written::written;

use crate::{
    ApiVersion, ClientCredentials, Endpoint, Error, probe_once,
    transport::{self, Body, Connector, Short},
};

/// How long the daemon may take until it begins to answer. A build or a load answers only when it has read everything, so this is
/// no measure of health.
const ANSWERS_WITHIN: Duration = Duration::from_secs(24 * 3600);

/// How long the daemon may take over what it answers in a few words, to the end: a container that it stops has its own time to end first, and
/// one that it removes may have many files.
const SHORT_WITHIN: Duration = Duration::from_secs(300);

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
    /// The same daemon, for calls with a short answer.
    short: Docker,
    endpoint: Endpoint,
    /// For answers that are read no further than is expected of them.
    bounded: HttpClient<Connector, Body>,
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
        Self::with_patience(endpoint, connector, api, SHORT_WITHIN)
    }

    /// The same, which waits this long for what is answered in a few words.
    fn with_patience(endpoint: &Endpoint, connector: Connector, api: ApiVersion, within: Duration) -> Self {
        let docker = bollard_by(endpoint, connector.clone(), ANSWERS_WITHIN, api);
        let short = bollard_by(endpoint, Short::new(connector.clone(), within), ANSWERS_WITHIN, api);
        Self { docker, short, endpoint: endpoint.clone(), bounded: transport::client(&connector) }
    }

    /// Where the daemon is.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// bollard's client, for whatever this one does not offer and streams, takes long or is long. Nothing bounds what the daemon answers.
    pub fn bollard(&self) -> &Docker {
        &self.docker
    }

    /// bollard's client for calls that the daemon answers in a few words: an answer of more than 4 MiB, or one that is not whole within 5
    /// minutes, is an error.
    pub fn bollard_short(&self) -> &Docker {
        &self.short
    }

    /// Asks whether the daemon is there (`GET /_ping`).
    ///
    /// # Cancel safety
    /// It only asks, and can be dropped at any time.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn ping(&self) -> Result<(), Error> {
        self.short.ping().await.map(drop).map_err(self.failed("ping the daemon"))
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
        self.events_by(&format!("?{}", transport::query(&[("since", since), ("filters", &filters)])))
    }

    fn events_by(&self, query: &str) -> Stream<EventMessage> {
        self.lines("GET", &format!("/events{query}"), transport::empty(), "follow events".to_owned())
    }

    /// What the daemon says line by line, in JSON.
    fn lines<T: DeserializeOwned + Send + 'static>(
        &self,
        method: &'static str,
        path: &str,
        body: Body,
        attempted: String,
    ) -> Stream<T> {
        let client = self.clone();
        let request = transport::request(&self.endpoint, method, &self.versioned(path), body);
        let lines = transport::lines(self.bounded.clone(), request);
        Box::pin(lines.map(move |line| {
            let said = line.and_then(|line| serde_json::from_slice(&line).map_err(|error| error.to_string()));
            said.map_err(|why| client.reported(&attempted, why))
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
        // Somebody else may make it in between.
        let made = async { self.short.create_network(request).await.map(drop) };
        unless(409, made).await.map_err(self.failed(&format!("create network {name}")))
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

/// bollard's client of a daemon, with connections by this connector; it waits this long for the beginning of an answer.
fn bollard_by<C>(endpoint: &Endpoint, connector: C, within: Duration, api: ApiVersion) -> Docker
where
    C: Connect + Clone + Send + Sync + 'static,
{
    let http = HttpClient::builder(TokioExecutor::new()).build(connector);
    let transport = move |request: bollard::BollardRequest| {
        let answer = http.request(request);
        async move { answer.await.map_err(bollard::errors::Error::from) }
    };
    let address = format!("https://{}", endpoint.authority());
    let docker = Docker::connect_with_custom_transport(transport, Some(address), within.as_secs(), &version(api));
    // The call makes no connection and has nothing that could fail.
    docker.unwrap_or_else(|_| unreachable!("a custom transport is only stored"))
}

/// The outcome of a call, for which an answer with this HTTP status is a success: what it was to do is done.
async fn unless(
    status: u16,
    call: impl Future<Output = Result<(), bollard::errors::Error>>,
) -> Result<(), bollard::errors::Error> {
    match call.await {
        Err(bollard::errors::Error::DockerResponseServerError { status_code, .. }) if status_code == status => Ok(()),
        outcome => outcome,
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
