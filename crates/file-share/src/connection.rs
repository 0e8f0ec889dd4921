//! A stream of messages, for as long as it lasts.

use std::{io, sync::Arc, time::Duration};

use bytes::Bytes;
use rustix::io::Errno;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::timeout,
};

use crate::{
    message::{self, HEADER, InHeader, MAX_MESSAGE, OUT_HEADER, fattr, opcode},
    replies::{Outgoing, Verdict},
    server::Server,
};

/// How many requests are worked on at a time; the next are left in the stream. Each takes at most a message and an answer.
const MAX_RUNNING: usize = 32;

/// How many answers to what needs no work may wait to be taken.
const MAX_UNTAKEN: usize = 256;

/// An operation that the kernel has not, from the agent: are you there?
pub const PING: u32 = 0x5044_4f53;

/// The answer to it, in the place of an error; its `unique` is 0.
pub const PONG: i32 = -0x5044;

/// A stream without a message for so long is broken, whatever the system thinks of it: the agent asks every [`PING_EVERY`].
const SILENCE: Duration = Duration::from_secs(35);

/// Requests that read or write no more than so much are done at once rather than handed to another thread.
const AT_ONCE: usize = 64 << 10;

/// What a stream begins with: the mount that it is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Chosen at random for each mount.
    pub session: [u8; 16],
}

impl Hello {
    /// The length of its bytes.
    pub const LENGTH: usize = 24;

    const MAGIC: [u8; 8] = *b"sdfuse01";

    /// As it is sent.
    pub fn to_bytes(self) -> [u8; Self::LENGTH] {
        let mut bytes = [0; Self::LENGTH];
        bytes[..8].copy_from_slice(&Self::MAGIC);
        bytes[8..].copy_from_slice(&self.session);
        bytes
    }

    fn from_bytes(bytes: [u8; Self::LENGTH]) -> Option<Self> {
        let mut session = [0; 16];
        session.copy_from_slice(&bytes[8..]);
        (bytes[..8] == Self::MAGIC).then_some(Self { session })
    }
}

/// Why a stream ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LostConnection {
    /// The other side closed it.
    #[error("the connection ended")]
    Ended,
    /// Reading or writing failed.
    #[error("the connection broke")]
    Broken(#[source] io::Error),
    /// Nothing came for too long.
    #[error("nothing came for {} seconds", SILENCE.as_secs())]
    Silent,
    /// The other side is no agent of this version, or sent something that is no message.
    #[error("the other side sent {0}")]
    Protocol(&'static str),
}

impl Server {
    /// Answers what comes over a stream until it ends. The server remains, for the next one: what the other side repeats there is
    /// answered without being done twice. Two streams at a time are none: answers go to the later one.
    ///
    /// Short operations are done on the calling task, which should have a thread for itself.
    ///
    /// # Panics
    /// In a Tokio runtime without time or I/O.
    ///
    /// # Cancel safety
    /// It can be dropped at any time, which closes the stream. What was begun is done to its end, and what the other side repeats on the
    /// next stream is answered as above.
    ///
    /// # Errors
    /// Why the stream ended: it always does.
    pub async fn serve<R, W>(self: &Arc<Self>, mut reader: R, writer: W) -> LostConnection
    where
        R: AsyncRead + Send + Unpin,
        W: AsyncWrite + Send + Unpin,
    {
        let mut hello = [0; Hello::LENGTH];
        match timeout(SILENCE, reader.read_exact(&mut hello)).await {
            Err(_) => return LostConnection::Silent,
            Ok(Err(error)) => return lost(error),
            Ok(Ok(_)) => {}
        }
        let Some(hello) = Hello::from_bytes(hello) else { return LostConnection::Protocol("no greeting") };
        self.begin(hello.session);
        let answers = self.replies.connect();
        tokio::select! {
            ended = self.read_requests(reader) => ended,
            ended = write_answers(writer, answers) => ended,
            never = self.tell_changes() => match never {},
        }
    }

    async fn read_requests(self: &Arc<Self>, mut reader: impl AsyncRead + Send + Unpin) -> LostConnection {
        let running = Arc::new(Semaphore::new(MAX_RUNNING));
        // As many as there are permits.
        let (requests, read) = mpsc::unbounded_channel();
        // Apart: whether the other side is there must be answered while all of those wait for a disk.
        let untaken = Arc::new(Semaphore::new(MAX_UNTAKEN));
        // Nobody closes them. Where the other side takes no answers, no more requests are read.
        macro_rules! permit {
            ($of:ident) => {
                match $of.clone().acquire_owned().await {
                    Ok(permit) => permit,
                    Err(_) => return LostConnection::Ended,
                }
            };
        }
        let read_all = async {
            loop {
                let request = match timeout(SILENCE, read_message(&mut reader, HEADER)).await {
                    Err(_) => return LostConnection::Silent,
                    Ok(Err(lost)) => return lost,
                    Ok(Ok(request)) => request,
                };
                let Some(header) = message::header(&request) else { return LostConnection::Protocol("a false length") };
                match header.opcode {
                    PING => self.replies.send(pong(), permit!(untaken)),
                    // What the kernel gave up is done all the same, and answered: it takes no notice.
                    opcode::INTERRUPT => {
                        let reply = Bytes::from(message::reply(header.unique, Err(Errno::NOSYS)));
                        self.replies.send(reply, permit!(untaken));
                    }
                    _ => drop(requests.send((header, request, permit!(running)))),
                }
            }
        };
        let done = self.do_requests(read, &untaken);
        tokio::pin!(done);
        let ended = tokio::select! {
            ended = read_all => ended,
            () = &mut done => return LostConnection::Ended,
        };
        // What came whole is done.
        drop(requests);
        done.await;
        ended
    }

    /// Does requests in the order in which they came. What takes long is done beside what comes after it, except for writes: who asks later
    /// finds what was written, though the agent has told the kernel so before.
    async fn do_requests(
        self: &Arc<Self>,
        mut requests: mpsc::UnboundedReceiver<(InHeader, Vec<u8>, OwnedSemaphorePermit)>,
        untaken: &Arc<Semaphore>,
    ) {
        while let Some((header, request, permit)) = requests.recv().await {
            // One of an earlier connection as well.
            let nothing_is_written = self.writing.clone().lock_owned().await;
            let (verdict, ticket) = self.replies.begin(header.unique);
            let server = self.clone();
            let work = move |request: Vec<u8>| match server.answer(&header, &request[HEADER..]) {
                Some(outcome) => {
                    let reply = Bytes::from(message::reply(header.unique, outcome));
                    server.replies.end(ticket, reply, changes_anything(&header), Some(permit));
                }
                None => server.replies.settle(ticket),
            };
            match verdict {
                Verdict::Do if takes_long(&header, &request) => {
                    let held = (header.opcode == opcode::WRITE).then_some(nothing_is_written);
                    drop(tokio::task::spawn_blocking(move || {
                        let _held = held;
                        work(request);
                    }));
                }
                Verdict::Do => work(request),
                Verdict::Repeat(reply) => match untaken.clone().acquire_owned().await {
                    Ok(permit) => self.replies.send(reply, permit),
                    // Nobody closes it.
                    Err(_) => return,
                },
                Verdict::Wait => {}
            }
        }
    }
}

async fn write_answers(
    mut writer: impl AsyncWrite + Send + Unpin,
    mut answers: mpsc::UnboundedReceiver<Outgoing>,
) -> LostConnection {
    while let Some((answer, permit)) = answers.recv().await {
        let sent = async {
            writer.write_all(&answer).await?;
            if answers.is_empty() { writer.flush().await } else { Ok(()) }
        };
        if let Err(error) = sent.await {
            return LostConnection::Broken(error);
        }
        drop(permit);
    }
    // A later stream took over.
    LostConnection::Ended
}

/// Reads a message that begins with its length.
pub(crate) async fn read_message(
    reader: &mut (impl AsyncRead + Unpin),
    head: usize,
) -> Result<Vec<u8>, LostConnection> {
    let mut length = [0; 4];
    reader.read_exact(&mut length).await.map_err(lost)?;
    let total = u32::from_le_bytes(length) as usize;
    if total < head || total > MAX_MESSAGE {
        return Err(LostConnection::Protocol("a message of a length that none has"));
    }
    // As it comes: a length that is only claimed takes no memory.
    let mut message = Vec::with_capacity(total.min(AT_ONCE));
    message.extend_from_slice(&length);
    let wanted = (total - length.len()) as u64;
    let read = reader.take(wanted).read_to_end(&mut message).await.map_err(LostConnection::Broken)?;
    if read as u64 == wanted { Ok(message) } else { Err(LostConnection::Ended) }
}

fn lost(error: io::Error) -> LostConnection {
    if error.kind() == io::ErrorKind::UnexpectedEof { LostConnection::Ended } else { LostConnection::Broken(error) }
}

fn pong() -> Bytes {
    let mut message = message::reply(0, Ok(message::Answer::empty()));
    message[4..8].copy_from_slice(&PONG.to_le_bytes());
    debug_assert_eq!(message.len(), OUT_HEADER);
    Bytes::from(message)
}

/// Whether an operation must not be done twice. Those that only read are done again, rather than kept.
fn changes_anything(header: &InHeader) -> bool {
    !matches!(
        header.opcode,
        opcode::READ | opcode::READDIR | opcode::READDIRPLUS | opcode::GETATTR | opcode::READLINK | opcode::STATFS
    )
}

/// Whether an operation may wait for a disk, or copy much.
fn takes_long(header: &InHeader, request: &[u8]) -> bool {
    let word = |at: usize| {
        request.get(HEADER + at..HEADER + at + 4).and_then(|word| word.try_into().ok()).map(u32::from_le_bytes)
    };
    match header.opcode {
        opcode::FSYNC | opcode::FSYNCDIR | opcode::FALLOCATE | opcode::COPY_FILE_RANGE => true,
        // `fuse_setattr_in.valid`
        opcode::SETATTR => word(0).is_some_and(|valid| valid & fattr::SIZE != 0),
        opcode::WRITE => request.len() > AT_ONCE,
        // `fuse_read_in.size`
        opcode::READ | opcode::READDIR | opcode::READDIRPLUS => word(16).is_some_and(|size| size as usize > AT_ONCE),
        _ => false,
    }
}
