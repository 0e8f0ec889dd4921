//! Building an image from a folder.

use std::{collections::HashMap, path::PathBuf};

use bollard::query_parameters::BuildImageOptionsBuilder;
use futures_util::StreamExt as _;

use super::{Client, ImageProgress, Stream, context_archive};

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
        let mut options = BuildImageOptionsBuilder::new()
            .dockerfile(&dockerfile.to_string_lossy())
            .t(&request.tag)
            .nocache(request.no_cache)
            .rm(true)
            .forcerm(true)
            .buildargs(&request.arguments);
        if let Some(target) = &request.target {
            options = options.target(target);
        }
        let archive = context_archive::stream(request.folder.clone(), dockerfile);
        let client = self.clone();
        // bollard's stream borrows its client, so that it has to live beside it.
        let (docker, options) = (self.docker.clone(), options.build());
        let progress = async_stream::stream! {
            let mut output = Box::pin(docker.build_image(options, None, Some(bollard::body_try_stream(archive))));
            while let Some(info) = output.next().await {
                yield info.map_err(client.failed(&attempted)).and_then(|info| {
                    let status = info.stream.or(info.status);
                    client.progress(&attempted, info.id, status, info.progress_detail, info.error_detail)
                });
            }
        };
        Box::pin(progress)
    }
}
