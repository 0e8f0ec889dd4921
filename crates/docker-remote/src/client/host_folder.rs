//! A folder of the host, through containers that are made for it and never run.

use std::{
    collections::BTreeMap,
    io::{self, Read as _},
};

use bollard::{
    body_full,
    errors::Error as DaemonError,
    models::{ContainerCreateBody, HostConfig, Mount, MountType},
    query_parameters::{
        DownloadFromContainerOptionsBuilder, RemoveContainerOptionsBuilder, UploadToContainerOptionsBuilder,
    },
};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::{Client, temporary::Temporary};
use crate::Error;

/// An image without a program.
const IMAGE: (&str, &str) = ("sdocker-nothing", "1");

/// Where the folder is in the container.
const AT: &str = "/folder";

impl Client {
    /// The files below a folder of the host, by their paths in it. `most` is how many bytes they may have, in all.
    ///
    /// # Cancel safety
    /// Dropped, it removes its container, which never runs, in a task that goes on for as long as the runtime does.
    ///
    /// # Errors
    /// The daemon refuses, or there is no such folder; there is more than was asked for.
    pub async fn files_of_host(&self, folder: &str, most: usize) -> Result<BTreeMap<String, Vec<u8>>, Error> {
        let attempted = format!("read {folder} of the host");
        let container = self.container_with(folder, true).await?;
        let options = DownloadFromContainerOptionsBuilder::new().path(AT).build();
        let mut archive = Vec::new();
        let read = async {
            let mut pieces = std::pin::pin!(self.docker.download_from_container(container.id(), Some(options)));
            while let Some(piece) = pieces.next().await {
                archive.extend_from_slice(&piece.map_err(self.failed(&attempted))?);
                if archive.len() > most {
                    return Err(self.reported(attempted.clone(), "there is more than there should be"));
                }
            }
            Ok(())
        };
        let read = read.await;
        let removed = self.remove(container).await;
        read.and(removed)?;
        files(&archive).map_err(|error| self.reported(attempted, error.to_string()))
    }

    /// Writes a file into a folder of the host, whole, for everybody to read.
    ///
    /// # Cancel safety
    /// Dropped, the file may be there whole, in part, or not at all; written again, it is whole. The container goes as that of
    /// [`files_of_host`](Self::files_of_host) does.
    ///
    /// # Errors
    /// The daemon refuses, or there is no such folder.
    pub async fn write_to_host(&self, folder: &str, name: &str, text: &[u8]) -> Result<(), Error> {
        let attempted = format!("write {folder}/{name} of the host");
        let archive = archive_of(name, text).map_err(|error| self.reported(attempted.clone(), error.to_string()))?;
        let container = self.container_with(folder, false).await?;
        let options = UploadToContainerOptionsBuilder::new().path(AT).build();
        let written = self.short.upload_to_container(container.id(), Some(options), body_full(archive.into())).await;
        let removed = self.remove(container).await;
        written.map_err(self.failed(&attempted)).and(removed)
    }

    async fn container_with(&self, folder: &str, read_only: bool) -> Result<Temporary, Error> {
        let attempted = format!("look at {folder} of the host");
        let (name, tag) = IMAGE;
        let image = format!("{name}:{tag}");
        if self.short.inspect_image(&image).await.is_err() {
            let nothing =
                archive_of("nothing", b"").map_err(|error| self.reported(attempted.clone(), error.to_string()))?;
            let nothing = stream::once(async { Ok(nothing.into()) });
            self.import(name, tag, nothing).try_for_each(|_| async { Ok(()) }).await?;
        }
        // As a mount, which makes no folder where there is none.
        let mount = Mount {
            typ: Some(MountType::BIND),
            source: Some(folder.to_owned()),
            target: Some(AT.to_owned()),
            read_only: Some(read_only),
            ..Mount::default()
        };
        let container = ContainerCreateBody {
            image: Some(image),
            cmd: Some(vec!["nothing".to_owned()]),
            host_config: Some(HostConfig { mounts: Some(vec![mount]), ..HostConfig::default() }),
            ..ContainerCreateBody::default()
        };
        Temporary::create(self, None, container, &attempted).await
    }

    async fn remove(&self, container: Temporary) -> Result<(), Error> {
        let options = RemoveContainerOptionsBuilder::new().force(true).build();
        let removed = self.short.remove_container(container.id(), Some(options)).await;
        let id = container.id().to_owned();
        container.removed();
        match removed {
            // Somebody else removes everything.
            Ok(()) | Err(DaemonError::DockerResponseServerError { status_code: 404 | 409, .. }) => Ok(()),
            Err(error) => Err(self.failed(&format!("remove container {id}"))(error)),
        }
    }
}

fn archive_of(name: &str, text: &[u8]) -> io::Result<Vec<u8>> {
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o644);
    header.set_size(text.len() as u64);
    let mut archive = tar::Builder::new(Vec::new());
    archive.append_data(&mut header, name, text)?;
    archive.into_inner()
}

/// The regular files of an archive, without the folder that they are all in.
fn files(archive: &[u8]) -> io::Result<BTreeMap<String, Vec<u8>>> {
    let mut files = BTreeMap::new();
    for entry in tar::Archive::new(archive).entries()? {
        let mut entry = entry?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let path: std::path::PathBuf = entry.path()?.components().skip(1).collect();
        let mut text = Vec::new();
        entry.read_to_end(&mut text)?;
        files.insert(path.to_string_lossy().into_owned(), text);
    }
    Ok(files)
}
