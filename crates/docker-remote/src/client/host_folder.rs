//! Files and folders of the host, through containers that are made for them and never run.

use std::{
    collections::BTreeMap,
    io::{self, Read as _},
};

use bollard::{
    body_full, body_try_stream,
    errors::Error as DaemonError,
    models::{ContainerCreateBody, HostConfig, Mount, MountType},
    query_parameters::{
        ContainerArchiveInfoOptionsBuilder, DownloadFromContainerOptionsBuilder, UploadToContainerOptionsBuilder,
    },
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, TryStreamExt as _, stream};

use super::{Client, temporary::Temporary};
use crate::Error;

/// An image without a program, whose containers [`Client::files_of_host`] makes.
pub const FOLDER_IMAGE: &str = "sdocker-nothing";

/// Its tag.
const TAG: &str = "1";

/// Where the folder is in the container.
const AT: &str = "/folder";

/// The bit of a folder in a mode as the daemon says it (Go's `fs.ModeDir`).
const IS_FOLDER: u32 = 1 << 31;

/// A file or a folder of the host, within reach of archives.
pub struct HostPath {
    client: Client,
    container: Temporary,
    path: String,
    is_folder: bool,
}

impl HostPath {
    /// Whether it is a folder.
    pub fn is_folder(&self) -> bool {
        self.is_folder
    }

    /// It as an archive (tar): what is in a folder, by paths in it; a file by any name.
    pub fn archive(&self) -> impl Stream<Item = Result<Bytes, Error>> + use<> {
        let path = if self.is_folder { format!("{AT}/.") } else { AT.to_owned() };
        let options = DownloadFromContainerOptionsBuilder::new().path(&path).build();
        let (client, attempted) = (self.client.clone(), format!("read {} of the host", self.path));
        let pieces = self.client.docker.download_from_container(self.container.id(), Some(options));
        pieces.map(move |piece| piece.map_err(client.failed(&attempted)))
    }

    /// Puts what an archive (tar) holds into the folder. Chunks are sent as they come, so that memory does not grow with the archive.
    ///
    /// # Cancel safety
    /// Dropped, or where the archive breaks off, some of it may be there, the last file in part.
    ///
    /// # Errors
    /// The daemon refuses, it is no folder, or the archive can't be read.
    pub async fn unpack(&self, archive: impl Stream<Item = io::Result<Bytes>> + Send + 'static) -> Result<(), Error> {
        // What is a folder on the way stays one.
        let options = UploadToContainerOptionsBuilder::new().path(AT).no_overwrite_dir_non_dir("true").build();
        let put = self.client.docker.upload_to_container(self.container.id(), Some(options), body_try_stream(archive));
        put.await.map_err(self.client.failed(&format!("write into {} of the host", self.path)))
    }

    /// Takes away what was made to reach it.
    ///
    /// # Cancel safety
    /// Dropped, it goes on in a task, for as long as the runtime does.
    ///
    /// # Errors
    /// The daemon does not answer.
    pub async fn close(self) -> Result<(), Error> {
        self.container.remove().await
    }
}

impl Client {
    /// A file or a folder of the host, by its path from the root; `None` where there is none.
    ///
    /// # Cancel safety
    /// Dropped, it removes its container, which never runs, in a task that goes on for as long as the runtime does.
    ///
    /// # Errors
    /// The daemon refuses.
    pub async fn host_path(&self, path: &str) -> Result<Option<HostPath>, Error> {
        let attempted = format!("look at {path} of the host");
        let container = match self.container_with(path, false).await {
            Ok(container) => container,
            Err(error) if is_missing(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        let options = ContainerArchiveInfoOptionsBuilder::new().path(AT).build();
        match self.short.get_container_archive_info(container.id(), Some(options)).await {
            Ok(found) => {
                let is_folder = found.file_mode & IS_FOLDER != 0;
                Ok(Some(HostPath { client: self.clone(), container, path: path.to_owned(), is_folder }))
            }
            Err(error) => {
                container.remove().await?;
                Err(self.failed(&attempted)(error))
            }
        }
    }

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
        let removed = container.remove().await;
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
        let removed = container.remove().await;
        written.map_err(self.failed(&attempted)).and(removed)
    }

    async fn container_with(&self, folder: &str, read_only: bool) -> Result<Temporary, Error> {
        let attempted = format!("look at {folder} of the host");
        let image = format!("{FOLDER_IMAGE}:{TAG}");
        if self.short.inspect_image(&image).await.is_err() {
            let nothing =
                archive_of("nothing", b"").map_err(|error| self.reported(attempted.clone(), error.to_string()))?;
            let nothing = stream::once(async { Ok(nothing.into()) });
            self.import(FOLDER_IMAGE, TAG, nothing).try_for_each(|_| async { Ok(()) }).await?;
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
}

/// Whether there is nothing at the source of a mount (moby, `volume/mounts`, `errBindSourceDoesNotExist`).
fn is_missing(error: &Error) -> bool {
    matches!(error, Error::Daemon { source, .. }
        if matches!(&**source, DaemonError::DockerResponseServerError { status_code: 400, message }
            if message.contains("bind source path does not exist")))
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
