//! A space of today's Studio: a home on a volume that no other machine has, in a domain without EFS, and hosts with real daemons.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use serde_json::json;
use tempfile::TempDir;

use crate::{Front, Home, StudioUser, studio_user::for_everybody};

/// A JupyterLab space, in which everything is run by the user whom Studio gives it. Its hosts are launched at the AWS endpoint, get what is
/// in their user data, and see nothing of the folder that the home is in.
#[derive(Debug)]
pub struct Space {
    /// The home.
    pub home: Home,
    /// AWS.
    pub front: Front,
    /// What its machines have. They end when it goes.
    machines: TempDir,
}

impl Space {
    /// A space; `None` where there can be none, which is said.
    ///
    /// # Panics
    /// It can't be made.
    pub fn open() -> Option<Self> {
        let docker = Home::in_sandbox()?;
        let front = Front::start()?;
        front.change_domain(&json!({"HomeEfsFileSystemId": null}));
        front.know_at_once();
        let home = Self::another(&front, &docker)?;
        // Not below what the machines don't see.
        let machines = TempDir::new_in("/var/tmp").expect("a temporary folder");
        fs::set_permissions(machines.path(), fs::Permissions::from_mode(0o711)).expect("set");
        front.boot_machines(machines.path(), home.path().parent().expect("a folder"));
        Some(Self { home, front, machines })
    }

    /// The home of another space of the same user.
    pub fn beside(&self) -> Option<Home> {
        Self::another(&self.front, &Home::in_sandbox()?)
    }

    fn another(front: &Front, docker: &Home) -> Option<Home> {
        let mut home = front.home();
        home.be_space(front.seed()["domain"].as_str().expect("an id"), "");
        let client = docker.run("which", &["docker"]).expect(0).stdout;
        let client = for_everybody(Path::new(client.trim()));
        home.put_on_path(client.parent().expect("a folder"));
        home.run_as(StudioUser::Space, "d-wire", "ana").then_some(home)
    }

    /// The process ids of the daemons of the machines that there are.
    pub fn daemons(&self) -> Vec<String> {
        let folders = fs::read_dir(self.machines.path()).expect("readable").flatten();
        let pids = folders.filter_map(|folder| fs::read_to_string(folder.path().join("docker.pid")).ok());
        pids.map(|pid| pid.trim().to_owned()).collect()
    }

    /// What is left of machines, in words.
    pub fn left(&self) -> Vec<String> {
        let folders = fs::read_dir(self.machines.path()).expect("readable").flatten();
        folders.map(|folder| folder.path().display().to_string()).collect()
    }

    /// Runs a script where the only daemon is, as root; its output.
    pub fn on_host(&self, script: &str) -> String {
        let mount = format!("--mount=/proc/{}/ns/mnt", self.daemons()[0]);
        let mut command = std::process::Command::new("nsenter");
        let output = command.args([&mount, "sh", "-c", script]).output().expect("it runs");
        crate::Run::new(output).expect(0).stdout
    }
}
