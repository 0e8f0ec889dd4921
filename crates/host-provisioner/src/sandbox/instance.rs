//! One host of the sandbox: its folder, and the script that runs it.

use std::{
    fs, io,
    net::Ipv4Addr,
    os::unix::{fs::DirBuilderExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::addresses::Addresses;
use crate::{Bootstrap, Engine, Identity, InstanceId, InstanceType, OnIdle};

const HOST: &str = include_str!("host.sh");
const CERTIFY: &str = include_str!("../user_data/certify.sh");
const ENDPOINT_FORWARD: &str = include_str!("../user_data/endpoint-forward.sh");

/// What a host leaves in its folder that has stopped.
const STOPPED: &str = "stopped";

/// An instance, by its folder.
pub(super) struct SandboxInstance {
    folder: PathBuf,
}

impl SandboxInstance {
    pub(super) fn new(instances: &Path, id: &InstanceId) -> Self {
        Self { folder: instances.join(id.as_str()) }
    }

    /// Starts the host, and does not wait for it. A host that was started already stays as it is.
    pub(super) fn start(
        &self,
        id: &InstanceId,
        instance_type: &InstanceType,
        address: Ipv4Addr,
        bootstrap: &Bootstrap,
    ) -> io::Result<()> {
        if self.folder.try_exists()? {
            return Ok(());
        }
        // Complete before it has its name, so that a process that dies in between leaves no half-made host.
        let staged = self.folder.with_extension("new");
        fs::create_dir_all(&staged)?;
        fs::write(staged.join("settings"), settings(id, instance_type, address, bootstrap)?)?;
        fs::write(staged.join("host.sh"), HOST)?;
        fs::write(staged.join("endpoint-forward.sh"), ENDPOINT_FORWARD)?;
        fs::write(staged.join("certify.sh"), CERTIFY)?;
        fs::write(staged.join("uses.sh"), crate::user_data::USES)?;
        if let Identity::Embedded { ca, certificate, key, issuer, issuer_key } = &bootstrap.identity {
            let certs = staged.join("certs");
            fs::DirBuilder::new().mode(0o700).create(&certs)?;
            let files =
                [("ca", ca), ("cert", certificate), ("key", key), ("issuer", issuer), ("issuer-key", issuer_key)];
            for (name, pem) in files {
                fs::write(certs.join(name).with_extension("pem"), pem)?;
            }
        }
        let log_folder = match &bootstrap.shared_home {
            Some(home) => home.join("hosts").join(format!("{instance_type}_{id}")).join("logs"),
            None => staged.join("account/logs"),
        };
        fs::create_dir_all(&log_folder)?;
        let log = fs::File::create(log_folder.join("bootstrap.log"))?;
        fs::rename(&staged, &self.folder)?;
        self.boot(log)
    }

    /// Starts a host again that has stopped, and does not wait for it.
    pub(super) fn start_again(&self) -> io::Result<()> {
        let log = fs::File::options().create(true).append(true).open(self.folder.join("booted.log"))?;
        fs::remove_file(self.folder.join(STOPPED))?;
        self.boot(log)
    }

    fn boot(&self, log: fs::File) -> io::Result<()> {
        match fs::remove_file(self.folder.join("supervisor.pid")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        Command::new("setsid")
            .arg("bash")
            .arg(self.folder.join("host.sh"))
            .arg("run")
            .arg(&self.folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .spawn()?;
        Ok(())
    }

    /// Whether something still minds the host. It has a moment to begin.
    pub(super) fn is_alive(&self) -> bool {
        // It may be there and not be written yet.
        let pid = whole_file::read_text(&self.folder.join("supervisor.pid"), 64, whole_file::Links::Refuse);
        let pid = pid.unwrap_or_default();
        if pid.trim().is_empty() {
            return fs::metadata(&self.folder)
                .and_then(|folder| folder.modified())
                .is_ok_and(|made| made.elapsed().is_ok_and(|age| age.as_secs() < 10));
        }
        // Another process may have the number by now.
        let command = fs::read(Path::new("/proc").join(pid.trim()).join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&command).contains(&*self.folder.to_string_lossy())
    }

    /// Whether it has stopped itself, and has its disk still.
    pub(super) fn is_stopped(&self) -> bool {
        self.folder.join(STOPPED).exists()
    }

    /// Ends the host, however it was left, and removes everything it had.
    pub(super) async fn stop(&self) -> io::Result<()> {
        let script = self.folder.join("host.sh");
        // One that can't be looked at is there: its processes are too.
        if !script.try_exists()? {
            // Its processes ended before its script went; what is left is files.
            return match fs::remove_dir_all(&self.folder) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            };
        }
        let status = tokio::process::Command::new("bash")
            .arg(script)
            .arg("stop")
            .arg(&self.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .await?;
        if self.folder.try_exists()? {
            return Err(io::Error::other(format!("{} is still there ({status})", self.folder.display())));
        }
        Ok(())
    }
}

/// The settings of the script, each value quoted for a shell.
fn settings(
    id: &InstanceId,
    instance_type: &InstanceType,
    address: Ipv4Addr,
    bootstrap: &Bootstrap,
) -> io::Result<String> {
    let name = format!("{instance_type}_{id}");
    let shared = bootstrap.shared_home.as_ref().map(|home| home.join("hosts").join(&name));
    // The host's own address is the second of four; the first is this machine's end of the link.
    let outer = Ipv4Addr::from_bits(address.to_bits() - 1);
    let idle = bootstrap.idle_timeout.map(|timeout| timeout.as_secs().to_string()).unwrap_or_default();
    let gpus = bootstrap.swarm && bootstrap.engine == Engine::Native { nvidia: true };
    let values = [
        ("link", Addresses::link(address)),
        ("namespace", Addresses::namespace(address)),
        ("outer", outer.to_string()),
        ("inner", address.to_string()),
        ("lease", Addresses::of_this_machine().file(address).to_string_lossy().into_owned()),
        ("port", bootstrap.daemon_port.to_string()),
        ("endpoint_port", bootstrap.endpoint_port.to_string()),
        ("shared", shared.map(|path| path.to_string_lossy().into_owned()).unwrap_or_default()),
        ("max_lifetime", bootstrap.max_lifetime.as_secs().to_string()),
        ("idle_timeout", idle),
        ("stops", if bootstrap.on_idle == OnIdle::Stop { "1".to_owned() } else { String::new() }),
        ("gpu_node", if gpus { "1".to_owned() } else { String::new() }),
    ];
    let mut text = String::new();
    for (name, value) in values {
        let quoted = shlex::try_quote(&value).map_err(io::Error::other)?;
        text.push_str(&format!("{name}={quoted}\n"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_that_is_just_about_to_write_its_process_is_alive() {
        let folder = tempfile::tempdir().expect("a folder");
        let instance = SandboxInstance { folder: folder.path().join("i-1") };
        fs::create_dir(&instance.folder).expect("made");
        assert!(instance.is_alive(), "it has a moment");
        fs::write(instance.folder.join("supervisor.pid"), "").expect("written");
        assert!(instance.is_alive(), "the shell has made the file, and not written to it yet");
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_host_whose_files_cannot_be_looked_at_is_not_taken_for_one_that_ended() {
        let folder = tempfile::tempdir().expect("a folder");
        let instance = SandboxInstance { folder: folder.path().join("i-1") };
        fs::create_dir(&instance.folder).expect("made");
        fs::write(instance.folder.join("settings"), "").expect("written");
        // A link to itself can't be followed, by root neither.
        let script = instance.folder.join("host.sh");
        std::os::unix::fs::symlink(&script, &script).expect("linked");
        assert!(instance.stop().await.is_err());
        assert!(instance.folder.join("settings").try_exists().expect("readable"), "nothing was removed");
        fs::remove_file(&script).expect("removed");
        instance.stop().await.expect("what is left is files");
        assert!(!instance.folder.try_exists().expect("readable"));
    }
}
