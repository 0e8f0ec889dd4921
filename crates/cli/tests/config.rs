//! `sdocker config`, and what a creation takes from it.

use std::{fs, process::Command};

use serde_json::{Value, json};
use tempfile::TempDir;

struct Home(TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn run(&self, arguments: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sdocker"));
        command.args(arguments).env_clear().env("HOME", self.0.path()).env("PATH", "/usr/bin:/bin");
        let output = command.envs(variables.iter().copied()).output().expect("it runs");
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        (output.status.code(), text(output.stdout), text(output.stderr))
    }

    fn config(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        self.run(&[&["config"], arguments].concat(), &[])
    }

    fn file(&self) -> String {
        fs::read_to_string(self.0.path().join(".sdocker/sdocker.conf")).expect("there")
    }
}

#[test]
fn settings_are_set_shown_and_taken_out() {
    let home = Home::new();
    let (code, listed, said) = home.config(&["list"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("there is no ") && said.contains("sdocker.conf yet"), "{said}");
    let line = |listed: &str, key: &str| {
        let line = listed.lines().find(|line| line.split_whitespace().next() == Some(key)).expect(key).to_owned();
        line.split_whitespace().skip(1).take(2).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(line(&listed, "MaxLifetime"), ["12h", "default"]);

    assert_eq!(home.config(&["set", "instance-type", "c5.xlarge"]).0, Some(0));
    assert_eq!(home.config(&["set", "AdditionalPorts", "6006", "8888"]).0, Some(0));
    assert_eq!(home.config(&["set", "Tags", "CostCenter=42"]).0, Some(0));
    assert_eq!(home.config(&["get", "InstanceType"]), (Some(0), "c5.xlarge\n".to_owned(), String::new()));
    assert_eq!(home.config(&["get", "tags"]).1, "CostCenter=42\n");
    let (_, listed, _) = home.config(&["list"]);
    assert_eq!(line(&listed, "InstanceType"), ["c5.xlarge", "sdocker.conf"]);
    let (_, listed, _) = home.config(&["list", "--output", "json"]);
    let listed: Value = serde_json::from_str(&listed).expect("JSON");
    assert_eq!(
        (&listed["settings"][0]["value"], &listed["settings"][0]["from"]),
        (&json!("c5.xlarge"), &json!("sdocker.conf"))
    );
    assert_eq!(home.config(&["unset", "InstanceType"]).0, Some(0));
    assert_eq!(home.config(&["get", "InstanceType"]).1, "-\n");
    let written: Value = serde_json::from_str(&home.file()).expect("JSON");
    assert_eq!(written, json!({"AdditionalPorts": [6006, 8888], "Tags": {"CostCenter": "42"}}));

    for (arguments, code, expected) in [
        (&["set", "EbsVolumeSise", "9"][..], 2, "did you mean EBSVolumeSize?"),
        (&["set", "Port", "22"], 1, "Port can't be 22: port 22 is taken: the host's SSH server"),
        (&["set", "Port"], 2, "<VALUE>"),
        (&["get", "Whatever"], 2, "there are InstanceType, ImageId"),
    ] {
        let (found, _, said) = home.config(arguments);
        assert!(found == Some(code) && said.contains(expected), "{arguments:?}: {said}");
    }
}

#[test]
fn the_first_sdockers_file_is_edited_in_place() {
    let home = Home::new();
    let folder = home.0.path().join(".sdocker");
    fs::create_dir(&folder).expect("made");
    let text = "{\n    \"EBSVolumeSize\" : 100,\n    \"OfAnotherTool\": {\"a\": [1,2]}\n}\n";
    fs::write(folder.join("sdocker.conf"), text).expect("written");
    assert_eq!(home.config(&["set", "EBSVolumeSize", "50"]).0, Some(0));
    assert_eq!(home.file(), text.replace("100", "50"));
    let (_, _, said) = home.config(&["list"]);
    assert!(said.contains("unknown key OfAnotherTool is ignored"), "{said}");
}

/// The editor's arguments are its own, and what it leaves is read.
#[test]
fn an_editor_is_started_and_its_work_is_looked_at() {
    let home = Home::new();
    let (code, _, said) = home.config(&["edit"]);
    assert!(code == Some(1) && said.contains("neither VISUAL nor EDITOR"), "{said}");
    let edit = |editor: &str| home.run(&["config", "edit"], &[("EDITOR", editor)]);
    let (code, _, said) = edit("sed -i s/{/{\"Port\":2222/");
    assert_eq!((code, home.config(&["get", "Port"]).1.as_str()), (Some(0), "2222\n"), "{said}");
    let (code, _, said) = edit("sed -i s/2222/many/");
    assert!(
        code == Some(1) && said.contains("sdocker.conf:1:9: expected value") && said.contains("config edit"),
        "{said}"
    );
    let (code, _, said) = edit("false");
    assert!(code == Some(1) && said.contains("false ended with exit status: 1"), "{said}");
}

#[test]
fn the_variables_are_taken_out_as_they_are_set() {
    let home = Home::new();
    let hosts = json!({"ActiveHosts": [
        {"InstanceId": "i-0123456789abcdef0", "InstanceDns": "ip-10-0-0-1.ec2.internal", "Port": 1111, "InstanceType": "c5.xlarge"}
    ]});
    fs::create_dir(home.0.path().join(".sdocker")).expect("made");
    fs::write(home.0.path().join(".sdocker/sdocker-hosts.conf"), hosts.to_string()).expect("written");
    let sdocker = env!("CARGO_BIN_EXE_sdocker");
    let proxied = [("https_proxy", "http://proxy:3128"), ("no_proxy", "localhost,.s3")];
    let shell = |shell: &str, how: &str| {
        let script = format!(
            "eval \"$({sdocker} env --shell {how} 2>/dev/null)\"; test -n \"$DOCKER_HOST\" || exit 3
             echo \"$no_proxy\"; eval \"$({sdocker} env --unset --shell {how})\"
             test -z \"${{DOCKER_HOST+set}}\" || exit 4; echo \"$no_proxy\""
        );
        let mut command = Command::new(shell);
        command.args(["-c", &script]).env_clear().env("HOME", home.0.path()).env("PATH", "/usr/bin:/bin").envs(proxied);
        let output = command.output().expect("it runs");
        assert_eq!(output.status.code(), Some(0), "{shell} {how}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    for (program, how) in [("bash", "bash"), ("bash", "zsh"), ("sh", "sh")] {
        assert_eq!(shell(program, how), "localhost,.s3,ip-10-0-0-1.ec2.internal\nlocalhost,.s3\n", "{program} {how}");
    }
    let (_, fish, _) = home.run(&["env", "--unset", "--shell", "fish"], &proxied);
    assert!(fish.starts_with("set -e DOCKER_HOST;\n") && !fish.contains("no_proxy"), "{fish}");
    let (_, json, _) = home.run(&["env", "--unset", "--output", "json"], &proxied);
    assert_eq!(serde_json::from_str::<Value>(&json).expect("JSON")["DOCKER_HOST"], Value::Null);
}
