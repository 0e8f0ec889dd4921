//! Connects to a Docker daemon behind mutual TLS and lists what runs on it.
//!
//!     cargo run -p docker-remote --example connect -- HOST PORT CERTS
//!
//! `CERTS` is a folder such as `DOCKER_CERT_PATH`: `ca.pem`, `cert.pem`, `key.pem`.

use std::{env, io::Write as _, path::Path, time::Duration};

use docker_remote::{Client, ClientCredentials, Endpoint};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [host, port, certs] = arguments.as_slice() else { return Err("usage: connect HOST PORT CERTS".into()) };
    let credentials = ClientCredentials::load(Path::new(certs))?;
    let endpoint = Endpoint::new(host, port.parse()?);
    let client = Client::connect(&endpoint, &credentials, Duration::from_secs(10)).await?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "Docker {}", client.version().await?.version.unwrap_or_default())?;
    for container in client.containers(false).await? {
        writeln!(out, "{} {}", container.id.unwrap_or_default(), container.image.unwrap_or_default())?;
    }
    Ok(())
}
