//! Removing the security groups that hosts share, once no host needs them.

use serde::Serialize;
use studio_discovery::StudioEnvironment;

use super::Provisioner;
use crate::{InstanceFilter, InstanceId, ProvisionError, TAG_HOST, group_plan, steps::Work};

/// What purging did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PurgeReport {
    /// What is gone.
    pub removed: Vec<String>,
    /// What stays because something uses it, with what uses it.
    pub kept: Vec<String>,
}

impl Provisioner {
    /// Takes the domain's group for NFS off the mount targets of its file systems, and deletes both of its groups, unless something else uses
    /// them. Groups of earlier names are left where neither tag nor rules say that they are the domain's.
    ///
    /// # Cancel safety
    /// Dropped, it leaves the groups that it had not come to, and perhaps one that is off some mount targets and not deleted. None of that
    /// is on record: another call does the rest.
    ///
    /// # Errors
    /// A failed call. May be repeated.
    pub async fn purge(&self, environment: &StudioEnvironment) -> Result<PurgeReport, ProvisionError> {
        self.within(self.work.bounds.patience.purge).purge(environment).await
    }
}

impl Work {
    async fn purge(&self, environment: &StudioEnvironment) -> Result<PurgeReport, ProvisionError> {
        let StudioEnvironment { vpc, domain, .. } = environment;
        let mut report = PurgeReport::default();
        let ended = self.ended_hosts().await?;
        let named = self.cloud.security_groups.find(vpc, &group_plan::names(domain)).await?;
        for group in named.iter().filter(|group| group_plan::is_of_domain(group, domain, &environment.security_groups))
        {
            let what = format!("security group {} ({})", group.name, group.id);
            let users = self.others_in(&group.id, &[]).await?;
            if let Some(user) = users.first() {
                report.kept.push(format!("{what}: used by instance {}", user.id));
                continue;
            }
            if group_plan::is_for_nfs(group) {
                for file_system in &environment.file_systems() {
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
