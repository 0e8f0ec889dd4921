//! What can go wrong in discovery.

use std::path::PathBuf;

/// A call to the SageMaker control plane failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApiError {
    /// The caller's role may not make this call.
    #[error("not allowed to call {action} on {resource}: {message}")]
    AccessDenied {
        /// The IAM action, such as `sagemaker:DescribeDomain`.
        action: &'static str,
        /// What it was called on.
        resource: String,
        /// AWS's code and own words.
        message: String,
    },
    /// The credentials are missing, expired or not valid.
    #[error("the AWS credentials were not accepted for {action}: {message}")]
    Credentials {
        /// The IAM action.
        action: &'static str,
        /// AWS's or the credential chain's own message.
        message: String,
        /// What to do about it, where AWS's code tells.
        hint: Option<&'static str>,
    },
    /// What was asked for does not exist.
    #[error("{resource} was not found by {action}: {message}")]
    NotFound {
        /// The IAM action.
        action: &'static str,
        /// What was looked for.
        resource: String,
        /// AWS's code and own words.
        message: String,
    },
    /// No answer: no route, no name, a refused connection, a time-out.
    #[error("no answer from {endpoint} for {action} in Region {region}")]
    Unreachable {
        /// The IAM action.
        action: &'static str,
        /// The endpoint, as far as it is known.
        endpoint: String,
        /// The Region asked.
        region: String,
        /// What the transport said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An answer that is not AWS's, such as a proxy's own page.
    #[error("{action} got {answer}")]
    ForeignAnswer {
        /// The IAM action.
        action: &'static str,
        /// The answer.
        answer: aws_answers::ForeignAnswer,
    },
    /// Any other answer of the service that is an error.
    #[error("{action} failed: {code}: {message}")]
    Service {
        /// The IAM action.
        action: &'static str,
        /// The service's error code.
        code: String,
        /// The service's message.
        message: String,
    },
}

/// Discovery can't tell what Studio app this is, or sdocker can't work in it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DiscoveryError {
    /// There is no metadata file: this is not a Studio app.
    #[error("no SageMaker Studio metadata at {path}")]
    NotStudio {
        /// The file that was looked for.
        path: PathBuf,
    },
    /// The metadata file can't be read.
    #[error("cannot read {path}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The metadata file is not what Studio writes.
    #[error("{path}:{line}:{column}: {expected}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
        /// What was expected there.
        expected: String,
    },
    /// The metadata file lacks a field that is needed.
    #[error("{path}: no {field}: {why}")]
    MissingField {
        /// The file.
        path: PathBuf,
        /// The field.
        field: &'static str,
        /// What it is needed for.
        why: &'static str,
    },
    /// A field of the metadata file is not the name that it should be.
    #[error("{path}: {field}: {source}")]
    InvalidField {
        /// The file.
        path: PathBuf,
        /// The field.
        field: &'static str,
        /// What was expected.
        source: crate::InvalidId,
    },
    /// A kind of app in which sdocker can't work.
    #[error("{what} is not supported: {why}")]
    UnsupportedApp {
        /// The kind.
        what: String,
        /// Why not, and what to do.
        why: &'static str,
    },
    /// The domain's apps do not run in its VPC, so that they can't reach a host there.
    #[error("domain {domain} does not use VpcOnly network access")]
    NotVpcOnly {
        /// The domain.
        domain: crate::DomainId,
    },
    /// The domain's answer lacks something that every domain has.
    #[error("the response to {action} for {resource} has no {field}")]
    Incomplete {
        /// The IAM action.
        action: &'static str,
        /// What was asked for.
        resource: String,
        /// The field.
        field: &'static str,
    },
    /// A space of which SageMaker names no owner.
    #[error("space {space} has no owner")]
    NoOwner {
        /// The space.
        space: crate::SpaceName,
    },
    /// No Region: neither the environment nor the app's ARN names one.
    #[error("no AWS Region: AWS_REGION and REGION_NAME are not set, and the app's ARN names none")]
    NoRegion,
    /// What names the Region is no Region's code.
    #[error("no AWS Region: {0}")]
    InvalidRegion(crate::InvalidId),
    /// A call failed.
    #[error(transparent)]
    Api(#[from] ApiError),
}
