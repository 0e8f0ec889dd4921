//! Everything that is taken from the surroundings of a process. Nothing in this library or those below reads its environment: an
//! embedding program says what it wants to be taken for it.

use std::{
    env::split_paths,
    ffi::OsString,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use docker_remote::ProxyVariables;

/// Where hosts run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum CloudChoice {
    /// Amazon EC2.
    Aws,
    /// Docker daemons on this machine.
    Sandbox,
}

/// Where the AWS clients take credentials and settings from.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Aws {
    /// Nowhere: AWS access is turned off.
    #[default]
    Nothing,
    /// From where AWS's SDKs take them: their own variables, files and metadata services. This is the one thing that is read from the
    /// environment, and the SDK reads it.
    SdkChain,
    /// From this configuration. Its Region is that of each host; an HTTP client, retries and limits of time are added where it has none.
    #[cfg(feature = "aws")]
    Config(Box<aws_config::SdkConfig>),
}

/// Everything that is taken from the surroundings.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Surroundings {
    /// The user's home directory.
    pub home: PathBuf,
    /// Where hosts' records, keys and settings are kept: `~/.sdocker`.
    pub sdocker_home: PathBuf,
    /// The folder that prefixes Studio's metadata files and `/proc`, in place of `/`.
    pub metadata_root: Option<PathBuf>,
    /// The folder of the Docker CLI's configuration: `~/.docker`.
    pub docker_config: PathBuf,
    /// `DOCKER_HOST`, where it is set: it overrides every context.
    pub docker_host: Option<String>,
    /// `DOCKER_CONTEXT`, where it is set: it overrides the current context.
    pub docker_context: Option<String>,
    /// The Region that was asked for; it goes before the app's own.
    pub region: Option<String>,
    /// `AWS_REGION`, which is used only where the app names no Region.
    pub aws_region: Option<String>,
    /// Studio's own variable, `REGION_NAME`, which comes last.
    pub region_name: Option<String>,
    /// Where hosts run; `None`: in AWS where anything points there, else in the sandbox.
    pub cloud: Option<CloudChoice>,
    /// Where the AWS clients take credentials and settings from.
    pub aws: Aws,
    /// Whether anything points at AWS, such as a profile or credentials.
    pub has_aws_settings: bool,
    /// The proxy of `http_proxy`, for AWS's endpoints and for the host's daemon.
    pub http_proxy: Option<String>,
    /// The proxy of `https_proxy`, for AWS's endpoints and for the host's daemon.
    pub https_proxy: Option<String>,
    /// What is reached without a proxy.
    pub no_proxy: Option<String>,
    /// All variables that lead Docker's clients through a proxy.
    pub proxies: ProxyVariables,
    /// A file with the certificates that are believed of AWS's endpoints, in place of the system's.
    pub ca_bundle: Option<PathBuf>,
    /// Which of the variables are set by which `requests` takes other CAs than those that it is given.
    pub overriding_ca_bundles: Vec<&'static str>,
    /// The instance metadata service that the AWS SDKs would ask for credentials, as `host:port`; `None` where they are told not to.
    pub instance_metadata: Option<String>,
    /// `USE_SHORT_LIVED_CREDENTIALS=1`, by which the SageMaker Python SDK gives containers the credentials of its session.
    pub use_short_lived_credentials: bool,
    /// `COMPOSE_BAKE`, by which Docker Compose decides how it builds.
    pub compose_bake: Option<String>,
    /// The folder that relative paths are meant in.
    pub cwd: Option<PathBuf>,
    /// Where programs are looked for: `PATH`.
    pub path: OsString,
    /// The `sdocker` program that `setup` puts on `PATH` where there is none.
    pub program: Option<PathBuf>,
    /// A folder on this machine's own disk for what lasts as long as the machine: locks and states of processes.
    pub runtime: PathBuf,
    /// Whether advice is for a notebook, in place of a terminal.
    pub in_notebook: bool,
}

impl Surroundings {
    /// A home, and nothing else: no settings, no proxies, no programs.
    pub fn new(home: impl Into<PathBuf>) -> Self {
        let home = home.into();
        Self {
            sdocker_home: home.join(".sdocker"),
            docker_config: home.join(".docker"),
            home,
            metadata_root: None,
            docker_host: None,
            docker_context: None,
            region: None,
            aws_region: None,
            region_name: None,
            cloud: None,
            aws: Aws::Nothing,
            has_aws_settings: false,
            http_proxy: None,
            https_proxy: None,
            no_proxy: None,
            proxies: ProxyVariables::default(),
            instance_metadata: None,
            compose_bake: None,
            use_short_lived_credentials: false,
            ca_bundle: None,
            overriding_ca_bundles: Vec::new(),
            cwd: None,
            path: OsString::new(),
            program: None,
            runtime: runtime(Path::new("/tmp")),
            in_notebook: false,
        }
    }

    /// The first program of this name on `PATH`, or the one at this absolute path. Relative entries are passed over: what lies in the current
    /// folder may be anybody's.
    pub fn which(&self, program: impl AsRef<Path>) -> Option<PathBuf> {
        split_paths(&self.path)
            .map(|folder| folder.join(&program))
            .filter(|file| file.is_absolute())
            .find(|file| file.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0))
    }

    /// Whether anything but the app itself says that hosts run in AWS.
    pub(crate) fn points_at_aws(&self) -> bool {
        self.has_aws_settings || !matches!(self.aws, Aws::Nothing | Aws::SdkChain)
    }
}

/// How many names are tried.
const FOLDERS: usize = 16;

/// The folder of this user among others': one that somebody else was first to make is not taken, and does not keep anything from working.
fn runtime(temporary: &Path) -> PathBuf {
    let user = rustix::process::geteuid().as_raw();
    let name = |number: usize| match number {
        0 => format!("sdocker-{user}"),
        number => format!("sdocker-{user}.{number}"),
    };
    let mut folders = (0..FOLDERS).map(|number| temporary.join(name(number)));
    let is_ours =
        |folder: &PathBuf| folder.symlink_metadata().map_or(true, |found| found.is_dir() && found.uid() == user);
    folders.find(is_ours).unwrap_or_else(|| temporary.join(name(0)))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_somebody_else_made_first_is_passed_over() {
        let temporary = tempfile::tempdir().expect("made");
        let user = rustix::process::geteuid().as_raw();
        let own = |suffix: &str| temporary.path().join(format!("sdocker-{user}{suffix}"));
        assert_eq!(runtime(temporary.path()), own(""));
        // Neither a link, wherever it leads, nor a file.
        std::os::unix::fs::symlink("/tmp", own("")).expect("linked");
        fs::write(own(".1"), "").expect("written");
        assert_eq!(runtime(temporary.path()), own(".2"));
        fs::create_dir(own(".2")).expect("made");
        assert_eq!(runtime(temporary.path()), own(".2"));
    }
}
