//! `sdocker ecr-login`, with scripts in the place of the AWS and Docker CLIs that write down what they are given.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command};

use serde_json::Value;
use tempfile::TempDir;

const AWS: &str = "#!/bin/sh\necho \"aws $*\" >>\"$HOME/called\"\necho secret-password\n";
const AWS_REFUSED: &str = "#!/bin/sh\necho 'An error occurred (AccessDeniedException)' >&2\nexit 254\n";
const DOCKER: &str = "#!/bin/sh\necho \"docker $*\" >>\"$HOME/called\"\n/bin/cat >>\"$HOME/password\"\n";

fn home(aws: &str) -> TempDir {
    let home = tempfile::tempdir().expect("a folder");
    let metadata = home.path().join("root/opt/ml/metadata");
    fs::create_dir_all(&metadata).expect("made");
    let facts = r#"{"AppType": "KernelGateway", "DomainId": "d-1", "UserProfileName": "ana", "ResourceName": "app",
        "ResourceArn": "arn:aws:sagemaker:eu-west-1:123456789012:app/d-1/ana/KernelGateway/app"}"#;
    fs::write(metadata.join("resource-metadata.json"), facts).expect("written");
    fs::create_dir(home.path().join("bin")).expect("made");
    for (name, text) in [("aws", aws), ("docker", DOCKER)] {
        let path = home.path().join("bin").join(name);
        fs::write(&path, text).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("set");
    }
    home
}

fn login(home: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_sdocker"))
        .arg("ecr-login")
        .args(arguments)
        .env_clear()
        .envs([("HOME", home.to_owned()), ("SDOCKER_METADATA_ROOT", home.join("root")), ("PATH", home.join("bin"))])
        .env("SDOCKER_CLOUD", "sandbox")
        .output()
        .expect("it runs");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn the_password_goes_from_one_cli_to_the_other_and_nowhere_else() {
    let home = home(AWS);
    let read = |name: &str| fs::read_to_string(home.path().join(name)).unwrap_or_default();
    let (code, stdout, stderr) = login(home.path(), &["--output", "json"]);
    assert_eq!(code, Some(0), "{stderr}");
    let registry = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
    assert_eq!(serde_json::from_str::<Value>(&stdout).expect("JSON")["registry"], registry);
    assert_eq!(
        read("called"),
        format!(
            "aws ecr get-login-password --region eu-west-1\ndocker login --username AWS --password-stdin {registry}\n"
        )
    );
    assert_eq!(read("password").trim(), "secret-password");
    assert!(!format!("{stdout}{stderr}{}", read(".sdocker/sdocker.log")).contains("secret-password"));

    // Another account's registry; and one for which the user has a credential helper, which keeps nothing.
    let (code, ..) = login(home.path(), &["--account", "763104351884"]);
    assert!(code == Some(0) && read("called").contains("763104351884.dkr.ecr.eu-west-1.amazonaws.com"));
    fs::create_dir(home.path().join(".docker")).expect("made");
    let helpers = format!(r#"{{"credHelpers": {{"{registry}": "ecr-login"}}}}"#);
    fs::write(home.path().join(".docker/config.json"), helpers).expect("written");
    let before = read("called");
    let (code, stdout, _) = login(home.path(), &[]);
    assert!(code == Some(0) && stdout.contains("a credential helper is configured"), "{stdout}");
    assert_eq!(read("called"), before);
}

#[test]
fn a_refusal_names_the_permission() {
    let home = home(AWS_REFUSED);
    let (code, stdout, stderr) = login(home.path(), &[]);
    assert_eq!((code, stdout.as_str()), (Some(1), ""));
    assert!(stderr.contains("AccessDeniedException") && stderr.contains("ecr:GetAuthorizationToken"), "{stderr}");
    let (code, _, stderr) = login(home.path(), &["--account", "12"]);
    assert!(code == Some(2) && stderr.contains("twelve digits"), "{stderr}");
}
