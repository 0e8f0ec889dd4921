//! What a host does when it boots, as data; `user_data` renders it into the script that cloud-init runs.

use std::{fmt, net::IpAddr, path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize, Serializer};
use studio_discovery::{AccessPointId, FileSystemId, Region};

use crate::{HostId, OnIdle};

/// Everything that the host needs to know to become a Docker host. It holds no secret, but for
/// [`Identity::Embedded`], where the app shares no storage with the host, and passwords of proxies. Neither Debug nor Serialize shows them: what is
/// serialized is to be looked at, and can be read back only where there is none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Bootstrap {
    /// The host's name.
    pub host: HostId,
    /// The Region it runs in.
    pub region: Region,
    /// What runs the daemon.
    pub engine: Engine,
    /// The port on which the daemon is reached under mutual TLS.
    pub daemon_port: u16,
    /// The port on which model endpoints are reached: the SDK's `serving_port`, 8080.
    pub endpoint_port: u16,
    /// Further TCP ports that reach containers.
    pub additional_ports: Vec<u16>,
    /// What of EFS to mount, and where.
    pub mounts: Vec<HostMount>,
    /// Where the host's identity comes from.
    pub identity: Identity,
    /// The folder that holds `hosts/`, `pre-bootstrap.sh` and `post-bootstrap.sh`, as a path under one of the mounts;
    /// `None` where no storage is shared.
    pub shared_home: Option<PathBuf>,
    /// The user's own scripts there.
    #[serde(default)]
    pub hooks: Hooks,
    /// After how long the host ends itself, whatever runs on it.
    pub max_lifetime: Duration,
    /// After how long without use the host ends itself; `None`: never.
    pub idle_timeout: Option<Duration>,
    /// What the host's end by itself is.
    #[serde(default, skip_serializing_if = "OnIdle::is_default")]
    pub on_idle: OnIdle,
    /// Proxy settings for the daemon, and with engine `dind` for the image's own, which pulls.
    pub proxy: ProxySettings,
    /// Whether it is to be a node of a Swarm, which takes no daemon with live-restore (moby, `errSwarmLiveRestore`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub swarm: bool,
    /// Whether the host is a Spot instance, whose two-minute notice is watched for.
    pub spot: bool,
}

/// The user's own scripts, which the host runs as root: each by the SHA-256 of its content, in hexadecimal digits. Nothing else of that name is
/// run, and without one nothing is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hooks {
    /// Of `pre-bootstrap.sh`.
    pub pre: Option<String>,
    /// Of `post-bootstrap.sh`.
    pub post: Option<String>,
}

/// What runs the Docker daemon on the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Engine {
    /// Docker in Docker: the daemon is a container of this image.
    Dind {
        /// The image, `docker:29-dind` by default.
        image: String,
    },
    /// The image's own `dockerd`, reconfigured.
    Native {
        /// Whether the NVIDIA runtime is expected, and verified at boot.
        nvidia: bool,
    },
}

/// A part of an EFS file system that the host mounts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HostMount {
    /// The file system.
    pub file_system: FileSystemId,
    /// The access point, which only the EFS mount helper can use (`-t efs -o tls,accesspoint=`).
    pub access_point: Option<AccessPointId>,
    /// The address of the mount target in the host's own zone.
    pub address: IpAddr,
    /// The directory of the file system (or of the access point) to mount.
    pub remote_path: PathBuf,
    /// The absolute paths at which containers and the host see it; the first is the mount point, the others are bind mounts of it.
    pub paths: Vec<PathBuf>,
}

/// Where the daemon's certificate and key come from.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Identity {
    /// The client puts them at `<shared home>/hosts/<instance-type>_<instance-id>/certs/server/{ca,cert,key}.pem`, `key.pem`
    /// last, once it knows the instance's names; the host takes them from there and deletes `key.pem`.
    Shared,
    /// They travel in user data, because no storage is shared. The host's address is not known then: the host makes keys of its own, has them
    /// certified for its addresses by the issuer, and removes the issuer's key (`certify.sh`). What travelled can serve as this one host, towards
    /// clients that have not reached it yet, and as nothing else: its clients' certificates have another issuer, whose key is nowhere.
    Embedded {
        /// The certificate of the clients' issuer, PEM.
        ca: String,
        /// The server certificate, PEM.
        certificate: String,
        /// The server key, PEM.
        #[serde(serialize_with = "redacted")]
        key: String,
        /// The certificate of the server's issuer, PEM.
        issuer: String,
        /// The key of the server's issuer, PEM.
        #[serde(serialize_with = "redacted")]
        issuer_key: String,
    },
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shared => f.write_str("Shared"),
            Self::Embedded { .. } => f.write_str("Embedded { key: <redacted> }"),
        }
    }
}

/// Proxy settings in the form of the usual environment variables; empty ones are not set.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProxySettings {
    /// `http_proxy`.
    #[serde(serialize_with = "without_password")]
    pub http: Option<String>,
    /// `https_proxy`.
    #[serde(serialize_with = "without_password")]
    pub https: Option<String>,
    /// `no_proxy`: host names, domain suffixes and networks that are reached directly.
    pub no_proxy: Vec<String>,
}

impl fmt::Debug for ProxySettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProxySettings")
            .field("http", &self.http.as_deref().map(masked))
            .field("https", &self.https.as_deref().map(masked))
            .field("no_proxy", &self.no_proxy)
            .finish()
    }
}

fn redacted<S: Serializer>(_: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str("<redacted>")
}

fn without_password<S: Serializer>(url: &Option<String>, serializer: S) -> Result<S::Ok, S::Error> {
    url.as_deref().map(masked).serialize(serializer)
}

/// A URL without the password of its user: `http://user:***@proxy:3128`.
fn masked(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").map_or(("", url), |(scheme, rest)| (scheme, rest));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let Some((user, _)) = authority.rsplit_once('@').and_then(|(user, _)| user.split_once(':')) else {
        return url.to_owned();
    };
    let end = authority.rfind('@').unwrap_or_default();
    let separator = if scheme.is_empty() { "" } else { "://" };
    format!("{scheme}{separator}{user}:***{}", &rest[end..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_is_printed() {
        let secret = "SECRET".to_owned();
        let public = "PUBLIC".to_owned();
        let identity = Identity::Embedded {
            ca: public.clone(),
            certificate: public.clone(),
            key: secret.clone(),
            issuer: public,
            issuer_key: secret.clone(),
        };
        let proxy = ProxySettings {
            http: Some("http://ana:SECRET@proxy:3128".to_owned()),
            https: Some("ana:SECRET@proxy:3128/".to_owned()),
            no_proxy: vec![".internal".to_owned()],
        };
        for printed in [
            format!("{identity:?} {proxy:?}"),
            serde_json::to_string(&identity).expect("JSON"),
            serde_json::to_string(&proxy).expect("JSON"),
        ] {
            assert!(!printed.contains(&secret), "{printed}");
        }
    }

    #[test]
    fn only_the_password_is_masked() {
        for (url, printed) in [
            ("http://ana:p%40ss@proxy:3128", "http://ana:***@proxy:3128"),
            ("ana:pass@proxy", "ana:***@proxy"),
            ("http://a:b:c@proxy/x@y", "http://a:***@proxy/x@y"),
            ("http://ana@proxy:3128", "http://ana@proxy:3128"),
            ("http://proxy:3128/a:b@c", "http://proxy:3128/a:b@c"),
            ("proxy:3128", "proxy:3128"),
        ] {
            assert_eq!(masked(url), printed);
        }
    }
}
