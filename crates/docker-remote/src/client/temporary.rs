//! A container that is made for one piece of work.

use bollard::{
    errors::Error as DaemonError,
    models::ContainerCreateBody,
    query_parameters::{CreateContainerOptions, RemoveContainerOptions, RemoveContainerOptionsBuilder},
};
use tokio::runtime::Handle;

use super::Client;
use crate::Error;

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
