//! Whether the registries answer from which a host takes the image of its daemon. It pulls with the proxies of this app's environment, and from
//! the same VPC.

use std::time::Duration;

use host_provisioner::Engine;

use super::finding::{Findings, State};
use crate::{CloudChoice, Surroundings, clouds};

/// How long a registry may take to answer. A host waits for longer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);

/// Docker Hub's own image in Amazon's public registry (ECR Public user guide, "Docker official images").
const PUBLIC: &str = "public.ecr.aws/docker/library/docker";

/// A registry, by the address at which its interface is.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Registry {
    name: String,
    url: String,
}

impl Registry {
    /// The registry of an image, as Docker reads its name: the part before the first slash, where that can be a host
    /// (distribution/reference, `splitDockerDomain`). Docker takes HTTP to machines of its own (dockerd, "Insecure registries").
    fn of(image: &str) -> Self {
        let host = image.split_once('/').map(|(first, _)| first);
        let host = host.filter(|first| *first == "localhost" || first.contains(['.', ':'])).unwrap_or("docker.io");
        let own = host.starts_with("127.") || host.split(':').next() == Some("localhost");
        match host {
            "docker.io" | "index.docker.io" => {
                Self { name: "Docker Hub".to_owned(), url: "https://registry-1.docker.io/v2/".to_owned() }
            }
            host => Self { name: host.to_owned(), url: format!("http{}://{host}/v2/", if own { "" } else { "s" }) },
        }
    }
}

/// Whether it is Docker Hub's own image, which a host can do without. `user_data/bootstrap.sh` has the same rule.
fn is_hubs_own(image: &str) -> bool {
    let image =
        ["docker.io/library/", "library/"].iter().find_map(|prefix| image.strip_prefix(prefix)).unwrap_or(image);
    let (name, tag) = image.split_once(':').unwrap_or((image, ""));
    name == "docker" && !tag.contains('/')
}

/// Asks the registries in the order in which a host asks them, until one answers.
pub(super) async fn examine(engine: Option<&Engine>, surroundings: &Surroundings, findings: &mut Findings) {
    let Some(Engine::Dind { image }) = engine else { return };
    if clouds::choose(surroundings) != CloudChoice::Aws {
        return;
    }
    let first = Registry::of(image);
    let Err(why) = ask(&first, surroundings).await else {
        return findings.ok("registry", format!("{} answers: {image} comes from there", first.name));
    };
    let failed = format!("{} does not answer this app: {why}", first.name);
    if !is_hubs_own(image) {
        findings
            .add("registry", State::Warning, format!("{failed}; the host would fail if it can't pull {image}"))
            .because("the daemon runs in a container of that image, for which there is no substitute")
            .fix("let the VPC reach the registry, by a VPC endpoint, a NAT gateway or a proxy (HTTPS_PROXY), or use --engine native");
        return;
    }
    let second = Registry::of(PUBLIC);
    match ask(&second, surroundings).await {
        Ok(()) => findings
            .add("registry", State::Warning, format!("{failed}; the host would take {image} from {}", second.name))
            .because("it is the same image, from Amazon's public registry")
            .fix("nothing has to be done; `--engine native` needs no image"),
        Err(also) => findings
            .add(
                "registry",
                State::Warning,
                format!("{failed}; nor does {}: {also}; the host would use the instance's own Docker", second.name),
            )
            .because("its version of Docker is older, and nothing can be pulled from these registries on the host either")
            .fix("let the VPC reach a registry, by a NAT gateway or a proxy (HTTPS_PROXY); `--engine native` needs no image"),
    };
}

/// Asks a registry for the root of its interface, which answers 200, or 401 to those who are not logged in (OCI distribution
/// specification, "Determining support").
async fn ask(registry: &Registry, surroundings: &Surroundings) -> Result<(), String> {
    let answer = tokio::time::timeout(ANSWERS_WITHIN, clouds::ask(&registry.url, surroundings)).await;
    let limit = ANSWERS_WITHIN.as_secs();
    let answer = answer.map_err(|_| format!("no answer within {limit} s"))?.map_err(|error| format!("{error:#}"))?;
    match answer.status {
        200 | 401 if answer.is_registry => Ok(()),
        429 => Err("it limits requests (429)".to_owned()),
        200 | 401 => Err(format!("what answered ({}) is no registry", answer.status)),
        status => Err(format!("it answered {status}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries_are_where_docker_looks_for_them() {
        for (image, url) in [
            ("docker:29-dind", "https://registry-1.docker.io/v2/"),
            ("docker.io/library/docker", "https://registry-1.docker.io/v2/"),
            ("someone/docker:1", "https://registry-1.docker.io/v2/"),
            (PUBLIC, "https://public.ecr.aws/v2/"),
            (
                "123456789012.dkr.ecr.eu-west-1.amazonaws.com/dind:1",
                "https://123456789012.dkr.ecr.eu-west-1.amazonaws.com/v2/",
            ),
            ("registry.example.com:5000/dind@sha256:00", "https://registry.example.com:5000/v2/"),
            ("localhost/dind", "http://localhost/v2/"),
            ("localhost:5000/dind", "http://localhost:5000/v2/"),
            ("127.0.0.1:5000/dind", "http://127.0.0.1:5000/v2/"),
        ] {
            assert_eq!(Registry::of(image).url, url, "{image}");
        }
    }

    #[test]
    fn only_docker_hubs_own_image_has_substitutes() {
        for own in ["docker", "docker:dind", "library/docker:29-dind", "docker.io/library/docker:29-dind"] {
            assert!(is_hubs_own(own), "{own}");
        }
        for other in [
            "docker.io/docker",
            "someone/docker",
            "docker/docker",
            "docker@sha256:00",
            "registry:5000/docker",
            "dockerd",
        ] {
            assert!(!is_hubs_own(other), "{other}");
        }
    }
}
