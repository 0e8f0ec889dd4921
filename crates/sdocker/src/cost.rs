//! What hosts cost: by AWS's Price List, where this role and this network get to it, and never on the way of a creation.

mod answer;
mod cache;

use std::{collections::HashMap, time::Duration};

use futures_util::future::join_all;
use host_provisioner::InstanceType;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use studio_discovery::Region;
use tokio::{sync::watch, task::JoinHandle};

pub(crate) use self::answer::Product;
use self::cache::Cache;
use crate::{clouds::Clouds, layout::Layout};

/// How long the Price List may take to answer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(2);

/// Hours of a month, by which AWS's own calculator turns a month's price into an hour's.
const HOURS_OF_A_MONTH: f64 = 730.0;

/// What a host costs while it runs, in US dollars an hour, on demand. On Spot the instance costs less, and never more than that (EC2 user guide,
/// "Spot Instances", "Spot pricing and savings").
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Hourly {
    /// The instance.
    pub instance: f64,
    /// Its root volume.
    pub volume: f64,
}

/// What a host has cost, and can cost until it ends itself, in US dollars.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Cost {
    /// An hour of it.
    pub hourly_usd: Hourly,
    /// So far.
    pub so_far_usd: f64,
    /// Until it ends itself at the latest.
    pub at_most_usd: f64,
}

impl Hourly {
    /// An hour of both.
    pub fn total(&self) -> f64 {
        self.instance + self.volume
    }

    /// What so long costs.
    pub fn of(&self, duration: Duration) -> f64 {
        self.total() * duration.as_secs_f64() / 3600.0
    }

    /// How long so much lasts.
    pub fn lasts(&self, usd: f64) -> Option<Duration> {
        (self.total() > 0.0).then(|| Duration::try_from_secs_f64(usd / self.total() * 3600.0).ok()).flatten()
    }

    /// What a host costs that was created and ends then.
    pub fn cost(self, created: Timestamp, expires: Timestamp, now: Timestamp) -> Cost {
        let until = |time: Timestamp| self.of(time.duration_since(created).try_into().unwrap_or_default());
        Cost { hourly_usd: self, so_far_usd: until(now.min(expires)), at_most_usd: until(expires) }
    }
}

/// What a host of this type with such a volume costs; `None` where that is not found out soon.
///
/// # Cancel safety
/// It only reads, and can be dropped at any time.
pub(crate) async fn hourly(
    clouds: &Clouds,
    layout: &Layout,
    region: &Region,
    instance_type: &InstanceType,
    volume_gib: u32,
) -> Option<Hourly> {
    let Some(list) = &clouds.price_list else {
        // The sandbox is this machine.
        return Some(Hourly { instance: 0.0, volume: 0.0 });
    };
    let cache = Cache::read(layout.prices());
    let price = async |product: Product<'_>| match cache.get(region, product) {
        Some(usd) => Some(usd),
        None => match list.price(region, product).await {
            Ok(usd) => usd,
            Err(error) => {
                tracing::info!("no price of {} in {region}: {error:#}", product.name());
                None
            }
        },
    };
    let (instance, volume) = (Product::Instance(instance_type), Product::Volume);
    let asked = async { tokio::join!(price(instance), price(volume)) };
    let found = tokio::time::timeout(ANSWERS_WITHIN, asked).await;
    let (hour, month) = found.inspect_err(|_| tracing::info!("AWS's Price List did not answer in time")).ok()?;
    cache.keep(region, &[(instance, hour), (volume, month)]);
    Some(Hourly { instance: hour?, volume: month? * f64::from(volume_gib) / HOURS_OF_A_MONTH })
}

/// An amount of US dollars, as people read it.
pub fn dollars(usd: f64) -> String {
    // A price of a fraction of a cent is one.
    if (0.0005..0.095).contains(&usd) { format!("${usd:.3}") } else { format!("${usd:.2}") }
}

/// Prices that are asked for while other work goes on, which does not wait for them.
#[derive(Debug)]
pub(crate) struct Asked {
    task: JoinHandle<()>,
    found: watch::Receiver<Option<HashMap<InstanceType, Hourly>>>,
}

impl Asked {
    /// Asks from now on what hosts of these types cost.
    pub(crate) fn begin(
        clouds: &Clouds,
        layout: &Layout,
        region: &Region,
        types: Vec<InstanceType>,
        volume_gib: u32,
    ) -> Self {
        let (clouds, layout, region) = (clouds.clone(), layout.clone(), region.clone());
        let (find, found) = watch::channel(None);
        let task = tokio::spawn(async move {
            let ask = types.into_iter().map(|instance_type| async {
                let hourly = hourly(&clouds, &layout, &region, &instance_type, volume_gib).await;
                hourly.map(|hourly| (instance_type, hourly))
            });
            let known = join_all(ask).await.into_iter().flatten().collect();
            // Nobody may want to know any more.
            let _ = find.send(Some(known));
        });
        Self { task, found }
    }

    /// What is found out, which is waited for.
    pub(crate) async fn whole(&self, instance_type: &InstanceType) -> Option<Hourly> {
        let mut found = self.found.clone();
        // An error: what asked is gone.
        let known = found.wait_for(Option::is_some).await.ok()?;
        known.as_ref()?.get(instance_type).copied()
    }

    /// What was found out by now.
    pub(crate) fn so_far(&self, instance_type: &InstanceType) -> Option<Hourly> {
        self.found.borrow().as_ref()?.get(instance_type).copied()
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_are_by_the_hour() {
        let hourly = Hourly { instance: 0.20, volume: 0.05 };
        let created: Timestamp = "2026-01-01T00:00:00Z".parse().expect("a time");
        let hours = |hours: i64| created + jiff::SignedDuration::from_hours(hours);
        let cost = hourly.cost(created, hours(12), hours(2));
        assert!((cost.so_far_usd - 0.5).abs() < 1e-9 && (cost.at_most_usd - 3.0).abs() < 1e-9, "{cost:?}");
        // After its end it costs no more.
        assert_eq!(hourly.cost(created, hours(12), hours(99)).so_far_usd, cost.at_most_usd);
        assert_eq!(hourly.lasts(5.0), Some(Duration::from_secs(20 * 3600)));
        assert_eq!(Hourly { instance: 0.0, volume: 0.0 }.lasts(5.0), None);
    }
}
