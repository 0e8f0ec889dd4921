//! `sdocker.conf`: the settings that the first `sdocker` had, and ours.

mod file;
mod keys;
mod raw;
#[cfg(test)]
mod tests;
mod values;

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use host_provisioner::{EngineChoice, HostConfig, InstanceType, MarketChoice, OnIdle};
use studio_discovery::{SubnetId, Tag};
use whole_file::Links;

pub use file::{ConfigFile, Setting, Source};
pub use keys::{KEYS, Key};

use self::{raw::Raw, values::Wrong};
use crate::{Error, durations::Timeout, request::Files};

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
    /// `OnIdle`.
    pub on_idle: Option<OnIdle>,
    /// `MaxLifetime`.
    pub max_lifetime: Option<Duration>,
    /// `MaxCost`, in US dollars.
    pub max_cost: Option<f64>,
    /// `SubnetId`.
    pub subnet: Option<SubnetId>,
    /// `Market`.
    pub market: Option<MarketChoice>,
    /// `Files`.
    pub files: Option<Files>,
    /// `Shares`.
    pub shares: Vec<String>,
    /// `Timeout`.
    pub ready_within: Option<Duration>,
    /// `KeepFailed`.
    pub keep_failed: bool,
    /// The keys that the file gives a value, in its order.
    pub given: Vec<&'static str>,
    /// What the user should know about the file.
    pub warnings: Vec<String>,
}

/// The largest file that is read.
const MOST: u64 = 1 << 20;

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
    let (mut config, unknown) = checked(text).map_err(|wrong| {
        let keys: Vec<&str> = KEYS.iter().map(|key| key.name).collect();
        let any = || format!("fix the file, or move it away: every key is optional ({})", keys.join(", "));
        let place = format!("{}:{}:{}", path.display(), wrong.line, wrong.column);
        Error::new(format!("{place}: {}", wrong.what)).hint(wrong.advice.unwrap_or_else(any))
    })?;
    let warnings = unknown.iter().map(|key| match Key::nearest(key) {
        Some(known) => format!("{}: unknown key {key} is ignored; did you mean {known}?", path.display()),
        None => format!("{}: unknown key {key} is ignored", path.display()),
    });
    config.warnings = warnings.collect();
    Ok(config)
}

/// The settings, and the keys that are not known.
fn checked(text: &str) -> Result<(Config, Vec<String>), Wrong> {
    // An empty file is what `touch` makes of it.
    let text = text.trim_start_matches('\u{feff}');
    let text = if text.trim().is_empty() { "{}" } else { text };
    let raw: Raw = serde_json::from_str(text).map_err(malformed)?;
    values::check(text)?;
    let keys: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text).map_err(malformed)?;
    let (known, unknown): (Vec<_>, Vec<_>) =
        keys.into_iter().partition(|(key, _)| KEYS.iter().any(|known| known.name == key));
    let given = known.iter().filter(|(_, value)| !value.is_null());
    let given = given.filter_map(|(key, _)| Some(KEYS.iter().find(|known| known.name == key)?.name)).collect();

    let trimmed = |text: Option<String>| text.map(|text| text.trim().to_owned());
    let defaults = HostConfig::default();
    let config = Config {
        file: None,
        host: HostConfig {
            image: trimmed(raw.image).map(Into::into),
            key_name: trimmed(raw.key),
            daemon_port: raw.port.unwrap_or(defaults.daemon_port),
            volume_gib: raw.volume.unwrap_or(defaults.volume_gib),
            instance_profile_arn: trimmed(raw.instance_profile),
            security_groups: raw.security_groups.into_iter().flatten().map(|id| id.trim().into()).collect(),
            dind_image: trimmed(raw.dind_image).unwrap_or(defaults.dind_image),
            dind_nvidia_image: trimmed(raw.dind_nvidia_image),
            additional_ports: raw.additional_ports.unwrap_or_default(),
            tags: raw.tags.unwrap_or_default().into_iter().map(|(key, value)| Tag::new(key, value)).collect(),
        },
        instance_type: values::id(text, "InstanceType", raw.instance_type)?,
        engine: raw.engine,
        idle_timeout: raw.idle_timeout,
        on_idle: raw.on_idle,
        max_lifetime: raw.max_lifetime,
        max_cost: raw.max_cost,
        subnet: values::id(text, "SubnetId", raw.subnet)?,
        market: raw.market,
        files: raw.files,
        shares: raw.shares.unwrap_or_default(),
        ready_within: raw.timeout,
        keep_failed: raw.keep_failed.unwrap_or_default(),
        given,
        warnings: Vec::new(),
    };
    Ok((config, unknown.into_iter().map(|(key, _)| key).collect()))
}

fn malformed(error: serde_json::Error) -> Wrong {
    let full = error.to_string();
    let what = in_words(full.rsplit_once(" at line ").map_or(full.as_str(), |(what, _)| what));
    Wrong { line: error.line().max(1), column: error.column().max(1), what, advice: None }
}

/// What serde says, without the names that Rust has for types.
fn in_words(said: &str) -> String {
    let Some((found, expected)) = said.rsplit_once(", expected ") else { return said.to_owned() };
    let expected = match expected {
        "a boolean" => "true or false",
        "u16" => "a whole number up to 65535",
        "u32" => "a whole number",
        "a string" => "text in quotes",
        "f64" => "a number",
        "a sequence" => "a list",
        "a map" => "an object",
        other => other,
    };
    let found = found.replacen("sequence", "a list", 1).replacen("map", "an object", 1);
    format!("{found}, expected {expected}")
}
