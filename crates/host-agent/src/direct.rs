//! A connection to an agent by a port of the host, past the daemon.
//!
//! A stream of `docker exec` passes the daemon, a pipe, the container's shim and another pipe. A direct connection passes one process, which is
//! arranged by such a stream: over it the client sends keys that are made for this one connection, and the agent's process listens with them
//! until the client is there. Neither side takes part without the other's key, and nothing listens once they have met.

use std::{
    fs::File,
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    os::fd::AsFd as _,
    sync::Arc,
    time::Duration,
};

use docker_remote::Client;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::{CryptoProvider, ring},
    server::WebPkiClientVerifier,
    version::TLS13,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, TlsConnector, server::TlsStream};

use crate::{Error, Reader, Writer, exec};

/// How long the two sides may take until they have met. A security group without a rule for the port answers nothing.
const MEETS_WITHIN: Duration = Duration::from_secs(10);

/// How long the agent's process may take until it listens: it may have to wait for the port.
const LISTENS_WITHIN: Duration = Duration::from_secs(30);

/// How long one that comes to the port may take to show its key. Anybody may come.
const AGREES_WITHIN: Duration = Duration::from_secs(5);

/// How often the port is tried for while another connection is being made at it.
const TRIES_EVERY: Duration = Duration::from_millis(50);

/// How long the keys may be, as they are sent.
const MOST_KEYS: u64 = 16 << 10;

/// What the agent's process says once it listens.
const LISTENS: &str = "listens";

/// The name in the certificates: they are known by their keys.
const NAME: &str = "sdocker-agent";

/// A TLS record is up to 16 KiB.
const BUFFER: usize = 64 << 10;

/// Keys for one connection, as the client sends them.
#[derive(Serialize, Deserialize)]
struct Keys {
    /// The agent's certificate and key, PEM.
    certificate: String,
    key: String,
    /// The client's certificate.
    client: String,
}

/// Connects to a process of a container by a port of its host: `command`, which calls [`accept`], is run in the container.
///
/// # Cancel safety
/// It can be dropped at any time. A process that listens already ends within 10 s.
///
/// # Errors
/// The daemon refuses, the port is not reached or is in use on the host, or who answers there has not the key.
pub async fn connect(
    client: &Client,
    container: &str,
    command: Vec<String>,
    port: u16,
) -> Result<(Reader, Writer), Error> {
    let streams = exec(client, container, command).await?;
    meet(streams, &client.endpoint().host, port).await.map_err(|source| Error::Direct { port, source })
}

async fn meet((reader, mut writer): (Reader, Writer), host: &str, port: u16) -> io::Result<(Reader, Writer)> {
    let (keys, tls) = keys()?;
    let mut line = serde_json::to_vec(&keys)?;
    line.push(b'\n');
    writer.write_all(&line).await?;
    writer.flush().await?;
    let mut said = String::new();
    timeout(LISTENS_WITHIN, BufReader::new(reader.take(MOST_KEYS)).read_line(&mut said)).await??;
    if said.trim_end() != LISTENS {
        return Err(io::Error::other(said.trim_end().to_owned()));
    }
    let met = timeout(MEETS_WITHIN, async {
        let tcp = TcpStream::connect((host, port)).await?;
        tcp.set_nodelay(true)?;
        let name = ServerName::try_from(NAME).map_err(io::Error::other)?;
        tls.connect(name, tcp).await
    });
    let (reader, writer) = tokio::io::split(met.await??);
    Ok((Box::pin(BufReader::with_capacity(BUFFER, reader)), Box::pin(writer)))
}

/// New keys, and the client's side of them.
fn keys() -> io::Result<(Keys, TlsConnector)> {
    let pair = || rcgen::generate_simple_self_signed([NAME.to_owned()]).map_err(io::Error::other);
    let [theirs, ours] = [pair()?, pair()?];
    let key = PrivateKeyDer::try_from(ours.signing_key.serialize_der()).map_err(io::Error::other)?;
    let tls = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .map_err(io::Error::other)?
        .with_root_certificates(only(theirs.cert.der().clone())?)
        .with_client_auth_cert(vec![ours.cert.der().clone()], key)
        .map_err(io::Error::other)?;
    let keys =
        Keys { certificate: theirs.cert.pem(), key: theirs.signing_key.serialize_pem(), client: ours.cert.pem() };
    Ok((keys, TlsConnector::from(Arc::new(tls))))
}

/// Waits at a port for the client that sends the keys, in a process that [`connect`] runs. The port is one of the network namespace of the parent
/// process, a container's shim: the daemon's own, whatever network the container has.
///
/// # Cancel safety
/// Dropped, nothing listens any more.
///
/// # Errors
/// There are no keys, another program uses the port, or the client did not come.
pub async fn accept(
    input: impl AsyncRead + Unpin,
    output: impl AsyncWrite + Unpin,
    port: u16,
) -> io::Result<impl AsyncRead + AsyncWrite + Send + Unpin + 'static> {
    accept_at(input, output, || listen(port)).await
}

async fn accept_at(
    input: impl AsyncRead + Unpin,
    mut output: impl AsyncWrite + Unpin,
    listen: impl Fn() -> io::Result<std::net::TcpListener>,
) -> io::Result<TlsStream<TcpStream>> {
    let mut line = String::new();
    BufReader::new(input.take(MOST_KEYS)).read_line(&mut line).await?;
    let tls = acceptor(&serde_json::from_str(&line)?)?;
    let taken = timeout(MEETS_WITHIN / 2, async {
        loop {
            match listen() {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => sleep(TRIES_EVERY).await,
                bound => return bound,
            }
        }
    });
    let bound = taken.await.unwrap_or_else(|_| Err(io::ErrorKind::AddrInUse.into()));
    let said = match &bound {
        Ok(_) => LISTENS.to_owned(),
        Err(error) => error.to_string(),
    };
    output.write_all(format!("{said}\n").as_bytes()).await?;
    output.flush().await?;
    let listener = TcpListener::from_std(bound?)?;
    let met = timeout(MEETS_WITHIN, async {
        loop {
            let (tcp, _) = listener.accept().await?;
            tcp.set_nodelay(true)?;
            match timeout(AGREES_WITHIN, tls.accept(tcp)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => tracing::info!("somebody else came: {error}"),
                Err(_) => tracing::info!("somebody came, and said nothing"),
            }
        }
    });
    met.await.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "the client did not come"))?
}

fn acceptor(keys: &Keys) -> io::Result<TlsAcceptor> {
    let pem = |text: &str| CertificateDer::from_pem_slice(text.as_bytes()).map_err(io::Error::other);
    let key = PrivateKeyDer::from_pem_slice(keys.key.as_bytes()).map_err(io::Error::other)?;
    let client = WebPkiClientVerifier::builder_with_provider(Arc::new(only(pem(&keys.client)?)?), provider())
        .build()
        .map_err(io::Error::other)?;
    let tls = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .map_err(io::Error::other)?
        .with_client_cert_verifier(client)
        .with_single_cert(vec![pem(&keys.certificate)?], key)
        .map_err(io::Error::other)?;
    Ok(TlsAcceptor::from(Arc::new(tls)))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// Nobody but the one with this certificate.
fn only(certificate: CertificateDer<'static>) -> io::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate).map_err(io::Error::other)?;
    Ok(roots)
}

/// Listens at the port in the network namespace of the parent process: from a thread of its own, since the others must stay in theirs.
fn listen(port: u16) -> io::Result<std::net::TcpListener> {
    let parent = rustix::process::getppid().ok_or_else(|| io::Error::other("the agent has no parent in sight"))?;
    let namespace = File::open(format!("/proc/{}/ns/net", parent.as_raw_nonzero()))?;
    std::thread::scope(|scope| {
        let listening = scope.spawn(|| {
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
            let any =
                [SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)), SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))];
            // Where there is no IPv6, the second.
            let listener = std::net::TcpListener::bind(any.as_slice())?;
            listener.set_nonblocking(true)?;
            Ok(listener)
        });
        listening.join().unwrap_or_else(|_| Err(io::Error::other("the thread ended")))
    })
}

#[cfg(test)]
mod tests {
    use tokio::io::{DuplexStream, duplex};

    use super::*;

    /// A port of this machine, and an agent's process that echoes what comes to it there: what becomes of it, and its standard streams.
    fn agent() -> (u16, tokio::task::JoinHandle<io::Result<()>>, DuplexStream) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("set");
        let port = listener.local_addr().expect("bound").port();
        let (ours, theirs) = duplex(1 << 16);
        let (input, output) = tokio::io::split(theirs);
        let agent = tokio::spawn(async move {
            let (mut reader, mut writer) = tokio::io::split(accept_at(input, output, || listener.try_clone()).await?);
            let mut read = [0; 4];
            reader.read_exact(&mut read).await?;
            writer.write_all(&read).await?;
            writer.flush().await
        });
        (port, agent, ours)
    }

    async fn says(stream: &mut DuplexStream, keys: &Keys) -> String {
        stream.write_all(&serde_json::to_vec(keys).expect("JSON")).await.expect("sent");
        stream.write_all(b"\n").await.expect("sent");
        let mut said = String::new();
        BufReader::new(stream).read_line(&mut said).await.expect("read");
        said
    }

    /// The agent of the other side gets what is sent, and sends it back.
    async fn is_echoed(mut reader: impl AsyncRead + Unpin, mut writer: impl AsyncWrite + Unpin) {
        writer.write_all(b"this").await.expect("sent");
        writer.flush().await.expect("sent");
        let mut read = [0; 4];
        reader.read_exact(&mut read).await.expect("read");
        assert_eq!(&read, b"this");
    }

    #[tokio::test]
    async fn the_two_sides_meet_at_the_port() {
        let (port, agent, streams) = agent();
        let (reader, writer) = tokio::io::split(streams);
        let met = meet((Box::pin(reader), Box::pin(writer)), "127.0.0.1", port).await;
        let (reader, writer) = met.expect("a connection");
        is_echoed(reader, writer).await;
        agent.await.expect("no panic").expect("no error");
    }

    /// Whoever else comes to the port gets nothing, and does not keep the client out.
    #[tokio::test]
    async fn strangers_are_turned_away() {
        let (port, agent, mut streams) = agent();
        let (own, tls) = keys().expect("keys");
        assert_eq!(says(&mut streams, &own).await, "listens\n");
        let name = || ServerName::try_from(NAME).expect("a name");
        let mut noise = TcpStream::connect(("127.0.0.1", port)).await.expect("connected");
        noise.write_all(b"GET / HTTP/1.1\r\n\r\n").await.expect("sent");
        let (_, other) = keys().expect("keys");
        let tcp = TcpStream::connect(("127.0.0.1", port)).await.expect("connected");
        let refused = other.connect(name(), tcp).await.expect_err("it is not the server of these keys");
        assert!(refused.to_string().contains("invalid peer certificate"), "{refused}");
        // Who takes any server's word has still no key that this one takes.
        let own_root = only(CertificateDer::from_pem_slice(own.certificate.as_bytes()).expect("PEM")).expect("a root");
        let without_key = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])
            .expect("TLS 1.3")
            .with_root_certificates(own_root)
            .with_no_client_auth();
        let tcp = TcpStream::connect(("127.0.0.1", port)).await.expect("connected");
        let mut stranger = TlsConnector::from(Arc::new(without_key)).connect(name(), tcp).await.expect("its own side");
        let refused = stranger.read(&mut [0; 4]).await.expect_err("turned away");
        assert!(refused.to_string().contains("CertificateRequired"), "{refused}");

        let tcp = TcpStream::connect(("127.0.0.1", port)).await.expect("connected");
        let client = tls.connect(name(), tcp).await.expect("its client");
        let (reader, writer) = tokio::io::split(client);
        is_echoed(reader, writer).await;
        agent.await.expect("no panic").expect("no error");
    }

    /// A program of the host has the port: who asked is told so, and nobody is connected to.
    #[tokio::test(start_paused = true)]
    async fn a_port_that_is_taken_is_said() {
        let (ours, theirs) = duplex(1 << 16);
        let (input, output) = tokio::io::split(theirs);
        let agent = tokio::spawn(accept_at(input, output, || Err(io::ErrorKind::AddrInUse.into())));
        let (reader, writer) = tokio::io::split(ours);
        let refused = meet((Box::pin(reader), Box::pin(writer)), "127.0.0.1", 1).await;
        assert_eq!(refused.err().map(|error| error.to_string()).as_deref(), Some("address in use"));
        assert!(agent.await.expect("no panic").is_err());
    }
}
