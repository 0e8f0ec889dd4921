//! Folders that a container asks for and that nothing shares yet: each by an agent of its own, for as long as the host lasts.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    time::Duration,
};

use docker_remote::{Client, with_causes};
use host_files::{Event, Share, Sharing};
use tokio::{
    sync::{Mutex, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::{Surroundings, link, link::Means};

/// How long a folder may take to be on the host.
const SHARED_WITHIN: Duration = Duration::from_secs(40);

/// How long a host keeps the folders without a connection.
const GIVE_UP_AFTER: Duration = Duration::from_secs(10 * 60);

/// How a folder is: on its way, there, or why not.
type How = Option<Result<(), String>>;

/// The folders, by host and path.
pub(super) struct Shares {
    means: Means,
    stop: CancellationToken,
    serving: Mutex<JoinSet<()>>,
    folders: Mutex<HashMap<(String, PathBuf), watch::Receiver<How>>>,
}

impl Shares {
    pub(super) fn new(means: Means, stop: CancellationToken) -> Self {
        Self { means, stop, serving: Mutex::default(), folders: Mutex::default() }
    }

    /// Has a folder on a host.
    pub(super) async fn have(
        &self,
        client: impl Future<Output = crate::Result<Client>>,
        host: &str,
        path: &Path,
        surroundings: &Surroundings,
    ) -> Result<(), String> {
        let mut how = {
            let mut folders = self.folders.lock().await;
            let is_served =
                |how: &watch::Receiver<How>| how.has_changed().is_ok() && !matches!(*how.borrow(), Some(Err(_)));
            let outer =
                folders.iter().find(|((on, outer), how)| on == host && path.starts_with(outer) && is_served(how));
            match outer {
                Some((_, how)) => how.clone(),
                None => {
                    let share =
                        link::share(&path.to_string_lossy(), surroundings).map_err(|error| format!("{error:#}"))?;
                    let client = client.await.map_err(|error| format!("{error:#}"))?;
                    let how = self.serve(client, share, surroundings).await;
                    folders.insert((host.to_owned(), path.to_owned()), how.clone());
                    how
                }
            }
        };
        let settled = tokio::time::timeout(SHARED_WITHIN, how.wait_for(Option::is_some)).await;
        match settled {
            Ok(Ok(how)) => how.clone().unwrap_or(Ok(())),
            Ok(Err(_)) => Err("it is not shared any more".to_owned()),
            Err(_) => Err(format!("it is not on the host after {} s", SHARED_WITHIN.as_secs())),
        }
    }

    async fn serve(&self, client: Client, share: Share, surroundings: &Surroundings) -> watch::Receiver<How> {
        let (told, how) = watch::channel(None);
        let sharing = Sharing {
            client,
            program: self.means.program.clone(),
            command: self.means.files_command.clone(),
            // A path on a host belongs to one owner, and an owner has one agent.
            owner: format!("{}, for a container: {}", link::owner(surroundings), share.path.display()),
            shares: vec![share],
            give_up_after: GIVE_UP_AFTER,
            max_open: self.means.max_open,
        };
        let stop = self.stop.clone();
        self.serving.lock().await.spawn(async move {
            let events = |event| {
                if matches!(event, Event::Ready) {
                    told.send_replace(Some(Ok(())));
                }
            };
            let outcome = sharing.serve(stop.cancelled_owned(), events).await;
            if let Err(error) = outcome {
                tracing::warn!("{}", with_causes(&error));
                told.send_replace(Some(Err(with_causes(&error))));
            }
        });
        how
    }

    /// Waits until nothing is on a host any more.
    pub(super) async fn end(&self) {
        let mut serving = self.serving.lock().await;
        while serving.join_next().await.is_some() {}
    }
}
