//! Folders that a container asks for and that nothing shares yet: each by an agent of its own, for as long as the host lasts.
//!
//! They are remembered beside the socket, so that a process that takes the place of one that was killed serves them again: containers wait for
//! that, and their open files go on.

use std::{
    collections::{BTreeSet, HashMap},
    path::{Path, PathBuf},
    time::Duration,
};

use docker_remote::{Client, with_causes};
use host_files::{Event, Share, Sharing};
use host_provisioner::FILES_PORT;
use serde::{Deserialize, Serialize};
use tokio::{
    sync::{Mutex, watch},
    task::{AbortHandle, JoinSet},
};
use tokio_util::sync::CancellationToken;

use whole_file::Links;

use crate::{Surroundings, link, link::Means, socket};

/// The largest list that is read.
const MOST: u64 = 1 << 20;

/// How long a folder may take to be on the host.
const SHARED_WITHIN: Duration = Duration::from_secs(40);

/// How long a host keeps the folders without a connection.
const GIVE_UP_AFTER: Duration = Duration::from_secs(10 * 60);

/// How a folder is: on its way, there, or why not.
type How = Option<Result<(), String>>;

/// What a host has, for whoever serves it next.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Remembered {
    host: String,
    folders: BTreeSet<PathBuf>,
}

impl Remembered {
    fn file(surroundings: &Surroundings) -> PathBuf {
        socket::folder(surroundings).join("shared.json")
    }

    /// Those of this host. Without a list there are none: nothing that it says is needed for anything new.
    fn of(host: &str, surroundings: &Surroundings) -> Self {
        let text = whole_file::read(&Self::file(surroundings), MOST, Links::Refuse).unwrap_or_default();
        let all: Self = serde_json::from_slice(&text).unwrap_or_default();
        if all.host == host { all } else { Self { host: host.to_owned(), folders: BTreeSet::new() } }
    }

    fn add(host: &str, path: &Path, surroundings: &Surroundings) {
        let mut all = Self::of(host, surroundings);
        if all.folders.insert(path.to_owned())
            && let Ok(text) = serde_json::to_vec(&all)
            && let Err(error) = whole_file::replace(&Self::file(surroundings), &text, 0o600)
        {
            tracing::warn!("{} is not served again if this process is killed: {error}", path.display());
        }
    }
}

/// Forgets what a host had: the socket is taken away.
pub(super) fn forget(surroundings: &Surroundings) {
    let _ = std::fs::remove_file(Remembered::file(surroundings));
}

/// A folder that is served.
struct Served {
    how: watch::Receiver<How>,
    task: AbortHandle,
}

impl Served {
    fn is_served(&self) -> bool {
        self.how.has_changed().is_ok() && !matches!(*self.how.borrow(), Some(Err(_)))
    }
}

/// The folders, by host and path.
pub(super) struct Shares {
    means: Means,
    stop: CancellationToken,
    serving: Mutex<JoinSet<()>>,
    folders: Mutex<HashMap<(String, PathBuf), Served>>,
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
            let outer = folders
                .iter()
                .find(|((on, outer), served)| on == host && path.starts_with(outer) && served.is_served());
            match outer {
                Some((_, served)) => served.how.clone(),
                None => {
                    let inner = folders
                        .iter()
                        .find(|((on, inner), served)| on == host && inner.starts_with(path) && served.is_served());
                    if let Some(((_, inner), _)) = inner {
                        let (inner, path) = (inner.display(), path.display());
                        return Err(format!(
                            "{inner}, which is in it, is on this host by itself; `sdocker up --share {path}` has all of it on the next"
                        ));
                    }
                    let share =
                        link::share(&path.to_string_lossy(), surroundings).map_err(|error| format!("{error:#}"))?;
                    let client = client.await.map_err(|error| format!("{error:#}"))?;
                    let served = self.serve(client, share, surroundings).await;
                    let how = served.how.clone();
                    folders.insert((host.to_owned(), path.to_owned()), served);
                    Remembered::add(host, path, surroundings);
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

    /// Serves again what a process that was killed served to this host. Nothing is waited for.
    pub(super) async fn resume(&self, client: Client, host: &str, surroundings: &Surroundings) {
        let mut folders = self.folders.lock().await;
        for path in Remembered::of(host, surroundings).folders {
            if folders.contains_key(&(host.to_owned(), path.clone())) {
                continue;
            }
            match link::share(&path.to_string_lossy(), surroundings) {
                Ok(share) => {
                    let served = self.serve(client.clone(), share, surroundings).await;
                    folders.insert((host.to_owned(), path), served);
                }
                Err(error) => tracing::warn!("{} is not served any more: {error:#}", path.display()),
            }
        }
    }

    async fn serve(&self, client: Client, share: Share, surroundings: &Surroundings) -> Served {
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
            port: Some(FILES_PORT),
        };
        let stop = self.stop.clone();
        let task = self.serving.lock().await.spawn(async move {
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
        Served { how, task }
    }

    /// Serves no host any more that is not there: it has ended, and took its folders along.
    pub(super) async fn serve_only(&self, is_there: impl Fn(&str) -> bool) {
        self.folders.lock().await.retain(|(host, _), served| {
            let stays = is_there(host);
            if !stays {
                served.task.abort();
            }
            stays
        });
    }

    /// Waits until nothing is on a host any more.
    pub(super) async fn end(&self) {
        let mut serving = self.serving.lock().await;
        while serving.join_next().await.is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use host_agent::Program;

    use super::*;

    #[tokio::test]
    async fn a_host_that_has_ended_is_served_no_more() {
        let means = Means {
            program: Program::running().expect("readable"),
            files_command: Vec::new(),
            ports_command: Vec::new(),
            max_open: 1,
        };
        let shares = Shares::new(means, CancellationToken::new());
        for host in ["ended", "there"] {
            let (told, how) = watch::channel(None);
            // It tries to connect, for ever.
            let task = shares.serving.lock().await.spawn(async move {
                std::future::pending::<()>().await;
                drop(told);
            });
            shares.folders.lock().await.insert((host.to_owned(), "/home/data".into()), Served { how, task });
        }
        shares.serve_only(|host| host == "there").await;
        let ended = shares.serving.lock().await.join_next().await.expect("two");
        assert!(ended.is_err_and(|error| error.is_cancelled()));
        let folders = shares.folders.lock().await;
        assert_eq!(folders.len(), 1);
        assert!(folders[&("there".to_owned(), PathBuf::from("/home/data"))].is_served());
    }
}
