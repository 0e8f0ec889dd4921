//! An end in time for calls of a store: a file system whose server is gone keeps its callers waiting for ever.

use std::{
    any::Any,
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use super::{HeldEntry, JournalError, JournalStore};
use crate::HostId;

/// A store whose calls end within a time, off the caller's thread. What does not answer is an error, and never an answer; an entry that was
/// held then stays held for as long as its storage takes. Only a turn is waited for without an end, as others' work is.
#[derive(Clone, Debug)]
pub(super) struct Timely<S> {
    store: Arc<S>,
    within: Duration,
}

impl<S: JournalStore + 'static> Timely<S> {
    pub(super) fn new(store: S, within: Duration) -> Self {
        Self { store: Arc::new(store), within }
    }

    fn ask<T: Send + 'static>(
        &self,
        attempted: &'static str,
        path: &Path,
        work: impl FnOnce(&S) -> Result<T, JournalError> + Send + 'static,
    ) -> Result<T, JournalError> {
        let store = self.store.clone();
        timely(self.within, attempted, path, move || work(&store))
    }
}

fn timely<T: Send + 'static>(
    within: Duration,
    attempted: &'static str,
    path: &Path,
    work: impl FnOnce() -> Result<T, JournalError> + Send + 'static,
) -> Result<T, JournalError> {
    let late = |source: io::Error| JournalError::Io { attempted, path: path.to_owned(), source };
    whole_file::within(within, move || Ok(work())).map_err(late)?
}

impl<S: JournalStore + 'static> JournalStore for Timely<S> {
    fn path(&self, host: &HostId) -> PathBuf {
        self.store.path(host)
    }

    fn hosts(&self) -> Result<Vec<Result<HostId, JournalError>>, JournalError> {
        self.ask("read", Path::new("the journal"), |store| store.hosts())
    }

    fn read(&self, host: &HostId) -> Result<Option<String>, JournalError> {
        let id = host.clone();
        self.ask("read", &self.path(host), move |store| store.read(&id))
    }

    fn try_hold(&self, host: &HostId) -> Result<Option<Box<dyn HeldEntry>>, JournalError> {
        let (id, path, within) = (host.clone(), self.path(host), self.within);
        let held = self.ask("lock", &path, move |store| store.try_hold(&id))?;
        Ok(held.map(|held| Box::new(TimelyEntry { held: Some(held), path, within }) as Box<dyn HeldEntry>))
    }

    fn is_held(&self, host: &HostId) -> bool {
        let id = host.clone();
        // Where it can't be told somebody may hold it.
        self.ask("lock", &self.path(host), move |store| Ok(store.is_held(&id))).unwrap_or(true)
    }

    fn set_aside(&self, place: &Path) -> Result<Option<PathBuf>, JournalError> {
        let path = place.to_owned();
        self.ask("rename", place, move |store| store.set_aside(&path))
    }

    fn turn(&self) -> Result<Box<dyn Any + Send>, JournalError> {
        self.store.turn()
    }
}

struct TimelyEntry {
    /// `None` once its storage did not answer: whoever waits for it there has it.
    held: Option<Box<dyn HeldEntry>>,
    path: PathBuf,
    within: Duration,
}

impl TimelyEntry {
    fn take(&mut self, attempted: &'static str) -> Result<Box<dyn HeldEntry>, JournalError> {
        let gone = || io::Error::new(io::ErrorKind::TimedOut, "it did not answer before");
        let lost = || JournalError::Io { attempted, path: self.path.clone(), source: gone() };
        self.held.take().ok_or_else(lost)
    }
}

impl fmt::Debug for TimelyEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimelyEntry").field("held", &self.held).finish_non_exhaustive()
    }
}

impl HeldEntry for TimelyEntry {
    fn write(&mut self, text: &str) -> Result<(), JournalError> {
        let (mut held, text) = (self.take("write")?, text.to_owned());
        let (held, written) = timely(self.within, "write", &self.path, move || {
            let written = held.write(&text);
            Ok((held, written))
        })?;
        self.held = Some(held);
        written
    }

    fn remove(mut self: Box<Self>) -> Result<(), JournalError> {
        let held = self.take("remove")?;
        timely(self.within, "remove", &self.path, move || held.remove())
    }

    fn set_aside(mut self: Box<Self>) -> Result<PathBuf, JournalError> {
        let held = self.take("rename")?;
        timely(self.within, "rename", &self.path, move || held.set_aside())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    };

    use super::{super::MemoryStore, *};

    /// Storage that stands still from a moment on.
    #[derive(Clone, Debug, Default)]
    struct Hanging {
        store: MemoryStore,
        stands_still: Arc<AtomicBool>,
        /// Locked by the test as long as it lasts.
        gate: Arc<Mutex<()>>,
    }

    impl Hanging {
        fn wait(&self) {
            if self.stands_still.load(Ordering::SeqCst) {
                drop(self.gate.lock().unwrap_or_else(PoisonError::into_inner));
            }
        }
    }

    impl JournalStore for Hanging {
        fn path(&self, host: &HostId) -> PathBuf {
            self.store.path(host)
        }

        fn hosts(&self) -> Result<Vec<Result<HostId, JournalError>>, JournalError> {
            self.wait();
            self.store.hosts()
        }

        fn read(&self, host: &HostId) -> Result<Option<String>, JournalError> {
            self.wait();
            self.store.read(host)
        }

        fn try_hold(&self, host: &HostId) -> Result<Option<Box<dyn HeldEntry>>, JournalError> {
            self.wait();
            let held = self.store.try_hold(host)?;
            Ok(held.map(|held| Box::new(HangingEntry { held, storage: self.clone() }) as Box<dyn HeldEntry>))
        }

        fn is_held(&self, host: &HostId) -> bool {
            self.wait();
            self.store.is_held(host)
        }

        fn set_aside(&self, place: &Path) -> Result<Option<PathBuf>, JournalError> {
            self.wait();
            self.store.set_aside(place)
        }

        fn turn(&self) -> Result<Box<dyn Any + Send>, JournalError> {
            self.store.turn()
        }
    }

    #[derive(Debug)]
    struct HangingEntry {
        held: Box<dyn HeldEntry>,
        storage: Hanging,
    }

    impl HeldEntry for HangingEntry {
        fn write(&mut self, text: &str) -> Result<(), JournalError> {
            self.storage.wait();
            self.held.write(text)
        }

        fn remove(self: Box<Self>) -> Result<(), JournalError> {
            self.storage.wait();
            self.held.remove()
        }

        fn set_aside(self: Box<Self>) -> Result<PathBuf, JournalError> {
            self.storage.wait();
            self.held.set_aside()
        }
    }

    fn is_late<T: fmt::Debug>(answer: Result<T, JournalError>) -> bool {
        matches!(answer, Err(JournalError::Io { source, .. }) if source.kind() == io::ErrorKind::TimedOut)
    }

    #[test]
    fn storage_that_stands_still_is_an_error_in_time() {
        let storage = Hanging::default();
        let store = Timely::new(storage.clone(), Duration::from_secs(60));
        let host: HostId = "a".into();
        let mut held = store.try_hold(&host).expect("it answers").expect("free");
        held.write("first").expect("written");
        assert_eq!(store.read(&host).expect("it answers").as_deref(), Some("first"));

        let gate = storage.gate.clone();
        let closed = gate.lock().expect("not poisoned");
        storage.stands_still.store(true, Ordering::SeqCst);
        let store = Timely { within: Duration::from_millis(20), ..store };
        assert!(is_late(store.read(&host)) && is_late(store.hosts()) && is_late(store.try_hold(&host)));
        assert!(is_late(store.set_aside(Path::new("a"))) && store.is_held(&host), "what can't be told is not free");
        let mut late = TimelyEntry { held: Some(held), path: "a".into(), within: Duration::from_millis(20) };
        assert!(is_late(late.write("second")));
        // It is still under way, and nothing is begun beside it.
        assert!(is_late(late.write("third")) && is_late(Box::new(late).remove()));
        drop(closed);
    }
}
