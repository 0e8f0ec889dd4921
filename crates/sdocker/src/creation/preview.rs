//! What a creation would do, as programs read it.

use std::collections::BTreeMap;

use host_provisioner::{HostPlan, PlannedCall};
use jiff::Timestamp;
use serde::{Serialize, Serializer};

use super::Count;
use crate::cost::{Cost, Hourly};

/// What a creation would do, as `create-host --dry-run --output json` prints it.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Preview {
    /// The plan of a host, or of each of several.
    pub plan: HostPlan,
    /// The calls that create it.
    pub calls: Vec<PlannedCall>,
    /// What it would cost; `None` where that is not known.
    pub cost: Option<Cost>,
    /// What is not as it should be, and does not keep a host from coming up.
    pub warnings: Vec<String>,
    /// Where its settings come from.
    pub settings: Settings,
    /// How many hosts, where several are wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<Count>,
}

/// Where the settings of a plan come from: what is in neither has its default. Its JSON has each key with its source, as `config list` names it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// The keys that `sdocker.conf` gives a value.
    pub given: Vec<&'static str>,
    /// The keys whose value is that of an option, whatever the file says.
    pub options: Vec<&'static str>,
}

impl Preview {
    /// Of a plan.
    pub fn new(plan: HostPlan, count: Option<Count>, hourly: Option<Hourly>, settings: Settings) -> Self {
        let now = Timestamp::now();
        Self {
            calls: plan.calls(),
            cost: hourly.map(|hourly| hourly.cost(now, plan.expires, now)),
            warnings: plan.warnings.iter().map(ToString::to_string).collect(),
            settings,
            count,
            plan,
        }
    }
}

impl Serialize for Settings {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let of_file = self.given.iter().map(|key| (*key, "sdocker.conf"));
        let sources: BTreeMap<_, _> = of_file.chain(self.options.iter().map(|key| (*key, "option"))).collect();
        sources.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_says_where_its_settings_come_from() {
        let settings =
            Settings { given: vec!["Engine", "MaxLifetime", "Tags"], options: vec!["InstanceType", "MaxLifetime"] };
        assert_eq!(
            serde_json::json!(settings),
            serde_json::json!({"Engine": "sdocker.conf", "InstanceType": "option", "MaxLifetime": "option", "Tags": "sdocker.conf"})
        );
    }
}
