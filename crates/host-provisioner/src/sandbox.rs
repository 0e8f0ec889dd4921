//! The embedded default for a machine without AWS: the fake account kept on disk, whose instances are real Docker daemons on this
//! machine, each in a network namespace of its own, behind its own mutual TLS on its own address.
//!
//! Everything after `RunInstances` is the real thing: certificates, readiness, contexts, the Docker CLI, compose, Local Mode. It
//! needs root, for network namespaces and `dockerd`.

mod addresses;
mod disk;
mod instance;
mod instances;

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use serde_json::json;
use studio_discovery::{Region, StudioApi, VpcId};

use crate::{
    Cloud, CloudError, CloudName, Place, Seen, Territory,
    fake::{Account, State},
};
use disk::Disk;
use instances::SandboxInstances;

/// The sandbox can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SandboxError {
    /// Its files can't be read or written.
    #[error("cannot {attempted} {path}")]
    File {
        /// What was attempted.
        attempted: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// Its account is not one.
    #[error("{path}:{line}:{column}: {expected}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
        /// What was expected.
        expected: String,
    },
}

/// The sandbox in one folder. Several processes may use it at once.
#[derive(Clone, Debug)]
pub struct Sandbox {
    account: Arc<Account<Disk>>,
    root: PathBuf,
}

impl Sandbox {
    /// The sandbox in this folder, which is made, with a Studio domain in its account, where it does not exist.
    ///
    /// # Errors
    /// A folder that can't be written, or a malformed account.
    pub fn open(root: &Path) -> Result<Self, SandboxError> {
        use std::os::unix::fs::DirBuilderExt as _;
        let create = fs::DirBuilder::new().recursive(true).mode(0o700).create(root);
        create.map_err(|source| SandboxError::File { attempted: "create", path: root.to_owned(), source })?;
        let disk = Disk::new(root.join("account.json"));
        disk.check()?;
        Ok(Self { account: Arc::new(Account::over(disk)), root: root.to_owned() })
    }

    /// The programs that it runs, and the Debian packages that they are in.
    pub const PROGRAMS: [(&str, &str); 6] = [
        ("dockerd", "docker.io"),
        ("docker", "docker.io"),
        ("ip", "iproute2"),
        ("iptables", "iptables"),
        ("setsid", "util-linux"),
        ("unshare", "util-linux"),
    ];

    /// Its cloud.
    pub fn cloud(&self) -> Cloud {
        let account = self.account.clone();
        let instances = SandboxInstances::new(account.clone(), self.root.join("instances"));
        Cloud {
            images: account.clone(),
            instance_types: account.clone(),
            security_groups: account.clone(),
            mount_targets: account.clone(),
            instances: Arc::new(instances),
            networks: account.clone(),
            quotas: account.clone(),
            spot_prices: account.clone(),
            volumes: account.clone(),
            dry_runs: account.clone(),
            territory: Arc::new(SandboxTerritory { account }),
        }
    }

    /// Its SageMaker.
    pub fn studio_api(&self) -> Arc<dyn StudioApi> {
        self.account.clone()
    }

    /// Writes the metadata file of a Studio app of its domain below a folder, where there is none.
    ///
    /// # Errors
    /// A file that can't be written.
    pub fn write_metadata(&self, metadata_root: &Path) -> Result<(), SandboxError> {
        let folder = metadata_root.join("opt/ml/metadata");
        let path = folder.join("resource-metadata.json");
        let metadata = json!({
            "AppType": "KernelGateway",
            "DomainId": "d-studio",
            "UserProfileName": "ana",
            "ResourceArn": "arn:aws:sagemaker:eu-west-1:123456789012:app/d-studio/ana/KernelGateway/sandbox",
            "ResourceName": "sandbox",
        });
        let write = || -> io::Result<()> {
            if path.try_exists()? {
                return Ok(());
            }
            fs::create_dir_all(&folder)?;
            fs::write(&path, format!("{metadata:#}\n"))
        };
        write().map_err(|source| SandboxError::File { attempted: "write", path: path.clone(), source })
    }
}

/// Where the sandbox is: nowhere but here.
struct SandboxTerritory {
    account: Arc<Account<Disk>>,
}

#[async_trait]
impl Territory for SandboxTerritory {
    fn place(&self) -> Place {
        Place { cloud: CloudName::Sandbox, account: None, region: Region::new("eu-west-1") }
    }

    async fn seen(&self, vpc: &VpcId) -> Result<Seen, CloudError> {
        self.account.seen(vpc).await
    }
}

/// The state in which a sandbox begins: like the fake's, without DNS names, because each host is reached by its address.
fn fresh() -> State {
    State { account: None, ..State::studio() }
}
