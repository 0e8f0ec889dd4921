//! What is written on a thread where that may block, as a stream.

use std::io::{self, BufWriter, Write};

use bytes::Bytes;
use futures_util::{Stream, stream};
use tokio::{
    sync::mpsc::{self, Sender},
    task::JoinHandle,
};

/// How much is sent at a time, and how many such chunks wait to be sent at most: together a MiB, however much is written.
const CHUNK: usize = 256 << 10;
const WAITING: usize = 4;

/// What is written comes as a stream of chunks, such as an archive that a daemon is given. Whoever writes waits while too many of them are
/// unsent, and fails with `BrokenPipe` where the stream was dropped. An error of the writer is the stream's last item, so that what breaks off is
/// not taken for whole.
///
/// # Panics
/// Outside of a Tokio runtime.
pub fn written<T: Send + 'static>(
    write: impl FnOnce(&mut dyn Write) -> io::Result<T> + Send + 'static,
) -> (impl Stream<Item = io::Result<Bytes>> + Send + 'static, JoinHandle<io::Result<T>>) {
    let (sender, mut chunks) = mpsc::channel(WAITING);
    let writing = tokio::task::spawn_blocking(move || {
        let mut writer = BufWriter::with_capacity(CHUNK, Chunks(sender.clone()));
        let done = match write(&mut writer) {
            Ok(done) => writer.flush().map(|()| done),
            Err(error) => {
                // What is in the buffer still would come after the error.
                drop(writer.into_parts());
                Err(error)
            }
        };
        if let Err(error) = &done {
            // Where the stream was dropped nobody asks.
            let _ = sender.blocking_send(Err(io::Error::new(error.kind(), error.to_string())));
        }
        done
    });
    (stream::poll_fn(move |context| chunks.poll_recv(context)), writing)
}

struct Chunks(Sender<io::Result<Bytes>>);

impl Write for Chunks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // What is larger than the buffer does not go through it.
        let chunk = &bytes[..bytes.len().min(CHUNK)];
        let sent = self.0.blocking_send(Ok(Bytes::copy_from_slice(chunk)));
        sent.map(|()| chunk.len()).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt as _;

    use super::*;

    #[tokio::test]
    async fn all_of_it_comes_and_an_error_is_its_end() {
        let (chunks, writing) = written(|writer| writer.write_all(&[7; 2 * CHUNK + 1]));
        let chunks: Vec<_> = chunks.map(|chunk| chunk.expect("written")).collect().await;
        assert_eq!((chunks.concat(), chunks.len() >= 2), (vec![7; 2 * CHUNK + 1], true));
        writing.await.expect("it ended").expect("written");

        let (mut chunks, writing) = written(|writer| {
            writer.write_all(b"begun")?;
            Err::<(), _>(io::Error::other("no more"))
        });
        let mut last = None;
        while let Some(chunk) = chunks.next().await {
            last = Some(chunk);
        }
        assert_eq!(last.expect("an item").expect_err("it failed").to_string(), "no more");
        writing.await.expect("it ended").expect_err("it failed");

        let (chunks, writing) = written(|writer| {
            loop {
                writer.write_all(&[7; CHUNK])?;
            }
        });
        drop(chunks);
        let given_up: io::Error = writing.await.expect("it ended").map(|(): ()| ()).expect_err("nobody reads");
        assert_eq!(given_up.kind(), io::ErrorKind::BrokenPipe);
    }
}
