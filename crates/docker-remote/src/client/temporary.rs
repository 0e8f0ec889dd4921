//! A container that is made for one piece of work.

use std::{pin::pin, time::Duration};

use bollard::{
    errors::Error as DaemonError,
    models::ContainerCreateBody,
    query_parameters::{CreateContainerOptions, RemoveContainerOptions, RemoveContainerOptionsBuilder},
};
use tokio::{
    runtime::Handle,
    time::{Instant, timeout_at},
};

use super::Client;
use crate::Error;

/// How long the removal of a container may take that never ran.
const REMOVED_WITHIN: Duration = Duration::from_secs(10);

/// A container that is to be removed by whoever made it. Where that one was dropped before it could, the container is removed in a task of its
/// own, for as long as the runtime goes on.
pub(super) struct Temporary {
    client: Client,
    id: String,
    was_removed: bool,
}

impl Temporary {
    /// Creates it in a task of its own: an answer that nobody waits for any more still names the container.
    pub(super) async fn create(
        client: &Client,
        options: Option<CreateContainerOptions>,
        container: ContainerCreateBody,
        attempted: &str,
    ) -> Result<Self, Error> {
        let (maker, attempt) = (client.clone(), attempted.to_owned());
        let created = tokio::spawn(async move {
            match maker.short.create_container(options, container).await {
                Ok(created) => Ok(Self { client: maker, id: created.id, was_removed: false }),
                Err(error) => Err(maker.failed(&attempt)(error)),
            }
        });
        created.await.unwrap_or_else(|stopped| Err(client.reported(attempted, stopped.to_string())))
    }

    /// Does work with a container that never runs; `None` where it is not done by then. The container is removed before this returns, whatever
    /// became of the work, as far as the daemon does that within [`REMOVED_WITHIN`]: the process may end as soon as it has its answer.
    pub(super) async fn with<T, Working: Future<Output = Result<T, Error>>>(
        client: &Client,
        container: ContainerCreateBody,
        attempted: &str,
        by: Instant,
        work: impl FnOnce(String) -> Working,
    ) -> Result<Option<T>, Error> {
        let mut creating = pin!(Self::create(client, None, container, attempted));
        let (container, done) = match timeout_at(by, &mut creating).await {
            Ok(created) => {
                let created = created?;
                let done = timeout_at(by, work(created.id.clone())).await.ok();
                (created, done.transpose())
            }
            // The daemon may be making it.
            Err(_) => match timeout_at(by + REMOVED_WITHIN, creating).await {
                Ok(created) => (created?, Ok(None)),
                Err(_) => return Ok(None),
            },
        };
        let removed = timeout_at(Instant::now() + REMOVED_WITHIN, container.remove()).await;
        match done {
            Ok(Some(done)) => {
                let late = |_| Err(client.reported(attempted, "its container is not removed in time"));
                removed.unwrap_or_else(late).map(|()| Some(done))
            }
            done => done,
        }
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Removes it, running or not. One that somebody else removes is no error.
    pub(super) async fn remove(self) -> Result<(), Error> {
        let removed = self.client.short.remove_container(&self.id, Some(removal())).await;
        let failed = self.client.failed(&format!("remove container {}", self.id));
        self.removed();
        match removed {
            Ok(()) | Err(DaemonError::DockerResponseServerError { status_code: 404 | 409, .. }) => Ok(()),
            Err(error) => Err(failed(error)),
        }
    }

    /// Its removal was answered, whatever the answer.
    pub(super) fn removed(mut self) {
        self.was_removed = true;
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if self.was_removed {
            return;
        }
        let Ok(runtime) = Handle::try_current() else { return };
        let (docker, id) = (self.client.short.clone(), std::mem::take(&mut self.id));
        runtime.spawn(async move {
            // Nobody is left to be told.
            let _ = docker.remove_container(&id, Some(removal())).await;
        });
    }
}

fn removal() -> RemoveContainerOptions {
    RemoveContainerOptionsBuilder::new().force(true).v(true).build()
}
