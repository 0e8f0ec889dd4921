//! What is run on a host itself, and copied there, through its daemon.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    os::unix::fs::PermissionsExt as _,
    process::{Child, Stdio},
    time::Duration,
};

use sdocker_tests::{Docker, Home, Terminal, eventually};

/// How long a busy machine may take.
const SOON: Duration = Duration::from_secs(60);

fn host(docker: Docker) -> Option<(Home, String)> {
    let home = Home::in_sandbox_with(docker)?;
    let created = home.sdocker(&["create", "c5.xlarge", "--output", "json"]).expect(0).json();
    let name = created["name"].as_str().expect("a name").to_owned();
    Some((home, name))
}

/// Nothing of what was run is left on the host.
fn nothing_is_left(home: &Home) {
    eventually(SOON, "the end of every container", || {
        let containers = home.run("docker", &["ps", "--all", "--quiet"]).expect(0).stdout;
        containers.trim().is_empty().then_some(())
    });
}

/// A program on the host that has said that it is there.
fn long_program(home: &Home, script: &str) -> Child {
    let mut command = home.sdocker_command(&["shell", "--", "sh", "-c", script]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it runs");
    let mut said = String::new();
    BufReader::new(child.stdout.as_mut().expect("piped")).read_line(&mut said).expect("a line");
    assert_eq!(said, "there\n");
    child
}

fn signal(home: &Home, name: &str, child: &Child) {
    home.run("kill", &["-s", name, &child.id().to_string()]).expect(0);
}

#[test]
fn a_program_on_a_host_is_as_one_here() {
    runs_on(Docker::Old);
}

#[test]
fn a_program_on_todays_host_is_as_one_here() {
    runs_on(Docker::Todays);
}

fn runs_on(docker: Docker) {
    let Some((home, name)) = host(docker) else { return };
    let told = home.sdocker(&["shell", "--", "printf", "[%s]", "a  b", "$HOME", ";"]).expect(0);
    assert_eq!(told.stdout, "[a  b][$HOME][;]");
    let both = home.sdocker(&["shell", &name, "--", "sh", "-c", "id -u; pwd; echo no >&2; exit 7"]).expect(7);
    assert_eq!(both.stdout, "0\n/root\n");
    // On a slow machine it is said before what is waited for.
    assert!(both.stderr.ends_with("no\n"), "{}", both.stderr);
    assert!(home.sdocker(&["shell", "--", "no-such-program"]).expect(127).stderr.contains("not found"));

    // Whatever the bytes, to the end of the input.
    let bytes: Vec<u8> = (0..=255).cycle().take(1 << 20).collect();
    let mut command = home.sdocker_command(&["shell", "--", "cat"]);
    let mut cat = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it runs");
    let (mut into, mut from) = (cat.stdin.take().expect("piped"), cat.stdout.take().expect("piped"));
    let (sent, mut came) = (bytes.clone(), Vec::new());
    let writing = std::thread::spawn(move || into.write_all(&sent).expect("taken"));
    from.read_to_end(&mut came).expect("read");
    writing.join().expect("written");
    assert_eq!(cat.wait().expect("it ends").code(), Some(0));
    assert!(came == bytes, "{} bytes of {} came back", came.len(), bytes.len());

    // A signal is the program's; one that ends anyway is no different from one here.
    let mut told = long_program(&home, "trap 'exit 9' INT; echo there; while :; do sleep 0.1; done");
    signal(&home, "INT", &told);
    assert_eq!(told.wait().expect("it ends").code(), Some(9));
    let mut ended = long_program(&home, "echo there; exec sleep 1000");
    signal(&home, "TERM", &ended);
    assert_eq!(ended.wait().expect("it ends").code(), Some(143));
    // Its output may have ended before.
    let mut silent = long_program(&home, "echo there; exec >&- 2>&-; exec sleep 1000");
    std::thread::sleep(Duration::from_millis(500));
    signal(&home, "TERM", &silent);
    assert_eq!(silent.wait().expect("it ends").code(), Some(143));
    // Nobody reads it any more.
    let mut unread = long_program(&home, "echo there; exec yes");
    drop(unread.stdout.take());
    assert_eq!(unread.wait().expect("it ends").code(), Some(141));
    nothing_is_left(&home);
    home.sdocker(&["rm", &name]).expect(0);
    let none = home.sdocker(&["shell", "--", "true"]).expect(1).stderr;
    assert!(none.contains("there is no current host"), "{none}");
}

#[test]
fn a_shell_on_a_host_has_the_terminal() {
    let Some((home, name)) = host(Docker::Old) else { return };
    let shell = home.sdocker_command(&["shell"]);
    let mut command = home.command("sh");
    command.args(["-c", r#""$@"; echo "code $?"; stty -a; echo "end""#, "sh"]).arg(shell.get_program());
    command.args(shell.get_args());
    let mut terminal = Terminal::run(&command);
    let mut answer = |keys: &str, words: &str| {
        terminal.enter(keys);
        eventually(SOON, words, || terminal.said().contains(words).then_some(()));
    };
    answer("", "# ");
    // In two parts: a terminal shows what is typed.
    answer("echo si''ze $(stty size)\r", "size 24 80");
    let pts = fs::read_link(format!("/proc/{}/fd/0", terminal.child.id())).expect("a terminal");
    home.run("stty", &["-F", pts.to_str().expect("a name"), "rows", "40", "cols", "132"]).expect(0);
    eventually(SOON, "the new size", || {
        terminal.enter("echo si''ze $(stty size)\r");
        std::thread::sleep(Duration::from_millis(300));
        terminal.said().contains("size 40 132").then_some(())
    });
    // Ctrl-C is the host's.
    terminal.enter("echo wai''ting; sleep 1000\r");
    eventually(SOON, "a wait", || terminal.said().contains("waiting").then_some(()));
    terminal.enter("\u{3}");
    terminal.enter("echo go''es on after $?\r");
    eventually(SOON, "the next prompt", || terminal.said().contains("goes on after 130").then_some(()));
    terminal.enter("exit 7\r");
    eventually(SOON, "the end", || terminal.said().contains("end\r\n").then_some(()));
    let said = terminal.said();
    assert!(said.contains(&format!("root on {name}; Ctrl-D ends it")) && said.contains("code 7"), "{said}");
    // The terminal is what it was.
    assert!(said.contains(" icanon") && said.contains(" echo "), "{said}");
    nothing_is_left(&home);

    // A window that is closed takes its shell with it, which would keep the host.
    let mut terminal = Terminal::run(&home.sdocker_command(&["shell"]));
    eventually(SOON, "a prompt", || terminal.said().contains("# ").then_some(()));
    terminal.close();
    terminal.child.wait().expect("it ends");
    nothing_is_left(&home);
    home.sdocker(&["rm", &name]).expect(0);
}

#[test]
fn files_are_copied_to_a_host_and_back() {
    copies(Docker::Old);
}

#[test]
fn files_are_copied_to_todays_host_and_back() {
    copies(Docker::Todays);
}

fn copies(docker: Docker) {
    let Some((home, name)) = host(docker) else { return };
    // The sandbox's host has this machine's files.
    let there = tempfile::tempdir().expect("made");
    let at = |path: &str| there.path().join(path);
    let on_host = |path: &str| format!("{name}:{}", at(path).display());
    let run = |code: i32, arguments: &[&str]| home.sdocker(&[&["cp"], arguments].concat()).expect(code);
    fs::create_dir_all(home.join("data/sub")).expect("made");
    fs::write(home.join("data/sub/run.sh"), "#!/bin/sh\n").expect("written");
    fs::set_permissions(home.join("data/sub/run.sh"), fs::Permissions::from_mode(0o755)).expect("set");
    std::os::unix::fs::symlink("sub/run.sh", home.join("data/link")).expect("made");
    let data = home.join("data").display().to_string();

    // To a name that is new, and into what is there.
    let copied = run(0, &[&data, &on_host("new"), "--output", "json"]).json();
    assert_eq!((&copied["files"], &copied["bytes"]), (&2.into(), &10.into()));
    run(0, &[&data, &on_host("new")]);
    for path in ["new/sub/run.sh", "new/link", "new/data/sub/run.sh"] {
        let mode = fs::metadata(at(path)).expect(path).permissions().mode();
        assert_eq!(mode & 0o777, 0o755, "{path}");
    }
    // And back, over the current host's short name, and over what is there.
    let back = home.join("back").display().to_string();
    let new = format!(":{}", at("new").display());
    run(0, &[&new, &back]);
    run(0, &[&new, &back]);
    assert_eq!(fs::read_to_string(home.join("back/data/link")).expect("read"), "#!/bin/sh\n");
    assert_eq!(fs::read_to_string(home.join("back/new/sub/run.sh")).expect("read"), "#!/bin/sh\n");

    // One file, larger than what is on its way at a time.
    let large: Vec<u8> = (0..=255).cycle().take(5 << 20).collect();
    fs::write(home.join("large"), &large).expect("written");
    run(0, &[&home.join("large").display().to_string(), &on_host("file")]);
    run(0, &[&on_host("file"), &back]);
    assert!(fs::read(home.join("back/file")).expect("read") == large);

    for (arguments, why) in [
        ([on_host("none"), back.clone()], "there is no "),
        ([data.clone(), on_host("none/deep")], "there is no folder "),
        ([data.clone(), on_host("file")], "is no folder"),
        ([on_host("new"), home.join("large").display().to_string()], "is no folder"),
        ([home.join("none").display().to_string(), on_host("x")], "cannot read "),
        ([data.clone(), back.clone()], "both paths are local"),
        ([on_host("new"), on_host("x")], "both paths are on hosts"),
    ] {
        let said = run(1, &arguments.each_ref().map(String::as_str)).stderr;
        assert!(said.contains(why), "{arguments:?}: {said}");
    }
    run(2, &["c5:x", "y"]);
    nothing_is_left(&home);

    // Interrupted in the middle, it removes its container all the same.
    fs::File::create(at("huge")).and_then(|file| file.set_len(4 << 30)).expect("made");
    let mut child = home.sdocker_command(&["cp", &on_host("huge"), &back]).spawn().expect("it runs");
    eventually(SOON, "the copy's container", || {
        let containers = home.run("docker", &["ps", "--all", "--quiet"]).expect(0).stdout;
        (!containers.trim().is_empty()).then_some(())
    });
    signal(&home, "INT", &child);
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
    nothing_is_left(&home);
    home.sdocker(&["rm", &name]).expect(0);
}
