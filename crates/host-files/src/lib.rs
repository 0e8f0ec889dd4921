//! Folders of this machine at the same paths on a remote Docker host, over the daemon's own connection.
//!
//! # How it works
//!
//! [`Sharing::serve`] puts this very program on the host, as an image that is made of its file and its libraries; runs it there as an
//! agent, in a container that may mount ([`file_share::run_agent`]); and answers what comes back over `docker exec`
//! ([`file_share::Server`]). No port is opened, nothing is installed on the host, and nothing runs here as root. Where a port of the host is
//! reached ([`Sharing::port`]), files go there instead ([`host_agent::direct`]).
//!
//! Each connection is an exec of its own, and so each can be replaced: a cut is not seen in containers. Where the agent's container
//! went away, another is started.
//!
//! The crate reads nothing of its surroundings but, in [`Program::running`], the file and the libraries of its own process.

mod agent;
mod error;
mod sharing;

pub use error::Error;
pub use host_agent::Program;
pub use sharing::{Event, Share, Sharing};
