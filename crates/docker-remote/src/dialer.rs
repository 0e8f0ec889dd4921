//! Connections to a daemon, for whoever speaks to it in a way of their own.

use std::{io, sync::Arc, time::Duration};

use rustix::net::sockopt;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{ClientCredentials, Endpoint, Error, transport};

/// How long the two sides may take to know each other.
const AGREES_WITHIN: Duration = Duration::from_secs(10);

/// How long what was sent may be on its way, and a connection that only waits may be without a sign of life beyond its first silence. Of itself
/// the kernel tries for a quarter of an hour (tcp(7), `tcp_retries2`, `TCP_USER_TIMEOUT`).
const LOST_AFTER: Duration = Duration::from_secs(30);

/// How soon one that only waits is asked again.
const ASKS_EVERY: Duration = Duration::from_secs(10);

/// A connection to a daemon. Shut down, its one direction ends and the other goes on.
pub type DaemonStream = TlsStream<TcpStream>;

/// Connects to one daemon, under the same mutual TLS as a [`Client`](crate::Client).
#[derive(Clone)]
pub struct Dialer {
    endpoint: Endpoint,
    name: ServerName<'static>,
    tls: TlsConnector,
}

impl std::fmt::Debug for Dialer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dialer").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

impl Dialer {
    /// Connects to this daemon. Nothing is connected to yet.
    ///
    /// # Errors
    /// Credentials that can't be used, or an endpoint that has no name.
    pub fn new(endpoint: &Endpoint, credentials: &ClientCredentials) -> Result<Self, Error> {
        let no_name = |_| Error::NotPem { path: "the daemon's endpoint".into(), expected: "a name or an address" };
        let name = ServerName::try_from(endpoint.host.clone()).map_err(no_name)?;
        let tls = TlsConnector::from(Arc::new(transport::tls(credentials)?));
        Ok(Self { endpoint: endpoint.clone(), name, tls })
    }

    /// Connects.
    ///
    /// # Cancel safety
    /// It can be dropped at any time.
    ///
    /// # Errors
    /// The daemon is not reached, or the two sides do not accept each other.
    pub async fn dial(&self) -> io::Result<DaemonStream> {
        let late = |_| io::Error::new(io::ErrorKind::TimedOut, format!("{} does not answer", self.endpoint));
        let place = (self.endpoint.host.as_str(), self.endpoint.port);
        let tcp = tokio::time::timeout(transport::CONNECT_TIMEOUT, TcpStream::connect(place)).await.map_err(late)??;
        tcp.set_nodelay(true)?;
        sockopt::set_socket_keepalive(&tcp, true)?;
        sockopt::set_tcp_keepidle(&tcp, transport::KEEPALIVE)?;
        sockopt::set_tcp_keepintvl(&tcp, ASKS_EVERY)?;
        sockopt::set_tcp_user_timeout(&tcp, LOST_AFTER.as_millis().try_into().unwrap_or(u32::MAX))?;
        let agreed = self.tls.connect(self.name.clone(), tcp);
        tokio::time::timeout(AGREES_WITHIN, agreed).await.map_err(late)?
    }
}
