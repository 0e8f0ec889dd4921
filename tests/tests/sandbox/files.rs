//! Folders of the app on a host that does not see them: its daemon is in a mount namespace where something else is at their path.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    os::unix::fs::MetadataExt as _,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use sdocker_tests::{Home, eventually, network};

/// A host, and a folder of the app that it does not have.
struct Shared {
    home: Home,
    folder: PathBuf,
    /// The host's daemon.
    dockerd: String,
}

/// A running `sdocker share`.
struct Client(Child);

impl Client {
    fn stop(mut self) {
        assert!(Command::new("kill").arg(self.0.id().to_string()).status().expect("it runs").success());
        // As `forward`: it was stopped.
        assert_eq!(self.0.wait().expect("it ends").code(), Some(143));
    }

    fn kill(mut self) {
        self.0.kill().expect("it runs");
        self.0.wait().expect("it ends");
    }
}

impl Shared {
    fn new() -> Option<Self> {
        let home = Home::in_sandbox()?;
        home.sdocker(&["create-host", "--instance-type", "c5.xlarge"]).expect(0);
        let folder = home.join("work");
        fs::create_dir(&folder).expect("made");
        let dockerd = home.run("sh", &["-c", "cat .sdocker/sandbox/instances/*/docker.pid"]).expect(0).stdout;
        let shared = Self { folder, dockerd: dockerd.trim().to_owned(), home };
        shared.on_host("mount -t tmpfs tmpfs \"$1\"");
        let image = "mkdir -p image/bin image/tmp && cp /bin/busybox image/bin && ln -s /usr/bin/bash image/bin/sh && \
            for name in cat ls rm; do ln -s busybox image/bin/$name; done && \
            tar -C image -c . | docker import -c 'ENV PATH=/usr/local/bin:/usr/bin:/bin' - test:1";
        shared.home.run("sh", &["-c", image]).expect(0);
        Some(shared)
    }

    /// Runs a script where the host's daemon is; `$1` is the folder.
    fn on_host(&self, script: &str) -> String {
        let mount = format!("--mount=/proc/{}/ns/mnt", self.dockerd);
        let folder = self.folder.to_string_lossy().into_owned();
        self.home.run("nsenter", &[&mount, "sh", "-c", script, "sh", &folder]).expect(0).stdout
    }

    fn share(&self, options: &[&str]) -> Client {
        let folder = self.folder.to_string_lossy().into_owned();
        let mut command = self.home.sdocker_command(&[&["share", &folder], options].concat());
        let log = fs::File::options().append(true).create(true).open(self.home.join("share.log")).expect("opened");
        let mut client = command.stdout(Stdio::piped()).stderr(log).spawn().expect("it runs");
        let mut ready = String::new();
        BufReader::new(client.stdout.take().expect("piped")).read_line(&mut ready).expect("read");
        let said = fs::read_to_string(self.home.join("share.log")).unwrap_or_default();
        assert!(ready.contains("live until Ctrl-C"), "{ready}{said}");
        Client(client)
    }

    /// `docker run` of a bash script in the folder, with the programs of this machine.
    fn container(&self, script: &str) -> Command {
        let bind = format!("{0}:{0}", self.folder.display());
        let programs = ["/usr", "/lib", "/lib64"].map(|path| format!("{path}:{path}:ro"));
        let folder = self.folder.to_string_lossy().into_owned();
        let mut command = self.home.command("timeout");
        command.args(["600", "docker", "run", "--rm", "-e", "HOME=/tmp", "-v", &bind, "-w", &folder]);
        for bind in &programs {
            command.args(["-v", bind]);
        }
        command.args(["test:1", "/usr/bin/bash", "-ec", script]);
        command
    }

    fn run(&self, script: &str) -> String {
        sdocker_tests::Run::new(self.container(script).output().expect("it runs")).expect(0).stdout
    }

    /// The state of the process in the background, as `status` has it.
    fn link(&self) -> serde_json::Value {
        let mut status = self.home.sdocker(&["--output", "json", "status"]).expect(0).json();
        status["link"].take()
    }

    /// The processes in the background of this home.
    fn link_processes(&self) -> Vec<String> {
        let home = format!("HOME={}\0", self.home.path().display());
        let of_home = |process: &fs::DirEntry| {
            let read = |file: &str| fs::read(process.path().join(file)).unwrap_or_default();
            let command = String::from_utf8_lossy(&read("cmdline")).replace('\0', " ");
            command.contains(" link --host ") && String::from_utf8_lossy(&read("environ")).contains(&home)
        };
        let processes = fs::read_dir("/proc").expect("readable").flatten().filter(of_home);
        processes.map(|process| process.file_name().to_string_lossy().into_owned()).collect()
    }

    /// The host's mounts at the folder, the one that hides the app's apart.
    fn mounts(&self) -> Vec<String> {
        let table = fs::read_to_string(format!("/proc/{}/mounts", self.dockerd)).expect("readable");
        let at = format!(" {} ", self.folder.display());
        let here = table.lines().filter(|line| line.contains(&at) && !line.starts_with("tmpfs "));
        here.map(str::to_owned).collect()
    }

    /// Kills processes of the agent on the host by what they do; returns how many there were.
    fn kill_agent(&self, task: &str) -> usize {
        let folders = fs::read_dir("/proc").expect("readable").flatten();
        let ours = folders.filter(|process| {
            let command = fs::read(process.path().join("cmdline")).unwrap_or_default();
            let command = String::from_utf8_lossy(&command).replace('\0', " ");
            // Those of this host alone: its network namespace has no others, so by the daemon that they descend from.
            command.contains(&format!("share-agent {task}")) && self.is_of_host(&process.file_name().to_string_lossy())
        });
        let ours: Vec<_> = ours.map(|process| process.file_name()).collect();
        for process in &ours {
            Command::new("kill").arg("-9").arg(process).status().expect("it runs");
        }
        ours.len()
    }

    /// Whether a process is in a container of this host: its shim names the host's socket folder.
    fn is_of_host(&self, process: &str) -> bool {
        let parent = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        let parent =
            parent.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)).unwrap_or("0").to_owned();
        let mounts = |process: &str| fs::read_link(format!("/proc/{process}/ns/mnt")).ok();
        mounts(&parent).is_some() && mounts(&parent) == mounts(&self.dockerd)
    }
}

/// Waits for something that has to happen.
fn until(what: &str, mut happened: impl FnMut() -> bool) {
    let began = Instant::now();
    while !happened() {
        assert!(began.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// What programs expect of a file system. Each line is one of them.
const PROGRAMS: &str = r#"
sqlite3 journal.db 'create table t(a); insert into t values(1),(2); select count(*) from t'
sqlite3 wal.db 'pragma journal_mode=wal; create table t(a); begin; insert into t values(1),(2); commit; select count(*) from t'
/usr/bin/git init -q repository && cd repository && git() { /usr/bin/git -c user.email=a@b -c user.name=a "$@"; }
for i in 1 2 3; do echo $i >f$i; git add .; git commit -qm $i; done; git gc -q; git fsck --no-progress; git status --short; git log --oneline | wc -l; cd ..
tar -C /usr/include -cf - linux | tar -xf - && chown -R 7:8 linux && stat -c '%u:%g' linux linux/fuse.h && diff -r /usr/include/linux linux
echo one >f; chmod 4755 f; stat -c %a f; ln -s f link; cat link; ln f hard; stat -c %h f
exec 3<>gone; rm gone; echo still >&3; stat -L -c '%h %s' /proc/self/fd/3; cat /proc/self/fd/3; exec 3>&-
mkfifo fifo; echo through >fifo & cat fifo
truncate -s 1G sparse; du -k sparse; stat -c %s sparse; rm sparse
printf '#!/usr/bin/bash\necho runs\n' >script; chmod +x script; ./script; cp /usr/bin/true own; ./own
python3 -c "
import mmap, os
with open('mapped', 'wb+') as f:
    f.truncate(8192); m = mmap.mmap(f.fileno(), 8192); m[4096:4100] = b'page'; m.flush()
print(open('mapped', 'rb').read()[4096:4100])"
flock f echo locked
echo a >r1; echo b >r2; mv r1 r2; cat r2; mkdir -p d1/d2; mv d1/d2 d3; rmdir d1 d3
dd if=/dev/urandom of=big bs=1M count=8 conv=fsync status=none; dd if=big of=direct bs=64k oflag=direct status=none; cmp big direct
umask 077; echo secret >private; stat -c %a private
"#;

const EXPECTED: &str =
    "2\nwal\n2\n3\n7:8\n7:8\n4755\none\n2\n0 6\nstill\nthrough\n0\tsparse\n1073741824\nruns\nb'page'\nlocked\na\n600\n";

/// Holds a lock of either kind, until it is told.
const HOLDS_LOCKS: &str = r#"
python3 -c "
import fcntl, os, time
whole, part = open('whole', 'w'), open('part', 'w')
fcntl.flock(whole, fcntl.LOCK_EX); fcntl.lockf(part, fcntl.LOCK_EX, 10)
open('held', 'w').close()
while not os.path.exists('released'): time.sleep(0.05)
"
"#;

/// Meets them, and has them once they are given up.
const MEETS_LOCKS: &str = r#"
until [[ -e held ]]; do sleep 0.05; done
python3 -c "
import fcntl
whole, part = open('whole', 'w'), open('part', 'w')
for lock in lambda how: fcntl.flock(whole, how), lambda how: fcntl.lockf(part, how, 10):
    try: lock(fcntl.LOCK_EX | fcntl.LOCK_NB); print('nobody holds it')
    except BlockingIOError: print('held')
open('released', 'w').close()
fcntl.flock(whole, fcntl.LOCK_EX); fcntl.lockf(part, fcntl.LOCK_EX, 10); print('free')
"
"#;

/// How many containers write at once.
const AT_ONCE: usize = 10;

/// Transactions of one of [`AT_ONCE`] containers, on the same databases.
const WRITES_DATABASES: &str = r#"
python3 -c "
import sqlite3
for name in 'journal', 'wal':
    for number in range(10):
        with sqlite3.connect(f'shared.{name}', timeout=120) as database:
            database.execute('pragma journal_mode=' + {'journal': 'delete'}.get(name, name))
            database.execute('create table if not exists t(a)')
            database.execute('insert into t values(1)')
"
"#;

const LOOKS_AT_DATABASES: &str = r#"
for name in journal wal; do sqlite3 shared.$name 'select count(*) from t; pragma integrity_check'; done
"#;

#[test]
fn containers_share_locks_and_databases() {
    let Some(shared) = Shared::new() else { return };
    let client = shared.share(&[]);
    let mut holding = shared.container(HOLDS_LOCKS).spawn().expect("it runs");
    assert_eq!(shared.run(MEETS_LOCKS), "held\nheld\nfree\n");
    assert!(holding.wait().expect("it ends").success());

    let writers: Vec<_> = (0..AT_ONCE).map(|_| shared.container(WRITES_DATABASES).spawn().expect("it runs")).collect();
    assert!(writers.into_iter().all(|mut writer| writer.wait().expect("it ends").success()));
    let rows = AT_ONCE * 10;
    assert_eq!(shared.run(LOOKS_AT_DATABASES), format!("{rows}\nok\n{rows}\nok\n"));
    client.stop();
    shared.on_host("chattr -i \"$1\"");
    shared.home.sdocker(&["terminate-host", "--all"]).expect(0);
}

/// The release check runs it: it takes a minute, and Debian's packages of Postgres.
#[test]
#[ignore = "scripts/check-release runs it, with the programs that SDOCKER_POSTGRES names"]
fn a_database_keeps_what_it_has_committed() {
    let Some(shared) = Shared::new() else { return };
    let programs = std::env::var_os("SDOCKER_POSTGRES").expect("a folder with Postgres");
    let image =
        "tar -C \"$0\" -c . | docker import -c 'ENV PATH=/usr/lib/postgresql/15/bin:/usr/bin:/bin' - postgres:1";
    shared.home.run("sh", &["-c", image, &programs.to_string_lossy()]).expect(0);
    let client = shared.share(&[]);
    let folder = shared.folder.display();
    let (bind, data) = (format!("{folder}:{folder}"), format!("PGDATA={folder}/db"));
    let docker = |arguments: &[&str]| shared.home.run("docker", arguments).expect(0).stdout;
    // Nobody's rights but its owner's, as Postgres demands.
    let make = "mkdir -m 700 $PGDATA && chown 70:70 $PGDATA && echo postgres:x:70:70::/:/bin/sh >>/etc/passwd && \
        exec setpriv --reuid 70 --regid 70 --clear-groups sh -c 'initdb -U postgres --no-locale >/dev/null && exec postgres -k /tmp -h \"\"'";
    docker(&["run", "-d", "--name", "database", "-e", &data, "-v", &bind, "postgres:1", "sh", "-c", make]);
    let ask = |command: &str| shared.home.run("docker", &["exec", "database", "sh", "-c", command]);
    let answers = || (ask("psql -h /tmp -U postgres -c 'select 1'").code == Some(0)).then_some(());
    eventually(Duration::from_secs(600), "it is there", answers);
    ask("pgbench -q -i -s 2 -h /tmp -U postgres postgres").expect(0);

    // Transactions (-n: nothing is emptied before), while connections are cut; then the server is killed among others.
    let mut load = shared.home.command("docker");
    load.args(["exec", "database", "pgbench", "-n", "-c", "4", "-T", "15", "-h", "/tmp", "-U", "postgres", "postgres"]);
    let load = load.stdout(Stdio::piped()).spawn().expect("it runs");
    let lines =
        |query: &str| ask(&format!("psql -At -h /tmp -U postgres -c '{query}'")).expect(0).stdout.trim().to_owned();
    let history = || lines("select count(*) from pgbench_history").parse::<u64>().expect("a number");
    for _ in 0..3 {
        let before = history();
        until("it works", || history() > before);
        assert!(shared.kill_agent("relay") > 0);
    }
    let loaded = sdocker_tests::Run::new(load.wait_with_output().expect("it ends")).expect(0).stdout;
    let processed = loaded.lines().find_map(|line| line.strip_prefix("number of transactions actually processed: "));
    let processed: u64 = processed.expect("said").trim().parse().expect("a number");
    assert!(processed > 0 && loaded.contains("number of failed transactions: 0 "), "{loaded}");
    let committed = history();
    assert_eq!(committed, processed);
    docker(&[
        "exec", "-d", "database", "pgbench", "-n", "-c", "4", "-T", "60", "-h", "/tmp", "-U", "postgres", "postgres",
    ]);
    until("it works", || history() > committed);
    let committed = history();
    docker(&["kill", "database"]);

    // All that was committed is there, and one with the rest.
    let again =
        "rm -f $PGDATA/postmaster.pid; exec setpriv --reuid 70 --regid 70 --clear-groups postgres -k /tmp -h ''";
    docker(&["rm", "database"]);
    docker(&["run", "-d", "--name", "database", "-e", &data, "-v", &bind, "postgres:1", "sh", "-c", again]);
    eventually(Duration::from_secs(600), "it has recovered", answers);
    assert!(history() >= committed);
    let sums = "select (select sum(delta) from pgbench_history), (select sum(abalance) from pgbench_accounts), \
        (select sum(bbalance) from pgbench_branches), (select sum(tbalance) from pgbench_tellers)";
    let sums = lines(sums);
    assert!(sums.split('|').all(|sum| sums.starts_with(&format!("{sum}|"))), "{sums}");
    docker(&["rm", "-f", "database"]);
    client.stop();
    shared.on_host("chattr -i \"$1\"");
    shared.home.sdocker(&["terminate-host", "--all"]).expect(0);
}

#[test]
fn a_folder_of_the_app_is_live_in_containers() {
    let Some(shared) = Shared::new() else { return };
    fs::write(shared.folder.join("from-app"), "hello").expect("written");
    let client = shared.share(&[]);
    assert_eq!(shared.mounts().len(), 1);
    assert_eq!(shared.run("cat from-app; echo -n back >answer"), "hello");
    // Before its exit was reported.
    assert_eq!(fs::read_to_string(shared.folder.join("answer")).expect("there"), "back");
    // An edit in the app, in a container that has read the file before.
    let watching = "cat from-app; echo; until [[ $(<from-app) == HELLO ]]; do :; done; cat from-app";
    let mut watching = shared.container(watching).stdout(Stdio::piped()).spawn().expect("it runs");
    let mut lines = BufReader::new(watching.stdout.take().expect("piped")).lines();
    assert_eq!(lines.next().expect("a line").expect("read"), "hello");
    fs::write(shared.folder.join("from-app"), "HELLO").expect("written");
    let edited = Instant::now();
    assert_eq!(lines.next().expect("a line").expect("read"), "HELLO");
    // It is told at once: without that the kernel would keep what it knows for a minute. Within 50 ms, see file-share's own tests.
    assert!(edited.elapsed() < Duration::from_secs(4), "{:?}", edited.elapsed());
    assert!(watching.wait().expect("it ends").success());

    assert_eq!(shared.run(PROGRAMS), EXPECTED);
    let made = fs::metadata(shared.folder.join("linux/fuse.h")).expect("there");
    assert_eq!(made.uid(), fs::metadata(&shared.folder).expect("there").uid(), "what containers write is the user's");
    let checked = shared.home.run("git", &["-c", "safe.directory=*", "-C", "work/repository", "fsck", "--no-progress"]);
    assert_eq!(checked.expect(0).stdout, "");

    // Nothing stays, and what finds no share can't write to the host's disk.
    client.stop();
    assert_eq!(shared.mounts(), Vec::<String>::new());
    assert_eq!(shared.home.run("docker", &["ps", "-aq"]).expect(0).stdout, "");
    assert_ne!(shared.container("echo lost >lost").status().expect("it runs").code(), Some(0));
    assert_eq!(shared.on_host("ls -A \"$1\""), "");
    shared.on_host("chattr -i \"$1\"");
    shared.home.sdocker(&["terminate-host", "--all"]).expect(0);
}

#[test]
fn cuts_are_not_seen_and_ends_are_mended() {
    let Some(shared) = Shared::new() else { return };
    fs::write(shared.folder.join("f"), "f").expect("written");
    let client = shared.share(&["--give-up-after", "3s"]);

    // Connections are cut under load.
    let load = "set -C; exec 3>log; n=0; until [[ -e enough ]]; do mkdir d$n; echo $n >d$n/a; mv d$n/a d$n/b; \
        [[ $(<d$n/b) == $n ]]; rm d$n/b; rmdir d$n; echo $n >&3; n=$((n + 1)); done; echo $n";
    let working = shared.container(load).stdout(Stdio::piped()).spawn().expect("it runs");
    let rounds = || fs::read_to_string(shared.folder.join("log")).unwrap_or_default().lines().count();
    for _ in 0..4 {
        let before = rounds();
        until("it works", || rounds() > before + 2);
        assert!(shared.kill_agent("relay") > 0);
    }
    let before = rounds();
    until("it works", || rounds() > before + 2);
    fs::write(shared.folder.join("enough"), "").expect("written");
    let worked = sdocker_tests::Run::new(working.wait_with_output().expect("it ends")).expect(0);
    assert_eq!(worked.stdout.trim(), rounds().to_string());

    // The agent is killed, or removed with everything else: another takes its place, over what it left.
    assert_eq!(shared.kill_agent("mount"), 1);
    until("it is back", || shared.container("cat f").output().expect("it runs").stdout == b"f");
    shared.home.run("sh", &["-c", "docker rm -f $(docker ps -aq)"]).expect(0);
    until("it is back", || shared.container("cat f").output().expect("it runs").stdout == b"f");
    assert_eq!(shared.mounts().len(), 1);

    // Without its client it gives up; nothing hangs, nothing stays.
    client.kill();
    until("it gives up", || shared.mounts().is_empty());
    assert_ne!(shared.container("cat f").status().expect("it runs").code(), Some(0));
    // And is there again. Both ends are killed, and nobody does anything: who reads gets errors, and waits for nobody.
    let client = shared.share(&[]);
    assert_eq!(shared.run("cat f"), "f");
    let reading = "cat f; echo; until ! cat f 2>/dev/null >/dev/null; do :; done; echo over";
    let mut reading = shared.container(reading).stdout(Stdio::piped()).spawn().expect("it runs");
    let mut lines = BufReader::new(reading.stdout.take().expect("piped")).lines();
    assert_eq!(lines.next().expect("a line").expect("read"), "f");
    client.kill();
    assert_eq!(shared.kill_agent("mount"), 1);
    assert_eq!(lines.next().expect("a line").expect("read"), "over");
    assert!(reading.wait().expect("it ends").success());
    assert_ne!(shared.container("cat f").status().expect("it runs").code(), Some(124));
    let client = shared.share(&[]);
    assert_eq!((shared.run("cat f"), shared.mounts().len()), ("f".to_owned(), 1));
    client.stop();

    // Read-only.
    let folder = format!("{}:ro", shared.folder.display());
    let mut command = shared.home.sdocker_command(&["share", &folder]);
    let mut reading = command.stdout(Stdio::piped()).spawn().expect("it runs");
    let mut ready = String::new();
    BufReader::new(reading.stdout.take().expect("piped")).read_line(&mut ready).expect("read");
    assert_eq!(shared.run("cat f; ! echo x >f 2>/dev/null; ! rm f 2>/dev/null; ! mkdir d 2>/dev/null"), "f");
    Client(reading).stop();
    assert_eq!(fs::read_to_string(shared.folder.join("f")).expect("there"), "f");
    shared.on_host("chattr -i \"$1\"");
    shared.home.sdocker(&["terminate-host", "--all"]).expect(0);
}

#[test]
fn files_go_by_a_port_of_the_host_where_it_is_reached() {
    let Some(shared) = Shared::new() else { return };
    fs::write(shared.folder.join("f"), "f").expect("written");
    let client = shared.share(&[]);
    let connections = || network::connections_to(client.0.id(), 1112);
    until("there is a connection", || connections() == 1);
    assert_eq!(shared.run("cat f; echo g >g"), "f");
    let dockerd = shared.dockerd.parse().expect("a number");
    assert!(network::listens_at(dockerd, 1111) && !network::listens_at(dockerd, 1112), "nothing listens any more");
    // A cut is mended, and not seen.
    let reading = "until [[ -e enough ]]; do [[ $(<f) == f ]]; done; echo over";
    let mut reading = shared.container(reading).stdout(Stdio::piped()).spawn().expect("it runs");
    assert!(shared.kill_agent("relay") > 0);
    until("there is another connection", || connections() == 1);
    fs::write(shared.folder.join("enough"), "").expect("written");
    assert!(reading.wait().expect("it ends").success());

    // As a security group without a rule for it.
    let output = |action: &str| {
        let rule = ["-w", action, "OUTPUT", "-p", "tcp", "--syn", "--dport", "1112", "-j", "DROP"];
        shared.home.run("iptables", &rule).expect(0);
    };
    output("-I");
    assert!(shared.kill_agent("relay") > 0);
    until("the connection has ended", || connections() == 0);
    assert_eq!(shared.run("cat f g; rm g"), "fg\n");
    assert_eq!((shared.folder.join("g").exists(), connections()), (false, 0));
    output("-D");
    client.stop();
    shared.on_host("chattr -i \"$1\"");
    shared.home.sdocker(&["terminate-host", "--all"]).expect(0);
}

/// A page of a port of localhost; `None` where nobody answers.
fn page(port: u16) -> Option<String> {
    let address = format!("http://127.0.0.1:{port}/");
    let answer = Command::new("curl").args(["-sS", "-m", "20", &address]).output().expect("it runs");
    answer.status.success().then(|| String::from_utf8_lossy(&answer.stdout).trim().to_owned())
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
    listener.local_addr().expect("an address").port()
}

#[test]
fn files_and_ports_come_with_a_host_and_go_with_it() {
    let Some(home) = Home::in_sandbox() else { return };
    let folder = home.join("work");
    fs::create_dir(&folder).expect("made");
    fs::write(folder.join("f"), "from the app").expect("written");
    let share = folder.to_string_lossy().into_owned();
    let created = home.sdocker(&["create-host", "--instance-type", "c5.xlarge", "--share", &share]).expect(0);
    assert!(created.stdout.contains("is live in containers"), "{created:?}");
    let image = "mkdir -p image/bin && cp /bin/busybox image/bin && \
        for name in sh cat httpd sleep mkdir; do ln -s busybox image/bin/$name; done && tar -C image -c . | docker import - serve:1";
    home.run("sh", &["-c", image]).expect(0);
    let shared = Shared { folder, dockerd: String::new(), home };
    let bind = format!("{share}:{share}");
    let file = format!("{share}/f");
    let docker = |arguments: &[&str]| shared.home.run("docker", arguments).expect(0).stdout;
    // Not the file of this machine, which the sandbox's daemon would see as well: it comes over FUSE.
    assert_eq!(shared.link()["folders"][0]["state"], "shared");
    let mounts = docker(&["run", "--rm", "-v", &bind, "serve:1", "cat", "/proc/mounts", &file]);
    assert!(mounts.contains(&format!("sdocker {share} fuse.sdocker")) && mounts.ends_with("from the app"), "{mounts}");

    // Ports: open when the start is reported, the next free one where it is taken, and none by UDP.
    let (port, other) = (free_port(), free_port());
    let taken = std::net::TcpListener::bind(("127.0.0.1", other)).expect("bound");
    let serve = |name: &str, options: &[&str], port: u16| {
        let script = format!("mkdir /www; echo {name} >/www/index.html; exec httpd -f -p {port} -h /www");
        let run = [&["run", "-d", "--name", name], options, &["serve:1", "sh", "-c", &script]].concat();
        docker(&run);
    };
    serve("one", &["-p", &format!("{port}:80"), "-p", &format!("{port}:53/udp")], 80);
    let connected = std::net::TcpStream::connect(("127.0.0.1", port));
    assert!(connected.is_ok(), "{connected:?}");
    until("it serves", || page(port).as_deref() == Some("one"));
    serve("two", &["-p", &format!("{other}:80")], 80);
    let line = |container: &str, udp: bool| {
        let link = shared.link();
        let lines = link["ports"].as_array().cloned().unwrap_or_default();
        lines.into_iter().find(|line| line["container"] == container && line["local_port"].is_null() == udp)
    };
    until("it is said", || line("two", false).is_some());
    let two = line("two", false).expect("said");
    let local = two["local_port"].as_u64().and_then(|port| u16::try_from(port).ok()).expect("a port");
    assert_ne!(local, other);
    assert!(two["why"].as_str().is_some_and(|why| why.contains("is taken in this app")), "{two}");
    until("it serves", || page(local).as_deref() == Some("two"));
    assert!(line("one", true).is_some_and(|line| line["why"].as_str().is_some_and(|why| why.contains("UDP"))));
    drop(taken);
    // A container of the SDK's network, which publishes nothing; wherever 8080 is here.
    serve("three", &["--network", "sagemaker"], 8080);
    until("it is said", || line("network sagemaker", false).is_some());
    let serving = line("network sagemaker", false).and_then(|line| line["local_port"].as_u64()).expect("a port");
    until("it serves", || page(u16::try_from(serving).expect("a port")).as_deref() == Some("three"));
    docker(&["rm", "-f", "one", "two", "three"]);
    until("its port is gone", || page(port).is_none());
    until("all are gone", || shared.link()["ports"].as_array().is_some_and(Vec::is_empty));

    // Any port of the host, opened to nobody: the daemon's own, of which only the host's loopback is asked.
    serve("four", &["--network", "host"], 7777);
    let mut forward = shared.home.sdocker_command(&["--output", "json", "forward", "0:7777", "0:1111"]);
    let mut forward = forward.stdout(Stdio::piped()).spawn().expect("it runs");
    let read = serde_json::Deserializer::from_reader(forward.stdout.take().expect("piped"))
        .into_iter::<serde_json::Value>()
        .next();
    let forwarded = read.expect("a document").expect("JSON");
    let local = |at: usize| {
        let address = forwarded["ports"][at]["local"].as_str().expect("an address");
        address.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok()).expect("a port")
    };
    until("it serves", || page(local(0)).as_deref() == Some("four"));
    // Nobody listens at the host's loopback: refused, and not silent.
    assert_eq!(page(local(1)), None);
    Client(forward).stop();
    docker(&["rm", "-f", "four"]);

    // Neither agents nor the connections of the background are a use of the host.
    let ours = docker(&["ps", "-q", "--filter", "label=sdocker.agent"]);
    assert!(ours.lines().count() >= 1, "{ours}");
    // What the host says, and not by `status`: ten times a second, that alone is data on its way.
    let host = shared.home.sdocker(&["--output", "json", "status"]).expect(0).json();
    let life = shared.home.join(".sdocker/hosts").join(host["name"].as_str().expect("a name")).join("life.json");
    until("the host finds itself idle", || {
        let life = serde_json::from_slice::<serde_json::Value>(&fs::read(&life).expect("readable")).expect("JSON");
        life["uses"].as_array().is_some_and(Vec::is_empty)
    });

    // Killed, it is started again by the next command, and serves the same mounts.
    let first = shared.link_processes();
    assert_eq!(first.len(), 1, "{first:?}");
    assert!(Command::new("kill").args(["-9", &first[0]]).status().expect("it runs").success());
    until("it is back", || shared.link()["folders"][0]["state"] == "shared");
    assert_ne!(shared.link_processes(), first);
    assert_eq!(docker(&["run", "--rm", "-v", &bind, "serve:1", "cat", &file]), "from the app");

    // It ends with the host.
    shared.home.sdocker(&["terminate-host", "--all"]).expect(0);
    until("it ends", || shared.link_processes().is_empty());
}
