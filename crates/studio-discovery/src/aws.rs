//! [`StudioApi`] on aws-sdk-sagemaker. No type of the SDK leaves this file, but for the configuration that it is made of.

use std::error::Error;

use async_trait::async_trait;
use aws_answers::{Meaning, OnlyAws, SdkFailure, codes};
use aws_config::SdkConfig;
use aws_sdk_sagemaker::{
    Client, config,
    error::{ProvideErrorMetadata, SdkError},
    types::{AppNetworkAccessType, SharingType, StudioLifecycleConfigAppType},
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

pub use aws_answers::http_client;

use crate::{
    ApiError, AppKind, DomainDescription, DomainId, LifecycleConfigs, SpaceDescription, SpaceName, StudioApi, Tag,
    UserProfileDescription, UserProfileName,
};

/// The SageMaker control plane.
#[derive(Clone, Debug)]
pub struct SageMakerApi {
    client: Client,
    endpoint: String,
    region: String,
}

impl SageMakerApi {
    /// A client with these settings. Where they have no HTTP client, [`http_client`] is used: the SDK panics without one. What loads
    /// credentials over HTTP needs one as well, and is made before: give it to the loader of the settings, too.
    pub fn new(config: &SdkConfig) -> Self {
        let region = config.region().map(ToString::to_string).unwrap_or_default();
        let endpoint = match config.endpoint_url() {
            Some(url) => url.to_owned(),
            None => format!("https://api.sagemaker.{region}.amazonaws.com"),
        };
        let mut builder = config::Builder::from(config).interceptor(OnlyAws);
        if config.http_client().is_none() {
            builder = builder.http_client(http_client());
        }
        Self { client: Client::from_conf(builder.build()), endpoint, region }
    }

    fn sort<E>(&self, action: &'static str, resource: &str, error: SdkError<E, HttpResponse>) -> ApiError
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        let resource = resource.to_owned();
        match SdkFailure::of(error) {
            SdkFailure::Service { status, code, message } => {
                let words = format!("{code}: {message}");
                match codes::meaning(action, &code, &message, status) {
                    Meaning::AccessDenied => ApiError::AccessDenied { action, resource, message: words },
                    Meaning::NotFound => ApiError::NotFound { action, resource, message: words },
                    Meaning::Credentials => {
                        let hint = codes::hint(action, &code, &message);
                        ApiError::Credentials { action, message: words, hint }
                    }
                    _ => ApiError::Service { action, code, message },
                }
            }
            SdkFailure::Foreign(answer) => ApiError::ForeignAnswer { action, answer },
            SdkFailure::Credentials { message } => ApiError::Credentials { action, message, hint: None },
            SdkFailure::Unmade { message } => {
                ApiError::Service { action, code: "the request can't be made".to_owned(), message }
            }
            SdkFailure::NoAnswer { source, .. } => {
                ApiError::Unreachable { action, endpoint: self.endpoint.clone(), region: self.region.clone(), source }
            }
        }
    }
}

#[async_trait]
impl StudioApi for SageMakerApi {
    async fn describe_domain(&self, domain: &DomainId) -> Result<DomainDescription, ApiError> {
        let answer = self
            .client
            .describe_domain()
            .domain_id(domain.as_str())
            .send()
            .await
            .map_err(|error| self.sort("sagemaker:DescribeDomain", domain.as_str(), error))?;
        let user = answer.default_user_settings();
        let space = answer.default_space_settings();
        Ok(DomainDescription {
            vpc_only: answer.app_network_access_type() == Some(&AppNetworkAccessType::VpcOnly),
            vpc: answer.vpc_id().map(Into::into),
            subnets: answer.subnet_ids().iter().map(|id| id.as_str().into()).collect(),
            default_security_groups: user.map(|user| ids(user.security_groups())).unwrap_or_default(),
            space_security_groups: space.map(|space| ids(space.security_groups())).unwrap_or_default(),
            default_execution_role: user.and_then(|user| user.execution_role()).map(Into::into),
            space_execution_role: space.and_then(|space| space.execution_role()).map(Into::into),
            file_system: answer.home_efs_file_system_id().filter(|id| !id.is_empty()).map(Into::into),
        })
    }

    async fn describe_user_profile(
        &self,
        domain: &DomainId,
        profile: &UserProfileName,
    ) -> Result<UserProfileDescription, ApiError> {
        let answer = self
            .client
            .describe_user_profile()
            .domain_id(domain.as_str())
            .user_profile_name(profile.as_str())
            .send()
            .await
            .map_err(|error| self.sort("sagemaker:DescribeUserProfile", &format!("{domain}/{profile}"), error))?;
        let settings = answer.user_settings();
        Ok(UserProfileDescription {
            arn: answer.user_profile_arn().map(str::to_owned),
            security_groups: settings.map(|settings| ids(settings.security_groups())).unwrap_or_default(),
            execution_role: settings.and_then(|settings| settings.execution_role()).map(Into::into),
            efs_uid: answer.home_efs_file_system_uid().and_then(|uid| uid.parse().ok()),
        })
    }

    async fn describe_space(&self, domain: &DomainId, space: &SpaceName) -> Result<SpaceDescription, ApiError> {
        let answer = self
            .client
            .describe_space()
            .domain_id(domain.as_str())
            .space_name(space.as_str())
            .send()
            .await
            .map_err(|error| self.sort("sagemaker:DescribeSpace", &format!("{domain}/{space}"), error))?;
        let owner = answer.ownership_settings().and_then(|settings| settings.owner_user_profile_name());
        let sharing = answer.space_sharing_settings().and_then(|settings| settings.sharing_type());
        Ok(SpaceDescription {
            shared: sharing == Some(&SharingType::Shared),
            owner: owner.map(Into::into),
            efs_uid: answer.home_efs_file_system_uid().and_then(|uid| uid.parse().ok()),
        })
    }

    async fn list_tags(&self, arn: &str) -> Result<Vec<Tag>, ApiError> {
        let mut pages = self.client.list_tags().resource_arn(arn).into_paginator().items().send();
        let mut tags = Vec::new();
        while let Some(tag) = pages.next().await {
            let tag = tag.map_err(|error| self.sort("sagemaker:ListTags", arn, error))?;
            tags.push(Tag::new(tag.key().unwrap_or_default(), tag.value().unwrap_or_default()));
        }
        Ok(tags)
    }
}

#[async_trait]
impl LifecycleConfigs for SageMakerApi {
    async fn create(&self, name: &str, app: AppKind, content: &str) -> Result<String, ApiError> {
        let app = match app {
            AppKind::KernelGateway => StudioLifecycleConfigAppType::KernelGateway,
            AppKind::JupyterServer => StudioLifecycleConfigAppType::JupyterServer,
            AppKind::JupyterLab => StudioLifecycleConfigAppType::JupyterLab,
            AppKind::CodeEditor => StudioLifecycleConfigAppType::CodeEditor,
        };
        let request = self.client.create_studio_lifecycle_config().studio_lifecycle_config_name(name);
        let request = request.studio_lifecycle_config_content(content).studio_lifecycle_config_app_type(app);
        let answer = request.send().await;
        let answer = answer.map_err(|error| self.sort("sagemaker:CreateStudioLifecycleConfig", name, error))?;
        Ok(answer.studio_lifecycle_config_arn().unwrap_or_default().to_owned())
    }
}

fn ids(list: &[String]) -> Vec<crate::SecurityGroupId> {
    list.iter().map(|id| id.as_str().into()).collect()
}
