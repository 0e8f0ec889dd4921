//! Messages of FUSE: what the kernel asks, and how it is answered.
//!
//! All of it is from the kernel's `include/uapi/linux/fuse.h`, version 7.38; numbers are in the byte order of the machine, which is
//! little-endian on both sides (x86-64 and arm64).

mod structs;

use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _};

use rustix::io::Errno;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

pub(crate) use structs::*;

/// The most bytes of a file in one message.
pub const MAX_WRITE: u32 = 1 << 20;

/// The longest message that is taken: a WRITE of [`MAX_WRITE`] with its two headers, or any other request, which fits a page and two
/// names.
pub const MAX_MESSAGE: usize = MAX_WRITE as usize + 4096;

/// The kernel's limit for a name.
const MAX_NAME: usize = 255;

/// The kernel's limit for the target of a link.
const MAX_TARGET: usize = 4095;

pub(crate) const HEADER: usize = size_of::<InHeader>();
pub(crate) const OUT_HEADER: usize = size_of::<OutHeader>();

/// A name in a folder: not empty, not `.` or `..`, without `/` or NUL, not too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Name<'a>(&'a [u8]);

impl<'a> Name<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Result<Self, Errno> {
        match bytes {
            b"" | b"." | b".." => Err(Errno::INVAL),
            name if name.len() > MAX_NAME => Err(Errno::NAMETOOLONG),
            name if name.iter().any(|byte| matches!(byte, b'/' | 0)) => Err(Errno::INVAL),
            name => Ok(Self(name)),
        }
    }

    pub(crate) fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    pub(crate) fn as_os_str(self) -> &'a OsStr {
        OsStr::from_bytes(self.0)
    }
}

/// What is asked for.
#[derive(Debug)]
pub(crate) enum Operation<'a> {
    Lookup(Name<'a>),
    Forget(u64),
    BatchForget(&'a [ForgetOne]),
    GetAttr,
    SetAttr(SetAttrIn),
    ReadLink,
    SymLink {
        name: Name<'a>,
        target: &'a OsStr,
    },
    MkNod(MkNodIn, Name<'a>),
    MkDir(MkDirIn, Name<'a>),
    Unlink(Name<'a>),
    RmDir(Name<'a>),
    Rename {
        from: Name<'a>,
        new_parent: u64,
        to: Name<'a>,
        flags: u32,
    },
    Link {
        node: u64,
        name: Name<'a>,
    },
    Open(OpenIn),
    Read(ReadIn),
    Write(WriteIn, &'a [u8]),
    StatFs,
    Release(ReleaseIn),
    FSync(FSyncIn),
    Init(InitIn),
    OpenDir,
    ReadDir {
        arguments: ReadIn,
        plus: bool,
    },
    ReleaseDir(ReleaseIn),
    FSyncDir(FSyncIn),
    Access(AccessIn),
    Create(CreateIn, Name<'a>),
    Destroy,
    FAllocate(FAllocateIn),
    LSeek(LSeekIn),
    CopyFileRange(CopyFileRangeIn),
    /// Not offered. The kernel takes `ENOSYS` for an answer once and for all, and does without.
    Other,
}

/// Why a message is no request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed {
    pub(crate) error: Errno,
}

/// The header of a message, if it has one and says its true length.
pub(crate) fn header(message: &[u8]) -> Option<InHeader> {
    let (header, _) = InHeader::read_from_prefix(message).ok()?;
    (header.len as usize == message.len()).then_some(header)
}

impl<'a> Operation<'a> {
    /// Reads what comes after the header.
    pub(crate) fn parse(opcode: u32, body: &'a [u8]) -> Result<Self, Malformed> {
        let mut body = Body(body);
        let operation = match opcode {
            opcode::LOOKUP => Self::Lookup(body.name()?),
            opcode::FORGET => Self::Forget(body.take::<u64>()?),
            opcode::BATCH_FORGET => {
                let count = body.take::<BatchForgetIn>()?.count as usize;
                let (entries, _) = <[ForgetOne]>::ref_from_prefix_with_elems(body.0, count).map_err(|_| INVALID)?;
                Self::BatchForget(entries)
            }
            opcode::GETATTR => Self::GetAttr,
            opcode::SETATTR => Self::SetAttr(body.take()?),
            opcode::READLINK => Self::ReadLink,
            opcode::SYMLINK => {
                let name = body.name()?;
                let target = body.text()?;
                if target.is_empty() || target.len() > MAX_TARGET {
                    return Err(Malformed { error: Errno::NAMETOOLONG });
                }
                Self::SymLink { name, target: OsStr::from_bytes(target) }
            }
            opcode::MKNOD => Self::MkNod(body.take()?, body.name()?),
            opcode::MKDIR => Self::MkDir(body.take()?, body.name()?),
            opcode::UNLINK => Self::Unlink(body.name()?),
            opcode::RMDIR => Self::RmDir(body.name()?),
            opcode::RENAME => {
                let new_parent = body.take::<u64>()?;
                Self::Rename { new_parent, flags: 0, from: body.name()?, to: body.name()? }
            }
            opcode::RENAME2 => {
                let Rename2In { newdir, flags, .. } = body.take()?;
                Self::Rename { new_parent: newdir, flags, from: body.name()?, to: body.name()? }
            }
            opcode::LINK => Self::Link { node: body.take::<u64>()?, name: body.name()? },
            opcode::OPEN => Self::Open(body.take()?),
            opcode::READ => Self::Read(body.take()?),
            opcode::WRITE => {
                let arguments: WriteIn = body.take()?;
                let data = body.0.get(..arguments.size as usize).ok_or(INVALID)?;
                Self::Write(arguments, data)
            }
            opcode::STATFS => Self::StatFs,
            opcode::RELEASE => Self::Release(body.take()?),
            opcode::FSYNC => Self::FSync(body.take()?),
            opcode::INIT => Self::Init(body.take()?),
            opcode::OPENDIR => Self::OpenDir,
            opcode::READDIR => Self::ReadDir { arguments: body.take()?, plus: false },
            opcode::READDIRPLUS => Self::ReadDir { arguments: body.take()?, plus: true },
            opcode::RELEASEDIR => Self::ReleaseDir(body.take()?),
            opcode::FSYNCDIR => Self::FSyncDir(body.take()?),
            opcode::ACCESS => Self::Access(body.take()?),
            opcode::CREATE => Self::Create(body.take()?, body.name()?),
            opcode::DESTROY => Self::Destroy,
            opcode::FALLOCATE => Self::FAllocate(body.take()?),
            opcode::LSEEK => Self::LSeek(body.take()?),
            opcode::COPY_FILE_RANGE => Self::CopyFileRange(body.take()?),
            _ => Self::Other,
        };
        Ok(operation)
    }
}

const INVALID: Malformed = Malformed { error: Errno::INVAL };

/// The rest of a message.
struct Body<'a>(&'a [u8]);

impl<'a> Body<'a> {
    fn take<T: FromBytes + KnownLayout + Immutable>(&mut self) -> Result<T, Malformed> {
        let (value, rest) = T::read_from_prefix(self.0).map_err(|_| INVALID)?;
        self.0 = rest;
        Ok(value)
    }

    /// Bytes up to a NUL.
    fn text(&mut self) -> Result<&'a [u8], Malformed> {
        let end = self.0.iter().position(|byte| *byte == 0).ok_or(INVALID)?;
        let (text, rest) = self.0.split_at(end);
        self.0 = &rest[1..];
        Ok(text)
    }

    fn name(&mut self) -> Result<Name<'a>, Malformed> {
        Name::new(self.text()?).map_err(|error| Malformed { error })
    }
}

/// An answer to `unique`.
pub(crate) fn reply(unique: u64, outcome: Result<Answer, Errno>) -> Vec<u8> {
    let (error, mut message) = match outcome {
        Ok(answer) => (0, answer.0),
        Err(errno) => (-errno.raw_os_error(), vec![0; OUT_HEADER]),
    };
    let header = OutHeader { len: u32::try_from(message.len()).unwrap_or(u32::MAX), error, unique };
    message[..OUT_HEADER].copy_from_slice(header.as_bytes());
    message
}

/// A notice that what was told of a file is out of date, and what was read of it unless only its attributes are.
pub(crate) fn file_changed(node: u64, only_attributes: bool) -> Vec<u8> {
    let off = if only_attributes { -1 } else { 0 };
    notice(notify::INVAL_INODE, Answer::of(&NotifyInvalInodeOut { ino: node, off, len: 0 }))
}

/// A notice that a name means something else, or nothing any more.
pub(crate) fn name_changed(folder: u64, name: &[u8]) -> Vec<u8> {
    let namelen = u32::try_from(name.len()).unwrap_or(u32::MAX);
    let entry = NotifyInvalEntryOut { parent: folder, namelen, flags: EXPIRE_ONLY };
    notice(notify::INVAL_ENTRY, Answer::of(&entry).and(name).and(&[0]))
}

fn notice(code: i32, content: Answer) -> Vec<u8> {
    let mut message = reply(0, Ok(content));
    message[4..8].copy_from_slice(&code.to_le_bytes());
    message
}

/// What an answer carries, with room for its header in front.
#[derive(Debug)]
pub(crate) struct Answer(Vec<u8>);

impl Answer {
    pub(crate) fn empty() -> Self {
        Self::with_room(0)
    }

    /// With room for so many bytes.
    pub(crate) fn with_room(bytes: usize) -> Self {
        let mut message = Vec::with_capacity(OUT_HEADER + bytes);
        message.resize(OUT_HEADER, 0);
        Self(message)
    }

    pub(crate) fn of(value: &(impl IntoBytes + Immutable)) -> Self {
        Self::empty().and(value.as_bytes())
    }

    pub(crate) fn and(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// The bytes after the header, to be added to.
    pub(crate) fn bytes(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }

    /// What it carries.
    pub(crate) fn content(&self) -> &[u8] {
        &self.0[OUT_HEADER..]
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len() - OUT_HEADER
    }
}
