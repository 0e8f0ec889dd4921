//! Several hosts at once, and what they do together: Docker daemons on this machine, the real Docker CLI.

use std::fs;

use std::{path::Path, process::Command, time::Duration};

use sdocker_tests::{Docker, Home, PrivateRegistry, Space, eventually, import_buildkit, import_image, import_registry};
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
    assert!(too_many.contains("2 of 3 hosts could be launched, but at least 3 were wanted"), "{too_many}");
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

/// An image of nothing but busybox, on every host. Its registry refuses at once whoever asks for it: nothing is waited for.
fn import_busybox(home: &Home, hosts: &[String]) {
    let root = home.join("image");
    fs::create_dir_all(root.join("bin")).expect("a folder");
    fs::copy("/bin/busybox", root.join("bin/busybox")).expect("copied");
    for applet in ["sh", "cat", "echo", "sleep"] {
        std::os::unix::fs::symlink("busybox", root.join("bin").join(applet)).expect("linked");
    }
    import_image(home, hosts, &root, &["ENV PATH=/bin"], "localhost:1/busybox");
}

/// Ends a host as an instance ends whose machine fails: without a word to anybody.
fn kill(home: &Home, name: &str) {
    let instance = name.split_once('_').expect("a name").1;
    let folder = home.join(".sdocker/sandbox/instances").join(instance);
    for file in ["supervisor.pid", "docker.pid"] {
        let process = fs::read_to_string(folder.join(file)).expect("it runs");
        assert!(Command::new("kill").args(["-9", process.trim()]).status().expect("it runs").success());
    }
}

/// How often each run said a word. Swarm names the first by the node that it is on (swarmkit, `template/context.go`: a slot of 0 is none).
fn said(folder: &Path, word: &str) -> Vec<usize> {
    let mut times = vec![0; 60];
    for file in fs::read_dir(folder).expect("a folder").flatten() {
        let run: usize = file.file_name().to_str().and_then(|name| name.parse().ok()).unwrap_or(0);
        let text = fs::read_to_string(file.path()).expect("readable");
        times[run] += text.lines().filter(|line| *line == word).count();
    }
    times
}

/// Sixty runs on five nodes, of which a worker and a manager are lost in the middle: all are done, and what ran twice is told.
#[test]
fn a_swarm_that_loses_nodes_finishes_its_work() {
    let Some(home) = Home::in_sandbox() else { return };
    let arguments = ["create-host", "c5.xlarge", "--count", "5", "--swarm", "--output", "json"];
    let created = home.sdocker(&arguments).expect(0).json();
    let names = names(&created);
    let status = || home.sdocker(&["swarm", "status", "--output", "json"]).expect(0).json();
    let of_role = |status: &Value, role: &str| -> Vec<String> {
        let nodes = status["nodes"].as_array().expect("nodes").iter().filter(|node| node["role"] == json!(role));
        nodes.map(|node| node["name"].as_str().expect("a name").to_owned()).collect()
    };
    let first = status();
    let (managers, workers) = (of_role(&first, "manager"), of_role(&first, "worker"));
    assert_eq!((managers.len(), workers.len()), (3, 2), "{first}");
    assert!(managers.contains(&names[0]), "the current host is a manager: {managers:?}");
    let labels = &first["nodes"][0]["labels"];
    assert_eq!((&labels["sdocker.zone"], &labels["sdocker.gpu"]), (&json!("eu-west-1a"), &json!("none")), "{first}");
    // What lets others join is nowhere.
    let found =
        home.run("grep", &["-rl", "SWMTKN", ".sdocker", "--include=*.json", "--include=*.log", "--include=*.conf"]);
    assert_eq!(found.stdout, "");

    import_busybox(&home, &names);
    home.run("docker", &["swarm", "update", "--dispatcher-heartbeat", "1s"]).expect(0);
    let out = home.join("out");
    fs::create_dir(&out).expect("a folder");
    let mount = format!("type=bind,src={0},dst={0}", out.display());
    // Nothing is done before the nodes are lost: so they have some of it under way, however slow this machine is.
    let run = format!(
        "echo begun >>{0}/$N && until [ -e {0}/go ]; do sleep 0.1; done && sleep 1 && echo done >>{0}/$N",
        out.display()
    );
    let service = [
        "service",
        "create",
        "-q",
        "-d",
        "--name",
        "sweep",
        "--mode",
        "replicated-job",
        "--replicas",
        "60",
        "--max-concurrent",
        "20",
        "--endpoint-mode",
        "dnsrr",
        "--no-resolve-image",
        "--mount",
        &mount,
        "--env",
        "N={{.Task.Slot}}",
        "localhost:1/busybox",
        "sh",
        "-c",
        &run,
    ];
    home.run("docker", &service).expect(0);
    // In the middle of it; each node has had its part.
    let spread = eventually(Duration::from_secs(60), "work on every node", || {
        let tasks = home.run("docker", &["service", "ps", "sweep", "--format", "{{.ID}}"]).expect(0).stdout;
        let ids: Vec<&str> = tasks.split_whitespace().collect();
        let inspect = [&["inspect", "--format", "{{.NodeID}} {{.Status.State}}"], ids.as_slice()].concat();
        let states = home.run("docker", &inspect).stdout;
        let begun = states.lines().filter(|line| line.ends_with("running") || line.ends_with("complete"));
        let nodes: std::collections::BTreeSet<&str> = begun.filter_map(|line| line.split(' ').next()).collect();
        (nodes.len() == 5).then_some(nodes.len())
    });
    assert_eq!(spread, 5);
    let lost = [workers[0].clone(), managers.iter().find(|name| **name != names[0]).expect("another").clone()];
    lost.iter().for_each(|name| kill(&home, name));
    fs::write(out.join("go"), "").expect("written");

    // Both are seen to be lost, taken off the list, and made up for.
    let mended = eventually(Duration::from_secs(60), "two nodes to be seen to be lost", || {
        let mended = home.sdocker(&["swarm", "mend", "--output", "json"]);
        let mended = (mended.code == Some(0)).then(|| mended.json())?;
        (mended["removed"] != json!([])).then_some(mended)
    });
    let whole = eventually(Duration::from_secs(60), "three nodes with three managers", || {
        home.sdocker(&["swarm", "mend"]);
        let now = status();
        (now["nodes"].as_array().map(Vec::len) == Some(3)).then_some(now)
    });
    assert_eq!(of_role(&whole, "manager").len(), 3, "{mended} {whole}");
    let done = eventually(Duration::from_secs(90), "all sixty", || {
        let now = status();
        (now["jobs"][0]["completed"] == json!(60)).then_some(now)
    });
    let (begun, finished) = (said(&out, "begun"), said(&out, "done"));
    assert!(finished.iter().all(|times| *times >= 1), "{finished:?}");
    // The report names those that ran twice, and no others that did.
    let told: Vec<u64> =
        done["jobs"][0]["repeated"].as_array().expect("runs").iter().filter_map(|run| run["run"].as_u64()).collect();
    let twice: Vec<u64> = (0..).zip(&begun).filter(|(_, times)| **times > 1).map(|(run, _)| run).collect();
    assert!(!twice.is_empty(), "some ran on the nodes that were lost: {begun:?}");
    assert!(twice.iter().all(|run| told.contains(run)), "ran twice: {twice:?}, told: {told:?}: {done}");

    // A node is taken out while it works, and put back.
    let last = of_role(&whole, "manager").into_iter().find(|name| *name != names[0]).expect("another");
    home.sdocker(&["swarm", "remove", &last]).expect(0);
    assert_eq!(status()["nodes"].as_array().map(Vec::len), Some(2));
    home.sdocker(&["swarm", "add", &last]).expect(0);
    assert_eq!(status()["nodes"].as_array().map(Vec::len), Some(3));
    home.sdocker(&["terminate-host", "--all", "--purge"]).expect(0);
    assert_eq!(home.records(), Vec::<Value>::new());
}

/// Of a Swarm whose nodes have a GPU each, as dockerd is told: images that one node has are had by all, GPUs are given out, and nodes that end hand on
/// what they do, be it their time, EC2 or the user that ends them.
#[test]
fn nodes_of_a_swarm_get_images_and_leave_in_order() {
    let Some(mut home) = Home::in_sandbox() else { return };
    let programs = home.join("programs");
    fs::create_dir(&programs).expect("a folder");
    let asked = programs.join("nvidia-smi");
    fs::write(&asked, "#!/bin/sh\necho GPU-5f3c\n").expect("written");
    fs::set_permissions(&asked, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("set");
    home.put_on_path(&programs);
    let arguments = ["create-host", "g4dn.xlarge", "--count", "3", "--swarm", "--output", "json"];
    let names = names(&home.sdocker(&arguments).expect(0).json());
    let status = || home.sdocker(&["swarm", "status", "--output", "json"]).expect(0).json();
    let node = |status: &Value, name: &str| {
        status["nodes"].as_array().expect("nodes").iter().find(|node| node["name"] == json!(name)).cloned()
    };

    // The image is on the manager only.
    import_registry(&home, &names, "localhost:1/registry");
    import_busybox(&home, &names[..1]);
    let push = |image: &str| {
        home.sdocker(&["swarm", "push", image, "--registry-image", "localhost:1/registry", "--output", "json"])
    };
    let missing = push("no-such-image").expect(1).stderr;
    assert!(missing.contains(&format!("{} has no image no-such-image", names[0])), "{missing}");
    let pushed = push("localhost:1/busybox").expect(0).json();
    let shared = &pushed["images"][0];
    assert_eq!(
        (&shared["shared_as"], shared["hosts"].as_array().map(Vec::len)),
        (&json!("localhost:5000/busybox:latest"), Some(3)),
        "{pushed}"
    );
    for name in &names {
        home.run("docker", &["--context", name, "image", "inspect", "localhost:5000/busybox"]).expect(0);
    }

    // A GPU each: the fourth task waits for one.
    let service = [
        "service",
        "create",
        "-q",
        "-d",
        "--name",
        "gpus",
        "--replicas",
        "4",
        "--endpoint-mode",
        "dnsrr",
        "--generic-resource",
        "NVIDIA-GPU=1",
        "--stop-grace-period",
        "1s",
        "localhost:5000/busybox:latest",
        "sh",
        "-c",
        "trap exit TERM; while :; do sleep 1; done",
    ];
    home.run("docker", &service).expect(0);
    eventually(Duration::from_secs(90), "a task on each GPU", || {
        let now = status();
        let running = now["nodes"].as_array()?.iter().filter(|node| node["running_tasks"] == json!(2)).count();
        (running == 3 && now["waiting_tasks"] == json!(1)).then_some(())
    });
    let script = "docker exec $(docker ps -qf name=gpus) cat /proc/1/environ";
    let environment = home.run("sh", &["-c", script]).expect(0).stdout;
    assert!(environment.contains("DOCKER_RESOURCE_NVIDIA-GPU=GPU-5f3c"), "{environment}");

    // One ends soon, and others live longer: it is given no more tasks, until it is kept.
    let id = home.run("docker", &["--context", &names[1], "info", "-f", "{{.Swarm.NodeID}}"]).expect(0).stdout;
    let soon = jiff::Timestamp::now().as_second() + 300;
    home.run("docker", &["node", "update", "--label-add", &format!("sdocker.ends={soon}"), id.trim()]).expect(0);
    let is = |name: &str, availability: &str, tasks: usize| {
        eventually(Duration::from_secs(90), &format!("{name} to be {availability}"), || {
            let node = node(&status(), name)?;
            let is_so = node["availability"] == json!(availability) && node["running_tasks"] == json!(tasks);
            is_so.then_some(())
        });
    };
    is(&names[1], "drain", 0);
    home.sdocker(&["keep", "--instance-id", names[1].split_once('_').expect("a name").1, "--for", "20h"]).expect(0);
    is(&names[1], "active", 2);

    // EC2 takes one back.
    let instance = names[2].split_once('_').expect("a name").1;
    fs::write(home.join(".sdocker/sandbox/instances").join(instance).join("spot-notice"), "").expect("written");
    eventually(Duration::from_secs(90), "it to leave the Swarm", || {
        let state = home.run("docker", &["--context", &names[2], "info", "-f", "{{.Swarm.LocalNodeState}}"]).expect(0);
        (state.stdout.trim() == "inactive").then_some(())
    });
    // Docker removes the containers of tasks a moment after it has left.
    eventually(Duration::from_secs(90), "nothing of the Swarm to run on it any more", || {
        home.run("docker", &["--context", &names[2], "ps", "-q"]).expect(0).stdout.is_empty().then_some(())
    });

    // The user ends the only manager: another node takes over.
    let ended = home.sdocker(&["terminate-host", &names[0]]).expect(0).stderr;
    assert!(!ended.contains("did not all move first"), "{ended}");
    let manages = home.run("docker", &["--context", &names[1], "node", "ls", "--format", "{{.Self}} {{.Status}}"]);
    let manages = manages.expect(0).stdout;
    assert_eq!(manages.lines().filter(|line| *line == "true Ready").count(), 1, "{manages}");
    let tasks = home.run("docker", &["--context", &names[1], "service", "ps", "gpus", "-f", "desired-state=running"]);
    assert!(tasks.expect(0).stdout.contains("gpus."), "its service goes on");
    home.sdocker(&["terminate-host", "--all", "--purge"]).expect(0);
    assert_eq!(home.records(), Vec::<Value>::new());
}

/// An image of BuildKit that only hosts have which were given it.
const BUILDKIT: &str = "localhost:1/buildkit:here";

/// What a registry says of an image, to a Docker CLI: each platform's architecture with its digest, of a list.
fn platforms(home: &Home, image: &str) -> Vec<(String, String)> {
    let list = home.run("docker", &["manifest", "inspect", image]).expect(0).json();
    let mut found: Vec<_> = list["manifests"].as_array().unwrap_or_else(|| panic!("no list: {list}")).iter().collect();
    // BuildKit's statement of how an image was made is for no platform.
    found.retain(|one| one["platform"]["architecture"] != json!("unknown"));
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let mut found: Vec<_> =
        found.iter().map(|one| (text(&one["platform"]["architecture"]), text(&one["digest"]))).collect();
    found.sort();
    found
}

/// With today's Docker, whose buildx joins lists, and with the oldest, whose `docker manifest` does. The second host is arm64 by its type only, as
/// nothing is run that is built for it.
#[test]
fn one_command_builds_for_both_architectures() {
    for docker in [Docker::Todays, Docker::Old] {
        let Some(mut home) = Home::in_sandbox_with(docker) else { return };
        PrivateRegistry::be_believed(&mut home);
        // Its classic builder would find that the host is no arm64.
        home.set("DOCKER_BUILDKIT", "1");
        let create = |kind: &str| home.sdocker(&["create-host", kind, "--output", "json"]).expect(0).json();
        let amd64 = create("c5.xlarge")["name"].as_str().expect("a name").to_owned();
        // The address at which this machine is its host's neighbour is one that all hosts reach.
        let settings = home.join(".sdocker/sandbox/instances").join(amd64.split_once('_').expect("a name").1);
        let settings = fs::read_to_string(settings.join("settings")).expect("readable");
        let address = settings.lines().find_map(|line| line.strip_prefix("outer=")).expect("an address");
        let registry = PrivateRegistry::start(&home, address);

        let folder = home.join("image");
        fs::create_dir(&folder).expect("a folder");
        fs::write(folder.join("file"), "content").expect("written");
        let dockerfile = "FROM scratch\nARG WORD\nLABEL word=$WORD\nCOPY file /file\n";
        fs::write(folder.join("Other"), dockerfile).expect("written");
        let image = format!("{}/team/train:v1", registry.address());
        let build = |options: &[&str]| {
            let fixed = ["build", "--tag", &image, "-f", "image/Other", "--build-arg", "WORD=said"];
            home.sdocker(&[&fixed, options, &["image", "--output", "json", "--", "--label", "team=vision"]].concat())
        };

        let alone = build(&[]).expect(1).stderr;
        assert!(alone.contains("this home has no host for linux/arm64"), "{alone}");
        assert!(alone.contains("`sdocker create-host c7g.xlarge` creates a host for linux/arm64"), "{alone}");
        let arm64 = create("c7g.xlarge")["name"].as_str().expect("a name").to_owned();

        // Who is not logged in is told how to.
        let refused = build(&["--platform", "linux/amd64,linux/arm64"]).expect(1).stderr;
        assert!(refused.contains("sdocker ecr-login"), "{refused}");
        let login = format!("echo gradient | docker login -u ana --password-stdin {}", registry.address());
        home.run("sh", &["-c", &login]).expect(0);

        let built = build(&["--platform", "linux/amd64,linux/arm64"]).expect(0);
        assert!(built.stderr.contains(&format!("linux/arm64 on {arm64}: ")), "each build's progress: {}", built.stderr);
        let built = built.json();
        let parts = built["platforms"].as_array().expect("platforms");
        let hosts: Vec<_> = parts.iter().map(|part| (part["platform"].clone(), part["host"].clone())).collect();
        assert_eq!(
            hosts,
            [("linux/amd64", amd64.as_str()), ("linux/arm64", &arm64)].map(|(a, b)| (json!(a), json!(b)))
        );
        let pushed = |part: &Value| part["digest"].as_str().expect("a digest").to_owned();
        let expected = vec![("amd64".to_owned(), pushed(&parts[0])), ("arm64".to_owned(), pushed(&parts[1]))];
        assert_eq!(platforms(&home, &image), expected);

        // Each machine pulls its own of the list.
        for (architecture, host) in [("amd64", &arm64), ("arm64", &amd64)] {
            let platform = format!("linux/{architecture}");
            home.run("docker", &["--context", host, "pull", "-q", "--platform", &platform, &image]).expect(0);
            let form = "{{.Architecture}} {{.Config.Labels.word}} {{.Config.Labels.team}} {{index .RepoDigests 0}}";
            let seen =
                home.run("docker", &["--context", host, "image", "inspect", "-f", form, &image]).expect(0).stdout;
            let digest = built["digest"].as_str().expect("a digest");
            assert_eq!(seen.trim(), format!("{architecture} said vision {}/team/train@{digest}", registry.address()));
        }

        // Again, of other content: nothing is left of the list before.
        fs::write(folder.join("file"), "other").expect("written");
        let again = build(&["--no-cache"]).expect(0).json();
        assert_ne!(again["digest"], built["digest"]);
        let parts = again["platforms"].as_array().expect("platforms");
        let digests: Vec<String> = platforms(&home, &image).into_iter().map(|(_, digest)| digest).collect();
        assert_eq!(digests, [pushed(&parts[0]), pushed(&parts[1])]);

        // A buildx builder over the hosts, of an image that they can't have.
        let builder = build(&["--buildkit-image", "localhost:1/buildkit"]).expect(1).stderr;
        if docker == Docker::Old {
            assert!(builder.contains("the Docker CLI here has no buildx"), "{builder}");
        } else {
            assert!(builder.contains("localhost:1/buildkit"), "{builder}");
            let inspected = home.run("docker", &["buildx", "inspect", "sdocker-hosts"]).stdout;
            for (host, platform) in [(&amd64, "linux/amd64"), (&arm64, "linux/arm64")] {
                assert!(inspected.contains(host.as_str()) && inspected.contains(platform), "{inspected}");
            }
            // Of one that they have, with new content.
            import_buildkit(&home, &[&amd64, &arm64], BUILDKIT);
            fs::write(folder.join("file"), "of BuildKit").expect("written");
            let built = build(&["--buildkit-image", BUILDKIT]).expect(0).json();
            assert_eq!(
                platforms(&home, &image).into_iter().map(|(name, _)| name).collect::<Vec<_>>(),
                ["amd64", "arm64"]
            );
            let image = format!("{}/team/train@{}", registry.address(), built["digest"].as_str().expect("a digest"));
            for (part, (architecture, host)) in [("amd64", &amd64), ("arm64", &arm64)].into_iter().enumerate() {
                let platform = format!("linux/{architecture}");
                assert_eq!(built["platforms"][part], json!({"platform": platform, "host": host, "digest": null}));
                let on = |arguments: &[&str]| {
                    home.run("docker", &[&["--context", host], arguments].concat()).expect(0).stdout.trim().to_owned()
                };
                // It does not keep the host in use.
                let container = format!("buildx_buildkit_sdocker-hosts-{architecture}");
                let form = "{{.Config.Image}} {{.State.Running}}";
                assert_eq!(on(&["container", "inspect", "-f", form, &container]), format!("{BUILDKIT} false"));
                on(&["pull", "-q", "--platform", &platform, &image]);
                let form = "{{.Architecture}} {{.Config.Labels.word}} {{.Config.Labels.team}}";
                assert_eq!(on(&["image", "inspect", "-f", form, &image]), format!("{architecture} said vision"));
                let container = on(&["create", "-q", "--platform", &platform, &image, "none"]);
                assert!(on(&["cp", &format!("{container}:/file"), "-"]).contains("of BuildKit"));
            }
        }

        // A build that fails says why, and of which host.
        fs::write(folder.join("Other"), "FROM scratch\nCOPY missing /\n").expect("written");
        let failed = build(&[]).expect(1).stderr;
        assert!(failed.contains("can't be built") && failed.contains("missing"), "{failed}");
        home.sdocker(&["terminate-host", "--all", "--purge"]).expect(0);
    }
}

/// At an endpoint that enforces what IAM would, with real daemons: the narrowed policy is enough for a Swarm, its changes and its end.
#[test]
fn the_policy_is_enough_for_a_swarm_and_its_end() {
    let Some(space) = Space::open() else { return };
    let (home, front) = (&space.home, space.front());
    let began = front.shared();
    let policy = ["policy", "--for", "create,status,keep,terminate,purge", "--files", "share"];
    let policy = home.sdocker(&policy).expect(0).json();
    front.reset();
    front.enforce(&policy);
    let created = home.sdocker(&["create-host", "c5.xlarge", "--count", "3", "--swarm", "--output", "json"]);
    let names = names(&created.expect(0).json());
    let status = home.sdocker(&["swarm", "status", "--output", "json"]).expect(0).json();
    assert_eq!(status["nodes"].as_array().map(Vec::len), Some(3), "{status}");
    home.sdocker(&["swarm", "remove", &names[2]]).expect(0);
    home.sdocker(&["swarm", "add", &names[2]]).expect(0);
    home.sdocker(&["keep", &names[1], "--for", "13h"]).expect(0);
    home.sdocker(&["list-hosts"]).expect(0);
    home.sdocker(&["terminate-host", "--all", "--purge"]).expect(0);
    assert_eq!(front.refused(), std::collections::BTreeSet::new());
    front.enforce(&Value::Null);
    assert_eq!((front.live(), home.records(), front.shared()), (Vec::new(), Vec::new(), began));
}

/// Of two managers one comes to its end, as it was created to: it is given no more tasks before, stops those that it has, and the other one rules
/// alone. What is ten minutes on a real host is one here.
#[test]
fn a_node_at_its_own_end_leaves_in_order() {
    let Some(mut home) = Home::in_sandbox() else { return };
    home.set("drain_before", "60");
    let arguments = ["create-host", "c5.xlarge", "--count", "2", "--swarm", "--output", "json"];
    let staying = names(&home.sdocker(&arguments).expect(0).json());
    let arguments = ["create-host", "c5.xlarge", "--swarm", "--max-lifetime", "130s", "--output", "json"];
    let ending = names(&home.sdocker(&arguments).expect(0).json()).remove(0);
    let began = std::time::Instant::now();
    home.run("docker", &["--context", &ending, "swarm", "leave", "--force"]).expect(0);
    home.sdocker(&["use", &staying[0]]).expect(0);
    home.sdocker(&["swarm", "add", &ending]).expect(0);
    let id = home.run("docker", &["--context", &ending, "info", "-f", "{{.Swarm.NodeID}}"]).expect(0).stdout;
    home.run("docker", &["node", "promote", id.trim()]).expect(0);

    let all = [&staying[..], std::slice::from_ref(&ending)].concat();
    import_busybox(&home, &all);
    let out = home.join("out");
    fs::create_dir(&out).expect("a folder");
    let mount = format!("type=bind,src={0},dst={0}", out.display());
    let run = format!(
        "trap 'echo stopped >>{0}/$NODE; exit' TERM; echo begun >>{0}/$NODE; while :; do sleep 1; done",
        out.display()
    );
    let service = ["service", "create", "-q", "-d", "--name", "works", "--replicas", "3", "--endpoint-mode", "dnsrr"];
    let each = ["--no-resolve-image", "--mount", &mount, "--env", "NODE={{.Node.ID}}", "localhost:1/busybox"];
    home.run("docker", &[&service[..], &each, &["sh", "-c", &run]].concat()).expect(0);
    let said = |text: &str| fs::read_to_string(out.join(id.trim())).unwrap_or_default().contains(text);
    eventually(Duration::from_secs(60), "a task on the node that ends", || said("begun").then_some(()));
    assert!(!said("stopped"), "long before its end it works");

    // Managers that choose their leader anew answer nobody for a moment.
    let nodes = || {
        let status = home.sdocker(&["swarm", "status", "--output", "json"]);
        (status.code == Some(0)).then(|| status.json()["nodes"].as_array().cloned().expect("nodes"))
    };
    eventually(Duration::from_secs(130), "the node to be drained before its end", || {
        let nodes = nodes()?;
        let node = nodes.iter().find(|node| node["name"] == json!(ending))?;
        (node["availability"] == json!("drain") && node["running_tasks"] == json!(0)).then_some(())
    });
    let drained = began.elapsed();
    assert!(said("stopped"), "its task was told to stop");
    home.run("docker", &["--context", &ending, "version"]).expect(0);
    let running = || {
        let tasks = ["service", "ps", "works", "-f", "desired-state=running", "--format", "{{.CurrentState}}"];
        let tasks = home.run("docker", &tasks).expect(0).stdout;
        tasks.lines().filter(|state| state.starts_with("Running")).count()
    };
    eventually(Duration::from_secs(30), "all tasks on those that stay", || (running() == 3).then_some(()));

    let machine = home.join(".sdocker/sandbox/instances").join(ending.split_once('_').expect("a name").1);
    eventually(Duration::from_secs(120), "its end", || (!machine.exists()).then_some(()));
    assert!(began.elapsed() > drained + Duration::from_secs(20), "it was drained long before");
    // It is off the list, and the manager that is left has the majority alone.
    eventually(Duration::from_secs(90), "it to be off the list", || (nodes()?.len() == 2).then_some(()));
    let managers = home.run("docker", &["node", "ls", "-q", "-f", "role=manager"]).expect(0).stdout;
    assert_eq!((managers.lines().count(), running()), (1, 3), "{managers}");
    home.sdocker(&["terminate-host", "--all", "--purge"]).expect(0);
    assert_eq!(home.records(), Vec::<Value>::new());
}
