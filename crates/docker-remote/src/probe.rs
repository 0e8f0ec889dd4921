//! Asking a host whether it is there.

use std::{error::Error as StdError, io, sync::Arc, time::Duration};

use hyper_util::client::legacy::connect::Connect;
use serde::Deserialize;

use crate::{
    ApiRange, ApiVersion, Client, ClientCredentials, ClientProxy, Endpoint, Error, own_issuer::OwnIssuer, transport,
};

/// A Docker host that has answered under mutual TLS. Only a probe makes one.
#[derive(Clone, Debug)]
pub struct DockerHost {
    client: Client,
    credentials: ClientCredentials,
    version: String,
    api: ApiRange,
}

impl DockerHost {
    /// A host that no probe made, for tests of what comes after one.
    #[cfg(test)]
    pub(crate) fn for_test(endpoint: &Endpoint, credentials: &ClientCredentials) -> Self {
        let connector = transport::connector(credentials).expect("sound credentials");
        let api = ApiRange { oldest: None, newest: ApiVersion::new(1, 41) };
        let client = Client::with_connector(endpoint, connector, api.newest);
        Self { client, credentials: credentials.clone(), version: "test".to_owned(), api }
    }

    /// Where it is.
    pub fn endpoint(&self) -> &Endpoint {
        self.client.endpoint()
    }

    /// The version of its Docker Engine.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The versions of Docker's API that it answers.
    pub fn api(&self) -> ApiRange {
        self.api
    }

    /// A client of it.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The credentials that it accepted. They trust its own issuer from now on, where it showed one: write them
    /// ([`ClientCredentials::write_trust`]) where they were read from.
    pub fn credentials(&self) -> &ClientCredentials {
        &self.credentials
    }
}

/// Why a probe failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProbeError {
    /// Nothing listens there: the daemon is not up yet, or no more.
    #[error("{endpoint} refuses connections: no daemon listens there")]
    Refused {
        /// The host.
        endpoint: Endpoint,
    },
    /// No way there, or no answer: a security group, a route, or a host that is not up.
    #[error("{endpoint} is not reachable: {why}")]
    Unreachable {
        /// The host.
        endpoint: Endpoint,
        /// What the network said.
        why: String,
    },
    /// Its name is not known here.
    #[error("the name of {endpoint} is not resolved: {why}")]
    Name {
        /// The host.
        endpoint: Endpoint,
        /// What the resolver said.
        why: String,
    },
    /// The two sides do not trust each other.
    #[error("{endpoint} and this client do not accept each other's certificates: {why}")]
    Tls {
        /// The host.
        endpoint: Endpoint,
        /// What TLS said.
        why: String,
    },
    /// Something else than Docker answers.
    #[error("{endpoint} does not answer like a Docker daemon: {why}")]
    NotDocker {
        /// The host.
        endpoint: Endpoint,
        /// What it answered.
        why: String,
    },
    /// It did not answer in time.
    #[error("{endpoint} did not answer within {} s", within.as_secs())]
    TimedOut {
        /// The host.
        endpoint: Endpoint,
        /// How long it had.
        within: Duration,
    },
    /// The credentials can't be used at all.
    #[error(transparent)]
    Credentials(#[from] Error),
}

impl ProbeError {
    /// Whether another probe may succeed without anybody changing anything: the host may be coming up.
    pub(crate) fn may_pass(&self) -> bool {
        !matches!(self, Self::Credentials(_))
    }

    /// Whether it seldom passes: a name that is not known, certificates that are not accepted. A host that comes up has neither for
    /// long: EC2 knows a private name as soon as there is the instance, and the daemon starts with its own certificate. What may pass
    /// is a resolver that is slow to learn, and a host's clock that is not set yet.
    pub(crate) fn seldom_passes(&self) -> bool {
        matches!(self, Self::Name { .. } | Self::Tls { .. })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Version {
    version: String,
    api_version: ApiVersion,
    #[serde(rename = "MinAPIVersion")]
    min_api_version: Option<ApiVersion>,
}

/// Asks a host once, within a time.
///
/// # Cancel safety
/// It only asks, and can be dropped at any time.
///
/// # Errors
/// Why it does not answer, sorted by what can be done about it.
pub async fn probe_once(
    endpoint: &Endpoint,
    credentials: &ClientCredentials,
    within: Duration,
) -> Result<DockerHost, ProbeError> {
    let own = Arc::new(OwnIssuer::default());
    let connector = transport::noting_connector(credentials, own.clone())?;
    let version = ask(&connector, endpoint, within).await?;
    let credentials = match own.pem() {
        Some(ca) => ClientCredentials { ca, ..credentials.clone() },
        None => credentials.clone(),
    };
    let api = ApiRange { oldest: version.min_api_version, newest: version.api_version };
    let client = Client::with_connector(endpoint, transport::connector(&credentials)?, api.newest);
    Ok(DockerHost { client, credentials, version: version.version, api })
}

/// Asks a host once, within a time, through the proxy that a client of it takes.
///
/// # Cancel safety
/// It only asks, and can be dropped at any time.
///
/// # Errors
/// Why that client gets no answer.
pub async fn probe_through(
    proxy: &ClientProxy,
    endpoint: &Endpoint,
    credentials: &ClientCredentials,
    within: Duration,
) -> Result<(), ProbeError> {
    let Some(connector) = transport::connector_through(proxy, credentials)? else {
        let why = format!("the proxy {proxy} can't be tried from here");
        return Err(ProbeError::Unreachable { endpoint: endpoint.clone(), why });
    };
    ask(&connector, endpoint, within).await.map(|_| ())
}

async fn ask<C>(connector: &C, endpoint: &Endpoint, within: Duration) -> Result<Version, ProbeError>
where
    C: Connect + Clone + Send + Sync + 'static,
{
    let asked = tokio::time::timeout(within, transport::get(connector, endpoint, "/version")).await;
    let (status, body) = match asked {
        Err(_) => return Err(ProbeError::TimedOut { endpoint: endpoint.clone(), within }),
        Ok(Err(error)) => return Err(classify(endpoint, &error)),
        Ok(Ok(answer)) => answer,
    };
    let not_docker = |why: String| ProbeError::NotDocker { endpoint: endpoint.clone(), why };
    if status != 200 {
        return Err(not_docker(format!("HTTP status {status}")));
    }
    let body = body.map_err(not_docker)?;
    serde_json::from_slice(&body).map_err(|error| not_docker(error.to_string()))
}

fn classify(endpoint: &Endpoint, error: &(dyn StdError + 'static)) -> ProbeError {
    let endpoint = endpoint.clone();
    let mut why = error.to_string();
    let mut cause = Some(error);
    while let Some(error) = cause {
        why = error.to_string();
        if error.is::<rustls::Error>() {
            return ProbeError::Tls { endpoint, why };
        }
        if let Some(error) = error.downcast_ref::<io::Error>() {
            match error.kind() {
                io::ErrorKind::ConnectionRefused => return ProbeError::Refused { endpoint },
                // A daemon that rejects a certificate closes the connection, as one that ends does.
                io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
                    return ProbeError::Unreachable { endpoint, why: format!("the connection was closed: {error}") };
                }
                _ => {}
            }
        }
        if why.contains("dns error") || why.contains("failed to lookup address") {
            let why = error.source().map_or(why, ToString::to_string);
            return ProbeError::Name { endpoint, why };
        }
        // An I/O error's source is that of the error it wraps, not the error itself.
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        cause = wrapped.map(|wrapped| wrapped as _).or_else(|| error.source());
    }
    ProbeError::Unreachable { endpoint, why }
}
