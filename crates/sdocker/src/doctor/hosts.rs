//! The hosts that there are, and what is kept of hosts that there are no more.

use docker_remote::Context;
use host_provisioner::{InstanceId, InstanceType};

use super::finding::{Findings, Repair, State};
use crate::{
    Surroundings, advice, clients, detours,
    disk::{self, Disk},
    docker_cli,
    history::History,
    link::{self, FolderState},
    lookup::{KnownHost, Lookup},
    permission::Caller,
    places::{Look, Places},
    status,
};

pub(super) async fn examine(
    surroundings: &Surroundings,
    lookup: &Lookup,
    places: &mut Places<'_>,
    findings: &mut Findings,
) {
    let hosts = match lookup.hosts_aside().await {
        Ok(hosts) => hosts,
        Err(error) => return findings.error("hosts", &error, &Caller::default()),
    };
    for notice in lookup.notices() {
        findings.add("hosts", State::Warning, notice).fix("`sdocker recover` says more");
    }
    let mut contexts = Vec::new();
    // What can't be read keeps no host from coming up: it may be another program's.
    match lookup.contexts.list() {
        Err(error) => unreadable(error, findings),
        Ok(listed) => {
            for context in listed {
                context.map_or_else(|error| unreadable(error, findings), |context| contexts.push(context));
            }
        }
    }
    let known = |name: &str| hosts.iter().any(|host| host.name == name);
    let unknown: Vec<KnownHost> =
        contexts.into_iter().filter(|context| !known(&context.name)).filter_map(|context| host_of(&context)).collect();
    let looks = places.look(&hosts).await;
    for (host, look) in hosts.into_iter().zip(looks) {
        known_host(host, look, surroundings, lookup, findings).await;
    }
    let looks = places.look(&unknown).await;
    for (host, look) in unknown.into_iter().zip(looks) {
        let name = host.name;
        match look {
            Look::Ended(_) => {
                findings
                    .add("contexts", State::Warning, format!("{name} is the Docker context of a host that is gone"))
                    .because("clients that use it wait for an answer that never comes")
                    .fix(format!("`docker context rm {name}`"))
                    .repair(Repair::RemoveContext(name));
            }
            Look::Alive(_) => {
                findings
                    .add(
                        "contexts",
                        State::Warning,
                        format!("{name} is the Docker context of a host that is not known here"),
                    )
                    .because("it is not listed, and not terminated with the others")
                    .fix("`sdocker recover --adopt` takes hosts of yours back into use");
            }
            Look::Unknown(why) => {
                findings
                    .add(
                        "contexts",
                        State::Warning,
                        format!("{name} is the Docker context of a host that is not known here: {why:#}"),
                    )
                    .because("clients that use it may wait for an answer that never comes")
                    .fix(format!("`docker context rm {name}`, where its host has ended for certain"));
            }
        }
    }
}

fn unreadable(error: docker_remote::Error, findings: &mut Findings) {
    findings
        .add("contexts", State::Warning, format!("{:#}", crate::Error::from(error)))
        .because("the Docker CLI fails over it as well, as soon as it lists its contexts")
        .fix("mend or remove the folder of that context; `docker context ls` must work");
}

async fn known_host(
    host: KnownHost,
    look: Look,
    surroundings: &Surroundings,
    lookup: &Lookup,
    findings: &mut Findings,
) {
    match look {
        Look::Ended(_) => {
            findings
                .add("hosts", State::Warning, format!("{} has ended", host.name))
                .because("its Docker context and files lead nowhere")
                .fix("`sdocker recover` cleans up what is left of it")
                .repair(Repair::ForgetHost(Box::new(host)));
            return;
        }
        Look::Unknown(why) => {
            let hints = advice::hints(&why, &Caller::default());
            let finding = findings.add("hosts", State::Warning, format!("{}: {why:#}", host.name));
            finding.because("its files are kept until that is known");
            finding.fix = hints.into_iter().filter(|hint| !hint.contains("`sdocker recover`")).collect();
            return;
        }
        Look::Alive(instance) if instance.state.is_stopped() => return stopped(&host, lookup, findings),
        Look::Alive(_) => {}
    }
    let daemon = status::daemon(&host, lookup).await;
    match daemon.error {
        None => {
            findings.ok("hosts", format!("{} answers", host.name));
            files(&host, surroundings, findings);
            if host.current {
                for obstacle in clients::obstacles(surroundings, &host).await {
                    findings.add("hosts", State::Warning, obstacle.what).because(obstacle.why).fix(obstacle.fix);
                }
            }
            for blocked in detours::blocked_from(surroundings, lookup, &host).await {
                findings
                    .add("hosts", State::Warning, format!("{}: {blocked}", host.name))
                    .because("their commands fail although the host is there")
                    .fix(detours::remedy(surroundings.in_notebook));
            }
            let Some(api) = daemon.api else { return };
            if let Some(refused) = docker_cli::refused(surroundings, &host.name, api).await {
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

/// A host that is stopped costs what its disk costs, and is no fault before its date.
fn stopped(host: &KnownHost, lookup: &Lookup, findings: &mut Findings) {
    let history = History::read(&lookup.layout);
    let disk = host.record.as_ref().and_then(|record| Disk::of(record, true, &history));
    let costs = disk.as_ref().map(|disk| format!(": {}", disk.in_words())).unwrap_or_default();
    match disk {
        Some(disk) if !disk.is_due => findings.ok("hosts", format!("{} is stopped{costs}", host.name)),
        _ => {
            findings
                .add(
                    "hosts",
                    State::Warning,
                    format!("{} is stopped, and its maximum lifetime is over{costs}", host.name),
                )
                .because("a stopped host never ends by itself, and its disk costs money until somebody terminates it")
                .fix(disk::choices(&host.instance));
        }
    }
}

/// What containers see of this app's files, and this app of their ports.
fn files(host: &KnownHost, surroundings: &Surroundings, findings: &mut Findings) {
    match link::unserved(surroundings, host) {
        Err(error) => return findings.error("files", &error, &Caller::default()),
        Ok(Some(unserved)) => {
            findings
                .add("files", State::Warning, unserved.what)
                .because("bind mounts of this app's folders, and with them Local Mode, do not work")
                .fix(unserved.fix);
            return;
        }
        Ok(None) => {}
    }
    let Some(state) = link::state(surroundings).filter(|state| state.host == host.name) else { return };
    for folder in &state.folders {
        let (path, why) = (folder.path.display(), folder.why.as_deref().unwrap_or("no reason is known"));
        match folder.state {
            FolderState::Shared => findings.ok("files", format!("{path} is live in containers")),
            FolderState::Starting => {}
            FolderState::Waiting => {
                let finding = findings.add("files", State::Warning, format!("containers wait for {path}: {why}"));
                finding.because("the connection to the host's daemon is being made again");
            }
            _ => {
                let finding = findings.add("files", State::Warning, format!("containers see nothing of {path}: {why}"));
                finding.because("bind mounts of it are empty, and can't be written");
            }
        }
    }
}

/// The host of a context that is named like one.
fn host_of(context: &Context) -> Option<KnownHost> {
    let (instance_type, instance) = named(&context.name)?;
    let endpoint = context.host.as_deref().and_then(|host| host.strip_prefix("tcp://"));
    let (address, port) = endpoint.and_then(|endpoint| endpoint.rsplit_once(':')).unwrap_or_default();
    Some(KnownHost {
        name: context.name.clone(),
        instance,
        instance_type,
        address: address.to_owned(),
        port: port.parse().unwrap_or_default(),
        current: false,
        record: None,
    })
}

/// The instance type and the instance in the name of a host's context, `<instance-type>_<instance-id>`.
fn named(context: &str) -> Option<(InstanceType, InstanceId)> {
    let (instance_type, id) = context.split_once('_')?;
    let instance_type = instance_type.parse().ok().filter(|_| instance_type.contains('.'))?;
    Some((instance_type, id.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::named;

    #[test]
    fn only_names_of_hosts_are_looked_at() {
        assert_eq!(
            named("c5.xlarge_i-0abc").map(|(kind, id)| format!("{id} {kind}")).as_deref(),
            Some("i-0abc c5.xlarge")
        );
        for name in ["default", "desktop-linux", "c5_i-0abc", "c5.xlarge_i-", "c5.xlarge_i-xyz", "my_context"] {
            assert_eq!(named(name), None, "{name}");
        }
    }
}
