//! Launches: one at a time, not again at once after one that failed, and not too many.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::watch, time::Instant};

use crate::{Found, History, Hosts, Tell};

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
    /// What was last read or written of the launches so far.
    history: History,
}

impl Launches {
    pub(crate) fn new(hosts: Arc<dyn Hosts>, limits: Limits) -> Arc<Self> {
        let state = State { running: None, history: History::default() };
        Arc::new(Self { hosts, limits, state: Mutex::new(state) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The launch that goes on, if one does.
    pub(crate) fn running(&self) -> Option<Watched> {
        self.state().running.clone()
    }

    /// Why the last launch failed, as far as is known without asking.
    pub(crate) fn failure(&self) -> Option<String> {
        let state = self.state();
        let failure = state.history.failure.as_ref()?;
        Some(failure.said(self.hosts.now(), &self.limits))
    }

    /// What is remembered of launches by now. Others of the same user may have launched since.
    pub(crate) async fn recall(&self) -> Result<History, String> {
        let history = self.hosts.history().await?;
        self.state().history.clone_from(&history);
        Ok(history)
    }

    async fn remember(&self, history: History) -> Result<(), String> {
        let outcome = self.hosts.remember(&history).await;
        self.state().history = history;
        outcome
    }

    async fn may_launch(&self) -> Result<History, String> {
        let history = self.recall().await?;
        history.refusal(self.hosts.now(), &self.limits).map_or(Ok(history), Err)
    }

    /// The launch that goes on, or else a new one.
    ///
    /// # Errors
    /// Why none is begun now.
    pub(crate) async fn ask(self: &Arc<Self>) -> Result<Watched, String> {
        if let Some(running) = self.running() {
            return Ok(running);
        }
        let takes = self.may_launch().await?.took.unwrap_or(self.limits.expected);
        let mut state = self.state();
        if let Some(running) = &state.running {
            return Ok(running.clone());
        }
        let launch = Launch { lines: Vec::new(), outcome: None, expected: Instant::now() + takes };
        let (sender, watched) = watch::channel(launch);
        state.running = Some(watched.clone());
        drop(state);
        let launches = self.clone();
        tokio::spawn(async move { launches.run(Arc::new(sender)).await });
        Ok(watched)
    }

    async fn run(self: Arc<Self>, launch: Arc<watch::Sender<Launch>>) {
        let told = launch.clone();
        let tell: Tell = Arc::new(move |line: String| told.send_modify(|launch| launch.lines.push(line)));
        // Whoever asked may have looked before the last launch came to its end.
        let outcome = match self.hosts.find().await {
            Found::Host(_) => Ok(()),
            Found::Doubtful(why) => Err(why),
            Found::Nothing { .. } | Found::Stopped(_) => self.launch(tell).await,
        };
        self.state().running = None;
        launch.send_modify(|launch| launch.outcome = Some(outcome));
    }

    async fn launch(&self, tell: Tell) -> Result<(), String> {
        let _claim = self.hosts.claim(&tell).await?;
        // Whoever held the claim before may have launched one.
        match self.hosts.find().await {
            Found::Host(_) => return Ok(()),
            Found::Doubtful(why) => return Err(why),
            Found::Nothing { .. } | Found::Stopped(_) => {}
        }
        let mut history = self.may_launch().await?;
        // It counts from before it costs anything, whatever becomes of this process.
        history.begins(self.hosts.now());
        self.remember(history.clone()).await?;
        let began = Instant::now();
        let outcome = self.hosts.launch(tell).await;
        match &outcome {
            Ok(()) => history.succeeds(began.elapsed()),
            Err(why) => history.fails(why.clone(), self.hosts.now(), &self.limits),
        }
        if let Err(why) = self.remember(history).await {
            tracing::warn!("{why}");
        }
        outcome
    }
}

impl Launch {
    /// What is said to whoever can't wait longer.
    fn not_yet(&self) -> String {
        let left = self.expected.saturating_duration_since(Instant::now()).as_secs().max(5);
        format!("the host is starting, about {left} s; try again")
    }
}

/// Waits for news of a launch, no longer than until a time.
///
/// # Errors
/// There will be none, or none yet.
pub(crate) async fn news(launch: &mut Watched, until: Option<Instant>) -> Result<(), String> {
    let changed = match until {
        Some(until) => tokio::time::timeout_at(until, launch.changed()).await,
        None => Ok(launch.changed().await),
    };
    match changed {
        Ok(changed) => changed.map_err(|_| "the launch was given up".to_owned()),
        Err(_) => Err(launch.borrow().not_yet()),
    }
}

/// Waits for what comes of a launch, no longer than until a time.
///
/// # Errors
/// Why there is no host, or none yet.
pub(crate) async fn outcome(mut launch: Watched, until: Option<Instant>) -> Result<(), String> {
    loop {
        let outcome = launch.borrow_and_update().outcome.clone();
        if let Some(outcome) = outcome {
            return outcome;
        }
        news(&mut launch, until).await?;
    }
}
