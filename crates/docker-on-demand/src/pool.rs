//! Connections to a daemon that wait for the next request.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::FutureExt as _;
use tokio::time::Instant;

use crate::{Hosts, wire::Wire};

/// How long a connection is kept. A NAT forgets one after some minutes.
const KEPT: Duration = Duration::from_secs(30);

/// How many are kept.
const MOST: usize = 16;

/// The connections of one socket.
pub(crate) struct Pool {
    idle: Mutex<Vec<Idle>>,
}

struct Idle {
    host: Arc<str>,
    since: Instant,
    wire: Wire,
}

/// A connection for one request.
pub(crate) struct Taken {
    pub(crate) wire: Wire,
    /// Whether it was used before: the daemon may be gone without this side knowing.
    pub(crate) is_used: bool,
}

impl Pool {
    pub(crate) fn new() -> Self {
        Self { idle: Mutex::new(Vec::new()) }
    }

    /// A connection to a host: one that waits, or a new one.
    pub(crate) async fn take(&self, hosts: &dyn Hosts, host: &str, fresh: bool) -> io::Result<Taken> {
        while let Some(mut wire) = self.waiting(host).filter(|_| !fresh) {
            // Whatever it has to say unasked is an end.
            if wire.reader.fill().now_or_never().is_none() {
                return Ok(Taken { wire, is_used: true });
            }
        }
        Ok(Taken { wire: Wire::new(hosts.connect(host).await?), is_used: false })
    }

    fn waiting(&self, host: &str) -> Option<Wire> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|idle| idle.since.elapsed() < KEPT && *idle.host == *host);
        idle.pop().map(|idle| idle.wire)
    }

    /// Keeps none: one of them was found to lead nowhere.
    pub(crate) fn clear(&self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Keeps a connection whose response has come to its end.
    pub(crate) fn put(&self, host: Arc<str>, wire: Wire) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if wire.reader.buffered().is_empty() && idle.len() < MOST {
            idle.push(Idle { host, since: Instant::now(), wire });
        }
    }
}
