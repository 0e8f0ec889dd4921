//! The file as it is written.

use std::{collections::BTreeMap, time::Duration};

use host_provisioner::{EngineChoice, MarketChoice, OnIdle};
use serde::{Deserialize, Deserializer, de};

use crate::{
    durations::{self, Timeout},
    request::Files,
};

#[derive(Debug, Default, Deserialize)]
#[serde(default, expecting = "a JSON object")]
pub(super) struct Raw {
    #[serde(rename = "InstanceType")]
    pub instance_type: Option<String>,
    #[serde(rename = "ImageId")]
    pub image: Option<String>,
    #[serde(rename = "Key")]
    pub key: Option<String>,
    #[serde(rename = "Port")]
    pub port: Option<u16>,
    #[serde(rename = "EBSVolumeSize")]
    pub volume: Option<u32>,
    #[serde(rename = "InstanceProfileArn")]
    pub instance_profile: Option<String>,
    #[serde(rename = "HostSGs")]
    pub security_groups: Option<Vec<String>>,
    #[serde(rename = "DockerImageURI")]
    pub dind_image: Option<String>,
    #[serde(rename = "DockerImageNvidiaURI")]
    pub dind_nvidia_image: Option<String>,
    #[serde(rename = "AdditionalPorts")]
    pub additional_ports: Option<Vec<u16>>,
    #[serde(rename = "Tags")]
    pub tags: Option<BTreeMap<String, String>>,
    #[serde(rename = "Engine")]
    pub engine: Option<EngineChoice>,
    #[serde(rename = "IdleTimeout", deserialize_with = "idle_timeout")]
    pub idle_timeout: Option<Timeout>,
    #[serde(rename = "OnIdle")]
    pub on_idle: Option<OnIdle>,
    #[serde(rename = "MaxLifetime", deserialize_with = "max_lifetime")]
    pub max_lifetime: Option<Duration>,
    #[serde(rename = "MaxCost")]
    pub max_cost: Option<f64>,
    #[serde(rename = "SubnetId")]
    pub subnet: Option<String>,
    #[serde(rename = "Market")]
    pub market: Option<MarketChoice>,
    #[serde(rename = "Files")]
    pub files: Option<Files>,
    #[serde(rename = "Shares")]
    pub shares: Option<Vec<String>>,
    #[serde(rename = "Timeout", deserialize_with = "wait")]
    pub timeout: Option<Duration>,
    #[serde(rename = "KeepFailed")]
    pub keep_failed: Option<bool>,
}

/// A duration that this function reads.
fn read<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<Option<T>, D::Error> {
    let text: Option<String> = Option::deserialize(deserializer)?;
    text.map(|text| parse(&text).map_err(de::Error::custom)).transpose()
}

fn idle_timeout<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timeout>, D::Error> {
    read(deserializer, durations::parse_or_never)
}

fn max_lifetime<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    read(deserializer, durations::parse)
}

fn wait<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    read(deserializer, durations::parse_wait)
}
