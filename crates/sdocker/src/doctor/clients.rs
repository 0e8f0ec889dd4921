//! What Docker clients and Local Mode need on this side. A host comes up without it.

use std::path::Path;

use docker_remote::Endpoint;

use super::finding::{Findings, Repair, State};
use crate::{
    Surroundings, clients,
    lookup::Lookup,
    permission::Caller,
    setup::{self, Found},
    writable,
};

/// The programs that Local Mode needs.
pub(super) fn tools(surroundings: &Surroundings, findings: &mut Findings) {
    let found = Found::look(surroundings, &setup::default_bin(surroundings), None);
    let missing = found.tools().missing();
    for missing in &missing {
        findings
            .add("tools", State::Warning, format!("Local Mode does not find {missing}"))
            .because(
                "the SageMaker Python SDK runs docker and compose itself, and accepts only some versions of Compose",
            )
            .fix("`sdocker setup` installs it")
            .repair(Repair::SetUp);
    }
    if missing.is_empty() {
        let compose = found.compose_plugin.as_deref().unwrap_or("docker-compose");
        let sdk = found.sdk.as_deref().unwrap_or_default();
        findings.ok("tools", format!("the Docker CLI, {compose} and the SageMaker Python SDK {sdk} are there"));
    }
}

/// The folders in which a host's files are written.
pub(super) fn files(surroundings: &Surroundings, lookup: &Lookup, shared_home: Option<&Path>, findings: &mut Findings) {
    let problems = writable::problems(surroundings, lookup, shared_home);
    for problem in &problems {
        findings.error("files", problem, &Caller::default());
    }
    if problems.is_empty() {
        findings.ok("files", "the files about hosts can be written");
    }
}

/// Variables that lead clients elsewhere.
pub(super) fn environment(surroundings: &Surroundings, lookup: &Lookup, findings: &mut Findings) {
    // Hosts that can't be read are said elsewhere.
    for obstacle in clients::overrides(surroundings, &lookup.hosts().unwrap_or_default()) {
        findings.add("environment", State::Warning, obstacle.what).because(obstacle.why).fix(obstacle.fix);
    }
    // As hosts are named in any Region (EC2 user guide, "EC2 instance hostnames and domains").
    let names = ["ip-10-0-0-1.ec2.internal", "ip-10-0-0-1.eu-west-1.compute.internal"];
    let led = names.map(|name| surroundings.proxies.of_cli(&Endpoint::new(name, 1111)));
    if let [Some(proxy), Some(_)] = led {
        findings
            .add(
                "environment",
                State::Warning,
                format!("{} leads docker to hosts through the proxy {proxy}", proxy.variable),
            )
            .because("few proxies lead into the VPC, and a host is reached directly")
            .fix("add .internal to NO_PROXY and no_proxy, or `eval \"$(sdocker env)\"` once there is a host");
    }
    for variable in &surroundings.overriding_ca_bundles {
        findings
            .add("environment", State::Warning, format!("{variable} is set"))
            .because("docker-py and docker-compose 1.x would not trust the host's own CA")
            .fix(format!("`unset {variable}` where they are used"));
    }
}
