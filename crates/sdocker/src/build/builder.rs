//! A buildx builder over hosts: BuildKit in a container on each of them, for the platform of the host.

use std::time::Duration;

use tokio::time::timeout;

use super::{
    image::{BuiltImage, BuiltPart, ImageBuild, Way},
    joined,
    program::Docker,
};
use crate::{Error, Observer, Result};

/// What the builder is called, for `docker buildx build --builder` as well.
pub(super) const BUILDER: &str = "sdocker-hosts";

/// How long the builder of earlier hosts may take to be forgotten: one of them may be gone.
const FORGOTTEN_WITHIN: Duration = Duration::from_secs(30);

pub(super) async fn build(
    build: &ImageBuild,
    image: &str,
    ways: &[Way],
    docker: &Docker,
    observer: &dyn Observer,
) -> Result<BuiltImage> {
    if !joined::has_buildx(docker).await {
        return Err(Error::new("the Docker CLI here has no buildx")
            .hint("without --buildkit-image, the hosts' own daemons build"));
    }
    let making = format!("making the buildx builder {BUILDER}");
    observer.stage(making, make(image, ways, docker)).await?;
    let (platforms, name) =
        (ways.iter().map(|way| way.platform.to_string()).collect::<Vec<_>>().join(","), build.name.to_string());
    let mut arguments =
        vec!["buildx", "build", "--builder", BUILDER, "--platform", &platforms, "--tag", &name, "--push"];
    arguments.extend(build.options.iter().map(String::as_str));
    arguments.push(&build.context);
    let pushing = format!("building and pushing {name}");
    let built = observer.stage(pushing, docker.alone().run(&arguments, observer)).await;
    // Its containers would keep the hosts from being idle. The cache stays.
    let stopped = docker.alone().ask(&["buildx", "stop", BUILDER]).await;
    built?;
    if let Err(error) = stopped {
        observer.warn(format!("BuildKit goes on running on the hosts, which keeps them in use: {error:#}"));
        observer.hint(format!("`docker buildx stop {BUILDER}` stops it"));
    }
    let digest = joined::digest(&name, docker).await?;
    let part = |way: &Way| BuiltPart { platform: way.platform, host: way.host.name.clone(), digest: None };
    Ok(BuiltImage { name: build.name.clone(), digest, parts: ways.iter().map(part).collect() })
}

/// Makes the builder of these hosts, in place of one of others.
async fn make(image: &str, ways: &[Way], docker: &Docker) -> Result<()> {
    // There need be none.
    let forget = ["buildx", "rm", "--keep-state", "--keep-daemon", BUILDER];
    let _ = timeout(FORGOTTEN_WITHIN, docker.alone().ask(&forget)).await;
    for (position, way) in ways.iter().enumerate() {
        let node = format!("{BUILDER}-{}", way.platform.architecture());
        // buildx takes a container that is there, whatever its image is.
        let container = format!("buildx_buildkit_{node}");
        let of = docker.on(&way.host).ask(&["container", "inspect", "--format", "{{.Config.Image}}", &container]).await;
        if of.is_ok_and(|of| of.trim() != image) {
            docker.on(&way.host).ask(&["container", "rm", "--force", &container]).await?;
        }
        let (platform, option) = (way.platform.to_string(), format!("image={image}"));
        let mut create = vec!["buildx", "create", "--name", BUILDER, "--node", &node, "--driver", "docker-container"];
        create.extend(["--driver-opt", &option, "--platform", &platform]);
        if position > 0 {
            create.push("--append");
        }
        create.push(&way.host.name);
        docker.alone().ask(&create).await?;
    }
    Ok(())
}
