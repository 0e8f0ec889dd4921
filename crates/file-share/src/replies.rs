//! What was answered lately: a request that is repeated on a new connection is answered again, not done again.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

/// How many answers are kept. What a broken connection lost is the end of what was sent on it, and an agent waits for at most
/// [`MAX_WAITING`](crate::connection::MAX_WAITING) answers at a time, so that no more can be asked for again.
const KEPT: usize = 4 * crate::connection::MAX_WAITING;

/// How much is kept of them.
const KEPT_BYTES: usize = 2 << 20;

/// An answer on its way out, and the place that it takes among those that are worked on.
pub(crate) type Outgoing = (Bytes, Option<OwnedSemaphorePermit>);

/// What to do about a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// It is new.
    Do,
    /// It is being done. The answer goes to the newest connection.
    Wait,
    /// It was done.
    Repeat(Bytes),
}

#[derive(Debug, Default)]
pub(crate) struct Replies(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    running: HashSet<u64>,
    done: HashMap<u64, Bytes>,
    order: VecDeque<u64>,
    bytes: usize,
    /// Counts the mounts: an answer for one before this is nobody's.
    epoch: u64,
    connection: Option<mpsc::UnboundedSender<Outgoing>>,
}

impl Replies {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new mount: its numbers begin anew.
    pub(crate) fn clear(&self) {
        let mut inner = self.inner();
        let epoch = inner.epoch + 1;
        *inner = Inner { epoch, ..Inner::default() };
    }

    /// Answers go to this connection from now on.
    pub(crate) fn connect(&self) -> mpsc::UnboundedReceiver<Outgoing> {
        // Not more than are being worked on, each with a permit.
        let (sender, receiver) = mpsc::unbounded_channel();
        self.inner().connection = Some(sender);
        receiver
    }

    /// A request came. Returns the epoch for its answer as well.
    pub(crate) fn begin(&self, unique: u64) -> (Step, u64) {
        let inner = &mut *self.inner();
        let epoch = inner.epoch;
        let step = match inner.done.get(&unique) {
            Some(reply) => Step::Repeat(reply.clone()),
            None if inner.running.insert(unique) => Step::Do,
            None => Step::Wait,
        };
        (step, epoch)
    }

    /// A request was done. `keep` says that it must not be done again.
    pub(crate) fn end(&self, unique: u64, epoch: u64, reply: Bytes, keep: bool, permit: Option<OwnedSemaphorePermit>) {
        let mut inner = self.inner();
        if inner.epoch != epoch {
            return;
        }
        inner.running.remove(&unique);
        if keep {
            inner.bytes += reply.len();
            inner.done.insert(unique, reply.clone());
            inner.order.push_back(unique);
            while inner.order.len() > KEPT || inner.bytes > KEPT_BYTES {
                let oldest = inner.order.pop_front().and_then(|oldest| inner.done.remove(&oldest));
                inner.bytes -= oldest.map_or(0, |reply| reply.len());
            }
        }
        if let Some(connection) = &inner.connection {
            // One that broke is replaced by the next, which asks again.
            let _ = connection.send((reply, permit));
        }
    }

    /// A request that has no answer was done.
    pub(crate) fn settle(&self, unique: u64, epoch: u64) {
        let mut inner = self.inner();
        if inner.epoch == epoch {
            inner.running.remove(&unique);
        }
    }

    /// Sends what no request asked for.
    pub(crate) fn send(&self, message: Bytes) {
        if let Some(connection) = &self.inner().connection {
            let _ = connection.send((message, None));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }

    #[test]
    fn what_was_done_is_answered_again_and_not_done_again() {
        let replies = Replies::default();
        let mut first = replies.connect();
        assert_eq!(replies.begin(2).0, Step::Do);
        // The connection breaks while it is done, and the agent asks again.
        first.close();
        let mut second = replies.connect();
        assert_eq!(replies.begin(2).0, Step::Wait);
        replies.end(2, 0, bytes("done"), true, None);
        assert_eq!(second.try_recv().map(|(reply, _)| reply), Ok(bytes("done")));
        assert_eq!(replies.begin(2).0, Step::Repeat(bytes("done")));
    }

    #[test]
    fn what_is_kept_has_an_end() {
        let replies = Replies::default();
        for unique in 0..3_000_u64 {
            assert_eq!(replies.begin(unique).0, Step::Do);
            replies.end(unique, 0, Bytes::from(vec![0; 16 << 10]), true, None);
        }
        let inner = replies.inner();
        assert!(inner.bytes <= KEPT_BYTES && inner.done.len() == KEPT_BYTES / (16 << 10), "{}", inner.bytes);
        assert_eq!((inner.order.len(), inner.running.len()), (inner.done.len(), 0));
    }

    #[test]
    fn an_answer_for_an_earlier_mount_is_nobodys() {
        let replies = Replies::default();
        let (_, epoch) = replies.begin(2);
        replies.clear();
        let mut connection = replies.connect();
        replies.end(2, epoch, bytes("late"), true, None);
        assert!(connection.try_recv().is_err());
        assert_eq!(replies.begin(2).0, Step::Do);
    }
}
