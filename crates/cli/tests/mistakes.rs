//! Mistakes that people make, and what they are told: one golden text, to be read as a stranger.

use std::{fs, process::Command};

use serde_json::json;
use tempfile::TempDir;

/// A home with two hosts, of which none is current.
fn home() -> TempDir {
    let home = tempfile::tempdir().expect("a folder");
    let host = |kind: &str, id: &str| json!({"InstanceId": id, "InstanceDns": "ip-10-0-0-1.ec2.internal", "Port": 1111, "InstanceType": kind});
    let hosts =
        json!({"ActiveHosts": [host("c5.xlarge", "i-0123456789abcdef0"), host("c5.2xlarge", "i-0fedcba9876543210")]});
    fs::create_dir(home.path().join(".sdocker")).expect("made");
    fs::write(home.path().join(".sdocker/sdocker-hosts.conf"), hosts.to_string()).expect("written");
    home
}

/// Arguments, and variables that are set.
type Mistake = (&'static [&'static str], &'static [(&'static str, &'static str)]);

const MISTAKES: [Mistake; 30] = [
    // Names.
    (&["rm", "c5"], &[]),
    (&["rm", "m5.large"], &[]),
    (&["use", "i-0123456789abcdef1"], &[]),
    (&["logs", "c5.xlarge"], &[]),
    (&["rm", "--all", "c5.xlarge"], &[]),
    (&["stop"], &[]),
    (&["create"], &[]),
    // Which host is the current one.
    (&["terminate-current-host"], &[]),
    (&["terminate-current-host"], &[("DOCKER_HOST", "tcp://10.9.9.9:2375")]),
    (&["terminate-current-host"], &[("DOCKER_CONTEXT", "colleague")]),
    // Values.
    (&["create", "c5.xlarge", "--idle-timeout", "60"], &[]),
    (&["create", "c5.xlarge", "--max-lifetime", "1y"], &[]),
    (&["create", "c5.xlarge", "--max-cost", "free"], &[]),
    (&["create", "c5.xlarge", "--spot", "--on-demand"], &[]),
    (&["create", "c5.xlarge", "--tag", "CostCenter"], &[]),
    (&["create", "c5.xlarge", "--subnet-id", "vpc-1"], &[]),
    (&["keep", "--for", "forever"], &[]),
    (&["forward", "localhost:8080"], &[]),
    (&["ls", "--region", "Ireland"], &[]),
    (&["ls", "--offline"], &[("SDOCKER_CLOUD", "gcp")]),
    // Places.
    (&["shell", "c5", "--", "ls"], &[]),
    (&["shell", "ls", "-l"], &[]),
    (&["cp", "model.bin", "/mnt"], &[]),
    (&["cp", "c5.xlarge:model.bin", "."], &[]),
    (&["share", "no-such-folder"], &[]),
    (&["lifecycle-config", "--app-type", "JupyterLab", "--binary-from", "sdocker"], &[]),
    // Settings.
    (&["config", "set", "Instance", "c5.xlarge"], &[]),
    (&["config", "set", "Port", "8080"], &[]),
    (&["config", "set", "IdleTimeout", "soon"], &[]),
    (&["config", "edit"], &[]),
];

#[test]
fn mistakes_are_answered_with_what_to_do() {
    let home = home();
    let mut said = String::new();
    for (arguments, variables) in MISTAKES {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sdocker"));
        command.args(arguments).env_clear().env("HOME", home.path()).env("PATH", "/usr/bin:/bin");
        let output = command.envs(variables.iter().copied()).output().expect("it runs");
        let code = output.status.code().expect("a code");
        assert!(code == 1 || code == 2, "{arguments:?}: {code}");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "", "{arguments:?}");
        let set: String = variables.iter().map(|(name, value)| format!("{name}={value} ")).collect();
        let stderr = String::from_utf8_lossy(&output.stderr);
        said.push_str(&format!("$ {set}sdocker {}\n{stderr}[{code}]\n\n", arguments.join(" ")));
    }
    insta::assert_snapshot!(said.replace(home.path().to_str().expect("UTF-8"), "~"));
}
