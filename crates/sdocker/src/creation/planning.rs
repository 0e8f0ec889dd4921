//! From a request to plans: one for each host and each instance type that it may have.

use std::{
    path::PathBuf,
    time::{Duration, SystemTime},
};

use docker_remote::{HostCredentials, HostNames};
use futures_util::future::try_join_all;
use host_provisioner::{HostId, HostPlan, InstanceType, InstanceTypeInfo, ProvisionError, Survey, Warning, Zone};
use jiff::Timestamp;
use studio_discovery::{StudioEnvironment, SubnetId};

use crate::{
    Error, HostRequest, Surroundings,
    clouds::Clouds,
    config::Config,
    hooks::Hooks,
    layout::Layout,
    request::{self, Ways},
};

/// What a creation starts from.
pub struct Planned {
    /// What is to be made.
    pub plan: HostPlan,
    /// What the instance type is.
    pub instance_type: InstanceTypeInfo,
}

/// What the creation of hosts starts from.
pub(super) struct PlannedHosts {
    hosts: Vec<PlannedHost>,
    /// What the first instance type is; the others have its architecture.
    pub(super) instance_type: InstanceTypeInfo,
    /// The folder of the home that this app and the hosts share; `None` where they share none.
    pub(super) shared_home: Option<PathBuf>,
    /// What the hosts are to run.
    pub(super) hooks: Hooks,
}

/// What one of them is made of.
pub(super) struct PlannedHost {
    /// A plan for each instance type, in the order in which they are tried.
    pub(super) plans: Vec<HostPlan>,
    /// The daemon's identity, where the host gets it in its user data.
    pub(super) embedded: Option<HostCredentials>,
}

impl PlannedHosts {
    /// The first plan of the first host: the others differ from it in the host's name and identity, and the instance type.
    pub(super) fn first(&self) -> &HostPlan {
        &self.only().plans[0]
    }

    /// The first host.
    pub(super) fn only(&self) -> &PlannedHost {
        &self.hosts[0]
    }

    /// The zone of one of the subnets that hosts may be in.
    pub(super) fn zone_of(&self, subnet: &SubnetId) -> Option<&Zone> {
        let mut placements = self.only().plans.iter().flat_map(|plan| &plan.placements);
        placements.find(|placement| placement.subnet == *subnet)?.zone.as_ref()
    }

    pub(super) fn hosts(&self) -> &[PlannedHost] {
        &self.hosts
    }

    /// What is to be said of the plans, each once.
    pub(super) fn warnings(&self) -> impl Iterator<Item = &Warning> {
        let all: Vec<&Warning> = self.only().plans.iter().flat_map(|plan| &plan.warnings).collect();
        let mut each: Vec<&Warning> = Vec::new();
        for warning in all {
            if !each.contains(&warning) {
                each.push(warning);
            }
        }
        each.into_iter()
    }
}

/// Reads what a host needs, and plans it. Changes nothing.
///
/// # Cancel safety
/// It only reads, and can be dropped at any time.
pub async fn plan(
    asked: &HostRequest,
    surroundings: &Surroundings,
    config: &Config,
    clouds: &Clouds,
    environment: &StudioEnvironment,
) -> crate::Result<Planned> {
    let planned = plan_hosts(asked, 1, surroundings, config, clouds, environment).await?;
    Ok(Planned { plan: planned.first().clone(), instance_type: planned.instance_type })
}

/// The same of so many hosts: what there is is read once for all of them.
pub(super) async fn plan_hosts(
    asked: &HostRequest,
    count: usize,
    surroundings: &Surroundings,
    config: &Config,
    clouds: &Clouds,
    environment: &StudioEnvironment,
) -> crate::Result<PlannedHosts> {
    let shared_home = request::shared_home(surroundings, environment);
    let hooks: Hooks = match &shared_home {
        Some(_) => Hooks::find(&Layout::new(surroundings))?,
        None => Hooks::default(),
    };
    let ways = Ways::of(asked, environment.app.kind, surroundings);
    // All the same but for their names: then they can be launched with one call.
    let now = Timestamp::now();
    let request_of = |host: HostId| {
        let embedded = match &shared_home {
            Some(_) => None,
            None => Some(embedded_credentials(environment, asked)?),
        };
        let shared = (shared_home.clone(), hooks.told());
        let request = request::request(asked, surroundings, config, ways.lends, shared, embedded.as_ref());
        Ok::<_, Error>((host_provisioner::HostRequest { host, now, ..request }, embedded))
    };
    let names = HostId::generate_several(count);
    let (request, embedded) = request_of(names[0].clone())?;
    let types = asked.instance_types();
    let of_type = |request: &host_provisioner::HostRequest, instance_type: &InstanceType| {
        host_provisioner::HostRequest { instance_type: instance_type.clone(), ..request.clone() }
    };
    let wanted: Vec<_> = types.iter().map(|instance_type| of_type(&request, instance_type)).collect();
    let surveys = try_join_all(wanted.iter().map(|wanted| Survey::take(&clouds.cloud, environment, wanted))).await?;
    let instance_type = surveys[0].instance_type.clone();
    let other = surveys.iter().find(|survey| survey.instance_type.architecture != instance_type.architecture);
    if let Some(Survey { instance_type: other, .. }) = other {
        let of = |info: &InstanceTypeInfo| format!("{} is {}", info.instance_type, info.architecture.as_str());
        let why = format!("{}, but {}", of(&instance_type), of(other));
        return Err(Error::new(why).hint("name instance types of one architecture: images are for one"));
    }
    let plans = |request: &host_provisioner::HostRequest| -> Result<Vec<HostPlan>, ProvisionError> {
        let each = types.iter().zip(&surveys);
        each.map(|(kind, survey)| HostPlan::new(environment, &of_type(request, kind), survey)).collect()
    };
    let mut hosts = vec![PlannedHost { plans: plans(&request)?, embedded }];
    for host in &names[1..] {
        let first = &hosts[0];
        hosts.push(if first.embedded.is_none() {
            PlannedHost {
                plans: first.plans.iter().map(|plan| plan.of_another(host.clone())).collect(),
                embedded: None,
            }
        } else {
            // Its identity is its own.
            let (request, embedded) = request_of(host.clone())?;
            PlannedHost { plans: plans(&request)?, embedded }
        });
    }
    Ok(PlannedHosts { hosts, instance_type, shared_home, hooks })
}

pub(super) fn credentials(names: &HostNames, lifetime: Duration) -> crate::Result<HostCredentials> {
    Ok(HostCredentials::generate(names, SystemTime::now(), validity(lifetime))?)
}

/// How often its maximum lifetime a host can be kept, at the most: what `user_data/start.sh` of host-provisioner sets.
const KEEP_LIMIT: u32 = 7;

/// `sdocker keep` may extend a host's life up to its limit; the certificate outlives it by a month.
fn validity(lifetime: Duration) -> Duration {
    lifetime.saturating_mul(KEEP_LIMIT) + Duration::from_secs(30 * 24 * 3600)
}

/// Credentials made before the instance has a name or an address: for every name that EC2 gives in this Region, and with an issuer by
/// which the host adds its addresses. They can serve as this one host only, because no other host's clients know this CA.
fn embedded_credentials(environment: &StudioEnvironment, asked: &HostRequest) -> crate::Result<HostCredentials> {
    let domain = match environment.region.as_str() {
        // EC2 user guide, "EC2 instance hostnames and domains".
        "us-east-1" => "ec2.internal".to_owned(),
        region => format!("{region}.compute.internal"),
    };
    let names = HostNames { dns: vec![format!("*.{domain}")], addresses: Vec::new() };
    Ok(HostCredentials::generate_with_issuer(&names, SystemTime::now(), validity(asked.max_lifetime()))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A week is the longest that a host lives by itself, and it can be kept for seven times as long.
    #[test]
    fn a_certificate_outlives_the_longest_that_a_host_can_be_kept() {
        let week = Duration::from_secs(7 * 24 * 3600);
        let now = SystemTime::now();
        let made = HostCredentials::generate(&HostNames::default(), now, validity(week)).expect("made");
        assert!(made.server_certificate().contains("BEGIN CERTIFICATE"));
        assert!(validity(week) > 7 * week, "{:?}", validity(week));
    }
}
