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

/// What is missing, as installations.
pub(super) fn plan(
    asked: &SetupRequest,
    surroundings: &Surroundings,
    bin: &Path,
    found: &Found,
) -> crate::Result<Vec<Installation>> {
    let missing = found.tools().missing();
    let mut installations = Vec::new();
    let mut refreshed = false;
    for missing in missing {
        match missing {
            Missing::Docker => match &asked.docker_from {
                Some(from) => {
                    installations.push(Installation::Place {
                        from: from.clone(),
                        member: Some("docker"),
                        to: bin.join("docker"),
                    });
                }
                None => packages(surroundings, missing, &mut refreshed, &mut installations)?,
            },
            Missing::Compose => match &asked.compose_from {
                Some(from) => {
                    let to = surroundings.docker_config.join("cli-plugins/docker-compose");
                    installations.push(Installation::Place { from: from.clone(), member: None, to });
                }
                None => packages(surroundings, missing, &mut refreshed, &mut installations)?,
            },
            Missing::ComposeProgram => installations.push(Installation::ComposeProgram(bin.join("docker-compose"))),
            Missing::Sdk => {
                let python = found.python.as_ref().ok_or_else(|| {
                    Error::new("there is no Python to install the SDK into").hint("name one with --python")
                })?;
                let python = python.display().to_string();
                // A file is meant in the current folder, and pip runs in another.
                let file = surroundings.cwd.as_ref().map(|cwd| cwd.join(&asked.sdk));
                let file = file.filter(|file| asked.sdk.contains('/') && matches!(file.try_exists(), Ok(true)));
                let sdk = file.map_or_else(|| asked.sdk.clone(), |file| file.display().to_string());
                let command = [python.as_str(), "-m", "pip", "install", "--disable-pip-version-check", &sdk];
                installations.push(Installation::Run(vec![command.map(str::to_owned).to_vec()]));
            }
        }
    }
    if let (None, Some(own)) = (&found.sdocker, &surroundings.program) {
        installations.push(Installation::Link { from: own.clone(), to: bin.join("sdocker") });
    }
    Ok(installations)
}

fn packages(
    surroundings: &Surroundings,
    missing: Missing,
    refreshed: &mut bool,
    installations: &mut Vec<Installation>,
) -> crate::Result<()> {
    let option = if missing == Missing::Docker { "--docker-from" } else { "--compose-from" };
    let (manager, privilege) = manager(surroundings).ok_or_else(|| {
        Error::new(format!(
            "{missing:?} is missing, and no package manager may be used here: there is neither root, sudo nor conda"
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
    if manager == Manager::Apt && !*refreshed {
        installations.push(Installation::Run(vec![with(&["apt-get", "-qq", "update"])]));
        *refreshed = true;
    }
    installations.push(Installation::Run(names.iter().map(|name| with(&[install, &[name]].concat())).collect()));
    Ok(())
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
