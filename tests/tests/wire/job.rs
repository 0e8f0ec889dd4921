//! The main job: hosts are created, used and terminated; and a fault of each kind at each of its calls.

#![expect(clippy::print_stdout, reason = "the matrix says how many cases ran")]

use std::process::Stdio;

use host_provisioner::fake::PERMISSIONS_OF_2022;
use sdocker_tests::{EndpointFault, Front, Home};
use serde_json::{Value, json};

const CREATE: [&str; 5] = ["create-host", "--instance-type", "c5.xlarge", "--output", "json"];

/// Whether a call changes nothing.
fn is_read(action: &str) -> bool {
    action.contains("Describe") || action.contains("List") || action.ends_with("(dry run)")
}

#[test]
fn the_main_job() {
    let Some(front) = Front::start() else { return };
    let home = front.home();

    let created = home.sdocker(&CREATE).expect(0).json();
    let instance = created["instance_id"].as_str().expect("an id").to_owned();
    assert_eq!(created["name"], json!(format!("c5.xlarge_{instance}")));
    assert_eq!(front.live(), std::slice::from_ref(&instance));
    assert_eq!(home.records()[0]["state"], json!("ready"));
    assert!(home.join(".sagemaker_studio_docker_cli").join(format!("c5.xlarge_{instance}")).exists());
    assert!(!home.join(format!(".sdocker/hosts/c5.xlarge_{instance}/certs/server/key.pem")).exists());

    let listed = home.sdocker(&["list-hosts", "--output", "json"]).expect(0).json();
    assert_eq!(
        (&listed["hosts"][0]["instance_id"], &listed["hosts"][0]["state"]),
        (&json!(instance), &json!("running"))
    );
    let status = home.sdocker(&["status", "--output", "json"]).expect(0).json();
    assert_eq!((&status["daemon"]["answers"], &status["current"]), (&json!(true), &json!(true)));

    let second = home.sdocker(&CREATE).expect(0).json()["instance_id"].as_str().expect("an id").to_owned();
    home.sdocker(&["use", "--instance-id", &instance]).expect(0);
    let env = home.sdocker(&["env", "--shell", "json"]).expect(0).json();
    assert!(env["DOCKER_CERT_PATH"].as_str().expect("a path").contains(&instance));
    home.sdocker(&["terminate-current-host"]).expect(0);
    assert_eq!(front.live(), [second]);
    home.sdocker(&["terminate-host", "--all", "--purge"]).expect(0);
    assert_eq!((front.live(), home.records()), (Vec::new(), Vec::new()));
    home.sdocker(&["terminate-host", "--all"]).expect(0);
    let conf = std::fs::read_to_string(home.join(".sdocker/sdocker-hosts.conf")).expect("readable");
    assert_eq!(serde_json::from_str::<Value>(&conf).expect("JSON"), json!({"ActiveHosts": []}));
}

#[test]
fn a_host_whose_name_is_not_resolved_is_reached_by_its_address() {
    let Some(front) = Front::start() else { return };
    let home = front.home();
    // Nobody knows the one; by the other another machine is known.
    for (name, said) in
        [("no-such-host.invalid", "this app does not resolve no-such-host.invalid"), ("localhost", "localhost is ")]
    {
        front.name_instances(name);
        let created = home.sdocker(&CREATE).expect(0);
        assert!(created.stderr.contains(said), "{}", created.stderr);
        let endpoint = created.json()["endpoint"].as_str().expect("an endpoint").to_owned();
        assert!(endpoint.starts_with("tcp://127.") && endpoint != "tcp://127.0.0.1:1111", "{endpoint}");
        let status = home.sdocker(&["status", "--output", "json"]).expect(0).json();
        assert_eq!((&status["endpoint"], &status["daemon"]["answers"]), (&json!(endpoint), &json!(true)));
    }
    home.sdocker(&["terminate-host", "--all", "--purge"]).expect(0);
}

/// A10: the certificate of such a host is made before the launch, and its address is known only after.
#[test]
fn a_space_without_efs_gets_a_host_where_names_are_not_resolved() {
    let Some(front) = Front::start() else { return };
    let mut home = front.home();
    home.be_space(front.seed()["domain"].as_str().expect("an id"), "");
    front.change_dns(&json!({"EnableDnsHostnames": false}));
    front.change_dns(&json!({"EnableDnsSupport": false}));
    home.sdocker(&[&CREATE[..], &["--dry-run"]].concat()).expect(0);
    let created = home.sdocker(&[&CREATE[..], &["--no-wait"]].concat()).expect(0).json();
    let [live] = &front.live()[..] else { panic!("one host") };
    assert_eq!(created["instance_id"], json!(live));
    // Nobody can name it: it is reached by its address, which its certificate gets on the host.
    let address = home.records()[0]["instance"]["private_address"].clone();
    let status = home.sdocker(&["status", "--output", "json"]).expect(0).json();
    let at = format!("tcp://{}:1111", address.as_str().expect("an address"));
    assert_eq!(status["endpoint"], json!(at), "{status}");
    home.sdocker(&["terminate-host", "--all", "--purge"]).expect(0);
    assert_eq!((front.live(), home.records()), (Vec::new(), Vec::new()));
}

#[test]
fn a_dry_run_changes_nothing_and_names_its_calls() {
    let Some(front) = Front::start() else { return };
    let home = front.home();
    let plan = home
        .sdocker(&["create-host", "--instance-type", "m7g.large", "--dry-run", "--output", "json"])
        .expect(0)
        .json();
    assert_eq!(plan["plan"]["image"]["architecture"], json!("arm64"));
    let calls: Vec<&str> =
        plan["calls"].as_array().expect("calls").iter().filter_map(|call| call["action"].as_str()).collect();
    let log = front.log();
    assert!(log.iter().all(|action| is_read(action)), "{log:?}");

    front.reset();
    // What comes too early is asked for again, which no plan can know.
    front.know_at_once();
    home.sdocker(&["create-host", "--instance-type", "m7g.large"]).expect(0);
    let log = front.log();
    let changes: Vec<&str> = log.iter().map(String::as_str).filter(|action| !is_read(action)).collect();
    assert_eq!(calls, changes, "the plan's calls are those that are made");
    home.sdocker(&["terminate-host", "--all"]).expect(0);
}

#[test]
fn what_is_wrong_is_said_before_anything_is_made() {
    let Some(front) = Front::start() else { return };
    let mut home = front.home();
    let fails = |home: &Home, arguments: &[&str], expected: &str| {
        let run = home.sdocker(arguments).expect(1);
        assert!(run.stderr.contains(expected), "{arguments:?}: {}", run.stderr);
        assert_eq!(front.live(), Vec::<String>::new());
    };
    fails(&home, &["create-host", "--instance-type", "c5.xlrage"], "did you mean c5.xlarge");
    fails(
        &home,
        &["create-host", "--instance-type", "c5.xlarge", "--subnet-id", "subnet-0"],
        "the domain's subnets are",
    );
    let without_target = front.seed()["subnets"][2].as_str().expect("an id").to_owned();
    fails(
        &home,
        &["create-host", "--instance-type", "c5.xlarge", "--subnet-id", &without_target],
        "no mount target of fs-",
    );
    fails(&home, &["terminate-host", "--instance-id", "i-00000000000000000"], "is not a Docker host of sdocker");
    fails(&home, &["status"], "there is no current host");
    home.sdocker(&["create-host"]).expect(2);
    home.sdocker(&["create-hots"]).expect(2);

    front.change_domain(&json!({"AppNetworkAccessType": "PublicInternetOnly"}));
    fails(&home, &["create-host", "--instance-type", "c5.xlarge"], "does not use VpcOnly");
    front.change_domain(&json!({"AppNetworkAccessType": "VpcOnly"}));

    for code in ["ExpiredToken", "ExpiredTokenException"] {
        front.fault(
            if code == "ExpiredToken" { "ec2:DescribeImages" } else { "sagemaker:DescribeDomain" },
            0,
            EndpointFault::Error,
        );
        let run = home.sdocker(&CREATE).expect(1);
        assert_eq!(run.json()["error"]["remains"], json!([]));
    }
    front.reset();
    home.set("AWS_ENDPOINT_URL", "http://127.0.0.1:9");
    fails(&home, &["create-host", "--instance-type", "c5.xlarge"], "no answer from http://127.0.0.1:9");
}

#[test]
fn each_denied_action_is_named_or_done_without() {
    let Some(front) = Front::start() else { return };
    let home = front.home();
    home.sdocker(&CREATE).expect(0);
    let mut actions = front.log();
    home.sdocker(&["terminate-host", "--all", "--purge"]).expect(0);
    // Neither dry runs nor further pages.
    actions.retain(|action| !action.ends_with(')'));
    actions.sort();
    actions.dedup();
    let optional = [
        "sagemaker:ListTags",
        "ec2:DescribeInstanceTypes",
        "ec2:CreateTags",
        "ec2:AuthorizeSecurityGroupEgress",
        "ec2:RevokeSecurityGroupEgress",
    ];
    actions.push("ec2:CreateTags".to_owned());
    for action in &actions {
        front.deny(&[action]);
        let run = home.sdocker(&CREATE);
        front.deny(&[]);
        if optional.contains(&action.as_str()) {
            let run = run.expect(0);
            assert!(run.stderr.contains("warning:"), "{action}: {}", run.stderr);
        } else {
            let run = run.expect(1);
            let hints = run.json()["error"]["hints"].to_string();
            assert!(hints.contains(action.as_str()) && hints.contains("Effect"), "{action}: {hints}");
            assert_eq!(front.live(), Vec::<String>::new(), "{action}");
        }
        home.sdocker(&["terminate-host", "--all", "--purge"]).expect(0);
        assert_eq!((front.live(), home.records()), (Vec::new(), Vec::new()), "{action}");
    }
}

const FAULTS: [EndpointFault; 6] = [
    EndpointFault::Error,
    EndpointFault::Throttle,
    EndpointFault::DropBefore,
    EndpointFault::DropAfter,
    EndpointFault::HoldBefore,
    EndpointFault::HoldAfter,
];

#[test]
fn the_fifteen_permissions_of_2022_suffice() {
    let Some(front) = Front::start() else { return };
    let home = front.home();
    let denied = [
        "ec2:CreateTags",
        "ec2:DescribeInstanceTypes",
        "ec2:AuthorizeSecurityGroupEgress",
        "ec2:RevokeSecurityGroupEgress",
        "ec2:DeleteSecurityGroup",
    ];
    front.deny(&denied);
    let created = home.sdocker(&CREATE).expect(0);
    for action in &denied[..4] {
        assert!(created.stderr.contains(action), "the loss of {action} is said: {}", created.stderr);
    }
    let status = home.sdocker(&["status", "--output", "json"]).expect(0).json();
    assert_eq!(status["daemon"]["answers"], json!(true));
    home.sdocker(&["list-hosts"]).expect(0);
    home.sdocker(&CREATE).expect(0);
    home.sdocker(&["terminate-current-host"]).expect(0);
    home.sdocker(&["terminate-host", "--all"]).expect(0);
    assert_eq!((front.live(), home.records()), (Vec::new(), Vec::new()));
    let asked = front.log();
    let others: Vec<_> = asked
        .iter()
        .map(|action| action.split_once(" (").map_or(action.as_str(), |(action, _)| action))
        .filter(|action| !PERMISSIONS_OF_2022.contains(action) && !denied.contains(action))
        .collect();
    assert!(others.is_empty(), "{others:?}");
}

#[test]
fn a_lifecycle_configuration_is_registered_once() {
    let Some(front) = Front::start() else { return };
    let home = front.home();
    let script = home.sdocker(&["lifecycle-config"]).expect(0).stdout;
    assert!(script.contains("app=KernelGateway"), "{script}");
    let create = ["lifecycle-config", "--app-type", "JupyterLab", "--create", "sdocker", "--output", "json"];
    let created = home.sdocker(&create).expect(0).json();
    assert_eq!(created["arn"], "arn:aws:sagemaker:eu-west-1:123456789012:studio-lifecycle-config/sdocker");
    let again = home.sdocker(&create).expect(1);
    assert!(again.stdout.contains("sdocker exists already"), "{again:?}");
}

#[test]
fn hosts_without_a_record_are_found_by_their_tags() {
    let Some(front) = Front::start() else { return };
    let home = front.home();
    let forget = || {
        for file in std::fs::read_dir(home.join(".sdocker/journal")).expect("a journal").flatten() {
            std::fs::remove_file(file.path()).expect("removed");
        }
        std::fs::remove_file(home.join(".sdocker/sdocker-hosts.conf")).expect("removed");
    };
    let first = home.sdocker(&CREATE).expect(0).json()["instance_id"].clone();
    forget();
    let listed = home.sdocker(&["recover", "--output", "json"]).expect(0).json();
    let orphan = |outcome: &str| (json!(first), json!(outcome));
    let found = |report: &Value| (report["orphans"][0]["instance_id"].clone(), report["orphans"][0]["outcome"].clone());
    assert_eq!(found(&listed), orphan("listed"));
    let adopted = home.sdocker(&["recover", "--adopt", "--output", "json"]).expect(0).json();
    assert_eq!(found(&adopted), orphan("adopted"));
    let status = home.sdocker(&["status", "--output", "json"]).expect(0).json();
    assert_eq!((&status["instance_id"], &status["daemon"]["answers"]), (&first, &json!(true)));
    assert_eq!(home.sdocker(&["recover", "--output", "json"]).expect(0).json()["orphans"], json!([]));

    forget();
    let ended = home.sdocker(&["recover", "--terminate", "--output", "json"]).expect(0).json();
    assert_eq!(found(&ended), orphan("terminated"));
    assert_eq!((front.live(), home.records()), (Vec::new(), Vec::new()));
    home.sdocker(&["terminate-host", "--all", "--purge"]).expect(0);
}

/// What containers can write into the shared folder reaches no terminal as more than text.
#[test]
fn what_others_write_is_not_obeyed_by_a_terminal() {
    let Some(front) = Front::start() else { return };
    let home = front.home();
    let created = home.sdocker(&CREATE).expect(0).json();
    let folder = home.join(".sdocker/hosts").join(created["name"].as_str().expect("a name"));
    let evil = "\u{1b}]0;title\u{7}\u{1b}[2J\u{9b}1;1H\u{202e}";
    std::fs::write(folder.join("status"), format!("2026-01-01T00:00:00Z daemon done {evil}evil\n")).expect("written");
    let life = json!({"notices": [format!("{evil}evil")], "uses": [format!("container {evil}evil")]});
    std::fs::write(folder.join("life.json"), life.to_string()).expect("written");
    for options in [&[][..], &["--output", "json"], &["-v"]] {
        let run = home.sdocker(&[&["status"][..], options].concat()).expect(0);
        assert!(run.stdout.contains("evil"), "it is shown: {}", run.stdout);
        for printed in [&run.stdout, &run.stderr] {
            let obeyed = printed.chars().find(|letter| "\u{7}\u{1b}\u{9b}\u{202e}".contains(*letter));
            assert_eq!(obeyed, None, "{options:?}: {printed:?}");
        }
    }
    home.sdocker(&["terminate-host", "--all", "--purge"]).expect(0);
}

/// A host that never answers is shown why and terminated; kept only when asked; and a signal ends the wait, and the host.
#[test]
fn a_host_that_does_not_come_up_does_not_stay() {
    let Some(front) = Front::start() else { return };
    let home = front.home();
    let elsewhere = Home::new();
    front.boot_into(&elsewhere);
    let impatient = [&CREATE[..], &["--timeout", "1s"]].concat();
    let run = home.sdocker(&impatient).expect(1);
    assert!(run.stdout.contains("did not become ready"), "{}", run.stdout);
    assert_eq!((front.live(), home.records()), (Vec::new(), Vec::new()));

    let run = home.sdocker(&[&impatient[..], &["--keep-failed"]].concat()).expect(3);
    assert!(run.stdout.contains("--keep-failed"), "{}", run.stdout);
    assert_eq!((front.live().len(), home.records().len()), (1, 1));
    home.sdocker(&["terminate-host", "--all"]).expect(0);
    assert_eq!((front.live(), home.records()), (Vec::new(), Vec::new()));

    // What could not be undone is listed, and told by the exit code.
    front.fault("ec2:TerminateInstances", 0, EndpointFault::Error);
    let run = home.sdocker(&impatient).expect(3);
    let remains = run.json()["error"]["remains"].to_string();
    assert!(remains.contains(&front.live()[0]), "{remains}");
    front.reset();
    home.sdocker(&["recover"]).expect(0);
    assert_eq!((front.live(), home.records()), (Vec::new(), Vec::new()));

    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let mut waiting =
            home.sdocker_command(&CREATE).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs");
        while front.live().is_empty() {
            assert!(waiting.try_wait().expect("a child").is_none(), "it waits for the host");
        }
        home.run("kill", &["-s", signal, &waiting.id().to_string()]).expect(0);
        assert_eq!(waiting.wait().expect("it ends").code(), Some(code), "{signal}");
        assert_eq!((front.live(), home.records()), (Vec::new(), Vec::new()), "{signal}");
    }
    home.sdocker(&["terminate-host", "--all", "--purge"]).expect(0);
}

/// Files that other programs or a crash left broken: each is named, with its line, and stays as it is.
#[test]
fn broken_files_are_named_and_left() {
    let Some(front) = Front::start() else { return };
    let home = front.home();
    home.sdocker(&CREATE).expect(0);
    let journal = std::fs::read_dir(home.join(".sdocker/journal")).expect("a journal").flatten();
    let record = journal.map(|file| file.path()).find(|path| path.extension().is_some_and(|end| end == "json"));
    let record = record.expect("a record");
    let newer = std::fs::read_to_string(&record).expect("read").replace("\"version\": 1", "\"version\": 9");
    let cases = [
        (home.join(".sdocker/sdocker.conf"), "{\n  \"Port\": \"many\"\n}".to_owned(), "sdocker.conf:2:"),
        (home.join(".docker/config.json"), "{\n\"currentContext\": 5".to_owned(), "config.json"),
        (
            home.join("studio-root/opt/ml/metadata/resource-metadata.json"),
            "{\n]".to_owned(),
            "resource-metadata.json:2:",
        ),
    ];
    for (path, broken, expected) in cases {
        let before = std::fs::read(&path).ok();
        std::fs::write(&path, &broken).expect("written");
        let run = home.sdocker(&CREATE).expect(1);
        assert!(
            run.stderr.contains(expected) || run.stdout.contains(expected),
            "{path:?}: {} {}",
            run.stdout,
            run.stderr
        );
        assert_eq!(std::fs::read_to_string(&path).expect("read"), broken, "it stays");
        assert_eq!(front.live().len(), 1, "{path:?}: nothing was launched");
        match before {
            Some(before) => std::fs::write(&path, before).expect("written"),
            None => std::fs::remove_file(&path).expect("removed"),
        }
    }
    std::fs::write(&record, &newer).expect("written");
    let listed = home.sdocker(&["list-hosts"]);
    assert!(listed.stderr.contains("version 9"), "{} {}", listed.stdout, listed.stderr);
    assert_eq!(std::fs::read_to_string(&record).expect("read"), newer);
    std::fs::write(&record, newer.replace("\"version\": 9", "\"version\": 1")).expect("written");
    home.sdocker(&["terminate-host", "--all", "--purge"]).expect(0);
}

/// For every call that create and terminate make: an error, throttling, a connection that breaks before and after, and the death of
/// the process before and after. Half of the cases each, with an endpoint of its own each.
#[test]
fn every_failure_at_every_call_is_cleared() {
    let halves = std::thread::scope(|scope| {
        let half = |number| scope.spawn(move || failures(number));
        [half(0), half(1)].map(|half| half.join().expect("every case holds"))
    });
    let [Some((cases, calls)), Some((others, _))] = halves else { return };
    println!("{} cases over {calls} calls", cases + others);
}

/// Every other case, from this one on; how many there were, over how many calls.
fn failures(first: usize) -> Option<(usize, usize)> {
    let front = Front::start()?;
    let home = front.home();
    // A second for each case; what comes too early has cases of its own (`later.rs`).
    front.know_at_once();
    home.sdocker(&CREATE).expect(0);
    let create = front.log();
    front.reset();
    home.sdocker(&["terminate-host", "--all"]).expect(0);
    let terminate = front.log();
    home.sdocker(&["terminate-host", "--all", "--purge"]).expect(0);

    let mut all = Vec::new();
    for (flow, calls) in [("create", &create), ("terminate", &terminate)] {
        for (number, action) in calls.iter().enumerate() {
            let nth = calls[..number].iter().filter(|before| *before == action).count();
            // A read changes nothing: that its answer is lost, or that it is throttled, is the SDK's own business.
            // Of pages after the first, one of each list.
            let matters = |fault: &EndpointFault| match (is_read(action), fault) {
                _ if action.ends_with("(further page)") => nth == 0 && *fault == EndpointFault::Error,
                (is_read, fault) => !is_read || matches!(fault, EndpointFault::Error | EndpointFault::HoldBefore),
            };
            all.extend(FAULTS.into_iter().filter(matters).map(|fault| (flow, action, nth, fault)));
        }
    }
    let mut cases = 0;
    for (flow, action, nth, fault) in all.into_iter().skip(first).step_by(2) {
        let case = format!("{fault:?} at {flow}'s {action} {nth}");
        if flow == "terminate" {
            front.reset();
            home.sdocker(&CREATE).expect(0);
        }
        front.fault(action, nth, fault);
        let arguments = if flow == "create" { &CREATE[..] } else { &["terminate-host", "--all"][..] };
        let began = std::time::Instant::now();
        let code = run_with(&front, &home, arguments, fault);
        let took = began.elapsed();
        assert!(front.fired()[0] > 0, "{case}: the fault struck");
        front.reset();
        check(&front, &home, code, &case);
        println!("{:5.1} s, then {:5.1} s: {case}", took.as_secs_f64(), (began.elapsed() - took).as_secs_f64());
        cases += 1;
    }
    Some((cases, create.len() + terminate.len()))
}

/// The exit code; `None` where the process was killed.
fn run_with(front: &Front, home: &Home, arguments: &[&str], fault: EndpointFault) -> Option<i32> {
    if !matches!(fault, EndpointFault::HoldBefore | EndpointFault::HoldAfter) {
        return home.sdocker(arguments).code;
    }
    let mut child =
        home.sdocker_command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs");
    if front.wait_until_held(&mut child) {
        child.kill().expect("it can be killed");
    }
    let code = child.wait().expect("it ends").code();
    front.release();
    code
}

/// No live instance without a record; none at all after `recover` and `terminate-host --all`.
fn check(front: &Front, home: &Home, code: Option<i32>, case: &str) {
    let records = home.records();
    let live = front.instances();
    for instance in &live {
        assert!(is_recorded(&records, instance), "{case}: {instance} without a record: {records:?}");
    }
    if code == Some(1) && case.contains("create") {
        assert_eq!(live, Vec::<Value>::new(), "{case}");
    }
    home.sdocker(&["recover"]).expect(0);
    home.sdocker(&["recover"]).expect(0);
    home.sdocker(&["terminate-host", "--all", "--purge"]).expect(0);
    assert_eq!((front.live(), home.records()), (Vec::new(), Vec::new()), "{case}");
}

/// Whether some record holds an instance: the launch with its token, which is not taken for gone, and names no other instance.
fn is_recorded(records: &[Value], instance: &Value) -> bool {
    let resources = records.iter().flat_map(|record| record["resources"].as_array().into_iter().flatten());
    resources.into_iter().any(|resource| {
        resource["client_token"] == instance["token"]
            && resource["state"] != "gone"
            && (resource["id"].is_null() || resource["id"] == instance["id"])
    })
}

/// The assertion tells a record of this launch from one of another, and from one that thinks it gone.
#[test]
fn a_leak_is_told_from_a_record() {
    let instance = json!({"id": "i-1", "token": "t-1", "tags": {}});
    let record = |state: &str, token: &str, id: Value| {
        vec![json!({"resources": [{"kind": "instance", "state": state, "client_token": token, "id": id}]})]
    };
    assert!(is_recorded(&record("intended", "t-1", Value::Null), &instance));
    assert!(is_recorded(&record("created", "t-1", json!("i-1")), &instance));
    for leak in [
        Vec::new(),
        record("intended", "t-2", Value::Null),
        record("gone", "t-1", Value::Null),
        record("created", "t-1", json!("i-2")),
    ] {
        assert!(!is_recorded(&leak, &instance), "{leak:?}");
    }
}

#[test]
fn many_processes_over_one_home_lose_nothing() {
    let Some(front) = Front::start() else { return };
    let home = front.home();
    let spawn = |arguments: &[&str]| {
        home.sdocker_command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs")
    };
    for round in 0..3 {
        let mut children: Vec<_> = (0..4).map(|_| spawn(&CREATE)).collect();
        children.push(spawn(&["recover"]));
        if round > 0 {
            children.push(spawn(&["terminate-current-host"]));
        }
        for (number, mut child) in children.into_iter().enumerate() {
            let status = child.wait().expect("it ends");
            assert!(status.success() || number >= 4, "round {round}, process {number}: {status}");
        }
        let listed = home.sdocker(&["list-hosts", "--output", "json"]).expect(0).json();
        let listed = listed["hosts"].as_array().expect("hosts").len();
        assert_eq!(front.live().len(), home.records().len(), "round {round}");
        assert_eq!(listed, home.records().len(), "round {round}");
    }
    let mut children: Vec<_> = (0..3).map(|_| spawn(&["terminate-host", "--all"])).collect();
    for child in &mut children {
        child.wait().expect("it ends");
    }
    home.sdocker(&["terminate-host", "--all"]).expect(0);
    assert_eq!((front.live(), home.records()), (Vec::new(), Vec::new()));
}
