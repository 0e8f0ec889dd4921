//! What is remembered of launches, by whoever answers the socket next.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Limits;

const HOUR: Duration = Duration::from_secs(3600);

/// How much is remembered of why a launch failed, in characters.
const MOST_WHY: usize = 4096;

/// The launches of one user so far, as far as they matter to the next. Times are since 1970-01-01 UTC.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct History {
    /// When each launch of the last hour began.
    pub begun: Vec<Duration>,
    /// How the last one failed, if it did.
    pub failure: Option<Failure>,
    /// How long the last one took that did not fail.
    pub took: Option<Duration>,
}

/// A launch that failed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Failure {
    /// Why.
    pub why: String,
    /// Until when nothing is launched.
    pub until: Duration,
    /// How long nothing is launched.
    pub pause: Duration,
}

impl History {
    /// Why nothing may be launched at this time; `None` where it may.
    pub(crate) fn refusal(&self, now: Duration, limits: &Limits) -> Option<String> {
        if let Some(failure) = self.failure.as_ref().filter(|failure| !failure.left(now, limits).is_zero()) {
            return Some(failure.said(now, limits));
        }
        let recent = self.recent(now);
        let first = recent.iter().min().filter(|_| recent.len() >= limits.hourly)?;
        let (launched, minutes) = (limits.hourly, (*first + HOUR).saturating_sub(now).as_secs() / 60 + 1);
        Some(format!(
            "{launched} hosts were launched within an hour: the next one can be launched in {minutes} minutes"
        ))
    }

    /// When the launches of the last hour began. A clock that was set back makes none of them later than now.
    fn recent(&self, now: Duration) -> Vec<Duration> {
        self.begun.iter().map(|begun| (*begun).min(now)).filter(|begun| now - *begun < HOUR).collect()
    }

    pub(crate) fn begins(&mut self, now: Duration) {
        self.begun = self.recent(now);
        self.begun.push(now);
    }

    pub(crate) fn succeeds(&mut self, took: Duration) {
        self.failure = None;
        self.took = Some(took);
    }

    pub(crate) fn fails(&mut self, why: String, now: Duration, limits: &Limits) {
        let last = self.failure.take();
        let pause = last.map_or(limits.pause, |last| last.pause.saturating_mul(2)).min(limits.longest_pause);
        self.failure =
            Some(Failure { why: why.chars().take(MOST_WHY).collect(), until: now.saturating_add(pause), pause });
    }
}

impl Failure {
    /// How long nothing is launched yet.
    fn left(&self, now: Duration, limits: &Limits) -> Duration {
        self.until.saturating_sub(now).min(limits.longest_pause)
    }

    pub(crate) fn said(&self, now: Duration, limits: &Limits) -> String {
        match self.left(now, limits) {
            Duration::ZERO => self.why.clone(),
            left => format!("{} (nothing is launched for another {} s)", self.why, left.as_secs().max(1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_set_back_blocks_nothing_for_longer_than_the_longest_pause() {
        let limits = Limits::default();
        let (later, now) = (Duration::from_secs(100_000), Duration::from_secs(10_000));
        let mut history = History::default();
        history.fails("no capacity".to_owned(), later, &limits);
        let said = history.refusal(now, &limits).expect("it failed");
        assert_eq!(said, "no capacity (nothing is launched for another 3600 s)");
        history.failure = None;
        history.begun = vec![later; limits.hourly];
        let said = history.refusal(now, &limits).expect("they were many");
        assert!(said.ends_with("in 61 minutes"), "{said}");
        history.begins(now);
        assert_eq!(history.begun, [now; 7], "what is later than now was now");
    }
}
