//! A call as it is shown, and as it is asked about, before it is made.

use serde::Serialize;
use serde_json::{Value, json};
use studio_discovery::Tag;

use crate::{DryRun, preflight::Unproven};

/// An API call that changes something, by AWS's names of the action and its parameters. Ids that only an earlier call will give
/// stand as `<...>`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PlannedCall {
    /// The IAM action, such as `ec2:RunInstances`.
    pub action: &'static str,
    /// The parameters.
    pub parameters: Value,
}

/// What can be asked before, and what can't.
#[derive(Default)]
pub(crate) struct Asks {
    /// Calls that the cloud can be asked about.
    pub(crate) calls: Vec<DryRun>,
    /// Actions that it can't be asked about, with the reason.
    pub(crate) unproven: Vec<(&'static str, Unproven)>,
}

pub(super) fn tag_parameters(tags: &[Tag]) -> Vec<Value> {
    tags.iter().map(|tag| json!({"Key": tag.key, "Value": tag.value})).collect()
}
