//! How a host is.

use std::fmt::Write as _;

use jiff::Timestamp;
use sdocker::{
    durations::minute,
    link::{FolderLine, FolderState, LinkState, PortLine},
    on_demand::SocketState,
    status::{Life, Status},
};

use super::{cost, socket};
use crate::columns::align;

/// A host, and the socket that leads to it, where there is one.
pub fn status(status: &Status, socket: Option<&SocketState>) -> String {
    let rows: Vec<_> =
        socket.into_iter().flat_map(socket::rows).map(|(name, value)| [name.to_owned(), value]).collect();
    let socket = if rows.is_empty() { String::new() } else { format!("\n{}", align(None, rows)) };
    format!("{}{socket}", host(status))
}

fn host(status: &Status) -> String {
    let mut rows = Vec::new();
    let mut row = |name: &str, value: String| rows.push([name.to_owned(), value]);
    let current = if status.current { " (current)" } else { "" };
    row("host", format!("{}{current}", status.name));
    let reason = status.state_reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    let zone = status.zone.as_ref().map(|zone| format!(" in {zone}")).unwrap_or_default();
    row("instance", format!("{}{zone}{reason}", status.state));
    row("endpoint", status.endpoint.clone());
    let is_stopped = matches!(status.state.as_str(), "stopped" | "stopping");
    row(
        "daemon",
        match (&status.daemon.version, &status.daemon.error) {
            _ if is_stopped => {
                let instance = &status.instance_id;
                format!(
                    "`sdocker use {instance}` starts it, `sdocker rm {instance}` terminates it and deletes its disk"
                )
            }
            (Some(version), _) => {
                let running = status.daemon.containers_running.unwrap_or(0);
                format!("Docker {version}, {running} running container{}", if running == 1 { "" } else { "s" })
            }
            (None, Some(error)) => format!("does not answer: {error}"),
            (None, None) => "does not answer".to_owned(),
        },
    );
    if let Some(overridden) = &status.overridden {
        row("clients", overridden.clone());
    }
    if let Some(created) = &status.created {
        row("created", minutes(created));
    }
    if let Some(expires) = &status.expires {
        row(if status.disk.is_some() { "stops at the latest" } else { "ends at the latest" }, minutes(expires));
    }
    row("costs", cost::so_far(status.cost.as_ref()));
    if let Some(disk) = &status.disk {
        let decide = match disk.is_due {
            true => {
                format!("decide now what becomes of it: its maximum lifetime was over at {}", minutes(&disk.decide_by))
            }
            false => format!("decide by {} what becomes of it", minutes(&disk.decide_by)),
        };
        row("while stopped", format!("{}; {decide}", disk.in_words()));
    }
    if let Some(life) = status.life.as_ref().filter(|_| !is_stopped) {
        row("idle", idle(life, status.disk.is_some()));
        if let Some(used) = life.disk_used_percent {
            row("disk", format!("{used} % used"));
        }
        for notice in &life.notices {
            row("notice", notice.clone());
        }
    }
    if let Some(link) = &status.link {
        for line in link_rows(link) {
            row(line.0, line.1);
        }
    }
    if let Some(unserved) = &status.unserved {
        row("files and ports", format!("not served now: {unserved}"));
    }
    let done = status.stages.iter().filter(|stage| stage.state == "done");
    let done: Vec<String> = done.map(|stage| format!("{} {}", stage.stage, clock(&stage.time))).collect();
    if !done.is_empty() {
        row("came up", done.join(", "));
    }
    if let (false, Some(stage)) = (status.daemon.answers, status.stages.last()) {
        let detail = if stage.detail.is_empty() { String::new() } else { format!(": {}", stage.detail) };
        row("bootstrap", format!("{} {} at {}{detail}", stage.stage, stage.state, minutes(&stage.time)));
    }
    let mut text = align(None, rows);
    for stage in status.stages.iter().filter(|stage| matches!(stage.state.as_str(), "failed" | "warning")) {
        let _ = write!(text, "\n{} {} {}: {}", minutes(&stage.time), stage.stage, stage.state, stage.detail);
    }
    text
}

/// Files and ports, a row each.
fn link_rows(link: &LinkState) -> Vec<(&'static str, String)> {
    let why = |why: &Option<String>| why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    let folder = |folder: &FolderLine| {
        let state = match folder.state {
            FolderState::Starting => "on its way",
            FolderState::Shared => "live",
            FolderState::Waiting => "containers wait for it",
            _ => "containers can't see it",
        };
        let read_only = if folder.read_only { ", read-only" } else { "" };
        ("files", format!("{}: {state}{read_only}{}", folder.path.display(), why(&folder.why)))
    };
    let port = |port: &PortLine| {
        let place = match port.local_port {
            Some(local) => format!("at localhost:{local}"),
            None => "not at localhost".to_owned(),
        };
        ("port", format!("{} of {} {place}{}", port.host_port, port.container, why(&port.why)))
    };
    let unreachable = link.unreachable.iter().map(|why| ("ports", format!("the daemon is out of reach: {why}")));
    link.folders.iter().map(folder).chain(link.ports.iter().map(port)).chain(unreachable).collect()
}

fn idle(life: &Life, stops: bool) -> String {
    let ends = if stops { "stops" } else { "ends" };
    match (&life.idle_since, &life.idle_deadline) {
        _ if !life.uses.is_empty() => format!("no: {}", life.uses.join(", ")),
        (Some(since), Some(deadline)) => {
            format!("since {}, {ends} at {} unless used", minutes(since), minutes(deadline))
        }
        (Some(since), None) => format!("since {}; idleness does not end it", minutes(since)),
        (None, _) => "no".to_owned(),
    }
}

/// The time of a day, to the second.
fn clock(time: &str) -> String {
    time.parse::<Timestamp>().map_or_else(|_| time.to_owned(), |time| time.strftime("%H:%M:%S").to_string())
}

/// A time to the minute.
fn minutes(time: &str) -> String {
    match time.parse::<Timestamp>() {
        Ok(time) => minute(time),
        Err(_) => time.to_owned(),
    }
}
