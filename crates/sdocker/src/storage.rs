//! Reading and writing where storage may not answer: a home on a network file system whose server is gone keeps every call waiting for ever.

use std::{sync::mpsc, thread, time::Duration};

use crate::error::{Context as _, Error};

/// How long a step may read or write. Slow storage takes seconds; a soft failure of NFS takes its own minutes, which are too many.
const WITHIN: Duration = Duration::from_secs(60);

/// Does what reads and writes files on a thread of its own, so that whoever waits hears signals and sees time pass, and gives it up in time. The
/// thread goes on by itself then: what it was writing may still appear.
///
/// # Cancel safety
/// It can be dropped at any time; the work goes on by itself.
///
/// # Errors
/// The work's own; storage that does not answer.
pub(crate) async fn in_time<T: Send + 'static>(
    what: impl Into<String>,
    work: impl FnOnce() -> crate::Result<T> + Send + 'static,
) -> crate::Result<T> {
    within(WITHIN, what.into(), work).await
}

async fn within<T: Send + 'static>(
    limit: Duration,
    what: String,
    work: impl FnOnce() -> crate::Result<T> + Send + 'static,
) -> crate::Result<T> {
    match tokio::time::timeout(limit, tokio::task::spawn_blocking(work)).await {
        Ok(Ok(done)) => done,
        Ok(Err(ended)) => Err(Error::new(format!("cannot {what}")).because(ended)),
        Err(_) => Err(silent(&what, limit)),
    }
}

/// The same for whoever can't await it: the calling thread waits.
///
/// # Errors
/// As those of [`in_time`].
pub(crate) fn in_time_blocking<T: Send + 'static>(
    what: &str,
    work: impl FnOnce() -> crate::Result<T> + Send + 'static,
) -> crate::Result<T> {
    blocking_within(WITHIN, what, work)
}

fn blocking_within<T: Send + 'static>(
    limit: Duration,
    what: &str,
    work: impl FnOnce() -> crate::Result<T> + Send + 'static,
) -> crate::Result<T> {
    let (sender, done) = mpsc::channel();
    let thread = thread::Builder::new().name("storage".to_owned());
    let started = thread.spawn(move || drop(sender.send(work())));
    started.with_context(|| format!("cannot {what}"))?;
    match done.recv_timeout(limit) {
        Ok(done) => done,
        Err(mpsc::RecvTimeoutError::Timeout) => Err(silent(what, limit)),
        Err(mpsc::RecvTimeoutError::Disconnected) => Err(Error::new(format!("cannot {what}"))),
    }
}

fn silent(what: &str, limit: Duration) -> Error {
    Error::new(format!("cannot {what}: storage did not answer within {} s", limit.as_secs_f32()))
        .hint("the file system of this home, or the one that it links to, may have lost its server: `df` waits for it as well")
}

#[cfg(test)]
mod tests {

    use super::*;

    /// The reactor turns meanwhile, which is what signals and deadlines need.
    #[tokio::test]
    async fn storage_that_does_not_answer_keeps_nothing_else_waiting() {
        assert_eq!(in_time("write", || Ok(7)).await.expect("written"), 7);
        let (answers, storage) = mpsc::channel::<()>();
        let work = within(Duration::from_millis(50), "write the keys".to_owned(), move || {
            let _ = storage.recv();
            Ok(())
        });
        let mut ticks = 0;
        let ticking = async {
            loop {
                tokio::time::sleep(Duration::from_millis(1)).await;
                ticks += 1;
            }
        };
        let error = tokio::select! {
            written = work => written.expect_err("it never answers"),
            () = ticking => unreachable!("it has no end"),
        };
        assert!(error.to_string().starts_with("cannot write the keys: storage did not answer within"), "{error}");
        assert!(ticks > 0);
        drop(answers);
    }

    #[test]
    fn storage_that_does_not_answer_keeps_nobody_waiting_for_ever() {
        assert_eq!(in_time_blocking("read", || Ok(7)).expect("read"), 7);
        let (answers, storage) = mpsc::channel::<()>();
        let error = blocking_within(Duration::from_millis(50), "read the hosts", move || {
            let _ = storage.recv();
            Ok(())
        });
        let error = error.expect_err("it never answers").to_string();
        assert_eq!(error, "cannot read the hosts: storage did not answer within 0.05 s");
        drop(answers);
    }
}
