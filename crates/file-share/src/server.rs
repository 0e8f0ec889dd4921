//! The server of one shared folder.

mod attributes;
mod changes;
mod files;
mod folders;
mod hidden;
mod names;

use std::{
    collections::HashMap,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rustix::{
    fs::{AtFlags, OFlags, Statx},
    io::Errno,
};

use tokio::sync::watch;

use crate::{
    handles::{Handle, Handles},
    message::{Answer, Attr, EntryOut, InHeader, InitIn, InitOut, MAX_WRITE, Name, Operation, init, opcode},
    nodes::{Nodes, ROOT},
    own::OwnChanges,
    owners::{Owners, Shown},
    replies::Replies,
    tree::{self, FileSystem, Identity},
    watches::Watches,
};

/// What is shared, and how.
#[derive(Clone, Debug)]
pub struct ShareSettings {
    /// The folder.
    pub root: PathBuf,
    /// Whether the other side may only read. The server refuses every operation that would change something.
    pub read_only: bool,
    /// Whether names in the folder itself that begin with a dot are kept from the other side: they are not there for it, and it can't make
    /// any. So a home can be shared without its keys and start-up files.
    pub without_dot_entries: bool,
    /// Folders below such names that the other side sees all the same, by their paths in the folder. Of the folders on the way to them it sees
    /// nothing else.
    pub shown: Vec<PathBuf>,
    /// How long the other side may answer from what it was told, without asking again, where changes are not noticed.
    pub cache_for: Duration,
    /// How long it may where they are: it is told of them at once. What this does not show (writes through a mapping that is still open,
    /// and by another name of the same file) is seen after so long.
    pub watched_cache_for: Duration,
    /// How long more changes are waited for before the other side is told of one: an editor makes several at once. What the other side changes
    /// itself is known to be its own by then; on a machine that is slower, it is told of that as well, and asks once more.
    pub gather_changes_for: Duration,
    /// How many folders are watched for changes at the same time; each takes about a kilobyte of the system's memory. Never more than a
    /// quarter of what the system lets this user watch.
    pub max_watches: usize,
    /// How many files may be open at the same time; each is a descriptor of this process.
    pub max_open: usize,
    /// How many files the other side may know at the same time; each takes some 200 bytes.
    pub max_known: usize,
    /// For how many files owners and modes that were set are remembered; each takes some 80 bytes.
    pub max_owners: usize,
}

impl ShareSettings {
    /// A folder to be read and written, with limits for a process that may open 1,024 files and should take less than 64 MB.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            read_only: false,
            without_dot_entries: false,
            shown: Vec::new(),
            cache_for: Duration::from_secs(1),
            watched_cache_for: Duration::from_secs(60),
            gather_changes_for: Duration::from_millis(5),
            max_watches: 16_384,
            max_open: 800,
            max_known: 1_000_000,
            max_owners: 500_000,
        }
    }
}

/// Why a folder can't be shared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShareError {
    /// It can't be opened.
    #[error("cannot open the folder {path}")]
    Open {
        /// The folder.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// It shows the kernel or processes.
    #[error("{path} is no folder of files, and is not shared")]
    NoFiles {
        /// The folder.
        path: PathBuf,
    },
}

/// The server of one shared folder. It outlives the connections that it is asked over.
#[derive(Debug)]
pub struct Server {
    root: OwnedFd,
    root_identity: Identity,
    settings: ShareSettings,
    hidden: Option<hidden::Hidden>,
    state: Mutex<State>,
    noticed: Mutex<changes::Noticed>,
    pub(crate) replies: Replies,
    /// Held while something is written that takes long.
    pub(crate) writing: Arc<tokio::sync::Mutex<()>>,
    greetings: watch::Sender<u64>,
}

#[derive(Debug)]
pub(crate) struct State {
    /// The mount that the numbers are for.
    session: [u8; 16],
    nodes: Nodes,
    handles: Handles,
    owners: Owners,
    watches: Watches,
    own: OwnChanges,
    /// What is mounted below the folder.
    devices: HashMap<u64, FileSystem>,
}

/// A file for one operation.
enum Fd {
    Named(OwnedFd),
    /// It has no name any more.
    Open(Arc<Handle>),
}

impl AsFd for Fd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Named(fd) => fd.as_fd(),
            Self::Open(handle) => handle.fd.as_fd(),
        }
    }
}

struct Found {
    fd: Fd,
    status: Statx,
}

impl AsFd for Found {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Server {
    /// Opens the folder.
    ///
    /// # Errors
    /// It is no folder of files, or may not be opened.
    pub fn new(settings: ShareSettings) -> Result<Self, ShareError> {
        let failed = |source: Errno| ShareError::Open { path: settings.root.clone(), source: source.into() };
        let root = tree::open_root(&settings.root).map_err(failed)?;
        let file_system = tree::file_system(&root).map_err(failed)?;
        if file_system == FileSystem::NoFiles {
            return Err(ShareError::NoFiles { path: settings.root });
        }
        let root_identity = Identity::of(&tree::status(&root).map_err(failed)?);
        let state = State {
            session: [0; 16],
            nodes: Nodes::new(root_identity, first_number(), settings.max_known),
            handles: Handles::new(first_number(), settings.max_open),
            owners: Owners::new(settings.max_owners),
            watches: Watches::new(settings.max_watches),
            own: OwnChanges::default(),
            devices: HashMap::from([(root_identity.device, file_system)]),
        };
        Ok(Self {
            root,
            root_identity,
            hidden: settings.without_dot_entries.then(|| hidden::Hidden::but(&settings.shown)),
            settings,
            state: Mutex::new(state),
            noticed: Mutex::default(),
            replies: Replies::default(),
            writing: Arc::default(),
            greetings: watch::Sender::new(0),
        })
    }

    /// How many files the other side knows.
    pub fn known(&self) -> usize {
        self.state().nodes.len()
    }

    /// Waits until an agent was connected for the first time.
    ///
    /// # Cancel safety
    /// It only waits, and can be dropped at any time.
    pub async fn greeted(&self) {
        self.greeted_after(0).await;
    }

    /// How often an agent was connected.
    pub fn greetings(&self) -> u64 {
        *self.greetings.borrow()
    }

    /// Waits until an agent was connected more often than this.
    ///
    /// # Cancel safety
    /// It only waits, and can be dropped at any time.
    pub async fn greeted_after(&self, greetings: u64) {
        // The sender lives as long as this server.
        let _ = self.greetings.subscribe().wait_for(|now| *now > greetings).await;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn noticed(&self) -> MutexGuard<'_, changes::Noticed> {
        self.noticed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to answer a mount. One that is new knows nothing of what an earlier one was told, and has opened nothing.
    pub(crate) fn begin(&self, session: [u8; 16]) {
        self.greetings.send_modify(|greetings| *greetings += 1);
        let mut state = self.state();
        if state.session != session {
            state.session = session;
            state.nodes = Nodes::new(self.root_identity, first_number(), self.settings.max_known);
            state.handles = Handles::new(first_number(), self.settings.max_open);
            state.watches.clear();
            state.own = OwnChanges::default();
            drop(state);
            *self.noticed() = changes::Noticed::default();
            self.replies.clear();
        }
    }

    /// Answers a request; `None` where the kernel waits for no answer.
    pub(crate) fn answer(&self, header: &InHeader, body: &[u8]) -> Option<Result<Answer, Errno>> {
        if matches!(header.opcode, opcode::NOTIFY_REPLY | opcode::DESTROY) {
            return None;
        }
        if self.settings.read_only && changes_something(header.opcode) {
            return Some(Err(Errno::ROFS));
        }
        match Operation::parse(header.opcode, body) {
            Ok(Operation::Forget(times)) => self.forget(&[(header.nodeid, times)]),
            Ok(Operation::BatchForget(entries)) => {
                self.forget(&entries.iter().map(|entry| (entry.nodeid, entry.nlookup)).collect::<Vec<_>>());
            }
            // There is nobody to tell.
            Err(_) if matches!(header.opcode, opcode::FORGET | opcode::BATCH_FORGET) => {}
            Ok(operation) => return Some(self.perform(header, operation)),
            Err(malformed) => return Some(Err(malformed.error)),
        }
        None
    }

    fn perform(&self, header: &InHeader, operation: Operation<'_>) -> Result<Answer, Errno> {
        let node = header.nodeid;
        self.check_hidden(node, &operation)?;
        match operation {
            Operation::Init(offered) => Ok(offer(offered)),
            Operation::Lookup(name) => self.lookup(node, name),
            Operation::GetAttr => self.get_attributes(node),
            Operation::SetAttr(arguments) => self.set_attributes(node, &arguments),
            Operation::Access(arguments) => self.access(node, arguments.mask),
            Operation::StatFs => self.file_system(node),
            Operation::ReadLink => self.read_link(node),
            Operation::SymLink { name, target } => self.make_link(header, name, target),
            Operation::MkNod(arguments, name) => self.make_node(header, name, arguments.mode),
            Operation::MkDir(arguments, name) => self.make_folder(header, name, arguments.mode),
            Operation::Unlink(name) => self.remove(node, name, AtFlags::empty()),
            Operation::RmDir(name) => self.remove(node, name, AtFlags::REMOVEDIR),
            Operation::Rename { from, new_parent, to, flags } => self.rename((node, from), (new_parent, to), flags),
            Operation::Link { node: file, name } => self.link(file, node, name),
            Operation::Open(arguments) => self.open(node, arguments.flags),
            Operation::Create(arguments, name) => self.create(header, name, &arguments),
            Operation::Read(arguments) => self.read(node, &arguments),
            Operation::Write(arguments, data) => self.write(node, &arguments, data),
            Operation::Release(arguments) | Operation::ReleaseDir(arguments) => self.release(node, arguments.fh),
            Operation::FSync(arguments) | Operation::FSyncDir(arguments) => self.sync(node, &arguments),
            Operation::OpenDir => self.open_folder(node),
            Operation::ReadDir { arguments, plus } => self.read_folder(node, &arguments, plus),
            Operation::FAllocate(arguments) => self.allocate(node, &arguments),
            Operation::LSeek(arguments) => self.seek(node, &arguments),
            Operation::CopyFileRange(arguments) => self.copy_range(node, &arguments),
            Operation::Other | Operation::Forget(_) | Operation::BatchForget(_) | Operation::Destroy => {
                Err(Errno::NOSYS)
            }
        }
    }

    /// Whether a name is kept from the other side.
    fn is_hidden(&self, nodes: &Nodes, parent: u64, name: &[u8]) -> bool {
        self.hidden.as_ref().is_some_and(|hidden| hidden.hides(nodes, parent, name))
    }

    /// Refuses what has to do with hidden names: they are not there, and can't be made.
    fn check_hidden(&self, node: u64, operation: &Operation<'_>) -> Result<(), Errno> {
        let Some(filter) = &self.hidden else { return Ok(()) };
        let state = self.state();
        let hidden = |parent: u64, name: &Name<'_>| filter.hides(&state.nodes, parent, name.as_bytes());
        let leads_on = |parent: u64, name: &Name<'_>| filter.leads_on(&state.nodes, parent, name.as_bytes());
        match operation {
            Operation::Lookup(name) | Operation::Unlink(name) | Operation::RmDir(name) if hidden(node, name) => {
                Err(Errno::NOENT)
            }
            Operation::SymLink { name, .. }
            | Operation::MkNod(_, name)
            | Operation::MkDir(_, name)
            | Operation::Create(_, name)
            | Operation::Link { name, .. }
                if hidden(node, name) =>
            {
                Err(Errno::ACCESS)
            }
            Operation::Rename { from, .. } if hidden(node, from) => Err(Errno::NOENT),
            Operation::Rename { new_parent, to, .. } if hidden(*new_parent, to) => Err(Errno::ACCESS),
            Operation::Unlink(name) | Operation::RmDir(name) if leads_on(node, name) => Err(Errno::ACCESS),
            Operation::Rename { from, new_parent, to, .. } if leads_on(node, from) || leads_on(*new_parent, to) => {
                Err(Errno::ACCESS)
            }
            _ => Ok(()),
        }
    }

    /// Opens the file of a node, if it is still where it was seen, or still open.
    fn find(&self, node: u64) -> Result<Found, Errno> {
        let (identity, paths, open) = {
            let state = self.state();
            let open = state.nodes.open(node).iter().find_map(|handle| state.handles.get(*handle, node).ok());
            (state.nodes.identity(node)?, state.nodes.paths(node)?, open)
        };
        let mut refused = None;
        for path in paths {
            let opened = tree::open(&self.root, &path);
            let found = opened.and_then(|fd| Ok(Found { status: tree::status(&fd)?, fd: Fd::Named(fd) }));
            match found {
                // The shared folder itself is the one that was opened, whatever becomes of its name.
                Ok(found) if node == ROOT || Identity::of(&found.status) == identity => return Ok(found),
                Ok(_) | Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV) => {}
                Err(error) => refused = Some(error),
            }
        }
        match open {
            Some(handle) => Ok(Found { status: tree::status(&handle.fd)?, fd: Fd::Open(handle) }),
            None => Err(refused.unwrap_or(Errno::STALE)),
        }
    }

    /// As [`find`](Self::find), for a folder.
    fn find_folder(&self, node: u64) -> Result<Found, Errno> {
        let found = self.find(node)?;
        if Identity::of(&found.status).is_folder { Ok(found) } else { Err(Errno::NOTDIR) }
    }

    /// Refuses what is mounted below the folder and shows the kernel or processes.
    fn check_device(&self, folder: &Found, name: &std::ffi::OsStr, status: &Statx) -> Result<(), Errno> {
        let device = Identity::of(status).device;
        let known = self.state().devices.get(&device).copied();
        let file_system = match known {
            Some(known) => known,
            None => {
                let flags = OFlags::PATH | OFlags::NOFOLLOW;
                let mounted = tree::open_beneath(folder, name, flags, rustix::fs::Mode::empty())?;
                let found = tree::file_system(mounted)?;
                self.state().devices.insert(device, found);
                found
            }
        };
        if file_system == FileSystem::NoFiles { Err(Errno::ACCESS) } else { Ok(()) }
    }

    /// Tells the other side of a file at a place, in a folder that is watched or not.
    fn entry(&self, parent: u64, name: &[u8], status: &Statx, is_watched: bool) -> Result<EntryOut, Errno> {
        let identity = Identity::of(status);
        let mut state = self.state();
        let shown = state.owners.get(identity);
        let nodeid = state.nodes.seen(identity, parent, name)?;
        // Where something is mounted, it is another folder that is watched.
        let is_watched =
            is_watched && state.nodes.identity(parent).is_ok_and(|parent| parent.device == identity.device);
        let (entry_valid, entry_valid_nsec) = self.cache_for(is_watched);
        let (attr_valid, attr_valid_nsec) = self.cache_for(is_watched && state.notices_file(nodeid, status));
        Ok(EntryOut {
            nodeid,
            generation: 0,
            entry_valid,
            attr_valid,
            entry_valid_nsec,
            attr_valid_nsec,
            attr: self.attributes(status, shown),
        })
    }

    /// A file's attributes, as the other side sees them.
    #[expect(clippy::cast_sign_loss, reason = "the kernel's own type for seconds before 1970 is unsigned, too")]
    fn attributes(&self, status: &Statx, shown: Shown) -> Attr {
        Attr {
            ino: self.inode(Identity::of(status).device, status.stx_ino),
            size: status.stx_size,
            blocks: status.stx_blocks,
            atime: status.stx_atime.tv_sec as u64,
            mtime: status.stx_mtime.tv_sec as u64,
            ctime: status.stx_ctime.tv_sec as u64,
            atimensec: status.stx_atime.tv_nsec,
            mtimensec: status.stx_mtime.tv_nsec,
            ctimensec: status.stx_ctime.tv_nsec,
            mode: shown.mode(status.stx_mode.into()),
            nlink: status.stx_nlink,
            uid: shown.uid.unwrap_or(status.stx_uid),
            gid: shown.gid.unwrap_or(status.stx_gid),
            rdev: 0,
            blksize: status.stx_blksize,
            flags: 0,
        }
    }

    /// The number of a file, as the other side sees it. All that is mounted below the folder is one file system to it, in which two files
    /// with one number are taken for two names of one file, by `tar` for example.
    fn inode(&self, device: u64, inode: u64) -> u64 {
        if device == self.root_identity.device {
            return inode;
        }
        // Spread over the upper bits, which file systems hardly use.
        let mark = device.wrapping_mul(0x9e37_79b9_7f4a_7c15) | (1 << 63);
        inode ^ (mark & 0xffff_0000_0000_0000)
    }

    fn cache_for(&self, is_watched: bool) -> (u64, u32) {
        let keep = if is_watched { self.settings.watched_cache_for } else { self.settings.cache_for };
        (keep.as_secs(), keep.subsec_nanos())
    }

    /// The other side changed a file itself.
    fn changed_by_other_side(&self, node: u64, fd: impl AsFd) {
        if self.state().watches.len() > 0
            && let Ok(status) = tree::status(fd)
        {
            self.state().own.file(node, &status);
        }
    }

    /// The other side changed what a name means.
    fn named_by_other_side(&self, folder: u64, name: &[u8], means: Option<Identity>) {
        let mut state = self.state();
        if state.watches.contains(folder) {
            state.own.name(folder, name, means);
        }
    }
}

impl State {
    /// Whether changes of a file's attributes are noticed, given that the folder that it is in is watched.
    fn notices_file(&self, node: u64, status: &Statx) -> bool {
        // What a folder contains changes it, and that is noticed where it is watched itself. What a file by another name of it, nowhere.
        if Identity::of(status).is_folder { self.watches.contains(node) } else { status.stx_nlink == 1 }
    }

    /// Whether the place where a file was last seen is watched.
    fn is_watched(&self, node: u64) -> bool {
        let (Ok(identity), parent) = (self.nodes.identity(node), self.nodes.parent(node)) else { return false };
        let is_there = |parent: u64| {
            self.watches.contains(parent)
                && self.nodes.identity(parent).is_ok_and(|parent| parent.device == identity.device)
        };
        node == ROOT || parent.is_some_and(is_there)
    }
}

/// A number that none before it, in this process or another, is likely to be near. The other side may still hold those: they must not
/// mean another file.
fn first_number() -> u64 {
    let mut bytes = [0; 4];
    // With the flag it never waits, and does not fail on a kernel that has openat2.
    let _ = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::INSECURE);
    (u64::from(u32::from_ne_bytes(bytes) >> 1) << 32) | (1 << 31)
}

/// Whether an operation would change something.
fn changes_something(operation: u32) -> bool {
    matches!(
        operation,
        opcode::SETATTR
            | opcode::SYMLINK
            | opcode::MKNOD
            | opcode::MKDIR
            | opcode::UNLINK
            | opcode::RMDIR
            | opcode::RENAME
            | opcode::RENAME2
            | opcode::LINK
            | opcode::WRITE
            | opcode::SETXATTR
            | opcode::REMOVEXATTR
            | opcode::CREATE
            | opcode::FALLOCATE
            | opcode::COPY_FILE_RANGE
            | opcode::TMPFILE
    )
}

/// What the server can do of what the kernel offers.
fn offer(offered: InitIn) -> Answer {
    let wanted = init::ASYNC_READ
        | init::ATOMIC_O_TRUNC
        | init::BIG_WRITES
        | init::AUTO_INVAL_DATA
        | init::DO_READDIRPLUS
        | init::READDIRPLUS_AUTO
        | init::ASYNC_DIO
        | init::PARALLEL_DIROPS
        | init::MAX_PAGES
        | init::CACHE_SYMLINKS;
    Answer::of(&InitOut {
        major: 7,
        // What the kernel does of later versions, it does only where a flag asks for it.
        minor: offered.minor.min(38),
        max_readahead: offered.max_readahead,
        flags: offered.flags & wanted,
        max_background: 32,
        congestion_threshold: 24,
        max_write: MAX_WRITE,
        time_gran: 1,
        max_pages: u16::try_from(MAX_WRITE / 4096).unwrap_or(u16::MAX),
        ..InitOut::default()
    })
}

#[cfg(test)]
mod tests;
