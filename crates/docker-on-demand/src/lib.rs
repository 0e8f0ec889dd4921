//! A local Docker socket in front of a remote host that need not exist yet.
//!
//! [`Proxy::serve`] speaks Docker's API on a Unix socket. What needs a host launches one, through [`Hosts`]; what only asks is answered
//! without. Once there is a host, requests go to its daemon as they are, byte for byte, each of a kept connection looked at anew.
//!
//! # Guarantees
//! - At most one launch goes on at a time, whoever asks. After one that failed, requests get its error for a minute, then for twice as long,
//!   and there are only so many in an hour. Both outlive the process ([`Hosts::remember`]).
//! - A host of which it can't be told whether it has ended is never replaced ([`Found::Doubtful`]).
//! - The API's oldest and newest versions are those of [`Engine`], with a host and without.
//! - Nothing is read from the environment: the socket, the limits and the host are arguments.

mod absent;
mod answer;
mod binds;
mod body;
mod engine;
mod events;
mod head;
mod hidden;
mod history;
mod holdings;
mod hosts;
mod launches;
mod narration;
mod pool;
mod proxy;
mod relay;
mod route;
mod wire;

pub use engine::{ApiVersion, Engine};
pub use history::{Failure, History};
pub use holdings::Holdings;
pub use hosts::{Claim, Connection, Found, Hosts, Stream, Tell};
pub use launches::Limits;
pub use proxy::{Hidden, Proxy, Settings, Status};
