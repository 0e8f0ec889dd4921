//! EC2.

mod dry_runs;
mod instances;
mod rules;
mod spot_prices;
mod territory;

use std::collections::HashMap;

use async_trait::async_trait;
use aws_answers::OnlyAws;
use aws_config::SdkConfig;
use aws_sdk_ec2::{
    Client, config,
    types::{
        ArchitectureType, ArchitectureValues, Filter, IpPermission, LocationType, ResourceType, Tag as Ec2Tag,
        TagSpecification, VpcAttributeName,
    },
};
use studio_discovery::{SecurityGroupId, Tag, VpcId};

use super::errors::Classifier;
use crate::{
    Architecture, CloudError, CloudErrorKind, Image, ImageFilter, ImageId, Images, InstanceType, InstanceTypeInfo,
    InstanceTypes, Networks, Peer, Rule, SecurityGroup, SecurityGroups, VolumeKey, Volumes, VpcDns, Zone,
};

pub(super) struct Ec2 {
    client: Client,
    classifier: Classifier,
}

impl Ec2 {
    pub(super) fn new(config: &SdkConfig) -> Self {
        Self {
            client: Client::from_conf(config::Builder::from(config).interceptor(OnlyAws).build()),
            classifier: Classifier::new(config, "ec2"),
        }
    }
}

fn filter(name: &str, values: impl IntoIterator<Item = impl Into<String>>) -> Filter {
    let values = values.into_iter().map(Into::into).collect();
    Filter::builder().name(name).set_values(Some(values)).build()
}

fn tag_specification(kind: ResourceType, tags: &[Tag]) -> Option<TagSpecification> {
    let ec2 = |tag: &Tag| Ec2Tag::builder().key(&tag.key).value(&tag.value).build();
    let tags: Vec<Ec2Tag> = tags.iter().map(ec2).collect();
    (!tags.is_empty()).then(|| TagSpecification::builder().resource_type(kind).set_tags(Some(tags)).build())
}

fn tags(found: &[Ec2Tag]) -> Vec<Tag> {
    found.iter().map(|tag| Tag::new(tag.key().unwrap_or_default(), tag.value().unwrap_or_default())).collect()
}

#[async_trait]
impl Images for Ec2 {
    async fn list(&self, wanted: &ImageFilter) -> Result<Vec<Image>, CloudError> {
        let mut pages = self
            .client
            .describe_images()
            .owners("amazon")
            .filters(filter("name", wanted.names.iter().cloned()))
            .filters(filter("state", ["available"]))
            .filters(filter("virtualization-type", ["hvm"]))
            .into_paginator()
            .items()
            .send();
        let mut images = Vec::new();
        while let Some(found) = pages.next().await {
            let found = found
                .map_err(|error| self.classifier.classify("ec2:DescribeImages", wanted.names.join(", "), error))?;
            images.extend(image(&found));
        }
        Ok(images)
    }

    async fn describe(&self, id: &ImageId) -> Result<Option<Image>, CloudError> {
        let answer = self.client.describe_images().image_ids(id.as_str()).send().await;
        match answer.map_err(|error| self.classifier.classify("ec2:DescribeImages", id.as_str(), error)) {
            Ok(answer) => Ok(answer.images().first().and_then(image)),
            // A malformed id names no image either.
            Err(error) if error.is_not_found() || error.code.as_deref() == Some("InvalidAMIID.Malformed") => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// `None` for an image of another architecture (32 bit, Apple), or without a root device.
fn image(found: &aws_sdk_ec2::types::Image) -> Option<Image> {
    let root_device = found.root_device_name()?.to_owned();
    let root = found.block_device_mappings().iter().find(|device| device.device_name() == Some(&root_device));
    let size = root.and_then(|device| device.ebs()).and_then(|ebs| ebs.volume_size());
    Some(Image {
        id: found.image_id()?.into(),
        name: found.name().unwrap_or_default().to_owned(),
        created: found.creation_date().unwrap_or_default().to_owned(),
        architecture: match found.architecture()? {
            ArchitectureValues::X8664 => Architecture::X86_64,
            ArchitectureValues::Arm64 => Architecture::Arm64,
            _ => return None,
        },
        other_volumes: {
            let devices = found.block_device_mappings().iter().filter(|device| device.ebs().is_some());
            let names = devices.filter_map(|device| device.device_name()).filter(|name| *name != root_device);
            names.map(str::to_owned).collect()
        },
        root_device,
        root_size_gib: size.and_then(|size| size.try_into().ok()),
    })
}

#[async_trait]
impl InstanceTypes for Ec2 {
    async fn describe(&self, instance_type: &InstanceType) -> Result<Option<InstanceTypeInfo>, CloudError> {
        // A filter, rather than the parameter InstanceTypes, whose type knows only the names of this SDK's version. EC2 looks through so many
        // types a page and then filters those, so that pages before the one with the type are empty (github.com/boto/boto3/issues/2888).
        let mut pages = self
            .client
            .describe_instance_types()
            .filters(filter("instance-type", [instance_type.as_str()]))
            .into_paginator()
            .items()
            .send();
        let mut found = None;
        while let Some(listed) = pages.next().await {
            let classify = |error| self.classifier.classify("ec2:DescribeInstanceTypes", instance_type.as_str(), error);
            let listed = listed.map_err(classify)?;
            if listed.instance_type().is_some_and(|name| name.as_str() == instance_type.as_str()) {
                found = Some(listed);
                break;
            }
        }
        Ok(found.map(|found| {
            let processors = found.processor_info();
            let arm = processors.is_some_and(|info| info.supported_architectures().contains(&ArchitectureType::Arm64));
            let gpus = found.gpu_info().map(|info| info.gpus()).unwrap_or_default();
            let nvidia =
                gpus.iter().filter(|gpu| gpu.manufacturer().is_some_and(|name| name.eq_ignore_ascii_case("nvidia")));
            let count = nvidia.map(|gpu| gpu.count().unwrap_or(1)).sum::<i32>();
            InstanceTypeInfo {
                instance_type: instance_type.clone(),
                architecture: if arm { Architecture::Arm64 } else { Architecture::X86_64 },
                nvidia_gpus: count.try_into().unwrap_or_default(),
                memory_mib: found
                    .memory_info()
                    .and_then(|info| info.size_in_mib())
                    .and_then(|size| size.try_into().ok()),
                vcpus: found
                    .v_cpu_info()
                    .and_then(|info| info.default_v_cpus())
                    .and_then(|count| count.try_into().ok()),
            }
        }))
    }

    async fn zones(&self, instance_type: &InstanceType) -> Result<Vec<Zone>, CloudError> {
        let mut pages = self
            .client
            .describe_instance_type_offerings()
            .location_type(LocationType::AvailabilityZone)
            .filters(filter("instance-type", [instance_type.as_str()]))
            .into_paginator()
            .items()
            .send();
        let mut zones = Vec::new();
        while let Some(found) = pages.next().await {
            let classify =
                |error| self.classifier.classify("ec2:DescribeInstanceTypeOfferings", instance_type.as_str(), error);
            zones.extend(found.map_err(classify)?.location().map(Zone::from));
        }
        zones.sort();
        Ok(zones)
    }
}

#[async_trait]
impl Volumes for Ec2 {
    async fn default_key(&self) -> Result<VolumeKey, CloudError> {
        let action = "ec2:GetEbsDefaultKmsKeyId";
        let answer = self.client.get_ebs_default_kms_key_id().send().await;
        let answer = answer.map_err(|error| self.classifier.classify(action, "", error))?;
        answer
            .kms_key_id()
            .map(VolumeKey::named)
            .ok_or_else(|| CloudError::new(action, "", CloudErrorKind::Other).with_message(None, "it names no key"))
    }
}

#[async_trait]
impl Networks for Ec2 {
    async fn dns(&self, vpc: &VpcId) -> Result<VpcDns, CloudError> {
        let ask = |attribute: VpcAttributeName| async {
            let answer = self.client.describe_vpc_attribute().vpc_id(vpc.as_str()).attribute(attribute).send().await;
            answer.map_err(|error| self.classifier.classify("ec2:DescribeVpcAttribute", vpc.as_str(), error))
        };
        let (resolution, hostnames) =
            tokio::try_join!(ask(VpcAttributeName::EnableDnsSupport), ask(VpcAttributeName::EnableDnsHostnames))?;
        Ok(VpcDns {
            resolution: resolution.enable_dns_support().and_then(|value| value.value()).unwrap_or_default(),
            hostnames: hostnames.enable_dns_hostnames().and_then(|value| value.value()).unwrap_or_default(),
        })
    }
}

#[async_trait]
impl SecurityGroups for Ec2 {
    async fn find(&self, vpc: &VpcId, names: &[String]) -> Result<Vec<SecurityGroup>, CloudError> {
        let mut pages = self
            .client
            .describe_security_groups()
            .filters(filter("vpc-id", [vpc.as_str()]))
            .filters(filter("group-name", names.iter().map(String::as_str)))
            .into_paginator()
            .items()
            .send();
        let mut groups = Vec::new();
        while let Some(found) = pages.next().await {
            let found = found
                .map_err(|error| self.classifier.classify("ec2:DescribeSecurityGroups", names.join(", "), error))?;
            groups.push(security_group(&found));
        }
        Ok(groups)
    }

    async fn describe(&self, ids: &[SecurityGroupId]) -> Result<Vec<SecurityGroup>, CloudError> {
        let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
        let answer = self.client.describe_security_groups().set_group_ids(Some(ids.clone())).send().await;
        let answer =
            answer.map_err(|error| self.classifier.classify("ec2:DescribeSecurityGroups", ids.join(", "), error))?;
        Ok(answer.security_groups().iter().map(security_group).collect())
    }

    async fn create(
        &self,
        vpc: &VpcId,
        name: &str,
        description: &str,
        tags: &[Tag],
    ) -> Result<SecurityGroupId, CloudError> {
        let classify = |error| self.classifier.classify("ec2:CreateSecurityGroup", format!("{name} in {vpc}"), error);
        let answer = self
            .client
            .create_security_group()
            .group_name(name)
            .description(description)
            .vpc_id(vpc.as_str())
            .set_tag_specifications(tag_specification(ResourceType::SecurityGroup, tags).map(|tags| vec![tags]))
            .send()
            .await
            .map_err(classify)?;
        answer.group_id().filter(|id| !id.is_empty()).map(Into::into).ok_or_else(|| {
            CloudError::new("ec2:CreateSecurityGroup", format!("{name} in {vpc}"), CloudErrorKind::Unavailable)
                .with_message(None, "the answer names no group")
        })
    }

    async fn authorize_ingress(&self, group: &SecurityGroupId, allowed: &[Rule]) -> Result<(), CloudError> {
        self.naming_accounts(Direction::Ingress, group, allowed).await
    }

    async fn authorize_egress(&self, group: &SecurityGroupId, allowed: &[Rule]) -> Result<(), CloudError> {
        self.naming_accounts(Direction::Egress, group, allowed).await
    }

    async fn revoke_default_egress(&self, group: &SecurityGroupId) -> Result<(), CloudError> {
        // One call each: EC2 takes none of the rules away where one of them is not there.
        for rule in rules::everything() {
            let answer = self
                .client
                .revoke_security_group_egress()
                .group_id(group.as_str())
                .ip_permissions(rule)
                .send()
                .await
                .map_err(|error| self.classifier.classify("ec2:RevokeSecurityGroupEgress", group.as_str(), error));
            match answer {
                Err(error) if error.code.as_deref() != Some("InvalidPermission.NotFound") => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    async fn delete(&self, group: &SecurityGroupId) -> Result<(), CloudError> {
        let answer = self.client.delete_security_group().group_id(group.as_str()).send().await;
        answer.map_err(|error| self.classifier.classify("ec2:DeleteSecurityGroup", group.as_str(), error))?;
        Ok(())
    }

    async fn interfaces_using(&self, group: &SecurityGroupId) -> Result<Vec<String>, CloudError> {
        let mut pages = self
            .client
            .describe_network_interfaces()
            .filters(filter("group-id", [group.as_str()]))
            .into_paginator()
            .items()
            .send();
        let mut interfaces = Vec::new();
        while let Some(found) = pages.next().await {
            let found = found
                .map_err(|error| self.classifier.classify("ec2:DescribeNetworkInterfaces", group.as_str(), error))?;
            interfaces.extend(found.network_interface_id().map(str::to_owned));
        }
        Ok(interfaces)
    }
}

/// Which way a rule lets connections be made.
#[derive(Clone, Copy)]
enum Direction {
    Ingress,
    Egress,
}

impl Ec2 {
    /// Adds rules. In a VPC that another account shares, the app's groups can be that account's, which a rule has to name beside them (Amazon
    /// VPC user guide, "Share your VPC subnets": "Participants can reference security groups that belong to other participants or the
    /// owner as follows: account-number/security-group-id"; EC2 API reference, UserIdGroupPair, `UserId`). Where EC2 finds a group as it is, nobody has
    /// to be asked whose it is.
    async fn naming_accounts(
        &self,
        direction: Direction,
        group: &SecurityGroupId,
        allowed: &[Rule],
    ) -> Result<(), CloudError> {
        let error = match self.add(direction, group, rules::permissions(allowed, &HashMap::new())).await {
            Err(error) if error.is_not_found() => error,
            result => return result,
        };
        let elsewhere = self.of_other_accounts(group, allowed).await;
        if elsewhere.is_empty() {
            return Err(error);
        }
        self.add(direction, group, rules::permissions(allowed, &elsewhere)).await
    }

    async fn add(
        &self,
        direction: Direction,
        group: &SecurityGroupId,
        permissions: Vec<IpPermission>,
    ) -> Result<(), CloudError> {
        match direction {
            Direction::Ingress => {
                let request = self.client.authorize_security_group_ingress().group_id(group.as_str());
                let answer = request.set_ip_permissions(Some(permissions)).send().await;
                let action = "ec2:AuthorizeSecurityGroupIngress";
                answer.map(drop).map_err(|error| self.classifier.classify(action, group.as_str(), error))
            }
            Direction::Egress => {
                let request = self.client.authorize_security_group_egress().group_id(group.as_str());
                let answer = request.set_ip_permissions(Some(permissions)).send().await;
                let action = "ec2:AuthorizeSecurityGroupEgress";
                answer.map(drop).map_err(|error| self.classifier.classify(action, group.as_str(), error))
            }
        }
    }

    /// The accounts of those groups in rules that are not of this group's account, as far as that can be read.
    async fn of_other_accounts(&self, group: &SecurityGroupId, allowed: &[Rule]) -> HashMap<String, String> {
        let mut ids = vec![group.to_string()];
        ids.extend(allowed.iter().filter_map(|rule| match &rule.peer {
            Peer::Group(peer) => Some(peer.to_string()),
            Peer::Network(_) => None,
        }));
        ids.sort();
        ids.dedup();
        let Ok(found) = self.client.describe_security_groups().set_group_ids(Some(ids)).send().await else {
            return HashMap::new();
        };
        let pairs = found.security_groups().iter().filter_map(|one| Some((one.group_id()?, one.owner_id()?)));
        let mut owners: HashMap<String, String> = pairs.map(|(id, owner)| (id.to_owned(), owner.to_owned())).collect();
        let own = owners.remove(group.as_str());
        owners.retain(|_, owner| Some(&*owner) != own.as_ref());
        owners
    }
}

fn security_group(found: &aws_sdk_ec2::types::SecurityGroup) -> SecurityGroup {
    SecurityGroup {
        id: found.group_id().unwrap_or_default().into(),
        name: found.group_name().unwrap_or_default().to_owned(),
        vpc: found.vpc_id().unwrap_or_default().into(),
        ingress: rules::rules(found.ip_permissions()),
        egress: rules::rules(found.ip_permissions_egress()),
        tags: tags(found.tags()),
    }
}
