//! Answers that are not AWS's, and none at all: the binary, with the real AWS SDK, against an endpoint behind a proxy that answers in its
//! place, at each call that changes something.

#![expect(clippy::print_stdout, reason = "the matrix says how many cases ran")]

use std::{
    io::{BufRead as _, BufReader},
    process::Stdio,
    time::{Duration, Instant},
};

use sdocker_tests::{Effect, EndpointFault, Foreign, Front, Home, Place, Run};
use serde_json::Value;

const CREATE: [&str; 5] = ["create-host", "--instance-type", "c5.xlarge", "--output", "json"];
const TERMINATE: [&str; 3] = ["terminate-host", "--all", "--output=json"];
const FOR_EVER: usize = 1_000_000;

/// No live instance without a record, no exit that says less than is left, and nothing at all after `recover`.
#[track_caller]
fn settled(front: &Front, home: &Home, run: &Run, case: &str) {
    let records = Value::from(home.records()).to_string();
    for id in front.live() {
        assert!(records.contains(&id) || records.contains("\"intended\""), "{case}: {id} without a record: {records}");
    }
    match run.code {
        Some(0) => {}
        Some(1) => assert_eq!((front.live(), home.records()), (Vec::new(), Vec::new()), "{case}: {}", run.stderr),
        Some(3) => assert!(run.stderr.contains("may remain"), "{case}: {}", run.stderr),
        code => panic!("{case}: {code:?} {}", run.stderr),
    }
    front.reset();
    home.sdocker(&["recover"]).expect(0);
    home.sdocker(&["terminate-host", "--all", "--purge"]).expect(0);
    assert_eq!((front.live(), home.records()), (Vec::new(), Vec::new()), "{case}");
}

/// The calls of a flow that change something, each with its number among those of its action.
fn changes(calls: &[String]) -> Vec<(String, usize)> {
    let is_read =
        |action: &str| action.contains("Describe") || action.contains("List") || action.ends_with("(dry run)");
    let nth = |number: usize| calls[..number].iter().filter(|before| *before == &calls[number]).count();
    (0..calls.len())
        .filter(|number| !is_read(&calls[*number]))
        .map(|number| (calls[number].clone(), nth(number)))
        .collect()
}

/// Once, so that a second try is answered; for every kind of answer where it matters most.
#[test]
fn an_answer_that_is_not_awss_once_is_made_good() {
    let Some(front) = Front::start() else { return };
    let home = front.home();
    let mut cases = 0;
    for foreign in Foreign::ALL {
        for effect in [Effect::NotDone, Effect::Done] {
            let case = format!("{foreign:?} of the launch, {effect:?}");
            front.fault_times("ec2:RunInstances", 0, 1, EndpointFault::Foreign(foreign, effect));
            let run = home.sdocker(&CREATE).expect(0);
            assert_eq!(front.fired(), [1], "{case}");
            assert_eq!(front.live(), [run.json()["instance_id"].as_str().expect("an id")], "{case}");

            let case = format!("{foreign:?} of the termination, {effect:?}");
            front.fault_times("ec2:TerminateInstances", 0, 1, EndpointFault::Foreign(foreign, effect));
            home.sdocker(&TERMINATE).expect(0);
            assert_eq!(front.fired(), [1], "{case}");
            assert_eq!((front.live(), home.records()), (Vec::new(), Vec::new()), "{case}");
            cases += 2;
        }
    }
    home.sdocker(&["terminate-host", "--all", "--purge"]).expect(0);
    println!("{cases} cases");
}

/// For ever, at each call of a create that changes something, but for the launch: everything is undone, and the error says what answered.
#[test]
fn a_page_for_every_change_that_is_made_is_undone_and_said() {
    a_page_for_every_change(Effect::Done);
}

#[test]
fn a_page_for_every_change_that_is_not_made_is_undone_and_said() {
    a_page_for_every_change(Effect::NotDone);
}

fn a_page_for_every_change(effect: Effect) {
    let Some(front) = Front::start() else { return };
    let home = front.home();
    front.know_at_once();
    home.sdocker(&CREATE).expect(0);
    let calls = changes(&front.log());
    home.sdocker(&["terminate-host", "--all", "--purge"]).expect(0);
    assert!(calls.len() >= 6, "{calls:?}");
    let mut cases = 0;
    for (action, nth) in calls.iter().filter(|(action, _)| action != "ec2:RunInstances") {
        let case = format!("{action} {nth}, {effect:?}");
        front.fault_times(action, *nth, FOR_EVER, EndpointFault::Foreign(Foreign::Page(403), effect));
        let run = home.sdocker(&CREATE);
        assert!(front.fired()[0] > 0, "{case}");
        assert!(run.code == Some(1) || run.code == Some(3), "{case}: {run:?}");
        assert!(run.stderr.contains("not AWS's (HTTP status 403, text/html"), "{case}: {}", run.stderr);
        assert!(run.stderr.contains("check HTTPS_PROXY"), "{case}: {}", run.stderr);
        settled(&front, &home, &run, &case);
        cases += 1;
    }
    println!("{cases} cases over {} calls", calls.len());
}

/// The launch takes effect, and from then on nothing is answered by AWS: the instance is in the record and in the error.
fn a_launch_behind_a_page_is_not_forgotten() {
    let Some(front) = Front::start() else { return };
    let home = front.home();
    let page = |effect| EndpointFault::Foreign(Foreign::Page(403), effect);
    front.faults(&[
        ("ec2:RunInstances", 0, FOR_EVER, page(Effect::Done)),
        ("ec2:DescribeInstances", 0, FOR_EVER, page(Effect::NotDone)),
        ("ec2:TerminateInstances", 0, FOR_EVER, page(Effect::NotDone)),
    ]);
    let run = home.sdocker(&CREATE).expect(3);
    assert!(front.fired()[0] > 1, "the launch is asked for again");
    let [live] = &front.live()[..] else { panic!("one instance, with one token: {:?}", front.live()) };
    let records = home.records();
    assert_eq!(records.len(), 1, "{live} is in a record");
    let resources = records[0]["resources"].as_array().expect("resources");
    let launch = resources.iter().find(|resource| resource["client_token"].is_string()).expect("a launch");
    let remains = run.json()["error"]["remains"].to_string();
    assert!(remains.contains(launch["client_token"].as_str().expect("a token")), "{remains}");
    assert!(run.stderr.contains("not AWS's (HTTP status 403, text/html"), "{}", run.stderr);
    settled(&front, &home, &run, "a launch behind a page");
}

/// A termination that took effect, but of which only pages come back; and one that did not.
fn a_termination_behind_a_page_keeps_its_record() {
    let Some(front) = Front::start() else { return };
    let home = front.home();
    for effect in [Effect::NotDone, Effect::Done] {
        home.sdocker(&CREATE).expect(0);
        front.fault_times("ec2:TerminateInstances", 0, FOR_EVER, EndpointFault::Foreign(Foreign::Page(407), effect));
        let run = home.sdocker(&TERMINATE).expect(3);
        assert!(front.fired()[0] > 1, "{effect:?}");
        assert_eq!(home.records().len(), 1, "{effect:?}");
        assert!(run.stderr.contains("not AWS's (HTTP status 407, text/html"), "{effect:?}: {}", run.stderr);
        settled(&front, &home, &run, &format!("a termination behind a page, {effect:?}"));
    }
}

/// Nothing is answered: a line says what is waited for within two seconds, and the end comes in a minute.
fn a_termination_that_is_never_answered_has_an_end() {
    let Some(front) = Front::start() else { return };
    let home = front.home();
    home.sdocker(&CREATE).expect(0);
    front.fault("ec2:TerminateInstances", 0, EndpointFault::Silent(Effect::NotDone));
    let began = Instant::now();
    let mut command = home.sdocker_command(&["terminate-host", "--all"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it runs");
    let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines().map_while(Result::ok);
    let told =
        lines.by_ref().find(|line| line.contains("waiting for an answer to ec2:TerminateInstances (at most 60 s)"));
    let told_after = began.elapsed();
    assert!(told.is_some() && told_after < Duration::from_secs(5), "{told:?} after {told_after:?}");
    let rest: Vec<String> = lines.collect();
    assert_eq!(child.wait().expect("it ends").code(), Some(3), "{rest:?}");
    let took = began.elapsed();
    assert!(took < Duration::from_secs(70), "{took:?}: {rest:?}");
    assert!(front.fired()[0] > 0);
    assert_eq!((front.live().len(), home.records().len()), (1, 1));
    println!("told after {:.1} s, ended after {:.1} s", told_after.as_secs_f64(), took.as_secs_f64());
    front.reset();
    home.sdocker(&["terminate-host", "--all", "--purge"]).expect(0);
    assert_eq!((front.live(), home.records()), (Vec::new(), Vec::new()));
}

/// A service that throttles one of the calls for as long as one likes (EC2 API reference, "Request throttling"): whatever the command, it ends
/// within its bound, says that it was throttled, and leaves nothing without a record.
fn throttling_without_an_end_has_an_end() {
    let Some(front) = Front::start() else { return };
    front.know_at_once();
    let home = front.home();
    home.sdocker(&CREATE).expect(0);
    let mut calls = front.log();
    home.sdocker(&["terminate-host", "--all", "--purge"]).expect(0);
    calls.retain(|action| !action.ends_with(')'));
    calls.sort();
    calls.dedup();
    assert!(calls.len() >= 12, "{calls:?}");
    let creates = calls.iter().map(|action| (Flow::Create, action.as_str()));
    // What an undo calls besides.
    let undos = ["ec2:DeleteSecurityGroup", "ec2:TerminateInstances"].map(|action| (Flow::Undo, action));
    let ends = ["ec2:TerminateInstances", "ec2:DescribeInstances"].map(|action| (Flow::Terminate, action));
    let cases: Vec<_> = creates.chain(undos).chain(ends).collect();
    // An account for each, so that all wait at the same time.
    let accounts: Vec<String> = (0..cases.len()).map(|number| format!("2222222222{number:02}")).collect();
    let places: Vec<Place<'_>> = accounts.iter().map(|account| front.place(account, "eu-west-1")).collect();
    let homes: Vec<Home> = places.iter().map(Place::home).collect();
    front.boot_into_any(&homes.iter().collect::<Vec<_>>());
    for ((flow, _), home) in cases.iter().zip(&homes) {
        if *flow == Flow::Terminate {
            home.sdocker(&CREATE).expect(0);
        }
    }
    let mut faults: Vec<(&str, &str, EndpointFault)> = cases
        .iter()
        .zip(&accounts)
        .map(|((_, action), account)| (account.as_str(), *action, EndpointFault::ThrottleOn))
        .collect();
    for ((flow, action), account) in cases.iter().zip(&accounts) {
        // The undo comes after a step that fails: that of the egress, or what follows the launch.
        let fails =
            if *action == "ec2:TerminateInstances" { "ec2:DescribeInstances" } else { "ec2:RevokeSecurityGroupEgress" };
        if *flow == Flow::Undo {
            faults.push((account, fails, EndpointFault::Error));
        }
    }
    front.faults_of_accounts(&faults);
    let began = Instant::now();
    std::thread::scope(|scope| {
        for (((flow, action), home), place) in cases.iter().zip(&homes).zip(&places) {
            scope.spawn(move || throttled(*flow, action, home, place));
        }
    });
    let took = began.elapsed();
    let fired = front.fired();
    for (number, (flow, action)) in cases.iter().enumerate() {
        assert!(fired[number] > 0, "{flow:?} throttled at {action}");
    }
    front.reset();
    for (((flow, action), home), place) in cases.iter().zip(&homes).zip(&places) {
        home.sdocker(&["recover"]).expect(0);
        home.sdocker(&["terminate-host", "--all", "--purge"]).expect(0);
        assert_eq!((place.live(), home.records()), (Vec::new(), Vec::new()), "{flow:?} throttled at {action}");
    }
    println!("{} cases of throttling without an end, the longest {:.0} s", cases.len(), took.as_secs_f64());
}

/// What is throttled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    Create,
    Undo,
    Terminate,
}

fn throttled(flow: Flow, action: &str, home: &Home, place: &Place<'_>) {
    let case = format!("{flow:?} throttled at {action}");
    let arguments = if flow == Flow::Terminate { &TERMINATE[..] } else { &CREATE[..] };
    let began = Instant::now();
    let run = home.sdocker(arguments);
    let took = began.elapsed();
    println!("{:5.1} s, exit code {:?}: {case}", took.as_secs_f64(), run.code);
    // The launch's own bound and the clean-up's, with an allowance for a loaded machine.
    assert!(took < Duration::from_secs(240), "{case}: {took:?}");
    let records = home.records();
    for id in place.live() {
        let text = Value::from(records.clone()).to_string();
        assert!(text.contains(&id) || text.contains("\"intended\""), "{case}: {id} without a record: {text}");
    }
    match run.code {
        // A plan can do without the tags of a profile, and without the kinds of instance types.
        Some(0) => assert!(run.stderr.contains("warning: "), "{case}: {}", run.stderr),
        Some(1) => assert_eq!((place.live(), records), (Vec::new(), Vec::new()), "{case}: {}", run.stderr),
        Some(3) => assert!(run.stderr.contains("may remain"), "{case}: {}", run.stderr),
        code => panic!("{case}: {code:?} {}", run.stderr),
    }
    let said = ["RequestLimitExceeded", "ThrottlingException", "throttl"].iter().any(|word| run.stderr.contains(word));
    assert!(said, "{case}: {}", run.stderr);
    if flow == Flow::Terminate {
        // It is as throttled as the rest, and ends as well.
        let began = Instant::now();
        let recovered = home.sdocker(&["recover"]);
        println!("{:5.1} s, exit code {:?}: recover, {case}", began.elapsed().as_secs_f64(), recovered.code);
        assert!(began.elapsed() < Duration::from_secs(240), "{case}: {:?}", began.elapsed());
        assert_eq!(home.records().len(), 1, "{case}: {}", recovered.stderr);
    }
}

/// Each of these is given up after a minute or more of waiting: they wait at the same time.
#[test]
fn what_is_given_up_is_in_its_record() {
    std::thread::scope(|scope| {
        let all: [fn(); 4] = [
            a_launch_behind_a_page_is_not_forgotten,
            a_termination_behind_a_page_keeps_its_record,
            a_termination_that_is_never_answered_has_an_end,
            throttling_without_an_end_has_an_end,
        ];
        for one in all.map(|one| scope.spawn(one)) {
            one.join().expect("it holds");
        }
    });
}

/// Credentials that expire before a creation, in the middle of it, and so that it can't even be undone: what to do is said each time.
#[test]
fn expired_credentials_are_told_with_what_to_do() {
    const GET_NEW: &str = "in Studio, restart the app to get new credentials; elsewhere, log in again";
    let Some(front) = Front::start() else { return };
    let home = front.home();
    front.know_at_once();
    let create = || home.sdocker(&["create-host", "c5.xlarge"]);
    create().expect(0);
    // What EC2 is asked before it is asked for the instance.
    let calls = front.log();
    let of_ec2 = calls.iter().filter(|call| call.starts_with("ec2:"));
    let before = of_ec2.take_while(|call| *call != "ec2:RunInstances").count();
    home.sdocker(&["terminate-host", "--all", "--purge"]).expect(0);

    // The words are each service's own: SageMaker API reference, "Common Errors"; EC2 API reference, "Error codes", RequestExpired, which EC2
    // says of temporary credentials as well.
    let token = "The security token included in the request is expired";
    front.error_always("sagemaker:*", 400, "ExpiredTokenException", token);
    let said = create().expect(1).stderr;
    assert!(said.contains(token) && said.contains(GET_NEW), "{said}");

    let expired = |nth: usize| front.error_from("ec2:*", nth, 400, "RequestExpired", "Request has expired.");
    expired(0);
    let said = create().expect(1).stderr;
    let either = format!("the credentials have expired, or this machine's clock is wrong (`date -u`): {GET_NEW}");
    assert!(said.contains("Request has expired.") && said.contains(&either), "{said}");
    assert_eq!((front.live(), home.records()), (Vec::new(), Vec::new()));

    // For one call alone: the rest is undone.
    front.error_once("ec2:RunInstances", 0, "RequestExpired");
    let said = create().expect(1).stderr;
    assert!(said.contains("undone: ") && said.contains(&either), "{said}");
    assert_eq!((front.live(), home.records()), (Vec::new(), Vec::new()));

    // From the launch on: what was made stays until somebody has credentials again.
    expired(before);
    let run = create().expect(3);
    assert!(run.stderr.contains(&either) && run.stderr.contains("sdocker recover"), "{}", run.stderr);
    assert!(run.stderr.contains("security group DockerHost-"), "{}", run.stderr);
    assert_eq!((front.live(), home.records().len()), (Vec::new(), 1));
    let listed = home.sdocker(&["list-hosts", "--offline"]).expect(0).stderr;
    assert!(listed.contains("run `sdocker recover`"), "{listed}");
    let recovered = home.sdocker(&["recover"]);
    assert!(recovered.stderr.contains(&either), "{}{}", recovered.stdout, recovered.stderr);
    front.reset();
    home.sdocker(&["recover"]).expect(0);
    assert_eq!(home.records(), Vec::<Value>::new());
    assert!(!front.shared()["groups"].to_string().contains("DockerHost"), "{}", front.shared());
}
