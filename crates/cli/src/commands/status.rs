//! `sdocker status`: what runs, since when, until when, how healthy.

use std::{fmt::Write as _, path::Path};

use docker_remote::{ApiRange, StageState};
use host_provisioner::InstanceId;
use serde::{Deserialize, Serialize};

use crate::{
    client_files::HostFiles,
    columns, failure,
    lookup::{KnownHost, Lookup},
    permission::Caller,
    places::{Look, Places},
    printer::Printer,
    waiting::Waiting,
    world::World,
};

/// Show how a host is: state, health, use, and when it ends itself.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The host, instead of the current one.
    #[arg(long, value_name = "ID", value_parser = str::parse::<InstanceId>)]
    instance_id: Option<InstanceId>,
}

/// How a host is, as `--output json` prints it.
#[derive(Debug, Serialize)]
struct Status {
    name: String,
    instance_id: String,
    instance_type: String,
    endpoint: String,
    current: bool,
    /// EC2's name of the instance's state; `unknown` where it could not be asked.
    state: String,
    state_reason: Option<String>,
    zone: Option<String>,
    created: Option<String>,
    expires: Option<String>,
    daemon: Daemon,
    life: Option<Life>,
    /// The host's own account of its bootstrap, last lines first where it failed.
    stages: Vec<Stage>,
}

#[derive(Debug, Serialize)]
pub(super) struct Daemon {
    pub(super) answers: bool,
    pub(super) version: Option<String>,
    containers_running: Option<u64>,
    pub(super) error: Option<String>,
    #[serde(skip)]
    pub(super) api: Option<ApiRange>,
}

#[derive(Debug, Serialize)]
struct Stage {
    time: String,
    stage: String,
    state: String,
    detail: String,
}

/// What the host writes about its own life each minute, in `life.json`.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Life {
    checked_at: Option<String>,
    expires_at: Option<String>,
    idle_since: Option<String>,
    idle_deadline: Option<String>,
    idle_timeout_seconds: Option<u64>,
    uses: Vec<String>,
    disk_used_percent: Option<u8>,
    notices: Vec<String>,
}

pub(crate) async fn run(args: &Args, world: &World, printer: &Printer) -> anyhow::Result<()> {
    let lookup = Lookup::new(world);
    let host = lookup.find(args.instance_id.as_ref(), printer)?;
    let current = host.current;
    let mut places = Places::new(world, printer);
    let asking = Waiting::visibly(printer, "asking EC2 and the host's daemon");
    let (look, daemon) = tokio::join!(places.look_at(&host), daemon(&host, &lookup));
    drop(asking);
    let (state, instance) = match look {
        Look::Alive(instance) => (instance.state.as_str().to_owned(), Some(instance)),
        Look::Ended(instance) => {
            (instance.as_ref().map_or("terminated", |instance| instance.state.as_str()).to_owned(), instance)
        }
        Look::Unknown(why) => {
            printer.warn(format!("{why:#}"));
            for hint in failure::hints(&why, &Caller::of(world)) {
                printer.hint(hint);
            }
            ("unknown".to_owned(), None)
        }
    };
    let folder = lookup.layout.host(&host.name);
    let life = life(&folder, printer);
    let expires = life.as_ref().and_then(|life| life.expires_at.clone());
    let status = Status {
        endpoint: format!("tcp://{}:{}", host.address, host.port),
        current,
        state,
        state_reason: instance
            .as_ref()
            .and_then(|instance| instance.state_reason.clone())
            .filter(|reason| !reason.is_empty()),
        zone: instance.as_ref().and_then(|instance| instance.zone.as_ref().map(ToString::to_string)),
        created: host.record.as_ref().map(|record| record.created.to_string()),
        expires: expires.or_else(|| host.record.as_ref().map(|record| record.expires.to_string())),
        daemon,
        life,
        stages: stages(&folder),
        name: host.name,
        instance_id: host.instance.to_string(),
        instance_type: host.instance_type.to_string(),
    };
    printer.result(&status, || human(&status))?;
    if status.state == "terminated" || status.state == "shutting-down" {
        printer.hint("the host is gone: `sdocker recover` clears what is left of it here");
    }
    Ok(())
}

pub(super) async fn daemon(host: &KnownHost, lookup: &Lookup) -> Daemon {
    match HostFiles::new(lookup).probe(&host.entry()).await {
        Ok(answered) => {
            let running = answered.client().info().await.ok().and_then(|info| info.containers_running);
            Daemon {
                answers: true,
                version: Some(answered.version().to_owned()),
                containers_running: running.and_then(|running| running.try_into().ok()),
                error: None,
                api: Some(answered.api()),
            }
        }
        Err(error) => Daemon {
            answers: false,
            version: None,
            containers_running: None,
            error: Some(format!("{error:#}")),
            api: None,
        },
    }
}

/// The host's account of its own life; `None` where it shares no storage, or has not written any yet.
fn life(folder: &Path, printer: &Printer) -> Option<Life> {
    let path = folder.join("life.json");
    let text = std::fs::read_to_string(&path).ok()?;
    match serde_json::from_str(&text) {
        Ok(life) => Some(life),
        Err(error) => {
            printer.warn(format!("{}:{}:{}: {error}", path.display(), error.line(), error.column()));
            None
        }
    }
}

fn stages(folder: &Path) -> Vec<Stage> {
    docker_remote::read_stages(&folder.join("status"))
        .unwrap_or_default()
        .into_iter()
        .map(|line| Stage {
            time: line.time,
            stage: line.stage,
            state: match line.state {
                StageState::Started => "started",
                StageState::Done => "done",
                StageState::Failed => "failed",
                StageState::Warning => "warning",
                StageState::Info => "info",
            }
            .to_owned(),
            detail: line.detail,
        })
        .collect()
}

fn human(status: &Status) -> String {
    let mut rows = Vec::new();
    let mut row = |name: &str, value: String| rows.push([name.to_owned(), value]);
    let current = if status.current { " (current)" } else { "" };
    row("host", format!("{}{current}", status.name));
    let reason = status.state_reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    let zone = status.zone.as_ref().map(|zone| format!(" in {zone}")).unwrap_or_default();
    row("instance", format!("{}{zone}{reason}", status.state));
    row("endpoint", status.endpoint.clone());
    row(
        "daemon",
        match (&status.daemon.version, &status.daemon.error) {
            (Some(version), _) => {
                let running = status.daemon.containers_running.unwrap_or(0);
                format!("Docker {version}, {running} running container{}", if running == 1 { "" } else { "s" })
            }
            (None, Some(error)) => format!("does not answer: {error}"),
            (None, None) => "does not answer".to_owned(),
        },
    );
    if let Some(created) = &status.created {
        row("created", minutes(created));
    }
    if let Some(expires) = &status.expires {
        row("ends at the latest", minutes(expires));
    }
    if let Some(life) = &status.life {
        row("idle", idle(life));
        if let Some(used) = life.disk_used_percent {
            row("disk", format!("{used} % used"));
        }
        for notice in &life.notices {
            row("notice", notice.clone());
        }
    }
    let mut text = columns::align(None, rows);
    for stage in status.stages.iter().filter(|stage| matches!(stage.state.as_str(), "failed" | "warning")) {
        let _ = write!(text, "\n{} {} {}: {}", minutes(&stage.time), stage.stage, stage.state, stage.detail);
    }
    text
}

fn idle(life: &Life) -> String {
    match (&life.idle_since, &life.idle_deadline) {
        _ if !life.uses.is_empty() => format!("no: {}", life.uses.join(", ")),
        (Some(since), Some(deadline)) => format!("since {}, ends at {} unless used", minutes(since), minutes(deadline)),
        (Some(since), None) => format!("since {}; idleness does not end it", minutes(since)),
        (None, _) => "no".to_owned(),
    }
}

/// A time to the minute.
fn minutes(time: &str) -> String {
    match time.parse::<jiff::Timestamp>() {
        Ok(time) => time.strftime("%Y-%m-%d %H:%M UTC").to_string(),
        Err(_) => time.to_owned(),
    }
}
