//! `sdocker.conf`: the settings that the first `sdocker` had, and ours.

mod values;

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use host_provisioner::{EngineChoice, HostConfig, InstanceType};
use serde::{Deserialize, Deserializer, de};
use studio_discovery::Tag;
use whole_file::Links;

use crate::{Error, durations, durations::Timeout};

/// The settings, and where they come from.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Config {
    /// The file, where there is one.
    pub file: Option<PathBuf>,
    /// What shapes the host.
    pub host: HostConfig,
    /// `InstanceType`.
    pub instance_type: Option<InstanceType>,
    /// `Engine`.
    pub engine: Option<EngineChoice>,
    /// `IdleTimeout`.
    pub idle_timeout: Option<Timeout>,
    /// `MaxLifetime`.
    pub max_lifetime: Option<std::time::Duration>,
    /// What the user should know about the file.
    pub warnings: Vec<String>,
}

/// The largest file that is read.
const MOST: u64 = 1 << 20;

const KEYS: [&str; 14] = [
    "InstanceType",
    "ImageId",
    "Key",
    "Port",
    "EBSVolumeSize",
    "InstanceProfileArn",
    "HostSGs",
    "DockerImageURI",
    "DockerImageNvidiaURI",
    "AdditionalPorts",
    "Tags",
    "Engine",
    "IdleTimeout",
    "MaxLifetime",
];

#[derive(Debug, Default, Deserialize)]
#[serde(default, expecting = "a JSON object")]
struct Raw {
    #[serde(rename = "InstanceType")]
    instance_type: Option<String>,
    #[serde(rename = "ImageId")]
    image: Option<String>,
    #[serde(rename = "Key")]
    key: Option<String>,
    #[serde(rename = "Port")]
    port: Option<u16>,
    #[serde(rename = "EBSVolumeSize")]
    volume: Option<u32>,
    #[serde(rename = "InstanceProfileArn")]
    instance_profile: Option<String>,
    #[serde(rename = "HostSGs")]
    security_groups: Option<Vec<String>>,
    #[serde(rename = "DockerImageURI")]
    dind_image: Option<String>,
    #[serde(rename = "DockerImageNvidiaURI")]
    dind_nvidia_image: Option<String>,
    #[serde(rename = "AdditionalPorts")]
    additional_ports: Option<Vec<u16>>,
    #[serde(rename = "Tags")]
    tags: Option<BTreeMap<String, String>>,
    #[serde(rename = "Engine")]
    engine: Option<Engine>,
    #[serde(rename = "IdleTimeout", deserialize_with = "idle_timeout")]
    idle_timeout: Option<Timeout>,
    #[serde(rename = "MaxLifetime", deserialize_with = "max_lifetime")]
    max_lifetime: Option<std::time::Duration>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Engine {
    Auto,
    Dind,
    Native,
}

fn idle_timeout<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timeout>, D::Error> {
    let text: Option<String> = Option::deserialize(deserializer)?;
    text.map(|text| durations::parse_or_never(&text).map_err(de::Error::custom)).transpose()
}

fn max_lifetime<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<std::time::Duration>, D::Error> {
    let text: Option<String> = Option::deserialize(deserializer)?;
    text.map(|text| durations::parse(&text).map_err(de::Error::custom)).transpose()
}

/// Reads the first of these files that exists; with none, every setting has its default.
///
/// # Errors
/// A file that can't be read, or is not what it should be: with file, line and column.
pub fn read(candidates: &[PathBuf]) -> crate::Result<Config> {
    let mut found: Option<(PathBuf, String)> = None;
    let mut warnings = Vec::new();
    for path in candidates {
        match (read_text(path)?, &found) {
            (Some(text), None) => found = Some((path.clone(), text)),
            (Some(_), Some((first, _))) => {
                warnings.push(format!("{} is not read, because {} exists", path.display(), first.display()));
            }
            (None, _) => {}
        }
    }
    let Some((path, text)) = found else { return Ok(Config::default()) };
    let mut config = parse(&path, &text)?;
    config.warnings.splice(0..0, warnings);
    config.file = Some(path);
    Ok(config)
}

fn read_text(path: &Path) -> crate::Result<Option<String>> {
    match whole_file::read_text(path, MOST, Links::Follow) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::new(format!("cannot read {}", path.display())).because(error)),
    }
}

fn parse(path: &Path, text: &str) -> crate::Result<Config> {
    let malformed = |error: serde_json::Error| {
        let (line, column) = (error.line().max(1), error.column().max(1));
        let full = error.to_string();
        let what = in_words(full.rsplit_once(" at line ").map_or(full.as_str(), |(what, _)| what));
        Error::new(format!("{}:{line}:{column}: {what}", path.display()))
            .hint(format!("fix the file, or move it away: every key is optional ({})", KEYS.join(", ")))
    };
    // An empty file is what `touch` makes of it.
    let text = text.trim_start_matches('\u{feff}');
    let text = if text.trim().is_empty() { "{}" } else { text };
    let raw: Raw = serde_json::from_str(text).map_err(malformed)?;
    values::check(text).map_err(|wrong| {
        Error::new(format!("{}:{}:{}: {}", path.display(), wrong.line, wrong.column, wrong.what)).hint(wrong.advice)
    })?;
    let keys: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text).map_err(malformed)?;
    let unknown = keys.keys().filter(|key| !KEYS.contains(&key.as_str()));
    let warnings = unknown
        .map(|key| match nearest(key) {
            Some(known) => format!("{}: unknown key {key} is ignored; did you mean {known}?", path.display()),
            None => format!("{}: unknown key {key} is ignored", path.display()),
        })
        .collect();

    let given = |text: Option<String>| text.map(|text| text.trim().to_owned());
    let groups = raw.security_groups;
    let instance_type = given(raw.instance_type).map(|text| text.parse()).transpose();
    let defaults = HostConfig::default();
    Ok(Config {
        file: None,
        host: HostConfig {
            image: given(raw.image).map(Into::into),
            key_name: given(raw.key),
            daemon_port: raw.port.unwrap_or(defaults.daemon_port),
            volume_gib: raw.volume.unwrap_or(defaults.volume_gib),
            instance_profile_arn: given(raw.instance_profile),
            security_groups: groups.unwrap_or_default().into_iter().map(|id| id.trim().into()).collect(),
            dind_image: given(raw.dind_image).unwrap_or(defaults.dind_image),
            dind_nvidia_image: given(raw.dind_nvidia_image),
            additional_ports: raw.additional_ports.unwrap_or_default(),
            tags: raw.tags.unwrap_or_default().into_iter().map(|(key, value)| Tag::new(key, value)).collect(),
        },
        instance_type: instance_type
            .map_err(|error| Error::new(format!("{}: InstanceType: {error}", path.display())))?,
        engine: raw.engine.map(|engine| match engine {
            Engine::Auto => EngineChoice::Auto,
            Engine::Dind => EngineChoice::Dind,
            Engine::Native => EngineChoice::Native,
        }),
        idle_timeout: raw.idle_timeout,
        max_lifetime: raw.max_lifetime,
        warnings,
    })
}

/// What serde says, without the names that Rust has for types.
fn in_words(said: &str) -> String {
    let Some((found, expected)) = said.rsplit_once(", expected ") else { return said.to_owned() };
    let expected = match expected {
        "u16" => "a whole number up to 65535",
        "u32" => "a whole number",
        "a string" => "text in quotes",
        "a sequence" => "a list",
        "a map" => "an object",
        other => other,
    };
    let found = found.replacen("sequence", "a list", 1).replacen("map", "an object", 1);
    format!("{found}, expected {expected}")
}

fn nearest(key: &str) -> Option<&'static str> {
    let lower = key.to_lowercase();
    let scored = KEYS.into_iter().map(|known| (strsim::jaro_winkler(&lower, &known.to_lowercase()), known));
    scored.filter(|(score, _)| *score > 0.8).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
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
            (
                "{\"Port\": 70000}",
                "sdocker.conf:1:14: invalid value: integer `70000`, expected a whole number up to 65535",
            ),
            ("[]", "sdocker.conf:1:1: "),
            ("{\"Port\": 1111", "sdocker.conf:1:13: EOF while parsing an object"),
            (
                "{\"IdleTimeout\": \"soon\"}",
                "sdocker.conf:1:23: `soon` is not a duration: write it like 90m, 12h or 2d",
            ),
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
            (r#"{"Port": 8080}"#, "1:10: port 8080 is the one of model endpoints", "another port"),
            (r#"{"Port": 22}"#, "1:10: port 22 is taken: the host's SSH server", "another port"),
            (r#"{"EBSVolumeSize": 0}"#, "1:19: expected a volume size between 1 and 65536", "EBSVolumeSize"),
            ("{\"AdditionalPorts\": [80,\n 0]}", "2:2: expected a port between 1 and 65535, found 0", "a port"),
            (r#"{"AdditionalPorts": [80, 81, 80]}"#, "1:30: port 80 is there twice", "remove 80"),
            (r#"{"AdditionalPorts": [22]}"#, "1:22: port 22 is taken", "remove 22"),
            (r#"{"AdditionalPorts": [2376]}"#, "1:22: port 2376 is taken: the daemon", "remove 2376"),
            (r#"{"AdditionalPorts": [1111]}"#, "1:22: port 1111 is the Docker daemon's own", "remove 1111"),
            (r#"{"AdditionalPorts": [9], "Port": 9}"#, "1:22: port 9 is the Docker daemon's own", "remove 9"),
            (r#"{"HostSGs": [""]}"#, "1:14: the id of a security group is empty", "remove HostSGs"),
            (r#"{"HostSGs": ["ü", "sg-1"]}"#, "1:14: `ü` is not the id of a security group", "like sg-"),
            (r#"{"HostSGs": ["sg-1", " sg-1"]}"#, "1:22: sg-1 is there twice", "remove one"),
            (r#"{"ImageId": ""}"#, "1:13: ImageId is empty", "remove ImageId"),
            ("{\n\t\"Key\": \"  \"}", "2:9: Key is empty", "remove Key"),
            (r#"{"DockerImageURI": ""}"#, "1:20: DockerImageURI is empty", "remove DockerImageURI"),
        ];
        for (text, expected, advice) in cases {
            let error = parse(Path::new("sdocker.conf"), text).expect_err(text);
            assert!(error.to_string().starts_with(&format!("sdocker.conf:{expected}")), "{text}: {error}");
            let hints = crate::advice::hints(&error, &crate::permission::Caller::default());
            assert!(hints.iter().any(|hint| hint.contains(advice)), "{text}: {hints:?}");
        }
        // What every host opens anyway may be named as well, and 2376 may be the daemon's port on the host.
        for text in
            [r#"{"AdditionalPorts": [8080, 80]}"#, r#"{"Port": 2376}"#, r#"{"HostSGs": [], "AdditionalPorts": []}"#]
        {
            parsed(text).expect(text);
        }
    }
}
