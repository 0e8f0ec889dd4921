//! What a creation would do.

use std::fmt::Write as _;

use host_provisioner::{Bootstrap, Engine, GroupPlan, HostGroups, HostPlan, Market, OnIdle, Placement};
use sdocker::{
    Count,
    creation::{Preview, Settings},
    durations,
};

use super::cost;
use crate::columns::align;

/// What would be created, and by which calls.
pub fn plan(preview: &Preview) -> String {
    let mut text = host(preview);
    let _ = writeln!(text, "\nAPI calls:");
    for call in &preview.calls {
        let parameters = serde_json::to_string_pretty(&call.parameters).unwrap_or_default();
        let _ = writeln!(text, "{} {parameters}", call.action);
    }
    let _ = write!(text, "\nnothing was changed (--dry-run)");
    text
}

fn host(preview: &Preview) -> String {
    let Preview { plan, count, cost, settings, .. } = preview;
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
                let disk = cost::a_month(cost.as_ref().map(|cost| &cost.hourly_usd));
                row("stops itself", format!("{end}; its disk costs {disk}"));
            }
        }
        row("user data", format!("{} bytes", placement.user_data.as_bytes().len()));
    }
    row("tags", plan.tags.iter().map(|tag| format!("{}={}", tag.key, tag.value)).collect::<Vec<_>>().join(", "));
    let each = if count.is_some() { "each: " } else { "" };
    row("costs", format!("{each}{}", cost::of_new_host(cost.as_ref())));
    if !settings.given.is_empty() {
        row("sdocker.conf", sources(settings));
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
            let show = |group: &GroupPlan| match &group.existing {
                Some(id) => format!("{} ({id})", group.name),
                None => format!("{} (to be created)", group.name),
            };
            std::iter::once(docker).chain(nfs).map(show).collect::<Vec<_>>().join(", ")
        }
    }
}

fn engine(bootstrap: &Bootstrap) -> String {
    match &bootstrap.engine {
        Engine::Dind { image } => format!("dind ({image})"),
        Engine::Native { nvidia: true } => "native, with the NVIDIA runtime".to_owned(),
        Engine::Native { nvidia: false } => "native".to_owned(),
    }
}

/// Which settings of `sdocker.conf` hold, and which do not.
fn sources(settings: &Settings) -> String {
    let (overridden, used): (Vec<&str>, Vec<&str>) =
        settings.given.iter().partition(|key| settings.options.contains(key));
    let part = |what: &str, keys: &[&str]| (!keys.is_empty()).then(|| format!("{what} {}", keys.join(", ")));
    let parts = [part("sets", &used), part("options override its", &overridden)];
    parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_says_where_its_settings_come_from() {
        let sources = |given: &[&'static str], options: &[&'static str]| {
            super::sources(&Settings { given: given.to_vec(), options: options.to_vec() })
        };
        assert_eq!(
            sources(&["Engine", "MaxLifetime", "Tags"], &["InstanceType", "MaxLifetime"]),
            "sets Engine, Tags; options override its MaxLifetime"
        );
        assert_eq!(sources(&["Engine"], &[]), "sets Engine");
        assert_eq!(sources(&["Engine"], &["Engine"]), "options override its Engine");
    }
}
