//! What the targets have in common: a folder in memory, emptied for each input.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::OnceLock,
};

/// An empty folder, always the same one.
pub fn empty_folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        // In memory, where there is such a place: thousands of inputs a second are written.
        let memory = Path::new("/dev/shm");
        let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        made.expect("a temporary folder").keep()
    });
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => panic!("cannot empty {}: {error}", folder.display()),
        _ => fs::create_dir(folder).expect("made"),
    }
    folder
}

/// Writes a file, with the folders above it.
pub fn put(path: &Path, bytes: &[u8]) {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).expect("made");
    }
    fs::write(path, bytes).expect("written");
}

/// An input in two parts, parted by its first 0xff: a byte that no UTF-8 text holds.
pub fn in_two(input: &[u8]) -> (&[u8], &[u8]) {
    match input.iter().position(|byte| *byte == 0xff) {
        Some(at) => (&input[..at], &input[at + 1..]),
        None => (input, &[]),
    }
}
