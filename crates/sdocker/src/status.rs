//! What runs, since when, until when, how healthy.

use std::path::Path;

use docker_remote::{ApiRange, StageLine, StageState};
use serde::{Deserialize, Serialize};

use crate::{
    Observer, Surroundings,
    account::{self, Account},
    advice,
    client_files::HostFiles,
    clients,
    cost::Cost,
    disk::Disk,
    history::History,
    link::{self, LinkState},
    lookup::{KnownHost, Lookup},
    permission::Caller,
    places::{Look, Places},
    storage, termination,
};

/// How a host is, as `--output json` prints it.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct Status {
    /// `<instance-type>_<instance-id>`.
    pub name: String,
    /// Its instance.
    pub instance_id: String,
    /// The instance's type.
    pub instance_type: String,
    /// Where its daemon listens, as `DOCKER_HOST` takes it.
    pub endpoint: String,
    /// Whether the Docker CLI talks to it.
    pub current: bool,
    /// EC2's name of the instance's state; `unknown` where it could not be asked.
    pub state: String,
    /// EC2's reason for the state, such as `Client.UserInitiatedShutdown`.
    pub state_reason: Option<String>,
    /// Its Availability Zone.
    pub zone: Option<String>,
    /// When it was created (RFC 3339).
    pub created: Option<String>,
    /// When it terminates itself at the latest (RFC 3339).
    pub expires: Option<String>,
    /// A variable of the environment that leads the Docker CLI elsewhere than to this host, whatever Docker's context is.
    pub overridden: Option<String>,
    /// What it has cost and can cost, by the price that was known when it was created; `None`: none was.
    pub cost: Option<Cost>,
    /// What its daemon says.
    pub daemon: Daemon,
    /// What the host says of its own life; `None` where it shares no folder with this home, or has not written any yet.
    pub life: Option<Life>,
    /// Its disk, where it stops instead of being terminated, or is stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk: Option<Disk>,
    /// This app's files and the containers' ports, where they are served; only for the current host.
    pub link: Option<LinkState>,
    /// Where nobody serves them: what that means, and what mends it.
    pub unserved: Option<String>,
    /// The host's own account of its bootstrap, last lines first where it failed.
    pub stages: Vec<Stage>,
}

/// What a Docker daemon says of itself.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct Daemon {
    /// Whether it answers.
    pub answers: bool,
    /// Docker's version.
    pub version: Option<String>,
    /// How many containers run, sdocker's own excepted.
    pub containers_running: Option<u64>,
    /// Why it does not answer; `None` as well where it was not waited for, since EC2 says that the host is stopped or has ended.
    pub error: Option<String>,
    /// The API versions that it serves.
    #[serde(skip)]
    pub api: Option<ApiRange>,
}

impl Daemon {
    /// One that nobody asked, as there is none that runs.
    fn unasked() -> Self {
        Self { answers: false, version: None, containers_running: None, error: None, api: None }
    }
}

/// A stage of the bootstrap that began, ended or has something to say.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct Stage {
    /// When (RFC 3339).
    pub time: String,
    /// Its name, such as `mounts` or `daemon`.
    pub stage: String,
    /// `started`, `done`, `failed`, `warning` or `info`.
    pub state: String,
    /// What there is to say of it.
    pub detail: String,
}

/// What the host writes about its own life each minute, in `life.json`.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Life {
    /// When it looked last (RFC 3339).
    pub checked_at: Option<String>,
    /// When it terminates itself at the latest (RFC 3339).
    pub expires_at: Option<String>,
    /// How long the host can be kept at most.
    pub keepable_until: Option<String>,
    /// Since when nobody uses it (RFC 3339).
    pub idle_since: Option<String>,
    /// When it terminates itself unless it is used (RFC 3339).
    pub idle_deadline: Option<String>,
    /// How long it may be without use, in seconds; `None`: idleness does not end it.
    pub idle_timeout_seconds: Option<u64>,
    /// Who uses it.
    pub uses: Vec<String>,
    /// How full its disk is.
    pub disk_used_percent: Option<u8>,
    /// What its users should know, such as that it runs out of disk.
    pub notices: Vec<String>,
}

/// How a host is.
///
/// # Cancel safety
/// It can be dropped at any time. All that it changes are this home's copies of the host's logs, each of which is replaced whole.
pub async fn status(host: KnownHost, surroundings: &Surroundings, observer: &dyn Observer) -> Status {
    let lookup = Lookup::new(surroundings);
    let current = host.current;
    let overridden = clients::overridden(surroundings, &host).map(|obstacle| obstacle.what);
    let mut places = Places::new(surroundings, observer);
    let asking = observer.asking("asking EC2 and the host's daemon");
    let (look, daemon) = look_and_ask(&host, &mut places, &lookup).await;
    drop(asking);
    let (state, instance) = match look {
        Look::Alive(instance) => (instance.state.as_str().to_owned(), Some(instance)),
        Look::Ended(instance) => {
            (instance.as_ref().map_or("terminated", |instance| instance.state.as_str()).to_owned(), instance)
        }
        Look::Unknown(why) => {
            observer.warn(format!("{why:#}"));
            for hint in advice::hints(&why, &Caller::of(surroundings)) {
                observer.hint(hint);
            }
            ("unknown".to_owned(), None)
        }
    };
    let unserved = match link::unserved(surroundings, &host) {
        Ok(unserved) => unserved.map(|unserved| format!("{}: {}", unserved.what, unserved.fix)),
        Err(error) => {
            observer.warn(format!("{error:#}"));
            None
        }
    };
    // What it said last is not so any more.
    let link = link::state(surroundings).filter(|link| link.host == host.name && unserved.is_none());
    let account = account(&host, &daemon, &lookup, observer).await;
    let file = lookup.layout.host(&host.name).join("life.json");
    let life = account.life.and_then(|text| life(&file, &text, observer));
    let stages = stages(account.stages);
    let expires = life.as_ref().and_then(|life| life.expires_at.clone());
    let expires = expires.or_else(|| host.record.as_ref().map(|record| record.expires.to_string()));
    let history = History::read(&lookup.layout);
    let is_stopped = instance.as_deref().is_some_and(|instance| instance.state.is_stopped());
    let disk = host.record.as_ref().and_then(|record| Disk::of(record, is_stopped, &history));
    let cost = history.hourly(&host.name).and_then(|hourly| {
        let until = expires.as_ref()?.parse().ok()?;
        Some(hourly.cost(host.record.as_ref()?.created, until, jiff::Timestamp::now()))
    });
    Status {
        endpoint: host.endpoint(),
        current,
        state,
        state_reason: instance.as_ref().and_then(|instance| instance.why_ended()),
        zone: instance.as_ref().and_then(|instance| instance.zone.as_ref().map(ToString::to_string)),
        created: host.record.as_ref().map(|record| record.created.to_string()),
        expires,
        overridden,
        cost,
        daemon,
        life,
        disk,
        link,
        unserved,
        stages,
        name: host.name,
        instance_id: host.instance.to_string(),
        instance_type: host.instance_type.to_string(),
    }
}

/// Asks EC2 about a host, and its daemon, at the same time. The daemon is not waited for once EC2 says that it runs no more, and not asked before of a
/// host that may have stopped itself: whatever is sent to one is lost, and is answered by nobody.
async fn look_and_ask(host: &KnownHost, places: &mut Places<'_>, lookup: &Lookup) -> (Look, Daemon) {
    let runs = |look: &Look| match look {
        Look::Alive(instance) => !instance.state.is_stopped(),
        Look::Ended(_) => false,
        Look::Unknown(_) => true,
    };
    let may_be_stopped = host.record.as_ref().is_some_and(|record| record.stops.is_some());
    let mut looking = std::pin::pin!(places.look_at(host));
    if may_be_stopped {
        let look = looking.await;
        let daemon = if runs(&look) { daemon(host, lookup).await } else { Daemon::unasked() };
        return (look, daemon);
    }
    let mut asking = std::pin::pin!(daemon(host, lookup));
    tokio::select! {
        look = &mut looking => {
            let daemon = if runs(&look) { asking.await } else { Daemon::unasked() };
            (look, daemon)
        }
        daemon = &mut asking => (looking.await, daemon),
    }
}

/// Asks a host's daemon how it is.
///
/// # Cancel safety
/// It only asks, and can be dropped at any time.
pub async fn daemon(host: &KnownHost, lookup: &Lookup) -> Daemon {
    match HostFiles::new(lookup).probe(&host.entry()).await {
        Ok(answered) => {
            let running = termination::running(answered.client()).await;
            Daemon {
                answers: true,
                version: Some(answered.version().to_owned()),
                containers_running: running.and_then(|running| running.len().try_into().ok()),
                error: None,
                api: Some(answered.api()),
            }
        }
        Err(error) => Daemon {
            answers: false,
            version: None,
            containers_running: None,
            error: Some(format!("{error:#}")),
            api: None,
        },
    }
}

/// What a host says of its own life; `None` where it says nothing, or nobody hears it.
///
/// # Cancel safety
/// It can be dropped at any time, as [`status`].
pub(crate) async fn life_of(host: &KnownHost, lookup: &Lookup) -> Option<Life> {
    let folder = lookup.layout.host(&host.name);
    let account = if account::is_shared(&folder) {
        storage::in_time("read what the host says of itself", move || Ok(account::shared(&folder)?)).await.ok()?
    } else {
        let client = HostFiles::new(lookup).client(&host.entry()).await.ok()?;
        account::through(&client, &folder).await.ok()?
    };
    serde_json::from_str(&account.life?).ok()
}

/// The host's account of itself: in the folder that it shares, else through its daemon.
async fn account(host: &KnownHost, daemon: &Daemon, lookup: &Lookup, observer: &dyn Observer) -> Account {
    let folder = lookup.layout.host(&host.name);
    if account::is_shared(&folder) {
        return account::shared(&folder).unwrap_or_else(|error| {
            observer.warn(format!("what the host says of itself can't be read from {}: {error}", folder.display()));
            Account::default()
        });
    }
    if !daemon.answers {
        return Account::default();
    }
    let read = async {
        let client = HostFiles::new(lookup).client(&host.entry()).await?;
        account::through(&client, &folder).await
    };
    // Hosts of before have none, and one that boots has none yet.
    read.await.unwrap_or_else(|error| {
        tracing::info!("{} tells nothing of itself: {error:#}", host.name);
        Account::default()
    })
}

/// The host's account of its own life; `None` where it shares no storage, or has not written any yet.
fn life(path: &Path, text: &str, observer: &dyn Observer) -> Option<Life> {
    match serde_json::from_str(text) {
        Ok(life) => Some(life),
        Err(error) => {
            observer.warn(format!("{}:{}:{}: {error}", path.display(), error.line(), error.column()));
            None
        }
    }
}

fn stages(lines: Vec<StageLine>) -> Vec<Stage> {
    lines
        .into_iter()
        .map(|line| Stage {
            time: line.time,
            stage: line.stage,
            state: match line.state {
                StageState::Started => "started",
                StageState::Done => "done",
                StageState::Failed => "failed",
                StageState::Warning => "warning",
                StageState::Info => "info",
            }
            .to_owned(),
            detail: line.detail,
        })
        .collect()
}
