//! What `create-host` prints: a plan, or a host.

use std::{collections::BTreeMap, fmt::Write as _};

use host_provisioner::{HostGroups, HostPlan, Market, OnIdle, Placement};
use jiff::Timestamp;
use sdocker::{
    Count, Surroundings, clients,
    cost::{Cost, Hourly, dollars},
    creation::NewHost,
    detours::{self, Client},
    durations,
};
use sdocker_console::{Printer, Progress, align};
use serde::Serialize;
use serde_json::json;

/// A new host, as `--output json` prints it.
#[derive(Debug, Serialize)]
pub(super) struct Created {
    name: String,
    instance_id: String,
    instance_type: String,
    endpoint: String,
    /// Its Docker context; `null` while the host is not ready.
    context: Option<String>,
    docker_version: Option<String>,
    cert_path: String,
    created: String,
    expires: String,
    idle_timeout_seconds: Option<u64>,
    /// `null` where it is not known.
    cost: Option<Cost>,
    warnings: Vec<String>,
    pub(super) notes: Vec<String>,
}

impl Created {
    pub(super) fn of(host: &NewHost) -> Self {
        let name = host.record.name().unwrap_or_default();
        let mut warnings = host.warnings.clone();
        warnings.extend(host.refused.iter().map(|refused| refused.what.clone()));
        warnings.extend(host.obstacles.iter().map(|obstacle| obstacle.what.clone()));
        let docker_version = host.answered.as_ref().map(|answered| answered.version().to_owned());
        Self {
            instance_id: host.record.instance.as_ref().map(|instance| instance.id.to_string()).unwrap_or_default(),
            instance_type: host.record.instance_type.to_string(),
            endpoint: host.endpoint.to_string(),
            context: docker_version.as_ref().map(|_| name.clone()),
            docker_version,
            cert_path: host.certs.display().to_string(),
            created: host.record.created.to_string(),
            expires: host.record.expires.to_string(),
            idle_timeout_seconds: host.idle_timeout.map(|timeout| timeout.as_secs()),
            cost: host.hourly.map(|hourly| hourly.cost(host.record.created, host.record.expires, Timestamp::now())),
            warnings,
            notes: host.notes.clone(),
            name,
        }
    }

    /// That it is there, and where.
    pub(super) fn state(&self) -> String {
        let state = match &self.docker_version {
            Some(version) => format!("ready: Docker {version}"),
            None => "launched".to_owned(),
        };
        format!("{} is {state} at {}", self.name, self.endpoint)
    }
}

/// When a host ends itself, or each of several.
pub(super) fn end(who: &str, host: &NewHost) -> String {
    let expires = durations::minute(host.record.expires);
    if host.on_idle == OnIdle::Stop {
        let idle = host.idle_timeout.map(|idle| format!("after {} without use, and ", durations::show(idle)));
        return format!(
            "{who} stops itself {}at {expires} at the latest, and keeps its disk, for {}; then you have to decide what becomes of it",
            idle.unwrap_or_default(),
            a_month(host.hourly.as_ref())
        );
    }
    match host.idle_timeout {
        Some(idle) => {
            format!("{who} ends itself after {} without use, and at {expires} at the latest", durations::show(idle))
        }
        None => format!("{who} ends itself at {expires}, even if it is idle before then"),
    }
}

pub(super) fn print(
    host: &NewHost,
    surroundings: &Surroundings,
    observer: &Progress<'_>,
    printer: &Printer,
) -> anyhow::Result<()> {
    let created = Created::of(host);
    printer.result(&created, || {
        let mut text = format!("{}\n{}\n", created.state(), end("it", host));
        let _ = writeln!(text, "it costs {}", in_words(created.cost.as_ref()));
        for note in &created.notes {
            let _ = writeln!(text, "{note}");
        }
        text
    })?;
    if clients_work(host, surroundings, observer, printer) {
        printer.hint(
            "`docker ps` talks to it now; `sdocker terminate-current-host` ends it, `sdocker keep` keeps it longer",
        );
    }
    Ok(())
}

/// Says which clients do not get to the current host; whether the Docker CLI does.
pub(super) fn clients_work(
    host: &NewHost,
    surroundings: &Surroundings,
    observer: &Progress<'_>,
    printer: &Printer,
) -> bool {
    if let Some(refused) = &host.refused {
        printer.warn(&refused.what);
        printer.hint(&refused.fix);
    }
    detours::warn(&host.blocked, surroundings.in_notebook, observer);
    clients::warn(&host.obstacles, observer);
    host.answered.is_some()
        && host.refused.is_none()
        && !host.obstacles.iter().any(|obstacle| obstacle.misleads_cli)
        && host.blocked.iter().all(|blocked| blocked.client != Client::Cli)
}

/// What the disk of a stopped host costs.
fn a_month(hourly: Option<&Hourly>) -> String {
    match hourly {
        Some(hourly) => format!("{} a month while it is stopped", dollars(hourly.volume_a_month())),
        None => "a price a month that could not be looked up".to_owned(),
    }
}

/// What a new host costs.
fn in_words(cost: Option<&Cost>) -> String {
    let Some(cost) = cost else { return "an unknown amount: the price could not be looked up".to_owned() };
    let hourly = cost.hourly_usd;
    if hourly.total() == 0.0 {
        return "nothing: it runs on this machine".to_owned();
    }
    let [hour, instance, volume, most] =
        [hourly.total(), hourly.instance, hourly.volume, cost.at_most_usd].map(dollars);
    match hourly.market {
        Market::OnDemand => format!(
            "{hour} an hour ({instance} the instance, {volume} its volume), {most} at the most until it ends itself"
        ),
        Market::Spot => format!(
            "{hour} an hour at today's Spot price ({instance} the instance, {volume} its volume), and never more than the \
             on-demand price: {most} at the most until it ends itself"
        ),
    }
}

/// Where the settings of a plan come from: what is in neither has its default.
pub(super) struct Settings {
    /// The keys that `sdocker.conf` gives a value.
    pub(super) given: Vec<&'static str>,
    /// The keys whose value is that of an option.
    pub(super) options: Vec<&'static str>,
}

impl Settings {
    /// Each key with where its value comes from, as `config list` names it.
    fn sources(&self) -> BTreeMap<&'static str, &'static str> {
        let of_file = self.given.iter().map(|key| (*key, "sdocker.conf"));
        of_file.chain(self.options.iter().map(|key| (*key, "option"))).collect()
    }

    fn in_words(&self) -> String {
        let (overridden, used): (Vec<&str>, Vec<&str>) = self.given.iter().partition(|key| self.options.contains(key));
        let part = |what: &str, keys: &[&str]| (!keys.is_empty()).then(|| format!("{what} {}", keys.join(", ")));
        let parts = [part("sets", &used), part("options override its", &overridden)];
        parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
    }
}

pub(super) fn print_plan(
    plan: &HostPlan,
    count: Option<Count>,
    hourly: Option<Hourly>,
    settings: &Settings,
    printer: &Printer,
) -> anyhow::Result<()> {
    let calls = plan.calls();
    let warnings: Vec<String> = plan.warnings.iter().map(ToString::to_string).collect();
    let now = Timestamp::now();
    let cost = hourly.map(|hourly| hourly.cost(now, plan.expires, now));
    let mut value =
        json!({"plan": plan, "calls": calls, "cost": cost, "warnings": warnings, "settings": settings.sources()});
    if let Some(Count { of, at_least, .. }) = count {
        value["count"] = json!({"of": of, "at_least": at_least});
    }
    printer.result(&value, || {
        let mut text = human(plan, count, cost.as_ref(), settings);
        let _ = writeln!(text, "\nAPI calls:");
        for call in &calls {
            let parameters = serde_json::to_string_pretty(&call.parameters).unwrap_or_default();
            let _ = writeln!(text, "{} {parameters}", call.action);
        }
        let _ = write!(text, "\nnothing was changed (--dry-run)");
        text
    })
}

fn human(plan: &HostPlan, count: Option<Count>, cost: Option<&Cost>, settings: &Settings) -> String {
    let mut rows = Vec::new();
    let mut row = |name: &str, value: String| rows.push([name.to_owned(), value]);
    match count {
        Some(Count { of, at_least, .. }) if of == at_least => row("hosts", format!("{of} of these, or none")),
        Some(Count { of, at_least, .. }) => row("hosts", format!("{of} of these, at least {at_least}, or none")),
        None => {}
    }
    row("instance type", plan.instance_type.to_string());
    row("image", format!("{} ({}, {})", plan.image.id, plan.image.name, plan.image.created));
    row("root volume", format!("{} GiB gp3, encrypted, on {}", plan.root_volume.size_gib, plan.root_volume.device));
    row("market", plan.markets.iter().map(|market| market_name(*market)).collect::<Vec<_>>().join(", then "));
    for (position, placement) in plan.placements.iter().enumerate() {
        row(if position == 0 { "subnet" } else { "else" }, location(placement));
    }
    row("security groups", groups(plan));
    if let Some(placement) = plan.placements.first() {
        let bootstrap = &placement.bootstrap;
        row("engine", engine(bootstrap));
        let ports: Vec<String> = [bootstrap.daemon_port, bootstrap.endpoint_port]
            .into_iter()
            .chain(bootstrap.additional_ports.iter().copied())
            .map(|port| port.to_string())
            .collect();
        row("ports", ports.join(", "));
        for mount in &bootstrap.mounts {
            let paths: Vec<String> = mount.paths.iter().map(|path| path.display().to_string()).collect();
            row("mounts", format!("{}:{} at {}", mount.file_system, mount.remote_path.display(), paths.join(", ")));
        }
        let idle = bootstrap.idle_timeout.map_or_else(|| "never".to_owned(), durations::show);
        let end = format!("after {idle} without use, at {} at the latest", durations::minute(plan.expires));
        match plan.on_idle {
            OnIdle::Terminate => row("ends itself", end),
            OnIdle::Stop => {
                row("stops itself", format!("{end}; its disk costs {}", a_month(cost.map(|cost| &cost.hourly_usd))))
            }
        }
        row("user data", format!("{} bytes", placement.user_data.as_bytes().len()));
    }
    row("tags", plan.tags.iter().map(|tag| format!("{}={}", tag.key, tag.value)).collect::<Vec<_>>().join(", "));
    let each = if count.is_some() { "each: " } else { "" };
    rows.push(["costs".to_owned(), format!("{each}{}", in_words(cost))]);
    if !settings.given.is_empty() {
        rows.push(["sdocker.conf".to_owned(), settings.in_words()]);
    }
    format!("{}\n", align(None, rows))
}

fn market_name(market: Market) -> &'static str {
    match market {
        Market::OnDemand => "on demand",
        Market::Spot => "Spot",
    }
}

fn location(placement: &Placement) -> String {
    let zone = placement.zone.as_ref().map(|zone| format!(" in {zone}")).unwrap_or_default();
    let targets: Vec<String> = placement.mount_targets.iter().map(|target| target.id.to_string()).collect();
    let through = if targets.is_empty() { String::new() } else { format!(", EFS through {}", targets.join(", ")) };
    format!("{}{zone}{through}", placement.subnet)
}

fn groups(plan: &HostPlan) -> String {
    match &plan.groups {
        HostGroups::Given(groups) => groups.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        HostGroups::Named { docker, nfs } => {
            let show = |group: &host_provisioner::GroupPlan| match &group.existing {
                Some(id) => format!("{} ({id})", group.name),
                None => format!("{} (to be created)", group.name),
            };
            std::iter::once(docker).chain(nfs).map(show).collect::<Vec<_>>().join(", ")
        }
    }
}

fn engine(bootstrap: &host_provisioner::Bootstrap) -> String {
    match &bootstrap.engine {
        host_provisioner::Engine::Dind { image } => format!("dind ({image})"),
        host_provisioner::Engine::Native { nvidia: true } => "native, with the NVIDIA runtime".to_owned(),
        host_provisioner::Engine::Native { nvidia: false } => "native".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_says_where_its_settings_come_from() {
        let settings = |given: &[&'static str], options: &[&'static str]| Settings {
            given: given.to_vec(),
            options: options.to_vec(),
        };
        let some = settings(&["Engine", "MaxLifetime", "Tags"], &["InstanceType", "MaxLifetime"]);
        assert_eq!(some.in_words(), "sets Engine, Tags; options override its MaxLifetime");
        assert_eq!(
            json!(some.sources()),
            json!({"Engine": "sdocker.conf", "InstanceType": "option", "MaxLifetime": "option", "Tags": "sdocker.conf"})
        );
        assert_eq!(settings(&["Engine"], &[]).in_words(), "sets Engine");
        assert_eq!(settings(&["Engine"], &["Engine"]).in_words(), "options override its Engine");
    }
}
