//! Images that all nodes of a Swarm have: a registry in the Swarm, on its nodes' own disks.
//!
//! One service is the registry, on the manager whose daemon has the images. On each other node a second one gets from it, over a network of the
//! Swarm, what the node's daemon asks for, and keeps it. Both are at port 5000 of their nodes, so that `localhost:5000/IMAGE` is the same on all of
//! them, those that come later included, and daemons need neither a certificate nor a setting for it (Docker documentation, "dockerd", "Insecure
//! registries": local registries are).

use std::{collections::HashMap, time::Duration};

use docker_remote::{Client, ServiceRequest, SwarmService};
use futures_util::{TryStreamExt as _, future::join_all};
use serde::Serialize;
use tokio::time::{Instant, sleep};

use super::Swarm;
use crate::{Error, Result, error::Context as _};

/// What the registry is, unless another image is named. Amazon's copy of Docker's own: Docker Hub limits how much is pulled from one address.
pub const REGISTRY_IMAGE: &str = "public.ecr.aws/docker/library/registry:2";

/// The port at which each node has it.
const PORT: u16 = 5000;
const REGISTRY: &str = "sdocker-registry";
const MIRROR: &str = "sdocker-registry-mirror";
/// The label of both that names the node of the registry.
const NODE_LABEL: &str = "sdocker.registry-node";

/// How long both may take to run, with the pull of their image.
const RUNS_WITHIN: Duration = Duration::from_secs(180);
const PAUSE: Duration = Duration::from_millis(300);

/// An image that all nodes have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SharedImage {
    /// As it is called on the manager.
    pub image: String,
    /// As it is called on all nodes.
    #[serde(rename = "shared_as")]
    pub shared: String,
    /// The hosts that have it now.
    pub hosts: Vec<String>,
}

impl Swarm<'_> {
    /// Gives images that a manager has to all nodes. Each is pulled on every node, so that none is missed only when a task needs it.
    pub(crate) async fn share_images(&self, images: &[String], registry: &str) -> Result<Vec<SharedImage>> {
        let names: Vec<Name> = images.iter().map(|image| Name::of(image)).collect::<Result<_>>()?;
        for image in images {
            if !self.manager.has_image(image).await? {
                let error = Error::new(format!("{} has no image {image}", self.manager_name()));
                return Err(error.hint("build, load or pull it there: it is a manager of the Swarm"));
            }
        }
        self.run_registry(registry).await?;
        let mut shared = Vec::new();
        for (image, name) in images.iter().zip(names) {
            let share = async {
                self.manager.tag(image, &name.repository, &name.tag).await?;
                self.share(&name).await
            };
            let nodes = |hosts: &Vec<String>| format!("{} nodes", hosts.len());
            let hosts = self.observer.stage_with(format!("giving {image} to all nodes"), share, nodes).await?;
            shared.push(SharedImage { image: image.clone(), shared: name.to_string(), hosts });
        }
        Ok(shared)
    }

    async fn share(&self, name: &Name) -> Result<Vec<String>> {
        until_it_answers(|| async {
            self.manager.push(&name.repository, &name.tag).try_for_each(|_| async { Ok(()) }).await
        })
        .await?;
        let nodes = self.manager.swarm_nodes().await?;
        let pulls = nodes.iter().filter(|node| node.state == "ready").map(|node| async move {
            let host = self.host_of(node).map_or(&node.hostname, |seen| &seen.host.name);
            let client = self.daemon_of(node).with_context(|| format!("{host} does not answer here"))?;
            until_it_answers(|| pull(client, name)).await.with_context(|| format!("{host} can't pull {name}"))?;
            Ok(host.clone())
        });
        let (mut hosts, mut failed) = (Vec::new(), None::<Error>);
        for pulled in join_all(pulls).await {
            match (pulled, failed.take()) {
                (Ok(host), before) => {
                    hosts.push(host);
                    failed = before;
                }
                (Err(error), None) => failed = Some(error),
                (Err(error), Some(before)) => failed = Some(before.also(error)),
            }
        }
        failed.map_or(Ok(hosts), Err)
    }

    /// Sees that the registry runs beside the images, and that the other nodes have a way to it.
    async fn run_registry(&self, image: &str) -> Result<()> {
        let own = self.manager.swarm_part().await?.context("the manager is in no Swarm any more")?.node;
        let services = self.manager.swarm_services().await?;
        let there = |name: &str| services.iter().find(|service| service.name == name);
        let is_here = |service: &&SwarmService| service.labels.get(NODE_LABEL) == Some(&own);
        if [REGISTRY, MIRROR].iter().any(|name| there(name).filter(is_here).is_none()) {
            // What was on a node that is no manager any more is pushed anew.
            for name in [MIRROR, REGISTRY] {
                self.manager.remove_service(name).await?;
            }
            self.manager.create_overlay(REGISTRY).await?;
            for request in [registry(image, &own), mirror(image, &own)] {
                self.create_service(&request).await?;
            }
        }
        self.observer.stage("running a registry in the Swarm", self.runs(&own)).await
    }

    /// Ports and networks of a service that was just removed are free a moment later.
    async fn create_service(&self, request: &ServiceRequest) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            match self.manager.create_service(request).await {
                Err(_) if Instant::now() < deadline => sleep(PAUSE).await,
                created => return Ok(created?),
            }
        }
    }

    /// Waits until the registry and, on each other node, its mirror run.
    async fn runs(&self, own: &str) -> Result<()> {
        let deadline = Instant::now() + RUNS_WITHIN;
        loop {
            let (nodes, tasks, services) = tokio::try_join!(
                self.manager.swarm_nodes(),
                self.manager.swarm_tasks(),
                self.manager.swarm_services()
            )?;
            let id = |name: &str| services.iter().find(|service| service.name == name).map(|service| &service.id);
            let of = |node: &str| if node == own { id(REGISTRY) } else { id(MIRROR) };
            let is_needed = |node: &&docker_remote::SwarmNode| node.state == "ready" && node.availability == "active";
            let missing: Vec<_> = nodes
                .iter()
                .filter(is_needed)
                .filter(|node| {
                    let runs = |task: &docker_remote::SwarmTask| {
                        task.node.as_ref() == Some(&node.id)
                            && Some(&task.service) == of(&node.id)
                            && task.state == "running"
                    };
                    !tasks.iter().any(runs)
                })
                .collect();
            if missing.is_empty() {
                return Ok(());
            }
            if Instant::now() >= deadline {
                let names = missing
                    .iter()
                    .map(|node| self.host_of(node).map_or(&node.hostname, |seen| &seen.host.name).as_str());
                let names = names.collect::<Vec<_>>().join(", ");
                let error = Error::new(format!("no registry runs on {names} after {} s", RUNS_WITHIN.as_secs()));
                let why = tasks.iter().rev().find_map(|task| {
                    let of_it = Some(&task.service) == id(REGISTRY) || Some(&task.service) == id(MIRROR);
                    task.error.clone().filter(|_| of_it)
                });
                let error = why.into_iter().fold(error, |error, why| error.because(Error::new(why)));
                return Err(error.hint("--registry-image names an image of a registry that the nodes can pull"));
            }
            sleep(PAUSE).await;
        }
    }

    fn manager_name(&self) -> &str {
        let is_it = |seen: &&super::Seen| {
            seen.daemon.as_ref().is_some_and(|(client, _)| client.endpoint() == self.manager.endpoint())
        };
        self.hosts.iter().find(is_it).map_or("the manager", |seen| &seen.host.name)
    }
}

fn service(name: &str, image: &str, own: &str) -> ServiceRequest {
    ServiceRequest {
        name: name.to_owned(),
        image: image.to_owned(),
        network: REGISTRY.to_owned(),
        port: PORT,
        volume: (name.to_owned(), "/var/lib/registry".to_owned()),
        // It keeps no host from being idle.
        labels: HashMap::from([
            (NODE_LABEL.to_owned(), own.to_owned()),
            ("sdocker.idle".to_owned(), "ignore".to_owned()),
        ]),
        ..ServiceRequest::default()
    }
}

fn registry(image: &str, own: &str) -> ServiceRequest {
    ServiceRequest { constraints: vec![format!("node.id=={own}")], ..service(REGISTRY, image, own) }
}

/// "Registry as a pull through cache" (distribution's documentation).
fn mirror(image: &str, own: &str) -> ServiceRequest {
    ServiceRequest {
        constraints: vec![format!("node.id!={own}")],
        everywhere: true,
        environment: vec![format!("REGISTRY_PROXY_REMOTEURL=http://{REGISTRY}:{PORT}")],
        ..service(MIRROR, image, own)
    }
}

async fn pull(client: &Client, name: &Name) -> Result<(), docker_remote::Error> {
    client.pull(&name.to_string()).try_for_each(|_| async { Ok(()) }).await
}

/// The outcome of a call to a registry, which runs a moment before it answers, and refuses in many words until then.
async fn until_it_answers<R>(mut call: impl FnMut() -> R) -> Result<(), docker_remote::Error>
where
    R: Future<Output = Result<(), docker_remote::Error>>,
{
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        match call().await {
            Err(_) if Instant::now() < deadline => sleep(PAUSE).await,
            outcome => return outcome,
        }
    }
}

/// What an image is called in the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Name {
    repository: String,
    tag: String,
}

impl Name {
    /// Without the registry that it came from.
    fn of(image: &str) -> Result<Self> {
        if image.contains('@') || image.starts_with("sha256:") {
            return Err(Error::new(format!("{image} has a digest: name the image by a tag, which nodes can ask for")));
        }
        let path = match image.split_once('/') {
            Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => rest,
            _ => image,
        };
        let (path, tag) = match path.rsplit_once(':') {
            Some((path, tag)) if !tag.contains('/') => (path, tag),
            _ => (path, "latest"),
        };
        if path.is_empty() || tag.is_empty() {
            return Err(Error::new(format!("{image:?} names no image")));
        }
        Ok(Self { repository: format!("localhost:{PORT}/{path}"), tag: tag.to_owned() })
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.repository, self.tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_keep_their_names_but_for_the_registry() {
        for (image, shared) in [
            ("sweep", "localhost:5000/sweep:latest"),
            ("ana/sweep:2", "localhost:5000/ana/sweep:2"),
            ("localhost:1/sweep", "localhost:5000/sweep:latest"),
            ("localhost:5000/sweep:3", "localhost:5000/sweep:3"),
            ("123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/sweep:a", "localhost:5000/team/sweep:a"),
        ] {
            assert_eq!(Name::of(image).expect("a name").to_string(), shared);
        }
        for wrong in ["", "sweep@sha256:00", "localhost:5000/", "sha256:0123"] {
            Name::of(wrong).expect_err(wrong);
        }
    }
}
