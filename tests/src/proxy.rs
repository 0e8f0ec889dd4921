//! A proxy on the way to AWS, as companies run them, with a TLS server behind it.

use std::{
    io::{BufReader, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};

/// A proxy that leads every name to one server, and writes down what it was asked for. It serves until the process ends.
#[derive(Clone, Debug)]
pub struct Proxy {
    address: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// A proxy whose requests of any name go to this address: `host:port`.
    ///
    /// # Panics
    /// There is no port for it.
    pub fn start(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let proxy = Self { address, asked: Arc::default() };
        let (serving, server) = (proxy.clone(), server.to_owned());
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (serving, server) = (serving.clone(), server.clone());
                // A connection that breaks ends its thread.
                thread::spawn(move || serving.serve(client, &server));
            }
        });
        proxy
    }

    /// `host:port` of the proxy.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The first line of each request so far.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn serve(&self, client: TcpStream, server: &str) -> std::io::Result<()> {
        let mut reader = BufReader::new(client.try_clone()?);
        let mut client = client;
        while let Some(request) = Message::read(&mut reader)? {
            self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(request.first.clone());
            if request.first.starts_with("CONNECT ") {
                let upstream = TcpStream::connect(server)?;
                client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
                return relay(reader, client, upstream);
            }
            // The absolute form (RFC 9112, 3.2.2) becomes the origin form.
            let answer = request.in_origin_form().ask(server)?;
            client.write_all(&answer)?;
        }
        Ok(())
    }
}

/// A TLS server before one that speaks plain HTTP, with this certificate and key, in PEM files; `host:port` of it.
///
/// # Panics
/// The files can't be used.
pub fn tls_before(server: &str, certificate: &Path, key: &Path) -> String {
    let chain = CertificateDer::pem_file_iter(certificate).expect("certificates").collect::<Result<_, _>>();
    let key = PrivateKeyDer::from_pem_file(key).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(chain.expect("certificates"), key)
        .expect("a pair");
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let server = server.to_owned();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let (config, server) = (config.clone(), server.clone());
            thread::spawn(move || -> std::io::Result<()> {
                let connection = ServerConnection::new(config).map_err(std::io::Error::other)?;
                let mut stream = BufReader::new(StreamOwned::new(connection, client));
                while let Some(request) = Message::read(&mut stream)? {
                    let answer = request.ask(&server)?;
                    // A server that ends the connection without a word is no better behind TLS.
                    if answer.is_empty() {
                        break;
                    }
                    stream.get_mut().write_all(&answer)?;
                    stream.get_mut().flush()?;
                }
                Ok(())
            });
        }
    });
    address
}

/// A request: its first line, its other lines, its body.
struct Message {
    first: String,
    headers: Vec<String>,
    body: Vec<u8>,
}

impl Message {
    /// `None` at the end of the connection.
    fn read(stream: &mut impl std::io::BufRead) -> std::io::Result<Option<Self>> {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line)? == 0 {
                return Ok(None);
            }
            let line = line.trim_end().to_owned();
            if line.is_empty() {
                break;
            }
            lines.push(line);
        }
        if lines.is_empty() {
            return Ok(None);
        }
        let first = lines.remove(0);
        let length = lines.iter().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
        });
        let mut body = vec![0; length.unwrap_or(0)];
        stream.read_exact(&mut body)?;
        Ok(Some(Self { first, headers: lines, body }))
    }

    fn in_origin_form(mut self) -> Self {
        let parts: Vec<&str> = self.first.split(' ').collect();
        if let [method, target, version] = parts[..]
            && let Some((_, rest)) = target.split_once("://")
        {
            let path = rest.find('/').map_or("/", |slash| &rest[slash..]);
            self.first = format!("{method} {path} {version}");
        }
        self
    }

    /// The server's whole answer, on a connection of its own.
    fn ask(&self, server: &str) -> std::io::Result<Vec<u8>> {
        let mut upstream = TcpStream::connect(server)?;
        let kept = self.headers.iter().filter(|line| {
            let name = line.split(':').next().unwrap_or_default();
            !["connection", "proxy-connection", "proxy-authorization"].iter().any(|hop| name.eq_ignore_ascii_case(hop))
        });
        let mut head = self.first.clone();
        for line in kept {
            head.push_str("\r\n");
            head.push_str(line);
        }
        head.push_str("\r\nConnection: close\r\n\r\n");
        upstream.write_all(head.as_bytes())?;
        upstream.write_all(&self.body)?;
        let mut answer = Vec::new();
        upstream.read_to_end(&mut answer)?;
        Ok(answer)
    }
}

fn relay(
    mut from_client: impl Read + Send + 'static,
    mut client: TcpStream,
    upstream: TcpStream,
) -> std::io::Result<()> {
    let (mut to_upstream, mut from_upstream) = (upstream.try_clone()?, upstream);
    thread::spawn(move || {
        let _ = std::io::copy(&mut from_client, &mut to_upstream);
        let _ = to_upstream.shutdown(Shutdown::Write);
    });
    std::io::copy(&mut from_upstream, &mut client)?;
    client.shutdown(Shutdown::Both)
}
