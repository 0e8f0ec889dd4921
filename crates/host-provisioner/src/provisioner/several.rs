//! Creating several hosts at once: all of them, or at least so many, or none.

mod launch;

use std::{sync::Arc, time::Duration};

use futures_util::{FutureExt as _, StreamExt as _, future::join_all, stream};

use launch::{Alike, Member, left_of};
use tokio::time::Instant;

use super::{Creation, Provisioner, creation::Failed};
use crate::{HostGroups, HostPlan, Observer, OpenRecord, ProvisionError, UndoReport, bounds::Bounds};

/// How many launches are under way at a time. EC2 takes five RunInstances calls at once and two a second from then on (EC2 developer guide, "Request
/// throttling"); what is throttled is asked for again.
const AT_A_TIME: usize = 10;

/// A host that is to be one of several.
pub struct Order {
    /// Plans of this host: the first that finds capacity is carried out.
    pub plans: Vec<HostPlan>,
    /// Is told of this host's creation.
    pub observer: Arc<dyn Observer>,
}

/// What came of several hosts that were to be created. They are counted as they were ordered, from 0.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Several {
    /// Those that were.
    pub created: Vec<(usize, Creation)>,
    /// Those that could not be; what was made for them is undone as far as their errors say.
    pub failed: Vec<(usize, ProvisionError)>,
}

/// A host that could not be created: its record, and what was undone of it by then.
struct Unmade {
    position: usize,
    error: ProvisionError,
    open: Option<(OpenRecord, UndoReport)>,
}

#[derive(Default)]
struct Tally {
    created: Vec<(usize, Creation)>,
    failed: Vec<Unmade>,
}

impl Tally {
    fn take(&mut self, outcome: Result<(usize, Creation), Unmade>) {
        match outcome {
            Ok(created) => self.created.push(created),
            Err(unmade) => self.failed.push(unmade),
        }
    }
}

impl Provisioner {
    /// Creates several hosts, each up to the instance that has its address: all, or else at least so many, or none. As soon as too many have
    /// failed, the others are given up, and what was made is undone, host by host.
    ///
    /// One is launched before the others, and makes what they share. So what no host can do without is said once, of one launch. Those that differ
    /// from it in nothing but their names are launched with one call, in the same place; where that has not enough capacity, the next one is
    /// launched by itself wherever there is some, and so on.
    ///
    /// # Cancel safety
    /// As [`create`](Self::create): each host has a record of its own.
    ///
    /// # Errors
    /// [`ProvisionError::TooFew`], in a [`ProvisionError::Undone`] where something was undone; where a single host was ordered, its own error.
    pub async fn create_several(
        &self,
        orders: &[Order],
        at_least: usize,
        retry_for: Duration,
        previous_context: Option<&str>,
    ) -> Result<Several, ProvisionError> {
        let provisioner = self.stoppable();
        let may_fail = orders.len().saturating_sub(at_least);
        let began = Instant::now();
        let mut tally = Tally::default();
        let mut waiting: Vec<usize> = (0..orders.len()).collect();
        let mut shared = None;
        while !waiting.is_empty() && tally.failed.len() <= may_fail {
            let (position, made) = (waiting.remove(0), tally.created.len());
            let plans = plans(&orders[position], shared.as_ref());
            let left = left_of(retry_for, began);
            tally.take(provisioner.one(position, &orders[position], &plans, left, previous_context).await);
            if tally.created.len() == made && made == 0 {
                continue;
            }
            if tally.created.len() == made || waiting.is_empty() {
                break;
            }
            if shared.is_none() {
                shared = provisioner.shared(orders).await;
            }
            // Where it found capacity, there may be some for those that are like it.
            let plans = self::plans(&orders[position], shared.as_ref());
            let Some(alike) = tally.created.last().and_then(|(_, first)| Alike::to(first, &plans)) else { break };
            let member = |position: usize| {
                let order = &orders[position];
                alike.of(order).map(|plan| Member { position, order, plan })
            };
            let (members, others): (Vec<_>, Vec<_>) = waiting.iter().partition(|position| member(**position).is_some());
            if members.len() < 2 {
                break;
            }
            let members: Vec<Member<'_>> = members.into_iter().filter_map(member).collect();
            let asked = members.len();
            let mut lacking = provisioner.launch_alike(&alike, members, previous_context, &mut tally).await;
            let none = lacking.len() == asked;
            lacking.extend(others);
            lacking.sort_unstable();
            waiting = lacking;
            if none {
                break;
            }
        }
        if !tally.created.is_empty() && !waiting.is_empty() && tally.failed.len() <= may_fail {
            let mut others = Vec::new();
            for position in waiting {
                let (order, plans) = (&orders[position], plans(&orders[position], shared.as_ref()));
                let (provisioner, left) = (&provisioner, left_of(retry_for, began));
                let creation = async move { provisioner.one(position, order, &plans, left, previous_context).await };
                others.push(creation.boxed());
            }
            let mut others = stream::iter(others).buffer_unordered(AT_A_TIME);
            while let Some(outcome) = others.next().await {
                tally.take(outcome);
                if tally.failed.len() > may_fail {
                    provisioner.work.stop.cancel();
                }
            }
        }
        tally.created.sort_by_key(|(position, _)| *position);
        tally.failed.sort_by_key(|unmade| unmade.position);
        if self.work.stop.is_cancelled() || tally.created.len() < at_least.max(1) {
            return Err(self.give_up(tally, orders.len(), at_least).await);
        }
        let mut several = Several { created: tally.created, failed: Vec::new() };
        for unmade in tally.failed {
            let (error, report) = self.finish_undo(unmade.error, unmade.open).await;
            several.failed.push((unmade.position, undone(error, report)));
        }
        Ok(several)
    }

    /// Undoes creations together: first their instances end, then goes what they share.
    ///
    /// # Cancel safety
    /// As [`undo`](Self::undo).
    pub async fn undo_several(&self, creations: Vec<Creation>) -> UndoReport {
        let ended = self.end_instances(creations).await;
        let mut report = UndoReport::default();
        self.finish_undos(ended, &mut report).await;
        report
    }

    /// Ends the instances of creations that are to be undone, all at once.
    async fn end_instances(&self, creations: Vec<Creation>) -> Vec<(OpenRecord, UndoReport)> {
        let own = creations.into_iter().map(|creation| async move {
            let mut open = creation.into_record();
            let report = self.undo_own(&mut open, &ProvisionError::Interrupted).await;
            (open, report)
        });
        join_all(own).await
    }

    /// The rest of these undos, the first one's last: it made what all share.
    async fn finish_undos(&self, ended: Vec<(OpenRecord, UndoReport)>, report: &mut UndoReport) {
        for one in ended.into_iter().rev() {
            report.extend(self.finish_undo(ProvisionError::Interrupted, Some(one)).await.1);
        }
    }

    /// The same, which can be stopped by itself.
    fn stoppable(&self) -> Self {
        let stop = self.work.stop.child_token();
        let bounds = Bounds::new(self.work.bounds.patience, self.work.observer.clone(), stop.clone());
        let work = crate::steps::Work { stop, ..self.work.clone() };
        Self { work: work.bounded(bounds), ..self.clone() }
    }

    async fn one(
        &self,
        position: usize,
        order: &Order,
        plans: &[HostPlan],
        retry_for: Duration,
        previous_context: Option<&str>,
    ) -> Result<(usize, Creation), Unmade> {
        let provisioner = self.observed_by(order.observer.clone());
        match provisioner.attempt(plans, retry_for, previous_context.map(str::to_owned)).await {
            Ok(creation) => Ok((position, creation)),
            Err(Failed::Before(error)) => Err(Unmade { position, error, open: None }),
            Err(Failed::Begun(open, error)) => {
                // What others may use already is undone once it is clear which of them stay.
                let mut open = *open;
                let report = provisioner.undo_own(&mut open, &error).await;
                Err(Unmade { position, error, open: Some((open, report)) })
            }
        }
    }

    /// The rest of an undo that began with the instance, and what all of it came to.
    async fn finish_undo(
        &self,
        error: ProvisionError,
        open: Option<(OpenRecord, UndoReport)>,
    ) -> (ProvisionError, UndoReport) {
        let Some((open, mut report)) = open else { return (error, UndoReport::default()) };
        // What remained then was tried again.
        report.remains.clear();
        report.extend(self.undo_whole(open, &error).await);
        (error, report)
    }

    /// The same, with this observer.
    #[must_use]
    pub fn observed_by(&self, observer: Arc<dyn Observer>) -> Self {
        let bounds = Bounds::new(self.work.bounds.patience, observer.clone(), self.work.stop.clone());
        let work = crate::steps::Work { observer, ..self.work.clone() };
        Self { work: work.bounded(bounds), ..self.clone() }
    }

    /// The groups as the first host made them. Where they can't be read now, each creation finds them by itself.
    async fn shared(&self, orders: &[Order]) -> Option<HostGroups> {
        let plan = orders.first()?.plans.first()?;
        self.work.refresh(plan.groups.clone(), &plan.domain).await.ok()
    }

    /// Undoes everything, and says of all together what came of it.
    async fn give_up(&self, tally: Tally, count: usize, at_least: usize) -> ProvisionError {
        let made = tally.created.len();
        let mut errors = Vec::new();
        let mut report = UndoReport::default();
        let created = self.end_instances(tally.created.into_iter().map(|(_, creation)| creation).collect()).await;
        for unmade in tally.failed {
            let (error, of_one) = self.finish_undo(unmade.error, unmade.open).await;
            report.extend(of_one);
            errors.push(error);
        }
        self.finish_undos(created, &mut report).await;
        // Those that were given up because of the others say nothing of their own.
        errors.retain(|error| !matches!(error, ProvisionError::Interrupted));
        let error = if self.work.stop.is_cancelled() || errors.is_empty() {
            ProvisionError::Interrupted
        } else {
            let source = Box::new(errors.remove(0));
            match count {
                1 => *source,
                _ => ProvisionError::TooFew { made, count, at_least, source, others: errors },
            }
        };
        undone(error, report)
    }
}

fn undone(error: ProvisionError, report: UndoReport) -> ProvisionError {
    if report.is_empty() { error } else { ProvisionError::Undone { error: Box::new(error), report } }
}

/// The plans of a host, with the groups as they are by now.
fn plans(order: &Order, groups: Option<&HostGroups>) -> Vec<HostPlan> {
    let with_groups = |plan: &HostPlan| HostPlan { groups: groups.unwrap_or(&plan.groups).clone(), ..plan.clone() };
    order.plans.iter().map(with_groups).collect()
}

impl UndoReport {
    fn extend(&mut self, other: Self) {
        self.undone.extend(other.undone);
        self.kept.extend(other.kept);
        self.remains.extend(other.remains);
    }
}
