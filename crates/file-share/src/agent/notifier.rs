//! Notices for the kernel: what it knows is out of date.
//!
//! The kernel takes a notice once nobody holds the lock of the folder, or of the pages, that it is about; and they may be held by somebody
//! who waits for an answer. So notices are passed by a thread of their own, never by the one that passes answers; and not while requests about
//! the same file are unanswered, unless that goes on for long. For a thread that waits for a lock can't be ended: an agent that is killed
//! meanwhile would leave a mount behind that answers nobody, until another agent [detaches](super::mount) it by force.

use std::{
    collections::{HashMap, VecDeque},
    io,
    os::fd::OwnedFd,
    sync::mpsc::{self, SyncSender, TrySendError},
    time::Duration,
};

use bytes::Bytes;
use rustix::io::Errno;
use tokio::time::Instant;
use zerocopy::FromBytes as _;

use crate::message::{HEADER, InHeader, OUT_HEADER, opcode};

/// A notice is passed after so long, whatever is asked about its file. Half of what an edit may take to be seen.
const PATIENCE: Duration = Duration::from_millis(20);

/// How many are with the thread.
const WITH_THREAD: usize = 64;

/// How many may wait. A server has fewer under way.
const MAX_WAITING: usize = 16_384;

/// Files that unanswered requests are about.
#[derive(Debug, Default)]
pub(super) struct Asked(HashMap<u64, usize>);

impl Asked {
    fn files(request: &[u8]) -> impl Iterator<Item = u64> {
        let header = InHeader::read_from_prefix(request).map(|(header, _)| header).ok();
        let renames = header.is_some_and(|header| matches!(header.opcode, opcode::RENAME | opcode::RENAME2));
        let to = request.get(HEADER..).filter(|_| renames).and_then(|body| u64::read_from_prefix(body).ok());
        header.map(|header| header.nodeid).into_iter().chain(to.map(|(to, _)| to))
    }

    pub(super) fn begin(&mut self, request: &[u8]) {
        for file in Self::files(request) {
            *self.0.entry(file).or_default() += 1;
        }
    }

    pub(super) fn end(&mut self, request: &[u8]) {
        for file in Self::files(request) {
            if let Some(count) = self.0.get_mut(&file) {
                *count -= 1;
                if *count == 0 {
                    self.0.remove(&file);
                }
            }
        }
    }
}

/// Passes notices to the kernel.
#[derive(Debug)]
pub(super) struct Notifier {
    waiting: VecDeque<(Bytes, Instant)>,
    thread: SyncSender<Bytes>,
}

impl Notifier {
    /// Starts the thread, which ends once this is dropped.
    pub(super) fn start(device: OwnedFd) -> io::Result<Self> {
        let (thread, notices) = mpsc::sync_channel::<Bytes>(WITH_THREAD);
        std::thread::Builder::new().name("notices".to_owned()).spawn(move || {
            for notice in notices {
                match rustix::io::write(&device, &notice) {
                    // What is out of date was not known.
                    Ok(_) | Err(Errno::NOENT) => {}
                    Err(Errno::NODEV | Errno::NOTCONN | Errno::CONNABORTED) => return,
                    Err(error) => tracing::warn!("the kernel refuses a notice: {error}"),
                }
            }
        })?;
        Ok(Self { waiting: VecDeque::new(), thread })
    }

    /// Takes a notice to be passed. An error where there are too many.
    pub(super) fn take(&mut self, notice: Bytes) -> io::Result<()> {
        if self.waiting.len() >= MAX_WAITING {
            return Err(io::Error::other("more notices than the kernel takes"));
        }
        self.waiting.push_back((notice, Instant::now()));
        Ok(())
    }

    /// Passes those that can be; the others keep their order.
    pub(super) fn pass(&mut self, asked: &Asked) {
        while let Some((notice, since)) = self.waiting.front() {
            // Both kinds begin with the number of their file.
            let file = notice.get(OUT_HEADER..).and_then(|body| u64::read_from_prefix(body).ok()).map(|(file, _)| file);
            if file.is_some_and(|file| asked.0.contains_key(&file)) && since.elapsed() < PATIENCE {
                return;
            }
            match self.thread.try_send(notice.clone()) {
                Ok(()) | Err(TrySendError::Disconnected(_)) => drop(self.waiting.pop_front()),
                Err(TrySendError::Full(_)) => return,
            }
        }
    }

    /// When to try again.
    pub(super) fn due(&self) -> Option<Instant> {
        let (_, since) = self.waiting.front()?;
        Some((*since + PATIENCE).max(Instant::now() + Duration::from_millis(1)))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use zerocopy::IntoBytes as _;

    use super::*;
    use crate::message::{self, Rename2In};

    fn request(opcode: u32, nodeid: u64, body: &[u8]) -> Vec<u8> {
        [InHeader { opcode, nodeid, ..InHeader::default() }.as_bytes(), body].concat()
    }

    #[tokio::test(start_paused = true)]
    async fn a_notice_waits_for_what_is_asked_about_its_file_and_not_for_long() {
        let (mut kernel, device) = std::io::pipe().expect("made");
        let mut notifier = Notifier::start(device.into()).expect("started");
        let mut asked = Asked::default();
        let rename = request(opcode::RENAME2, 7, Rename2In { newdir: 8, ..Rename2In::default() }.as_bytes());
        asked.begin(&rename);
        for file in [8, 9] {
            notifier.take(Bytes::from(message::file_changed(file, true))).expect("room");
        }
        notifier.pass(&asked);
        assert_eq!(notifier.waiting.len(), 2);
        // Answered.
        asked.end(&rename);
        assert!(asked.0.is_empty());
        notifier.pass(&asked);
        assert_eq!((notifier.waiting.len(), notifier.due()), (0, None));
        // Not answered, for long.
        asked.begin(&request(opcode::LOOKUP, 7, b"f\0"));
        notifier.take(Bytes::from(message::name_changed(7, b"f"))).expect("room");
        notifier.pass(&asked);
        assert_eq!(notifier.waiting.len(), 1);
        tokio::time::sleep_until(notifier.due().expect("it waits")).await;
        notifier.pass(&asked);
        assert_eq!(notifier.waiting.len(), 0);
        drop(notifier);
        let mut passed = Vec::new();
        kernel.read_to_end(&mut passed).expect("read");
        let expected =
            [message::file_changed(8, true), message::file_changed(9, true), message::name_changed(7, b"f")].concat();
        assert_eq!(passed, expected);
    }
}
