//! The wire suite's endpoint itself: as strict as AWS, and as broken as the networks before it.

use std::{io::Read as _, process::Stdio};

use sdocker_tests::{Effect, EndpointFault, Foreign, Front};
use serde_json::{Value, json};

const CREATE: [&str; 5] = ["create-host", "--instance-type", "c5.xlarge", "--output", "json"];

/// Each rule of IAM, each kind of the services' models and each documented limit has a test of its own, in Python.
#[test]
fn the_endpoint_is_as_strict_as_aws() {
    Front::test_itself();
}

/// Each account in each Region has hosts, groups and domains of its own.
#[test]
fn places_are_apart() {
    let Some(front) = Front::start() else { return };
    let places = [("123456789012", "eu-west-1"), ("123456789012", "us-west-2"), ("999999999999", "eu-west-1")];
    let places = places.map(|(account, region)| front.place(account, region));
    let homes = places.map(|place| place.home());
    front.boot_into_any(&homes.each_ref());
    let mut all = Vec::new();
    for (home, place) in homes.iter().zip(&places) {
        let created = home.sdocker(&CREATE).expect(0).json();
        assert_eq!(place.live(), [created["instance_id"].as_str().expect("an id")]);
        all.push(created["endpoint"].clone());
    }
    all.dedup();
    assert_eq!(all.len(), places.len(), "each answers at an address of its own");
    let calls = front.calls();
    for place in places {
        let of = |call: &&Value| call["account"] == place.account() && call["region"] == place.region();
        assert!(calls.iter().any(|call| of(&call) && call["action"] == "ec2:RunInstances"), "{place:?}");
    }
    // Another domain of the same VPC has its own file system, and sees the same groups.
    let seed = front.seed();
    let neighbour = front.home_in_domain(seed["neighbour"]["domain"].as_str().expect("a domain"));
    let plan = neighbour.sdocker(&[&CREATE[..], &["--dry-run"]].concat()).expect(0).stdout;
    assert!(plan.contains(seed["neighbour"]["file_system"].as_str().expect("an id")), "{plan}");
    assert!(!plan.contains(seed["file_system"].as_str().expect("an id")), "{plan}");
    for home in &homes {
        home.sdocker(&["terminate-host", "--all", "--purge"]).expect(0);
    }
    assert!(places.iter().all(|place| place.live().is_empty()));
}

/// Answers that are not AWS's arrive as they are, once the call has taken effect or not.
#[test]
fn answers_that_are_not_of_aws() {
    let Some(front) = Front::start() else { return };
    let vpc = front.seed()["vpc"].as_str().expect("an id").to_owned();
    let answers = Foreign::ALL.map(|answer| move |effect| EndpointFault::Foreign(answer, effect));
    for (n, fault) in answers.into_iter().enumerate() {
        for effect in [Effect::NotDone, Effect::Done] {
            let fault = fault(effect);
            front.fault("ec2:CreateSecurityGroup", 0, fault);
            let name = format!("group-{n}-{effect:?}");
            let parameters = [("GroupName", name.as_str()), ("GroupDescription", "d"), ("VpcId", &vpc)];
            assert_eq!(front.ec2("CreateSecurityGroup", &parameters), (String::new(), String::new()), "{fault:?}");
            assert_eq!(front.fired(), [1], "{fault:?}");
            let exists = front.shared()["groups"].get(&name).is_some();
            assert_eq!(exists, effect == Effect::Done, "{fault:?}");
        }
    }
    front.fault("ec2:CreateSecurityGroup", 0, EndpointFault::Failure(Effect::Done));
    let parameters = [("GroupName", "failed"), ("GroupDescription", "d"), ("VpcId", &vpc)];
    assert_eq!(front.ec2("CreateSecurityGroup", &parameters).0, "InternalError");
    assert!(front.shared()["groups"].get("failed").is_some());
}

/// A call that is never answered is held until the caller leaves, and its effect is there.
#[test]
fn calls_that_are_never_answered() {
    let Some(front) = Front::start() else { return };
    let home = front.home();
    front.fault("ec2:RunInstances", 0, EndpointFault::Silent(Effect::Done));
    let mut child =
        home.sdocker_command(&CREATE).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it runs");
    assert!(front.wait_until_held(&mut child), "it waits");
    assert_eq!((front.live().len(), front.fired()), (1, vec![1]));
    child.kill().expect("it can be killed");
    child.wait().expect("it ends");
    let mut said = String::new();
    child.stdout.take().expect("piped").read_to_string(&mut said).expect("readable");
    assert_eq!(said, "");
    front.reset();
    home.sdocker(&["recover"]).expect(0);
    home.sdocker(&["terminate-host", "--all", "--purge"]).expect(0);
    assert_eq!((front.live(), home.records()), (Vec::new(), Vec::new()));
}

/// Of refusals that an organization's policy makes, and of encoded ones.
#[test]
fn refusals_are_those_of_aws() {
    let Some(front) = Front::start() else { return };
    let vpc = front.seed()["vpc"].as_str().expect("an id").to_owned();
    // AWS Organizations user guide, "Require a tag on specified created resources".
    let demands = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "*", "Resource": "*"},
        {"Effect": "Deny", "Action": "ec2:CreateSecurityGroup", "Resource": "arn:aws:ec2:*:*:security-group/*",
         "Condition": {"Null": {"aws:RequestTag/team": "true"}}},
    ]});
    front.enforce_organization(&demands);
    let untagged = [("GroupName", "g"), ("GroupDescription", "d"), ("VpcId", vpc.as_str()), ("DryRun", "true")];
    let (code, words) = front.ec2("CreateSecurityGroup", &untagged);
    assert_eq!(code, "UnauthorizedOperation");
    assert!(words.contains("with an explicit deny in a service control policy"), "{words}");
    assert!(words.contains("Encoded authorization failure message: "), "{words}");
    let tags = [
        ("TagSpecification.1.ResourceType", "security-group"),
        ("TagSpecification.1.Tag.1.Key", "team"),
        ("TagSpecification.1.Tag.1.Value", "t"),
    ];
    assert_eq!(front.ec2("CreateSecurityGroup", &[&untagged[..], &tags].concat()).0, "DryRunOperation");
    front.encode_refusals(true);
    let (_, words) = front.ec2("CreateSecurityGroup", &untagged);
    assert!(words.contains("Encoded authorization failure message: ") && !words.contains("deny"), "{words}");
}

/// What was made a moment ago is not found at once, what ended is not let go of at once, and an accepted launch can still fail.
#[test]
fn what_aws_knows_later() {
    let Some(front) = Front::start() else { return };
    let seed = front.seed();
    let [vpc, subnet] = [&seed["vpc"], &seed["subnets"][0]].map(|id| id.as_str().expect("an id").to_owned());
    front.late(&json!({"groups": 1, "releases": 1, "fates": [["Client.InternalError", "no key"]]}));
    let made = front.ec2("CreateSecurityGroup", &[("GroupName", "late"), ("GroupDescription", "d"), ("VpcId", &vpc)]);
    assert_eq!(made.0, "");
    let group = front.shared()["groups"]["late"].as_str().expect("an id").to_owned();
    let code = |action: &str, parameters: &[(&str, &str)]| front.ec2(action, parameters).0;
    assert_eq!(code("DescribeSecurityGroups", &[("GroupId.1", &group)]), "InvalidGroup.NotFound");
    assert_eq!(code("DescribeSecurityGroups", &[("GroupId.1", &group)]), "");
    let launch = |token: &str| {
        let image =
            [("ImageId", "ami-0000000000000000b"), ("MinCount", "1"), ("MaxCount", "1"), ("ClientToken", token)];
        let place = [("InstanceType", "c5.large"), ("SubnetId", subnet.as_str()), ("SecurityGroupId.1", &group)];
        code("RunInstances", &[&image[..], &place].concat())
    };
    assert_eq!((launch("dies"), front.live()), (String::new(), Vec::new()));
    assert_eq!(launch("lives"), "");
    let [instance] = &front.live()[..] else { panic!("one lives") };
    assert_eq!(code("TerminateInstances", &[("InstanceId.1", instance)]), "");
    assert_eq!(code("DeleteSecurityGroup", &[("GroupId", &group)]), "DependencyViolation");
    assert_eq!(code("DeleteSecurityGroup", &[("GroupId", &group)]), "");
}
