//! This program as an image on the host.

use docker_remote::Client;
use futures_util::TryStreamExt as _;

use crate::{Error, Program};

/// The name of the image; its tag tells the program.
pub const IMAGE: &str = "sdocker-agent";

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
    let program = program.clone();
    let (archive, _) = docker_remote::written(move |writer| program.archive(writer));
    client.import(IMAGE, &tag, archive).try_for_each(|_| async { Ok(()) }).await?;
    Ok(image)
}
