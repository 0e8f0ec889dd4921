//! When the host ends itself, known some time before.
//!
//! The host says so each minute, in its account of its own life. To read that of one without shared storage is to ask its daemon: it is read
//! when the end that was said last comes near, and every few minutes from then on. A host that is asked all the time is never idle.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, sleep, sleep_until};

use super::hosts::StudioHosts;

/// How long before its end a host warns (`user_data/life.sh`).
const WARNS: Duration = Duration::from_secs(10 * 60);

/// How soon it is looked again, where nothing was said yet, or something may have put the end off.
const LOOKS_AGAIN: Duration = Duration::from_secs(3 * 60);

/// How often it is looked whether the host is another one.
const LOOKS_EVERY: Duration = Duration::from_secs(2);

/// The end of a host, as it said itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ending {
    pub(super) host: String,
    pub(super) at: Timestamp,
}

impl Ending {
    /// How long it is until it is near, and no longer than it takes to be sure of anything new.
    fn is_near_in(&self, now: Timestamp) -> Duration {
        Duration::try_from(self.at.duration_since(now)).unwrap_or_default().saturating_sub(WARNS)
    }
}

/// Watches the ends of hosts, for as long as it is polled. `tell` is told of one that is near, and of one that is not any more.
pub(super) async fn watch(hosts: &StudioHosts, tell: impl Fn(Option<Ending>)) {
    let mut unsaid = LOOKS_EVERY;
    loop {
        let Some(host) = hosts.known().await.0 else {
            tell(None);
            unsaid = LOOKS_EVERY;
            sleep(LOOKS_EVERY).await;
            continue;
        };
        let pause = match hosts.ending(&host).await {
            // A new host has said nothing yet, and one of before says nothing ever.
            None => {
                unsaid = (unsaid * 2).min(LOOKS_AGAIN);
                unsaid
            }
            Some(ending) => match ending.is_near_in(Timestamp::now()) {
                Duration::ZERO => {
                    tell(Some(ending));
                    LOOKS_AGAIN
                }
                later => {
                    tell(None);
                    later
                }
            },
        };
        let until = Instant::now() + pause;
        while Instant::now() < until && hosts.known().await.0.as_ref() == Some(&host) {
            sleep_until(until.min(Instant::now() + LOOKS_EVERY)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_near_ten_minutes_before() {
        let at: Timestamp = "2026-11-26T12:00:00Z".parse().expect("a time");
        let ending = Ending { host: "c5.xlarge_i-1".to_owned(), at };
        for (now, expected) in [("11:00:00", 50 * 60), ("11:49:59", 1), ("11:50:00", 0), ("12:30:00", 0)] {
            let now = format!("2026-11-26T{now}Z").parse().expect("a time");
            assert_eq!(ending.is_near_in(now), Duration::from_secs(expected), "{now}");
        }
    }
}
