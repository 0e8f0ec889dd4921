//! `sdocker up`: a socket whose host is launched when it is needed, with the real Docker CLI and real daemons.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, SystemTime},
};

use sdocker_tests::{Docker, Home, Run, Space, eventually, skip};
use serde_json::Value;

/// What the process that answers it is called by.
const SOCKET: &str = "sdocker -v socket";

/// A home with a socket, which is taken away in the end.
struct Up(Home);

/// The daemon of hosts: it ends at once where `broken` is there, and waits for a word where `hold` is.
const DAEMON: &str = r#"#!/bin/bash
[[ ! -e $HOME/broken ]] || exit 1
[[ ! -p $HOME/hold ]] || read -r <"$HOME/hold"
exec DOCKERD "$@"
"#;

impl Up {
    fn with(docker: Docker, options: &[&str]) -> Option<Self> {
        let mut home = Home::in_sandbox_with(docker)?;
        let dockerd = home.run("which", &["dockerd"]).expect(0).stdout;
        let daemon = home.join("daemon");
        fs::create_dir(&daemon).expect("made");
        fs::write(daemon.join("dockerd"), DAEMON.replace("DOCKERD", dockerd.trim())).expect("written");
        fs::set_permissions(daemon.join("dockerd"), fs::Permissions::from_mode(0o755)).expect("set");
        home.put_on_path(&daemon);
        let up = Self(home);
        up.sdocker(&[&["up", "c5.xlarge"], options].concat()).expect(0);
        up.make_image();
        Some(up)
    }

    fn sdocker(&self, arguments: &[&str]) -> Run {
        self.0.sdocker(arguments)
    }

    fn docker(&self, arguments: &[&str]) -> Run {
        self.0.run("docker", arguments)
    }

    fn status(&self) -> Value {
        self.sdocker(&["status", "--output", "json"]).expect(0).json()
    }

    /// The root of an image of busybox.
    fn make_image(&self) {
        let root = self.0.join("image/bin");
        fs::create_dir_all(&root).expect("made");
        fs::copy("/bin/busybox", root.join("busybox")).expect("copied");
        for applet in ["sh", "cat", "echo", "sleep", "touch"] {
            std::os::unix::fs::symlink("busybox", root.join(applet)).expect("linked");
        }
    }

    fn import(&self) -> Run {
        self.0.run("sh", &["-c", "tar -C image -c . | docker import -c 'ENV PATH=/bin' - box:1"])
    }

    /// The processes whose command lines hold this, and that are this home's.
    fn processes(&self, holds: &str) -> Vec<u32> {
        let own = format!("HOME={}\0", self.0.path().display());
        let all = fs::read_dir("/proc").expect("readable").flatten();
        let numbers = all.filter_map(|process| process.file_name().to_str()?.parse::<u32>().ok());
        let is_ours = |process: &u32| {
            let read = |file: &str| fs::read(format!("/proc/{process}/{file}")).unwrap_or_default();
            let command = String::from_utf8_lossy(&read("cmdline")).replace('\0', " ");
            command.contains(holds) && String::from_utf8_lossy(&read("environ")).contains(&own)
        };
        numbers.filter(is_ours).collect()
    }

    /// The process that answers the socket.
    fn socket_process(&self) -> u32 {
        let processes = self.processes(SOCKET);
        assert_eq!(processes.len(), 1, "{processes:?}");
        processes[0]
    }

    /// Has hosts that boot wait, until [`Self::let_go`].
    fn hold(&self) {
        self.0.run("mkfifo", &["hold"]).expect(0);
    }

    /// Lets the host go on that boots, once it waits.
    fn let_go(&self) {
        self.0.run("sh", &["-c", "echo >hold && rm hold"]).expect(0);
    }

    /// The host whose launch has begun.
    fn launching(&self) -> String {
        eventually(Duration::from_secs(60), "the launch has begun", || {
            let records = self.0.records();
            let instance =
                records.first()?["instance"].as_str().or(records.first()?["instance"]["id"].as_str())?.to_owned();
            let account = fs::read_dir(self.0.join(".sdocker/hosts")).ok()?.flatten();
            let mut names = account.filter_map(|host| host.file_name().into_string().ok());
            let name = names.find(|name| name.ends_with(&instance))?;
            let status = fs::read_to_string(self.0.join(".sdocker/hosts").join(&name).join("status")).ok()?;
            status.contains("daemon started").then_some(name)
        })
    }

    /// The folder of a host's machine, as long as there is one.
    fn instance(&self, host: &str) -> PathBuf {
        self.0.join(".sdocker/sandbox/instances").join(host.rsplit_once('_').expect("a name").1)
    }

    /// Cuts a host's network, or mends it.
    fn link(&self, host: &str, state: &str) {
        let settings = fs::read_to_string(self.instance(host).join("settings")).expect("there");
        let link = settings.lines().find_map(|line| line.strip_prefix("link=")).expect("it has one").trim_matches('\'');
        assert!(Command::new("ip").args(["link", "set", link, state]).status().expect("it runs").success());
    }

    fn launched(&self) -> usize {
        let log = fs::read_to_string(self.log()).expect("there");
        log.matches(": launching an instance in").count()
    }

    fn log(&self) -> PathBuf {
        let context = self.docker(&["context", "inspect", "sdocker"]).expect(0).json();
        let socket = context[0]["Endpoints"]["docker"]["Host"].as_str().expect("a socket").to_owned();
        PathBuf::from(socket.trim_start_matches("unix://")).with_file_name("log")
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        self.sdocker(&["down"]);
        self.sdocker(&["terminate-host", "--all"]);
    }
}

/// `docker events`, followed.
struct Events {
    client: Child,
    told: Box<dyn Iterator<Item = String>>,
}

impl Events {
    fn of(up: &Up) -> Self {
        let mut events = up.0.command("docker");
        // What happens before the client is there is told as well.
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("later").as_secs().to_string();
        let events = events.args([
            "events",
            "--since",
            &now,
            "--format",
            "{{.Action}} {{.Actor.ID}} {{.Actor.Attributes.name}}",
        ]);
        let mut client = events.stdout(Stdio::piped()).spawn().expect("it runs");
        let told = BufReader::new(client.stdout.take().expect("piped")).lines().map_while(Result::ok);
        Self { client, told: Box::new(told) }
    }

    /// Waits for an event; `false` where they end without it.
    fn tell(&mut self, event: &str) -> bool {
        self.told.any(|line| line.starts_with(event))
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        let _ = self.client.kill().and_then(|()| self.client.wait());
    }
}

fn kill(process: u32) {
    assert!(Command::new("kill").args(["-9", &process.to_string()]).status().expect("it runs").success());
}

/// The process that minds a host of the sandbox: its end is the host's.
fn end_host(up: &Up, host: &str) {
    let supervisor = up.instance(host).join("supervisor.pid");
    let supervisor = fs::read_to_string(supervisor).expect("there");
    assert!(Command::new("kill").arg(supervisor.trim()).status().expect("it runs").success());
}

#[test]
fn a_host_comes_when_it_is_needed_and_not_before() {
    work(Docker::Old);
}

#[test]
fn todays_docker_on_demand() {
    work(Docker::Todays);
}

fn work(docker: Docker) {
    let Some(up) = Up::with(docker, &[]) else { return };
    // What only asks.
    assert_eq!(up.docker(&["ps", "-aq"]).expect(0).stdout, "");
    assert_eq!(up.docker(&["images", "-q"]).expect(0).stdout, "");
    assert!(up.docker(&["info"]).expect(0).stdout.contains("no host now"));
    assert_eq!(up.docker(&["info", "-f", "{{.NCPU}} {{.Architecture}}"]).expect(0).stdout, "4 x86_64\n");
    let before = up.docker(&["version", "-f", "{{.Server.APIVersion}} {{.Server.MinAPIVersion}}"]).expect(0).stdout;
    assert!(up.docker(&["inspect", "web"]).expect(1).stderr.contains("No such object"));
    up.docker(&["system", "prune", "-f"]).expect(0);
    assert_eq!(up.status()["state"], "none");
    assert_eq!(up.launched(), 0);

    // A host, by what needs it.
    up.import().expect(0);
    assert_eq!(up.launched(), 1);
    let host = up.status()["name"].as_str().expect("a host").to_owned();
    assert_eq!(
        up.docker(&["version", "-f", "{{.Server.APIVersion}} {{.Server.MinAPIVersion}}"]).expect(0).stdout,
        before
    );
    // What knows hosts alone, such as the UI extension of the AWS samples, finds it where it looks.
    let hosts = fs::read_to_string(up.0.join(".sdocker/sdocker-hosts.conf")).expect("there");
    let hosts: Value = serde_json::from_str(&hosts).expect("JSON");
    let listed = &hosts["ActiveHosts"][0];
    let endpoint = format!("tcp://{}:{}", listed["InstanceDns"].as_str().expect("text"), listed["Port"]);
    let certs = up.0.join(".sagemaker_studio_docker_cli").join(&host).join("certs/client");
    let mut extension = up.0.command("docker");
    extension.args(["--tlsverify", "-H", &endpoint, "images", "-q"]).env("DOCKER_CERT_PATH", certs);
    assert_eq!(Run::new(extension.output().expect("it runs")).expect(0).stdout.lines().count(), 1);
    up.docker(&["--context", &host, "ps"]).expect(0);
    let run = up.docker(&["run", "--rm", "box:1", "sh", "-c", "echo out; echo err >&2; exit 3"]).expect(3);
    assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("out\n", "err\n"));

    // Both directions of a stream, one of which ends first.
    let mut command = up.0.command("docker");
    let mut cat = command.args(["run", "--rm", "-i", "box:1", "sh", "-c", "cat; echo and the end"]);
    cat = cat.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut cat = cat.spawn().expect("it runs");
    let mut lines = BufReader::new(cat.stdout.take().expect("piped")).lines();
    let mut stdin = cat.stdin.take().expect("piped");
    for line in ["one", "two"] {
        writeln!(stdin, "{line}").expect("written");
        assert_eq!(lines.next().expect("a line").expect("read"), line);
    }
    drop(stdin);
    assert_eq!(lines.next().expect("a line").expect("read"), "and the end");
    assert!(cat.wait().expect("it ends").success());

    // A folder over a link, one that is missing, a build with each builder, a copy out of a container.
    fs::create_dir(up.0.join("real")).expect("made");
    fs::write(up.0.join("real/f"), "from here").expect("written");
    std::os::unix::fs::symlink("real", up.0.join("link")).expect("linked");
    let binds = [format!("{}:/in", up.0.join("link").display()), format!("{}:/out", up.0.join("made/here").display())];
    let copy = [
        "run",
        "--name",
        "copy",
        "-v",
        &binds[0],
        "-v",
        &binds[1],
        "box:1",
        "sh",
        "-c",
        "cat /in/f >/out/g; cat /in/f",
    ];
    assert_eq!(up.docker(&copy).expect(0).stdout, "from here");
    assert_eq!(fs::read_to_string(up.0.join("made/here/g")).expect("there"), "from here");
    up.docker(&["cp", "copy:/bin/busybox", "copied"]).expect(0);
    assert_eq!(fs::read(up.0.join("copied")).expect("there"), fs::read("/bin/busybox").expect("there"));
    fs::create_dir(up.0.join("build")).expect("made");
    fs::write(up.0.join("build/Dockerfile"), "FROM box:1\nCOPY f /f\nRUN cat /f >/g\n").expect("written");
    fs::write(up.0.join("build/f"), "built").expect("written");
    for buildkit in ["0", "1"] {
        let script = format!("DOCKER_BUILDKIT={buildkit} docker build -q -t built:{buildkit} build");
        up.0.run("sh", &["-c", &script]).expect(0);
        assert_eq!(up.docker(&["run", "--rm", &format!("built:{buildkit}"), "cat", "/g"]).expect(0).stdout, "built");
    }

    // Its end is not the socket's, and is said, with what goes with it.
    eventually(Duration::from_secs(20), "what it holds is seen", || {
        let said = up.sdocker(&["status"]).expect(0).stdout;
        (said.contains("goes with it  container copy; images ") && said.contains("built:1")).then_some(())
    });
    up.sdocker(&["terminate-current-host"]).expect(0);
    assert_eq!(up.docker(&["ps", "-aq"]).expect(0).stdout, "");
    let gone = up.docker(&["start", "copy"]).expect(1).stderr;
    assert!(gone.contains("No such container: copy") && gone.contains(&format!("its host {host} ended at")), "{gone}");
    let said = up.sdocker(&["status"]).expect(0).stdout;
    assert!(
        said.contains(&format!("its host {host} ended at")) && said.contains("went with it  container copy"),
        "{said}"
    );
    assert_eq!(up.launched(), 1);
    up.docker(&["volume", "create", "kept"]).expect(0);
    assert_eq!(up.launched(), 2);

    // Without the socket, the host has its own context.
    let down = up.sdocker(&["down", "--output", "json"]).expect(0).json();
    let context = up.docker(&["context", "inspect", "-f", "{{.Name}}"]).expect(0).stdout;
    assert_eq!(down["host"].as_str(), Some(context.trim()));
    assert_eq!(up.docker(&["volume", "ls", "-q"]).expect(0).stdout, "kept\n");
    assert_eq!(up.processes(SOCKET), Vec::<u32>::new());
}

#[test]
fn many_clients_at_once_cause_one_launch_and_a_pull_shows_it() {
    let Some(up) = Up::with(Docker::Old, &[]) else { return };
    let spawn = |arguments: &[&str]| -> Child {
        let mut command = up.0.command("docker");
        command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it runs")
    };
    // A name that no registry is asked for: the launch is what matters.
    let pull = spawn(&["pull", "127.0.0.1:9/none"]);
    let networks: Vec<Child> = (0..20).map(|number| spawn(&["network", "create", &format!("n{number}")])).collect();
    for client in networks {
        let output = client.wait_with_output().expect("it ends");
        assert!(output.status.success(), "{output:?}");
    }
    let pulled = Run::new(pull.wait_with_output().expect("it ends")).expect(1);
    assert!(pulled.stdout.contains("sdocker: launching c5.xlarge"), "{pulled:?}");
    assert_eq!((up.launched(), up.0.records().len()), (1, 1));
    let made = up.docker(&["network", "ls", "-q", "--filter", "name=n"]).expect(0).stdout;
    assert!(made.lines().count() >= 20, "{made}");
}

#[test]
fn what_may_happen_to_the_process_and_the_host() {
    let Some(up) = Up::with(Docker::Old, &[]) else { return };
    let mut events = up.0.command("docker");
    let mut events = events.args(["events", "--format", "{{.Action}} {{.Actor.Attributes.name}}"]);
    events = events.stdout(Stdio::piped());
    let mut events = events.spawn().expect("it runs");
    let mut told = BufReader::new(events.stdout.take().expect("piped")).lines().map_while(Result::ok);
    up.import().expect(0);
    up.docker(&["run", "--name", "first", "box:1", "echo"]).expect(0);
    assert!(told.any(|line| line == "create first"), "events go on over a launch");

    // The host ends by itself in the middle of them.
    let host = up.status()["name"].as_str().expect("a host").to_owned();
    end_host(&up, &host);
    eventually(Duration::from_secs(60), "its end is seen", || {
        (up.docker(&["ps", "-aq"]).stdout.is_empty() && up.status()["state"] == "none").then_some(())
    });
    assert_eq!(up.launched(), 1);
    assert_eq!(up.0.records(), Vec::<Value>::new(), "nothing is left of it here");
    up.import().expect(0);
    up.docker(&["run", "--name", "second", "box:1", "echo"]).expect(0);
    assert!(told.any(|line| line == "create second"), "events go on over an end");
    assert_eq!(up.launched(), 2);
    events.kill().and_then(|()| events.wait()).expect("ended");

    // The process is killed: the host is not, and the next command has the socket answered again.
    kill(up.socket_process());
    eventually(Duration::from_secs(20), "it is gone", || up.processes(SOCKET).is_empty().then_some(()));
    assert_ne!(up.docker(&["ps"]).code, Some(0));
    up.sdocker(&["status"]).expect(0);
    eventually(Duration::from_secs(20), "it is answered", || (up.docker(&["ps"]).code == Some(0)).then_some(()));
    up.docker(&["inspect", "second"]).expect(0);
    assert_eq!(up.0.records().len(), 1);
    assert_eq!(up.launched(), 2);

    // A daemon that does not answer is not replaced.
    let daemon = up.0.join(".sdocker/sandbox/instances").join(up.status()["instance_id"].as_str().expect("an id"));
    let daemon = fs::read_to_string(daemon.join("docker.pid")).expect("there");
    let signal = |name: &str| {
        assert!(Command::new("kill").args([name, daemon.trim()]).status().expect("it runs").success());
    };
    signal("-STOP");
    let stuck = up.0.run("timeout", &["-k", "1", "60", "docker", "volume", "create", "stuck"]);
    signal("-CONT");
    assert_ne!(stuck.code, Some(0), "{stuck:?}");
    assert_eq!(up.launched(), 2);
    assert_eq!(up.0.records().len(), 1);

    // Killed in the middle of a launch, which the next one settles before it begins.
    up.sdocker(&["terminate-current-host"]).expect(0);
    let mut network = up.0.command("docker");
    let mut network = network.args(["network", "create", "n"]).stderr(Stdio::null()).spawn().expect("it runs");
    eventually(Duration::from_secs(60), "the launch has begun", || {
        up.0.records().first().is_some_and(|record| !record["instance"].is_null()).then_some(())
    });
    kill(up.socket_process());
    assert!(!network.wait().expect("it ends").success());
    up.sdocker(&["status"]);
    eventually(Duration::from_secs(20), "it is answered", || (up.docker(&["ps"]).code == Some(0)).then_some(()));
    up.docker(&["network", "create", "n"]).expect(0);
    assert_eq!(up.0.records().len(), 1, "one host, and no record of another");

    // Taken away in the middle of a launch.
    up.sdocker(&["terminate-current-host"]).expect(0);
    let mut network = up.0.command("docker");
    let mut network = network.args(["network", "create", "n"]).stderr(Stdio::null()).spawn().expect("it runs");
    eventually(Duration::from_secs(60), "the launch has begun", || {
        up.0.records().first().is_some_and(|record| !record["instance"].is_null()).then_some(())
    });
    up.sdocker(&["down"]).expect(0);
    assert!(!network.wait().expect("it ends").success());
    assert_eq!(up.0.records(), Vec::<Value>::new());
    let instances = fs::read_dir(up.0.join(".sdocker/sandbox/instances")).expect("there").count();
    assert_eq!(instances, 0, "it was undone");
}

/// It is said before, by the host and by every command; `doctor` says how the socket is; and events go on over an idle end.
#[test]
fn what_goes_with_a_host_is_said_before_its_end() {
    let Some(up) = Up::with(Docker::Old, &["--idle-timeout", "1m"]) else { return };
    let about_socket = || {
        let findings = up.sdocker(&["doctor", "--output", "json"]).json();
        let findings = findings["findings"].as_array().expect("a list").clone();
        let ours = findings.into_iter().filter(|finding| finding["subject"] == "socket");
        ours.map(|finding| format!("{}: {}", finding["state"], finding["what"])).collect::<Vec<_>>()
    };
    let found = about_socket();
    assert!(found.len() == 1 && found[0].starts_with("\"ok\"") && found[0].contains("a c5.xlarge"), "{found:?}");
    let mut events = Events::of(&up);
    up.import().expect(0);
    up.docker(&["run", "--name", "left", "box:1", "echo"]).expect(0);
    up.docker(&["volume", "create", "data"]).expect(0);
    let host = up.status()["name"].as_str().expect("a host").to_owned();
    let lost = "and with it container left; image box:1; volume data";
    // No command asks the host more than once: whoever asks all the time uses it.
    let account = up.0.join(".sdocker/hosts").join(&host).join("status");
    eventually(Duration::from_secs(120), "the host itself warns", || {
        fs::read_to_string(&account).expect("there").contains(lost).then_some(())
    });
    let said = up.sdocker(&["status"]).expect(0);
    let warning =
        said.stdout.lines().find(|line| line.contains("life warning: the host ends itself at") && line.contains(lost));
    assert!(warning.is_some(), "{said:?}");
    assert!(said.stderr.contains(&format!("{host} ends itself at ")) && said.stderr.contains(lost), "{said:?}");
    let log = fs::read_to_string(up.log()).expect("there");
    assert!(log.contains("unless it is used or kept"), "{log}");

    eventually(Duration::from_secs(240), "it ends itself", || (!up.instance(&host).exists()).then_some(()));
    let gone = up.docker(&["start", "left"]).expect(1).stderr;
    assert!(gone.contains(&format!("its host {host} ended at")), "{gone}");
    assert_eq!(up.launched(), 1);
    up.docker(&["volume", "create", "again"]).expect(0);
    assert!(events.tell("create again"), "events go on over an idle end");
    assert_eq!(up.launched(), 2);

    // What leads elsewhere is found.
    up.docker(&["context", "use", "default"]).expect(0);
    let found = about_socket();
    assert!(found.iter().any(|found| found.contains("docker's context is default, and not sdocker")), "{found:?}");
}

/// An idle host that stops keeps what it has; the next request that needs a host starts it again, and nothing is launched.
#[test]
fn a_host_that_stops_is_started_again_with_what_it_had() {
    let options = ["--idle-timeout", "1m", "--max-lifetime", "5d", "--on-idle", "stop"];
    let Some(up) = Up::with(Docker::Old, &options) else { return };
    up.import().expect(0);
    up.docker(&["run", "--name", "left", "-v", "data:/data", "box:1", "touch", "/data/kept"]).expect(0);
    let serves = ["run", "-d", "--name", "web", "--restart", "unless-stopped", "--label", "sdocker.idle=ignore"];
    up.docker(&[&serves[..], &["box:1", "sleep", "100000"]].concat()).expect(0);
    let began = up.status();
    let host = began["name"].as_str().expect("a host").to_owned();
    let instance = began["instance_id"].as_str().expect("an id").to_owned();
    eventually(Duration::from_secs(240), "it stops itself", || {
        up.instance(&host).join("stopped").exists().then_some(())
    });
    // What it has is neither listed nor denied, and asking starts nothing.
    for request in [&["ps", "-a"][..], &["images"], &["inspect", "left"], &["start", "left"]] {
        let said = up.docker(request).expect(1).stderr;
        assert!(said.contains(&format!("its host {host} is stopped")), "{request:?}: {said}");
    }
    let stopped = up.sdocker(&["status", "--instance-id", &instance, "--output", "json"]).expect(0).json();
    assert_eq!((&stopped["state"], &stopped["disk"]["is_due"]), (&Value::from("stopped"), &Value::from(false)));
    let account = fs::read_to_string(up.0.join(".sdocker/hosts").join(&host).join("status")).expect("there");
    assert!(account.contains("life info the host stops itself, and keeps its disk"), "{account}");
    assert!(!account.contains("and with it"), "nothing is lost: {account}");

    // The image is in no registry, so that nobody could pull it.
    let read = ["run", "--rm", "-v", "data:/data", "box:1", "sh", "-c", "[ -e /data/kept ] && echo kept"];
    assert_eq!(up.docker(&read).expect(0).stdout.trim(), "kept");
    assert_eq!(up.docker(&["inspect", "-f", "{{.State.Running}}", "web"]).expect(0).stdout.trim(), "true");
    up.docker(&["start", "left"]).expect(0);
    let again = up.status();
    assert_eq!((&again["name"], &again["endpoint"]), (&began["name"], &began["endpoint"]));
    assert_eq!((up.launched(), up.0.records().len()), (1, 1));
    let log = fs::read_to_string(up.log()).expect("there");
    assert!(log.contains(&format!("starting {instance}")), "{log}");
    up.sdocker(&["terminate-current-host"]).expect(0);
    assert!(!up.instance(&host).exists(), "its disk goes with it");
}

/// Short of an answer from EC2, a host that is out of reach is there: nothing is launched, and what waits goes on when it is back.
#[test]
fn the_network_is_cut_at_each_stage() {
    let Some(up) = Up::with(Docker::Old, &[]) else { return };
    // While it boots: its client waits, and is told how it comes along.
    up.hold();
    let mut network = up.0.command("docker").args(["network", "create", "n"]).spawn().expect("it runs");
    let host = up.launching();
    up.link(&host, "down");
    up.let_go();
    let account = up.0.join(".sdocker/hosts").join(&host).join("status");
    eventually(Duration::from_secs(90), "it is ready, and out of reach", || {
        fs::read_to_string(&account).expect("there").contains("ready done").then_some(())
    });
    assert!(network.try_wait().expect("it is a child").is_none(), "the client waits");
    up.link(&host, "up");
    assert!(network.wait().expect("it ends").success());

    // In the middle of a stream, which goes on as TCP does.
    up.import().expect(0);
    let mut command = up.0.command("docker");
    let cat = command.args(["run", "--rm", "-i", "box:1", "cat"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut cat = cat.spawn().expect("it runs");
    let mut lines = BufReader::new(cat.stdout.take().expect("piped")).lines();
    let mut stdin = cat.stdin.take().expect("piped");
    for (line, state) in [("before", "down"), ("meanwhile", "up"), ("after", "up")] {
        writeln!(stdin, "{line}").expect("written");
        if state == "up" {
            up.link(&host, state);
        }
        assert_eq!(lines.next().expect("a line").expect("read"), line);
        up.link(&host, state);
    }
    drop(stdin);
    assert!(cat.wait().expect("it ends").success());

    // While nothing goes on: what needs it is refused, and launches nothing.
    let mut events = Events::of(&up);
    up.docker(&["volume", "create", "seen"]).expect(0);
    assert!(events.tell("create seen"));
    up.link(&host, "down");
    for request in [&["volume", "create", "later"][..], &["ps"]] {
        let refused = up.docker(request);
        assert!(refused.code == Some(1) && refused.stderr.contains("does not answer"), "{refused:?}");
    }
    assert_eq!((up.launched(), up.0.records().len()), (1, 1));
    up.link(&host, "up");
    eventually(Duration::from_secs(60), "it answers again", || {
        (up.docker(&["volume", "create", "later"]).code == Some(0)).then_some(())
    });
    assert!(events.tell("create later"), "events go on over a cut");

    // It ends out of reach: EC2 says so, and another may be launched.
    up.link(&host, "down");
    end_host(&up, &host);
    eventually(Duration::from_secs(60), "its end is seen", || (up.docker(&["ps"]).code == Some(0)).then_some(()));
    assert_eq!(up.docker(&["volume", "ls", "-q"]).expect(0).stdout, "");
    assert_eq!((up.launched(), up.0.records()), (1, Vec::new()));
    up.docker(&["volume", "create", "third"]).expect(0);
    assert_eq!(up.launched(), 2);
}

/// Clients end, nothing is paid twice, and nothing is left.
#[test]
fn host_and_process_are_killed_at_each_stage() {
    let Some(up) = Up::with(Docker::Old, &[]) else { return };
    let spawn = |arguments: &[&str]| {
        let mut command = up.0.command("docker");
        let command = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("it runs")
    };
    // The host, while it boots, under a pull that shows how it comes along.
    up.hold();
    let mut pull = spawn(&["pull", "127.0.0.1:9/none"]);
    let mut shown = BufReader::new(pull.stdout.take().expect("piped")).lines().map_while(Result::ok);
    assert!(shown.any(|line| line.contains("sdocker: launching c5.xlarge")), "from the first second");
    let host = up.launching();
    end_host(&up, &host);
    let failed = Run::new(pull.wait_with_output().expect("it ends")).expect(1);
    assert!(failed.stderr.contains("no host was launched"), "{failed:?}");
    assert_eq!((up.launched(), up.0.records()), (1, Vec::new()), "it was undone");
    fs::remove_file(up.0.join("hold")).expect("there");
    // Another wish, and no pause.
    up.sdocker(&["up", "m5.xlarge"]).expect(0);

    // The host and the process, under a container whose output is followed.
    up.import().expect(0);
    for kills in ["the process", "the host"] {
        let mut run = spawn(&["run", "--rm", "-i", "box:1", "sh", "-c", "echo there; cat"]);
        let mut said = BufReader::new(run.stdout.take().expect("piped")).lines();
        assert_eq!(said.next().expect("a line").expect("read"), "there");
        let host = up.status()["name"].as_str().expect("a host").to_owned();
        if kills == "the process" {
            kill(up.socket_process());
        } else {
            end_host(&up, &host);
        }
        // Its input does not end before it.
        let _input = run.stdin.take();
        let ended = Run::new(run.wait_with_output().expect("it ends"));
        assert_ne!(ended.code, Some(0), "{kills}: the client is told: {ended:?}");
        up.sdocker(&["status"]);
        eventually(Duration::from_secs(60), kills, || (up.docker(&["ps"]).code == Some(0)).then_some(()));
        assert_eq!(up.launched(), 2, "{kills}: nothing is launched for it");
    }
    eventually(Duration::from_secs(60), "its end is seen", || {
        (up.docker(&["ps"]).code == Some(0) && up.0.records().is_empty()).then_some(())
    });
    assert_eq!(up.launched(), 2, "nothing is launched for it");

    // Both, while it boots.
    up.hold();
    let network = spawn(&["network", "create", "n"]);
    let host = up.launching();
    kill(up.socket_process());
    end_host(&up, &host);
    Run::new(network.wait_with_output().expect("it ends")).expect(1);
    fs::remove_file(up.0.join("hold")).expect("there");
    up.sdocker(&["status"]);
    eventually(Duration::from_secs(60), "it is answered", || (up.docker(&["ps"]).code == Some(0)).then_some(()));
    up.docker(&["network", "create", "n"]).expect(0);
    assert_eq!(up.0.records().len(), 1, "one host, and no record of another");
    let instances = fs::read_dir(up.0.join(".sdocker/sandbox/instances")).expect("there").count();
    assert_eq!(instances, 1);
}

/// Neither whoever restarts the process nor another command gets round the pause; another wish does.
#[test]
fn a_launch_that_failed_is_not_repeated_by_a_restart() {
    let Some(up) = Up::with(Docker::Old, &[]) else { return };
    fs::write(up.0.join("broken"), "").expect("written");
    let failed = up.docker(&["network", "create", "n"]).expect(1).stderr;
    assert!(failed.contains("no host was launched") && failed.contains("dockerd ended"), "{failed}");
    assert_eq!((up.launched(), up.0.records()), (1, Vec::new()), "it was undone");
    kill(up.socket_process());
    eventually(Duration::from_secs(20), "it is gone", || up.processes(SOCKET).is_empty().then_some(()));
    up.sdocker(&["status"]).expect(0);
    eventually(Duration::from_secs(20), "it is answered", || (up.docker(&["ps"]).code == Some(0)).then_some(()));
    let again = up.docker(&["network", "create", "n"]).expect(1).stderr;
    assert!(again.contains("dockerd ended"), "{again}");
    // A slow machine may have let the pause pass.
    let paused = again.contains("nothing is launched for another");
    assert_eq!(up.launched(), if paused { 1 } else { 2 }, "{again}");
    eventually(Duration::from_secs(20), "it is said", || {
        up.sdocker(&["status"]).expect(0).stdout.contains("no host was launched").then_some(())
    });
    fs::remove_file(up.0.join("broken")).expect("there");
    let before = up.launched();
    up.sdocker(&["up", "m5.xlarge"]).expect(0);
    up.docker(&["network", "create", "n"]).expect(0);
    assert_eq!(up.launched(), before + 1);
    // Each counts, whatever became of it and of the process.
    let launches = fs::read_to_string(up.0.join(".sdocker/launches.json")).expect("there");
    let launches: Value = serde_json::from_str(&launches).expect("JSON");
    assert_eq!((launches["begun"].as_array().map(Vec::len), &launches["failure"]), (Some(before + 1), &Value::Null));
}

/// Today's Studio: what containers bind is the app's, which no host mounts.
#[test]
fn a_space_has_its_folders_on_a_host_that_comes_when_it_is_needed() {
    let Some(space) = Space::open() else { return };
    let home = &space.home;
    for (name, text) in [("project/f", "from the app"), (".cache/models/f", "hidden")] {
        fs::create_dir_all(home.join(name).parent().expect("a folder")).expect("made");
        fs::write(home.join(name), text).expect("written");
    }
    home.give();
    home.sdocker(&["up", "c5.xlarge"]).expect(0);
    assert_eq!(space.front().live(), Vec::<String>::new());
    let shell = |script: &str| home.run("sh", &["-c", script]);
    let image = "mkdir -p /tmp/image/bin && cp /bin/busybox /tmp/image/bin && cd /tmp/image/bin && for name in sh cat ls touch; do \
        ln -s busybox $name; done && tar -C /tmp/image -c . | docker import -c 'ENV PATH=/bin' - box:1 && rm -r /tmp/image";
    shell(image).expect(0);
    assert_eq!(space.front().live().len(), 1);

    // In the home, which is lent; and elsewhere, which is shared with the container that asks.
    let run = |bind: &str, script: &str| home.run("docker", &["run", "--rm", "-v", bind, "box:1", "sh", "-c", script]);
    let project = home.inside("project").display().to_string();
    assert_eq!(run(&format!("{project}:/work"), "cat /work/f; touch /work/made").expect(0).stdout, "from the app");
    assert!(home.join("project/made").exists());
    shell("mkdir -p /tmp/data/inner && echo -n elsewhere >/tmp/data/inner/f && ln -s /tmp/data /tmp/link").expect(0);
    for bind in ["/tmp/link:/data", "/tmp/data:/data"] {
        assert_eq!(run(bind, "cat /data/inner/f; touch /data/made").expect(0).stdout, "elsewhere");
        shell("rm /tmp/data/made").expect(0);
    }
    assert_eq!(run("/tmp/data/inner:/data", "cat /data/f").expect(0).stdout, "elsewhere");

    // A single file, as configurations are given to containers: in the home, elsewhere, and by an editor's way of writing.
    assert_eq!(run(&format!("{project}/f:/etc/file.conf:ro"), "cat /etc/file.conf").expect(0).stdout, "from the app");
    shell("mkdir /tmp/conf && echo -n one >/tmp/conf/file.conf").expect(0);
    let mount = "type=bind,source=/tmp/conf/file.conf,target=/etc/file.conf";
    let read = ["run", "--rm", "--mount", mount, "box:1", "cat", "/etc/file.conf"];
    assert_eq!(home.run("docker", &read).expect(0).stdout, "one");
    shell("echo -n another >/tmp/conf/new && mv /tmp/conf/new /tmp/conf/file.conf").expect(0);
    assert_eq!(home.run("docker", &read).expect(0).stdout, "another");
    assert_eq!(
        run("/tmp/conf/file.conf:/f", "ls -A / | grep -c conf").expect(1).stdout,
        "0\n",
        "only the file is seen"
    );

    // A volume that is a folder of the app, and a folder around one that is shared already.
    let device = "device=/tmp/link/inner";
    let volume = ["volume", "create", "-d", "local", "-o", "type=none", "-o", "o=bind", "-o", device, "bound"];
    home.run("docker", &volume).expect(0);
    assert_eq!(run("bound:/data", "cat /data/f").expect(0).stdout, "elsewhere");
    shell("mkdir -p /tmp/outer/inner && echo -n inner >/tmp/outer/inner/f").expect(0);
    home.run(
        "docker",
        &["run", "-di", "--name", "stays", "-v", "/tmp/outer/inner:/data", "box:1", "sh", "-c", "read wait"],
    )
    .expect(0);
    let outer = run("/tmp/outer:/data", "cat /data/inner/f").expect(125).stderr;
    assert!(outer.contains("/tmp/outer/inner, which is in it, is on this host by itself"), "{outer}");
    home.run("docker", &["rm", "-f", "stays"]).expect(0);

    // What can't be had is said, and no empty folder is in its place.
    shell("python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"/tmp/socket\")'").expect(0);
    for (bind, why) in [
        (format!("{}:/m", home.inside(".cache/models").display()), "is hidden in"),
        ("/etc/hostname:/m".to_owned(), "can't be shared"),
        ("/tmp/socket:/m".to_owned(), "it is a socket"),
        ("/usr/bin:/m".to_owned(), "can't be shared"),
        (format!("{}:/m", home.inside(".sdocker").display()), "is hidden in"),
    ] {
        let refused = run(&bind, "ls /m");
        assert_eq!(refused.code, Some(125), "{bind}: {refused:?}");
        assert!(refused.stderr.contains(why), "{bind}: {}", refused.stderr);
    }

    // sdocker's own are not seen, nor are they in the way.
    assert_eq!(home.run("docker", &["ps", "-aq"]).expect(0).stdout, "");
    assert_eq!(home.run("docker", &["images", "--format", "{{.Repository}}"]).expect(0).stdout, "box\n");
    assert_eq!(home.run("docker", &["info", "-f", "{{.Containers}} {{.Images}}"]).expect(0).stdout, "0 1\n");
    home.run("docker", &["system", "prune", "-f"]).expect(0);
    assert_eq!(run("/tmp/data:/data", "cat /data/inner/f").expect(0).stdout, "elsewhere");

    // What containers have goes on when the process was killed and another takes its place.
    home.run("docker", &["run", "-di", "--name", "reads", "-v", "/tmp/data:/data", "box:1", "sh", "-c", "read wait"])
        .expect(0);
    let processes = space.processes(SOCKET);
    assert_eq!(processes.len(), 1, "{processes:?}");
    kill(processes[0].parse().expect("a number"));
    eventually(Duration::from_secs(20), "it is gone", || space.processes(SOCKET).is_empty().then_some(()));
    home.sdocker(&["status"]).expect(0);
    let reads = ["exec", "reads", "cat", "/data/inner/f"];
    eventually(Duration::from_secs(60), "it is answered", || {
        (home.run("docker", &["ps"]).code == Some(0)).then_some(())
    });
    assert_eq!(home.run("docker", &reads).expect(0).stdout, "elsewhere");

    home.sdocker(&["down"]).expect(0);
    home.sdocker(&["terminate-current-host"]).expect(0);
    for process in [SOCKET, " link --host "] {
        eventually(Duration::from_secs(60), process, || space.processes(process).is_empty().then_some(()));
    }
}

/// What a space's image has for `sudo`: the user, and a `/run` of its own. Nobody may use it yet.
const WITH_SUDO: &str = r#"
    set -e
    mount -t tmpfs -o mode=755 tmpfs /run
    grep -v '^[^:]*:[^:]*:1000:' /etc/passwd >/run/passwd
    echo 'sagemaker-user:*:1000:100::/home/sagemaker-user:/bin/sh' >>/run/passwd
    cp -p /etc/sudoers /run/sudoers
    for file in passwd sudoers; do mount --bind "/run/$file" "/etc/$file"; done
"#;

/// As images for Studio have it (aws-samples/sagemaker-studio-custom-image-samples, `examples/echo-kernel-image/Dockerfile`).
const MAY_USE_SUDO: &str = "echo 'sagemaker-user ALL=(ALL) NOPASSWD:ALL' >>/etc/sudoers";

/// What knows neither contexts nor variables finds the socket where Docker's usually is, if that place is free and the user may.
#[test]
fn the_usual_socket_leads_to_this_one_where_none_is() {
    if !Command::new("sudo").arg("-V").stdout(Stdio::null()).status().is_ok_and(|status| status.success()) {
        return skip("the usual socket is linked by sudo");
    }
    let Some(space) = Space::open() else { return };
    let home = &space.home;
    space.as_root(WITH_SUDO).expect(0);
    let up = || home.sdocker(&["up", "c5.xlarge", "--output", "json"]).expect(0);
    let docker = |arguments: &[&str]| {
        let mut docker = home.command("docker");
        Run::new(docker.args(arguments).env("DOCKER_CONFIG", "/tmp/none").output().expect("it runs"))
    };
    // Without the right to, the user is told what to set.
    let refused = up();
    assert!(refused.json()["linked"].is_null(), "{refused:?}");
    assert!(
        refused.stderr.contains("clients that do not support contexts need `export DOCKER_HOST=unix://"),
        "{refused:?}"
    );
    assert!(docker(&["ps"]).expect(1).stderr.contains("/var/run/docker.sock"));
    home.sdocker(&["down"]).expect(0);

    space.as_root(MAY_USE_SUDO).expect(0);
    let linked = up();
    assert_eq!(linked.json()["linked"], "/var/run/docker.sock", "{linked:?}");
    assert!(!linked.stderr.contains("DOCKER_HOST"), "{linked:?}");
    assert_eq!(docker(&["ps", "-q"]).expect(0).stdout, "");
    assert_eq!(space.front().live(), Vec::<String>::new());
    docker(&["volume", "create", "made"]).expect(0);
    assert_eq!(space.front().live().len(), 1);
    assert_eq!(docker(&["volume", "ls", "-q"]).expect(0).stdout, "made\n");

    // The app is started again: what is not in the home is as at first.
    kill(space.processes(SOCKET)[0].parse().expect("a number"));
    eventually(Duration::from_secs(20), "it is gone", || space.processes(SOCKET).is_empty().then_some(()));
    space.as_root("rm /run/docker.sock").expect(0);
    home.sdocker(&["status"]).expect(0);
    eventually(Duration::from_secs(20), "it is linked again", || (docker(&["ps"]).code == Some(0)).then_some(()));

    home.sdocker(&["down"]).expect(0);
    assert_eq!(space.as_root("ls -A /run | grep sock").stdout, "");

    // What is there is somebody else's: a link that leads nowhere, and the socket of a daemon.
    for make in [
        "ln -s /run/another.sock /run/docker.sock",
        "python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"/run/docker.sock\")'",
    ] {
        space.as_root(make).expect(0);
        let before = space.as_root("stat -c '%i %Y %N' /run/docker.sock").expect(0).stdout;
        assert!(up().json()["linked"].is_null(), "{make}");
        home.sdocker(&["down"]).expect(0);
        assert_eq!(space.as_root("stat -c '%i %Y %N' /run/docker.sock").expect(0).stdout, before, "{make}");
        space.as_root("rm /run/docker.sock").expect(0);
    }
    home.sdocker(&["terminate-current-host"]).expect(0);
    eventually(Duration::from_secs(60), "the link's process ends", || {
        space.processes(" link --host ").is_empty().then_some(())
    });
}
