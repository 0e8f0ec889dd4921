//! What Spot instances cost.

use std::collections::BTreeMap;

use async_trait::async_trait;

use crate::{CloudError, InstanceType, Zone};

/// Reads of EC2's Spot prices, which differ from zone to zone and change over time.
///
/// # Cancel safety
/// Every method of it only reads, and can be dropped at any time.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait SpotPrices: Send + Sync {
    /// What an hour of a Linux instance of this type costs at the moment, in US dollars, in each zone that has a price
    /// (`ec2:DescribeSpotPriceHistory`). A type that EC2 does not sell as Spot has none.
    async fn current(&self, instance_type: &InstanceType) -> Result<BTreeMap<Zone, f64>, CloudError>;
}
