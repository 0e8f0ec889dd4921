//! The hosts of a home.

use jiff::Timestamp;
use sdocker::{
    Used,
    cost::{Cost, dollars},
    list::{HostList, ListedHost},
};

use crate::columns::align;

/// The hosts, a row each.
pub fn hosts(list: &HostList) -> String {
    if list.hosts.is_empty() {
        return "no hosts; `sdocker create c5.xlarge` creates one".to_owned();
    }
    let header = ["", "INSTANCE", "TYPE", "STATE", "ENDPOINT", "CREATED", "EXPIRES", "AN HOUR", "SO FAR"].into();
    let rows = list.hosts.iter().map(|host| {
        let time = |time: &Option<String>| time.as_deref().map_or_else(|| "-".to_owned(), minutes);
        let usd =
            |of: fn(&Cost) -> f64| host.cost.as_ref().map_or_else(|| "unknown".to_owned(), |cost| dollars(of(cost)));
        [
            if host.current { "*" } else { "" }.to_owned(),
            host.instance_id.clone(),
            host.instance_type.clone(),
            host.state.clone(),
            host.endpoint.clone(),
            time(&host.created),
            time(&host.expires),
            usd(|cost| cost.hourly_usd.total()),
            usd(|cost| cost.so_far_usd),
        ]
    });
    align(Some(header), rows)
}

/// What is to be decided about a host that is stopped; `None` of any other.
pub fn stopped_host(host: &ListedHost) -> Option<String> {
    let disk = host.disk.as_ref().filter(|_| host.state == "stopped")?;
    let (instance, words, date) = (&host.instance_id, disk.in_words(), minutes(&disk.decide_by));
    Some(format!(
        "{instance} is stopped: {words}; `sdocker use {instance}` starts it, `sdocker rm {instance}` deletes it; decide by {date}"
    ))
}

/// A host that was made the current one.
pub fn used(used: &Used) -> String {
    let (name, answered) = (&used.host.name, &used.answered);
    format!("{name} is the current host: Docker {} at {}", answered.version(), answered.endpoint())
}

/// A time to the minute: `2026-01-31 12:00Z`.
fn minutes(time: &str) -> String {
    match time.parse::<Timestamp>() {
        Ok(time) => time.strftime("%Y-%m-%d %H:%MZ").to_string(),
        Err(_) => time.to_owned(),
    }
}
