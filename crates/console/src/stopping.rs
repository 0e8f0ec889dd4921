//! What a signal does to work on hosts.

use std::{
    slice,
    sync::{Mutex, MutexGuard, PoisonError},
};

use host_provisioner::HostId;
use sdocker::{Error, Fate, Stop};
use tokio_util::sync::CancellationToken;

use crate::{Interrupt, Work, interrupt::Working};

/// Asks work of the library to stop at the first signal. From when the library takes it on until it is committed or this is dropped, it is
/// announced as [`Work`]; before and after that, a signal ends the command where it is.
pub struct Stopping<'i> {
    interrupt: &'i Interrupt,
    work: Work,
    working: Mutex<Option<Working<'i>>>,
}

impl<'i> Stopping<'i> {
    /// For work that has yet to begin. Its hosts are those that the library names.
    pub fn new(interrupt: &'i Interrupt, work: Work) -> Self {
        Self { interrupt, work, working: Mutex::new(None) }
    }

    /// For work that begins now.
    ///
    /// # Errors
    /// A signal came before.
    pub fn begun(interrupt: &'i Interrupt, work: Work) -> anyhow::Result<Self> {
        let working = interrupt.begin(work.clone())?;
        Ok(Self { interrupt, work, working: Mutex::new(Some(working)) })
    }

    /// Ends the work without its end: a successor finishes it, and the error says so. Without one, what is left remains.
    pub fn hand_on(self, error: Error, what: &str) -> Error {
        match self.working().take() {
            Some(working) => working.hand_on(error, what),
            None => error.remains(what),
        }
    }

    fn working(&self) -> MutexGuard<'_, Option<Working<'i>>> {
        self.working.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stop for Stopping<'_> {
    fn token(&self) -> &CancellationToken {
        self.interrupt.stop()
    }

    fn take_on(&self, host: Option<&HostId>) -> bool {
        self.take_on_several(host.map(slice::from_ref).unwrap_or_default())
    }

    fn take_on_several(&self, hosts: &[HostId]) -> bool {
        let mut working = self.working();
        if let Some(working) = &*working {
            return working.take_on(hosts.to_vec());
        }
        *working = self.interrupt.begin(Work { hosts: hosts.to_vec(), ..self.work.clone() }).ok();
        working.is_some()
    }

    fn commit(&self, fate: Fate) -> bool {
        self.working().as_ref().is_some_and(|working| {
            working.commit(match fate {
                Fate::HandedOver => "interrupted; the host is there, `sdocker status` shows it",
                Fate::KeptFailed => "interrupted: the host that failed is kept",
            })
        })
    }
}
