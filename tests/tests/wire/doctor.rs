//! `sdocker doctor` against moto over HTTP: broken worlds are found, none is invented, and nothing is changed.

use std::{
    sync::LazyLock,
    time::{Duration, SystemTime},
};

use docker_remote::{HostCredentials, HostNames, WriteServerKey};
use sdocker_tests::{Front, Home, Proxy, Registry, Run, Says, tls_before};
use serde_json::{Value, json};

/// What is about AWS: the machine that the tests run on may have no Docker CLI.
const OF_AWS: [&str; 10] = [
    "app",
    "storage",
    "host",
    "network",
    "limits",
    "encryption",
    "permissions",
    "configuration",
    "contexts",
    "registry",
];

/// What `doctor` says, as `state subject: what`, but for what is as it should be; and the code with which it ended.
struct Diagnosis {
    code: Option<i32>,
    found: Vec<String>,
    report: Value,
}

impl Diagnosis {
    /// The findings that are more than unproven.
    fn wrong(&self) -> Vec<&str> {
        self.found.iter().map(String::as_str).filter(|found| !found.starts_with("unproven")).collect()
    }
}

/// Nothing in AWS is changed, and no record is made, whatever is found.
fn diagnose(front: &Front, home: &Home, arguments: &[&str]) -> Diagnosis {
    let before = (front.live(), home.records(), front.shared());
    let run = home.sdocker(&[&["doctor", "--output", "json"], arguments].concat());
    assert_eq!((front.live(), home.records(), front.shared()), before);
    let report = run.json();
    let findings = report["findings"].as_array().expect("a list").iter();
    let findings = findings.filter(|finding| OF_AWS.iter().any(|subject| finding["subject"] == *subject));
    let text =
        |finding: &Value| format!("{} {}: {}", finding["state"], finding["subject"], finding["what"]).replace('"', "");
    let found = findings.filter(|finding| finding["state"] != "ok").map(text).collect();
    assert_eq!(
        run.code,
        Some(i32::from(report["ready"] != json!(true))),
        "the code says whether a host can be created"
    );
    Diagnosis { code: run.code, found, report }
}

fn place() -> Option<(Front, Home)> {
    let front = Front::start()?;
    front.change_dns(&json!({"EnableDnsHostnames": true}));
    front.quotas(&json!({"L-1216C47A": 64.0}));
    let home = front.home();
    configure(&home, &json!({}));
    Some((front, home))
}

/// Writes sdocker.conf: these settings, and an image in a registry of these tests that answers.
fn configure(home: &Home, settings: &Value) {
    static REGISTRY: LazyLock<Registry> = LazyLock::new(Registry::start);
    let mut settings = settings.clone();
    settings["DockerImageURI"] = json!(format!("{}/docker:29-dind", REGISTRY.address()));
    std::fs::create_dir_all(home.join(".sdocker")).expect("made");
    std::fs::write(home.join(".sdocker/sdocker.conf"), settings.to_string()).expect("written");
}

#[test]
fn a_sound_world_has_nothing_but_what_nobody_can_tell() {
    let Some((front, home)) = place() else { return };
    let fresh = diagnose(&front, &home, &[]);
    assert_eq!((fresh.code, fresh.wrong()), (Some(0), Vec::new()));
    assert_eq!(fresh.found.len(), 6, "{:#?}", fresh.found);

    // Once a host was made, everything can be asked about.
    home.sdocker(&["create-host", "--instance-type", "c5.xlarge"]).expect(0);
    let lived_in = diagnose(&front, &home, &[]);
    assert_eq!((lived_in.code, lived_in.found), (Some(0), Vec::new()));
    home.sdocker(&["terminate-host", "--all", "--purge"]).expect(0);
}

#[test]
fn broken_worlds_are_found() {
    let Some((front, mut home)) = place() else { return };
    let cases: [(&str, &[&str], i32, &str); 6] = [
        (
            "a mistyped type",
            &["--instance-type", "c5.xlrge"],
            1,
            "failed host: no instance type c5.xlrge in this Region",
        ),
        (
            "a foreign subnet",
            &["--subnet-id", "subnet-0"],
            1,
            "failed host: subnet subnet-0 is not one of the domain's",
        ),
        ("a zone without mount target", &["--subnet-id", "THIRD"], 1, "failed host: no mount target of fs-"),
        (
            "a type that the zones lack",
            &["--instance-type", "x8aedz.large"],
            1,
            "failed host: x8aedz.large is offered in eu-west-1c",
        ),
        ("a type that one zone lacks", &["--instance-type", "h1.2xlarge"], 0, "warning host: h1.2xlarge is offered in"),
        ("another Region", &["--region", "us-west-2"], 1, "failed"),
    ];
    let third = front.seed()["subnets"][2].as_str().expect("an id").to_owned();
    for (name, arguments, code, expected) in cases {
        let arguments: Vec<&str> = arguments.iter().map(|word| if *word == "THIRD" { &third } else { *word }).collect();
        let found = diagnose(&front, &home, &arguments);
        let wrong = found.wrong();
        assert_eq!(found.code, Some(code), "{name}: {wrong:?}");
        assert!(!wrong.is_empty() && wrong.iter().any(|wrong| wrong.starts_with(expected)), "{name}: {wrong:?}");
    }

    let only = |expected: &str, code: i32, home: &Home| {
        let found = diagnose(&front, home, &[]);
        let wrong = found.wrong();
        assert!(wrong.len() == 1 && wrong[0].starts_with(expected), "{expected}: {wrong:?}");
        assert_eq!(found.code, Some(code), "{expected}");
        let finding = found.report["findings"].as_array().expect("a list").iter();
        let finding = finding.filter(|finding| finding["state"] != "ok" && finding["state"] != "unproven");
        assert!(finding.clone().all(|finding| !finding["fix"].is_null()), "{expected}: each says how to mend it");
    };
    front.change_dns(&json!({"EnableDnsHostnames": false}));
    only("warning network: DNS resolution is on", 0, &home);
    front.change_dns(&json!({"EnableDnsHostnames": true, "EnableDnsSupport": false}));
    only("failed network: DNS resolution is off", 1, &home);
    front.change_dns(&json!({"EnableDnsSupport": true}));
    front.quotas(&json!({"L-1216C47A": 3.0}));
    only("failed limits: 0 of 3 virtual CPUs of class Standard", 1, &home);
    front.quotas(&json!({"L-1216C47A": 64.0}));
    let key = "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";
    front.volume_key(key);
    let encrypted = diagnose(&front, &home, &[]);
    let findings = encrypted.report["findings"].as_array().expect("a list");
    let finding = findings.iter().find(|finding| finding["subject"] == "encryption").expect("it is told");
    assert_eq!((encrypted.code, &finding["state"]), (Some(0), &json!("unproven")), "only KMS could tell");
    assert_eq!(finding["fix"], json!([format!("`sdocker policy --kms-key {key}` prints what the role needs")]));
    front.volume_key("alias/aws/ebs");
    front.crowd_mount_targets(5);
    let crowded = diagnose(&front, &home, &[]);
    assert!(
        crowded.code == Some(1)
            && crowded.wrong()[0].contains("has 5 security groups: by the account's quota there is no room"),
        "{:?}",
        crowded.found
    );
    front.quotas(&json!({"L-1216C47A": 64.0, "L-2AFB9258": 16.0}));
    let raised = diagnose(&front, &home, &[]);
    assert_eq!((raised.code, raised.wrong()), (Some(0), Vec::<&str>::new()), "the account may have more");
    front.quotas(&json!({"L-1216C47A": 64.0}));
    front.crowd_mount_targets(1);
    front.change_domain(&json!({"AppNetworkAccessType": "PublicInternetOnly"}));
    only("failed app: domain d-wire does not use VpcOnly", 1, &home);
    front.change_domain(&json!({"AppNetworkAccessType": "VpcOnly"}));
    front.error_once("sagemaker:DescribeDomain", 0, "ExpiredTokenException");
    only("failed app: the AWS credentials were not accepted", 1, &home);
    front.reset();

    let file_system = front.seed()["file_system"].clone();
    front.change_domain(&json!({"HomeEfsFileSystemId": null}));
    let without = diagnose(&front, &home, &[]);
    assert!(
        without.code == Some(0)
            && without.wrong()[0].starts_with("warning storage: the host can't see this app's files"),
        "{:?}",
        without.found
    );
    front.change_domain(&json!({"HomeEfsFileSystemId": file_system}));
    configure(&home, &json!({"Prot": 1111}));
    only("warning configuration", 0, &home);
    configure(&home, &json!({}));

    home.set("AWS_ENDPOINT_URL", "http://127.0.0.1:9");
    let unreachable: Run = home.sdocker(&["doctor"]).expect(1);
    assert!(unreachable.stdout.contains("no answer from http://127.0.0.1:9"), "{}", unreachable.stdout);
}

/// The registries are asked as the host asks them, through the app's proxies, and a host is never promised an image that it can't have.
#[test]
fn registries_that_do_not_answer_are_said() {
    let Some((front, mut home)) = place() else { return };
    let hub = "registry-1.docker.io";
    let public = "public.ecr.aws";
    let registry = Registry::start();
    let names = HostNames { dns: [hub, public, "own.invalid"].map(str::to_owned).to_vec(), addresses: Vec::new() };
    let credentials = HostCredentials::generate(&names, SystemTime::now(), Duration::from_secs(3600)).expect("made");
    let certs = home.join("tls");
    credentials.write(&certs, WriteServerKey::Yes).expect("written");
    let server = tls_before(registry.address(), &certs.join("server/cert.pem"), &certs.join("server/key.pem"));
    let proxy = Proxy::start(&server);
    home.set("HTTPS_PROXY", format!("http://{}", proxy.address()));
    home.set("AWS_CA_BUNDLE", certs.join("ca/cert.pem"));
    std::fs::remove_file(home.join(".sdocker/sdocker.conf")).expect("removed");
    // A host comes up nevertheless, or it can't be told from here.
    let found = |home: &Home, image: Option<&str>| {
        let conf = home.join(".sdocker/sdocker.conf");
        match image {
            Some(image) => std::fs::write(conf, json!({"DockerImageURI": image}).to_string()).expect("written"),
            None => assert!(!conf.exists()),
        }
        let found = diagnose(&front, home, &[]);
        assert_eq!(found.code, Some(0));
        let findings = found.report["findings"].as_array().expect("a list").iter();
        let findings: Vec<_> = findings.filter(|finding| finding["subject"] == "registry").cloned().collect();
        assert_eq!(findings.len(), 1, "{findings:?}");
        let finding = &findings[0];
        assert_eq!(finding["state"] == "ok", finding["fix"].is_null(), "{finding}");
        (format!("{}: {}", finding["state"], finding["what"]).replace('"', ""), registry.take_asked())
    };
    let (all_well, asked) = found(&home, None);
    assert_eq!(all_well, "ok: Docker Hub answers: docker:29-dind comes from there");
    assert_eq!(asked, [format!("{hub}/v2/")]);
    assert_eq!(proxy.asked(), [format!("CONNECT {hub}:443 HTTP/1.1")]);

    let says = [
        (Says::Nothing, "does not answer this app: "),
        (Says::Status(429), "it limits requests (429)"),
        (Says::Status(403), "it answered 403"),
        (Says::Page, "what answered (200) is no registry"),
    ];
    for (says, why) in says {
        registry.say(hub, says);
        let (said, asked) = found(&home, None);
        assert!(said.starts_with("warning: Docker Hub does not answer this app") && said.contains(why), "{said}");
        assert!(said.ends_with("the host would take docker:29-dind from public.ecr.aws"), "{said}");
        assert_eq!(asked.last(), Some(&format!("{public}/v2/")));
    }
    registry.say(public, Says::Nothing);
    let (said, _) = found(&home, None);
    assert!(said.ends_with("the host would use the instance's own Docker"), "{said}");
    // For an image of one's own there is nothing else.
    registry.say("own.invalid", Says::Status(503));
    let (said, asked) = found(&home, Some("own.invalid/dind:1"));
    assert!(said.ends_with("the host would fail if it can't pull own.invalid/dind:1"), "{said}");
    assert_eq!(asked, ["own.invalid/v2/"]);
}

/// A KernelGateway app of a user profile asks nothing of spaces; and without a price a host comes up as well.
const NOT_NEEDED_HERE: [&str; 3] = ["sagemaker:DescribeSpace", "pricing:GetProducts", "ec2:DescribeSpotPriceHistory"];

/// Of a permission that is missing `doctor` says so, or that it can't be told; never that all is well.
#[test]
fn each_missing_permission_is_found() {
    let Some((front, home)) = place() else { return };
    let policy = home.sdocker(&["policy", "--for", "create,terminate,doctor"]).expect(0).json();
    let actions = |policy: &Value| -> Vec<String> {
        let statements = policy["Statement"].as_array().expect("statements").iter();
        let of = |statement: &Value| match &statement["Action"] {
            Value::Array(many) => many.iter().map(|one| one.as_str().expect("text").to_owned()).collect(),
            one => vec![one.as_str().expect("text").to_owned()],
        };
        statements.flat_map(of).collect()
    };
    // In a fresh world, and in one with groups and a host, of which one group lacks a rule.
    let mut ever_failed = std::collections::BTreeSet::new();
    for lived_in in [false, true] {
        if lived_in {
            home.sdocker(&["create-host", "--instance-type", "c5.xlarge"]).expect(0);
            configure(&home, &json!({"AdditionalPorts": [9000]}));
        }
        for action in actions(&policy) {
            if NOT_NEEDED_HERE.contains(&action.as_str()) {
                continue;
            }
            front.deny(&[&action]);
            let found = diagnose(&front, &home, &[]);
            front.deny(&[]);
            let named: Vec<&String> = found.found.iter().filter(|found| found.contains(&action)).collect();
            // What exists already needs no permission to be made.
            assert!(lived_in || !named.is_empty(), "{action}: {:?}", found.found);
            if named.iter().any(|found| found.starts_with("failed") || found.starts_with("warning")) {
                ever_failed.insert(action.clone());
            }
            let others = found.wrong().into_iter().filter(|wrong| !wrong.contains(&action)).count();
            assert_eq!(others, 0, "nothing else is invented for {action}: {:?}", found.found);
        }
    }
    let only_unproven: Vec<String> = actions(&policy)
        .into_iter()
        .filter(|action| !ever_failed.contains(action) && !NOT_NEEDED_HERE.contains(&action.as_str()))
        .collect();
    let expected = [
        "ec2:AuthorizeSecurityGroupEgress",
        "ec2:DeleteSecurityGroup",
        "ec2:DescribeInstanceTypeOfferings",
        "ec2:DescribeVpcAttribute",
        "ec2:GetEbsDefaultKmsKeyId",
        "ec2:RevokeSecurityGroupEgress",
        "elasticfilesystem:ModifyMountTargetSecurityGroups",
        "servicequotas:GetServiceQuota",
    ];
    let mut only_unproven: Vec<&str> = only_unproven.iter().map(String::as_str).collect();
    only_unproven.sort_unstable();
    only_unproven.dedup();
    assert_eq!(only_unproven, expected, "what EC2 and EFS let nobody ask, or what no host needs");
    home.sdocker(&["terminate-host", "--all", "--purge"]).expect(0);
}

/// From now on these are the only programs on PATH: a Docker CLI with this Compose, and a Python with this SDK.
fn have_tools(home: &mut Home, compose: &str, sdk: &str) {
    use std::os::unix::fs::PermissionsExt;
    let bin = home.join("bin");
    std::fs::create_dir_all(&bin).expect("made");
    for (program, says) in [("docker", compose), ("python3", sdk)] {
        std::fs::write(bin.join(program), format!("#!/bin/sh\necho '{says}'\n")).expect("written");
        std::fs::set_permissions(bin.join(program), PermissionsExt::from_mode(0o755)).expect("made executable");
    }
    home.set("PATH", bin);
}

#[test]
fn traps_on_this_side_are_found() {
    let Some((_front, mut home)) = place() else { return };
    let found = |home: &Home, subject: &str| -> Vec<String> {
        // A host comes up whatever is wrong here.
        let report = home.sdocker(&["doctor", "--output", "json"]).expect(0).json();
        let findings = report["findings"].as_array().expect("a list").iter();
        let of = findings.filter(|finding| finding["subject"] == subject);
        of.map(|finding| format!("{}: {}", finding["state"], finding["what"]).replace('"', "")).collect()
    };
    have_tools(&mut home, "Docker Compose version v2.29.1", "2.257.0");
    let sound = "ok: the Docker CLI, Docker Compose version v2.29.1 and the SageMaker Python SDK 2.257.0 are there";
    assert_eq!(found(&home, "tools"), [sound]);
    assert_eq!(found(&home, "environment"), Vec::<String>::new());

    // An SDK that takes Compose only in version 2, and one that is too old for Local Mode on a host.
    have_tools(&mut home, "Docker Compose version v5.0.0", "2.257.0");
    assert!(
        found(&home, "tools")[0].contains("a docker-compose program, which this SDK needs"),
        "a plugin that is too new"
    );
    have_tools(&mut home, "Docker Compose version v2.29.1", "2.79.0");
    assert!(found(&home, "tools")[0].contains("the SageMaker Python SDK, 2.80 or newer"), "an SDK that is too old");

    home.set("DOCKER_HOST", "unix:///var/run/docker.sock");
    home.set("REQUESTS_CA_BUNDLE", "/etc/ssl/certs/ca-certificates.crt");
    let overridden =
        "warning: DOCKER_HOST=unix:///var/run/docker.sock is set in the environment and overrides every Docker context";
    assert_eq!(found(&home, "environment"), [overridden, "warning: REQUESTS_CA_BUNDLE is set"]);
}

#[test]
fn what_is_left_of_hosts_is_mended() {
    let Some((front, mut home)) = place() else { return };
    let created = home.sdocker(&["create-host", "--instance-type", "c5.xlarge", "--output", "json"]).expect(0).json();
    let (name, instance) = (created["name"].as_str().expect("a name"), created["instance_id"].as_str().expect("an id"));
    // It ends without sdocker.
    let (code, _) = front.ec2("TerminateInstances", &[("InstanceId.1", instance)]);
    assert_eq!(code, "", "terminated");
    // Its daemon does not answer any more, and its last stage is what is known of it.
    let status = home.sdocker(&["status"]).expect(0).stdout;
    assert!(status.lines().any(|line| line.starts_with("bootstrap") && line.contains("ready done at ")), "{status}");
    let asked = ["status", "--instance-id", instance, "--output", "json"];
    assert_eq!(home.sdocker(&asked).expect(0).json()["overridden"], Value::Null);
    home.set("DOCKER_HOST", "tcp://elsewhere:2375");
    let overridden = home.sdocker(&asked).expect(0).json()["overridden"].clone();
    let expected = "DOCKER_HOST=tcp://elsewhere:2375 is set in the environment and overrides every Docker context";
    assert_eq!(overridden, expected, "clients go past this host");
    home.unset("DOCKER_HOST");
    let log = std::fs::read_to_string(home.join(".sdocker/sdocker.log")).expect("readable");
    let launch = log.lines().find(|line| line.contains("EC2 RunInstances: HTTP status 200, request "));
    assert!(launch.is_some_and(|line| !line.ends_with("request ")), "AWS's support asks for the id: {log}");
    let run = home.sdocker(&["doctor"]);
    assert!(run.stdout.contains(&format!("warning   hosts: {name} has ended")), "{}", run.stdout);
    assert!(run.stderr.contains("doctor --fix"), "{}", run.stderr);
    let configuration = home.join(".docker/config.json");
    let current = || std::fs::read_to_string(&configuration).expect("readable");
    assert!(current().contains(name));

    // Nothing is missing that `setup` would put there.
    have_tools(&mut home, "Docker Compose version v2.29.1", "2.257.0");
    let fixed = home.sdocker(&["doctor", "--fix", "--output", "json"]).json();
    let findings = fixed["findings"].as_array().expect("a list");
    assert!(findings.iter().any(|finding| finding["subject"] == "hosts" && finding["state"] == "fixed"), "{fixed}");
    assert!(!current().contains(name), "its context is gone");
    assert_eq!(home.records(), Vec::<Value>::new());

    // Of another one nothing is known here but its context, which is the current one.
    let created = home.sdocker(&["create-host", "--instance-type", "c5.xlarge", "--output", "json"]).expect(0).json();
    let (name, instance) = (created["name"].as_str().expect("a name"), created["instance_id"].as_str().expect("an id"));
    for kept in ["journal", "hosts", "sdocker-hosts.conf"] {
        let kept = home.join(".sdocker").join(kept);
        if kept.is_dir() {
            std::fs::remove_dir_all(kept).expect("removed");
        } else {
            std::fs::remove_file(kept).expect("removed");
        }
    }
    assert_eq!(front.ec2("TerminateInstances", &[("InstanceId.1", instance)]).0, "", "terminated");
    assert!(current().contains(name));
    let fixed = home.sdocker(&["doctor", "--fix", "--output", "json"]).json();
    let findings = fixed["findings"].as_array().expect("a list");
    assert!(findings.iter().any(|finding| finding["subject"] == "contexts" && finding["state"] == "fixed"), "{fixed}");
    assert!(!current().contains(name), "Docker's own context is current again");
    assert!(home.sdocker(&["doctor"]).stdout.lines().all(|line| !line.contains(name)));
    home.sdocker(&["terminate-host", "--all", "--purge"]).expect(0);
}
