//! What AWS's error codes mean, and what to do about them: one table for every service that is called.
//!
//! The codes are those of the EC2 API reference ("Error codes for the Amazon EC2 API", which includes Amazon EBS), of the EFS API
//! reference (the errors of `DescribeMountTargets`, `DescribeMountTargetSecurityGroups` and `ModifyMountTargetSecurityGroups`), of the
//! SageMaker API reference ("Common Errors", and those of the `Describe` actions), of the Service Quotas API reference
//! (`GetServiceQuota`), and of the EC2 API reference, `StateReason`.

/// What a failure means to the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Meaning {
    /// The caller may not make the call.
    AccessDenied,
    /// The credentials are missing, expired or not valid, or the request is signed for another time.
    Credentials,
    /// The account may not use the service (yet, or any more).
    Account,
    /// What the call names does not exist, or not yet.
    NotFound,
    /// It exists already.
    AlreadyExists,
    /// Something else still uses it.
    InUse,
    /// A quota or limit.
    LimitExceeded,
    /// Nothing is free there: another zone, or another time, may do.
    NoCapacity,
    /// No Spot instance for this account, wherever it is asked for.
    NoSpot,
    /// The request is wrong, and stays wrong.
    Invalid,
    /// Too many calls.
    Throttled,
    /// The service failed; whether the call took effect is unknown.
    Unavailable,
    /// None of these.
    Other,
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The service, by the prefix of its IAM actions; empty for every service.
    pub service: &'static str,
    /// The code; with a `*` at its start or end, every code that ends or starts so.
    pub code: &'static str,
    /// A word of the message that tells this case from others of the same code; empty for every message.
    pub says: &'static str,
    /// What it means.
    pub meaning: Meaning,
    /// What to do about it; empty where that is said elsewhere, or nothing can be done.
    pub hint: &'static str,
}

const CREDENTIALS: &str = "in Studio, restart the app to get new credentials; elsewhere, log in again (`aws sts get-caller-identity` shows \
                           whether it worked)";
const EXPIRED: &str = "the credentials have expired, or this machine's clock is wrong (`date -u`): in Studio, restart the app to get new credentials; \
                       elsewhere, log in again (`aws sts get-caller-identity` shows whether it worked)";
const CLOCK: &str = "the request was signed for another time: check this machine's clock (`date -u`); if it is right, get new credentials";
const IMAGE: &str = "check ImageId in sdocker.conf, or remove it: sdocker finds the newest image that fits";
const QUOTA: &str =
    "ask an administrator to raise the account's quota in Service Quotas, or end what is not needed any more";
/// EBS user guide, "Permissions to use AWS KMS keys for EBS encryption".
const KMS: &str = "most often the caller may not use the KMS key with which the account encrypts EBS volumes (`aws ec2 \
                   get-ebs-default-kms-key-id`): ask an administrator to allow kms:CreateGrant, kms:Decrypt, kms:DescribeKey, \
                   kms:GenerateDataKeyWithoutPlaintext and kms:ReEncrypt* on it, and to see that the key is enabled";
const LATER: &str = "try again in a few minutes";

const fn row(
    service: &'static str,
    code: &'static str,
    says: &'static str,
    meaning: Meaning,
    hint: &'static str,
) -> Row {
    Row { service, code, says, meaning, hint }
}

/// The table. The first row that fits counts.
pub const CODES: &[Row] = {
    use Meaning as M;
    &[
        // Permissions. What to ask for depends on the action, the resource and the policy: see the caller.
        row("", "UnauthorizedOperation", "", M::AccessDenied, ""),
        row("", "AccessDenied", "", M::AccessDenied, ""),
        row("", "AccessDeniedException", "", M::AccessDenied, ""),
        // Spot. The role is made once per account (EC2 user guide, "Service-linked role for Spot Instance requests").
        row(
            "ec2",
            "AuthFailure.ServiceLinkedRoleCreationNotPermitted",
            "",
            M::NoSpot,
            "ask an administrator to create the account's role for Spot, once: `aws iam create-service-linked-role --aws-service-name \
             spot.amazonaws.com`; or launch on demand",
        ),
        row(
            "ec2",
            "MaxSpotInstanceCountExceeded",
            "",
            M::NoSpot,
            "ask an administrator to raise the account's quota for Spot Instances in Service Quotas, or launch on demand",
        ),
        // EC2 answers so of credentials, of a clock that is off, and of what is not shared with the account.
        row(
            "ec2",
            "AuthFailure",
            "authorized for images",
            M::Invalid,
            "the image is private: ask its owner to share it with this account, or remove ImageId from sdocker.conf",
        ),
        row("ec2", "AuthFailure", "credentials", M::Credentials, CREDENTIALS),
        row("ec2", "AuthFailure", "not yet current", M::Credentials, CLOCK),
        row("ec2", "AuthFailure", "expired", M::Credentials, CLOCK),
        row(
            "ec2",
            "AuthFailure",
            "",
            M::Invalid,
            "what the call names belongs to another account, or is not shared with this one",
        ),
        // "If you're using temporary security credentials, this error can also occur if the credentials have expired" (EC2 API reference,
        // "Error codes").
        row("", "RequestExpired", "", M::Credentials, EXPIRED),
        row("", "RequestTimeTooSkewed", "", M::Credentials, CLOCK),
        row("", "InvalidSignatureException", "Signature expired", M::Credentials, CLOCK),
        row("", "InvalidSignatureException", "not yet current", M::Credentials, CLOCK),
        row("", "InvalidSignatureException", "", M::Credentials, CREDENTIALS),
        row("", "SignatureDoesNotMatch", "Signature expired", M::Credentials, CLOCK),
        row("", "SignatureDoesNotMatch", "not yet current", M::Credentials, CLOCK),
        row("", "SignatureDoesNotMatch", "", M::Credentials, CREDENTIALS),
        row("", "IncompleteSignature", "", M::Credentials, CREDENTIALS),
        row("", "ExpiredToken", "", M::Credentials, CREDENTIALS),
        row("", "ExpiredTokenException", "", M::Credentials, CREDENTIALS),
        row("", "InvalidClientTokenId", "", M::Credentials, CREDENTIALS),
        row("", "UnrecognizedClientException", "", M::Credentials, CREDENTIALS),
        row("", "MissingAuthenticationToken", "", M::Credentials, CREDENTIALS),
        row("", "MissingAuthenticationTokenException", "", M::Credentials, CREDENTIALS),
        // The account itself.
        row(
            "ec2",
            "OptInRequired",
            "arketplace",
            M::Account,
            "subscribe to the image's product in AWS Marketplace with this account, or remove ImageId from sdocker.conf",
        ),
        row(
            "",
            "OptInRequired",
            "",
            M::Account,
            "sign the account up for the service, or wait until its sign-up is complete",
        ),
        row(
            "ec2",
            "PendingVerification",
            "",
            M::Account,
            "AWS is verifying the account for this Region, which can take some hours: try again later, or contact AWS Support",
        ),
        row("ec2", "Blocked", "", M::Account, "the account is blocked: its owner has to contact AWS Support"),
        // What does not exist.
        row(
            "ec2",
            "InvalidKeyPair.NotFound",
            "",
            M::NotFound,
            "check Key in sdocker.conf, or remove it: `aws ec2 describe-key-pairs` lists the Region's key pairs",
        ),
        row(
            "ec2",
            "InvalidSubnetID.NotFound",
            "",
            M::NotFound,
            "take another of the domain's subnets with --subnet-id",
        ),
        row(
            "ec2",
            "InvalidGroup.NotFound",
            "",
            M::NotFound,
            "check HostSGs in sdocker.conf, and the security groups of the user profile: each has to be in the domain's VPC",
        ),
        row("ec2", "InvalidGroupId.Malformed", "", M::Invalid, "check HostSGs in sdocker.conf"),
        row("ec2", "InvalidAMIID.NotFound", "", M::NotFound, IMAGE),
        row("ec2", "InvalidAMIID.Unavailable", "", M::NotFound, IMAGE),
        row("ec2", "InvalidAMIID.Malformed", "", M::Invalid, IMAGE),
        row("ec2", "InvalidSnapshot.NotFound", "", M::NotFound, IMAGE),
        row("elasticfilesystem", "MountTargetNotFound", "", M::NotFound, ""),
        row("elasticfilesystem", "FileSystemNotFound", "", M::NotFound, ""),
        row("elasticfilesystem", "SecurityGroupNotFound", "", M::NotFound, ""),
        row("servicequotas", "NoSuchResourceException", "", M::NotFound, ""),
        row("sagemaker", "ResourceNotFound", "", M::NotFound, ""),
        row("sagemaker", "ResourceNotFoundException", "", M::NotFound, ""),
        // SageMaker answers so of a domain or profile that does not exist.
        row("sagemaker", "ValidationException", "does not exist", M::NotFound, ""),
        row("sagemaker", "ValidationException", "not found", M::NotFound, ""),
        // What exists already, or is used.
        row("ec2", "InvalidGroup.Duplicate", "", M::AlreadyExists, ""),
        row("ec2", "InvalidPermission.Duplicate", "", M::AlreadyExists, ""),
        row("ec2", "DependencyViolation", "", M::InUse, ""),
        row("ec2", "InvalidGroup.InUse", "", M::InUse, ""),
        row("sagemaker", "ResourceInUse", "", M::InUse, ""),
        row(
            "elasticfilesystem",
            "IncorrectMountTargetState",
            "",
            M::InUse,
            "the mount target is being changed: try again in a minute",
        ),
        // Capacity.
        row("ec2", "InsufficientInstanceCapacity", "", M::NoCapacity, ""),
        row("ec2", "InsufficientHostCapacity", "", M::NoCapacity, ""),
        row("ec2", "InsufficientCapacity", "", M::NoCapacity, ""),
        row("ec2", "InsufficientVolumeCapacity", "", M::NoCapacity, ""),
        row(
            "ec2",
            "InsufficientFreeAddressesInSubnet",
            "",
            M::NoCapacity,
            "free addresses in the subnet, or take another one with --subnet-id",
        ),
        row("ec2", "UnfulfillableCapacity", "", M::NoCapacity, ""),
        row("ec2", "VolumeTypeNotAvailableInZone", "", M::NoCapacity, ""),
        row("ec2", "SpotMaxPriceTooLow", "", M::NoCapacity, ""),
        // "The requested configuration is currently not supported": a type that the zone does not have, most often.
        row("ec2", "Unsupported", "", M::NoCapacity, ""),
        // Limits.
        row(
            "ec2",
            "VcpuLimitExceeded",
            "",
            M::LimitExceeded,
            "take a smaller instance type, end instances that are not needed, or ask an administrator to raise the quota for On-Demand \
             virtual CPUs of EC2 in Service Quotas",
        ),
        row(
            "ec2",
            "InstanceLimitExceeded",
            "",
            M::LimitExceeded,
            "take another instance type, end instances that are not needed, or ask an administrator to raise the quota in Service Quotas",
        ),
        row(
            "ec2",
            "RulesPerSecurityGroupLimitExceeded",
            "",
            M::LimitExceeded,
            "name fewer AdditionalPorts in sdocker.conf, or ask an administrator to remove rules from the group or to raise the quota for \
             rules per security group of Amazon VPC",
        ),
        row(
            "ec2",
            "SecurityGroupsPerInterfaceLimitExceeded",
            "",
            M::LimitExceeded,
            "name fewer groups in HostSGs in sdocker.conf",
        ),
        row(
            "ec2",
            "SecurityGroupsPerInstanceLimitExceeded",
            "",
            M::LimitExceeded,
            "name fewer groups in HostSGs in sdocker.conf",
        ),
        row(
            "ec2",
            "SecurityGroupLimitExceeded",
            "",
            M::LimitExceeded,
            "ask an administrator to delete security groups that nobody needs, or to raise the quota for groups per Region of Amazon VPC",
        ),
        row(
            "elasticfilesystem",
            "SecurityGroupLimitExceeded",
            "",
            M::LimitExceeded,
            "ask an administrator to remove a security group from the mount target that nobody needs",
        ),
        row(
            "ec2",
            "VolumeLimitExceeded",
            "",
            M::LimitExceeded,
            "take a smaller EBSVolumeSize in sdocker.conf, or ask an administrator to delete volumes or to raise the quota of Amazon EBS",
        ),
        row("ec2", "TagLimitExceeded", "", M::LimitExceeded, "remove tags from the user profile"),
        // Throttling (EC2 developer guide, "Request throttling").
        row("", "*RequestLimitExceeded", "", M::Throttled, LATER),
        row("", "Throttling", "", M::Throttled, LATER),
        row("", "ThrottlingException", "", M::Throttled, LATER),
        row("", "ThrottledException", "", M::Throttled, LATER),
        row("", "TooManyRequests", "", M::Throttled, LATER),
        row("", "TooManyRequestsException", "", M::Throttled, LATER),
        row("", "SlowDown", "", M::Throttled, LATER),
        row("", "*LimitExceeded", "", M::LimitExceeded, QUOTA),
        row("", "*LimitExceededException", "", M::LimitExceeded, QUOTA),
        // A request that is wrong.
        row("ec2", "InvalidParameterValue", "nstance Profile", M::Invalid, "check InstanceProfileArn in sdocker.conf"),
        row(
            "ec2",
            "InvalidParameter",
            "different networks",
            M::Invalid,
            "check HostSGs in sdocker.conf: each group has to be in the domain's VPC",
        ),
        row(
            "ec2",
            "InvalidBlockDeviceMapping",
            "",
            M::Invalid,
            "check EBSVolumeSize in sdocker.conf: it can't be less than the image needs",
        ),
        row("", "*.NotFound", "", M::NotFound, ""),
        row("", "*.NotFoundException", "", M::NotFound, ""),
        row("", "IdempotentParameterMismatch", "", M::Invalid, ""),
        row("elasticfilesystem", "BadRequest", "", M::Invalid, ""),
        row("", "ValidationException", "", M::Invalid, ""),
        row("", "Invalid*", "", M::Invalid, ""),
        row("", "Missing*", "", M::Invalid, ""),
        row("", "Malformed*", "", M::Invalid, ""),
        // The service itself.
        row("", "ServiceUnavailable", "", M::Unavailable, LATER),
        row("", "Unavailable", "", M::Unavailable, LATER),
        row("", "InternalFailure", "", M::Unavailable, LATER),
    ]
};

/// Why an instance stopped or ended, by its `StateReason.Code` (EC2 API reference, `StateReason`).
pub const STATE_REASONS: &[Row] = {
    use Meaning as M;
    &[
        row("ec2", "Server.InsufficientInstanceCapacity", "", M::NoCapacity, ""),
        row(
            "ec2",
            "Server.SpotInstanceTermination",
            "",
            M::NoCapacity,
            "Spot capacity was taken back: launch again, or on demand",
        ),
        row(
            "ec2",
            "Server.SpotInstanceShutdown",
            "",
            M::NoCapacity,
            "Spot capacity was taken back: launch again, or on demand",
        ),
        row("ec2", "Server.InternalError", "", M::Unavailable, LATER),
        row(
            "ec2",
            "Server.ScheduledStop",
            "",
            M::Other,
            "AWS stopped the instance because its hardware is retired: create another host",
        ),
        // EC2 user guide, "Troubleshoot Amazon EC2 instance launch issues".
        row("ec2", "Client.InternalError", "", M::Invalid, KMS),
        row("ec2", "Client.InvalidKMSKey*", "", M::Invalid, KMS),
        row("ec2", "Client.InvalidSnapshot.NotFound", "", M::NotFound, IMAGE),
        row(
            "ec2",
            "Client.VolumeLimitExceeded",
            "",
            M::LimitExceeded,
            "take a smaller EBSVolumeSize in sdocker.conf, or ask an administrator to delete volumes or to raise the quota of Amazon EBS",
        ),
        row(
            "ec2",
            "Client.UserInitiatedShutdown",
            "",
            M::Other,
            "somebody ended it: AWS CloudTrail shows who called ec2:TerminateInstances",
        ),
        row("ec2", "Client.UserInitiatedHibernate", "", M::Other, "somebody hibernated it: AWS CloudTrail shows who"),
        row(
            "ec2",
            "Client.InstanceInitiatedShutdown",
            "",
            M::Other,
            "the host ended itself, or somebody shut it down from within",
        ),
        row("ec2", "Client.InstanceTerminated", "", M::Other, ""),
    ]
};

impl Row {
    fn fits(&self, service: &str, code: &str, message: &str) -> bool {
        let named = match (self.code.strip_prefix('*'), self.code.strip_suffix('*')) {
            (Some(end), _) => code.ends_with(end),
            (_, Some(start)) => code.starts_with(start),
            _ => code == self.code,
        };
        named && (self.service.is_empty() || self.service == service) && message.contains(self.says)
    }
}

fn find(table: &'static [Row], service: &str, code: &str, message: &str) -> Option<&'static Row> {
    table.iter().find(|row| row.fits(service, code, message))
}

/// The service of an IAM action: `ec2` of `ec2:RunInstances`.
fn service(action: &str) -> &str {
    action.split(':').next().unwrap_or_default()
}

/// What an error of a call means. `status` is the answer's HTTP status.
pub fn meaning(action: &str, code: &str, message: &str, status: u16) -> Meaning {
    match find(CODES, service(action), code, message) {
        // A failure of the service itself may come with the code of a wrong request.
        Some(row) if status < 500 || matches!(row.meaning, Meaning::Throttled | Meaning::NoCapacity) => row.meaning,
        _ if status >= 500 => Meaning::Unavailable,
        _ if status == 429 => Meaning::Throttled,
        _ => Meaning::Other,
    }
}

/// What to do about an error of a call, where the code tells.
pub fn hint(action: &str, code: &str, message: &str) -> Option<&'static str> {
    find(CODES, service(action), code, message).map(|row| row.hint).filter(|hint| !hint.is_empty())
}

/// What the end of an instance means, by its `StateReason.Code`.
pub fn state_reason_meaning(code: &str) -> Meaning {
    find(STATE_REASONS, "ec2", code, "").map_or(Meaning::Other, |row| row.meaning)
}

/// What to do about the end of an instance, where the code tells.
pub fn state_reason_hint(code: &str) -> Option<&'static str> {
    find(STATE_REASONS, "ec2", code, "").map(|row| row.hint).filter(|hint| !hint.is_empty())
}

#[cfg(test)]
mod tests;
