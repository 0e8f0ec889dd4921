//! The main job on real parts: Docker daemons on this machine, the real Docker CLI and compose through the context.

use std::{fs, io::BufRead as _, os::unix::fs::PermissionsExt as _, path::Path, time::Duration};

use sdocker_tests::{Docker, Home, Terminal, eventually};
use serde_json::json;

/// An image of nothing but busybox, imported through the current context.
fn import_busybox(home: &Home) {
    let root = home.join("image");
    fs::create_dir_all(root.join("bin")).expect("a folder");
    fs::copy("/bin/busybox", root.join("bin/busybox")).expect("copied");
    for applet in ["sh", "cat", "echo", "nc"] {
        std::os::unix::fs::symlink("busybox", root.join("bin").join(applet)).expect("linked");
    }
    let script = "tar -C image -c . | docker import -c 'ENV PATH=/bin' - busybox:test && mkdir -p image/out";
    home.run("sh", &["-c", script]).expect(0);
}

/// Which Compose a home has.
#[derive(Clone, Copy)]
enum Compose {
    /// 1.29 ignores contexts, and takes what `sdocker env` prints.
    One,
    /// The plugin follows the current context.
    Plugin,
}

/// What people do with a host, through the current context: run with a bind mount, build with both builders, compose.
fn work(home: &Home, compose: Compose) {
    fs::write(home.join("tmp/data"), "from the client").expect("written");
    let bind = format!("{0}:{0}", home.join("tmp").display());
    let read = format!("cat {}; echo back >{}", home.join("tmp/data").display(), home.join("tmp/answer").display());
    let run = home.run("docker", &["run", "--rm", "-v", &bind, "busybox:test", "sh", "-c", &read]).expect(0);
    assert_eq!(run.stdout, "from the client");
    assert_eq!(fs::read_to_string(home.join("tmp/answer")).expect("written by the container"), "back\n");

    fs::create_dir_all(home.join("build")).expect("a folder");
    fs::write(home.join("build/text"), "built").expect("written");
    fs::write(home.join("build/Dockerfile"), "FROM busybox:test\nCOPY text /text\nRUN cat /text >/copy\n")
        .expect("written");
    for buildkit in ["0", "1"] {
        let tag = format!("built:{buildkit}");
        let script = format!("DOCKER_BUILDKIT={buildkit} docker build -q -t {tag} build");
        home.run("sh", &["-c", &script]).expect(0);
        assert_eq!(home.run("docker", &["run", "--rm", &tag, "cat", "/copy"]).expect(0).stdout, "built");
    }

    let file = "services: {hello: {image: 'busybox:test', command: echo composed}}";
    let (file, command) = match compose {
        Compose::One => (format!("version: '3'\n{file}\n"), "docker-compose"),
        Compose::Plugin => (file.to_owned(), "docker compose"),
    };
    fs::write(home.join("compose.yaml"), file).expect("written");
    let binary = std::env::var("SDOCKER_BIN").expect("set");
    let environment = match compose {
        Compose::One => format!("eval \"$('{binary}' env)\" && "),
        Compose::Plugin => String::new(),
    };
    let script = format!(
        "{environment}{command} -f compose.yaml up --no-color 2>&1 && {environment}{command} -f compose.yaml down"
    );
    assert!(home.run("sh", &["-c", &script]).expect(0).stdout.contains("composed"));
}

/// The context that the Docker CLI takes: 20.10 has no `docker context show`.
fn current_context(home: &Home) -> String {
    home.run("docker", &["context", "inspect", "-f", "{{.Name}}"]).expect(0).stdout.trim().to_owned()
}

fn create(home: &Home, kind: &str) -> (String, String) {
    let created = home.sdocker(&["create-host", "--instance-type", kind, "--output", "json"]).expect(0).json();
    let text = |key: &str| created[key].as_str().expect(key).to_owned();
    (text("name"), text("endpoint"))
}

/// What is left of the sandbox's hosts on this machine.
fn leftovers(home: &Home) -> Vec<String> {
    let mut left = Vec::new();
    let folder = home.join(".sdocker/sandbox/instances");
    left.extend(fs::read_dir(&folder).into_iter().flatten().flatten().map(|entry| format!("{:?}", entry.path())));
    let own = folder.to_string_lossy().into_owned();
    let mounts = fs::read_to_string("/proc/self/mounts").expect("readable");
    left.extend(mounts.lines().filter(|line| line.contains(&own)).map(str::to_owned));
    for process in fs::read_dir("/proc").expect("readable").flatten() {
        let command = fs::read(process.path().join("cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        if command.contains(&own) {
            left.push(command);
        }
    }
    let at_run = fs::read_dir("/run/sdocker/addresses").into_iter().flatten().flatten();
    left.extend(at_run.filter_map(|lease| fs::read_to_string(lease.path()).ok()).filter(|host| host.contains(&own)));
    left
}

/// On a terminal it is asked before a host ends on which containers run; what is stopped there ends with the signal's code.
fn asked_before_an_end(home: &Home, host: &str) {
    home.run("docker", &["run", "-d", "--name", "busy", "busybox:test", "nc", "-l", "-p", "9"]).expect(0);
    for (answer, code, said) in [("n\n", 1, "nothing was terminated"), ("\u{3}", 130, "interrupted")] {
        let mut terminal = Terminal::run(&home.sdocker_command(&["rm", host]));
        let question = format!("on {host} a container runs: busy");
        eventually(Duration::from_secs(30), "a question", || terminal.said().contains("[y/N] ").then_some(()));
        assert!(terminal.said().contains(&question), "{}", terminal.said());
        terminal.enter(answer);
        assert_eq!(terminal.child.wait().expect("it ends").code(), Some(code), "{}", terminal.said());
        eventually(Duration::from_secs(5), "a last word", || terminal.said().contains(said).then_some(()));
    }
    home.run("docker", &["rm", "-f", "busy"]).expect(0);
}

#[test]
fn the_main_job() {
    let Some(home) = Home::in_sandbox() else { return };
    let (first, endpoint) = create(&home, "c5.xlarge");

    // The context is current, and byte for byte what the Docker CLI itself writes.
    assert_eq!(current_context(&home), first);
    let inspected = home.run("docker", &["context", "inspect"]).expect(0).json();
    assert_eq!(inspected[0]["Endpoints"]["docker"]["Host"], json!(endpoint));

    import_busybox(&home);
    work(&home, Compose::One);

    asked_before_an_end(&home, &first);

    // A second host beside the first, and back.
    let planned = home.sdocker(&["create-host", "m5.large", "--dry-run", "--retry-for", "30m"]).expect(0);
    assert!(planned.stderr.contains(&format!("{first} runs as well, for ")), "{}", planned.stderr);
    let launched = home.sdocker(&["create", "m5.large", "--no-wait", "--output", "json"]).expect(0).json();
    let second = launched["name"].as_str().expect("a name").to_owned();
    let used = home.sdocker(&["use", "m5", "--wait"]).expect(0);
    assert!(used.stdout.starts_with(&format!("{second} is the current host: Docker ")), "{}", used.stdout);
    // A state that is watched is printed once for each change.
    let mut watch = home.sdocker_command(&["status", "--watch"]);
    let mut watch = watch.stdout(std::process::Stdio::piped()).spawn().expect("it runs");
    let mut first_line = String::new();
    std::io::BufReader::new(watch.stdout.as_mut().expect("piped")).read_line(&mut first_line).expect("a line");
    assert!(first_line.contains(&second), "{first_line}");
    home.run("kill", &["-s", "INT", &watch.id().to_string()]).expect(0);
    assert_eq!(watch.wait().expect("it ends").code(), Some(130));
    let listed = home.sdocker(&["list-hosts", "--output", "json"]).expect(0).json();
    let names: Vec<_> = listed["hosts"].as_array().expect("hosts").iter().map(|host| &host["name"]).collect();
    assert_eq!(names, [&json!(second), &json!(first)]);
    home.sdocker(&["terminate-current-host"]).expect(0);
    assert_eq!(current_context(&home), first);
    home.run("docker", &["image", "inspect", "busybox:test"]).expect(0);

    // Its life is in view, and can be prolonged.
    let status = home.sdocker(&["status", "--output", "json"]).expect(0).json();
    assert_eq!((&status["state"], &status["daemon"]["answers"]), (&json!("running"), &json!(true)));
    let dockerd = home.sdocker(&["logs", "dockerd", &first[..20]]).expect(0).stdout;
    assert!(dockerd.contains("API listen on"), "{dockerd}");
    home.sdocker(&["logs"]).expect(0);
    let life = home.sdocker(&["logs", "life"]).expect(0).stdout;
    assert!(life.contains(" boot done") && life.contains(" life looked "), "{life}");
    let shown = home.sdocker(&["status"]).expect(0).stdout;
    assert!(shown.contains("came up") && shown.contains("boot "), "{shown}");
    fs::remove_file(home.join(format!(".sdocker/hosts/{first}/logs/bootstrap.log"))).expect("there");
    let none = home.sdocker(&["logs"]).expect(1).stderr;
    assert!(none.contains("there is no bootstrap log") && none.contains("`sdocker status"), "{none}");
    home.sdocker(&["keep", "--for", "20h"]).expect(0);
    let listed = home.sdocker(&["list-hosts", "--output", "json", "--offline"]).expect(0).json();
    assert!(listed["hosts"][0]["expires"].as_str() > status["expires"].as_str());

    home.sdocker(&["configure"]).expect(0);
    home.sdocker(&["terminate-host", "--all", "--purge"]).expect(0);
    assert_eq!(leftovers(&home), Vec::<String>::new());
    assert_eq!(current_context(&home), "default");
    assert_eq!(home.records(), Vec::<serde_json::Value>::new());
}

/// Docker as it is today, on both sides.
#[test]
fn todays_docker() {
    let Some(home) = Home::in_sandbox_with(Docker::Todays) else { return };
    let (name, _) = create(&home, "c5.xlarge");
    assert_eq!(current_context(&home), name);
    let versions =
        home.run("docker", &["version", "-f", "{{.Client.APIVersion}} {{.Server.APIVersion}}"]).expect(0).stdout;
    let (client, server) = versions.trim().split_once(' ').expect("two versions");
    assert_eq!(client, server, "both are of one release");
    import_busybox(&home);
    work(&home, Compose::Plugin);
    home.sdocker(&["terminate-host", "--all"]).expect(0);
    assert_eq!(leftovers(&home), Vec::<String>::new());
}

/// The clients that Studio has, which AWS tells its users to install, with the daemon that a host has.
#[test]
fn old_clients_with_todays_daemon() {
    let Some(home) = Home::in_sandbox_with(Docker::TodaysDaemon) else { return };
    let created = home.sdocker(&["create-host", "--instance-type", "c5.xlarge"]).expect(0);
    assert!(!created.stderr.contains("refuses"), "{}", created.stderr);
    import_busybox(&home);
    work(&home, Compose::One);
    home.sdocker(&["terminate-host", "--all"]).expect(0);
}

/// From 29.0 on Docker answers no version of its API before 1.44, unless told otherwise; the CLI 20.10 speaks 1.41.
#[test]
fn a_daemon_that_refuses_the_cli_is_explained() {
    let Some(mut home) = Home::in_sandbox_with(Docker::TodaysDaemon) else { return };
    home.set("DOCKER_MIN_API_VERSION", "1.44");
    let arguments = ["create-host", "--instance-type", "c5.xlarge", "--output", "json"];
    let created = home.sdocker(&arguments).expect(0);
    let refused = home.run("docker", &["ps"]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("client version 1.41 is too old"), "{}", refused.stderr);

    // sdocker itself agrees with the daemon on a version; it says of the CLI what is wrong, and what helps.
    let name = created.json()["name"].as_str().expect("a name").to_owned();
    let said = format!("{name} refuses the Docker CLI here");
    let instance = created.json()["instance_id"].as_str().expect("an id").to_owned();
    assert!(created.json()["warnings"][0].as_str().is_some_and(|warning| warning.starts_with(&said)), "{created:?}");
    let used = home.sdocker(&["use", "--instance-id", &instance]).expect(0);
    let examined = home.sdocker(&["doctor"]);
    for run in [&created.stderr, &used.stderr, &examined.stdout] {
        assert!(run.contains(&said) && run.contains("speaks version 1.41"), "{run}");
        assert!(run.contains("install a Docker CLI 25.0 or later"), "{run}");
        assert!(run.contains("`export DOCKER_API_VERSION=1.44`"), "{run}");
    }

    // Each of the two helps. Compose 1.29 takes the daemon's own version, and was let in all the time.
    home.set("DOCKER_API_VERSION", "1.44");
    import_busybox(&home);
    work(&home, Compose::One);
    assert!(!home.sdocker(&["use", "--instance-id", &instance]).expect(0).stderr.contains("refuses"));
    home.unset("DOCKER_API_VERSION");
    assert!(Docker::Todays.be_used(&mut home), "prepared");
    work(&home, Compose::Plugin);
    assert!(!home.sdocker(&["use", "--instance-id", &instance]).expect(0).stderr.contains("refuses"));
    home.sdocker(&["terminate-host", "--all"]).expect(0);
}

#[test]
fn nobody_else_gets_in() {
    let Some(home) = Home::in_sandbox() else { return };
    let (first, endpoint) = create(&home, "c5.xlarge");
    let (second, _) = create(&home, "c5.xlarge");
    let url = endpoint.replace("tcp://", "https://") + "/version";
    let certs = |name: &str| home.join(format!(".sdocker/hosts/{name}/certs/client"));
    let curl = |certs: &Path, with_client: bool| {
        let file = |name: &str| certs.join(name).to_string_lossy().into_owned();
        let (ca, cert, key) = (file("ca.pem"), file("cert.pem"), file("key.pem"));
        let mut arguments = vec!["-sS", "-m", "5", "--cacert", &ca];
        if with_client {
            arguments.extend(["--cert", &cert, "--key", &key]);
        }
        arguments.push(&url);
        home.run("curl", &arguments)
    };
    assert!(curl(&certs(&first), true).expect(0).stdout.contains("ApiVersion"));
    assert_ne!(curl(&certs(&first), false).code, Some(0), "without a client certificate");
    assert_ne!(curl(&certs(&second), true).code, Some(0), "with another host's certificates");
    let plaintext = home.run("curl", &["-sS", "-m", "5", &url.replace("https", "http")]);
    assert!(!plaintext.stdout.contains("ApiVersion"), "in plain text");
    // Another host's client certificate, even when this host's CA is known.
    fs::copy(certs(&first).join("ca.pem"), certs(&second).join("ca.pem")).expect("copied");
    assert_ne!(curl(&certs(&second), true).code, Some(0), "with another host's client certificate");
    home.sdocker(&["terminate-host", "--all"]).expect(0);
    assert_eq!(leftovers(&home), Vec::<String>::new());
}

#[test]
fn port_8080_reaches_whatever_serves() {
    let Some(home) = Home::in_sandbox() else { return };
    let (_, endpoint) = create(&home, "c5.xlarge");
    import_busybox(&home);
    let url = endpoint.replace("tcp://", "http://").replace(":1111", ":8080");
    let serve = |text: &str| format!("while true; do printf 'HTTP/1.0 200 OK\\r\\n\\r\\n{text}' | nc -l -p 8080; done");
    let answers = |expected: &str| {
        let retry = "for n in $(seq 60); do [ \"$(curl -s -m 2 $0)\" = \"$1\" ] && exit 0; sleep 0.2; done; exit 1";
        home.run("sh", &["-c", retry, &url, expected]).expect(0);
    };
    let start = |name: &str, how: [&str; 2], text: &str| {
        let run = ["run", "-d", "--name", name, how[0], how[1], "busybox:test", "sh", "-c", &serve(text)];
        home.run("docker", &run).expect(0);
        answers(text);
    };
    let remove = |name: &str| home.run("docker", &["rm", "-f", name]).expect(0);
    start("serving", ["--network", "sagemaker"], "network");
    start("publishing", ["-p", "8080:8080"], "published");
    remove("publishing");
    answers("network");
    remove("serving");
    start("publishing", ["-p", "8080:8080"], "published");
    home.sdocker(&["terminate-host", "--all"]).expect(0);
}

#[test]
fn a_host_ends_itself_and_a_killed_client_leaves_nothing() {
    let Some(home) = Home::in_sandbox() else { return };
    // Killed in the middle of a creation: what it left is found and settled.
    let mut child = home.sdocker_command(&["create-host", "--instance-type", "m5.large"]).spawn().expect("it runs");
    while home.records().iter().all(|record| record["instance_type"] != json!("m5.large")) {
        std::thread::yield_now();
    }
    child.kill().expect("killed");
    child.wait().expect("it ends");
    let listed = home.sdocker(&["list-hosts"]).expect(0);
    assert!(listed.stderr.contains("run `sdocker recover`"), "{}", listed.stderr);
    home.sdocker(&["recover"]).expect(0);
    home.sdocker(&["recover"]).expect(0);
    assert_eq!((leftovers(&home), home.records()), (Vec::new(), Vec::new()));

    // A minute without use, and the host is gone, with everything it had.
    let arguments = ["create-host", "--instance-type", "c5.xlarge", "--idle-timeout", "1m", "--output", "json"];
    let created = home.sdocker(&arguments).expect(0).json();
    let instance = created["instance_id"].as_str().expect("an id").to_owned();
    let folder = home.join(".sdocker/sandbox/instances").join(&instance);
    let began = std::time::Instant::now();
    while folder.exists() {
        assert!(began.elapsed().as_secs() < 120, "the host is idle and does not end");
        std::thread::sleep(std::time::Duration::from_millis(500));
    }
    // Its process ends a moment after its files.
    let recovered = eventually(Duration::from_secs(30), "a recovery that finds the host ended", || {
        let recovered = home.sdocker(&["recover", "--output", "json"]).expect(0).json();
        (recovered["settled"] != json!([])).then_some(recovered)
    });
    assert_eq!(recovered["settled"][0]["outcome"], json!("ended"), "{recovered}");
    home.sdocker(&["terminate-host", "--all"]).expect(0);
    assert_eq!((leftovers(&home), home.records()), (Vec::new(), Vec::new()));
}

/// What each command prints for people, without what differs from run to run.
#[test]
fn what_commands_print() {
    let Some(mut home) = Home::in_sandbox() else { return };
    // Whatever metadata service this machine has.
    home.set("AWS_EC2_METADATA_DISABLED", "true");
    // The SDK is there, whatever this machine's own Python has.
    let python = home.join("bin/python3");
    fs::create_dir(home.join("bin")).expect("made");
    fs::write(&python, "#!/bin/sh\necho 2.257.7\n").expect("written");
    fs::set_permissions(&python, fs::Permissions::from_mode(0o755)).expect("set");
    let path = format!("{}:{}", home.join("bin").display(), std::env::var("PATH").expect("set"));
    home.set("PATH", path);
    let mut printed = String::new();
    for arguments in [
        &["create-host", "--instance-type", "c5.xlarge", "--dry-run"][..],
        &["list-hosts"],
        &["create-host", "--instance-type", "c5.xlarge"],
        &["list-hosts"],
        &["env"],
        &["keep", "--for", "2h"],
        &["configure"],
        &["configure", "--undo"],
        &["recover"],
        &["terminate-current-host"],
        &["terminate-host", "--all", "--purge"],
    ] {
        let run = home.sdocker(arguments).expect(0);
        printed.push_str(&format!("$ sdocker {}\n{}{}\n", arguments.join(" "), run.stdout, run.stderr));
    }
    let home = home.path().to_string_lossy().into_owned();
    insta::with_settings!({filters => vec![
        (home.as_str(), "~"),
        (r"198\.18\.\d+\.\d+", "[address]"),
        (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(\.\d+)?( UTC|Z)?", "[time]"),
        (r"\b\d+[hms](\d+[ms])? (ago|from now)|in \d+h( \d+m)?\b", "[distance]"),
        (r"\(\d+\.\d+s\)", "([seconds])"),
        (r"Docker \d+\.[0-9.]+\S*", "Docker [version]"),
        (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "[uuid]"),
        (r"\d+ %", "[percent] %"),
        (r"UserData.*", "UserData [text]"),
        (r"\d+ bytes", "[n] bytes"),
        (r"\b[0-9a-f]{32}\b", "[host]"),
        // The daemon may answer before the host says so.
        (r"(?m)^✓ host: .*\n", ""),
        // On a busy machine.
        (r"(?m)^ *waiting for .* \(at most \d+ s\)\n", ""),
        (r"(?m)^… .* \(\d+ s\)\n", ""),
        // The widths of columns.
        (r" {2,}", "  "),
    ]}, {
        insta::assert_snapshot!(printed);
    });
}

/// The certificate of its host travels before there is an address; and proxy variables lead Docker's clients astray.
#[test]
fn a_space_without_efs_gets_a_host_by_its_address_and_every_client_to_it() {
    let Some(mut home) = Home::in_sandbox() else { return };
    home.be_space("d-studio", "");
    // No proxy listens there.
    home.set("HTTPS_PROXY", "http://me:secret@127.0.0.1:9");
    home.set("no_proxy", "example.com");
    let created = home.sdocker(&["create-host", "--instance-type", "c5.xlarge"]).expect(0);
    for said in
        ["docker and docker compose do not reach the host", "docker-py and docker-compose 1.x do not", "sdocker env"]
    {
        assert!(created.stderr.contains(said), "{said}: {}", created.stderr);
    }
    assert!(!created.stderr.contains("secret") && !created.stderr.contains("talks to it now"), "{}", created.stderr);
    let endpoint = home.sdocker(&["status", "--output", "json"]).expect(0).json()["endpoint"].clone();
    assert!(endpoint.as_str().is_some_and(|endpoint| endpoint.starts_with("tcp://198.1")), "{endpoint}");
    // The host has signed its certificate, and can sign no other.
    let found = home.run("find", &[".sdocker/sandbox/instances", "-name", "*key.pem"]).expect(0).stdout;
    assert!(found.contains("/key.pem") && !found.contains("issuer"), "{found}");

    // The clients do as was said, until they are told.
    let docker = home.run("docker", &["version"]);
    assert_ne!(docker.code, Some(0), "through a proxy that is none: {docker:?}");
    let binary = std::env::var("SDOCKER_BIN").expect("set");
    let env = format!("eval \"$('{binary}' env)\"");
    let told =
        home.run("sh", &["-c", &format!("{env} && docker version && docker-compose version && echo \"$no_proxy\"")]);
    let told = told.expect(0).stdout;
    assert!(told.lines().last().is_some_and(|line| line.starts_with("example.com,198.1")), "{told}");
    fs::write(home.join("compose.yaml"), "version: '3'\nservices: {}\n").expect("written");
    home.run("sh", &["-c", &format!("{env} && docker-compose -f compose.yaml ps")]).expect(0);
    let used = home.sdocker(&["use", "--instance-id", &instance(&home)]).expect(0);
    assert!(used.stderr.contains("do not reach the host"), "{}", used.stderr);
    home.unset("HTTPS_PROXY");
    home.run("docker", &["version"]).expect(0);
    let used = home.sdocker(&["use", "--instance-id", &instance(&home)]).expect(0);
    assert!(!used.stderr.contains("do not reach the host"), "{}", used.stderr);
    home.sdocker(&["terminate-host", "--all"]).expect(0);
    assert_eq!(leftovers(&home), Vec::<String>::new());
}

fn instance(home: &Home) -> String {
    let status = home.sdocker(&["status", "--output", "json"]).expect(0).json();
    status["instance_id"].as_str().expect("an id").to_owned()
}

/// In a space `~/tmp` must lead to EFS: what the user has there stays the user's, and keeps no host away.
#[test]
fn what_is_the_users_in_a_space_keeps_no_host_away() {
    let Some(mut home) = Home::in_sandbox() else { return };
    let efs = home.join("efs");
    fs::create_dir(&efs).expect("made");
    home.be_space(
        "d-studio",
        &format!("712 640 0:98 / {} rw - nfs4 fs-studio.efs.eu-west-1.amazonaws.com:/ rw\n", efs.display()),
    );
    fs::create_dir(home.join("tmp")).expect("made");
    fs::write(home.join("tmp/data"), [0, 255]).expect("written");
    fs::write(home.join("temp"), "theirs").expect("written");
    fs::create_dir(home.join(".sagemaker")).expect("made");
    fs::write(home.join(".sagemaker/config.yaml"), "local: &mine {local_code: true}\nmore: *mine\n").expect("written");
    let dry = home.sdocker(&["configure", "--dry-run", "--output", "json"]).expect(0).json();
    assert_eq!(dry["left"].as_array().map(Vec::len), Some(2), "{dry}");
    let created = home.sdocker(&["create-host", "--instance-type", "c5.xlarge"]).expect(0);
    for said in [
        "tmp.before-sdocker/tmp: Local Mode needs that path",
        "configure --undo",
        "config.yaml is left unchanged",
        "  container_root: \"",
    ] {
        assert!(created.stderr.contains(said), "{said}: {}", created.stderr);
    }
    assert_eq!(fs::read_link(home.join("tmp")).expect("a link"), efs.join(".sdocker/local-mode/tmp"));
    home.sdocker(&["terminate-host", "--all"]).expect(0);
    home.sdocker(&["configure", "--undo"]).expect(0);
    assert_eq!(fs::read(home.join("tmp/data")).expect("given back"), [0, 255]);
    assert_eq!(fs::read_to_string(home.join("temp")).expect("never touched"), "theirs");
    assert!(!home.join("tmp.before-sdocker").exists());
    assert_eq!(leftovers(&home), Vec::<String>::new());
}

/// A home that can't be written, or is full, is found out before anything is launched.
#[test]
fn what_cannot_be_written_is_said_before_a_host_is_launched() {
    let Some(home) = Home::in_sandbox() else { return };
    home.sdocker(&["doctor"]).expect(0);
    fs::create_dir(home.join(".docker")).expect("made");
    let binary = std::env::var("SDOCKER_BIN").expect("set");
    // In a mount namespace of its own, for root writes wherever modes forbid it.
    let with = |mount: &str, command: &str| {
        home.run("unshare", &["--mount", "sh", "-c", &format!("{mount} && exec '{binary}' {command}")])
    };
    let docker = home.join(".docker").display().to_string();
    let read_only = format!("mount --bind '{docker}' '{docker}' && mount -o remount,ro,bind '{docker}'");
    let full = format!("mount -t tmpfs -o size=64k tmpfs '{docker}'");
    let journal = home.join(".sdocker").display().to_string();
    let state_full = format!(
        "cp -a '{journal}' /tmp/state.$$ && mount -t tmpfs -o size=96k tmpfs '{journal}' && cp -a /tmp/state.$$/. '{journal}'; rm -rf /tmp/state.$$; true"
    );
    for (mount, folder, why) in [
        (&read_only, &docker, "Read-only file system"),
        (&full, &docker, "No space left on device"),
        (&state_full, &journal, "No space left on device"),
    ] {
        let said = format!("{folder} can't be written; a host's files are kept there");
        let doctor = with(mount, "doctor").expect(1);
        assert!(doctor.stdout.contains(&format!("FAILED    files: {said}: ")), "{}", doctor.stdout);
        let created = with(mount, "create-host --instance-type c5.xlarge").expect(1);
        assert!(created.stderr.contains(&said) && created.stderr.contains(why), "{}", created.stderr);
        assert_eq!((home.records(), leftovers(&home)), (Vec::new(), Vec::new()));
    }
}
