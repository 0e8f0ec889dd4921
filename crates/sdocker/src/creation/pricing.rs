//! What a creation has to do with prices: a limit that is one of time, and what is remembered of a new host.

use std::time::Duration;

use host_provisioner::Market;
use jiff::Timestamp;

use super::{NewHost, Prepared};
use crate::{
    Error, HostRequest,
    cost::{Asked, dollars},
    durations,
    history::{Created, History},
    lookup::Lookup,
};

/// For how long hosts may live that are to cost no more than this together, whichever of the types they have.
///
/// # Errors
/// A price that is not known; an amount that pays for less than the shortest life.
pub(super) async fn affordable(asked: &HostRequest, most: f64, count: usize, price: &Asked) -> crate::Result<Duration> {
    let mut longest = asked.max_lifetime();
    #[expect(clippy::cast_precision_loss, reason = "there are few hosts")]
    let each = most / count.max(1) as f64;
    for instance_type in asked.instance_types() {
        // Whatever the market: a Spot price may rise up to this one.
        let hourly = price.whole(&instance_type).await.hourly(Market::OnDemand, None).ok_or_else(|| {
            Error::new(format!("what a {instance_type} costs is not known, so it can't be kept below ${most}"))
                .hint("`--max-lifetime` limits it by time; the role needs `pricing:GetProducts`: see `sdocker policy`")
        })?;
        let Some(lasts) = hourly.lasts(each) else { continue };
        if lasts < durations::LEAST {
            let hour = dollars(hourly.total());
            let what = if count > 1 { format!("{count} of {instance_type}") } else { format!("a {instance_type}") };
            let why = format!("${most} does not pay for a minute of {what}: an hour of one is {hour} on demand");
            return Err(Error::new(why));
        }
        longest = longest.min(lasts);
    }
    Ok(longest)
}

/// Says of a new host what it costs, where that is known by now, and remembers what its creation was like.
pub(super) fn remember(host: &mut NewHost, prepared: &Prepared, lookup: &Lookup) {
    let launches = host.record.launches().map(|(_, launch)| launch);
    let id = host.record.instance.as_ref().map(|instance| &instance.id);
    let launched = launches.filter(|launch| launch.id.as_ref() == id).last();
    host.hourly = launched.and_then(|launch| {
        let zone = prepared.planned.zone_of(&launch.subnet);
        prepared.price.so_far(&host.record.instance_type).hourly(launch.market, zone)
    });
    let took = Timestamp::now().duration_since(host.record.created);
    let created = Created {
        host: host.record.name().unwrap_or_default(),
        instance_type: host.record.instance_type.clone(),
        ready_after_seconds: host.answered.as_ref().and_then(|_| took.as_secs().try_into().ok()),
        hourly: host.hourly,
    };
    History::add(&lookup.layout, created);
}
