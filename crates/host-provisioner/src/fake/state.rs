//! What there is in the account, and how the services' calls change it.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr},
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use studio_discovery::{
    AccountId, DomainDescription, DomainId, Region, SecurityGroupId, SubnetId, Tag, UserProfileDescription,
    UserProfileName, VpcId,
};

use crate::{
    CloudError, CloudErrorKind, Image, Instance, InstanceFilter, InstanceId, InstanceState, InstanceType,
    InstanceTypeInfo, LaunchSpec, Market, MountTarget, MountTargetId, OnIdle, Peer, Rule, SecurityGroup,
    USUAL_SECURITY_GROUPS, VpcDns, Zone,
};

/// The state of an account. The fields are what tests and the sandbox set up; the methods are what the services do.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// The account; a sandbox has none.
    #[serde(skip)]
    pub account: Option<AccountId>,
    /// The Region; a sandbox has none.
    #[serde(skip)]
    pub region: Region,
    /// The domain's id.
    pub domain_id: DomainId,
    /// What `DescribeDomain` answers.
    pub domain: DomainDescription,
    /// The one user profile's name.
    pub profile_name: UserProfileName,
    /// What `DescribeUserProfile` answers.
    pub profile: UserProfileDescription,
    /// The user profile's tags.
    pub profile_tags: Vec<Tag>,
    /// The subnets.
    pub subnets: Vec<SubnetState>,
    /// The images, all of them Amazon's and available.
    pub images: Vec<Image>,
    /// The instance types, offered in every zone that has a subnet.
    pub instance_types: Vec<InstanceTypeInfo>,
    /// The zones that do not offer a type nevertheless.
    pub not_offered: Vec<(InstanceType, Zone)>,
    /// What an hour of an instance type costs as Spot in a zone, in US dollars.
    pub spot_prices: Vec<(InstanceType, Zone, f64)>,
    /// The DNS attributes of every VPC.
    pub dns: VpcDns,
    /// The key with which volumes are encrypted that name none; `None`: AWS's own.
    pub volume_key: Option<String>,
    /// How many virtual CPUs of each class may run; `None`: Service Quotas does not say, and any number may.
    pub vcpus: Option<u64>,
    /// How many security groups an interface can have, where that was raised.
    pub groups_per_interface: Option<usize>,
    /// The security groups.
    pub groups: Vec<SecurityGroup>,
    /// The mount targets.
    pub mount_targets: Vec<MountTargetState>,
    /// The instances, terminated ones included.
    pub instances: Vec<InstanceRecord>,
    /// The only actions that the caller may call; `None`: all.
    pub allowed: Option<BTreeSet<String>>,
    /// Actions that the caller may not call.
    pub denied: BTreeSet<String>,
    /// Errors with which the next calls of an action are answered, each once: the action, AWS's code and its words. A dry run's action
    /// ends in ` (dry run)`.
    pub answers: Vec<(String, String, String)>,
    /// Codes and words with which the next instances end right after their launch was accepted.
    pub fates: Vec<(String, String)>,
    /// For how many looks a new instance is not seen yet.
    pub appears_after: u32,
    /// How many ids were given out.
    pub counter: u64,
}

/// A subnet.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SubnetState {
    /// Its id.
    pub id: SubnetId,
    /// Its VPC.
    pub vpc: VpcId,
    /// Its zone.
    pub zone: Zone,
    /// The first three bytes of its addresses.
    pub network: [u8; 3],
    /// How many on-demand instances can still be launched; `None`: any number.
    pub on_demand_capacity: Option<u32>,
    /// How many Spot instances can still be launched; `None`: any number.
    pub spot_capacity: Option<u32>,
}

/// A mount target with its groups.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MountTargetState {
    /// The mount target.
    pub target: MountTarget,
    /// Its security groups.
    pub groups: Vec<SecurityGroupId>,
}

/// An instance, with what tells a repeated launch.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct InstanceRecord {
    /// The instance.
    pub instance: Instance,
    /// What a second launch with the same token must agree with.
    pub spec: String,
    /// How many looks it is still unseen for.
    pub unseen: u32,
    /// Whether it is stopped when it is shut down from within, and not terminated.
    #[serde(default)]
    pub stops: bool,
    /// The private DNS name that it gets when it runs, and not before (EC2 API reference, `Instance`).
    #[serde(default)]
    pub private_dns: Option<String>,
}

impl State {
    /// Fails where the next call of this action is to fail.
    pub(super) fn answer(&mut self, action: &'static str, dry_run: bool) -> Result<(), CloudError> {
        let name = if dry_run { format!("{action} (dry run)") } else { action.to_owned() };
        let Some(at) = self.answers.iter().position(|(answered, ..)| *answered == name) else { return Ok(()) };
        let (_, code, message) = self.answers.remove(at);
        let kind = crate::cloud::kind(aws_answers::codes::meaning(action, &code, &message, 400), &message);
        Err(CloudError::new(action, "", kind).with_message(code, message))
    }

    fn next(&mut self, prefix: &str) -> String {
        self.counter += 1;
        format!("{prefix}-{:017x}", self.counter)
    }

    pub(super) fn find_groups(&self, vpc: &VpcId, names: &[String]) -> Result<Vec<SecurityGroup>, CloudError> {
        self.allow("ec2:DescribeSecurityGroups", "")?;
        let matches = |group: &&SecurityGroup| group.vpc == *vpc && names.contains(&group.name);
        Ok(self.groups.iter().filter(matches).cloned().collect())
    }

    pub(super) fn describe_groups(&self, ids: &[SecurityGroupId]) -> Result<Vec<SecurityGroup>, CloudError> {
        self.allow("ec2:DescribeSecurityGroups", "")?;
        ids.iter().map(|id| self.group("ec2:DescribeSecurityGroups", id).cloned()).collect()
    }

    pub(super) fn create_group(
        &mut self,
        vpc: &VpcId,
        name: &str,
        tags: &[Tag],
    ) -> Result<SecurityGroupId, CloudError> {
        let action = "ec2:CreateSecurityGroup";
        self.allow_tagged(action, vpc.as_str(), tags)?;
        if self.subnets.iter().all(|subnet| subnet.vpc != *vpc) {
            return Err(CloudError::new(action, vpc.as_str(), CloudErrorKind::NotFound));
        }
        // Names are case-insensitive (EC2 API reference, `CreateSecurityGroup`); filters are not.
        if self.groups.iter().any(|group| group.vpc == *vpc && group.name.eq_ignore_ascii_case(name)) {
            let error = CloudError::new(action, name, CloudErrorKind::AlreadyExists);
            return Err(error.with_message("InvalidGroup.Duplicate".to_owned(), "The security group already exists"));
        }
        let id = SecurityGroupId::new(self.next("sg"));
        self.groups.push(SecurityGroup {
            id: id.clone(),
            name: name.to_owned(),
            vpc: vpc.clone(),
            ingress: Vec::new(),
            egress: vec![everything()],
            tags: tags.to_vec(),
        });
        Ok(id)
    }

    pub(super) fn authorize(
        &mut self,
        action: &'static str,
        id: &SecurityGroupId,
        rules: &[Rule],
    ) -> Result<(), CloudError> {
        self.allow(action, id.as_str())?;
        for rule in rules {
            if let Peer::Group(peer) = &rule.peer {
                self.group(action, peer)?;
            }
        }
        self.group(action, id)?;
        let Some(group) = self.groups.iter_mut().find(|group| group.id == *id) else { return Ok(()) };
        let list = if action == "ec2:AuthorizeSecurityGroupEgress" { &mut group.egress } else { &mut group.ingress };
        if rules.iter().any(|rule| list.contains(rule)) {
            let error = CloudError::new(action, id.as_str(), CloudErrorKind::AlreadyExists);
            return Err(
                error.with_message("InvalidPermission.Duplicate".to_owned(), "the specified rule already exists")
            );
        }
        list.extend(rules.iter().cloned());
        list.sort();
        Ok(())
    }

    pub(super) fn revoke_default_egress(&mut self, id: &SecurityGroupId) -> Result<(), CloudError> {
        let action = "ec2:RevokeSecurityGroupEgress";
        self.allow(action, id.as_str())?;
        self.group(action, id)?;
        for group in self.groups.iter_mut().filter(|group| group.id == *id) {
            group.egress.retain(|rule| *rule != everything());
        }
        Ok(())
    }

    pub(super) fn delete_group(&mut self, id: &SecurityGroupId) -> Result<(), CloudError> {
        let action = "ec2:DeleteSecurityGroup";
        self.allow(action, id.as_str())?;
        self.group(action, id)?;
        let referenced =
            self.groups.iter().filter(|group| group.id != *id).any(|group| {
                group.ingress.iter().chain(&group.egress).any(|rule| rule.peer == Peer::Group(id.clone()))
            });
        if referenced || !self.interfaces(id).is_empty() {
            let error = CloudError::new(action, id.as_str(), CloudErrorKind::InUse);
            return Err(error.with_message("DependencyViolation".to_owned(), "resource has a dependent object"));
        }
        self.groups.retain(|group| group.id != *id);
        Ok(())
    }

    pub(super) fn interfaces_using(&self, id: &SecurityGroupId) -> Result<Vec<String>, CloudError> {
        self.allow("ec2:DescribeNetworkInterfaces", id.as_str())?;
        Ok(self.interfaces(id))
    }

    fn interfaces(&self, id: &SecurityGroupId) -> Vec<String> {
        let targets = self.mount_targets.iter().filter(|target| target.groups.contains(id));
        let targets = targets.map(|target| format!("eni-{}", target.target.id));
        let instances =
            self.instances.iter().map(|record| &record.instance).filter(|instance| {
                instance.state != InstanceState::Terminated && instance.security_groups.contains(id)
            });
        targets.chain(instances.map(|instance| format!("eni-{}", instance.id))).collect()
    }

    fn group(&self, action: &'static str, id: &SecurityGroupId) -> Result<&SecurityGroup, CloudError> {
        self.groups.iter().find(|group| group.id == *id).ok_or_else(|| {
            CloudError::new(action, format!("security group {id}"), CloudErrorKind::NotFound)
                .with_message("InvalidGroup.NotFound".to_owned(), format!("The security group '{id}' does not exist"))
        })
    }

    pub(super) fn mount_target_groups(&self, id: &MountTargetId) -> Result<Vec<SecurityGroupId>, CloudError> {
        let action = "elasticfilesystem:DescribeMountTargetSecurityGroups";
        self.allow(action, id.as_str())?;
        let found = self.mount_targets.iter().find(|target| target.target.id == *id);
        let found = found.ok_or_else(|| CloudError::new(action, id.as_str(), CloudErrorKind::NotFound))?;
        Ok(found.groups.clone())
    }

    pub(super) fn set_mount_target_groups(
        &mut self,
        id: &MountTargetId,
        groups: &[SecurityGroupId],
    ) -> Result<(), CloudError> {
        let action = "elasticfilesystem:ModifyMountTargetSecurityGroups";
        self.allow(action, id.as_str())?;
        if groups.len() > self.groups_per_interface.unwrap_or(USUAL_SECURITY_GROUPS) {
            return Err(CloudError::new(action, id.as_str(), CloudErrorKind::LimitExceeded));
        }
        for group in groups {
            self.group(action, group)?;
        }
        let found = self.mount_targets.iter_mut().find(|target| target.target.id == *id);
        let found = found.ok_or_else(|| CloudError::new(action, id.as_str(), CloudErrorKind::NotFound))?;
        found.groups = groups.to_vec();
        Ok(())
    }

    pub(crate) fn run(&mut self, spec: &LaunchSpec, at_most: u32) -> Result<Vec<Instance>, CloudError> {
        let action = "ec2:RunInstances";
        self.allow_tagged(action, spec.subnet.as_str(), &spec.tags)?;
        self.answer(action, false)?;
        let described = format!("{at_most} of {spec:?}");
        let token = Some(&spec.client_token);
        let launched = self.instances.iter().filter(|known| known.instance.client_token.as_ref() == token);
        let known: Vec<&InstanceRecord> = launched.collect();
        if let Some(first) = known.first() {
            if first.spec == described {
                return Ok(known.iter().map(|known| known.instance.clone()).collect());
            }
            let error = CloudError::new(action, spec.client_token.as_str(), CloudErrorKind::Invalid);
            return Err(error
                .with_message("IdempotentParameterMismatch".to_owned(), "the token was used with other parameters"));
        }
        for group in &spec.security_groups {
            self.group(action, group)?;
        }
        let not_found = |what: &str| CloudError::new(action, what, CloudErrorKind::NotFound);
        if self.images.iter().all(|image| image.id != spec.image) {
            return Err(not_found(spec.image.as_str()));
        }
        let info = self.instance_types.iter().find(|kind| kind.instance_type == spec.instance_type).cloned();
        let subnet = self.subnets.iter_mut().find(|subnet| subnet.id == spec.subnet);
        let subnet = subnet.ok_or_else(|| not_found(spec.subnet.as_str()))?;
        let capacity = match spec.market {
            Market::OnDemand => &mut subnet.on_demand_capacity,
            Market::Spot => &mut subnet.spot_capacity,
        };
        let not_here = (spec.instance_type.clone(), subnet.zone.clone());
        if info.is_none() || self.not_offered.contains(&not_here) || *capacity == Some(0) {
            let error = CloudError::new(action, spec.subnet.as_str(), CloudErrorKind::NoCapacity);
            return Err(
                error.with_message("InsufficientInstanceCapacity".to_owned(), "there is no capacity in this zone")
            );
        }
        let count = at_most.min(capacity.unwrap_or(u32::MAX));
        if let Some(left) = capacity {
            *left -= count;
        }
        let place = (subnet.network, subnet.zone.clone());
        let vcpus = info.and_then(|info| info.vcpus);
        Ok((0..count).map(|index| self.launch(spec, index, &described, &place, vcpus)).collect())
    }

    /// One of the instances of a launch.
    fn launch(
        &mut self,
        spec: &LaunchSpec,
        index: u32,
        described: &str,
        (network, zone): &([u8; 3], Zone),
        vcpus: Option<u32>,
    ) -> Instance {
        let id = InstanceId::new(self.next("i"));
        // .1 to .3 are AWS's own, .4 the mount target's.
        let host = u8::try_from(self.counter % 250).unwrap_or_default() + 5;
        let address = Ipv4Addr::new(network[0], network[1], network[2], host);
        let instance = Instance {
            id,
            instance_type: spec.instance_type.clone(),
            state: InstanceState::Pending,
            private_dns: None,
            private_address: Some(IpAddr::V4(address)),
            subnet: Some(spec.subnet.clone()),
            zone: Some(zone.clone()),
            launched: Some(Timestamp::now()),
            client_token: Some(spec.client_token.clone()),
            launch_index: index,
            market: spec.market,
            vcpus,
            security_groups: spec.security_groups.clone(),
            tags: spec.tags.clone(),
            state_reason: None,
            state_code: None,
        };
        let mut record_of = instance.clone();
        if !self.fates.is_empty() {
            let (code, message) = self.fates.remove(0);
            record_of.end();
            (record_of.state_code, record_of.state_reason) = (Some(code), Some(message));
        }
        let name = format!("ip-{}.eu-west-1.compute.internal", address.to_string().replace('.', "-"));
        let record = InstanceRecord {
            instance: record_of,
            spec: described.to_owned(),
            unseen: self.appears_after,
            stops: spec.on_idle == OnIdle::Stop,
            private_dns: Some(name),
        };
        self.instances.push(record);
        instance
    }

    pub(super) fn list(&mut self, filter: &InstanceFilter) -> Result<Vec<Instance>, CloudError> {
        self.allow("ec2:DescribeInstances", "")?;
        let mut found = Vec::new();
        for record in &mut self.instances {
            if record.unseen > 0 {
                record.unseen -= 1;
                continue;
            }
            if matches(&record.instance, filter) {
                found.push(record.instance.clone());
            }
            // Time passes while one looks.
            match record.instance.state {
                InstanceState::Pending => {
                    record.instance.state = InstanceState::Running;
                    record.instance.private_dns.clone_from(&record.private_dns);
                }
                InstanceState::ShuttingDown => record.instance.end(),
                InstanceState::Stopping => record.instance.state = InstanceState::Stopped,
                _ => {}
            }
        }
        Ok(found)
    }

    /// Starts an instance again, as EC2 does (EC2 API reference, `StartInstances`).
    pub(super) fn start(&mut self, id: &InstanceId) -> Result<(), CloudError> {
        let action = "ec2:StartInstances";
        self.allow(action, id.as_str())?;
        self.answer(action, false)?;
        let found = self.instances.iter_mut().find(|record| record.instance.id == *id);
        let Some(InstanceRecord { instance, .. }) = found else {
            return Err(CloudError::new(action, id.as_str(), CloudErrorKind::NotFound));
        };
        match instance.state {
            InstanceState::Stopped => {
                instance.state = InstanceState::Pending;
                (instance.state_code, instance.state_reason) = (None, None);
                if !self.fates.is_empty() {
                    // It was accepted, and comes to nothing.
                    let (code, message) = self.fates.remove(0);
                    instance.state = InstanceState::Stopping;
                    (instance.state_code, instance.state_reason) = (Some(code), Some(message));
                }
                Ok(())
            }
            InstanceState::Pending | InstanceState::Running => Ok(()),
            InstanceState::Stopping | InstanceState::ShuttingDown | InstanceState::Terminated => {
                let said = format!("The instance '{id}' is not in a state from which it can be started.");
                let error = CloudError::new(action, id.as_str(), CloudErrorKind::Other);
                Err(error.with_message("IncorrectInstanceState".to_owned(), said))
            }
        }
    }

    /// What becomes of an instance that is shut down from within (EC2 user guide, "Change instance initiated shutdown behavior").
    pub fn shut_down(&mut self, id: &InstanceId) {
        for InstanceRecord { instance, stops, .. } in self.instances.iter_mut().filter(|it| it.instance.id == *id) {
            instance.state = if *stops { InstanceState::Stopping } else { InstanceState::ShuttingDown };
            instance.state_reason = Some("Client.InstanceInitiatedShutdown: Instance initiated shutdown".to_owned());
            instance.state_code = Some("Client.InstanceInitiatedShutdown".to_owned());
        }
    }

    /// All of them or, where there is one that is not there, none (EC2 API reference, `TerminateInstances`).
    pub(super) fn terminate(&mut self, ids: &[InstanceId]) -> Result<(), CloudError> {
        let action = "ec2:TerminateInstances";
        for id in ids {
            self.allow(action, id.as_str())?;
        }
        for id in ids {
            if self.instances.iter().any(|record| record.instance.id == *id && record.unseen == 0) {
                continue;
            }
            // Asking counts as a look.
            for record in self.instances.iter_mut().filter(|record| record.instance.id == *id) {
                record.unseen -= 1;
            }
            return Err(CloudError::new(action, id.as_str(), CloudErrorKind::NotFound));
        }
        let asked =
            |record: &&mut InstanceRecord| ids.contains(&record.instance.id) && !record.instance.state.is_ended();
        for InstanceRecord { instance, .. } in self.instances.iter_mut().filter(asked) {
            instance.state = InstanceState::ShuttingDown;
            instance.state_reason = Some("Client.UserInitiatedShutdown: User initiated shutdown".to_owned());
            instance.state_code = Some("Client.UserInitiatedShutdown".to_owned());
        }
        Ok(())
    }
}

impl Instance {
    /// What an instance is like once it is terminated.
    pub(crate) fn end(&mut self) {
        self.state = InstanceState::Terminated;
        self.private_dns = None;
        self.private_address = None;
        self.subnet = None;
        self.security_groups.clear();
    }
}

fn matches(instance: &Instance, filter: &InstanceFilter) -> bool {
    (filter.ids.is_empty() || filter.ids.contains(&instance.id))
        && filter.tag_key.as_deref().is_none_or(|key| instance.tag(key).is_some())
        && filter.tags.iter().all(|tag| instance.tags.contains(tag))
        && filter.client_token.as_ref().is_none_or(|token| instance.client_token.as_ref() == Some(token))
        && filter.security_group.as_ref().is_none_or(|group| instance.security_groups.contains(group))
}

/// EC2's outbound rule of a new group.
fn everything() -> Rule {
    Rule { to_port: u16::MAX, ..Rule::port(0, Peer::Network("0.0.0.0/0".to_owned())) }
}
