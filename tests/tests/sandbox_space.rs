//! The product in today's Studio: a space with an EBS home and no EFS, by the user that Studio gives, on hosts that have nothing of the app but
//! what travels in user data.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::TcpListener,
    os::unix::fs::MetadataExt as _,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use sdocker_tests::{Home, Run, Space, eventually};
use serde_json::Value;

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

/// A page of a port of localhost; `None` where nobody answers.
fn page(port: u16) -> Option<String> {
    let address = format!("http://127.0.0.1:{port}/");
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

/// The processes in the background of this home.
fn link_processes(home: &Home) -> Vec<String> {
    let variable = format!("HOME={}\0", home.path().display());
    let of_home = |process: &fs::DirEntry| {
        let read = |file: &str| fs::read(process.path().join(file)).unwrap_or_default();
        let command = String::from_utf8_lossy(&read("cmdline")).replace('\0', " ");
        command.contains(" link --host ") && String::from_utf8_lossy(&read("environ")).contains(&variable)
    };
    let processes = fs::read_dir("/proc").expect("readable").flatten().filter(of_home);
    processes.map(|process| process.file_name().to_string_lossy().into_owned()).collect()
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
    let created = home.sdocker(&CREATE).expect(0);
    let path = home.path().display().to_string();
    assert!(created.stdout.contains(&format!("{path} is live in containers")), "{created:?}");
    assert!(space.front.log().iter().all(|call| !call.starts_with("elasticfilesystem:")), "{:?}", space.front.log());
    image(home);

    // The folder, live, both ways; what containers write is the user's.
    let project = home.join("project");
    let work = format!("{}:/work", project.display());
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
    // Beside what Studio and Local Mode have there.
    assert_eq!(seen, "project\nstudio-root\ntemp\ntmp\n");
    assert!(!home.join(".ssh").exists());

    // A port.
    let port = free_port();
    let serve = "mkdir /www; echo served >/www/index.html; exec httpd -f -p 80 -h /www";
    docker(home, &["run", "-d", "--name", "web", "-p", &format!("{port}:80"), "box:1", "sh", "-c", serve]);
    until("it serves", || page(port).as_deref() == Some("served"));
    assert_eq!(status(home)["link"]["folders"][0]["state"], "shared");
    let said = home.sdocker(&["status"]).expect(0).stdout;
    for line in [format!("{path}: live"), format!("{port} of web at localhost:{port}")] {
        assert!(said.contains(&line), "{line}: {said}");
    }

    // Nothing is left.
    let daemon = space.daemons();
    assert!(space.on_host("cat /proc/self/mounts").contains(&format!(" {path} fuse.sdocker ")), "it is seen");
    let mounts = format!("/proc/{}/mounts", daemon[0]);
    home.sdocker(&["terminate-current-host"]).expect(0);
    assert_eq!(page(port), None);
    assert_eq!(link_processes(home), Vec::<String>::new());
    until("the machine is gone", || space.left().is_empty());
    assert!(!Path::new(&mounts).exists(), "its daemon, and with it its mounts");
    let tmp = fs::symlink_metadata(home.join("tmp")).expect("there");
    assert!(tmp.is_dir(), "{tmp:?}");
    assert_eq!(fs::read_to_string(home.join("tmp/kept")).expect("there"), "kept");
    assert_eq!((space.front.live(), home.records()), (Vec::new(), Vec::new()));
    let links = fs::read_dir(home.join(".sdocker/links")).expect("there").flatten();
    assert_eq!(links.map(|link| link.path()).collect::<Vec<_>>(), Vec::<std::path::PathBuf>::new());
}

/// Two spaces of a user have the same home, each with files of its own in it.
#[test]
fn a_path_on_a_host_belongs_to_one_app() {
    let Some(space) = Space::open() else { return };
    let home = &space.home;
    fs::write(home.join("f"), "of the first").expect("written");
    let created = home.sdocker(&[&CREATE[..], &["--output", "json"]].concat()).expect(0).json();
    image(home);
    let instance = created["instance_id"].as_str().expect("an id");
    let other = |arguments: &[&str]| {
        // What tells one app from another: what Studio says of it, and its own temporary folder.
        let root = home.join("other-root/opt/ml/metadata");
        let metadata =
            fs::read_to_string(home.join("studio-root/opt/ml/metadata/resource-metadata.json")).expect("there");
        fs::create_dir_all(&root).expect("made");
        fs::write(root.join("resource-metadata.json"), metadata.replace("mine", "another")).expect("written");
        fs::create_dir_all(home.join("other-tmp")).expect("made");
        home.give();
        let mut command = home.sdocker_command(arguments);
        command.env("SDOCKER_METADATA_ROOT", home.join("other-root")).env("XDG_RUNTIME_DIR", home.join("other-tmp"));
        Run::new(command.output().expect("it runs"))
    };
    let refused = other(&["use", "--instance-id", instance]).expect(0);
    let owner = "the Studio app d-wire/mine/JupyterLab/default";
    assert!(refused.stderr.contains(&format!("on the host is shared by {owner}")), "{}", refused.stderr);
    let said = other(&["status"]).expect(0).stdout;
    assert!(said.contains("containers see nothing of it") && said.contains(owner), "{said}");
    // The first is served as before.
    let file = format!("{}:/h", home.path().display());
    assert_eq!(docker(home, &["run", "--rm", "-v", &file, "box:1", "cat", "/h/f"]), "of the first");
    home.sdocker(&["terminate-host", "--all"]).expect(0);
    until("both processes end", || link_processes(home).is_empty());
}
