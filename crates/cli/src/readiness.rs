//! Waiting for a new host, with its own stages shown as they come.

use std::{path::Path, time::Duration};

use async_trait::async_trait;
use docker_remote::{
    ClientCredentials, DockerHost, Endpoint, InstanceStatus, InstanceWatch, NotReady, ProbeError, ReadyEvent,
    StageState, StatusFile, wait_until_ready,
};
use host_provisioner::{Cloud, InstanceId};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{failure::Hinted, printer::Printer, progress::Stages};

/// How many lines of the bootstrap log an error shows.
const LOG_TAIL: usize = 20;

/// A host that boots.
pub(crate) struct BootingHost<'a> {
    pub(crate) instance: &'a InstanceId,
    /// Its folder, where it writes its stages and logs.
    pub(crate) folder: &'a Path,
    pub(crate) endpoint: &'a Endpoint,
    pub(crate) credentials: &'a ClientCredentials,
}

/// Waits until the host answers.
///
/// # Errors
/// It does not answer in time, its bootstrap failed, its instance ended, or the user asked to stop.
pub(crate) async fn wait(
    cloud: &Cloud,
    host: &BootingHost<'_>,
    within: Duration,
    printer: &Printer,
    stop: &CancellationToken,
) -> anyhow::Result<DockerHost> {
    let BootingHost { instance, folder, endpoint, credentials } = *host;
    let watch = Watch { cloud, instance };
    let stages = StatusFile::new(folder.join("status"));
    let mut shown = Stages::new(printer);
    let waiting = "waiting for the Docker daemon";
    shown.start(waiting);
    let mut observe = |event: ReadyEvent| {
        let ReadyEvent::Stage(line) = event else { return };
        match line.state {
            StageState::Started => shown.start(&format!("host: {}", line.stage)),
            StageState::Done => shown.finish(&format!("host: {}", line.stage), &line.detail),
            StageState::Failed => shown.fail(&format!("host: {}", line.stage), &line.detail),
            StageState::Warning => printer.warn(format!("host: {}: {}", line.stage, line.detail)),
            StageState::Info => printer.info(format!("  host: {}: {}", line.stage, line.detail)),
        }
    };
    let deadline = Instant::now() + within;
    let outcome = tokio::select! {
        outcome = wait_until_ready(endpoint, credentials, &watch, &stages, &mut observe, deadline) => outcome,
        () = stop.cancelled() => return Err(host_provisioner::ProvisionError::Interrupted.into()),
    };
    match outcome {
        Ok(host) => {
            shown.finish(waiting, &endpoint.to_string());
            Ok(host)
        }
        Err(error) => {
            drop(shown);
            show_log_tail(folder, printer);
            Err(hinted(error, endpoint))
        }
    }
}

fn hinted(error: NotReady, endpoint: &Endpoint) -> anyhow::Error {
    let hint = match &error {
        NotReady::TimedOut { .. } => Some(format!(
            "if the host's stages above are all done, check that this app's security group may reach {endpoint}; --timeout waits longer, \
             --keep-failed keeps the host for a look"
        )),
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
    let failed = Hinted::new("the host did not become ready");
    match hint {
        Some(hint) => failed.hint(hint).because(error),
        None => failed.because(error),
    }
}

/// The end of the host's own log, where it shares storage.
fn show_log_tail(host_folder: &Path, printer: &Printer) {
    let path = host_folder.join("logs").join("bootstrap.log");
    let Ok(log) = std::fs::read(&path) else { return };
    let log = String::from_utf8_lossy(&log);
    let lines: Vec<&str> = log.lines().collect();
    if lines.is_empty() {
        return;
    }
    printer.stderr("the end of the host's bootstrap log:");
    for line in &lines[lines.len().saturating_sub(LOG_TAIL)..] {
        // What came over a shared file may hold control codes.
        printer.stderr(&format!("  | {}", console::strip_ansi_codes(line)));
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
                reason: instance.state_reason.unwrap_or_else(|| format!("it is {}", instance.state.as_str())),
            },
            // EC2 may not know a new instance yet, and a failed look says nothing about the instance.
            Ok(_) | Err(_) => InstanceStatus::Alive,
        }
    }
}
