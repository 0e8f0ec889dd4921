//! Prices that were found out, kept for a while.

use std::{collections::BTreeMap, path::PathBuf};

use host_provisioner::{InstanceType, Zone};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use studio_discovery::Region;
use whole_file::Links;

use super::Product;

/// How long a price of the list is believed. AWS changes few of them in a year.
const LISTED: SignedDuration = SignedDuration::from_hours(24);

/// How long a Spot price is believed. It follows supply and demand over days rather than minutes (EC2 user guide, "Spot Instances", "Spot pricing
/// and savings"), but a day is too long: hosts are created one after the other within an hour, and not within a day.
const SPOT: SignedDuration = SignedDuration::from_hours(1);

/// The largest file that is read.
const MOST: u64 = 1 << 20;

/// The prices of one home.
#[derive(Debug)]
pub(super) struct Cache {
    path: PathBuf,
    kept: Kept,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Kept {
    /// Of the Price List, by Region and product.
    listed: BTreeMap<String, Answer<f64>>,
    /// On Spot, by Region and instance type.
    spot: BTreeMap<String, Answer<BTreeMap<Zone, f64>>>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Answer<T> {
    usd: T,
    asked: Timestamp,
}

impl<T> Answer<T> {
    fn is_fresh(&self, kept: SignedDuration, now: Timestamp) -> bool {
        (SignedDuration::ZERO..kept).contains(&now.duration_since(self.asked))
    }
}

impl Cache {
    /// What is kept; nothing, where it can't be read: then it is asked again.
    pub(super) fn read(path: PathBuf) -> Self {
        let text = whole_file::read_text(&path, MOST, Links::Follow).unwrap_or_default();
        Self { path, kept: serde_json::from_str(&text).unwrap_or_default() }
    }

    /// A price of the list.
    pub(super) fn listed(&self, region: &Region, product: Product<'_>) -> Option<f64> {
        let answer = self.kept.listed.get(&key(region, product.name()))?;
        answer.is_fresh(LISTED, Timestamp::now()).then_some(answer.usd)
    }

    /// Spot prices by zone.
    pub(super) fn spot(&self, region: &Region, instance_type: &InstanceType) -> Option<BTreeMap<Zone, f64>> {
        let answer = self.kept.spot.get(&key(region, instance_type.as_str()))?;
        answer.is_fresh(SPOT, Timestamp::now()).then(|| answer.usd.clone())
    }

    /// Keeps what was found out just now, and nothing that is believed no longer.
    pub(super) fn keep(
        &self,
        region: &Region,
        listed: &[(Product<'_>, Option<f64>)],
        (instance_type, spot): (&InstanceType, &BTreeMap<Zone, f64>),
    ) {
        let now = Timestamp::now();
        let mut new = Kept::default();
        for (product, usd) in listed {
            if let (None, Some(usd)) = (self.listed(region, *product), *usd) {
                new.listed.insert(key(region, product.name()), Answer { usd, asked: now });
            }
        }
        if !spot.is_empty() && self.spot(region, instance_type).is_none() {
            new.spot.insert(key(region, instance_type.as_str()), Answer { usd: spot.clone(), asked: now });
        }
        if new.listed.is_empty() && new.spot.is_empty() {
            return;
        }
        // Another process may have kept others since; one that is lost in between is asked for again.
        let mut kept = Self::read(self.path.clone()).kept;
        kept.listed.retain(|_, answer| answer.is_fresh(LISTED, now));
        kept.spot.retain(|_, answer| answer.is_fresh(SPOT, now));
        kept.listed.extend(new.listed);
        kept.spot.extend(new.spot);
        let written = serde_json::to_vec_pretty(&kept)
            .map_err(Into::into)
            .and_then(|bytes| whole_file::replace(&self.path, &bytes, 0o600));
        if let Err(error) = written {
            tracing::warn!("prices can't be kept in {}: {error}", self.path.display());
        }
    }
}

fn key(region: &Region, name: &str) -> String {
    format!("{region} {name}")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_price_is_kept_for_a_day_and_one_of_spot_for_an_hour() {
        let folder = tempfile::tempdir().expect("made");
        let path = folder.path().join("prices.json");
        let region: Region = "eu-west-1".parse().expect("a Region");
        let instance_type = InstanceType::new("c5.xlarge");
        let spot = BTreeMap::from([("eu-west-1a".into(), 0.07)]);
        let read = || Cache::read(path.clone());
        let found = || (read().listed(&region, Product::Volume), read().spot(&region, &instance_type));
        assert_eq!(found(), (None, None));
        read().keep(&region, &[(Product::Volume, Some(0.088))], (&instance_type, &spot));
        assert_eq!(found(), (Some(0.088), Some(spot.clone())));
        assert_eq!(read().listed(&"us-east-1".parse().expect("a Region"), Product::Volume), None);
        // What is found out later is added.
        read().keep(&region, &[(Product::Instance(&instance_type), Some(0.192))], (&instance_type, &BTreeMap::new()));
        assert_eq!(found(), (Some(0.088), Some(spot)));

        let write = |hours: i64| {
            let asked = Timestamp::now() - SignedDuration::from_hours(hours);
            let text = format!(
                r#"{{"listed": {{"eu-west-1 gp3": {{"usd": 0.088, "asked": "{asked}"}}}},
                    "spot": {{"eu-west-1 c5.xlarge": {{"usd": {{"eu-west-1a": 0.07}}, "asked": "{asked}"}}}}}}"#
            );
            fs::write(&path, text).expect("written");
        };
        write(0);
        assert!(found().1.is_some());
        write(2);
        assert_eq!(found(), (Some(0.088), None));
        write(25);
        assert_eq!(found(), (None, None));
        fs::write(&path, "{torn").expect("written");
        assert_eq!(found(), (None, None));
    }
}
