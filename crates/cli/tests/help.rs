//! What the binary says of itself, and of wrong usage: one golden text, so that every change of it is seen.

use std::process::Command;

fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_sdocker"))
        .args(arguments)
        .env_clear()
        .env("HOME", "/nowhere")
        .output()
        .expect("it runs");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn commands() -> Vec<String> {
    let (_, help, _) = run(&["--help"]);
    let list = help.split("Commands:\n").nth(1).expect("a list").split("\n\n").next().expect("a list");
    list.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

#[test]
fn the_whole_help() {
    let mut whole = run(&["--help"]).1;
    for command in commands().iter().filter(|command| *command != "help") {
        let (code, help, stderr) = run(&[command, "--help"]);
        assert_eq!((code, stderr.as_str()), (Some(0), ""), "{command}");
        // The options of every command are in the first text.
        let own = help.split("Options of every command:").next().expect("text");
        whole.push_str(&format!("\n======== {command}\n{own}"));
    }
    insta::assert_snapshot!(whole);
}

#[test]
fn wrong_usage_is_answered_with_what_is_near() {
    let cases: [&[&str]; 8] = [
        &["create-hots"],
        &["create-host"],
        &["create-host", "--instance-typ", "c5.xlarge"],
        &["create-host", "--instance-type", "c5.xlarge", "--idle-timeout", "soon"],
        &["terminate-host"],
        &["terminate-host", "--all", "--instance-id", "i-1"],
        &["list-hosts", "--output", "jsn"],
        &["forward", "99999"],
    ];
    let (code, stdout, _) = run(&["create-hots", "--output", "json"]);
    let failure: serde_json::Value = serde_json::from_str(&stdout).expect("one document");
    assert_eq!((code, failure["error"]["message"].as_str()), (Some(2), Some("unrecognized subcommand 'create-hots'")));
    let mut said = String::new();
    for arguments in cases {
        let (code, stdout, stderr) = run(arguments);
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{arguments:?}: {stderr}");
        said.push_str(&format!("$ sdocker {}\n{stderr}\n", arguments.join(" ")));
    }
    insta::assert_snapshot!(said);
}

#[test]
fn completions_and_man_pages_are_written() {
    for shell in ["bash", "zsh", "fish"] {
        let (code, script, _) = run(&["completions", shell]);
        assert!(code == Some(0) && script.contains("SDOCKER_COMPLETE"), "{shell}");
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (code, _, stderr) = run(&["manpages", folder.path().to_str().expect("UTF-8")]);
    assert_eq!(code, Some(0), "{stderr}");
    for command in commands().iter().filter(|command| *command != "help") {
        assert!(folder.path().join(format!("sdocker-{command}.1")).exists(), "{command}");
    }
}
