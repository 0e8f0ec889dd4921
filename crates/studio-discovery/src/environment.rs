//! The result of discovery: everything the rest of sdocker needs to know about the Studio app it runs in.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{
    ids::{
        AccessPointId, AccountId, DomainId, FileSystemId, OwnerName, Region, RoleArn, SecurityGroupId, SpaceName,
        SubnetId, VpcId,
    },
    mounts,
};

/// The Studio app this process runs in, and the domain around it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StudioEnvironment {
    /// The Region that the domain is in.
    pub region: Region,
    /// The account that owns the domain, from the app's ARN.
    pub account: AccountId,
    /// The domain.
    pub domain: DomainId,
    /// The app.
    pub app: StudioApp,
    /// Whose host a new host is: the app's user profile, the owner of its space, or a shared space itself that has none.
    pub owner: OwnerName,
    /// The space, where the app runs in one.
    pub space: Option<SpaceName>,
    /// The domain's VPC.
    pub vpc: VpcId,
    /// The domain's subnets, in the order the domain lists them. Never empty.
    pub subnets: Vec<SubnetId>,
    /// The security groups of the app's network interface: the user profile's, else the domain's default. May be empty.
    pub security_groups: Vec<SecurityGroupId>,
    /// The role whose credentials the app runs with, where known.
    pub execution_role: Option<RoleArn>,
    /// The domain's EFS file system and the owner's folder on it; `None` in a domain without EFS.
    pub efs: Option<EfsHome>,
    /// The user's home directory in the app.
    pub home: PathBuf,
    /// What of the app's file tree lies on EFS, and so can be mounted on a host at the same path. Sorted by path.
    pub shared_mounts: Vec<SharedMount>,
    /// The user profile's tags.
    pub tags: Vec<Tag>,
}

impl StudioEnvironment {
    /// The same, for a host that is to mount no EFS.
    #[must_use]
    pub fn without_shared_storage(self) -> Self {
        Self { efs: None, shared_mounts: Vec::new(), ..self }
    }

    /// The domain's file system and those that the app has mounted, each once, sorted.
    pub fn file_systems(&self) -> Vec<FileSystemId> {
        let own = self.efs.iter().map(|efs| efs.file_system.clone());
        let mut all: Vec<FileSystemId> =
            own.chain(self.shared_mounts.iter().map(|mount| mount.file_system.clone())).collect();
        all.sort();
        all.dedup();
        all
    }

    /// The folder of the app that its hosts see as well: the home where it is on EFS itself; else the user's own part of the domain's file
    /// system, where Studio links it into the home; else the first mount by its path, which others may write to. `None` where nothing is
    /// on EFS.
    pub fn shared_folder(&self) -> Option<&Path> {
        // A domain may have none, and a host may be to mount none.
        let home_is_efs = self.app.kind.home_is_efs() && self.efs.is_some();
        mounts::shared_folder(home_is_efs, &self.home, self.shared_mounts.iter().map(|mount| mount.paths.as_slice()))
    }
}

/// A Studio app.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StudioApp {
    /// Which kind of app.
    pub kind: AppKind,
    /// Its ARN.
    pub arn: String,
    /// Its name within the domain.
    pub name: String,
}

/// The kinds of Studio app that sdocker knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[non_exhaustive]
pub enum AppKind {
    /// A kernel of Studio Classic; its home is on EFS.
    #[cfg_attr(feature = "clap", value(name = "KernelGateway", alias = "kernelgateway"))]
    KernelGateway,
    /// The Jupyter server of Studio Classic; its home is on EFS.
    #[cfg_attr(feature = "clap", value(name = "JupyterServer", alias = "jupyterserver"))]
    JupyterServer,
    /// A JupyterLab space; its home is an EBS volume.
    #[cfg_attr(feature = "clap", value(name = "JupyterLab", alias = "jupyterlab"))]
    JupyterLab,
    /// A Code Editor space; its home is an EBS volume.
    #[cfg_attr(feature = "clap", value(name = "CodeEditor", alias = "codeeditor"))]
    CodeEditor,
}

impl AppKind {
    /// Whether the app's home directory itself lies on EFS (Studio Classic), rather than on an EBS volume (spaces).
    pub fn home_is_efs(self) -> bool {
        matches!(self, Self::KernelGateway | Self::JupyterServer)
    }
}

/// The owner's folder on the domain's EFS file system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EfsHome {
    /// The file system.
    pub file_system: FileSystemId,
    /// `HomeEfsFileSystemUid`: the POSIX uid of the owner, and the name of the owner's folder at the root.
    pub uid: u32,
}

/// A part of the app's file tree that lies on EFS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedMount {
    /// The file system.
    pub file_system: FileSystemId,
    /// The access point it is reached through; `None` for a plain NFS mount.
    pub access_point: Option<AccessPointId>,
    /// The directory of the file system (below the access point, if there is one) that is mounted.
    pub remote_path: PathBuf,
    /// Every absolute path under which the app sees it: first the mount point, then links to it.
    pub paths: Vec<PathBuf>,
}

/// A tag of an AWS resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Tag {
    /// The key; unique within a resource.
    pub key: String,
    /// The value; may be empty.
    pub value: String,
}

impl Tag {
    /// A tag of this key and value.
    pub fn new(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self { key: key.into(), value: value.into() }
    }
}
