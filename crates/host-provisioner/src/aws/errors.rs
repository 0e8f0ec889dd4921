//! What AWS's errors mean.

use std::error::Error as StdError;

use aws_answers::{SdkFailure, codes};
use aws_config::SdkConfig;
use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::{CloudError, CloudErrorKind, cloud::kind};

/// Says what a service's errors mean, and where the service is reached.
#[derive(Clone, Debug)]
pub(super) struct Classifier {
    endpoint: String,
    region: String,
}

impl Classifier {
    pub(super) fn new(config: &SdkConfig, service: &str) -> Self {
        let region = config.region().map(ToString::to_string).unwrap_or_default();
        let endpoint = match config.endpoint_url() {
            Some(url) => url.to_owned(),
            None => format!("https://{service}.{region}.amazonaws.com"),
        };
        Self { endpoint, region }
    }

    /// The Region's code; empty where none is set.
    pub(super) fn region(&self) -> &str {
        &self.region
    }

    /// Classifies an error of the SDK by what the caller can do about it.
    pub(super) fn classify<E>(
        &self,
        action: &'static str,
        resource: impl Into<String>,
        error: SdkError<E, HttpResponse>,
    ) -> CloudError
    where
        E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
    {
        match SdkFailure::of(error) {
            SdkFailure::Service { status, code, message } => {
                let kind = kind(codes::meaning(action, &code, &message, status), &message);
                CloudError::new(action, resource, kind).with_message(code, message)
            }
            SdkFailure::Foreign(answer) => CloudError::new(action, resource, CloudErrorKind::ForeignAnswer(answer)),
            SdkFailure::Credentials { message } => {
                CloudError::new(action, resource, CloudErrorKind::Credentials).with_message(None, message)
            }
            SdkFailure::Unmade { message } => {
                CloudError::new(action, resource, CloudErrorKind::Invalid).with_message(None, message)
            }
            SdkFailure::NoAnswer { never_sent, message, source } => {
                let (endpoint, region) = (self.endpoint.clone(), self.region.clone());
                let kind = CloudErrorKind::NoAnswer { endpoint, region, never_sent };
                CloudError {
                    source: Some(source.into()),
                    ..CloudError::new(action, resource, kind).with_message(None, message)
                }
            }
        }
    }
}
