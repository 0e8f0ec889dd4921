//! From arguments, configuration and environment to a request.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use docker_remote::HostCredentials;
use host_provisioner::{HostId, HostRequest, Identity, MarketChoice, ProxySettings, shared_paths};
use jiff::Timestamp;
use studio_discovery::StudioEnvironment;

use super::Args;
use crate::{config::Config, world::World};

/// Said before money is spent, where the app and the host share no storage.
pub(in crate::commands) const WITHOUT_SHARED_STORAGE: &str = "this app has no EFS storage, so the host can't see its files: images, builds, contexts and \
     volumes on the host work; bind mounts of local folders, and with them Local Mode's local data, do not";

const IDLE_TIMEOUT: Duration = Duration::from_secs(60 * 60);
const MAX_LIFETIME: Duration = Duration::from_secs(12 * 60 * 60);

pub(super) fn idle_timeout(args: &Args, config: &Config) -> Option<Duration> {
    args.idle_timeout.or(config.idle_timeout).map_or(Some(IDLE_TIMEOUT), |timeout| timeout.0)
}

pub(super) fn max_lifetime(args: &Args, config: &Config) -> Duration {
    args.max_lifetime.or(config.max_lifetime).unwrap_or(MAX_LIFETIME)
}

pub(super) fn request(
    args: &Args,
    world: &World,
    config: &Config,
    shared_home: Option<PathBuf>,
    embedded: Option<&HostCredentials>,
) -> HostRequest {
    let embedded = embedded.and_then(|credentials| Some((credentials, credentials.issuer()?)));
    HostRequest {
        host: HostId::generate(),
        now: Timestamp::now(),
        instance_type: args.instance_type.clone(),
        subnet: args.subnet_id.clone(),
        engine: args.engine.map(Into::into).or(config.engine).unwrap_or_default(),
        market: match (args.spot, args.spot_or_on_demand) {
            (true, _) => MarketChoice::Spot,
            (false, true) => MarketChoice::SpotOrOnDemand,
            (false, false) => MarketChoice::OnDemand,
        },
        max_lifetime: max_lifetime(args, config),
        idle_timeout: idle_timeout(args, config),
        shared_home,
        identity: match embedded {
            Some((credentials, (issuer, issuer_key))) => Identity::Embedded {
                ca: credentials.ca_certificate().to_owned(),
                certificate: credentials.server_certificate().to_owned(),
                key: credentials.server_key().to_owned(),
                issuer: issuer.to_owned(),
                issuer_key: issuer_key.to_owned(),
            },
            None => Identity::Shared,
        },
        proxy: proxy(world),
        config: config.host.clone(),
    }
}

/// The folder that holds `hosts/` where the host sees it as well: SDOCKER_HOME itself, else a folder on the first storage that the
/// app shares with its host.
pub(in crate::commands) fn shared_home(world: &World, environment: &StudioEnvironment) -> Option<PathBuf> {
    let shared = shared_paths(environment);
    let on = |folder: &Path| shared.iter().any(|root| folder.starts_with(root));
    if on(&world.sdocker_home) {
        return Some(world.sdocker_home.clone());
    }
    let mounted = shared.iter().filter(|root| root.is_dir());
    let preferred = mounted.clone().find(|root| world.home.starts_with(root)).or_else(|| mounted.clone().next());
    preferred.map(|root| root.join(".sdocker"))
}

/// The client's proxies, for the daemon. What is in the VPC is reached directly, the instance's metadata always.
fn proxy(world: &World) -> ProxySettings {
    if world.http_proxy.is_none() && world.https_proxy.is_none() {
        return ProxySettings::default();
    }
    let given = world.no_proxy.iter().flat_map(|list| list.split(',')).map(str::trim).filter(|name| !name.is_empty());
    let mut no_proxy: Vec<String> = given.map(str::to_owned).collect();
    for name in ["localhost", "127.0.0.1", "169.254.169.254", ".internal"] {
        if !no_proxy.iter().any(|known| known == name) {
            no_proxy.push(name.to_owned());
        }
    }
    ProxySettings { http: world.http_proxy.clone(), https: world.https_proxy.clone(), no_proxy }
}
