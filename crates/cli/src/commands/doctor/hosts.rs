//! The hosts that there are, and what is kept of hosts that there are no more.

use std::collections::HashMap;

use host_provisioner::{Instance, InstanceFilter, InstanceId};

use super::{Findings, State, repair::Repair};
use crate::{
    commands::status,
    detours, docker_cli,
    lookup::{KnownHost, Lookup},
    permission::Caller,
    session::Session,
    world::World,
};

pub(super) async fn examine(world: &World, lookup: &Lookup, session: Option<&Session>, findings: &mut Findings) {
    let hosts = match lookup.hosts() {
        Ok(hosts) => hosts,
        Err(error) => return findings.error("hosts", &error, &Caller::default()),
    };
    let contexts = match lookup.contexts.list() {
        Ok(contexts) => contexts,
        Err(error) => return findings.error("contexts", &error.into(), &Caller::default()),
    };
    let known = |name: &str| hosts.iter().any(|host| host.name == name);
    let unknown: Vec<(String, InstanceId)> = contexts
        .into_iter()
        .filter(|context| !known(&context.name))
        .filter_map(|context| Some((context.name.clone(), instance_in(&context.name)?)))
        .collect();
    let ids = hosts.iter().map(|host| host.instance.clone()).chain(unknown.iter().map(|(_, id)| id.clone()));
    let living = living(ids.collect(), session).await;
    for host in hosts {
        known_host(host, world, lookup, living.as_ref(), findings).await;
    }
    for (name, id) in unknown {
        match &living {
            Some(living) if !living.contains_key(&id) => {
                findings
                    .add("contexts", State::Warning, format!("{name} is the Docker context of a host that is gone"))
                    .because("clients that use it wait for an answer that never comes")
                    .fix(format!("`docker context rm {name}`"))
                    .repair(Repair::RemoveContext(name));
            }
            _ => {
                findings
                    .add(
                        "contexts",
                        State::Warning,
                        format!("{name} is the Docker context of a host that is not known here"),
                    )
                    .because("it is not listed, and not terminated with the others")
                    .fix("`sdocker recover --adopt` takes hosts of yours back into use");
            }
        }
    }
}

async fn known_host(
    host: KnownHost,
    world: &World,
    lookup: &Lookup,
    living: Option<&HashMap<InstanceId, Instance>>,
    findings: &mut Findings,
) {
    if living.is_some_and(|living| !living.contains_key(&host.instance)) {
        findings
            .add("hosts", State::Warning, format!("{} has ended", host.name))
            .because("its Docker context and files lead nowhere")
            .fix("`sdocker recover` clears what is left of it")
            .repair(Repair::ForgetHost(Box::new(host)));
        return;
    }
    let daemon = status::daemon(&host, lookup).await;
    match daemon.error {
        None => {
            findings.ok("hosts", format!("{} answers", host.name));
            for blocked in detours::blocked_from(world, lookup, &host).await {
                findings
                    .add("hosts", State::Warning, format!("{}: {blocked}", host.name))
                    .because("their commands fail although the host is there")
                    .fix(detours::remedy());
            }
            let Some(api) = daemon.api else { return };
            if let Some(refused) = docker_cli::refused(world, &host.name, api).await {
                findings
                    .add("hosts", State::Warning, refused.what)
                    .because("`docker` and what runs it, Local Mode among them, do not reach the host")
                    .fix(refused.fix);
            }
        }
        Some(error) => {
            findings
                .add("hosts", State::Warning, format!("{} does not answer: {error}", host.name))
                .because("it may still boot; else its security group does not let this app in, or its daemon is gone")
                .fix(format!("`sdocker status --instance-id {}` says more", host.instance));
        }
    }
}

/// Those of the instances that have not ended; `None` where that can't be told.
async fn living(ids: Vec<InstanceId>, session: Option<&Session>) -> Option<HashMap<InstanceId, Instance>> {
    if ids.is_empty() {
        return None;
    }
    let filter = InstanceFilter { ids, ..InstanceFilter::default() };
    let found = session?.clouds.cloud.instances.list(&filter).await.ok()?;
    let living = found.into_iter().filter(|instance| !instance.state.is_ended());
    Some(living.map(|instance| (instance.id.clone(), instance)).collect())
}

/// The instance in the name of a host's context, `<instance-type>_<instance-id>`.
fn instance_in(context: &str) -> Option<InstanceId> {
    let (instance_type, id) = context.split_once('_')?;
    let hex = id.strip_prefix("i-")?;
    let is_ours = instance_type.contains('.') && !hex.is_empty() && hex.chars().all(|c| c.is_ascii_hexdigit());
    is_ours.then(|| id.into())
}

#[cfg(test)]
mod tests {
    use super::instance_in;

    #[test]
    fn only_names_of_hosts_are_looked_at() {
        assert_eq!(instance_in("c5.xlarge_i-0abc").map(|id| id.to_string()).as_deref(), Some("i-0abc"));
        for name in ["default", "desktop-linux", "c5_i-0abc", "c5.xlarge_i-", "c5.xlarge_i-xyz", "my_context"] {
            assert_eq!(instance_in(name), None, "{name}");
        }
    }
}
