//! Removing the security groups that hosts share, once no host needs them.

use studio_discovery::{FileSystemId, VpcId};

use super::Provisioner;
use crate::{InstanceFilter, InstanceId, ProvisionError, TAG_HOST, group_plan, steps::Work};

/// What purging did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PurgeReport {
    /// What is gone.
    pub removed: Vec<String>,
    /// What stays because something uses it, with what uses it.
    pub kept: Vec<String>,
}

impl Provisioner {
    /// Takes `EFSDockerHost` off the mount targets of these file systems, and deletes both groups, unless something else uses them.
    ///
    /// # Cancel safety
    /// Dropped, it leaves the groups that it had not come to, and perhaps one that is off some mount targets and not deleted. None of that
    /// is on record: another call does the rest.
    ///
    /// # Errors
    /// A failed call. May be repeated.
    pub async fn purge(&self, vpc: &VpcId, file_systems: &[FileSystemId]) -> Result<PurgeReport, ProvisionError> {
        self.within(self.work.bounds.patience.purge).purge(vpc, file_systems).await
    }
}

impl Work {
    async fn purge(&self, vpc: &VpcId, file_systems: &[FileSystemId]) -> Result<PurgeReport, ProvisionError> {
        let mut report = PurgeReport::default();
        let ended = self.ended_hosts().await?;
        for group in self.cloud.security_groups.find(vpc, &group_plan::names()).await? {
            let what = format!("security group {} ({})", group.name, group.id);
            let users = self.others_in(&group.id, &[]).await?;
            if let Some(user) = users.first() {
                report.kept.push(format!("{what}: used by instance {}", user.id));
                continue;
            }
            if group.name == group_plan::NFS_GROUP {
                for file_system in file_systems {
                    for target in self.cloud.mount_targets.list(file_system).await? {
                        self.detach(&target.id, &group.id).await?;
                    }
                }
            }
            if self.delete_group(&group.id, &group.name, &ended, None).await? {
                report.removed.push(what);
            } else {
                let users = match self.cloud.security_groups.interfaces_using(&group.id).await {
                    Ok(interfaces) if interfaces.is_empty() => "another group".to_owned(),
                    Ok(interfaces) => interfaces.join(", "),
                    Err(error) => format!("something that can't be told: {error}"),
                };
                report.kept.push(format!("{what}: used by {users}"));
            }
        }
        Ok(report)
    }

    /// The hosts that ended a moment ago: EC2 lists them for about an hour (EC2 user guide, "Instance lifecycle"), and their network interfaces
    /// may hold the groups for a moment longer than they run.
    async fn ended_hosts(&self) -> Result<Vec<InstanceId>, ProvisionError> {
        let filter = InstanceFilter { tag_key: Some(TAG_HOST.to_owned()), ..InstanceFilter::default() };
        let hosts = self.cloud.instances.list(&filter).await?;
        Ok(hosts.into_iter().filter(|host| host.state.is_ended()).map(|host| host.id).collect())
    }
}
