//! Connections, with what was read of them and not used yet.

use std::io;

use bytes::{Buf as _, Bytes, BytesMut};
use futures_util::FutureExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf};

use crate::{Connection, body::Body, head::Head, head::malformed};

/// How much is read at a time.
const PIECE: usize = 64 << 10;

/// How much is taken along that is there already: TLS gives no more than 16 KiB at a time, and each piece is written by itself.
const TAKEN_ALONG: usize = 256 << 10;

/// How long a head may be: one of the CLI holds the credentials of every registry.
const MOST_HEAD: usize = 1 << 20;

/// Both directions of a connection.
pub(crate) struct Wire {
    pub(crate) reader: Reader,
    pub(crate) writer: Writer,
}

pub(crate) type Writer = WriteHalf<Connection>;

impl Wire {
    pub(crate) fn new(connection: Connection) -> Self {
        let (reader, writer) = tokio::io::split(connection);
        Self { reader: Reader { half: reader, buffer: BytesMut::new() }, writer }
    }
}

/// Writes, and holds nothing back.
pub(crate) async fn send(writer: &mut Writer, bytes: &[u8]) -> io::Result<()> {
    writer.write_all(bytes).await?;
    writer.flush().await
}

/// The direction from the other side.
pub(crate) struct Reader {
    half: ReadHalf<Connection>,
    buffer: BytesMut,
}

impl Reader {
    /// Reads more; `false` at the end. Dropped, nothing is lost.
    pub(crate) async fn fill(&mut self) -> io::Result<bool> {
        self.buffer.reserve(PIECE);
        if self.half.read_buf(&mut self.buffer).await? == 0 {
            return Ok(false);
        }
        while self.buffer.len() < TAKEN_ALONG {
            self.buffer.reserve(PIECE);
            // An end or an error is found again by whoever reads next.
            if !matches!(self.half.read_buf(&mut self.buffer).now_or_never(), Some(Ok(1..))) {
                break;
            }
        }
        Ok(true)
    }

    /// What was read and not used.
    pub(crate) fn buffered(&self) -> &[u8] {
        &self.buffer
    }

    pub(crate) fn use_up(&mut self, length: usize) {
        self.buffer.advance(length);
    }

    /// A message's head; `None` at the end.
    pub(crate) async fn head<H: Head>(&mut self) -> io::Result<Option<H>> {
        loop {
            if let Some((head, length)) = H::parse(&self.buffer)? {
                self.use_up(length);
                return Ok(Some(head));
            }
            if self.buffer.len() > MOST_HEAD {
                return Err(malformed("a head without an end"));
            }
            if !self.fill().await? {
                return if self.buffer.is_empty() { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
            }
        }
    }

    /// The next content of a body; `None` at its end.
    pub(crate) async fn content(&mut self, body: &mut Body) -> io::Result<Option<Bytes>> {
        while !body.is_done() {
            let span = body.next(&self.buffer)?;
            if span.taken == 0 {
                if !self.fill().await? {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                continue;
            }
            let mut taken = self.buffer.split_to(span.taken).freeze();
            if !span.content.is_empty() {
                taken.truncate(span.content.end);
                taken.advance(span.content.start);
                return Ok(Some(taken));
            }
        }
        Ok(None)
    }

    /// The content of a whole body, which is no longer than this.
    pub(crate) async fn whole(&mut self, body: &mut Body, most: usize) -> io::Result<Bytes> {
        let mut whole = BytesMut::new();
        while let Some(content) = self.content(body).await? {
            if whole.len() + content.len() > most {
                return Err(malformed(format!("more than {} MiB", most >> 20)));
            }
            whole.extend_from_slice(&content);
        }
        Ok(whole.freeze())
    }

    /// Comes to its end when the other side has closed its direction. What it sends meanwhile is kept, up to a piece.
    pub(crate) async fn ended(&mut self) {
        while self.buffer.len() < PIECE {
            if !matches!(self.fill().await, Ok(true)) {
                return;
            }
        }
        std::future::pending::<()>().await;
    }
}
