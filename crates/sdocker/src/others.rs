//! Other hosts that run while one is created: whoever forgot one pays for two.

use host_provisioner::{AskedAbout, CloudName, Presence, Record, RecordState};
use studio_discovery::Region;

use crate::{
    clouds::Clouds,
    durations,
    lookup::{KnownHost, Lookup},
};

/// A line for each host of this home, in this place, that runs or may run. Nobody is asked where no other host is known.
///
/// # Cancel safety
/// It only reads, and can be dropped at any time.
pub(crate) async fn running(lookup: &Lookup, clouds: &Clouds, cloud: CloudName, region: &Region) -> Vec<String> {
    // Records that can't be read are said elsewhere.
    let hosts = lookup.hosts_aside().await.unwrap_or_default();
    let is_here = |record: &Record| record.place.cloud == cloud && record.place.region == *region;
    let is_one = |record: &Record| record.state == RecordState::Ready && is_here(record);
    let here: Vec<_> = hosts.iter().filter(|host| host.record.as_ref().is_some_and(is_one)).collect();
    if here.is_empty() {
        return Vec::new();
    }
    let asked: Vec<_> =
        here.iter().map(|host| AskedAbout { instance: &host.instance, record: host.record.as_ref() }).collect();
    let found = clouds.cloud.presence(&asked).await;
    let line = |(host, presence): (&KnownHost, Presence)| {
        let runs = match presence {
            Presence::Alive(instance) if instance.state.is_stopped() => {
                let id = &host.instance;
                return Some(format!(
                    "{} is stopped, with its disk; `sdocker use {id}` starts it, `sdocker rm {id}` deletes it",
                    host.name
                ));
            }
            Presence::Alive(_) => "runs as well",
            Presence::Ended(_) => return None,
            Presence::Unknown(_) => "may run as well",
        };
        let age = jiff::Timestamp::now().duration_since(host.record.as_ref()?.created);
        let age = durations::show(age.try_into().unwrap_or_default());
        Some(format!("{} {runs}, for {age} now; `sdocker rm {}` ends it", host.name, host.name))
    };
    here.into_iter().zip(found).filter_map(line).collect()
}
