//! Entries in memory, for programs that keep no files: what is theirs is gone with them, and nobody settles it afterwards.

use std::{
    any::Any,
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use super::{HeldEntry, JournalError, JournalStore};
use crate::HostId;

/// A journal's entries in the memory of this process. Clones share them.
///
/// It keeps no promise beyond the process: a host that was created with it, and not terminated before the process ends, is known to nobody
/// afterwards but by its tags. That is for tests, and for programs that are sure to run until the end.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    entries: Mutex<BTreeMap<HostId, Kept>>,
    has_turn: Mutex<bool>,
    turn_is_over: Condvar,
}

#[derive(Debug, Default)]
struct Kept {
    text: Option<String>,
    is_held: bool,
}

impl MemoryStore {
    fn entries(&self) -> MutexGuard<'_, BTreeMap<HostId, Kept>> {
        self.0.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl JournalStore for MemoryStore {
    fn path(&self, host: &HostId) -> PathBuf {
        PathBuf::from(host.as_str())
    }

    fn hosts(&self) -> Result<Vec<Result<HostId, JournalError>>, JournalError> {
        Ok(self.entries().iter().filter(|(_, kept)| kept.text.is_some()).map(|(host, _)| Ok(host.clone())).collect())
    }

    fn read(&self, host: &HostId) -> Result<Option<String>, JournalError> {
        Ok(self.entries().get(host).and_then(|kept| kept.text.clone()))
    }

    fn try_hold(&self, host: &HostId) -> Result<Option<Box<dyn HeldEntry>>, JournalError> {
        let mut entries = self.entries();
        let kept = entries.entry(host.clone()).or_default();
        if std::mem::replace(&mut kept.is_held, true) {
            return Ok(None);
        }
        Ok(Some(Box::new(Held { store: self.clone(), host: host.clone() })))
    }

    fn is_held(&self, host: &HostId) -> bool {
        self.entries().get(host).is_some_and(|kept| kept.is_held)
    }

    fn set_aside(&self, place: &Path) -> Result<Option<PathBuf>, JournalError> {
        let mut entries = self.entries();
        let host = entries.keys().find(|host| self.path(host) == place).cloned();
        let Some(host) = host else { return Ok(Some(place.to_owned())) };
        if entries.get(&host).is_some_and(|kept| kept.is_held) {
            return Ok(None);
        }
        entries.remove(&host);
        Ok(Some(place.to_owned()))
    }

    fn turn(&self) -> Result<Box<dyn Any + Send>, JournalError> {
        let taken = self.0.has_turn.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.0.turn_is_over.wait_while(taken, |taken| *taken);
        *waited.unwrap_or_else(PoisonError::into_inner) = true;
        Ok(Box::new(Turn(self.0.clone())))
    }
}

#[derive(Debug)]
struct Turn(Arc<Shared>);

impl Drop for Turn {
    fn drop(&mut self) {
        *self.0.has_turn.lock().unwrap_or_else(PoisonError::into_inner) = false;
        self.0.turn_is_over.notify_one();
    }
}

#[derive(Debug)]
struct Held {
    store: MemoryStore,
    host: HostId,
}

impl HeldEntry for Held {
    fn write(&mut self, text: &str) -> Result<(), JournalError> {
        self.store.entries().entry(self.host.clone()).or_default().text = Some(text.to_owned());
        Ok(())
    }

    fn remove(self: Box<Self>) -> Result<(), JournalError> {
        self.store.entries().entry(self.host.clone()).or_default().text = None;
        Ok(())
    }

    fn set_aside(self: Box<Self>) -> Result<PathBuf, JournalError> {
        self.store.entries().entry(self.host.clone()).or_default().text = None;
        Ok(self.store.path(&self.host))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut entries = self.store.entries();
        if entries.get(&self.host).is_some_and(|kept| kept.text.is_none()) {
            entries.remove(&self.host);
        } else if let Some(kept) = entries.get_mut(&self.host) {
            kept.is_held = false;
        }
    }
}
