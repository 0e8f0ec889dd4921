use std::collections::BTreeSet;

use super::*;

/// A code that a row fits.
fn example(row: &Row) -> String {
    match (row.code.strip_prefix('*'), row.code.strip_suffix('*')) {
        (Some(end), _) => format!("Some{end}"),
        (_, Some(start)) => format!("{start}Whatever"),
        _ => row.code.to_owned(),
    }
}

/// Each row is reached by what it speaks of, and means what it says: none is hidden by one before it.
#[test]
fn every_row_is_reached() {
    for row in CODES {
        let service = if row.service.is_empty() { "sts" } else { row.service };
        let (action, code) = (format!("{service}:Any"), example(row));
        let message = if row.says.is_empty() { "words" } else { row.says };
        let found = find(CODES, service, &code, message).expect("a row");
        assert!(std::ptr::eq(found, row), "{code} ({message}) is hidden by {}", found.code);
        let status = if row.meaning == Meaning::Unavailable { 503 } else { 400 };
        assert_eq!(meaning(&action, &code, message, status), row.meaning, "{code}");
        assert_eq!(hint(&action, &code, message).unwrap_or_default(), row.hint, "{code}");
    }
    for row in STATE_REASONS {
        let code = example(row);
        assert_eq!(state_reason_meaning(&code), row.meaning, "{code}");
        assert_eq!(state_reason_hint(&code).unwrap_or_default(), row.hint, "{code}");
    }
    let named: BTreeSet<_> = CODES.iter().map(|row| (row.service, row.code, row.says)).collect();
    assert_eq!(named.len(), CODES.len(), "no row twice");
}

/// Answers as AWS words them, each with what is to be made of it.
#[test]
fn answers_of_aws_mean_what_its_documents_say() {
    use Meaning as M;
    let run = "ec2:RunInstances";
    let cases = [
        (run, "InvalidKeyPair.NotFound", "The key pair 'laptop' does not exist", M::NotFound, "Key in sdocker.conf"),
        (
            run,
            "AuthFailure",
            "Not authorized for images: [ami-0123456789abcdef0]",
            M::Invalid,
            "share it with this account",
        ),
        (
            run,
            "AuthFailure",
            "AWS was not able to validate the provided access credentials",
            M::Credentials,
            "new credentials",
        ),
        (run, "RequestExpired", "Request has expired.", M::Credentials, "clock"),
        (
            run,
            "VcpuLimitExceeded",
            "You have requested more vCPU capacity than your current vCPU limit of 0",
            M::LimitExceeded,
            "smaller",
        ),
        (
            "ec2:AuthorizeSecurityGroupIngress",
            "RulesPerSecurityGroupLimitExceeded",
            "The maximum number of rules per security group has been reached.",
            M::LimitExceeded,
            "AdditionalPorts",
        ),
        (
            run,
            "OptInRequired",
            "In order to use this AWS Marketplace product you need to accept terms and subscribe.",
            M::Account,
            "Marketplace",
        ),
        (
            run,
            "PendingVerification",
            "Your request for accessing resources in this region is being validated",
            M::Account,
            "verifying",
        ),
        (run, "Blocked", "This account is currently blocked", M::Account, "Support"),
        (run, "MaxSpotInstanceCountExceeded", "Max spot instance count exceeded", M::NoSpot, "on demand"),
        (
            run,
            "AuthFailure.ServiceLinkedRoleCreationNotPermitted",
            "The provided credentials do not have permission to create the service-linked role for EC2 Spot Instances.",
            M::NoSpot,
            "create-service-linked-role",
        ),
        (
            "ec2:CreateSecurityGroup",
            "SecurityGroupLimitExceeded",
            "The maximum number of security groups",
            M::LimitExceeded,
            "groups per Region",
        ),
        (
            "elasticfilesystem:ModifyMountTargetSecurityGroups",
            "SecurityGroupLimitExceeded",
            "",
            M::LimitExceeded,
            "from the mount target",
        ),
    ];
    for (action, code, message, expected, hinted) in cases {
        assert_eq!(meaning(action, code, message, 400), expected, "{code}");
        let hint = hint(action, code, message).unwrap_or_default();
        assert!(hint.contains(hinted), "{code}: {hint}");
    }
    for code in ["InsufficientVolumeCapacity", "UnfulfillableCapacity", "VolumeTypeNotAvailableInZone", "Unsupported"] {
        assert_eq!(meaning(run, code, "", 400), M::NoCapacity, "{code}");
    }
    // EC2 answers InsufficientInstanceCapacity with status 500 (EC2 API reference, "Server error codes").
    assert_eq!(meaning(run, "InsufficientInstanceCapacity", "", 500), M::NoCapacity);
    assert_eq!(meaning(run, "InternalError", "", 500), M::Unavailable);
    assert_eq!(meaning(run, "InvalidParameterValue", "", 500), M::Unavailable, "what took effect is unknown");
    assert_eq!(meaning(run, "NeverHeardOf", "", 400), M::Other);
    assert_eq!(meaning(run, "NeverHeardOf", "", 429), M::Throttled);
    assert_eq!(meaning("ec2:DeleteSecurityGroup", "InvalidGroup.NotFound", "", 400), M::NotFound);
}

/// Hints are said to people, and about the program they run.
#[test]
fn hints_read_as_one_sentence() {
    for row in CODES.iter().chain(STATE_REASONS) {
        let hint = row.hint;
        assert!(!hint.ends_with('.') && !hint.contains("  "), "{}: {hint}", row.code);
    }
}
