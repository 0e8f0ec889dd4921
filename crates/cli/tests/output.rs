//! What becomes of a result that can't be written: it is said and told by the code, and nothing panics.

use std::{
    fs::File,
    process::{Command, Stdio},
};

fn sdocker(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sdocker"));
    command.args(arguments).env_clear().env("HOME", "/nowhere").stderr(Stdio::piped());
    command
}

fn full() -> File {
    File::options().write(true).open("/dev/full").expect("the device")
}

#[test]
fn a_full_disk_is_told() {
    for arguments in
        [&["completions", "bash"][..], &["list-hosts", "--offline"], &["list-hosts", "--offline", "--output", "json"]]
    {
        let ended = sdocker(arguments).stdout(full()).output().expect("it runs");
        let stderr = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(1), "{arguments:?}: {stderr}");
        assert!(stderr.contains("could not be written to standard output: No space left"), "{arguments:?}: {stderr}");
    }
    for arguments in [["--help"], ["--version"]] {
        assert_eq!(sdocker(&arguments).stdout(full()).status().expect("it runs").code(), Some(1), "{arguments:?}");
    }
}

/// Where nothing can be said any more, the code still tells.
#[test]
fn nothing_panics_where_nothing_can_be_said() {
    let ended = sdocker(&["list-hosts", "--offline"]).stdout(full()).stderr(full()).status().expect("it runs");
    assert_eq!(ended.code(), Some(1));
    let ended = sdocker(&["status", "-vv"]).stdout(full()).stderr(full()).status().expect("it runs");
    assert_eq!(ended.code(), Some(1));
    let ended = sdocker(&["create-hots"]).stderr(full()).status().expect("it runs");
    assert_eq!(ended.code(), Some(2));
}

/// `sdocker completions bash | true`, whose reader has gone before there is anything to read.
#[test]
fn a_reader_that_has_enough_is_no_error_to_speak_of() {
    let (reader, writer) = std::io::pipe().expect("made");
    drop(reader);
    let ended = sdocker(&["completions", "bash"]).stdout(writer).output().expect("it runs");
    let said = String::from_utf8_lossy(&ended.stderr);
    // On a machine that is busy it says that it is working.
    let errors: Vec<_> = said.lines().filter(|line| !line.starts_with('…')).collect();
    assert_eq!((ended.status.code(), errors), (Some(1), vec![]));
}

#[test]
fn what_is_printed_is_not_logged_beside_it() {
    for verbose in ["-q", "-v", "-vv"] {
        let ended = sdocker(&["status", verbose]).output().expect("it runs");
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(said.matches("there is no current host").count(), 1, "{verbose}: {said}");
    }
}

/// A line for each command, once there is anything to keep; nothing is made for it before.
#[test]
fn commands_are_logged_with_their_arguments() {
    let home = tempfile::tempdir().expect("a folder");
    let run = |arguments: &[&str]| sdocker(arguments).env("HOME", home.path()).output().expect("it runs");
    run(&["list-hosts", "--offline"]);
    assert!(!home.path().join(".sdocker").exists());
    std::fs::create_dir(home.path().join(".sdocker")).expect("made");
    run(&["list-hosts", "--offline"]);
    run(&[
        "setup",
        "--dry-run",
        "--docker-from",
        &format!("https://me:secret@example.com/d.tgz#sha256={}", "0".repeat(64)),
    ]);
    let log = std::fs::read_to_string(home.path().join(".sdocker/sdocker.log")).expect("written");
    let lines: Vec<_> = log.lines().filter(|line| line.contains("command: sdocker ")).collect();
    assert!(lines.len() == 2 && lines[0].contains("command: sdocker list-hosts --offline"), "{log}");
    assert!(lines[1].contains("--docker-from https://***@example.com") && !log.contains("secret"), "{log}");
    assert!(log.contains("ended with code 0"), "{log}");
}

#[test]
fn an_empty_cloud_is_none_that_was_asked_for() {
    for arguments in [&["list-hosts", "--offline"][..], &["completions", "bash"]] {
        let ended = sdocker(arguments).env("SDOCKER_CLOUD", "").output().expect("it runs");
        assert_eq!(ended.status.code(), Some(0), "{}", String::from_utf8_lossy(&ended.stderr));
    }
    let ended = sdocker(&["list-hosts", "--offline"]).env("SDOCKER_CLOUD", "moon").output().expect("it runs");
    assert_eq!(ended.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&ended.stderr).contains("it can be aws or sandbox"));
}

/// A kernel gets the variables from the program itself, whenever it starts; no host is no error there.
#[test]
fn notebooks_have_a_startup_file() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = tempfile::tempdir().expect("a folder");
    let printed =
        Command::new(env!("CARGO_BIN_EXE_sdocker")).args(["env", "--shell", "ipython"]).output().expect("it runs");
    assert!(printed.status.success());
    let startup = home.path().join("50-sdocker.py");
    std::fs::write(&startup, &printed.stdout).expect("written");
    let stand_in = home.path().join("sdocker");
    let starts = |says: &str| {
        std::fs::write(&stand_in, format!("#!/bin/sh\n{says}\n")).expect("written");
        std::fs::set_permissions(&stand_in, std::fs::Permissions::from_mode(0o755)).expect("set");
        let path = format!("{}:{}", home.path().display(), std::env::var("PATH").expect("a path"));
        let script = format!(
            "import os; exec(open('{}').read()); print(os.environ.get('DOCKER_HOST'), os.environ.get('OLD')); _sdocker_env('--host x')",
            startup.display()
        );
        let run =
            Command::new("python3").args(["-c", &script]).env("PATH", path).env("OLD", "1").output().expect("it runs");
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        String::from_utf8_lossy(&run.stdout).into_owned()
    };
    let asked = r#"[ "$*" = "env --shell json" ] || [ "$*" = "env --shell json --host x" ] || exit 2
echo '{"DOCKER_HOST": "tcp://h:1111", "OLD": null}'"#;
    assert_eq!(starts(asked), "tcp://h:1111 None\n");
    assert_eq!(starts("echo there is no current host >&2; exit 1"), "None 1\nthere is no current host\n");
}

/// What is printed for somebody else, of whose app nothing is there.
#[test]
fn what_is_for_administrators_needs_no_app() {
    let explained = sdocker(&["policy", "--domain-wide", "--explain", "--offline"]).output().expect("it runs");
    let policy = String::from_utf8_lossy(&explained.stdout);
    assert!(explained.status.success() && policy.starts_with("Studio: finds the domain's network"), "{policy}");
    let binary = format!("s3://bucket/sdocker#sha256={}", "a".repeat(64));
    let arguments = ["lifecycle-config", "--app-type", "JupyterLab", "--binary-from", &binary, "--up", "c5.xlarge"];
    let script = sdocker(&arguments).output().expect("it runs").stdout;
    let mut shell = Command::new("bash").arg("-n").stdin(Stdio::piped()).spawn().expect("bash runs");
    std::io::Write::write_all(&mut shell.stdin.take().expect("piped"), &script).expect("taken");
    assert!(shell.wait().expect("it ends").success());
    let script = String::from_utf8(script).expect("text");
    assert!(script.contains("binary=s3://bucket/sdocker\n") && script.contains("up=c5.xlarge\n"), "{script}");
}
