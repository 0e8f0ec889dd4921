//! What a program brings: its hosts.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::{Engine, History};

/// A stream of bytes in both directions. Shutting it down ends the one direction and leaves the other.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection to a host's daemon.
pub type Connection = Box<dyn Stream>;

/// Is told how a launch comes along, a line at a time.
pub type Tell = Arc<dyn Fn(String) + Send + Sync>;

/// The right to launch. Dropped, it is another's.
pub type Claim = Box<dyn Send>;

/// What is known of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// There is one, of this name.
    Host(Arc<str>),
    /// There is none. How the last one ended, where that is known: a clause such as "its host ended at 12:00 UTC".
    Nothing {
        /// How the last one ended.
        ended: Option<String>,
    },
    /// There is one that is stopped, with all that it has on its disk: a launch starts it. What is said of it: a clause such as "its host is
    /// stopped". What it has can't be listed before.
    Stopped(String),
    /// It can't be told, and why. No other is launched then.
    Doubtful(String),
}

/// The hosts of one user.
///
/// # Cancel safety
/// Every method of it but [`launch`](Self::launch) can be dropped at any time. A launch is never dropped by this crate, but by the end of the
/// runtime.
#[async_trait]
pub trait Hosts: Send + Sync + 'static {
    /// The host that there is. It is asked at each request, and has to be quick: what was seen before is good enough.
    async fn find(&self) -> Found;

    /// Connects to the daemon of a host that was found.
    async fn connect(&self, host: &str) -> io::Result<Connection>;

    /// What is known of a host that could not be connected to, for this reason. Not [`Found::Host`] of the same name, unless it was seen to
    /// answer.
    async fn lost(&self, host: &str, why: &io::Error) -> Found;

    /// The right to launch, which one of all that launch for the same user has at a time. What [`find`](Self::find) says afterwards is not from
    /// before.
    ///
    /// # Errors
    /// Why it can't be had, in one line.
    async fn claim(&self, tell: &Tell) -> Result<Claim, String>;

    /// What is remembered of the user's launches.
    ///
    /// # Errors
    /// Why it can't be told, in one line. Nothing is launched then.
    async fn history(&self) -> Result<History, String>;

    /// Remembers them, for longer than this process lives. Whoever calls it holds the claim.
    ///
    /// # Errors
    /// Why it is not remembered, in one line.
    async fn remember(&self, history: &History) -> Result<(), String>;

    /// The time, since 1970-01-01 UTC.
    fn now(&self) -> Duration;

    /// Launches a host, and returns when its daemon answers. Whoever calls it holds the claim.
    ///
    /// # Errors
    /// Why there is none, in one line.
    async fn launch(&self, tell: Tell) -> Result<(), String>;

    /// Sees to it that a file or folder of this machine is at the same path on the host. It exists, and is an absolute path without links.
    ///
    /// # Errors
    /// Why it is not, in one line.
    async fn share(&self, host: &str, path: &Path) -> Result<(), String>;

    /// Waits until a host that was just launched has its ports here, as far as it gets them soon. It is asked before a container is started.
    async fn linked(&self, host: &str);

    /// The socket of the daemon on the host itself, for containers that are to have it.
    async fn daemon_socket(&self, host: &str) -> PathBuf;

    /// What a host would be. What its daemon speaks may turn out to be less when it is connected to.
    fn engine(&self) -> Engine;
}
