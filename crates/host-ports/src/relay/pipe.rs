//! Between a TCP connection and a stream of HTTP/2.

use std::{future::poll_fn, io};

use bytes::{Bytes, BytesMut};
use h2::{Reason, RecvStream, SendStream};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// What is read at a time.
const CHUNK: usize = 32 << 10;

/// Passes everything on in both directions, each until its end. Where one breaks, both do.
pub(super) async fn both(tcp: TcpStream, mut sending: SendStream<Bytes>, mut receiving: RecvStream) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    let (mut read, mut write) = tcp.into_split();
    let outgoing = async {
        let mut buffer = BytesMut::new();
        loop {
            // Room is asked for by what there is to send: what a connection holds and does not use, no other has.
            buffer.reserve(CHUNK);
            let mut limited = (&mut read).take(CHUNK as u64);
            let read = tokio::select! {
                read = limited.read_buf(&mut buffer) => read?,
                // The other side wants no more, while this one has nothing to say.
                reset = poll_fn(|context| sending.poll_reset(context)) => {
                    return Err(io::Error::other(format!("closed by the other side: {reset:?}")));
                }
            };
            if read == 0 {
                return sending.send_data(Bytes::new(), true).map_err(io::Error::other);
            }
            while !buffer.is_empty() {
                sending.reserve_capacity(buffer.len());
                let room = match poll_fn(|context| sending.poll_capacity(context)).await {
                    Some(room) => room.map_err(io::Error::other)?,
                    None => return Err(io::ErrorKind::BrokenPipe.into()),
                };
                let next = buffer.split_to(room.min(buffer.len())).freeze();
                sending.send_data(next, false).map_err(io::Error::other)?;
            }
        }
    };
    let incoming = async {
        while let Some(data) = receiving.data().await {
            let data = data.map_err(io::Error::other)?;
            write.write_all(&data).await?;
            receiving.flow_control().release_capacity(data.len()).map_err(io::Error::other)?;
        }
        write.shutdown().await
    };
    let outcome = tokio::try_join!(outgoing, incoming);
    match outcome {
        Ok(_) => Ok(()),
        Err(error) => {
            sending.send_reset(Reason::CANCEL);
            // Closed with a reset rather than an end: what came may not be all.
            if let Ok(tcp) = read.reunite(write) {
                let _ = tcp.set_zero_linger();
            }
            Err(error)
        }
    }
}
