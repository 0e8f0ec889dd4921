//! What of Local Mode's needs is on this machine.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use localmode_config::{Sdk, Tools, Version};
use serde::Serialize;

use crate::Surroundings;

/// What was found, and where.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Found {
    /// The Docker CLI.
    pub docker: Option<PathBuf>,
    /// What `docker compose version` says.
    pub compose_plugin: Option<String>,
    /// The program `docker-compose`.
    pub compose_program: Option<PathBuf>,
    /// The Python that runs the SDK.
    pub python: Option<PathBuf>,
    /// The version of the SageMaker Python SDK.
    pub sdk: Option<String>,
    /// The version of `sagemaker-core`, which is most of version 3 of the SDK.
    pub sdk_core: Option<String>,
    /// The version of `sagemaker-train`, which trains in version 3 of the SDK.
    pub sdk_train: Option<String>,
    /// This binary on PATH.
    pub sdocker: Option<PathBuf>,
}

impl Found {
    /// Looks on PATH, and in `bin`, which may not be on PATH yet.
    pub fn look(surroundings: &Surroundings, bin: &Path, python: Option<&Path>) -> Self {
        let program =
            |name: &str| surroundings.which(name).or_else(|| Some(bin.join(name)).filter(|path| path.is_file()));
        let docker = program("docker");
        let plugin = docker.as_ref().and_then(|docker| said(docker, &["compose", "version"]));
        let python = match python {
            Some(python) => surroundings.which(python),
            None => surroundings.which("python3").or_else(|| surroundings.which("python")),
        };
        let sdk = python.as_ref().and_then(|python| said(python, &["-I", "-c", ASK_FOR_SDK])).unwrap_or_default();
        // A line each, which is empty where there is none.
        let mut versions =
            sdk.split('\n').map(|version| Some(version.to_owned()).filter(|version| !version.is_empty()));
        let [sdk, sdk_core, sdk_train] = std::array::from_fn(|_| versions.next().flatten());
        Self {
            compose_plugin: plugin,
            compose_program: program("docker-compose"),
            sdocker: program("sdocker"),
            docker,
            python,
            sdk,
            sdk_core,
            sdk_train,
        }
    }

    /// What of it Local Mode asks about.
    pub fn tools(&self) -> Tools {
        Tools {
            docker: self.docker.is_some(),
            compose_plugin: self.compose_plugin.clone(),
            compose_program: self.compose_program.is_some(),
            sdk: self.sdk.as_deref().and_then(version).map(|sagemaker| Sdk {
                sagemaker,
                core: self.sdk_core.as_deref().and_then(version),
                train: self.sdk_train.as_deref().and_then(version),
            }),
        }
    }

    /// Whether something that was found is in this folder.
    pub fn uses(&self, folder: &Path) -> bool {
        let programs = [&self.docker, &self.compose_program, &self.sdocker];
        programs.into_iter().flatten().any(|path| path.parent() == Some(folder))
    }
}

/// The major and minor number.
fn version(text: &str) -> Option<Version> {
    let mut numbers = text.split('.').map(|part| part.parse().ok());
    Some((numbers.next()??, numbers.next().flatten().unwrap_or_default()))
}

/// Asks an isolated Python, which looks for modules neither in the current folder nor in those of `PYTHONPATH` (python(1), option `-I`), for
/// the SDK and its parts. What `pip install --user` has put there counts nevertheless: it is looked at, and not run.
const ASK_FOR_SDK: &str = "\
import importlib.metadata, site, sys
sys.path.append(site.getusersitepackages())
def version(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ''
print(*map(version, ['sagemaker', 'sagemaker-core', 'sagemaker-train']), sep='\\n')";

/// What a program prints, where it succeeds and prints something. It does not see the current folder.
fn said(program: &Path, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new(program);
    command.args(arguments).current_dir("/").stdin(Stdio::null()).stderr(Stdio::null());
    let output = command.output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).trim_end().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use localmode_config::Missing;

    use super::*;
    use crate::stand_in;

    /// sagemaker 3.0 takes any sagemaker-core 2.x: what it does with Compose is told by its parts alone.
    #[test]
    fn the_parts_of_an_sdk_are_asked_for() {
        let home = tempfile::tempdir().expect("a folder");
        let program = |name: &str, text: &str| stand_in::program(home.path(), name, text);
        program("docker", "echo Docker Compose version 2.40.3-3");
        let mut surroundings = Surroundings::new(home.path());
        surroundings.path = home.path().into();
        for (versions, missing) in [
            ("3.0 2.27.0 1.27.0", vec![]),
            ("3.0 2.27.0 1.21.0", vec![Missing::ComposeProgram]),
            ("3.27.0 '' ''", vec![]),
        ] {
            program("python3", &format!("printf '%s\\n' {versions}"));
            let found = Found::look(&surroundings, home.path(), None);
            assert_eq!(found.tools().missing(), missing, "{found:?}");
        }
    }

    #[test]
    fn versions_as_python_writes_them() {
        assert_eq!(super::version("2.257.7"), Some((2, 257)));
        assert_eq!(super::version("3.0"), Some((3, 0)));
        assert_eq!(super::version("3"), Some((3, 0)));
        assert_eq!(super::version("none"), None);
    }
}
