//! TCP connections that a host can tell from those by which it is used.

use std::{
    future::Future,
    hash::{BuildHasher as _, RandomState},
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    ops::RangeInclusive,
    pin::Pin,
    task::{Context, Poll},
};

use hyper::Uri;
use hyper_util::{client::legacy::connect::HttpConnector, rt::TokioIo};
use rustix::net::sockopt;
use tokio::{
    net::{TcpSocket, TcpStream, lookup_host},
    time::timeout,
};
use tower_service::Service;

use super::{CONNECT_TIMEOUT, KEEPALIVE};

/// The client's ports of connections that only watch. A host that ends itself when it is idle leaves them out of account.
///
/// The system gives a program that asks for none a port up to 60999 (ip(7), `ip_local_port_range`).
pub const BACKGROUND_PORTS: RangeInclusive<u16> = 61_000..=65_535;

/// How many ports are tried.
const TRIED: u64 = 50;

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Connecting = Pin<Box<dyn Future<Output = Result<TokioIo<TcpStream>, BoxError>> + Send>>;

/// How connections are made.
#[derive(Clone, Debug)]
pub(crate) enum Tcp {
    Plain(HttpConnector),
    Background,
}

impl Service<Uri> for Tcp {
    type Response = TokioIo<TcpStream>;
    type Error = BoxError;
    type Future = Connecting;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        match self {
            Self::Plain(tcp) => tcp.poll_ready(context).map_err(Into::into),
            Self::Background => Poll::Ready(Ok(())),
        }
    }

    fn call(&mut self, uri: Uri) -> Connecting {
        match self {
            Self::Plain(tcp) => {
                let connecting = tcp.call(uri);
                Box::pin(async { connecting.await.map_err(Into::into) })
            }
            Self::Background => Box::pin(async move { Ok(TokioIo::new(connect(&uri).await?)) }),
        }
    }
}

async fn connect(uri: &Uri) -> io::Result<TcpStream> {
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let port = uri.port_u16().ok_or(io::ErrorKind::InvalidInput)?;
    let mut failed = io::Error::from(io::ErrorKind::NotFound);
    for address in lookup_host((host, port)).await? {
        match timeout(CONNECT_TIMEOUT, connect_to(address)).await {
            Ok(Ok(stream)) => {
                stream.set_nodelay(true)?;
                sockopt::set_socket_keepalive(&stream, true)?;
                sockopt::set_tcp_keepidle(&stream, KEEPALIVE)?;
                return Ok(stream);
            }
            Ok(Err(error)) => failed = error,
            Err(_) => failed = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(failed)
}

async fn connect_to(address: SocketAddr) -> io::Result<TcpStream> {
    let (first, last) = (u64::from(*BACKGROUND_PORTS.start()), u64::from(*BACKGROUND_PORTS.end()));
    let start = RandomState::new().hash_one(address) % (last - first + 1);
    for tried in 0..TRIED {
        let port = u16::try_from(first + (start + tried) % (last - first + 1)).unwrap_or(*BACKGROUND_PORTS.start());
        let (socket, any): (_, IpAddr) = match address {
            SocketAddr::V4(_) => (TcpSocket::new_v4()?, Ipv4Addr::UNSPECIFIED.into()),
            SocketAddr::V6(_) => (TcpSocket::new_v6()?, Ipv6Addr::UNSPECIFIED.into()),
        };
        // Connections that ended hold their ports for a while.
        socket.set_reuseaddr(true)?;
        let is_taken =
            |error: &io::Error| matches!(error.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::AddrNotAvailable);
        match socket.bind((any, port).into()) {
            Err(error) if is_taken(&error) => continue,
            bound => bound?,
        }
        match socket.connect(address).await {
            Err(error) if is_taken(&error) => {}
            connected => return connected,
        }
    }
    Err(io::ErrorKind::AddrInUse.into())
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn connections_come_from_ports_that_nobody_else_is_given() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("bound");
        let uri: Uri =
            format!("https://localhost:{}", listener.local_addr().expect("bound").port()).parse().expect("a URI");
        let mut open = Vec::new();
        for _ in 0..100 {
            let (near, far) = tokio::join!(connect(&uri), listener.accept());
            let (far, from) = far.expect("accepted");
            assert!(BACKGROUND_PORTS.contains(&from.port()), "{from}");
            open.push((near.expect("connected"), far));
        }
    }
}
