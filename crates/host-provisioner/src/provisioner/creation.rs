//! Creating a host.

use std::time::Duration;

use studio_discovery::{DomainId, SecurityGroupId};

use super::{Provisioner, termination::with_causes};
use crate::{
    AccessIntent, CloudError, CloudErrorKind, CloudName, HostGroups, HostPlan, Instance, Market, OnIdle, OpenRecord,
    Place, Placement, ProvisionError, Record, RecordState, SecurityGroup, Stops, Tagged, Warning,
    error::location,
    group_plan,
    steps::{AccessStep, Executor, GroupStep, LaunchStep, Made, PlannedStep, WantedGroup, WantedLaunch, Work, steps},
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

/// How long to wait before capacity that was missing is asked for again ("Wait a few minutes and then submit your request again; capacity can
/// shift frequently": EC2 user guide, "Troubleshoot Amazon EC2 instance launch issues").
const CAPACITY_PAUSE: Duration = Duration::from_secs(60);

impl Provisioner {
    /// Creates the host of a plan, up to the instance that has its address.
    ///
    /// # Cancel safety
    /// Not to be dropped: what was made by then stays, on record, until [`recover`](Self::recover) takes the host into use or undoes it. It
    /// is stopped by the token that this provisioner was made with.
    ///
    /// # Errors
    /// Whatever failed, after everything that was made has been undone; [`ProvisionError::Undone`] where there was something.
    pub async fn create(&self, plan: &HostPlan, previous_context: Option<String>) -> Result<Creation, ProvisionError> {
        self.create_first(std::slice::from_ref(plan), Duration::ZERO, previous_context).await
    }

    /// Creates the host of the first of these plans that finds capacity. They are plans of one host, such as for several instance types. Where
    /// none finds any, all are tried again for so long.
    ///
    /// # Cancel safety
    /// As [`create`](Self::create).
    ///
    /// # Errors
    /// As [`create`](Self::create). Only a lack of capacity leads to the next plan, or to another try.
    pub async fn create_first(
        &self,
        plans: &[HostPlan],
        retry_for: Duration,
        previous_context: Option<String>,
    ) -> Result<Creation, ProvisionError> {
        match self.attempt(plans, retry_for, previous_context).await {
            Ok(creation) => Ok(creation),
            Err(Failed::Before(error)) => Err(error),
            Err(Failed::Begun(open, error)) => Err(self.undo(*open, error).await),
        }
    }

    /// The same, without the undo.
    pub(super) async fn attempt(
        &self,
        plans: &[HostPlan],
        retry_for: Duration,
        previous_context: Option<String>,
    ) -> Result<Creation, Failed> {
        let cloud = self.work.cloud.territory.place().cloud;
        let begin = || {
            self.work.check_stop()?;
            let first = plans.first().ok_or(ProvisionError::NoPlan)?;
            Ok(self.work.journal.begin(begun(first, cloud, previous_context))?)
        };
        let mut open = begin().map_err(Failed::Before)?;
        let work = self.within(self.work.bounds.patience.creation.saturating_add(retry_for));
        match work.build_first(plans, retry_for, &mut open).await {
            Ok(instance) => Ok(Creation { open, instance }),
            Err(error) => Err(Failed::Begun(Box::new(open), error)),
        }
    }
}

/// A creation that failed.
pub(super) enum Failed {
    /// Before its record was written.
    Before(ProvisionError),
    /// What it made is on record, and not undone yet.
    Begun(Box<OpenRecord>, ProvisionError),
}

/// The record with which the creation of a host begins.
pub(super) fn begun(plan: &HostPlan, cloud: CloudName, previous_context: Option<String>) -> Record {
    let bootstrap = plan.placements.first().map(|placement| &placement.bootstrap);
    Record {
        host: plan.host.clone(),
        state: RecordState::Creating,
        created: plan.created,
        expires: plan.expires,
        place: Place { cloud, account: Some(plan.account.clone()), region: plan.region.clone() },
        domain: plan.domain.clone(),
        owner: plan.owner.clone(),
        vpc: plan.vpc.clone(),
        instance_type: plan.instance_type.clone(),
        daemon_port: bootstrap.map_or(0, |bootstrap| bootstrap.daemon_port),
        previous_context,
        steps: Vec::new(),
        instance: None,
        failure: None,
        stops: (plan.on_idle == OnIdle::Stop)
            .then_some(Stops { volume_gib: Some(plan.root_volume.size_gib), start_asked: None }),
    }
}

impl Work {
    /// Takes the steps of the first plan that finds capacity, and tries them all again for so long.
    async fn build_first(
        &self,
        plans: &[HostPlan],
        retry_for: Duration,
        open: &mut OpenRecord,
    ) -> Result<Instance, ProvisionError> {
        let mut made = Made::default();
        let end = tokio::time::Instant::now() + retry_for;
        loop {
            let mut lacking = None;
            for (position, plan) in plans.iter().enumerate() {
                if open.record().instance_type != plan.instance_type {
                    open.update(|record| record.instance_type = plan.instance_type.clone())?;
                }
                let lack = match self.build(plan, &mut made, open).await {
                    Err(error @ ProvisionError::NoCapacity { .. }) => error,
                    outcome => return outcome,
                };
                if let Some(next) = plans.get(position + 1) {
                    self.warn(Warning::NextType { why: with_causes(&lack), next: next.instance_type.clone() });
                }
                lacking = Some(lack);
            }
            let lack = lacking.ok_or(ProvisionError::NoPlan)?;
            let left = end.saturating_duration_since(tokio::time::Instant::now());
            if left < CAPACITY_PAUSE {
                return Err(lack);
            }
            self.warn(Warning::TriedAgain { why: with_causes(&lack), within: left });
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return Err(ProvisionError::Interrupted),
                () = tokio::time::sleep(CAPACITY_PAUSE) => {}
            }
        }
    }

    async fn build(&self, plan: &HostPlan, made: &mut Made, open: &mut OpenRecord) -> Result<Instance, ProvisionError> {
        let mut groups = plan.groups.clone();
        for race in 1.. {
            match self.build_with(plan, &groups, made, open).await {
                // Another creation made the group, failed, and took it away again between our two calls.
                Err(ProvisionError::Cloud(error)) if race < GROUP_RACES && names_a_group(&error) => {
                    *made = Made::default();
                    groups = self.refresh(groups, &plan.domain).await?;
                }
                outcome => return outcome,
            }
        }
        unreachable!("the loop returns in its last round")
    }

    /// Takes the steps of a plan in the first placement with capacity, paid for in the first way that finds one.
    async fn build_with(
        &self,
        plan: &HostPlan,
        groups: &HostGroups,
        made: &mut Made,
        open: &mut OpenRecord,
    ) -> Result<Instance, ProvisionError> {
        let (mut tried, mut last, mut no_spot) = (Vec::new(), None, None);
        'markets: for market in &plan.markets {
            for placement in &plan.placements {
                let error = match self.build_in(plan, &steps(groups, placement, *market), made, open).await {
                    Ok(instance) => {
                        if let (Market::OnDemand, Some(why)) = (market, no_spot) {
                            self.warn(Warning::NotSpot { why });
                        }
                        return Ok(instance);
                    }
                    // Only the launch's own lack counts: then no instance is there.
                    Err(ProvisionError::Cloud(error)) if error.action == "ec2:RunInstances" => error,
                    Err(error) => return Err(error),
                };
                let another_market = plan.markets.last() != Some(market);
                match error.kind {
                    CloudErrorKind::NoCapacity => tried.push(location(&placement.subnet, placement.zone.as_ref())),
                    // No subnet makes a difference; another way to pay may.
                    CloudErrorKind::NoSpot if another_market => {}
                    _ => return Err(error.into()),
                }
                if *market == Market::Spot {
                    no_spot = Some(error.to_string());
                }
                let nowhere = error.kind == CloudErrorKind::NoSpot;
                last = Some(error);
                if nowhere {
                    continue 'markets;
                }
            }
        }
        Err(match last {
            Some(source) => {
                tried.dedup();
                ProvisionError::NoCapacity { instance_type: plan.instance_type.clone(), tried, source }
            }
            None => ProvisionError::NoSubnet { domain: plan.domain.clone() },
        })
    }

    /// Takes these steps, but for groups that are made already.
    async fn build_in(
        &self,
        plan: &HostPlan,
        steps: &[PlannedStep<'_>],
        made: &mut Made,
        open: &mut OpenRecord,
    ) -> Result<Instance, ProvisionError> {
        let executor = Executor::new(self);
        let (mut accesses, mut launched) = (Vec::new(), None);
        for step in steps {
            match step {
                PlannedStep::SecurityGroup(group) => {
                    if made.group(group).is_none() {
                        let id = executor.run::<GroupStep>(&WantedGroup::of(plan, group), open).await?.id;
                        made.groups.push((group.name.clone(), id));
                    }
                }
                PlannedStep::MountAccess { target, nfs } => {
                    if let Some(group) = made.group(nfs).cloned() {
                        let access = AccessIntent { mount_target: target.id.clone(), group };
                        executor.run::<AccessStep>(&access, open).await?;
                        accesses.push(access);
                    }
                }
                PlannedStep::Instance { placement, market } => {
                    let groups = match &plan.groups {
                        HostGroups::Given(given) => given.clone(),
                        HostGroups::Named { .. } => made.groups.iter().map(|(_, id)| id.clone()).collect(),
                    };
                    launched = Some(self.launch(plan, placement, *market, &groups, open).await?);
                }
            }
        }
        for access in accesses {
            self.keep_attached(&access.mount_target, &access.group).await?;
        }
        launched.ok_or_else(|| ProvisionError::NoSubnet { domain: plan.domain.clone() })
    }

    /// Launches, with fewer tags where those are refused. Each try has a token, and so a step, of its own.
    async fn launch(
        &self,
        plan: &HostPlan,
        placement: &Placement,
        market: Market,
        groups: &[SecurityGroupId],
        open: &mut OpenRecord,
    ) -> Result<Instance, ProvisionError> {
        let mut tagged = Tagged::Everything;
        let mut first = None;
        let instance = loop {
            let spec = plan.launch_spec(placement, market, groups, tagged);
            let wanted = WantedLaunch { spec, zone: placement.zone.clone() };
            match Executor::new(self).run::<LaunchStep>(&wanted, open).await {
                Err(ProvisionError::Cloud(error)) if error.may_be_for_tags() && tagged.less(market).is_some() => {
                    tagged = tagged.less(market).unwrap_or(Tagged::Nothing);
                    first.get_or_insert(error);
                }
                // A policy that asks for tags refuses a launch without them: what it said of the tagged one is the reason.
                Err(ProvisionError::Cloud(error)) if error.is_access_denied() => {
                    return Err(first.unwrap_or(error).into());
                }
                outcome => break outcome?,
            }
        };
        match tagged {
            Tagged::Everything => {}
            Tagged::Nothing => self.warn(Warning::NoTags),
            tagged => self.warn(Warning::FewerTags { tagged }),
        }
        Ok(instance)
    }

    /// The same plan of groups, with those that there are by now.
    pub(super) async fn refresh(&self, groups: HostGroups, domain: &DomainId) -> Result<HostGroups, ProvisionError> {
        let HostGroups::Named { docker, nfs } = groups else { return Ok(groups) };
        let present: Vec<SecurityGroup> =
            self.cloud.security_groups.find(&docker.vpc, &group_plan::names(domain)).await?;
        let nfs = nfs.map(|nfs| nfs.against(&present, domain));
        Ok(HostGroups::Named { docker: docker.against(&present, domain), nfs })
    }
}

/// Whether the cloud did not find a security group.
fn names_a_group(error: &CloudError) -> bool {
    let group = |text: &str| text.contains("sg-") || text.contains("Group");
    error.is_not_found()
        && (group(&error.resource) || group(&error.message) || error.code.as_deref().is_some_and(group))
}

impl Creation {
    pub(super) fn of(open: OpenRecord, instance: Instance) -> Self {
        Self { open, instance }
    }

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
