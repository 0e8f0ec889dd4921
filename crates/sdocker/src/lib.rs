//! A real Docker host for SageMaker Studio: the whole job as a library, from what Studio is this to a Docker client that answers.
//!
//! ```no_run
//! # async fn f() -> Result<(), Box<dyn std::error::Error>> {
//! use sdocker::{Aws, HostRequest, Studio, Surroundings, Unobserved};
//!
//! let studio = Studio::discover(Surroundings::new("/home/sagemaker-user"), Aws::SdkChain).await?;
//! let host = studio.create_host(HostRequest::new("c5.xlarge"), &Unobserved).await?;
//! host.docker().ping().await?;
//! host.terminate().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Guarantees
//! - Nothing is printed, and nothing is read from the environment or the working directory: what is taken from there is in [`Surroundings`].
//!   The AWS SDK reads its own variables and files, where [`Aws::SdkChain`] asks it to.
//! - Every change that costs money or that others see is on record before it is made. A creation that fails or is stopped is undone before
//!   its function returns; one whose process died is settled by [`Home::recover`].
//! - An [`Error`] says what failed and why; [`hints`] says what to do, and [`remains`] what may be left.
//!
//! # Cancel safety
//! Futures that only read can be dropped at any time. Those that change something in the cloud are not to be dropped, but stopped, by a
//! [`Stop`]; each function says which it is.

mod account;
mod advice;
pub mod build;
mod checksum;
pub mod client_files;
pub mod clients;
mod clouds;
mod compose;
pub mod config;
pub mod copy;
pub mod cost;
pub mod creation;
pub mod detours;
pub mod disk;
pub mod docker_cli;
pub mod doctor;
pub mod durations;
pub mod ecr;
mod error;
mod forgetting;
pub mod forward;
pub mod hangup;
mod history;
mod home;
mod hooks;
mod hosts_conf;
mod keep;
mod layout;
pub mod lifecycle_config;
pub mod link;
pub mod list;
pub mod local_mode;
mod lock;
mod logs;
pub mod lookup;
mod observer;
pub mod on_demand;
mod others;
pub mod permission;
mod places;
pub mod policy;
mod progress;
mod readiness;
pub mod recovery;
mod request;
mod selector;
mod session;
pub mod setup;
mod socket;
#[cfg(test)]
mod stand_in;
mod starting;
pub mod status;
mod stop;
mod storage;
mod studio;
mod surroundings;
pub mod swarm;
pub mod termination;
mod writable;

pub use advice::{hints, leaves, remains, undone};
pub use creation::Count;
pub use error::{Error, Result};
pub use forgetting::Forgotten;
pub use home::{Home, Used};
pub use hosts_conf::ActiveHost;
pub use logs::{HostLog, LogText};
#[cfg(feature = "mock")]
pub use observer::MockObserver;
pub use observer::{Notice, Observer, Unobserved};
pub use request::{Files, HostRequest};
pub use selector::{HostSelector, NotAHost};
pub use stop::{Fate, Stop};
pub use studio::{Host, Studio};
pub use surroundings::{Aws, CloudChoice, Surroundings};

/// The examples of the README are tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
