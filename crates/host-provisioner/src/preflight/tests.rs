//! A table of broken worlds: every one is found, none is invented, and nothing is changed.

use std::sync::Arc;

use studio_discovery::Tag;

use super::*;
use crate::{
    CloudErrorKind, Market, MarketChoice, Survey, Tagged,
    fake::{Account, State, environment},
    provisioner::tests::request,
};

/// What is found in a world, but for what is as it should be.
async fn found_in(state: State) -> Vec<(Severity, String)> {
    let account = Arc::new(Account::new(state));
    let cloud = Cloud::of(account.clone());
    let mut environment = environment();
    environment.tags = account.with(|state| state.profile_tags.clone()).expect("in memory");
    let request = request("h");
    let survey = Survey::take(&cloud, &environment, &request).await.expect("surveyed");
    let plan = HostPlan::new(&environment, &request, &survey).expect("planned");
    let before = account.world().expect("in memory");
    let checks = examine(&cloud, &environment, &plan, &survey.instance_type).await;
    assert_eq!(account.world().expect("in memory"), before, "nothing is changed");
    let found = checks.iter().filter(|check| check.severity() != Severity::Ok);
    found.map(|check| (check.severity(), check.to_string())).collect()
}

/// A world in which a host was made before: its groups exist, and it lives.
async fn lived_in() -> State {
    let account = Arc::new(Account::new(whole()));
    let cloud = Cloud::of(account.clone());
    let (environment, request) = (environment(), request("h"));
    let survey = Survey::take(&cloud, &environment, &request).await.expect("surveyed");
    let plan = HostPlan::new(&environment, &request, &survey).expect("planned");
    let HostGroups::Named { docker, nfs: Some(nfs) } = &plan.groups else { panic!("groups of its own") };
    let mut ids = Vec::new();
    for group in [docker, nfs] {
        let id = cloud.security_groups.create(&group.vpc, &group.name, "", &plan.group_tags()).await.expect("made");
        let rules: Vec<_> = group.ingress.iter().map(|rule| rule.within(&id)).collect();
        cloud.security_groups.authorize_ingress(&id, &rules).await.expect("opened");
        ids.push(id);
    }
    let mut groups = cloud.mount_targets.security_groups(&"fsmt-1".into()).await.expect("listed");
    groups.push(ids[1].clone());
    cloud.mount_targets.set_security_groups(&"fsmt-1".into(), &groups).await.expect("set");
    let spec = plan.launch_spec(&plan.placements[0], Market::OnDemand, &ids, Tagged::Everything);
    cloud.instances.run(&spec).await.expect("launched");
    account.with(|state| state.clone()).expect("in memory")
}

/// What makes a world a broken one.
type Break<'a> = &'a dyn Fn(&mut State);

fn whole() -> State {
    State { vcpus: Some(64), ..State::studio() }
}

/// What nobody can tell before it is done, where nothing exists yet.
const UNPROVEN: [&str; 6] = [
    "ec2:AuthorizeSecurityGroupIngress: there is no security group yet to ask about",
    "ec2:DeleteSecurityGroup: there is no security group yet to ask about",
    "ec2:AuthorizeSecurityGroupEgress: there is no security group yet to ask about",
    "ec2:RevokeSecurityGroupEgress: there is no security group yet to ask about",
    "elasticfilesystem:ModifyMountTargetSecurityGroups: cannot be checked without making the change",
    "ec2:TerminateInstances: there is no host yet to ask about",
];

#[tokio::test]
async fn nothing_is_invented() {
    let expected = UNPROVEN.map(|text| (Severity::Unproven, text.to_owned()));
    assert_eq!(found_in(whole()).await, expected);
    assert_eq!(found_in(lived_in().await).await, []);
}

#[tokio::test]
async fn every_broken_world_is_found() {
    let full: Vec<_> = (1..=5).map(|number| format!("sg-{number}").into()).collect();
    let cases: [(&str, Severity, &str, Break<'_>); 9] = [
        ("hostnames", Severity::Warning, "DNS hostnames are off", &|state| state.dns.hostnames = false),
        ("resolution", Severity::Failed, "DNS resolution is off", &|state| state.dns.resolution = false),
        (
            "a full mount target",
            Severity::Failed,
            "fsmt-1 in subnet-1 has 5 security groups: by the account's quota there is no room",
            &|state| {
                state.mount_targets[0].groups.clone_from(&full);
            },
        ),
        (
            "a full second one",
            Severity::Warning,
            "fsmt-2 in subnet-2 has 5 security groups: by the account's quota there is no room",
            &|state| {
                state.mount_targets[1].groups.clone_from(&full);
            },
        ),
        ("not offered in one zone", Severity::Warning, "not in eu-west-1a", &|state| {
            state.not_offered = vec![("c5.xlarge".into(), "eu-west-1a".into())];
        }),
        ("offered elsewhere only", Severity::Failed, "not in eu-west-1a, eu-west-1b", &|state| {
            state.not_offered = ["a", "b"].map(|zone| ("c5.xlarge".into(), format!("eu-west-1{zone}").into())).into();
        }),
        ("no quota", Severity::Failed, "0 of 3 virtual CPUs of class Standard", &|state| state.vcpus = Some(3)),
        (
            "a key of the account",
            Severity::Unproven,
            "EC2 encrypts volumes with arn:aws:kms:eu-west-1:1:key/2,",
            &|state| {
                state.volume_key = Some("arn:aws:kms:eu-west-1:1:key/2".to_owned());
            },
        ),
        ("too many tags", Severity::Warning, "or has no room for, the user profile's tag-45", &|state| {
            state.profile_tags = (0..60).map(|number| Tag::new(format!("tag-{number}"), "x")).collect();
        }),
    ];
    for (name, severity, expected, breaks) in cases {
        let mut state = whole();
        breaks(&mut state);
        let found = found_in(state).await;
        let new: Vec<_> = found.iter().filter(|(_, text)| !UNPROVEN.contains(&text.as_str())).collect();
        assert!(new.len() == 1 && new[0].0 == severity && new[0].1.contains(expected), "{name}: {new:?}");
    }
}

#[tokio::test]
async fn an_account_may_have_more_groups_on_a_mount_target() {
    let full: Vec<_> = (1..=5).map(|number| format!("sg-{number}").into()).collect();
    let found = async |groups_per_interface, denied: bool| {
        let mut state = State { groups_per_interface, ..whole() };
        state.mount_targets[0].groups.clone_from(&full);
        if denied {
            state.denied.insert("servicequotas:GetServiceQuota".to_owned());
        }
        let found = found_in(state).await;
        found.into_iter().find(|(_, text)| text.starts_with("fsmt-1")).map(|(severity, _)| severity)
    };
    assert_eq!(found(Some(5), false).await, Some(Severity::Failed));
    assert_eq!(found(Some(16), false).await, None, "the quota was raised");
    assert_eq!(found(Some(16), true).await, Some(Severity::Unproven), "nobody knows");
}

#[tokio::test]
async fn the_vcpus_of_what_runs_count() {
    let mut state = lived_in().await;
    state.vcpus = Some(7);
    let found = found_in(state).await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(
        found[0].1,
        "4 of 7 virtual CPUs of class Standard (A, C, D, H, I, M, R, T, Z) are in use, and a host takes 4"
    );
}

#[tokio::test]
async fn each_missing_permission_is_named() {
    let cases = [
        ("ec2:DescribeVpcAttribute", Severity::Unproven),
        ("ec2:DescribeInstanceTypeOfferings", Severity::Unproven),
        ("servicequotas:GetServiceQuota", Severity::Unproven),
        ("ec2:GetEbsDefaultKmsKeyId", Severity::Unproven),
        ("elasticfilesystem:DescribeMountTargetSecurityGroups", Severity::Failed),
        ("ec2:DescribeInstances", Severity::Failed),
        ("ec2:RunInstances", Severity::Failed),
        ("ec2:CreateTags", Severity::Warning),
        ("ec2:CreateSecurityGroup", Severity::Failed),
        ("ec2:ModifyNetworkInterfaceAttribute", Severity::Failed),
    ];
    for (action, severity) in cases {
        let mut state = whole();
        state.denied.insert(action.to_owned());
        let found = found_in(state).await;
        let named: Vec<_> = found.iter().filter(|(_, text)| text.contains(action)).collect();
        assert!(!named.is_empty() && named.iter().all(|(found, _)| *found == severity), "{action}: {found:?}");
    }
    // Where there is something to ask about.
    let mut state = lived_in().await;
    let group = state.groups.iter_mut().find(|group| group.name == "DockerHost-d-studio").expect("made");
    group.ingress.pop();
    for action in ["ec2:TerminateInstances", "ec2:AuthorizeSecurityGroupIngress"] {
        let mut state = state.clone();
        state.denied.insert(action.to_owned());
        let found = found_in(state).await;
        assert!(found.len() == 1 && found[0].0 == Severity::Failed && found[0].1.contains(action), "{found:?}");
    }
}

#[tokio::test]
async fn a_refused_launch_is_told_before_groups_are_made() {
    let launch_of = |mut state: State, denied: &'static str| async move {
        state.denied.insert(denied.to_owned());
        let cloud = Cloud::of(Arc::new(Account::new(state)));
        let request = crate::HostRequest { market: MarketChoice::OnDemand, ..request("h") };
        let survey = Survey::take(&cloud, &environment(), &request).await.expect("surveyed");
        let plan = HostPlan::new(&environment(), &request, &survey).expect("planned");
        check_launch(&cloud, &environment(), &plan).await
    };
    let error = launch_of(whole(), "ec2:RunInstances").await.expect_err("it is refused");
    assert!(matches!(error, ProvisionError::Cloud(error) if error.is_access_denied()));
    launch_of(whole(), "ec2:CreateTags").await.expect("a host comes up without tags");
    // Where the launch itself is the first change, it is not asked about.
    launch_of(lived_in().await, "ec2:RunInstances").await.expect("not asked");
}

/// The app's own groups stand in for those that do not exist yet: that these are refused, or something unnamed, says nothing.
#[tokio::test]
async fn a_stand_in_that_is_refused_proves_nothing() {
    let resource = "arn:aws:ec2:eu-west-1:123456789012";
    let cases = [
        (
            format!("is not authorized to perform: ec2:RunInstances on resource: {resource}:security-group/sg-app"),
            false,
        ),
        ("Encoded authorization failure message: abc".to_owned(), false),
        (format!("is not authorized to perform: ec2:RunInstances on resource: {resource}:subnet/subnet-1"), true),
    ];
    for (message, refuses) in cases {
        let refusal = message.clone();
        let mut dry_runs = crate::cloud::MockDryRuns::new();
        dry_runs.expect_dry_run().returning(move |call| {
            let kind = CloudErrorKind::AccessDenied { refused: None };
            Err(CloudError::new(call.action(), "", kind).with_message(None, refusal.clone()))
        });
        let cloud = Cloud { dry_runs: Arc::new(dry_runs), ..Cloud::of(Arc::new(Account::new(whole()))) };
        let survey = Survey::take(&cloud, &environment(), &request("h")).await.expect("surveyed");
        let plan = HostPlan::new(&environment(), &request("h"), &survey).expect("planned");
        let told = check_launch(&cloud, &environment(), &plan).await;
        assert_eq!(told.is_err(), refuses, "{message}");
    }
}

/// A dry run that is answered with a plain no: `doctor` fails, and a creation ends before its first change, with AWS's own words.
#[tokio::test]
async fn a_plain_no_ends_a_creation_before_its_first_change() {
    let noes = [
        ("InvalidKeyPair.NotFound", "The key pair 'laptop' does not exist"),
        ("OptInRequired", "You are not subscribed to this service"),
        ("PendingVerification", "Your account is currently being verified"),
        ("Blocked", "This account is currently blocked"),
        ("VcpuLimitExceeded", "You have requested more vCPU capacity than your current vCPU limit of 0"),
        ("InvalidSubnetID.NotFound", "The subnet ID 'subnet-1' does not exist"),
        ("InvalidGroup.NotFound", "The security group 'sg-app' does not exist in VPC 'vpc-studio'"),
        ("AuthFailure", "Not authorized for images: [ami-1]"),
        (
            "InvalidParameterValue",
            "Value (arn) for parameter iamInstanceProfile.arn is invalid. Invalid IAM Instance Profile ARN",
        ),
    ];
    // Where nothing exists yet; and where only the mount target's list is to be changed.
    let mut detached = lived_in().await;
    detached.mount_targets[0].groups.pop();
    for begun in [whole(), detached] {
        for (code, words) in noes {
            let mut state = begun.clone();
            let no = ("ec2:RunInstances (dry run)".to_owned(), code.to_owned(), words.to_owned());
            state.answers = vec![no.clone()];
            let found = found_in(state.clone()).await;
            let told = |(severity, text): &&(Severity, String)| *severity == Severity::Failed && text.contains(words);
            assert_eq!(found.iter().filter(told).count(), 1, "{code}: {found:?}");

            let account = Arc::new(Account::new(state));
            let cloud = Cloud::of(account.clone());
            let survey = Survey::take(&cloud, &environment(), &request("h")).await.expect("surveyed");
            let plan = HostPlan::new(&environment(), &request("h"), &survey).expect("planned");
            let before = account.world().expect("in memory");
            let error = check_launch(&cloud, &environment(), &plan).await.expect_err(code);
            assert!(error.to_string().ends_with(&format!("{code}: {words}")), "{error}");
            assert!(error.hint().is_some(), "{code}");
            assert_eq!(account.world().expect("in memory"), before, "{code}");
            assert_eq!(account.with(|state| state.answers.len()).expect("in memory"), 0, "{code}: it was asked");
        }
    }
    // What says nothing of the next launch is no reason to end.
    for code in ["InsufficientInstanceCapacity", "RequestLimitExceeded", "NeverHeardOf"] {
        let state = State {
            answers: vec![("ec2:RunInstances (dry run)".to_owned(), code.to_owned(), String::new())],
            ..whole()
        };
        let found = found_in(state).await;
        assert!(
            found.iter().any(|(severity, text)| *severity == Severity::Unproven && text.contains(code)),
            "{found:?}"
        );
    }
}
