//! The process's environment, read once; nothing else in this crate or the libraries reads it.

use std::{env, path::PathBuf};

use anyhow::Context as _;
use docker_remote::ProxyVariables;

use crate::args::{CloudChoice, Global};

/// Everything that commands take from their surroundings.
#[derive(Clone, Debug)]
pub(crate) struct World {
    /// `HOME`.
    pub(crate) home: PathBuf,
    /// `SDOCKER_HOME`, by default `~/.sdocker`.
    pub(crate) sdocker_home: PathBuf,
    /// `SDOCKER_METADATA_ROOT`, where it is set.
    pub(crate) metadata_root: Option<PathBuf>,
    /// `DOCKER_CONFIG`, by default `~/.docker`.
    pub(crate) docker_config: PathBuf,
    /// `DOCKER_HOST`, where it is set: it overrides every context.
    pub(crate) docker_host: Option<String>,
    /// `DOCKER_CONTEXT`, where it is set: it overrides the current context.
    pub(crate) docker_context: Option<String>,
    /// `--region`.
    pub(crate) region_option: Option<String>,
    /// `AWS_REGION`.
    pub(crate) aws_region: Option<String>,
    /// `REGION_NAME`.
    pub(crate) region_name: Option<String>,
    /// `--cloud` or `SDOCKER_CLOUD`.
    pub(crate) cloud: Option<CloudChoice>,
    /// Whether the environment points at AWS.
    pub(crate) has_aws_settings: bool,
    /// `http_proxy` or `HTTP_PROXY`.
    pub(crate) http_proxy: Option<String>,
    /// `https_proxy` or `HTTPS_PROXY`.
    pub(crate) https_proxy: Option<String>,
    /// `no_proxy` or `NO_PROXY`.
    pub(crate) no_proxy: Option<String>,
    /// All variables that lead Docker's clients through a proxy.
    pub(crate) proxies: ProxyVariables,
    /// `AWS_CA_BUNDLE`, where it is set.
    #[cfg(feature = "aws")]
    pub(crate) aws_ca_bundle: Option<PathBuf>,
    /// Which of the variables are set by which `requests` takes other CAs than those that it is given.
    pub(crate) ca_bundles: Vec<&'static str>,
    /// The working directory, where there is one.
    pub(crate) cwd: Option<PathBuf>,
    /// `PATH`.
    pub(crate) path: std::ffi::OsString,
}

impl World {
    pub(crate) fn read(global: &Global) -> anyhow::Result<Self> {
        let home = path("HOME").or_else(env::home_dir).filter(|home| home.is_absolute());
        let home = home.context("HOME is not set to an absolute path")?;
        let cwd = env::current_dir().ok();
        let absolute = |path: PathBuf| match &cwd {
            Some(cwd) if path.is_relative() => cwd.join(path),
            _ => path,
        };
        Ok(Self {
            sdocker_home: path("SDOCKER_HOME").map_or_else(|| home.join(".sdocker"), absolute),
            metadata_root: path("SDOCKER_METADATA_ROOT").map(absolute),
            docker_config: path("DOCKER_CONFIG").map_or_else(|| home.join(".docker"), absolute),
            docker_host: text("DOCKER_HOST"),
            docker_context: text("DOCKER_CONTEXT"),
            region_option: global.region.clone(),
            aws_region: text("AWS_REGION"),
            region_name: text("REGION_NAME"),
            cloud: global.cloud,
            has_aws_settings: [
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
            .any(|name| text(name).is_some()),
            http_proxy: text("http_proxy").or_else(|| text("HTTP_PROXY")),
            https_proxy: text("https_proxy").or_else(|| text("HTTPS_PROXY")),
            no_proxy: text("no_proxy").or_else(|| text("NO_PROXY")),
            proxies: ProxyVariables::new(text),
            #[cfg(feature = "aws")]
            aws_ca_bundle: path("AWS_CA_BUNDLE").map(absolute),
            ca_bundles: ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"]
                .into_iter()
                .filter(|name| text(name).is_some())
                .collect(),
            home,
            path: env::var_os("PATH").unwrap_or_default(),
            cwd,
        })
    }

    /// The first program of this name on `PATH`.
    pub(crate) fn which(&self, program: &str) -> Option<PathBuf> {
        use std::os::unix::fs::PermissionsExt as _;
        env::split_paths(&self.path)
            .map(|folder| folder.join(program))
            .find(|file| file.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0))
    }
}

/// Whether a notebook's kernel started this command: Jupyter names itself to its kernels, and not to its terminals.
pub(crate) fn in_notebook() -> bool {
    text("JPY_PARENT_PID").is_some()
}

/// An environment variable; empty counts as not set.
fn text(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn path(name: &str) -> Option<PathBuf> {
    env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}
