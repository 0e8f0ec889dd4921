//! What hosts cost: by AWS's Price List and EC2's Spot prices, where this role and this network get to them, and never on the way of a creation.

mod answer;
mod cache;

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Display,
    future::Future,
    time::Duration,
};

use futures_util::future::join_all;
use host_provisioner::{InstanceType, Market, Zone};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use studio_discovery::Region;
use tokio::{sync::watch, task::JoinHandle};

pub(crate) use self::answer::Product;
use self::cache::Cache;
use crate::{clouds::Clouds, layout::Layout};

/// How long AWS may take to tell a price.
const ANSWERS_WITHIN: Duration = Duration::from_secs(2);

/// Hours of a month, by which AWS's own calculator turns a month's price into an hour's.
const HOURS_OF_A_MONTH: f64 = 730.0;

/// What a host costs while it runs, in US dollars an hour.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Hourly {
    /// How the instance is paid for.
    pub market: Market,
    /// The instance: on Spot, the price of its zone when it was asked for.
    pub instance: f64,
    /// What the instance can come to: the on-demand price, above which a Spot price does not rise (EC2 user guide, "Spot Instances", "Spot
    /// pricing and savings").
    pub instance_at_most: f64,
    /// Its root volume.
    pub volume: f64,
}

/// What a host has cost, and can cost until it ends itself, in US dollars.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Cost {
    /// An hour of it.
    pub hourly_usd: Hourly,
    /// So far; on Spot, as if the price had not changed.
    pub so_far_usd: f64,
    /// Until it ends itself at the latest, whatever the Spot price becomes.
    pub at_most_usd: f64,
}

impl Hourly {
    /// An hour of both.
    pub fn total(&self) -> f64 {
        self.instance + self.volume
    }

    /// A month of the volume, which is paid for while the instance is stopped as well.
    pub fn volume_a_month(&self) -> f64 {
        self.volume * HOURS_OF_A_MONTH
    }

    /// How long so much lasts, whatever the Spot price becomes.
    pub fn lasts(&self, usd: f64) -> Option<Duration> {
        let hour = self.total_at_most();
        (hour > 0.0).then(|| Duration::try_from_secs_f64(usd / hour * 3600.0).ok()).flatten()
    }

    /// What a host costs that was created and ends then.
    pub fn cost(self, created: Timestamp, expires: Timestamp, now: Timestamp) -> Cost {
        let hours = |until: Timestamp| until.duration_since(created).as_secs_f64().max(0.0) / 3600.0;
        Cost {
            hourly_usd: self,
            so_far_usd: self.total() * hours(now.min(expires)),
            at_most_usd: self.total_at_most() * hours(expires),
        }
    }

    fn total_at_most(&self) -> f64 {
        self.instance_at_most + self.volume
    }
}

/// What hosts of a type cost, as far as it was found out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Prices {
    /// An hour on demand.
    on_demand: Option<f64>,
    /// An hour on Spot, by zone.
    spot: BTreeMap<Zone, f64>,
    /// An hour of the root volume.
    volume: Option<f64>,
}

impl Prices {
    /// What a host costs in this market and zone; `None` where that was not found out. Of a zone that is not known yet it is the dearest.
    pub(crate) fn hourly(&self, market: Market, zone: Option<&Zone>) -> Option<Hourly> {
        let (on_demand, volume) = (self.on_demand?, self.volume?);
        let instance = match (market, zone) {
            (Market::OnDemand, _) => on_demand,
            // The sandbox.
            (Market::Spot, _) if on_demand == 0.0 => on_demand,
            (Market::Spot, Some(zone)) => *self.spot.get(zone)?,
            (Market::Spot, None) => self.spot.values().copied().reduce(f64::max)?,
        };
        Some(Hourly { market, instance, instance_at_most: on_demand.max(instance), volume })
    }
}

/// What hosts of this type with such a volume cost, as far as that is found out soon; Spot only where that is asked for.
///
/// # Cancel safety
/// It only reads, and can be dropped at any time.
pub(crate) async fn prices(
    clouds: &Clouds,
    layout: &Layout,
    region: &Region,
    instance_type: &InstanceType,
    spot: bool,
    volume_gib: u32,
) -> Prices {
    let Some(list) = &clouds.price_list else {
        // The sandbox is this machine.
        return Prices { on_demand: Some(0.0), spot: BTreeMap::new(), volume: Some(0.0) };
    };
    let cache = Cache::read(layout.prices());
    let listed = async |product: Product<'_>| match cache.listed(region, product) {
        Some(usd) => Some(usd),
        None => soon(product.name(), list.price(region, product)).await.flatten(),
    };
    let of_spot = async || match cache.spot(region, instance_type) {
        _ if !spot => BTreeMap::new(),
        Some(zones) => zones,
        None => soon(instance_type.as_str(), clouds.cloud.spot_prices.current(instance_type)).await.unwrap_or_default(),
    };
    let (instance, volume) = (Product::Instance(instance_type), Product::Volume);
    let (on_demand, month, spot) = tokio::join!(listed(instance), listed(volume), of_spot());
    cache.keep(region, &[(instance, on_demand), (volume, month)], (instance_type, &spot));
    Prices { on_demand, spot, volume: month.map(|month| month * f64::from(volume_gib) / HOURS_OF_A_MONTH) }
}

/// An answer that comes soon; without one, the log says why.
async fn soon<T, E: Display>(what: &str, asked: impl Future<Output = Result<T, E>>) -> Option<T> {
    match tokio::time::timeout(ANSWERS_WITHIN, asked).await {
        Ok(Ok(found)) => Some(found),
        Ok(Err(error)) => {
            tracing::info!("no price of {what}: {error:#}");
            None
        }
        Err(_) => {
            tracing::info!("no price of {what}: AWS did not answer within {ANSWERS_WITHIN:?}");
            None
        }
    }
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
    found: watch::Receiver<Option<HashMap<InstanceType, Prices>>>,
}

impl Asked {
    /// Asks from now on what hosts of these types cost, on Spot as well or not.
    pub(crate) fn begin(
        clouds: &Clouds,
        layout: &Layout,
        region: &Region,
        types: Vec<InstanceType>,
        spot: bool,
        volume_gib: u32,
    ) -> Self {
        let (clouds, layout, region) = (clouds.clone(), layout.clone(), region.clone());
        let (find, found) = watch::channel(None);
        let task = tokio::spawn(async move {
            let ask = types.into_iter().map(|instance_type| async {
                let prices = prices(&clouds, &layout, &region, &instance_type, spot, volume_gib).await;
                (instance_type, prices)
            });
            let known = join_all(ask).await.into_iter().collect();
            // Nobody may want to know any more.
            let _ = find.send(Some(known));
        });
        Self { task, found }
    }

    /// What is found out, which is waited for.
    pub(crate) async fn whole(&self, instance_type: &InstanceType) -> Prices {
        let mut found = self.found.clone();
        // An error: what asked is gone.
        let Ok(known) = found.wait_for(Option::is_some).await else { return Prices::default() };
        known.as_ref().and_then(|known| known.get(instance_type)).cloned().unwrap_or_default()
    }

    /// What was found out by now.
    pub(crate) fn so_far(&self, instance_type: &InstanceType) -> Prices {
        let found = self.found.borrow();
        found.as_ref().and_then(|known| known.get(instance_type)).cloned().unwrap_or_default()
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

    fn on_demand(instance: f64, volume: f64) -> Hourly {
        Hourly { market: Market::OnDemand, instance, instance_at_most: instance, volume }
    }

    #[test]
    fn costs_are_by_the_hour() {
        let hourly = on_demand(0.20, 0.05);
        let created: Timestamp = "2026-01-01T00:00:00Z".parse().expect("a time");
        let hours = |hours: i64| created + jiff::SignedDuration::from_hours(hours);
        let cost = hourly.cost(created, hours(12), hours(2));
        assert!((cost.so_far_usd - 0.5).abs() < 1e-9 && (cost.at_most_usd - 3.0).abs() < 1e-9, "{cost:?}");
        // After its end it costs no more.
        assert_eq!(hourly.cost(created, hours(12), hours(99)).so_far_usd, cost.at_most_usd);
        assert_eq!(hourly.lasts(5.0), Some(Duration::from_secs(20 * 3600)));
        assert_eq!(on_demand(0.0, 0.0).lasts(5.0), None);

        // A Spot price may rise up to the price on demand: what a host costs at the most, and how long an amount lasts, count on that.
        let spot = Hourly { market: Market::Spot, instance: 0.07, ..hourly };
        let cost = spot.cost(created, hours(12), hours(2));
        assert!((cost.so_far_usd - 0.24).abs() < 1e-9 && (cost.at_most_usd - 3.0).abs() < 1e-9, "{cost:?}");
        assert_eq!(spot.lasts(5.0), Some(Duration::from_secs(20 * 3600)));
    }

    #[test]
    fn a_spot_price_is_that_of_the_zone() {
        let spot = BTreeMap::from([("eu-west-1a".into(), 0.070), ("eu-west-1b".into(), 0.074)]);
        let known = Prices { on_demand: Some(0.192), spot, volume: Some(0.048) };
        let instance = |prices: &Prices, market, zone: Option<&str>| {
            prices
                .hourly(market, zone.map(Zone::from).as_ref())
                .map(|hourly| (hourly.instance, hourly.instance_at_most))
        };
        assert_eq!(instance(&known, Market::Spot, Some("eu-west-1a")), Some((0.070, 0.192)));
        assert_eq!(instance(&known, Market::Spot, None), Some((0.074, 0.192)));
        assert_eq!(instance(&known, Market::Spot, Some("eu-west-1c")), None);
        assert_eq!(instance(&known, Market::OnDemand, Some("eu-west-1c")), Some((0.192, 0.192)));
        // A price that is not known is none, whatever else is known.
        let unknown = Prices { spot: BTreeMap::new(), ..known.clone() };
        assert_eq!(instance(&unknown, Market::Spot, None), None);
        assert_eq!(instance(&Prices { on_demand: None, ..known }, Market::Spot, None), None);
        // The sandbox.
        let nothing = Prices { on_demand: Some(0.0), spot: BTreeMap::new(), volume: Some(0.0) };
        assert_eq!(instance(&nothing, Market::Spot, Some("eu-west-1a")), Some((0.0, 0.0)));
    }
}
