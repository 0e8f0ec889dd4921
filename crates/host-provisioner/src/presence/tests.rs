use std::sync::Arc;

use studio_discovery::{Region, Tag};

use super::*;
use crate::{
    CloudName, InstanceState, TAG_OWNER,
    fake::{Account, State},
    journal::tests::{old_record, place_of},
};

const HOST: &str = "i-0123456789abcdef0";

fn account(region: &str, account: &str, vpc: &str) -> Arc<Account> {
    let mut state = State::studio();
    state.region = Region::new(region);
    state.account = Some(account.into());
    for subnet in &mut state.subnets {
        subnet.vpc = vpc.into();
    }
    Arc::new(Account::new(state))
}

/// A record of a host in eu-west-1 of account 123456789012, of this age in hours, which ends itself twelve hours after its launch.
fn record(hours: i64) -> Record {
    let launched = Timestamp::now() - jiff::SignedDuration::from_hours(hours);
    let mut record = old_record(HOST, launched);
    record.place.cloud = CloudName::Aws;
    record.place.account = Some("123456789012".into());
    record
}

async fn ask(cloud: &Arc<Account>, record: &Record) -> String {
    let instance = HOST.into();
    let asked = AskedAbout { instance: &instance, record: Some(record) };
    match Cloud::of(cloud.clone()).presence(&[asked]).await.pop() {
        Some(Presence::Alive(_)) => "alive".to_owned(),
        Some(Presence::Ended(seen)) => format!("ended{}", if seen.is_some() { ", seen" } else { "" }),
        Some(Presence::Unknown(doubt)) => doubt.to_string(),
        None => "no answer".to_owned(),
    }
}

#[tokio::test]
async fn nothing_is_concluded_from_looking_elsewhere() {
    let home = account("eu-west-1", "123456789012", "vpc-1");
    let other_region = account("us-east-1", "123456789012", "vpc-2");
    let other_account = account("eu-west-1", "999999999999", "vpc-3");
    for hours in [0, 2, 1000] {
        let record = record(hours);
        assert_eq!(
            ask(&other_region, &record).await,
            "it is in eu-west-1 of account 123456789012, and us-east-1 was asked"
        );
        assert_eq!(
            ask(&other_account, &record).await,
            "it is in eu-west-1 of account 123456789012, and the credentials are those of account 999999999999"
        );
    }
    // In its own place, age tells an instance that EC2 has forgotten from one that it does not list for another reason.
    assert_eq!(
        ask(&home, &record(0)).await,
        "eu-west-1 does not list it, although it was launched less than an hour ago"
    );
    assert_eq!(ask(&home, &record(2)).await, "ended");

    // An earlier sdocker did not record the account: what the credentials see of the VPC tells then.
    let mut old = record(2);
    old.place.account = None;
    assert_eq!(ask(&home, &old).await, "ended");
    assert_eq!(
        ask(&other_account, &old).await,
        "it is in eu-west-1, and these credentials, which may be another account's, see nothing of its VPC vpc-1"
    );
    // An account without a VPC of its own, in a VPC that is shared with it.
    home.with(|state| state.account = None).expect("in memory");
    assert_eq!(ask(&home, &record(2)).await, "ended");
    // Who may not look, does not know.
    home.with(|state| state.denied.insert("ec2:DescribeSecurityGroups".to_owned())).expect("in memory");
    assert!(ask(&home, &record(2)).await.starts_with("not allowed to call ec2:DescribeSecurityGroups: Unauthorized"));
    home.with(|state| state.denied.insert("ec2:DescribeInstances".to_owned())).expect("in memory");
    assert!(ask(&home, &record(2)).await.starts_with("not allowed to call ec2:DescribeInstances: Unauthorized"));
}

#[tokio::test]
async fn what_is_seen_counts_whatever_the_age() {
    let home = account("eu-west-1", "123456789012", "vpc-1");
    let instance = crate::fake::tests::instance(HOST, vec![Tag::new(TAG_OWNER, "ana")]);
    home.with(|state| state.instances.push(instance)).expect("in memory");
    for hours in [0, 2, 1000] {
        assert_eq!(ask(&home, &record(hours)).await, "alive");
    }
    home.with(|state| state.instances[0].instance.state = InstanceState::ShuttingDown).expect("in memory");
    assert_eq!(ask(&home, &record(0)).await, "ended, seen");
}

#[test]
fn a_record_of_an_earlier_sdocker_is_placed_by_its_evidence() {
    assert_eq!(place_of("vpc-0123456789abcdef0").cloud, CloudName::Aws);
    assert_eq!(place_of("vpc-1a2b3c4d").cloud, CloudName::Aws);
    assert_eq!(place_of("vpc-studio").cloud, CloudName::Sandbox);
    assert_eq!(place_of("vpc-studio").account, None);
    let aws = |region: &str| Place { cloud: CloudName::Aws, account: None, region: region.into() };
    let sandbox = |region: &str| Place { cloud: CloudName::Sandbox, ..aws(region) };
    assert!(aws("eu-west-1").reaches(&aws("eu-west-1")) && sandbox("eu-west-1").reaches(&sandbox("us-east-1")));
    assert!(!aws("eu-west-1").reaches(&aws("us-east-1")) && !aws("eu-west-1").reaches(&sandbox("eu-west-1")));
}
