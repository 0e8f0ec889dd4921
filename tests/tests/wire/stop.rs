//! Hosts that stop when they are idle (`--on-idle stop`), at the endpoint: what they cost, how they are started again, and how they end.

use std::{net::TcpListener, process::Command, time::Duration};

use sdocker_tests::{EndpointFault, Front, Home, eventually};
use serde_json::{Value, json};

const CREATE: [&str; 7] = ["create-host", "--instance-type", "c5.xlarge", "--on-idle", "stop", "--output", "json"];

/// An account, and a home in its Studio.
fn studio() -> Option<(Front, Home)> {
    let front = Front::start()?;
    front.know_at_once();
    let home = front.home();
    Some((front, home))
}

/// A host that has stopped itself.
fn stopped_host(front: &Front, home: &Home) -> String {
    let created = home.sdocker(&CREATE).expect(0).json();
    let instance = created["instance_id"].as_str().expect("an id").to_owned();
    front.shut_down(&instance);
    instance
}

fn state(home: &Home) -> Value {
    home.sdocker(&["list-hosts", "--output", "json"]).expect(0).json()["hosts"][0].clone()
}

#[test]
fn a_host_that_stopped_is_shown_started_again_and_ended() {
    let Some((front, home)) = studio() else { return };
    let created = home.sdocker(&CREATE[..5]).expect(0);
    assert!(created.stdout.contains("it stops itself after 1h without use"), "{}", created.stdout);
    assert!(created.stdout.contains("keeps its disk, for $"), "{}", created.stdout);
    let instance = front.live().remove(0);
    assert_eq!(home.records()[0]["stops"], json!({"volume_gib": 400}));
    front.shut_down(&instance);

    let host = state(&home);
    assert_eq!((&host["state"], &host["disk"]["gib"]), (&json!("stopped"), &json!(400)));
    let listed = home.sdocker(&["list-hosts"]).expect(0);
    assert!(listed.stderr.contains(&format!("{instance} is stopped: its disk of 400 GiB ")), "{}", listed.stderr);
    let status = home.sdocker(&["status"]).expect(0).stdout;
    for said in ["stopped in ", "while stopped", "decide by ", &format!("`sdocker use {instance}` starts it")] {
        assert!(status.contains(said), "{said}: {status}");
    }
    let doctor = home.sdocker(&["doctor"]).expect(0);
    assert!(doctor.stdout.contains("is stopped: its disk of 400 GiB"), "{}", doctor.stdout);
    // It is nothing that was interrupted, and no orphan.
    home.sdocker(&["recover"]).expect(0);
    assert_eq!(front.live(), std::slice::from_ref(&instance));

    front.reset();
    let used = home.sdocker(&["use", &instance]).expect(0);
    assert!(used.stderr.contains("it was stopped, and runs again"), "{}", used.stderr);
    let calls = front.log();
    assert_eq!(calls.iter().filter(|call| *call == "ec2:StartInstances").count(), 1, "{calls:?}");
    assert!(!calls.iter().any(|call| call == "ec2:RunInstances"), "{calls:?}");
    assert_eq!(
        (state(&home)["state"].clone(), home.records()[0]["stops"].clone()),
        (json!("running"), json!({"volume_gib": 400}))
    );
    // One that runs is not started.
    front.reset();
    home.sdocker(&["use", &instance]).expect(0);
    assert!(!front.log().contains(&"ec2:StartInstances".to_owned()), "{:?}", front.log());

    front.shut_down(&instance);
    home.sdocker(&["terminate-host", "--all", "--purge"]).expect(0);
    assert_eq!((front.live(), home.records()), (Vec::new(), Vec::new()), "the disk goes with the instance");
}

/// The process that serves files and ports ends with its host, or when that is stopped, and nothing starts it again before the host. Its log says that
/// once, and once that the host is back.
#[test]
fn nobody_connects_to_a_host_that_is_stopped_or_has_ended() {
    let Some(front) = Front::start() else { return };
    let mut home = front.home();
    home.set("XDG_RUNTIME_DIR", home.path());
    front.know_at_once();
    let instance = home.sdocker(&CREATE).expect(0).json()["instance_id"].as_str().expect("an id").to_owned();
    let log = || home.run("sh", &["-c", "cat sdocker/*/log"]).stdout;
    let serving = || links_of(&home).len();
    let minute = Duration::from_secs(60);
    eventually(minute, "it serves", || (serving() == 1).then_some(()));
    front.shut_down(&instance);
    eventually(minute, "it ends when the host is stopped", || (serving() == 0).then_some(()));

    let nobody = Unasked::beside(&home.records()[0]);
    for _ in 0..3 {
        home.sdocker(&["list-hosts"]).expect(0);
        assert_eq!(serving(), 0, "{}", log());
    }
    // Once what is known of it is old, EC2 is asked again, and nobody else.
    home.run("sh", &["-c", "touch -d '1 hour ago' sdocker/*/gone.json"]).expect(0);
    home.sdocker(&["list-hosts"]).expect(0);
    eventually(minute, "it ends again", || (serving() == 0).then_some(()));
    nobody.was_not_asked();
    drop(nobody);
    assert_eq!(log().matches("is stopped, and not connected to").count(), 1, "{}", log());

    home.sdocker(&["use", &instance]).expect(0);
    eventually(minute, "it is said that the host is back", || log().contains(" runs again").then_some(()));
    assert_eq!((serving(), log().matches(" runs again").count()), (1, 1), "{}", log());

    assert_eq!(front.ec2("TerminateInstances", &[("InstanceId.1", &instance)]).0, "");
    eventually(minute, "it ends with the host", || (serving() == 0).then_some(()));
    home.sdocker(&["list-hosts"]).expect(0);
    assert_eq!((serving(), log().matches("has ended, and is not connected to").count()), (0, 1), "{}", log());
    home.sdocker(&["terminate-host", "--all", "--purge"]).expect(0);
}

/// The processes of this home that serve files and ports.
fn links_of(home: &Home) -> Vec<String> {
    let own = format!("HOME={}\0", home.path().display());
    let read = |process: &str, file| std::fs::read(format!("/proc/{process}/{file}")).unwrap_or_default();
    let processes = std::fs::read_dir("/proc").expect("readable").flatten();
    let names = processes.map(|process| process.file_name().to_string_lossy().into_owned());
    let ours = |process: &String| {
        String::from_utf8_lossy(&read(process, "cmdline")).contains("\0link\0--host\0")
            && String::from_utf8_lossy(&read(process, "environ")).contains(&own)
    };
    names.filter(ours).collect()
}

/// Whatever becomes of the start, the host is there as before: EC2 has no capacity, does not answer, refuses it; the process dies.
#[test]
fn a_start_that_fails_loses_nothing() {
    let Some((front, home)) = studio() else { return };
    let instance = stopped_host(&front, &home);
    let start = |code| home.sdocker(&["use", &instance]).expect(code);

    front.error_once("ec2:StartInstances", 0, "InsufficientInstanceCapacity");
    let refused = start(1);
    assert!(refused.stderr.contains("is stopped, and was not started"), "{}", refused.stderr);
    assert!(refused.stderr.contains("its disk is there still"), "{}", refused.stderr);
    assert_eq!((front.fired(), state(&home)["state"].clone()), (vec![1], json!("stopped")));
    assert_eq!(home.records()[0]["stops"], json!({"volume_gib": 400}), "nothing is on its way");

    front.reset();
    front.deny(&["ec2:StartInstances"]);
    let refused = start(1);
    assert!(refused.stderr.contains("ec2:StartInstances"), "{}", refused.stderr);
    assert!(refused.stderr.contains("ask an administrator"), "{}", refused.stderr);
    front.deny(&[]);

    // What was asked of EC2 is on record before, and the answer is not needed.
    front.fault("ec2:StartInstances", 0, EndpointFault::HoldAfter);
    let mut child = home.sdocker_command(&["use", &instance]).spawn().expect("it runs");
    assert!(front.wait_until_held(&mut child), "it gets there");
    child.kill().expect("it can be killed");
    child.wait().expect("it ends");
    front.release();
    assert!(home.records()[0]["stops"]["start_asked"].is_string(), "{:?}", home.records());
    front.reset();
    home.sdocker(&["recover"]).expect(0);
    assert_eq!(home.records()[0]["stops"], json!({"volume_gib": 400}));
    assert_eq!(state(&home)["state"], json!("running"));

    front.shut_down(&instance);
    front.fault("ec2:StartInstances", 0, EndpointFault::DropAfter);
    start(0);
    assert_eq!((front.fired(), state(&home)["state"].clone()), (vec![1], json!("running")));
    home.sdocker(&["terminate-host", "--all", "--purge"]).expect(0);
}

/// A creation that nobody finished, whose host stopped: it is undone, and keeps no disk.
#[test]
fn a_creation_that_was_interrupted_keeps_no_disk() {
    let Some((front, home)) = studio() else { return };
    front.fault("ec2:RunInstances", 0, EndpointFault::HoldAfter);
    let mut child = home.sdocker_command(&CREATE).spawn().expect("it runs");
    assert!(front.wait_until_held(&mut child), "it gets there");
    child.kill().expect("it can be killed");
    child.wait().expect("it ends");
    front.release();
    front.reset();
    front.shut_down(&front.live()[0]);
    home.sdocker(&["recover"]).expect(0);
    assert_eq!((front.live(), home.records()), (Vec::new(), Vec::new()));
}

/// After its maximum lifetime it is for the user to decide: every command says so until that is done.
#[test]
fn every_command_asks_for_a_decision_once_the_time_has_come() {
    let Some((front, home)) = studio() else { return };
    let instance = stopped_host(&front, &home);
    let quiet = home.sdocker(&["list-hosts", "--offline"]).expect(0);
    assert!(!quiet.stderr.contains("decide what becomes of"), "{}", quiet.stderr);
    let journal = home.join(".sdocker/journal");
    let file = std::fs::read_dir(&journal).expect("a journal").flatten().map(|file| file.path());
    let file = file.into_iter().find(|file| file.extension().is_some_and(|kind| kind == "json")).expect("a record");
    let mut record: Value = serde_json::from_slice(&std::fs::read(&file).expect("read")).expect("JSON");
    record["expires"] = json!("2026-01-01T00:00:00Z");
    std::fs::write(&file, record.to_string()).expect("written");
    for command in [&["list-hosts", "--offline"][..], &["status"]] {
        let said = home.sdocker(command).stderr;
        assert!(said.contains(&format!("decide what becomes of c5.xlarge_{instance}")), "{command:?}: {said}");
        assert!(said.contains(&format!("`sdocker rm {instance}`")), "{command:?}: {said}");
    }
    let status = home.sdocker(&["status"]).expect(0).stdout;
    assert!(status.contains("decide now what becomes of it"), "{status}");
    let doctor = home.sdocker(&["doctor"]).stdout;
    assert!(doctor.contains("is stopped, and its maximum lifetime is over"), "{doctor}");
    // Started, it has half an hour, which is a decision for now.
    home.sdocker(&["use", &instance]).expect(0);
    let said = home.sdocker(&["list-hosts", "--offline"]).expect(0).stderr;
    assert!(!said.contains("decide what becomes of"), "{said}");
    home.sdocker(&["terminate-host", "--all", "--purge"]).expect(0);
}

/// Its record and its place in the list of hosts are lost, and it is stopped: it is not taken for one that ended, nor asked, but taken back as it is.
#[test]
fn a_stopped_host_without_a_record_is_adopted_as_it_is() {
    let Some((front, home)) = studio() else { return };
    let instance = stopped_host(&front, &home);
    let before = home.records().remove(0);
    let nobody = Unasked::at(&home, &before);
    let forget = || {
        for file in std::fs::read_dir(home.join(".sdocker/journal")).expect("a journal").flatten() {
            std::fs::remove_file(file.path()).expect("removed");
        }
        std::fs::remove_file(home.join(".sdocker/sdocker-hosts.conf")).expect("removed");
    };
    forget();
    let listed = home.sdocker(&["recover", "--output", "json"]).expect(0).json()["orphans"][0].clone();
    assert_eq!((&listed["state"], &listed["outcome"]), (&json!("stopped"), &json!("listed")));

    let adopted = home.sdocker(&["recover", "--adopt"]).expect(0).stdout;
    for said in [
        &format!("{instance} (c5.xlarge, stopped, launched "),
        ") adopted",
        "its disk of 400 GiB",
        "decide by ",
        &format!("`sdocker use {instance}` starts it"),
    ] {
        assert!(adopted.contains(said), "{said}: {adopted}");
    }
    let after = home.records().remove(0);
    let seconds = |record: &Value| record["expires"].as_str().map(|time| time[..19].to_owned());
    assert_eq!(seconds(&after), seconds(&before), "the same time for a decision");
    assert_eq!((&after["state"], &after["stops"]), (&json!("ready"), &json!({"volume_gib": 400})));
    assert_eq!(home.sdocker(&["recover", "--output", "json"]).expect(0).json()["orphans"], json!([]));
    assert_eq!(state(&home)["state"], "stopped");
    nobody.was_not_asked();
    drop(nobody);

    home.sdocker(&["use", &instance]).expect(0);
    assert_eq!((state(&home)["state"].clone(), front.live()), (json!("running"), vec![instance.clone()]));

    // One that runs is known to be of those that stop as well.
    forget();
    home.sdocker(&["recover", "--adopt"]).expect(0);
    assert_eq!(home.records()[0]["stops"], json!({"volume_gib": 400}));

    // Without its credentials, it can only be ended.
    front.shut_down(&instance);
    forget();
    let certs = home.join(".sagemaker_studio_docker_cli").join(format!("c5.xlarge_{instance}")).join("certs");
    std::fs::remove_dir_all(certs).expect("removed");
    let refused = home.sdocker(&["recover", "--adopt"]).expect(3).stderr;
    assert!(refused.contains("key.pem") && home.records().is_empty(), "{refused}");
    home.sdocker(&["recover", "--terminate"]).expect(0);
    assert_eq!((front.live(), home.records()), (Vec::new(), Vec::new()));
}

/// Whatever is sent to an instance that is stopped is lost: no command sends anything, nor waits for an answer.
#[test]
fn a_stopped_host_is_not_asked_how_it_is() {
    let Some((front, home)) = studio() else { return };
    let instance = stopped_host(&front, &home);
    let nobody = Unasked::at(&home, &home.records()[0]);
    for command in [&["status"][..], &["status", "--instance-id", &instance], &["list-hosts"], &["doctor"]] {
        home.sdocker(command).expect(0);
        nobody.was_not_asked();
    }
    let daemon = home.sdocker(&["status", "--output", "json"]).expect(0).json()["daemon"].clone();
    assert_eq!((&daemon["answers"], &daemon["error"]), (&json!(false), &Value::Null));
    nobody.was_not_asked();
    drop(nobody);
    home.sdocker(&["terminate-host", "--all", "--purge"]).expect(0);
}

#[test]
fn what_cannot_stop_is_refused_before_anything_is_made() {
    let Some(front) = Front::start() else { return };
    let home = front.home();
    let refused = |options: &[&str]| home.sdocker(&[&CREATE[..5], options].concat()).expect(1).stderr;
    let spot = refused(&["--spot"]);
    assert!(
        spot.contains("a Spot instance can't be stopped when it is idle: EC2 stops only those of persistent"),
        "{spot}"
    );
    assert!(refused(&["--spot-or-on-demand"]).contains("a Spot instance can't be stopped"));
    assert!(refused(&["--swarm"]).contains("a node of a Swarm can't be stopped"));
    assert!(refused(&["--max-cost", "5"]).contains("no limit to what a host that stops can cost"));
    assert_eq!((front.live(), home.records()), (Vec::new(), Vec::new()));
    let plan = home.sdocker(&[&CREATE[..], &["--dry-run"]].concat()).expect(0).json();
    let call = plan["calls"].as_array().expect("calls").iter().find(|call| call["action"] == json!("ec2:RunInstances"));
    assert_eq!(call.expect("a launch")["parameters"]["InstanceInitiatedShutdownBehavior"], json!("stop"));
}

/// The policy has the permission to start hosts where that is asked for, for the owner's hosts only, and it is enough.
#[test]
fn the_policy_for_hosts_that_stop_is_enough_and_no_other_has_it() {
    let Some((front, home)) = studio() else { return };
    let print = |options: &[&str]| {
        home.sdocker(&[&["policy", "--for", "create,status,terminate"], options].concat()).expect(0).json()
    };
    assert!(!print(&[]).to_string().contains("StartInstances"));
    assert!(!print(&["--on-idle", "terminate"]).to_string().contains("StartInstances"));
    let policy = print(&["--on-idle", "stop"]);
    let statements = policy["Statement"].as_array().expect("statements").clone();
    let about =
        |action: &str| statements.iter().find(|it| it["Action"].to_string().contains(action)).expect(action).clone();
    let (start, end) = (about("ec2:StartInstances"), about("ec2:TerminateInstances"));
    assert_eq!((&start["Condition"], &start["Resource"]), (&end["Condition"], &end["Resource"]), "{start}");
    assert!(!policy.to_string().contains("StopInstances"), "the host stops itself");

    front.reset();
    front.enforce(&policy);
    let instance = stopped_host(&front, &home);
    home.sdocker(&["use", &instance]).expect(0);
    home.sdocker(&["terminate-host", "--all"]).expect(0);
    assert_eq!(front.refused(), std::collections::BTreeSet::new());
    assert!(front.used().contains("ec2:StartInstances"));
    front.enforce(&Value::Null);
    // As `sdocker.conf` says, where no option does.
    home.sdocker(&["config", "set", "OnIdle", "stop"]).expect(0);
    assert_eq!(print(&[]), policy);
}

/// What is at the address of a host in place of its daemon, and answers nobody.
struct Unasked(TcpListener);

impl Unasked {
    fn at(home: &Home, record: &Value) -> Self {
        // The process that serves ports may not have seen yet that the host is stopped; none is started again for a host of which nothing is remembered.
        std::fs::remove_dir_all(home.join(".sdocker/links")).expect("removed");
        for process in links_of(home) {
            assert!(Command::new("kill").args(["-9", &process]).status().expect("it runs").success());
        }
        Self::beside(record)
    }

    /// Whatever runs in the home goes on.
    fn beside(record: &Value) -> Self {
        let address = record["instance"]["endpoint"].as_str().expect("an address");
        let port = record["daemon_port"].as_u64().expect("a port").try_into().expect("a port");
        let listener = TcpListener::bind((address, port)).expect("the host's daemon is gone");
        listener.set_nonblocking(true).expect("set");
        Self(listener)
    }

    fn was_not_asked(&self) {
        let asked = self.0.accept().expect_err("somebody asked a host that is stopped");
        assert_eq!(asked.kind(), std::io::ErrorKind::WouldBlock);
    }
}
