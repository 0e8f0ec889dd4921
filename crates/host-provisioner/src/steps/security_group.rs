//! A security group: made with its rules, or adopted; deleted once nothing uses it.

use jiff::Timestamp;
use serde_json::{Value, json};
use studio_discovery::{DomainId, SecurityGroupId, Tag};
use tokio::time::Instant;

use super::{
    Action, Applied, Asks, Condition, Kind, On, Origin, Permission, PlannedCall, Resolved, Slot, Task, Undone, Whose,
    Work, call::tag_parameters,
};
use crate::{
    Activity, CloudError, CloudErrorKind, DryRun, GroupIntent, GroupPlan, HostId, HostPlan, Instance, InstanceFilter,
    InstanceId, InstanceState, Intent, PlannedRule, ProvisionError, Record, RecordedInstance, Rule, SecurityGroup,
    StepState, TAG_HOST, Wait, Warning, preflight::Unproven,
};

/// The step.
pub(crate) enum GroupStep {}

/// A group that a plan wants.
pub(crate) struct WantedGroup {
    group: GroupPlan,
    host: HostId,
    domain: DomainId,
    tags: Vec<Tag>,
}

impl WantedGroup {
    /// This group of a plan.
    pub(crate) fn of(plan: &HostPlan, group: &GroupPlan) -> Self {
        Self { group: group.clone(), host: plan.host.clone(), domain: plan.domain.clone(), tags: plan.group_tags() }
    }
}

/// A group that is there, and what it still lacks.
pub(crate) struct MadeGroup {
    pub(crate) id: SecurityGroupId,
    plan: GroupPlan,
}

/// Why rules of groups are changed.
const GROUP_RULES: &str = "opens the daemon's port, 8080 and AdditionalPorts to the app's groups, NFS between host and mount target, and a \
    Swarm's ports between its hosts; only on groups that sdocker made";

impl Kind for GroupStep {
    type Wanted = WantedGroup;
    type Made = MadeGroup;
    type Intended = GroupIntent;
    type Target = SecurityGroupId;

    const PERMISSIONS: &'static [Permission] = &[
        Permission {
            actions: &[Action::called("ec2:DescribeSecurityGroups")],
            tasks: &[Task::Create, Task::Doctor],
            ..Permission::READ
        },
        Permission {
            actions: &[Action::called("ec2:DescribeSecurityGroups")],
            tasks: &[Task::Recover, Task::Purge],
            even_prepared: false,
            ..Permission::READ
        },
        Permission {
            actions: &[Action::called("ec2:DescribeNetworkInterfaces")],
            tasks: &[Task::Purge],
            even_prepared: false,
            ..Permission::READ
        },
        Permission {
            statement: "CreateGroupsInVpc",
            actions: &[Action::called("ec2:CreateSecurityGroup")],
            on: &[On::Vpc],
            condition: Condition::None,
            tasks: &[Task::Create],
            why: "creates the domain's DockerHost and EFSDockerHost groups, in its VPC only",
            ..Permission::OF_SHARED
        },
        Permission {
            statement: "CreateTaggedGroups",
            actions: &[Action::called("ec2:CreateSecurityGroup")],
            on: &[On::SecurityGroups],
            condition: Condition::TaggedInRequest(Whose::Domain),
            tasks: &[Task::Create],
            why: "the groups carry sdocker's tags from the start",
            ..Permission::OF_SHARED
        },
        Permission {
            statement: "GroupRules",
            actions: &[Action::called("ec2:AuthorizeSecurityGroupIngress")],
            on: &[On::SecurityGroups],
            condition: Condition::Tagged(Whose::Domain),
            tasks: &[Task::Create],
            why: GROUP_RULES,
            ..Permission::OF_SHARED
        },
        Permission {
            statement: "GroupRules",
            actions: &[
                Action::called("ec2:AuthorizeSecurityGroupEgress"),
                Action::called("ec2:RevokeSecurityGroupEgress"),
            ],
            on: &[On::SecurityGroups],
            condition: Condition::Tagged(Whose::Domain),
            tasks: &[Task::Create],
            only_for_mounts: true,
            why: GROUP_RULES,
            ..Permission::OF_SHARED
        },
        Permission {
            statement: "DeleteGroups",
            actions: &[Action::called("ec2:DeleteSecurityGroup")],
            on: &[On::SecurityGroups],
            condition: Condition::Tagged(Whose::Domain),
            tasks: &[Task::Create, Task::Recover, Task::Purge],
            why: "undoes a failed creation, and purges; only groups that sdocker made",
            ..Permission::OF_SHARED
        },
        Permission {
            statement: "TagOnCreate",
            actions: &[Action::within("ec2:CreateTags", "ec2:CreateSecurityGroup")],
            on: &[On::SecurityGroups],
            condition: Condition::CreatedBy("CreateSecurityGroup"),
            tasks: &[Task::Create],
            why: "tags in the call that creates, and never afterwards",
            ..Permission::OF_SHARED
        },
    ];
    const ENDS_WITH_HOST: bool = false;

    fn activity(wanted: &WantedGroup) -> Activity {
        Activity::SecurityGroup { name: wanted.group.name.clone() }
    }

    fn intend(wanted: &WantedGroup) -> Intent {
        let (vpc, name) = (wanted.group.vpc.clone(), wanted.group.name.clone());
        Intent::SecurityGroup(GroupIntent { vpc, name, id: None })
    }

    async fn present(_work: &Work, wanted: &WantedGroup) -> Result<Option<MadeGroup>, ProvisionError> {
        let made = |id: &SecurityGroupId| MadeGroup { id: id.clone(), plan: wanted.group.clone() };
        Ok(wanted.group.existing.as_ref().map(made))
    }

    async fn apply(
        work: &Work,
        wanted: &WantedGroup,
        _slot: &mut Slot<'_>,
    ) -> Result<Applied<MadeGroup>, ProvisionError> {
        Ok(match work.create_group(wanted).await {
            Ok(id) => Applied::Made(MadeGroup { id, plan: wanted.group.clone() }),
            Err(error) if error.kind == CloudErrorKind::AlreadyExists => {
                let present = match work.find_group(&wanted.group).await {
                    // A filter finds a name as it is written; what takes it is any group whose name is the same in other letters (EC2 API
                    // reference, `CreateSecurityGroup`: "Names are case-insensitive and must be unique within the VPC").
                    Err(error) if error.kind == CloudErrorKind::NotFound => {
                        let (name, vpc) = (wanted.group.name.clone(), wanted.group.vpc.clone());
                        return Err(ProvisionError::GroupNameTaken { name, vpc });
                    }
                    found => found?,
                };
                // Ours after all, where the answer to a first try was lost.
                let ours = present.tags.contains(&Tag::new(TAG_HOST, wanted.host.as_str()));
                let id = present.id.clone();
                let made = MadeGroup { id, plan: wanted.group.clone().against(&[present], &wanted.domain) };
                if ours { Applied::Made(made) } else { Applied::Found(made) }
            }
            Err(error) => Applied::failed(error),
        })
    }

    fn note(made: &MadeGroup, intent: &mut Intent, _instance: &mut Option<RecordedInstance>) {
        if let Intent::SecurityGroup(GroupIntent { id, .. }) = intent {
            *id = Some(made.id.clone());
        }
    }

    /// Rules that others rely on are not journaled: they are added, and never taken away again.
    async fn complete(
        work: &Work,
        wanted: &WantedGroup,
        made: MadeGroup,
        origin: Origin,
        _slot: Option<Slot<'_>>,
    ) -> Result<MadeGroup, ProvisionError> {
        let tells = origin == Origin::Present && !made.plan.missing_ingress.is_empty();
        if tells {
            work.started(&Self::activity(wanted));
        }
        work.allow(&made).await?;
        if origin == Origin::Created {
            work.close_egress(&made).await?;
        }
        if tells {
            work.finished(Self::activity(wanted));
        }
        Ok(made)
    }

    fn known(intended: &GroupIntent) -> Option<SecurityGroupId> {
        intended.id.clone()
    }

    /// The tag tells whose the group is. Without the permission to tag it can't be told, and the group stays, which costs nothing, and is
    /// said.
    async fn resolve(
        work: &Work,
        intended: &GroupIntent,
        record: &Record,
    ) -> Result<Resolved<SecurityGroupId>, ProvisionError> {
        let GroupIntent { vpc, name, .. } = intended;
        let find = || async { work.cloud.security_groups.find(vpc, std::slice::from_ref(name)).await };
        let found = work.bounds.persistently("looking for a group", find).await?;
        Ok(match found.into_iter().next() {
            Some(group) if group.tags.contains(&Tag::new(TAG_HOST, record.host.as_str())) => Resolved::Made(group.id),
            Some(group) if group.tags.is_empty() => {
                let id = group.id;
                Resolved::Untold(format!("security group {name} ({id}), which has no tag that says who made it"))
            }
            _ => Resolved::Never,
        })
    }

    async fn undo(
        work: &Work,
        id: SecurityGroupId,
        intended: &GroupIntent,
        record: &Record,
    ) -> Result<Undone, ProvisionError> {
        let name = &intended.name;
        let accesses = || {
            record.steps.iter().filter_map(|step| match &step.intent {
                Intent::MountAccess(access) if access.group == id => Some((step.state, access)),
                _ => None,
            })
        };
        // What could not be taken off a mount target still holds the group: that is no one else's use of it.
        if accesses().any(|(state, _)| matches!(state, StepState::Intended | StepState::Created)) {
            let error = CloudError::new("ec2:DeleteSecurityGroup", id.as_str(), CloudErrorKind::InUse);
            return Err(error.with_message(None, "a mount target still has it").into());
        }
        if work.delete_group(&id, name, &own_instances(record), Some(record.created)).await? {
            return Ok(Undone::Gone(format!("security group {name} ({id})")));
        }
        // Somebody launched with it since it was taken off the mount targets: put it back for them.
        for (state, access) in accesses() {
            if state == StepState::Gone {
                work.keep_attached(&access.mount_target, &id).await?;
            }
        }
        Ok(Undone::InUse(format!("security group {name} ({id})")))
    }
}

/// Its calls, for a dry run.
pub(super) fn calls(plan: &HostPlan, group: &GroupPlan) -> Vec<PlannedCall> {
    let mut calls = Vec::new();
    if group.existing.is_none() {
        let tags = json!([{"ResourceType": "security-group", "Tags": tag_parameters(&plan.group_tags())}]);
        let parameters = json!({
            "GroupName": group.name,
            "Description": group.description,
            "VpcId": group.vpc,
            "TagSpecifications": tags,
        });
        calls.push(PlannedCall { action: "ec2:CreateSecurityGroup", parameters });
    }
    if !group.missing_ingress.is_empty() {
        let parameters = json!({"GroupId": group_id(group), "IpPermissions": rules(group, &group.missing_ingress)});
        calls.push(PlannedCall { action: "ec2:AuthorizeSecurityGroupIngress", parameters });
    }
    if let (None, Some(egress)) = (&group.existing, &group.egress) {
        let parameters = json!({"GroupId": group_id(group), "IpPermissions": rules(group, egress)});
        calls.push(PlannedCall { action: "ec2:AuthorizeSecurityGroupEgress", parameters });
        let everything = [
            json!({"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}),
            json!({"IpProtocol": "-1", "Ipv6Ranges": [{"CidrIpv6": "::/0"}]}),
        ];
        for rule in everything {
            let parameters = json!({"GroupId": group_id(group), "IpPermissions": [rule]});
            calls.push(PlannedCall { action: "ec2:RevokeSecurityGroupEgress", parameters });
        }
    }
    calls
}

/// The id of a group in a plan, or what stands for it.
pub(super) fn group_id(plan: &GroupPlan) -> String {
    plan.existing.as_ref().map_or_else(|| format!("<id of {}>", plan.name), ToString::to_string)
}

fn rules(plan: &GroupPlan, rules: &[PlannedRule]) -> Vec<Value> {
    let rule = |rule: &PlannedRule| {
        let peer = rule.peer.as_ref().map_or_else(|| group_id(plan), ToString::to_string);
        json!({
            "IpProtocol": rule.protocol.as_str(),
            "FromPort": rule.port,
            "ToPort": rule.port,
            "UserIdGroupPairs": [{"GroupId": peer}],
        })
    };
    rules.iter().map(rule).collect()
}

/// What can be asked of making a group, or of adding the rules that one lacks; and what can't.
pub(super) fn asks(plan: &HostPlan, group: &GroupPlan, asks: &mut Asks) {
    let Some(id) = &group.existing else {
        let tags = plan.group_tags();
        let (vpc, name, description) = (group.vpc.clone(), group.name.clone(), group.description.clone());
        asks.calls.push(DryRun::CreateGroup { vpc, name, description, tags });
        let mut later = vec!["ec2:AuthorizeSecurityGroupIngress", "ec2:DeleteSecurityGroup"];
        if group.egress.is_some() {
            later.extend(["ec2:AuthorizeSecurityGroupEgress", "ec2:RevokeSecurityGroupEgress"]);
        }
        let what = "security group";
        asks.unproven.extend(later.into_iter().map(|action| (action, Unproven::NothingToAskAbout { what })));
        return;
    };
    if !group.missing_ingress.is_empty() {
        let rules = group.missing_ingress.iter().map(|rule| rule.within(id)).collect();
        asks.calls.push(DryRun::AuthorizeIngress { group: id.clone(), rules });
    }
}

impl Work {
    async fn create_group(&self, wanted: &WantedGroup) -> Result<SecurityGroupId, CloudError> {
        let WantedGroup { group, tags, .. } = wanted;
        let groups = &self.cloud.security_groups;
        let tagged = groups.create(&group.vpc, &group.name, &group.description, tags).await;
        match tagged {
            Err(error) if error.may_be_for_tags() => {
                match groups.create(&group.vpc, &group.name, &group.description, &[]).await {
                    // As for the launch.
                    Err(untagged) if untagged.is_access_denied() => Err(error),
                    outcome => {
                        self.warn(Warning::NoTags);
                        outcome
                    }
                }
            }
            outcome => outcome,
        }
    }

    async fn find_group(&self, group: &GroupPlan) -> Result<SecurityGroup, CloudError> {
        let names = std::slice::from_ref(&group.name);
        let found = self.bounds.once_it_appears(&group.name, || async {
            let found = self.cloud.security_groups.find(&group.vpc, names).await?;
            found.into_iter().next().ok_or_else(|| {
                let resource = format!("security group {}", group.name);
                CloudError::new("ec2:DescribeSecurityGroups", resource, CloudErrorKind::NotFound)
            })
        });
        found.await
    }

    /// Adds the inbound rules that are missing. Someone else may be adding the same ones.
    async fn allow(&self, made: &MadeGroup) -> Result<(), ProvisionError> {
        let id = &made.id;
        let missing: Vec<Rule> = made.plan.missing_ingress.iter().map(|rule| rule.within(id)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        self.check_stop()?;
        let groups = &self.cloud.security_groups;
        match self.bounds.once_it_appears(id.as_str(), || groups.authorize_ingress(id, &missing)).await {
            Err(error) if error.kind == CloudErrorKind::AlreadyExists => {
                for rule in &missing {
                    let one = || groups.authorize_ingress(id, std::slice::from_ref(rule));
                    match self.bounds.once_it_appears(id.as_str(), one).await {
                        Err(error) if error.kind != CloudErrorKind::AlreadyExists => return Err(error.into()),
                        _ => {}
                    }
                }
                Ok(())
            }
            outcome => Ok(outcome?),
        }
    }

    /// Narrows what leaves a group that was created just now. A role that may not do so gets a warning, as the first `sdocker`
    /// did not ask for these permissions.
    async fn close_egress(&self, made: &MadeGroup) -> Result<(), ProvisionError> {
        let (id, group) = (&made.id, &made.plan);
        let Some(egress) = &group.egress else { return Ok(()) };
        self.check_stop()?;
        let rules: Vec<Rule> = egress.iter().map(|rule| rule.within(id)).collect();
        let groups = &self.cloud.security_groups;
        let narrowed = async {
            match self.bounds.once_it_appears(id.as_str(), || groups.authorize_egress(id, &rules)).await {
                Err(error) if error.kind != CloudErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
            self.bounds.once_it_appears(id.as_str(), || groups.revoke_default_egress(id)).await
        };
        match narrowed.await {
            Err(error) if error.is_access_denied() => {
                self.warn(Warning::OpenEgress { group: group.name.clone() });
                Ok(())
            }
            outcome => Ok(outcome?),
        }
    }

    /// Deletes a group as soon as instances that are ending let go of it; `false` where another live instance, or anything else
    /// that does not let go, uses it. `made` is when it was created, where that was a moment ago: until EC2 knows a new group everywhere,
    /// it may answer that there is none.
    pub(crate) async fn delete_group(
        &self,
        id: &SecurityGroupId,
        name: &str,
        ending: &[InstanceId],
        made: Option<Timestamp>,
    ) -> Result<bool, ProvisionError> {
        let activity = Activity::DeleteGroup { name: name.to_owned() };
        self.started(&activity);
        let began = Instant::now();
        // The network interface of an instance may be there for a moment longer than the instance (EC2 user guide, "Delete a security
        // group": DependencyViolation until then).
        let may_let_go = || !ending.is_empty() && began.elapsed() < self.bounds.patience.ends;
        let appears = made.map(|made| self.bounds.may_still_appear_for(made)).unwrap_or_default();
        let try_once = || async {
            if !self.others_in(id, ending).await?.is_empty() {
                return Ok(false);
            }
            let delete = || self.cloud.security_groups.delete(id);
            let delete = || self.bounds.persistently("deleting a group", delete);
            let wait = Wait::Group { group: name.to_owned() };
            match self.bounds.repeat(wait, appears, CloudError::is_not_found, delete).await {
                Ok(()) => Ok(true),
                Err(error) if error.is_not_found() => Ok(true),
                // Worth waiting only while an instance that is ending still holds it.
                Err(error)
                    if error.kind == CloudErrorKind::InUse && !may_let_go() && self.ending_in(id).await?.is_empty() =>
                {
                    Ok(false)
                }
                Err(error) => Err(ProvisionError::from(error)),
            }
        };
        let held = |error: &ProvisionError| matches!(error, ProvisionError::Cloud(error) if error.kind == CloudErrorKind::InUse);
        let wait = Wait::Release { group: name.to_owned() };
        let deleted = self.bounds.repeat(wait, self.bounds.patience.releases, held, try_once).await?;
        self.finished(activity);
        Ok(deleted)
    }

    /// Live instances in a group, but for these.
    pub(crate) async fn others_in(
        &self,
        group: &SecurityGroupId,
        but: &[InstanceId],
    ) -> Result<Vec<Instance>, ProvisionError> {
        let mut instances = self.in_group(group).await?;
        instances.retain(|instance| !instance.state.is_ended() && !but.contains(&instance.id));
        Ok(instances)
    }

    async fn ending_in(&self, group: &SecurityGroupId) -> Result<Vec<Instance>, ProvisionError> {
        let mut instances = self.in_group(group).await?;
        instances.retain(|instance| instance.state == InstanceState::ShuttingDown);
        Ok(instances)
    }

    async fn in_group(&self, group: &SecurityGroupId) -> Result<Vec<Instance>, ProvisionError> {
        let filter = InstanceFilter { security_group: Some(group.clone()), ..InstanceFilter::default() };
        Ok(self.bounds.persistently("listing a group's instances", || self.cloud.instances.list(&filter)).await?)
    }
}

/// The instances of a host: their use of a group is its own.
pub(super) fn own_instances(record: &Record) -> Vec<InstanceId> {
    record.launches().filter_map(|(_, launch)| launch.id.clone()).collect()
}
