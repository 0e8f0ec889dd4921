//! What still runs on hosts that are to be ended.

use std::{collections::HashMap, time::Duration};

use docker_remote::Client;
use futures_util::future::join_all;
use host_agent::LABEL;

use super::{Kind, Target};
use crate::{client_files::HostFiles, lookup::Lookup};

/// How long a host may take to say what runs on it.
const SAYS_WITHIN: Duration = Duration::from_secs(5);

/// A host that is in use.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InUse {
    /// The host's name.
    pub host: String,
    /// The names of the containers that run on it, sdocker's own excepted.
    pub containers: Vec<String>,
}

/// Those of the targets on which containers run, as far as they say so soon. Of one that does not answer nothing is known.
///
/// # Cancel safety
/// It only asks, and can be dropped at any time.
pub async fn in_use(targets: &[Target], lookup: &Lookup) -> Vec<InUse> {
    let files = HostFiles::new(lookup);
    let hosts = targets.iter().filter_map(|target| match &target.0 {
        Kind::Known(host) => Some(host),
        _ => None,
    });
    let asked = hosts.map(|host| async {
        let says = async { running(&files.client(&host.entry()).await.ok()?).await };
        let containers = tokio::time::timeout(SAYS_WITHIN, says).await.ok().flatten()?;
        (!containers.is_empty()).then(|| InUse { host: host.name.clone(), containers })
    });
    join_all(asked).await.into_iter().flatten().collect()
}

/// The names of the containers that run on a host, sdocker's own excepted; `None` where it does not say.
///
/// # Cancel safety
/// It only asks, and can be dropped at any time.
pub(crate) async fn running(client: &Client) -> Option<Vec<String>> {
    let running = client.containers(false).await.ok()?;
    let own =
        |labels: &Option<HashMap<String, String>>| labels.as_ref().is_some_and(|labels| labels.contains_key(LABEL));
    let others = running.into_iter().filter(|container| !own(&container.labels));
    let name = |names: Option<Vec<String>>, id: Option<String>| {
        let name = names.and_then(|names| Some(names.first()?.trim_start_matches('/').to_owned()));
        name.or(id).unwrap_or_default()
    };
    Some(others.map(|container| name(container.names, container.id)).collect())
}
