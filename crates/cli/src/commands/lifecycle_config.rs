//! `sdocker lifecycle-config`: a script that installs sdocker when an app starts.

use anyhow::Context as _;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use clap::ValueEnum;
use serde::Serialize;
use studio_discovery::AppKind;

use sdocker::{
    Error, Surroundings,
    session::{Session, local_facts},
    setup::Source,
};

use crate::{printer::Printer, progress::Progress};

/// How long a lifecycle configuration may be, in characters of base64 (SageMaker API reference, `StudioLifecycleConfigContent`).
const LONGEST: usize = 16_384;

const SCRIPT: &str = include_str!("lifecycle_config/script.sh");

/// Print or register a script that installs sdocker at app start.
///
/// The script puts the binary into ~/.local/bin where it is missing, and runs `sdocker setup` and `sdocker configure` in the background,
/// with their output in ~/.sdocker/lifecycle.log.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The type of app it is for, instead of this app's.
    #[arg(long, value_enum, value_name = "TYPE")]
    app_type: Option<AppType>,
    /// Where apps find the binary, with its checksum: https:// or s3://. Without it, it must be in ~/.local/bin of the home, which stays.
    #[arg(long, value_name = "URL#sha256=SUM")]
    binary_from: Option<Source>,
    /// The SDK that `sdocker setup` installs where it is missing.
    #[arg(long, value_name = "REQUIREMENT", default_value = "sagemaker>=2.80.0")]
    sdk: String,
    /// Register it with SageMaker under this name.
    #[arg(long, value_name = "NAME")]
    create: Option<String>,
}

/// The types of app that SageMaker runs lifecycle configurations for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum AppType {
    #[value(name = "JupyterLab", alias = "jupyterlab")]
    JupyterLab,
    #[value(name = "CodeEditor", alias = "codeeditor")]
    CodeEditor,
    #[value(name = "KernelGateway", alias = "kernelgateway")]
    KernelGateway,
    #[value(name = "JupyterServer", alias = "jupyterserver")]
    JupyterServer,
}

impl From<AppType> for AppKind {
    fn from(app: AppType) -> Self {
        match app {
            AppType::JupyterLab => Self::JupyterLab,
            AppType::CodeEditor => Self::CodeEditor,
            AppType::KernelGateway => Self::KernelGateway,
            AppType::JupyterServer => Self::JupyterServer,
        }
    }
}

#[derive(Debug, Serialize)]
struct Created {
    name: String,
    arn: String,
}

pub(crate) async fn run(args: &Args, surroundings: &Surroundings, printer: &Printer) -> anyhow::Result<()> {
    let app = match args.app_type {
        Some(app) => app.into(),
        None => local_facts(surroundings).context("no --app-type is given, and this app has none")?.app().kind,
    };
    let script = script(app, args.binary_from.as_ref(), &args.sdk)?;
    let content = STANDARD.encode(&script);
    if content.len() > LONGEST {
        return Err(Error::new(format!(
            "the script would be {} characters long; SageMaker takes {LONGEST}",
            content.len()
        ))
        .into());
    }
    let Some(name) = &args.create else {
        printer.stdout(&script);
        return Ok(());
    };
    let session = Session::open(surroundings, &Progress::new(printer)).await?;
    let Some(configs) = &session.clouds.lifecycle_configs else {
        return Err(Error::new("the sandbox has no lifecycle configurations").hint("--cloud aws takes AWS").into());
    };
    let arn = configs.create(name, app, &content).await?;
    let created = Created { name: name.clone(), arn };
    printer.result(&created, || created.arn.clone())?;
    printer.hint("attach it to the domain, the user profile or the space; it runs when an app starts after that");
    Ok(())
}

fn script(app: AppKind, binary: Option<&Source>, sdk: &str) -> anyhow::Result<String> {
    let app = format!("{app:?}");
    let (location, sha256) = binary.map_or(("", ""), |source| (source.location.as_str(), source.sha256.as_str()));
    let mut script = String::from("#!/bin/bash\n");
    for (name, value) in [("app", app.as_str()), ("binary", location), ("sha256", sha256), ("sdk", sdk)] {
        let value = shlex::try_quote(value).with_context(|| format!("{name} can't be quoted"))?;
        script.push_str(&format!("{name}={value}\n"));
    }
    Ok(script + SCRIPT)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _, process::Command, time::Duration};

    use super::*;

    const BINARY: &str = "#!/bin/sh\necho \"$@\" >>\"$HOME/called\"\n";

    /// Runs the script in an empty home; what it called `sdocker` with.
    fn run(app: AppKind, binary: Option<&Source>, expected: usize) -> (String, String) {
        let home = tempfile::tempdir().expect("a folder");
        let path = home.path().join("script");
        fs::write(&path, script(app, binary, "sagemaker[local]<3; echo 'x'").expect("quoted")).expect("written");
        let status = Command::new("bash")
            .arg(&path)
            .env("HOME", home.path())
            .env("PATH", "/usr/bin:/bin")
            .status()
            .expect("it runs");
        assert!(status.success());
        let read = |name: &str| fs::read_to_string(home.path().join(name)).unwrap_or_default();
        for _ in 0..500 {
            if read("called").lines().count() >= expected
                && (expected > 0 || !read(".sdocker/lifecycle.log").is_empty())
            {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        (read("called").replace(&home.path().display().to_string(), "~"), read(".sdocker/lifecycle.log"))
    }

    #[test]
    fn it_installs_the_binary_and_runs_setup_and_configure() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("sdocker");
        fs::write(&path, BINARY).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("set");
        let sum = Command::new("sha256sum").arg(&path).output().expect("it runs").stdout;
        let sum = String::from_utf8_lossy(&sum)[..64].to_owned();
        let source: Source = format!("file://{}#sha256={sum}", path.display()).parse().expect("a source");
        let (called, log) = run(AppKind::JupyterLab, Some(&source), 2);
        assert_eq!(called, "setup --prefix ~/.local --sdk sagemaker[local]<3; echo 'x'\nconfigure\n", "{log}");
        let (called, log) = run(AppKind::JupyterServer, Some(&source), 1);
        assert_eq!(called, "configure\n", "{log}");

        let other: Source = format!("file://{}#sha256={}", path.display(), "0".repeat(64)).parse().expect("a source");
        let (called, log) = run(AppKind::JupyterLab, Some(&other), 0);
        assert_eq!(called, "");
        assert!(log.contains("FAILED") || log.contains("did NOT match"), "{log}");
    }

    #[test]
    fn it_is_sound_shell_and_short_enough() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("script.sh");
        let script = script(AppKind::CodeEditor, None, "sagemaker>=2.80.0").expect("quoted");
        assert!(STANDARD.encode(&script).len() < LONGEST);
        fs::write(&path, &script).expect("written");
        let (_, inner) = script.split_once("<<'SDOCKER-END'\n").expect("a part");
        let (inner, _) = inner.split_once("SDOCKER-END\n").expect("its end");
        let inner_path = folder.path().join("inner.sh");
        fs::write(&inner_path, format!("#!/bin/sh\n{inner}")).expect("written");
        // SC2154: what the outer script exports.
        let check = Command::new("shellcheck").args(["-e", "SC2154"]).args([&path, &inner_path]).output();
        let check = check.expect("shellcheck is needed (Debian package shellcheck)");
        assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stdout));
    }
}
