//! Starting a host again that stopped.

use std::time::Duration;

use docker_remote::{ClientCredentials, DockerHost};
use tokio_util::sync::CancellationToken;

use crate::{
    Error, Observer,
    clouds::Clouds,
    error::Context as _,
    lookup::{KnownHost, Lookup},
    progress::Progress,
    readiness::{self, BootingHost},
    session,
};

/// Starts a host again that is stopped, and waits until it answers.
///
/// # Cancel safety
/// It can be dropped at any time, and repeated. The instance may be starting then: it ends itself as before.
///
/// # Errors
/// It can't be started, or does not answer in time; `stop`. It is not terminated for that, and its disk stays.
pub(crate) async fn start(
    host: &KnownHost,
    clouds: &Clouds,
    lookup: &Lookup,
    within: Duration,
    observer: &dyn Observer,
    stop: &CancellationToken,
) -> crate::Result<DockerHost> {
    let record = host.record.as_ref().context(
        "it is not known here how it was made: `sdocker recover --adopt` takes it back into use once it runs",
    )?;
    let progress = Progress::new(observer);
    let provisioner = session::provisioner(clouds, lookup, &progress, stop.clone());
    let started = progress.drive(provisioner.start(&record.host)).await;
    started.map_err(|error| {
        Error::new(format!("{} is stopped, and was not started", host.name))
            .hint(format!("its disk is there still, and is paid for; `sdocker rm {}` deletes it", host.instance))
            .because(error)
    })?;
    let credentials = ClientCredentials::load(&lookup.layout.client_certs(&host.name))?;
    let booting = BootingHost {
        instance: &host.instance,
        folder: &lookup.layout.host(&host.name),
        endpoint: &host.entry().endpoint(),
        credentials: &credentials,
    };
    readiness::wait(&clouds.cloud, &booting, within, observer, stop).await
}
