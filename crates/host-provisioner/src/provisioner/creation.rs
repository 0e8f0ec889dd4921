//! Creating a host.

use studio_discovery::SecurityGroupId;

use super::Provisioner;
use crate::{
    CloudError, HostGroups, HostPlan, Instance, OpenRecord, ProvisionError, Record, RecordState, SecurityGroup,
    group_plan,
};

/// A host whose instance runs, and that is not in the user's hands yet. Its record stays locked while this lives.
///
/// Either [`hand_over`](Self::hand_over) it once it works, or [`Provisioner::undo`] it. Dropping it leaves an unfinished record,
/// as the death of the process does.
#[derive(Debug)]
pub struct Creation {
    open: OpenRecord,
    instance: Instance,
}

/// How often creation starts over because a group that it found was deleted by its owner's own clean-up.
const GROUP_RACES: u32 = 3;

impl Provisioner {
    /// Creates the host of a plan, up to the instance that has its address.
    ///
    /// # Errors
    /// Whatever failed, after everything that was made has been undone; [`ProvisionError::Undone`] where there was something.
    pub async fn create(&self, plan: &HostPlan, previous_context: Option<String>) -> Result<Creation, ProvisionError> {
        self.check_stop()?;
        let cloud = self.cloud.territory.place().cloud;
        let mut open = self.journal.begin(Record::creating(plan, cloud, previous_context))?;
        match self.within(self.bounds.patience.creation).build(plan, &mut open).await {
            Ok(instance) => Ok(Creation { open, instance }),
            Err(error) => Err(self.undo(open, error).await),
        }
    }

    async fn build(&self, plan: &HostPlan, open: &mut OpenRecord) -> Result<Instance, ProvisionError> {
        let mut groups = plan.groups.clone();
        for race in 1.. {
            match self.build_with(plan, &groups, open).await {
                // Another creation made the group, failed, and took it away again between our two calls.
                Err(ProvisionError::Cloud(error)) if race < GROUP_RACES && names_a_group(&error) => {
                    groups = self.refresh(groups).await?;
                }
                outcome => return outcome,
            }
        }
        unreachable!("the loop returns in its last round")
    }

    async fn build_with(
        &self,
        plan: &HostPlan,
        groups: &HostGroups,
        open: &mut OpenRecord,
    ) -> Result<Instance, ProvisionError> {
        let (all, nfs) = match groups {
            HostGroups::Given(given) => (given.clone(), None),
            HostGroups::Named { docker, nfs } => {
                let docker = self.ensure_group(docker, plan, open).await?;
                let nfs = match nfs {
                    Some(nfs) => Some(self.ensure_group(nfs, plan, open).await?),
                    None => None,
                };
                ([Some(docker), nfs.clone()].into_iter().flatten().collect(), nfs)
            }
        };
        self.launch_somewhere(plan, &all, nfs.as_ref(), open).await
    }

    async fn refresh(&self, groups: HostGroups) -> Result<HostGroups, ProvisionError> {
        let HostGroups::Named { docker, nfs } = groups else { return Ok(groups) };
        let present: Vec<SecurityGroup> = self.cloud.security_groups.find(&docker.vpc, &group_plan::NAMES).await?;
        let nfs = nfs.map(|nfs| nfs.against(&present));
        Ok(HostGroups::Named { docker: docker.against(&present), nfs })
    }
}

/// Whether the cloud did not find a security group.
fn names_a_group(error: &CloudError) -> bool {
    let group = |text: &str| text.contains("sg-") || text.contains("Group");
    error.is_not_found()
        && (group(&error.resource) || group(&error.message) || error.code.as_deref().is_some_and(group))
}

impl Creation {
    /// The host's record.
    pub fn record(&self) -> &Record {
        self.open.record()
    }

    /// The instance, as it was when it had its address.
    pub fn instance(&self) -> &Instance {
        &self.instance
    }

    /// The security groups of the instance.
    pub fn security_groups(&self) -> &[SecurityGroupId] {
        &self.instance.security_groups
    }

    /// From now on the host is reached by its private address in place of its name, for an app that does not resolve the name.
    /// Without an address nothing changes.
    ///
    /// # Errors
    /// A journal that can't be written.
    pub fn reach_by_address(&mut self) -> Result<(), ProvisionError> {
        Ok(self.open.update(|record| {
            if let Some(instance) = &mut record.instance
                && let Some(address) = instance.private_address
            {
                instance.endpoint = address.to_string();
            }
        })?)
    }

    /// Puts the host into the user's hands: it is no longer undone when something fails.
    ///
    /// # Errors
    /// A journal that can't be written; the host then is still in creation.
    pub fn hand_over(&mut self) -> Result<(), ProvisionError> {
        Ok(self.open.update(|record| record.state = RecordState::Ready)?)
    }

    /// Keeps a host that failed, for someone to look at. It still ends itself.
    ///
    /// # Errors
    /// A journal that can't be written.
    pub fn keep_failed(&mut self, failure: String) -> Result<(), ProvisionError> {
        Ok(self.open.update(|record| {
            record.state = RecordState::Ready;
            record.failure = Some(failure);
        })?)
    }

    /// The record, for [`Provisioner::undo`].
    pub fn into_record(self) -> OpenRecord {
        self.open
    }
}
