//! Folders of one machine, live on another: an unprivileged FUSE server over any byte stream.
//!
//! # How it works
//!
//! The kernel of the machine that wants the files speaks FUSE: messages with a length, a number and an answer each. They need not
//! go to a process of that machine: an agent there passes them on over whatever stream it has, and a [`Server`] answers them here,
//! with nothing but the rights of its own user.
//!
//! - [`Server`] answers messages, [`Server::serve`] takes them from a stream. A stream may break at any byte: the agent repeats what
//!   was not answered on the next one, and what was done before is answered again, not done again.
//! - Known files are remembered as a folder and a name, not as descriptors. Each operation opens its file anew with
//!   `openat2(RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS)` and checks that it is still the same file; so any number
//!   of files can be known, and whatever the other side says, nothing outside the shared folder can be opened. Open files keep
//!   their descriptor, and so outlive their names.
//! - Files belong to the user of the server. The owners and modes that the other side sets are remembered apart and shown to it,
//!   for as long as the server lives.
//!
//! - Folders of which the other side was told are watched (inotify(7)), and it is told of each change that it did not make itself; so it may
//!   keep what it knows for long. Where changes are not noticed, in network file systems and past the system's limits, it keeps it for a second.
//!
//! - [`run_agent`] is the other side: it mounts FUSE on the machine that wants the files, and passes messages between the kernel and
//!   whatever stream [`relay`] hands to it. It keeps each request until it was answered.
//!
//! # Trust
//!
//! The other side has what the share has: every file below the folder, with the rights of the user, read-only where the share is.
//! It has nothing else, whatever it sends: see `server/tests/hostile.rs`.
//!
//! # Why messages of its own
//!
//! `fuse-backend-rs` brings a passthrough file system, which keeps a descriptor for each known file (an app has 1,024) and changes the
//! umask of its process; its message layer draws in `vm-memory`. `fuser` keeps its message layer to itself and asks for a device,
//! or a socket that keeps messages apart.
//! What is left is some thirty `struct`s of the kernel's header, which `zerocopy` reads without unsafe code.
//!
//! The crate reads no environment variable, home or working directory, and knows nothing of Docker.

mod agent;
mod connection;
mod handles;
mod message;
mod nodes;
mod own;
mod owners;
mod replies;
mod server;
mod tree;
mod watches;

pub use agent::{AgentError, AgentSettings, MountPoint, relay, relay_stream, run_agent};
pub use connection::{Hello, LostConnection, PING, PONG};
pub use message::{MAX_MESSAGE, MAX_WRITE};
pub use server::{Server, ShareError, ShareSettings};

/// The examples of the README are tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
