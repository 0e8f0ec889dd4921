//! Random operations on a share and on a folder of this machine: both must give the same answers and end with the same files, whatever the
//! order.
//!
//! `SHARE_SECONDS` says for how long, `SHARE_SEED` with which numbers; without it, other ones each time, which a failure names.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rustix::{
    fs::{CWD, FallocateFlags, RenameFlags},
    io::Errno,
};

use super::mounted::mounted;

/// A generator of numbers (xorshift64*), small and the same everywhere.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % end
    }

    /// One of few paths, so that operations meet.
    fn path(&mut self) -> PathBuf {
        let mut path = PathBuf::new();
        for _ in 0..=self.below(3) {
            path.push(["a", "b", "c", "d"][usize::try_from(self.below(4)).expect("small")]);
        }
        path
    }
}

#[derive(Clone, Debug)]
enum Operation {
    Write(PathBuf, u64, Vec<u8>),
    Append(PathBuf, Vec<u8>),
    Open(PathBuf),
    WriteOpen(usize, u64, Vec<u8>),
    ReadOpen(usize),
    Close(usize),
    Read(PathBuf),
    Truncate(PathBuf, u64),
    Punch(PathBuf, u64, u64),
    MakeFolder(PathBuf),
    RemoveFolder(PathBuf),
    Remove(PathBuf),
    Rename(PathBuf, PathBuf),
    Exchange(PathBuf, PathBuf),
    Link(PathBuf, PathBuf),
    SymLink(PathBuf, PathBuf),
    Mode(PathBuf, u32),
    Status(PathBuf),
    List(PathBuf),
}

impl Operation {
    fn random(numbers: &mut Numbers) -> Self {
        let data = |numbers: &mut Numbers| {
            let byte = u8::try_from(numbers.below(256)).expect("small");
            vec![byte; usize::try_from(numbers.below(20_000)).expect("small")]
        };
        let open = |numbers: &mut Numbers| usize::try_from(numbers.below(6)).expect("small");
        match numbers.below(22) {
            0..3 => Self::Write(numbers.path(), numbers.below(30_000), data(numbers)),
            3 => Self::Append(numbers.path(), data(numbers)),
            4 => Self::Open(numbers.path()),
            5 => Self::WriteOpen(open(numbers), numbers.below(30_000), data(numbers)),
            6 => Self::ReadOpen(open(numbers)),
            7 => Self::Close(open(numbers)),
            8 => Self::Read(numbers.path()),
            9 => Self::Truncate(numbers.path(), numbers.below(40_000)),
            10 => Self::Punch(numbers.path(), numbers.below(20_000), 1 + numbers.below(20_000)),
            11..13 => Self::MakeFolder(numbers.path()),
            13 => Self::RemoveFolder(numbers.path()),
            14 => Self::Remove(numbers.path()),
            15 => Self::Rename(numbers.path(), numbers.path()),
            16 => Self::Exchange(numbers.path(), numbers.path()),
            17 => Self::Link(numbers.path(), numbers.path()),
            18 => Self::SymLink(numbers.path(), numbers.path()),
            19 => Self::Mode(numbers.path(), u32::try_from(numbers.below(0o1000)).expect("small") | 0o700),
            20 => Self::Status(numbers.path()),
            _ => Self::List(numbers.path()),
        }
    }
}

/// A folder, and files that are open in it.
struct Side {
    root: PathBuf,
    open: Vec<Option<File>>,
}

impl Side {
    /// What an operation gives.
    fn perform(&mut self, operation: &Operation) -> Result<String, Errno> {
        self.attempt(operation).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
    }

    fn at(&self, path: &Path) -> PathBuf {
        self.root.join(path)
    }

    fn attempt(&mut self, operation: &Operation) -> io::Result<String> {
        let handle = |open: &[Option<File>], at: usize| match open.get(at) {
            Some(Some(file)) => file.try_clone(),
            _ => Err(Errno::BADF.into()),
        };
        let writable = |path: PathBuf| File::options().write(true).open(path);
        match operation {
            Operation::Write(path, at, data) => {
                let file = File::options().write(true).create(true).truncate(false).open(self.at(path))?;
                file.write_all_at(data, *at)?;
            }
            Operation::Append(path, data) => {
                io::Write::write_all(&mut File::options().append(true).create(true).open(self.at(path))?, data)?;
            }
            Operation::Open(path) => {
                let file = File::options().read(true).write(true).open(self.at(path))?;
                self.open.truncate(5);
                self.open.insert(0, Some(file));
            }
            Operation::WriteOpen(at, offset, data) => handle(&self.open, *at)?.write_all_at(data, *offset)?,
            Operation::ReadOpen(at) => {
                let file = handle(&self.open, *at)?;
                let found = file.metadata()?;
                let mut text = vec![0; usize::try_from(found.len()).unwrap_or_default()];
                file.read_exact_at(&mut text, 0)?;
                return Ok(format!("{} {} {}", found.nlink(), text.len(), digest(&text)));
            }
            Operation::Close(at) => {
                if let Some(open) = self.open.get_mut(*at) {
                    *open = None;
                }
            }
            Operation::Read(path) => {
                let text = fs::read(self.at(path))?;
                return Ok(format!("{} {}", text.len(), digest(&text)));
            }
            Operation::Truncate(path, size) => writable(self.at(path))?.set_len(*size)?,
            Operation::Punch(path, at, length) => {
                let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
                rustix::fs::fallocate(writable(self.at(path))?, flags, *at, *length)?;
            }
            Operation::MakeFolder(path) => fs::create_dir(self.at(path))?,
            Operation::RemoveFolder(path) => fs::remove_dir(self.at(path))?,
            Operation::Remove(path) => fs::remove_file(self.at(path))?,
            Operation::Rename(from, to) => fs::rename(self.at(from), self.at(to))?,
            Operation::Exchange(from, to) => {
                rustix::fs::renameat_with(CWD, self.at(from), CWD, self.at(to), RenameFlags::EXCHANGE)?;
            }
            Operation::Link(from, to) => fs::hard_link(self.at(from), self.at(to))?,
            Operation::SymLink(target, at) => symlink(target, self.at(at))?,
            Operation::Mode(path, mode) => {
                fs::set_permissions(self.at(path), fs::Permissions::from_mode(*mode))?;
            }
            Operation::Status(path) => return status(&self.at(path)),
            Operation::List(path) => {
                let mut names = fs::read_dir(self.at(path))?
                    .map(|entry| entry.map(|entry| entry.file_name()))
                    .collect::<io::Result<Vec<_>>>()?;
                names.sort();
                return Ok(format!("{names:?}"));
            }
        }
        Ok(String::new())
    }

    /// Everything in it.
    fn everything(&self) -> BTreeMap<PathBuf, String> {
        let mut found = BTreeMap::new();
        let mut folders = vec![self.root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("there") {
                let path = entry.expect("read").path();
                let status = status(&path).expect("there");
                let kind = fs::symlink_metadata(&path).expect("there");
                let content = if kind.is_file() {
                    digest(&fs::read(&path).expect("read")).to_string()
                } else if kind.is_symlink() {
                    fs::read_link(&path).expect("read").display().to_string()
                } else {
                    folders.push(path.clone());
                    String::new()
                };
                found.insert(path.strip_prefix(&self.root).expect("below").to_owned(), format!("{status} {content}"));
            }
        }
        found
    }
}

fn status(path: &Path) -> io::Result<String> {
    let found = fs::symlink_metadata(path)?;
    let (size, links) = if found.is_dir() { (0, 0) } else { (found.len(), found.nlink()) };
    Ok(format!("{:o} {size} {links}", found.mode()))
}

/// FNV-1a.
fn digest(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().expect("a number"))
}

#[test]
fn random_operations_do_what_they_do_on_a_folder_of_this_machine() {
    let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    let seed = number("SHARE_SEED").unwrap_or(u64::from(clock.subsec_nanos()) | 1);
    let end = Instant::now() + Duration::from_secs(number("SHARE_SECONDS").unwrap_or(4));
    mounted(
        |_| {},
        |share| {
            let local = share.app.parent().expect("a folder").join("local");
            fs::create_dir(&local).expect("made");
            let side = |root: &Path| Side { root: root.to_owned(), open: Vec::new() };
            let (mut shared, mut local, app) = (side(&share.host), side(&local), side(&share.app));
            let mut numbers = Numbers(seed);
            let (mut done, mut at) = (0, 0_u64);
            while Instant::now() < end {
                let operation = Operation::random(&mut numbers);
                let (outcome, expected) = (shared.perform(&operation), local.perform(&operation));
                assert_eq!(outcome, expected, "SHARE_SEED={seed}, operation {at}: {operation:.200?}");
                done += u64::from(expected.is_ok());
                // The connection is cut now and then; nothing is seen of that.
                if numbers.below(500) == 0 {
                    share.connect();
                }
                if at % 1000 == 999 {
                    assert_eq!(shared.everything(), local.everything(), "SHARE_SEED={seed}, after {at}");
                }
                at += 1;
            }
            assert!(done > at / 10 && at > 100, "{done} of {at} did anything");
            assert_eq!(shared.everything(), local.everything(), "SHARE_SEED={seed}, at the end");
            // The app has the same files; only their modes may say less.
            let names = |side: &Side| side.everything().into_keys().collect::<Vec<_>>();
            assert_eq!(names(&app), names(&local), "SHARE_SEED={seed}");
        },
    );
}
