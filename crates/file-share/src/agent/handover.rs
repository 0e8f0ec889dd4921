//! How a connection comes to the agent: another process in the agent's container hands over its standard input and output.

use std::{
    io::{self, IoSlice, IoSliceMut, Read as _},
    mem::MaybeUninit,
    os::{
        fd::{AsFd, OwnedFd},
        linux::net::SocketAddrExt as _,
        unix::net::{SocketAddr, UnixListener, UnixStream},
    },
    time::Duration,
};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net,
    sync::mpsc,
};

/// The name of the agent's socket, in the network namespace of its container, which nobody else is in.
const SOCKET: &[u8] = b"sdocker-file-share";

/// A relay sends at once what it has.
const HANDOVER_TAKES: Duration = Duration::from_secs(5);

/// What is passed on at a time, at most.
const PIECE: usize = 256 << 10;

/// A stream that a relay handed over.
#[derive(Debug)]
pub(super) struct Handover {
    pub(super) input: OwnedFd,
    pub(super) output: OwnedFd,
    /// Closed, it ends the relay; and the other way round.
    pub(super) relay: net::UnixStream,
}

/// Hands standard input and output over to the agent as a connection of a folder, and waits until it is no longer used.
///
/// # Errors
/// There is no agent.
pub fn relay(share: u32, input: impl AsFd, output: impl AsFd) -> io::Result<()> {
    let mut agent = UnixStream::connect_addr(&SocketAddr::from_abstract_name(SOCKET)?)?;
    let descriptors = [input.as_fd(), output.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&descriptors));
    sendmsg(&agent, &[IoSlice::new(&share.to_le_bytes())], &mut control, SendFlags::empty())?;
    // Until the agent closes it.
    let _ = agent.read(&mut [0])?;
    Ok(())
}

/// Hands a stream over that is none of a process's own descriptors, in place of standard input and output, and passes what comes and goes until
/// either side ends.
///
/// # Cancel safety
/// Dropped, the connection ends.
///
/// # Errors
/// There is no agent.
pub async fn relay_stream(share: u32, stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    let (input, to_agent) = io::pipe()?;
    let (from_agent, output) = io::pipe()?;
    let to_agent = net::unix::pipe::Sender::from_owned_fd(to_agent.into())?;
    let from_agent = net::unix::pipe::Receiver::from_owned_fd(from_agent.into())?;
    let handed = tokio::task::spawn_blocking(move || relay(share, input, output));
    let (reader, writer) = tokio::io::split(stream);
    tokio::select! {
        // Whatever ended it, the agent's client comes again.
        _ = pass(reader, to_agent) => Ok(()),
        _ = pass(from_agent, writer) => Ok(()),
        handed = handed => handed.map_err(io::Error::other)?,
    }
}

async fn pass(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) -> io::Result<()> {
    let mut buffer = vec![0; PIECE];
    loop {
        let length = from.read(&mut buffer).await?;
        if length == 0 {
            return Ok(());
        }
        to.write_all(&buffer[..length]).await?;
        to.flush().await?;
    }
}

/// The agent's socket.
#[derive(Debug)]
pub(super) struct Handovers(net::UnixListener);

impl Handovers {
    pub(super) fn listen() -> io::Result<Self> {
        let listener = UnixListener::bind_addr(&SocketAddr::from_abstract_name(SOCKET)?)?;
        listener.set_nonblocking(true)?;
        net::UnixListener::from_std(listener).map(Self)
    }

    /// Gives connections to the shares that they are for. Ends only with an error.
    pub(super) async fn distribute(&self, shares: &[mpsc::Sender<Handover>]) -> io::Error {
        loop {
            let stream = match self.0.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => return error,
            };
            match tokio::time::timeout(HANDOVER_TAKES, take(stream)).await {
                Ok(Ok((share, handover))) => match shares.get(share as usize) {
                    // One that is not taken in time is dropped: its client comes again.
                    Some(share) => drop(share.try_send(handover)),
                    None => tracing::warn!("a connection for folder {share}, which is not shared"),
                },
                Ok(Err(error)) => tracing::warn!("a connection could not be taken: {error}"),
                Err(_) => tracing::warn!("a relay sent nothing"),
            }
        }
    }
}

async fn take(stream: net::UnixStream) -> io::Result<(u32, Handover)> {
    let received = stream.async_io(tokio::io::Interest::READABLE, || receive(&stream)).await?;
    let (share, descriptors) = received;
    let [input, output]: [OwnedFd; 2] =
        descriptors.try_into().map_err(|_| io::Error::other("a relay hands over two descriptors"))?;
    Ok((share, Handover { input, output, relay: stream }))
}

fn receive(stream: impl AsFd) -> io::Result<(u32, Vec<OwnedFd>)> {
    let mut number = [0; 4];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = recvmsg(stream, &mut [IoSliceMut::new(&mut number)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    if received.bytes != number.len() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let descriptors = control.drain().flat_map(|message| match message {
        RecvAncillaryMessage::ScmRights(descriptors) => descriptors.collect(),
        _ => Vec::new(),
    });
    Ok((u32::from_le_bytes(number), descriptors.collect()))
}
