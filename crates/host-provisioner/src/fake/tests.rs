//! The fake keeps the promises that the traits make, as EC2 and EFS do.

use std::{num::NonZeroU32, sync::Arc};

use crate::{
    Cloud, CloudErrorKind, HostPlan, Instance, InstanceFilter, InstanceState, LaunchSpec, Market, Peer, Rule, Survey,
    USUAL_SECURITY_GROUPS,
    fake::{Account, environment},
    provisioner::tests::request,
};

fn cloud() -> Cloud {
    Cloud::of(Arc::new(Account::studio()))
}

/// A running instance that nobody launched.
pub(crate) fn instance(id: &str, tags: Vec<studio_discovery::Tag>) -> super::state::InstanceRecord {
    let instance = crate::Instance {
        private_address: "10.0.1.9".parse().ok(),
        subnet: Some("subnet-1".into()),
        tags,
        ..crate::Instance::new(id.into(), "c5.xlarge".into(), InstanceState::Running)
    };
    super::state::InstanceRecord { instance, spec: String::new(), unseen: 0, stops: false, private_dns: None }
}

pub(crate) async fn spec(cloud: &Cloud) -> LaunchSpec {
    let survey = Survey::take(cloud, &environment(), &request("h")).await.expect("surveyed");
    let plan = HostPlan::new(&environment(), &request("h"), &survey).expect("planned");
    let place = plan.placements[0].clone();
    LaunchSpec {
        client_token: "token-1".into(),
        instance_type: plan.instance_type,
        image: plan.image.id,
        subnet: place.subnet,
        security_groups: vec!["sg-app".into()],
        root_volume: plan.root_volume,
        other_volumes: Vec::new(),
        on_idle: plan.on_idle,
        key_name: None,
        instance_profile_arn: None,
        market: Market::OnDemand,
        tags: Vec::new(),
        tagged: crate::Tagged::Everything,
        user_data: place.user_data,
        bootstrap: place.bootstrap,
    }
}

#[tokio::test]
async fn a_token_launches_once() {
    let cloud = cloud();
    let spec = spec(&cloud).await;
    let first = cloud.instances.run(&spec).await.expect("launched");
    let again = cloud.instances.run(&spec).await.expect("answered");
    assert_eq!(first.id, again.id);
    let filter = InstanceFilter { client_token: Some("token-1".into()), ..InstanceFilter::default() };
    assert_eq!(cloud.instances.list(&filter).await.expect("listed").len(), 1);

    for _ in 0..2 {
        cloud.instances.terminate(&first.id).await.expect("idempotent");
    }
    let ended = cloud.instances.describe(&first.id).await.expect("answered").expect("still shown");
    assert!(matches!(ended.state, InstanceState::ShuttingDown | InstanceState::Terminated));
    let unknown = cloud.instances.terminate(&"i-0".into()).await.expect_err("never there");
    assert_eq!(unknown.kind, CloudErrorKind::NotFound);
}

/// As many as there is capacity for, the same again for the same token; and all are ended, or none.
#[tokio::test]
async fn a_call_launches_and_ends_several() {
    let account = Arc::new(Account::studio());
    account.with(|state| state.subnets[0].on_demand_capacity = Some(3)).expect("in memory");
    let cloud = Cloud::of(account.clone());
    let spec = spec(&cloud).await;
    let at_most = NonZeroU32::new(5).expect("five");
    let first = cloud.instances.run_several(&spec, at_most).await.expect("launched");
    let places: Vec<u32> = first.iter().map(|instance| instance.launch_index).collect();
    assert_eq!(places, [0, 1, 2]);
    let ids = |instances: &[Instance]| instances.iter().map(|instance| instance.id.clone()).collect::<Vec<_>>();
    let again = cloud.instances.run_several(&spec, at_most).await.expect("answered");
    assert_eq!(ids(&first), ids(&again));
    let more = cloud.instances.run_several(&spec, NonZeroU32::new(6).expect("six")).await;
    assert_eq!(more.expect_err("another number").code.as_deref(), Some("IdempotentParameterMismatch"));

    let live = || account.world().expect("in memory").live_instances.len();
    let with_one_too_many = [ids(&first), vec!["i-0".into()]].concat();
    cloud.instances.terminate_all(&with_one_too_many).await.expect_err("one never was");
    assert_eq!(live(), 3);
    cloud.instances.terminate_all(&ids(&first)).await.expect("ended");
    assert_eq!(live(), 0);
}

#[tokio::test]
async fn groups_have_one_name_in_a_vpc_and_stay_while_in_use() {
    let cloud = cloud();
    let vpc = "vpc-studio".into();
    let groups = &cloud.security_groups;
    let id = groups.create(&vpc, "G", "a group", &[]).await.expect("made");
    let twice = groups.create(&vpc, "G", "a group", &[]).await.expect_err("the name is taken");
    assert_eq!(twice.kind, CloudErrorKind::AlreadyExists);
    let rule = Rule::port(1111, Peer::Group("sg-app".into()));
    groups.authorize_ingress(&id, std::slice::from_ref(&rule)).await.expect("opened");
    let twice = groups.authorize_ingress(&id, &[rule]).await.expect_err("it is there");
    assert_eq!(twice.kind, CloudErrorKind::AlreadyExists);

    let targets = &cloud.mount_targets;
    let before = targets.security_groups(&"fsmt-1".into()).await.expect("listed");
    let with: Vec<_> = before.iter().cloned().chain([id.clone()]).collect();
    targets.set_security_groups(&"fsmt-1".into(), &with).await.expect("set");
    assert_eq!(groups.delete(&id).await.expect_err("a mount target uses it").kind, CloudErrorKind::InUse);
    targets.set_security_groups(&"fsmt-1".into(), &before).await.expect("set");
    groups.delete(&id).await.expect("nothing uses it");
    assert_eq!(groups.delete(&id).await.expect_err("gone").kind, CloudErrorKind::NotFound);
    assert!(groups.find(&vpc, &["G".to_owned()]).await.expect("listed").is_empty());
}

#[tokio::test]
async fn a_mount_target_has_at_most_five_groups() {
    let cloud = cloud();
    let mut groups = Vec::new();
    for number in 0..=USUAL_SECURITY_GROUPS {
        let name = format!("G{number}");
        groups.push(cloud.security_groups.create(&"vpc-studio".into(), &name, "", &[]).await.expect("made"));
    }
    let error = cloud.mount_targets.set_security_groups(&"fsmt-1".into(), &groups).await.expect_err("too many");
    assert_eq!(error.kind, CloudErrorKind::LimitExceeded);
    cloud.mount_targets.set_security_groups(&"fsmt-1".into(), &groups[1..]).await.expect("five are fine");
}
