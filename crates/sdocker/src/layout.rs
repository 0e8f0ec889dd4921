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

    /// The candidates for `sdocker.conf`, the preferred one first.
    pub(crate) fn configuration_files(&self) -> [PathBuf; 2] {
        [self.sdocker_home.join("sdocker.conf"), self.samples.join("sdocker.conf")]
    }

    pub(crate) fn hosts_conf(&self) -> PathBuf {
        self.sdocker_home.join("sdocker-hosts.conf")
    }

    pub(crate) fn journal(&self) -> PathBuf {
        self.sdocker_home.join("journal")
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

    pub(crate) fn client_certs(&self, name: &str) -> PathBuf {
        self.certs(name).join("client")
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

    /// Copies the user's hooks to where the host looks for them.
    pub(crate) fn share_hooks(&self, shared_home: &Path) -> crate::Result<()> {
        for hook in ["pre-bootstrap.sh", "post-bootstrap.sh"] {
            let mut own = None;
            for file in [self.sdocker_home.join(hook), self.samples.join(hook)] {
                match fs::metadata(&file) {
                    Ok(found) if found.is_file() => own = own.or(Some(file)),
                    Ok(_) => {}
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    // A host without its hook would not be the one that was asked for.
                    Err(error) => return Err(Error::new(format!("cannot look at {}", file.display())).because(error)),
                }
            }
            let Some(own) = own else { continue };
            let shared = shared_home.join(hook);
            if own != shared {
                fs::copy(&own, &shared)
                    .with_context(|| format!("cannot copy {} to {}", own.display(), shared.display()))?;
            }
        }
        Ok(())
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
        gone(fs::remove_dir_all(self.host(name)))
    }
}

/// The name of a host among contexts and folders.
pub(crate) fn host_name(instance_type: &InstanceType, instance: &InstanceId) -> String {
    format!("{instance_type}_{instance}")
}

/// Makes a folder that only its owner can look into.
pub(crate) fn create_private(folder: &Path) -> crate::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .with_context(|| format!("cannot create {}", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hook_that_cannot_be_looked_at_is_no_missing_one() {
        let home = tempfile::tempdir().expect("a folder");
        let layout = Layout::new(&Surroundings::new(home.path()));
        let (own, shared) = (home.path().join(".sdocker"), home.path().join("shared"));
        for folder in [&own, &shared] {
            fs::create_dir(folder).expect("made");
        }
        layout.share_hooks(&shared).expect("there is none");
        // A link to itself can't be followed, by root neither.
        let hook = own.join("pre-bootstrap.sh");
        std::os::unix::fs::symlink(&hook, &hook).expect("linked");
        let error = layout.share_hooks(&shared).expect_err("it is not known what it is");
        assert!(format!("{error:#}").starts_with(&format!("cannot look at {}", hook.display())), "{error:#}");
        fs::remove_file(&hook).expect("removed");
        fs::write(&hook, "echo").expect("written");
        layout.share_hooks(&shared).expect("shared");
        assert_eq!(fs::read_to_string(shared.join("pre-bootstrap.sh")).expect("it is there"), "echo");
    }
}
