use std::sync::Arc;

use super::*;
use crate::{
    Cloud, EngineChoice, HostConfig, MarketChoice, Survey,
    fake::{Account, State, environment},
    provisioner::tests::request,
};

/// A plan over an account in this state.
async fn plan_in(
    state: State,
    environment: &StudioEnvironment,
    request: &HostRequest,
) -> Result<HostPlan, ProvisionError> {
    let survey = Survey::take(&Cloud::of(Arc::new(Account::new(state))), environment, request).await?;
    HostPlan::new(environment, request, &survey)
}

async fn planned(request: &HostRequest) -> HostPlan {
    plan_in(State::studio(), &environment(), request).await.expect("it can be planned")
}

fn with(config: HostConfig) -> HostRequest {
    HostRequest { config, ..request("host-1") }
}

fn of_type(instance_type: &str) -> HostRequest {
    HostRequest { instance_type: instance_type.into(), ..request("host-1") }
}

#[tokio::test]
async fn the_default_host() {
    let plan = planned(&request("host-1")).await;
    insta::assert_json_snapshot!("default", plan);
    let mut calls = serde_json::to_value(plan.calls()).expect("JSON");
    for call in calls.as_array_mut().expect("a list") {
        // It has snapshots of its own.
        call["parameters"].as_object_mut().expect("an object").remove("UserData");
    }
    insta::assert_json_snapshot!("default_calls", calls);
}

/// One launch parameter and one setting of the host differ, and nothing is planned that EC2 would not stop.
#[tokio::test]
async fn a_host_that_stops_differs_in_little() {
    let stopping = HostRequest { on_idle: OnIdle::Stop, ..request("host-1") };
    let (plan, usual) = (planned(&stopping).await, planned(&request("host-1")).await);
    let behavior = |plan: &HostPlan| {
        let calls = plan.calls();
        calls.last().expect("a launch").parameters["InstanceInitiatedShutdownBehavior"].clone()
    };
    assert_eq!((behavior(&plan), behavior(&usual)), ("stop".into(), "terminate".into()));
    let script = |plan: &HostPlan| plan.placements[0].user_data.script().to_owned();
    assert_eq!(script(&plan).replace("stops=1\n", ""), script(&usual));
    for market in [MarketChoice::Spot, MarketChoice::SpotOrOnDemand] {
        let spot = HostRequest { market, ..stopping.clone() };
        let error = plan_in(State::studio(), &environment(), &spot).await.expect_err("EC2 does not stop it");
        assert!(matches!(error, ProvisionError::CannotStop { what: "a Spot instance", .. }), "{error}");
    }
    let node = HostRequest { swarm: true, ..stopping };
    let error = plan_in(State::studio(), &environment(), &node).await.expect_err("it would be taken off the list");
    assert!(matches!(error, ProvisionError::CannotStop { what: "a node of a Swarm", .. }), "{error}");
}

#[tokio::test]
async fn the_same_three_give_the_same_plan_byte_for_byte() {
    let (one, two) = (planned(&request("host-1")).await, planned(&request("host-1")).await);
    assert_eq!(one, two);
    let user_data = |plan: &HostPlan| plan.placements.iter().map(|place| place.user_data.clone()).collect::<Vec<_>>();
    assert_eq!(user_data(&one), user_data(&two));
}

#[tokio::test]
async fn the_plan_of_another_host_is_what_planning_it_gives() {
    for kind in ["c5.xlarge", "g5.xlarge"] {
        let of = |host| HostRequest { instance_type: kind.into(), ..request(host) };
        let (one, other) = (planned(&of("host-1")).await, planned(&of("host-2")).await);
        assert_eq!(one.of_another("host-2".into()), other, "{kind}");
    }
}

#[tokio::test]
async fn the_image_fits_the_type() {
    for (instance_type, image) in
        [("c5.xlarge", "ami-x86"), ("m7g.large", "ami-arm"), ("g5.xlarge", "ami-gpu"), ("g5g.xlarge", "ami-arm-gpu")]
    {
        assert_eq!(planned(&of_type(instance_type)).await.image.id, image.into(), "{instance_type}");
    }
    let wrong = HostRequest {
        instance_type: "m7g.large".into(),
        ..with(HostConfig { image: Some("ami-x86".into()), ..HostConfig::default() })
    };
    let error = plan_in(State::studio(), &environment(), &wrong).await.expect_err("arm64 can't boot it");
    assert!(matches!(error, ProvisionError::WrongArchitecture { .. }), "{error}");
    let mut without = State::studio();
    without.images.clear();
    let error = plan_in(without, &environment(), &request("host-1")).await.expect_err("no image");
    assert!(matches!(error, ProvisionError::NoImage { .. }), "{error}");
}

#[tokio::test]
async fn the_engine_is_dind_on_cpus_and_native_on_gpus_unless_told() {
    let engine = async |request: &HostRequest| planned(request).await.placements[0].bootstrap.engine.clone();
    assert!(matches!(engine(&request("host-1")).await, crate::Engine::Dind { .. }));
    assert!(matches!(engine(&of_type("g5.xlarge")).await, crate::Engine::Native { .. }));
    let native = HostRequest { engine: EngineChoice::Native, ..request("host-1") };
    assert!(matches!(engine(&native).await, crate::Engine::Native { .. }));
}

#[tokio::test]
async fn each_place_has_its_own_subnets_mount_target() {
    let plan = planned(&request("host-1")).await;
    let places: Vec<_> =
        plan.placements.iter().map(|place| (place.subnet.as_str(), place.mount_targets[0].id.as_str())).collect();
    assert_eq!(places, [("subnet-1", "fsmt-1"), ("subnet-2", "fsmt-2")], "subnet-3 has no mount target");

    let second = HostRequest { subnet: Some("subnet-2".into()), ..request("host-1") };
    assert_eq!(planned(&second).await.placements.len(), 1);
    let error = |subnet: &str| {
        let request = HostRequest { subnet: Some(subnet.into()), ..request("host-1") };
        async move { plan_in(State::studio(), &environment(), &request).await.expect_err("refused") }
    };
    assert!(matches!(error("subnet-3").await, ProvisionError::NoMountTarget { .. }));
    assert!(matches!(error("subnet-9").await, ProvisionError::UnknownSubnet { .. }));
}

#[tokio::test]
async fn the_ports_that_open_are_those_that_are_asked_for_and_to_the_apps_groups_only() {
    let request = with(HostConfig { daemon_port: 2222, additional_ports: vec![9000], ..HostConfig::default() });
    let studio = StudioEnvironment { security_groups: vec!["sg-app".into(), "sg-efs".into()], ..environment() };
    let plan = plan_in(State::studio(), &studio, &request).await.expect("planned");
    let HostGroups::Named { docker, .. } = &plan.groups else { panic!("named groups") };
    insta::assert_json_snapshot!("docker_group", docker);

    let bare = StudioEnvironment { security_groups: Vec::new(), ..environment() };
    let error = plan_in(State::studio(), &bare, &request).await.expect_err("nobody could reach it");
    assert!(matches!(error, ProvisionError::NoAppSecurityGroup), "{error}");
}

/// An administrator's group need not have that port: there are slower ways.
#[tokio::test]
async fn an_app_that_shares_files_is_let_in_at_a_port_more() {
    let config = |additional_ports: &[u16], groups: &[&str]| HostConfig {
        additional_ports: additional_ports.to_vec(),
        security_groups: groups.iter().map(|group| (*group).into()).collect(),
        ..HostConfig::default()
    };
    for (shares_files, additional, opened) in
        [(false, &[9000][..], &[9000][..]), (true, &[9000], &[9000, 1112]), (true, &[1112], &[1112])]
    {
        let request = HostRequest { shares_files, ..with(config(additional, &[])) };
        let plan = planned(&request).await;
        let HostGroups::Named { docker, .. } = &plan.groups else { panic!("named groups") };
        let ports: Vec<u16> = docker.ingress.iter().map(|rule| rule.port).collect();
        assert_eq!(ports, [&[1111, 8080], opened].concat());
        assert_eq!(plan.placements[0].bootstrap.additional_ports, opened);
    }
    let mut state = State::studio();
    let app = |port| crate::Rule::port(port, crate::Peer::Group("sg-app".into()));
    state.groups[1].ingress.extend([app(1111), app(8080)]);
    let request = HostRequest { shares_files: true, ..with(config(&[], &["sg-efs"])) };
    let plan = plan_in(state, &environment(), &request).await.expect("planned");
    assert!(!plan.warnings.iter().any(|warning| warning.to_string().contains("1112")), "{:?}", plan.warnings);
}

#[tokio::test]
async fn prepared_groups_change_nothing() {
    let plan = planned(&with(HostConfig { security_groups: vec!["sg-app".into()], ..HostConfig::default() })).await;
    assert_eq!(plan.groups, HostGroups::Given(vec!["sg-app".into()]));
    let actions: Vec<_> = plan.calls().iter().map(|call| call.action.to_owned()).collect();
    assert_eq!(actions, ["ec2:RunInstances"]);
}

#[tokio::test]
async fn markets_come_in_the_order_asked_for() {
    for (market, expected) in [
        (MarketChoice::OnDemand, vec![Market::OnDemand]),
        (MarketChoice::Spot, vec![Market::Spot]),
        (MarketChoice::SpotOrOnDemand, vec![Market::Spot, Market::OnDemand]),
    ] {
        assert_eq!(planned(&HostRequest { market, ..request("host-1") }).await.markets, expected);
    }
}

#[tokio::test]
async fn a_root_volume_is_never_smaller_than_its_image() {
    let small = HostRequest {
        instance_type: "g5.xlarge".into(),
        ..with(HostConfig { volume_gib: 20, ..HostConfig::default() })
    };
    let plan = planned(&small).await;
    assert_eq!(plan.root_volume.size_gib, 75);
    assert!(plan.warnings.contains(&Warning::VolumeGrown { to_gib: 75 }), "{:?}", plan.warnings);
}

#[tokio::test]
async fn a_mistyped_type_is_answered_with_the_nearest() {
    let error = plan_in(State::studio(), &environment(), &of_type("c5.xlrage")).await.expect_err("there is none");
    let ProvisionError::UnknownInstanceType { suggestions, .. } = &error else { panic!("{error}") };
    assert_eq!(suggestions[0], "c5.xlarge".into());
}

#[test]
fn the_folders_a_host_shares_are_those_it_mounts() {
    assert_eq!(shared_paths(&environment()), ["/root", "/home/sagemaker-user"].map(PathBuf::from));
    let space = StudioEnvironment {
        app: studio_discovery::StudioApp { kind: studio_discovery::AppKind::JupyterLab, ..environment().app },
        ..environment()
    };
    assert_eq!(shared_paths(&space), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn values_that_ec2_does_not_take_are_errors_before_anything_is_made() {
    let cases = [
        (HostConfig { volume_gib: 65_537, ..HostConfig::default() }, "65537 GiB (EBSVolumeSize)"),
        (HostConfig { key_name: Some("schlüssel".to_owned()), ..HostConfig::default() }, "(Key)"),
        (HostConfig { key_name: Some(String::new()), ..HostConfig::default() }, "(Key)"),
        (
            HostConfig {
                instance_profile_arn: Some("arn:aws:iam::123456789012:role/hosts".to_owned()),
                ..HostConfig::default()
            },
            "(InstanceProfileArn)",
        ),
        (HostConfig { additional_ports: (20_000..20_100).collect(), ..HostConfig::default() }, "AdditionalPorts"),
    ];
    for (config, expected) in cases {
        let error = plan_in(State::studio(), &environment(), &with(config)).await.expect_err(expected);
        assert!(matches!(error, ProvisionError::NotTaken { .. }), "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[tokio::test]
async fn tags_that_ec2_does_not_take_are_left_out_and_said() {
    let long = "k".repeat(128);
    let tags = vec![Tag::new("team", "t"), Tag::new(&long, ""), Tag::new("aws:createdBy", "x")];
    let environment = StudioEnvironment { tags, ..environment() };
    let plan = plan_in(State::studio(), &environment, &request("host-1")).await.expect("it can be planned");
    assert!(plan.tags.iter().any(|tag| tag.key == "team"));
    assert!(plan.tags.iter().all(|tag| tag.key != long && !tag.key.starts_with("aws:")));
    // AWS's own are nobody's loss.
    assert_eq!(plan.warnings, [Warning::TagsLeftOut { keys: vec![long] }]);
}

/// Anybody may have made a group of that name, with any rules: what of it sdocker would not have made is said.
#[tokio::test]
async fn a_group_that_lets_strangers_in_is_named() {
    let account = Arc::new(Account::new(State::studio()));
    let cloud = Cloud::of(account);
    let environment = environment();
    let plan = || async {
        let survey = Survey::take(&cloud, &environment, &request("host-1")).await.expect("a survey");
        HostPlan::new(&environment, &request("host-1"), &survey).expect("a plan")
    };
    let fresh = plan().await;
    let HostGroups::Named { docker, .. } = &fresh.groups else { panic!("named groups") };
    let groups = &cloud.security_groups;
    let id = groups.create(&docker.vpc, &docker.name, "", &[Tag::new(TAG_DOMAIN, "d-else")]).await.expect("made");
    let sound = docker.ingress.iter().map(|rule| rule.within(&id)).collect::<Vec<_>>();
    groups.authorize_ingress(&id, &sound).await.expect("allowed");
    let world = |port| crate::Rule::port(port, crate::Peer::Network("0.0.0.0/0".to_owned()));
    groups.authorize_ingress(&id, &[world(1111), world(22)]).await.expect("allowed");
    let said: Vec<_> = plan().await.warnings.iter().map(ToString::to_string).collect();
    let strange =
        "it is tagged as that of domain d-else, it lets in port 22 from 0.0.0.0/0, it lets in port 1111 from 0.0.0.0/0";
    assert_eq!(
        said,
        [format!("security group DockerHost-d-studio ({id}) was not made as sdocker makes it: {strange}")]
    );
    assert_eq!(fresh.warnings, []);
}

/// Both predecessors, and earlier versions of this one, had one group of a name for a whole VPC: whose it is, tags or rules tell. The second domain
/// gets groups of its own.
#[tokio::test]
async fn an_earlier_group_is_used_where_it_is_the_domains() {
    use crate::{Peer, Rule};
    let everything = |peer: &str| Rule { from_port: 0, to_port: u16::MAX, ..Rule::port(0, Peer::Group(peer.into())) };
    let world = Rule::port(22, Peer::Network("0.0.0.0/0".to_owned()));
    let daemon = |peer: &str| Rule::port(1111, Peer::Group(peer.into()));
    // The name, the domain of its tag, its rules (where its own id is "self"), and whether it is used.
    let cases = [
        ("DockerHost", None, vec![everything("sg-app")], true),
        ("DockerHost", None, vec![daemon("sg-app")], true),
        ("DockerHost", None, vec![everything("sg-efs")], false),
        ("DockerHost", None, vec![daemon("sg-app"), world.clone()], false),
        ("DockerHost", None, vec![], false),
        ("DockerHost", Some("d-studio"), vec![world], true),
        ("DockerHost", Some("d-else"), vec![daemon("sg-app")], false),
        ("EFSDockerHost", None, vec![Rule::port(2049, Peer::Group("self".into()))], true),
        ("EFSDockerHost", None, vec![Rule::port(2049, Peer::Group("sg-app".into()))], false),
        ("EFSDockerHost", None, vec![everything("self")], false),
        ("EFSDockerHost", Some("d-else"), vec![Rule::port(2049, Peer::Group("self".into()))], false),
    ];
    for (name, domain, rules, used) in cases {
        let cloud = Cloud::of(Arc::new(Account::new(State::studio())));
        let (environment, request) = (environment(), request("host-1"));
        let tags: Vec<Tag> = domain.iter().map(|domain| Tag::new(TAG_DOMAIN, *domain)).collect();
        let groups = &cloud.security_groups;
        let id = groups.create(&environment.vpc, name, "", &tags).await.expect("made");
        let own = |rule: &Rule| match &rule.peer {
            Peer::Group(peer) if peer.as_str() == "self" => Rule { peer: Peer::Group(id.clone()), ..rule.clone() },
            _ => rule.clone(),
        };
        let present: Vec<Rule> = rules.iter().map(own).collect();
        if !present.is_empty() {
            groups.authorize_ingress(&id, &present).await.expect("allowed");
        }
        let survey = Survey::take(&cloud, &environment, &request).await.expect("a survey");
        let plan = HostPlan::new(&environment, &request, &survey).expect("a plan");
        let HostGroups::Named { docker, nfs: Some(nfs) } = &plan.groups else { panic!("named groups") };
        let planned = if name == "DockerHost" { docker } else { nfs };
        let expected = if used { (Some(id.clone()), name.to_owned()) } else { (None, format!("{name}-d-studio")) };
        assert_eq!((planned.existing.clone(), planned.name.clone()), expected, "{name} of {domain:?}: {rules:?}");
        let adopted = Warning::AdoptedGroup { name: name.to_owned(), group: id, domain: "d-studio".into() };
        assert_eq!(plan.warnings.contains(&adopted), used && domain.is_none(), "{name} of {domain:?}: {rules:?}");
    }
}

/// AWS's images have NVIDIA's open driver, which knows no GPU before Turing: a host would come up without its GPU, and cost as one with it.
#[tokio::test]
async fn gpus_without_a_driver_are_an_error_unless_an_image_is_named() {
    let error = plan_in(State::studio(), &environment(), &of_type("p3.2xlarge")).await.expect_err("no driver");
    assert!(matches!(error, ProvisionError::NoDriver { .. }), "{error}");
    let own = HostConfig { image: Some("ami-gpu".into()), ..HostConfig::default() };
    let named = HostRequest { instance_type: "p3.2xlarge".into(), ..with(own) };
    let plan = plan_in(State::studio(), &environment(), &named).await.expect("it has one");
    assert_eq!(plan.image.id, "ami-gpu".into());
}

/// Groups that an administrator prepared are read before money is spent: they may be gone, of another VPC, or open for nobody here.
#[tokio::test]
async fn prepared_groups_are_looked_at() {
    use crate::{Peer, Rule};
    let given = |id: &str| with(HostConfig { security_groups: vec![id.into()], ..HostConfig::default() });
    let error = plan_in(State::studio(), &environment(), &given("sg-gone")).await.expect_err("there is none");
    assert!(matches!(&error, ProvisionError::Cloud(error) if error.is_not_found()), "{error}");

    let app = |port| Rule::port(port, Peer::Group("sg-app".into()));
    let anybody = Rule { to_port: 9000, ..Rule::port(1000, Peer::Network("10.0.0.0/8".to_owned())) };
    let other = Rule::port(1111, Peer::Group("sg-efs".into()));
    let cases = [
        (vec![], Some("1111, 8080")),
        (vec![other], Some("1111, 8080")),
        (vec![app(1111)], Some("8080")),
        (vec![app(1111), app(8080)], None),
        (vec![anybody], None),
    ];
    for (rules, lacking) in cases {
        let mut state = State::studio();
        state.groups[1].ingress.clone_from(&rules);
        // The same group is the mount target's.
        state.groups[1].ingress.push(Rule::port(2049, Peer::Group("sg-efs".into())));
        let plan = plan_in(state, &environment(), &given("sg-efs")).await.expect("planned");
        let said: Vec<String> = plan.warnings.iter().map(ToString::to_string).collect();
        let expected = lacking.map(|ports| {
            format!("no inbound rule of sg-efs (HostSGs) lets this app's security groups (sg-app) reach port {ports} of a host")
        });
        assert_eq!(said, expected.into_iter().collect::<Vec<_>>(), "{rules:?}");
    }

    // The mount target's own groups must let it in.
    let (nfs, all) =
        (|peer| Rule::port(2049, peer), Rule { to_port: u16::MAX, ..Rule::port(0, Peer::Group("sg-app".into())) });
    let cases = [
        (vec![], true),
        (vec![nfs(Peer::Group("sg-efs".into()))], true),
        (vec![Rule::port(2048, Peer::Group("sg-app".into()))], true),
        (vec![nfs(Peer::Group("sg-app".into()))], false),
        (vec![all], false),
        (vec![nfs(Peer::Network("10.0.0.0/8".to_owned()))], false),
    ];
    for (rules, shut) in cases {
        let mut state = State::studio();
        state.groups[0].ingress =
            vec![Rule { to_port: 9000, ..Rule::port(1000, Peer::Network("10.0.0.0/8".to_owned())) }];
        state.groups[1].ingress.clone_from(&rules);
        let plan = plan_in(state, &environment(), &given("sg-app")).await.expect("planned");
        let said: Vec<String> = plan.warnings.iter().map(ToString::to_string).collect();
        let expected = "no security group of mount target fsmt-1 lets sg-app (HostSGs) in on port 2049, so that a host could not mount the file system";
        assert_eq!(said, if shut { vec![expected] } else { vec![] }, "{rules:?}");
    }

    let mut state = State::studio();
    state.groups[1].vpc = "vpc-else".into();
    let error = plan_in(state, &environment(), &given("sg-efs")).await.expect_err("another VPC").to_string();
    assert!(error.contains("it is in vpc-else, and the domain in vpc-studio"), "{error}");

    // Who may not read them can launch with them nevertheless.
    let mut state = State::studio();
    state.denied.insert("ec2:DescribeSecurityGroups".to_owned());
    let plan = plan_in(state, &environment(), &given("sg-efs")).await.expect("planned");
    assert_eq!(plan.warnings, []);
}

/// A life without an end has one that can be written.
#[tokio::test]
async fn a_lifetime_beyond_all_dates_is_no_panic() {
    let mut request = with(HostConfig::default());
    request.max_lifetime = std::time::Duration::MAX;
    let plan = planned(&request).await;
    assert_eq!(plan.expires, jiff::Timestamp::MAX);
}
