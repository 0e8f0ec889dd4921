//! What a container is to see of this machine: sources of binds, resolved here, and shared with the host.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use crate::{Hosts, route::Made};

/// Paths that mean the host's own, whatever this machine has there.
const OWN: [&str; 5] = ["/dev", "/proc", "/sys", "/lib/modules", "/etc/localtime"];

/// The name of every daemon's socket. Who binds one wants the daemon that runs the container.
const SOCKET: &str = "docker.sock";

/// Whether a container asks for a GPU (docs.docker.com/reference/api/engine, "DeviceRequest").
pub(crate) fn wants_gpu(container: &Value) -> bool {
    let host = &container["HostConfig"];
    let is_gpu = |request: &Value| {
        let capabilities = request["Capabilities"].as_array().into_iter().flatten();
        let mut words = capabilities.filter_map(Value::as_array).flatten();
        request["Driver"] == json!("nvidia") || words.any(|word| *word == json!("gpu"))
    };
    host["Runtime"] == json!("nvidia") || host["DeviceRequests"].as_array().is_some_and(|all| all.iter().any(is_gpu))
}

/// Resolves every bind of what is to be made on a host, and has it shared.
///
/// # Errors
/// Which can't be had, and why.
pub(crate) async fn resolve(made: Made, described: &mut Value, hosts: &dyn Hosts, host: &str) -> Result<(), String> {
    let binds = Binds { hosts, host };
    match made {
        Made::Container => {
            let settings = &mut described["HostConfig"];
            binds.strings(settings.get_mut("Binds")).await?;
            binds.mounts(settings.get_mut("Mounts")).await
        }
        Made::Volume => {
            let is_local = matches!(described["Driver"].as_str(), None | Some("" | LOCAL));
            if is_local { binds.volume(described.get_mut("DriverOpts")).await } else { Ok(()) }
        }
        Made::Service => binds.mounts(described.pointer_mut("/TaskTemplate/ContainerSpec/Mounts")).await,
    }
}

/// The driver of volumes that are on the host.
const LOCAL: &str = "local";

/// Where binds are to be had.
struct Binds<'a> {
    hosts: &'a dyn Hosts,
    host: &'a str,
}

impl Binds<'_> {
    /// `SOURCE:TARGET[:OPTIONS]` each; what begins with no slash is a volume's name.
    async fn strings(&self, binds: Option<&mut Value>) -> Result<(), String> {
        for bind in binds.and_then(Value::as_array_mut).into_iter().flatten() {
            let Some((source, rest)) = bind.as_str().and_then(|bind| bind.split_once(':')) else { continue };
            if source.starts_with('/') {
                let source = self.resolved(Path::new(source), Missing::Make).await?;
                *bind = json!(format!("{}:{rest}", source.display()));
            }
        }
        Ok(())
    }

    /// Binds, and volumes that come to be with what mounts them.
    async fn mounts(&self, mounts: Option<&mut Value>) -> Result<(), String> {
        for mount in mounts.and_then(Value::as_array_mut).into_iter().flatten() {
            if mount["Type"] == json!("volume") {
                let Some(driver) = mount.pointer_mut("/VolumeOptions/DriverConfig") else { continue };
                if matches!(driver["Name"].as_str(), None | Some("" | LOCAL)) {
                    self.volume(driver.get_mut("Options")).await?;
                }
            } else if mount["Type"] == json!("bind") {
                let Some(source) = mount["Source"].as_str().map(PathBuf::from) else { continue };
                let makes = mount["BindOptions"]["CreateMountpoint"] == json!(true);
                let missing = if makes { Missing::Make } else { Missing::Refuse };
                let source = self.resolved(&source, missing).await?;
                mount["Source"] = json!(source.display().to_string());
            }
        }
        Ok(())
    }

    /// A volume that is a bind by mount(8)'s options (docs.docker.com/reference/cli/docker/volume/create, "Driver-specific options"). What
    /// is not there can't be mounted, now or later.
    async fn volume(&self, options: Option<&mut Value>) -> Result<(), String> {
        let Some(options) = options else { return Ok(()) };
        let is_bind = options["o"].as_str().is_some_and(|o| o.split(',').any(|o| matches!(o, "bind" | "rbind")));
        if let Some(device) = options["device"].as_str().filter(|device| is_bind && device.starts_with('/')) {
            let device = self.resolved(Path::new(device), Missing::Refuse).await?;
            options["device"] = json!(device.display().to_string());
        }
        Ok(())
    }

    async fn resolved(&self, source: &Path, missing: Missing) -> Result<PathBuf, String> {
        if source.file_name().is_some_and(|name| name == SOCKET) {
            return Ok(self.hosts.daemon_socket(self.host).await);
        }
        if OWN.iter().any(|own| source.starts_with(own)) {
            return Ok(source.to_owned());
        }
        let shown = source.display();
        let path = match fs::canonicalize(source) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && missing == Missing::Make => {
                fs::create_dir_all(source).and_then(|()| fs::canonicalize(source))
            }
            path => path,
        };
        let path = path.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                format!("invalid mount config for type \"bind\": bind source path does not exist: {shown}")
            }
            _ => format!("{shown} can't be given to a container: {error}"),
        })?;
        let shared = self.hosts.share(self.host, &path).await;
        shared.map_err(|why| format!("{shown} can't be given to a container: {why}"))?;
        Ok(path)
    }
}

/// What becomes of a source that is not there: Docker makes one of `-v`, and refuses one of `--mount` (docs.docker.com, "Bind mounts").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Missing {
    Make,
    Refuse,
}
