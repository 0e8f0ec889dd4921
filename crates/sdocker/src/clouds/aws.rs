//! Settings that every AWS client shares.

use std::time::Duration;

use aws_config::{BehaviorVersion, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use host_provisioner::Patience;
use studio_discovery::{Region, RegionSources};

use super::connections;
use crate::{Aws, Error, Surroundings};

/// How long a connection may take to be made: endpoints are in the same Region, or behind a proxy.
const CONNECTS_WITHIN: Duration = Duration::from_secs(5);

/// How long one try may take. `RunInstances` answers within seconds; a try that takes longer was lost on the way.
const TRY_WITHIN: Duration = Duration::from_secs(20);

/// How often a call is tried: as often as fits into the time that it has, but for the longest pauses.
const TRIES: u32 = 4;

/// One TLS stack and one connection pool, the SDK's standard retries with jitter (throttling, 5xx, lost answers; never a refusal), and time
/// limits in place of the SDK's, which waits for ever.
pub(crate) async fn config(surroundings: &Surroundings, region: Option<&Region>) -> crate::Result<SdkConfig> {
    let sources = RegionSources {
        asked: surroundings.region.clone(),
        app: None,
        aws_region: surroundings.aws_region.clone(),
        region_name: surroundings.region_name.clone(),
    };
    let region = match region {
        Some(region) => Some(region.clone()),
        None => sources.choose()?.map(|choice| choice.region),
    };
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECTS_WITHIN)
        .operation_attempt_timeout(TRY_WITHIN)
        // A moment before the provisioner's own patience is at its end: this error names the endpoint.
        .operation_timeout(Patience::default().call - Duration::from_secs(1))
        .build();
    let retries = RetryConfig::standard().with_max_attempts(TRIES);
    let region = region.map(|region| aws_config::Region::new(region.to_string()));
    let config = match &surroundings.aws {
        Aws::Nothing => {
            return Err(Error::new("AWS access is turned off").hint("Aws::SdkChain takes what AWS's SDKs find"));
        }
        Aws::SdkChain => {
            let mut loader = aws_config::defaults(BehaviorVersion::latest())
                .http_client(connections::client(surroundings)?)
                .retry_config(retries)
                .timeout_config(timeouts);
            if let Some(region) = region {
                loader = loader.region(region);
            }
            loader.load().await
        }
        Aws::Config(given) => {
            let mut config = given.to_builder();
            if given.http_client().is_none() {
                config.set_http_client(Some(connections::client(surroundings)?));
            }
            if given.retry_config().is_none() {
                config.set_retry_config(Some(retries));
            }
            if given.timeout_config().is_none_or(|limits| !limits.has_timeouts()) {
                config.set_timeout_config(Some(timeouts));
            }
            if region.is_some() {
                config.set_region(region);
            }
            config.build()
        }
    };
    if config.region().is_none() {
        let error = Error::new("no AWS Region is set").hint("name one with --region, or set AWS_REGION");
        return Err(error);
    }
    Ok(config)
}
