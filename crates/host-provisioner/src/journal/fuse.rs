//! The death of the process at a write of the journal, for tests: right before the n-th, or right after it.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// Counts the moments before and after writes, and panics at one of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fuse {
    moments: Arc<AtomicUsize>,
    at: Option<usize>,
}

impl Fuse {
    /// Burns through at this moment, counted from 0.
    pub(crate) fn at(moment: usize) -> Self {
        Self { moments: Arc::default(), at: Some(moment) }
    }

    /// How many moments there were.
    pub(crate) fn moments(&self) -> usize {
        self.moments.load(Ordering::Relaxed)
    }

    pub(super) fn burn(&self) {
        let moment = self.moments.fetch_add(1, Ordering::Relaxed);
        assert!(Some(moment) != self.at, "{}", crate::faults::DEATH);
    }
}
