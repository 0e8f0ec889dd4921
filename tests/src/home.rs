//! A home directory, and the binary run in it.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fmt, fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    Docker, network,
    studio_user::{StudioUser, for_everybody},
};

/// A home of its own, with an environment of its own.
#[derive(Debug)]
pub struct Home {
    folder: TempDir,
    environment: BTreeMap<String, OsString>,
    user: Option<StudioUser>,
    app: Option<AppNamespace>,
}

/// Where everything of a home is run: a mount namespace in which the home is at another path.
#[derive(Debug)]
struct AppNamespace {
    /// A process in it.
    process: u32,
    home: PathBuf,
}

/// What a run of the binary gave.
pub struct Run {
    /// The exit code; `None` where a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// Line by line, as it was printed: it stands in the messages of tests that fail, where one long line is unreadable, and cut off in a log.
impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exit code {:?}\nstdout: {}\nstderr: {}", self.code, self.stdout, self.stderr)
    }
}

impl Run {
    /// What a program gave that has ended.
    pub fn new(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// The run, which must have ended with this code.
    ///
    /// # Panics
    /// It ended with another.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        self
    }

    /// Standard output as JSON.
    ///
    /// # Panics
    /// It is none.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Some homes have a `PATH` without it.
const ENV: &str = "/usr/bin/env";

impl Home {
    /// An empty home. Of the process's environment the binary sees `PATH` and nothing else.
    ///
    /// # Panics
    /// No temporary folder can be made.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut home = Self { folder, environment: BTreeMap::new(), user: None, app: None };
        let path = std::env::var_os("PATH").unwrap_or_default();
        home.set("PATH", path);
        home.set("HOME", home.path().to_owned());
        home
    }

    /// A home whose hosts are in the sandbox; `None` where there can be none, which is said.
    pub fn in_sandbox() -> Option<Self> {
        Self::in_sandbox_with(Docker::Old)
    }

    /// A home whose hosts are in the sandbox, with this Docker. The test has a network of its own from here on.
    pub fn in_sandbox_with(docker: Docker) -> Option<Self> {
        let is_root = Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n");
        let there =
            |program: &str| Command::new("which").arg(program).output().is_ok_and(|output| output.status.success());
        for program in
            ["dockerd", "docker", "docker-compose", "docker-registry", "ip", "iptables", "busybox", "curl", "openssl"]
        {
            if !there(program) {
                crate::skip(&format!("the sandbox suite needs {program}"));
                return None;
            }
        }
        if !is_root {
            crate::skip("the sandbox suite needs root");
            return None;
        }
        if let Err(error) = network::of_this_test() {
            crate::skip(&format!("an app needs a network namespace of its own: {error}"));
            return None;
        }
        let mut home = Self::new();
        home.set("SDOCKER_CLOUD", "sandbox");
        docker.be_used(&mut home).then_some(home)
    }

    /// The home directory.
    pub fn path(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// A file or folder in the home.
    pub fn join(&self, path: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(path)
    }

    /// A file or folder in the home, as what runs there calls it.
    pub fn inside(&self, path: impl AsRef<Path>) -> PathBuf {
        match &self.app {
            Some(app) => app.home.join(path),
            None => self.join(path),
        }
    }

    /// From now on everything in this home is run in this process's mount namespace, in which the home is at this path.
    pub(crate) fn enter(&mut self, process: u32, home: &Path) {
        self.set("HOME", home);
        self.app = Some(AppNamespace { process, home: home.to_owned() });
    }

    /// Sets a variable of the environment.
    pub fn set(&mut self, name: &str, value: impl Into<OsString>) {
        self.environment.insert(name.to_owned(), value.into());
    }

    /// Puts a folder before the others on `PATH`.
    ///
    /// # Panics
    /// Its name can't be in a `PATH`.
    pub fn put_on_path(&mut self, folder: &Path) {
        let path = self.environment.get("PATH").cloned().unwrap_or_default();
        let folders = std::iter::once(folder.to_owned()).chain(std::env::split_paths(&path));
        self.set("PATH", std::env::join_paths(folders).expect("a name without colons"));
    }

    /// Takes a variable out of the environment.
    pub fn unset(&mut self, name: &str) {
        self.environment.remove(name);
    }

    /// Writes Studio's metadata file of a KernelGateway app of this domain and user profile.
    ///
    /// # Panics
    /// The file can't be written.
    pub fn be_studio(&mut self, domain: &str, profile: &str) {
        self.be_studio_in("eu-west-1", "123456789012", domain, profile);
    }

    /// The same in this Region of this account.
    ///
    /// # Panics
    /// The file can't be written.
    pub fn be_studio_in(&mut self, region: &str, account: &str, domain: &str, profile: &str) {
        let app_type = self.user.unwrap_or(StudioUser::KernelGateway).app_type();
        let arn = format!("arn:aws:sagemaker:{region}:{account}:app/{domain}/{profile}/{app_type}/app");
        let metadata = json!({
            "AppType": app_type,
            "DomainId": domain,
            "UserProfileName": profile,
            "ResourceArn": arn,
            "ResourceName": "app",
            "AppImageVersion": "1",
        });
        self.be_app(&metadata);
    }

    /// Writes Studio's metadata file of a JupyterLab space of this domain; it has the storage of these lines of /proc/self/mountinfo.
    ///
    /// # Panics
    /// The file can't be written.
    pub fn be_space(&mut self, domain: &str, mounts: &str) {
        self.be_app(&json!({
            "AppType": "JupyterLab",
            "DomainId": domain,
            "SpaceName": "mine",
            "ExecutionRoleArn": "arn:aws:iam::123456789012:role/studio",
            "ResourceArn": format!("arn:aws:sagemaker:eu-west-1:123456789012:app/{domain}/mine/JupyterLab/default"),
            "ResourceName": "default",
            "AppImageVersion": "1",
        }));
        let proc = self.join("studio-root/proc/self");
        fs::create_dir_all(&proc).expect("a folder");
        fs::write(proc.join("mountinfo"), mounts).expect("a file");
    }

    fn be_app(&mut self, metadata: &Value) {
        let root = self.join("studio-root");
        fs::create_dir_all(root.join("opt/ml/metadata")).expect("a folder");
        fs::write(root.join("opt/ml/metadata/resource-metadata.json"), metadata.to_string()).expect("a file");
        self.set("SDOCKER_METADATA_ROOT", root);
    }

    /// From now on everything in this home is run as Studio runs it, by the user whom the home belongs to; `false` where that can't be,
    /// which is said. Studio's metadata is that of the user's app; a space's is what [`Self::be_space`] makes it.
    pub fn run_as(&mut self, user: StudioUser, domain: &str, profile: &str) -> bool {
        if !user.command("true").status().is_ok_and(|status| status.success()) {
            crate::skip("running a client as Studio does needs root, and user namespaces");
            return false;
        }
        self.user = Some(user);
        if user != StudioUser::Space {
            self.be_studio(domain, profile);
        }
        self.give();
        true
    }

    /// Gives all that is in this home to its user.
    ///
    /// # Panics
    /// Nobody runs it as Studio does.
    pub fn give(&self) {
        self.user.expect("a user").own(&self.path());
    }

    /// A command in this home's environment. It hears signals, even where these tests run in the background of a shell, which then ignores
    /// SIGINT and SIGQUIT (bash(1), "SIGNALS").
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let own = match self.user {
            Some(user) => user.command(ENV),
            None => Command::new(ENV),
        };
        let mut command = match &self.app {
            Some(app) => {
                let mut command = Command::new("nsenter");
                command.arg(format!("--mount=/proc/{}/ns/mnt", app.process));
                // Whoever enters a mount namespace is at its root (setns(2)).
                command.args(["bash", "-c", "cd \"$0\" && exec \"$@\""]).arg(&app.home);
                command.arg(own.get_program()).args(own.get_args());
                command
            }
            None => own,
        };
        command.arg("--default-signal=INT,QUIT").arg(program);
        command.env_clear().envs(&self.environment).current_dir(self.folder.path()).stdin(Stdio::null());
        command
    }

    /// The binary under test, `SDOCKER_BIN`, with these arguments.
    ///
    /// # Panics
    /// `SDOCKER_BIN` is not set.
    pub fn sdocker_command(&self, arguments: &[&str]) -> Command {
        let binary =
            std::env::var_os("SDOCKER_BIN").expect("SDOCKER_BIN names the binary under test: use scripts/test");
        let mut command = match self.user {
            Some(_) => self.command(for_everybody(Path::new(&binary))),
            None => self.command(binary),
        };
        command.args(arguments);
        command
    }

    /// Puts the binary under test where users have it, `~/.local/bin`.
    ///
    /// # Panics
    /// It can't be put there.
    pub fn install(&self) {
        let binary = PathBuf::from(std::env::var_os("SDOCKER_BIN").expect("the binary under test"));
        let folder = self.join(".local/bin");
        fs::create_dir_all(&folder).expect("made");
        std::os::unix::fs::symlink(for_everybody(&binary), folder.join("sdocker")).expect("linked");
    }

    /// Runs the binary under test.
    ///
    /// # Panics
    /// It can't be run.
    pub fn sdocker(&self, arguments: &[&str]) -> Run {
        Run::new(self.sdocker_command(arguments).output().expect("it runs"))
    }

    /// Runs another program.
    ///
    /// # Panics
    /// It can't be run.
    pub fn run(&self, program: &str, arguments: &[&str]) -> Run {
        Run::new(self.command(program).args(arguments).output().expect("it runs"))
    }

    /// The records of the journal.
    ///
    /// # Panics
    /// One can't be read.
    pub fn records(&self) -> Vec<Value> {
        let Ok(entries) = fs::read_dir(self.join(".sdocker/journal")) else { return Vec::new() };
        let paths = entries.map(|entry| entry.expect("readable").path());
        let records = paths.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
        records.map(|path| serde_json::from_str(&fs::read_to_string(path).expect("readable")).expect("JSON")).collect()
    }
}

impl Default for Home {
    fn default() -> Self {
        Self::new()
    }
}
