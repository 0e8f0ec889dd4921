//! Asking work to stop.

use host_provisioner::HostId;
use tokio_util::sync::CancellationToken;

/// Asks work to stop, and hears from it where it can't simply be dropped. A [`CancellationToken`] is one: work on a host that has begun
/// then is undone, or finished, before its function returns. So tests need no mock of it.
pub trait Stop: Send + Sync {
    /// Cancelled as soon as the work is asked to stop.
    fn token(&self) -> &CancellationToken;

    /// Work on a host begins, which is not to be dropped: what it changes is in this record. `false` where it was asked to stop before;
    /// then it does not begin.
    fn take_on(&self, host: Option<&HostId>) -> bool {
        let _ = host;
        !self.token().is_cancelled()
    }

    /// The same of work on several hosts at once. Of itself it names the first.
    fn take_on_several(&self, hosts: &[HostId]) -> bool {
        self.take_on(hosts.first())
    }

    /// The host is about to be given to the user, or kept: from here on nothing is undone any more. `false` where it was asked to stop before;
    /// then everything is undone. It is the one or the other, whenever the wish to stop comes.
    fn commit(&self, fate: Fate) -> bool {
        let _ = fate;
        !self.token().is_cancelled()
    }
}

/// What becomes of a host that is not undone any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is given to the user.
    HandedOver,
    /// It failed, and is kept to be looked into.
    KeptFailed,
}

impl Stop for CancellationToken {
    fn token(&self) -> &CancellationToken {
        self
    }
}
