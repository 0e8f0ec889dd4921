//! An instance: launched once, by a token that the journal holds before; found again by that token; ended for good.

use std::{num::NonZeroU32, sync::Mutex};

use aws_answers::{Meaning, codes};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    Action, Applied, Asks, Condition, Kind, On, Origin, Permission, PlannedCall, Resolved, Slot, Task, Undone, Whose,
    Work, call::tag_parameters, security_group::group_id,
};
use crate::{
    Activity, ClientToken, CloudError, CloudErrorKind, DryRun, Ended, HostGroups, HostPlan, Instance, InstanceFilter,
    InstanceId, InstanceState, Intent, LaunchIntent, LaunchSpec, Market, Placement, ProvisionError, Record,
    RecordedInstance, StepState, Wait, Zone, preflight::Unproven,
};

/// The step.
pub(crate) enum LaunchStep {}

/// One launch that a plan wants, with a token of its own.
pub(crate) struct WantedLaunch {
    pub(crate) spec: LaunchSpec,
    pub(crate) zone: Option<Zone>,
}

/// Something of what `ec2:RunInstances` needs.
const LAUNCH: Permission =
    Permission { actions: &[Action::called("ec2:RunInstances")], tasks: &[Task::Create], ..Permission::READ };

const MADE: &[On] = &[On::Instances, On::Interfaces, On::Volumes, On::SpotRequests];

impl Kind for LaunchStep {
    type Wanted = WantedLaunch;
    type Made = Instance;
    type Intended = LaunchIntent;
    type Target = InstanceId;

    const PERMISSIONS: &'static [Permission] = &[
        Permission { actions: &[Action::called("ec2:DescribeInstances")], tasks: &Task::ALL, ..Permission::READ },
        Permission {
            statement: "LaunchTagged",
            on: &[On::Instances],
            condition: Condition::Instance(Whose::Owner),
            why: "launches a host, only with the tags by which its owner and end are known, and with IMDSv2 only",
            ..LAUNCH
        },
        Permission {
            statement: "LaunchInterface",
            // The request of a Spot Instance counts where it is tagged (EC2 user guide, example policies for Spot Instances).
            on: &[On::Interfaces, On::SpotRequests],
            condition: Condition::TaggedInRequest(Whose::Owner),
            why: "the launch makes a network interface, and a Spot request where one is asked for, with the same tags",
            ..LAUNCH
        },
        Permission {
            statement: "LaunchVolume",
            on: &[On::Volumes],
            condition: Condition::EncryptedVolume(Whose::Owner),
            why: "the launch makes a volume, with the same tags, and encrypted",
            ..LAUNCH
        },
        Permission {
            statement: "LaunchWithin",
            on: &[On::Subnets],
            condition: Condition::InVpc,
            why: "the launch names a subnet of the domain's VPC",
            ..LAUNCH
        },
        Permission {
            statement: "LaunchWithGroups",
            on: &[On::SecurityGroups],
            condition: Condition::Tagged(Whose::Domain),
            even_prepared: false,
            why: "the launch names DockerHost and EFSDockerHost; no group that sdocker did not make",
            ..LAUNCH
        },
        Permission {
            statement: "LaunchWithGroups",
            on: &[On::PreparedGroups],
            condition: Condition::InVpc,
            only_prepared: true,
            why: "the launch names the groups of HostSGs in sdocker.conf",
            ..LAUNCH
        },
        Permission {
            statement: "LaunchWith",
            actions: &[Action::called("ec2:RunInstances")],
            on: &[On::Images, On::KeyPairs],
            condition: Condition::None,
            tasks: &[Task::Create],
            even_prepared: true,
            only_prepared: false,
            only_for_mounts: false,
            only_for_stops: false,
            why: "the launch names an image, and a key pair where Key is set",
        },
        Permission {
            statement: "TagOnCreate",
            actions: &[Action::within("ec2:CreateTags", "ec2:RunInstances")],
            on: MADE,
            condition: Condition::CreatedBy("RunInstances"),
            tasks: &[Task::Create],
            even_prepared: true,
            only_prepared: false,
            only_for_mounts: false,
            only_for_stops: false,
            why: "tags in the call that creates, and never afterwards",
        },
        Permission {
            statement: "PassRole",
            actions: &[Action::within("iam:PassRole", "ec2:RunInstances")],
            on: &[On::PassedRole],
            condition: Condition::PassedToEc2,
            tasks: &[Task::Create],
            even_prepared: true,
            only_prepared: false,
            only_for_mounts: false,
            only_for_stops: false,
            why: "gives hosts the role of InstanceProfileArn",
        },
        Permission {
            statement: "Terminate",
            actions: &[Action::called("ec2:TerminateInstances")],
            on: &[On::Instances],
            condition: Condition::Tagged(Whose::Owner),
            tasks: &[Task::Create, Task::Terminate, Task::Recover],
            even_prepared: true,
            only_prepared: false,
            only_for_mounts: false,
            only_for_stops: false,
            why: "ends hosts of this owner, and no other instance",
        },
        Permission {
            statement: "Start",
            actions: &[Action::called("ec2:StartInstances")],
            on: &[On::Instances],
            condition: Condition::Tagged(Whose::Owner),
            tasks: &[Task::Create],
            only_for_stops: true,
            why: "starts hosts of this owner again that stopped when they were idle, and no other instance",
            ..Permission::READ
        },
    ];
    const ENDS_WITH_HOST: bool = true;
    const COMPLETION_SPEAKS: bool = true;

    fn activity(wanted: &WantedLaunch) -> Activity {
        let WantedLaunch { spec, zone } = wanted;
        Activity::Launch { subnet: spec.subnet.clone(), zone: zone.clone(), market: spec.market }
    }

    fn intend(wanted: &WantedLaunch) -> Intent {
        let spec = &wanted.spec;
        Intent::Instance(LaunchIntent {
            client_token: spec.client_token.clone(),
            launch_index: 0,
            subnet: spec.subnet.clone(),
            market: spec.market,
            asked: Timestamp::now(),
            id: None,
        })
    }

    /// A token that was made just now launched nothing yet.
    async fn present(_work: &Work, _wanted: &WantedLaunch) -> Result<Option<Instance>, ProvisionError> {
        Ok(None)
    }

    async fn apply(
        work: &Work,
        wanted: &WantedLaunch,
        slot: &mut Slot<'_>,
    ) -> Result<Applied<Instance>, ProvisionError> {
        let error = match work.ask_to_launch(&wanted.spec, NonZeroU32::MIN, || slot.ask_again()).await? {
            Asked::Launched(launched) => {
                let launched = launched.into_iter().next();
                return Ok(launched.map_or_else(|| Applied::Refused(ProvisionError::NoPlan), Applied::Made));
            }
            Asked::Failed(error) => return Ok(Applied::failed(error)),
            Asked::RefusedAtLast(error) => error,
        };
        // An earlier request was not answered and may have made an instance, whatever this one was told. Nothing else is launched before
        // that is known.
        work.started(&Activity::Resolve);
        let found = work.find_launched(&wanted.spec.client_token, 0, slot.asked()).await?;
        work.finished(Activity::Resolve);
        Ok(found.map_or_else(|| Applied::Refused(error.into()), Applied::Made))
    }

    fn note(made: &Instance, intent: &mut Intent, instance: &mut Option<RecordedInstance>) {
        if let Intent::Instance(LaunchIntent { id, .. }) = intent {
            *id = Some(made.id.clone());
        }
        *instance = recorded(made);
    }

    /// Waits for its address.
    async fn complete(
        work: &Work,
        _wanted: &WantedLaunch,
        made: Instance,
        _origin: Origin,
        slot: Option<Slot<'_>>,
    ) -> Result<Instance, ProvisionError> {
        let Some(slot) = slot else { return Ok(made) };
        match work.with_address(made).await {
            Ok((instance, false)) => Ok(instance),
            Ok((instance, true)) => {
                slot.open.update(|record| record.instance = recorded(&instance))?;
                Ok(instance)
            }
            Err(error) => Err(no_capacity_after_all(error, slot)),
        }
    }

    fn known(intended: &LaunchIntent) -> Option<InstanceId> {
        intended.id.clone()
    }

    /// Whatever carries the token is ours.
    async fn resolve(
        work: &Work,
        intended: &LaunchIntent,
        _record: &Record,
    ) -> Result<Resolved<InstanceId>, ProvisionError> {
        work.started(&Activity::Resolve);
        let found = work.find_launched(&intended.client_token, intended.launch_index, intended.asked).await;
        work.finished(Activity::Resolve);
        Ok(found?.map_or(Resolved::Never, |instance| Resolved::Made(instance.id)))
    }

    async fn undo(
        work: &Work,
        id: InstanceId,
        intended: &LaunchIntent,
        _record: &Record,
    ) -> Result<Undone, ProvisionError> {
        work.end_instance(&id, Some(intended.asked)).await?;
        Ok(Undone::Gone(format!("instance {id}")))
    }
}

/// Its call, for a dry run.
pub(super) fn calls(plan: &HostPlan, placement: &Placement, market: Market) -> Vec<PlannedCall> {
    vec![PlannedCall { action: "ec2:RunInstances", parameters: parameters(plan, placement, market) }]
}

fn parameters(plan: &HostPlan, placement: &Placement, market: Market) -> Value {
    let groups: Vec<String> = match &plan.groups {
        HostGroups::Given(given) => given.iter().map(ToString::to_string).collect(),
        HostGroups::Named { docker, nfs } => std::iter::once(docker).chain(nfs).map(group_id).collect(),
    };
    let spot_request = (market == Market::Spot).then_some("spot-instances-request");
    let specifications: Vec<Value> = ["instance", "volume", "network-interface"]
        .into_iter()
        .chain(spot_request)
        .map(|kind| json!({"ResourceType": kind, "Tags": tag_parameters(&plan.tags)}))
        .collect();
    let root = json!({
        "DeviceName": plan.root_volume.device,
        "Ebs": {
            "VolumeSize": plan.root_volume.size_gib,
            "VolumeType": "gp3",
            "Encrypted": true,
            "DeleteOnTermination": true,
        },
    });
    let others = plan.image.other_volumes.iter();
    let others =
        others.map(|device| json!({"DeviceName": device, "Ebs": {"Encrypted": true, "DeleteOnTermination": true}}));
    let mut parameters = json!({
        "ClientToken": "<made and recorded right before the call>",
        "ImageId": plan.image.id,
        "InstanceType": plan.instance_type,
        "MinCount": 1,
        "MaxCount": 1,
        "SubnetId": placement.subnet,
        "SecurityGroupIds": groups,
        "BlockDeviceMappings": std::iter::once(root).chain(others).collect::<Vec<Value>>(),
        "InstanceInitiatedShutdownBehavior": plan.on_idle,
        "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 1},
        "TagSpecifications": specifications,
        "UserData": format!("<{} bytes before base64>", placement.user_data.as_bytes().len()),
    });
    if let Some(key) = &plan.key_name {
        parameters["KeyName"] = json!(key);
    }
    if let Some(arn) = &plan.instance_profile_arn {
        parameters["IamInstanceProfile"] = json!({"Arn": arn});
    }
    if market == Market::Spot {
        parameters["InstanceMarketOptions"] = json!({
            "MarketType": "spot",
            "SpotOptions": {"SpotInstanceType": "one-time", "InstanceInterruptionBehavior": "terminate"},
        });
    }
    parameters
}

/// What can be asked of ending a host, on a live one of the owner's. The launch itself is asked about right before a creation as well, and so
/// apart.
pub(super) fn asks(own_host: Option<&InstanceId>, asks: &mut Asks) {
    match own_host {
        Some(id) => asks.calls.push(DryRun::Terminate(id.clone())),
        None => asks.unproven.push(("ec2:TerminateInstances", Unproven::NothingToAskAbout { what: "host" })),
    }
}

/// What came of asking for a launch.
pub(crate) enum Asked {
    /// One at least.
    Launched(Vec<Instance>),
    /// It was refused each time it was answered, and it was answered each time; or it was not answered in the end.
    Failed(CloudError),
    /// It was refused in the end, but an earlier request was not answered.
    RefusedAtLast(CloudError),
}

impl Slot<'_> {
    /// When the launch of this step was asked for last.
    fn asked(&self) -> Timestamp {
        match &self.open.record().steps[self.number].intent {
            Intent::Instance(launch) => launch.asked,
            _ => Timestamp::now(),
        }
    }

    /// Another request is about to be made.
    pub(crate) fn ask_again(&mut self) -> Result<(), ProvisionError> {
        let number = self.number;
        Ok(self.open.update(|record| {
            if let Intent::Instance(launch) = &mut record.steps[number].intent {
                launch.asked = Timestamp::now();
            }
        })?)
    }
}

impl Work {
    /// Asks for a launch of so many at most until it is clear what came of it, or the time is up. The token makes asking again safe: it can only
    /// ever be the same instances. `again` writes down that it is asked for again.
    pub(crate) async fn ask_to_launch(
        &self,
        spec: &LaunchSpec,
        at_most: NonZeroU32,
        mut again: impl FnMut() -> Result<(), ProvisionError>,
    ) -> Result<Asked, ProvisionError> {
        let wait = Wait::Success { doing: "the launch" };
        let mut tries = self.bounds.tries(wait, self.bounds.patience.launch);
        let mut unknown = false;
        loop {
            let error = match self.cloud.instances.run_several(spec, at_most).await {
                Ok(launched) => return Ok(Asked::Launched(launched)),
                Err(error) => error,
            };
            unknown |= error.outcome_is_unknown();
            if !error.is_transient() || !tries.another().await {
                let refused_at_last = unknown && !error.outcome_is_unknown();
                return Ok(if refused_at_last { Asked::RefusedAtLast(error) } else { Asked::Failed(error) });
            }
            // What the next request makes may take as long to appear as what the first one made.
            again()?;
        }
    }

    /// Waits until the instance can be reached by its name, or by its address where it gets no name: a private DNS name "is not available
    /// until the instance enters the running state" (EC2 API reference, `Instance`), and never in a VPC without DNS hostnames.
    /// Says also whether it was waited for.
    async fn with_address(&self, instance: Instance) -> Result<(Instance, bool), ProvisionError> {
        if instance.private_dns.is_some() && !instance.state.is_ended() {
            return Ok((instance, false));
        }
        let id = instance.id.clone();
        let activity = Activity::Address { instance: id.clone() };
        self.started(&activity);
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
        self.finished(activity);
        Ok((instance, true))
    }

    /// The instance that carries a token, or this one of those that do; `None` once there is certainly none.
    pub(crate) async fn find_launched(
        &self,
        token: &ClientToken,
        index: u32,
        asked: Timestamp,
    ) -> Result<Option<Instance>, CloudError> {
        let filter = InstanceFilter { client_token: Some(token.clone()), ..InstanceFilter::default() };
        let look = || async {
            let found = self.bounds.persistently("looking for a launch", || self.cloud.instances.list(&filter)).await?;
            found.into_iter().find(|instance| instance.launch_index == index).ok_or_else(|| {
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
        let activity = Activity::Terminate { instance: id.clone() };
        self.started(&activity);
        let instances = &self.cloud.instances;
        let terminate = || self.bounds.persistently("a termination", || instances.terminate(id));
        let patience = asked.map(|asked| self.bounds.may_still_appear_for(asked)).unwrap_or_default();
        let answer = self.bounds.repeat(Wait::Launched, patience, CloudError::is_not_found, terminate).await;
        match answer {
            Ok(()) => self.see_it_go(id).await?,
            Err(error) if error.is_not_found() => {
                self.finished(activity);
                return Ok(Ended::Already);
            }
            Err(error) => return Err(error.into()),
        }
        self.finished(activity);
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

/// The same error; or, where EC2 found only after it had accepted the launch that it has no capacity, one that says so: then the instance has
/// ended, and the next placement may do (EC2 API reference, `StateReason`).
fn no_capacity_after_all(error: ProvisionError, slot: Slot<'_>) -> ProvisionError {
    let ProvisionError::InstanceEnded { instance, code: Some(code), reason, .. } = &error else { return error };
    if codes::state_reason_meaning(code) != Meaning::NoCapacity {
        return error;
    }
    let settled = slot.open.update(|record| {
        record.instance = None;
        record.steps[slot.number].state = StepState::Gone;
    });
    if let Err(error) = settled {
        return error.into();
    }
    CloudError::new("ec2:RunInstances", instance.as_str(), CloudErrorKind::NoCapacity)
        .with_message(code.clone(), reason.clone().unwrap_or_default())
        .into()
}

/// What the journal keeps of an instance; `None` before it has an address.
pub(crate) fn recorded(instance: &Instance) -> Option<RecordedInstance> {
    Some(RecordedInstance {
        id: instance.id.clone(),
        endpoint: instance.endpoint_name()?,
        private_dns: instance.private_dns.clone().filter(|name| !name.is_empty()),
        private_address: instance.private_address,
    })
}
