//! Launching many hosts with one call, where they are alike: each has its own record, which names the launch and the host's place in it.

use std::{num::NonZeroU32, time::Duration};

use futures_util::future::join_all;
use jiff::Timestamp;
use studio_discovery::{SecurityGroupId, Tag};

use super::{Order, Tally, Unmade};
use crate::{
    AccessIntent, ClientToken, CloudError, CloudErrorKind, Creation, Event, HostGroups, HostPlan, Instance, Intent,
    LaunchIntent, LaunchSpec, Market, OpenRecord, Placement, ProvisionError, Provisioner, Step, StepState, TAG_HOST,
    Tagged,
    provisioner::creation::begun,
    steps::{Asked, Kind as _, LaunchStep, Origin, Slot, WantedLaunch, Work},
};

/// What the hosts of one call have in common: all but their names. The first of them was launched by itself, and made what they share.
pub(super) struct Alike {
    plan: HostPlan,
    placement: Placement,
    market: Market,
    groups: Vec<SecurityGroupId>,
}

impl Alike {
    /// What is alike to a host that was just launched, if it was where its plan says.
    pub(super) fn to(first: &Creation, plans: &[HostPlan]) -> Option<Self> {
        let (_, launch) = first.record().launches().last()?;
        let plan = plans.iter().find(|plan| plan.instance_type == first.record().instance_type)?;
        let placement = plan.placements.iter().find(|placement| placement.subnet == launch.subnet)?;
        let groups = first.security_groups().to_vec();
        let known = !groups.is_empty();
        known.then(|| Self { plan: plan.clone(), placement: placement.clone(), market: launch.market, groups })
    }

    /// The plan of another host, if a launch of it differs in nothing but the name.
    pub(super) fn of<'o>(&self, order: &'o Order) -> Option<&'o HostPlan> {
        let plan = order.plans.iter().find(|plan| plan.instance_type == self.plan.instance_type)?;
        let placement = plan.placements.iter().find(|placement| placement.subnet == self.placement.subnet)?;
        let spec = |plan: &HostPlan, placement: &Placement| LaunchSpec {
            client_token: "any".into(),
            tags: without_host(&plan.tags),
            bootstrap: crate::Bootstrap { host: self.plan.host.clone(), ..placement.bootstrap.clone() },
            ..plan.launch_spec(placement, self.market, &self.groups, Tagged::Everything)
        };
        (spec(plan, placement) == spec(&self.plan, &self.placement)).then_some(plan)
    }

    fn spec(&self, first: &HostPlan, token: &ClientToken) -> LaunchSpec {
        let mut spec = first.launch_spec(&self.placement, self.market, &self.groups, Tagged::Everything);
        spec.client_token = token.clone();
        // One call gives all its instances the same tags.
        spec.tags.retain(|tag| tag.key != TAG_HOST);
        spec.tags.push(Tag::new(TAG_HOST, first.host.family().as_str()));
        spec.tags.sort();
        spec
    }
}

fn without_host(tags: &[Tag]) -> Vec<Tag> {
    tags.iter().filter(|tag| tag.key != TAG_HOST).cloned().collect()
}

/// One of the hosts of a call.
pub(super) struct Member<'o> {
    pub(super) position: usize,
    pub(super) order: &'o Order,
    pub(super) plan: &'o HostPlan,
}

/// A member whose launch is on record, as its only step.
struct Intended<'o> {
    member: Member<'o>,
    open: OpenRecord,
}

/// The launch among the steps of a record.
const LAUNCH: usize = 0;

impl Provisioner {
    /// Launches hosts that are alike with one call. Returns those for which there was no capacity: nothing was made for them.
    pub(super) async fn launch_alike(
        &self,
        alike: &Alike,
        members: Vec<Member<'_>>,
        previous_context: Option<&str>,
        tally: &mut Tally,
    ) -> Vec<usize> {
        let token = ClientToken::generate();
        let mut intended: Vec<Intended<'_>> = Vec::new();
        for member in members {
            match self.intend_launch(&member, alike, &token, intended.len(), previous_context) {
                Ok(open) => intended.push(Intended { member, open }),
                Err(unmade) => tally.failed.push(*unmade),
            }
        }
        let count = u32::try_from(intended.len()).ok().and_then(NonZeroU32::new);
        let (Some(first), Some(count)) = (intended.first(), count) else { return Vec::new() };
        let spec = alike.spec(first.member.plan, &token);
        let work = self.within(self.work.bounds.patience.creation);
        let wanted = WantedLaunch { spec: spec.clone(), zone: alike.placement.zone.clone() };
        for one in &intended {
            one.member.order.observer.notice(&Event::Started(LaunchStep::activity(&wanted)));
        }
        let asked = work
            .ask_to_launch(&spec, count, || {
                intended.iter_mut().try_for_each(|one| Slot { open: &mut one.open, number: LAUNCH }.ask_again())
            })
            .await;
        let launched = match asked {
            Ok(Asked::Launched(launched)) => launched,
            // Each is tried by itself, and told what it is told.
            Ok(Asked::Failed(error)) if !error.outcome_is_unknown() => Vec::new(),
            Ok(Asked::Failed(error) | Asked::RefusedAtLast(error)) => {
                return self.lose(intended, &|| error.clone().into(), tally).await;
            }
            Err(error) => {
                let why = error.to_string();
                let error = || CloudError::new("ec2:RunInstances", "", CloudErrorKind::Other).with_message(None, &*why);
                return self.lose(intended, &|| error().into(), tally).await;
            }
        };
        let accesses = self.keep_mounts(&work, alike).await;
        let ways = intended.into_iter().enumerate().map(|(index, one)| {
            let made = launched.iter().find(|made| usize::try_from(made.launch_index) == Ok(index)).cloned();
            self.come_up(&work, one, made, &wanted, accesses.as_ref())
        });
        let mut left = Vec::new();
        for outcome in join_all(ways).await {
            match outcome {
                Ok(Way::Created(position, creation)) => tally.created.push((position, *creation)),
                Ok(Way::NoCapacity(position)) => left.push(position),
                Err(unmade) => tally.failed.push(*unmade),
            }
        }
        left
    }

    /// Writes down that a host is to be launched as this one of a call.
    fn intend_launch(
        &self,
        member: &Member<'_>,
        alike: &Alike,
        token: &ClientToken,
        index: usize,
        previous_context: Option<&str>,
    ) -> Result<OpenRecord, Box<Unmade>> {
        let unmade = |error| Box::new(Unmade { position: member.position, error, open: None });
        self.work.check_stop().map_err(unmade)?;
        let cloud = self.work.cloud.territory.place().cloud;
        let mut record = begun(member.plan, cloud, previous_context.map(str::to_owned));
        let intent = Intent::Instance(LaunchIntent {
            client_token: token.clone(),
            launch_index: u32::try_from(index).unwrap_or(u32::MAX),
            subnet: alike.placement.subnet.clone(),
            market: alike.market,
            asked: Timestamp::now(),
            id: None,
        });
        // It begins with its only step, in one write: there may be hundreds.
        record.steps.push(Step { state: StepState::Intended, intent });
        self.work.journal.begin(record).map_err(|error| unmade(error.into()))
    }

    /// Nobody knows whether they were launched: each is looked for, and ended.
    async fn lose(
        &self,
        intended: Vec<Intended<'_>>,
        error: &(dyn Fn() -> ProvisionError + Sync),
        tally: &mut Tally,
    ) -> Vec<usize> {
        let lost = join_all(intended.into_iter().map(|one| self.unmade(one, error()))).await;
        tally.failed.extend(lost);
        Vec::new()
    }

    async fn unmade(&self, one: Intended<'_>, error: ProvisionError) -> Unmade {
        let Intended { member, mut open, .. } = one;
        let provisioner = self.observed_by(member.order.observer.clone());
        let report = provisioner.undo_own(&mut open, &error).await;
        Unmade { position: member.position, error, open: Some((open, report)) }
    }

    /// Puts the group back on the mount targets where another host's clean-up took it off in between.
    async fn keep_mounts(&self, work: &Work, alike: &Alike) -> Result<(), String> {
        let HostGroups::Named { nfs: Some(nfs), .. } = &alike.plan.groups else { return Ok(()) };
        let Some(group) = &nfs.existing else { return Ok(()) };
        for target in &alike.placement.mount_targets {
            let access = AccessIntent { mount_target: target.id.clone(), group: group.clone() };
            work.keep_attached(&access.mount_target, &access.group).await.map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// Writes down what was launched for a host, and waits for its address.
    async fn come_up(
        &self,
        work: &Work,
        mut one: Intended<'_>,
        made: Option<Instance>,
        wanted: &WantedLaunch,
        mounts: Result<&(), &String>,
    ) -> Result<Way, Box<Unmade>> {
        let position = one.member.position;
        let observer = one.member.order.observer.clone();
        let Some(made) = made else {
            return match gone(one.open) {
                Ok(()) => Ok(Way::NoCapacity(position)),
                Err(error) => Err(Box::new(Unmade { position, error, open: None })),
            };
        };
        let noted = one.open.update(|record| {
            let noted = &mut record.steps[LAUNCH];
            noted.state = StepState::Created;
            LaunchStep::note(&made, &mut noted.intent, &mut record.instance);
        });
        if let Err(error) = noted {
            return Err(Box::new(self.unmade(one, error.into()).await));
        }
        observer.notice(&Event::Finished(LaunchStep::activity(wanted)));
        let slot = Slot { open: &mut one.open, number: LAUNCH };
        let work = Work { observer: observer.clone(), ..work.clone() };
        let completed = LaunchStep::complete(&work, wanted, made, Origin::Created, Some(slot)).await;
        match (completed, mounts) {
            (Ok(instance), Ok(())) => Ok(Way::Created(position, Box::new(Creation::of(one.open, instance)))),
            // EC2 found only after it had accepted the launch that it has no capacity: the instance has ended, and the record says so.
            (Err(_), _) if one.open.record().steps[LAUNCH].state == StepState::Gone => match gone(one.open) {
                Ok(()) => Ok(Way::NoCapacity(position)),
                Err(error) => Err(Box::new(Unmade { position, error, open: None })),
            },
            (Err(error), _) => Err(Box::new(self.unmade(one, error).await)),
            (Ok(_), Err(why)) => {
                let action = "elasticfilesystem:ModifyMountTargetSecurityGroups";
                let error = CloudError::new(action, "", CloudErrorKind::Other).with_message(None, why);
                Err(Box::new(self.unmade(one, error.into()).await))
            }
        }
    }
}

/// What became of a member.
enum Way {
    Created(usize, Box<Creation>),
    NoCapacity(usize),
}

/// Takes away the record of a host for which nothing was made.
fn gone(mut open: OpenRecord) -> Result<(), ProvisionError> {
    if open.record().steps[LAUNCH].state != StepState::Gone {
        open.set_state(LAUNCH, StepState::Gone)?;
    }
    Ok(open.remove()?)
}

/// How much of the time is left in which capacity is asked for.
pub(super) fn left_of(retry_for: Duration, began: tokio::time::Instant) -> Duration {
    retry_for.saturating_sub(began.elapsed())
}
