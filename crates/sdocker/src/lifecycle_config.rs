//! A script that installs sdocker when an app starts, as a lifecycle configuration of Studio.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use host_provisioner::InstanceType;
use studio_discovery::AppKind;

use crate::{
    Error, Observer, Surroundings,
    error::Context as _,
    session::{Session, local_facts},
    setup::Source,
};

/// How long a lifecycle configuration may be, in characters of base64 (SageMaker API reference, `StudioLifecycleConfigContent`).
const LONGEST: usize = 16_384;

const SCRIPT: &str = include_str!("lifecycle_config/script.sh");

/// What the script installs, and for what app.
#[derive(Clone, Debug)]
pub struct LifecycleConfig {
    app: AppKind,
    script: String,
}

impl LifecycleConfig {
    /// A script for apps of a kind; of this app's own kind, where none is named. It takes the binary from `binary`, else from the home.
    /// With `up`, the app has the socket of `sdocker up` from its start on, for hosts of this type.
    ///
    /// # Errors
    /// No kind is named, and this is no Studio app; a script that is longer than SageMaker takes.
    pub fn new(
        app: Option<AppKind>,
        binary: Option<&Source>,
        sdk: &str,
        up: Option<&InstanceType>,
        surroundings: &Surroundings,
    ) -> crate::Result<Self> {
        let app = match app {
            Some(app) => app,
            None => local_facts(surroundings).context("no --app-type is given, and this app has none")?.app().kind,
        };
        let config = Self { app, script: script(app, binary, sdk, up)? };
        let length = config.content().len();
        if length > LONGEST {
            let what = format!("the script would be {length} characters long; SageMaker takes {LONGEST}");
            return Err(Error::new(what));
        }
        Ok(config)
    }

    /// The script.
    pub fn script(&self) -> &str {
        &self.script
    }

    fn content(&self) -> String {
        STANDARD.encode(&self.script)
    }

    /// Registers it with SageMaker under a name; its ARN.
    ///
    /// # Cancel safety
    /// It can be dropped at any time; it may be registered then, or not.
    ///
    /// # Errors
    /// No Studio app; a name that is taken; an answer that SageMaker does not give.
    pub async fn register(
        &self,
        name: &str,
        surroundings: &Surroundings,
        observer: &dyn Observer,
    ) -> crate::Result<String> {
        let session = Session::open(surroundings, observer).await?;
        let Some(configs) = &session.clouds.lifecycle_configs else {
            return Err(Error::new("the sandbox has no lifecycle configurations").hint("--cloud aws uses AWS"));
        };
        Ok(configs.create(name, self.app, &self.content()).await?)
    }
}

fn script(app: AppKind, binary: Option<&Source>, sdk: &str, up: Option<&InstanceType>) -> crate::Result<String> {
    let up = up.map_or("", InstanceType::as_str);
    let app = format!("{app:?}");
    let (location, sha256) = binary.map_or(("", ""), |source| (source.location.as_str(), source.sha256.as_str()));
    let mut script = String::from("#!/bin/bash\n");
    for (name, value) in [("app", app.as_str()), ("binary", location), ("sha256", sha256), ("sdk", sdk), ("up", up)] {
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
    fn run(app: AppKind, binary: Option<&Source>, up: Option<&str>, expected: usize) -> (String, String) {
        let home = tempfile::tempdir().expect("a folder");
        let path = home.path().join("script");
        fs::write(
            &path,
            script(app, binary, "sagemaker[local]<3; echo 'x'", up.map(InstanceType::new).as_ref()).expect("quoted"),
        )
        .expect("written");
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
        let (called, log) = run(AppKind::JupyterLab, Some(&source), Some("c5.xlarge"), 3);
        assert_eq!(
            called, "up c5.xlarge\nsetup --prefix ~/.local --sdk sagemaker[local]<3; echo 'x'\nconfigure\n",
            "{log}"
        );
        let (called, log) = run(AppKind::JupyterServer, Some(&source), None, 1);
        assert_eq!(called, "configure\n", "{log}");

        let other: Source = format!("file://{}#sha256={}", path.display(), "0".repeat(64)).parse().expect("a source");
        let (called, log) = run(AppKind::JupyterLab, Some(&other), None, 0);
        assert_eq!(called, "");
        assert!(log.contains("FAILED") || log.contains("did NOT match"), "{log}");
    }

    #[test]
    fn it_is_sound_shell_and_short_enough() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("script.sh");
        let script = script(AppKind::CodeEditor, None, "sagemaker>=2.80.0", None).expect("quoted");
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
