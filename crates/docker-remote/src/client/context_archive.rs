//! A build context as a tar stream, made while it is read.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use bytes::Bytes;
use futures_util::Stream;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::ignore_rules::IgnoreRules;

/// How much is sent at a time, and how many such chunks wait to be sent at most: together a few MiB, however large the folder.
const CHUNK: usize = 256 * 1024;
const WAITING: usize = 8;

/// The archive of a folder. What can't be read ends the stream with an error, and with it the build.
pub(super) fn stream(folder: PathBuf, dockerfile: String) -> impl Stream<Item = io::Result<Bytes>> + Send {
    let (sender, receiver) = mpsc::channel(WAITING);
    tokio::task::spawn_blocking(move || {
        let chunks = Chunks { sender: sender.clone(), buffer: Vec::with_capacity(CHUNK) };
        if let Err(error) = archive(&folder, &dockerfile, chunks) {
            // The receiver is gone where the build was given up, and then nobody asks.
            let _ = sender.blocking_send(Err(error));
        }
    });
    ReceiverStream::new(receiver)
}

fn archive(folder: &Path, dockerfile: &str, chunks: Chunks) -> io::Result<()> {
    let rules = IgnoreRules::read(folder, dockerfile)?;
    let mut archive = tar::Builder::new(chunks);
    archive.follow_symlinks(false);
    add(&mut archive, folder, Path::new(""), &rules)?;
    archive.into_inner()?.flush()
}

fn add(archive: &mut tar::Builder<Chunks>, root: &Path, below: &Path, rules: &IgnoreRules) -> io::Result<()> {
    let folder = root.join(below);
    let named = |error: io::Error, path: &Path| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    let mut entries: Vec<_> = fs::read_dir(&folder)
        .and_then(Iterator::collect::<io::Result<Vec<_>>>)
        .map_err(|error| named(error, &folder))?;
    // Sorted, so that the same folder gives the same archive.
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = below.join(entry.file_name());
        let kind = entry.file_type().map_err(|error| named(error, &entry.path()))?;
        let ignored = rules.ignores(&path);
        if kind.is_dir() {
            if !ignored {
                archive.append_path_with_name(entry.path(), &path).map_err(|error| named(error, &entry.path()))?;
            }
            if !ignored || rules.may_except_below(&path) {
                add(archive, root, &path, rules)?;
            }
        } else if !ignored && (kind.is_file() || kind.is_symlink()) {
            // Sockets, pipes and devices can't be part of an image's files.
            archive.append_path_with_name(entry.path(), &path).map_err(|error| named(error, &entry.path()))?;
        }
    }
    Ok(())
}

/// Collects what is written into chunks, and waits while too many of them are unsent.
struct Chunks {
    sender: mpsc::Sender<io::Result<Bytes>>,
    buffer: Vec<u8>,
}

impl Write for Chunks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= CHUNK {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let chunk = std::mem::replace(&mut self.buffer, Vec::with_capacity(CHUNK));
        let given_up = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        self.sender.blocking_send(Ok(chunk.into())).map_err(given_up)
    }
}
