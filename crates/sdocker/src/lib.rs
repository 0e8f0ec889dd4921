//! A real Docker host for SageMaker Studio: the whole job as a library, from what Studio is this to a Docker client that answers.
#![expect(missing_docs, reason = "modules that the binary still reaches into")]

pub mod advice;
pub mod client_files;
pub mod clouds;
pub mod config;
pub mod creation;
pub mod detours;
pub mod docker_cli;
pub mod doctor;
pub mod durations;
pub mod ecr;
mod error;
pub mod home;
pub mod hosts_conf;
pub mod layout;
pub mod lifecycle_config;
pub mod local_mode;
pub mod lookup;
mod observer;
pub mod permission;
pub mod places;
pub mod policy;
pub mod progress;
pub mod readiness;
pub mod recovery;
pub mod request;
pub mod session;
pub mod setup;
pub mod status;
mod stop;
mod studio;
mod surroundings;
pub mod termination;
pub mod writable;

pub use advice::{hints, leaves, remains, undone};
pub use error::{Error, Result};
pub use home::{Home, Used};
pub use observer::{Notice, Observer, Unobserved};
pub use request::HostRequest;
pub use stop::{Fate, Stop};
pub use studio::{Host, Studio};
pub use surroundings::{Aws, CloudChoice, Surroundings};
