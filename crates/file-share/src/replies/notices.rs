//! What the other side is told without having asked: what it knew is out of date.
//!
//! Nobody acknowledges a notice. So the latest are kept: after a connection that broke, and after an answer that was being made meanwhile
//! and says what was true before, they are sent again. To be told twice costs little.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use bytes::Bytes;

/// What a broken connection lost is younger than this: its silence is noticed before.
const KEPT_FOR: Duration = Duration::from_secs(90);

/// So many are kept.
const KEPT: usize = 4096;

#[derive(Debug, Default)]
pub(super) struct Notices {
    recent: VecDeque<(Bytes, Instant)>,
    /// The number of the first of them.
    first: u64,
    /// The number of the next to be sent.
    cursor: u64,
}

impl Notices {
    fn end(&self) -> u64 {
        self.first + self.recent.len() as u64
    }

    /// How many there were until now.
    pub(super) fn count(&self) -> u64 {
        self.end()
    }

    pub(super) fn add(&mut self, notice: Bytes) {
        let now = Instant::now();
        while self.recent.len() >= KEPT
            || self.recent.front().is_some_and(|(_, at)| now.duration_since(*at) > KEPT_FOR && self.cursor > self.first)
        {
            self.recent.pop_front();
            self.first += 1;
        }
        self.recent.push_back((notice, now));
    }

    /// Sends those from this number on again.
    pub(super) fn again(&mut self, from: u64) {
        self.cursor = self.cursor.min(from);
    }

    /// A new connection: whatever the last one lost is sent again.
    pub(super) fn reconnect(&mut self) {
        let lately = self.recent.iter().take_while(|(_, at)| at.elapsed() > KEPT_FOR).count() as u64;
        // Some that may have been lost are not kept any more: the next asks for everything.
        let is_whole = self.recent.len() < KEPT || lately > 0;
        self.cursor = if is_whole { self.cursor.min(self.first + lately) } else { 0 };
    }

    /// Whether there is one to be sent.
    pub(super) fn is_due(&self) -> bool {
        self.cursor < self.end()
    }

    /// The next to be sent; an error where it is not kept any more, and everything has to be taken for out of date.
    pub(super) fn next(&mut self) -> Result<Option<Bytes>, Forgotten> {
        if self.cursor < self.first {
            self.cursor = self.end();
            return Err(Forgotten);
        }
        let at = usize::try_from(self.cursor - self.first).unwrap_or(usize::MAX);
        let notice = self.recent.get(at).map(|(notice, _)| notice.clone());
        self.cursor += u64::from(notice.is_some());
        Ok(notice)
    }
}

/// A notice that has to be sent is not kept any more.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Forgotten;

#[cfg(test)]
mod tests {
    use super::*;

    fn all(notices: &mut Notices) -> Result<Vec<u8>, Forgotten> {
        let mut sent = Vec::new();
        while let Some(notice) = notices.next()? {
            sent.push(notice[0]);
        }
        Ok(sent)
    }

    #[test]
    fn a_notice_is_sent_again_after_a_break_and_after_a_late_answer() {
        let mut notices = Notices::default();
        for notice in 0..3 {
            notices.add(Bytes::from(vec![notice]));
        }
        assert_eq!(all(&mut notices), Ok(vec![0, 1, 2]));
        assert!(!notices.is_due());
        notices.again(1);
        assert_eq!(all(&mut notices), Ok(vec![1, 2]));
        notices.reconnect();
        assert_eq!(all(&mut notices), Ok(vec![0, 1, 2]));
    }

    #[test]
    fn where_one_is_not_kept_any_more_everything_is_out_of_date() {
        let mut notices = Notices::default();
        for _ in 0..=KEPT {
            notices.add(Bytes::from_static(&[0]));
        }
        assert_eq!(notices.next(), Err(Forgotten));
        // That is said once.
        assert_eq!(all(&mut notices), Ok(Vec::new()));
        notices.reconnect();
        assert_eq!(notices.next(), Err(Forgotten));
    }
}
