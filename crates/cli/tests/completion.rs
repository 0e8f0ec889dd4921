//! What the shells offer, asked as their scripts ask: by a real bash, and by the variables that zsh's and fish's scripts set.

use std::{fs, path::Path, process::Command};

use serde_json::json;
use tempfile::TempDir;

/// A home with two hosts.
fn home() -> TempDir {
    let home = tempfile::tempdir().expect("a folder");
    let host = |kind: &str, id: &str| json!({"InstanceId": id, "InstanceDns": "ip-10-0-0-1.ec2.internal", "Port": 1111, "InstanceType": kind});
    let hosts =
        json!({"ActiveHosts": [host("c5.xlarge", "i-0123456789abcdef0"), host("m5.large", "i-0fedcba9876543210")]});
    fs::create_dir(home.path().join(".sdocker")).expect("made");
    fs::write(home.path().join(".sdocker/sdocker-hosts.conf"), hosts.to_string()).expect("written");
    home
}

/// What bash offers for the last of these words.
fn bash(home: &Path, words: &[&str]) -> Vec<String> {
    let program = Path::new(env!("CARGO_BIN_EXE_sdocker"));
    let script = r#"
        source <(sdocker completions bash)
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_TYPE=9
        _clap_complete_sdocker sdocker "${COMP_WORDS[COMP_CWORD]}" ""
        printf '%s\n' "${COMPREPLY[@]}""#;
    let path = std::env::join_paths([program.parent().expect("a folder"), Path::new("/usr/bin"), Path::new("/bin")]);
    let mut command = Command::new("bash");
    command.args(["-c", script, "bash"]).args(words).env_clear().env("HOME", home).env("PATH", path.expect("a path"));
    // Nothing is asked of anybody: AWS is a port that refuses, and a call would be seen.
    command.env("AWS_ENDPOINT_URL", "http://127.0.0.1:9").env("SDOCKER_CLOUD", "aws");
    let output = command.output().expect("it runs");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{words:?}");
    String::from_utf8(output.stdout).expect("UTF-8").lines().map(|line| line.trim().to_owned()).collect()
}

#[test]
fn bash_offers_commands_hosts_types_and_settings() {
    let home = home();
    let offered = |words: &[&str]| bash(home.path(), words);
    assert_eq!(offered(&["sdocker", "rec"]), ["recover"]);
    assert_eq!(offered(&["sdocker", "rm", "c5"]), ["c5.xlarge_i-0123456789abcdef0"]);
    assert_eq!(offered(&["sdocker", "rm", "m5.large_i-0fedcba9876543210", "c"]), ["c5.xlarge_i-0123456789abcdef0"]);
    assert_eq!(offered(&["sdocker", "use", "i-0f"]), ["i-0fedcba9876543210"]);
    assert_eq!(offered(&["sdocker", "status", "--instance-id", "m"]), ["m5.large_i-0fedcba9876543210"]);
    let types = offered(&["sdocker", "create", "g4dn.x"]);
    assert_eq!(types, ["g4dn.xlarge"]);
    assert_eq!(offered(&["sdocker", "config", "get", "inst"]), ["InstanceType", "InstanceProfileArn"]);
    assert!(offered(&["sdocker", "create-host", "--spot"]).contains(&"--spot-or-on-demand".to_owned()));
}

#[test]
fn zsh_and_fish_are_answered() {
    let home = home();
    let asked = [
        ("use", "m", "m5.large_i-0fedcba9876543210", "c5.xlarge"),
        ("use", "i-0f", "i-0fedcba9876543210", "c5.xlarge"),
        ("create", "m7g.", "m7g.xlarge", "c5.xlarge"),
    ];
    for (shell, (task, typed, offer, other)) in
        ["zsh", "fish"].into_iter().flat_map(|shell| asked.map(|one| (shell, one)))
    {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sdocker"));
        command.args(["--", "sdocker", task, typed]).env_clear().env("HOME", home.path());
        command.env("SDOCKER_COMPLETE", shell).env("_CLAP_COMPLETE_INDEX", "2").env("_CLAP_IFS", "\n");
        let output = command.output().expect("it runs");
        let offered = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(offered.contains(offer) && !offered.contains(other), "{shell} {typed}: {offered}");
    }
}
