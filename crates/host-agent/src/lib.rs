//! This very program in a container of a remote Docker host, and streams to it over the daemon's own connection.
//!
//! What a tool wants to do on a host that only Docker reaches, it can do there itself: [`ensure_image`] makes an image of the running
//! program and its libraries, [`exec`] and [`attach`] give a stream to a process of it. No registry is asked, nothing is installed on the
//! host, and no port is opened. Where the host has a port for it, [`direct`] gives a faster stream.
//!
//! Every container of an agent has the label [`LABEL`], by which a host knows that it is no use of it.
//!
//! The crate reads nothing of its surroundings but, in [`Program::running`], the file and the libraries of its own process.

pub mod direct;
mod error;
mod image;
mod program;
mod stream;

pub use error::{Error, daemon};
pub use image::{IMAGE, ensure_image};
pub use program::Program;
pub use stream::{Reader, Writer, attach, exec};

/// The label of agents' containers; its value says what for.
pub const LABEL: &str = "sdocker.agent";
