//! Terminals that are closed, notebooks that are interrupted, signals: whatever comes, and whenever, a create ends as a host or as nothing.

#![expect(clippy::print_stdout, reason = "the matrices say how many cases ran")]

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{
        Signal::{self, SIGHUP, SIGINT, SIGKILL, SIGTERM},
        kill,
    },
    unistd::Pid,
};
use sdocker_tests::{EndpointFault, Front, Home, Terminal, eventually};
use serde_json::{Value, json};

const CREATE: [&str; 3] = ["create-host", "--instance-type", "c5.xlarge"];

/// The bound that is promised for every command, after the call in progress.
const ENDS_WITHIN: Duration = Duration::from_secs(2);

fn is_read(action: &str) -> bool {
    action.contains("Describe") || action.contains("List") || action.ends_with(')')
}

fn send(child: &Child, signal: Signal) {
    // A process that has ended already is what some of these tests want.
    let _ = kill(Pid::from_raw(child.id().try_into().expect("a pid")), signal);
}

/// How many records there are, finished or not. Processes may be at work on them.
fn records(home: &Home) -> usize {
    let Ok(entries) = fs::read_dir(home.join(".sdocker/journal")) else { return 0 };
    entries.flatten().filter(|file| file.path().extension().is_some_and(|extension| extension == "json")).count()
}

fn log(home: &Home) -> String {
    fs::read_to_string(home.join(".sdocker/sdocker.log")).unwrap_or_default()
}

/// Waits until there is nothing any more: no instance, no record.
#[track_caller]
fn nothing_is_left(front: &Front, home: &Home, case: &str) {
    // A launch whose answer was lost is settled a minute after it was asked for.
    eventually(Duration::from_secs(90), case, || (front.live().is_empty() && records(home) == 0).then_some(()));
}

#[track_caller]
fn hold(front: &Front, action: &str, nth: usize, fault: EndpointFault, child: &mut Child) {
    assert!(front.wait_until_held(child), "{fault:?} at {action} {nth}: the command ended before");
}

/// Waits until no process finishes what a command of this home left: its calls would be taken for those of the next command.
fn nobody_finishes(home: &Home) {
    let hosts: Vec<String> =
        home.records().iter().filter_map(|record| record["host"].as_str().map(str::to_owned)).collect();
    assert!(!hosts.is_empty());
    let finishes = || {
        fs::read_dir("/proc").expect("readable").flatten().any(|process| {
            let command = fs::read(process.path().join("cmdline")).unwrap_or_default();
            let words: Vec<&[u8]> = command.split(|byte| *byte == 0).collect();
            words.get(1) == Some(&&b"finish"[..]) && hosts.iter().any(|host| words.contains(&host.as_bytes()))
        })
    };
    eventually(Duration::from_secs(60), "the end of what finishes it", || (!finishes()).then_some(()));
}

/// The calls of a create that change something, each before and after it takes effect.
fn changes(front: &Front, home: &Home) -> Vec<(String, usize, EndpointFault)> {
    front.reset();
    // Each call once, and no second longer for each case.
    front.know_at_once();
    home.sdocker(&CREATE).expect(0);
    let calls = front.log();
    home.sdocker(&["terminate-host", "--all", "--purge"]).expect(0);
    let mut all = Vec::new();
    for (number, action) in calls.iter().enumerate().filter(|(_, action)| !is_read(action)) {
        let nth = calls[..number].iter().filter(|before| *before == action).count();
        all.extend([EndpointFault::HoldBefore, EndpointFault::HoldAfter].map(|fault| (action.clone(), nth, fault)));
    }
    assert!(all.len() >= 8, "{all:?}");
    all
}

/// E1, E2: a tab that is closed at any call. The kernel hangs the session up, and the command has nowhere to write to.
#[test]
fn a_closed_terminal_leaves_nothing() {
    let Some(front) = Front::start() else { return };
    let home = front.home();
    let cases = changes(&front, &home);
    for (number, (action, nth, fault)) in cases.iter().enumerate() {
        front.fault(action, *nth, *fault);
        let mut terminal = Terminal::run(&home.sdocker_command(&CREATE));
        hold(&front, action, *nth, *fault, &mut terminal.child);
        terminal.close();
        let hangups = || log(&home).matches("SIGHUP: stopping: what was made is being undone").count();
        eventually(Duration::from_secs(5), "a hangup", || (hangups() == number + 1).then_some(()));
        // The shell tells its jobs as well.
        send(&terminal.child, SIGHUP);
        front.release();
        terminal.child.wait().expect("it ends");
        nothing_is_left(&front, &home, &format!("{fault:?} at {action} {nth}"));
    }
    let log = log(&home);
    assert!(log.contains("can't write to standard error any more") && log.contains("undone: "), "{log}");
    println!("{} cases of a closed terminal", cases.len());
}

/// The lid of a laptop is closed, and with it the terminal: the next command says what became of the creation, once.
#[test]
fn what_became_of_a_closed_terminals_work_is_said_later() {
    let Some(front) = Front::start() else { return };
    let home = front.home();
    front.know_at_once();
    front.fault("ec2:RunInstances", 0, EndpointFault::HoldAfter);
    let mut terminal = Terminal::run(&home.sdocker_command(&CREATE));
    hold(&front, "ec2:RunInstances", 0, EndpointFault::HoldAfter, &mut terminal.child);
    terminal.close();
    eventually(Duration::from_secs(5), "a hangup", || log(&home).contains("SIGHUP: stopping").then_some(()));
    front.release();
    terminal.child.wait().expect("it ends");
    nothing_is_left(&front, &home, "a closed lid");
    let said = || home.sdocker(&["list-hosts"]).expect(0).stderr;
    let first = said();
    assert!(first.contains("the terminal of the last `create-host` was closed"), "{first}");
    assert!(first.contains("nothing of it is left") && first.contains("nohup"), "{first}");
    assert_eq!(said(), "");

    // A command that is stopped and goes on later, as with a container that stands still, does its work.
    front.fault("ec2:RunInstances", 0, EndpointFault::HoldAfter);
    let mut child = home.sdocker_command(&CREATE).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs");
    hold(&front, "ec2:RunInstances", 0, EndpointFault::HoldAfter, &mut child);
    send(&child, Signal::SIGSTOP);
    front.release();
    send(&child, Signal::SIGCONT);
    assert!(child.wait().expect("it ends").success());
    assert_eq!(front.live().len(), 1);
    home.sdocker(&["terminate-host", "--all", "--purge"]).expect(0);
}

/// E3: what IPython sends at "interrupt kernel" (`_process_posix.py` and pexpect's `terminate`), at any call.
#[test]
fn an_interrupted_notebook_leaves_nothing() {
    let Some(front) = Front::start() else { return };
    let home = front.home();
    let cases = changes(&front, &home);
    for (action, nth, fault) in &cases {
        front.fault(action, *nth, *fault);
        let mut child =
            home.sdocker_command(&CREATE).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs");
        hold(&front, action, *nth, *fault, &mut child);
        send(&child, SIGINT);
        std::thread::sleep(Duration::from_millis(200));
        send(&child, SIGHUP);
        send(&child, SIGINT);
        std::thread::sleep(Duration::from_millis(300));
        send(&child, SIGKILL);
        child.wait().expect("it ends");
        front.release();
        nothing_is_left(&front, &home, &format!("{fault:?} at {action} {nth}"));
    }
    let log = log(&home);
    assert!(log.contains("finishing host") && log.contains("creation undone"), "{log}");
    println!("{} cases of an interrupted notebook", cases.len());
}

/// The same by a real kernel of Jupyter, at the launch.
#[test]
fn an_interrupted_kernel_leaves_nothing() {
    let Some(front) = Front::start() else { return };
    let mut home = front.home();
    let cache = std::env::var_os("SDOCKER_TEST_CACHE").unwrap_or_else(|| {
        let home = std::env::var_os("HOME").expect("a home");
        Path::new(&home).join(".cache/sdocker-tests").into()
    });
    home.set("SDOCKER_TEST_CACHE", cache);
    let kernel = Path::new(env!("CARGO_MANIFEST_DIR")).join("wire/kernel");
    let prepared = Command::new(&kernel).env("SDOCKER_TEST_CACHE", home_variable(&home)).status().expect("bash runs");
    if !prepared.success() {
        return sdocker_tests::skip("a Jupyter kernel needs python3 with venv, and PyPI");
    }
    let binary = std::env::var("SDOCKER_BIN").expect("SDOCKER_BIN names the binary under test");
    // Which process IPython ends after half a second is its shell's choice: the shell, or the command in its place.
    for (fault, exec) in
        [(EndpointFault::HoldAfter, ""), (EndpointFault::HoldBefore, "exec "), (EndpointFault::HoldAfter, "exec ")]
    {
        front.fault("ec2:RunInstances", 0, fault);
        let mut cell = home
            .command(&kernel)
            .arg(format!("!{exec}{binary} {}", CREATE.join(" ")))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it runs");
        hold(&front, "ec2:RunInstances", 0, fault, &mut cell);
        cell.stdin.take().expect("piped").write_all(b"interrupt\n").expect("it reads");
        let cell = cell.wait_with_output().expect("it ends");
        let said = String::from_utf8_lossy(&cell.stdout);
        assert!(said.contains("is finished in the background"), "{said}");
        front.release();
        nothing_is_left(&front, &home, &format!("{fault:?} of {exec}"));
    }
    let log = log(&home);
    assert_eq!(log.matches("SIGINT: stopping: what was made is being undone").count(), 3, "{log}");
    assert!(log.contains("finishing host") && log.contains("creation undone"), "{log}");
}

fn home_variable(home: &Home) -> std::ffi::OsString {
    let found = home.command("true");
    let value = found.get_envs().find_map(|(name, value)| (name == "SDOCKER_TEST_CACHE").then_some(value?));
    value.expect("it was set").to_owned()
}

/// A window of tmux that is killed, and a tab with a shell of its own, in the middle of a launch.
#[test]
fn a_killed_window_leaves_nothing() {
    let Some(front) = Front::start() else { return };
    let home = front.home();
    let binary = std::env::var("SDOCKER_BIN").expect("SDOCKER_BIN names the binary under test");
    let create = format!("{binary} {}", CREATE.join(" "));
    let held = || eventually(Duration::from_secs(30), "the launch", || front.holds().then_some(()));

    let socket = home.join("tmux");
    let tmux = |arguments: &[&str]| {
        home.command("tmux").arg("-S").arg(&socket).args(["-f", "/dev/null"]).args(arguments).status()
    };
    front.fault("ec2:RunInstances", 0, EndpointFault::HoldAfter);
    // The first window keeps the server, as other windows of a user do.
    assert!(tmux(&["new-session", "-d", "-x", "120", "-y", "40", "cat"]).is_ok_and(|status| status.success()));
    assert!(tmux(&["new-window", &create]).is_ok_and(|status| status.success()));
    held();
    assert!(tmux(&["kill-window"]).is_ok_and(|status| status.success()));
    front.release();
    nothing_is_left(&front, &home, "a killed window of tmux");
    let _ = tmux(&["kill-server"]);

    front.fault("ec2:RunInstances", 0, EndpointFault::HoldAfter);
    let mut bash = home.command("bash");
    bash.args(["--norc", "-i"]);
    let mut tab = Terminal::run(&bash);
    tab.enter(&format!("{create}\n"));
    held();
    tab.close();
    front.release();
    nothing_is_left(&front, &home, "a tab with a shell");
    assert_eq!(log(&home).matches("SIGHUP: stopping").count(), 2);
}

/// With `nohup`, and with a terminal that goes away without a word, the work goes on.
#[test]
fn work_that_hears_no_hangup_goes_on() {
    let Some(front) = Front::start() else { return };
    let home = front.home();
    let command = |arguments: &[&str], program: &str| {
        let mut command = home.command(program);
        command.args(arguments).arg(std::env::var_os("SDOCKER_BIN").expect("the binary under test")).args(CREATE);
        command
    };
    // The second one ignores the signal as well, but goes on to draw on its terminal.
    let trap = ["-c", "trap '' HUP; \"$0\" \"$@\"; echo $? > code"];
    for (case, command) in [("nohup", command(&[], "nohup")), ("trap", command(&trap, "sh"))] {
        front.fault("ec2:RunInstances", 0, EndpointFault::HoldAfter);
        let mut terminal = Terminal::run(&command);
        hold(&front, "ec2:RunInstances", 0, EndpointFault::HoldAfter, &mut terminal.child);
        terminal.close();
        front.release();
        terminal.child.wait().expect("it ends");
        let states: Vec<Value> = home.records().iter().map(|record| record["state"].clone()).collect();
        assert_eq!((front.live().len(), states), (1, vec![json!("ready")]), "{case}: {}", log(&home));
        home.sdocker(&["terminate-host", "--all", "--purge"]).expect(0);
    }
    // The host was made, and its description could not be printed: that is no success.
    assert_eq!(fs::read_to_string(home.join("code")).expect("a code"), "1\n");
    assert!(log(&home).contains("the result could not be written"), "{}", log(&home));
}

/// Signals within a second are one wish; a later one ends the command at once, and what it leaves is finished by its successor.
#[test]
fn a_second_signal_ends_the_command_and_not_the_undo() {
    let Some(front) = Front::start() else { return };
    let home = front.home();
    front.fault("ec2:RunInstances", 0, EndpointFault::HoldAfter);
    let mut child = home.sdocker_command(&CREATE).stderr(Stdio::piped()).spawn().expect("it runs");
    hold(&front, "ec2:RunInstances", 0, EndpointFault::HoldAfter, &mut child);
    for signal in [SIGINT, SIGINT, SIGTERM, SIGHUP] {
        send(&child, signal);
    }
    // The second counts from the time at which the first was heard.
    eventually(Duration::from_secs(10), "the first signal", || log(&home).contains("stopping: ").then_some(()));
    std::thread::sleep(Duration::from_millis(1100));
    send(&child, SIGHUP);
    std::thread::sleep(Duration::from_millis(100));
    assert!(child.try_wait().expect("a child").is_none(), "SIGHUP is no second signal");
    let asked = Instant::now();
    send(&child, SIGTERM);
    let ended = child.wait_with_output().expect("it ends");
    assert!(asked.elapsed() < ENDS_WITHIN, "{:?}", asked.elapsed());
    let stderr = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(3), "{stderr}");
    assert_eq!(stderr.matches("stopping: what was made is being undone").count(), 1, "{stderr}");
    assert!(stderr.contains("stopped at once") && stderr.contains("continues in the background"), "{stderr}");
    front.release();
    nothing_is_left(&front, &home, "the successor");
}

/// Each command, blocked in a call that is not answered, ends within the bound at either signal, and says nothing that is not so.
#[test]
fn every_command_ends_when_it_is_told() {
    let Some(front) = Front::start() else { return };
    let home = front.home();
    home.sdocker(&CREATE).expect(0);
    let cases: [(&[&str], &str); 9] = [
        (&["status"], "ec2:DescribeInstances"),
        (&["list-hosts"], "ec2:DescribeInstances"),
        (&["doctor"], "sagemaker:DescribeDomain"),
        (&["doctor"], "ec2:DescribeImages"),
        (&["policy"], "sagemaker:DescribeDomain"),
        (&CREATE, "sagemaker:DescribeDomain"),
        (&["create-host", "--instance-type", "c5.xlarge", "--dry-run"], "ec2:DescribeImages"),
        (&["recover"], "ec2:DescribeInstances"),
        (&["terminate-host", "--instance-id", "i-00000000000000000"], "ec2:DescribeInstances"),
    ];
    for (arguments, action) in cases {
        for signal in [SIGINT, SIGTERM] {
            front.fault(action, 0, EndpointFault::HoldBefore);
            let mut child =
                home.sdocker_command(arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it runs");
            hold(&front, action, 0, EndpointFault::HoldBefore, &mut child);
            let asked = Instant::now();
            send(&child, signal);
            let ended = child.wait_with_output().expect("it ends");
            let stderr = String::from_utf8_lossy(&ended.stderr);
            assert!(asked.elapsed() < ENDS_WITHIN, "{arguments:?}, {signal}: {:?}", asked.elapsed());
            // Of an instance that was to be ended it is not known what became.
            let code = if signal == SIGINT { 130 } else { 143 };
            let code = if arguments[0] == "terminate-host" { 3 } else { code };
            assert_eq!(ended.status.code(), Some(code), "{arguments:?}, {signal}: {stderr}");
            assert!(stderr.contains("interrupted"), "{arguments:?}, {signal}: {stderr}");
            assert!(!stderr.contains("undone"), "{arguments:?}, {signal}: {stderr}");
            front.release();
            nobody_finishes(&home);
        }
    }
    // What plays its daemon takes no agent, and nothing is promised.
    let forward = home.sdocker(&["forward", "0:8080"]).expect(1);
    assert!(forward.stdout.is_empty() && forward.stderr.contains("can't be reached"), "{forward:?}");
    assert_eq!((front.live().len(), home.records().len()), (1, 1), "nothing was changed");
    front.reset();
    home.sdocker(&["terminate-host", "--all", "--purge"]).expect(0);
}

/// B3: after the host that is being terminated no other one is, and what is done and left is said. A hung call does not hold it up; what
/// it left is finished by its successor.
#[test]
fn an_interrupted_terminate_says_what_is_left() {
    let Some(front) = Front::start() else { return };
    let home = front.home();
    for _ in 0..3 {
        home.sdocker(&[&CREATE[..], &["--no-wait"]].concat()).expect(0);
    }
    front.fault("ec2:TerminateInstances", 1, EndpointFault::HoldBefore);
    let arguments = ["terminate-host", "--all", "--output", "json"];
    let mut child =
        home.sdocker_command(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    hold(&front, "ec2:TerminateInstances", 1, EndpointFault::HoldBefore, &mut child);
    let asked = Instant::now();
    send(&child, SIGINT);
    let ended = child.wait_with_output().expect("it ends");
    assert!(asked.elapsed() < ENDS_WITHIN, "{:?}", asked.elapsed());
    let stderr = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(3), "{stderr}");
    assert!(!stderr.contains("undone") && stderr.contains("1 of 3 hosts terminated"), "{stderr}");
    let done: Value = serde_json::from_slice(&ended.stdout).expect("JSON");
    let count = |field: &str| done[field].as_array().map_or(0, Vec::len);
    assert_eq!((count("terminated"), count("left")), (1, 2), "{done}");
    front.release();
    eventually(Duration::from_secs(30), "the second host's end", || (records(&home) == 1).then_some(()));
    assert_eq!(front.live().len(), 1);
    assert!(log(&home).contains("Terminated"), "{}", log(&home));
    home.sdocker(&["terminate-host", "--all", "--purge"]).expect(0);
    nothing_is_left(&front, &home, "at the end");
}

/// B3: an interrupted `recover` tells what it settled.
#[test]
fn an_interrupted_recover_says_what_is_settled() {
    let Some(front) = Front::start() else { return };
    let home = front.home();
    for _ in 0..2 {
        front.fault("ec2:RunInstances", 0, EndpointFault::HoldAfter);
        let mut child =
            home.sdocker_command(&CREATE).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs");
        hold(&front, "ec2:RunInstances", 0, EndpointFault::HoldAfter, &mut child);
        send(&child, SIGKILL);
        child.wait().expect("it ends");
        front.release();
    }
    assert_eq!((front.live().len(), records(&home)), (2, 2));
    front.fault("ec2:TerminateInstances", 1, EndpointFault::HoldBefore);
    let mut child = home
        .sdocker_command(&["recover", "--output", "json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    hold(&front, "ec2:TerminateInstances", 1, EndpointFault::HoldBefore, &mut child);
    let asked = Instant::now();
    send(&child, SIGTERM);
    let ended = child.wait_with_output().expect("it ends");
    assert!(asked.elapsed() < ENDS_WITHIN, "{:?}", asked.elapsed());
    let stderr = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(3), "{stderr}");
    let report: Value = serde_json::from_slice(&ended.stdout).expect("JSON");
    assert_eq!(report["settled"][0]["outcome"], json!("undone"), "{report}");
    assert_eq!(report["left"].as_array().map(Vec::len), Some(1), "{report}");
    front.release();
    front.reset();
    home.sdocker(&["recover"]).expect(0);
    home.sdocker(&["terminate-host", "--all", "--purge"]).expect(0);
    nothing_is_left(&front, &home, "at the end");
}

/// E7: a host that failed and is kept is something that remains, with commands that work; who interrupts does not want it kept.
#[test]
fn a_host_that_failed_is_kept_by_name_and_not_against_a_signal() {
    let Some(front) = Front::start() else { return };
    let home = front.home();
    front.boot_into(&Home::new());
    let keep = [&CREATE[..], &["--keep-failed", "--output", "json"]].concat();
    let run = home.sdocker(&[&keep[..], &["--timeout", "1s"]].concat()).expect(3);
    let error = run.json()["error"].clone();
    let live = front.live();
    assert_eq!(error["remains"], json!([format!("instance {}", live[0])]), "{error}");
    let hints = error["hints"].to_string();
    assert!(!hints.contains("sdocker recover"), "it settles nothing of it: {hints}");
    let (_, command) = hints.split_once("`sdocker terminate-host").expect("a command");
    let (arguments, _) = command.split_once('`').expect("its end");
    let command: Vec<&str> = std::iter::once("terminate-host").chain(arguments.split_whitespace()).collect();
    home.sdocker(&command).expect(0);
    assert_eq!((front.live().len(), records(&home)), (0, 0));

    let mut child = home.sdocker_command(&keep).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs");
    eventually(Duration::from_secs(30), "an instance", || (!front.live().is_empty()).then_some(()));
    send(&child, SIGINT);
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
    assert_eq!((front.live().len(), records(&home)), (0, 0));
}

/// E16: whatever is waited for is said within two seconds, where no spinner can show it.
#[test]
fn a_silent_wait_is_named() {
    let Some(front) = Front::start() else { return };
    let home = front.home();
    let waits: [(&str, &[&str]); 2] = [
        ("sagemaker:DescribeDomain", &["SageMaker"]),
        ("ec2:RunInstances", &["launching an instance", "RunInstances"]),
    ];
    for (action, what) in waits {
        front.fault(action, 0, EndpointFault::HoldBefore);
        let mut child =
            home.sdocker_command(&CREATE).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it runs");
        let mut stderr = BufReader::new(child.stderr.take().expect("piped"));
        hold(&front, action, 0, EndpointFault::HoldBefore, &mut child);
        let held = Instant::now();
        let mut line = String::new();
        // The provisioner's own waits are told of after a second, with the longest that they may take.
        while !["… ", "  waiting for "].iter().any(|start| line.starts_with(start))
            || !what.iter().any(|what| line.contains(what))
        {
            line.clear();
            assert!(stderr.read_line(&mut line).expect("a line") > 0, "it goes on");
        }
        assert!(held.elapsed() < Duration::from_secs(2), "{:?}", held.elapsed());
        send(&child, SIGTERM);
        front.release();
        child.wait().expect("it ends");
        nothing_is_left(&front, &home, action);
    }
}
