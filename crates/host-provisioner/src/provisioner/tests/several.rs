//! Several hosts at once: the failure matrix over their number.

use super::*;
use crate::{Order, Several, TAG_HOST};

const COUNT: usize = 3;

async fn orders(setting: &Setting) -> Vec<Order> {
    let mut orders = Vec::new();
    for number in 0..COUNT {
        let plan = plan(&setting.account, &request(&format!("h{number}"))).await;
        orders.push(Order { plans: vec![plan], observer: Arc::new(Unobserved) });
    }
    orders
}

/// Three hosts to the end, in a task of its own, which dies where the script says so: `None` then. Otherwise the created and the failed.
async fn create_several(
    setting: &Setting,
    provisioner: Provisioner,
    at_least: usize,
) -> Option<Result<(usize, usize), ProvisionError>> {
    let orders = orders(setting).await;
    let flow = async move {
        let Several { mut created, failed } =
            provisioner.create_several(&orders, at_least, Duration::ZERO, None).await?;
        for (_, creation) in &mut created {
            creation.hand_over()?;
        }
        Ok((created.len(), failed.len()))
    };
    tokio::spawn(flow).await.ok()
}

/// After a creation of several with a failure somewhere: there are as many as was said, or none, and recovery settles the rest.
async fn check(
    setting: &Setting,
    outcome: Option<Result<(usize, usize), ProvisionError>>,
    at_least: usize,
    case: &str,
) {
    setting.assert_accounted(case);
    match &outcome {
        Some(Ok((created, failed))) => {
            assert!(*created >= at_least && created + failed == COUNT, "{case}: {created} and {failed}");
        }
        Some(Err(error)) => {
            setting.assert_told(error, case);
            if error.remains().is_empty() {
                assert_eq!((setting.world(), setting.records()), (setting.began.clone(), vec![]), "{case}: {error}");
            }
        }
        None => {}
    }
    assert!(setting.instances().len() <= COUNT, "{case}: one was launched twice");
    for answers in [true, false] {
        recover(setting.sound(answers)).await;
        recover(setting.sound(answers)).await;
        setting.assert_accounted(case);
        assert_eq!(setting.records().into_iter().filter(Record::is_unfinished).count(), 0, "{case}");
        assert_eq!(setting.world().live_instances.len(), setting.records().len(), "{case}");
    }
    if setting.records().is_empty() {
        assert_eq!(setting.world(), setting.began, "{case}");
    }
    setting.assert_cleared(case).await;
}

#[tokio::test(start_paused = true)]
async fn every_failure_among_several_is_cleared() {
    silence_deaths();
    let calls = {
        let setting = Setting::new();
        let script = Script::new([]);
        let outcome = create_several(&setting, setting.provisioner(&script, Fuse::default(), false), COUNT).await;
        assert!(matches!(outcome, Some(Ok((COUNT, 0)))), "{outcome:?}");
        assert_eq!(setting.world().live_instances.len(), COUNT);
        script.calls()
    };
    // One by itself, and the others with one call.
    assert_eq!(calls.iter().filter(|call| **call == "ec2:RunInstances").count(), 2);
    let mut cases = 0;
    for (number, call) in calls.iter().enumerate() {
        for (position, fault) in FAULTS.into_iter().enumerate() {
            // All of them, or all but one, by turns: each call meets both.
            {
                let at_least = COUNT - (number + position) % 2;
                let setting = Setting::new();
                let script = Script::new([(number, fault)]);
                let provisioner = setting.provisioner(&script, Fuse::default(), false);
                let outcome = create_several(&setting, provisioner, at_least).await;
                let case = format!("at least {at_least}: {fault:?} at call {number}, {call}");
                assert_eq!(script.fired(), [number], "{case}");
                check(&setting, outcome, at_least, &case).await;
                cases += 1;
            }
        }
    }
    println!("several: {cases} cases over {} calls", calls.len());
}

/// The launch of the second fails for good, and every call of the clean-up after it in turn.
#[tokio::test(start_paused = true)]
async fn every_failure_of_the_undo_of_several_is_cleared() {
    silence_deaths();
    let launch = |calls: &[&str]| {
        calls.iter().enumerate().filter(|(_, call)| **call == "ec2:RunInstances").nth(1).map(|(at, _)| at)
    };
    let setting = Setting::new();
    let script = Script::new([]);
    create_several(&setting, setting.provisioner(&script, Fuse::default(), false), COUNT).await;
    let first = (launch(&script.calls()).expect("it launches"), Fault::Fail);
    let setting = Setting::new();
    let script = Script::new([first]);
    create_several(&setting, setting.provisioner(&script, Fuse::default(), false), COUNT).await;
    let mut cases = 0;
    for second in first.0 + 1..script.calls().len() {
        for fault in FAULTS {
            let setting = Setting::new();
            let script = Script::new([first, (second, fault)]);
            let outcome = create_several(&setting, setting.provisioner(&script, Fuse::default(), false), COUNT).await;
            let case = format!("{first:?}, then {fault:?} at call {second}");
            assert_eq!(script.fired(), [first.0, second], "{case}");
            check(&setting, outcome, COUNT, &case).await;
            cases += 1;
        }
    }
    println!("undo of several: {cases} cases");
}

#[tokio::test(start_paused = true)]
async fn every_death_at_a_journal_write_of_several_is_cleared() {
    silence_deaths();
    let fuse = Fuse::default();
    let setting = Setting::new();
    let sound = setting.provisioner(&Script::new([]), fuse.clone(), false);
    assert!(create_several(&setting, sound, COUNT).await.is_some());
    for moment in 0..fuse.moments() {
        let setting = Setting::new();
        let dying = setting.provisioner(&Script::new([]), Fuse::at(moment), false);
        let outcome = create_several(&setting, dying, COUNT).await;
        assert!(outcome.is_none(), "it dies at moment {moment}");
        check(&setting, outcome, COUNT, &format!("death at moment {moment} of the journal")).await;
    }
    println!("journal of several: {} cases", fuse.moments());
}

/// A cloud whose calls take 40 ms each.
struct Late;

impl crate::cloud::Around for Late {
    async fn call<T: Send>(
        &self,
        _action: &'static str,
        call: impl Future<Output = Result<T, crate::CloudError>> + Send,
    ) -> Result<T, crate::CloudError> {
        tokio::time::sleep(Duration::from_millis(40)).await;
        call.await
    }
}

/// Two hundred hosts take hardly more calls than three: EC2 launches, lists and ends many with one.
#[tokio::test(start_paused = true)]
async fn two_hundred_hosts_take_few_calls_and_seconds() {
    const MANY: usize = 200;
    let setting = Setting::new();
    let script = Script::new([]);
    let cloud = Faulty::new(Cloud::of(setting.account.clone()).with(Late), script.clone());
    let journal = Journal::new(setting.home.path().join("journal"));
    let files = Arc::new(Files { answers: false, script: Script::new([]) });
    let provisioner = Provisioner::new(cloud, journal, files, Arc::new(Unobserved), CancellationToken::new());
    let first = plan(&setting.account, &request("h")).await;
    let named = |number: usize| {
        let mut plan = HostPlan { host: HostId::new(format!("h-{number}")), ..first.clone() };
        plan.tags.retain(|tag| tag.key != TAG_HOST);
        plan.tags.push(Tag::new(TAG_HOST, plan.host.as_str()));
        plan.tags.sort();
        plan
    };
    let order = |number: usize| Order { plans: vec![named(number)], observer: Arc::new(Unobserved) };
    let orders: Vec<Order> = (1..=MANY).map(order).collect();
    let seen = std::cell::Cell::new(0);
    let calls = |action: &str| {
        let calls = script.calls();
        let of_action = calls[seen.get()..].iter().filter(|call| **call == action).count();
        (of_action, calls.len() - seen.get())
    };
    let began = tokio::time::Instant::now();
    let several = provisioner.create_several(&orders, MANY, Duration::ZERO, None).await.expect("created");
    assert_eq!((several.created.len(), several.failed.len()), (MANY, 0));
    for (_, mut creation) in several.created {
        creation.hand_over().expect("written");
    }
    let took = began.elapsed();
    assert!(calls("ec2:RunInstances").0 == 2 && calls("").1 < 25, "{:?}", script.calls());
    assert!(took < Duration::from_secs(5), "{took:?}");
    let tags = setting.instances().iter().filter_map(|made| made.tag(TAG_HOST).map(str::to_owned)).collect::<Vec<_>>();
    assert_eq!(tags.iter().filter(|tag| *tag == "h").count(), MANY - 1, "those of one call have one tag");

    seen.set(script.calls().len());
    let began = tokio::time::Instant::now();
    let records = setting.records();
    let ids: Vec<InstanceId> = records.iter().filter_map(|record| Some(record.instance.as_ref()?.id.clone())).collect();
    let asked: Vec<_> = ids.iter().map(|instance| crate::AskedAbout { instance, record: None }).collect();
    let found = provisioner.work.cloud.presence(&asked).await;
    assert!(found.iter().all(|found| matches!(found, crate::Presence::Alive(_))) && found.len() == MANY);
    assert_eq!((calls("ec2:DescribeInstances"), began.elapsed()), ((1, 1), Duration::from_millis(40)));

    seen.set(script.calls().len());
    let began = tokio::time::Instant::now();
    let ended = records.iter().map(|record| provisioner.terminate(&record.host));
    for ended in futures_util::future::join_all(ended).await {
        ended.expect("ended");
    }
    let took = began.elapsed();
    assert!(calls("ec2:TerminateInstances").0 <= 2 && calls("").1 < 25, "{:?}", &script.calls()[seen.get()..]);
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert_eq!((setting.world().live_instances.len(), setting.records()), (0, vec![]));
}

/// Capacity for two of three: all, at least two, at least three.
#[tokio::test(start_paused = true)]
async fn as_many_as_there_is_capacity_for_or_none() {
    for (at_least, expected) in [(2, Some(2)), (3, None)] {
        let setting = Setting::new();
        let few = |state: &mut crate::fake::State| {
            for subnet in &mut state.subnets {
                subnet.on_demand_capacity = Some(1);
            }
        };
        setting.account.with(few).expect("in memory");
        let orders = orders(&setting).await;
        match (setting.sound(false).create_several(&orders, at_least, Duration::ZERO, None).await, expected) {
            (Ok(several), Some(expected)) => {
                assert_eq!((several.created.len(), several.failed.len()), (expected, 1));
                let zones: Vec<_> = several.created.iter().map(|(_, made)| made.instance().zone.clone()).collect();
                assert_ne!(zones[0], zones[1], "each where there was capacity");
                // By itself, or as why its part was undone, where it had one.
                let error: &dyn std::error::Error = &several.failed[0].1;
                let mut causes = std::iter::successors(Some(error), |error| error.source());
                assert!(
                    causes.any(|error| error.to_string().starts_with("no capacity for c5.xlarge")),
                    "{:?}",
                    several.failed
                );
            }
            (Err(ProvisionError::Undone { error, report }), None) => {
                assert!(
                    error.to_string().starts_with("2 of 3 hosts could be launched, but at least 3 were"),
                    "{error}"
                );
                assert!(report.remains.is_empty() && report.kept.is_empty(), "{report:?}");
                let left = (World { live_instances: Vec::new(), ..setting.world() }, setting.records());
                assert_eq!((setting.world().live_instances.len(), left), (0, (setting.began.clone(), vec![])));
            }
            (outcome, _) => panic!("{at_least}: {outcome:?}"),
        }
    }
}

/// What no host can do without is said once, and nothing more is launched.
#[tokio::test(start_paused = true)]
async fn a_refusal_ends_it_before_others_are_launched() {
    let setting = Setting::new();
    let script = Script::always("ec2:RunInstances", Fault::Deny);
    let outcome = create_several(&setting, setting.provisioner(&script, Fuse::default(), false), COUNT).await;
    let error = outcome.expect("it lives").expect_err("it is refused");
    assert!(
        matches!(&error, ProvisionError::Undone { error, .. } if matches!(**error, ProvisionError::TooFew { made: 0, .. })),
        "{error:?}"
    );
    let calls = script.calls().iter().filter(|call| **call == "ec2:RunInstances").count();
    assert_eq!((calls, script.fired().len()), (1, 1));
    assert_eq!((setting.world(), setting.records()), (setting.began.clone(), vec![]));
}

#[tokio::test(start_paused = true)]
async fn several_that_are_asked_to_stop_are_undone() {
    struct StopAtAddress(CancellationToken, std::sync::atomic::AtomicUsize);
    impl Observer for StopAtAddress {
        fn notice(&self, event: &Event) {
            if matches!(event, Event::Finished(crate::Activity::Launch { .. }))
                && self.1.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 1
            {
                self.0.cancel();
            }
        }
    }
    let setting = Setting::new();
    let mut provisioner = setting.sound(false);
    let stop = CancellationToken::new();
    provisioner.work.stop = stop.clone();
    let mut orders = orders(&setting).await;
    let observer = Arc::new(StopAtAddress(stop, std::sync::atomic::AtomicUsize::new(0)));
    for order in &mut orders {
        order.observer = observer.clone();
    }
    let error = provisioner.create_several(&orders, 1, Duration::ZERO, None).await.expect_err("it stops");
    assert!(
        matches!(&error, ProvisionError::Undone { error, report } if matches!(**error, ProvisionError::Interrupted) && report.remains.is_empty()),
        "{error:?}"
    );
    assert!(setting.instances().len() >= 2, "some had been launched");
    assert_eq!((setting.world(), setting.records()), (setting.began.clone(), vec![]));
}
