//! Images: list, pull, load.

use std::io;

use bollard::models::ImageSummary;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use serde::{Deserialize, Deserializer, de::IgnoredAny};
use serde_json::Value;

use super::{Client, SAYS_WITHIN, Stream};
use crate::{
    Error,
    transport::{self, Body},
};

/// How far a pull, a load or a build is, as the daemon reports it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImageProgress {
    /// The layer it is about, where it is about one.
    pub layer: Option<String>,
    /// What is going on, or a line of a build's output without its line end.
    pub status: String,
    /// Bytes done of the layer.
    pub current: Option<u64>,
    /// Bytes that the layer has.
    pub total: Option<u64>,
}

impl Client {
    /// Whether the daemon has an image of this name.
    ///
    /// # Cancel safety
    /// It only asks, and can be dropped at any time.
    ///
    /// # Errors
    /// The daemon does not answer.
    pub async fn has_image(&self, name: &str) -> Result<bool, Error> {
        let found: Option<IgnoredAny> =
            self.says_if_there(&format!("/images/{name}/json"), "look at an image", SAYS_WITHIN).await?;
        Ok(found.is_some())
    }

    /// Images with a tag, or all of them with their intermediate ones.
    ///
    /// # Cancel safety
    /// It only asks, and can be dropped at any time.
    ///
    /// # Errors
    /// The daemon does not answer.
    pub async fn images(&self, all: bool) -> Result<Vec<ImageSummary>, Error> {
        self.says(&format!("/images/json?all={all}"), "list images", SAYS_WITHIN).await
    }

    /// Pulls an image, such as `busybox:1.36`. The pull goes on while the stream is read; its last item tells whether it failed.
    pub fn pull(&self, image: &str) -> Stream<ImageProgress> {
        // Without a tag or digest the daemon would pull every tag there is.
        let name = image.rsplit('/').next().unwrap_or(image);
        let tag = if name.contains([':', '@']) { "" } else { "latest" };
        let path = format!("/images/create?{}", transport::query(&[("fromImage", image), ("tag", tag)]));
        self.progress(&path, transport::empty(), format!("pull {image}"))
    }

    /// Loads images from an archive as `docker save` writes them. Chunks are sent as they come, so that memory does not grow with
    /// the archive.
    pub fn load(
        &self,
        archive: impl stream::Stream<Item = io::Result<Bytes>> + Send + 'static,
    ) -> Stream<ImageProgress> {
        self.progress("/images/load", transport::streamed(archive), "load images".to_owned())
    }

    /// Makes an image of the files in an archive. The import goes on while the stream is read; its last item tells whether it failed.
    pub fn import(
        &self,
        repository: &str,
        tag: &str,
        archive: impl stream::Stream<Item = io::Result<Bytes>> + Send + 'static,
    ) -> Stream<ImageProgress> {
        let query = transport::query(&[("fromSrc", "-"), ("repo", repository), ("tag", tag)]);
        let attempted = format!("import {repository}:{tag}");
        self.progress(&format!("/images/create?{query}"), transport::streamed(archive), attempted)
    }

    /// How far what is asked for with `POST` is.
    pub(super) fn progress(&self, path: &str, body: Body, attempted: String) -> Stream<ImageProgress> {
        let client = self.clone();
        let said = self.lines("POST", path, body, attempted.clone());
        Box::pin(said.map(move |said| match said? {
            Said { error: Some(error), .. } => Err(client.reported(&attempted, error)),
            Said { id, status, stream, progress_detail, .. } => {
                let status = stream.or(status).unwrap_or_default().trim_end_matches(['\n', '\r']).to_owned();
                let Detail { current, total } = progress_detail.unwrap_or_default();
                Ok(ImageProgress { layer: id, status, current, total })
            }
        }))
    }
}

/// A line of what the daemon says of its progress, whatever it does (github.com/moby/moby, `jsonmessage.JSONMessage`).
#[derive(Deserialize)]
struct Said {
    id: Option<String>,
    status: Option<String>,
    stream: Option<String>,
    error: Option<String>,
    #[serde(rename = "progressDetail")]
    progress_detail: Option<Detail>,
}

/// What is not a number that fits is not shown.
#[derive(Default, Deserialize)]
struct Detail {
    #[serde(default, deserialize_with = "bytes")]
    current: Option<u64>,
    #[serde(default, deserialize_with = "bytes")]
    total: Option<u64>,
}

fn bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    Ok(Value::deserialize(deserializer)?.as_u64())
}
