//! A stateful account in memory, for tests and for the sandbox: what EC2, EFS and SageMaker do with what they are told, as far as
//! provisioning can tell the difference.

mod capabilities;
mod permissions;
mod seed;
mod state;
mod store;
mod world;

pub use permissions::PERMISSIONS_OF_2022;
pub use seed::environment;
pub use state::{InstanceRecord, State, SubnetState};
pub use store::{Memory, Store};
pub use world::World;

use crate::{CloudError, CloudErrorKind};

/// An account whose state is kept in a store.
#[derive(Debug)]
pub struct Account<S = Memory> {
    store: S,
}

impl Account<Memory> {
    /// An account in this state.
    pub fn new(state: State) -> Self {
        Self::over(Memory::new(state))
    }

    /// An account with a SageMaker Studio domain in it, as [`State::studio`] describes.
    pub fn studio() -> Self {
        Self::new(State::studio())
    }
}

impl<S: Store> Account<S> {
    /// An account whose state is kept in this store.
    pub fn over(store: S) -> Self {
        Self { store }
    }

    /// Looks at the state, or changes it from outside, as other users of the account do.
    ///
    /// # Errors
    /// The state can't be read or kept; in memory it always can.
    pub fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> Result<T, CloudError> {
        self.store.try_with(change).map_err(|error| {
            CloudError::new("the account", "", CloudErrorKind::Unavailable).with_message(None, error.to_string())
        })
    }

    /// What is there now, comparable and printable.
    ///
    /// # Errors
    /// As [`with`](Self::with).
    pub fn world(&self) -> Result<World, CloudError> {
        self.with(|state| World::of(state))
    }
}

#[cfg(test)]
pub(crate) mod tests;
