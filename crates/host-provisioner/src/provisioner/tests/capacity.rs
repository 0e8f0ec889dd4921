//! Where there is no capacity: the next placement, then on demand where that is allowed, and what EC2 said is always told.

use super::*;
use crate::{Market, Warning};

/// Keeps the warnings themselves.
#[derive(Default)]
struct Warned(std::sync::Mutex<Vec<Warning>>);

impl Observer for Warned {
    fn notice(&self, event: &Event) {
        if let Event::Warned(warning) = event {
            self.0.lock().expect("not poisoned").push(warning.clone());
        }
    }
}

/// A creation in an account whose next launches are answered so: the outcome, where the last launch was, and the warnings.
async fn created(
    market: MarketChoice,
    answers: &[(&str, &str)],
    fates: &[(&str, &str)],
) -> (Setting, Result<(), ProvisionError>, Vec<(Option<String>, Market)>, Vec<Warning>) {
    let setting = Setting::new();
    let run = |(code, words): &(&str, &str)| ("ec2:RunInstances".to_owned(), (*code).to_owned(), (*words).to_owned());
    let prepare = |state: &mut crate::fake::State| {
        state.answers = answers.iter().map(run).collect();
        state.fates = fates.iter().map(|(code, words)| ((*code).to_owned(), (*words).to_owned())).collect();
    };
    setting.account.with(prepare).expect("in memory");
    let warned = Arc::new(Warned::default());
    let mut provisioner = setting.sound(false);
    provisioner.work.observer = warned.clone();
    let plan = plan(&setting.account, &HostRequest { market, ..request("h") }).await;
    let outcome = match provisioner.create(&plan, None).await {
        Ok(mut creation) => creation.hand_over(),
        Err(error) => Err(error),
    };
    let left = setting.account.with(|state| (state.answers.len(), state.fates.len())).expect("in memory");
    assert_eq!(left, (0, 0), "each of them was met");
    let launches = setting.account.with(|state| {
        let launch = |record: &crate::fake::InstanceRecord| {
            (record.instance.zone.as_ref().map(ToString::to_string), record.instance.market)
        };
        state.instances.iter().map(launch).collect()
    });
    let warnings = warned.0.lock().expect("not poisoned").clone();
    (setting, outcome, launches.expect("in memory"), warnings)
}

fn zone(letter: char) -> Option<String> {
    Some(format!("eu-west-1{letter}"))
}

#[tokio::test(start_paused = true)]
async fn each_code_of_no_capacity_goes_on_to_the_next_placement() {
    for code in [
        "InsufficientInstanceCapacity",
        "InsufficientVolumeCapacity",
        "UnfulfillableCapacity",
        "VolumeTypeNotAvailableInZone",
        "InsufficientFreeAddressesInSubnet",
        "Unsupported",
    ] {
        let (setting, outcome, launches, _) = created(MarketChoice::OnDemand, &[(code, "none here")], &[]).await;
        outcome.unwrap_or_else(|error| panic!("{code}: {error}"));
        assert_eq!(launches, [(zone('b'), Market::OnDemand)], "{code}");
        setting.assert_cleared(code).await;
    }
}

/// EC2 takes the launch, and finds only then that it has no capacity for it.
#[tokio::test(start_paused = true)]
async fn capacity_that_is_missing_after_all_goes_on_to_the_next_placement() {
    for code in ["Server.InsufficientInstanceCapacity", "Server.SpotInstanceTermination"] {
        let (setting, outcome, launches, _) = created(MarketChoice::OnDemand, &[], &[(code, "none after all")]).await;
        outcome.unwrap_or_else(|error| panic!("{code}: {error}"));
        assert_eq!(launches.len(), 2, "{code}: {launches:?}");
        assert_eq!(launches[1], (zone('b'), Market::OnDemand), "{code}");
        let record = &setting.records()[0];
        let alive = setting.world().live_instances;
        assert_eq!(record.instance.as_ref().map(|instance| instance.id.to_string()).as_ref(), alive.first(), "{code}");
        setting.assert_cleared(code).await;
    }
    let fates =
        [("Server.InsufficientInstanceCapacity", "none in a"), ("Server.InsufficientInstanceCapacity", "none in b")];
    let (setting, outcome, ..) = created(MarketChoice::OnDemand, &[], &fates).await;
    let error = outcome.expect_err("there is none anywhere");
    let cause = std::error::Error::source(match &error {
        ProvisionError::Undone { error, .. } => error.as_ref(),
        error => error,
    });
    assert!(
        cause.is_some_and(|cause| cause.to_string().contains("Server.InsufficientInstanceCapacity: none in b")),
        "{error:?}"
    );
    assert_eq!((setting.world(), setting.records()), (setting.began.clone(), vec![]));
}

/// Other ends of a launch are no reason for another one, and say what to do.
#[tokio::test(start_paused = true)]
async fn an_instance_that_ends_at_once_says_why() {
    for (code, words, hinted) in [
        ("Client.InternalError", "Client.InternalError: Client error on launch", "kms:CreateGrant"),
        ("Client.InvalidKMSKey.InvalidState", "The KMS key provided is in an incorrect state", "the key is enabled"),
        ("Client.VolumeLimitExceeded", "Volume limit exceeded", "EBSVolumeSize"),
        ("Client.UserInitiatedShutdown", "Client.UserInitiatedShutdown: User initiated shutdown", "CloudTrail"),
    ] {
        let (setting, outcome, launches, _) = created(MarketChoice::OnDemand, &[], &[(code, words)]).await;
        let error = outcome.expect_err(code);
        let text = error.to_string();
        assert!(text.matches(code).count() == 1 && text.ends_with(words), "{text}");
        let ProvisionError::Undone { error, .. } = &error else { panic!("{error:?}") };
        assert!(error.hint().is_some_and(|hint| hint.contains(hinted)), "{code}: {:?}", error.hint());
        assert_eq!(launches.len(), 1, "{code}");
        assert_eq!((setting.world(), setting.records()), (setting.began.clone(), vec![]), "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_spot_it_is_on_demand_where_that_is_allowed() {
    for code in ["MaxSpotInstanceCountExceeded", "AuthFailure.ServiceLinkedRoleCreationNotPermitted"] {
        let (setting, outcome, launches, warnings) =
            created(MarketChoice::SpotOrOnDemand, &[(code, "no Spot for you")], &[]).await;
        outcome.unwrap_or_else(|error| panic!("{code}: {error}"));
        assert_eq!(launches, [(zone('a'), Market::OnDemand)], "{code}: in no other zone is there Spot either");
        let [Warning::NotSpot { why }] = warnings.as_slice() else { panic!("{code}: {warnings:?}") };
        assert!(why.ends_with(&format!("{code}: no Spot for you")), "{why}");
        setting.assert_cleared(code).await;

        let (setting, outcome, launches, _) = created(MarketChoice::Spot, &[(code, "no Spot for you")], &[]).await;
        let error = outcome.expect_err("nothing else is allowed");
        let ProvisionError::Undone { error, .. } = &error else { panic!("{error:?}") };
        assert!(error.to_string().ends_with(&format!("{code}: no Spot for you")), "{error}");
        assert!(error.hint().is_some_and(|hint| hint.contains("on demand")), "{code}");
        assert_eq!((launches, setting.world()), (vec![], setting.began.clone()), "{code}");
    }
    // No capacity in either zone: on demand, which has some.
    let none = ("InsufficientInstanceCapacity", "no Spot here");
    let (_, outcome, launches, warnings) = created(MarketChoice::SpotOrOnDemand, &[none, none], &[]).await;
    outcome.expect("on demand");
    assert_eq!(launches, [(zone('a'), Market::OnDemand)]);
    assert!(matches!(warnings.as_slice(), [Warning::NotSpot { why }] if why.ends_with("no Spot here")), "{warnings:?}");
    // No Spot was asked for: nothing is said of it.
    let (.., warnings) = created(MarketChoice::OnDemand, &[none], &[]).await;
    assert_eq!(warnings, []);
}

/// A creation of which the first launches are answered so, with these plans: where and of which type it is, and what was warned of.
async fn first_of(
    types: &[&str],
    lacks: usize,
    retry_for: Duration,
) -> (Setting, Result<String, ProvisionError>, Vec<Warning>) {
    let setting = Setting::new();
    let lack = || ("ec2:RunInstances".to_owned(), "InsufficientInstanceCapacity".to_owned(), "none here".to_owned());
    setting.account.with(|state| state.answers = (0..lacks).map(|_| lack()).collect()).expect("in memory");
    let mut plans = Vec::new();
    for name in types {
        plans.push(plan(&setting.account, &HostRequest { instance_type: (*name).into(), ..request("h") }).await);
    }
    let warned = Arc::new(Warned::default());
    let provisioner = setting.sound(false).observed_by(warned.clone());
    let outcome = provisioner.create_first(&plans, retry_for, None).await.map(|mut creation| {
        creation.hand_over().expect("written");
        assert_eq!(creation.instance().instance_type, creation.record().instance_type);
        creation.record().instance_type.to_string()
    });
    assert_eq!(setting.account.with(|state| state.answers.len()).expect("in memory"), 0, "each of them was met");
    let warnings = warned.0.lock().expect("not poisoned").clone();
    (setting, outcome, warnings)
}

#[tokio::test(start_paused = true)]
async fn the_first_type_with_capacity_is_taken() {
    // Two zones each.
    for (lacks, expected) in [(0, "c5.xlarge"), (1, "c5.xlarge"), (2, "m5.large"), (4, "t3.medium")] {
        let (setting, outcome, warnings) =
            first_of(&["c5.xlarge", "m5.large", "t3.medium"], lacks, Duration::ZERO).await;
        assert_eq!(outcome.expect("there is some in the end"), expected);
        let told: Vec<_> = warnings.iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), lacks / 2, "{told:?}");
        assert!(told.iter().all(|told| told.contains("is tried next") && told.contains("none here")), "{told:?}");
        setting.assert_cleared(expected).await;
    }
    let (setting, outcome, _) = first_of(&["c5.xlarge", "m5.large"], 4, Duration::ZERO).await;
    outcome.expect_err("there is none anywhere");
    assert_eq!((setting.world(), setting.records()), (setting.began.clone(), vec![]));
}

#[tokio::test(start_paused = true)]
async fn capacity_is_asked_for_again_for_as_long_as_was_said() {
    let began = tokio::time::Instant::now();
    let (setting, outcome, warnings) = first_of(&["c5.xlarge", "m5.large"], 12, Duration::from_secs(30 * 60)).await;
    outcome.expect("after three minutes there is some");
    assert_eq!(began.elapsed().as_secs(), 180);
    let again: Vec<_> = warnings.iter().filter(|warning| matches!(warning, Warning::TriedAgain { .. })).collect();
    assert_eq!(again.len(), 3);
    assert!(again[2].to_string().ends_with("for 28 minutes more at most"), "{}", again[2]);
    setting.assert_cleared("after a while").await;
    let began = tokio::time::Instant::now();
    let (setting, outcome, _) = first_of(&["c5.xlarge"], 6, Duration::from_secs(150)).await;
    outcome.expect_err("two minutes were not enough");
    assert_eq!(began.elapsed().as_secs(), 120);
    assert_eq!((setting.world(), setting.records()), (setting.began.clone(), vec![]));
}
