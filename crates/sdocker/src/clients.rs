//! What leads the clients on this side past a host, as each of them finds its way: the Docker CLI, and the SageMaker Python SDK, which asks
//! the CLI.

use std::{process::Stdio, time::Duration};

use docker_remote::ContextStore;
use localmode_config::{DockerHostCheck, SdkHost, check_docker_host, sdk_host};

use crate::{Observer, Surroundings, compose, lookup::KnownHost, socket};

/// How long the CLI may take to say which context is current.
const SAYS_WITHIN: Duration = Duration::from_secs(10);

/// Something that leads clients past a host.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Obstacle {
    /// What it is.
    pub what: String,
    /// Why it matters.
    pub why: &'static str,
    /// What to do about it.
    pub fix: String,
    /// Whether the Docker CLI itself goes past the host.
    pub misleads_cli: bool,
}

/// What leads clients past the host of this context, which is the one that they are to use.
///
/// # Cancel safety
/// It only reads, and can be dropped at any time; a program that it asks is given up.
pub async fn obstacles(surroundings: &Surroundings, host: &KnownHost) -> Vec<Obstacle> {
    // The socket on demand leads to it, and its ports are at localhost.
    if matches!(ContextStore::new(&surroundings.docker_config).current(), Ok(Some(context)) if context == socket::CONTEXT)
    {
        return builds(surroundings).into_iter().collect();
    }
    match overridden(surroundings, host) {
        // The SDK follows the CLI: it is led past the host for the same reason.
        Some(obstacle) => vec![obstacle],
        None => sdk(surroundings, host).await.into_iter().chain(builds(surroundings)).collect(),
    }
}

/// Says what leads clients past a host.
pub fn warn(obstacles: &[Obstacle], observer: &dyn Observer) {
    for obstacle in obstacles {
        observer.warn(&obstacle.what);
        observer.hint(&obstacle.fix);
    }
}

/// A variable of the environment that leads elsewhere than to this host.
pub(crate) fn overridden(surroundings: &Surroundings, host: &KnownHost) -> Option<Obstacle> {
    let endpoint = host.endpoint();
    let (daemon, context) = (surroundings.docker_host.as_deref(), surroundings.docker_context.as_deref());
    match check_docker_host(&host.name, &endpoint, daemon, context) {
        DockerHostCheck::Overridden { variable, value } if !leads_to_socket(surroundings, variable, &value) => {
            Some(override_of(variable, &value))
        }
        _ => None,
    }
}

/// Whether a variable leads to the socket on demand, and so to the host that there is.
fn leads_to_socket(surroundings: &Surroundings, variable: &str, value: &str) -> bool {
    socket::is_wanted(surroundings)
        && match variable {
            "DOCKER_HOST" => value == socket::endpoint(surroundings),
            _ => value == socket::CONTEXT,
        }
}

/// The variables that lead to none of these hosts, whatever Docker's context is.
pub(crate) fn overrides(surroundings: &Surroundings, hosts: &[KnownHost]) -> Vec<Obstacle> {
    let leads_to_a_host = |variable, value: &str| match variable {
        "DOCKER_HOST" => hosts.iter().any(|host| host.endpoint() == value.trim_end_matches('/')),
        _ => hosts.iter().any(|host| host.name == value),
    };
    let variables = [("DOCKER_HOST", &surroundings.docker_host), ("DOCKER_CONTEXT", &surroundings.docker_context)];
    let set = variables.into_iter().filter_map(|(variable, value)| Some((variable, value.as_deref()?)));
    let elsewhere = set.filter(|(variable, value)| {
        !leads_to_a_host(variable, value) && !leads_to_socket(surroundings, variable, value)
    });
    elsewhere.map(|(variable, value)| override_of(variable, value)).collect()
}

fn override_of(variable: &'static str, value: &str) -> Obstacle {
    Obstacle {
        what: format!("{variable}={value} is set in the environment and overrides every Docker context"),
        why: "docker and the SDK would talk to a daemon other than the host's",
        fix: format!("`unset {variable}`, or `eval \"$(sdocker env)\"` once there is a host"),
        misleads_cli: true,
    }
}

/// What the SDK takes for the host, where that is not this one.
async fn sdk(surroundings: &Surroundings, host: &KnownHost) -> Option<Obstacle> {
    let docker = surroundings.which("docker")?;
    let mut command = tokio::process::Command::new(docker);
    command.args(["context", "inspect"]).current_dir("/").env("DOCKER_CONFIG", &surroundings.docker_config);
    for (variable, value) in
        [("DOCKER_HOST", &surroundings.docker_host), ("DOCKER_CONTEXT", &surroundings.docker_context)]
    {
        match value {
            Some(value) => command.env(variable, value),
            None => command.env_remove(variable),
        };
    }
    command.stdin(Stdio::null()).kill_on_drop(true);
    // A CLI that does not answer is said by what asks it for its version.
    let said = tokio::time::timeout(SAYS_WITHIN, command.output()).await.ok()?.ok()?;
    let (stdout, stderr) = (String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    let what = match sdk_host(&stdout, &stderr) {
        SdkHost::Named(name) if name == host.address => return None,
        SdkHost::Named(name) => {
            format!("the SageMaker Python SDK looks for endpoints at {name}, and not at {}", host.name)
        }
        SdkHost::Localhost { because } => {
            format!("the SageMaker Python SDK takes localhost for the Docker host: {because}")
        }
        SdkHost::Fails { because } => format!("the SageMaker Python SDK does not find its Docker host: {because}"),
    };
    Some(Obstacle {
        what,
        why: "`deploy` and batch transform in Local Mode wait for an endpoint at a wrong address",
        fix: "`docker context inspect` must print the host's context, and nothing on standard error: fix what it complains about".to_owned(),
        misleads_cli: false,
    })
}

/// A Docker Compose that builds elsewhere, unless it is told not to.
fn builds(surroundings: &Surroundings) -> Option<Obstacle> {
    if surroundings.compose_bake.as_deref() == Some("false") {
        return None;
    }
    compose::builds_past_hosts(surroundings).map(|version| Obstacle {
        what: format!("Docker Compose {version} does not build on a host that a Docker context leads to"),
        why: "`docker compose build` fails, or the image is not on the host",
        fix: "install Docker Compose 2.40 or later; until then, `export COMPOSE_BAKE=false`".to_owned(),
        misleads_cli: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stand_in;

    fn host() -> KnownHost {
        KnownHost {
            name: "c5.xlarge_i-1".to_owned(),
            instance: "i-1".into(),
            instance_type: "c5.xlarge".into(),
            address: "ip-10-0-0-1.ec2.internal".to_owned(),
            port: 1111,
            current: true,
            record: None,
        }
    }

    /// A home with a Docker CLI that runs this.
    fn with_docker(script: &str) -> (tempfile::TempDir, Surroundings) {
        let home = tempfile::tempdir().expect("a folder");
        stand_in::program(home.path(), "docker", script);
        let mut surroundings = Surroundings::new(home.path());
        surroundings.path = home.path().into();
        (home, surroundings)
    }

    const INSPECTED: &str = r#"[ "$*" = "context inspect" ] || exit 1
echo '[{"Name": "c5.xlarge_i-1", "Endpoints": {"docker": {"Host": "tcp://ip-10-0-0-1.ec2.internal:1111"}}}]'"#;

    #[tokio::test]
    async fn the_sdk_is_asked_as_it_asks_the_cli() {
        let (_home, surroundings) = with_docker(INSPECTED);
        assert_eq!(obstacles(&surroundings, &host()).await, []);
        // Any word on standard error, such as about a config.json that can't be read.
        let (_home, surroundings) = with_docker(&format!("echo 'WARNING: Error loading config file' >&2\n{INSPECTED}"));
        let found = obstacles(&surroundings, &host()).await;
        assert!(
            found[0].what.contains("takes localhost") && found[0].what.contains("Error loading config file"),
            "{found:?}"
        );
        assert!(!found[0].misleads_cli);
        let (_home, surroundings) = with_docker(&INSPECTED.replace("ip-10-0-0-1", "ip-10-0-0-2"));
        assert!(obstacles(&surroundings, &host()).await[0].what.contains("at ip-10-0-0-2.ec2.internal"));
        let (_home, surroundings) = with_docker("exit 1");
        assert!(obstacles(&surroundings, &host()).await[0].what.contains("does not find"));
    }

    #[tokio::test]
    async fn a_variable_that_leads_to_the_host_is_none_to_warn_of() {
        let (_home, mut surroundings) = with_docker(INSPECTED);
        surroundings.docker_host = Some("tcp://ip-10-0-0-1.ec2.internal:1111".to_owned());
        assert_eq!(obstacles(&surroundings, &host()).await, []);
        assert_eq!(overrides(&surroundings, &[host()]), []);
        assert_eq!(overrides(&surroundings, &[]).len(), 1);
        surroundings.docker_host = Some("unix:///docker/proxy.sock".to_owned());
        let found = obstacles(&surroundings, &host()).await;
        assert!(
            found[0].misleads_cli && found[0].what.starts_with("DOCKER_HOST=unix:///docker/proxy.sock"),
            "{found:?}"
        );
    }

    /// `sdocker env` sets it while a socket is wanted; after `sdocker down` it leads nowhere.
    #[tokio::test]
    async fn a_variable_that_leads_to_the_socket_is_none_either_as_long_as_it_is_wanted() {
        let (_home, mut surroundings) = with_docker(INSPECTED);
        surroundings.docker_host = Some(socket::endpoint(&surroundings));
        assert_eq!((overrides(&surroundings, &[]).len(), overridden(&surroundings, &host()).is_some()), (1, true));
        let wanted = socket::wanted(&surroundings);
        std::fs::create_dir_all(wanted.parent().expect("a folder")).expect("made");
        std::fs::write(wanted, "{}").expect("written");
        assert_eq!((overrides(&surroundings, &[]), overridden(&surroundings, &host())), (vec![], None));
        surroundings.docker_host = None;
        surroundings.docker_context = Some(socket::CONTEXT.to_owned());
        assert_eq!((overrides(&surroundings, &[]), overridden(&surroundings, &host())), (vec![], None));
    }
}
