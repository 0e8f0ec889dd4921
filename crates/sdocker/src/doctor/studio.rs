//! The app and its domain, and what a host would need of them.

use host_provisioner::{
    HostPlan, Market, Warning,
    preflight::{self, Severity, Subject, Unproven},
};
use studio_discovery::{DiscoveryWarning, StudioEnvironment};

use super::{
    clients,
    examination::Examination,
    finding::{Findings, State},
    registry,
};
use crate::{
    HostRequest, Surroundings, advice, config,
    creation::{self, Planned},
    link::Lent,
    lookup::Lookup,
    permission::{self, Caller},
    policy::Scope,
    request::{self, Ways},
    session::Session,
};

pub(super) async fn examine(
    asked: &Examination,
    surroundings: &Surroundings,
    session: &Session,
    lookup: &Lookup,
    findings: &mut Findings,
) {
    let discovery = match studio_discovery::discover(&session.facts, session.clouds.studio.as_ref()).await {
        Ok(discovery) => discovery,
        Err(error) => {
            clients::files(surroundings, lookup, None, findings);
            return findings.error("app", &error.into(), &Caller::of(surroundings));
        }
    };
    let environment = &discovery.environment;
    let caller = Caller::within(Scope::of(environment), environment.execution_role.as_ref().map(ToString::to_string));
    let what = format!("{:?} app of {} in domain {}", environment.app.kind, environment.owner, environment.domain);
    findings.ok("app", what);
    for warning in &discovery.warnings {
        let finding = findings.add("app", State::Warning, warning.to_string());
        if let DiscoveryWarning::TagsNotRead { why } = warning {
            finding.because("tags say who pays for a host").fix = permission::hints("sagemaker:ListTags", why, &caller);
        }
    }
    let shared_home = request::shared_home(surroundings, environment);
    clients::files(surroundings, lookup, shared_home.as_deref(), findings);
    match shared_home {
        Some(folder) => findings.ok("storage", format!("{} is shared with the host", folder.display())),
        None if Ways::lends_by_default(environment.app.kind, surroundings) => match Lent::of(&[], surroundings) {
            Ok(lent) => findings.ok("storage", format!("this app shares its files with a host: {lent}")),
            Err(error) => findings.error("storage", &error, &caller),
        },
        None => {
            findings
                .add("storage", State::Warning, request::WITHOUT_SHARED_STORAGE)
                .because("Local Mode gives its data to containers by bind mounts")
                .fix("`sdocker create-host --files share` shares this app's files with a host");
        }
    }
    if let Err(error) = host(asked, surroundings, session, environment, lookup, &caller, findings).await {
        findings.error("host", &error, &caller);
    }
}

async fn host(
    asked: &Examination,
    surroundings: &Surroundings,
    session: &Session,
    environment: &StudioEnvironment,
    lookup: &Lookup,
    caller: &Caller,
    findings: &mut Findings,
) -> crate::Result<()> {
    let config = config::read(&lookup.layout.configuration_files())?;
    for warning in &config.warnings {
        findings
            .add("configuration", State::Warning, warning.to_string())
            .because("it is ignored")
            .fix("correct or remove it in sdocker.conf");
    }
    let wanted =
        HostRequest { subnet: asked.subnet.clone(), ..HostRequest::new(asked.instance_type.clone()) }.or(&config);
    let Planned { plan, instance_type, .. } =
        creation::plan(&wanted, surroundings, &config, &session.clouds, environment).await?;
    let subnets: Vec<_> = plan.placements.iter().map(|placement| placement.subnet.to_string()).collect();
    findings.ok("host", format!("{} with image {} in {}", plan.instance_type, plan.image.id, subnets.join(", ")));
    for warning in &plan.warnings {
        let finding = findings.add("host", state_of(warning, &plan), warning.to_string());
        if let Warning::GivenGroupsLack { .. } | Warning::MountTargetShut { .. } = warning {
            finding
                .because("a host in these groups would come up, but nobody could reach it, or it could reach nothing")
                .fix("ask the administrator who prepared the groups for the rule, or name other groups in HostSGs in sdocker.conf");
        }
        if let Warning::TypeNotDescribed { .. } = warning {
            finding.fix = permission::hints("ec2:DescribeInstanceTypes", "", caller);
        }
        if let Warning::StrangeGroup { .. } = warning {
            finding
                .because("whoever it lets in reaches the host's ports")
                .fix("remove the rules that nobody needs, or delete the group while no host runs: the next host gets a new one");
        }
    }
    let engine = plan.placements.first().map(|placement| &placement.bootstrap.engine);
    let mut registries = Findings::default();
    let (examined, ()) = tokio::join!(
        preflight::examine(&session.clouds.cloud, environment, &plan, &instance_type),
        registry::examine(engine, surroundings, &mut registries),
    );
    findings.append(registries);
    for found in examined {
        let state = match found.severity() {
            Severity::Ok => State::Ok,
            Severity::Unproven => State::Unproven,
            Severity::Warning => State::Warning,
            Severity::Failed => State::Failed,
        };
        let subject = match found.subject() {
            Subject::Permissions => "permissions",
            Subject::Network => "network",
            Subject::Storage => "storage",
            Subject::Zones | Subject::Launch => "host",
            Subject::Quota | Subject::Sizes => "limits",
            Subject::Encryption => "encryption",
        };
        let finding = findings.add(subject, state, found.to_string());
        finding.action = found.action().map(str::to_owned);
        if state != State::Ok {
            finding.because(found.subject().why()).fix = fixes(&found, caller);
        }
    }
    Ok(())
}

/// Groups without which a host is of no use are no mere warning.
fn state_of(warning: &Warning, plan: &HostPlan) -> State {
    let daemon = plan.placements.first().map(|placement| placement.bootstrap.daemon_port);
    match warning {
        Warning::GivenGroupsLack { ports, .. } if daemon.is_some_and(|port| ports.contains(&port)) => State::Failed,
        Warning::MountTargetShut { .. } => State::Failed,
        _ => State::Warning,
    }
}

fn fixes(check: &preflight::Check, caller: &Caller) -> Vec<String> {
    use preflight::Check as C;
    match check {
        C::Refused { error, .. } => advice::cloud_hints(error, caller),
        C::Unproven { why: Unproven::Asked(error), .. } => advice::cloud_hints(error, caller),
        C::Unproven { .. } => {
            vec!["`sdocker policy` prints the permissions; a creation that is refused is undone".to_owned()]
        }
        C::Dns { vpc, dns } => {
            let switches = [(dns.resolution, "--enable-dns-support"), (dns.hostnames, "--enable-dns-hostnames")];
            let off = switches.into_iter().filter(|(on, _)| !on);
            let command =
                |option| format!("ask an administrator for `aws ec2 modify-vpc-attribute --vpc-id {vpc} {option}`");
            off.map(|(_, option)| command(option)).collect()
        }
        C::MountTarget { mount_target, .. } => advice::full(mount_target),
        C::Offered { .. } => {
            vec!["take another instance type, or a subnet in a zone that offers it (--subnet-id)".to_owned()]
        }
        C::Quota { class, .. } => vec![format!(
            "take a smaller instance type, or ask an administrator to raise the quota {} of EC2 in Service Quotas",
            class.code(Market::OnDemand)
        )],
        C::Encryption { key } => vec![format!("`sdocker policy --kms-key {key}` prints what the role needs")],
        C::Sizes { .. } => vec!["remove tags from the user profile".to_owned()],
        _ => Vec::new(),
    }
}
