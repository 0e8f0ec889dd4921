//! The host's scripts, each part by itself, in a folder that plays the host, with programs that play Docker, EC2 and the registries.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpListener,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink},
    path::PathBuf,
    process::{Command, Output},
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::Duration,
};

use rustix::fs::RenameFlags;
use serde_json::json;
use tempfile::TempDir;

use super::*;

/// The folders of a host, elsewhere.
struct Root(TempDir);

impl Root {
    /// With these settings, and a folder `share` that plays what is mounted for the user.
    fn new(settings: &str) -> Self {
        let root = Self(tempfile::tempdir().expect("a folder"));
        for folder in ["etc", "lib", "var/docker", "run", "bin", "share", "systemd", "cloud-init", "proc"] {
            fs::create_dir_all(root.path(folder)).expect("made");
        }
        for (name, script) in SCRIPTS {
            let path = root.path("lib").join(name);
            fs::write(&path, root.here(script)).expect("written");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("set");
        }
        let settings = format!("paths=('{}')\n{settings}\n", root.path("share").display());
        fs::write(root.path("etc/settings"), settings).expect("written");
        root
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// A script that works on this host's folders.
    fn here(&self, script: &str) -> String {
        let folders = [
            ("/usr/local/lib/sdocker", "lib"),
            ("/etc/systemd/system", "systemd"),
            ("/etc/sdocker", "etc"),
            ("/var/lib/sdocker", "var"),
            ("/run/sdocker", "run"),
            ("/run/cloud-init", "cloud-init"),
            ("/proc/", "proc/"),
        ];
        folders.iter().fold(script.to_owned(), |script, (there, here)| {
            script.replace(there, &self.path(here).display().to_string())
        })
    }

    /// A program of this host's; `$root` is its folder.
    fn program(&self, name: &str, script: &str) {
        let path = self.path("bin").join(name);
        fs::write(&path, format!("#!/bin/bash\nroot='{}'\n{script}\n", self.0.path().display())).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("set");
    }

    /// Runs a script that has all functions of `bootstrap.sh` and of `host.sh`.
    fn run(&self, script: &str) -> Output {
        let bootstrap = include_str!("../bootstrap.sh");
        let (functions, _) = bootstrap.split_once("\nstarted=").expect("where the work begins");
        let functions = functions.replace("exec >>/var/lib/sdocker/bootstrap.log 2>&1\n", "");
        self.bash(&format!("{}\nsleep() {{ :; }}\n{script}", self.here(&functions)))
    }

    fn bash(&self, script: &str) -> Output {
        let path = format!("{}:{}", self.path("bin").display(), std::env::var("PATH").expect("set"));
        // What the environment of a host could hold, from an image of somebody's own.
        let mut bash = Command::new("bash");
        bash.args(["--noprofile", "--norc", "-c", script]).env("PATH", path).env("DOCKER_CONTEXT", "gone");
        bash.env("HOME", self.path("share")).current_dir(self.0.path()).output().expect("bash runs")
    }

    /// Runs what pulls the image `$dind_image` at the first boot, with Docker as this script plays it; what the status says then.
    fn pulls(&self, docker: &str) -> (bool, String) {
        self.program("docker", &format!("echo \"$*\" >>\"$root/calls\"\n{docker}"));
        self.program("systemctl", "echo \"systemctl $*\" >>\"$root/calls\"");
        let image = between(include_str!("../bootstrap.sh"), "# A name of Docker Hub's own image", "image_began=");
        let output = self.run(&format!(
            "pulling=\n{image}\nearly >/dev/null 2>&1 &\npulling=$!\nends image \"${{EPOCHREALTIME/[.,]/}}\" image"
        ));
        let status = self.read("var/status");
        // Without times, and without how long it took.
        let lines = status
            .lines()
            .filter_map(|line| line.split_once(" image "))
            .map(|(_, said)| if said.starts_with("done ") { "done" } else { said });
        (output.status.success(), lines.collect::<Vec<_>>().join("\n"))
    }
}

fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let begin = text.find(from).expect(from);
    let length = text[begin..].find(to).expect(to);
    &text[begin..begin + length]
}

#[test]
fn what_is_in_the_shared_folder_leads_nowhere() {
    let root = Root::new("");
    let share = root.path("share");
    fs::create_dir_all(share.join("folder/inside")).expect("made");
    fs::create_dir(root.path("outside")).expect("made");
    fs::write(root.path("outside/victim"), "untouched").expect("written");
    fs::write(share.join("folder/real"), "0123456789").expect("written");
    for (target, link) in [
        (root.path("outside/victim"), "life.json"),
        (root.path("outside/victim"), ".life.json"),
        (root.path("outside"), "logs"),
        (PathBuf::from("/dev/zero"), "endless"),
        (share.join("folder/real"), "inside/linked"),
    ] {
        symlink(target, share.join("folder").join(link)).expect("linked");
    }
    assert!(Command::new("mkfifo").arg(share.join("folder/pipe")).status().expect("it runs").success());
    let script = format!(
        r#"folder='{}'
        echo new | (put "$folder" life.json) && echo written
        echo new | (put "$folder" logs/bootstrap.log) || echo refused
        echo new | (put "$folder/logs" status) || echo refused
        echo new | (put "$folder" inside/deeper/file) && echo written
        (drop "$folder/logs" victim) || echo refused
        (get "$folder" life.json 100)
        for name in pipe endless logs/victim missing; do (get "$folder" "$name" 100) || echo "refused $name"; done
        (get "$folder" inside/linked 4)"#,
        share.join("folder").display()
    );
    let output = root.run(&script);
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "written\nrefused\nrefused\nwritten\nrefused\nnew\nrefused pipe\nrefused endless\nrefused logs/victim\nrefused missing\n0123",
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(root.read("outside/victim"), "untouched");
    assert_eq!(fs::read_dir(root.path("outside")).expect("there").count(), 1);
    assert_eq!(root.read("share/folder/inside/deeper/file"), "new\n");
}

/// Root writes nothing there, whoever may have given a folder to root.
#[test]
fn a_folder_that_becomes_a_link_meanwhile_leads_nowhere() {
    let root = Root::new("");
    let (folder, outside) = (root.path("share/folder"), root.path("outside"));
    fs::create_dir_all(folder.join("logs")).expect("made");
    fs::create_dir(&outside).expect("made");
    symlink(&outside, folder.join("link")).expect("linked");
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let exchanges = scope.spawn(|| {
            let mut exchanges = 0;
            while !over.load(Ordering::Relaxed) {
                let (one, other) = (folder.join("logs"), folder.join("link"));
                rustix::fs::renameat_with(rustix::fs::CWD, one, rustix::fs::CWD, other, RenameFlags::EXCHANGE)
                    .expect("both are there");
                exchanges += 1;
            }
            exchanges
        });
        let script = "for ((n = 0; n < 100; n++)); do (echo new | put \"$folder\" logs/file); done";
        let output = root.run(&format!("folder='{}'\n{script}", folder.display()));
        over.store(true, Ordering::Relaxed);
        assert!(exchanges.join().expect("it ends") > 100, "{output:?}");
    });
    let written = |at: &std::path::Path| fs::read_dir(at).expect("there").count();
    assert_eq!(written(&outside), 0, "{:?}", fs::read_dir(&outside));
    assert!(["logs", "link"].iter().any(|name| folder.join(name).join("file").is_file()), "some are written");
}

#[test]
fn what_belongs_to_root_is_left_alone() {
    let root = Root::new("shared_home=$PWD/share\ninstance=name");
    fs::create_dir_all(root.path("share/hosts/name")).expect("made");
    fs::write(root.path("run/mounted"), "").expect("written");
    root.program("stat", "echo '0 0'");
    let output = root.run("echo new | shared put \"$folder\" status || echo refused");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "refused\n");
    assert_eq!(fs::read_dir(root.path("share/hosts/name")).expect("there").count(), 0);
}

/// Where no storage is shared, it is told beside the daemon's socket, and heard there, by nobody.
#[test]
fn a_host_without_shared_storage_is_asked_and_told_through_its_daemon() {
    let root = Root::new("shared_home=\ninstance=name");
    fs::set_permissions(root.0.path(), fs::Permissions::from_mode(0o755)).expect("set");
    fs::write(root.path("etc/latest"), "2000").expect("written");
    let made = between(include_str!("../bootstrap.sh"), "# Nobody's:", "    publishing &");
    let kept = between(include_str!("../life.sh"), "mem() {", "end() {");
    let output = root.run(&root.here(&format!(
        "{made}fi\nsay daemon done\npublish\n{kept}\n\
        kept; echo 1000 >\"$account/keep-until\"; kept; echo 900 >\"$account/keep-until\"; kept\n\
        rm \"$account/keep-until\"; kept; echo 99999 >\"$account/keep-until\"; kept"
    )));
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(said, "0\n1000\n1000\n1000\n2000\n", "{}", String::from_utf8_lossy(&output.stderr));
    assert!(root.read("run/account/status").ends_with(" daemon done\n"));
    let status = fs::metadata(root.path("run/account/status")).expect("there");
    assert_eq!((status.uid(), status.mode() & 0o777), (65534, 0o644));
}

#[test]
fn nothing_of_the_users_home_is_read() {
    let root = Root::new("daemon_port=1 endpoint_port=2\nproxies=()\nadditional_ports=()\ndind_image=image");
    root.program("docker", "echo \"$HOME $DOCKER_CONFIG $DOCKER_CONTEXT\" >>\"$root/environments\"; exit 1");
    assert!(!root.run("limit=60; pull image").status.success());
    let var = root.path("var");
    let expected = format!("{0}/home {0}/docker default\n", var.display());
    assert_eq!(root.read("environments"), expected.repeat(2));
    // curl reads /root/.curlrc whatever HOME is, unless this is its first argument.
    root.program("curl", "echo \"$1\" >>\"$root/first\"; exit 22");
    root.run("metadata instance-id");
    assert_eq!(root.read("first"), "-q\n");
}

/// Nothing runs on a host as root that its creation did not name: neither what somebody else put there later, nor what the user has changed.
#[test]
fn a_hook_runs_as_it_was_when_the_host_was_created() {
    let root = Root::new("");
    let home = root.path("share");
    fs::write(root.path("run/mounted"), "").expect("written");
    let script = format!("echo ran >>{}\n", root.path("ran").display());
    fs::write(home.join("pre-bootstrap.sh"), &script).expect("written");
    let sum = Command::new("sha256sum").arg(home.join("pre-bootstrap.sh")).output().expect("it runs");
    let sum = String::from_utf8_lossy(&sum.stdout).split_whitespace().next().expect("a sum").to_owned();
    let run = |sum: &str| {
        root.run(&format!(
            "shared_home='{}'\nshared() {{ [[ $1 == get ]] && cat \"$2/$3\"; }}\nhook pre-bootstrap.sh {sum}",
            home.display()
        ))
    };
    let other = sum.chars().rev().collect::<String>();
    let refused = run(&other);
    assert!(!refused.status.success());
    let said = String::from_utf8_lossy(&refused.stdout);
    assert!(said.contains("pre-bootstrap.sh is not what it was when the host was created"), "{said}");
    assert_eq!(root.read("ran"), "");
    assert!(run(&sum).status.success());
    // At later boots the host has its own copy, whatever became of the file.
    fs::write(home.join("pre-bootstrap.sh"), "exit 1\n").expect("written");
    assert!(run(&sum).status.success());
    fs::remove_file(home.join("pre-bootstrap.sh")).expect("removed");
    assert!(run(&sum).status.success());
    assert_eq!(root.read("ran"), "ran\n".repeat(3));
}

/// Docker looks at the host's routes, which lead to the host's own subnet only: what other subnets of the VPC have is kept clear of.
#[test]
fn dockers_networks_are_clear_of_the_vpc() {
    let network = |text: &str| -> (u32, u32) {
        let (address, bits) = text.split_once('/').expect("a network");
        (u32::from(address.parse::<std::net::Ipv4Addr>().expect("an address")), bits.parse().expect("bits"))
    };
    let overlap = |one: &str, other: &str| {
        let ((one, bits), (other, more)) = (network(one), network(other));
        let shift = 32 - bits.min(more);
        one.checked_shr(shift).unwrap_or_default() == other.checked_shr(shift).unwrap_or_default()
    };
    let root =
        Root::new("engine=dind\nproxies=()\ndaemon_port=1 endpoint_port=2\nadditional_ports=()\ndind_image=image");
    root.program("docker", "[[ $1 != run ]] || echo \"$*\"; [[ $1 != start ]]");
    root.program("systemctl", "[[ $1 != cat ]] || echo 'ExecStart=/usr/bin/dockerd -H fd://'");
    // As cloud-init has what the instance metadata service says in lines, and as it has one line.
    let cases: [(&str, &[&str]); 6] = [
        (r#""10.0.0.0/16""#, &["10.0.0.0/16"]),
        (r#""172.16.0.0/16""#, &["172.16.0.0/16"]),
        (r#""172.31.0.0/16""#, &["172.31.0.0/16"]),
        (
            r#"["172.17.0.0/16", "172.18.64.0/18", "192.168.7.0/24"]"#,
            &["172.17.0.0/16", "172.18.64.0/18", "192.168.7.0/24"],
        ),
        (r#"["172.16.0.0/12", "10.255.0.0/16"]"#, &["172.16.0.0/12", "10.255.0.0/16"]),
        (r#"["10.0.0.0/8", "172.16.0.0/13", "192.168.0.0/16"]"#, &["10.0.0.0/8", "172.16.0.0/13", "192.168.0.0/16"]),
    ];
    for (said, blocks) in cases {
        let facts = format!("{{\"ds\": {{\"macs\": {{\"02:00\": {{\n  \"vpc-ipv4-cidr-blocks\": {said}\n}}}}}}}}\n");
        fs::write(root.path("cloud-init/instance-data.json"), facts).expect("written");
        let script =
            root.here("/usr/local/lib/sdocker/networks.sh </run/cloud-init/instance-data.json >/etc/sdocker/networks");
        assert!(root.bash(&script).status.success(), "{said}");
        let unit = root.path("systemd/docker.service.d/sdocker.conf");
        let _ = fs::remove_file(&unit);
        assert!(root.bash(&root.here("/usr/local/lib/sdocker/daemon.sh")).status.success(), "{said}");
        let outer = fs::read_to_string(&unit).expect("written");
        let inner = String::from_utf8_lossy(&root.run("dind").stdout).into_owned();
        let clash = (17..32).map(|n| format!("172.{n}.0.0/16")).chain(["192.168.0.0/16".to_owned()]);
        let clash = clash.filter(|default| blocks.iter().any(|block| overlap(block, default))).count() > 0;
        assert_eq!((outer.contains("--bip"), inner.contains("--bip")), (clash, clash), "{said}: {outer} {inner}");
        let mut bridges = Vec::new();
        for text in [&outer, &inner] {
            let words: Vec<&str> = text.split_whitespace().collect();
            for pair in words.windows(2) {
                match pair {
                    ["--bip", bridge] => bridges.push((*bridge).to_owned()),
                    ["--default-address-pool", pool] => {
                        let base = pool.strip_prefix("base=").and_then(|pool| pool.split(',').next()).expect("a base");
                        assert!(blocks.iter().all(|block| !overlap(block, base)), "{said}: {base}");
                    }
                    _ => {}
                }
            }
        }
        for bridge in &bridges {
            assert!(blocks.iter().all(|block| !overlap(block, bridge)), "{said}: {bridge}");
        }
        assert!(bridges.first() != bridges.get(1) || bridges.is_empty(), "{bridges:?}");
    }
}

const HUB: &str = "dind_image=docker:29-dind\nengine=dind\nproxies=()\ndaemon_port=1111";
const AMAZON: &str = "public.ecr.aws/docker/library/docker:29-dind";

#[test]
fn docker_hub_is_asked_first() {
    let root = Root::new(HUB);
    assert_eq!(root.pulls("[[ $1 == pull ]]"), (true, "done".to_owned()));
    let calls = root.read("calls");
    assert_eq!(calls, "systemctl start docker\nimage inspect docker:29-dind\npull -q docker:29-dind\n");
}

#[test]
fn without_docker_hub_the_image_comes_from_amazons_registry() {
    let limit = "toomanyrequests: You have reached your unauthenticated pull rate limit";
    let root = Root::new(HUB);
    let docker = format!(
        "[[ $1 != image ]] || exit 1; [[ $* != 'pull -q docker:29-dind' ]] || {{ echo '{limit}' >&2; exit 1; }}"
    );
    let said = format!("info it came from {AMAZON}: docker:29-dind can not be pulled: {limit}\ndone");
    assert_eq!(root.pulls(&docker), (true, said));
    assert!(
        root.read("calls").ends_with(&format!("pull -q {AMAZON}\ntag {AMAZON} docker:29-dind\n")),
        "{}",
        root.read("calls")
    );
}

#[test]
fn a_registry_that_does_not_answer_is_not_waited_for_twice() {
    let root = Root::new(HUB);
    // `timeout` ends with 137 what it had to kill.
    root.program("timeout", "shift 3; exec \"$@\"");
    let (came_up, said) =
        root.pulls("[[ $1 != image ]] || exit 1; [[ $* != 'pull -q docker:29-dind' ]] || kill -KILL $$");
    assert!(came_up);
    assert_eq!(
        said,
        format!("info it came from {AMAZON}: docker:29-dind can not be pulled: no answer within 300 s\ndone")
    );
    assert_eq!(root.read("calls").matches("pull -q docker:29-dind").count(), 1);
}

#[test]
fn without_any_registry_the_images_own_daemon_serves() {
    let root = Root::new(HUB);
    let docker = "[[ $1 != pull ]] || echo \"no route to $3\" >&2; exit 1";
    let (came_up, said) = root.pulls(docker);
    assert!(came_up, "{said}");
    let warning = format!(
        "warning the image's own Docker serves in its place: docker:29-dind can not be pulled: no route to docker:29-dind; {AMAZON} can not \
         be pulled: no route to {AMAZON}\ndone"
    );
    assert_eq!(said, warning);
    assert!(root.read("etc/settings").ends_with("engine=native\n"));
    assert!(root.read("systemd/docker.service.d/sdocker.conf").contains("ExecStart="));
}

#[test]
fn an_image_of_the_users_own_is_pulled_after_their_hook_logged_in_or_not_at_all() {
    let own = "dind_image=registry.example/team/docker:dind\nengine=dind\nproxies=()";
    let root = Root::new(own);
    // As if the hook had logged in after the first try.
    let docker = "[[ $1 == pull ]] || exit 1; [[ -e $root/tried ]] && exit; touch $root/tried; echo denied; exit 1";
    assert_eq!(root.pulls(docker), (true, "done".to_owned()));

    let root = Root::new(own);
    let (came_up, said) = root.pulls("echo denied >&2; exit 1");
    assert_eq!(said, "failed registry.example/team/docker:dind can not be pulled: denied");
    assert!(!came_up && !root.read("calls").contains("public.ecr.aws"));
}

#[test]
fn an_image_in_ecr_is_logged_in_to_with_the_instance_profile() {
    let root = Root::new("dind_image=123456789012.dkr.ecr.eu-west-1.amazonaws.com/dind:1\nproxies=()");
    let ecr = TcpListener::bind("127.0.0.1:0").expect("bound");
    let port = ecr.local_addr().expect("bound").port();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = ecr.accept().expect("asked");
        let mut request = Vec::new();
        while !request.ends_with(b"{}") {
            let mut buffer = [0; 4096];
            let count = stream.read(&mut buffer).expect("read");
            assert!(count > 0, "{}", String::from_utf8_lossy(&request));
            request.extend_from_slice(&buffer[..count]);
        }
        // `AWS:secret-token`
        let body = r#"{"authorizationData":[{"authorizationToken":"QVdTOnNlY3JldC10b2tlbg==","expiresAt":1.7E9}]}"#;
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
        stream.write_all(answer.as_bytes()).expect("written");
        String::from_utf8(request).expect("text")
    });
    let credentials =
        r#"{"Code": "Success", "AccessKeyId" : "AKIDEXAMPLE", "SecretAccessKey" : "s/ecret+", "Token" : "session=="}"#;
    root.program(
        "curl",
        &format!(
            r#"case "$*" in
            *api/token) echo metadata-token ;;
            *security-credentials/) echo role ;;
            *security-credentials/role) echo '{credentials}' ;;
            *) sed 's,https://api.ecr.eu-west-1.amazonaws.com/,http://127.0.0.1:{port}/,' | command -p curl "$@" ;;
            esac"#
        ),
    );
    root.program("docker", "{ echo \"$*\"; cat; } >>\"$root/calls\"");
    let output = root.run("ecr_login");
    let request = server.join().expect("served");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(
        root.read("calls"),
        "login -u AWS --password-stdin 123456789012.dkr.ecr.eu-west-1.amazonaws.com\nsecret-token\n"
    );
    for part in [
        "Credential=AKIDEXAMPLE/",
        "/eu-west-1/ecr/aws4_request",
        "x-amz-security-token",
        "X-Amz-Security-Token: session==",
    ] {
        assert!(request.contains(part), "{part}: {request}");
    }

    // Without a profile it is said, and the pull tells what is lacking.
    root.program("curl", "case \"$*\" in *api/token) echo token ;; *) exit 22 ;; esac");
    let (came_up, said) = root.pulls("[[ $1 != pull ]] || echo 'no basic auth credentials' >&2; exit 1");
    assert!(!came_up);
    assert!(said.ends_with("no basic auth credentials; no instance profile to log in to 123456789012.dkr.ecr.eu-west-1.amazonaws.com with"), "{said}");
}

/// One that ends once may come up the next time; of one that never does, the cause is said, and not what its entry point says each time.
#[test]
fn a_daemon_may_end_once_and_not_again_and_again() {
    let root = Root::new("engine=dind\nproxies=()\ndaemon_port=1111");
    let docker = |restarts: u8| {
        let logs = "printf 'entry point\\nfailed to start containerd: timeout\\nentry point\\n'";
        root.program("docker", &format!("case $1 in inspect) echo 'true {restarts}' ;; logs) {logs} ;; esac"));
    };
    docker(1);
    root.program("curl", "echo >>\"$root/tries\"; (($(wc -l <\"$root/tries\") > 3))");
    let output = root.run("answers");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(root.read("tries").lines().count(), 4);
    docker(3);
    root.program("curl", "exit 7");
    let output = root.run("answers");
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "the daemon ends again and again: failed to start containerd: timeout\n"
    );
    assert!(!output.status.success());
}

#[test]
fn a_daemon_that_wants_a_newer_api_is_asked_for_it() {
    let root = Root::new("engine=native\nproxies=()\ndaemon_port=1111");
    // As moby's `loadDaemonCliConfig` has it.
    let refusal = "failed to start daemon: invalid DOCKER_MIN_API_VERSION: minimum supported API version is 1.40: 1.24";
    root.program("journalctl", &format!("echo '{refusal}'"));
    root.program(
        "systemctl",
        "[[ $1 != *start ]] || grep -q 'DOCKER_MIN_API_VERSION=1.40' \"$root/systemd/docker.service.d/sdocker.conf\"",
    );
    let output = root.run(&root.here("bash /usr/local/lib/sdocker/daemon.sh; native"));
    assert!(output.status.success(), "{output:?}");
    assert!(root.read("etc/settings").ends_with("least_api=1.40\n"));
    // Asked for once, it is not the cause.
    root.program("systemctl", "exit 1");
    let output = root.run("native");
    assert_eq!(String::from_utf8_lossy(&output.stdout), format!("Docker does not start: {refusal}\n"));
}

/// Docker documentation, "dockerd", "Node generic resources".
#[test]
fn the_gpus_of_a_swarms_node_are_resources() {
    let flags = |settings: &str| {
        let root = Root::new(&format!("engine=native\nproxies=()\ndaemon_port=1111\n{settings}"));
        root.program("nvidia-smi", "echo GPU-5f3c; echo GPU-77aa");
        root.program("systemctl", "[[ $1 != cat ]] || echo 'ExecStart=/usr/bin/dockerd -H fd://'");
        let output = root.run("native");
        assert!(output.status.success(), "{output:?}");
        let unit = root.read("systemd/docker.service.d/sdocker.conf");
        unit.lines().last().expect("a command").to_owned()
    };
    let node = flags("swarm=1\nnvidia=1");
    for said in [
        " --node-generic-resource=NVIDIA-GPU=GPU-5f3c --node-generic-resource=NVIDIA-GPU=GPU-77aa ",
        " --default-runtime nvidia",
    ] {
        assert!(node.contains(said), "{node}");
    }
    assert!(!node.contains("--live-restore"), "{node}");
}

#[test]
fn containers_of_docker_in_docker_have_the_gpus() {
    let settings =
        "daemon_port=1 endpoint_port=2\nproxies=(HTTP_PROXY=http://proxy)\nadditional_ports=()\ndind_image=image";
    let root = Root::new(settings);
    root.program(
        "docker",
        "[[ $1 != info ]] || echo '{\"nvidia\":{}}'; [[ $1 != run ]] || echo \"$*\"; [[ $1 != start ]]",
    );
    let dind = || String::from_utf8_lossy(&root.run("dind").stdout).into_owned();
    assert!(
        !dind().contains("--gpus") && dind().contains("-e HTTP_PROXY=http://proxy -e DOCKER_MIN_API_VERSION=1.24 ")
    );
    root.program("nvidia-smi", "echo GPU");
    assert!(dind().contains(" --gpus all "), "{}", dind());
}

/// cloud-init waits for the end of a boothook's output.
#[test]
fn nothing_that_goes_on_holds_the_output() {
    let root = Root::new("engine=native\nproxies=()\nmax_lifetime=60\nspot=0\ndaemon_port=1");
    for name in ["systemctl", "journalctl"] {
        root.program(name, "");
    }
    let gate = root.path("gate");
    assert!(Command::new("mkfifo").arg(&gate).status().expect("it runs").success());
    // Goes on for as long as this test wants.
    root.program("modprobe", "read -r <\"$root/gate\"; touch \"$root/went-on\"");
    let script = root.here(&format!("instance_id=i-1\n. /etc/sdocker/settings\n{START}"));
    let (sender, receiver) = mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(|| sender.send(root.bash(&script)));
        let ended = receiver.recv_timeout(Duration::from_secs(60));
        fs::write(&gate, "go\n").expect("somebody reads");
        let output = ended.expect("the output ends while something goes on");
        assert!(output.status.success(), "{output:?}");
    });
    assert_eq!(root.read("etc/installed"), "instance i-1\n");
}

/// A daemon, process 7, that runs these containers, without labels, and has moved so many bytes.
fn host_in_use(root: &Root, containers: &[&str], moved: u64) {
    let containers: Vec<_> =
        containers.iter().map(|name| container(&json!([format!("/{name}")]), &json!({}))).collect();
    daemon_with(root, "Swarm: inactive", &containers);
    fs::create_dir_all(root.path("proc/7")).expect("made");
    fs::write(root.path("proc/7/io"), format!("rchar: {moved}\nwchar: 1\nsyscr: 99999999\nread_bytes: 99999999\n"))
        .expect("written");
}

/// A container as a daemon lists it (Docker Engine API, `ContainerList`): in this order, and compact.
fn container(names: &serde_json::Value, labels: &serde_json::Value) -> String {
    let id = "5a".repeat(32);
    format!(
        r#"{{"Id":"{id}","Names":{names},"Image":"busybox","Ports":[],"Labels":{labels},"State":"running","HostConfig":{{"NetworkMode":"bridge"}},"Mounts":[]}}"#
    )
}

/// A daemon that says this in the headers of its ping, and runs these containers.
fn daemon_with(root: &Root, header: &str, containers: &[String]) {
    fs::write(root.path("containers"), format!("[{}]\n", containers.join(","))).expect("written");
    root.program(
        "curl",
        &format!(
            r#"echo "$*" >>"$root/asked"
            [[ $* == *http://docker/_ping* ]] || exit 22
            printf 'HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\n{header}\r\n\r\nOKHTTP/1.1 200 OK\r\n\r\n'
            cat "$root/containers""#
        ),
    );
}

/// What one look sees, this long after the one before.
fn look(root: &Root, later: u64) -> String {
    if !root.path("afterwards").exists() {
        fs::write(root.path("afterwards"), "").expect("written");
    }
    let before = root.read("var/moved");
    if let Some((total, clock)) = before.trim().split_once(' ') {
        let clock: u64 = clock.parse().expect("a time");
        fs::write(root.path("var/moved"), format!("{total} {}\n", clock - later)).expect("written");
    }
    let script = root.here(USES);
    let moved = root.path("var/moved");
    let output = root.bash(&format!(
        "daemon() {{ docker -H unix:///socket \"$@\"; }}; socket=/socket; dockerds() {{ echo 7; }}\n{script}\nlook '{0}' && printf '%s|' \"${{uses[@]}}\" && . '{1}' && looked '{0}'",
        moved.display(),
        root.path("afterwards").display()
    ));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn what_happens_on_a_host_is_a_use_of_it() {
    let root = Root::new("");
    root.program("pgrep", "[[ -e $root/building && $* == '-x runc -P 7' ]]");
    host_in_use(&root, &[], 5_000_000);
    assert_eq!(look(&root, 0), "|", "what was moved before the first look is nobody's");
    host_in_use(&root, &[], 5_900_000);
    assert_eq!(look(&root, 60), "|", "upkeep");
    host_in_use(&root, &[], 7_900_000);
    assert_eq!(look(&root, 60), "data on its way|");
    // What a look asks for itself, such as a log.
    fs::write(root.path("afterwards"), "sed -i 's/^rchar: .*/rchar: 99000000/' \"$root/proc/7/io\"\n")
        .expect("written");
    assert_eq!(look(&root, 60), "|");
    fs::write(root.path("afterwards"), "").expect("written");
    assert_eq!(look(&root, 60), "|", "nobody else has moved anything");
    // Another daemon begins anew.
    host_in_use(&root, &[], 100);
    assert_eq!(look(&root, 60), "|");
    fs::write(root.path("building"), "").expect("written");
    assert_eq!(look(&root, 60), "a build|");
    fs::remove_file(root.path("building")).expect("removed");
    host_in_use(&root, &["web", "db"], 100);
    assert_eq!(look(&root, 60), "2 running containers: web, db|");
    host_in_use(&root, &["a", "b", "c", "d", "e", "f", "g"], 100);
    assert_eq!(look(&root, 60), "7 running containers: a, b, c, d, e, ...|");
    root.program("curl", "exit 7");
    assert_eq!(look(&root, 60), "", "nobody knows");
}

#[test]
fn labelled_containers_are_no_use_whatever_others_say_of_them() {
    let root = Root::new("");
    root.program("pgrep", "false");
    host_in_use(&root, &[], 0);
    let containers = [
        container(&json!(["/one"]), &json!({})),
        container(&json!(["/ignored"]), &json!({"Id": "b", "sdocker.idle": "ignore"})),
        container(&json!(["/agent"]), &json!({"sdocker.agent": "1"})),
        container(
            &json!(["/other/alias", "/linked", "/third/alias"]),
            &json!({"sdocker.idle": "no", "sdocker.agent": ""}),
        ),
        container(
            &json!(["/liar"]),
            &json!({"note": r#"x","sdocker.idle":"ignore","sdocker.agent":"1"#, "Id": "5a".repeat(32)}),
        ),
    ];
    daemon_with(&root, "Swarm: inactive", &containers);
    assert_eq!(look(&root, 60), "3 running containers: one, linked, liar|");
}

/// The Docker CLI is not started for a host that manages no Swarm; a daemon that does not say whether it does is asked for its nodes.
#[test]
fn only_a_manager_tends_its_swarm() {
    for (header, calls, asked) in [
        ("Swarm: active/manager", "-H unix:///socket node ls -q\n", 1),
        ("Swarm: active/worker", "", 1),
        ("Swarm: inactive", "", 1),
        ("Ostype: linux", "", 2),
    ] {
        let root = Root::new("");
        root.program("docker", "echo \"$*\" >>\"$root/calls\"");
        root.program("pgrep", "false");
        host_in_use(&root, &[], 0);
        daemon_with(&root, header, &[]);
        assert_eq!(look(&root, 0), "|", "{header}");
        assert_eq!(root.read("calls"), calls, "{header}");
        assert_eq!(root.read("asked").lines().count(), asked, "{header}");
    }
}

/// EC2's notice is said once, and the host is looked at.
#[test]
fn the_end_of_a_spot_instance_is_said_as_soon_as_it_is_known() {
    let root = Root::new("shared_home=\ninstance=name\nspot=1\nengine=native");
    root.program("systemctl", "echo \"$*\" >>\"$root/calls\"");
    root.program("sleep", "echo slept >>\"$root/sleeps\"");
    // As the service has it: no token is 401, no notice 404 (EC2 user guide, "Spot Instance interruption notices").
    root.program(
        "curl",
        r#"case "$*" in
        *PUT*api/token) echo token ;;
        *'aws-ec2-metadata-token: token '*)
            if [[ $(wc -l <"$root/sleeps") -ge 3 ]]; then printf '{"action": "terminate"}\n200'; else printf 'none\n404'; fi ;;
        *) printf '\n401' ;;
        esac"#,
    );
    root.bash(&format!("set -- notice\n{}", root.here(include_str!("../life.sh"))));
    assert_eq!(root.read("calls"), "start --no-block sdocker-idle\n");
    assert!(
        root.read("var/status").ends_with(" spot warning EC2 takes this Spot instance back: {action: terminate}\n")
    );
    assert_eq!(root.read("run/spot-notice"), "{action: terminate}\n");
    assert_eq!(root.read("sleeps").lines().count(), 3);
}

/// Of a daemon in a container, what it wrote: without the headers, whatever bytes the lengths of its pieces have.
#[test]
fn the_log_of_a_daemon_in_a_container_is_what_it_wrote() {
    let root = Root::new("shared_home=\ninstance=name\nidle_timeout=3600\nspot=0\nengine=dind");
    for program in ["systemctl", "pgrep"] {
        root.program(program, "false");
    }
    root.program("df", "echo Use%; echo 12%");
    for file in ["etc/expires", "etc/latest"] {
        fs::write(root.path(file), "9999999999\n").expect("written");
    }
    let (mut written, mut framed) = (String::new(), Vec::new());
    for length in [1_usize, 2, 9, 10, 11, 266, 2559, 2560, 2570, 2600, 3000] {
        let line = format!("{}\n", "x".repeat(length - 1));
        framed.extend([1 + u8::from(length > 9), 0, 0, 0]);
        framed.extend(u32::try_from(length).expect("short").to_be_bytes());
        framed.extend(line.as_bytes());
        written.push_str(&line);
    }
    fs::write(root.path("framed"), framed).expect("written");
    // Whoever waits for a look by its account finds the log that belongs to it.
    root.program(
        "curl",
        "[[ $* == *'--unix-socket /run/docker.sock '*/containers/sdocker/logs* && ! -e $root/var/life.json ]] && cat \"$root/framed\"",
    );
    root.bash(&format!("set -- watch\n{}", root.here(include_str!("../life.sh"))));
    assert_eq!(root.read("var/dockerd.log"), written);
    assert_ne!(root.read("var/life.json"), "");
}

/// Before Docker starts the containers that it restarts: what the last boot had in memory is gone, and the app does not share it yet.
#[test]
fn folders_in_memory_are_protected_at_a_boot() {
    let root = Root::new("engine=native");
    root.program("mountpoint", "[[ $2 == */mounted ]]");
    root.program("mount", "echo \"mount $*\" >>\"$root/calls\"");
    let guard = root.here("/usr/local/lib/sdocker/daemon.sh guard");
    assert!(root.bash(&guard).status.success(), "there is no list");
    fs::write(root.path("var/guarded"), format!("{0}/tmp/a b\n{0}/tmp/mounted\n", root.path("").display()))
        .expect("written");
    assert!(root.bash(&guard).status.success());
    assert!(root.path("tmp/a b").is_dir() && root.path("tmp/mounted").is_dir());
    let calls = root.read("calls");
    assert_eq!(calls.lines().count(), 1, "{calls}");
    assert!(calls.starts_with("mount -t tmpfs -o ro,") && calls.ends_with("/tmp/a b\n"), "{calls}");
}

/// Addresses on the network, what is new first; none of the network's own, nor of what it is labelled with.
#[test]
fn the_endpoint_is_sought_among_the_containers_of_its_network() {
    let root = Root::new("");
    // As a daemon says it.
    let network = |containers: serde_json::Value| {
        json!({
            "Name": "sagemaker", "IPAM": {"Driver": "default", "Config": [{"Subnet": "172.18.0.0/16", "Gateway": "172.18.0.1"}]},
            "Containers": containers, "Options": {}, "Labels": {"note": r#""IPv4Address":"9.9.9.9/16""#},
        })
    };
    let container = |name: &str, address: &str| json!({"Name": name, "MacAddress": "02:42:ac:12:00:02", "IPv4Address": address, "IPv6Address": ""});
    let one = json!({"b": container("algo-1", "172.18.0.2/16")});
    let two = json!({"a": container("lb", ""), "b": container("algo-1", "172.18.0.2/16"), "c": container("algo-2", "172.18.0.3/16")});
    for (file, said) in [
        ("none", json!({"message": "network sagemaker not found"})),
        ("broken", json!({"message": "the daemon is shutting down"})),
        ("one", network(one)),
        ("two", network(two)),
    ] {
        fs::write(root.path(file), said.to_string()).expect("written");
    }
    root.program("curl", "[[ $* == *' http://docker/networks/sagemaker' ]] && cat \"$root/$answer\"");
    let functions = between(include_str!("../endpoint-forward.sh"), "inside() {", "point_to() {");
    let script = format!(
        "socket=/socket; {functions}\naddresses=()\nserves() {{ [[ $1 == *.2 ]]; }}\n\
         export answer; for answer in one two broken none; do\nlist\necho \"$answer $? ${{addresses[*]}}: $(serving)\"\ndone"
    );
    let output = root.bash(&script);
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(
        said.lines().collect::<Vec<_>>(),
        [
            "one 0 172.18.0.2: 172.18.0.2",
            "two 0 172.18.0.3 172.18.0.2: 172.18.0.2",
            "broken 1 172.18.0.3 172.18.0.2: 172.18.0.2",
            "none 0 : "
        ],
        "{output:?}"
    );
}

/// A folder that the home's owner, or whoever is root in a container, writes to.
#[test]
fn a_host_is_not_kept_beyond_what_its_launch_said() {
    let root = Root::new("shared_home=$PWD/share\ninstance=name\nidle_timeout=60\nspot=0\nengine=native");
    fs::create_dir_all(root.path("share/hosts/name")).expect("made");
    fs::write(root.path("etc/latest"), "5000\n").expect("written");
    let life = include_str!("../life.sh");
    let kept = format!(
        "{}\nshared() {{ \"$@\"; }}\n{}\nkept",
        include_str!("../host.sh"),
        between(life, "kept() {", "end() {")
    );
    for (written, means) in [("4000\n", "4000"), ("99999999999\n", "5000"), ("0000004000", "4000"), ("soon", "0")] {
        fs::write(root.path("share/hosts/name/keep-until"), written).expect("written");
        let output = root.bash(&root.here(&kept));
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), means, "{written}");
    }
}

/// `life.sh` at its look at a host that is idle, `age` seconds after its boot: what it comes to, and what it says.
fn life_of_a_stopping_host(root: &Root, boot: &str, age: u64) -> (i64, String) {
    root.program("systemctl", "echo \"$*\" >>\"$root/calls\"");
    host_in_use(root, &[], 0);
    root.program("df", "echo Use%; echo 12%");
    root.program("pgrep", "false");
    for (file, text) in [("proc/uptime", format!("{age}.25 1.0")), ("proc/sys/kernel/random/boot_id", boot.to_owned())]
    {
        let path = root.path(file);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, text).expect("written");
    }
    fs::write(root.path("run/ready"), "").expect("written");
    root.bash(&format!("set -- watch\n{}", root.here(include_str!("../life.sh"))));
    let life = root.read("var/life.json");
    let life: serde_json::Value = serde_json::from_str(&life).unwrap_or_default();
    let ends = life["idle_deadline"].as_str().unwrap_or_default().parse::<jiff::Timestamp>().expect("a time");
    let late = ends.duration_since(jiff::Timestamp::now()).as_secs();
    (late, life["expires_at"].as_str().unwrap_or_default().to_owned())
}

/// After a reboot the watch may look before the bootstrap begins, which waits for the network: what was idle before does not end while it starts.
#[test]
fn a_host_that_starts_is_not_idle_unless_its_bootstrap_failed() {
    for (state, ends) in [("inactive", false), ("activating", false), ("failed", true)] {
        let root = Root::new("shared_home=\ninstance=name\nidle_timeout=3600\nspot=0\nengine=native");
        root.program(
            "systemctl",
            &format!("echo \"$*\" >>\"$root/calls\"; [[ $1 != is-active ]] && [[ $1 != show ]] || echo {state}; [[ $1 != is-active ]]"),
        );
        root.program("df", "echo Use%; echo 12%");
        let now = jiff::Timestamp::now().as_second();
        for (file, time) in [("etc/expires", now + 9000), ("etc/latest", now + 90000), ("var/last-use", now - 4000)] {
            fs::write(root.path(file), format!("{time}\n")).expect("written");
        }
        root.bash(&format!("set -- watch\n{}", root.here(include_str!("../life.sh"))));
        assert_eq!(root.read("calls").contains("poweroff"), ends, "{state}: {}", root.read("calls"));
    }
}

/// Started again, a host has an idle clock that begins anew, and half an hour at least, however old it is.
#[test]
fn a_host_that_stopped_begins_anew_with_its_idleness_and_goes_on_with_its_life() {
    let root = Root::new("shared_home=\ninstance=name\nidle_timeout=3600\nspot=0\nengine=native\nstops=1");
    let now = jiff::Timestamp::now().as_second();
    let hours = |hours: i64| now + hours * 3600;
    for (file, time) in [("etc/expires", hours(4)), ("etc/latest", hours(28)), ("var/last-use", hours(-9))] {
        fs::write(root.path(file), format!("{time}\n")).expect("written");
    }
    fs::write(root.path("etc/first-boot"), "boot-1\n").expect("written");
    let (idle, expires) = life_of_a_stopping_host(&root, "boot-2", 100);
    assert!((3440..=3510).contains(&idle), "an hour since it booted, and not since it was last used: {idle}");
    let at = |expires: &str| expires.parse::<jiff::Timestamp>().expect("a time").as_second();
    assert_eq!(at(&expires), hours(4), "its life goes on");
    assert!(!root.read("calls").contains("poweroff"), "{}", root.read("calls"));

    // Long after its end.
    fs::write(root.path("etc/expires"), format!("{}\n", hours(-20))).expect("written");
    let (_, expires) = life_of_a_stopping_host(&root, "boot-3", 100);
    assert!((at(&expires) - (now + 1700)).abs() <= 30, "{expires}");
    assert!(!root.read("calls").contains("poweroff"), "{}", root.read("calls"));
    life_of_a_stopping_host(&root, "boot-3", 1801);
    assert!(root.read("calls").contains("poweroff"), "{}", root.read("calls"));
    let status = root.read("var/status");
    assert!(status.contains("the host stops itself, and keeps its disk: its maximum lifetime is over"), "{status}");
    // What was powered off is not in its first boot: that has no more than was asked for.
    fs::remove_file(root.path("calls")).expect("there");
    life_of_a_stopping_host(&root, "boot-1", 100);
    assert!(root.read("calls").contains("poweroff"), "{}", root.read("calls"));
}

#[test]
fn a_file_system_that_demands_encryption_is_mounted_with_it() {
    let root = Root::new("");
    root.program("mount", "echo \"$*\" >>\"$root/calls\"; [[ $2 == efs ]] || { echo 'mount.nfs4: access denied by server while mounting' >&2; exit 32; }");
    root.program("mountpoint", "false");
    root.program("mkdir", "true");
    let output = root.run("helper() { :; }; efs fs-1 '' 10.0.1.4 /200005 /mnt/home");
    assert!(output.status.success(), "{output:?}");
    let calls = root.read("calls");
    let last = calls.lines().last().expect("a call");
    assert_eq!(last, "-t efs -o nosuid,nodev,tls,mounttargetip=10.0.1.4 fs-1:/200005 /mnt/home", "{calls}");
    assert_eq!(calls.lines().count(), 2, "{calls}");
}

/// Where the image has the helper, the mount is encrypted without anybody's demand; where that fails the host comes up nevertheless, and says so.
#[test]
fn file_systems_are_mounted_with_encryption_where_the_helper_is_there() {
    for (fails, expected) in [(false, 1), (true, 2)] {
        let root = Root::new("");
        let efs = if fails { "echo 'no stunnel' >&2; exit 1" } else { "exit 0" };
        root.program("mount", &format!("echo \"$*\" >>\"$root/calls\"; [[ $2 != efs ]] || {{ {efs}; }}"));
        root.program("mountpoint", "false");
        root.program("mkdir", "true");
        let output = root.run("has_helper() { :; }; efs fs-1 '' 10.0.1.4 /200005 /mnt/home");
        assert!(output.status.success(), "{output:?}");
        let calls = root.read("calls");
        assert!(calls.starts_with("-t efs -o nosuid,nodev,tls,mounttargetip=10.0.1.4 "), "{calls}");
        assert_eq!(calls.lines().count(), expected, "{calls}");
        let status = root.read("var/status");
        let warned = status.contains("mounts warning fs-1 is mounted without encryption: no stunnel");
        assert_eq!(warned, fails, "{status}");
    }
}

#[test]
fn a_helper_that_can_not_be_installed_is_said_with_what_lacks() {
    let root = Root::new("");
    root.program("dnf", "echo try >>\"$root/tries\"; echo 'Error: Failed to download metadata' >&2; exit 1");
    let output = root.run("helper");
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("Failed to download metadata") && said.contains("gateway endpoint for S3"), "{said}");
    assert_eq!(root.read("tries").lines().count(), 3);
}
