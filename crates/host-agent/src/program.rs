//! A program as files: itself, and the libraries that it needs.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};

use crate::Error;

/// A program that can be put on a host of the same kind.
#[derive(Clone, Debug)]
pub struct Program {
    executable: PathBuf,
    /// Names, as the loader asks for them, and their files.
    libraries: BTreeMap<String, PathBuf>,
    /// The loader, where the program is linked to libraries.
    loader: Option<String>,
}

/// Where libraries are in the image. The loader is told so, so that the host's own places don't matter.
const LIBRARIES: &str = "lib";

impl Program {
    /// This process's own program.
    ///
    /// # Errors
    /// `/proc` can't be read.
    pub fn running() -> Result<Self, Error> {
        // The link, not what it leads to: that file may have been replaced since.
        let executable = PathBuf::from("/proc/self/exe");
        let failed = |path: &str| {
            let path = path.into();
            move |source| Error::Program { path, source }
        };
        let own = fs::metadata(&executable).map_err(failed("/proc/self/exe"))?;
        let maps = fs::read_to_string("/proc/self/maps").map_err(failed("/proc/self/maps"))?;
        let mut libraries = BTreeMap::new();
        for path in mapped_code(&maps) {
            if fs::metadata(&path).is_ok_and(|found| (found.dev(), found.ino()) == (own.dev(), own.ino())) {
                continue;
            }
            for name in names(&path).map_err(|source| Error::Program { path: path.clone(), source })? {
                libraries.insert(name, path.clone());
            }
        }
        let loader = libraries.keys().find(|name| name.starts_with("ld-linux")).cloned();
        Ok(Self { executable, libraries, loader })
    }

    /// What tells this program from another, without reading all of it.
    pub(crate) fn fingerprint(&self) -> Result<String, Error> {
        let mut hash = Sha256::new();
        for path in std::iter::once(&self.executable).chain(self.libraries.values()) {
            let found = fs::metadata(path).map_err(|source| Error::Program { path: path.clone(), source })?;
            hash.update(format!("{}.{}.{}.{}\n", found.len(), found.mtime(), found.mtime_nsec(), found.ino()));
        }
        Ok(hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect())
    }

    /// What is run in the image, before arguments.
    pub fn entry_point(&self) -> Vec<String> {
        let loaded = self.loader.iter().flat_map(|loader| {
            [format!("/{LIBRARIES}/{loader}"), "--library-path".to_owned(), format!("/{LIBRARIES}")]
        });
        loaded.chain(["/sdocker".to_owned()]).collect()
    }

    /// Writes the image's files.
    pub(crate) fn archive(&self, writer: impl io::Write) -> io::Result<()> {
        let mut archive = tar::Builder::new(writer);
        archive.follow_symlinks(true);
        for folder in [LIBRARIES, "proc", "dev", "sys", "tmp"] {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(tar::EntryType::Directory);
            header.set_mode(0o755);
            header.set_size(0);
            archive.append_data(&mut header, folder, io::empty())?;
        }
        let files = self.libraries.iter().map(|(name, path)| (Path::new(LIBRARIES).join(name), path));
        for (name, path) in files.chain([(PathBuf::from("sdocker"), &self.executable)]) {
            let mut file = fs::File::open(path)?;
            let mut header = tar::Header::new_gnu();
            header.set_mode(0o755);
            header.set_size(file.metadata()?.len());
            archive.append_data(&mut header, name, &mut file)?;
        }
        archive.into_inner()?.flush()
    }
}

/// The files of which a process executes something (proc_pid_maps(5)).
fn mapped_code(maps: &str) -> BTreeSet<PathBuf> {
    let line = |line: &str| {
        let mut fields = line.split_whitespace();
        let is_code = fields.nth(1).is_some_and(|mode| mode.contains('x'));
        let path = line.find('/').map(|at| PathBuf::from(&line[at..]));
        path.filter(|path| is_code && path.is_file())
    };
    maps.lines().filter_map(line).collect()
}

/// The names of a library: its file's, and those of links beside it, by one of which programs ask for it.
fn names(library: &Path) -> io::Result<BTreeSet<String>> {
    let file_name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
    let mut names: BTreeSet<String> = file_name(library).into_iter().collect();
    for beside in fs::read_dir(library.parent().unwrap_or(library))? {
        let path = beside?.path();
        if path.is_symlink() && fs::canonicalize(&path).is_ok_and(|target| target == library) {
            names.extend(file_name(&path));
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_itself_and_its_libraries() {
        let program = Program::running().expect("readable");
        // Tests are linked to the C library.
        assert!(program.libraries.keys().any(|name| name.starts_with("libc.")), "{program:?}");
        assert!(program.loader.is_some(), "{program:?}");
        assert_eq!(program.fingerprint().expect("readable"), program.fingerprint().expect("readable"));
        let mut archive = Vec::new();
        program.archive(&mut archive).expect("written");
        let mut archive = tar::Archive::new(archive.as_slice());
        let names = archive.entries().expect("an archive").map(|entry| {
            entry.and_then(|entry| entry.path().map(|path| path.to_string_lossy().into_owned())).expect("a path")
        });
        let names: Vec<String> = names.collect();
        assert!(names.contains(&"sdocker".to_owned()) && names.contains(&"lib/libc.so.6".to_owned()), "{names:?}");
    }
}
