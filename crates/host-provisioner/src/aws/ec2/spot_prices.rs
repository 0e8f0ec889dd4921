//! Spot prices.

use std::{
    collections::{BTreeMap, HashMap},
    time::SystemTime,
};

use async_trait::async_trait;
use aws_sdk_ec2::{primitives::DateTime, types::InstanceType as Ec2Type};

use super::Ec2;
use crate::{CloudError, InstanceType, SpotPrices, Zone};

/// What EC2 calls a Linux instance in its price history: the first of them today, the second in accounts that once had EC2-Classic (EC2 API
/// reference, `DescribeSpotPriceHistory`, `Filter.N`, "product-description").
const LINUX: [&str; 2] = ["Linux/UNIX", "Linux/UNIX (Amazon VPC)"];

#[async_trait]
impl SpotPrices for Ec2 {
    async fn current(&self, instance_type: &InstanceType) -> Result<BTreeMap<Zone, f64>, CloudError> {
        // From now on, there is nothing but the change before, "which is the effective price as of the start time" (the same page), unless this
        // clock is behind EC2's: then later changes count.
        let mut pages = self
            .client
            .describe_spot_price_history()
            .instance_types(Ec2Type::from(instance_type.as_str()))
            .set_product_descriptions(Some(LINUX.map(str::to_owned).to_vec()))
            .start_time(DateTime::from(SystemTime::now()))
            .into_paginator()
            .items()
            .send();
        let mut newest: HashMap<Zone, (DateTime, f64)> = HashMap::new();
        while let Some(found) = pages.next().await {
            let classify =
                |error| self.classifier.classify("ec2:DescribeSpotPriceHistory", instance_type.as_str(), error);
            let found = found.map_err(classify)?;
            let (Some(zone), Some(since)) = (found.availability_zone(), found.timestamp()) else { continue };
            let usd =
                found.spot_price().and_then(|usd| usd.parse().ok()).filter(|usd: &f64| usd.is_finite() && *usd > 0.0);
            let Some(usd) = usd else { continue };
            let known = newest.entry(zone.into()).or_insert((*since, usd));
            if *since > known.0 {
                *known = (*since, usd);
            }
        }
        Ok(newest.into_iter().map(|(zone, (_, usd))| (zone, usd)).collect())
    }
}
