//! Sharing, from the first mount to the last connection.

use std::{future::Future, path::PathBuf, sync::Arc, time::Duration};

use docker_remote::Client;
use file_share::{LostConnection, Server, ShareSettings};
use tokio::{
    sync::Mutex,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use host_agent::{Program, Reader, Writer, direct};

use crate::{Error, agent::Agent};

/// How soon a connection that ended is replaced, at first and at last.
const RECONNECT: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

/// How soon the port is tried again, at first and at last, where it was not reached, or only for a moment: somebody may open it meanwhile.
const DIRECT_AGAIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60 * 60));

/// After so long, a connection by the port is one that lasts.
const DIRECT_LASTS: Duration = Duration::from_secs(60);

/// How long a new agent may take until it can be reached.
const STARTS_WITHIN: Duration = Duration::from_secs(30);

/// How long the host may take until nothing is mounted any more.
const ENDS_WITHIN: Duration = Duration::from_secs(20);

/// A folder to be shared: absolute, and without links in its path, since it appears on the host at the same one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// The folder.
    pub path: PathBuf,
    /// Whether containers may only read.
    pub read_only: bool,
    /// Whether what is in the folder under a name that begins with a dot is kept from containers: see
    /// [`ShareSettings::without_dot_entries`].
    pub without_dot_entries: bool,
    /// Folders below such names that containers see all the same.
    pub shown: Vec<PathBuf>,
}

impl Share {
    /// A folder to be read and written, with everything in it.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), read_only: false, without_dot_entries: false, shown: Vec::new() }
    }
}

/// Something that whoever shares may want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// All folders are there.
    Ready,
    /// A connection ended, and another is being made.
    Reconnecting {
        /// The folder.
        path: PathBuf,
        /// Why it ended.
        reason: String,
    },
    /// A folder is served again.
    Connected {
        /// The folder.
        path: PathBuf,
    },
    /// The agent's container was gone, and another is started. Containers that use the folders have to be started again.
    AgentReplaced,
}

/// What is shared with which host.
#[derive(Clone, Debug)]
pub struct Sharing {
    /// The host.
    pub client: Client,
    /// This program.
    pub program: Program,
    /// The arguments by which this program becomes an agent: `mount [--give-up-after=S] PATH:ro|rw...` and `relay NUMBER [--port=P]` are added.
    pub command: Vec<String>,
    /// Whose folders they are: a path on a host belongs to one owner.
    pub owner: String,
    /// The folders; none is in another.
    pub shares: Vec<Share>,
    /// How long the host keeps the folders without a connection.
    pub give_up_after: Duration,
    /// How many files may be open at the same time, in all.
    pub max_open: usize,
    /// A port of the host for faster connections, where it is reached. It is listened at only while one is being made.
    pub port: Option<u16>,
}

impl Sharing {
    /// Shares the folders until `stop`; nothing stays mounted then.
    ///
    /// # Cancel safety
    /// Not to be dropped, but stopped: dropped, the folders stay mounted with nobody to serve them, until
    /// [`give_up_after`](Self::give_up_after) is over. The agent's container, which has ended then, stays until this owner shares again.
    ///
    /// # Errors
    /// The host refuses, or there is none. One that was reached is waited for, from then on.
    pub async fn serve(self, stop: impl Future<Output = ()>, mut events: impl FnMut(Event)) -> Result<(), Error> {
        self.check_apart()?;
        let mut servers = Vec::new();
        for share in &self.shares {
            let settings = ShareSettings {
                read_only: share.read_only,
                without_dot_entries: share.without_dot_entries,
                shown: share
                    .shown
                    .iter()
                    .filter_map(|path| Some(path.strip_prefix(&share.path).ok()?.into()))
                    .collect(),
                max_open: self.max_open / self.shares.len(),
                ..ShareSettings::new(&share.path)
            };
            servers.push(Arc::new(Server::new(settings)?));
        }
        let (client, shares) = (self.client, self.shares);
        let agent =
            Agent::new(client.clone(), self.program, self.command, self.owner, shares.clone(), self.give_up_after);
        agent.ensure().await?;
        let agent = Arc::new(Mutex::new(agent));
        let (sender, mut happened) = tokio::sync::mpsc::unbounded_channel();
        let mut serving = JoinSet::new();
        for (number, server) in servers.iter().enumerate() {
            let connections = Connections {
                client: client.clone(),
                agent: agent.clone(),
                number,
                path: shares[number].path.clone(),
                port: self.port,
                events: sender.clone(),
            };
            serving.spawn(connections.serve(server.clone()));
        }
        let all_there = async {
            for server in &servers {
                server.greeted().await;
            }
        };
        tokio::pin!(stop, all_there);
        let mut is_ready = false;
        let outcome = loop {
            tokio::select! {
                () = &mut stop => break Ok(()),
                () = &mut all_there, if !is_ready => {
                    is_ready = true;
                    events(Event::Ready);
                }
                Some(event) = happened.recv() => events(event),
                Some(ended) = serving.join_next() => match ended {
                    Ok(error) => break Err(error),
                    Err(error) => tracing::error!("{error}"),
                },
            }
        };
        // While connections remain: the agent's end is not to wait for answers.
        let removed = async { agent.lock().await.remove().await };
        // A host that is gone does not answer, and there is nothing left on it.
        let removed = timeout(ENDS_WITHIN, removed).await.unwrap_or_else(|_| {
            tracing::warn!(
                "the host does not answer; it takes the folders off itself in {} s",
                self.give_up_after.as_secs()
            );
            Ok(())
        });
        serving.shutdown().await;
        outcome.and(removed)
    }

    fn check_apart(&self) -> Result<(), Error> {
        for (at, share) in self.shares.iter().enumerate() {
            let others = self.shares.iter().enumerate().filter(|(other, _)| *other != at);
            if let Some((_, outer)) = others.into_iter().find(|(_, other)| share.path.starts_with(&other.path)) {
                return Err(Error::Nested { inner: share.path.clone(), outer: outer.path.clone() });
            }
        }
        Ok(())
    }
}

/// The connections of one folder, one after the other.
struct Connections {
    client: Client,
    agent: Arc<Mutex<Agent>>,
    number: usize,
    path: PathBuf,
    port: Option<u16>,
    events: tokio::sync::mpsc::UnboundedSender<Event>,
}

impl Connections {
    /// Ends only where there is no hope.
    async fn serve(self, server: Arc<Server>) -> Error {
        let began = tokio::time::Instant::now();
        let (mut was_there, mut pause, mut direct_pause) = (false, RECONNECT.0, Duration::ZERO);
        loop {
            let agent = self.agent.lock().await.clone();
            let reason = match host_agent::exec(&self.client, &agent.name(), agent.relay(self.number, None)).await {
                Ok(streams) => {
                    let connected = tokio::time::Instant::now();
                    let before = server.greetings();
                    let told = async {
                        server.greeted_after(before).await;
                        if was_there {
                            // Nobody listens once sharing ends.
                            let _ = self.events.send(Event::Connected { path: self.path.clone() });
                        }
                        std::future::pending::<()>().await;
                    };
                    let reason = tokio::select! {
                        lost = self.serve_over(&server, streams, &agent, &mut direct_pause) => lost.to_string(),
                        () = agent.ended() => "the agent's container ended".to_owned(),
                        () = told => unreachable!("it waits for ever"),
                    };
                    if connected.elapsed() > RECONNECT.1 {
                        pause = RECONNECT.0;
                    }
                    reason
                }
                Err(error) => error.to_string(),
            };
            was_there |= server.greetings() > 0;
            if was_there {
                // Nobody listens once sharing ends.
                let _ = self.events.send(Event::Reconnecting { path: self.path.clone(), reason: reason.clone() });
            }
            sleep(pause).await;
            pause = (pause * 2).min(RECONNECT.1);
            let agent = self.agent.lock().await;
            match agent.state().await {
                Some(true) if was_there || began.elapsed() < STARTS_WITHIN => {}
                // It could not do its work at all.
                Some(_) | None if !was_there => {
                    return Error::AgentEnded { log: format!("{reason}; {}", agent.log().await) };
                }
                Some(true) => {}
                Some(false) => self.replace(&agent).await,
                // No such container, or no answer: the next attempt shows which.
                None if self.client.ping().await.is_ok() => self.replace(&agent).await,
                None => {}
            }
        }
    }

    /// Serves over a connection by the daemon, at once, and over a faster one from when there is one, which is tried for after a pause.
    async fn serve_over(
        &self,
        server: &Arc<Server>,
        (reader, writer): (Reader, Writer),
        agent: &Agent,
        pause: &mut Duration,
    ) -> LostConnection {
        let direct = async {
            let Some(port) = self.port else { return std::future::pending().await };
            loop {
                sleep(*pause).await;
                // Also if it is lost at once.
                *pause = (*pause * 4).clamp(DIRECT_AGAIN.0, DIRECT_AGAIN.1);
                let command = agent.relay(self.number, Some(port));
                match direct::connect(&self.client, &agent.name(), command, port).await {
                    Ok(streams) => return streams,
                    Err(error) => tracing::info!("{}: {}", self.path.display(), docker_remote::with_causes(&error)),
                }
            }
        };
        let (reader, writer) = tokio::select! {
            lost = server.serve(reader, writer) => return lost,
            streams = direct => streams,
        };
        tracing::info!("{}: by a port of the host from now on", self.path.display());
        let began = Instant::now();
        let lost = server.serve(reader, writer).await;
        if began.elapsed() > DIRECT_LASTS {
            *pause = Duration::ZERO;
        }
        lost
    }

    async fn replace(&self, agent: &Agent) {
        match agent.ensure().await {
            Ok(()) => drop(self.events.send(Event::AgentReplaced)),
            Err(error) => tracing::warn!("cannot start the agent again: {error}"),
        }
    }
}
