//! Connections over one stream: HTTP/2 `CONNECT` (RFC 9113, section 8.5), whose streams have a flow control and an end each.

mod pipe;

use std::{io, time::Duration};

use bytes::Bytes;
use h2::{Reason, client, server};
use http::{Method, Request, Response, StatusCode};
use tokio::{
    io::{AsyncRead, AsyncWrite, join},
    net::TcpStream,
    task::JoinSet,
    time::{interval, timeout},
};

/// What one connection may have on its way, and all of them together.
const WINDOWS: (u32, u32) = (256 << 10, 4 << 20);

/// How many connections there may be at a time.
const MAX_CONNECTIONS: u32 = 1024;

/// How long a target may take to accept a connection.
const CONNECTS_WITHIN: Duration = Duration::from_secs(20);

/// How often the other side is asked whether it is there, and how long it may take to say so.
const PING: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(30));

/// The header in which an agent says why it does not connect.
const REASON: &str = "reason";

/// Why there is no connection to a target.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RelayError {
    /// The other end of the stream is gone, or is no agent.
    #[error("the connection to the agent ended")]
    Lost(#[source] h2::Error),
    /// The target does not take the connection.
    #[error("{target} does not answer: {reason}")]
    Refused {
        /// Where to.
        target: String,
        /// What the host's system said.
        reason: String,
    },
    /// No address.
    #[error("{0:?} is not the address of a host")]
    NoAddress(String),
}

/// The near end of a stream to an agent. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Relay(client::SendRequest<Bytes>);

impl Relay {
    /// Begins to speak over a stream. It goes on in a task of its own, until the stream ends or nothing comes over it.
    ///
    /// # Cancel safety
    /// Dropped, it closes the stream.
    ///
    /// # Errors
    /// The other side is no agent.
    pub async fn begin<R, W>(reader: R, writer: W) -> Result<Self, RelayError>
    where
        R: AsyncRead + Send + Unpin + 'static,
        W: AsyncWrite + Send + Unpin + 'static,
    {
        let mut builder = client::Builder::new();
        builder.initial_window_size(WINDOWS.0).initial_connection_window_size(WINDOWS.1).enable_push(false);
        let handshake = builder.handshake::<_, Bytes>(join(reader, writer));
        let (requests, mut connection) = match timeout(PING.1, handshake).await {
            Ok(begun) => begun.map_err(RelayError::Lost)?,
            Err(_) => return Err(RelayError::Lost(Reason::SETTINGS_TIMEOUT.into())),
        };
        let pings = connection.ping_pong();
        tokio::spawn(async move {
            tokio::select! {
                ended = &mut connection => if let Err(error) = ended {
                    tracing::debug!("the stream to the agent ended: {error}");
                },
                () = silence(pings) => tracing::warn!("the agent no longer answers"),
            }
        });
        Ok(Self(requests))
    }

    /// Waits until another connection may be opened; an error where the stream ended.
    pub(crate) async fn is_there(&self) -> Result<(), RelayError> {
        self.0.clone().ready().await.map(drop).map_err(RelayError::Lost)
    }

    /// Connects to a port, as the agent's machine reaches it.
    ///
    /// # Cancel safety
    /// It can be dropped at any time: this connection is given up then, and the stream goes on for the others.
    ///
    /// # Errors
    /// The port does not take the connection, or the agent is gone.
    pub async fn connect(&self, host: &str, port: u16) -> Result<Connection, RelayError> {
        let target = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        let request = Request::builder().method(Method::CONNECT).uri(&target).body(());
        let request = request.map_err(|_| RelayError::NoAddress(target.clone()))?;
        let mut requests = self.0.clone().ready().await.map_err(RelayError::Lost)?;
        let (answer, sending) = requests.send_request(request, false).map_err(RelayError::Lost)?;
        let answer = answer.await.map_err(RelayError::Lost)?;
        if answer.status() != StatusCode::OK {
            let reason = answer.headers().get(REASON).and_then(|reason| reason.to_str().ok());
            return Err(RelayError::Refused { target, reason: reason.unwrap_or("no reason given").to_owned() });
        }
        Ok(Connection { sending, receiving: answer.into_body() })
    }
}

/// A connection to a target.
#[derive(Debug)]
pub struct Connection {
    sending: h2::SendStream<Bytes>,
    receiving: h2::RecvStream,
}

impl Connection {
    /// Passes everything between this connection and another, each direction until its end.
    ///
    /// # Cancel safety
    /// Dropped, it closes both connections; what was on its way between them is lost.
    ///
    /// # Errors
    /// One of them broke.
    pub async fn join(self, other: TcpStream) -> io::Result<()> {
        pipe::both(other, self.sending, self.receiving).await
    }
}

/// Comes to its end when the other side is asked and says nothing.
async fn silence(pings: Option<h2::PingPong>) {
    let Some(mut pings) = pings else { return std::future::pending().await };
    let mut ticks = interval(PING.0);
    loop {
        ticks.tick().await;
        match timeout(PING.1, pings.ping(h2::Ping::opaque())).await {
            Ok(Ok(_)) => {}
            Ok(Err(_)) | Err(_) => return,
        }
    }
}

/// The far end: connects as it is asked to, until the stream ends or nobody is there any more.
///
/// # Cancel safety
/// Dropped, it closes the stream and every connection to a target.
///
/// # Errors
/// The stream broke, or holds something else.
pub async fn serve_agent<R, W>(reader: R, writer: W) -> Result<(), RelayError>
where
    R: AsyncRead + Send + Unpin + 'static,
    W: AsyncWrite + Send + Unpin + 'static,
{
    let mut builder = server::Builder::new();
    builder.initial_window_size(WINDOWS.0).initial_connection_window_size(WINDOWS.1);
    builder.max_concurrent_streams(MAX_CONNECTIONS).enable_connect_protocol();
    let mut connection = builder.handshake::<_, Bytes>(join(reader, writer)).await.map_err(RelayError::Lost)?;
    let silent = silence(connection.ping_pong());
    tokio::pin!(silent);
    let mut serving = JoinSet::new();
    loop {
        tokio::select! {
            asked = connection.accept() => match asked {
                Some(Ok((request, answer))) => drop(serving.spawn(serve(request, answer))),
                Some(Err(error)) => return Err(RelayError::Lost(error)),
                None => return Ok(()),
            },
            Some(_) = serving.join_next() => {}
            () = &mut silent => return Ok(()),
        }
    }
}

async fn serve(request: Request<h2::RecvStream>, mut answer: server::SendResponse<Bytes>) {
    let target = request.uri().authority().cloned();
    let is_connect = request.method() == Method::CONNECT;
    let Some((target, port)) =
        target.filter(|_| is_connect).and_then(|target| Some((target.clone(), target.port_u16()?)))
    else {
        return answer.send_reset(Reason::PROTOCOL_ERROR);
    };
    let host = target.host().trim_start_matches('[').trim_end_matches(']');
    let connected = match timeout(CONNECTS_WITHIN, TcpStream::connect((host, port))).await {
        Ok(connected) => connected,
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    };
    match connected {
        Ok(stream) => {
            let Ok(sending) = answer.send_response(Response::new(()), false) else { return };
            if let Err(error) = pipe::both(stream, sending, request.into_body()).await {
                tracing::debug!("{target}: {error}");
            }
        }
        Err(error) => {
            let refusal =
                Response::builder().status(StatusCode::BAD_GATEWAY).header(REASON, error.to_string()).body(());
            // Nobody is left to be told.
            let _ = refusal.map(|refusal| answer.send_response(refusal, true));
        }
    }
}

#[cfg(test)]
mod tests;
