//! The other side of a stream, which sends what a test wants.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, ReadHalf, WriteHalf},
    task::JoinHandle,
};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::{
    Hello, LostConnection, Server, ShareSettings,
    message::{
        AttrOut, CreateIn, EntryOut, HEADER, InHeader, InitIn, OUT_HEADER, OpenIn, OpenOut, OutHeader, ReadIn,
        ReleaseIn, WriteIn, opcode,
    },
    nodes::ROOT,
};

pub(super) struct Peer {
    pub(super) reader: ReadHalf<DuplexStream>,
    pub(super) writer: WriteHalf<DuplexStream>,
    serving: JoinHandle<LostConnection>,
    unique: u64,
    /// Who asks.
    pub(super) uid: u32,
    /// What came unasked: its kind, and what it carries.
    pub(super) notices: Vec<(i32, Vec<u8>)>,
}

/// Numbers of requests, each used once, as a kernel does over all streams of a mount.
static UNIQUE: AtomicU64 = AtomicU64::new(2);

/// An answer: bytes, or the number of an error.
pub(super) type Answered = Result<Vec<u8>, i32>;

pub(super) fn errno(error: rustix::io::Errno) -> i32 {
    error.raw_os_error()
}

pub(super) fn server(root: &Path) -> Arc<Server> {
    Arc::new(Server::new(ShareSettings::new(root)).expect("shared"))
}

impl Peer {
    /// A mount of a folder.
    pub(super) async fn mount(server: &Arc<Server>) -> Self {
        let mut peer = Self::connect(server, [7; 16]).await;
        peer.init().await;
        peer
    }

    pub(super) async fn init(&mut self) {
        let offered = InitIn { major: 7, minor: 45, max_readahead: 128 << 10, flags: u32::MAX };
        self.call(opcode::INIT, 0, offered.as_bytes()).await.expect("agreed");
    }

    /// A stream, and no more.
    pub(super) async fn connect(server: &Arc<Server>, session: [u8; 16]) -> Self {
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        let server = server.clone();
        let serving = tokio::spawn(async move {
            let (reader, writer) = tokio::io::split(theirs);
            server.serve(reader, writer).await
        });
        let (reader, mut writer) = tokio::io::split(ours);
        writer.write_all(&Hello { session }.to_bytes()).await.expect("sent");
        Self { reader, writer, serving, unique: 0, uid: 0, notices: Vec::new() }
    }

    /// Closes the stream, once the server has read all that was sent.
    pub(super) async fn close(self) -> LostConnection {
        let Self { reader, writer, serving, .. } = self;
        drop((reader, writer));
        serving.await.expect("no panic")
    }

    /// Waits until the server closes the stream.
    pub(super) async fn closed(self) -> LostConnection {
        let Self { reader: _reader, writer: _writer, serving, .. } = self;
        serving.await.expect("no panic")
    }

    pub(super) fn message(&mut self, opcode: u32, nodeid: u64, body: &[u8]) -> Vec<u8> {
        self.unique = UNIQUE.fetch_add(2, Ordering::Relaxed);
        let len = u32::try_from(HEADER + body.len()).expect("short");
        let header =
            InHeader { len, opcode, unique: self.unique, nodeid, uid: self.uid, gid: self.uid, ..InHeader::default() };
        [header.as_bytes(), body].concat()
    }

    /// Sends any bytes.
    pub(super) async fn send(&mut self, bytes: &[u8]) {
        // The server may have had enough of it.
        let _ = self.writer.write_all(bytes).await;
    }

    /// The next answer, and what it is to.
    pub(super) async fn receive(&mut self) -> Option<(u64, Answered)> {
        loop {
            let (head, body) = self.message_from_server().await?;
            if head.unique == 0 && head.error > 0 {
                self.notices.push((head.error, body));
            } else {
                return Some((head.unique, if head.error == 0 { Ok(body) } else { Err(-head.error) }));
            }
        }
    }

    async fn message_from_server(&mut self) -> Option<(OutHeader, Vec<u8>)> {
        Self::message_from(&mut self.reader).await
    }

    pub(super) async fn message_from(reader: &mut ReadHalf<DuplexStream>) -> Option<(OutHeader, Vec<u8>)> {
        let mut head = [0; OUT_HEADER];
        reader.read_exact(&mut head).await.ok()?;
        let head = OutHeader::read_from_bytes(&head).expect("a header");
        let mut body = vec![0; head.len as usize - OUT_HEADER];
        reader.read_exact(&mut body).await.ok()?;
        Some((head, body))
    }

    /// Waits for a notice.
    pub(super) async fn notice(&mut self, wanted: &(i32, Vec<u8>)) {
        while !self.notices.contains(wanted) {
            let (head, body) = self.message_from_server().await.expect("a notice");
            assert_eq!(head.unique, 0, "no answer is waited for");
            self.notices.push((head.error, body));
        }
    }

    pub(super) async fn call(&mut self, opcode: u32, node: u64, body: &[u8]) -> Answered {
        let message = self.message(opcode, node, body);
        self.send(&message).await;
        let (unique, answered) = self.receive().await.expect("an answer");
        assert_eq!(unique, self.unique);
        answered
    }

    /// As `call`, for an answer of one type.
    pub(super) async fn ask<T: FromBytes + KnownLayout + Immutable>(
        &mut self,
        opcode: u32,
        node: u64,
        body: &[u8],
    ) -> Result<T, i32> {
        self.call(opcode, node, body).await.map(|answer| T::read_from_prefix(&answer).expect("as long").0)
    }

    pub(super) async fn lookup(&mut self, parent: u64, name: &str) -> Result<EntryOut, i32> {
        let found: EntryOut = self.ask(opcode::LOOKUP, parent, &text(name)).await?;
        // That there is none, which may be kept.
        if found.nodeid == 0 { Err(errno(rustix::io::Errno::NOENT)) } else { Ok(found) }
    }

    pub(super) async fn walk(&mut self, path: &str) -> Result<EntryOut, i32> {
        let mut entry = EntryOut { nodeid: ROOT, ..EntryOut::default() };
        for name in path.split('/') {
            entry = self.lookup(entry.nodeid, name).await?;
        }
        Ok(entry)
    }

    pub(super) async fn attributes(&mut self, node: u64) -> Result<AttrOut, i32> {
        self.ask(opcode::GETATTR, node, &[0; 16]).await
    }

    pub(super) async fn open(&mut self, node: u64, flags: i32) -> Result<u64, i32> {
        let arguments = OpenIn { flags: flags.cast_unsigned(), open_flags: 0 };
        self.ask::<OpenOut>(opcode::OPEN, node, arguments.as_bytes()).await.map(|opened| opened.fh)
    }

    pub(super) async fn create(
        &mut self,
        parent: u64,
        name: &str,
        flags: i32,
        mode: u32,
    ) -> Result<(EntryOut, u64), i32> {
        let arguments = CreateIn { flags: flags.cast_unsigned(), mode, ..CreateIn::default() };
        let answer = self.call(opcode::CREATE, parent, &[arguments.as_bytes(), &text(name)].concat()).await?;
        let (entry, rest) = EntryOut::read_from_prefix(&answer).expect("an entry");
        Ok((entry, OpenOut::read_from_bytes(rest).expect("opened").fh))
    }

    pub(super) async fn read(&mut self, node: u64, fh: u64, offset: u64, size: u32) -> Answered {
        let arguments = ReadIn { fh, offset, size, ..ReadIn::default() };
        self.call(opcode::READ, node, arguments.as_bytes()).await
    }

    pub(super) async fn write(&mut self, node: u64, fh: u64, offset: u64, data: &[u8]) -> Answered {
        let size = u32::try_from(data.len()).expect("short");
        let arguments = WriteIn { fh, offset, size, ..WriteIn::default() };
        self.call(opcode::WRITE, node, &[arguments.as_bytes(), data].concat()).await
    }

    pub(super) async fn release(&mut self, node: u64, fh: u64) -> Answered {
        self.call(opcode::RELEASE, node, ReleaseIn { fh, ..ReleaseIn::default() }.as_bytes()).await
    }

    /// Looks up, opens and reads a file.
    pub(super) async fn content(&mut self, path: &str) -> Answered {
        let node = self.walk(path).await?.nodeid;
        let fh = self.open(node, 0).await?;
        let content = self.read(node, fh, 0, 1 << 16).await;
        self.release(node, fh).await.expect("closed");
        content
    }

    /// The names in a folder.
    pub(super) async fn list(&mut self, node: u64, plus: bool, size: u32) -> Result<Vec<String>, i32> {
        let fh = self.ask::<OpenOut>(opcode::OPENDIR, node, &[0; 8]).await?.fh;
        let (mut names, mut offset) = (Vec::new(), 0);
        loop {
            let arguments = ReadIn { fh, offset, size, ..ReadIn::default() };
            let kind = if plus { opcode::READDIRPLUS } else { opcode::READDIR };
            let listed = self.call(kind, node, arguments.as_bytes()).await?;
            if listed.is_empty() {
                self.call(opcode::RELEASEDIR, node, ReleaseIn { fh, ..ReleaseIn::default() }.as_bytes()).await?;
                return Ok(names);
            }
            let mut rest = listed.as_slice();
            while !rest.is_empty() {
                let from = if plus { size_of::<EntryOut>() } else { 0 };
                let number = |at: usize, length: usize| {
                    rest[from + at..from + at + length].iter().rev().fold(0, |sum, byte| (sum << 8) | u64::from(*byte))
                };
                let length = usize::try_from(number(16, 4)).expect("short");
                offset = number(8, 8);
                names.push(String::from_utf8(rest[from + 24..from + 24 + length].to_vec()).expect("UTF-8"));
                rest = &rest[(from + 24 + length).next_multiple_of(8)..];
            }
        }
    }
}

/// A name, as requests carry it.
pub(super) fn text(name: &str) -> Vec<u8> {
    [name.as_bytes(), &[0]].concat()
}
