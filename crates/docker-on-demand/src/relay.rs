//! One request, passed on to a daemon, and its response passed back: both as they come, at the same time.

use std::{
    io,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use tokio::{io::AsyncWriteExt as _, time::Instant};

use crate::{
    body::Body,
    head::{Request, Response},
    wire::{Reader, Wire, Writer, send},
};

/// How long what follows an upgraded response comes behind it. docker-py (7.2, `APIClient._get_raw_response_socket`) reads it past the buffer of its
/// HTTP library, and loses what that read together with the head. A daemon says nothing so soon: it starts a process only then. But here both may
/// wait for a turn of this process, and then be found together by a client that waits for its own.
const BEHIND_UPGRADE: Duration = Duration::from_millis(20);

/// What can be done with the two connections afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) client: bool,
    pub(crate) daemon: bool,
}

/// Why a request came to no good end.
#[derive(Debug)]
pub(crate) enum Failed {
    /// The daemon went away before it answered anything; the client was sent nothing.
    Unanswered(io::Error),
    /// Either side went away later.
    Midway(io::Error),
}

enum Answered {
    /// The response came to its end.
    Whole { keeps: bool },
    /// What follows is no HTTP, or ends with the connection; it is passed on from this time on.
    Stream { from: Instant },
}

/// Passes a request on, and its response back. What was read of the request's body already is sent in place of it.
pub(crate) async fn relay(
    client: &mut Wire,
    daemon: &mut Wire,
    request: &Request,
    read: Option<&[u8]>,
    edit: impl FnOnce(&mut Response) + Send,
) -> Result<Kept, Failed> {
    let mut head = request.bytes();
    let mut body = match read {
        Some(read) => {
            head.extend_from_slice(read);
            Body::sized(0)
        }
        None => request.body().map_err(Failed::Unanswered)?,
    };
    send(&mut daemon.writer, &head).await.map_err(Failed::Unanswered)?;
    let (is_sent, is_answered) = (AtomicBool::new(false), AtomicBool::new(false));
    let answered = {
        let sending = async {
            if upload(&mut client.reader, &mut daemon.writer, &mut body).await {
                is_sent.store(true, Ordering::Relaxed);
                client.reader.ended().await;
            }
        };
        let answering = answer(&mut daemon.reader, &mut client.writer, request, edit, &is_answered);
        tokio::select! {
            biased;
            answered = answering => answered,
            // A daemon gives up what it does for a client that has gone (net/http, `Request.Context`).
            () = sending => Err(io::ErrorKind::ConnectionAborted.into()),
        }
    };
    match answered {
        Ok(Answered::Whole { keeps }) => {
            let is_sent = is_sent.load(Ordering::Relaxed) || body.is_done();
            Ok(Kept { client: is_sent && keeps && request.keeps(), daemon: is_sent && keeps })
        }
        Ok(Answered::Stream { from }) => {
            tunnel(client, daemon, from).await.map_err(Failed::Midway)?;
            Ok(Kept { client: false, daemon: false })
        }
        Err(error) if is_answered.load(Ordering::Relaxed) || error.kind() == io::ErrorKind::ConnectionAborted => {
            Err(Failed::Midway(error))
        }
        Err(error) => Err(Failed::Unanswered(error)),
    }
}

/// Passes a body on as it is; whether the client sent it whole. A daemon that reads no further may have answered already: that is waited for.
async fn upload(from: &mut Reader, to: &mut Writer, body: &mut Body) -> bool {
    while !body.is_done() {
        let Ok(length) = body.skip(from.buffered()) else { return false };
        if length == 0 {
            if !matches!(from.fill().await, Ok(true)) {
                return false;
            }
            continue;
        }
        if send(to, &from.buffered()[..length]).await.is_err() {
            std::future::pending::<()>().await;
        }
        from.use_up(length);
    }
    true
}

async fn answer(
    from: &mut Reader,
    to: &mut Writer,
    request: &Request,
    edit: impl FnOnce(&mut Response),
    is_answered: &AtomicBool,
) -> io::Result<Answered> {
    let mut response = loop {
        let response: Response = from.head().await?.ok_or(io::ErrorKind::UnexpectedEof)?;
        is_answered.store(true, Ordering::Relaxed);
        // What comes before the response, such as "100 Continue".
        if response.status >= 200 || response.status == 101 {
            break response;
        }
        send(to, &response.bytes()).await?;
    };
    edit(&mut response);
    send(to, &response.bytes()).await?;
    match response.body(&request.method)? {
        Some(mut body) if response.status != 101 => {
            download(from, to, &mut body).await?;
            Ok(Answered::Whole { keeps: response.keeps() })
        }
        Some(_) => Ok(Answered::Stream { from: Instant::now() + BEHIND_UPGRADE }),
        None => Ok(Answered::Stream { from: Instant::now() }),
    }
}

async fn download(from: &mut Reader, to: &mut Writer, body: &mut Body) -> io::Result<()> {
    while !body.is_done() {
        let length = body.skip(from.buffered())?;
        if length == 0 {
            if !from.fill().await? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            continue;
        }
        send(to, &from.buffered()[..length]).await?;
        from.use_up(length);
    }
    Ok(())
}

/// Passes both directions on until both have ended; the end of one is no end of the other.
async fn tunnel(client: &mut Wire, daemon: &mut Wire, from: Instant) -> io::Result<()> {
    let up = pass(&mut client.reader, &mut daemon.writer);
    let down = async {
        tokio::time::sleep_until(from).await;
        pass(&mut daemon.reader, &mut client.writer).await
    };
    tokio::try_join!(up, down).map(drop)
}

async fn pass(from: &mut Reader, to: &mut Writer) -> io::Result<()> {
    loop {
        let length = from.buffered().len();
        if length > 0 {
            send(to, from.buffered()).await?;
            from.use_up(length);
        }
        if !from.fill().await? {
            return to.shutdown().await;
        }
    }
}
