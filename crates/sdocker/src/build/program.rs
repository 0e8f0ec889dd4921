//! The Docker CLI, run for a build: with this home's settings, past proxies, its output told line by line.

use std::{path::PathBuf, process::Stdio};

use docker_remote::Endpoint;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, BufReader},
    process::Command,
};

use super::image::Way;
use crate::{Error, Observer, Result, Surroundings, error::Context as _, lookup::KnownHost};

/// What leads the CLI elsewhere than to the host that it is told.
const ELSEWHERE: [&str; 4] = ["DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"];

/// How many of the last lines are told as the reason of a failure.
const REASON: usize = 3;

/// The CLI.
pub(super) struct Docker {
    path: PathBuf,
    variables: Vec<(&'static str, std::ffi::OsString)>,
}

/// The CLI, for one host or none.
pub(super) struct Cli<'d> {
    docker: &'d Docker,
    host: Option<&'d str>,
}

impl Docker {
    pub(super) fn find(surroundings: &Surroundings, ways: &[Way]) -> Result<Self> {
        let path = surroundings
            .which("docker")
            .ok_or_else(|| Error::new("there is no `docker` on PATH").hint("`sdocker setup` says what is missing"))?;
        let mut variables = vec![("DOCKER_CONFIG", surroundings.docker_config.clone().into_os_string())];
        // Every host is excluded from the proxies: one of the names after the other.
        for way in ways {
            let endpoint = Endpoint::new(way.host.address.clone(), way.host.port);
            for (name, value) in surroundings.proxies.excluding(&endpoint) {
                match variables.iter_mut().find(|(known, _)| *known == name) {
                    Some((_, known)) => known.push(format!(",{}", way.host.address)),
                    None => variables.push((name, value.into())),
                }
            }
        }
        Ok(Self { path, variables })
    }

    /// The CLI for a host's daemon.
    pub(super) fn on<'d>(&'d self, host: &'d KnownHost) -> Cli<'d> {
        Cli { docker: self, host: Some(&host.name) }
    }

    /// The CLI for what needs no daemon.
    pub(super) fn alone(&self) -> Cli<'_> {
        Cli { docker: self, host: None }
    }
}

impl Cli<'_> {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.docker.path);
        for variable in ELSEWHERE {
            command.env_remove(variable);
        }
        command.envs(self.docker.variables.iter().cloned());
        // A builder of the user's own is elsewhere, too: each context has one of its daemon's.
        command.env_remove("BUILDX_BUILDER");
        if let Some(host) = self.host {
            command.args(["--context", host]).env("BUILDX_BUILDER", host);
        }
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }

    /// Runs it, and tells its lines. Returns what it wrote to standard output.
    pub(super) async fn run(&self, arguments: &[&str], observer: &dyn Observer) -> Result<String> {
        let what = named(arguments);
        let mut child = self.command(arguments).spawn().with_context(|| format!("cannot run {what}"))?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let (said, complaints) = tokio::join!(tell(stdout, observer), tell(stderr, observer));
        let status = child.wait().await.with_context(|| format!("cannot run {what}"))?;
        if status.success() {
            return Ok(said);
        }
        Err(refused(&what, if complaints.trim().is_empty() { &said } else { &complaints }))
    }

    /// Runs it silently. Returns what it wrote to standard output.
    pub(super) async fn ask(&self, arguments: &[&str]) -> Result<String> {
        let what = named(arguments);
        let output = self.command(arguments).output().await.with_context(|| format!("cannot run {what}"))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(refused(&what, &String::from_utf8_lossy(&output.stderr)))
    }
}

/// The command, without its options.
fn named(arguments: &[&str]) -> String {
    let words = arguments.iter().take_while(|word| !word.starts_with('-')).take(3);
    format!("docker {}", words.copied().collect::<Vec<_>>().join(" "))
}

/// Tells each line, and returns them all.
async fn tell(output: Option<impl AsyncRead + Unpin>, observer: &dyn Observer) -> String {
    let mut said = String::new();
    let Some(output) = output else { return said };
    let mut lines = BufReader::new(output).split(b'\n');
    // What can't be read any more has ended.
    while let Ok(Some(line)) = lines.next_segment().await {
        let line = String::from_utf8_lossy(&line);
        let line = line.trim_end();
        if !line.is_empty() {
            observer.info(line);
            said.push_str(line);
            said.push('\n');
        }
    }
    said
}

/// The CLI failed: why is in its last lines.
fn refused(what: &str, said: &str) -> Error {
    let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let reason = lines[lines.len().saturating_sub(REASON)..].join("; ");
    let error = Error::new(format!("{what} failed")).because(Error::new(reason));
    // What registries say to those who are not logged in (moby, `distribution/errors.go`; containerd, `remotes/docker`).
    let is_refused = ["no basic auth credentials", "unauthorized", "authorization failed", "403 Forbidden", "denied"];
    if is_refused.iter().any(|words| said.contains(words)) {
        error.hint("`docker login REGISTRY` logs in to a registry, and `sdocker ecr-login` to Amazon ECR")
    } else {
        error
    }
}

#[cfg(test)]
mod tests {
    use crate::{Notice, stand_in};

    use super::*;

    fn docker(script: &str) -> (tempfile::TempDir, Docker) {
        let folder = tempfile::tempdir().expect("a folder");
        stand_in::program(folder.path(), "docker", script);
        let docker = Docker { path: folder.path().join("docker"), variables: Vec::new() };
        (folder, docker)
    }

    #[tokio::test]
    async fn lines_are_told_as_they_come_and_the_last_are_the_reason() {
        let (_folder, docker) = docker("echo one; echo two >&2; echo \"$1\"; [ \"$1\" = push ]");
        let told = std::sync::Mutex::new(Vec::new());
        let observer = |notice: Notice| told.lock().expect("unpoisoned").push(notice);
        assert_eq!(docker.alone().run(&["push"], &observer).await.expect("it succeeds"), "one\npush\n");
        let mut lines = std::mem::take(&mut *told.lock().expect("unpoisoned"));
        lines.sort_by_key(|notice| format!("{notice:?}"));
        assert_eq!(lines, ["one", "push", "two"].map(|line| Notice::Info(line.to_owned())));
        let error = docker.alone().run(&["build", "."], &observer).await.expect_err("it fails");
        assert_eq!(format!("{error:#}"), "docker build . failed: two");
    }

    #[tokio::test]
    async fn whoever_is_not_logged_in_is_told_how_to() {
        let (_folder, docker) = docker("echo 'no basic auth credentials' >&2; exit 1");
        let error = docker.alone().ask(&["push"]).await.expect_err("it fails");
        assert!(error.own_hints().iter().any(|hint| hint.contains("sdocker ecr-login")), "{error:#}");
    }
}
