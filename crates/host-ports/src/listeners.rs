//! Ports of this machine whose connections go to a host.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use futures_util::{Stream, StreamExt as _, stream};
use tokio::{
    net::{TcpListener, TcpStream},
    task::AbortHandle,
};

use crate::{Dialer, Error, Target};

/// How many ports are tried from the wanted one on.
const TRIED: u16 = 200;

/// Ports below it are for root, on most systems (ip(7), `ip_unprivileged_port_start`).
const UNPRIVILEGED: u16 = 1024;

/// Opens ports.
#[derive(Clone, Debug)]
pub struct Listeners {
    dialer: Dialer,
}

/// An open port. Dropped, it is closed at once; connections through it go on until their ends.
#[derive(Debug)]
pub struct Listener {
    address: SocketAddr,
    accepting: AbortHandle,
}

impl Listeners {
    /// Ports whose connections a dialer takes on.
    pub fn new(dialer: Dialer) -> Self {
        Self { dialer }
    }

    /// Opens a port of 127.0.0.1; 0 takes any free one. Connections go to the first of the targets that takes them.
    ///
    /// # Cancel safety
    /// It can be dropped at any time: no port stays open then.
    ///
    /// # Errors
    /// The port is taken.
    pub async fn open(&self, port: u16, targets: Vec<Target>) -> Result<Listener, Error> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let failed = |source| Error::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let clients = stream::poll_fn(move |context| listener.poll_accept(context).map(Some));
        let (dialer, targets): (_, Arc<[Target]>) = (self.dialer.clone(), targets.into());
        // Not in a set of this task: what is open goes on when the port is closed.
        let take = move |(client, _)| drop(tokio::spawn(pass(client, dialer.clone(), targets.clone())));
        let accepting = tokio::spawn(accept(clients, take)).abort_handle();
        Ok(Listener { address, accepting })
    }

    /// Opens this port or, where it is taken, the next that is free.
    ///
    /// # Cancel safety
    /// It can be dropped at any time: no port stays open then.
    ///
    /// # Errors
    /// None of the next ports is free.
    pub async fn open_next(&self, port: u16, targets: Vec<Target>) -> Result<Listener, Error> {
        let wanted = self.open(port, targets.clone()).await;
        let mut failed = match wanted {
            Ok(listener) => return Ok(listener),
            Err(error) => error,
        };
        let first = port.saturating_add(1).max(UNPRIVILEGED);
        for next in first..=first.saturating_add(TRIED) {
            match self.open(next, targets.clone()).await {
                Ok(listener) => return Ok(listener),
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }
}

impl Listener {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until it listens no longer, which takes somebody who closes it.
    pub fn is_open(&self) -> bool {
        !self.accepting.is_finished()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept<C>(mut clients: impl Stream<Item = io::Result<C>> + Unpin, mut take: impl FnMut(C)) {
    while let Some(client) = clients.next().await {
        match client {
            Ok(client) => take(client),
            Err(error) => {
                tracing::warn!("cannot accept a connection: {error}");
                // accept(2): descriptors that are missing may come back.
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        }
    }
}

async fn pass(client: TcpStream, dialer: Dialer, targets: Arc<[Target]>) {
    let mut refused = None;
    for target in targets.iter() {
        match dialer.connect(&target.host, target.port).await {
            Ok(connection) => {
                if let Err(error) = connection.join(client).await {
                    tracing::debug!("{}:{}: {error}", target.host, target.port);
                }
                return;
            }
            Err(error) => refused = Some(error),
        }
    }
    if let Some(error) = refused {
        tracing::info!("{error}");
    }
    // As a port that nobody listens on would.
    let _: io::Result<()> = client.set_zero_linger();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn descriptors_that_are_missing_for_a_moment_close_no_port() {
        // EMFILE (errno(3), on Linux).
        let missing = || Err(io::Error::from_raw_os_error(24));
        let clients = stream::iter([Ok(1), missing(), missing(), Ok(2)]);
        let mut taken = Vec::new();
        accept(clients, |client| taken.push(client)).await;
        assert_eq!(taken, [1, 2]);
    }
}
