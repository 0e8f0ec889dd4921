//! The option by which a command is told which host it is about.

use clap_complete::engine::ArgValueCompleter;
use sdocker::HostSelector;

use crate::completion;

/// Which host it is.
#[derive(Debug, clap::Args)]
pub(crate) struct OneHost {
    /// The host, instead of the current one: its name, its instance id, or the beginning of either.
    #[arg(value_name = "HOST", add = ArgValueCompleter::new(completion::hosts))]
    host: Option<HostSelector>,
    /// The same as HOST, for compatibility with sdocker 2022.
    #[arg(long, value_name = "ID", conflicts_with = "host", add = ArgValueCompleter::new(completion::hosts))]
    instance_id: Option<HostSelector>,
}

impl OneHost {
    /// The host that is meant; `None`: the current one.
    pub(crate) fn selector(&self) -> Option<&HostSelector> {
        self.host.as_ref().or(self.instance_id.as_ref())
    }
}
