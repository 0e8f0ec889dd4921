//! Folders and ports of one host, served together.

use std::{future::Future, time::Duration};

use docker_remote::{Client, with_causes};
use host_agent::Program;
use host_files::{Event, Share, Sharing};
use host_ports::{Agent, ContainerPorts, Dialer, Listeners, PortEvent};
use jiff::Timestamp;
use tokio::{sync::mpsc, time::sleep};

use crate::{FolderLine, FolderState, LinkState};

/// How soon folders that were refused are offered again: whoever has them may end.
const OFFERED_AGAIN: Duration = Duration::from_secs(20);

/// What is served to which host.
#[derive(Clone, Debug)]
pub struct Link {
    /// The name of the host, as it is told.
    pub host: String,
    /// The host.
    pub client: Client,
    /// This program.
    pub program: Program,
    /// The arguments by which this program becomes an agent for files: see [`Sharing::command`].
    pub files_command: Vec<String>,
    /// The arguments by which it becomes one for ports: see [`Agent::command`].
    pub ports_command: Vec<String>,
    /// Whose folders they are.
    pub owner: String,
    /// The folders, perhaps none.
    pub shares: Vec<Share>,
    /// How long the host keeps the folders without a connection.
    pub give_up_after: Duration,
    /// How many files may be open at the same time, in all.
    pub max_open: usize,
    /// A port of the host for faster connections to the files' agent: see [`Sharing::port`].
    pub files_port: Option<u16>,
    /// A network whose containers serve at a port that they do not publish.
    pub serving: Option<(String, u16)>,
}

/// What changes the state.
enum News {
    File(Event),
    Refused(String),
    Port(PortEvent),
}

impl Link {
    /// Serves until `stop`. Nothing stays mounted and no port stays open then, as far as the host can be reached.
    ///
    /// # Cancel safety
    /// Dropped, it ends as it does after `stop`, in tasks that go on for as long as the runtime does. Without these, the host keeps the
    /// folders mounted for [`give_up_after`](Self::give_up_after).
    pub async fn serve(self, stop: impl Future<Output = ()>, mut told: impl FnMut(&LinkState)) {
        let mut state = LinkState {
            host: self.host.clone(),
            since: Timestamp::now().to_string(),
            folders: self.shares.iter().map(starting).collect(),
            ..LinkState::default()
        };
        told(&state);
        let (news, mut happened) = mpsc::unbounded_channel();
        let (stopping, stopped) = tokio::sync::watch::channel(false);
        let files = tokio::spawn(self.clone().serve_files(news.clone(), stopped.clone()));
        let ports = tokio::spawn(self.serve_ports(news, stopped));
        tokio::pin!(stop);
        let mut follows = false;
        // What the folders have been through, which is so even when they are served again.
        let mut past = None;
        loop {
            let news = tokio::select! {
                () = &mut stop => break,
                Some(news) = happened.recv() => news,
            };
            follows |= matches!(news, News::Port(PortEvent::Following | PortEvent::Lost(_)));
            if matches!(news, News::File(Event::AgentReplaced)) {
                let when = Timestamp::now().strftime("%H:%M UTC");
                past = Some(format!(
                    "it was away for a moment at {when}: restart the containers that were started before"
                ));
            }
            apply(news, &mut state, past.as_ref());
            state.settled = follows && state.folders.iter().all(|folder| folder.state != FolderState::Starting);
            told(&state);
        }
        stopping.send_replace(true);
        for task in [files, ports] {
            if let Err(error) = task.await {
                tracing::error!("{error}");
            }
        }
    }

    async fn serve_files(self, news: mpsc::UnboundedSender<News>, stopped: tokio::sync::watch::Receiver<bool>) {
        if self.shares.is_empty() {
            return;
        }
        loop {
            let sharing = Sharing {
                client: self.client.clone(),
                program: self.program.clone(),
                command: self.files_command.clone(),
                owner: self.owner.clone(),
                shares: self.shares.clone(),
                give_up_after: self.give_up_after,
                max_open: self.max_open,
                port: self.files_port,
            };
            let told = |event| drop(news.send(News::File(event)));
            let outcome = sharing.serve(until(stopped.clone()), told).await;
            if *stopped.borrow() {
                if let Err(error) = outcome {
                    tracing::warn!("the folders were not unmounted on the host: {}", with_causes(&error));
                }
                return;
            }
            if let Err(error) = outcome {
                let _ = news.send(News::Refused(with_causes(&error)));
            }
            tokio::select! {
                () = sleep(OFFERED_AGAIN) => {}
                () = until(stopped.clone()) => return,
            }
        }
    }

    async fn serve_ports(self, news: mpsc::UnboundedSender<News>, stopped: tokio::sync::watch::Receiver<bool>) {
        let agent = Agent { client: self.client.clone(), program: self.program, command: self.ports_command };
        let dialer = Dialer::new(agent);
        let mut ports = ContainerPorts::new(self.client, Listeners::new(dialer.clone()));
        if let Some((network, port)) = self.serving {
            ports = ports.serving(network, port);
        }
        let told = |event: PortEvent| {
            // The first connection need not wait for the agent.
            if matches!(&event, PortEvent::Ports(lines) if !lines.is_empty()) {
                let dialer = dialer.clone();
                tokio::spawn(async move {
                    if let Err(error) = dialer.prepare().await {
                        tracing::warn!("the port agent does not start: {}", with_causes(&error));
                    }
                });
            }
            drop(news.send(News::Port(event)));
        };
        ports.follow(until(stopped), told).await;
    }
}

fn starting(share: &Share) -> FolderLine {
    FolderLine { path: share.path.clone(), read_only: share.read_only, state: FolderState::Starting, why: None }
}

fn apply(news: News, state: &mut LinkState, past: Option<&String>) {
    fn all(state: &mut LinkState, to: FolderState, why: Option<&String>) {
        for folder in &mut state.folders {
            folder.state = to;
            folder.why = why.cloned();
        }
    }
    match news {
        News::File(Event::Ready) => all(state, FolderState::Shared, None),
        News::File(Event::AgentReplaced) => {
            tracing::warn!("the container that shares the folders was removed, and is back");
            all(state, FolderState::Shared, past);
        }
        News::File(Event::Reconnecting { path, reason }) => {
            // Each thing is said once, however often it is tried.
            if !is(state, &path, FolderState::Waiting) {
                tracing::warn!("{}: {reason}; connecting again", path.display());
            }
            set(state, &path, FolderState::Waiting, Some(reason));
        }
        News::File(Event::Connected { path }) => {
            if is(state, &path, FolderState::Waiting) {
                tracing::info!("{}: connected again", path.display());
            }
            set(state, &path, FolderState::Shared, past.cloned());
        }
        News::Refused(why) => {
            if !state.folders.iter().all(|folder| folder.why.as_ref() == Some(&why)) {
                tracing::warn!("the folders are not shared: {why}");
            }
            all(state, FolderState::Failed, Some(&why));
        }
        News::Port(PortEvent::Ports(lines)) => {
            state.ports = lines.into_iter().map(Into::into).collect();
            for line in &state.ports {
                tracing::info!("{line:?}");
            }
        }
        News::Port(PortEvent::Following) => {
            if state.unreachable.take().is_some() {
                tracing::info!("the daemon answers again");
            }
        }
        News::Port(PortEvent::Lost(why)) => {
            if state.unreachable.is_none() {
                tracing::warn!("the daemon's events can't be followed: {why}");
            }
            state.unreachable = Some(why);
        }
        News::File(_) | News::Port(_) => {}
    }
}

fn is(state: &LinkState, path: &std::path::Path, how: FolderState) -> bool {
    state.folders.iter().any(|folder| folder.path == path && folder.state == how)
}

fn set(state: &mut LinkState, path: &std::path::Path, to: FolderState, why: Option<String>) {
    for folder in state.folders.iter_mut().filter(|folder| folder.path == path) {
        folder.state = to;
        folder.why.clone_from(&why);
    }
}

async fn until(mut stopped: tokio::sync::watch::Receiver<bool>) {
    // Whoever would say so is gone.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}
