use std::{io::Read as _, path::PathBuf, process::Command, time::Duration};

use flate2::read::GzDecoder;
use proptest::prelude::*;

mod scripts;

use super::*;
use crate::{Hooks, ProxySettings};

fn bootstrap(engine: Engine) -> Bootstrap {
    Bootstrap {
        host: "0123456789abcdef".into(),
        region: "eu-west-1".into(),
        engine,
        daemon_port: 1111,
        endpoint_port: 8080,
        additional_ports: vec![8888, 9999],
        mounts: vec![
            HostMount {
                file_system: "fs-1".into(),
                access_point: None,
                address: "10.0.1.4".parse().expect("an address"),
                remote_path: "/200005".into(),
                paths: vec!["/root".into(), "/home/sagemaker-user".into()],
            },
            HostMount {
                file_system: "fs-2".into(),
                access_point: Some("fsap-1".into()),
                address: "10.0.1.5".parse().expect("an address"),
                remote_path: "/".into(),
                paths: vec!["/mnt/custom-file-systems/efs/fs-2_fsap-1".into()],
            },
        ],
        identity: Identity::Shared,
        shared_home: Some("/root/.sdocker".into()),
        hooks: Hooks {
            pre: Some("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855".to_owned()),
            post: None,
        },
        max_lifetime: Duration::from_secs(43200),
        idle_timeout: Some(Duration::from_secs(3600)),
        on_idle: OnIdle::default(),
        proxy: ProxySettings {
            http: Some("http://proxy:3128".to_owned()),
            https: None,
            no_proxy: vec![".internal".to_owned(), "169.254.169.254".to_owned()],
        },
        swarm: false,
        spot: false,
    }
}

fn variants() -> Vec<(&'static str, Bootstrap)> {
    let dind = || bootstrap(Engine::Dind { image: "docker:29-dind".to_owned() });
    // As long as they are of P-256, with names to spare.
    let pem = |name: &str| {
        let length = if name == "CERTIFICATE" { 640 } else { 188 };
        format!("-----BEGIN {name}-----\n{}\n-----END {name}-----\n", "A".repeat(length))
    };
    let mut embedded = dind();
    embedded.identity = Identity::Embedded {
        ca: pem("CERTIFICATE"),
        certificate: pem("CERTIFICATE"),
        key: pem("PRIVATE KEY"),
        issuer: pem("CERTIFICATE"),
        issuer_key: pem("PRIVATE KEY"),
    };
    embedded.mounts.clear();
    embedded.shared_home = None;
    let mut spot = dind();
    spot.spot = true;
    spot.idle_timeout = None;
    let mut stops = dind();
    stops.on_idle = OnIdle::Stop;
    vec![
        ("dind", dind()),
        ("stops", stops),
        ("native", bootstrap(Engine::Native { nvidia: false })),
        ("gpu", bootstrap(Engine::Native { nvidia: true })),
        ("embedded", embedded),
        ("spot", spot),
    ]
}

#[test]
fn settings_of_every_variant() {
    for (name, bootstrap) in variants() {
        insta::assert_snapshot!(name, settings(&bootstrap).expect(name));
    }
}

#[test]
fn every_variant_fits_and_is_the_same_each_time() {
    for (name, bootstrap) in variants() {
        let user_data = render_user_data(&bootstrap).expect(name);
        assert_eq!(user_data.as_bytes(), render_user_data(&bootstrap).expect(name).as_bytes());
        assert!(user_data.as_bytes().len() < MAX_USER_DATA * 3 / 4, "{name}: {user_data:?}");
        let mut script = String::new();
        GzDecoder::new(user_data.as_bytes()).read_to_string(&mut script).expect("gzip");
        assert_eq!(script, user_data.script());
        assert!(!format!("{user_data:?}").contains("sdocker"), "{user_data:?}");
    }
}

#[test]
fn no_key_unless_it_is_embedded() {
    for (name, bootstrap) in variants() {
        let script = render_user_data(&bootstrap).expect(name);
        assert_eq!(script.script().contains("PRIVATE KEY"), name == "embedded", "{name}");
    }
}

#[test]
fn the_lifetime_is_armed_before_anything_that_can_fail() {
    let position = |text: &str| START.find(text).unwrap_or_else(|| panic!("{text}"));
    assert!(position("start --no-block sdocker-lifetime.timer") < position("start --no-block sdocker-bootstrap"));
}

/// What the beginning of the script does where `/etc/sdocker/installed` holds this, with the environment's INSTANCE_ID or without.
fn begins(installed: &str, instance: Option<&str>) -> String {
    let stubs =
        r#"cat() { if [ "$1" = /etc/sdocker/installed ]; then echo "$installed"; fi; }; rm() { :; }; install() { :; }"#;
    let script = format!("{stubs}\n{}\necho goes on", BEGIN.strip_prefix("#cloud-boothook\n").expect("its first line"));
    let mut bash = Command::new("bash");
    bash.arg("-c").arg(script).env_remove("INSTANCE_ID").env("installed", installed);
    let output = bash.envs(instance.map(|instance| ("INSTANCE_ID", instance))).output().expect("bash runs");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn only_an_instance_that_is_set_up_is_left_alone() {
    assert_eq!(begins("", Some("i-1")), "goes on\n");
    assert_eq!(begins("instance i-1", Some("i-1")), "");
    // An image that was made of a host; a cloud-init that does not say which instance it is.
    assert_eq!(begins("instance i-1", Some("i-2")), "goes on\n");
    assert_eq!(begins("", None), "goes on\n");
}

#[test]
fn too_much_is_refused() {
    // Nothing that could be compressed.
    let noise: String = (0..20_000_u32).map(|n| format!("{:08x}", n.wrapping_mul(2_654_435_761) ^ (n * n))).collect();
    let mut bootstrap = bootstrap(Engine::Dind { image: noise });
    assert!(matches!(render_user_data(&bootstrap), Err(UserDataError::TooLarge { .. })));
    bootstrap.engine = Engine::Dind { image: "a\0b".to_owned() };
    assert!(matches!(render_user_data(&bootstrap), Err(UserDataError::Nul { .. })));
    bootstrap.engine = Engine::Native { nvidia: false };
    bootstrap.mounts[0].paths.push("/a:b".into());
    assert!(matches!(render_user_data(&bootstrap), Err(UserDataError::Path { .. })));
}

/// Runs `bash -n` and, where it is installed, shellcheck.
#[test]
fn every_variant_is_sound_shell() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, bootstrap) in variants() {
        let path = folder.path().join(format!("{name}.sh"));
        let user_data = render_user_data(&bootstrap).expect(name);
        let script = user_data.script().strip_prefix("#cloud-boothook\n").expect("cloud-init takes this line off");
        std::fs::write(&path, script).expect("written");
        let status = Command::new("bash").arg("-n").arg(&path).status().expect("bash runs");
        assert!(status.success(), "{name}");
        let settings_path = folder.path().join("settings");
        std::fs::write(&settings_path, settings(&bootstrap).expect(name)).expect("written");
        let mut files = vec![path];
        for (script, text) in SCRIPTS {
            let path = folder.path().join(script);
            std::fs::write(&path, text).expect("written");
            files.push(path);
        }
        // SC1091: files that exist on the host only; SC2034, SC2154: settings of one file that others use; SC2148: host.sh is a part;
        // SC2016: scripts in single quotes take arguments; SC2317: functions that are called by name.
        let shellcheck = Command::new("shellcheck")
            .arg("-s")
            .arg("bash")
            .arg("-e")
            .arg("SC1091,SC2034,SC2154,SC2148,SC2016,SC2317")
            .args(files)
            .output();
        let output = shellcheck.expect("shellcheck is needed (Debian package shellcheck)");
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stdout));
    }
}

/// What a real shell reads from settings with these values.
fn read_back(bootstrap: &Bootstrap) -> Vec<String> {
    let script = format!(
        "efs() {{ printf '%s\\0' \"$@\"; }}\n{}\nprintf '%s\\0' \"$dind_image\" \"$shared_home\" \"${{proxies[@]}}\"\nmounts\n",
        settings(bootstrap).expect("it can be quoted")
    );
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("script");
    std::fs::write(&path, script).expect("written");
    let output = Command::new("bash").arg(&path).current_dir(folder.path()).output().expect("bash runs");
    assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(std::fs::read_dir(folder.path()).expect("readable").count(), 1, "nothing else was made");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    text.split_terminator('\0').map(str::to_owned).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_value_breaks_out_of_its_quotes(
        image in r#"([a-z'"$()`;&|<>\\ #*?!{}\n\t~=%-]|SDOCKER-END\n|\$\(touch x\)){0,12}"#,
        path in r#"/[a-z'"$()`;&|<>\\ #*?!{}\n\t~=%-]{0,12}"#,
        proxy in r#"[a-z'"$()`;&|<>\\ #*?!{}\n\t~=%:/-]{1,12}"#,
    ) {
        let mut bootstrap = bootstrap(Engine::Dind { image: image.clone() });
        bootstrap.shared_home = Some(PathBuf::from(&path));
        bootstrap.mounts.truncate(1);
        bootstrap.mounts[0].paths = vec![PathBuf::from(&path)];
        bootstrap.proxy.http = Some(proxy.clone());
        let no_proxy = "NO_PROXY=.internal,169.254.169.254".to_owned();
        let expected = vec![
            image, path.clone(), format!("HTTP_PROXY={proxy}"), no_proxy,
            "fs-1".to_owned(), String::new(), "10.0.1.4".to_owned(), "/200005".to_owned(), path,
        ];
        prop_assert_eq!(read_back(&bootstrap), expected);
        let script = render_user_data(&bootstrap).expect("it fits");
        prop_assert!(!settings(&bootstrap).expect("quoted").lines().any(|line| line == END), "{}", script.script());
    }
}
