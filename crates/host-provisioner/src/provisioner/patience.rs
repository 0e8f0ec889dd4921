//! How long to wait for what one call can't settle.

use std::{future::Future, time::Duration};

use backon::{ExponentialBuilder, Retryable};
use jiff::Timestamp;

use crate::CloudError;

/// How long after a create EC2 may still answer "not found" (EC2 API reference, "Eventual consistency": usually seconds).
pub(super) const APPEARS_WITHIN: Duration = Duration::from_secs(60);

/// How long to wait for what is terminating to let go of its security groups; the network interface goes with the instance.
pub(super) const RELEASES_WITHIN: Duration = Duration::from_secs(300);

/// How long to keep trying to clean up while the cloud throttles, fails or does not answer.
const CLEANS_UP_WITHIN: Duration = Duration::from_secs(60);

pub(super) fn pauses(total: Duration) -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(200))
        .with_max_delay(Duration::from_secs(3))
        .with_factor(1.6)
        .with_jitter()
        .with_total_delay(Some(total))
        .without_max_times()
}

/// Repeats a call while it says "not found" of something that was made a moment ago.
pub(super) async fn once_it_appears<T, F, R>(call: F) -> Result<T, CloudError>
where
    F: FnMut() -> R,
    R: Future<Output = Result<T, CloudError>>,
{
    call.retry(pauses(APPEARS_WITHIN)).when(CloudError::is_not_found).await
}

/// Repeats an idempotent call that cleans up while another try may fare better.
pub(super) async fn persistently<T, F, R>(call: F) -> Result<T, CloudError>
where
    F: FnMut() -> R,
    R: Future<Output = Result<T, CloudError>>,
{
    call.retry(pauses(CLEANS_UP_WITHIN)).when(CloudError::is_transient).await
}

/// How much of [`APPEARS_WITHIN`] is left for something that was asked for at that time.
pub(super) fn may_still_appear_for(asked: Timestamp) -> Duration {
    let age = Timestamp::now().duration_since(asked);
    // A clock that went backwards makes the age negative: then wait the whole bound.
    APPEARS_WITHIN.saturating_sub(Duration::try_from(age).unwrap_or_default())
}
