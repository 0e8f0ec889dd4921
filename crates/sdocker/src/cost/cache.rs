//! Prices that were found out, kept for a day.

use std::{collections::BTreeMap, path::PathBuf};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use studio_discovery::Region;
use whole_file::Links;

use super::Product;

/// How long a price is believed. AWS changes few of them in a year.
const KEPT: SignedDuration = SignedDuration::from_hours(24);

/// The largest file that is read.
const MOST: u64 = 1 << 20;

/// The prices of one home.
#[derive(Debug)]
pub(super) struct Cache {
    path: PathBuf,
    prices: BTreeMap<String, Price>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Price {
    usd: f64,
    asked: Timestamp,
}

impl Price {
    fn is_fresh(&self, now: Timestamp) -> bool {
        (SignedDuration::ZERO..KEPT).contains(&now.duration_since(self.asked)) && self.usd.is_finite()
    }
}

impl Cache {
    /// What is kept; nothing, where it can't be read: then it is asked again.
    pub(super) fn read(path: PathBuf) -> Self {
        let text = whole_file::read_text(&path, MOST, Links::Follow).unwrap_or_default();
        Self { path, prices: serde_json::from_str(&text).unwrap_or_default() }
    }

    pub(super) fn get(&self, region: &Region, product: Product<'_>) -> Option<f64> {
        let price = self.prices.get(&key(region, product))?;
        price.is_fresh(Timestamp::now()).then_some(price.usd)
    }

    /// Keeps what was found out just now, and nothing that is older than a day.
    pub(super) fn keep(&self, region: &Region, found: &[(Product<'_>, Option<f64>)]) {
        let now = Timestamp::now();
        let new: Vec<_> = found
            .iter()
            .filter(|(product, _)| self.get(region, *product).is_none())
            .filter_map(|(product, usd)| Some((key(region, *product), Price { usd: (*usd)?, asked: now })))
            .collect();
        if new.is_empty() {
            return;
        }
        // Another process may have kept others since; one that is lost in between is asked for again.
        let mut prices = Self::read(self.path.clone()).prices;
        prices.retain(|_, price| price.is_fresh(now));
        prices.extend(new);
        let written = serde_json::to_vec_pretty(&prices)
            .map_err(Into::into)
            .and_then(|bytes| whole_file::replace(&self.path, &bytes, 0o600));
        if let Err(error) = written {
            tracing::warn!("prices can't be kept in {}: {error}", self.path.display());
        }
    }
}

fn key(region: &Region, product: Product<'_>) -> String {
    format!("{region} {}", product.name())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_price_is_kept_for_a_day() {
        let folder = tempfile::tempdir().expect("made");
        let path = folder.path().join("prices.json");
        let region: Region = "eu-west-1".parse().expect("a Region");
        let read = || Cache::read(path.clone());
        assert_eq!(read().get(&region, Product::Volume), None);
        read().keep(&region, &[(Product::Volume, Some(0.088))]);
        assert_eq!(read().get(&region, Product::Volume), Some(0.088));
        assert_eq!(read().get(&"us-east-1".parse().expect("a Region"), Product::Volume), None);
        let old = Timestamp::now() - SignedDuration::from_hours(25);
        let text = format!(r#"{{"eu-west-1 gp3": {{"usd": 0.088, "asked": "{old}"}}}}"#);
        fs::write(&path, text).expect("written");
        assert_eq!(read().get(&region, Product::Volume), None);
        fs::write(&path, "{torn").expect("written");
        assert_eq!(read().get(&region, Product::Volume), None);
    }
}
