//! What this home's earlier creations were like: how long they took, and what they cost an hour.

use std::{path::PathBuf, time::Duration};

use host_provisioner::InstanceType;
use serde::{Deserialize, Serialize};
use whole_file::Links;

use crate::{cost::Hourly, layout::Layout, lock::lock_of};

/// Of how many creations something is kept.
const KEPT: usize = 100;

/// Of how many it is taken how long they usually take.
const RECENT: usize = 9;

/// The largest file that is read.
const MOST: u64 = 1 << 20;

/// The creations of one home.
#[derive(Debug)]
pub(crate) struct History {
    path: PathBuf,
    /// The newest last.
    creations: Vec<Created>,
}

/// A host that was created.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Created {
    /// The host's name.
    pub(crate) host: String,
    /// Its type.
    pub(crate) instance_type: InstanceType,
    /// How long it took until it was ready; `None` where it was not waited for.
    pub(crate) ready_after_seconds: Option<u64>,
    /// What it costs an hour; `None` where that was not known.
    pub(crate) hourly: Option<Hourly>,
}

impl History {
    /// What is kept; nothing, where it can't be read.
    pub(crate) fn read(layout: &Layout) -> Self {
        let path = layout.history();
        let text = whole_file::read_text(&path, MOST, Links::Follow).unwrap_or_default();
        Self { path, creations: serde_json::from_str(&text).unwrap_or_default() }
    }

    /// How long a host of this type usually takes: the middle of the newest creations of it, else of any type.
    pub(crate) fn usually(&self, instance_type: &InstanceType) -> Option<Duration> {
        let middle = |of_type: bool| {
            let those = self.creations.iter().rev().filter(|one| !of_type || one.instance_type == *instance_type);
            let mut seconds: Vec<u64> = those.filter_map(|one| one.ready_after_seconds).take(RECENT).collect();
            seconds.sort_unstable();
            seconds.get(seconds.len() / 2).copied()
        };
        middle(true).or_else(|| middle(false)).map(Duration::from_secs)
    }

    /// What a host costs an hour, as it was known when it was created.
    pub(crate) fn hourly(&self, host: &str) -> Option<Hourly> {
        self.creations.iter().rev().find(|one| one.host == host)?.hourly
    }

    /// Adds a creation. A host works without it.
    pub(crate) fn add(layout: &Layout, created: Created) {
        let add = || {
            let _lock = lock_of(&layout.history())?;
            let Self { path, mut creations } = Self::read(layout);
            creations.retain(|one| one.host != created.host);
            creations.push(created);
            let old = creations.len().saturating_sub(KEPT);
            whole_file::replace(&path, &serde_json::to_vec_pretty(&creations[old..])?, 0o600)
        };
        if let Err(error) = add() {
            tracing::warn!("the creation can't be kept in {}: {error}", layout.history().display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Surroundings;

    #[test]
    fn the_newest_creations_of_a_type_tell_how_long_another_takes() {
        let home = tempfile::tempdir().expect("made");
        let layout = Layout::new(&Surroundings::new(home.path()));
        let add = |number: u64, kind: &str, seconds: Option<u64>| {
            let market = host_provisioner::Market::OnDemand;
            let hourly = Some(Hourly { market, instance: 0.2, instance_at_most: 0.2, volume: 0.05 });
            let host = format!("{kind}_i-{number}");
            History::add(&layout, Created { host, instance_type: kind.into(), ready_after_seconds: seconds, hourly });
        };
        let usually = |kind: &str| History::read(&layout).usually(&kind.into()).map(|duration| duration.as_secs());
        assert_eq!(usually("c5.xlarge"), None);
        for number in 0..300 {
            add(number, "c5.xlarge", Some(1000 - number));
        }
        assert_eq!(History::read(&layout).creations.len(), KEPT);
        assert_eq!((usually("c5.xlarge"), usually("g5.xlarge")), (Some(705), Some(705)));
        add(300, "g5.xlarge", Some(300));
        add(301, "g5.xlarge", None);
        assert_eq!(usually("g5.xlarge"), Some(300));
        assert!(History::read(&layout).hourly("g5.xlarge_i-301").is_some());
        assert_eq!(History::read(&layout).hourly("g5.xlarge_i-0"), None);
    }
}
