//! The manifest list that names the images of all platforms.

use super::{
    image::{BuiltPart, ImageName},
    program::Docker,
};
use crate::{Error, Result};

/// Puts the list into the registry. Returns its digest.
pub(super) async fn join(name: &ImageName, parts: &[BuiltPart], docker: &Docker) -> Result<String> {
    let list = name.to_string();
    let digests = parts.iter().filter_map(|part| part.digest.as_ref());
    let images: Vec<String> = digests.map(|digest| format!("{}@{digest}", name.repository())).collect();
    let images = images.iter().map(String::as_str);
    let cli = docker.alone();
    if has_buildx(docker).await {
        // Also joins what is a list itself: an image with its provenance, as daemons push it that keep images with containerd.
        let create = ["buildx", "imagetools", "create", "--tag", &list];
        cli.ask(&create.into_iter().chain(images).collect::<Vec<_>>()).await?;
        return digest(&list, docker).await;
    }
    // What an earlier one left in the CLI's own folder would be part of it. There need be none.
    let _ = cli.ask(&["manifest", "rm", &list]).await;
    cli.ask(&["manifest", "create", &list].into_iter().chain(images).collect::<Vec<_>>()).await?;
    let said = cli.ask(&["manifest", "push", "--purge", &list]).await?;
    let digest = said.split_whitespace().find(|word| word.starts_with("sha256:")).map(str::to_owned);
    digest.ok_or_else(|| Error::new(format!("docker printed no digest of {list}")))
}

/// Whether the CLI has buildx.
pub(super) async fn has_buildx(docker: &Docker) -> bool {
    docker.alone().ask(&["buildx", "version"]).await.is_ok()
}

/// The digest of a list, as its registry has it.
pub(super) async fn digest(list: &str, docker: &Docker) -> Result<String> {
    let said = docker.alone().ask(&["buildx", "imagetools", "inspect", "--format", "{{json .Manifest}}", list]).await?;
    let manifest: serde_json::Value = serde_json::from_str(&said).map_err(Error::wrapping)?;
    let digest = manifest["digest"].as_str().map(str::to_owned);
    digest.ok_or_else(|| Error::new(format!("docker printed no digest of {list}")))
}
