//! Files here as an archive, and back. Neither side is held in memory.

use std::{
    fs::{self, File, Permissions},
    io::{self, Read, Write},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use futures_util::Stream;
use serde::Serialize;
use tar::{Archive, Builder, EntryType, Header};
use tempfile::NamedTempFile;
use tokio::{
    sync::mpsc::{self, Receiver, Sender},
    task::JoinHandle,
};

/// How many pieces may be on their way.
const PIECES: usize = 4;

/// How much was copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Amount {
    /// Files, links included.
    pub files: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// What can't be copied: devices, sockets and pipes.
    #[serde(skip)]
    pub left_out: u64,
}

/// What takes the pieces of an archive, and writes what it holds to a path. It ends when they do.
pub(super) fn taken(is_folder: bool, target: &Path) -> (Sender<Bytes>, JoinHandle<io::Result<Amount>>) {
    let (sender, pieces) = mpsc::channel(PIECES);
    let target = target.to_owned();
    let archive = Pieces { pieces, now: Bytes::new() };
    let taken = tokio::task::spawn_blocking(move || {
        if is_folder { unpack_folder(archive, &target) } else { unpack_file(archive, &target) }
    });
    (sender, taken)
}

/// A file or a folder as an archive of one name, and how much went into it.
pub(super) fn given(
    source: &Path,
    name: &str,
) -> (impl Stream<Item = io::Result<Bytes>> + Send + use<>, JoinHandle<io::Result<Amount>>) {
    let (source, name) = (source.to_owned(), PathBuf::from(name));
    docker_remote::written(move |writer| {
        let mut archive = Builder::new(writer);
        let mut amount = Amount::default();
        pack(&mut archive, &source, &name, &mut amount)?;
        archive.finish()?;
        Ok(amount)
    })
}

/// Files become the host's root's, as `scp` to root makes them.
fn pack(archive: &mut Builder<impl Write>, path: &Path, name: &Path, amount: &mut Amount) -> io::Result<()> {
    let of = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    let metadata = fs::symlink_metadata(path).map_err(of)?;
    let mut header = Header::new_gnu();
    header.set_metadata(&metadata);
    header.set_uid(0);
    header.set_gid(0);
    if metadata.is_dir() {
        archive.append_data(&mut header, name, io::empty())?;
        for entry in fs::read_dir(path).map_err(of)? {
            let entry = entry.map_err(of)?;
            pack(archive, &entry.path(), &name.join(entry.file_name()), amount)?;
        }
    } else if metadata.is_symlink() {
        amount.files += 1;
        archive.append_link(&mut header, name, fs::read_link(path).map_err(of)?)?;
    } else if metadata.is_file() {
        // As much as it had: one that grows makes no archive that is broken.
        let mut bytes = File::open(path).map_err(of)?.take(metadata.len());
        amount.files += 1;
        amount.bytes += metadata.len();
        archive.append_data(&mut header, name, &mut bytes).map_err(of)?;
        if bytes.limit() > 0 {
            return Err(of(io::Error::other("it became shorter while it was read")));
        }
    } else {
        amount.left_out += 1;
    }
    Ok(())
}

fn unpack_file(archive: impl Read, target: &Path) -> io::Result<Amount> {
    let mut archive = Archive::new(archive);
    let mut entry = archive.entries()?.next().ok_or(io::ErrorKind::UnexpectedEof)??;
    if !entry.header().entry_type().is_file() {
        return Ok(Amount { left_out: 1, ..Amount::default() });
    }
    let folder = match target.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let mut file = NamedTempFile::new_in(folder)?;
    let bytes = io::copy(&mut entry, &mut file)?;
    if bytes < entry.size() {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the archive is cut off"));
    }
    file.as_file().set_permissions(Permissions::from_mode(entry.header().mode()? & 0o777))?;
    file.persist(target)?;
    Ok(Amount { files: 1, bytes, left_out: 0 })
}

/// Whoever rules the host wrote the archive: nothing of it is put outside of the folder, nor given an owner ([`tar::Entry::unpack_in`]).
fn unpack_folder(archive: impl Read, target: &Path) -> io::Result<Amount> {
    fs::create_dir(target).or_else(|error| if target.is_dir() { Ok(()) } else { Err(error) })?;
    let mut amount = Amount::default();
    let mut folders = Vec::new();
    for entry in Archive::new(archive).entries()? {
        let mut entry = entry?;
        match entry.header().entry_type() {
            // What can't be written into is made so at the end.
            EntryType::Directory => {
                let mode = entry.header().mode()? & 0o777;
                let path = entry.path()?.into_owned();
                if entry.unpack_in(target)? {
                    fs::set_permissions(target.join(&path), Permissions::from_mode(mode | 0o700))?;
                    folders.push((path, mode));
                }
            }
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                amount.bytes += entry.size();
                amount.files += u64::from(entry.unpack_in(target)?);
            }
            EntryType::Symlink | EntryType::Link => amount.files += u64::from(entry.unpack_in(target)?),
            _ => amount.left_out += 1,
        }
    }
    for (path, mode) in folders.into_iter().rev() {
        fs::set_permissions(target.join(path), Permissions::from_mode(mode))?;
    }
    Ok(amount)
}

/// The pieces of an archive, to be read where it may block.
struct Pieces {
    pieces: Receiver<Bytes>,
    now: Bytes,
}

impl Read for Pieces {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.now.is_empty() {
            match self.pieces.blocking_recv() {
                Some(next) => self.now = next,
                None => return Ok(0),
            }
        }
        let count = self.now.len().min(into.len());
        into[..count].copy_from_slice(&self.now.split_to(count));
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn packed(source: &Path, name: &str) -> (Vec<u8>, Amount) {
        let mut archive = Builder::new(Vec::new());
        let mut amount = Amount::default();
        pack(&mut archive, source, Path::new(name), &mut amount).expect("packed");
        (archive.into_inner().expect("whole"), amount)
    }

    #[test]
    fn a_folder_comes_as_it_was() {
        let folder = tempfile::tempdir().expect("made");
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        fs::create_dir_all(from.join("closed")).expect("made");
        fs::write(from.join("closed/run"), "#!/bin/sh\n").expect("written");
        fs::set_permissions(from.join("closed/run"), Permissions::from_mode(0o755)).expect("set");
        fs::set_permissions(from.join("closed"), Permissions::from_mode(0o555)).expect("set");
        symlink("closed/run", from.join("link")).expect("made");
        let (archive, amount) = packed(&from, ".");
        assert_eq!(amount, Amount { files: 2, bytes: 10, left_out: 0 });
        assert_eq!(unpack_folder(archive.as_slice(), &to).expect("unpacked"), amount);
        let mode = |path: &str| fs::metadata(to.join(path)).expect("there").permissions().mode() & 0o777;
        assert_eq!((mode("closed/run"), mode("closed")), (0o755, 0o555));
        assert_eq!(fs::read_to_string(to.join("link")).expect("read"), "#!/bin/sh\n");
        // Over what is there.
        assert_eq!(unpack_folder(archive.as_slice(), &to).expect("unpacked"), amount);
        for closed in [from.join("closed"), to.join("closed")] {
            fs::set_permissions(closed, Permissions::from_mode(0o755)).expect("set");
        }
    }

    #[test]
    fn nothing_is_put_outside() {
        let folder = tempfile::tempdir().expect("made");
        let to = folder.path().join("to");
        let mut archive = Builder::new(Vec::new());
        let mut link = Header::new_gnu();
        link.set_entry_type(EntryType::Symlink);
        link.set_size(0);
        archive.append_link(&mut link, "out", folder.path()).expect("added");
        let mut header = Header::new_gnu();
        header.set_size(1);
        header.set_mode(0o644);
        archive.append_data(&mut header, "out/escaped", &b"x"[..]).expect("added");
        let archive = archive.into_inner().expect("whole");
        let refused = unpack_folder(archive.as_slice(), &to).expect_err("refused");
        assert!(!folder.path().join("escaped").exists(), "{refused}");
    }

    #[test]
    fn a_file_takes_the_place_of_another_whole_or_not_at_all() {
        let folder = tempfile::tempdir().expect("made");
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        fs::write(&from, "new").expect("written");
        fs::write(&to, "old").expect("written");
        let (archive, amount) = packed(&from, "any");
        unpack_file(&archive[..513], &to).expect_err("it breaks off");
        assert_eq!(fs::read_to_string(&to).expect("read"), "old");
        assert_eq!(unpack_file(archive.as_slice(), &to).expect("unpacked"), amount);
        assert_eq!(fs::read_to_string(&to).expect("read"), "new");
        assert_eq!(fs::read_dir(folder.path()).expect("read").count(), 2);
    }
}
