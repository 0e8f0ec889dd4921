//! Putting docker, compose and the SageMaker SDK where they are missing.

pub mod archive;
mod found;
mod installations;

use std::path::PathBuf;

use serde::Serialize;

use crate::{Error, Observer, Surroundings};

pub use archive::Source;
pub use found::Found;

/// The SDK that is installed where none is asked for.
pub const DEFAULT_SDK: &str = "sagemaker>=2.80.0";

/// What to put where.
#[derive(Clone, Debug)]
pub struct SetupRequest {
    /// Only say what would be done.
    pub dry_run: bool,
    /// A static archive of the Docker CLI.
    pub docker_from: Option<Source>,
    /// The program of Docker Compose.
    pub compose_from: Option<Source>,
    /// The SDK to install with pip if it is missing.
    pub sdk: String,
    /// The Python that runs the SDK, instead of the first on PATH.
    pub python: Option<PathBuf>,
    /// Where programs go, in its folder `bin`.
    pub prefix: Option<PathBuf>,
    /// What becomes of what package managers print.
    pub programs_say: ProgramsSay,
}

impl Default for SetupRequest {
    fn default() -> Self {
        Self {
            dry_run: false,
            docker_from: None,
            compose_from: None,
            sdk: DEFAULT_SDK.to_owned(),
            python: None,
            prefix: None,
            programs_say: ProgramsSay::Nothing,
        }
    }
}

/// What becomes of what package managers print.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgramsSay {
    /// It is dropped.
    Nothing,
    /// It goes to this process's standard error.
    OnStandardError,
}

/// What was done.
#[derive(Debug, Serialize)]
pub struct SetUp {
    /// What was done; with `dry_run`, what would be.
    pub actions: Vec<String>,
    /// Whether nothing was changed.
    pub dry_run: bool,
    /// What is there now.
    pub found: Found,
}

/// Where programs go by default.
pub fn default_bin(surroundings: &Surroundings) -> PathBuf {
    let prefix =
        if rustix::process::geteuid().is_root() { "/usr/local".into() } else { surroundings.home.join(".local") };
    prefix.join("bin")
}

/// Puts there what is missing, or says what would be done.
///
/// # Errors
/// What is still missing.
pub fn set_up(asked: &SetupRequest, surroundings: &Surroundings, observer: &dyn Observer) -> crate::Result<SetUp> {
    let bin = asked.prefix.as_ref().map_or_else(|| default_bin(surroundings), |prefix| prefix.join("bin"));
    if let Some(python) = &asked.python
        && surroundings.which(python).is_none()
    {
        return Err(Error::new(format!("there is no program {}", python.display())).hint("name a Python with --python"));
    }
    let mut actions = Vec::new();
    let mut failures = Vec::new();
    let mut found = Found::look(surroundings, &bin, asked.python.as_deref());
    // What compose comes to is known only once it is there.
    for _ in 0..2 {
        let plan = installations::plan(asked, surroundings, &bin, &found);
        failures.extend(plan.impossible);
        for installation in &plan.installations {
            if !asked.dry_run {
                observer.info(installation);
            }
            actions.push(installation.to_string());
            if !asked.dry_run
                && let Err(error) = installation.carry_out(asked.programs_say)
            {
                // The others may be done nevertheless.
                failures.push(error);
            }
        }
        if asked.dry_run || plan.installations.is_empty() {
            break;
        }
        found = Found::look(surroundings, &bin, asked.python.as_deref());
        if !failures.is_empty() {
            break;
        }
    }
    if asked.dry_run {
        for failure in &failures {
            observer.warn(format!("{failure:#}"));
            failure.own_hints().iter().for_each(|hint| observer.hint(hint));
        }
        return Ok(SetUp { actions, dry_run: true, found });
    }
    let missing = found.tools().missing();
    if !failures.is_empty() || !missing.is_empty() {
        let missing: Vec<_> = missing.iter().map(ToString::to_string).collect();
        let mut error = Error::new(match missing.as_slice() {
            [] => "not everything could be done".to_owned(),
            missing => format!("still missing: {}", missing.join(", ")),
        });
        for failure in failures {
            observer.warn(format!("{failure:#}"));
            error = error.also(failure);
        }
        return Err(error.hint("`sdocker setup --dry-run` says what is left to do"));
    }
    let on_path = std::env::split_paths(&surroundings.path).any(|folder| folder == bin);
    if !on_path && found.uses(&bin) {
        observer.warn(format!("{} is not on PATH", bin.display()));
        observer.hint(format!("export PATH={}:$PATH", bin.display()));
    }
    Ok(SetUp { actions, dry_run: false, found })
}
