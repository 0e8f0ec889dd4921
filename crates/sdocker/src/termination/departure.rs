//! Nodes that are to be ended leave their Swarm first, where it goes on without them.

use std::time::Duration;

use futures_util::future::join_all;

use super::{Kind, Target};
use crate::{
    Error, HostSelector, Observer, Surroundings,
    client_files::HostFiles,
    lookup::Lookup,
    swarm::{self, Swarm},
};

/// How long the tasks of one host may take to stop.
const MOVED_WITHIN: Duration = Duration::from_secs(60);

/// Takes those of the hosts out of their Swarm that are in one: their tasks go on elsewhere, and a manager hands on what it is. What keeps that from
/// being done is said, and keeps no host from being ended. Where all nodes are to be ended there is nobody to go on.
///
/// # Cancel safety
/// It can be dropped at any time; a host may be out of the Swarm then, or be given no tasks.
pub(super) async fn leave_swarms(
    targets: &[Target],
    surroundings: &Surroundings,
    lookup: &Lookup,
    observer: &dyn Observer,
) {
    let files = &HostFiles::new(lookup);
    let known = targets.iter().filter_map(|target| match &target.0 {
        Kind::Known(host) => Some(&**host),
        _ => None,
    });
    let asked = known.map(|host| async move { Some((host, swarm::node_of(host, files).await?)) });
    let members: Vec<_> = join_all(asked).await.into_iter().flatten().collect();
    if members.is_empty() {
        return;
    }
    let gives_none = async {
        let swarm = Swarm::find(surroundings, observer).await?;
        let is_left = |id: &String| members.iter().all(|(_, member)| member != id);
        let goes_on = swarm.nodes().await?.iter().any(|node| node.state == "ready" && is_left(&node.id));
        if goes_on {
            // Their tasks are not to move to one another.
            for (_, node) in &members {
                swarm.drain_first(node).await?;
            }
        }
        Ok::<bool, Error>(goes_on)
    };
    match gives_none.await {
        Ok(true) => {}
        Ok(false) => return,
        Err(error) => {
            let names: Vec<&str> = members.iter().map(|(host, _)| host.name.as_str()).collect();
            let what = format!("{}: ended as nodes of a Swarm, whose tasks are not moved first", names.join(", "));
            return observer.warn(format!("{what}: {error:#}"));
        }
    }
    for (host, _) in &members {
        // Whom the last one asked may be no manager any more.
        let left = async {
            let swarm = Swarm::find(surroundings, observer).await?;
            swarm.remove(&HostSelector::from(host.instance.clone()), MOVED_WITHIN).await
        };
        if let Err(error) = left.await {
            observer.warn(format!(
                "{}: ended as a node of a Swarm, whose tasks did not all move first: {error:#}",
                host.name
            ));
        }
    }
}
