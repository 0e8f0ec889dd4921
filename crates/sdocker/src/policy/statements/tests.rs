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
        ..Scope::default()
    }
}

fn actions(tasks: &[Task], prepared: bool) -> Vec<&'static str> {
    let mut actions: Vec<_> = statements(tasks, For::default().prepared(prepared), &scope())
        .into_iter()
        .flat_map(|statement| statement.actions)
        .collect();
    actions.sort_unstable();
    actions.dedup();
    actions
}

fn whole() -> Vec<Value> {
    statements(&Task::ALL, For::default(), &scope()).iter().map(Statement::to_json).collect()
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
        let reads = action.contains(":Describe");
        assert!(reads || !action.contains("SecurityGroup") && !action.contains("NetworkInterface"), "{action}");
    }
}

#[test]
fn sids_are_unique_and_every_statement_says_why() {
    let all = statements(&Task::ALL, For::default(), &scope());
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

/// A domain may have as many subnets as its VPC: limited to each of them the policy would be longer than IAM takes.
#[test]
fn a_policy_of_very_many_subnets_is_limited_by_the_vpc() {
    use super::super::{LONGEST, document, fitting};
    let ids = |kind: &str, count: usize| (0..count).map(|n| format!("{kind}-{n:017x}")).collect::<Vec<_>>();
    let all = |scope: &Scope| statements(&Task::ALL, For::default(), scope);
    let small = fitting(&scope(), all);
    assert_eq!((small.statements, small.widened), (all(&scope()), Vec::new()));
    let many = Scope { subnets: ids("subnet", 60), interfaces: ids("eni", 60), ..scope() };
    assert!(document(&all(&many)).to_string().len() > LONGEST);
    for (many, widened) in [(Scope { interfaces: ids("eni", 3), ..many.clone() }, 1), (many, 2)] {
        let fit = fitting(&many, all);
        assert_eq!(fit.widened.len(), widened, "{:?}", fit.widened);
        assert!(document(&fit.statements).to_string().len() <= LONGEST);
        let launch = fit.statements.iter().find(|statement| statement.sid == "LaunchWithin").expect("it is there");
        assert_eq!(launch.to_json()["Condition"], json!({"ArnLike": {"ec2:Vpc": "arn:aws:ec2:eu-west-1:*:vpc/vpc-1"}}));
    }
    // Without a VPC nothing else limits them.
    let nowhere = Scope { vpc: None, subnets: ids("subnet", 100), ..scope() };
    let said = fitting(&nowhere, all).widened;
    assert!(said.len() == 1 && said[0].contains("attach it in parts"), "{said:?}");
}

/// In a VPC that another account shares, the ARNs of VPC, subnets and mount targets' interfaces have that account's id.
#[test]
fn a_shared_vpc_is_allowed_whosever_it_is() {
    let of = |sid: &str| {
        let all = statements(&Task::ALL, For::default(), &scope());
        all.iter().find(|statement| statement.sid == sid).expect("it is there").to_json()
    };
    let resources = of("LaunchWithin")["Resource"].clone();
    assert_eq!(
        resources,
        json!(["arn:aws:ec2:eu-west-1:*:subnet/subnet-1", "arn:aws:ec2:eu-west-1:*:subnet/subnet-2"])
    );
    assert_eq!(of("CreateGroupsInVpc")["Resource"], json!("arn:aws:ec2:eu-west-1:*:vpc/vpc-1"));
    assert_eq!(of("MountTargetInterface")["Resource"][0], json!("arn:aws:ec2:eu-west-1:*:network-interface/eni-1"));
    // What is this account's own stays so.
    assert_eq!(of("Terminate")["Resource"], json!("arn:aws:ec2:eu-west-1:123456789012:instance/*"));
    let unknown = statements(&Task::ALL, For::default(), &Scope { vpc: None, subnets: Vec::new(), ..scope() });
    let launch = unknown.iter().find(|statement| statement.sid == "LaunchWithin").expect("it is there");
    assert_eq!(launch.resources, ["arn:aws:ec2:eu-west-1:123456789012:subnet/*"]);
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
    assert_eq!(
        sids("ec2:RunInstances", None),
        ["LaunchTagged", "LaunchInterface", "LaunchVolume", "LaunchWithin", "LaunchWithGroups", "LaunchWith",]
    );
    assert_eq!(sids("ec2:DescribeImages", None), ["Reads"]);
    assert_eq!(sids("s3:GetObject", None), Vec::<&str>::new());
    let rules = allowing("ec2:RevokeSecurityGroupEgress", Some(&arn("security-group/sg-1")), &scope());
    assert_eq!(rules[0].actions, ["ec2:RevokeSecurityGroupEgress"], "and nothing else");
}

#[test]
fn without_mount_targets_nothing_of_efs_is_allowed() {
    for prepared in [false, true] {
        let left = statements(&Task::ALL, For::default().prepared(prepared).mounts(false), &scope());
        let actions: Vec<&str> = left.iter().flat_map(|statement| statement.actions.iter().copied()).collect();
        assert!(actions.contains(&"ec2:RunInstances"), "{actions:?}");
        let of_efs =
            |action: &&str| action.starts_with("elasticfilesystem:") || action.ends_with("NetworkInterfaceAttribute");
        assert!(!actions.iter().any(of_efs), "{actions:?}");
    }
}

/// The statement of this name.
fn named(sid: &str, prepared: bool, scope: &Scope) -> Value {
    let all = statements(&[Task::Create], For::default().prepared(prepared), scope);
    all.iter().find(|statement| statement.sid == sid).expect("it is there").to_json()
}

#[test]
fn what_is_launched_is_narrowed_by_types_and_groups() {
    let narrowed = Scope {
        instance_types: vec!["c5.*".to_owned(), "g4dn.xlarge".to_owned()],
        prepared_groups: vec!["sg-1".to_owned()],
        ..scope()
    };
    let launch = named("LaunchTagged", false, &narrowed);
    assert_eq!(launch["Condition"]["StringLike"]["ec2:InstanceType"], json!(["c5.*", "g4dn.xlarge"]));
    assert_eq!(launch["Condition"]["StringEquals"]["ec2:MetadataHttpTokens"], json!("required"));
    let prepared = named("LaunchWithGroups", true, &narrowed);
    assert_eq!(prepared["Resource"], json!("arn:aws:ec2:eu-west-1:123456789012:security-group/sg-1"));
    let own = named("LaunchWithGroups", false, &narrowed);
    assert_eq!(own["Condition"]["StringEquals"]["aws:ResourceTag/sdocker:domain"], json!("d-1"));
    // Where nothing is known of domain and owner, the tags have to be there nevertheless.
    let unknown = named("LaunchVolume", false, &Scope::default());
    let expected = json!({"StringLike": {"aws:RequestTag/sdocker:host": "*"}, "Bool": {"ec2:Encrypted": "true"}});
    assert_eq!(unknown["Condition"], expected);
}

#[test]
fn other_partitions_have_their_own_arns() {
    for (region, partition, service) in [
        ("cn-north-1", "aws-cn", "ec2.cn-north-1.amazonaws.com.cn"),
        ("us-gov-west-1", "aws-us-gov", "ec2.us-gov-west-1.amazonaws.com"),
        ("eu-west-1", "aws", "ec2.eu-west-1.amazonaws.com"),
    ] {
        let there = Scope { region: Some(region.to_owned()), kms_key: Some("KEY".to_owned()), ..scope() };
        for statement in statements(&Task::ALL, For::default(), &there) {
            for resource in statement.resources.iter().filter(|resource| !["*", "KEY"].contains(&resource.as_str())) {
                assert!(resource.starts_with(&format!("arn:{partition}:")), "{region}: {resource}");
            }
        }
        let grant = named("VolumeKeyGrant", false, &there);
        let expected =
            json!({"StringLike": {"kms:ViaService": service}, "Bool": {"kms:GrantIsForAWSResource": "true"}});
        assert_eq!((&grant["Resource"], &grant["Condition"]), (&json!("KEY"), &expected));
    }
}
