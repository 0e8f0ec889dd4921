//! Options of a host, for all commands that launch one, now or later.

use host_provisioner::{MarketChoice, OnIdle};
use sdocker::{
    Files,
    durations::{self, Timeout},
};

/// When a host ends itself, and how.
#[derive(Debug, clap::Args)]
pub(crate) struct Ends {
    /// Terminate the host after this long without use, such as 30m or 2h; or never. [default: 60m]
    #[arg(long, value_name = "DURATION", value_parser = durations::parse_or_never)]
    pub(crate) idle_timeout: Option<Timeout>,
    /// What the host does when its idle timeout or its maximum lifetime is over: terminate; or stop, which keeps its disk until you terminate the
    /// host, and costs money until then. [default: terminate]
    #[arg(long, value_enum, value_name = "WHAT")]
    pub(crate) on_idle: Option<OnIdle>,
    /// Terminate the host after this long, even if it is in use. [default: 12h]
    #[arg(long, value_name = "DURATION", value_parser = durations::parse)]
    pub(crate) max_lifetime: Option<std::time::Duration>,
}

/// Whether a host may be a Spot instance.
#[derive(Debug, clap::Args)]
pub(crate) struct Spot {
    /// Use Spot only; fail if there is no Spot capacity.
    #[arg(long, conflicts_with = "spot_or_on_demand")]
    spot: bool,
    /// Use Spot, and fall back to on-demand if there is no Spot capacity.
    #[arg(long)]
    spot_or_on_demand: bool,
}

impl Spot {
    /// The market that is asked for, if any is.
    pub(crate) fn market(&self) -> Option<MarketChoice> {
        match (self.spot, self.spot_or_on_demand) {
            (true, _) => Some(MarketChoice::Spot),
            (false, true) => Some(MarketChoice::SpotOrOnDemand),
            (false, false) => None,
        }
    }
}

/// How a host gets this app's files.
#[derive(Debug, clap::Args)]
pub(crate) struct Lends {
    /// How the host gets this app's files. By default, over EFS in Studio Classic; in a space, this app shares them, in addition to any EFS
    /// that it has mounted.
    #[arg(long, value_enum, value_name = "HOW")]
    pub(crate) files: Option<Files>,
    /// Share this folder, instead of the home without its hidden files; with `:ro`, containers can only read it. Can be repeated.
    #[arg(long = "share", value_name = "FOLDER[:ro]")]
    pub(crate) shares: Vec<String>,
}
