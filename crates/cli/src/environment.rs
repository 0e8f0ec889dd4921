//! The process's environment, read once; nothing else in this program or the libraries reads it.

use std::{env, path::PathBuf};

use anyhow::Context as _;
use clap::{ValueEnum as _, error::ErrorKind};
use docker_remote::ProxyVariables;
use sdocker::{Aws, CloudChoice, Surroundings};

use crate::options::Global;

/// Everything that commands take from their surroundings.
pub(crate) fn surroundings(global: &Global) -> anyhow::Result<Surroundings> {
    let home = path("HOME").or_else(env::home_dir).filter(|home| home.is_absolute());
    let home = home.context("HOME is not set to an absolute path")?;
    let cwd = env::current_dir().ok();
    let absolute = |path: PathBuf| match &cwd {
        Some(cwd) if path.is_relative() => cwd.join(path),
        _ => path,
    };
    let mut surroundings = Surroundings::new(home);
    if let Some(home) = path("SDOCKER_HOME") {
        surroundings.sdocker_home = absolute(home);
    }
    if let Some(config) = path("DOCKER_CONFIG") {
        surroundings.docker_config = absolute(config);
    }
    surroundings.metadata_root = path("SDOCKER_METADATA_ROOT").map(absolute);
    surroundings.docker_host = text("DOCKER_HOST");
    surroundings.docker_context = text("DOCKER_CONTEXT");
    surroundings.region = global.region.clone();
    surroundings.aws_region = text("AWS_REGION");
    surroundings.region_name = text("REGION_NAME");
    surroundings.cloud = match (global.cloud, text("SDOCKER_CLOUD")) {
        (None, Some(name)) => Some(cloud(&name)?),
        (asked, _) => asked,
    };
    surroundings.aws = Aws::SdkChain;
    surroundings.has_aws_settings = [
        "AWS_ENDPOINT_URL",
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
        "AWS_PROFILE",
        "AWS_ACCESS_KEY_ID",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
    ]
    .iter()
    .any(|name| text(name).is_some());
    surroundings.http_proxy = text("http_proxy").or_else(|| text("HTTP_PROXY"));
    surroundings.https_proxy = text("https_proxy").or_else(|| text("HTTPS_PROXY"));
    surroundings.no_proxy = text("no_proxy").or_else(|| text("NO_PROXY"));
    surroundings.proxies = ProxyVariables::new(text);
    surroundings.ca_bundle = path("AWS_CA_BUNDLE").map(absolute);
    surroundings.overriding_ca_bundles =
        ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"].into_iter().filter(|name| text(name).is_some()).collect();
    // As botocore reads them.
    let is_disabled = text("AWS_EC2_METADATA_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let endpoint = text("AWS_EC2_METADATA_SERVICE_ENDPOINT").unwrap_or_else(|| "http://169.254.169.254".to_owned());
    let authority = endpoint.split_once("://").map_or(endpoint.as_str(), |(_, rest)| rest);
    let authority = authority.split('/').next().unwrap_or_default();
    let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let authority = if has_port { authority.to_owned() } else { format!("{authority}:80") };
    surroundings.instance_metadata = (!is_disabled).then_some(authority);
    surroundings.use_short_lived_credentials = text("USE_SHORT_LIVED_CREDENTIALS").as_deref() == Some("1");
    surroundings.compose_bake = text("COMPOSE_BAKE");
    surroundings.path = env::var_os("PATH").unwrap_or_default();
    surroundings.program = env::current_exe().ok();
    if let Some(runtime) = path("XDG_RUNTIME_DIR").filter(|runtime| runtime.is_dir()) {
        surroundings.runtime = runtime.join("sdocker");
    }
    surroundings.in_notebook = in_notebook();
    surroundings.cwd = cwd;
    Ok(surroundings)
}

/// The cloud that `SDOCKER_CLOUD` names.
fn cloud(name: &str) -> anyhow::Result<CloudChoice> {
    let names =
        CloudChoice::value_variants().iter().filter_map(|cloud| Some(cloud.to_possible_value()?.get_name().to_owned()));
    CloudChoice::from_str(name, false).map_err(|_| {
        let message = format!("SDOCKER_CLOUD is {name:?}: it can be {}\n", names.collect::<Vec<_>>().join(" or "));
        clap::Error::raw(ErrorKind::InvalidValue, message).into()
    })
}

/// Whether a notebook's kernel started this command: Jupyter names itself to its kernels, and not to its terminals.
pub(crate) fn in_notebook() -> bool {
    text("JPY_PARENT_PID").is_some()
}

/// The user's editor.
pub(crate) fn editor() -> Option<String> {
    text("VISUAL").or_else(|| text("EDITOR"))
}

/// The kind of terminal that this one is.
pub(crate) fn terminal() -> String {
    text("TERM").unwrap_or_else(|| "dumb".to_owned())
}

/// An environment variable; empty counts as not set.
fn text(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn path(name: &str) -> Option<PathBuf> {
    env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}
