//! Whether a host's daemon answers the Docker CLI that is installed here. A daemon answers a range of versions of its API, and Docker
//! raises the oldest from time to time: 1.44 in 29.0 (Docker Engine release notes), which the CLI 20.10 does not speak.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use docker_remote::{ApiRange, ApiVersion};

use crate::Surroundings;

/// How long the CLI may take to say its version.
const SAYS_WITHIN: Duration = Duration::from_secs(5);

/// A Docker CLI that a host refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refused {
    /// Which, and why.
    pub what: String,
    /// What to do.
    pub fix: String,
}

/// Whether a host, by its name, refuses the first `docker` on PATH. A CLI that does not say its version is not judged.
///
/// # Cancel safety
/// It can be dropped at any time; a CLI that is being asked is killed then.
pub async fn refused(surroundings: &Surroundings, host: &str, api: ApiRange) -> Option<Refused> {
    let path = surroundings.which("docker")?;
    let cli = ask(&path).await?;
    judge(&cli, host, api)
}

struct Cli {
    path: PathBuf,
    version: String,
    /// The newest version of the API that it speaks; what DOCKER_API_VERSION says, where that is set.
    api: ApiVersion,
}

async fn ask(path: &Path) -> Option<Cli> {
    let mut command = tokio::process::Command::new(path);
    // It prints its own version also where it reaches no daemon, and asks the one that it is told; here there is none.
    command.args([
        "--host",
        "unix:///dev/null",
        "version",
        "--format",
        "{{.Client.Version}} {{.Client.DefaultAPIVersion}}",
    ]);
    command
        .env_remove("DOCKER_TLS_VERIFY")
        .current_dir("/")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    let output = tokio::time::timeout(SAYS_WITHIN, command.output()).await.ok()?.ok()?;
    let said = String::from_utf8_lossy(&output.stdout);
    let (version, api) = versions(&said)?;
    Some(Cli { path: path.to_owned(), version: version.to_owned(), api })
}

/// The CLI's own version, and the API's.
fn versions(said: &str) -> Option<(&str, ApiVersion)> {
    let (version, api) = said.trim().split_once(' ')?;
    Some((version, api.parse().ok()?))
}

fn judge(cli: &Cli, host: &str, api: ApiRange) -> Option<Refused> {
    let oldest = api.oldest.filter(|_| api.refuses(cli.api))?;
    let newer = match oldest.engine() {
        Some(engine) => format!("{engine} or later"),
        None => format!("that speaks {oldest}"),
    };
    Some(Refused {
        what: format!(
            "{host} refuses the Docker CLI here: {} {} speaks version {} of Docker's API, and the host answers {oldest} and later",
            cli.path.display(),
            cli.version,
            cli.api,
        ),
        fix: format!(
            "install a Docker CLI {newer}; until then, `export DOCKER_API_VERSION={oldest}` lets this one connect"
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cli(api: ApiVersion) -> Cli {
        Cli { path: "/usr/bin/docker".into(), version: "20.10.24".to_owned(), api }
    }

    #[test]
    fn a_cli_older_than_the_oldest_that_is_answered_is_refused() {
        let range = |minor| ApiRange { oldest: Some(ApiVersion::new(1, minor)), newest: ApiVersion::new(1, 52) };
        let refused = judge(&cli(ApiVersion::new(1, 41)), "c5.xlarge_i-1", range(44)).expect("refused");
        assert_eq!(
            refused.what,
            "c5.xlarge_i-1 refuses the Docker CLI here: /usr/bin/docker 20.10.24 speaks version 1.41 of Docker's API, and the host \
             answers 1.44 and later"
        );
        assert_eq!(
            refused.fix,
            "install a Docker CLI 25.0 or later; until then, `export DOCKER_API_VERSION=1.44` lets this one connect"
        );
        assert_eq!(judge(&cli(ApiVersion::new(1, 41)), "c5.xlarge_i-1", range(24)), None);
        assert_eq!(judge(&cli(ApiVersion::new(1, 60)), "c5.xlarge_i-1", range(44)), None);
    }

    #[test]
    fn what_says_no_version_is_not_judged() {
        for said in ["", "podman\n", "4.3 latest\n", "Docker version 20.10.24, build 297e128\n"] {
            assert_eq!(versions(said), None, "{said}");
        }
        assert_eq!(versions("20.10.24+dfsg1 1.41\n"), Some(("20.10.24+dfsg1", ApiVersion::new(1, 41))));
    }
}
