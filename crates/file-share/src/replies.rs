//! What was answered lately: a request that is repeated on a new connection is answered again, not done again.

mod notices;

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use tokio::sync::{Notify, OwnedSemaphorePermit, mpsc};

pub(crate) use notices::Forgotten;
use notices::Notices;

/// How many requests an agent sends before the first is answered.
pub(crate) const MAX_WAITING: usize = 256;

/// How many answers are kept. What a broken connection lost is the end of what was sent on it, and an agent waits for at most [`MAX_WAITING`]
/// answers at a time, so that no more can be asked for again.
const KEPT: usize = 4 * MAX_WAITING;

/// How much is kept of them.
const KEPT_BYTES: usize = 2 << 20;

/// An answer on its way out, and the place that it takes among those that are worked on.
pub(crate) type Outgoing = (Bytes, Option<OwnedSemaphorePermit>);

/// What to do about a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is new.
    Do,
    /// It is being done. The answer goes to the newest connection.
    Wait,
    /// It was done.
    Repeat(Bytes),
}

/// A request that is worked on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ticket {
    unique: u64,
    epoch: u64,
    /// How many notices there were before it was begun.
    notices: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Replies {
    inner: Mutex<Inner>,
    /// There is a notice to be sent.
    pub(crate) noticed: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    running: HashSet<u64>,
    done: HashMap<u64, Bytes>,
    order: VecDeque<u64>,
    bytes: usize,
    /// Counts the mounts: an answer for one before this is nobody's.
    epoch: u64,
    connection: Option<mpsc::UnboundedSender<Outgoing>>,
    notices: Notices,
}

impl Replies {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
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
        let mut inner = self.inner();
        inner.connection = Some(sender);
        inner.notices.reconnect();
        receiver
    }

    /// A request came. Returns the ticket for its answer as well.
    pub(crate) fn begin(&self, unique: u64) -> (Verdict, Ticket) {
        let inner = &mut *self.inner();
        let ticket = Ticket { unique, epoch: inner.epoch, notices: inner.notices.count() };
        let verdict = match inner.done.get(&unique) {
            Some(reply) => Verdict::Repeat(reply.clone()),
            None if inner.running.insert(unique) => Verdict::Do,
            None => Verdict::Wait,
        };
        (verdict, ticket)
    }

    /// A request was done. `keep` says that it must not be done again.
    pub(crate) fn end(&self, ticket: Ticket, reply: Bytes, keep: bool, permit: Option<OwnedSemaphorePermit>) {
        let Ticket { unique, epoch, notices } = ticket;
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
        // It may say what was true before them, and comes after them.
        if inner.notices.count() > notices {
            inner.notices.again(notices);
            self.noticed.notify_one();
        }
    }

    /// A request that has no answer was done.
    pub(crate) fn settle(&self, ticket: Ticket) {
        let mut inner = self.inner();
        if inner.epoch == ticket.epoch {
            inner.running.remove(&ticket.unique);
        }
    }

    /// Adds what the other side is to be told.
    pub(crate) fn notice(&self, notice: Bytes) {
        self.inner().notices.add(notice);
    }

    /// Whether there is a notice to be sent.
    pub(crate) fn has_notice(&self) -> bool {
        self.inner().notices.is_due()
    }

    /// Sends the next notice, in its order with the answers.
    pub(crate) fn send_notice(&self, permit: OwnedSemaphorePermit) -> Result<(), Forgotten> {
        let inner = &mut *self.inner();
        if let Some(connection) = &inner.connection
            && let Some(notice) = inner.notices.next()?
        {
            let _ = connection.send((notice, Some(permit)));
        }
        Ok(())
    }

    /// Sends what took no work.
    pub(crate) fn send(&self, message: Bytes, permit: OwnedSemaphorePermit) {
        if let Some(connection) = &self.inner().connection {
            let _ = connection.send((message, Some(permit)));
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
        assert_eq!(replies.begin(2).0, Verdict::Do);
        // The connection breaks while it is done, and the agent asks again.
        first.close();
        let mut second = replies.connect();
        assert_eq!(replies.begin(2).0, Verdict::Wait);
        let ticket = replies.begin(2).1;
        replies.end(ticket, bytes("done"), true, None);
        assert_eq!(second.try_recv().map(|(reply, _)| reply), Ok(bytes("done")));
        assert_eq!(replies.begin(2).0, Verdict::Repeat(bytes("done")));
    }

    #[test]
    fn what_is_kept_has_an_end() {
        let replies = Replies::default();
        for unique in 0..3_000_u64 {
            let (verdict, ticket) = replies.begin(unique);
            assert_eq!(verdict, Verdict::Do);
            replies.end(ticket, Bytes::from(vec![0; 16 << 10]), true, None);
        }
        let inner = replies.inner();
        assert!(inner.bytes <= KEPT_BYTES && inner.done.len() == KEPT_BYTES / (16 << 10), "{}", inner.bytes);
        assert_eq!((inner.order.len(), inner.running.len()), (inner.done.len(), 0));
    }

    #[test]
    fn an_answer_for_an_earlier_mount_is_nobodys() {
        let replies = Replies::default();
        let (_, ticket) = replies.begin(2);
        replies.clear();
        let mut connection = replies.connect();
        replies.end(ticket, bytes("late"), true, None);
        assert!(connection.try_recv().is_err());
        assert_eq!(replies.begin(2).0, Verdict::Do);
    }
}
