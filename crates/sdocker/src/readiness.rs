//! Waiting for a new host, with its own stages shown as they come.

use std::{path::Path, time::Duration};

use async_trait::async_trait;
use docker_remote::{
    ClientCredentials, DockerHost, Endpoint, InstanceStatus, InstanceWatch, NotReady, ProbeError, ReadyEvent,
    StageState, StatusFile, wait_until_ready,
};
use host_provisioner::{Cloud, InstanceId, ProvisionError};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use whole_file::Links;

use crate::{Error, Notice, Observer};

/// How many lines of the bootstrap log an error shows.
const LOG_TAIL: usize = 20;

/// How much of its end is read for that.
const LOG_END: u64 = 64 * 1024;

/// A host that boots.
pub(crate) struct BootingHost<'a> {
    pub instance: &'a InstanceId,
    /// Its folder, where it writes its stages and logs.
    pub folder: &'a Path,
    pub endpoint: &'a Endpoint,
    pub credentials: &'a ClientCredentials,
}

/// Waits until the host answers.
///
/// # Errors
/// It does not answer in time, its bootstrap failed, its instance ended, or the user asked to stop.
pub(crate) async fn wait(
    cloud: &Cloud,
    host: &BootingHost<'_>,
    within: Duration,
    observer: &dyn Observer,
    stop: &CancellationToken,
) -> crate::Result<DockerHost> {
    let BootingHost { instance, folder, endpoint, credentials } = *host;
    let watch = Watch { cloud, instance };
    let stages = StatusFile::new(folder.join("status"));
    let waiting = "waiting for the Docker daemon".to_owned();
    observer.notice(Notice::Started(waiting.clone()));
    let mut running = vec![waiting.clone()];
    let mut reported = 0;
    let mut observe = |event: ReadyEvent| {
        let ReadyEvent::Stage(line) = event else { return };
        reported += 1;
        let what = format!("host: {}", line.stage);
        match line.state {
            StageState::Started => {
                running.push(what.clone());
                observer.notice(Notice::Started(what));
            }
            StageState::Done => observer.notice(Notice::Finished { what, detail: line.detail }),
            StageState::Failed => observer.notice(Notice::Failed { what, detail: line.detail }),
            StageState::Warning => observer.warn(format!("{what}: {}", line.detail)),
            StageState::Info => observer.info(format!("  {what}: {}", line.detail)),
        }
    };
    let deadline = Instant::now() + within;
    let outcome = tokio::select! {
        outcome = wait_until_ready(endpoint, credentials, &watch, &stages, &mut observe, deadline) => Some(outcome),
        () = stop.cancelled() => None,
    };
    if let Some(Ok(host)) = outcome {
        observer.notice(Notice::Finished { what: waiting, detail: endpoint.to_string() });
        return Ok(host);
    }
    for what in running {
        observer.notice(Notice::Answered(what));
    }
    match outcome {
        Some(Err(error)) => {
            show_log_tail(folder, observer);
            Err(hinted(error, endpoint, reported > 0))
        }
        _ => Err(ProvisionError::Interrupted.into()),
    }
}

fn hinted(error: NotReady, endpoint: &Endpoint, reported: bool) -> Error {
    let hint = match &error {
        NotReady::TimedOut { source, .. } => {
            let seen = seen(source.as_ref(), endpoint, reported);
            Some(format!("{seen}; --timeout waits longer, --keep-failed keeps the host for inspection"))
        }
        NotReady::Probe(ProbeError::Name { .. }) => Some(
            "this app's resolver does not know the VPC's names: ask an administrator to turn on the VPC's DNS hostnames and DNS support, or \
             to let its own DNS server ask Amazon's"
                .to_owned(),
        ),
        NotReady::Probe(ProbeError::Tls { .. }) => Some(format!(
            "something else answers at {endpoint}, or the clock of this app is wrong (`date -u`)"
        )),
        _ => None,
    };
    let failed = Error::new("the host did not become ready");
    match hint {
        Some(hint) => failed.hint(hint).because(error),
        None => failed.because(error),
    }
}

/// What the last that was seen of a host speaks for.
fn seen(last: Option<&ProbeError>, endpoint: &Endpoint, reported: bool) -> String {
    match last {
        // It has the address that EC2 gave it, and nothing is dropped on the way.
        Some(ProbeError::Refused { .. }) if reported => {
            format!(
                "{endpoint} can be reached, but its daemon does not run yet: the host is slow, or stuck in its last stage above"
            )
        }
        Some(ProbeError::Refused { .. }) => format!(
            "{endpoint} can be reached, but its daemon does not run yet, and no stage of the host was seen: it may be unable to mount the file \
             system that it reports through"
        ),
        Some(ProbeError::Unreachable { .. } | ProbeError::TimedOut { .. }) if reported => format!(
            "the host boots, but packets to {endpoint} are not answered: check that its security group lets this app's in, and the network ACLs of \
             both subnets"
        ),
        Some(ProbeError::Unreachable { .. } | ProbeError::TimedOut { .. }) => format!(
            "neither an answer from {endpoint} nor a stage of the host was seen: it may not boot (the instance's system log says), or security groups \
             and network ACLs let neither this app nor the file system through"
        ),
        Some(ProbeError::Tls { .. }) => {
            format!("something else answers at {endpoint}, or a clock is wrong (`date -u`)")
        }
        Some(ProbeError::Name { .. }) => "this app's resolver does not know the host's name".to_owned(),
        Some(ProbeError::NotDocker { .. }) => format!("what answers at {endpoint} is no Docker daemon"),
        _ => "the host is slow".to_owned(),
    }
}

/// The end of the host's own log, where it shares storage.
fn show_log_tail(host_folder: &Path, observer: &dyn Observer) {
    let path = host_folder.join("logs").join("bootstrap.log");
    // The host writes it, and what runs there may be anybody's.
    let Ok(log) = whole_file::read_end(&path, LOG_END, Links::Refuse) else { return };
    let log = String::from_utf8_lossy(&log);
    let lines: Vec<&str> = log.lines().collect();
    if !lines.is_empty() {
        let tail = &lines[lines.len().saturating_sub(LOG_TAIL)..];
        observer.notice(Notice::LogTail(tail.iter().map(|line| (*line).to_owned()).collect()));
    }
}

struct Watch<'a> {
    cloud: &'a Cloud,
    instance: &'a InstanceId,
}

#[async_trait]
impl InstanceWatch for Watch<'_> {
    async fn poll(&self) -> InstanceStatus {
        match self.cloud.instances.describe(self.instance).await {
            Ok(Some(instance)) if instance.state.is_ended() => InstanceStatus::Gone {
                reason: instance.why_ended().unwrap_or_else(|| format!("it is {}", instance.state.as_str())),
            },
            // EC2 may not know a new instance yet, and a failed look says nothing about the instance.
            Ok(_) | Err(_) => InstanceStatus::Alive,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hint_at_a_timeout_is_about_what_was_seen() {
        let endpoint = Endpoint::new("10.0.1.5", 1111);
        let refused = || ProbeError::Refused { endpoint: endpoint.clone() };
        let dropped = || ProbeError::TimedOut { endpoint: endpoint.clone(), within: Duration::from_secs(5) };
        let why = "expired".to_owned();
        let cases = [
            (Some(refused()), true, "its daemon does not run yet: the host is slow"),
            (Some(refused()), false, "no stage of the host was seen"),
            (Some(dropped()), true, "check that its security group lets this app's in"),
            (Some(dropped()), false, "it may not boot"),
            (Some(ProbeError::Tls { endpoint: endpoint.clone(), why }), true, "a clock is wrong"),
            (None, false, "the host is slow"),
        ];
        for (source, reported, expected) in cases {
            let blamed = matches!(source, Some(ProbeError::TimedOut { .. }));
            let error = NotReady::TimedOut { endpoint: endpoint.clone(), source };
            let error = hinted(error, &endpoint, reported);
            let hints = error.own_hints().join(" ");
            assert!(hints.contains(expected) && hints.contains("--keep-failed"), "{expected}: {hints}");
            // Security groups are blamed for what is dropped, and for nothing else.
            assert_eq!(hints.contains("security group"), blamed, "{hints}");
        }
    }
}
