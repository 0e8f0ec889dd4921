//! What a host would be, as far as clients ask before there is one.

use std::{fmt, str::FromStr};

use serde_json::{Value, json};

/// A version of Docker's API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ApiVersion(pub u32, pub u32);

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

impl FromStr for ApiVersion {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (major, minor) = text.split_once('.').ok_or(())?;
        Ok(Self(major.parse().map_err(drop)?, minor.parse().map_err(drop)?))
    }
}

/// An engine that may not run yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Engine {
    /// What it is called, such as the instance type.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The oldest version of the API that is answered.
    pub oldest: ApiVersion,
    /// The newest.
    pub newest: ApiVersion,
    /// Its architecture, as Go names it: `amd64`, `arm64`.
    pub architecture: String,
    /// How many processors it has.
    pub processors: u32,
    /// How much memory it has, in bytes.
    pub memory: u64,
    /// How many GPUs.
    pub gpus: u32,
}

impl Engine {
    /// As the kernel names its architecture.
    fn machine(&self) -> &str {
        match self.architecture.as_str() {
            "amd64" => "x86_64",
            "arm64" => "aarch64",
            other => other,
        }
    }

    /// Whether clients build with BuildKit unless told otherwise: from Docker 23.0 on, which speaks 1.42 (docs.docker.com, "Docker Engine 23.0
    /// release notes").
    pub(crate) fn builds_with_buildkit(&self) -> bool {
        self.newest >= ApiVersion(1, 42)
    }

    /// `GET /version` (docs.docker.com/reference/api/engine, "SystemVersion").
    pub(crate) fn version(&self) -> Value {
        let (newest, oldest) = (self.newest.to_string(), self.oldest.to_string());
        json!({
            "Platform": {"Name": format!("Docker on demand: {}", self.name)},
            "Components": [{"Name": "Engine", "Version": self.version, "Details": {
                "ApiVersion": newest, "MinAPIVersion": oldest, "Os": "linux", "Arch": self.architecture}}],
            "Version": self.version,
            "ApiVersion": newest,
            "MinAPIVersion": oldest,
            "Os": "linux",
            "Arch": self.architecture,
        })
    }

    /// `GET /info` of an engine on which there is nothing (docs.docker.com/reference/api/engine, "SystemInfo").
    pub(crate) fn info(&self, ended: Option<&str>) -> Value {
        let mut runtimes = json!({"runc": {"path": "runc"}, "io.containerd.runc.v2": {"path": "runc"}});
        if self.gpus > 0 {
            runtimes["nvidia"] = json!({"path": "nvidia-container-runtime"});
        }
        let state = ended.unwrap_or("it has not been launched yet");
        json!({
            "ID": "on-demand",
            "Name": self.name,
            "Containers": 0, "ContainersRunning": 0, "ContainersPaused": 0, "ContainersStopped": 0, "Images": 0,
            "Driver": "overlay2", "DriverStatus": [],
            "Plugins": {"Volume": ["local"], "Network": ["bridge", "host", "ipvlan", "macvlan", "null", "overlay"],
                "Authorization": null, "Log": ["json-file", "local", "none"]},
            "MemoryLimit": true, "SwapLimit": true, "CpuCfsPeriod": true, "CpuCfsQuota": true, "CPUShares": true, "CPUSet": true,
            "PidsLimit": true, "IPv4Forwarding": true, "OomKillDisable": false,
            // The SageMaker SDK takes a daemon without one for Studio's own.
            "CgroupDriver": "systemd", "CgroupVersion": "2",
            "NEventsListener": 0,
            "OperatingSystem": format!("{} (no host now: {state})", self.name),
            "OSType": "linux", "Architecture": self.machine(),
            "NCPU": self.processors, "MemTotal": self.memory,
            "IndexServerAddress": "https://index.docker.io/v1/",
            "RegistryConfig": {"InsecureRegistryCIDRs": ["127.0.0.0/8"], "IndexConfigs": {}, "Mirrors": []},
            "Labels": [], "ExperimentalBuild": false, "ServerVersion": self.version,
            "Runtimes": runtimes, "DefaultRuntime": "runc",
            "Swarm": {"NodeID": "", "NodeAddr": "", "LocalNodeState": "inactive", "ControlAvailable": false, "Error": "", "RemoteManagers": null},
            "LiveRestoreEnabled": false, "SecurityOptions": [], "Warnings": null,
        })
    }
}
