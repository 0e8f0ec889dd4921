//! Hosts that are stopped or have ended: nobody is there to connect to.

use std::{
    fs,
    future::{Future, pending},
    path::PathBuf,
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize};
use tokio::{sync::watch, time::sleep};
use tokio_util::sync::CancellationToken;
use whole_file::Links;

use crate::{Surroundings, places::Look, socket};

/// How often it is asked whether the host was taken out of this home.
const LOOKS_EVERY: Duration = Duration::from_secs(1);

/// After how long without the daemon the cloud is asked what became of the host, at first and at last: twice as long after each time.
const ASKS_AFTER: (Duration, Duration) = (Duration::from_secs(20), Duration::from_secs(300));

/// For how long a host that was stopped is taken for stopped without asking. Whoever starts it by sdocker says so.
const STAYS_STOPPED: Duration = Duration::from_secs(300);

/// Why nobody is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Gone {
    /// Its instance is stopped, or about to be.
    Stopped,
    /// It has ended, or is this home's no longer.
    Ended,
}

impl Gone {
    /// What the cloud says of a host; `None` where it runs, or nothing is known.
    pub(super) fn of(look: &Look) -> Option<Self> {
        match look {
            Look::Alive(instance) if instance.state.is_stopped() => Some(Self::Stopped),
            Look::Ended(_) => Some(Self::Ended),
            Look::Alive(_) | Look::Unknown(_) => None,
        }
    }

    /// What the log says of it.
    pub(super) fn in_words(self) -> &'static str {
        match self {
            Self::Stopped => "is stopped, and not connected to until it is started again",
            Self::Ended => "has ended, and is not connected to any more",
        }
    }
}

/// Comes to its end when nobody is there any more: as soon as `is_taken_out`, or when the cloud says so, which is asked only after some time without the
/// daemon. After `stop`, only what was taken out counts.
pub(super) async fn gone<L: Future<Output = Option<Gone>>>(
    is_taken_out: impl Fn() -> bool,
    look: impl Fn() -> L,
    reached: watch::Receiver<bool>,
    stop: &CancellationToken,
) -> Gone {
    let (mut unreachable, mut asks_after) = (Duration::ZERO, ASKS_AFTER.0);
    loop {
        tokio::select! {
            () = sleep(LOOKS_EVERY) => {}
            () = stop.cancelled() => {
                if !is_taken_out() {
                    pending::<()>().await;
                }
            }
        }
        if is_taken_out() {
            return Gone::Ended;
        }
        if *reached.borrow() {
            (unreachable, asks_after) = (Duration::ZERO, ASKS_AFTER.0);
            continue;
        }
        unreachable += LOOKS_EVERY;
        if unreachable >= asks_after {
            if let Some(gone) = look().await {
                return gone;
            }
            (unreachable, asks_after) = (Duration::ZERO, (asks_after * 2).min(ASKS_AFTER.1));
        }
    }
}

/// What the process that served a host knew of it when it ended.
#[derive(Debug, Serialize, Deserialize)]
struct Note {
    host: String,
    gone: Gone,
}

fn file(surroundings: &Surroundings) -> PathBuf {
    socket::processes(surroundings).join("gone.json")
}

/// What was last known of a host that had gone.
pub(super) fn noted(surroundings: &Surroundings, host: &str) -> Option<Gone> {
    let text = whole_file::read(&file(surroundings), 1 << 12, Links::Refuse).ok()?;
    let note: Note = serde_json::from_slice(&text).ok()?;
    (note.host == host).then_some(note.gone)
}

/// Whether a host is known to have gone without asking anybody.
pub(super) fn is_known(surroundings: &Surroundings, host: &str) -> bool {
    match noted(surroundings, host) {
        None => false,
        Some(Gone::Ended) => true,
        Some(Gone::Stopped) => {
            let written = fs::metadata(file(surroundings)).and_then(|note| note.modified());
            written
                .is_ok_and(|written| SystemTime::now().duration_since(written).is_ok_and(|since| since < STAYS_STOPPED))
        }
    }
}

/// Remembers that a host has gone, and says so in the log, unless that was said already.
pub(super) fn note(surroundings: &Surroundings, host: &str, gone: Gone) {
    if noted(surroundings, host) != Some(gone) {
        tracing::info!("{host} {}", gone.in_words());
    }
    let note = Note { host: host.to_owned(), gone };
    let written = serde_json::to_vec(&note).map_err(std::io::Error::from);
    if let Err(error) = written.and_then(|text| whole_file::replace(&file(surroundings), &text, 0o600)) {
        tracing::warn!("{error}");
    }
}

/// Of a host that answers: says that it is back, where it was away.
pub(super) fn is_back(surroundings: &Surroundings, host: &str) {
    if noted(surroundings, host).is_some() {
        tracing::info!("{host} runs again");
        let _ = fs::remove_file(file(surroundings));
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::ready,
        sync::atomic::{AtomicBool, Ordering},
    };

    use tokio::time::{Instant, timeout};

    use super::*;

    /// The times at which the cloud is asked, in seconds, and what came of it.
    async fn asked(
        answers: &[Option<Gone>],
        reached: watch::Receiver<bool>,
        within: Duration,
    ) -> (Vec<u64>, Option<Gone>) {
        let began = Instant::now();
        let asked = std::sync::Mutex::new(Vec::new());
        let look = || {
            let mut asked = asked.lock().expect("sound");
            asked.push(began.elapsed().as_secs());
            ready(answers.get(asked.len() - 1).copied().flatten())
        };
        let stop = CancellationToken::new();
        let gone = timeout(within, gone(|| false, look, reached, &stop)).await.ok();
        (asked.into_inner().expect("sound"), gone)
    }

    #[tokio::test(start_paused = true)]
    async fn the_cloud_is_asked_rarely_and_never_while_the_daemon_answers() {
        let (reach, reached) = watch::channel(true);
        let day = Duration::from_secs(24 * 3600);
        assert_eq!(asked(&[], reached.clone(), day).await, (Vec::new(), None));
        reach.send_replace(false);
        let (times, gone) = asked(&[], reached.clone(), Duration::from_secs(1300)).await;
        assert_eq!((times, gone), (vec![20, 60, 140, 300, 600, 900, 1200], None), "it may be the network that is cut");
        for gone in [Gone::Stopped, Gone::Ended] {
            assert_eq!(asked(&[None, Some(gone)], reached.clone(), day).await, (vec![20, 60], Some(gone)));
        }
        // From the beginning, after each time that it answered.
        let mended = async {
            sleep(Duration::from_secs(100)).await;
            reach.send_replace(true);
            sleep(Duration::from_secs(10)).await;
            reach.send_replace(false);
        };
        let ((times, _), ()) = tokio::join!(asked(&[], reached, Duration::from_secs(200)), mended);
        assert_eq!(times, [20, 60, 130, 170]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_that_was_taken_out_has_ended_at_once() {
        let (_reach, reached) = watch::channel(true);
        let (is_taken_out, stop) = (AtomicBool::new(false), CancellationToken::new());
        let look = || async { unreachable!("nobody is asked") };
        let began = Instant::now();
        let taking = async {
            sleep(Duration::from_secs(5)).await;
            is_taken_out.store(true, Ordering::Relaxed);
        };
        let gone = gone(|| is_taken_out.load(Ordering::Relaxed), look, reached, &stop);
        let (gone, ()) = tokio::join!(gone, taking);
        assert_eq!(gone, Gone::Ended);
        assert!(began.elapsed() <= Duration::from_secs(5) + LOOKS_EVERY, "{:?}", began.elapsed());
    }

    #[test]
    fn what_is_known_of_a_host_is_good_for_a_while_where_it_may_come_back() {
        let home = tempfile::tempdir().expect("a folder");
        let mut surroundings = Surroundings::new(home.path());
        surroundings.runtime = home.path().join("run");
        assert!(!is_known(&surroundings, "a"));
        fs::create_dir_all(socket::processes(&surroundings)).expect("made");
        for gone in [Gone::Stopped, Gone::Ended] {
            note(&surroundings, "a", gone);
            assert!(is_known(&surroundings, "a") && !is_known(&surroundings, "b"));
            let note = fs::File::options().write(true).open(file(&surroundings)).expect("there");
            note.set_modified(SystemTime::now() - STAYS_STOPPED).expect("set");
            assert_eq!(is_known(&surroundings, "a"), gone == Gone::Ended);
            assert_eq!(noted(&surroundings, "a"), Some(gone), "which is no news");
        }
        is_back(&surroundings, "b");
        assert!(is_known(&surroundings, "a"));
        is_back(&surroundings, "a");
        assert!(!is_known(&surroundings, "a"));
    }
}
