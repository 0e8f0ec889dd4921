//! Launches: one at a time, not again at once after one that failed, and not too many.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::watch, time::Instant};

use crate::{Found, Hosts};

/// How often hosts may be launched.
#[derive(Clone, Debug)]
pub struct Limits {
    /// How long nothing is launched after a launch that failed; twice as long after each further one.
    pub pause: Duration,
    /// The longest such pause.
    pub longest_pause: Duration,
    /// How many launches there may be in an hour.
    pub hourly: usize,
    /// How long a launch takes, as long as none was seen.
    pub expected: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            pause: Duration::from_secs(60),
            longest_pause: Duration::from_secs(3600),
            hourly: 6,
            expected: Duration::from_secs(120),
        }
    }
}

const HOUR: Duration = Duration::from_secs(3600);

/// A launch, as far as it has come.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    /// What it told.
    pub(crate) lines: Vec<String>,
    /// What came of it.
    pub(crate) outcome: Option<Result<(), String>>,
    /// When it probably comes to its end.
    pub(crate) expected: Instant,
}

pub(crate) type Watched = watch::Receiver<Launch>;

/// The launches of one socket.
pub(crate) struct Launches {
    hosts: Arc<dyn Hosts>,
    limits: Limits,
    state: Mutex<State>,
}

struct State {
    running: Option<Watched>,
    failed: Option<Failed>,
    /// When each of the last hour began.
    begun: VecDeque<Instant>,
    takes: Duration,
}

struct Failed {
    why: String,
    until: Instant,
    pause: Duration,
}

impl Launches {
    pub(crate) fn new(hosts: Arc<dyn Hosts>, limits: Limits) -> Arc<Self> {
        let state = State { running: None, failed: None, begun: VecDeque::new(), takes: limits.expected };
        Arc::new(Self { hosts, limits, state: Mutex::new(state) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The launch that goes on, if one does.
    pub(crate) fn running(&self) -> Option<Watched> {
        self.state().running.clone()
    }

    /// Why nothing is launched now, after a launch that failed.
    pub(crate) fn failure(&self) -> Option<String> {
        let state = self.state();
        let failed = state.failed.as_ref()?;
        Some(failed.said(Instant::now()))
    }

    /// The launch that goes on, or else a new one.
    ///
    /// # Errors
    /// Why none is begun now.
    pub(crate) fn ask(self: &Arc<Self>) -> Result<Watched, String> {
        let mut state = self.state();
        if let Some(running) = &state.running {
            return Ok(running.clone());
        }
        let now = Instant::now();
        if let Some(failed) = state.failed.as_ref().filter(|failed| now < failed.until) {
            return Err(failed.said(now));
        }
        while state.begun.front().is_some_and(|begun| now.duration_since(*begun) >= HOUR) {
            state.begun.pop_front();
        }
        if let Some(first) = state.begun.front().filter(|_| state.begun.len() >= self.limits.hourly) {
            let minutes = (*first + HOUR).duration_since(now).as_secs() / 60 + 1;
            let launched = self.limits.hourly;
            return Err(format!(
                "{launched} hosts were launched within an hour: the next one can be launched in {minutes} minutes"
            ));
        }
        let launch = Launch { lines: Vec::new(), outcome: None, expected: now + state.takes };
        let (sender, watched) = watch::channel(launch);
        state.running = Some(watched.clone());
        drop(state);
        let launches = self.clone();
        tokio::spawn(async move { launches.run(Arc::new(sender)).await });
        Ok(watched)
    }

    async fn run(self: Arc<Self>, launch: Arc<watch::Sender<Launch>>) {
        // Whoever asked may have looked before the last launch came to its end.
        let outcome = match self.hosts.find().await {
            Found::Host(_) => Ok(()),
            Found::Doubtful(why) => Err(why),
            Found::Nothing { .. } => self.launch(&launch).await,
        };
        self.state().running = None;
        launch.send_modify(|launch| launch.outcome = Some(outcome));
    }

    async fn launch(&self, launch: &Arc<watch::Sender<Launch>>) -> Result<(), String> {
        let began = Instant::now();
        self.state().begun.push_back(began);
        let told = launch.clone();
        let tell = Arc::new(move |line: String| told.send_modify(|launch| launch.lines.push(line)));
        let outcome = self.hosts.launch(tell).await;
        let mut state = self.state();
        match &outcome {
            Ok(()) => {
                state.failed = None;
                state.takes = began.elapsed();
            }
            Err(why) => {
                let last = state.failed.take();
                let pause = last.map_or(self.limits.pause, |failed| (failed.pause * 2).min(self.limits.longest_pause));
                state.failed = Some(Failed { why: why.clone(), until: Instant::now() + pause, pause });
            }
        }
        outcome
    }
}

impl Failed {
    fn said(&self, now: Instant) -> String {
        match self.until.saturating_duration_since(now).as_secs() {
            0 => self.why.clone(),
            left => format!("{} (nothing is launched for another {left} s)", self.why),
        }
    }
}

impl Launch {
    /// What is said to whoever can't wait longer.
    pub(crate) fn not_yet(&self) -> String {
        let left = self.expected.saturating_duration_since(Instant::now()).as_secs().max(5);
        format!("the host is starting, about {left} s; try again")
    }
}

/// Waits for what comes of a launch, no longer than until a time.
///
/// # Errors
/// Why there is no host, or none yet.
pub(crate) async fn outcome(mut launch: Watched, until: Option<Instant>) -> Result<(), String> {
    let ended = async {
        let launch = launch.wait_for(|launch| launch.outcome.is_some()).await.map(|launch| launch.outcome.clone());
        launch.ok().flatten().unwrap_or_else(|| Err("the launch was given up".to_owned()))
    };
    let Some(until) = until else { return ended.await };
    match tokio::time::timeout_at(until, ended).await {
        Ok(outcome) => outcome,
        Err(_) => Err(launch.borrow().not_yet()),
    }
}
