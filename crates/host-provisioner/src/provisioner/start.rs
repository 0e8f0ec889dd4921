//! Starting a host again whose instance was stopped.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::Provisioner;
use crate::{
    Activity, CloudError, CloudErrorKind, HostId, Instance, InstanceId, InstanceState, OpenRecord, Opened,
    ProvisionError, RecordState, Wait,
};

/// How long a host runs at least that is started again: `user_data/life.sh` gives it so much, however old it is.
pub const SPARE: Duration = Duration::from_secs(1800);

/// EC2's code for an instance that is being stopped, or has ended.
const NOT_IN_THAT_STATE: &str = "IncorrectInstanceState";

impl Provisioner {
    /// Starts a host of the journal again, and sees its instance run. One that runs already is left as it is; one that is being stopped is
    /// waited for. The record says that it is to be started before EC2 is asked, and until when the host runs at least from then on.
    ///
    /// # Cancel safety
    /// Dropped, the instance may be starting, which the record says. It ends itself as before; another call, or [`recover`](Self::recover),
    /// settles the record.
    ///
    /// # Errors
    /// [`ProvisionError::Busy`] while another process works on the host; [`ProvisionError::Doubtful`] where its own place can't be asked about it;
    /// [`ProvisionError::NotStartable`] for one that ended, is to end, or that EC2 stopped again; a failed call, such as for lack of capacity in
    /// the zone of its disk. The host stays as it is, and its disk is there still.
    pub async fn start(&self, host: &HostId) -> Result<Instance, ProvisionError> {
        let mut open = match self.work.journal.open(host).await? {
            Opened::Open(open) => *open,
            Opened::Busy => return Err(ProvisionError::Busy { host: host.clone() }),
            Opened::Missing => return Err(not_startable(host, "its record is gone")),
        };
        if open.record().state != RecordState::Ready {
            return Err(not_startable(host, "its creation or termination was not finished"));
        }
        let living = self.vet(open.record()).await?;
        let id = open.record().instance.as_ref().map(|instance| instance.id.clone());
        let Some(id) = id.filter(|id| living.contains(id)) else { return Err(not_startable(host, "it has ended")) };
        let activity = Activity::Start { instance: id.clone() };
        self.work.started(&activity);
        let started = self.start_until_it_runs(&id, &mut open).await;
        // Where the outcome is not known, the record goes on saying that it may be starting.
        let is_known = started.as_ref().err().is_none_or(|error| match error {
            ProvisionError::Cloud(error) => !error.outcome_is_unknown(),
            ProvisionError::NotStartable { .. } => true,
            _ => false,
        });
        if is_known {
            settled(&mut open)?;
        }
        let instance = started?;
        self.work.finished(activity);
        Ok(instance)
    }

    async fn start_until_it_runs(&self, id: &InstanceId, open: &mut OpenRecord) -> Result<Instance, ProvisionError> {
        let work = self.within(self.work.bounds.patience.starts);
        let mut tries = work.bounds.tries(Wait::Start { instance: id.clone() }, work.bounds.patience.starts);
        // Why it was stopped before it was asked to start, once it was.
        let (mut asked, mut was_pending) = (None, false);
        loop {
            work.check_stop()?;
            let found =
                work.bounds.persistently("looking for an instance", || work.cloud.instances.describe(id)).await?;
            let state = found.as_ref().map(|found| found.state);
            match (state, found) {
                (Some(InstanceState::Running), Some(found)) => return Ok(found),
                (Some(InstanceState::ShuttingDown | InstanceState::Terminated), Some(found)) => {
                    return Err(not_startable(&open.record().host, &ended(&found)));
                }
                // It was on its way, and EC2 took it back: there is no capacity, or its volume's key can't be used.
                (Some(InstanceState::Stopping | InstanceState::Stopped), Some(found))
                    if asked.as_ref().is_some_and(|before| was_pending || *before != found.state_code) =>
                {
                    return Err(not_startable(&open.record().host, &ended(&found)));
                }
                (Some(InstanceState::Stopped), Some(found)) => {
                    if asked.is_none() {
                        intend(open)?;
                        asked = Some(found.state_code);
                    }
                    match work.bounds.persistently("a start", || work.cloud.instances.start(id)).await {
                        Ok(()) => {}
                        // It was seen too early, or too late; another look tells.
                        Err(error) if error.code.as_deref() == Some(NOT_IN_THAT_STATE) => {}
                        Err(error) => return Err(error.into()),
                    }
                }
                (Some(InstanceState::Pending), _) => was_pending = asked.is_some(),
                (Some(InstanceState::Stopping) | None, _) => {}
                (Some(_), None) => unreachable!("a state is an instance's"),
            }
            if !tries.another().await {
                work.check_stop()?;
                let late =
                    CloudError::new("ec2:StartInstances", id.as_str(), CloudErrorKind::NotInTime { waited: None });
                return Err(late.into());
            }
        }
    }
}

/// Says in the journal that the instance is about to be started, and until when it runs at least from then on.
fn intend(open: &mut OpenRecord) -> Result<(), ProvisionError> {
    let now = Timestamp::now();
    let spare = SignedDuration::try_from(SPARE).unwrap_or_default();
    let least = now.saturating_add(spare).unwrap_or(Timestamp::MAX);
    Ok(open.update(|record| {
        record.stops.get_or_insert_default().start_asked = Some(now);
        record.expires = record.expires.max(least);
    })?)
}

/// Says in the journal that nothing is on its way any more.
pub(super) fn settled(open: &mut OpenRecord) -> Result<(), ProvisionError> {
    if open.record().stops.as_ref().is_none_or(|stops| stops.start_asked.is_none()) {
        return Ok(());
    }
    Ok(open.update(|record| {
        if let Some(stops) = &mut record.stops {
            stops.start_asked = None;
        }
    })?)
}

fn ended(instance: &Instance) -> String {
    let why = instance.why_ended().map(|why| format!(": {why}")).unwrap_or_default();
    format!("it is {}{why}", instance.state.as_str())
}

fn not_startable(host: &HostId, why: &str) -> ProvisionError {
    ProvisionError::NotStartable { host: format!("host {host}"), why: why.to_owned() }
}
