//! A build context as a tar stream, made while it is read.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt as _,
    path::{Component, Path, PathBuf},
};

use bytes::Bytes;
use futures_util::Stream;

use super::{ignore_rules::IgnoreRules, written};

/// The archive of a folder. What can't be read ends the stream with an error, and with it the build.
pub(super) fn stream(folder: PathBuf, dockerfile: PathBuf) -> impl Stream<Item = io::Result<Bytes>> + Send {
    written(move |writer| archive(&folder, &dockerfile, writer)).0
}

/// A Dockerfile's path as it is in the archive: `./a/Dockerfile` is `a/Dockerfile`. The daemon refuses one that leads out of the folder.
pub(super) fn normal(dockerfile: &str) -> PathBuf {
    Path::new(dockerfile).components().filter(|component| !matches!(component, Component::CurDir)).collect()
}

fn archive(folder: &Path, dockerfile: &Path, writer: impl Write) -> io::Result<()> {
    let rules = IgnoreRules::read(folder, dockerfile)?;
    let mut archive = tar::Builder::new(writer);
    archive.follow_symlinks(false);
    add(&mut archive, folder, Path::new(""), &rules)?;
    archive.into_inner()?.flush()
}

fn add(archive: &mut tar::Builder<impl Write>, root: &Path, below: &Path, rules: &IgnoreRules) -> io::Result<()> {
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
        } else if !ignored && kind.is_symlink() {
            archive.append_path_with_name(entry.path(), &path).map_err(|error| named(error, &entry.path()))?;
        } else if !ignored && kind.is_file() {
            // Sockets, pipes and devices can't be part of an image's files.
            add_file(archive, &entry.path(), &path).map_err(|error| named(error, &entry.path()))?;
        }
    }
    Ok(())
}

/// A file with as many bytes as its header says, although it may be written to meanwhile: more would be taken for the next entry's header.
fn add_file(archive: &mut tar::Builder<impl Write>, file: &Path, path: &Path) -> io::Result<()> {
    // What is no longer a regular file is neither followed nor waited for.
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let file = File::options().read(true).custom_flags(flags.bits().cast_signed()).open(file)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("it was replaced while the folder was read"));
    }
    let mut header = tar::Header::new_gnu();
    header.set_metadata(&metadata);
    let mut bytes = file.take(metadata.len());
    archive.append_data(&mut header, path, &mut bytes)?;
    match bytes.limit() {
        0 => Ok(()),
        missing => Err(io::Error::other(format!("it became {missing} bytes shorter while it was read"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of a file in `/proc` the system says that it is empty, and lets more be read; one in `/sys` is shorter than it is said to be. Both
    /// are what a file looks like that changes between the two looks.
    #[test]
    fn a_file_that_changes_while_it_is_read_shifts_nothing() {
        let mut archive = tar::Builder::new(Vec::new());
        add_file(&mut archive, Path::new("/proc/self/status"), Path::new("grows")).expect("added");
        let next = tempfile::NamedTempFile::new().expect("made");
        fs::write(next.path(), "next").expect("written");
        add_file(&mut archive, next.path(), Path::new("next")).expect("added");
        let bytes = archive.into_inner().expect("ended");
        let mut found = Vec::new();
        for entry in tar::Archive::new(bytes.as_slice()).entries().expect("an archive") {
            let mut entry = entry.expect("an entry");
            let mut text = String::new();
            entry.read_to_string(&mut text).expect("text");
            found.push((entry.path().expect("a path").into_owned(), text));
        }
        assert_eq!(found, [("grows".into(), String::new()), ("next".into(), "next".to_owned())]);

        let shrinks = Path::new("/sys/class/net/lo/mtu");
        let mut archive = tar::Builder::new(Vec::new());
        let error = add_file(&mut archive, shrinks, Path::new("shrinks")).expect_err("shorter than it is said to be");
        assert!(error.to_string().contains("shorter"), "{error}");
    }

    #[test]
    fn a_dockerfile_is_found_by_any_spelling_and_always_sent() {
        let folder = tempfile::tempdir().expect("made");
        fs::create_dir(folder.path().join("a")).expect("made");
        for (name, text) in [
            ("a/Dockerfile", "FROM scratch"),
            ("a/Dockerfile.dockerignore", "*\n!kept"),
            (".dockerignore", "kept"),
            ("kept", ""),
            ("other", ""),
        ] {
            fs::write(folder.path().join(name), text).expect("written");
        }
        for spelling in ["a/Dockerfile", "./a/Dockerfile", "a/./Dockerfile", "a//Dockerfile"] {
            let dockerfile = normal(spelling);
            assert_eq!(dockerfile, Path::new("a/Dockerfile"), "{spelling}");
            let mut bytes = Vec::new();
            archive(folder.path(), &dockerfile, &mut bytes).expect("archived");
            let mut archive = tar::Archive::new(bytes.as_slice());
            let paths = archive
                .entries()
                .expect("an archive")
                .map(|entry| entry.expect("an entry").path().expect("a path").into_owned());
            let expected: [PathBuf; 3] = ["a/Dockerfile".into(), "a/Dockerfile.dockerignore".into(), "kept".into()];
            assert_eq!(paths.collect::<Vec<_>>(), expected, "{spelling}");
        }
    }
}
