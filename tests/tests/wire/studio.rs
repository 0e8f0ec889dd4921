//! The binary as Studio runs it: by the users that Studio has, in Classic within a namespace of one user, in a space with an EBS home.

use std::{
    fs,
    io::{Read as _, Write as _},
    os::unix::{
        fs::{PermissionsExt as _, chown},
        net::UnixStream,
    },
    path::{Path, PathBuf},
    time::Duration,
};

use sdocker_tests::{Front, Home, StudioUser, eventually};
use serde_json::json;

const CREATE: [&str; 5] = ["create-host", "--instance-type", "c5.xlarge", "--output", "json"];

/// A home in an app of this user; `None` where nobody can be run so.
fn home(front: &Front, user: StudioUser) -> Option<Home> {
    let mut home = front.home();
    if user == StudioUser::Space {
        // Where a space has EFS: at the mount helper's place, which is in this home here.
        let seed = front.seed();
        let mount = home.join(format!("efs/{}_fsap-0bbbbbbbbbbbbbbbb", seed["file_system"].as_str().expect("an id")));
        fs::create_dir_all(&mount).expect("made");
        let line = format!("712 640 0:98 / {} rw,relatime - nfs4 127.0.0.1:/ rw,vers=4.1\n", mount.display());
        home.be_space("d-wire", &line);
    }
    home.run_as(user, "d-wire", "ana").then_some(home)
}

/// A host, with its folder in this home.
fn create(home: &Home) -> (String, PathBuf) {
    let created = home.sdocker(&CREATE).expect(0).json();
    let folder = home.join(".sdocker/hosts").join(created["name"].as_str().expect("a name"));
    assert!(folder.join("status").is_file(), "the host's own folder");
    (created["instance_id"].as_str().expect("an id").to_owned(), folder)
}

#[test]
fn the_main_job_by_every_user() {
    let Some(front) = Front::start() else { return };
    for user in [StudioUser::KernelGateway, StudioUser::JupyterServer, StudioUser::Space] {
        let Some(home) = home(&front, user) else { return };
        let (instance, folder) = create(&home);
        assert_eq!(front.live(), std::slice::from_ref(&instance), "{user:?}");
        let status = home.sdocker(&["status", "--output", "json"]).expect(0).json();
        assert_eq!((&status["daemon"]["answers"], &status["current"]), (&json!(true), &json!(true)), "{user:?}");
        let ended = home.sdocker(&["terminate-current-host"]).expect(0);
        assert!(!ended.stderr.contains("warning"), "{user:?}: {}", ended.stderr);
        assert!(!folder.exists(), "{user:?}");
        assert_eq!((front.live(), home.records()), (Vec::new(), Vec::new()), "{user:?}");
    }
}

/// As hosts of before left it: root's `logs` in the user's folder, which the app can't remove, however it is called inside.
#[test]
fn files_of_root_never_keep_a_host() {
    let Some(front) = Front::start() else { return };
    for user in [StudioUser::KernelGateway, StudioUser::JupyterServer] {
        let Some(home) = home(&front, user) else { return };
        let with_roots_logs = || {
            let (instance, folder) = create(&home);
            let logs = folder.join("logs");
            fs::create_dir(&logs).expect("made");
            fs::write(logs.join("bootstrap.log"), "root's").expect("written");
            for path in [logs.clone(), logs.join("bootstrap.log")] {
                chown(&path, Some(0), Some(0)).expect("root");
                fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("root");
            }
            (instance, folder)
        };
        let (_, folder) = with_roots_logs();
        let ended = home.sdocker(&["terminate-host", "--all"]).expect(0);
        assert!(ended.stderr.contains(&format!("cannot remove {} whole", folder.display())), "{}", ended.stderr);
        assert_eq!((front.live(), home.records()), (Vec::new(), Vec::new()), "{user:?}");

        let (instance, _) = with_roots_logs();
        assert_eq!(front.ec2("TerminateInstances", &[("InstanceId.1", &instance)]).0, "");
        home.sdocker(&["recover"]).expect(0);
        assert_eq!(home.records(), Vec::<serde_json::Value>::new(), "{user:?}");
        let contexts = home.run("ls", &["-A", ".docker/contexts/meta"]).stdout;
        assert_eq!(contexts, "", "{user:?}: the rest is gone");
    }
}

/// What a socket answers to `/_ping`; `None` where nobody answers.
fn ping(socket: &Path) -> Option<String> {
    let mut socket = UnixStream::connect(socket).ok()?;
    socket.write_all(b"GET /_ping HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer).ok()?;
    Some(answer)
}

/// Takes a home's socket away in the end, whatever becomes of the test.
struct Down<'h>(&'h Home);

impl Drop for Down<'_> {
    fn drop(&mut self) {
        self.0.sdocker(&["down"]);
    }
}

/// Whether what a lifecycle configuration began in this home goes on.
fn installs(home: &Home) -> bool {
    let script = home.join(".sdocker/lifecycle.sh").display().to_string();
    let processes = fs::read_dir("/proc").expect("readable").flatten();
    let mut commands = processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
    commands.any(|command| String::from_utf8_lossy(&command).contains(&script))
}

/// The script is run as Studio does at the start of an app: by the app's user (SageMaker guide, "Access control and setting permissions for SageMaker
/// Studio notebooks"). The app has its socket then, even where nothing else can be installed, and nothing is launched for that.
#[test]
fn a_lifecycle_configuration_gives_an_app_its_socket() {
    let Some(front) = Front::start() else { return };
    for user in [StudioUser::KernelGateway, StudioUser::JupyterServer, StudioUser::Space] {
        let Some(mut home) = home(&front, user) else { return };
        home.install();
        // An app without a way to PyPI (pip, "Environment Variables").
        home.set("PIP_NO_INDEX", "1");
        let script =
            home.sdocker(&["lifecycle-config", "--up", "c5.xlarge", "--sdk", "not-to-be-had"]).expect(0).stdout;
        fs::write(home.join("script"), script).expect("written");
        home.give();
        let _down = Down(&home);
        let log = home.join(".sdocker/lifecycle.log");
        let starts = || {
            let _ = fs::remove_file(&log);
            home.run("bash", &["script"]).expect(0);
            eventually(Duration::from_secs(120), "what it began says something, and ends", || {
                // It may just have begun.
                let said = fs::read_to_string(&log).ok().filter(|said| !said.is_empty())?;
                (!installs(&home)).then_some(said)
            })
        };
        let said = starts();
        let variables = home.sdocker(&["env", "--shell", "json"]);
        assert_eq!(variables.code, Some(0), "{user:?}: {variables:?}: {said}");
        let socket = variables.json()["DOCKER_HOST"].clone();
        let socket = PathBuf::from(socket.as_str().expect("a socket").trim_start_matches("unix://"));
        assert!(ping(&socket).is_some_and(|answer| answer.ends_with("OK")), "{user:?}: {said}");
        let status = || home.sdocker(&["status", "--output", "json"]).expect(0).json();
        let before = status();

        starts();
        assert!(ping(&socket).is_some_and(|answer| answer.ends_with("OK")), "{user:?}");
        assert_eq!(status(), before, "{user:?}: the same process goes on");
        assert_eq!((front.live(), home.records()), (Vec::new(), Vec::new()), "{user:?}: nothing is launched");
        home.sdocker(&["down"]).expect(0);
        assert_eq!((ping(&socket), socket.exists()), (None, false), "{user:?}");
    }
}

/// A program of its own, with nothing of the binary in it: the settings that it loads have no HTTP client but what the library brings.
#[test]
fn a_library_alone_reaches_aws() {
    let Some(front) = Front::start() else { return };
    let home = front.home();
    // Cargo puts examples beside the binary.
    let binary = std::env::var("SDOCKER_BIN").expect("the binary under test");
    let program = PathBuf::from(binary).with_file_name("examples").join("environment");
    let root = home.join("studio-root");
    let found = home.run(program.to_str().expect("UTF-8"), &[root.to_str().expect("UTF-8")]).expect(0).json();
    assert_eq!((&found["domain"], &found["owner"]), (&json!("d-wire"), &json!("ana")));
    assert!(found["vpc"].as_str().is_some_and(|vpc| vpc.starts_with("vpc-")), "{found}");
}
