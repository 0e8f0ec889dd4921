//! Drives steps: the one place where they are intended, settled, resolved, undone and ended.

use std::sync::Arc;

use super::{AccessStep, Applied, GroupStep, Kind, LaunchStep, Origin, Resolved, Slot, Undone, Work};
use crate::{
    Ended, InstanceId, Intent, OpenRecord, ProvisionError, Record, Remaining, StepState, UndoReport, Warning,
    error::remaining,
};

/// Drives the steps of one host.
pub(crate) struct Executor<'w> {
    work: &'w Work,
}

impl<'w> Executor<'w> {
    pub(crate) fn new(work: &'w Work) -> Self {
        Self { work }
    }

    /// Does a step, unless it is done already. The intent is durable before the first change, and what came of it after.
    pub(crate) async fn run<K: Kind>(
        &self,
        wanted: &K::Wanted,
        open: &mut OpenRecord,
    ) -> Result<K::Made, ProvisionError> {
        self.work.check_stop()?;
        if let Some(made) = K::present(self.work, wanted).await? {
            return K::complete(self.work, wanted, made, Origin::Present, None).await;
        }
        let activity = K::activity(wanted);
        self.work.started(&activity);
        let number = open.intend(K::intend(wanted))?;
        let (made, origin) = match K::apply(self.work, wanted, &mut Slot { open: &mut *open, number }).await? {
            Applied::Made(made) => (made, Origin::Created),
            Applied::Found(made) => (made, Origin::Adopted),
            Applied::Refused(error) => {
                open.set_state(number, StepState::Gone)?;
                return Err(error);
            }
            Applied::Unknown(error) => return Err(error),
        };
        open.update(|record| {
            let step = &mut record.steps[number];
            step.state = if origin == Origin::Created { StepState::Created } else { StepState::Adopted };
            K::note(&made, &mut step.intent, &mut record.instance);
        })?;
        if K::COMPLETION_SPEAKS {
            self.work.finished(activity);
            return K::complete(self.work, wanted, made, origin, Some(Slot { open, number })).await;
        }
        let made = K::complete(self.work, wanted, made, origin, Some(Slot { open, number })).await?;
        self.work.finished(activity);
        Ok(made)
    }

    /// Undoes every step of a record, the last first.
    pub(crate) async fn undo(&self, open: &mut OpenRecord) -> UndoReport {
        self.undo_those(open, |_| true).await
    }

    /// Undoes only what ends with the host: its instance.
    pub(crate) async fn undo_own(&self, open: &mut OpenRecord) -> UndoReport {
        self.undo_those(open, ends_with_host).await
    }

    async fn undo_those(&self, open: &mut OpenRecord, of_them: impl Fn(&Intent) -> bool) -> UndoReport {
        let mut report = UndoReport::default();
        let mut instance_remains = false;
        let mut unanswered = None;
        for number in (0..open.record().steps.len()).rev() {
            let step = &open.record().steps[number];
            if matches!(step.state, StepState::Adopted | StepState::Gone) || !of_them(&step.intent) {
                continue;
            }
            let (what, ends_with_host) = (step.intent.to_string(), ends_with_host(&step.intent));
            if instance_remains && !ends_with_host {
                // The instance still uses it; and only once the instance is gone can others' use of it be told from ours.
                report.remains.push(Remaining { what, why: None });
                continue;
            }
            if let (Some(why), false) = (&unanswered, ends_with_host) {
                // What costs nothing by the hour is not worth another wait for a cloud that does not answer.
                report.remains.push(Remaining { what, why: Some(Arc::clone(why)) });
                continue;
            }
            let state = match self.undo_step(number, open.record()).await {
                Ok(Undone::Gone(what)) => {
                    report.undone.push(what);
                    StepState::Gone
                }
                Ok(Undone::Nothing) => StepState::Gone,
                Ok(Undone::InUse(what)) => {
                    self.work.warn(Warning::LeftInUse { what: what.clone() });
                    report.kept.push(what);
                    StepState::Adopted
                }
                Err(error) => {
                    instance_remains |= ends_with_host;
                    let silent = matches!(&error, ProvisionError::Cloud(error) if error.is_without_answer());
                    let why = Arc::new(error);
                    if silent {
                        unanswered = Some(Arc::clone(&why));
                    }
                    report.remains.push(Remaining { what, why: Some(why) });
                    continue;
                }
            };
            if let Err(error) = open.set_state(number, state) {
                report.remains.push(remaining("the record", error.into()));
            }
        }
        report
    }

    async fn undo_step(&self, number: usize, record: &Record) -> Result<Undone, ProvisionError> {
        let state = record.steps[number].state;
        match &record.steps[number].intent {
            Intent::SecurityGroup(intended) => self.undo_kind::<GroupStep>(intended, state, record).await,
            Intent::MountAccess(intended) => self.undo_kind::<AccessStep>(intended, state, record).await,
            Intent::Instance(intended) => self.undo_kind::<LaunchStep>(intended, state, record).await,
        }
    }

    async fn undo_kind<K: Kind>(
        &self,
        intended: &K::Intended,
        state: StepState,
        record: &Record,
    ) -> Result<Undone, ProvisionError> {
        let known = if state == StepState::Intended { None } else { K::known(intended) };
        let resolved = match known {
            Some(target) => Resolved::Made(target),
            None => K::resolve(self.work, intended, record).await?,
        };
        match resolved {
            Resolved::Made(target) => K::undo(self.work, target, intended, record).await,
            Resolved::Never => Ok(Undone::Nothing),
            Resolved::Untold(what) => Ok(Undone::InUse(what)),
        }
    }

    /// Ends what ends with its host, where it is alive; what hosts share stays. Returns the last instance, and whether one ended now.
    pub(crate) async fn end(
        &self,
        open: &mut OpenRecord,
        living: &[InstanceId],
    ) -> Result<(Option<InstanceId>, Ended), ProvisionError> {
        let (mut last, mut ended) = (None, Ended::Already);
        for number in 0..open.record().steps.len() {
            let step = &open.record().steps[number];
            let Intent::Instance(launch) = &step.intent else { continue };
            let Some(id) = launch.id.clone() else { continue };
            if step.state != StepState::Gone {
                if living.contains(&id) {
                    let bounds = self.work.bounds.within(self.work.bounds.patience.termination);
                    ended = self.work.clone().bounded(bounds).end_instance(&id, None).await?;
                }
                open.set_state(number, StepState::Gone)?;
            }
            last = Some(id);
        }
        Ok((last, ended))
    }
}

fn ends_with_host(intent: &Intent) -> bool {
    match intent {
        Intent::SecurityGroup(_) => GroupStep::ENDS_WITH_HOST,
        Intent::MountAccess(_) => AccessStep::ENDS_WITH_HOST,
        Intent::Instance(_) => LaunchStep::ENDS_WITH_HOST,
    }
}
