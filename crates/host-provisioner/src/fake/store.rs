//! Where an account's state is kept.

use std::{
    io,
    sync::{Mutex, PoisonError},
};

use super::State;

/// Keeps a state, and gives it to one caller at a time.
pub trait Store: Send + Sync + 'static {
    /// Calls with the state; what is changed in it is kept.
    ///
    /// # Errors
    /// The state can't be read or kept.
    fn try_with<T>(&self, change: impl FnOnce(&mut State) -> T) -> io::Result<T>;
}

/// A state in memory.
#[derive(Debug)]
pub struct Memory {
    state: Mutex<State>,
}

impl Memory {
    /// Keeps this state.
    pub fn new(state: State) -> Self {
        Self { state: Mutex::new(state) }
    }
}

impl Store for Memory {
    fn try_with<T>(&self, change: impl FnOnce(&mut State) -> T) -> io::Result<T> {
        // A test that simulates the death of a process panics while it holds nothing; the state is whole.
        Ok(change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}
