//! The cloud's traits on aws-sdk-ec2, aws-sdk-efs and aws-sdk-servicequotas: a file per service, out of which no type of its SDK comes.
//!
//! Failed calls are tried again by the SDK itself, as the given settings say: its standard mode tries throttled calls, 5xx and lost
//! answers again, with jitter, and never a refusal. Only `RunInstances` it leaves to the caller, who has to know of a lost answer.

mod ec2;
mod efs;
mod errors;
mod quotas;

use std::sync::Arc;

use aws_config::SdkConfig;

use crate::Cloud;

pub use aws_answers::http_client;

/// AWS with these settings. Where they have no HTTP client, [`http_client`] is used: the SDK panics without one. What loads credentials over
/// HTTP needs one as well, and is made before: give it to the loader of the settings, too.
pub fn cloud(config: &SdkConfig) -> Cloud {
    let config = match config.http_client() {
        Some(_) => config,
        None => &config.clone().into_builder().http_client(http_client()).build(),
    };
    let ec2 = Arc::new(ec2::Ec2::new(config));
    Cloud {
        images: ec2.clone(),
        instance_types: ec2.clone(),
        security_groups: ec2.clone(),
        mount_targets: Arc::new(efs::Efs::new(config)),
        instances: ec2.clone(),
        networks: ec2.clone(),
        quotas: Arc::new(quotas::ServiceQuotas::new(config)),
        spot_prices: ec2.clone(),
        volumes: ec2.clone(),
        dry_runs: ec2.clone(),
        territory: ec2,
    }
}

#[cfg(all(test, feature = "fake"))]
mod tests;
