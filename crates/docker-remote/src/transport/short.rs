//! Connections for requests whose answers are short.
//!
//! bollard collects an answer whole, however long it is, and waits for its end however slowly it comes. Whoever rules the host may make either
//! endless: so the connection below it ends an answer. HTTP/1 asks again on a connection only after the last answer: what is read since
//! something was last written is one answer.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use hyper::Uri;
use hyper_util::{
    client::legacy::connect::{Connected, Connection},
    rt::TokioIo,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep},
};
use tower_service::Service;

/// The largest answer about a daemon itself that is read; `/info` of a large host has some kilobytes.
pub(super) const MOST: usize = 4 << 20;

/// A connector whose connections end an answer that is too long or takes too long.
#[derive(Clone, Debug)]
pub(crate) struct Short<C> {
    connector: C,
    within: Duration,
}

impl<C> Short<C> {
    /// For answers that are whole within this time.
    pub(crate) fn new(connector: C, within: Duration) -> Self {
        Self { connector, within }
    }
}

impl<C, S> Service<Uri> for Short<C>
where
    C: Service<Uri, Response = S>,
    C::Future: Send + 'static,
    TokioIo<S>: AsyncRead + AsyncWrite + Unpin,
{
    type Response = TokioIo<OneAnswer<TokioIo<S>>>;
    type Error = C::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.connector.poll_ready(context)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let (connecting, within) = (self.connector.call(uri), self.within);
        Box::pin(async move { Ok(TokioIo::new(OneAnswer::new(TokioIo::new(connecting.await?), within))) })
    }
}

/// A connection on which no answer is longer than [`MOST`], or takes longer than it may.
pub(crate) struct OneAnswer<S> {
    connection: S,
    within: Duration,
    /// When the answer is to be whole.
    end: Pin<Box<Sleep>>,
    /// What it may have from here on, in bytes.
    left: usize,
}

impl<S> OneAnswer<S> {
    fn new(connection: S, within: Duration) -> Self {
        Self { connection, within, end: Box::pin(tokio::time::sleep(within)), left: MOST }
    }

    fn asked(&mut self) {
        self.left = MOST;
        let end = Instant::now() + self.within;
        self.end.as_mut().reset(end);
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for OneAnswer<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let seen = buffer.filled().len();
        if Pin::new(&mut this.connection).poll_read(context, buffer)?.is_pending() {
            ready!(this.end.as_mut().poll(context));
            let late = format!("no whole answer within {} s", this.within.as_secs_f32());
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, late)));
        }
        let Some(left) = this.left.checked_sub(buffer.filled().len() - seen) else {
            return Poll::Ready(Err(io::Error::other(format!("the answer has more than {} MiB", MOST >> 20))));
        };
        this.left = left;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for OneAnswer<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.asked();
        Pin::new(&mut this.connection).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.asked();
        Pin::new(&mut this.connection).poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.connection.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().connection).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().connection).poll_shutdown(context)
    }
}

impl<S: Connection> Connection for OneAnswer<S> {
    fn connected(&self) -> Connected {
        self.connection.connected()
    }
}
