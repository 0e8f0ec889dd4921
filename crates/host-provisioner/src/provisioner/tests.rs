//! The failure matrix: at every call and every journal write of the flows, every kind of failure; then the world must be as it
//! began, or as planned.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the matrix says how many cases ran")]

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use proptest::prelude::*;
use studio_discovery::Tag;
use tempfile::TempDir;

use super::*;
use crate::{
    Adoption, ClientFilesError, EngineChoice, Entry, Event, HostConfig, HostId, HostPlan, HostRequest, Identity,
    Instance, InstanceId, Intent, LaunchIntent, MarketChoice, Observer, OnIdle, ProvisionError, ProxySettings, Record,
    RecordState, StepState, Survey, Unobserved,
    fake::{Account, PERMISSIONS_OF_2022, World, environment},
    faults::{Fault, Faulty, Script},
    journal::fuse::Fuse,
};

mod capacity;
mod examination;
mod places;
mod several;
mod silence;
mod stops;

const FAULTS: [Fault; 12] = [
    Fault::Fail,
    Fault::Throttle,
    Fault::Deny,
    Fault::NoCapacity,
    Fault::LoseAnswer,
    Fault::LoseRequest,
    Fault::BlockRequest,
    Fault::ReplaceAnswer,
    Fault::SwallowRequest,
    Fault::SwallowAnswer,
    Fault::DieBefore,
    Fault::DieAfter,
];

/// Files of which nothing is kept, and which fail as calls of the cloud do.
struct Files {
    answers: bool,
    script: Arc<Script>,
}

#[async_trait]
impl ClientFiles for Files {
    async fn adopt(&self, _record: &Record) -> Result<Adoption, ClientFilesError> {
        let never = || Adoption::Never { why: "its creator died before it made the credentials".to_owned() };
        let answer = async { Ok(if self.answers { Adoption::Adopted } else { never() }) };
        Ok(self.script.call("adopting files", answer).await?)
    }

    async fn adopt_stopped(&self, record: &Record) -> Result<Adoption, ClientFilesError> {
        self.adopt(record).await
    }

    async fn forget(&self, _record: &Record) -> Result<(), ClientFilesError> {
        Ok(self.script.call("forgetting files", async { Ok(()) }).await?)
    }
}

/// Files that can't be removed, as Studio Classic can't remove what belongs to root on EFS.
struct Irremovable;

#[async_trait]
impl ClientFiles for Irremovable {
    async fn adopt(&self, _record: &Record) -> Result<Adoption, ClientFilesError> {
        Ok(Adoption::Adopted)
    }

    async fn adopt_stopped(&self, record: &Record) -> Result<Adoption, ClientFilesError> {
        self.adopt(record).await
    }

    async fn forget(&self, _record: &Record) -> Result<(), ClientFilesError> {
        Err(std::io::Error::new(std::io::ErrorKind::PermissionDenied, "cannot remove /home/hosts/h").into())
    }
}

/// Keeps what is warned of.
#[derive(Default)]
struct Warnings(std::sync::Mutex<Vec<String>>);

impl Observer for Warnings {
    fn notice(&self, event: &Event) {
        if let Event::Warned(warning) = event {
            self.0.lock().expect("not poisoned").push(warning.to_string());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn files_that_cannot_be_removed_never_keep_a_record() {
    let setting = Setting::new();
    let warnings = Arc::new(Warnings::default());
    let journal = Journal::new(setting.home.path().join("journal"));
    let cloud = Cloud::of(setting.account.clone());
    let provisioner =
        Provisioner::new(cloud, journal, Arc::new(Irremovable), warnings.clone(), CancellationToken::new());
    let said = || std::mem::take(&mut *warnings.0.lock().expect("not poisoned"));
    let create = async |host: &str| {
        let environment = environment();
        let survey = Survey::take(&provisioner.work.cloud, &environment, &request(host)).await.expect("surveyed");
        let plan = HostPlan::new(&environment, &request(host), &survey).expect("planned");
        provisioner.create(&plan, None).await.expect("created")
    };
    let left =
        |host: &str| vec![format!("host {host} is gone, but not all that was kept of it: cannot remove /home/hosts/h")];

    create("terminated").await.hand_over().expect("written");
    provisioner.terminate(&HostId::new("terminated")).await.expect("terminated");
    assert_eq!((said(), setting.records()), (left("terminated"), vec![]));

    create("ended").await.hand_over().expect("written");
    for instance in setting.world().live_instances {
        provisioner.work.cloud.instances.terminate(&InstanceId::new(instance)).await.expect("it ends by itself");
    }
    provisioner.recover(None).await.expect("recovered");
    assert_eq!((said(), setting.records()), (left("ended"), vec![]));

    let creation = create("undone").await;
    provisioner.undo(creation.into_record(), ProvisionError::Interrupted).await;
    assert_eq!((said(), setting.records()), (left("undone"), vec![]));
    assert_eq!(setting.world().live_instances, Vec::<String>::new());
}

/// An account, a home, and what is asked for.
struct Setting {
    account: Arc<Account>,
    home: TempDir,
    began: World,
}

impl Setting {
    fn new() -> Self {
        let account = Arc::new(Account::studio());
        let began = account.world().expect("in memory");
        // In memory where that can be had: a journal that waits for a disk takes ten times as long for each case.
        let home = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a temporary folder");
        Self { account, home, began }
    }

    fn provisioner(&self, script: &Arc<Script>, fuse: Fuse, answers: bool) -> Provisioner {
        let mut journal = Journal::new(self.home.path().join("journal"));
        journal.fuse = fuse;
        let cloud = Faulty::new(Cloud::of(self.account.clone()), script.clone());
        let files = Arc::new(Files { answers, script: script.clone() });
        Provisioner::new(cloud, journal, files, Arc::new(Unobserved), CancellationToken::new())
    }

    fn sound(&self, answers: bool) -> Provisioner {
        self.provisioner(&Script::new([]), Fuse::default(), answers)
    }

    fn world(&self) -> World {
        self.account.world().expect("in memory")
    }

    fn records(&self) -> Vec<Record> {
        let entries = Journal::new(self.home.path().join("journal")).entries().expect("readable");
        let record = |entry| match entry {
            Entry::Idle(record) | Entry::Busy(record) => record,
            other => panic!("unusable: {other:?}"),
        };
        entries.into_iter().map(record).collect()
    }

    /// No live instance without a record: one that knows its id, or was about to launch with its token.
    fn assert_accounted(&self, case: &str) {
        let records = self.records();
        let known = |instance: &Instance| {
            records.iter().flat_map(|record| &record.steps).any(|resource| match &resource.intent {
                Intent::Instance(LaunchIntent { client_token, id, .. }) => {
                    id.as_ref() == Some(&instance.id)
                        || (resource.state == StepState::Intended
                            && Some(client_token) == instance.client_token.as_ref())
                }
                _ => false,
            })
        };
        for instance in self.instances() {
            assert!(
                instance.state.is_ended() || known(&instance),
                "{case}: {} has no record: {records:?}",
                instance.id
            );
        }
    }

    /// Every instance there ever was.
    fn instances(&self) -> Vec<Instance> {
        let all = |state: &mut crate::fake::State| state.instances.iter().map(|known| known.instance.clone()).collect();
        self.account.with(all).expect("in memory")
    }

    /// What is there that was not there at the beginning, by the names that an error gives it.
    fn left(&self) -> Vec<String> {
        let world = self.world();
        let mut left = Vec::new();
        for instance in self.instances().iter().filter(|instance| !instance.state.is_ended()) {
            left.push(
                instance.client_token.as_ref().map_or_else(String::new, |token| format!("{}|{token}", instance.id)),
            );
        }
        left.extend(world.groups.keys().filter(|name| !self.began.groups.contains_key(*name)).cloned());
        let changed =
            world.mount_targets.iter().filter(|(id, groups)| self.began.mount_targets.get(*id) != Some(*groups));
        left.extend(changed.map(|(id, _)| id.clone()));
        left
    }

    /// The error names everything that is left.
    fn assert_told(&self, error: &ProvisionError, case: &str) {
        let kept = match error {
            ProvisionError::Undone { report, .. } => report.kept.clone(),
            _ => Vec::new(),
        };
        let told = [error.remains(), kept].concat().join("; ");
        for what in self.left() {
            assert!(
                what.split('|').any(|name| told.contains(name)),
                "{case}: {what} is left, told is {told:?}: {error}"
            );
        }
    }

    /// After recovery and the end of every host, and purging, the world is as it began.
    async fn assert_cleared(&self, case: &str) {
        let provisioner = self.sound(false);
        for record in self.records() {
            provisioner.terminate(&record.host).await.unwrap_or_else(|error| panic!("{case}: {error}"));
        }
        provisioner.purge(&crate::fake::environment()).await.unwrap_or_else(|error| panic!("{case}: {error}"));
        assert_eq!(self.world(), self.began, "{case}");
        assert_eq!(self.records(), [], "{case}");
    }
}

pub(crate) fn request(host: &str) -> HostRequest {
    HostRequest {
        host: HostId::new(host),
        now: "2026-01-02T03:04:05Z".parse::<Timestamp>().expect("a time"),
        instance_type: "c5.xlarge".into(),
        subnet: None,
        engine: EngineChoice::Auto,
        swarm: false,
        market: MarketChoice::OnDemand,
        max_lifetime: Duration::from_secs(43200),
        idle_timeout: Some(Duration::from_secs(3600)),
        on_idle: OnIdle::default(),
        shared_home: Some("/home/sagemaker-user/.sdocker".into()),
        shares_files: false,
        hooks: crate::Hooks::default(),
        identity: Identity::Shared,
        proxy: ProxySettings::default(),
        config: HostConfig::default(),
    }
}

async fn plan(account: &Arc<Account>, request: &HostRequest) -> HostPlan {
    let survey = Survey::take(&Cloud::of(account.clone()), &environment(), request).await.expect("a sound account");
    HostPlan::new(&environment(), request, &survey).expect("it can be planned")
}

/// A creation to its end, in a task of its own, which dies where the script says so: `None` then.
async fn create(setting: &Setting, provisioner: Provisioner, host: &str) -> Option<Result<(), ProvisionError>> {
    let plan = plan(&setting.account, &request(host)).await;
    let flow = async move {
        let mut creation = provisioner.create(&plan, None).await?;
        creation.hand_over()
    };
    tokio::spawn(flow).await.ok()
}

/// A recovery to its end, in a task of its own. Another test of this process that starts a program holds every lock for the moment
/// until the program runs: then it is asked again.
async fn recover(provisioner: Provisioner) {
    let began = std::time::Instant::now();
    let is_busy = |recovery: &Recovery| recovery.settled.iter().any(|(_, done)| matches!(done, Recovered::Busy));
    let flow = async move {
        while let Ok(recovery) = provisioner.recover(None).await
            && is_busy(&recovery)
            && began.elapsed() < Duration::from_secs(10)
        {
            std::thread::yield_now();
        }
    };
    // Where the script says so, it dies.
    let _ = tokio::spawn(flow).await;
}

fn silence_deaths() {
    std::panic::set_hook(Box::new(|panic| {
        let text = panic.payload_as_str().unwrap_or_default();
        if text != crate::faults::DEATH {
            eprintln!("{panic}");
        }
    }));
}

/// After a creation with a failure somewhere: whatever it reported is true, and recovery settles the rest.
async fn check_after_create(setting: &Setting, outcome: Option<Result<(), ProvisionError>>, case: &str) {
    setting.assert_accounted(case);
    match &outcome {
        Some(Ok(())) => assert_eq!(setting.world().live_instances.len(), 1, "{case}"),
        Some(Err(error)) => setting.assert_told(error, case),
        None => {}
    }
    assert!(setting.instances().len() <= 1, "{case}: launched twice");
    for answers in [true, false] {
        recover(setting.sound(answers)).await;
        recover(setting.sound(answers)).await;
        setting.assert_accounted(case);
        let unfinished = setting.records().into_iter().filter(Record::is_unfinished).count();
        assert_eq!(unfinished, 0, "{case}: recovery left {:?}", setting.records());
        let ready = setting.records().iter().filter(|record| record.state == RecordState::Ready).count();
        assert_eq!(setting.world().live_instances.len(), ready, "{case}");
    }
    if !matches!(outcome, Some(Ok(()))) && setting.records().is_empty() {
        assert_eq!(setting.world(), setting.began, "{case}");
    }
    setting.assert_cleared(case).await;
}

#[tokio::test(start_paused = true)]
async fn every_failure_of_create_is_cleared() {
    silence_deaths();
    let calls = {
        let setting = Setting::new();
        let script = Script::new([]);
        assert!(matches!(
            create(&setting, setting.provisioner(&script, Fuse::default(), false), "h").await,
            Some(Ok(()))
        ));
        script.calls()
    };
    let mut cases = 0;
    for (number, call) in calls.iter().enumerate() {
        for fault in FAULTS {
            let setting = Setting::new();
            let script = Script::new([(number, fault)]);
            let outcome = create(&setting, setting.provisioner(&script, Fuse::default(), false), "h").await;
            let case = format!("{fault:?} at call {number}, {call}");
            assert_eq!(script.fired(), [number], "{case}");
            check_after_create(&setting, outcome, &case).await;
            cases += 1;
        }
    }
    println!("create: {cases} cases over {} calls", calls.len());
}

#[tokio::test(start_paused = true)]
async fn every_death_at_a_journal_write_is_cleared() {
    silence_deaths();
    let fuse = Fuse::default();
    let setting = Setting::new();
    assert!(create(&setting, setting.provisioner(&Script::new([]), fuse.clone(), false), "h").await.is_some());
    for moment in 0..fuse.moments() {
        let setting = Setting::new();
        let outcome = create(&setting, setting.provisioner(&Script::new([]), Fuse::at(moment), false), "h").await;
        assert!(outcome.is_none(), "it dies at moment {moment}");
        check_after_create(&setting, outcome, &format!("death at moment {moment} of the journal")).await;
    }
    println!("journal: {} cases", fuse.moments());
}

/// The second failure hits the clean-up after the first.
#[tokio::test(start_paused = true)]
async fn every_failure_of_the_undo_is_cleared() {
    silence_deaths();
    let mut cases = 0;
    // The launch fails: everything before it is to be undone.
    let clean = Setting::new();
    let script = Script::new([]);
    create(&clean, clean.provisioner(&script, Fuse::default(), false), "h").await;
    let launch = script.calls().iter().position(|call| *call == "ec2:RunInstances").expect("it launches");
    for first in [(launch, Fault::Fail), (launch, Fault::LoseAnswer), (launch + 1, Fault::Fail)] {
        let setting = Setting::new();
        let script = Script::new([first]);
        create(&setting, setting.provisioner(&script, Fuse::default(), false), "h").await;
        for second in first.0 + 1..script.calls().len() {
            for fault in FAULTS {
                let setting = Setting::new();
                let script = Script::new([first, (second, fault)]);
                let outcome = create(&setting, setting.provisioner(&script, Fuse::default(), false), "h").await;
                let case = format!("{first:?}, then {fault:?} at call {second}");
                assert_eq!(script.fired(), [first.0, second], "{case}");
                check_after_create(&setting, outcome, &case).await;
                cases += 1;
            }
        }
    }
    println!("undo: {cases} cases");
}

#[tokio::test(start_paused = true)]
async fn every_failure_of_terminate_is_cleared() {
    silence_deaths();
    let calls = {
        let setting = Setting::new();
        create(&setting, setting.sound(false), "h").await;
        let script = Script::new([]);
        setting.provisioner(&script, Fuse::default(), false).terminate(&HostId::new("h")).await.expect("terminated");
        script.calls()
    };
    let mut cases = 0;
    for (number, call) in calls.iter().enumerate() {
        for fault in FAULTS {
            let case = format!("{fault:?} at call {number} of terminate, {call}");
            let setting = Setting::new();
            create(&setting, setting.sound(false), "h").await;
            let script = Script::new([(number, fault)]);
            let provisioner = setting.provisioner(&script, Fuse::default(), false);
            let outcome = tokio::spawn(async move { provisioner.terminate(&HostId::new("h")).await }).await.ok();
            assert_eq!(script.fired(), [number], "{case}");
            setting.assert_accounted(&case);
            if matches!(outcome, Some(Ok(_))) {
                assert_eq!((setting.records(), setting.world().live_instances), (vec![], vec![]), "{case}");
            }
            recover(setting.sound(true)).await;
            setting.assert_cleared(&case).await;
            cases += 1;
        }
    }
    println!("terminate: {cases} cases over {} calls", calls.len());
}

/// A create that died once it had its instance, of a host that answers and of one that does not; and a host that ended by itself.
#[tokio::test(start_paused = true)]
async fn every_failure_of_recovery_is_cleared() {
    silence_deaths();
    let mut cases = 0;
    for (ended, answers) in [(false, true), (false, false), (true, false)] {
        let begin = async || {
            let setting = Setting::new();
            let plan = plan(&setting.account, &request("h")).await;
            let mut creation = setting.sound(answers).create(&plan, None).await.expect("created");
            if ended {
                creation.hand_over().expect("written");
                let end = |state: &mut crate::fake::State| state.instances[0].instance.end();
                setting.account.with(end).expect("in memory");
            }
            setting
        };
        let script = Script::new([]);
        recover(begin().await.provisioner(&script, Fuse::default(), answers)).await;
        for (number, call) in script.calls().iter().enumerate() {
            for fault in FAULTS {
                let case = format!("{fault:?} at call {number} of recovery, {call}; ended {ended}, answers {answers}");
                let setting = begin().await;
                let script = Script::new([(number, fault)]);
                recover(setting.provisioner(&script, Fuse::default(), answers)).await;
                assert_eq!(script.fired(), [number], "{case}");
                setting.assert_accounted(&case);
                recover(setting.sound(answers)).await;
                assert_eq!(setting.records().into_iter().filter(Record::is_unfinished).count(), 0, "{case}");
                setting.assert_cleared(&case).await;
                cases += 1;
            }
        }
    }
    println!("recovery: {cases} cases");
}

#[tokio::test(start_paused = true)]
async fn eventual_consistency_is_waited_for() {
    let setting = Setting::new();
    setting.account.with(|state| state.appears_after = 3).expect("in memory");
    let stop = CancellationToken::new();
    let mut provisioner = setting.sound(false);
    provisioner.work.stop = stop.clone();
    let plan = plan(&setting.account, &request("h")).await;
    let creation = provisioner.create(&plan, None).await.expect("it is created");
    // Undone at once, while EC2 still says that there is no such instance.
    provisioner.undo(creation.into_record(), ProvisionError::Interrupted).await;
    assert_eq!(setting.world(), setting.began);
}

#[tokio::test(start_paused = true)]
async fn without_capacity_the_next_subnet_is_tried() {
    let setting = Setting::new();
    let exhaust = |state: &mut crate::fake::State, count: usize| {
        for subnet in &mut state.subnets[..count] {
            subnet.on_demand_capacity = Some(0);
        }
    };
    setting.account.with(|state| exhaust(state, 1)).expect("in memory");
    assert!(matches!(create(&setting, setting.sound(false), "h").await, Some(Ok(()))));
    let subnet = setting.account.with(|state| state.instances[0].instance.subnet.clone()).expect("in memory");
    assert_eq!(subnet, Some("subnet-2".into()));

    let setting = Setting::new();
    setting.account.with(|state| exhaust(state, 3)).expect("in memory");
    let error = create(&setting, setting.sound(false), "h").await.expect("it lives").expect_err("no capacity");
    // The third subnet has no mount target, and is not tried.
    assert_eq!(error.to_string(), "no capacity for c5.xlarge in subnet-1 (eu-west-1a), subnet-2 (eu-west-1b)");
    assert_eq!(setting.world(), setting.began);
}

#[tokio::test(start_paused = true)]
async fn the_permissions_of_2022_suffice() {
    let setting = Setting::new();
    setting
        .account
        .with(|state| state.allowed = Some(PERMISSIONS_OF_2022.map(str::to_owned).into()))
        .expect("in memory");
    assert!(matches!(create(&setting, setting.sound(false), "h").await, Some(Ok(()))));
    let tags = setting.account.with(|state| state.instances[0].instance.tags.clone()).expect("in memory");
    assert_eq!(tags, [], "tags need ec2:CreateTags");
    setting.sound(false).terminate(&HostId::new("h")).await.expect("terminated");
    assert_eq!(setting.world().live_instances, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn groups_that_others_use_are_left() {
    let setting = Setting::new();
    assert!(matches!(create(&setting, setting.sound(false), "first").await, Some(Ok(()))));
    let with_one = setting.world();
    // A second creation fails after its launch: the groups stay, because the first host uses them.
    let script = Script::new([(2, Fault::Fail)]);
    let outcome = create(&setting, setting.provisioner(&script, Fuse::default(), false), "second").await;
    assert!(matches!(outcome, Some(Err(_))), "{:?}", script.calls());
    assert_eq!(setting.world(), with_one);
    // Purging refuses as well, until the host is gone.
    let report = setting.sound(false).purge(&crate::fake::environment()).await.expect("purged");
    assert_eq!((report.removed.len(), report.kept.len()), (0, 2));
    setting.assert_cleared("after the first host").await;
}

/// EC2 has one group of a name in a VPC, whatever its letters, but finds it only as it is written.
#[tokio::test(start_paused = true)]
async fn a_group_of_the_same_name_in_other_letters_is_named_and_left() {
    let setting = Setting::new();
    let cloud = Cloud::of(setting.account.clone());
    cloud.security_groups.create(&"vpc-studio".into(), "dockerHOST-d-studio", "", &[]).await.expect("made");
    let before = setting.world();
    let outcome = create(&setting, setting.sound(false), "h").await.expect("it lives").expect_err("the name is taken");
    assert!(outcome.to_string().contains("differs from DockerHost-d-studio in upper and lower case only"), "{outcome}");
    assert_eq!((setting.world(), setting.records()), (before, Vec::new()));
}

#[tokio::test(start_paused = true)]
async fn a_full_mount_target_is_an_error_that_leaves_nothing() {
    let setting = Setting::new();
    let fill = |state: &mut crate::fake::State| {
        let others: Vec<studio_discovery::SecurityGroupId> =
            (0..5).map(|number| format!("sg-{number}").into()).collect();
        for id in &others {
            let one = crate::SecurityGroup { id: id.clone(), name: id.to_string(), ..state.groups[0].clone() };
            state.groups.push(one);
        }
        for target in &mut state.mount_targets {
            target.groups.clone_from(&others);
        }
    };
    setting.account.with(fill).expect("in memory");
    let full = setting.world();
    let error = create(&setting, setting.sound(false), "h").await.expect("it lives").expect_err("it is full");
    assert_eq!(error.to_string(), "mount target fsmt-1 has 5 security groups already, and EFS takes no more");
    assert_eq!(setting.world(), full);

    // The account's quota, and not a number of ours, decides.
    setting.account.with(|state| state.groups_per_interface = Some(6)).expect("in memory");
    create(&setting, setting.sound(false), "i").await.expect("it lives").expect("there is room for a sixth");
}

#[tokio::test(start_paused = true)]
async fn asked_to_stop_it_undoes() {
    let setting = Setting::new();
    let mut provisioner = setting.sound(false);
    let stop = CancellationToken::new();
    provisioner.work.stop = stop.clone();
    struct StopAtLaunch(CancellationToken);
    impl Observer for StopAtLaunch {
        fn notice(&self, event: &Event) {
            if matches!(event, Event::Started(crate::Activity::MountTarget { .. })) {
                self.0.cancel();
            }
        }
    }
    provisioner.work.observer = Arc::new(StopAtLaunch(stop));
    let plan = plan(&setting.account, &request("h")).await;
    let error = provisioner.create(&plan, None).await.expect_err("it stops");
    assert!(
        matches!(&error, ProvisionError::Undone { error, .. } if matches!(**error, ProvisionError::Interrupted)),
        "{error:?}"
    );
    assert_eq!(setting.world(), setting.began);
}

/// What a successor does of each state in which a process can die.
#[tokio::test(start_paused = true)]
async fn what_was_begun_is_finished_and_what_was_handed_over_is_left() {
    let host = HostId::new("h");
    let setting = Setting::new();
    let plan = plan(&setting.account, &request("h")).await;
    let creation = setting.sound(true).create(&plan, None).await.expect("it is created");
    assert!(matches!(setting.sound(true).finish(&host).await, Ok(Some(Recovered::Busy))), "somebody works on it");
    drop(creation);
    // Asked again where a program that another test starts holds the lock for a moment: see `recover`.
    let finish = async || {
        let began = std::time::Instant::now();
        loop {
            match setting.sound(true).finish(&host).await.expect("a readable record") {
                Some(Recovered::Busy) if began.elapsed() < Duration::from_secs(10) => std::thread::yield_now(),
                done => return done,
            }
        }
    };
    // A `recover` would adopt it, because it answers; but its creation was to be undone.
    assert!(matches!(finish().await, Some(Recovered::Undone(_))));
    assert_eq!((setting.world(), setting.records()), (setting.began.clone(), Vec::new()));
    assert!(finish().await.is_none(), "it is gone");

    assert!(matches!(create(&setting, setting.sound(true), "h").await, Some(Ok(()))));
    assert!(finish().await.is_none(), "it is the user's");
    assert_eq!(setting.world().live_instances.len(), 1);
    // The first call looks at the host; the second ends it.
    let script = Script::new([(1, Fault::DieAfter)]);
    let provisioner = setting.provisioner(&script, Fuse::default(), true);
    silence_deaths();
    tokio::spawn(async move { provisioner.terminate(&HostId::new("h")).await }).await.expect_err("it dies");
    assert_eq!(setting.records().len(), 1);
    assert!(matches!(finish().await, Some(Recovered::Terminated)));
    assert_eq!((setting.world().live_instances, setting.records()), (Vec::new(), Vec::new()));
}

fn faults() -> impl Strategy<Value = Vec<(usize, Fault)>> {
    let fault = prop::sample::select(FAULTS.to_vec());
    prop::collection::vec((0..25_usize, fault), 0..5)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_failures_is_cleared(during_create in faults(), during_recovery in faults(), answers: bool) {
        silence_deaths();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime");
        runtime.block_on(async {
            let setting = Setting::new();
            let create_script = Script::new(during_create.clone());
            create(&setting, setting.provisioner(&create_script, Fuse::default(), answers), "h").await;
            setting.assert_accounted("after create");
            let recovery_script = Script::new(during_recovery.clone());
            recover(setting.provisioner(&recovery_script, Fuse::default(), answers)).await;
            setting.assert_accounted("after a failing recovery");
            recover(setting.sound(answers)).await;
            assert_eq!(setting.records().into_iter().filter(Record::is_unfinished).count(), 0);
            setting.assert_cleared("in the end").await;
        });
    }
}
