//! Files and folders of the host, through containers that are made for them and never run.

use std::{
    collections::BTreeMap,
    io::{self, Read as _},
    time::Duration,
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
use tokio::time::{Instant, timeout_at};

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
    /// Dropped, or where the archive is cut off, some of it may be there, the last file in part.
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
        let attempted = look_at(path);
        self.ensure_folder_image(&attempted).await?;
        let container = match Temporary::create(self, None, container_with(path, false), &attempted).await {
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
                // This error says more than one of the removal would.
                let _ = container.remove().await;
                Err(self.failed(&attempted)(error))
            }
        }
    }

    /// The files below a folder of the host, by their paths in it. `most` is how many bytes they may have, in all, and `within` how long the daemon
    /// has for them; it has some seconds more to remove the container that they are read through.
    ///
    /// # Cancel safety
    /// Dropped, it removes its container, which never runs, in a task that goes on for as long as the runtime does. So a time limit belongs in
    /// `within`, and not around it.
    ///
    /// # Errors
    /// The daemon refuses, or does not do it in time; there is no such folder, or more in it than was asked for.
    pub async fn files_of_host(
        &self,
        folder: &str,
        most: usize,
        within: Duration,
    ) -> Result<BTreeMap<String, Vec<u8>>, Error> {
        let attempted = &format!("read {folder} of the host");
        let read = async |container: String| {
            let options = DownloadFromContainerOptionsBuilder::new().path(AT).build();
            let mut pieces = std::pin::pin!(self.docker.download_from_container(&container, Some(options)));
            let mut archive = Vec::new();
            while let Some(piece) = pieces.next().await {
                archive.extend_from_slice(&piece.map_err(self.failed(attempted))?);
                if archive.len() > most {
                    return Err(self.reported(attempted, "there is more than there should be"));
                }
            }
            Ok(archive)
        };
        let archive = self.in_folder(folder, true, attempted, within, read).await?;
        files(&archive).map_err(|error| self.reported(attempted, error.to_string()))
    }

    /// Writes a file into a folder of the host, whole, for everybody to read, `within` this time; the daemon has some seconds more to remove the
    /// container that it is written through.
    ///
    /// # Cancel safety
    /// Dropped, the file may be there whole, in part, or not at all; written again, it is whole. The container goes as that of
    /// [`files_of_host`](Self::files_of_host) does.
    ///
    /// # Errors
    /// The daemon refuses, or does not do it in time; there is no such folder.
    pub async fn write_to_host(&self, folder: &str, name: &str, text: &[u8], within: Duration) -> Result<(), Error> {
        let attempted = &format!("write {folder}/{name} of the host");
        let archive = archive_of(name, text).map_err(|error| self.reported(attempted, error.to_string()))?;
        let write = async |container: String| {
            let options = UploadToContainerOptionsBuilder::new().path(AT).build();
            let written = self.short.upload_to_container(&container, Some(options), body_full(archive.into())).await;
            written.map_err(self.failed(attempted))
        };
        self.in_folder(folder, false, attempted, within, write).await
    }

    /// Does work with a container that has a folder of the host; all of it within this time, but for the container's removal.
    async fn in_folder<T, Working: Future<Output = Result<T, Error>>>(
        &self,
        folder: &str,
        read_only: bool,
        attempted: &str,
        within: Duration,
        work: impl FnOnce(String) -> Working,
    ) -> Result<T, Error> {
        let by = Instant::now() + within;
        let looks = look_at(folder);
        let done = match timeout_at(by, self.ensure_folder_image(&looks)).await {
            Ok(is_there) => {
                is_there?;
                Temporary::with(self, container_with(folder, read_only), &looks, by, work).await?
            }
            Err(_) => None,
        };
        done.ok_or_else(|| {
            self.reported(attempted, format!("the daemon did not do it within {} s", within.as_secs_f32()))
        })
    }

    async fn ensure_folder_image(&self, attempted: &str) -> Result<(), Error> {
        if self.short.inspect_image(&image()).await.is_ok() {
            return Ok(());
        }
        let nothing = archive_of("nothing", b"").map_err(|error| self.reported(attempted, error.to_string()))?;
        let nothing = stream::once(async { Ok(nothing.into()) });
        self.import(FOLDER_IMAGE, TAG, nothing).try_for_each(|_| async { Ok(()) }).await
    }
}

fn look_at(path: &str) -> String {
    format!("look at {path} of the host")
}

fn image() -> String {
    format!("{FOLDER_IMAGE}:{TAG}")
}

/// A container with a file or a folder of the host, as a mount, which makes no folder where there is none.
fn container_with(path: &str, read_only: bool) -> ContainerCreateBody {
    let mount = Mount {
        typ: Some(MountType::BIND),
        source: Some(path.to_owned()),
        target: Some(AT.to_owned()),
        read_only: Some(read_only),
        ..Mount::default()
    };
    ContainerCreateBody {
        image: Some(image()),
        cmd: Some(vec!["nothing".to_owned()]),
        host_config: Some(HostConfig { mounts: Some(vec![mount]), ..HostConfig::default() }),
        ..ContainerCreateBody::default()
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
