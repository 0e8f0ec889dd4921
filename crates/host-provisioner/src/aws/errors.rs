//! What AWS's errors mean.

use std::error::Error as StdError;

use aws_answers::SdkFailure;
use aws_config::SdkConfig;
use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::{CloudError, CloudErrorKind};

/// Where a service is reached, for errors that say so.
#[derive(Clone, Debug)]
pub(super) struct Place {
    endpoint: String,
    region: String,
}

impl Place {
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

    /// Sorts an error of the SDK by what the caller can do about it.
    pub(super) fn sort<E>(
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
                let kind = kind(&code, status, &message);
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
                    source: Some(source),
                    ..CloudError::new(action, resource, kind).with_message(None, message)
                }
            }
        }
    }
}

/// What a code means (EC2 API reference, "Error codes"; EFS API reference, "Common errors").
fn kind(code: &str, status: u16, message: &str) -> CloudErrorKind {
    match code {
        "UnauthorizedOperation" | "AccessDenied" | "AccessDeniedException" => {
            CloudErrorKind::AccessDenied { refused: refused(message) }
        }
        "ExpiredToken"
        | "ExpiredTokenException"
        | "RequestExpired"
        | "AuthFailure"
        | "InvalidClientTokenId"
        | "UnrecognizedClientException"
        | "InvalidSignatureException"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException" => CloudErrorKind::Credentials,
        "MountTargetNotFound" | "FileSystemNotFound" | "SecurityGroupNotFound" => CloudErrorKind::NotFound,
        "InvalidGroup.Duplicate" | "InvalidPermission.Duplicate" => CloudErrorKind::AlreadyExists,
        "DependencyViolation" | "InvalidGroup.InUse" => CloudErrorKind::InUse,
        "InsufficientInstanceCapacity"
        | "InsufficientHostCapacity"
        | "InsufficientCapacity"
        | "Unsupported"
        | "InsufficientFreeAddressesInSubnet"
        | "SpotMaxPriceTooLow" => CloudErrorKind::NoCapacity,
        "SecurityGroupLimitExceeded" | "MaxSpotInstanceCountExceeded" | "SecurityGroupLimitExceededException" => {
            CloudErrorKind::LimitExceeded
        }
        "Throttling" | "ThrottlingException" | "TooManyRequests" | "SlowDown" | "ThrottledException" => {
            CloudErrorKind::Throttled
        }
        code if code.ends_with("RequestLimitExceeded") => CloudErrorKind::Throttled,
        code if code.ends_with("LimitExceeded") => CloudErrorKind::LimitExceeded,
        code if code.ends_with(".NotFound") || code.ends_with(".NotFoundException") => CloudErrorKind::NotFound,
        code if code.starts_with("Invalid") || code.starts_with("Missing") || code == "IdempotentParameterMismatch" => {
            CloudErrorKind::Invalid
        }
        _ if status >= 500 => CloudErrorKind::Unavailable,
        _ if status == 429 => CloudErrorKind::Throttled,
        _ => CloudErrorKind::Other,
    }
}

/// The action that a refusal names: `... is not authorized to perform: ec2:CreateTags on resource: ...`.
fn refused(message: &str) -> Option<String> {
    let (_, after) = message.split_once("not authorized to perform: ")?;
    let action = after.split([' ', ',']).next()?;
    action.contains(':').then(|| action.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_sorted_by_what_can_be_done() {
        let cases = [
            ("InvalidGroup.NotFound", CloudErrorKind::NotFound),
            ("InvalidInstanceID.NotFound", CloudErrorKind::NotFound),
            ("InvalidGroup.Duplicate", CloudErrorKind::AlreadyExists),
            ("DependencyViolation", CloudErrorKind::InUse),
            ("InsufficientInstanceCapacity", CloudErrorKind::NoCapacity),
            ("Unsupported", CloudErrorKind::NoCapacity),
            ("VcpuLimitExceeded", CloudErrorKind::LimitExceeded),
            ("RequestLimitExceeded", CloudErrorKind::Throttled),
            ("RequestExpired", CloudErrorKind::Credentials),
            ("InvalidParameterValue", CloudErrorKind::Invalid),
            ("InternalError", CloudErrorKind::Other),
        ];
        for (code, expected) in cases {
            assert_eq!(kind(code, 400, ""), expected, "{code}");
        }
        assert_eq!(kind("InternalError", 500, ""), CloudErrorKind::Unavailable);
    }

    #[test]
    fn a_refusal_names_its_action() {
        let message = "You are not authorized to perform this operation. User: arn:aws:sts::1:assumed-role/r/s is not authorized to \
                       perform: ec2:CreateTags on resource: arn:aws:ec2:eu-west-1:1:instance/* because no identity-based policy allows it";
        assert_eq!(refused(message).as_deref(), Some("ec2:CreateTags"));
        assert_eq!(
            refused("You are not authorized to perform this operation. Encoded authorization failure message: abc"),
            None
        );
    }
}
