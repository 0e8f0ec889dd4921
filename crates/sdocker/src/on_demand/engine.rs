//! What a host would be, before there is one.

use docker_on_demand::{ApiVersion, Engine};
use docker_remote::ApiRange;
use host_provisioner::Engine as Runs;
use serde::{Deserialize, Serialize};

use crate::{CloudChoice, Surroundings, clouds, creation::Outline};

/// The newest version of the API that the socket speaks: that of Docker 25, which Amazon's images have. Docker in Docker speaks it as well, so
/// clients that agreed on a version before a launch can go on with it after.
const NEWEST: u32 = 44;

/// What is known of an engine that may not run yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Facts {
    name: String,
    version: String,
    /// The minor numbers of the oldest and the newest API 1.x.
    oldest: u32,
    newest: u32,
    architecture: String,
    processors: u32,
    memory: u64,
    gpus: u32,
}

impl Facts {
    pub(super) async fn of(outline: &Outline, surroundings: &Surroundings) -> Self {
        let runs = outline.plan.placements.first().map(|placement| &placement.bootstrap.engine);
        let version = if clouds::choose(surroundings) == CloudChoice::Sandbox {
            installed(surroundings).await
        } else if matches!(runs, Some(Runs::Dind { .. })) {
            // `docker:dind` is the newest release.
            "29.0".to_owned()
        } else {
            "25.0".to_owned()
        };
        let kind = &outline.instance_type;
        Self {
            name: kind.instance_type.to_string(),
            oldest: if release(&version).0 >= 29 { 40 } else { 24 },
            newest: newest(&version).min(NEWEST),
            version,
            architecture: kind.architecture.go_name().to_owned(),
            processors: kind.vcpus.unwrap_or(2),
            memory: kind.memory_mib.unwrap_or(4096) << 20,
            gpus: kind.nvidia_gpus,
        }
    }

    /// Takes what a daemon really speaks for what hosts speak; whether that is anything new. Hosts of an image of the user's own may be older.
    pub(super) fn learn(&mut self, range: ApiRange) -> bool {
        let newest = u32::try_from(range.newest.minor).unwrap_or(NEWEST).min(self.newest);
        let oldest = range.oldest.and_then(|oldest| u32::try_from(oldest.minor).ok()).unwrap_or(0).max(self.oldest);
        let is_new = (newest, oldest) != (self.newest, self.oldest);
        (self.newest, self.oldest) = (newest, oldest.min(newest));
        is_new
    }

    pub(super) fn engine(&self) -> Engine {
        Engine {
            name: self.name.clone(),
            version: self.version.clone(),
            oldest: ApiVersion(1, self.oldest),
            newest: ApiVersion(1, self.newest),
            architecture: self.architecture.clone(),
            processors: self.processors,
            memory: self.memory,
            gpus: self.gpus,
        }
    }
}

/// The version of this machine's daemon, which is that of the sandbox's hosts: `Docker version 20.10.24+dfsg1, build 297e128`.
async fn installed(surroundings: &Surroundings) -> String {
    let Some(dockerd) = surroundings.which("dockerd") else { return String::new() };
    let said = tokio::process::Command::new(dockerd).arg("--version").output().await;
    let said = said.map(|said| String::from_utf8_lossy(&said.stdout).into_owned()).unwrap_or_default();
    let version = said.split_whitespace().nth(2).unwrap_or_default();
    version.trim_end_matches(',').to_owned()
}

fn release(version: &str) -> (u32, u32) {
    let mut numbers = version.split(['.', '+', '-']).map(|number| number.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// The minor number of the newest API 1.x that a release of Docker speaks.
fn newest(version: &str) -> u32 {
    let release = self::release(version);
    let brought = |minor: u32| {
        let engine = docker_remote::ApiVersion::new(1, minor as usize).engine()?;
        (self::release(engine) <= release).then_some(minor)
    };
    (40..=60).rev().find_map(brought).unwrap_or(40)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_tells_its_api() {
        for (version, minor) in
            [("20.10.24+dfsg1", 41), ("25.0.8", 44), ("27.1.2", 46), ("27.5", 47), ("29.3.0", 52), ("", 40)]
        {
            assert_eq!(newest(version), minor, "{version}");
        }
    }

    #[test]
    fn a_daemon_that_speaks_less_is_believed() {
        let range = |oldest, newest| ApiRange {
            oldest: Some(docker_remote::ApiVersion::new(1, oldest)),
            newest: docker_remote::ApiVersion::new(1, newest),
        };
        let mut facts = Facts { oldest: 24, newest: 44, ..Facts::default() };
        assert!(!facts.learn(range(12, 52)));
        assert!(facts.learn(range(12, 41)) && !facts.learn(range(12, 41)));
        assert_eq!((facts.oldest, facts.newest), (24, 41));
        assert!(facts.learn(range(40, 41)));
        assert_eq!(facts.engine().oldest, ApiVersion(1, 40));
    }
}
