//! Two Regions, two accounts, two clouds, two owners: nothing is concluded about a host by looking elsewhere, nobody ends another's host,
//! and "current" is what the Docker CLI would use.

use sdocker_tests::{Front, Home, Run};
use serde_json::{Value, json};

const CREATE: [&str; 5] = ["create-host", "--instance-type", "c5.xlarge", "--output", "json"];

fn create(home: &Home) -> String {
    home.sdocker(&CREATE).expect(0).json()["instance_id"].as_str().expect("an id").to_owned()
}

fn context(home: &Home) -> Value {
    let text = std::fs::read_to_string(home.join(".docker/config.json")).unwrap_or_else(|_| "{}".to_owned());
    serde_json::from_str::<Value>(&text).expect("JSON")["currentContext"].clone()
}

/// Everything that this home keeps of its hosts.
fn kept(home: &Home) -> (Vec<Value>, Value, String) {
    let conf = std::fs::read_to_string(home.join(".sdocker/sdocker-hosts.conf")).unwrap_or_default();
    (home.records(), context(home), conf)
}

fn said(run: &Run) -> String {
    format!("{}{}", run.stdout, run.stderr)
}

#[test]
fn a_host_is_looked_at_where_it_is_and_nowhere_else() {
    let Some(front) = Front::start() else { return };
    let mut home = front.home();
    // What `doctor --fix` would put there is there.
    let bin = home.join("bin");
    std::fs::create_dir_all(&bin).expect("made");
    for (program, says) in [("docker", "Docker Compose version v2.29.1"), ("python3", "2.257.0")] {
        use std::os::unix::fs::PermissionsExt;
        std::fs::write(bin.join(program), format!("#!/bin/sh\necho '{says}'\n")).expect("written");
        std::fs::set_permissions(bin.join(program), PermissionsExt::from_mode(0o755)).expect("made executable");
    }
    home.set("PATH", bin);
    let instance = create(&home);
    let record = &home.records()[0];
    assert_eq!(
        (&record["cloud"], &record["account"], &record["region"]),
        (&json!("aws"), &json!("123456789012"), &json!("eu-west-1"))
    );
    let before = kept(&home);
    let unchanged = |home: &Home, what: &str| {
        assert_eq!(kept(home), before, "{what}");
        assert_eq!(front.live(), std::slice::from_ref(&instance), "{what}");
    };

    // Set for something else, as AWS_REGION often is: said, and not followed.
    home.set("AWS_REGION", "us-east-1");
    let run = home.sdocker(&["recover"]).expect(0);
    assert!(said(&run).contains("AWS_REGION says Region us-east-1, but the app's ARN says eu-west-1"), "{run:?}");
    unchanged(&home, "AWS_REGION and recover");
    let listed = home.sdocker(&["list-hosts", "--output", "json"]).expect(0).json();
    assert_eq!(listed["hosts"][0]["state"], json!("running"));
    home.sdocker(&["doctor", "--fix"]);
    unchanged(&home, "AWS_REGION and doctor --fix");
    home.unset("AWS_REGION");

    // What is asked for on the command line is not followed to a host that is elsewhere.
    for option in [["--region", "us-east-1"], ["--cloud", "sandbox"]] {
        let place = format!("it is in eu-west-1 of account 123456789012, not where {} looks", option.join(" "));
        for (command, code) in [
            (&["recover"][..], 0),
            (&["terminate-host", "--all"], 3),
            (&["terminate-host", "--instance-id", &instance], 3),
            (&["terminate-current-host"], 3),
            (&["list-hosts"], 0),
            (&["status"], 0),
        ] {
            let run = home.sdocker(&[command, &option].concat()).expect(code);
            assert!(said(&run).contains(&place), "{command:?} {option:?}: {run:?}");
            unchanged(&home, &format!("{command:?} {option:?}"));
        }
        let run = home.sdocker(&[&["doctor", "--fix"][..], &option].concat());
        assert!(said(&run).contains(&place), "{run:?}");
        unchanged(&home, &format!("doctor --fix {option:?}"));
    }

    // Another account's credentials, for which the Region is the right one.
    home.set("AWS_ACCESS_KEY_ID", front.place("999999999999", "eu-west-1").access_key());
    let place = "it is in eu-west-1 of account 123456789012, and the credentials are those of account 999999999999";
    for (command, code) in [
        (&["recover"][..], 3),
        (&["terminate-host", "--all"], 3),
        (&["terminate-current-host"], 3),
        (&["list-hosts"], 0),
        (&["status"], 0),
    ] {
        let run = home.sdocker(command).expect(code);
        assert!(said(&run).contains(place), "{command:?}: {run:?}");
        unchanged(&home, &format!("{command:?} with other credentials"));
    }
    let run = home.sdocker(&["doctor", "--fix"]);
    assert!(said(&run).contains(place), "{run:?}");
    unchanged(&home, "doctor --fix with other credentials");
    home.set("AWS_ACCESS_KEY_ID", front.place("123456789012", "eu-west-1").access_key());

    // An earlier sdocker recorded neither cloud nor account.
    let journal = std::fs::read_dir(home.join(".sdocker/journal")).expect("a journal").flatten();
    let path = journal.map(|file| file.path()).find(|path| path.extension().is_some_and(|end| end == "json"));
    let path = path.expect("a record");
    let mut old: Value = serde_json::from_str(&std::fs::read_to_string(&path).expect("readable")).expect("JSON");
    for field in ["cloud", "account"] {
        old.as_object_mut().expect("an object").remove(field).expect("it was there");
    }
    std::fs::write(&path, old.to_string()).expect("written");
    home.set("AWS_ACCESS_KEY_ID", front.place("999999999999", "eu-west-1").access_key());
    let run = home.sdocker(&["recover"]).expect(3);
    assert!(
        said(&run).contains("these credentials, which may be another account's, see nothing of its VPC"),
        "{run:?}"
    );
    assert_eq!((home.records(), front.live()), (vec![old], vec![instance]));
    home.set("AWS_ACCESS_KEY_ID", front.place("123456789012", "eu-west-1").access_key());
    home.sdocker(&["terminate-current-host", "--purge"]).expect(0);
    assert_eq!((home.records(), front.live()), (Vec::new(), Vec::new()));
}

/// One home with hosts in two Regions: each command asks each where it is.
#[test]
fn hosts_in_two_regions_are_one_homes() {
    let Some(front) = Front::start() else { return };
    let there = front.place("123456789012", "us-west-2");
    let mut home = front.home();
    let here_id = create(&home);
    let move_to = |home: &mut Home, region: &str| {
        let seed = front.place("123456789012", region).seed();
        home.be_studio_in(region, "123456789012", seed["domain"].as_str().expect("a domain"), "ana");
    };
    move_to(&mut home, "us-west-2");
    let there_id = create(&home);
    let listed = home.sdocker(&["list-hosts", "--output", "json"]).expect(0).json();
    let states: Vec<_> = listed["hosts"].as_array().expect("hosts").iter().map(|host| host["state"].clone()).collect();
    assert_eq!(states, [json!("running"), json!("running")]);
    home.sdocker(&["recover"]).expect(0);
    // One ends by itself; only that one is cleared.
    assert_eq!(there.ec2("TerminateInstances", &[("InstanceId.1", &there_id)]).0, "");
    let recovered = home.sdocker(&["recover", "--output", "json"]).expect(0).json();
    assert_eq!(recovered["settled"].as_array().map(Vec::len), Some(1), "{recovered}");
    assert!(recovered["settled"][0]["host"].to_string().contains(&there_id), "{recovered}");
    assert_eq!((home.records().len(), front.live()), (1, vec![here_id]));
    create(&home);
    move_to(&mut home, "eu-west-1");
    home.sdocker(&["terminate-host", "--all"]).expect(0);
    assert_eq!((home.records(), front.live(), there.live()), (Vec::new(), Vec::new(), Vec::new()));
}

#[test]
fn nobody_ends_the_host_of_another() {
    let Some(front) = Front::start() else { return };
    let neighbour = front.seed()["neighbour"]["domain"].as_str().expect("a domain").to_owned();
    let (ana, other) = (front.home(), front.home_in_domain(&neighbour));
    front.boot_into_any(&[&ana, &other]);
    let (hers, theirs) = (create(&ana), create(&other));
    let both = front.live();
    assert_eq!(both.len(), 2);
    let whose = format!("instance {theirs} is the host of ana in domain {neighbour}");
    let run = ana.sdocker(&["terminate-host", "--instance-id", &theirs]).expect(1);
    assert!(said(&run).contains(&whose), "{run:?}");
    assert_eq!(front.live(), both);

    // Merely listed, as a copied or shared file may do it; and somebody's server, and a host of the first sdocker beside it.
    let (server, old) = (front.launch(&json!({"Name": "web"})), front.launch(&json!({"Name": "DockerHost"})));
    let conf = ana.join(".sdocker/sdocker-hosts.conf");
    let mut listed: Value = serde_json::from_str(&std::fs::read_to_string(&conf).expect("readable")).expect("JSON");
    for id in [&theirs, &server, &old] {
        let entry = json!({"InstanceId": id, "InstanceDns": "x.eu-west-1.compute.internal", "Port": 1111, "InstanceType": "c5.large"});
        listed["ActiveHosts"].as_array_mut().expect("a list").push(entry);
    }
    std::fs::write(&conf, listed.to_string()).expect("written");
    let run = ana.sdocker(&["terminate-host", "--all"]).expect(1);
    assert!(said(&run).contains(&whose), "{run:?}");
    assert!(said(&run).contains(&format!("instance {server} is not a Docker host of sdocker")), "{run:?}");
    let mut left = front.live();
    left.sort();
    let mut expected = vec![theirs.clone(), server];
    expected.sort();
    assert_eq!(left, expected, "hers ({hers}) and the old one ({old}) ended, the others did not");
    other.sdocker(&["terminate-host", "--all"]).expect(0);
    assert_eq!(front.live().len(), 1);
}

#[test]
fn current_is_what_docker_would_use_and_ending_never_takes_another() {
    let Some(front) = Front::start() else { return };
    let mut home = front.home();
    let (first, second) = (create(&home), create(&home));
    home.sdocker(&["terminate-current-host"]).expect(0);
    assert_eq!(front.live(), std::slice::from_ref(&first));
    // The context before it is current again; a second time ends that one, and a third finds none.
    assert_eq!(context(&home), json!(format!("c5.xlarge_{first}")));
    let third = create(&home);
    home.sdocker(&["use", "--instance-id", &first]).expect(0);

    let current = |home: &Home| {
        let listed = home.sdocker(&["list-hosts", "--output", "json"]).expect(0).json();
        let hosts = listed["hosts"].as_array().expect("hosts").clone();
        hosts.iter().filter(|host| host["current"] == true).map(|host| host["instance_id"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(current(&home), [json!(first)]);
    home.set("DOCKER_CONTEXT", format!("c5.xlarge_{third}"));
    assert_eq!(current(&home), [json!(third)]);
    home.set("DOCKER_CONTEXT", "default");
    let run = home.sdocker(&["terminate-current-host"]).expect(1);
    assert!(said(&run).contains("there is no current host: DOCKER_CONTEXT is default"), "{run:?}");
    for other in [&first, &third] {
        assert!(run.stderr.contains(&format!("`sdocker terminate-host --instance-id {other}` ends")), "{run:?}");
    }
    assert_eq!((front.live().len(), current(&home)), (2, vec![]));
    // What only looks is friendlier, and says which host it took.
    let env = home.sdocker(&["env", "--shell", "json"]).expect(0);
    assert!(env.stderr.contains(&format!("DOCKER_CONTEXT is default: this is c5.xlarge_{first}")), "{env:?}");
    home.set("DOCKER_HOST", env.json()["DOCKER_HOST"].as_str().expect("an endpoint"));
    assert_eq!(current(&home), [json!(first)], "DOCKER_HOST goes before DOCKER_CONTEXT");
    home.set("DOCKER_HOST", "unix:///var/run/docker.sock");
    home.sdocker(&["terminate-current-host"]).expect(1);
    home.unset("DOCKER_HOST");
    home.unset("DOCKER_CONTEXT");

    home.sdocker(&["terminate-current-host"]).expect(0);
    assert_eq!(front.live(), std::slice::from_ref(&third));
    std::fs::write(home.join(".docker/config.json"), "{}").expect("written");
    let run = home.sdocker(&["terminate-current-host"]).expect(1);
    assert!(said(&run).contains("there is no current host: Docker's context is default"), "{run:?}");
    std::fs::write(home.join(".docker/config.json"), "{\"currentContext\": 5").expect("written");
    let run = home.sdocker(&["terminate-current-host"]).expect(1);
    assert!(said(&run).contains("config.json"), "{run:?}");
    assert_eq!(front.live(), std::slice::from_ref(&third));
    std::fs::write(home.join(".docker/config.json"), "{}").expect("written");
    home.sdocker(&["terminate-host", "--all", "--purge"]).expect(0);
    assert!(!front.live().contains(&second));
}

/// A copy for other tools keeps no command from its work.
#[test]
fn a_broken_list_of_hosts_is_set_aside_and_written_anew() {
    let Some(front) = Front::start() else { return };
    let home = front.home();
    let instance = create(&home);
    let conf = home.join(".sdocker/sdocker-hosts.conf");
    let whole = std::fs::read_to_string(&conf).expect("readable");
    let commands: [&[&str]; 6] =
        [&["list-hosts"], &["status"], &["env"], &["recover"], &["use", "--instance-id", &instance], &CREATE];
    for (number, command) in commands.into_iter().enumerate() {
        std::fs::write(&conf, "{\"ActiveHosts\": [").expect("written");
        let run = home.sdocker(command).expect(0);
        assert!(
            run.stderr.contains("sdocker-hosts.conf:1:") && run.stderr.contains("set aside"),
            "{command:?}: {run:?}"
        );
        let again: Value = serde_json::from_str(&std::fs::read_to_string(&conf).expect("readable")).expect("JSON");
        assert!(again.to_string().contains(&instance), "{command:?}: {again}");
        let asides = std::fs::read_dir(home.join(".sdocker")).expect("there").flatten();
        let asides = asides.filter(|file| file.file_name().to_string_lossy().contains("hosts.conf.broken")).count();
        assert_eq!(asides, number + 1);
    }
    // A name that would lead out of the home is no name: nothing outside is touched.
    let precious = home.join("precious");
    std::fs::create_dir(&precious).expect("made");
    let astray = whole.replace(&instance, "i-1/../../../precious");
    std::fs::write(&conf, &astray).expect("written");
    home.sdocker(&["terminate-host", "--all"]).expect(0);
    assert!(precious.is_dir());
    home.sdocker(&["terminate-host", "--instance-id", "../../precious"]).expect(2);
    assert_eq!((front.live(), home.records()), (Vec::new(), Vec::new()));
    home.sdocker(&["terminate-host", "--all", "--purge"]).expect(0);
}

/// A record that can't be settled is given up by name, by somebody who saw what may remain; never that of an instance that is seen running.
#[test]
fn a_record_is_given_up_by_name_and_never_that_of_a_running_host() {
    let Some(front) = Front::start() else { return };
    let mut home = front.home();
    let created = home.sdocker(&CREATE).expect(0).json();
    let (name, instance) = (created["name"].as_str().expect("a name"), created["instance_id"].as_str().expect("an id"));
    let host = home.records()[0]["host"].as_str().expect("a name").to_owned();
    let record = home.join(format!(".sdocker/journal/{host}.json"));
    let kept = home.join(format!(".sdocker/journal/{host}.forgotten"));
    let text = std::fs::read_to_string(&record).expect("readable");

    // Seen running, whether its record can be read or not, and whatever it is called.
    for which in [name, instance, &host] {
        let run = home.sdocker(&["recover", "--forget", which, "--yes"]).expect(3);
        assert!(run.stderr.contains(&format!("its instance {instance} is running")), "{}", run.stderr);
    }
    std::fs::write(&record, "{").expect("written");
    let run = home.sdocker(&["recover", "--forget", &host, "--yes"]).expect(3);
    assert!(run.stderr.contains(&format!("its instance {instance} is running")), "{}", run.stderr);
    assert_eq!(std::fs::read_to_string(&record).expect("it is there"), "{");

    // With another account's credentials nobody can tell. Nothing is given up unseen.
    let ours = front.place("123456789012", "eu-west-1").access_key();
    std::fs::write(&record, &text).expect("written");
    home.set("AWS_ACCESS_KEY_ID", front.place("999999999999", "eu-west-1").access_key());
    let unsettled = home.sdocker(&["recover"]).expect(3);
    assert!(unsettled.stderr.contains(&format!("`sdocker recover --forget {host}`")), "{}", unsettled.stderr);
    let unseen = home.sdocker(&["recover", "--forget", name]).expect(3);
    assert!(unseen.stderr.contains(&format!("remains: instance {instance}: it is in eu-west-1")), "{}", unseen.stderr);
    assert!(unseen.stderr.contains(&format!("`sdocker recover --forget {host} --yes`")), "{}", unseen.stderr);
    assert!(unseen.stderr.contains("remains: security group DockerHost"), "{}", unseen.stderr);
    assert_eq!(std::fs::read_to_string(&record).expect("it is there"), text, "nothing was changed");
    assert_eq!(home.sdocker(&["recover", "--forget", "i-0", "--yes"]).expect(1).stdout, "");
    let given_up = home.sdocker(&["recover", "--forget", name, "--yes", "--output", "json"]).expect(0).json();
    assert!(given_up["may_remain"].to_string().contains(instance), "{given_up}");
    assert_eq!(std::fs::read_to_string(&kept).expect("it is kept"), text);
    assert_eq!(home.sdocker(&["list-hosts", "--output", "json"]).expect(0).json()["hosts"], json!([]));
    home.sdocker(&["recover"]).expect(0);

    // Whoever has the credentials finds it by its tags still.
    home.set("AWS_ACCESS_KEY_ID", ours);
    assert_eq!(front.live(), [instance]);
    let found = home.sdocker(&["recover", "--terminate", "--output", "json"]).expect(0).json();
    assert_eq!(found["orphans"][0]["instance_id"], json!(instance), "{found}");

    // A torn record whose instance is gone; one that settles is not given up.
    std::fs::write(&record, "{").expect("written");
    let torn = home.sdocker(&["recover"]).expect(3);
    assert!(torn.stderr.contains(&format!("whatever is named in {}", record.display())), "{}", torn.stderr);
    assert!(!torn.stderr.contains("run `sdocker recover`"), "a recovery is no advice after one: {}", torn.stderr);
    home.sdocker(&["recover", "--forget", &host]).expect(3);
    home.sdocker(&["recover", "--forget", &host, "--yes"]).expect(0);
    home.sdocker(&["recover"]).expect(0);
    let instance_only = text.replace(r#""state": "created""#, r#""state": "adopted""#);
    assert_ne!(instance_only, text);
    std::fs::write(&record, instance_only).expect("written");
    let settles = home.sdocker(&["recover", "--forget", &host, "--yes"]).expect(1);
    assert!(settles.stderr.contains("`sdocker recover` cleans up its record"), "{}", settles.stderr);
    home.sdocker(&["recover"]).expect(0);
    home.sdocker(&["terminate-host", "--all", "--purge"]).expect(0);
    assert_eq!(home.records(), Vec::<Value>::new());
}
