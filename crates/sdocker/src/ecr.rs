//! Logging the Docker CLI in to Amazon ECR.
//!
//! The password never lies on a command line: the AWS CLI hands it over, and the Docker CLI keeps it where it is told to, in a
//! credential store where there is one. It expires after twelve hours (ECR user guide, "Private registry authentication").

use std::{path::Path, process::Stdio};

use serde::Serialize;
use tokio::{io::AsyncWriteExt as _, process::Command};

use crate::{
    Error, Surroundings,
    error::Context as _,
    permission::{self, Caller},
    session,
};

/// How the Docker CLI gets at a registry. Its JSON is what `ecr-login --output json` prints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Login {
    /// It was logged in, for twelve hours.
    LoggedIn {
        /// The registry.
        registry: String,
    },
    /// A credential helper is configured, so that nothing was to be done.
    Helper {
        /// The registry.
        registry: String,
    },
}

/// Logs the Docker CLI in to the ECR of an account; of the app's own, where none is named.
///
/// # Cancel safety
/// It can be dropped at any time, and repeated; a CLI that it runs is killed then.
///
/// # Errors
/// No Studio app; no AWS CLI or Docker CLI; a password that is not given, or not taken.
pub async fn login_to_ecr(account: Option<&str>, surroundings: &Surroundings) -> crate::Result<Login> {
    let facts = session::local_facts(surroundings)?;
    let region = facts.region().as_str();
    let account = account.unwrap_or_else(|| facts.account().as_str());
    let registry = format!("{account}.dkr.ecr.{region}.{}", suffix(region));
    let docker = program(surroundings, "docker")?;

    // The credential helper, where the user has one, stores nothing at all.
    if uses_helper(surroundings, &registry) {
        return Ok(Login::Helper { registry });
    }
    let aws = program(surroundings, "aws")?;
    let output = Command::new(&aws)
        .args(["ecr", "get-login-password", "--region", region])
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .output()
        .await
        .with_context(|| format!("cannot run {}", aws.display()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let error = Error::new(format!("ECR gave no password: {}", said.trim()));
        let error = if said.contains("AccessDenied") || said.contains("not authorized") {
            let hints = permission::hints("ecr:GetAuthorizationToken", &said, &Caller::of(surroundings));
            hints.into_iter().fold(error, Error::hint)
        } else {
            error
        };
        return Err(error);
    }
    login(&docker, &registry, &output.stdout).await?;
    Ok(Login::LoggedIn { registry })
}

/// The DNS suffix of the Region's partition (AWS general reference).
fn suffix(region: &str) -> &'static str {
    if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" }
}

fn program(surroundings: &Surroundings, name: &str) -> crate::Result<std::path::PathBuf> {
    let found = surroundings.which(name);
    found
        .ok_or_else(|| Error::new(format!("there is no `{name}` on PATH")).hint("`sdocker setup` says what is missing"))
}

fn uses_helper(surroundings: &Surroundings, registry: &str) -> bool {
    let file = surroundings.docker_config.join("config.json");
    let Ok(text) = whole_file::read_text(&file, 1 << 20, whole_file::Links::Follow) else { return false };
    let Ok(config) = serde_json::from_str::<serde_json::Value>(&text) else { return false };
    config["credHelpers"].get(registry).is_some() || config["credsStore"].as_str() == Some("ecr-login")
}

async fn login(docker: &Path, registry: &str, password: &[u8]) -> crate::Result<()> {
    let failed = || format!("cannot run {}", docker.display());
    let mut child = Command::new(docker)
        .args(["login", "--username", "AWS", "--password-stdin", registry])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .with_context(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(password).await.with_context(failed)?;
    }
    let output = child.wait_with_output().await.with_context(failed)?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Error::new(format!("docker login to {registry} failed: {}", said.trim())))
}

#[cfg(test)]
mod tests {
    use std::{
        fs::File,
        io::{BufRead as _, BufReader, Read as _},
        thread,
        time::Duration,
    };

    use tokio::sync::mpsc;

    use super::*;
    use crate::stand_in;

    /// ECR user guide, "Private registry authentication", and that of China's and GovCloud's Regions.
    #[test]
    fn registries_are_named_as_in_their_partition() {
        assert_eq!(suffix("cn-northwest-1"), "amazonaws.com.cn");
        for region in ["us-gov-west-1", "eu-west-1"] {
            assert_eq!(suffix(region), "amazonaws.com");
        }
    }

    /// It may wait for a registry out of reach.
    #[tokio::test]
    async fn a_login_that_is_dropped_leaves_no_process() {
        let folder = tempfile::tempdir().expect("a folder");
        let made = std::process::Command::new("mkfifo").arg(folder.path().join("fifo")).status();
        assert!(made.expect("it runs").success());
        stand_in::program(folder.path(), "docker", r#"exec 3>"${0%/*}/fifo"; echo begun >&3; exec sleep 300"#);
        let (told, mut hears) = mpsc::unbounded_channel();
        let (fifo, docker) = (folder.path().join("fifo"), folder.path().join("docker"));
        thread::spawn(move || {
            let (mut lines, mut line) = (BufReader::new(File::open(fifo).expect("there")), String::new());
            lines.read_line(&mut line).expect("readable");
            told.send(std::mem::take(&mut line)).expect("heard");
            // Its end is that of whoever holds the other side.
            lines.read_to_string(&mut line).expect("readable");
            told.send(line)
        });
        tokio::select! {
            outcome = login(&docker, "registry.example", b"secret") => panic!("{outcome:?}"),
            begun = hears.recv() => assert_eq!(begun.as_deref(), Some("begun\n")),
        }
        let ended = tokio::time::timeout(Duration::from_secs(60), hears.recv()).await;
        assert_eq!(ended.expect("it is killed").as_deref(), Some(""));
    }

    #[test]
    fn its_json_is_what_programs_read() {
        for login in [Login::LoggedIn { registry: "r".to_owned() }, Login::Helper { registry: "r".to_owned() }] {
            assert_eq!(serde_json::to_string(&login).expect("JSON"), r#"{"registry":"r"}"#);
        }
    }
}
