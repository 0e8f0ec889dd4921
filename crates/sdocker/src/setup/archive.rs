//! A file from elsewhere, which is taken only if its checksum is the expected one.

use std::{
    fmt, fs,
    io::{self, Read as _, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::Command,
    str::FromStr,
};

use tempfile::NamedTempFile;

use crate::{Error, checksum::sha256, error::Context as _};

/// The largest file that is taken: Docker's archive has some 80 MB.
const LARGEST: u64 = 1 << 30;

/// A URL or a path, and the SHA-256 of what is there.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Source {
    /// An `https://` URL, or a path.
    pub location: String,
    /// Its SHA-256, in lower-case hexadecimal digits.
    pub sha256: String,
}

impl FromStr for Source {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (location, sha256) = text.rsplit_once("#sha256=").ok_or("expected URL#sha256=SUM")?;
        if location.is_empty() || sha256.len() != 64 || !sha256.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err("expected URL#sha256=SUM, with a sum of 64 hexadecimal digits".to_owned());
        }
        Ok(Self { location: location.to_owned(), sha256: sha256.to_lowercase() })
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.location)
    }
}

impl Source {
    /// Puts a program from there at a path: the file itself, or the member of that name in a `.tgz`.
    pub fn put(&self, member: Option<&str>, to: &Path) -> crate::Result<()> {
        let bytes = self.verified()?;
        let program = match member {
            Some(member) => unpacked(&bytes, member).with_context(|| format!("cannot unpack {}", self.location))?,
            None => bytes,
        };
        install(&program, to).with_context(|| format!("cannot write {}", to.display()))
    }

    fn verified(&self) -> crate::Result<Vec<u8>> {
        let file = self.location.strip_prefix("file://").unwrap_or(&self.location);
        let bytes = if file.contains("://") {
            // The program that every Studio image has speaks to whatever proxy and certificates the place asks for.
            let output = Command::new("curl").args(["-fsSL", "--retry", "3", "--", &self.location]).output();
            let output = output.context("cannot run curl")?;
            if !output.status.success() {
                let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
                return Err(Error::new(format!("cannot download {}: {why}", self.location)));
            }
            output.stdout
        } else {
            let read = whole_file::read(Path::new(file), LARGEST, whole_file::Links::Follow);
            read.with_context(|| format!("cannot read {}", self.location))?
        };
        let sum = sha256(&bytes);
        if sum != self.sha256 {
            let error = Error::new(format!("{} is not what was expected: its SHA-256 is {sum}", self.location));
            return Err(error.hint("nothing of it was installed; compare the checksum with its publisher's"));
        }
        Ok(bytes)
    }
}

/// The file of this name in an archive, whatever its folder.
fn unpacked(archive: &[u8], name: &str) -> io::Result<Vec<u8>> {
    for entry in tar::Archive::new(flate2::read::GzDecoder::new(archive)).entries()? {
        let mut entry = entry?;
        if entry.header().entry_type().is_file() && entry.path()?.file_name().is_some_and(|file| file == name) {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes)?;
            return Ok(bytes);
        }
    }
    Err(io::Error::new(io::ErrorKind::NotFound, format!("there is no {name} in it")))
}

/// Writes a program, whole or not at all.
pub fn install(program: &[u8], to: &Path) -> io::Result<()> {
    let folder = to.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(folder)?;
    let mut file = NamedTempFile::new_in(folder)?;
    file.write_all(program)?;
    file.as_file().set_permissions(fs::Permissions::from_mode(0o755))?;
    file.as_file().sync_all()?;
    file.persist(to)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &Path, bytes: &[u8]) -> Source {
        format!("{}#sha256={}", path.display(), sha256(bytes)).parse().expect("a source")
    }

    #[test]
    fn a_member_of_an_archive_is_placed_and_can_be_run() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut archive = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
        let program = b"#!/bin/sh\necho it runs\n";
        let mut header = tar::Header::new_gnu();
        header.set_size(program.len() as u64);
        archive.append_data(&mut header, "docker/docker", &program[..]).expect("added");
        let bytes = archive.into_inner().expect("done").finish().expect("done");
        let path = folder.path().join("docker.tgz");
        fs::write(&path, &bytes).expect("written");
        let to = folder.path().join("bin/docker");
        source(&path, &bytes).put(Some("docker"), &to).expect("placed");
        // Not by itself: a test beside this one may be starting a program, which holds the file open for writing until it has.
        assert_eq!(Command::new("sh").arg(&to).output().expect("it runs").stdout, b"it runs\n");
        let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&to).expect("there").permissions());
        assert_eq!(mode & 0o111, 0o111);
        let missing = source(&path, &bytes).put(Some("dockerd"), &to).expect_err("it is not there");
        assert!(format!("{missing:#}").contains("there is no dockerd in it"), "{missing:#}");
    }

    #[test]
    fn another_file_than_expected_is_not_used() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("docker-compose");
        fs::write(&path, "changed").expect("written");
        let to = folder.path().join("bin/docker-compose");
        let error = source(&path, b"expected").put(None, &to).expect_err("refused");
        assert!(error.to_string().contains("is not what was expected"), "{error}");
        assert!(!to.exists());
    }

    #[test]
    fn a_source_without_a_sum_is_refused() {
        for text in
            ["https://example.com/docker.tgz", "x#sha256=12", "#sha256=", &format!("#sha256={}", "a".repeat(64))]
        {
            assert!(text.parse::<Source>().is_err(), "{text}");
        }
    }
}
