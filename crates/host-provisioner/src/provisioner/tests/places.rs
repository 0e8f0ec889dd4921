//! Two Regions, two accounts, two clouds, two owners: nothing is concluded about a host by looking elsewhere, and nobody ends another's.

use super::*;
use crate::{CloudName, Doubt, Place, Seen, Territory, fake::State};

/// The sandbox, as far as its place goes.
struct InSandbox(Arc<Account>);

#[async_trait]
impl Territory for InSandbox {
    fn place(&self) -> Place {
        Place { cloud: CloudName::Sandbox, account: None, region: "eu-west-1".into() }
    }

    async fn seen(&self, vpc: &studio_discovery::VpcId) -> Result<Seen, crate::CloudError> {
        self.0.seen(vpc).await
    }
}

/// Clouds that are not the one that a setting's hosts are in.
fn elsewhere() -> Vec<(&'static str, Cloud)> {
    let in_place = |region: &str, account: &str| {
        let mut state = State::studio();
        (state.region, state.account) = (region.to_owned().into(), Some(account.into()));
        Cloud::of(Arc::new(Account::new(state)))
    };
    let sandbox = Arc::new(Account::studio());
    let territory = Arc::new(InSandbox(sandbox.clone()));
    vec![
        ("another Region", in_place("us-east-1", "123456789012")),
        ("another account", in_place("eu-west-1", "999999999999")),
        ("another cloud", Cloud { territory, ..Cloud::of(sandbox) }),
    ]
}

fn adopting(answer: Adoption) -> Arc<dyn ClientFiles> {
    struct Answers(Adoption);
    #[async_trait]
    impl ClientFiles for Answers {
        async fn adopt(&self, _record: &Record) -> Result<Adoption, ClientFilesError> {
            Ok(self.0.clone())
        }

        async fn adopt_stopped(&self, record: &Record) -> Result<Adoption, ClientFilesError> {
            self.adopt(record).await
        }

        async fn forget(&self, _record: &Record) -> Result<(), ClientFilesError> {
            panic!("nothing of a host that is not known to be gone is forgotten")
        }
    }
    Arc::new(Answers(answer))
}

impl Setting {
    fn over(&self, cloud: Cloud, files: Arc<dyn ClientFiles>) -> Provisioner {
        let journal = Journal::new(self.home.path().join("journal"));
        Provisioner::new(cloud, journal, files, Arc::new(Unobserved), CancellationToken::new())
    }

    /// Makes the records look as old as the hosts of last week.
    fn age(&self) {
        for record in self.records() {
            let path = self.home.path().join(format!("journal/{}.json", record.host));
            let mut old = record;
            old.expires = "2026-01-02T15:04:05Z".parse().expect("a time");
            for resource in &mut old.steps {
                if let crate::Intent::Instance(crate::LaunchIntent { asked, .. }) = &mut resource.intent {
                    *asked = old.created;
                }
            }
            std::fs::write(path, serde_json::to_string(&old).expect("JSON")).expect("written");
        }
    }
}

/// One host in use; one whose creator died once it had its instance, one before it heard of it, and one before the launch.
async fn four_hosts(setting: &Setting) {
    assert!(matches!(create(setting, setting.sound(false), "ready").await, Some(Ok(()))));
    // The same creation beside a first host, to its end: which calls and writes it makes.
    let (counted, script, fuse) = (Setting::new(), Script::new([]), Fuse::default());
    create(&counted, counted.sound(false), "ready").await;
    create(&counted, counted.provisioner(&script, fuse.clone(), false), "other").await;
    let launch = script.calls().iter().position(|call| *call == "ec2:RunInstances").expect("it launches");
    // The last write hands over: right before it.
    let handing_over = Fuse::at(fuse.moments() - 2);
    for (host, script, fuse) in [
        ("launched", Script::new([]), handing_over),
        ("lost", Script::new([(launch, Fault::DieAfter)]), Fuse::default()),
        ("planned", Script::new([(launch, Fault::DieBefore)]), Fuse::default()),
    ] {
        assert!(create(setting, setting.provisioner(&script, fuse, false), host).await.is_none(), "{host}");
    }
    assert_eq!((setting.records().len(), setting.world().live_instances.len()), (4, 3));
}

#[tokio::test(start_paused = true)]
async fn looking_elsewhere_changes_nothing_and_says_so() {
    silence_deaths();
    let setting = Setting::new();
    four_hosts(&setting).await;
    for aged in [false, true] {
        if aged {
            setting.age();
        }
        let (records, world) = (setting.records(), setting.world());
        for (what, cloud) in elsewhere() {
            let provisioner = setting.over(cloud, adopting(Adoption::Adopted));
            for record in &records {
                let error = provisioner.terminate(&record.host).await.expect_err(what);
                let expected = |doubt: &Doubt| match what {
                    "another account" => matches!(doubt, Doubt::OtherAccount { .. }),
                    _ => matches!(doubt, Doubt::Elsewhere { .. }),
                };
                assert!(
                    matches!(&error, ProvisionError::Doubtful { doubt, .. } if expected(doubt)),
                    "{what}, {}: {error:?}",
                    record.host
                );
                assert_eq!(error.remains().len(), 1, "{error:?}");
            }
            let settled = provisioner.settle_all(records.clone()).await.0;
            assert_eq!(settled.len(), 4, "{what}");
            for (record, done) in &settled {
                assert!(matches!(done, Recovered::Unknown(_)), "{what}, {}: {done:?}", record.host);
            }
            let recovered = provisioner.recover(None).await.expect("recovered").settled;
            assert_eq!(recovered.len(), if what == "another account" { 4 } else { 0 }, "{what}");
            assert_eq!((setting.records(), setting.world()), (records.clone(), world.clone()), "{what}");
        }
    }
    recover(setting.sound(false)).await;
    assert_eq!(setting.world().live_instances.len(), 1, "in its own place what was interrupted is undone");
    setting.assert_cleared("in its own place").await;
}

/// A missed look or a missed answer is no reason to end a host that came up.
#[tokio::test(start_paused = true)]
async fn a_host_in_doubt_is_kept() {
    silence_deaths();
    let began = async || {
        let (setting, counted) = (Setting::new(), Setting::new());
        let fuse = Fuse::default();
        create(&counted, counted.provisioner(&Script::new([]), fuse.clone(), false), "h").await;
        // The last write hands over: right before it.
        let at = Fuse::at(fuse.moments() - 2);
        assert!(create(&setting, setting.provisioner(&Script::new([]), at, false), "h").await.is_none());
        assert_eq!((setting.world().live_instances.len(), setting.records()[0].state), (1, RecordState::Creating));
        setting
    };
    let setting = began().await;
    let no_answer = || Adoption::NoAnswer { why: "connection refused".to_owned() };
    let cloud = Cloud::of(setting.account.clone());
    let settled = setting.over(cloud, adopting(no_answer())).recover(None).await.expect("recovered").settled;
    let [(_, Recovered::Unknown(error))] = settled.as_slice() else { panic!("{settled:?}") };
    assert!(error.to_string().ends_with("is there, but does not answer: connection refused"), "{error}");
    assert_eq!(error.remains().len(), 1);

    for fault in [Fault::Fail, Fault::Deny, Fault::LoseRequest, Fault::LoseAnswer] {
        let script = Script::new((0..200).map(|call| (call, fault)));
        let cloud = Faulty::new(Cloud::of(setting.account.clone()), script.clone());
        let settled = setting.over(cloud, adopting(Adoption::Adopted)).recover(None).await.expect("recovered").settled;
        assert!(matches!(settled.as_slice(), [(_, Recovered::Unknown(_))]), "{fault:?}: {settled:?}");
        assert!(script.calls().iter().all(|call| *call == "ec2:DescribeInstances"), "{:?}", script.calls());
    }
    assert_eq!((setting.world().live_instances.len(), setting.records()[0].state), (1, RecordState::Creating));
    recover(setting.sound(true)).await;
    assert_eq!((setting.world().live_instances.len(), setting.records()[0].state), (1, RecordState::Ready));
    setting.assert_cleared("adopted").await;

    let setting = began().await;
    recover(setting.sound(false)).await;
    assert_eq!((setting.world(), setting.records()), (setting.began.clone(), vec![]), "it could never be used");
}

#[tokio::test(start_paused = true)]
async fn nobody_ends_the_host_of_another() {
    let setting = Setting::new();
    assert!(matches!(create(&setting, setting.sound(false), "h").await, Some(Ok(()))));
    let retag = |key: &str, value: &str| {
        let change = |state: &mut State| {
            for tag in &mut state.instances[0].instance.tags {
                if tag.key == key {
                    value.clone_into(&mut tag.value);
                }
            }
        };
        setting.account.with(change).expect("in memory");
    };
    let provisioner = setting.sound(false);
    for (key, theirs, ours, said) in [
        (crate::TAG_OWNER, "eve", "ana", "is the host of eve in domain d-studio"),
        (crate::TAG_DOMAIN, "d-other", "d-studio", "is the host of ana in domain d-other"),
    ] {
        retag(key, theirs);
        let error = provisioner.terminate(&HostId::new("h")).await.expect_err("it is another's");
        assert!(error.to_string().ends_with(said), "{error}");
        assert_eq!((setting.world().live_instances.len(), setting.records()[0].state), (1, RecordState::Ready));
        retag(key, ours);
    }

    let (domain, owner) = ("d-studio".into(), "ana".into());
    let me = Some((&domain, &owner));
    let tag = |key: &str, value: &str| Tag::new(key, value);
    let sdocker = |domain: &str, owner: &str| {
        vec![tag(crate::TAG_HOST, "x"), tag(crate::TAG_DOMAIN, domain), tag(crate::TAG_OWNER, owner)]
    };
    // Tags, whether this home lists it, whether it may be ended.
    let cases = [
        (sdocker("d-studio", "ana"), false, true),
        (sdocker("d-studio", "ana"), true, true),
        (sdocker("d-studio", "eve"), true, false),
        (sdocker("d-other", "ana"), true, false),
        (vec![tag(crate::TAG_HOST, "x")], true, false),
        (vec![tag("Name", "DockerHost")], true, true),
        (vec![], true, true),
        (vec![tag("Name", "web server")], true, false),
        (vec![tag("Name", "DockerHost")], false, false),
        (vec![], false, false),
    ];
    for (tags, listed, may) in cases {
        let id = InstanceId::new("i-0aaaaaaaaaaaaaaaa");
        let instance = crate::fake::tests::instance(id.as_str(), tags.clone());
        setting.account.with(|state| state.instances.push(instance)).expect("in memory");
        let ended = provisioner.terminate_unrecorded(&id, listed, me).await;
        assert_eq!(ended.is_ok(), may, "{tags:?}, listed: {listed}: {ended:?}");
        let alive = setting.world().live_instances.contains(&id.to_string());
        assert_eq!(alive, !may, "{tags:?}");
        if tags.iter().any(|tag| tag.key == crate::TAG_OWNER) && alive {
            let ended = provisioner.terminate_unrecorded(&id, listed, None).await;
            assert!(matches!(ended, Err(ProvisionError::NotYours { .. })), "{ended:?}");
        }
        setting.account.with(|state| state.instances.retain(|record| record.instance.id != id)).expect("in memory");
    }
    let unlisted = provisioner.terminate_unrecorded(&"i-0bbbbbbbbbbbbbbbb".into(), true, me).await;
    assert!(matches!(unlisted, Err(ProvisionError::Doubtful { doubt: Doubt::NotListed { .. }, .. })), "{unlisted:?}");
    setting.assert_cleared("in the end").await;
}
