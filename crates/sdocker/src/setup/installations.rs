//! What is to be installed, and doing it.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
};

use crate::error::Context as _;
use localmode_config::Missing;

use super::{Found, ProgramsSay, SetupRequest, archive};
use crate::{Error, Surroundings};

/// A program by the name that old SDKs look for, over the plugin.
const COMPOSE_PROGRAM: &str = "#!/bin/sh\n# Written by sdocker setup.\nexec docker compose \"$@\"\n";

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Installation {
    /// Run the first of these commands that succeeds.
    Run(Vec<Vec<String>>),
    /// Put a program from elsewhere at a path.
    Place { from: archive::Source, member: Option<&'static str>, to: PathBuf },
    /// Write `docker-compose` over the plugin.
    ComposeProgram(PathBuf),
    /// Make a link.
    Link { from: PathBuf, to: PathBuf },
}

impl fmt::Display for Installation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run(commands) => {
                let commands: Vec<_> = commands
                    .iter()
                    .map(|command| {
                        shlex::try_join(command.iter().map(String::as_str)).unwrap_or_else(|_| command.join(" "))
                    })
                    .collect();
                write!(f, "run {}", commands.join(", or else "))
            }
            Self::Place { from, to, .. } => write!(f, "put {from} at {}", to.display()),
            Self::ComposeProgram(to) => write!(f, "write {}, which runs `docker compose`", to.display()),
            Self::Link { from, to } => write!(f, "link {} to {}", to.display(), from.display()),
        }
    }
}

impl Installation {
    pub(super) fn carry_out(&self, say: ProgramsSay) -> crate::Result<()> {
        match self {
            Self::Run(commands) => first_that_succeeds(commands, say),
            Self::Place { from, member, to } => from.put(*member, to),
            Self::ComposeProgram(to) => archive::install(COMPOSE_PROGRAM.as_bytes(), to)
                .with_context(|| format!("cannot write {}", to.display())),
            Self::Link { from, to } => link(from, to).with_context(|| format!("cannot link {}", to.display())),
        }
    }
}

fn link(from: &Path, to: &Path) -> io::Result<()> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    std::os::unix::fs::symlink(from, to)
}

fn first_that_succeeds(commands: &[Vec<String>], say: ProgramsSay) -> crate::Result<()> {
    let mut tried = Vec::new();
    for command in commands {
        let [program, arguments @ ..] = command.as_slice() else { continue };
        // What it prints is not this command's result.
        let status = run(program, arguments, say);
        match status {
            Ok(status) if status.success() => return Ok(()),
            Ok(status) => tried.push(format!("`{}` ended with {status}", command.join(" "))),
            Err(error) => tried.push(format!("cannot run `{}`: {error}", command.join(" "))),
        }
    }
    Err(Error::new(tried.join("; ")))
}

fn run(program: &str, arguments: &[String], say: ProgramsSay) -> io::Result<ExitStatus> {
    let mut command = Command::new(program);
    // `python -m pip` would take a `pip.py` of the current folder.
    command.args(arguments).current_dir("/").stdin(Stdio::null());
    match say {
        ProgramsSay::Nothing => command.stdout(Stdio::null()).stderr(Stdio::null()),
        ProgramsSay::OnStandardError => command.stdout(io::stderr()),
    };
    command.status()
}

/// Who installs packages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manager {
    Apt,
    Dnf,
    Yum,
    Conda,
}

/// What is to be done about what is missing.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) installations: Vec<Installation>,
    /// What can't be installed here, each with why and what to do.
    pub(super) impossible: Vec<Error>,
}

/// What is missing, as installations; each on its own.
pub(super) fn plan(asked: &SetupRequest, surroundings: &Surroundings, bin: &Path, found: &Found) -> Plan {
    let mut plan = Plan::default();
    for missing in found.tools().missing() {
        let installed = match (missing, &asked.docker_from, &asked.compose_from) {
            (Missing::Docker, Some(from), _) => {
                let to = bin.join("docker");
                Ok(vec![Installation::Place { from: from.clone(), member: Some("docker"), to }])
            }
            (Missing::Compose, _, Some(from)) => {
                let to = surroundings.docker_config.join("cli-plugins/docker-compose");
                Ok(vec![Installation::Place { from: from.clone(), member: None, to }])
            }
            (Missing::Docker | Missing::Compose, ..) => packages(surroundings, missing),
            (Missing::ComposeProgram, ..) => Ok(vec![Installation::ComposeProgram(bin.join("docker-compose"))]),
            (Missing::Sdk, ..) => sdk(asked, surroundings, found).map(|command| vec![command]),
        };
        match installed {
            // The lists of packages are fetched once.
            Ok(installed) => {
                let new = installed.into_iter().filter(|one| !plan.installations.contains(one));
                plan.installations.extend(new.collect::<Vec<_>>());
            }
            Err(why) => plan.impossible.push(why),
        }
    }
    if let (None, Some(own)) = (&found.sdocker, &surroundings.program) {
        plan.installations.push(Installation::Link { from: own.clone(), to: bin.join("sdocker") });
    }
    plan
}

fn sdk(asked: &SetupRequest, surroundings: &Surroundings, found: &Found) -> crate::Result<Installation> {
    let python = found.python.as_ref().ok_or_else(|| {
        Error::new("there is no Python to install the SageMaker Python SDK into").hint("name one with --python")
    })?;
    let python = python.display().to_string();
    // A file is meant in the current folder, and pip runs in another.
    let file = surroundings.cwd.as_ref().map(|cwd| cwd.join(&asked.sdk));
    let file = file.filter(|file| asked.sdk.contains('/') && matches!(file.try_exists(), Ok(true)));
    let sdk = file.map_or_else(|| asked.sdk.clone(), |file| file.display().to_string());
    let command = [python.as_str(), "-m", "pip", "install", "--disable-pip-version-check", &sdk];
    Ok(Installation::Run(vec![command.map(str::to_owned).to_vec()]))
}

fn packages(surroundings: &Surroundings, missing: Missing) -> crate::Result<Vec<Installation>> {
    let option = if missing == Missing::Docker { "--docker-from" } else { "--compose-from" };
    let (manager, privilege) = manager(surroundings).ok_or_else(|| {
        Error::new(format!(
            "{missing} can't be installed: no package manager may be used here (apt-get, dnf or yum as root or with sudo, or conda)"
        ))
        .hint(format!("name an archive with {option} URL#sha256=SUM"))
    })?;
    // Docker's own repositories, where they are configured, then the distribution's.
    let (install, names): (&[&str], &[&str]) = match (manager, missing) {
        (Manager::Apt, Missing::Docker) => (&APT, &["docker-ce-cli", "docker-cli", "docker.io"]),
        (Manager::Apt, _) => (&APT, &["docker-compose-plugin", "docker-compose-v2", "docker-compose"]),
        (Manager::Dnf, Missing::Docker) => (&["dnf", "install", "-qy"], &["docker-ce-cli", "docker"]),
        (Manager::Dnf, _) => (&["dnf", "install", "-qy"], &["docker-compose-plugin", "docker-compose"]),
        (Manager::Yum, Missing::Docker) => (&["yum", "install", "-qy"], &["docker-ce-cli", "docker"]),
        (Manager::Yum, _) => (&["yum", "install", "-qy"], &["docker-compose-plugin", "docker-compose"]),
        (Manager::Conda, Missing::Docker) => (&CONDA, &["docker-cli"]),
        (Manager::Conda, _) => (&CONDA, &["docker-compose"]),
    };
    let with =
        |words: &[&str]| -> Vec<String> { privilege.iter().chain(words).map(|word| (*word).to_owned()).collect() };
    let refresh = (manager == Manager::Apt).then(|| Installation::Run(vec![with(&["apt-get", "-qq", "update"])]));
    let install = Installation::Run(names.iter().map(|name| with(&[install, &[name]].concat())).collect());
    Ok(refresh.into_iter().chain([install]).collect())
}

const APT: [&str; 5] = ["apt-get", "-qq", "-y", "--no-install-recommends", "install"];
const CONDA: [&str; 6] = ["conda", "install", "-q", "-y", "-c", "conda-forge"];

/// The package manager that may be used, and what goes before it.
fn manager(surroundings: &Surroundings) -> Option<(Manager, &'static [&'static str])> {
    let privilege: Option<&'static [&'static str]> = if rustix::process::geteuid().is_root() {
        Some(&[])
    } else {
        let sudo = || Command::new("sudo").args(["-n", "true"]).stdin(Stdio::null()).stderr(Stdio::null()).status();
        (surroundings.which("sudo").is_some() && sudo().is_ok_and(|status| status.success())).then_some(&["sudo"][..])
    };
    let there = |name: &str| surroundings.which(name).is_some();
    match privilege {
        Some(privilege) if there("apt-get") => Some((Manager::Apt, privilege)),
        Some(privilege) if there("dnf") => Some((Manager::Dnf, privilege)),
        Some(privilege) if there("yum") => Some((Manager::Yum, privilege)),
        _ if there("conda") => Some((Manager::Conda, &[])),
        _ => None,
    }
}
