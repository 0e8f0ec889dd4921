//! A host's real user data, run by real cloud-init on a booted machine, with EFS, a registry and instance metadata beside it.
#![expect(clippy::print_stdout, reason = "docs/host.md quotes what was measured")]

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    os::unix::fs::{PermissionsExt as _, symlink},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bytes::Bytes;
use docker_remote::{
    BuildRequest, Client, Endpoint, HostCredentials, HostNames, InstanceStatus, InstanceWatch, NotReady, ProbeError,
    ReadyEvent, RunRequest, StageLine, StageSource as _, StageState, StatusFile, WriteServerKey, probe_once,
    wait_until_ready,
};
use futures_util::{StreamExt as _, stream};
use host_provisioner::{Bootstrap, render_user_data};
use sdocker_tests::{Home, Machine, Subnet, eventually, network};
use serde_json::{Value, json};
use tokio::time::sleep;

/// How long a machine may take to come up, beside other suites.
const BOOT: Duration = Duration::from_secs(900);
/// How long it may take for anything else.
const WORK: Duration = Duration::from_secs(300);
/// What a use has to outlast, in seconds. Nobody waits for that: the machine's clock is set.
const IDLE: u64 = 60;
/// The same on a host of a space, which has to be used before.
const SPACE_IDLE: u64 = 900;
/// The host's name: its type, and [`Subnet::INSTANCE`].
const NAME: &str = "c5.xlarge_i-0aaaaaaaaaaaaaaaa";

/// A host that boots.
struct Host {
    subnet: Subnet,
    machine: Machine,
    credentials: HostCredentials,
    /// The home of the app that it was created from, as that has it after `create-host`.
    home: Home,
    /// Whether the app is a space, which shares no storage with it.
    of_space: bool,
}

/// A running `sdocker share`: a folder of the app that the host has by it.
struct Lent {
    client: Child,
    folder: PathBuf,
}

impl Lent {
    /// Ends it, when the host has gone: it waits for nobody.
    fn ends_without_its_host(mut self) {
        run(Command::new("kill").arg(self.client.id().to_string()));
        let ended = eventually(WORK, "its end", || self.client.try_wait().expect("a child"));
        assert!(ended.code().is_some(), "{ended}");
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        // The machine may be gone, and its client goes with the test.
        let _ = self.client.kill();
        let _ = self.client.wait();
    }
}

struct Runs;

#[async_trait]
impl InstanceWatch for Runs {
    async fn poll(&self) -> InstanceStatus {
        InstanceStatus::Alive
    }
}

impl Host {
    /// Boots a host: a Spot instance, which is looked at more often, with the user's home at the path that it has in the app.
    fn boot(changes: Value) -> Option<Self> {
        let subnet = Subnet::open()?;
        let names = HostNames { dns: vec![Subnet::HOST_NAME.to_owned()], addresses: vec![Subnet::HOST] };
        let (now, day) = (std::time::SystemTime::now(), Duration::from_secs(86400));
        let credentials = HostCredentials::generate(&names, now, day).expect("generated");
        let host = Self::boot_with(subnet, credentials, changes);
        // The client learns the instance's name only once it runs: the machine boots meanwhile.
        host.credentials.write(&host.folder().join("certs"), WriteServerKey::Yes).expect("written");
        host.is_kept();
        Some(host)
    }

    /// However slow it is, it does not end from now on, until the test uses it.
    fn is_kept(&self) {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs();
        fs::write(self.folder().join("keep-until"), format!("{}\n", now + 3600)).expect("written");
        self.subnet.give_to_owner();
    }

    /// From now on only what happens on it keeps it.
    fn is_kept_no_longer(&self) {
        fs::remove_file(self.folder().join("keep-until")).expect("there");
    }

    /// Boots a host of a space: it mounts nothing, and its identity, made before anybody knew its address, is in its user data.
    fn boot_for_space(mut changes: Value) -> Option<Self> {
        let subnet = Subnet::open()?;
        let names = HostNames { dns: vec!["*.ec2.internal".to_owned()], addresses: Vec::new() };
        let (now, day) = (std::time::SystemTime::now(), Duration::from_secs(86400));
        let credentials = HostCredentials::generate_with_issuer(&names, now, day).expect("generated");
        let (issuer, issuer_key) = credentials.issuer().expect("there");
        let embedded = json!({
            "ca": credentials.ca_certificate(), "certificate": credentials.server_certificate(), "key": credentials.server_key(),
            "issuer": issuer, "issuer_key": issuer_key,
        });
        // Nothing keeps it from its end until it is used: so it takes longer to be idle.
        let of_space = json!({
            "identity": {"embedded": embedded}, "shared_home": null, "mounts": [], "idle_timeout": {"secs": SPACE_IDLE, "nanos": 0},
        });
        let changes_of = changes.as_object_mut().expect("an object");
        changes_of.extend(of_space.as_object().expect("an object").clone());
        Some(Self { of_space: true, ..Self::boot_with(subnet, credentials, changes) })
    }

    fn boot_with(subnet: Subnet, credentials: HostCredentials, changes: Value) -> Self {
        let mut bootstrap = json!({
            "host": "machine", "region": "eu-west-1", "engine": {"native": {"nvidia": false}}, "daemon_port": 1111, "endpoint_port": 8080,
            "additional_ports": [], "identity": "shared", "shared_home": "/home/sagemaker-user/.sdocker",
            "mounts": [{
                "file_system": "fs-0aaaaaaaaaaaaaaaa", "access_point": null, "address": Subnet::EFS, "remote_path": "/200005",
                "paths": ["/home/sagemaker-user", "/root"],
            }],
            "max_lifetime": {"secs": 7200, "nanos": 0}, "idle_timeout": {"secs": IDLE, "nanos": 0}, "spot": true,
            "proxy": {"http": null, "https": null, "no_proxy": []},
        });
        for (key, value) in changes.as_object().expect("an object") {
            bootstrap[key] = value.clone();
        }
        let bootstrap: Bootstrap = serde_json::from_value(bootstrap).expect("a bootstrap");
        let user_data = render_user_data(&bootstrap).expect("rendered");
        fs::create_dir_all(subnet.efs().join(".sdocker")).expect("made");
        let machine = subnet.boot(user_data.as_bytes());
        let home = Home::new();
        let entry = json!({"InstanceId": Subnet::INSTANCE, "InstanceDns": Subnet::HOST, "Port": 1111, "InstanceType": "c5.xlarge"});
        let certs = home.join(".sdocker/hosts").join(NAME).join("certs");
        credentials.write(&certs, WriteServerKey::No).expect("written");
        fs::write(home.join(".sdocker/sdocker-hosts.conf"), json!({"ActiveHosts": [entry]}).to_string())
            .expect("written");
        Self { subnet, machine, credentials, home, of_space: false }
    }

    /// Begins to use it: a container `busy` runs from now on.
    async fn is_used(&self) {
        self.load_busybox().await;
        self.docker("run -d --name busy busybox:test sleep 36000");
        if !self.of_space {
            self.is_kept_no_longer();
        }
    }

    /// The host's folder in the shared home, as the file server has it.
    fn folder(&self) -> PathBuf {
        self.subnet.efs().join(".sdocker/hosts").join(NAME)
    }

    /// A file that the host has written for its user.
    fn written(&self, name: &str) -> Vec<u8> {
        if self.of_space {
            return self.machine.shell(&format!("cat /run/sdocker/account/{name} || true")).into_bytes();
        }
        fs::read(self.folder().join(name)).unwrap_or_default()
    }

    /// How the host is, as the app's user is told.
    fn status(&self) -> Value {
        self.home.sdocker(&["status", "--instance-id", Subnet::INSTANCE, "--output", "json"]).expect(0).json()
    }

    /// A folder of the app, live on the host from now on.
    fn lends(&self) -> Lent {
        let folder = self.home.join("work");
        fs::create_dir_all(&folder).expect("made");
        let path = folder.to_string_lossy().into_owned();
        let mut client = self.home.sdocker_command(&["share", &path, "--instance-id", Subnet::INSTANCE]);
        let mut client = client.stdout(Stdio::piped()).spawn().expect("it runs");
        let mut said = String::new();
        BufReader::new(client.stdout.take().expect("piped")).read_line(&mut said).expect("read");
        assert!(said.contains("live until Ctrl-C"), "{said}");
        // The agent installs itself first.
        let direct = || (network::connections_to(client.id(), 1112) == 1).then_some(());
        eventually(Duration::from_secs(120), "a connection by the port for files", direct);
        Lent { client, folder }
    }

    /// A container that does its work in the folder, whenever the host starts it: it needs it, and ends without.
    fn works_in(&self, lent: &Lent) {
        let folder = lent.folder.display();
        let script = format!("cat {folder}/from-the-app >>{folder}/seen && exec sleep 36000");
        fs::write(lent.folder.join("from-the-app"), "started\n").expect("written");
        self.docker(&format!(
            "run -d --name working --label sdocker.idle=ignore --stop-signal KILL --restart always -v {folder}:{folder} busybox:test sh -c '{script}'"
        ));
        self.has_worked(lent, 1);
    }

    /// The container that works there can write to the folder while nothing can be written to the host's disk.
    fn works_with_a_full_disk(&self, lent: &Lent) {
        // ext4 keeps 16 MiB to itself (its `reserved_clusters`).
        self.machine.shell("fallocate -l $(($(stat -f -c '%f * %S' /) - (32 << 20))) /var/tmp/brim");
        let folder = lent.folder.display();
        let write = format!(
            "busybox dd if=/dev/zero of=/full bs=1M count=64 2>&1; echo kept >{folder}/kept && cat {folder}/kept"
        );
        let said = self.docker(&format!("exec working sh -c '{write}; busybox rm /full'"));
        assert!(said.contains("No space left on device") && said.ends_with("kept\n"), "{said}");
        assert_eq!(fs::read_to_string(lent.folder.join("kept")).expect("written"), "kept\n");
        self.machine.shell("rm /var/tmp/brim");
    }

    /// Waits until that container has started so often, with the folder.
    fn has_worked(&self, lent: &Lent, times: usize) {
        let seen = || fs::read_to_string(lent.folder.join("seen")).unwrap_or_default();
        eventually(WORK, "a container with the folder", || (seen() == "started\n".repeat(times)).then_some(()));
    }

    fn endpoint() -> Endpoint {
        Endpoint::new(Subnet::HOST.to_string(), 1111)
    }

    /// Waits until it answers; the stages until then.
    async fn ready(&self) -> Result<Vec<StageLine>, NotReady> {
        let stages = StatusFile::new(self.folder().join("status"));
        let mut seen = Vec::new();
        let mut observe = |event| {
            if let ReadyEvent::Stage(line) = event {
                seen.push(line);
            }
        };
        let deadline = tokio::time::Instant::now() + BOOT;
        wait_until_ready(&Self::endpoint(), self.credentials.client(), &Runs, &stages, &mut observe, deadline).await?;
        Ok(seen)
    }

    /// Waits until its bootstrap is over.
    fn is_ready(&self) {
        eventually(WORK, "a stage `ready`", || self.stages().into_iter().find(|(stage, _)| stage == "ready"));
    }

    /// The machine has no GPU, which is said; and with programs in the place of NVIDIA's, what they say.
    fn says_whether_containers_can_use_the_gpu(&self) {
        let gpu = |state| self.lines().into_iter().rev().find(|line| line.stage == "gpu" && line.state == state);
        assert!(gpu(StageState::Warning).is_some_and(|line| line.detail.contains("containers can not use the GPU")));
        self.machine.shell(
            r#"printf '#!/bin/sh\necho "GPU 0: T4"\n' >/usr/local/bin/nvidia-smi; chmod 755 /usr/local/bin/nvidia-smi; sed -i '0,/{/s//{"runtimes": {"nvidia": {"path": "runc"}}, /' /etc/docker/daemon.json; systemctl reload docker; systemctl restart sdocker-bootstrap"#,
        );
        let found = eventually(WORK, "a line about the GPU", || gpu(StageState::Done));
        assert_eq!(found.detail, "1 GPU, NVIDIA runtime");
    }

    /// What its bootstrap and its end have said.
    fn lines(&self) -> Vec<StageLine> {
        docker_remote::stages_in(&String::from_utf8_lossy(&self.written("status")))
    }

    /// The stages that ended, in order, with what each took.
    fn stages(&self) -> Vec<(String, String)> {
        let done = self.lines().into_iter().filter(|line| line.state == StageState::Done);
        done.map(|line| (line.stage, line.detail)).collect()
    }

    /// What the host wrote is the user's, who can remove it: the app is not root on the file system.
    fn writes_as_the_owner(&self) {
        let written =
            ["status", "life.json", "logs/bootstrap.log", "logs/dockerd.log"].map(|name| self.folder().join(name));
        eventually(WORK, "what the host writes", || written.iter().all(|path| path.is_file()).then_some(()));
        assert_eq!(self.subnet.not_the_owners(), "");
    }

    /// What containers may have put into the shared folder leads the host nowhere: links, pipes, devices, whoever owns them.
    async fn follows_nothing_in_the_shared_folder(&self) {
        let before = self.life().expect("there")["checked_at"].clone();
        self.machine.shell("echo untouched | tee /etc/victim >/home/victim; chown 200005 /home/victim; mkdir -p /home/victims; chown 200005 /home/victims");
        let folder = self.folder();
        for name in ["life.json", "logs/dockerd.log"] {
            fs::remove_file(folder.join(name)).expect("there");
        }
        symlink("/etc/victim", folder.join("life.json")).expect("linked");
        symlink("/home/victim", folder.join("logs/dockerd.log")).expect("linked");
        symlink("/home/victim", folder.join("logs/.dockerd.log")).expect("linked");
        run(Command::new("mkfifo").arg(folder.join("keep-until")));
        let written = || {
            let plain = |name: &str| fs::symlink_metadata(folder.join(name)).is_ok_and(|found| found.is_file());
            (plain("life.json") && plain("logs/dockerd.log")).then_some(())
        };
        eventually(WORK, "the host's own files in the place of links", written);
        // It looks by itself.
        self.looks("a look beside a pipe", |life| life["checked_at"].as_str() > before.as_str(), None).await;
        fs::remove_file(folder.join("keep-until")).expect("there");
        // A folder that is elsewhere.
        fs::rename(folder.join("logs"), folder.join("logs.before")).expect("renamed");
        symlink("/home/victims", folder.join("logs")).expect("linked");
        let seen = self.life().expect("there")["checked_at"].clone();
        self.look("a look beside a folder elsewhere", |life| life["checked_at"].as_str() > seen.as_str()).await;
        fs::remove_file(folder.join("logs")).expect("there");
        fs::rename(folder.join("logs.before"), folder.join("logs")).expect("renamed");
        assert_eq!(self.machine.shell("cat /etc/victim /home/victim; ls -A /home/victims"), "untouched\nuntouched\n");
        assert_eq!(self.subnet.not_the_owners(), "");
    }

    /// Waits until a stage has failed, for this reason. Nobody is there with whom to share a status: it is kept on the machine.
    fn fails(&self, stage: &str, why: &str) {
        let failed = eventually(BOOT, stage, || {
            let status = self.machine.shell("cat /var/lib/sdocker/status || true");
            status.lines().rfind(|line| line.contains(&format!(" {stage} failed "))).map(str::to_owned)
        });
        assert!(failed.contains(why), "{failed}");
    }

    /// What the watch said last.
    fn life(&self) -> Option<Value> {
        serde_json::from_slice(&self.written("life.json")).ok()
    }

    /// Waits for a look of the watch that satisfies, and has it look meanwhile: it would do so once a minute.
    async fn look(&self, what: &str, satisfies: impl Fn(&Value) -> bool) -> Value {
        self.looks(what, satisfies, Some(Duration::from_secs(8))).await
    }

    /// The same, where it is asked to look so often, or not at all.
    async fn looks(&self, what: &str, satisfies: impl Fn(&Value) -> bool, asked: Option<Duration>) -> Value {
        let (began, mut last) = (Instant::now(), None::<Instant>);
        // To read it is the machine's own work, where nothing is shared.
        let pause = Duration::from_millis(if self.of_space { 1000 } else { 200 });
        loop {
            if let Some(life) = self.life().filter(|life| satisfies(life)) {
                return life;
            }
            if let Some(asked) = asked
                && last.is_none_or(|last| last.elapsed() > asked)
            {
                self.machine.shell("systemctl start --no-block sdocker-idle");
                last = Some(Instant::now());
            }
            assert!(began.elapsed() < WORK, "the watch does not say: {what}; it says {:?}", self.life());
            sleep(pause).await;
        }
    }

    /// What it shares no storage for, it tells through its daemon, by containers of which nothing remains.
    fn tells_of_itself_through_its_daemon(&self) {
        let told = eventually(WORK, "what the host says of itself", || {
            Some(self.status()).filter(|told| told["life"]["uses"].to_string().contains("running containers: busy"))
        });
        assert!(
            told["stages"].as_array().is_some_and(|stages| stages.iter().any(|stage| stage["stage"] == "ready")),
            "{told}"
        );
        let logs = self.home.join(".sdocker/hosts").join(NAME).join("logs");
        let log = |name: &str| fs::read_to_string(logs.join(name)).unwrap_or_default();
        assert!(log("dockerd.log").contains("API listen on"), "{}", log("dockerd.log"));
        assert_ne!(log("bootstrap.log"), "");
        assert_eq!(self.docker("ps -aq --filter status=created"), "");
    }

    /// Programs run there as root, and files are copied there and back, through its daemon; and its logs are read.
    fn is_within_reach(&self) {
        let shell = |command: &str| self.home.sdocker(&["shell", Subnet::INSTANCE, "--", "sh", "-c", command]);
        let facts = "cat /etc/sdocker/installed /proc/sys/kernel/random/boot_id /proc/1/comm; pidof dockerd";
        let run = shell(&format!("id -u; {facts}; echo no >&2; exit 7")).expect(7);
        assert_eq!(run.stdout, format!("0\n{}", self.machine.shell(facts)));
        assert!(run.stdout.contains("\nsystemd\n") && run.stderr.ends_with("no\n"), "{run:?}");

        let (sent, back) = (self.home.join("sent"), self.home.join("back"));
        fs::create_dir_all(sent.join("sub")).expect("made");
        fs::write(sent.join("sub/run.sh"), "#!/bin/sh\necho ran\n").expect("written");
        fs::set_permissions(sent.join("sub/run.sh"), fs::Permissions::from_mode(0o755)).expect("set");
        let copy = |from: &str, to: &str| self.home.sdocker(&["cp", from, to]).expect(0);
        let there = format!("{NAME}:/srv/sent");
        copy(&sent.to_string_lossy(), &there);
        let found =
            self.machine.shell("/srv/sent/sub/run.sh; stat -c '%u %a' /srv/sent/sub/run.sh; echo more >/srv/sent/more");
        assert_eq!(found, "ran\n0 755\n");
        copy(&there, &back.to_string_lossy());
        assert_eq!(fs::read_to_string(back.join("sub/run.sh")).expect("read"), "#!/bin/sh\necho ran\n");
        assert_eq!(fs::read_to_string(back.join("more")).expect("read"), "more\n");

        let log = |name: &str| self.home.sdocker(&["logs", name, Subnet::INSTANCE]).expect(0).stdout;
        assert!(log("dockerd").contains("API listen on"), "{}", log("dockerd"));
        // As the host has it.
        assert_eq!(log("bootstrap").trim(), self.machine.shell("cat /var/lib/sdocker/bootstrap.log").trim());
        let life = log("life");
        assert!(life.contains(" ready done ") && life.contains("running containers: busy"), "{life}");
        assert_eq!(self.docker("ps -aq --filter status=created"), "");
    }

    /// Idle, it powers itself off, and keeps its disk. Booted from it again it is the same host, with what it had.
    async fn stops_and_starts_again(&mut self) {
        self.docker("run --name stopped busybox:test sh -c 'echo >/kept'");
        let daemon = self.docker("info -f '{{.ID}}'");
        self.look("nobody", |life| life["uses"] == json!([])).await;
        self.after(self.idle());
        self.powers_off(WORK.as_secs()).await;
        self.machine.boots_again();
        self.ready().await.expect("it comes back");
        assert_eq!(self.docker("info -f '{{.ID}}'"), daemon);
        assert_eq!(self.docker("images -q busybox:test").lines().count(), 1);
        assert_eq!(self.docker("ps -a --filter name=stopped --format '{{.State}}'"), "exited\n");
        let changes = self.docker("diff stopped");
        assert!(changes.lines().any(|change| change == "A /kept"), "{changes}");
        let said = self.lines().into_iter().rev().find(|line| line.stage == "life" && line.state == StageState::Info);
        let why = "the host stops itself, and keeps its disk: it was idle since ";
        assert!(said.as_ref().is_some_and(|said| said.detail.starts_with(why)), "{said:?}");
    }

    /// Starts it anew, and waits until it is back. No container holds that up.
    async fn reboots(&self) {
        let patience = self.machine.shell("systemctl show -P TimeoutStopUSec 'docker-*.scope' | sort -u");
        assert_eq!(patience.trim(), "10s");
        self.machine.reboot(BOOT);
        self.ready().await.expect("it comes back");
    }

    /// For how long it may be without use.
    fn idle(&self) -> u64 {
        if self.of_space { SPACE_IDLE } else { IDLE }
    }

    /// Lets time pass on the machine by its clock, and has the watch look then; returns the new time, in seconds.
    fn after(&self, seconds: u64) -> u64 {
        // A host that stops goes by the time since its boot as well.
        let uptime = format!(
            "read -r up idle </proc/uptime && echo $((${{up%.*}} + {seconds})) $idle >/run/uptime && {{ grep -q ' /proc/uptime ' /proc/mounts || mount --bind /run/uptime /proc/uptime; }}"
        );
        let script = format!("{uptime} && date -s '+{seconds} seconds' +%s && systemctl start --no-block sdocker-idle");
        self.machine.shell(&script).trim().parse().expect("seconds")
    }

    /// These uses, and no others, hold the host's end off for longer than the idle timeout.
    async fn holds_off(&mut self, uses: &[&str]) {
        let these = |life: &Value| {
            let said = life["uses"].as_array().expect("a list");
            said.len() == uses.len()
                && said.iter().zip(uses).all(|(said, this)| said.as_str().is_some_and(|said| said.ends_with(this)))
        };
        // A look that was on its way knows nothing yet of what was asked before, nor of a time that has come since.
        let since = |life: &Value, then: u64| {
            let began = life["checked_at"].as_str().and_then(|time| time.parse::<jiff::Timestamp>().ok());
            began.is_some_and(|began| began.as_second() >= then.cast_signed())
        };
        let now = self.clock();
        self.look(&uses.join(" and "), |life| since(life, now) && these(life)).await;
        let then = self.after(self.idle() + 20);
        let life = self.look("a look after the idle timeout", |life| since(life, then)).await;
        assert!(these(&life), "{life}");
        assert!(life["idle_deadline"].as_str() > life["checked_at"].as_str(), "{life}");
        assert!(self.machine.runs(), "the host ended in spite of {uses:?}");
    }

    /// A step of a BuildKit build that says nothing, and an image that arrives slowly.
    async fn is_used_by_silent_builds_and_transfers(&self) {
        self.machine
            .shell("mkdir -p /tmp/build; printf 'FROM busybox:test\\nRUN sleep 3600\\n' >/tmp/build/Dockerfile");
        self.machine.shell("systemd-run -q --unit build -E DOCKER_BUILDKIT=1 -E HOME=/tmp docker -H unix:///run/sdocker/docker.sock build /tmp/build");
        self.look("a build", |life| uses(life, "a build")).await;
        self.machine.shell("systemctl stop build");
        self.look("no build", |life| !uses(life, "a build")).await;
        let client = self.client().await;
        let slowly = stream::unfold((), |()| async {
            sleep(Duration::from_millis(500)).await;
            Some((Ok(Bytes::from(vec![0; 64 << 10])), ()))
        });
        let mut loading = Box::pin(client.load(slowly));
        tokio::select! {
            loaded = loading.next() => panic!("{loaded:?}"),
            _ = self.look("a transfer", |life| uses(life, "data on its way")) => {}
        }
    }

    /// Waits until the machine has powered itself off.
    async fn powers_off(&mut self, within: u64) {
        let began = Instant::now();
        while self.machine.runs() {
            assert!(began.elapsed().as_secs() < within, "it does not power off; the watch says {:?}", self.life());
            sleep(Duration::from_millis(200)).await;
        }
    }

    /// A client of the daemon, with a connection that is a use of the host for as long as it lives.
    async fn client(&self) -> Client {
        let host = probe_once(&Self::endpoint(), self.credentials.client(), Duration::from_secs(30))
            .await
            .expect("it answers");
        host.client().clone()
    }

    /// The machine's clock, in seconds.
    fn clock(&self) -> u64 {
        self.machine.shell("date +%s").trim().parse().expect("seconds")
    }

    /// What the Docker CLI of the machine prints of the image's own daemon, which is not ours with engine dind.
    fn docker_of_the_image(&self, arguments: &str) -> String {
        self.machine.shell(&format!("docker -H unix:///run/docker.sock {arguments}"))
    }

    /// What the Docker CLI prints of its daemon: the machine's CLI, used from without.
    fn docker(&self, arguments: &str) -> String {
        let certs = self.home.join(".sdocker/hosts").join(NAME).join("certs/client");
        let mut command = Command::new("sh");
        command.args(["-c", &format!("exec {} {arguments}", self.subnet.docker().display())]);
        command.env("DOCKER_HOST", format!("tcp://{}:1111", Subnet::HOST)).env("DOCKER_TLS_VERIFY", "1");
        let output = command.env("DOCKER_CERT_PATH", certs).env("HOME", self.home.path()).output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "docker {arguments}: {said}{}", String::from_utf8_lossy(&output.stderr));
        said
    }

    async fn load_busybox(&self) {
        let archive = fs::read(self.subnet.busybox()).expect("read");
        let chunks: Vec<_> = archive.chunks(64 << 10).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
        let loaded: Vec<_> = self.client().await.load(stream::iter(chunks)).collect().await;
        assert!(loaded.iter().all(Result::is_ok), "{loaded:?}");
    }

    /// Files of the home are the same on both sides, at each path that the app has for them.
    async fn shares_the_home(&self, text: &str) {
        fs::write(self.subnet.efs().join("from-the-app"), text).expect("written");
        let script = "cat /home/sagemaker-user/from-the-app /root/from-the-app; echo back >/home/sagemaker-user/from-the-container";
        let request = RunRequest {
            image: "busybox:test".into(),
            command: Some(["sh", "-c", script].map(str::to_owned).to_vec()),
            binds: ["/home/sagemaker-user:/home/sagemaker-user", "/root:/root"].map(str::to_owned).to_vec(),
            ..RunRequest::default()
        };
        let outcome = self.client().await.run_collected(&request).await.expect("run");
        assert_eq!(String::from_utf8_lossy(&outcome.stdout), format!("{text}{text}"));
        assert_eq!(fs::read_to_string(self.subnet.efs().join("from-the-container")).expect("read"), "back\n");
    }

    /// What listens on the machine, for everybody.
    fn open_ports(&self) -> Vec<u16> {
        let listening = self.machine.shell("ss -Hltn | awk '{print $4}'");
        let ports = listening.lines().filter(|address| !address.starts_with("127.") && !address.starts_with("[::1]"));
        let mut ports: Vec<u16> =
            ports.map(|address| address.rsplit_once(':').expect("a port").1.parse().expect("a number")).collect();
        ports.sort_unstable();
        ports.dedup();
        ports
    }
}

#[track_caller]
fn run(command: &mut Command) {
    let status = command.status().expect("it runs");
    assert!(status.success(), "{command:?}: {status}");
}

/// What `curl` gets from a URL; `None` where it gets nothing.
fn curl(arguments: &[&str]) -> Option<String> {
    let output = Command::new("curl").args(["-s", "-m", "5"]).args(arguments).output().expect("curl runs");
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The daemon answers its client under mutual TLS, and nobody else.
async fn nobody_else_gets_in(host: &Host) {
    let url = format!("https://{}:1111/version", Subnet::HOST);
    let certs = host.home.join(".sdocker/hosts").join(NAME).join("certs/client");
    let file = |name: &str| certs.join(name).display().to_string();
    let (ca, cert, key) = (file("ca.pem"), file("cert.pem"), file("key.pem"));
    let accepted = curl(&["--cacert", &ca, "--cert", &cert, "--key", &key, &url]);
    assert!(accepted.is_some_and(|body| body.contains("ApiVersion")), "the host's own client");
    assert_eq!(curl(&["-k", &url]), None, "without a certificate");
    let plaintext = curl(&[&url.replace("https", "http")]).unwrap_or_default();
    assert!(!plaintext.contains("ApiVersion"), "in plain text: {plaintext}");
    let names = HostNames { dns: vec![Subnet::HOST_NAME.to_owned()], addresses: vec![Subnet::HOST] };
    let other =
        HostCredentials::generate(&names, std::time::SystemTime::now(), Duration::from_secs(3600)).expect("generated");
    let refused = probe_once(&Host::endpoint(), other.client(), Duration::from_secs(10)).await;
    assert!(matches!(refused, Err(ProbeError::Tls { .. })), "with another host's certificates: {refused:?}");
    let folder = tempfile::tempdir().expect("a folder");
    other.write(folder.path(), WriteServerKey::No).expect("written");
    let file = |name: &str| folder.path().join("client").join(name).display().to_string();
    assert_eq!(
        curl(&["-k", "--cert", &file("cert.pem"), "--key", &file("key.pem"), &url]),
        None,
        "with another host's client certificate"
    );
}

/// Both ways in which SDKs serve: a container on the network `sagemaker` that publishes nothing, and one that publishes 8080.
fn port_8080_reaches_whatever_serves(host: &Host) {
    let url = format!("http://{}:8080/", Subnet::HOST);
    let answers = |expected: &str| {
        eventually(WORK, expected, || curl(&[&url]).filter(|answer| answer == expected));
    };
    let start = |name: &str, how: &str| {
        let serve = format!("mkdir -p /www; echo -n {name} >/www/index.html; exec httpd -f -p 8080 -h /www");
        host.docker(&format!("run -d --name {name} {how} busybox:test sh -c '{serve}'"));
        answers(name);
    };
    let remove = |name: &str| host.docker(&format!("rm -f {name}"));
    start("on-the-network", "--network sagemaker");
    start("published", "-p 8080:8080");
    remove("published");
    answers("on-the-network");
    remove("on-the-network");
    start("published", "-p 8080:8080");
    host.docker("run -d --name on-the-network --network sagemaker busybox:test sleep 3600");
    answers("published");
    remove("published");
    remove("on-the-network");
}

/// Whether this is among the uses that the watch named.
fn uses(life: &Value, this: &str) -> bool {
    life["uses"].as_array().is_some_and(|uses| uses.contains(&json!(this)))
}

/// Neither from a network of Docker's nor from the host's own do containers reach what is the host's: EFS and its metadata.
fn containers_reach_no_file_system(host: &Host) {
    // nc fails where there is no connection; with one it ends well, or when its time is over. The first shows that something is reached at all.
    let places = ["10.83.0.20 5000", "10.83.0.10 2049", "169.254.169.254 80"];
    let script: String = places.map(|what| format!("timeout 6 nc -w 3 {what} </dev/null >&2; echo $?;")).concat();
    for network in ["bridge", "sagemaker", "host"] {
        let said = host.docker(&format!("run --rm --network {network} busybox:test sh -c '{script}'"));
        let codes: Vec<&str> = said.split_whitespace().collect();
        let [something, storage, metadata] = codes[..] else { panic!("{network}: {said}") };
        assert!(something != "1" && storage == "1" && metadata == "1", "{network}: {places:?} gave {codes:?}");
    }
    // The machine's kernel has the older back end of iptables; hosts have the other, which takes the same rules.
    let mut newer = Command::new("iptables-nft-restore").arg("--test").stdin(Stdio::piped()).spawn().expect("it runs");
    let rules = host.machine.shell("iptables-save");
    assert!(rules.contains("-A PREROUTING -p tcp -m tcp --dport 2049 -j DROP\n"), "{rules}");
    newer.stdin.take().expect("piped").write_all(rules.as_bytes()).expect("written");
    assert!(newer.wait().expect("it ran").success(), "{rules}");
    host.machine.shell(
        "curl -q -sfm 5 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' http://169.254.169.254/latest/api/token",
    );
}

#[tokio::test]
async fn dind() {
    // The registry is reached through a proxy.
    let proxy = json!({"http": Subnet::proxy(), "https": null, "no_proxy": ["localhost"]});
    let Some(mut host) = Host::boot(
        json!({"proxy": proxy, "engine": {"dind": {"image": "docker:29-dind"}}, "additional_ports": [1112]}),
    ) else {
        return;
    };
    let seen = host.ready().await.expect("it comes up");

    // The stages were told while they happened, and overlapped.
    let position = |stage: &str, state| {
        let found = seen.iter().position(|line| line.stage == stage && line.state == state);
        found.unwrap_or_else(|| panic!("{stage}: {seen:?}"))
    };
    assert!(position("image", StageState::Started) < position("mounts", StageState::Done), "{seen:?}");
    host.is_ready();
    println!("dind, s: {:?}", host.stages());
    let proxied = host.subnet.proxied();
    assert!(proxied.contains("/v2/library/docker/blobs/"), "the image came by itself: {proxied}");
    let environment = host.docker_of_the_image("inspect -f '{{json .Config.Env}}' sdocker");
    for setting in [
        format!("HTTP_PROXY={}", Subnet::proxy()),
        "NO_PROXY=localhost".to_owned(),
        "DOCKER_MIN_API_VERSION=1.24".to_owned(),
    ] {
        assert!(environment.contains(&setting), "{environment}");
    }
    host.is_used().await;
    host.writes_as_the_owner();
    host.follows_nothing_in_the_shared_folder().await;
    assert!(!host.folder().join("certs/server/key.pem").exists(), "the key stays on EFS");
    assert_eq!(host.open_ports(), [1111, 1112, 8080]);

    nobody_else_gets_in(&host).await;
    port_8080_reaches_whatever_serves(&host);
    host.shares_the_home("first").await;
    let lent = host.lends();
    host.works_in(&lent);

    containers_reach_no_file_system(&host);

    // Each use alone holds the end off: a container, and a build, which the classic builder runs in a container.
    host.docker("run -d --name ignored --label sdocker.idle=ignore busybox:test sleep 36000");
    host.holds_off(&["1 running containers: busy"]).await;
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("Dockerfile"), "FROM busybox:test\nRUN sleep 3600\n").expect("written");
    let request =
        BuildRequest { folder: folder.path().to_owned(), tag: "built:test".into(), ..BuildRequest::default() };
    let mut build = host.client().await.build(&request);
    tokio::select! {
        step = async { loop { build.next().await.expect("it goes on").expect("it builds"); } } => step,
        _ = host.look("the build's container", |life| life["uses"].to_string().contains("2 running containers: ")) => {}
    }
    drop(build);

    // Spot's notice is told.
    host.subnet.take_spot_back(r#"{"action": "terminate", "time": "2026-11-24T12:00:00Z"}"#);
    host.look("the notice", |life| life["notices"].to_string().contains("takes this Spot instance back")).await;

    // A full disk is the host's: a share is as full as the app's. What nothing uses goes, what is used stays.
    host.works_with_a_full_disk(&lent);
    host.machine.shell("fallocate -l $(($(df --output=avail -B1 / | tail -1) * 9 / 10)) /var/tmp/full");
    host.look("the disk", |life| life["notices"].to_string().contains("build cache and dangling images were removed"))
        .await;
    host.machine.shell("rm /var/tmp/full");
    assert_eq!(host.docker("images -q busybox:test").lines().count(), 1);

    // After a reboot: daemon, mounts, network and watch.
    host.is_kept();
    host.docker("rm -f busy ignored");
    let before = host.life().expect("there");
    host.reboots().await;
    host.shares_the_home("second").await;
    host.has_worked(&lent, 2);
    let after =
        host.look("a look after the reboot", |life| life["checked_at"].as_str() > before["checked_at"].as_str()).await;
    assert_eq!(after["expires_at"], before["expires_at"], "a reboot does not prolong the host's life");

    // Without use, it ends itself, and says why. Who only listens, or is connected, does not use it.
    host.docker("run -d --name ignored --label sdocker.idle=ignore busybox:test sleep 36000");
    let mut events = host.client().await.events();
    let mute = std::net::TcpStream::connect((Subnet::HOST, 1111)).expect("it listens");
    host.look("nobody", |life| life["uses"] == json!([])).await;
    // Not before: it has been idle for long.
    host.is_kept_no_longer();
    host.after(IDLE);
    tokio::select! {
        () = async { while events.next().await.is_some_and(|event| event.is_ok()) {} } => {}
        () = host.powers_off(WORK.as_secs()) => {}
    }
    host.powers_off(WORK.as_secs()).await;
    drop(mute);
    let last = StatusFile::new(host.folder().join("status")).lines().pop().expect("a line");
    assert!(last.detail.contains("the host ends itself: it was idle since"), "{last:?}");
    lent.ends_without_its_host();
}

#[tokio::test]
async fn native() {
    let proxy = json!({"http": "http://user:p%40ss@proxy.internal:3128", "https": null, "no_proxy": ["localhost", "169.254.169.254", ".amazonaws.com"]});
    // No Spot instance, which could not stop.
    let changes = json!({"proxy": proxy, "engine": {"native": {"nvidia": true}}, "spot": false, "on_idle": "stop"});
    let Some(mut host) = Host::boot_for_space(changes) else { return };
    host.ready().await.expect("it comes up");
    host.is_ready();
    println!("native, s: {:?}", host.stages());
    host.is_used().await;
    assert_eq!(host.machine.shell("cd /etc/sdocker/tls && echo *"), "ca.pem cert.pem issuer.pem key.pem\n");
    assert_eq!(host.open_ports(), [1111], "nothing listens on the endpoint port while nothing serves");

    nobody_else_gets_in(&host).await;
    port_8080_reaches_whatever_serves(&host);
    let lent = host.lends();
    host.works_in(&lent);
    host.tells_of_itself_through_its_daemon();
    host.is_within_reach();

    let info: Value = serde_json::from_str(&host.docker("info -f '{{json .}}'")).expect("JSON");
    assert_eq!(info["LiveRestoreEnabled"], json!(true));
    let environment = host.machine.shell("tr '\\0' '\\n' </proc/$(pidof dockerd)/environ | grep -E 'PROXY|API'");
    assert_eq!(
        environment,
        "HTTP_PROXY=http://user:p%40ss@proxy.internal:3128\nNO_PROXY=localhost,169.254.169.254,.amazonaws.com\nDOCKER_MIN_API_VERSION=1.24\n"
    );
    assert_eq!(host.machine.shell("systemctl is-enabled ecs; systemctl is-active ecs; true"), "masked\ninactive\n");

    containers_reach_no_file_system(&host);
    host.says_whether_containers_can_use_the_gpu();
    host.is_used_by_silent_builds_and_transfers().await;
    host.docker("rm -f busy");

    // After it has stopped, what needs the folder waits for it, and works with it.
    let listed = host.machine.shell("touch /var/lib/sdocker/guarded && cat /var/lib/sdocker/guarded && echo /tmp/of-nobody >>/var/lib/sdocker/guarded");
    // As in Amazon Linux 2023, /tmp is in memory.
    let expected = if lent.folder.starts_with("/tmp") { format!("{}\n", lent.folder.display()) } else { String::new() };
    assert_eq!(listed, expected);
    host.stops_and_starts_again().await;
    host.has_worked(&lent, 2);
    // What nobody shares any more stays protected.
    assert_eq!(host.machine.shell("findmnt -no SOURCE /tmp/of-nobody"), "sdocker-guard\n");
    let refused = host.docker("run --rm -v /tmp/of-nobody:/work busybox:test sh -c 'echo lost >/work/f; echo $?'");
    assert_eq!(refused, "1\n");

    // The end is put off by `sdocker keep`, by way of the daemon. Neither who serves a folder nor its agent does.
    host.look("nobody", |life| life["uses"] == json!([])).await;
    eventually(WORK, "it is kept", || {
        let kept = host.home.sdocker(&["keep", "--for", "20m", "--instance-id", Subnet::INSTANCE]);
        (kept.code == Some(0)).then_some(())
    });
    host.holds_off(&[]).await;
    // Its stop was announced as well.
    let warnings =
        || host.lines().iter().filter(|line| line.stage == "life" && line.state == StageState::Warning).count();
    let before = warnings();
    host.after(500);
    eventually(WORK, "a warning before the end", || (warnings() > before).then_some(()));
    host.after(SPACE_IDLE);
    host.powers_off(WORK.as_secs()).await;
    lent.ends_without_its_host();
}

/// The bootstrap's own time, beside that of Docker on the same machine without a bootstrap, which the image starts at boot. A ratio of
/// two times, on a machine that is quiet.
#[tokio::test]
#[ignore = "a measurement: scripts/bench-bootstrap makes it"]
async fn the_daemon_is_up_as_fast_as_docker_alone() {
    let bare = {
        let Some(subnet) = Subnet::open() else { return };
        let machine = subnet.boot("#cloud-config\n{}\n");
        eventually(BOOT, "a shell", || machine.has_shell().then_some(()));
        machine.shell("systemctl start docker");
        // dockerd starts containerd itself where systemd does not.
        let micros = |unit: &str, property: &str| -> f64 {
            let time = machine.shell(&format!("systemctl show {unit} -P {property}Monotonic"));
            time.trim().parse().expect("microseconds")
        };
        (micros("docker", "ActiveEnterTimestamp") - micros("containerd", "InactiveExitTimestamp")) / 1e6
    };
    let Some(host) = Host::boot(json!({})) else { return };
    host.ready().await.expect("it comes up");
    host.is_ready();
    let stages = host.stages();
    println!("bare dockerd: {bare:.1} s; native: {stages:?}");
    let took = |name: &str| -> f64 {
        let (_, took) = stages.iter().find(|(stage, _)| stage == name).expect(name);
        took.trim_end_matches(" s").parse().expect("seconds")
    };
    // Docker alone has no network to make, and no mounts and no identity to wait for; they count nevertheless.
    let answers = took("ready") - took("network");
    println!(
        "until the daemon answers: {:.2} times; the whole bootstrap: {:.2} times",
        answers / bare,
        took("ready") / bare
    );
    assert!(answers <= bare * 1.2, "the daemon answered after {answers:.1} s, Docker alone after {bare:.1} s");
}

/// Each failure of the bootstrap is a stage of its own that says why. None keeps the host from its end.
#[tokio::test]
async fn a_bootstrap_that_fails_says_why_and_does_not_keep_the_host_from_its_end() {
    // Its mount target is not there.
    let Some(mut host) = Host::boot(json!({
        "idle_timeout": null, "spot": false, "engine": {"dind": {"image": "docker:29-dind"}},
        "mounts": [{
            "file_system": "fs-0aaaaaaaaaaaaaaaa", "access_point": null, "address": "10.83.0.99", "remote_path": "/200005",
            "paths": ["/home/sagemaker-user"],
        }],
    })) else {
        return;
    };
    eventually(BOOT, "a shell", || host.machine.has_shell().then_some(()));
    host.fails("mounts", "(10.83.0.99:/200005) does not mount at /home/sagemaker-user");
    let again = |change: &str| {
        // The stage has failed; the service ends a moment later.
        host.machine
            .shell("while [ \"$(systemctl show -P ActiveState sdocker-bootstrap)\" = activating ]; do sleep 0.1; done");
        host.machine.shell(&format!("rm -f /var/lib/sdocker/status*; sed -i '{change}' /etc/sdocker/settings; systemctl reset-failed sdocker-bootstrap; systemctl restart --no-block sdocker-bootstrap"));
    };
    again("s/10.83.0.99/10.83.0.10/; s/^dind_image=.*/dind_image=no-such:image/");
    host.fails("image", "no-such:image can not be pulled");
    again("s,^dind_image=.*,dind_image=10.83.0.98:5000/unreachable:1,");
    host.fails("image", "10.83.0.98");
    // Docker Hub does not have it; Amazon's public registry does, with a daemon that wants a newer API than is asked of it.
    again("s,^dind_image=.*,dind_image=docker:40-dind,");
    let warned = |state, text: &str| {
        let found = StatusFile::new(host.folder().join("status")).lines();
        found.into_iter().find(|line| line.stage == "image" && line.state == state && line.detail.contains(text))
    };
    eventually(BOOT, "the image of another registry", || {
        warned(
            StageState::Info,
            "it came from public.ecr.aws/docker/library/docker:40-dind: docker:40-dind can not be pulled",
        )
    });
    host.is_ready();
    let environment = host.docker_of_the_image("inspect -f '{{json .Config.Env}}' sdocker");
    assert!(environment.contains("DOCKER_MIN_API_VERSION=1.40"), "{environment}");
    host.docker_of_the_image("rm -f sdocker");
    // No registry has it: the image's own daemon serves.
    again("s,^dind_image=.*,dind_image=docker:nowhere,");
    eventually(BOOT, "a warning", || {
        warned(StageState::Warning, "the image's own Docker serves in its place: docker:nowhere can not be pulled")
    });
    host.is_ready();
    host.docker("info");
    assert_eq!(host.docker("ps -aq"), "");
    host.machine.shell("systemctl stop docker docker.socket");
    // A daemon that can't have its port.
    host.machine.shell("systemd-run -q busybox httpd -f -p 1111");
    again("s,^engine=.*,engine=native,");
    host.fails("daemon", "Docker does not start");

    // However long it took to get here, the end is yet to come; then its time is up.
    let expires: u64 = host.machine.shell("cat /etc/sdocker/expires").trim().parse().expect("seconds");
    assert!(host.clock() + 60 < expires, "it would have ended before");
    host.machine.shell(&format!("date -s @{}", expires - 5));
    // A power-off that hangs is forced after two minutes.
    host.powers_off(WORK.as_secs()).await;
}
