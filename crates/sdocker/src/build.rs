//! One image for several architectures: built on a host of each, and joined to one manifest list in a registry.
//!
//! The Docker CLI of this machine does it, so that a Dockerfile means what it means to `docker build`, and a registry is logged in to as for `docker
//! push`. Without a buildx builder, each host's own daemon builds and pushes the image of its architecture, as `NAME:TAG-ARCHITECTURE`; then the
//! list is put beside them. With one ([`ImageBuild::buildkit_image`]), BuildKit does all of that from a container on each host.

mod builder;
mod image;
mod joined;
mod program;

use futures_util::future::try_join_all;
use host_provisioner::RecordState;
use tokio_util::sync::CancellationToken;

pub use image::{BuiltImage, BuiltPart, ImageBuild, ImageName, Platform};

use crate::{
    Error, Observer, Result, Surroundings,
    error::Context as _,
    lookup::{KnownHost, Lookup},
    observer::Labelled,
};
use image::Way;
use program::Docker;

pub(crate) async fn build(
    build: &ImageBuild,
    surroundings: &Surroundings,
    observer: &dyn Observer,
    stop: &CancellationToken,
) -> Result<BuiltImage> {
    if build.context == "-" {
        return Err(Error::new("each host reads the folder that it builds from: standard input can be read only once"));
    }
    let ways = ways(&build.platforms, &Lookup::new(surroundings).hosts_aside().await?)?;
    let docker = Docker::find(surroundings, &ways)?;
    let built = async {
        match &build.buildkit_image {
            Some(image) => builder::build(build, image, &ways, &docker, observer).await,
            None => on_each(build, &ways, &docker, observer).await,
        }
    };
    let built = stop.run_until_cancelled(built).await;
    built.unwrap_or_else(|| Err(Error::new("the build was stopped; what was built and pushed by then is there")))
}

/// A host for each platform: the current one first.
fn ways(platforms: &[Platform], hosts: &[KnownHost]) -> Result<Vec<Way>> {
    let is_ready = |host: &&KnownHost| host.record.as_ref().is_none_or(|record| record.state == RecordState::Ready);
    let mut ways = Vec::<Way>::new();
    let mut missing = None::<Error>;
    for (position, platform) in platforms.iter().enumerate() {
        if platforms[..position].contains(platform) {
            continue;
        }
        match hosts.iter().filter(is_ready).find(|host| platform.runs_on(host)) {
            Some(host) => ways.push(Way { platform: *platform, host: host.clone() }),
            None => {
                let error = missing.take();
                let error = error.unwrap_or_else(|| Error::new(format!("this home has no host for {platform}")));
                let how = format!("`sdocker create-host {}` creates a host for {platform}", platform.example());
                missing = Some(error.hint(how));
            }
        }
    }
    missing.map_or(Ok(ways), Err)
}

/// Each host builds and pushes the image of its architecture; then the list is put beside them.
async fn on_each(build: &ImageBuild, ways: &[Way], docker: &Docker, observer: &dyn Observer) -> Result<BuiltImage> {
    let images = ways.iter().map(|way| async move {
        let label = format!("{} on {}", way.platform, way.host.name);
        let observer: &dyn Observer = &Labelled { observer, label: &label };
        let name = build.name.of(way.platform);
        let platform = way.platform.to_string();
        let mut arguments = vec!["build", "--platform", &platform, "--tag", &name];
        arguments.extend(build.options.iter().map(String::as_str));
        arguments.push(&build.context);
        let built = observer.stage("building", docker.on(&way.host).run(&arguments, observer)).await;
        built.with_context(|| format!("the image for {label} can't be built"))?;
        let pushing = format!("pushing {name}");
        let said = observer.stage(pushing, docker.on(&way.host).run(&["push", &name], observer)).await;
        let said = said.with_context(|| format!("the image for {label} can't be pushed"))?;
        let digest = pushed_digest(&said).ok_or_else(|| Error::new(format!("docker printed no digest of {name}")))?;
        Ok::<_, Error>(BuiltPart { platform: way.platform, host: way.host.name.clone(), digest: Some(digest) })
    });
    let parts = try_join_all(images).await?;
    let join = joined::join(&build.name, &parts, docker);
    let digest = observer.stage(format!("joining them as {}", build.name), join).await?;
    Ok(BuiltImage { name: build.name.clone(), digest, parts })
}

/// The digest in the last line of `docker push` (docker/cli, `cli/command/image/push.go`): `TAG: digest: sha256:... size: N`.
fn pushed_digest(said: &str) -> Option<String> {
    let (_, after) = said.rsplit_once(" digest: ")?;
    let digest = after.split_whitespace().next()?;
    digest.starts_with("sha256:").then(|| digest.to_owned())
}

#[cfg(test)]
mod tests {
    use host_provisioner::InstanceId;

    use super::*;

    #[test]
    fn the_digest_is_the_last_that_a_push_tells() {
        let said = "The push refers to repository [localhost:5000/a]\n5f70bf18a086: Pushed\n1-arm64: digest: sha256:ab12 size: 525\n";
        assert_eq!(pushed_digest(said).as_deref(), Some("sha256:ab12"));
        assert_eq!(pushed_digest("localhost:5000/a\n"), None);
    }

    fn host(name: &str, current: bool) -> KnownHost {
        let (instance_type, instance) = name.split_once('_').expect("a name");
        KnownHost {
            name: name.to_owned(),
            instance: InstanceId::new(instance),
            instance_type: host_provisioner::InstanceType::new(instance_type),
            address: "10.0.0.1".to_owned(),
            port: 1111,
            current,
            record: None,
        }
    }

    #[test]
    fn each_platform_has_a_host_or_is_told_how_to_get_one() {
        let hosts = [host("m7g.large_i-1", true), host("c5.xlarge_i-2", false), host("c7g.large_i-3", false)];
        let both = [Platform::Amd64, Platform::Arm64, Platform::Amd64];
        let ways = ways(&both, &hosts).expect("hosts");
        let names: Vec<_> = ways.iter().map(|way| (way.platform, way.host.name.as_str())).collect();
        assert_eq!(names, [(Platform::Amd64, "c5.xlarge_i-2"), (Platform::Arm64, "m7g.large_i-1")]);

        let error = super::ways(&both, &hosts[..1]).err().expect("one is missing");
        assert_eq!(error.to_string(), "this home has no host for linux/amd64");
        assert_eq!(error.own_hints(), ["`sdocker create-host c5.xlarge` creates a host for linux/amd64"]);
        let error = super::ways(&both, &[]).err().expect("both are missing");
        assert_eq!(error.own_hints().len(), 2);
    }
}
