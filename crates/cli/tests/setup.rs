//! `sdocker setup` in an app that has nothing: the tools that it takes are scripts, the archives are real.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use flate2::{Compression, write::GzEncoder};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

/// Python, which has the SDK once pip was asked for it.
const PYTHON: &str = r#"#!/bin/sh
if [ "$1 $2 $3" = "-m pip install" ]; then echo "$@" >>"$HOME/pip"; echo "pip says this"; exit 0; fi
[ -e "$HOME/pip" ] || exit 1
echo 2.257.7
"#;

/// A Docker CLI that has the plugin once it is in its folder; its version is one that the SDK does not know.
const DOCKER: &str = r#"#!/bin/sh
[ -x "$HOME/.docker/cli-plugins/docker-compose" ] || exit 1
echo "Docker Compose version v5.0.0"
"#;

struct App {
    home: TempDir,
}

impl App {
    fn new() -> Self {
        let home = tempfile::tempdir().expect("a folder");
        let app = Self { home };
        fs::create_dir(app.path("tools")).expect("made");
        program(&app.path("tools/python3"), PYTHON);
        for shell in ["sh", "curl"] {
            let real = Command::new("which").arg(shell).output().expect("it runs").stdout;
            let real = PathBuf::from(String::from_utf8(real).expect("a path").trim());
            symlink(real, app.path("tools").join(shell)).expect("linked");
        }
        app
    }

    fn path(&self, path: &str) -> PathBuf {
        self.home.path().join(path)
    }

    fn setup(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let local = self.path("local").display().to_string();
        self.sdocker(&[&["setup", "--prefix", &local], arguments].concat())
    }

    fn sdocker(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_sdocker"))
            .args(arguments)
            .env_clear()
            .env("HOME", self.home.path())
            .env("PATH", self.path("tools"))
            .output()
            .expect("it runs");
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        (output.status.code(), text(output.stdout), text(output.stderr))
    }

    /// Archives of both tools, as arguments.
    fn archives(&self) -> [String; 4] {
        let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        let mut header = tar::Header::new_gnu();
        header.set_size(DOCKER.len() as u64);
        archive.append_data(&mut header, "docker/docker", DOCKER.as_bytes()).expect("added");
        let bytes = archive.into_inner().expect("done").finish().expect("done");
        fs::write(self.path("docker.tgz"), &bytes).expect("written");
        let compose = b"#!/bin/sh\n";
        fs::write(self.path("compose"), compose).expect("written");
        let sum = |bytes: &[u8]| Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        [
            "--docker-from".to_owned(),
            // As from a mirror.
            format!("file://{}#sha256={}", self.path("docker.tgz").display(), sum(&bytes)),
            "--compose-from".to_owned(),
            format!("{}#sha256={}", self.path("compose").display(), sum(compose)),
        ]
    }

    fn files(&self) -> Vec<PathBuf> {
        let mut files: Vec<_> =
            fs::read_dir(self.home.path()).expect("read").flatten().map(|file| file.path()).collect();
        files.sort();
        files
    }
}

fn program(path: &Path, text: &str) {
    fs::write(path, text).expect("written");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("set");
}

/// What lies in the current folder is not run, nor what `PYTHONPATH` adds to Python: both may hold what somebody else put there.
#[test]
fn nothing_of_the_current_folder_is_run() {
    let app = App::new();
    let folder = app.path("cloned");
    fs::create_dir(&folder).expect("made");
    let marker = app.path("ran");
    // `importlib.metadata` imports these, and pip others.
    for module in ["csv", "email", "zipfile", "pip"] {
        fs::write(folder.join(format!("{module}.py")), format!("open({:?}, 'a').write('{module} ')\n", marker))
            .expect("written");
    }
    program(&folder.join("docker"), &format!("#!/bin/sh\necho docker >>{}\n", marker.display()));
    fs::remove_file(app.path("tools/python3")).expect("removed");
    symlink("/usr/bin/python3", app.path("tools/python3")).expect("linked");
    for command in [&["setup", "--dry-run", "--prefix", "local"][..], &["configure", "--dry-run"], &["doctor"]] {
        let output = Command::new(env!("CARGO_BIN_EXE_sdocker"))
            .args(command)
            .current_dir(&folder)
            .env_clear()
            .env("HOME", app.home.path())
            .env("PATH", format!("{}:.::{}", app.path("tools").display(), app.path("nowhere").display()))
            .env("PYTHONPATH", ".")
            .output()
            .expect("it runs");
        assert!(output.status.code().is_some());
        assert_eq!(fs::read_to_string(&marker).unwrap_or_default(), "", "{command:?}: {output:?}");
    }
}

#[test]
fn everything_is_put_there_once() {
    let app = App::new();
    let archives = app.archives();
    let arguments: Vec<&str> = archives.iter().map(String::as_str).collect();
    let before = app.files();
    let (code, stdout, planned) = app.setup(&[&arguments[..], &["--dry-run"]].concat());
    assert_eq!((code, planned.as_str()), (Some(0), ""), "a plan is a result: {stdout}");
    let plan: Vec<_> = stdout.lines().collect();
    assert!(
        plan.len() == 5 && plan[0].starts_with("put file://") && plan[4] == "nothing was changed (--dry-run)",
        "{stdout}"
    );
    assert_eq!(app.files(), before);

    let (code, stdout, stderr) =
        app.setup(&[&arguments[..], &["--sdk", "sagemaker[local]<3", "--output", "json"]].concat());
    assert_eq!(code, Some(0), "{stderr}");
    let report: Value = serde_json::from_str(&stdout).expect("one document, whatever pip prints");
    let expected = [
        format!("put file://{} at {}", app.path("docker.tgz").display(), app.path("local/bin/docker").display()),
        format!(
            "run {} -m pip install --disable-pip-version-check 'sagemaker[local]<3'",
            app.path("tools/python3").display()
        ),
        format!(
            "put {} at {}",
            app.path("compose").display(),
            app.path(".docker/cli-plugins/docker-compose").display()
        ),
        format!("link {} to {}", app.path("local/bin/sdocker").display(), env!("CARGO_BIN_EXE_sdocker")),
        // Only now is it known that this SDK does not take this plugin.
        format!("write {}, which runs `docker compose`", app.path("local/bin/docker-compose").display()),
    ];
    let actions: Vec<_> = report["actions"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    assert_eq!(actions, expected);
    assert_eq!(report["found"]["sdk"], "2.257.7");
    assert!(stderr.contains("pip says this") && stderr.contains("local/bin is not on PATH"), "{stderr}");
    assert!(fs::metadata(app.path("local/bin/docker-compose")).expect("there").permissions().mode() & 0o111 != 0);

    let (code, stdout, _) = app.setup(&arguments);
    assert_eq!((code, stdout.as_str()), (Some(0), "nothing is missing\n"));
    assert_eq!(fs::read_to_string(app.path("pip")).expect("there").lines().count(), 1);
}

#[test]
fn what_can_not_be_done_is_said_with_what_to_do() {
    let app = App::new();
    // Without root, network or a package manager: all that is missing is named at once, and what can be done is done.
    let (code, stdout, stderr) = app.setup(&[]);
    assert_eq!((code, stdout.as_str()), (Some(1), ""), "{stderr}");
    for said in
        ["the Docker CLI can't be installed", "Docker Compose can't be installed", "--docker-from", "--compose-from"]
    {
        assert!(stderr.contains(said), "{said}: {stderr}");
    }
    assert!(app.path("pip").exists() && app.path("local/bin/sdocker").exists(), "{stderr}");
    fs::remove_file(app.path("pip")).expect("removed");
    fs::remove_file(app.path("tools/curl")).expect("removed: a file needs no network");

    // Another archive than the one that was meant.
    let archives = app.archives();
    fs::write(app.path("docker.tgz"), "changed").expect("written");
    let arguments: Vec<&str> = archives.iter().map(String::as_str).collect();
    let (code, _, stderr) = app.setup(&arguments);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("is not what was expected: its SHA-256 is"), "{stderr}");
    assert!(!app.path("local/bin/docker").exists());
    // What does not depend on it was done nevertheless.
    assert!(stderr.contains("still missing: the Docker CLI") && app.path("pip").exists(), "{stderr}");

    let (code, _, stderr) = app.setup(&["--dry-run", "--python", "/no/such/python"]);
    assert!(code == Some(1) && stderr.contains("there is no program /no/such/python"), "{stderr}");

    let (code, _, stderr) = app.setup(&["--docker-from", "https://example.com/docker.tgz"]);
    assert_eq!(code, Some(2));
    assert!(stderr.contains("expected URL#sha256=SUM"), "{stderr}");
}

impl App {
    /// Runs sdocker on a terminal, where somebody types this.
    fn on_terminal(&self, arguments: &[&str], answer: &str) -> (Option<i32>, String) {
        let quoted: Vec<String> = arguments.iter().map(|word| format!("'{word}'")).collect();
        let line = format!("'{}' {}", env!("CARGO_BIN_EXE_sdocker"), quoted.join(" "));
        let mut script = Command::new("/usr/bin/script");
        script.args(["-qec", &line, "/dev/null"]).env_clear().env("HOME", self.home.path()).env("TERM", "xterm");
        script.env("SHELL", "/bin/sh").env("PATH", self.path("tools")).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = script.spawn().expect("it runs");
        // Its end would be the terminal's.
        let mut keys = child.stdin.take().expect("piped");
        keys.write_all(answer.as_bytes()).expect("it reads");
        let ended = child.wait_with_output().expect("it ends");
        drop(keys);
        (ended.status.code(), String::from_utf8_lossy(&ended.stdout).into_owned())
    }
}

/// `doctor --fix` says what it would install, and installs nothing that nobody agreed to.
#[test]
fn doctor_installs_only_what_was_agreed_to() {
    let app = App::new();
    program(&app.path("tools/docker"), "#!/bin/sh\necho Docker Compose version v2.29.1\n");
    symlink(env!("CARGO_BIN_EXE_sdocker"), app.path("tools/sdocker")).expect("linked");
    let (_, stdout, stderr) = app.sdocker(&["doctor", "--fix"]);
    assert!(stderr.contains("-m pip install") && stderr.contains("`sdocker doctor --fix --yes`"), "{stderr}");
    assert!(stdout.contains("warning   tools: Local Mode does not find the SageMaker Python SDK"), "{stdout}");
    assert!(!app.path("pip").exists());

    let (_, stdout, stderr) = app.sdocker(&["doctor", "--fix", "--yes"]);
    assert!(stdout.contains("fixed     tools: Local Mode does not find the SageMaker Python SDK"), "{stdout}{stderr}");
    assert!(app.path("pip").exists());

    let (code, _, stderr) = app.sdocker(&["doctor", "--yes"]);
    assert_eq!(code, Some(2), "{stderr}");
}

/// On a terminal it is asked, and the answer counts.
#[test]
fn doctor_asks_on_a_terminal() {
    let app = App::new();
    program(&app.path("tools/docker"), "#!/bin/sh\necho Docker Compose version v2.29.1\n");
    symlink(env!("CARGO_BIN_EXE_sdocker"), app.path("tools/sdocker")).expect("linked");
    for (answer, installs) in [("n\n", false), ("\n", false), ("y\n", true)] {
        let (_, said) = app.on_terminal(&["doctor", "--fix"], answer);
        assert!(said.contains("-m pip install") && said.contains("do this? [y/N]"), "{answer:?}: {said}");
        assert_eq!(app.path("pip").exists(), installs, "{answer:?}: {said}");
    }
}

/// On a terminal it is said what would be installed, and asked; in a pipe it is done, as scripts expect.
#[test]
fn on_a_terminal_it_asks_first() {
    let app = App::new();
    let archives = app.archives();
    let local = app.path("local").display().to_string();
    let words: Vec<&str> =
        ["setup", "--prefix", &local].into_iter().chain(archives.iter().map(String::as_str)).collect();
    let on_terminal = |answer: &str, more: &[&str]| app.on_terminal(&[&words[..], more].concat(), answer);
    let (code, said) = on_terminal("n\n", &[]);
    assert!(
        said.contains("would be installed:") && said.contains("docker.tgz") && said.contains("do this? [y/N]"),
        "{said}"
    );
    assert!(code == Some(1) && said.contains("nothing was installed"), "{said}");
    assert!(!app.path("local").exists());
    let (code, said) = on_terminal("", &["--yes"]);
    assert!(code == Some(0) && !said.contains("do this?"), "{said}");
    assert!(app.path("local/bin/docker").exists());
}
