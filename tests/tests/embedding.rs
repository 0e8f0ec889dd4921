//! How a program that embeds the crates tests what is its own: with mocks of the traits, and with the stateful account and its faults.

use std::{sync::Arc, time::Duration};

use host_provisioner::{
    Adoption, Cloud, CloudError, CloudErrorKind, EngineChoice, Hooks, HostConfig, HostId, HostPlan, HostRequest,
    Identity, Instance, InstanceFilter, InstanceId, InstanceState, Instances, Journal, MarketChoice, MemoryStore,
    MockClientFiles, MockInstances, OnIdle, Provisioner, ProxySettings, Survey, TAG_HOST, Unobserved,
    fake::{Account, environment},
    faults::{Fault, Faulty, Script},
};
use jiff::{SignedDuration, Timestamp};
use studio_discovery::{MockStudioApi, StudioApi as _, Tag};
use tokio_util::sync::CancellationToken;

/// What such a program has of its own: it ends hosts that are older than its team allows.
async fn end_old_hosts(
    instances: &dyn Instances,
    now: Timestamp,
    oldest: SignedDuration,
) -> Result<Vec<InstanceId>, CloudError> {
    let filter = InstanceFilter { tag_key: Some(TAG_HOST.to_owned()), ..InstanceFilter::default() };
    let mut ended = Vec::new();
    for instance in instances.list(&filter).await? {
        let is_old = instance.launched.is_some_and(|launched| now.duration_since(launched) > oldest);
        if is_old && !instance.state.is_ended() {
            instances.terminate(&instance.id).await?;
            ended.push(instance.id);
        }
    }
    Ok(ended)
}

const NOW: &str = "2026-01-02T03:04:05Z";

fn now() -> Timestamp {
    NOW.parse().expect("a time")
}

fn launched(id: &str, hours_ago: i64, state: InstanceState) -> Instance {
    let mut instance = Instance::new(id.into(), "c5.xlarge".into(), state);
    instance.launched = Some(now() - SignedDuration::from_hours(hours_ago));
    instance
}

#[tokio::test]
async fn with_a_mock() {
    let mut instances = MockInstances::new();
    instances.expect_list().withf(|filter| filter.tag_key.as_deref() == Some(TAG_HOST)).return_once(|_| {
        Ok(vec![
            launched("i-1", 30, InstanceState::Running),
            launched("i-2", 2, InstanceState::Running),
            launched("i-3", 90, InstanceState::Terminated),
        ])
    });
    instances.expect_terminate().withf(|id| *id == InstanceId::from("i-1")).once().return_once(|_| Ok(()));
    let ended = end_old_hosts(&instances, now(), SignedDuration::from_hours(24)).await.expect("ended");
    assert_eq!(ended, [InstanceId::from("i-1")]);

    let mut refusing = MockInstances::new();
    let refused = CloudErrorKind::AccessDenied { refused: None };
    refusing.expect_list().return_once(|_| Err(CloudError::new("ec2:DescribeInstances", "", refused)));
    let error = end_old_hosts(&refusing, now(), SignedDuration::ZERO).await.expect_err("refused");
    assert!(matches!(error.kind, CloudErrorKind::AccessDenied { .. }), "{error}");

    let mut sagemaker = MockStudioApi::new();
    sagemaker.expect_list_tags().return_once(|_| Ok(vec![Tag { key: "team".to_owned(), value: "vision".to_owned() }]));
    assert_eq!(sagemaker.list_tags("arn:aws:sagemaker:::domain/d-1").await.expect("listed").len(), 1);
}

fn request() -> HostRequest {
    HostRequest {
        host: HostId::new("embedded"),
        now: now(),
        instance_type: "c5.xlarge".into(),
        subnet: None,
        engine: EngineChoice::Auto,
        swarm: false,
        market: MarketChoice::OnDemand,
        max_lifetime: Duration::from_secs(12 * 3600),
        idle_timeout: None,
        on_idle: OnIdle::default(),
        shared_home: Some("/home/sagemaker-user/.sdocker".into()),
        shares_files: false,
        hooks: Hooks::default(),
        identity: Identity::Shared,
        proxy: ProxySettings::default(),
        config: HostConfig::default(),
    }
}

/// A provisioner over an account in memory, which keeps nothing on disk.
fn provisioner(cloud: Cloud) -> Provisioner {
    let mut files = MockClientFiles::new();
    files.expect_adopt().returning(|_| Ok(Adoption::Never { why: "nothing is kept of a host here".to_owned() }));
    files.expect_forget().returning(|_| Ok(()));
    let journal = Journal::kept_in(Arc::new(MemoryStore::default()));
    Provisioner::new(cloud, journal, Arc::new(files), Arc::new(Unobserved), CancellationToken::new())
}

#[tokio::test(start_paused = true)]
async fn with_the_stateful_account() {
    let account = Arc::new(Account::studio());
    let cloud = Cloud::of(account.clone());
    let survey = Survey::take(&cloud, &environment(), &request()).await.expect("read");
    let plan = HostPlan::new(&environment(), &request(), &survey).expect("planned");
    let provisioner = provisioner(cloud.clone());
    let mut creation = provisioner.create(&plan, None).await.expect("created");
    creation.hand_over().expect("handed over");
    drop(creation);
    assert_eq!(account.world().expect("in memory").live_instances.len(), 1);
    let ended = end_old_hosts(&*cloud.instances, Timestamp::MAX, SignedDuration::ZERO).await.expect("ended");
    assert_eq!(ended.len(), 1);
    assert_eq!(account.world().expect("in memory").live_instances.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn with_faults() {
    let account = Arc::new(Account::studio());
    let before = account.world().expect("in memory");
    let cloud = Cloud::of(account.clone());
    let survey = Survey::take(&cloud, &environment(), &request()).await.expect("read");
    let plan = HostPlan::new(&environment(), &request(), &survey).expect("planned");
    let script = Script::always("ec2:RunInstances", Fault::Deny);
    let failed = provisioner(Faulty::new(cloud, script.clone())).create(&plan, None).await;
    assert!(failed.is_err());
    assert!(!script.fired().is_empty(), "the fault was never met");
    assert_eq!(account.world().expect("in memory"), before, "what was made is undone");
}
