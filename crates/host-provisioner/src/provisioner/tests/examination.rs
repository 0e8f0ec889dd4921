//! What only looks: it changes nothing and has an end, whatever the cloud does.

use super::*;
use crate::preflight;

/// Survey, plan and examination, as `doctor` and `create-host` make them before anything is changed.
async fn examine(cloud: Cloud) {
    let cloud = cloud.answering_within(Patience::default(), Arc::new(Unobserved));
    let Ok(survey) = Survey::take(&cloud, &environment(), &request("h")).await else { return };
    let Ok(plan) = HostPlan::new(&environment(), &request("h"), &survey) else { return };
    let _ = preflight::check_launch(&cloud, &environment(), &plan).await;
    let findings = preflight::examine(&cloud, &environment(), &plan, &survey.instance_type).await;
    assert!(!findings.is_empty());
}

#[tokio::test(start_paused = true)]
async fn every_failure_of_an_examination_changes_nothing() {
    silence_deaths();
    let account = || {
        let account = Account::studio();
        account.with(|state| state.vcpus = Some(64)).expect("in memory");
        Arc::new(account)
    };
    let script = Script::new([]);
    examine(Faulty::new(Cloud::of(account()), script.clone())).await;
    let calls = script.calls();
    for asked in ["ec2:DescribeVpcAttribute", "servicequotas:GetServiceQuota", "ec2:RunInstances (dry run)"] {
        assert!(calls.contains(&asked), "{asked} is among {calls:?}");
    }
    let mut cases = 0;
    for (number, call) in calls.iter().enumerate() {
        for fault in FAULTS {
            let case = format!("{fault:?} at call {number}, {call}");
            let account = account();
            let before = account.world().expect("in memory");
            let script = Script::new([(number, fault)]);
            let began = tokio::time::Instant::now();
            // Where the script says so, it dies.
            let _ = tokio::spawn(examine(Faulty::new(Cloud::of(account.clone()), script.clone()))).await;
            assert!(began.elapsed() <= Patience::default().call, "{case}: {:?}", began.elapsed());
            assert_eq!(script.fired(), [number], "{case}");
            assert_eq!(account.world().expect("in memory"), before, "{case}");
            cases += 1;
        }
    }
    println!("examination: {cases} cases over {} calls", calls.len());
}
