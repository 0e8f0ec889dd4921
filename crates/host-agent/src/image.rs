//! This program as an image on the host.

use std::io::{self, Write};

use bytes::Bytes;
use docker_remote::Client;
use futures_util::TryStreamExt as _;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::{Error, Program};

/// The name of the image; its tag tells the program.
pub const IMAGE: &str = "sdocker-agent";

/// How much is sent at a time.
const CHUNK: usize = 256 << 10;

/// Sees to it that the image is there, and returns its name.
///
/// # Cancel safety
/// It can be dropped at any time. The daemon gives up an import whose stream breaks off, so the image is there whole, or not at all.
///
/// # Errors
/// The host has another processor, the daemon refuses, or this program's files can't be read.
pub async fn ensure_image(client: &Client, program: &Program) -> Result<String, Error> {
    let version = client.version().await?;
    // The daemon names processors as Go does.
    let own = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    match version.arch {
        Some(host) if host != own => return Err(Error::Architecture { host, own }),
        _ => {}
    }
    let tag = program.fingerprint()?;
    let image = format!("{IMAGE}:{tag}");
    if client.has_image(&image).await? {
        return Ok(image);
    }
    let (sender, receiver) = mpsc::channel(4);
    let program = program.clone();
    tokio::task::spawn_blocking(move || {
        let chunks = io::BufWriter::with_capacity(CHUNK, Chunks(sender.clone()));
        if let Err(error) = program.archive(chunks) {
            // The receiver is gone where the import failed.
            let _ = sender.blocking_send(Err(error));
        }
    });
    client.import(IMAGE, &tag, ReceiverStream::new(receiver)).try_for_each(|_| async { Ok(()) }).await?;
    Ok(image)
}

struct Chunks(mpsc::Sender<io::Result<Bytes>>);

impl Write for Chunks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.0.blocking_send(Ok(Bytes::copy_from_slice(bytes)));
        sent.map(|()| bytes.len()).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
