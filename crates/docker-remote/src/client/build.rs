//! Building an image from a folder.

use std::{collections::HashMap, path::PathBuf};

use super::{Client, ImageProgress, Stream, context_archive};
use crate::transport;

/// An image to be built from a folder.
#[derive(Clone, Debug, Default)]
pub struct BuildRequest {
    /// The folder: the build context. Its `.dockerignore` is honoured.
    pub folder: PathBuf,
    /// The Dockerfile's path within the folder; `None`: `Dockerfile`.
    pub dockerfile: Option<String>,
    /// A name and tag for the image.
    pub tag: String,
    /// Build arguments.
    pub arguments: HashMap<String, String>,
    /// The stage to build; `None`: the last.
    pub target: Option<String>,
    /// Whether cached layers are left unused.
    pub no_cache: bool,
}

impl Client {
    /// Builds an image with the daemon's classic builder. The folder is archived while it is sent, so that memory does not grow with
    /// it. The build goes on while the stream is read; its last item tells whether it failed.
    pub fn build(&self, request: &BuildRequest) -> Stream<ImageProgress> {
        let attempted = format!("build {} from {}", request.tag, request.folder.display());
        let dockerfile = context_archive::normal(request.dockerfile.as_deref().unwrap_or("Dockerfile"));
        let no_cache = request.no_cache.to_string();
        // A map of strings has nothing that could fail.
        let arguments = serde_json::to_string(&request.arguments).unwrap_or_default();
        let query = transport::query(&[
            ("dockerfile", &dockerfile.to_string_lossy()),
            ("t", &request.tag),
            ("nocache", &no_cache),
            ("rm", "true"),
            ("forcerm", "true"),
            ("buildargs", &arguments),
            ("target", request.target.as_deref().unwrap_or_default()),
        ]);
        let archive = context_archive::stream(request.folder.clone(), dockerfile);
        self.progress(&format!("/build?{query}"), transport::streamed(archive), attempted)
    }
}
