//! What a container is to see of this machine: sources of binds, resolved here, and shared with the host.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use crate::Hosts;

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

/// Resolves every bind of a container that is to be made on a host, and has it shared.
///
/// # Errors
/// Which can't be had, and why.
pub(crate) async fn resolve(container: &mut Value, hosts: &dyn Hosts, host: &str) -> Result<(), String> {
    let settings = &mut container["HostConfig"];
    if let Some(binds) = settings.get_mut("Binds").and_then(Value::as_array_mut) {
        for bind in binds {
            // `SOURCE:TARGET[:OPTIONS]`; what begins with no slash is a volume's name.
            let Some((source, rest)) = bind.as_str().and_then(|bind| bind.split_once(':')) else { continue };
            if source.starts_with('/') {
                let source = resolved(Path::new(source), Missing::Make, hosts, host).await?;
                *bind = json!(format!("{}:{rest}", source.display()));
            }
        }
    }
    if let Some(mounts) = settings.get_mut("Mounts").and_then(Value::as_array_mut) {
        for mount in mounts.iter_mut().filter(|mount| mount["Type"] == json!("bind")) {
            let Some(source) = mount["Source"].as_str().map(PathBuf::from) else { continue };
            let makes = mount["BindOptions"]["CreateMountpoint"] == json!(true);
            let missing = if makes { Missing::Make } else { Missing::Refuse };
            let source = resolved(&source, missing, hosts, host).await?;
            mount["Source"] = json!(source.display().to_string());
        }
    }
    Ok(())
}

/// What becomes of a source that is not there: Docker makes one of `-v`, and refuses one of `--mount` (docs.docker.com, "Bind mounts").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Missing {
    Make,
    Refuse,
}

async fn resolved(source: &Path, missing: Missing, hosts: &dyn Hosts, host: &str) -> Result<PathBuf, String> {
    if source.file_name().is_some_and(|name| name == SOCKET) {
        return Ok(hosts.daemon_socket(host).await);
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
    hosts.share(host, &path).await.map_err(|why| format!("{shown} can't be given to a container: {why}"))?;
    Ok(path)
}
