//! A space of today's Studio: a home on a volume that no other machine has, in a domain without EFS, and hosts with real daemons.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use serde_json::json;
use tempfile::TempDir;

use crate::{Docker, Front, Home, Run, StudioUser, studio_user::for_everybody};

/// Where Studio has the home of a space.
const HOME: &str = "/home/sagemaker-user";

/// What hosts don't have of this machine: all that an app may share, whatever is there.
const HIDDEN: [&str; 4] = ["/home", "/mnt", "/opt/ml", "/tmp"];

/// A space's own mounts: HOME, METADATA, and folders of this machine that are to be seen by everybody, wherever they are.
const APP: &str = r#"
    set -e
    umask 022
    mount -t tmpfs tmpfs /mnt
    mkdir /mnt/home
    mount --bind "$1" /mnt/home
    cp "$2" /mnt/metadata
    number=0
    for folder in "${@:3}"; do
        number=$((number + 1))
        mkdir "/mnt/$number" && mount --bind "$folder" "/mnt/$number"
    done
    for place in /home /root /opt/ml; do mount -t tmpfs -o mode=755 tmpfs "$place"; done
    mount -t tmpfs tmpfs /tmp
    mkdir /home/sagemaker-user && mount --bind /mnt/home /home/sagemaker-user
    install -D -m 644 /mnt/metadata /opt/ml/metadata/resource-metadata.json
    number=0
    for folder in "${@:3}"; do
        number=$((number + 1))
        mkdir -p "$folder" && mount --bind "/mnt/$number" "$folder"
    done
    umount -R /mnt
    echo
    exec sleep infinity
"#;

/// A JupyterLab space, in which everything is run by the user whom Studio gives it, in mounts of its own. Its hosts are launched at the AWS
/// endpoint, and get what is in their user data.
#[derive(Debug)]
pub struct Space {
    /// The home.
    pub home: Home,
    mounts: Child,
    cloud: std::rc::Rc<Cloud>,
}

/// What spaces share.
#[derive(Debug)]
struct Cloud {
    front: Front,
    /// The Docker CLI.
    docker: PathBuf,
    /// What the machines have. They end when it goes.
    machines: TempDir,
}

impl Space {
    /// A space; `None` where there can be none, which is said.
    pub fn open() -> Option<Self> {
        Self::open_with(Docker::Old, &[])
    }

    /// A space with this Docker, which sees these folders of this machine.
    ///
    /// # Panics
    /// It can't be made.
    pub fn open_with(docker: Docker, seen: &[&Path]) -> Option<Self> {
        let sandbox = Home::in_sandbox_with(docker)?;
        let front = Front::start()?;
        front.change_domain(&json!({"HomeEfsFileSystemId": null}));
        front.know_at_once();
        let docker = sandbox.run("which", &["docker"]).expect(0).stdout;
        // Not below what the machines don't see.
        let machines = TempDir::new_in("/var/tmp").expect("a temporary folder");
        for folder in HIDDEN {
            fs::create_dir_all(folder).expect("made");
        }
        front.boot_machines(machines.path(), &HIDDEN);
        Self::of(Cloud { front, docker: for_everybody(Path::new(docker.trim())), machines }.into(), "mine", seen)
    }

    /// Another space of the same user.
    pub fn beside(&self, name: &str) -> Option<Self> {
        Self::of(self.cloud.clone(), name, &[])
    }

    fn of(cloud: std::rc::Rc<Cloud>, name: &str, seen: &[&Path]) -> Option<Self> {
        let mut home = cloud.front.home();
        home.be_space(cloud.front.seed()["domain"].as_str().expect("an id"), "");
        let metadata = home.join("studio-root/opt/ml/metadata/resource-metadata.json");
        let text = fs::read_to_string(&metadata).expect("there").replace("mine", name);
        fs::write(&metadata, text).expect("written");
        home.put_on_path(cloud.docker.parent().expect("a folder"));
        if !home.run_as(StudioUser::Space, "d-wire", "ana") {
            return None;
        }
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755)).expect("set");
        let mut mounts = Command::new("unshare");
        mounts.args(["--mount", "bash", "-c", APP, "app"]).arg(home.path()).arg(metadata).args(seen);
        let mut mounts = mounts.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("it runs");
        let mut ready = String::new();
        BufReader::new(mounts.stdout.take().expect("piped")).read_line(&mut ready).expect("read");
        assert_eq!(ready, "\n", "the space has its mounts");
        // As in Studio: at the place where everybody looks for it, which is not in the home.
        home.unset("SDOCKER_METADATA_ROOT");
        fs::remove_dir_all(home.join("studio-root")).expect("removed");
        home.enter(mounts.id(), Path::new(HOME));
        Some(Self { home, mounts, cloud })
    }

    /// AWS.
    pub fn front(&self) -> &Front {
        &self.cloud.front
    }

    /// The process ids of the daemons of the machines that there are.
    pub fn daemons(&self) -> Vec<String> {
        let pids = self.machines().into_iter().filter_map(|folder| fs::read_to_string(folder.join("docker.pid")).ok());
        pids.map(|pid| pid.trim().to_owned()).collect()
    }

    /// The folders of the machines that there are.
    pub fn machines(&self) -> Vec<PathBuf> {
        let folders = fs::read_dir(self.cloud.machines.path()).expect("readable").flatten();
        folders.map(|folder| folder.path()).collect()
    }

    /// Lets the machines look at themselves now, and not in some seconds.
    pub fn look_now(&self) {
        for folder in self.machines() {
            let supervisor = fs::read_to_string(folder.join("supervisor.pid")).expect("there");
            let children = format!("/proc/{0}/task/{0}/children", supervisor.trim());
            for child in fs::read_to_string(children).expect("it runs").split_whitespace() {
                if fs::read_to_string(format!("/proc/{child}/comm")).is_ok_and(|name| name == "sleep\n") {
                    // One that has ended meanwhile is as good.
                    let _ = Command::new("kill").arg(child).status();
                }
            }
        }
    }

    /// Runs a script where the only daemon is, as root; its output.
    pub fn on_host(&self, script: &str) -> String {
        let daemons = self.daemons();
        let [daemon] = &daemons[..] else { panic!("one daemon: {daemons:?}") };
        let mut command = Command::new("nsenter");
        let output = command.arg(format!("--mount=/proc/{daemon}/ns/mnt")).args(["sh", "-c", script]).output();
        Run::new(output.expect("it runs")).expect(0).stdout
    }

    /// Runs a script in the space's mounts, as root.
    ///
    /// # Panics
    /// It can't be run.
    pub fn as_root(&self, script: &str) -> Run {
        let mut command = Command::new("nsenter");
        command.arg(format!("--mount=/proc/{}/ns/mnt", self.mounts.id())).args(["sh", "-c", script]);
        Run::new(command.output().expect("it runs"))
    }

    /// The space's processes whose command lines hold this.
    pub fn processes(&self, text: &str) -> Vec<String> {
        let namespace = |process: &str| fs::read_link(format!("/proc/{process}/ns/mnt")).ok();
        let own = namespace(&self.mounts.id().to_string());
        let all = fs::read_dir("/proc").expect("readable").flatten();
        let ours = all.map(|process| process.file_name().to_string_lossy().into_owned()).filter(|process| {
            let command = fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&command).replace('\0', " ").contains(text) && namespace(process) == own
        });
        ours.collect()
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        // A test that fails leaves its process in the background.
        for process in self.processes(" link --host ") {
            let _ = Command::new("kill").args(["-9", &process]).status();
        }
        let _ = self.mounts.kill();
        let _ = self.mounts.wait();
    }
}
