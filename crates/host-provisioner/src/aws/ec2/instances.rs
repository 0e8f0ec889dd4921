//! Instances.

use std::num::NonZeroU32;

use async_trait::async_trait;
use aws_sdk_ec2::{
    config::{Config, retry::RetryConfig},
    operation::run_instances::builders::RunInstancesFluentBuilder,
    primitives::DateTime,
    types::{
        BlockDeviceMapping, EbsBlockDevice, HttpTokensState, IamInstanceProfileSpecification,
        InstanceInterruptionBehavior, InstanceLifecycleType, InstanceMarketOptionsRequest,
        InstanceMetadataOptionsRequest, InstanceStateName, MarketType, ResourceType, ShutdownBehavior,
        SpotInstanceType, SpotMarketOptions, VolumeType,
    },
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;

use super::{Ec2, filter, tag_specification, tags};
use crate::{
    CloudError, CloudErrorKind, Instance, InstanceFilter, InstanceId, InstanceState, Instances, LaunchSpec, Market,
    OnIdle, Tagged,
};

#[async_trait]
impl Instances for Ec2 {
    async fn run_several(&self, spec: &LaunchSpec, at_most: NonZeroU32) -> Result<Vec<Instance>, CloudError> {
        let resource = launched(spec);
        let answer = self
            .launch(spec)
            .max_count(at_most.get().try_into().unwrap_or(i32::MAX))
            .customize()
            // The caller must hear of every lost answer, so that the SDK does not try again by itself.
            .config_override(Config::builder().retry_config(RetryConfig::disabled()))
            .send()
            .await
            .map_err(|error| self.classifier.classify(RUN, resource.as_str(), error))?;
        let instances: Vec<Instance> = answer.instances().iter().filter_map(instance).collect();
        if instances.is_empty() {
            let error = CloudError::new(RUN, resource, CloudErrorKind::Unavailable);
            return Err(error.with_message(None, "the answer names no instance"));
        }
        Ok(instances)
    }

    async fn describe(&self, id: &InstanceId) -> Result<Option<Instance>, CloudError> {
        let filter = InstanceFilter { ids: vec![id.clone()], ..InstanceFilter::default() };
        Ok(self.list(&filter).await?.pop())
    }

    async fn list(&self, wanted: &InstanceFilter) -> Result<Vec<Instance>, CloudError> {
        if wanted.ids.len() > FILTER_VALUES {
            let mut found = Vec::new();
            for ids in wanted.ids.chunks(FILTER_VALUES) {
                found.extend(self.list(&InstanceFilter { ids: ids.to_vec(), ..wanted.clone() }).await?);
            }
            return Ok(found);
        }
        let mut filters = Vec::new();
        if !wanted.ids.is_empty() {
            // A filter leaves out ids that do not exist, where the parameter InstanceIds would fail.
            filters.push(filter("instance-id", wanted.ids.iter().map(ToString::to_string)));
        }
        if let Some(key) = &wanted.tag_key {
            filters.push(filter("tag-key", [key]));
        }
        filters.extend(wanted.tags.iter().map(|tag| filter(&format!("tag:{}", tag.key), [&tag.value])));
        if let Some(token) = &wanted.client_token {
            filters.push(filter("client-token", [token.as_str()]));
        }
        if let Some(group) = &wanted.security_group {
            filters.push(filter("instance.group-id", [group.as_str()]));
        }
        let mut pages = self.client.describe_instances().set_filters(Some(filters)).into_paginator().send();
        let mut found = Vec::new();
        while let Some(page) = pages.next().await {
            let ids: Vec<String> = wanted.ids.iter().map(ToString::to_string).collect();
            let page =
                page.map_err(|error| self.classifier.classify("ec2:DescribeInstances", ids.join(", "), error))?;
            let instances = page.reservations().iter().flat_map(|reservation| reservation.instances());
            found.extend(instances.filter_map(instance));
        }
        Ok(found)
    }

    async fn terminate_all(&self, ids: &[InstanceId]) -> Result<(), CloudError> {
        let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
        let answer = self.client.terminate_instances().set_instance_ids(Some(ids.clone())).send().await;
        answer.map_err(|error| self.classifier.classify("ec2:TerminateInstances", ids.join(", "), error))?;
        Ok(())
    }

    async fn start(&self, id: &InstanceId) -> Result<(), CloudError> {
        let answer = self.client.start_instances().instance_ids(id.as_str()).send().await;
        answer.map_err(|error| self.classifier.classify("ec2:StartInstances", id.as_str(), error))?;
        Ok(())
    }
}

impl Ec2 {
    /// The request of a launch.
    pub(super) fn launch(&self, spec: &LaunchSpec) -> RunInstancesFluentBuilder {
        let volume_size = i32::try_from(spec.root_volume.size_gib).unwrap_or(i32::MAX);
        let ebs = EbsBlockDevice::builder()
            .volume_size(volume_size)
            .volume_type(VolumeType::Gp3)
            .encrypted(true)
            .delete_on_termination(true)
            .build();
        let root = BlockDeviceMapping::builder().device_name(&spec.root_volume.device).ebs(ebs).build();
        // What the image says of its further volumes holds otherwise (EC2 user guide, "Block device mappings").
        let others = spec.other_volumes.iter().map(|device| {
            let ebs = EbsBlockDevice::builder().encrypted(true).delete_on_termination(true).build();
            BlockDeviceMapping::builder().device_name(device).ebs(ebs).build()
        });
        // IMDSv2 only, and not from within containers' networks, which are a hop further.
        let metadata = InstanceMetadataOptionsRequest::builder()
            .http_tokens(HttpTokensState::Required)
            .http_put_response_hop_limit(1)
            .build();
        let mut kinds = vec![ResourceType::Instance, ResourceType::Volume, ResourceType::NetworkInterface];
        if spec.market == Market::Spot {
            kinds.push(ResourceType::SpotInstancesRequest);
        }
        kinds.truncate(match spec.tagged {
            Tagged::Everything => 4,
            Tagged::AllButSpotRequest => 3,
            Tagged::InstanceAndVolume => 2,
            Tagged::Instance => 1,
            Tagged::Nothing => 0,
        });
        let tagged: Vec<_> = kinds.into_iter().filter_map(|kind| tag_specification(kind, &spec.tags)).collect();
        let spot = (spec.market == Market::Spot).then(|| {
            let options = SpotMarketOptions::builder()
                .spot_instance_type(SpotInstanceType::OneTime)
                .instance_interruption_behavior(InstanceInterruptionBehavior::Terminate)
                .build();
            InstanceMarketOptionsRequest::builder().market_type(MarketType::Spot).spot_options(options).build()
        });
        let profile =
            spec.instance_profile_arn.as_ref().map(|arn| IamInstanceProfileSpecification::builder().arn(arn).build());
        self.client
            .run_instances()
            .client_token(spec.client_token.as_str())
            .image_id(spec.image.as_str())
            .instance_type(spec.instance_type.as_str().into())
            .min_count(1)
            .max_count(1)
            .subnet_id(spec.subnet.as_str())
            .set_security_group_ids(Some(spec.security_groups.iter().map(ToString::to_string).collect()))
            .set_block_device_mappings(Some(std::iter::once(root).chain(others).collect()))
            .set_key_name(spec.key_name.clone())
            .set_iam_instance_profile(profile)
            .instance_initiated_shutdown_behavior(match spec.on_idle {
                OnIdle::Terminate => ShutdownBehavior::Terminate,
                OnIdle::Stop => ShutdownBehavior::Stop,
            })
            .metadata_options(metadata)
            .set_instance_market_options(spot)
            .set_tag_specifications((!tagged.is_empty()).then_some(tagged))
            .user_data(STANDARD.encode(spec.user_data.as_bytes()))
    }
}

const RUN: &str = "ec2:RunInstances";

/// How many values a filter takes (EC2 user guide, "List and filter your resources").
const FILTER_VALUES: usize = 200;

/// What errors of a launch name.
fn launched(spec: &LaunchSpec) -> String {
    format!("{} in {}", spec.instance_type, spec.subnet)
}

/// `None` for an answer without an id, which names nothing.
fn instance(found: &aws_sdk_ec2::types::Instance) -> Option<Instance> {
    let text = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
    let groups = found.security_groups().iter().filter_map(|group| group.group_id());
    let zone = found.placement().and_then(|placement| placement.availability_zone());
    let reason = found.state_reason().and_then(|reason| reason.message());
    Some(Instance {
        id: found.instance_id()?.into(),
        instance_type: found.instance_type().map(|name| name.as_str()).unwrap_or_default().into(),
        state: state(found.state().and_then(|state| state.name())),
        private_dns: text(found.private_dns_name()),
        private_address: found.private_ip_address().and_then(|address| address.parse().ok()),
        subnet: found.subnet_id().filter(|id| !id.is_empty()).map(Into::into),
        zone: zone.map(Into::into),
        launched: found.launch_time().and_then(timestamp),
        client_token: text(found.client_token()).map(Into::into),
        launch_index: found.ami_launch_index().and_then(|index| index.try_into().ok()).unwrap_or_default(),
        market: match found.instance_lifecycle() {
            Some(InstanceLifecycleType::Spot) => Market::Spot,
            _ => Market::OnDemand,
        },
        vcpus: found.cpu_options().and_then(|options| {
            let count = options.core_count()?.checked_mul(options.threads_per_core()?)?;
            count.try_into().ok()
        }),
        security_groups: groups.map(Into::into).collect(),
        tags: tags(found.tags()),
        state_code: text(found.state_reason().and_then(|reason| reason.code())),
        state_reason: text(reason).or_else(|| text(found.state_transition_reason())),
    })
}

fn state(name: Option<&InstanceStateName>) -> InstanceState {
    match name {
        Some(InstanceStateName::Running) => InstanceState::Running,
        Some(InstanceStateName::Stopping) => InstanceState::Stopping,
        Some(InstanceStateName::Stopped) => InstanceState::Stopped,
        Some(InstanceStateName::ShuttingDown) => InstanceState::ShuttingDown,
        Some(InstanceStateName::Terminated) => InstanceState::Terminated,
        // An instance is pending until EC2 says otherwise.
        _ => InstanceState::Pending,
    }
}

fn timestamp(time: &DateTime) -> Option<Timestamp> {
    Timestamp::new(time.secs(), time.subsec_nanos().try_into().ok()?).ok()
}
