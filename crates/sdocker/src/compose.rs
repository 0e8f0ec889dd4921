//! Docker Compose here, and whether what it builds gets to a host.

use std::{
    process::{Command, Stdio},
    time::Duration,
};

use crate::Surroundings;

/// How long the plugin may take to say its version.
const SAYS_WITHIN: Duration = Duration::from_secs(5);

/// The major and minor version of a Compose that builds past a host, where that is the one here. From 2.37 on it hands builds to `buildx bake`,
/// until 2.39 without the context's certificates (docker/compose, issues 12955, 13015 and 13229; pull request 13231).
pub(crate) fn builds_past_hosts(surroundings: &Surroundings) -> Option<String> {
    let docker = surroundings.which("docker")?;
    let docker_config = surroundings.docker_config.clone();
    let said = whole_file::within(SAYS_WITHIN, move || {
        let mut command = Command::new(docker);
        command.args(["compose", "version", "--short"]).env("DOCKER_CONFIG", docker_config).current_dir("/");
        command.stdin(Stdio::null()).stderr(Stdio::null()).output()
    });
    let said = String::from_utf8_lossy(&said.ok()?.stdout).into_owned();
    let (major, minor) = version(&said)?;
    ((2, 37)..(2, 40)).contains(&(major, minor)).then(|| format!("{major}.{minor}"))
}

/// The version in a text such as `v2.38.1` or `2.40.3-3`.
fn version(said: &str) -> Option<(u32, u32)> {
    let mut numbers = said.trim().trim_start_matches('v').split('.').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stand_in;

    #[test]
    fn builds_go_past_hosts_in_some_versions() {
        let home = tempfile::tempdir().expect("a folder");
        let mut surroundings = Surroundings::new(home.path());
        surroundings.path = home.path().into();
        assert_eq!(builds_past_hosts(&surroundings), None, "there is no Docker CLI");
        for (says, expected) in [
            ("2.36.2", None),
            ("v2.37.0", Some("2.37")),
            ("2.39.3", Some("2.39")),
            ("2.40.3-3", None),
            ("5.0.0", None),
            ("Docker Compose version v2.38.1", None),
        ] {
            let script = format!("[ \"$*\" = 'compose version --short' ] && echo '{says}'");
            stand_in::program(home.path(), "docker", &script);
            assert_eq!(builds_past_hosts(&surroundings).as_deref(), expected, "{says}");
        }
    }
}
