//! Waiting until a new host answers.

use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout_at};

use crate::{ClientCredentials, DockerHost, Endpoint, ProbeError, StageLine, StageSource, StageState, probe_once};

/// The first pause between two probes: a host that is ready at once costs next to nothing.
const FIRST_PAUSE: Duration = Duration::from_millis(25);
/// The longest.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How long one probe may take.
const PROBE_WITHIN: Duration = Duration::from_secs(5);
/// How long a name may be unknown, or certificates not be accepted, without another answer in between.
const HEALS_WITHIN: Duration = Duration::from_secs(60);
/// How often the host's own stages are read.
const STAGES_EVERY: Duration = Duration::from_millis(500);
/// How late a deadline is noticed by a process that stood still meanwhile: one that was stopped, or in a container that was.
const STOOD_STILL: Duration = Duration::from_secs(2);
/// How often the instance is looked at.
const INSTANCE_EVERY: Duration = Duration::from_secs(5);

/// Looks at the instance of a host.
///
/// # Cancel safety
/// Every method of it is dropped where the time for the host is up meanwhile, and so must only look.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait InstanceWatch: Send + Sync {
    /// Whether it is still there. Called every few seconds.
    async fn poll(&self) -> InstanceStatus;
}

/// How an instance is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InstanceStatus {
    /// It is there, or could not be looked at.
    Alive,
    /// It has ended, and will never answer.
    Gone {
        /// Why, in the cloud's words.
        reason: String,
    },
}

/// What happens while waiting.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReadyEvent {
    /// The host reported a stage of its bootstrap.
    Stage(StageLine),
    /// A probe failed, as most do until the host is up.
    ProbeFailed {
        /// Why.
        why: String,
    },
}

/// Why a host did not become ready.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotReady {
    /// Its instance ended.
    #[error("the instance ended: {reason}")]
    InstanceEnded {
        /// Why, in the cloud's words.
        reason: String,
    },
    /// Its bootstrap failed.
    #[error("the host's bootstrap failed at {}: {}", stage.stage, stage.detail)]
    BootstrapFailed {
        /// The stage that failed.
        stage: StageLine,
    },
    /// Time is up.
    #[error("{endpoint} did not become ready in time")]
    TimedOut {
        /// The host.
        endpoint: Endpoint,
        /// The last probe's failure.
        #[source]
        source: Option<ProbeError>,
    },
    /// No probe can ever succeed.
    #[error(transparent)]
    Probe(ProbeError),
}

/// Waits until a host answers, and returns it.
///
/// It is probed at once, and then after growing pauses of at most a second; its stages are passed on as they appear. The wait ends
/// at once when the instance has ended or the bootstrap has failed, and after a minute in which the host's name was not known, or the
/// two sides did not accept each other's certificates, all the time. Where this process stood still until after the deadline, the host is probed
/// once more.
///
/// # Cancel safety
/// It only asks and looks, and can be dropped at any time. Called again, it passes on every stage once more.
///
/// # Errors
/// Why the host will not, or did not, become ready.
pub async fn wait_until_ready(
    endpoint: &Endpoint,
    credentials: &ClientCredentials,
    instance: &dyn InstanceWatch,
    stages: &dyn StageSource,
    observe: &mut (dyn FnMut(ReadyEvent) + Send),
    deadline: Instant,
) -> Result<DockerHost, NotReady> {
    let prober = Tls { endpoint, credentials };
    wait(&prober, endpoint, instance, stages, observe, deadline).await
}

#[async_trait]
trait Prober: Send + Sync {
    type Host: Send;
    async fn probe(&self) -> Result<Self::Host, ProbeError>;
}

struct Tls<'a> {
    endpoint: &'a Endpoint,
    credentials: &'a ClientCredentials,
}

#[async_trait]
impl Prober for Tls<'_> {
    type Host = DockerHost;

    async fn probe(&self) -> Result<DockerHost, ProbeError> {
        probe_once(self.endpoint, self.credentials, PROBE_WITHIN).await
    }
}

async fn wait<P: Prober>(
    prober: &P,
    endpoint: &Endpoint,
    instance: &dyn InstanceWatch,
    stages: &dyn StageSource,
    observe: &mut (dyn FnMut(ReadyEvent) + Send),
    deadline: Instant,
) -> Result<P::Host, NotReady> {
    let mut last = None;
    let mut seen = 0;
    let mut report = |observe: &mut (dyn FnMut(ReadyEvent) + Send)| {
        let lines = stages.lines();
        let new = lines.get(seen..).unwrap_or_default().to_vec();
        // A file that is replaced may be gone for the moment of a look.
        seen = seen.max(lines.len());
        let failed = new.iter().find(|line| line.state == StageState::Failed).cloned();
        new.into_iter().for_each(|line| observe(ReadyEvent::Stage(line)));
        failed
    };
    let waited = timeout_at(deadline, async {
        let mut pause = FIRST_PAUSE;
        let mut hopeless_since = None;
        let next_probe = sleep(Duration::ZERO);
        tokio::pin!(next_probe);
        let mut stage_ticks = interval(STAGES_EVERY);
        stage_ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first look at the instance comes only when the host was not ready at once.
        let mut instance_ticks = tokio::time::interval_at(Instant::now() + INSTANCE_EVERY, INSTANCE_EVERY);
        instance_ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = &mut next_probe => match prober.probe().await {
                    Ok(host) => {
                        // A stage that failed beside a daemon that answers is shown, and is not the end.
                        report(observe);
                        return Ok(host);
                    }
                    Err(error) if !error.may_pass() => return Err(NotReady::Probe(error)),
                    Err(error) => {
                        if error.seldom_passes() {
                            let since = *hopeless_since.get_or_insert_with(Instant::now);
                            if since.elapsed() >= HEALS_WITHIN {
                                return Err(NotReady::Probe(error));
                            }
                        } else {
                            hopeless_since = None;
                        }
                        observe(ReadyEvent::ProbeFailed { why: error.to_string() });
                        last = Some(error);
                        next_probe.as_mut().reset(Instant::now() + pause);
                        pause = LONGEST_PAUSE.min(pause * 2);
                    }
                },
                _ = stage_ticks.tick() => {
                    if let Some(stage) = report(observe) {
                        return Err(NotReady::BootstrapFailed { stage });
                    }
                }
                _ = instance_ticks.tick() => {
                    if let InstanceStatus::Gone { reason } = instance.poll().await {
                        return Err(NotReady::InstanceEnded { reason });
                    }
                }
            }
        }
    })
    .await;
    if let Ok(outcome) = waited {
        return outcome;
    }
    // The time passed without anybody looking: what the host became meanwhile is not known.
    if deadline.elapsed() >= STOOD_STILL {
        match prober.probe().await {
            Ok(host) => {
                report(observe);
                return Ok(host);
            }
            Err(error) => last = Some(error),
        }
    }
    Err(NotReady::TimedOut { endpoint: endpoint.clone(), source: last })
}

#[cfg(test)]
mod tests;
