use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use super::*;
use crate::Error;

/// Answers from the n-th probe on.
struct From(usize, AtomicUsize);

#[async_trait]
impl Prober for From {
    type Host = usize;

    async fn probe(&self) -> Result<usize, ProbeError> {
        let probes = self.1.fetch_add(1, Ordering::Relaxed);
        let refused = || ProbeError::Refused { endpoint: Endpoint::new("host", 1111) };
        if probes >= self.0 { Ok(probes) } else { Err(refused()) }
    }
}

struct Watch(InstanceStatus);

#[async_trait]
impl InstanceWatch for Watch {
    async fn poll(&self) -> InstanceStatus {
        self.0.clone()
    }
}

struct Lines(Mutex<Vec<StageLine>>);

impl StageSource for Lines {
    fn lines(&self) -> Vec<StageLine> {
        self.0.lock().expect("not poisoned").clone()
    }
}

fn line(state: StageState) -> StageLine {
    StageLine { time: String::new(), stage: "mounts".to_owned(), state, detail: "no route".to_owned() }
}

async fn wait_for(
    probes: usize,
    instance: InstanceStatus,
    lines: Vec<StageLine>,
) -> (Result<usize, NotReady>, Duration, Vec<ReadyEvent>) {
    let mut events = Vec::new();
    let began = Instant::now();
    let prober = From(probes, AtomicUsize::new(0));
    let (watch, stages) = (Watch(instance), Lines(Mutex::new(lines)));
    let deadline = began + Duration::from_secs(600);
    let endpoint = Endpoint::new("host", 1111);
    let outcome = wait(&prober, &endpoint, &watch, &stages, &mut |event| events.push(event), deadline).await;
    (outcome, began.elapsed(), events)
}

#[tokio::test(start_paused = true)]
async fn a_host_that_is_ready_costs_nothing() {
    let (outcome, took, _) = wait_for(0, InstanceStatus::Alive, Vec::new()).await;
    assert_eq!((outcome.expect("ready"), took), (0, Duration::ZERO));
    let (outcome, took, _) = wait_for(3, InstanceStatus::Alive, Vec::new()).await;
    assert!(outcome.is_ok() && took < Duration::from_millis(250), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn stages_are_passed_on_once() {
    let lines = vec![line(StageState::Started), line(StageState::Done)];
    let (_, _, events) = wait_for(20, InstanceStatus::Alive, lines.clone()).await;
    let stages = events.into_iter().filter_map(|event| match event {
        ReadyEvent::Stage(line) => Some(line),
        ReadyEvent::ProbeFailed { .. } => None,
    });
    assert_eq!(stages.collect::<Vec<_>>(), lines);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_instance_and_of_the_bootstrap_end_the_wait() {
    let gone = InstanceStatus::Gone { reason: "Server.SpotInstanceTermination".to_owned() };
    let (outcome, took, _) = wait_for(usize::MAX, gone, Vec::new()).await;
    assert!(matches!(outcome, Err(NotReady::InstanceEnded { .. })) && took <= INSTANCE_EVERY);
    let (outcome, took, _) = wait_for(usize::MAX, InstanceStatus::Alive, vec![line(StageState::Failed)]).await;
    let error = outcome.expect_err("it failed").to_string();
    assert_eq!((error.as_str(), took), ("the host's bootstrap failed at mounts: no route", Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn time_is_up_at_the_deadline() {
    let (outcome, took, _) = wait_for(usize::MAX, InstanceStatus::Alive, Vec::new()).await;
    assert!(matches!(outcome, Err(NotReady::TimedOut { source: Some(ProbeError::Refused { .. }), .. })));
    assert_eq!(took, Duration::from_secs(600));
}

/// Answers only after this time, and not at once.
struct Late(Instant);

#[async_trait]
impl Prober for Late {
    type Host = ();

    async fn probe(&self) -> Result<(), ProbeError> {
        sleep(Duration::from_millis(10)).await;
        let refused = || ProbeError::Refused { endpoint: Endpoint::new("host", 1111) };
        if Instant::now() > self.0 { Ok(()) } else { Err(refused()) }
    }
}

/// A process that is stopped, by Ctrl-Z or with its container, sees too late that the time is up, and the host may have been ready for long.
#[tokio::test(start_paused = true)]
async fn a_process_that_stood_still_looks_once_more() {
    let endpoint = Endpoint::new("host", 1111);
    let (watch, stages) = (Watch(InstanceStatus::Alive), Lines(Mutex::default()));
    let mut ignore = |_| ();
    let stands_still = || tokio::time::advance(Duration::from_secs(3600));
    let deadline = Instant::now() + Duration::from_secs(600);
    let late = Late(deadline);
    let (outcome, ()) = tokio::join!(wait(&late, &endpoint, &watch, &stages, &mut ignore, deadline), stands_still());
    outcome.expect("ready");

    let deadline = Instant::now() + Duration::from_secs(600);
    let never = From(usize::MAX, AtomicUsize::new(0));
    let (outcome, ()) = tokio::join!(wait(&never, &endpoint, &watch, &stages, &mut ignore, deadline), stands_still());
    assert!(matches!(outcome, Err(NotReady::TimedOut { .. })));
}

#[tokio::test(start_paused = true)]
async fn credentials_that_are_none_end_the_wait() {
    struct Bad;
    #[async_trait]
    impl Prober for Bad {
        type Host = ();

        async fn probe(&self) -> Result<(), ProbeError> {
            Err(ProbeError::Credentials(Error::NotPem { path: "x".into(), expected: "a key" }))
        }
    }
    let endpoint = Endpoint::new("host", 1111);
    let (watch, stages) = (Watch(InstanceStatus::Alive), Lines(Mutex::default()));
    let deadline = Instant::now() + Duration::from_secs(600);
    let outcome = wait(&Bad, &endpoint, &watch, &stages, &mut |_| (), deadline).await;
    assert!(matches!(outcome, Err(NotReady::Probe(_))));
}

/// Fails as the function says for the n-th probe.
struct Fails<F>(F, AtomicUsize);

#[async_trait]
impl<F: Fn(usize) -> ProbeError + Send + Sync> Prober for Fails<F> {
    type Host = ();

    async fn probe(&self) -> Result<(), ProbeError> {
        Err(self.0(self.1.fetch_add(1, Ordering::Relaxed)))
    }
}

#[tokio::test(start_paused = true)]
async fn what_does_not_heal_ends_the_wait_after_a_minute() {
    let endpoint = || Endpoint::new("host", 1111);
    let name = || ProbeError::Name { endpoint: endpoint(), why: "unknown".to_owned() };
    let tls = || ProbeError::Tls { endpoint: endpoint(), why: "UnknownIssuer".to_owned() };
    let refused = || ProbeError::Refused { endpoint: endpoint() };
    let fails = async |fails: &(dyn Fn(usize) -> ProbeError + Send + Sync)| {
        let began = Instant::now();
        let (watch, stages) = (Watch(InstanceStatus::Alive), Lines(Mutex::default()));
        let prober = Fails(fails, AtomicUsize::new(0));
        let deadline = began + Duration::from_secs(900);
        let outcome = wait(&prober, &endpoint(), &watch, &stages, &mut |_| (), deadline).await;
        (outcome.expect_err("no probe succeeds"), began.elapsed())
    };
    for (hopeless, what) in [(&name as &(dyn Fn() -> ProbeError + Send + Sync), "name"), (&tls, "certificate")] {
        let (error, took) = fails(&|_| hopeless()).await;
        assert!(matches!(error, NotReady::Probe(_)), "{what}: {error}");
        assert!((60..=62).contains(&took.as_secs()), "{what}: {took:?}");
        // A host that boots refuses first.
        let (error, took) = fails(&|count| if count < 100 { refused() } else { hopeless() }).await;
        assert!(matches!(error, NotReady::Probe(_)) && (120..=180).contains(&took.as_secs()), "{what}: {took:?}");
        // Another answer in between: something changes.
        let (error, took) = fails(&|count| if count % 30 == 0 { refused() } else { hopeless() }).await;
        assert!(matches!(error, NotReady::TimedOut { .. }), "{what}: {error}");
        assert_eq!(took.as_secs(), 900, "{what}");
    }
}
