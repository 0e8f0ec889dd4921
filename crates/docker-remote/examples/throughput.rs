//! Builds, loads or follows logs as fast as it can: what `scripts/bench` puts beside the Docker CLI.
//!
//!     throughput HOST PORT CERTS build FOLDER TAG
//!     throughput HOST PORT CERTS load ARCHIVE
//!     throughput HOST PORT CERTS logs CONTAINER

use std::{env, io::Write as _, path::Path, time::Duration};

use docker_remote::{BuildRequest, Client, ClientCredentials, ContainerLog, Endpoint, LogLine};
use futures_util::StreamExt as _;
use tokio_util::io::ReaderStream;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let [host, port, certs, task @ ..] = arguments.as_slice() else { return Err("HOST PORT CERTS TASK".into()) };
    let credentials = ClientCredentials::load(Path::new(certs))?;
    let client = Client::connect(&Endpoint::new(*host, port.parse()?), &credentials, Duration::from_secs(10)).await?;
    let mut out = std::io::BufWriter::with_capacity(64 * 1024, std::io::stdout().lock());
    let mut progress = match task {
        ["build", folder, tag] => {
            let request = BuildRequest { folder: folder.into(), tag: (*tag).to_owned(), ..BuildRequest::default() };
            client.build(&request)
        }
        ["load", archive] => {
            client.load(ReaderStream::with_capacity(tokio::fs::File::open(archive).await?, 256 * 1024))
        }
        ["logs", container] => {
            let mut lines = client.logs(container, ContainerLog { follow: true, ..ContainerLog::default() });
            while let Some(line) = lines.next().await {
                let (LogLine::Stdout(bytes) | LogLine::Stderr(bytes)) = line?;
                out.write_all(&bytes)?;
            }
            return Ok(());
        }
        _ => return Err("build FOLDER TAG, load ARCHIVE, or logs CONTAINER".into()),
    };
    while let Some(step) = progress.next().await {
        writeln!(out, "{}", step?.status)?;
    }
    Ok(())
}
