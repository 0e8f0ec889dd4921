//! What provisioning asks of a cloud: one trait per capability, in domain types.
//!
//! Every implementation (`aws`, `fake`, `sandbox`) passes the same conformance suite. Reads may be repeated freely;
//! what a repeated write does is said at the method.

mod around;
mod dry_runs;
mod error;
mod images;
mod instance_types;
mod instances;
mod mount_targets;
mod networks;
mod quotas;
mod security_groups;
mod spot_prices;
mod territory;
mod together;
mod volumes;

use std::sync::Arc;

pub(crate) use around::Around;
pub use dry_runs::{DryRun, DryRuns};
#[cfg(any(feature = "aws", feature = "fake"))]
pub(crate) use error::kind;
pub use error::{CloudError, CloudErrorKind};
pub use images::{Architecture, Image, ImageFilter, Images};
pub use instance_types::{InstanceTypeInfo, InstanceTypes};
pub(crate) use instances::why_ended;
pub use instances::{Instance, InstanceFilter, InstanceState, Instances, LaunchSpec, Market, RootVolume, Tagged};
pub use mount_targets::{MountTarget, MountTargets, USUAL_SECURITY_GROUPS};
pub use networks::{Networks, VpcDns};
pub use quotas::{GROUPS_PER_INTERFACE, QuotaClass, Quotas};
pub use security_groups::{Peer, Protocol, Rule, SecurityGroup, SecurityGroups};
pub use spot_prices::SpotPrices;
pub use territory::{Seen, Territory};
pub use volumes::{VolumeKey, Volumes};
#[cfg(any(test, feature = "mock"))]
pub use {
    dry_runs::MockDryRuns, images::MockImages, instance_types::MockInstanceTypes, instances::MockInstances,
    mount_targets::MockMountTargets, networks::MockNetworks, quotas::MockQuotas, security_groups::MockSecurityGroups,
    spot_prices::MockSpotPrices, territory::MockTerritory, volumes::MockVolumes,
};

/// A cloud: one object per capability. Cloning shares them.
#[derive(Clone)]
pub struct Cloud {
    /// Machine images.
    pub images: Arc<dyn Images>,
    /// Instance types.
    pub instance_types: Arc<dyn InstanceTypes>,
    /// Security groups.
    pub security_groups: Arc<dyn SecurityGroups>,
    /// EFS mount targets.
    pub mount_targets: Arc<dyn MountTargets>,
    /// Instances.
    pub instances: Arc<dyn Instances>,
    /// VPCs.
    pub networks: Arc<dyn Networks>,
    /// Service quotas.
    pub quotas: Arc<dyn Quotas>,
    /// Prices of Spot instances.
    pub spot_prices: Arc<dyn SpotPrices>,
    /// Settings for volumes.
    pub volumes: Arc<dyn Volumes>,
    /// Permissions, asked for without making the call.
    pub dry_runs: Arc<dyn DryRuns>,
    /// Where it is.
    pub territory: Arc<dyn Territory>,
}

impl Cloud {
    /// A cloud of which one object has every capability.
    pub fn of<T>(all: Arc<T>) -> Self
    where
        T: Images
            + InstanceTypes
            + SecurityGroups
            + MountTargets
            + Instances
            + Networks
            + Quotas
            + SpotPrices
            + Volumes
            + DryRuns
            + Territory
            + 'static,
    {
        Self {
            images: all.clone(),
            instance_types: all.clone(),
            security_groups: all.clone(),
            mount_targets: all.clone(),
            instances: all.clone(),
            networks: all.clone(),
            quotas: all.clone(),
            spot_prices: all.clone(),
            volumes: all.clone(),
            dry_runs: all.clone(),
            territory: all,
        }
    }
}
