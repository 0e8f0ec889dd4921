//! What was asked for, remembered until it is taken back: an app that is started again has its socket again.

use std::{fs, io, path::PathBuf};

use host_provisioner::{InstanceType, MarketChoice, OnIdle};
use serde::{Deserialize, Serialize};
use whole_file::Links;

use super::engine::Facts;
use crate::{Error, Files, HostRequest, Surroundings, durations, error::Context as _, socket};

/// The hosts that are to be launched on demand. What is not said is as `sdocker.conf` says, else by default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Wish {
    /// The EC2 instance type.
    pub instance_type: String,
    /// After how long without use a host ends itself, such as `30m`, or `never`.
    pub idle_timeout: Option<String>,
    /// What its end by itself is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_idle: Option<OnIdle>,
    /// After how long it ends itself in any case.
    pub max_lifetime: Option<String>,
    /// On demand, or Spot.
    pub market: Option<MarketChoice>,
    /// How a host gets the app's files.
    pub files: Option<Files>,
    /// The folders that the app lends.
    pub shares: Vec<String>,
}

impl Wish {
    /// The request of one host.
    pub(crate) fn request(&self) -> crate::Result<HostRequest> {
        let instance_type: InstanceType =
            self.instance_type.parse().with_context(|| format!("{} is no instance type", self.instance_type))?;
        let mut request = HostRequest::new(instance_type);
        request.idle_timeout =
            self.idle_timeout.as_deref().map(durations::parse_or_never).transpose().map_err(Error::new)?;
        request.max_lifetime = self.max_lifetime.as_deref().map(durations::parse).transpose().map_err(Error::new)?;
        request.on_idle = self.on_idle;
        request.market = self.market;
        request.files = self.files;
        request.shares.clone_from(&self.shares);
        Ok(request)
    }
}

/// A wish, and what was found out of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Wanted {
    pub(super) wish: Wish,
    /// The context that was current before.
    pub(super) previous_context: Option<String>,
    /// What a host would be.
    pub(super) engine: Facts,
    /// What of the app's files a host mounts.
    pub(super) shared: Vec<PathBuf>,
}

impl Wanted {
    /// What is wanted; `None` where nothing is.
    pub(super) fn read(surroundings: &Surroundings) -> crate::Result<Option<Self>> {
        let file = socket::wanted(surroundings);
        match whole_file::read(&file, 1 << 20, Links::Refuse) {
            Ok(text) => {
                let wanted = serde_json::from_slice(&text);
                wanted.map(Some).with_context(|| format!("{} is broken", file.display()))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::new(format!("cannot read {}", file.display())).because(error)),
        }
    }

    pub(super) fn write(&self, surroundings: &Surroundings) -> crate::Result<()> {
        let file = socket::wanted(surroundings);
        let text = serde_json::to_vec_pretty(self)?;
        whole_file::replace(&file, &text, 0o600).with_context(|| format!("cannot write {}", file.display()))
    }

    pub(super) fn remove(surroundings: &Surroundings) -> crate::Result<()> {
        let file = socket::wanted(surroundings);
        match fs::remove_file(&file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Error::new(format!("cannot remove {}", file.display())).because(error))
            }
            _ => Ok(()),
        }
    }
}
