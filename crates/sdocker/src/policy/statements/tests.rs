use serde_json::Value;

use super::*;

fn scope() -> Scope {
    Scope {
        region: Some("eu-west-1".to_owned()),
        account: Some("123456789012".to_owned()),
        vpc: Some("vpc-1".to_owned()),
        domain: Some("d-1".to_owned()),
        owner: Some("ana".to_owned()),
        subnets: vec!["subnet-1".to_owned(), "subnet-2".to_owned()],
        file_systems: vec!["fs-1".to_owned()],
        interfaces: vec!["eni-1".to_owned()],
        passed_role: None,
    }
}

fn actions(tasks: &[Task], prepared: bool) -> Vec<&'static str> {
    let mut actions: Vec<_> =
        statements(tasks, prepared, &scope()).into_iter().flat_map(|statement| statement.actions).collect();
    actions.sort_unstable();
    actions.dedup();
    actions
}

fn whole() -> Vec<Value> {
    statements(&Task::ALL, false, &scope()).iter().map(Statement::to_json).collect()
}

#[test]
fn keeping_needs_nothing_and_looking_one_read() {
    assert_eq!(actions(&[Task::Keep], false), Vec::<&str>::new());
    assert_eq!(actions(&[Task::Status], false), ["ec2:DescribeInstances"]);
    assert_eq!(actions(&[Task::Terminate], false), ["ec2:DescribeInstances", "ec2:TerminateInstances"]);
}

#[test]
fn with_prepared_groups_nothing_shared_is_changed() {
    for action in actions(&Task::ALL, true) {
        assert!(!action.contains("SecurityGroup") && !action.contains("NetworkInterface"), "{action}");
    }
}

#[test]
fn sids_are_unique_and_every_statement_says_why() {
    let all = statements(&Task::ALL, false, &scope());
    let mut sids: Vec<_> = all.iter().map(|statement| statement.sid).collect();
    sids.sort_unstable();
    sids.dedup();
    assert_eq!(sids.len(), all.len());
    assert!(all.iter().all(|statement| !statement.why.is_empty()));
}

#[test]
fn the_whole_policy_fits_a_managed_policy() {
    let characters = serde_json::to_string(&whole()).expect("it is JSON").len();
    // IAM quotas: 6,144 characters for a managed policy, 10,240 for a role's inline policies.
    assert!(characters < 6144, "{characters}");
}

#[test]
fn the_whole_policy() {
    insta::assert_json_snapshot!(whole());
}

#[test]
fn the_statement_for_an_action_is_the_one_about_its_resource() {
    let sids = |action: &str, arn: Option<&str>| -> Vec<&str> {
        allowing(action, arn, &scope()).iter().map(|statement| statement.sid).collect()
    };
    let arn = |resource| format!("arn:aws:ec2:eu-west-1:123456789012:{resource}");
    assert_eq!(sids("ec2:RunInstances", Some(&arn("subnet/subnet-1"))), ["LaunchWithin"]);
    assert_eq!(sids("ec2:RunInstances", Some(&arn("instance/*"))), ["LaunchTagged"]);
    assert_eq!(sids("ec2:RunInstances", None), ["LaunchTagged", "LaunchWithin", "LaunchWith"]);
    assert_eq!(sids("ec2:DescribeImages", None), ["Reads"]);
    assert_eq!(sids("s3:GetObject", None), Vec::<&str>::new());
    let rules = allowing("ec2:RevokeSecurityGroupEgress", Some(&arn("security-group/sg-1")), &scope());
    assert_eq!(rules[0].actions, ["ec2:RevokeSecurityGroupEgress"], "and nothing else");
}

#[test]
fn without_mount_targets_nothing_of_efs_is_allowed() {
    for prepared in [false, true] {
        let left = statements_without_mount_targets(&Task::ALL, prepared, &scope());
        let actions: Vec<&str> = left.iter().flat_map(|statement| statement.actions.iter().copied()).collect();
        assert!(actions.contains(&"ec2:RunInstances"), "{actions:?}");
        let of_efs =
            |action: &&str| action.starts_with("elasticfilesystem:") || action.ends_with("NetworkInterfaceAttribute");
        assert!(!actions.iter().any(of_efs), "{actions:?}");
    }
}
