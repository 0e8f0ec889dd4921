//! Hosts that were created.

use std::fmt::Write as _;

use host_provisioner::OnIdle;
use sdocker::{
    creation::{AllCreated, Created, NewHost, NewHosts},
    durations,
};

use super::cost;

/// A new host: that it is there, when it ends itself, what it costs.
pub fn new_host(host: &NewHost, created: &Created) -> String {
    let mut text = format!("{}\n{}\n", state(created), end("it", host));
    let _ = writeln!(text, "it costs {}", cost::of_new_host(created.cost.as_ref()));
    for note in &created.notes {
        let _ = writeln!(text, "{note}");
    }
    text
}

/// New hosts: that they are there, and when each ends itself.
pub fn new_hosts(new: &NewHosts, created: &AllCreated) -> String {
    let mut lines: Vec<String> = created.hosts.iter().map(state).collect();
    lines.extend(new.hosts.first().map(|host| end("each", host)));
    lines.extend(created.hosts.iter().flat_map(|host| host.notes.clone()));
    lines.extend(created.notes.iter().cloned());
    lines.join("\n") + "\n"
}

/// That it is there, and where.
fn state(created: &Created) -> String {
    let state = match &created.docker_version {
        Some(version) => format!("ready: Docker {version}"),
        None => "launched".to_owned(),
    };
    format!("{} is {state} at {}", created.name, created.endpoint)
}

/// When a host ends itself, or each of several.
fn end(who: &str, host: &NewHost) -> String {
    let expires = durations::minute(host.record.expires);
    if host.on_idle == OnIdle::Stop {
        let idle = host.idle_timeout.map(|idle| format!("after {} without use, and ", durations::show(idle)));
        return format!(
            "{who} stops itself {}at {expires} at the latest, and keeps its disk, for {}; then you have to decide what becomes of it",
            idle.unwrap_or_default(),
            cost::a_month(host.hourly.as_ref())
        );
    }
    match host.idle_timeout {
        Some(idle) => {
            format!("{who} ends itself after {} without use, and at {expires} at the latest", durations::show(idle))
        }
        None => format!("{who} ends itself at {expires}, even if it is idle before then"),
    }
}
