use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::TcpListener,
    sync::Arc,
    thread,
    time::{Duration, Instant, SystemTime},
};

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};

use super::*;
use crate::{HostCredentials, HostNames, ProbeError, WriteServerKey};

/// How a daemon answers that means no good.
#[derive(Clone, Copy, Debug)]
enum Answers {
    /// As daemons do.
    Well,
    /// As fast as it can, and without an end.
    Floods,
    /// A byte now and then.
    Trickles,
}

/// A server that answers every request so, and what its clients need. It serves until the process ends.
fn daemon(answers: Answers) -> (Endpoint, ClientCredentials) {
    let names =
        HostNames { dns: vec!["localhost".to_owned()], addresses: vec!["127.0.0.1".parse().expect("an address")] };
    let made = HostCredentials::generate(&names, SystemTime::now(), Duration::from_secs(3600)).expect("made");
    let folder = tempfile::tempdir().expect("a folder");
    made.write(folder.path(), WriteServerKey::Yes).expect("written");
    let at = |file: &str| folder.path().join("server").join(file);
    let chain = CertificateDer::pem_file_iter(at("cert.pem")).expect("there").collect::<Result<_, _>>();
    let key = PrivateKeyDer::from_pem_file(at("key.pem")).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(chain.expect("certificates"), key)
        .expect("a pair");
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let config = config.clone();
            // A client that has enough ends its thread.
            thread::spawn(move || -> std::io::Result<()> {
                let connection = ServerConnection::new(config).map_err(std::io::Error::other)?;
                let mut stream = BufReader::new(StreamOwned::new(connection, client));
                let mut line = String::new();
                while stream.read_line(&mut line)? > 2 {
                    line.clear();
                }
                let stream = stream.get_mut();
                if matches!(answers, Answers::Well) {
                    let body = r#"{"Version": "29.0.0", "ApiVersion": "1.52", "ContainersRunning": 3}"#;
                    write!(
                        stream,
                        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                        body.len()
                    )?;
                    return stream.flush();
                }
                stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
                let chunk = format!("8000\r\n{:32768}\r\n", "");
                loop {
                    if matches!(answers, Answers::Floods) {
                        stream.write_all(chunk.as_bytes())?;
                    } else {
                        stream.write_all(b"1\r\n \r\n")?;
                        thread::sleep(Duration::from_millis(20));
                    }
                    stream.flush()?;
                }
            });
        }
    });
    (Endpoint::new("127.0.0.1", port), made.client().clone())
}

fn client(endpoint: &Endpoint, credentials: &ClientCredentials) -> Client {
    Client::with_connector(endpoint, transport::connector(credentials).expect("sound"), ApiVersion::new(1, 41))
}

#[tokio::test]
async fn an_answer_has_an_end_and_a_size() {
    let (endpoint, credentials) = daemon(Answers::Well);
    let sound = client(&endpoint, &credentials);
    assert_eq!(sound.info().await.expect("it answers").containers_running, Some(3));
    assert_eq!(sound.version().await.expect("it answers").version.as_deref(), Some("29.0.0"));

    let (endpoint, credentials) = daemon(Answers::Floods);
    let probed = probe_once(&endpoint, &credentials, Duration::from_secs(20)).await.expect_err("too much");
    assert!(matches!(&probed, ProbeError::NotDocker { why, .. } if why.contains("more than 4 MiB")), "{probed}");
    for error in [
        client(&endpoint, &credentials).info().await.map(drop).expect_err("too much"),
        client(&endpoint, &credentials).version().await.map(drop).expect_err("too much"),
    ] {
        assert!(error.to_string().contains("more than 4 MiB"), "{error}");
    }

    let (endpoint, credentials) = daemon(Answers::Trickles);
    let began = Instant::now();
    let within = Duration::from_millis(300);
    let slow = client(&endpoint, &credentials).says::<SystemInfo>("/info", "ask for information", within).await;
    let slow = slow.expect_err("it never ends");
    assert!(slow.to_string().contains("no whole answer within 0.3 s"), "{slow}");
    assert!(began.elapsed() < Duration::from_secs(5));
}
