//! The product in today's Studio: a space with an EBS home and no EFS, by the user that Studio gives, on hosts that have nothing of the app but
//! what travels in user data.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::TcpListener,
    os::unix::fs::MetadataExt as _,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use sdocker_tests::{Home, Run, Space, eventually};
use serde_json::Value;

/// What the process in the background is called by.
const LINK: &str = " link --host ";

const CREATE: [&str; 3] = ["create-host", "--instance-type", "c5.xlarge"];

/// An image of busybox.
fn image(home: &Home) {
    let image = "mkdir -p image/bin image/tmp && cp /bin/busybox image/bin && \
        for name in sh cat httpd ls id sleep mkdir stat touch rm; do ln -s busybox image/bin/$name; done && \
        tar -C image -c . | docker import - box:1 && rm -r image";
    home.run("sh", &["-c", image]).expect(0);
}

fn docker(home: &Home, arguments: &[&str]) -> String {
    home.run("docker", arguments).expect(0).stdout
}

fn status(home: &Home) -> Value {
    home.sdocker(&["status", "--output", "json"]).expect(0).json()
}

/// The first page of a port of localhost; `None` where nobody answers.
fn page(port: u16) -> Option<String> {
    page_of(port, "")
}

fn page_of(port: u16, name: &str) -> Option<String> {
    let address = format!("http://127.0.0.1:{port}/{name}");
    let answer = Command::new("curl").args(["-qsS", "-m", "20", &address]).output().expect("it runs");
    answer.status.success().then(|| String::from_utf8_lossy(&answer.stdout).trim().to_owned())
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    listener.local_addr().expect("an address").port()
}

/// Waits for something that has to happen.
fn until(what: &str, mut happened: impl FnMut() -> bool) {
    eventually(Duration::from_secs(60), what, || happened().then_some(()));
}

fn owner(path: &Path) -> (u32, u32) {
    let found = fs::symlink_metadata(path).expect("there");
    (found.uid(), found.gid())
}

#[test]
fn todays_studio_has_its_files_and_ports_on_a_host() {
    let Some(space) = Space::open() else { return };
    let home = &space.home;
    for (name, text) in
        [("project/f", "from the app"), (".aws/credentials", "secret"), (".config/mine", "mine"), ("tmp/kept", "kept")]
    {
        fs::create_dir_all(home.join(name).parent().expect("a folder")).expect("made");
        fs::write(home.join(name), text).expect("written");
    }
    home.give();
    // Before there is a host: that it will have the files, and by what.
    let doctor = home.sdocker(&["doctor"]).stdout;
    assert!(
        doctor.contains("storage: this app shares its files with a host: /home/sagemaker-user without its dot entries"),
        "{doctor}"
    );
    let configured = home.sdocker(&["configure"]).expect(0);
    assert!(!configured.stderr.contains("empty folder in its place"), "{}", configured.stderr);
    let created = home.sdocker(&CREATE).expect(0);
    let path = home.inside("").display().to_string();
    assert_eq!(path, "/home/sagemaker-user/");
    let path = path.trim_end_matches('/');
    assert!(created.stdout.contains(&format!("{path} is live in containers")), "{created:?}");
    assert!(
        space.front().log().iter().all(|call| !call.starts_with("elasticfilesystem:")),
        "{:?}",
        space.front().log()
    );
    image(home);

    // The folder, live, both ways; what containers write is the user's.
    let project = home.join("project");
    let work = format!("{path}/project:/work");
    let run = |script: &str| docker(home, &["run", "--rm", "-v", &work, "-w", "/work", "box:1", "sh", "-c", script]);
    assert_eq!(run("cat f; echo -n back >answer; mkdir made; touch made/inner; id -u"), "from the app0\n");
    assert_eq!(fs::read_to_string(project.join("answer")).expect("there"), "back");
    for made in ["answer", "made", "made/inner"] {
        assert_eq!(owner(&project.join(made)), (1000, 100), "{made}");
    }
    let mut watching = home.command("docker");
    watching.args([
        "run",
        "--rm",
        "-v",
        &work,
        "box:1",
        "sh",
        "-c",
        "cat /work/f; echo; until [ \"$(cat /work/f)\" = HELLO ]; do :; done",
    ]);
    let mut watching = watching.stdout(Stdio::piped()).spawn().expect("it runs");
    let mut lines = BufReader::new(watching.stdout.take().expect("piped")).lines();
    assert_eq!(lines.next().expect("a line").expect("read"), "from the app");
    fs::write(project.join("f"), "HELLO").expect("written");
    let edited = Instant::now();
    assert!(watching.wait().expect("it ends").success());
    assert!(edited.elapsed() < Duration::from_secs(10), "{:?}", edited.elapsed());

    // Nothing that is hidden in the home is seen; nor can it be made there.
    let bind = format!("{path}:/h");
    let script = "ls -A /h; ! cat /h/.aws/credentials; ! mkdir /h/.ssh; ! ls /h/.sdocker";
    let seen = docker(home, &["run", "--rm", "-v", &bind, "box:1", "sh", "-c", script]);
    // Beside what Local Mode has there.
    assert_eq!(seen, "project\ntemp\ntmp\n");
    assert!(!home.join(".ssh").exists());

    // A port.
    let port = free_port();
    let serve = "mkdir /www; echo served >/www/index.html; exec httpd -f -p 80 -h /www";
    docker(home, &["run", "-d", "--name", "web", "-p", &format!("{port}:80"), "box:1", "sh", "-c", serve]);
    until("it serves", || page(port).as_deref() == Some("served"));
    // One that the daemon chose.
    docker(home, &["run", "-d", "--name", "chosen", "-p", "80", "box:1", "sh", "-c", serve]);
    let chosen = docker(home, &["port", "chosen", "80"]);
    let chosen = chosen.lines().next().and_then(|line| line.rsplit_once(':')?.1.parse().ok()).expect("a port");
    until("it serves", || page(chosen).as_deref() == Some("served"));
    docker(home, &["rm", "-f", "chosen"]);
    assert_eq!(status(home)["link"]["folders"][0]["state"], "shared");
    let said = home.sdocker(&["status"]).expect(0).stdout;
    for line in [format!("{path}: live"), format!("{port} of web at localhost:{port}")] {
        assert!(said.contains(&line), "{line}: {said}");
    }

    // Compose, with a single file of the folder.
    let services = "version: '3'\nservices: {app: {image: 'box:1', command: cat /etc/config.txt /work/f, \
        volumes: ['./config.txt:/etc/config.txt:ro', '.:/work']}}\n";
    fs::write(project.join("compose.yaml"), services).expect("written");
    fs::write(project.join("config.txt"), "composed\n").expect("written");
    home.give();
    let environment = home.sdocker(&["env", "--shell", "bash"]).expect(0).stdout;
    let compose = "cd project && docker-compose -f compose.yaml up --no-color --abort-on-container-exit && docker-compose -f compose.yaml down";
    let composed = home.run("bash", &["-c", &format!("{environment}\n{compose}")]).expect(0).stdout;
    assert!(composed.contains("| composed\n") && composed.contains("| HELLO"), "{composed}");

    // What the host says of itself, and what it is told, goes through its daemon.
    space.look_now();
    until("the host has looked", || status(home)["life"]["uses"].as_array().is_some_and(|uses| !uses.is_empty()));
    let life = status(home);
    assert!(life["life"]["uses"][0].as_str().is_some_and(|uses| uses.contains("web")), "{life}");
    assert!(
        life["stages"].as_array().is_some_and(|stages| stages.iter().any(|stage| stage["stage"] == "ready")),
        "{life}"
    );
    let logs = home.join(".sdocker/hosts").join(life["name"].as_str().expect("a name")).join("logs");
    let log = fs::read_to_string(logs.join("dockerd.log")).expect("there");
    assert!(log.contains("API listen on"), "{log}");
    assert!(home.sdocker(&["logs", "dockerd"]).expect(0).stdout.contains("API listen on"));
    let kept = home.sdocker(&["keep", "--for", "30h", "--output", "json"]).expect(0).json();
    assert_eq!(home.sdocker(&["keep", "--for", "1h", "--output", "json"]).expect(0).json(), kept, "never shorter");
    let end = kept["until"].as_str().expect("a time");
    space.look_now();
    until("the host knows", || status(home)["life"]["expires_at"] == end);
    let refused = home.sdocker(&["keep", "--for", "90h"]).expect(1);
    assert!(refused.stderr.contains("seven times its maximum lifetime"), "{}", refused.stderr);
    until("one is interrupted while it asks", || is_interrupted(home, &["logs", "dockerd"]));
    assert_eq!(docker(home, &["ps", "-aq", "--filter", "status=created"]), "", "nothing that was made to ask");

    // Nothing is left.
    let daemon = space.daemons();
    assert!(space.on_host("cat /proc/self/mounts").contains(&format!(" {path} fuse.sdocker ")), "it is seen");
    let mounts = format!("/proc/{}/mounts", daemon[0]);
    home.sdocker(&["terminate-current-host"]).expect(0);
    assert_eq!(page(port), None);
    // Its lock is gone before it is.
    until("nobody serves it", || space.processes(LINK).is_empty());
    until("the machine is gone", || space.machines().is_empty());
    assert!(!Path::new(&mounts).exists(), "its daemon, and with it its mounts");
    let tmp = fs::symlink_metadata(home.join("tmp")).expect("there");
    assert!(tmp.is_dir(), "{tmp:?}");
    assert_eq!(fs::read_to_string(home.join("tmp/kept")).expect("there"), "kept");
    assert_eq!((space.front().live(), home.records()), (Vec::new(), Vec::new()));
    let links = fs::read_dir(home.join(".sdocker/links")).expect("there").flatten();
    assert_eq!(links.map(|link| link.path()).collect::<Vec<_>>(), Vec::<std::path::PathBuf>::new());
}

/// Interrupts a command when it has made a container on the host; whether it had not ended by then.
fn is_interrupted(home: &Home, arguments: &[&str]) -> bool {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock");
    let since = format!("{}.{:09}", now.as_secs(), now.subsec_nanos());
    let mut events = home.command("docker");
    events.args(["events", "--since", &since, "--filter", "event=create", "--format", "{{.ID}}"]);
    let mut events = events.stdout(Stdio::piped()).spawn().expect("it runs");
    let mut asks = home.sdocker_command(arguments).stdout(Stdio::null()).spawn().expect("it runs");
    BufReader::new(events.stdout.take().expect("piped")).read_line(&mut String::new()).expect("an event");
    kill(Pid::from_raw(asks.id().try_into().expect("an id")), Signal::SIGINT).expect("it is sent");
    let code = asks.wait().expect("it ends").code();
    events.kill().and_then(|()| events.wait()).expect("it ends");
    code == Some(130)
}

/// What a newcomer's first hour is for (`package.rs` has its beginning, from the wheel on): work on a host, each line as it is printed.
#[test]
fn an_hour_of_work() {
    let Some(space) = Space::open() else { return };
    let home = &space.home;
    fs::create_dir(home.join("project")).expect("made");
    fs::write(home.join("project/numbers"), "1\n2\n3\n").expect("written");
    home.give();
    let port = free_port();
    let served = format!("curl -sS --retry 20 --retry-all-errors --retry-delay 1 localhost:{port}");
    let serve = format!(
        "docker run -d --name web -p {port}:80 -v ~/project:/www box:1 httpd -f -p 80 -h /www >/dev/null && {served}/total"
    );
    let steps = [
        "sdocker create c5.xlarge",
        "docker run --rm -v ~/project:/work -w /work box:1 sh -c 'cat numbers; echo 6 >total'",
        "cat ~/project/total",
        &serve,
        "sdocker status",
        "sdocker ls",
        "sdocker rm c5",
        "sdocker ls",
        "cat ~/project/total",
    ];
    // Where the space has it.
    let command = home.sdocker_command(&[]);
    let sdocker = command.get_args().last().expect("the binary").to_str().expect("UTF-8");
    let mut hour = String::new();
    for step in steps {
        let run = home.run("bash", &["-c", &format!("sdocker() {{ {sdocker} \"$@\"; }}; {step}")]);
        hour.push_str(&format!("$ {step}\n{}{}", run.stdout, run.stderr));
        assert_eq!(run.code, Some(0), "{hour}");
        if step.starts_with("sdocker create") {
            image(home);
        }
        if step == serve {
            until("the port is known", || {
                status(home)["link"]["ports"].as_array().is_some_and(|ports| !ports.is_empty())
            });
        }
    }
    insta::with_settings!({filters => vec![
        (format!(r"\b{port}\b").as_str(), "[port]"),
        (r"(i|vpc|subnet|sg)-[0-9a-f]{8,17}\b", "$1-[id]"),
        (r"\b(127|10|198)\.\d+\.\d+\.\d+", "[address]"),
        (r"Docker \d+\.\d+\.\d+\S*", "Docker [version]"),
        (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(\.\d+)?( UTC|Z)?", "[time]"),
        (r"\b\d\d:\d\d:\d\d\b", "[time]"),
        (r"\(\d+\.\d+s\)", "([seconds])"),
        (r"\b\d+ % used", "[n] % used"),
        // By how long this takes.
        (r"\$0\.\d+ so far", "[little] so far"),
        (r"(?m)\$0\.\d+$", "[little]"),
        (r"(?m)^idle +.*\n", ""),
        // Said as soon as it is known, which may be later.
        (r"(?m)^✓ host: .*\n", ""),
        (r"(?m)^came up +.*\n", ""),
        (r"(?m)^ *waiting for .* \(at most \d+ s\)\n", ""),
        (r"(?m)^… .* \(\d+ s\)\n", ""),
        (r" {2,}", "  "),
    ]}, {
        insta::assert_snapshot!(hour);
    });
    assert_eq!((space.front().live(), home.records()), (Vec::new(), Vec::new()));
}

/// All spaces have their home at the same path. This one takes over the records of the first, as from a copy of its home.
#[test]
fn a_path_on_a_host_belongs_to_one_app() {
    let Some(first) = Space::open() else { return };
    let Some(second) = first.beside("another") else { return };
    for (space, text) in [(&first, "of the first"), (&second, "of the second")] {
        fs::create_dir(space.home.join("project")).expect("made");
        fs::write(space.home.join("project/f"), text).expect("written");
        fs::create_dir(space.home.join(".config")).expect("made");
        fs::write(space.home.join(".config/f"), text).expect("written");
        space.home.give();
    }
    // What is hidden in the home is shared by its own name alone.
    let create = [&CREATE[..], &["--share", "project", "--share", ".config:ro", "--output", "json"]].concat();
    let created = first.home.sdocker(&create).expect(0).json();
    image(&first.home);
    let copied = Command::new("cp").arg("-a").args([first.home.join(".sdocker"), second.home.path()]).status();
    assert!(copied.expect("it runs").success());
    let instance = created["instance_id"].as_str().expect("an id");
    let refused = second.home.sdocker(&["use", "--instance-id", instance]).expect(0);
    let owner = "the Studio app d-wire/mine/JupyterLab/default";
    assert!(refused.stderr.contains(&format!("on the host is shared by {owner}")), "{}", refused.stderr);
    let said = second.home.sdocker(&["status"]).expect(0).stdout;
    assert!(said.contains("containers can't see it") && said.contains(owner), "{said}");
    // The first is served as before.
    let binds = ["project", ".config"].map(|folder| format!("{}:/{folder}", first.home.inside(folder).display()));
    let script =
        "cat /project/f /.config/f; ! echo x >/.config/f; ! rm /.config/f; ! touch /.config/g; echo more >>/project/f";
    let run = ["run", "--rm", "-v", &binds[0], "-v", &binds[1], "box:1", "sh", "-c", script];
    assert_eq!(docker(&second.home, &run), "of the firstof the first");
    let text = |space: &Space, file: &str| fs::read_to_string(space.home.join(file)).expect("there");
    assert_eq!(text(&first, "project/f"), "of the firstmore\n");
    assert_eq!(
        (text(&first, ".config/f").as_str(), text(&second, "project/f").as_str()),
        ("of the first", "of the second")
    );
    assert!(!first.home.join(".config/g").exists());
    first.home.sdocker(&["terminate-host", "--all"]).expect(0);
    until("nobody serves it", || first.processes(LINK).is_empty());
}

/// What may happen to a host, to the way there, and to the process in the background.
#[test]
fn accidents_are_survived_or_said_and_mended() {
    let Some(space) = Space::open() else { return };
    let home = &space.home;
    fs::write(home.join("f"), "served").expect("written");
    // As a host that mounted EFS left it: the SDK does not follow the link.
    fs::create_dir(home.join("elsewhere")).expect("made");
    fs::write(home.join("elsewhere/kept"), "kept").expect("written");
    std::os::unix::fs::symlink(home.inside("elsewhere"), home.join("tmp")).expect("linked");
    // Of what is hidden in the home, one folder by its own name.
    for name in [".cache/models/f", ".cache/secret/f"] {
        fs::create_dir_all(home.join(name).parent().expect("a folder")).expect("made");
        fs::write(home.join(name), name).expect("written");
    }
    home.give();
    let folders = ["--files", "share", "--share", ".", "--share", ".cache/models"];
    home.sdocker(&[&CREATE[..], &folders].concat()).expect(0);
    assert!(fs::symlink_metadata(home.join("tmp")).expect("there").is_dir());
    assert_eq!(fs::read_to_string(home.join("elsewhere/kept")).expect("there"), "kept");
    image(home);
    let bind = format!("{0}:{0}", home.inside("").display());
    let file = home.inside("f").display().to_string();
    let served = || home.run("docker", &["run", "--rm", "-v", &bind, "box:1", "cat", &file]).stdout == "served";
    let shell = |script: &str| home.run("sh", &["-c", script]);
    assert!(served());
    let script = format!(
        "cd {}; ls -A .cache; cat .cache/models/f; echo; ! ls -d .sdocker .cache/secret",
        home.inside("").display()
    );
    let seen = docker(home, &["run", "--rm", "-v", &bind, "box:1", "sh", "-c", &script]);
    assert_eq!(seen, "models\n.cache/models/f\n");

    // The way there is cut under load, and is back.
    let script = format!(
        "cd {}; n=0; until [ -e enough ]; do echo $n >load; [ $(cat load) = $n ] || exit 3; n=$((n + 1)); done",
        home.inside("").display()
    );
    let mut working = home.command("docker");
    working.args(["run", "--rm", "--name", "working", "-v", &bind, "box:1", "sh", "-ec", &script]);
    let mut working = working.stdout(Stdio::null()).spawn().expect("it runs");
    let load = || fs::read_to_string(home.join("load")).ok().and_then(|text| text.trim().parse::<u64>().ok());
    until("it works", || load().is_some_and(|rounds| rounds > 10));
    let settings = fs::read_to_string(space.machines()[0].join("settings")).expect("there");
    let link = settings.lines().find_map(|line| line.strip_prefix("link=")).expect("its link");
    let switch =
        |to: &str| assert!(Command::new("ip").args(["link", "set", link, to]).status().expect("it runs").success());
    switch("down");
    let before = std::thread::scope(|scope| {
        // What was under way is done; then nothing more comes through.
        scope.spawn(|| std::thread::sleep(Duration::from_secs(2))).join().expect("slept");
        load()
    });
    switch("up");
    until("it goes on", || load() > before.map(|rounds| rounds + 10));
    fs::write(home.join("enough"), "").expect("written");
    assert!(working.wait().expect("it ends").success());

    // Everything on the host is removed, as people do it: the folder is back at once, and it is said that it was away.
    shell("docker rm -f $(docker ps -aq) && docker system prune -af").expect(0);
    image(home);
    until("it is back", served);
    let why = status(home)["link"]["folders"][0]["why"].as_str().unwrap_or_default().to_owned();
    assert!(why.contains("restart the containers that were started before"), "{why}");
    let port = free_port();
    docker(
        home,
        &[
            "run",
            "-d",
            "--name",
            "web",
            "-p",
            &format!("{port}:80"),
            "-v",
            &bind,
            "box:1",
            "httpd",
            "-f",
            "-h",
            &home.inside("").display().to_string(),
        ],
    );
    until("it serves", || page_of(port, "f").as_deref() == Some("served"));

    // The process in the background is stopped: that is said, with what mends it.
    let [process] = &space.processes(LINK)[..] else { panic!("one process") };
    let signal = |signal: &str| shell(&format!("kill -{signal} {process}")).expect(0);
    signal("STOP");
    let said = home.sdocker(&["status"]).expect(0).stdout;
    assert!(said.contains("containers wait") && said.contains(&format!("kill -CONT {process}")), "{said}");
    let doctor = home.sdocker(&["doctor"]).stdout;
    assert!(doctor.contains(&format!("kill -CONT {process}")), "{doctor}");
    signal("CONT");
    until("it serves", served);

    // It is killed: the next command starts another, which serves the same mounts.
    signal("KILL");
    until("it is back", || status(home)["link"]["folders"][0]["state"] == "shared");
    assert!(served());
    until("it serves", || page_of(port, "f").as_deref() == Some("served"));

    // Where none can be started, it is said what containers see.
    let without = |command: &str| {
        let run = home.sdocker_command(&[command]).env("XDG_RUNTIME_DIR", "/home").output().expect("it runs");
        String::from_utf8_lossy(&run.stdout).into_owned()
    };
    for said in [without("status"), without("doctor")] {
        for words in [
            "containers see nothing of this app's files (/home/sagemaker-user",
            "no port is at localhost",
            "`sdocker use --instance-id i-",
        ] {
            assert!(said.contains(words), "{words}: {said}");
        }
    }

    // The host is gone: nothing hangs, and what was kept of it goes.
    let instance = status(home)["instance_id"].as_str().expect("an id").to_owned();
    assert_eq!(space.front().ec2("TerminateInstances", &[("InstanceId.1", &instance)]).0, "");
    until("the machine is gone", || space.machines().is_empty());
    assert_eq!(page_of(port, "f"), None);
    // Without any command: who served it finds out and ends, and nothing was ever mounted here.
    eventually(Duration::from_secs(240), "nobody serves it", || space.processes(LINK).is_empty().then_some(()));
    assert!(!home.run("cat", &["/proc/self/mounts"]).expect(0).stdout.contains("fuse.sdocker"));
    assert_eq!(page_of(port, "f"), None);
    let ended = home.sdocker(&["status"]).expect(0);
    assert!(ended.stderr.contains("`sdocker recover` cleans up what is left"), "{}", ended.stderr);
    home.sdocker(&["recover"]).expect(0);
    until("nobody serves it", || space.processes(LINK).is_empty());
}

/// Whose files are waited for may be stopped, and say so to nobody: containers get errors in the end, and the daemon hangs at no time.
#[test]
fn a_client_that_is_stopped_holds_nobody_for_ever() {
    let Some(space) = Space::open() else { return };
    let home = &space.home;
    fs::create_dir(home.join("project")).expect("made");
    fs::write(home.join("project/f"), "served").expect("written");
    home.give();
    home.sdocker(&[&CREATE[..], &["--files", "none"]].concat()).expect(0);
    image(home);
    let mut client = home.sdocker_command(&["share", "project", "--give-up-after", "1s"]);
    let mut client = client.stdout(Stdio::piped()).spawn().expect("it runs");
    let mut said = BufReader::new(client.stdout.take().expect("piped")).lines();
    assert!(said.next().expect("a line").expect("read").contains("live until Ctrl-C"));
    let bind = format!("{}:/h", home.inside("project").display());
    let read = || {
        let mut command = home.command("timeout");
        command.args(["50", "docker", "run", "--rm", "-v", &bind, "box:1", "cat", "/h/f"]);
        Run::new(command.output().expect("it runs"))
    };
    assert_eq!(read().expect(0).stdout, "served");
    let [process] = &space.processes("sdocker share project")[..] else { panic!("one process") };
    let signal = |signal: &str| home.run("kill", &[&format!("-{signal}"), process]).expect(0);
    signal("STOP");
    // Nobody answers, until it is given up.
    assert_ne!(read().code, Some(124), "it does not wait for ever");
    let mounted = || space.on_host("cat /proc/self/mounts").contains(" fuse.sdocker ");
    until("it gives up", || !mounted());
    assert_ne!(read().code, Some(0), "there is nothing to be read");
    signal("CONT");
    until("it is served again", || read().stdout == "served");
    signal("TERM");
    client.wait().expect("it ends");
    assert!(!mounted());
    home.sdocker(&["terminate-host", "--all"]).expect(0);
}
