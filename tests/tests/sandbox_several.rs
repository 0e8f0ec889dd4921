//! Several hosts at once, and what they do together: Docker daemons on this machine, the real Docker CLI.

use std::fs;

use sdocker_tests::Home;
use serde_json::{Value, json};

fn names(created: &Value) -> Vec<String> {
    let hosts = created["hosts"].as_array().expect("hosts");
    hosts.iter().map(|host| host["name"].as_str().expect("a name").to_owned()).collect()
}

/// Changes the sandbox's account, which is there once a command has changed it.
fn change_account(home: &Home, change: impl FnOnce(&mut Value)) {
    let path = home.join(".sdocker/sandbox/account.json");
    let mut account = serde_json::from_str(&fs::read_to_string(&path).expect("an account")).expect("JSON");
    change(&mut account);
    fs::write(path, account.to_string()).expect("written");
}

#[test]
fn as_many_hosts_at_once_as_there_is_capacity_for() {
    let Some(home) = Home::in_sandbox() else { return };
    let plan = home.sdocker(&["create-host", "c5.xlarge", "--count", "3", "--dry-run"]).expect(0).stdout;
    assert!(plan.lines().any(|line| line.contains("3 of these, or none")), "{plan}");
    let launched = home.sdocker(&["create-host", "c5.xlarge", "--count", "2", "--no-wait"]).expect(0).stdout;
    assert_eq!((launched.matches("is launched at").count(), home.records().len()), (2, 2), "{launched}");
    home.sdocker(&["terminate-host", "--all", "--purge"]).expect(0);

    let one_in_each_zone = || {
        change_account(&home, |account| {
            for subnet in account["subnets"].as_array_mut().expect("subnets") {
                subnet["on_demand_capacity"] = json!(1);
            }
        })
    };
    one_in_each_zone();
    let too_many = home.sdocker(&["create-host", "c5.xlarge", "--count", "3"]).expect(1).stderr;
    assert!(too_many.contains("2 of 3 hosts could be launched, and 3 were wanted at least"), "{too_many}");
    assert!(too_many.contains("no capacity for c5.xlarge in subnet-1"), "{too_many}");
    assert_eq!(home.records(), Vec::<Value>::new());

    one_in_each_zone();
    let arguments = ["create-host", "c5.xlarge", "--count", "3", "--at-least", "2", "--output", "json"];
    let created = home.sdocker(&arguments).expect(0).json();
    let names = names(&created);
    assert_eq!((names.len(), &created["failed"][0]["number"]), (2, &json!(3)), "{created}");
    assert_eq!(home.records().len(), 2);
    for name in &names {
        let answered = home.run("docker", &["--context", name, "version", "-f", "{{.Server.Version}}"]).expect(0);
        assert!(!answered.stdout.trim().is_empty());
    }
    let current = home.run("docker", &["context", "inspect", "-f", "{{.Name}}"]).expect(0).stdout;
    assert_eq!(current.trim(), names[0]);
    home.sdocker(&["terminate-host", "--all", "--purge"]).expect(0);
    assert_eq!(home.records(), Vec::<Value>::new());
    let wrong = home.sdocker(&["create-host", "c5.xlarge", "--count", "2", "--at-least", "3"]).expect(2).stderr;
    assert!(wrong.contains("--at-least 3 is more than --count 2"), "{wrong}");
}
