//! What is read, and what is refused.

use super::*;

fn parsed(text: &str) -> Result<Config, String> {
    parse(Path::new("sdocker.conf"), text).map_err(|error| error.to_string())
}

#[test]
fn files_of_other_editors_are_read_and_mistakes_are_said_in_plain_words() {
    assert_eq!(parsed("\u{feff}{\"Port\": 2222}").expect("well-formed").host.daemon_port, 2222);
    for (text, expected) in [
        ("[]", "sdocker.conf:1:1: invalid type: a list, expected an object"),
        ("7", "sdocker.conf:1:1: invalid type: integer `7`, expected a JSON object"),
        (r#"{"HostSGs": "sg-1"}"#, "expected a list"),
        (r#"{"Key": 7}"#, "expected text in quotes"),
        (r#"{"Port": 70000}"#, "expected a whole number up to 65535"),
    ] {
        let error = parsed(text).expect_err(text);
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn every_key_of_2022_is_read() {
    let config = parsed(
        r#"{"ImageId": "ami-1", "Key": "me", "Port": 2222, "EBSVolumeSize": 100, "InstanceProfileArn": "arn:p", "HostSGs": ["sg-1"],
            "DockerImageURI": "dind:1", "DockerImageNvidiaURI": "nvidia:1", "AdditionalPorts": [8888]}"#,
    )
    .expect("it is well-formed");
    assert_eq!(
        config.host,
        HostConfig {
            image: Some("ami-1".into()),
            key_name: Some("me".to_owned()),
            daemon_port: 2222,
            volume_gib: 100,
            instance_profile_arn: Some("arn:p".to_owned()),
            security_groups: vec!["sg-1".into()],
            dind_image: "dind:1".to_owned(),
            dind_nvidia_image: Some("nvidia:1".to_owned()),
            additional_ports: vec![8888],
            tags: Vec::new(),
        }
    );
    assert_eq!(config.warnings, Vec::<String>::new());
}

#[test]
fn an_empty_file_and_null_mean_the_defaults() {
    for text in ["", "\n", "{}", r#"{"Port": null, "ImageId": null, "HostSGs": null, "IdleTimeout": null}"#] {
        assert_eq!(parsed(text).expect("it is well-formed").host, HostConfig::default(), "{text}");
    }
}

#[test]
fn an_unknown_key_names_the_nearest_known_one() {
    let config = parsed(r#"{"EbsVolumeSise": 1, "Whatever": 2}"#).expect("unknown keys are no error");
    assert_eq!(
        config.warnings,
        [
            "sdocker.conf: unknown key EbsVolumeSise is ignored; did you mean EBSVolumeSize?",
            "sdocker.conf: unknown key Whatever is ignored",
        ]
    );
}

#[test]
fn a_wrong_value_is_an_error_with_its_place() {
    let cases = [
        (
            "{\n  \"Port\": \"1111\"\n}",
            "sdocker.conf:2:16: invalid type: string \"1111\", expected a whole number up to 65535",
        ),
        ("{\n  \"Port\": 0\n}", "sdocker.conf:2:11: expected a port between 1 and 65535, found 0"),
        ("{\"Port\": 70000}", "sdocker.conf:1:14: invalid value: integer `70000`, expected a whole number up to 65535"),
        ("[]", "sdocker.conf:1:1: "),
        ("{\"Port\": 1111", "sdocker.conf:1:13: EOF while parsing an object"),
        ("{\"IdleTimeout\": \"soon\"}", "sdocker.conf:1:23: `soon` is not a duration: write it like 90m, 12h or 2d"),
        (
            "{\"Engine\": \"podman\"}",
            "sdocker.conf:1:19: unknown variant `podman`, expected one of `auto`, `dind`, `native`",
        ),
    ];
    for (text, expected) in cases {
        let message = parsed(text).expect_err(text);
        assert!(message.starts_with(expected), "{text}: {message}");
    }
}

#[test]
fn a_value_that_cannot_be_meant_is_an_error_with_its_place_and_what_to_do() {
    let cases = [
        (r#"{"Port": 8080}"#, "1:10: port 8080 is that of model endpoints", "another port"),
        (r#"{"Port": 22}"#, "1:10: port 22 is taken: the host's SSH server", "another port"),
        (r#"{"EBSVolumeSize": 0}"#, "1:19: expected a volume size between 1 and 65536", "EBSVolumeSize"),
        ("{\"AdditionalPorts\": [80,\n 0]}", "2:2: expected a port between 1 and 65535, found 0", "a port"),
        (r#"{"AdditionalPorts": [80, 81, 80]}"#, "1:30: port 80 is listed twice", "remove 80"),
        (r#"{"AdditionalPorts": [22]}"#, "1:22: port 22 is taken", "remove 22"),
        (r#"{"AdditionalPorts": [2376]}"#, "1:22: port 2376 is taken: the daemon", "remove 2376"),
        (r#"{"AdditionalPorts": [1111]}"#, "1:22: port 1111 is the Docker daemon's own", "remove 1111"),
        (r#"{"AdditionalPorts": [9], "Port": 9}"#, "1:22: port 9 is the Docker daemon's own", "remove 9"),
        (r#"{"HostSGs": [""]}"#, "1:14: the id of a security group is empty", "remove HostSGs"),
        (r#"{"HostSGs": ["ü", "sg-1"]}"#, "1:14: `ü` is not the id of a security group", "like sg-"),
        (r#"{"HostSGs": ["sg-1", " sg-1"]}"#, "1:22: sg-1 is listed twice", "remove one"),
        (r#"{"ImageId": ""}"#, "1:13: ImageId is empty", "remove ImageId"),
        ("{\n\t\"Key\": \"  \"}", "2:9: Key is empty", "remove Key"),
        (r#"{"Shares": ["/data", "data"]}"#, "1:22: expected an absolute path, found \"data\"", "begin it with"),
        (r#"{"MaxCost": 0}"#, "1:13: expected an amount of US dollars above 0, found 0", "name more"),
        (r#"{"DockerImageURI": ""}"#, "1:20: DockerImageURI is empty", "remove DockerImageURI"),
    ];
    for (text, expected, advice) in cases {
        let error = parse(Path::new("sdocker.conf"), text).expect_err(text);
        assert!(error.to_string().starts_with(&format!("sdocker.conf:{expected}")), "{text}: {error}");
        let hints = crate::advice::hints(&error, &crate::permission::Caller::default());
        assert!(hints.iter().any(|hint| hint.contains(advice)), "{text}: {hints:?}");
    }
    // What every host opens anyway may be named as well, and 2376 may be the daemon's port on the host.
    for text in [r#"{"AdditionalPorts": [8080, 80]}"#, r#"{"Port": 2376}"#, r#"{"HostSGs": [], "AdditionalPorts": []}"#]
    {
        parsed(text).expect(text);
    }
}

/// What is listed as the default is what holds.
#[test]
fn the_defaults_of_the_keys_are_those_of_an_empty_file() {
    let all: serde_json::Map<String, serde_json::Value> =
        KEYS.iter().filter_map(|key| Some((key.name.to_owned(), key.default()?))).collect();
    let stated = parsed(&serde_json::Value::Object(all).to_string()).expect("well-formed");
    let holds = |config: &Config| {
        let request = crate::HostRequest::new("c5.xlarge").or(config);
        (
            (request.engine.unwrap_or_default(), request.market.unwrap_or_default(), request.keep_failed),
            (request.idle_timeout(), request.max_lifetime(), request.ready_within()),
        )
    };
    assert_eq!(stated.host, HostConfig::default());
    assert_eq!(holds(&stated), holds(&Config::default()));
    assert_eq!(stated.given.len(), KEYS.iter().filter(|key| key.default().is_some()).count());
}

#[test]
fn every_option_of_a_creation_can_be_a_setting() {
    let config = parsed(
        r#"{"InstanceType": "m5.large", "SubnetId": "subnet-1", "Market": "spot", "Files": "efs", "Shares": ["/data:ro"],
            "Timeout": "5m", "KeepFailed": true, "Engine": "native", "IdleTimeout": "never", "MaxLifetime": "1h"}"#,
    )
    .expect("well-formed");
    assert_eq!(config.given.len(), 10, "{:?}", config.given);
    let request = crate::HostRequest::new("c5.xlarge").or(&config);
    let expected = crate::HostRequest {
        subnet: Some("subnet-1".parse().expect("an id")),
        engine: Some(EngineChoice::Native),
        idle_timeout: Some(Timeout(None)),
        max_lifetime: Some(Duration::from_secs(3600)),
        market: Some(MarketChoice::Spot),
        files: Some(Files::Efs),
        shares: vec!["/data:ro".to_owned()],
        ready_within: Some(Duration::from_secs(300)),
        keep_failed: true,
        ..crate::HostRequest::new("c5.xlarge")
    };
    assert_eq!(format!("{request:?}"), format!("{expected:?}"));
    // What is asked for goes before.
    let asked = crate::HostRequest { market: Some(MarketChoice::OnDemand), ..crate::HostRequest::new("c5.xlarge") };
    assert_eq!(asked.or(&config).market, Some(MarketChoice::OnDemand));
    let error = parsed("{\n \"SubnetId\": \"vpc-1\"}").expect_err("no subnet");
    assert!(error.starts_with("sdocker.conf:2:14: "), "{error}");
}
