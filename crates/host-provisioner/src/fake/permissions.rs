//! Who may do what.

use studio_discovery::Tag;

use super::State;
use crate::{CloudError, CloudErrorKind};

/// The IAM actions that sdocker of 2022 was granted, and with which this one has to get by (docs/permissions.md).
pub const PERMISSIONS_OF_2022: [&str; 15] = [
    "sagemaker:DescribeDomain",
    "sagemaker:DescribeUserProfile",
    "sagemaker:ListTags",
    "elasticfilesystem:DescribeMountTargets",
    "elasticfilesystem:DescribeMountTargetSecurityGroups",
    "elasticfilesystem:ModifyMountTargetSecurityGroups",
    "ec2:RunInstances",
    "ec2:DescribeImages",
    "ec2:TerminateInstances",
    "ec2:DescribeInstances",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeNetworkInterfaceAttribute",
    "ec2:CreateSecurityGroup",
    "ec2:AuthorizeSecurityGroupIngress",
];

impl State {
    /// Fails where the caller may not call an action.
    pub(super) fn allow(&self, action: &'static str, resource: &str) -> Result<(), CloudError> {
        self.allow_for(action, action, resource)
    }

    /// Fails where the caller may not call an action, or not give it tags.
    pub(super) fn allow_tagged(&self, action: &'static str, resource: &str, tags: &[Tag]) -> Result<(), CloudError> {
        self.allow(action, resource)?;
        if tags.is_empty() { Ok(()) } else { self.allow_for(action, "ec2:CreateTags", resource) }
    }

    /// Fails where a call needs the permission for another action as well, as tags in a call need `ec2:CreateTags`.
    pub(super) fn allow_for(&self, call: &'static str, action: &str, resource: &str) -> Result<(), CloudError> {
        let allowed = self.allowed.as_ref().is_none_or(|allowed| allowed.contains(action));
        if allowed && !self.denied.contains(action) {
            return Ok(());
        }
        let refused = (call != action).then(|| action.to_owned());
        let error = CloudError::new(call, resource, CloudErrorKind::AccessDenied { refused });
        let user = "arn:aws:sts::123456789012:assumed-role/studio/app";
        let message = format!("User: {user} is not authorized to perform: {action} on resource: {resource}");
        Err(error.with_message("UnauthorizedOperation".to_owned(), message))
    }
}
