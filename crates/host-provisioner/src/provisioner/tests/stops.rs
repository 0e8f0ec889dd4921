//! Hosts that stop when they are idle, and are started again.

use super::*;
use crate::{InstanceState, Opened, Stops};

/// A host that stopped itself, and the instance that it is.
async fn stopped() -> (Setting, InstanceId) {
    let setting = Setting::new();
    let mut request = request("h");
    request.on_idle = OnIdle::Stop;
    request.now = Timestamp::now();
    let plan = plan(&setting.account, &request).await;
    let mut creation = setting.sound(true).create(&plan, None).await.expect("created");
    creation.hand_over().expect("written");
    drop(creation);
    let id = setting.instances()[0].id.clone();
    setting.account.with(|state| state.shut_down(&id)).expect("in memory");
    (setting, id)
}

fn state(setting: &Setting) -> InstanceState {
    setting.instances()[0].state
}

fn stops(setting: &Setting) -> Option<Stops> {
    setting.records()[0].stops.clone()
}

const KEPT: Option<Stops> = Some(Stops { volume_gib: Some(400), start_asked: None });

/// A start to its end, in a task of its own, which dies where the script says so: `None` then.
async fn start(provisioner: Provisioner) -> Option<Result<Instance, ProvisionError>> {
    tokio::spawn(async move { provisioner.start(&HostId::new("h")).await }).await.ok()
}

#[tokio::test(start_paused = true)]
async fn a_host_that_is_being_stopped_is_waited_for_and_started() {
    let (setting, id) = stopped().await;
    let address = setting.instances()[0].private_address;
    assert_eq!(state(&setting), InstanceState::Stopping);
    let started = start(setting.sound(true)).await.expect("it lives").expect("started");
    assert_eq!((started.id, started.state, started.private_address), (id, InstanceState::Running, address));
    assert_eq!(stops(&setting), KEPT);
    // One that runs is left as it is.
    let script = Script::new([]);
    start(setting.provisioner(&script, Fuse::default(), true)).await.expect("it lives").expect("it runs");
    assert!(!script.calls().contains(&"ec2:StartInstances"), "{:?}", script.calls());
    assert_eq!(setting.instances().len(), 1, "nothing is launched");
    setting.sound(true).terminate(&HostId::new("h")).await.expect("terminated");
    assert_eq!(setting.world().live_instances, Vec::<String>::new());
}

/// However old it is, it runs for half an hour, and the record knows.
#[tokio::test(start_paused = true)]
async fn a_host_that_is_started_late_has_half_an_hour() {
    let (setting, _) = stopped().await;
    let long_ago: Timestamp = "2026-01-01T00:00:00Z".parse().expect("a time");
    let Opened::Open(mut open) = setting.sound(true).journal().open(&HostId::new("h")).await.expect("readable") else {
        panic!("nobody works on it");
    };
    open.update(|record| record.expires = long_ago).expect("written");
    drop(open);
    start(setting.sound(true)).await.expect("it lives").expect("started");
    let left = setting.records()[0].expires.duration_since(Timestamp::now()).as_secs();
    assert!((1790..=1800).contains(&left), "{left}");
}

/// EC2 accepts a start and takes it back, or refuses it: it is said why, and the host is there as before.
#[tokio::test(start_paused = true)]
async fn a_start_without_capacity_is_an_error_that_loses_nothing() {
    let (setting, _) = stopped().await;
    let fate = ("Server.InsufficientInstanceCapacity", "Server.InsufficientInstanceCapacity: There is no capacity");
    setting.account.with(|state| state.fates.push((fate.0.into(), fate.1.into()))).expect("in memory");
    let error = start(setting.sound(true)).await.expect("it lives").expect_err("no capacity");
    assert!(error.to_string().contains("can't be started: it is stop"), "{error}");
    assert!(error.to_string().contains("There is no capacity"), "{error}");
    assert_eq!(stops(&setting), KEPT);
    let refused = ("ec2:StartInstances", "InsufficientInstanceCapacity", "no capacity in eu-west-1a");
    let refuse = |state: &mut crate::fake::State| {
        state.answers.push((refused.0.to_owned(), refused.1.to_owned(), refused.2.to_owned()));
    };
    setting.account.with(refuse).expect("in memory");
    let error = start(setting.sound(true)).await.expect("it lives").expect_err("refused");
    assert!(
        matches!(&error, ProvisionError::Cloud(cloud) if cloud.kind == crate::CloudErrorKind::NoCapacity),
        "{error:?}"
    );
    assert_eq!((stops(&setting), state(&setting)), (KEPT, InstanceState::Stopped));
    start(setting.sound(true)).await.expect("it lives").expect("later there is");
}

#[tokio::test(start_paused = true)]
async fn a_host_that_ended_is_not_started() {
    let (setting, id) = stopped().await;
    setting.sound(true).work.cloud.instances.terminate(&id).await.expect("terminated by somebody");
    let error = start(setting.sound(true)).await.expect("it lives").expect_err("it has ended");
    assert!(error.to_string().contains("it has ended"), "{error}");
    let error = setting.sound(true).start(&HostId::new("nobody")).await.expect_err("never was");
    assert!(error.to_string().contains("its record is gone"), "{error}");
}

/// A creation that nobody finished, whose host stopped when it was idle, can't be taken into use, and keeps no disk.
#[tokio::test(start_paused = true)]
async fn an_unfinished_creation_that_stopped_is_undone() {
    struct Silent;
    #[async_trait]
    impl ClientFiles for Silent {
        async fn adopt(&self, _record: &Record) -> Result<Adoption, ClientFilesError> {
            Ok(Adoption::NoAnswer { why: "it is stopped".to_owned() })
        }

        async fn adopt_stopped(&self, record: &Record) -> Result<Adoption, ClientFilesError> {
            self.adopt(record).await
        }

        async fn forget(&self, _record: &Record) -> Result<(), ClientFilesError> {
            Ok(())
        }
    }
    let setting = Setting::new();
    let request = HostRequest { on_idle: OnIdle::Stop, ..request("h") };
    let plan = plan(&setting.account, &request).await;
    drop(setting.sound(true).create(&plan, None).await.expect("created"));
    let silent = Provisioner { files: Arc::new(Silent), ..setting.sound(true) };
    recover(silent.clone()).await;
    assert_eq!(setting.records().len(), 1, "one that runs may still boot");
    let id = setting.instances()[0].id.clone();
    setting.account.with(|state| state.shut_down(&id)).expect("in memory");
    recover(silent).await;
    assert_eq!((setting.world(), setting.records()), (setting.began.clone(), Vec::new()));
}

/// Whatever happens at each call and each write of a start: no second instance, the record stays, and the host can be started and ended.
#[tokio::test(start_paused = true)]
async fn every_failure_of_start_is_cleared() {
    silence_deaths();
    let fuse = Fuse::default();
    let script = Script::new([]);
    let (setting, _) = stopped().await;
    start(setting.provisioner(&script, fuse.clone(), true)).await.expect("it lives").expect("started");
    let calls = script.calls();
    let mut cases: Vec<(String, Arc<Script>, Fuse)> = Vec::new();
    for (number, call) in calls.iter().enumerate() {
        for fault in FAULTS {
            let case = format!("{fault:?} at call {number} of start, {call}");
            cases.push((case, Script::new([(number, fault)]), Fuse::default()));
        }
    }
    for moment in 0..fuse.moments() {
        cases.push((format!("death at moment {moment} of the journal"), Script::new([]), Fuse::at(moment)));
    }
    for (case, script, fuse) in &cases {
        let (setting, _) = stopped().await;
        let outcome = start(setting.provisioner(script, fuse.clone(), true)).await;
        assert!(script.fired().len() == 1 || outcome.is_none(), "{case}");
        setting.assert_accounted(case);
        assert_eq!((setting.instances().len(), setting.records().len()), (1, 1), "{case}");
        if let Some(Ok(started)) = outcome {
            assert_eq!((started.state, stops(&setting)), (InstanceState::Running, KEPT), "{case}");
        }
        // An instance that may be starting is on record as one.
        let runs = matches!(state(&setting), InstanceState::Pending | InstanceState::Running);
        let asked = stops(&setting).is_some_and(|stops| stops.start_asked.is_some());
        assert!(!runs || asked || stops(&setting) == KEPT, "{case}");
        recover(setting.sound(true)).await;
        assert_eq!(stops(&setting), KEPT, "{case}");
        start(setting.sound(true)).await.expect(case).unwrap_or_else(|error| panic!("{case}: {error}"));
        setting.assert_cleared(case).await;
    }
    println!("start: {} cases over {} calls", cases.len(), calls.len());
}
