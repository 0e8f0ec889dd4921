//! Ports of a remote Docker host and its containers at localhost, over the daemon's own connection.
//!
//! - [`Dialer`] reaches any TCP port that the host reaches: an agent there ([`serve_agent`], in a container on the host's network, see
//!   [`host_agent`]) dials, and all connections share one stream, as HTTP/2 `CONNECT` requests.
//! - [`Listeners`] are ports of 127.0.0.1 whose connections a [`Dialer`] takes to their [`Target`].
//! - [`ContainerPorts`] watches the daemon and keeps one listener for each port that a running container publishes.
//!
//! No rule of a security group is needed for any of it, and no port is open to anybody but this machine.
//!
//! TCP only: a container that publishes a UDP port is told apart ([`PortState::Udp`]), and its port is nowhere here.
//!
//! The crate reads nothing of its surroundings.

mod container_ports;
mod dialer;
mod error;
mod listeners;
mod published;
mod relay;

pub use container_ports::{ContainerPorts, PortEvent, PortLine, PortState};
pub use dialer::{Agent, Dialer};
pub use error::Error;
pub use listeners::{Listener, Listeners};
pub use published::Target;
pub use relay::{Relay, RelayError, serve_agent};
