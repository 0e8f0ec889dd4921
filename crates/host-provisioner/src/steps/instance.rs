//! Launching the instance: somewhere, once.

use std::sync::Mutex;

use aws_answers::{Meaning, codes};
use jiff::Timestamp;
use studio_discovery::SecurityGroupId;

use crate::{
    ClientToken, CloudError, CloudErrorKind, HostPlan, Instance, InstanceFilter, InstanceId, InstanceState, LaunchSpec,
    Market, OpenRecord, Placement, ProvisionError, RecordedInstance, Resource, ResourceKind, ResourceState, Step,
    Tagged, Wait, Warning,
    error::place,
    provisioner::{Ended, Provisioner, undo::Outcome},
};

impl Provisioner {
    /// Launches in the first placement with capacity, by the first way of payment that finds one.
    pub(crate) async fn launch_somewhere(
        &self,
        plan: &HostPlan,
        groups: &[SecurityGroupId],
        nfs: Option<&SecurityGroupId>,
        open: &mut OpenRecord,
    ) -> Result<Instance, ProvisionError> {
        let mut tried = Vec::new();
        let mut last = None;
        let mut no_spot = None;
        'markets: for market in &plan.markets {
            for placement in &plan.placements {
                for target in placement.mount_targets.iter().filter(|_| nfs.is_some()) {
                    if let Some(nfs) = nfs {
                        self.attach(&target.id, nfs, open).await?;
                    }
                }
                let launched = match self.launch(plan, placement, *market, groups, open).await {
                    Ok(instance) => self.with_address(instance, open).await,
                    Err(error) => Err(error),
                };
                match launched.map_err(|error| no_capacity_after_all(error, open)) {
                    Err(ProvisionError::Cloud(error)) if is_of_launch(&error, &CloudErrorKind::NoCapacity) => {
                        if *market == Market::Spot {
                            no_spot = Some(error.to_string());
                        }
                        tried.push(place(&placement.subnet, placement.zone.as_ref()));
                        last = Some(error);
                    }
                    // No subnet makes a difference; another way to pay may.
                    Err(ProvisionError::Cloud(error))
                        if is_of_launch(&error, &CloudErrorKind::NoSpot) && plan.markets.last() != Some(market) =>
                    {
                        no_spot = Some(error.to_string());
                        last = Some(error);
                        continue 'markets;
                    }
                    Err(error) => return Err(error),
                    Ok(instance) => {
                        if let (Market::OnDemand, Some(why)) = (market, no_spot) {
                            self.warn(Warning::NotSpot { why });
                        }
                        for target in &placement.mount_targets {
                            if let Some(nfs) = nfs {
                                self.keep_attached(&target.id, nfs).await?;
                            }
                        }
                        return Ok(instance);
                    }
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

    async fn launch(
        &self,
        plan: &HostPlan,
        placement: &Placement,
        market: Market,
        groups: &[SecurityGroupId],
        open: &mut OpenRecord,
    ) -> Result<Instance, ProvisionError> {
        let step = Step::Launch { subnet: placement.subnet.clone(), zone: placement.zone.clone(), market };
        self.started(&step);
        let mut tagged = Tagged::Everything;
        let mut first = None;
        let instance = loop {
            match self.launch_once(plan, placement, market, groups, tagged, open).await {
                Err(ProvisionError::Cloud(error)) if error.may_be_for_tags() && tagged.less().is_some() => {
                    tagged = tagged.less().unwrap_or(Tagged::Nothing);
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
        self.finished(step);
        Ok(instance)
    }

    async fn launch_once(
        &self,
        plan: &HostPlan,
        placement: &Placement,
        market: Market,
        groups: &[SecurityGroupId],
        tagged: Tagged,
        open: &mut OpenRecord,
    ) -> Result<Instance, ProvisionError> {
        self.check_stop()?;
        let spec = plan.launch_spec(placement, market, groups, tagged);
        let kind = ResourceKind::Instance {
            client_token: spec.client_token.clone(),
            subnet: spec.subnet.clone(),
            market,
            asked: Timestamp::now(),
            id: None,
        };
        let position = open.record().resources.len();
        open.update(|record| record.resources.push(Resource { state: ResourceState::Intended, kind }))?;

        let instance = match self.ask_to_launch(&spec, position, open).await? {
            Asked::Launched(instance) => instance,
            Asked::Refused(error) => {
                open.update(|record| record.resources[position].state = ResourceState::Gone)?;
                return Err(error.into());
            }
            // The record keeps the token: the undo finds what came of it.
            Asked::Unknown(error) => return Err(error.into()),
            Asked::RefusedAtLast(error) => {
                // An earlier request was not answered and may have made an instance, whatever this one was told. Nothing else is
                // launched before that is known.
                let step = Step::Resolve;
                self.started(&step);
                let asked = asked_at(open, position);
                let found = self.find_launched(&spec.client_token, asked).await?;
                self.finished(step);
                let Some(instance) = found else {
                    open.update(|record| record.resources[position].state = ResourceState::Gone)?;
                    return Err(error.into());
                };
                instance
            }
        };
        open.update(|record| {
            settle(&mut record.resources[position], ResourceState::Created, &instance);
            record.instance = recorded(&instance);
        })?;
        Ok(instance)
    }

    /// Asks for a launch until it is clear what came of it, or the time is up. The token makes asking again safe: it can only ever be
    /// one instance.
    async fn ask_to_launch(
        &self,
        spec: &LaunchSpec,
        position: usize,
        open: &mut OpenRecord,
    ) -> Result<Asked, ProvisionError> {
        let wait = Wait::Success { doing: "the launch" };
        let mut tries = self.bounds.tries(wait, self.bounds.patience.launch);
        let mut unknown = false;
        loop {
            let error = match self.cloud.instances.run(spec).await {
                Ok(instance) => return Ok(Asked::Launched(instance)),
                Err(error) => error,
            };
            unknown |= error.outcome_is_unknown();
            if !error.is_transient() || !tries.another().await {
                return Ok(match (error.outcome_is_unknown(), unknown) {
                    (true, _) => Asked::Unknown(error),
                    (false, true) => Asked::RefusedAtLast(error),
                    (false, false) => Asked::Refused(error),
                });
            }
            // What the next request makes may take as long to appear as what the first one made.
            open.update(|record| ask_again(&mut record.resources[position]))?;
        }
    }

    /// Waits until the instance can be reached by its name, or by its address where it gets no name: a private DNS name "is not available
    /// until the instance enters the running state" (EC2 API reference, `Instance`), and never in a VPC without DNS hostnames.
    async fn with_address(&self, instance: Instance, open: &mut OpenRecord) -> Result<Instance, ProvisionError> {
        if instance.private_dns.is_some() && !instance.state.is_ended() {
            return Ok(instance);
        }
        let id = instance.id.clone();
        let step = Step::Address { instance: id.clone() };
        self.started(&step);
        let nameless = Mutex::new(instance.private_address.is_some().then_some(instance));
        let look = || async {
            self.check_stop()?;
            match self.cloud.instances.describe(&id).await? {
                Some(found) if found.state.is_ended() => {
                    return Err(ProvisionError::InstanceEnded {
                        instance: id.clone(),
                        state: found.state.as_str(),
                        code: found.state_code,
                        reason: found.state_reason,
                    });
                }
                Some(found) if found.private_dns.is_some() => return Ok(found),
                Some(found) if found.private_address.is_some() => {
                    if found.state != InstanceState::Pending {
                        return Ok(found);
                    }
                    if let Ok(mut nameless) = nameless.lock() {
                        *nameless = Some(found);
                    }
                }
                _ => {}
            }
            Err(ProvisionError::NoAddress { instance: id.clone() })
        };
        let none = |error: &ProvisionError| matches!(error, ProvisionError::NoAddress { .. });
        let wait = Wait::Address { instance: id.clone() };
        let found = self.bounds.repeat(wait, self.bounds.patience.appears, none, look).await;
        let instance = match (found, nameless.into_inner()) {
            // It starts slowly: its address will do.
            (Err(ProvisionError::NoAddress { .. }), Ok(Some(nameless))) => nameless,
            (found, _) => found?,
        };
        open.update(|record| record.instance = recorded(&instance))?;
        self.finished(step);
        Ok(instance)
    }

    pub(crate) async fn undo_instance(&self, id: &InstanceId, asked: Timestamp) -> Result<Outcome, ProvisionError> {
        self.end_instance(id, Some(asked)).await?;
        Ok(Outcome::Undone(format!("instance {id}")))
    }

    /// The answer to a launch was lost: whatever carries its token is terminated.
    pub(crate) async fn undo_lost_launch(
        &self,
        token: &ClientToken,
        asked: Timestamp,
    ) -> Result<Outcome, ProvisionError> {
        let step = Step::Resolve;
        self.started(&step);
        let found = self.find_launched(token, asked).await;
        self.finished(step);
        match found? {
            Some(instance) => self.undo_instance(&instance.id, asked).await,
            None => Ok(Outcome::NothingToUndo),
        }
    }

    /// The instance that carries a token; `None` once there is certainly none.
    pub(crate) async fn find_launched(
        &self,
        token: &ClientToken,
        asked: Timestamp,
    ) -> Result<Option<Instance>, CloudError> {
        let filter = InstanceFilter { client_token: Some(token.clone()), ..InstanceFilter::default() };
        let look = || async {
            let found = self.bounds.persistently("looking for a launch", || self.cloud.instances.list(&filter)).await?;
            found.into_iter().next().ok_or_else(|| {
                CloudError::new("ec2:DescribeInstances", format!("instance of token {token}"), CloudErrorKind::NotFound)
            })
        };
        let patience = self.bounds.may_still_appear_for(asked);
        match self.bounds.repeat(Wait::Launched, patience, CloudError::is_not_found, look).await {
            Ok(instance) => Ok(Some(instance)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Terminates an instance and sees it go. `asked` is when it was launched, where that was a moment ago: until EC2 knows a new
    /// instance everywhere, it may answer that there is none.
    pub(crate) async fn end_instance(
        &self,
        id: &InstanceId,
        asked: Option<Timestamp>,
    ) -> Result<Ended, ProvisionError> {
        let step = Step::Terminate { instance: id.clone() };
        self.started(&step);
        let instances = &self.cloud.instances;
        let terminate = || self.bounds.persistently("a termination", || instances.terminate(id));
        let patience = asked.map(|asked| self.bounds.may_still_appear_for(asked)).unwrap_or_default();
        let answer = self.bounds.repeat(Wait::Launched, patience, CloudError::is_not_found, terminate).await;
        match answer {
            Ok(()) => self.see_it_go(id).await?,
            Err(error) if error.is_not_found() => {
                self.finished(step);
                return Ok(Ended::Already);
            }
            Err(error) => return Err(error.into()),
        }
        self.finished(step);
        Ok(Ended::Now)
    }

    async fn see_it_go(&self, id: &InstanceId) -> Result<(), ProvisionError> {
        let filter = InstanceFilter { ids: vec![id.clone()], ..InstanceFilter::default() };
        let look = || async {
            let list = || self.cloud.instances.list(&filter);
            let found = self.bounds.persistently("looking for an instance", list).await?;
            match found.into_iter().find(|instance| !instance.state.is_ended()) {
                Some(instance) => {
                    Err(ProvisionError::StillThere { instance: id.clone(), state: instance.state.as_str() })
                }
                None => Ok(()),
            }
        };
        let lives = |error: &ProvisionError| matches!(error, ProvisionError::StillThere { .. });
        self.bounds.repeat(Wait::End { instance: id.clone() }, self.bounds.patience.ends, lives, look).await
    }
}

/// Whether it is the launch that failed so, and nothing that came after it: then no instance is there.
fn is_of_launch(error: &CloudError, kind: &CloudErrorKind) -> bool {
    error.action == "ec2:RunInstances" && error.kind == *kind
}

/// The same error; or, where EC2 found only after it had accepted the launch that it has no capacity, one that says so: then the instance has
/// ended, and the next placement may do (EC2 API reference, `StateReason`).
fn no_capacity_after_all(error: ProvisionError, open: &mut OpenRecord) -> ProvisionError {
    let ProvisionError::InstanceEnded { instance, code: Some(code), reason, .. } = &error else { return error };
    if codes::state_reason_meaning(code) != Meaning::NoCapacity {
        return error;
    }
    let settled = open.update(|record| {
        record.instance = None;
        for resource in &mut record.resources {
            if matches!(&resource.kind, ResourceKind::Instance { id: Some(id), .. } if id == instance) {
                resource.state = ResourceState::Gone;
            }
        }
    });
    if let Err(error) = settled {
        return error.into();
    }
    CloudError::new("ec2:RunInstances", instance.as_str(), CloudErrorKind::NoCapacity)
        .with_message(code.clone(), reason.clone().unwrap_or_default())
        .into()
}

/// What came of asking for a launch.
enum Asked {
    Launched(Instance),
    /// It was refused each time it was answered, and it was answered each time.
    Refused(CloudError),
    /// It was refused in the end, but an earlier request was not answered.
    RefusedAtLast(CloudError),
    /// It was not answered.
    Unknown(CloudError),
}

fn asked_at(open: &OpenRecord, position: usize) -> Timestamp {
    match &open.record().resources[position].kind {
        ResourceKind::Instance { asked, .. } => *asked,
        _ => Timestamp::now(),
    }
}

fn ask_again(resource: &mut Resource) {
    if let ResourceKind::Instance { asked, .. } = &mut resource.kind {
        *asked = Timestamp::now();
    }
}

fn settle(resource: &mut Resource, state: ResourceState, instance: &Instance) {
    resource.state = state;
    if let ResourceKind::Instance { id, .. } = &mut resource.kind {
        *id = Some(instance.id.clone());
    }
}

pub(crate) fn recorded(instance: &Instance) -> Option<RecordedInstance> {
    Some(RecordedInstance {
        id: instance.id.clone(),
        endpoint: instance.endpoint_name()?,
        private_dns: instance.private_dns.clone().filter(|name| !name.is_empty()),
        private_address: instance.private_address,
    })
}
