//! What keeps an app and a remote Docker host together, while both last: shared folders and ports.
//!
//! - [`Link::serve`] serves the folders ([`host_files`]) and the ports of containers ([`host_ports`]) until it is stopped, and tells
//!   its [`LinkState`] at each change.
//! - [`Service`] is the process that does so in the background: at most one holds its lock, it keeps its state where others read it, and it
//!   can be started, asked for and stopped by any of them.
//!
//! The crate reads nothing of its surroundings: folders, commands and the program are arguments.

mod link;
mod service;
mod state;

pub use link::Link;
pub use service::{Claim, Service, ServiceError};
pub use state::{FolderLine, FolderState, LinkState, PortLine};
