//! What a host holds that is nowhere else, and goes with it.
//!
//! It is looked at after a request that may have changed it, and at no other time: a host that is asked again and again is never idle.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::Notify;

use crate::Hidden;

/// How long after a change it is looked.
pub(crate) const LOOKS_AFTER: Duration = Duration::from_secs(1);

/// What is lost when a host ends.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Holdings {
    /// The host.
    pub host: String,
    /// The names of containers.
    pub containers: Vec<String>,
    /// The names of images that came from no registry.
    pub images: Vec<String>,
    /// The names of volumes.
    pub volumes: Vec<String>,
}

/// What was last seen, and whether it has to be looked again.
#[derive(Default)]
pub(crate) struct Stock {
    seen: Mutex<Option<Holdings>>,
    changed: Notify,
}

impl Stock {
    /// Something may be another way by now.
    pub(crate) fn has_changed(&self) {
        self.changed.notify_one();
    }

    /// Comes to its end some time after something has changed.
    pub(crate) async fn is_due(&self) {
        self.changed.notified().await;
        tokio::time::sleep(LOOKS_AFTER).await;
    }

    pub(crate) fn seen(&self) -> Option<Holdings> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn see(&self, holdings: Holdings) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(holdings);
    }
}

/// How many of each kind are named.
const NAMED: usize = 5;

/// `containers a, b; volume c`.
impl fmt::Display for Holdings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = [("container", &self.containers), ("image", &self.images), ("volume", &self.volumes)];
        let mut between = "";
        for (kind, names) in kinds.into_iter().filter(|(_, names)| !names.is_empty()) {
            let named = names.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
            let plural = if names.len() == 1 { "" } else { "s" };
            write!(f, "{between}{kind}{plural} {named}")?;
            if names.len() > NAMED {
                write!(f, " and {} more", names.len() - NAMED)?;
            }
            between = "; ";
        }
        Ok(())
    }
}

impl Holdings {
    /// What a host holds by its lists of containers, images and volumes.
    pub(crate) fn of(host: &Arc<str>, mut lists: [Value; 3], hidden: &Hidden) -> Self {
        use crate::route::{List, Route};
        hidden.hide(&Route::List(List::Containers), &mut lists[0]);
        hidden.hide(&Route::List(List::Images), &mut lists[1]);
        let [containers, images, volumes] = &lists;
        let texts = |value: &Value| -> Vec<String> {
            value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let each = |list: &Value, key: &str| -> Vec<Value> {
            list.as_array().into_iter().flatten().map(|item| item[key].clone()).collect()
        };
        let first = |names: Vec<String>| names.into_iter().next();
        let containers = each(containers, "Names").into_iter().filter_map(|names| first(texts(&names)));
        let local = images.as_array().into_iter().flatten().filter(|image| texts(&image["RepoDigests"]).is_empty());
        let images = local.flat_map(|image| texts(&image["RepoTags"])).filter(|tag| !tag.starts_with("<none>"));
        let volumes = each(&volumes["Volumes"], "Name");
        Self {
            host: host.to_string(),
            containers: containers.map(|name| name.trim_start_matches('/').to_owned()).collect(),
            images: images.collect(),
            volumes: volumes.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        }
    }

    /// Whether nothing is lost.
    pub fn is_empty(&self) -> bool {
        self.containers.is_empty() && self.images.is_empty() && self.volumes.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_nowhere_else_is_what_no_registry_has() {
        let hidden = Hidden { label: "agent".to_owned(), images: vec!["agents".to_owned()] };
        let containers = json!([{"Names": ["/web"]}, {"Names": ["/files"], "Labels": {"agent": "files"}}]);
        let images = json!([
            {"RepoTags": ["built:1", "built:2"], "RepoDigests": []},
            {"RepoTags": ["pulled:1"], "RepoDigests": ["pulled@sha256:0"]},
            {"RepoTags": ["agents:1"], "RepoDigests": null},
            {"RepoTags": ["<none>:<none>"], "RepoDigests": null}
        ]);
        let volumes = json!({"Volumes": [{"Name": "data"}]});
        let holdings = Holdings::of(&"host".into(), [containers, images, volumes], &hidden);
        let expected = Holdings {
            host: "host".to_owned(),
            containers: vec!["web".to_owned()],
            images: vec!["built:1".to_owned(), "built:2".to_owned()],
            volumes: vec!["data".to_owned()],
        };
        assert_eq!(holdings, expected);
        let nothing = Holdings::of(&"host".into(), [json!([]), json!(null), json!({"Volumes": null})], &hidden);
        assert!(nothing.is_empty() && !holdings.is_empty());
    }
}
