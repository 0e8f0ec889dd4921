//! Where a host is.

use std::fmt;

use serde::{Deserialize, Serialize};
use studio_discovery::{AccountId, Region};

/// A cloud, an account of it and a Region. What is in one place is not seen from any other.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// The cloud.
    pub cloud: CloudName,
    /// The account; `None` where it is not known.
    pub account: Option<AccountId>,
    /// The Region.
    pub region: Region,
}

/// Which cloud.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CloudName {
    /// Amazon Web Services.
    Aws,
    /// The sandbox of this home, on this machine.
    Sandbox,
}

impl Place {
    /// Whether calls that go to `self` could reach what is in the other place, as far as cloud and Region tell. A sandbox is all in one.
    pub fn reaches(&self, other: &Self) -> bool {
        self.cloud == other.cloud && (self.cloud == CloudName::Sandbox || self.region == other.region)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.cloud, &self.account) {
            (CloudName::Sandbox, _) => f.write_str("the sandbox"),
            (CloudName::Aws, Some(account)) => write!(f, "{} of account {account}", self.region),
            (CloudName::Aws, None) => write!(f, "{}", self.region),
        }
    }
}
