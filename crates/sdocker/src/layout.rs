//! Where everything lies: the names and files that other tools rely on.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::error::Context as _;
use host_provisioner::{InstanceId, InstanceType};

use crate::{Error, Surroundings};

/// The folder of the AWS-samples fork, in which its UI extension looks for hosts.
const SAMPLES_FOLDER: &str = ".sagemaker_studio_docker_cli";

/// How much is kept of a log of a host that failed: its end.
const LOG: u64 = 1 << 20;

/// Of how many hosts that failed logs are kept.
const FAILED_HOSTS: usize = 5;

/// The folders and files of one home.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    sdocker_home: PathBuf,
    samples: PathBuf,
}

impl Layout {
    pub(crate) fn new(surroundings: &Surroundings) -> Self {
        Self { sdocker_home: surroundings.sdocker_home.clone(), samples: surroundings.home.join(SAMPLES_FOLDER) }
    }

    /// Where a user may configure hosts: what is in the first goes before.
    pub(crate) fn configuration_folders(&self) -> [PathBuf; 2] {
        [self.sdocker_home.clone(), self.samples.clone()]
    }

    /// The candidates for `sdocker.conf`, the preferred one first.
    pub(crate) fn configuration_files(&self) -> [PathBuf; 2] {
        self.configuration_folders().map(|folder| folder.join("sdocker.conf"))
    }

    pub(crate) fn hosts_conf(&self) -> PathBuf {
        self.sdocker_home.join("sdocker-hosts.conf")
    }

    pub(crate) fn journal(&self) -> PathBuf {
        self.sdocker_home.join("journal")
    }

    /// How a creation ended whose terminal was closed.
    pub(crate) fn hangup(&self) -> PathBuf {
        self.sdocker_home.join("hangup.json")
    }

    /// What AWS's Price List said last.
    pub(crate) fn prices(&self) -> PathBuf {
        self.sdocker_home.join("prices.json")
    }

    /// What this home's earlier creations were like.
    pub(crate) fn history(&self) -> PathBuf {
        self.sdocker_home.join("history.json")
    }

    /// When hosts were launched on demand, and how the last launch failed.
    pub(crate) fn launches(&self) -> PathBuf {
        self.sdocker_home.join("launches.json")
    }

    pub(crate) fn sandbox(&self) -> PathBuf {
        self.sdocker_home.join("sandbox")
    }

    /// The folders in which files of a host are written.
    pub(crate) fn written(&self) -> Vec<PathBuf> {
        vec![self.sdocker_home.clone(), self.journal(), self.sdocker_home.join("hosts"), self.samples.clone()]
    }

    /// What Local Mode's configuration was before `configure`.
    pub(crate) fn configure_record(&self) -> PathBuf {
        self.sdocker_home.join("configure.json")
    }

    /// The folder of a host, `hosts/<instance-type>_<instance-id>`.
    pub(crate) fn host(&self, name: &str) -> PathBuf {
        self.sdocker_home.join("hosts").join(name)
    }

    /// What this app lends a host. Never where the host could change it.
    pub(crate) fn link(&self, name: &str) -> PathBuf {
        self.sdocker_home.join("links").join(name).with_added_extension("json")
    }

    pub(crate) fn certs(&self, name: &str) -> PathBuf {
        self.host(name).join("certs")
    }

    /// The client's certificates and key: in the app's own home, where `hosts/` is on storage that hosts see.
    pub(crate) fn client_certs(&self, name: &str) -> PathBuf {
        let apart = self.keys(name);
        if matches!(apart.try_exists(), Ok(false)) { self.certs(name).join("client") } else { apart }
    }

    fn keys(&self, name: &str) -> PathBuf {
        self.sdocker_home.join("keys").join(name)
    }

    /// Where the client's certificates of a new host are to be written. A link leads there from where they are looked for.
    pub(crate) fn new_client_certs(&self, name: &str) -> io::Result<PathBuf> {
        let usual = self.certs(name).join("client");
        let hosts = self.sdocker_home.join("hosts");
        if !fs::symlink_metadata(&hosts).is_ok_and(|found| found.is_symlink()) {
            return Ok(usual);
        }
        let apart = self.keys(name);
        private_folder(&apart)?;
        private_folder(&self.certs(name))?;
        match std::os::unix::fs::symlink(&apart, &usual) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(apart),
        }
    }

    /// Puts `hosts/` on shared storage, where SDOCKER_HOME is not: in a space, whose home is an EBS volume.
    pub(crate) fn link_hosts_to(&self, shared_home: &Path) -> crate::Result<()> {
        let shared = shared_home.join("hosts");
        create_private(&shared)?;
        let link = self.sdocker_home.join("hosts");
        if link == shared || fs::canonicalize(&link).ok() == fs::canonicalize(&shared).ok() {
            return Ok(());
        }
        create_private(&self.sdocker_home)?;
        match fs::symlink_metadata(&link) {
            // Left by a host that shared no storage; its folders stay where they are when there are any.
            Ok(found) if found.is_dir() => fs::remove_dir(&link).with_context(|| {
                format!("{} must become a link to {}, but it is not empty", link.display(), shared.display())
            })?,
            Ok(found) if found.is_symlink() => {
                fs::remove_file(&link).with_context(|| format!("cannot replace {}", link.display()))?;
            }
            Ok(_) => {
                return Err(Error::new(format!(
                    "{} must become a link to {}, but it is a file",
                    link.display(),
                    shared.display()
                )));
            }
            Err(_) => {}
        }
        std::os::unix::fs::symlink(&shared, &link).with_context(|| format!("cannot link {}", link.display()))
    }

    /// Where the logs of a host that failed are kept, in this app's own home.
    pub(crate) fn failed(&self, name: &str) -> PathBuf {
        self.sdocker_home.join("failed").join(name)
    }

    /// Keeps the logs of a host that failed, and whose files go. Of the newest hosts only.
    pub(crate) fn keep_logs(&self, name: &str) -> io::Result<()> {
        let kept = self.failed(name);
        for log in ["status", "life.json", "logs/bootstrap.log", "logs/dockerd.log", "logs/life.log"] {
            // The host wrote it, and may have written anything.
            let bytes = match whole_file::read_end(&self.host(name).join(log), LOG, whole_file::Links::Refuse) {
                Ok(bytes) => bytes,
                Err(_) => continue,
            };
            private_folder(&kept)?;
            whole_file::replace(&kept.join(Path::new(log).file_name().unwrap_or_default()), &bytes, 0o600)?;
        }
        let mut all: Vec<_> = match fs::read_dir(self.sdocker_home.join("failed")) {
            Ok(listing) => listing
                .filter_map(Result::ok)
                .filter_map(|one| Some((one.metadata().ok()?.modified().ok()?, one.path())))
                .collect(),
            Err(_) => return Ok(()),
        };
        all.sort_unstable();
        let old = all.len().saturating_sub(FAILED_HOSTS);
        all[..old].iter().try_for_each(|(_, folder)| fs::remove_dir_all(folder))
    }

    /// Makes the AWS-samples fork's link to a host's folder.
    pub(crate) fn link_for_samples(&self, name: &str) -> io::Result<()> {
        fs::create_dir_all(&self.samples)?;
        let link = self.samples.join(name);
        match fs::read_link(&link) {
            Ok(target) if target == self.host(name) => return Ok(()),
            Ok(_) => fs::remove_file(&link)?,
            Err(_) => {}
        }
        std::os::unix::fs::symlink(self.host(name), &link)
    }

    /// Removes a host's folder and the link to it. Gone already is no error.
    pub(crate) fn remove_host(&self, name: &str) -> io::Result<()> {
        let link = self.samples.join(name);
        if fs::symlink_metadata(&link).is_ok_and(|found| found.is_symlink()) {
            fs::remove_file(&link)?;
        }
        let gone = |removed: io::Result<()>| match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
        gone(fs::remove_file(self.link(name)))?;
        gone(fs::remove_dir_all(self.keys(name)))?;
        gone(fs::remove_dir_all(self.host(name)))
    }
}

/// The name of a host among contexts and folders.
pub(crate) fn host_name(instance_type: &InstanceType, instance: &InstanceId) -> String {
    format!("{instance_type}_{instance}")
}

/// Makes a folder that only its owner can look into.
pub(crate) fn create_private(folder: &Path) -> crate::Result<()> {
    private_folder(folder).with_context(|| format!("cannot create {}", folder.display()))
}

fn private_folder(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_space_keeps_the_clients_keys_in_its_own_home() {
        let home = tempfile::tempdir().expect("a folder");
        let layout = Layout::new(&Surroundings::new(home.path()));
        let usual = layout.certs("first").join("client");
        assert_eq!(layout.new_client_certs("first").expect("told"), usual);
        assert_eq!(layout.client_certs("first"), usual);

        let efs = home.path().join("user-default-efs/.sdocker");
        layout.link_hosts_to(&efs).expect("linked");
        let keys = layout.new_client_certs("second").expect("made");
        assert_eq!(keys, layout.client_certs("second"));
        assert!(!fs::canonicalize(&keys).expect("there").starts_with(&efs), "not where hosts see it");
        fs::write(keys.join("key.pem"), "").expect("written");
        // Where other tools look for them, as ever.
        assert!(home.path().join(".sdocker/hosts/second/certs/client/key.pem").exists());
        layout.remove_host("second").expect("removed");
        assert!(!keys.exists() && !efs.join("hosts/second").exists());
    }

    #[test]
    fn the_logs_of_hosts_that_failed_outlive_their_files() {
        let home = tempfile::tempdir().expect("a folder");
        let layout = Layout::new(&Surroundings::new(home.path()));
        for number in 0..8 {
            let name = format!("c5.xlarge_i-{number}");
            let logs = layout.host(&name).join("logs");
            fs::create_dir_all(&logs).expect("made");
            fs::write(logs.join("bootstrap.log"), format!("{number}")).expect("written");
            std::os::unix::fs::symlink("/etc/passwd", logs.join("dockerd.log")).expect("linked");
            layout.keep_logs(&name).expect("kept");
            layout.remove_host(&name).expect("removed");
            // Files of the same moment have no order.
            let when = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(number);
            fs::File::open(layout.failed(&name)).expect("there").set_modified(when).expect("set");
        }
        let kept = |number: u64| layout.failed(&format!("c5.xlarge_i-{number}"));
        assert_eq!(fs::read_to_string(kept(7).join("bootstrap.log")).expect("kept"), "7");
        assert!(!kept(7).join("dockerd.log").exists(), "a link is not followed");
        assert!(!kept(0).exists() && kept(4).exists(), "only of the newest");
        layout.keep_logs("c5.xlarge_i-9").expect("nothing to keep");
    }
}
