//! The SageMaker Python SDK's Local Mode: the files, folders and Docker settings that it expects.
//!
//! Local Mode writes its data into a temporary folder and gives containers that folder as a bind mount, by the path that the client
//! knows. On a remote host this works when the folder lies on storage that the host has mounted at the same path. This crate makes
//! such a folder, names it in `~/.sagemaker/config.yaml`, and judges what else the SDK looks at.
//!
//! Nothing of the user's is lost: what is in the way is renamed, never copied or removed, and given back as it was; a configuration
//! that can't be edited for sure is left, with the lines to add.
//!
//! The crate reads no environment variable, home or current directory: everything is an argument.

mod aside;
mod compose;
mod config_yaml;
mod docker_host;
mod error;
mod plan;
mod tools;
mod undo;
mod visibility;

pub use compose::{ComposeVerdict, Sdk, Version, compose_accepted};
pub use docker_host::{DockerHostCheck, SdkHost, check_docker_host, sdk_host};
pub use error::Error;
pub use plan::{Action, Applied, Left, Plan, Request, SharedFolder, apply, plan};
pub use tools::{Missing, OLDEST_SDK, Tools};
pub use undo::{Undone, undo};
pub use visibility::{not_visible, visible_on_host};

/// The examples of the README are tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
