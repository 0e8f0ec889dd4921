//! Images: list, pull, load.

use std::io;

use bollard::{
    models::{CreateImageInfo, ErrorDetail, ImageSummary, ProgressDetail},
    query_parameters::{CreateImageOptionsBuilder, ImportImageOptions},
};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};

use serde::de::IgnoredAny;

use super::{Client, SAYS_WITHIN, Stream};
use crate::Error;

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
        let attempted = format!("pull {image}");
        // Without a tag or digest the daemon would pull every tag there is.
        let name = image.rsplit('/').next().unwrap_or(image);
        let options = CreateImageOptionsBuilder::new().from_image(image);
        let options = if name.contains([':', '@']) { options } else { options.tag("latest") };
        let client = self.clone();
        let progress = self.docker.create_image(Some(options.build()), None, None).map(move |info| {
            let CreateImageInfo { id, error_detail, status, progress_detail } =
                info.map_err(client.failed(&attempted))?;
            client.progress(&attempted, id, status, progress_detail, error_detail)
        });
        Box::pin(progress)
    }

    /// Loads images from an archive as `docker save` writes them. Chunks are sent as they come, so that memory does not grow with
    /// the archive.
    pub fn load(
        &self,
        archive: impl stream::Stream<Item = io::Result<Bytes>> + Send + 'static,
    ) -> Stream<ImageProgress> {
        let attempted = "load images";
        let client = self.clone();
        let body = bollard::body_try_stream(archive);
        let progress = self.docker.import_image(ImportImageOptions::default(), body, None).map(move |info| {
            let info = info.map_err(client.failed(attempted))?;
            let status = info.stream.or(info.status);
            client.progress(attempted, info.id, status, info.progress_detail, info.error_detail)
        });
        Box::pin(progress)
    }

    pub(super) fn progress(
        &self,
        attempted: &str,
        layer: Option<String>,
        status: Option<String>,
        detail: Option<ProgressDetail>,
        error: Option<ErrorDetail>,
    ) -> Result<ImageProgress, Error> {
        if let Some(error) = error {
            return Err(self.reported(attempted, error.message.unwrap_or_default()));
        }
        let bytes = |value: Option<i64>| value.and_then(|value| value.try_into().ok());
        let detail = detail.unwrap_or_default();
        let status = status.unwrap_or_default().trim_end_matches(['\n', '\r']).to_owned();
        Ok(ImageProgress { layer, status, current: bytes(detail.current), total: bytes(detail.total) })
    }
}
