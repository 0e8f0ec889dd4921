//! The script that cloud-init runs on a host's first boot.
//!
//! It is a boothook (cloud-init documentation, "User-data formats"): it runs as soon as there is a network, before the image starts
//! its own services, and so before the image's Docker starts with a command line that is not ours. cloud-init runs a boothook at each
//! boot; this one does nothing more once it has done its work.
//!
//! It writes the host's settings, each value quoted, and the scripts of `user_data/`, which are the same for every host; then it
//! starts them. It travels compressed, since EC2 takes 16 KiB at most; on the host the scripts are in `/usr/local/lib/sdocker`.

use std::{
    fmt::{self, Write as _},
    io::{self, Write as _},
    path::Path,
};

use flate2::{Compression, GzBuilder};

use crate::{Bootstrap, Engine, HostMount, Identity, OnIdle};

/// User data can't be rendered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UserDataError {
    /// EC2 takes at most 16 KiB.
    #[error("the user data would be {bytes} bytes long; EC2 takes at most {MAX_USER_DATA}")]
    TooLarge {
        /// How long it would be, compressed.
        bytes: usize,
    },
    /// The script could not be compressed.
    #[error("cannot compress the user data")]
    Compression(#[source] io::Error),
    /// A value that no shell could be given: one with a NUL character.
    #[error("{what} holds a NUL character")]
    Nul {
        /// What it is.
        what: &'static str,
    },
    /// A path that Docker can't mount: one with a colon, or one that is not UTF-8.
    #[error("{path} can't be mounted by Docker: it holds a colon, or is not UTF-8")]
    Path {
        /// The path.
        path: String,
    },
}

/// How long user data can be, in bytes, before base64 (EC2 user guide, "User data limits").
pub const MAX_USER_DATA: usize = 16 * 1024;

/// A host's user data: a script, compressed as cloud-init takes it ("Gzip compressed content" in its "User-data formats").
///
/// # Guarantees
/// It fits into what EC2 takes. Its `Debug` shows no more than how long it is: the script may hold a key.
#[derive(Clone, PartialEq, Eq)]
pub struct UserData {
    script: String,
    compressed: Vec<u8>,
}

impl UserData {
    fn new(script: String) -> Result<Self, UserDataError> {
        // No time and no name in the header: the same script gives the same bytes.
        let mut gzip = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
        gzip.write_all(script.as_bytes()).map_err(UserDataError::Compression)?;
        let compressed = gzip.finish().map_err(UserDataError::Compression)?;
        let bytes = compressed.len();
        if bytes > MAX_USER_DATA { Err(UserDataError::TooLarge { bytes }) } else { Ok(Self { script, compressed }) }
    }

    /// The script that cloud-init runs.
    pub fn script(&self) -> &str {
        &self.script
    }

    /// What a launch sends, before base64: at most [`MAX_USER_DATA`].
    pub fn as_bytes(&self) -> &[u8] {
        &self.compressed
    }
}

impl fmt::Debug for UserData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserData").field("bytes", &self.compressed.len()).finish_non_exhaustive()
    }
}

/// What ends an embedded file; no line of a script or of settings is this.
const END: &str = "SDOCKER-END";

/// In an order in which they compress well.
const SCRIPTS: [(&str, &str); 10] = [
    ("host.sh", include_str!("user_data/host.sh")),
    ("bootstrap.sh", include_str!("user_data/bootstrap.sh")),
    (SHARED, include_str!("user_data/shared.sh")),
    ("uses.sh", USES),
    ("life.sh", include_str!("user_data/life.sh")),
    ("endpoint.sh", include_str!("user_data/endpoint.sh")),
    ("endpoint-forward.sh", include_str!("user_data/endpoint-forward.sh")),
    ("start.sh", START),
    ("networks.sh", include_str!("user_data/networks.sh")),
    ("daemon.sh", include_str!("user_data/daemon.sh")),
];

/// What a host without a folder that it shares has no use for.
const SHARED: &str = "shared.sh";

/// What counts as a use of a host; the sandbox's hosts go by it, too.
pub(crate) const USES: &str = include_str!("user_data/uses.sh");

const CERTIFY: &str = include_str!("user_data/certify.sh");

/// cloud-init names the instance to a boothook. What another instance left came with an image that was made of a host. Whatever is missing,
/// the script goes on: it arms the host's end.
const BEGIN: &str = r#"#cloud-boothook
#!/bin/bash
set -u
instance_id=${INSTANCE_ID:-$(cat /var/lib/cloud/data/instance-id)}
[ "$(cat /etc/sdocker/installed 2>/dev/null)" != "instance $instance_id" ] || exit 0
rm -rf /etc/sdocker /var/lib/sdocker
install -d -m 700 /etc/sdocker /usr/local/lib/sdocker
"#;

const START: &str = include_str!("user_data/start.sh");

/// Renders the user data: pure, the same for the same bootstrap, byte for byte.
///
/// # Errors
/// A script that would be too large; a value that can't be quoted or mounted.
pub fn render_user_data(bootstrap: &Bootstrap) -> Result<UserData, UserDataError> {
    let settings = settings(bootstrap)?;
    let mut script = String::from(BEGIN);
    file(&mut script, "/etc/sdocker/settings", &settings);
    let needed = |(name, _): &(&str, &str)| *name != SHARED || bootstrap.shared_home.is_some();
    for (name, text) in SCRIPTS.into_iter().filter(needed) {
        self::script(&mut script, name, text);
    }
    if let Identity::Embedded { ca, certificate, key, issuer, issuer_key } = &bootstrap.identity {
        self::script(&mut script, "certify.sh", CERTIFY);
        script.push_str("install -d -m 700 /etc/sdocker/tls\numask 077\n");
        let files = [("ca", ca), ("cert", certificate), ("key", key), ("issuer", issuer), ("issuer-key", issuer_key)];
        for (name, pem) in files {
            file(&mut script, &format!("/etc/sdocker/tls/{name}.pem"), pem);
        }
        // There is a network when a boothook runs, and Docker's own addresses are not there yet.
        // iproute is on the ECS-optimised image, whose package iproute-tc needs it (packages_al2023 in aws/amazon-ecs-ami); hostname(1) need not be.
        script.push_str("while read -r _ _ _ address _; do addresses+=(\"${address%/*}\"); done < <(ip -o addr show up scope global)\n");
        script.push_str("timeout 99 bash /usr/local/lib/sdocker/certify.sh /etc/sdocker/tls \"${addresses[@]}\"\n");
    }
    script.push_str(". /etc/sdocker/settings\n. /usr/local/lib/sdocker/start.sh\n");
    UserData::new(script)
}

/// Writes one of the scripts. Its comments stay here, and what lines begin with for people's eyes.
fn script(script: &mut String, name: &str, text: &str) {
    let code: Vec<&str> =
        text.lines().map(str::trim_start).filter(|line| !line.is_empty() && !line.starts_with("# ")).collect();
    file(script, &format!("/usr/local/lib/sdocker/{name}"), &code.join("\n"));
}

fn file(script: &mut String, path: &str, text: &str) {
    let newline = if text.ends_with('\n') { "" } else { "\n" };
    let _ = write!(script, "cat >{path} <<'{END}'\n{text}{newline}{END}\n");
}

/// The settings as bash reads them.
fn settings(bootstrap: &Bootstrap) -> Result<String, UserDataError> {
    let (engine, image, nvidia) = match &bootstrap.engine {
        Engine::Dind { image } => ("dind", image.as_str(), false),
        Engine::Native { nvidia } => ("native", "", *nvidia),
    };
    let mut paths = Vec::new();
    for path in bootstrap.mounts.iter().flat_map(|mount| &mount.paths) {
        paths.push(mountable(path)?);
    }
    let shared_home = match &bootstrap.shared_home {
        Some(home) => mountable(home)?,
        None => "",
    };
    let seconds = |duration: std::time::Duration| duration.as_secs().to_string();
    let mut text = String::new();
    let mut set = |name: &'static str, value: &str| -> Result<(), UserDataError> {
        let _ = writeln!(text, "{name}={}", quote(name, value)?);
        Ok(())
    };
    set("engine", engine)?;
    set("dind_image", image)?;
    set("nvidia", if nvidia { "1" } else { "0" })?;
    set("daemon_port", &bootstrap.daemon_port.to_string())?;
    set("endpoint_port", &bootstrap.endpoint_port.to_string())?;
    set("shared_home", shared_home)?;
    set("max_lifetime", &seconds(bootstrap.max_lifetime))?;
    set("idle_timeout", &bootstrap.idle_timeout.map_or_else(|| "0".to_owned(), seconds))?;
    for (name, sum) in [("pre_bootstrap", &bootstrap.hooks.pre), ("post_bootstrap", &bootstrap.hooks.post)] {
        if let Some(sum) = sum {
            set(name, sum)?;
        }
    }
    if bootstrap.on_idle == OnIdle::Stop {
        set("stops", "1")?;
    }
    if bootstrap.swarm {
        set("swarm", "1")?;
    }
    set("spot", if bootstrap.spot { "1" } else { "0" })?;
    let ports: Vec<String> = bootstrap.additional_ports.iter().map(ToString::to_string).collect();
    let proxies = proxies(bootstrap);
    for (name, items) in [
        ("additional_ports", ports.iter().map(String::as_str).collect::<Vec<_>>()),
        ("paths", paths),
        ("proxies", proxies.iter().map(String::as_str).collect()),
    ] {
        let quoted: Result<Vec<String>, _> = items.into_iter().map(|item| quote(name, item)).collect();
        let _ = writeln!(text, "{name}=({})", quoted?.join(" "));
    }
    if !bootstrap.mounts.is_empty() {
        let mut calls = Vec::new();
        for mount in &bootstrap.mounts {
            calls.push(mount_call(mount)?);
        }
        let _ = writeln!(text, "mounts() {{\n{}\n}}", calls.join(" &&\n"));
    }
    Ok(text)
}

fn mount_call(mount: &HostMount) -> Result<String, UserDataError> {
    let access_point = mount.access_point.as_ref().map(AsRef::as_ref).unwrap_or_default();
    let address = mount.address.to_string();
    let remote = mount.remote_path.to_string_lossy();
    let mut arguments = vec![mount.file_system.as_str(), access_point, &address, &remote];
    for path in &mount.paths {
        arguments.push(mountable(path)?);
    }
    let quoted: Result<Vec<String>, _> = arguments.into_iter().map(|argument| quote("a mount", argument)).collect();
    Ok(format!("efs {}", quoted?.join(" ")))
}

fn proxies(bootstrap: &Bootstrap) -> Vec<String> {
    let proxy = &bootstrap.proxy;
    let no_proxy = (!proxy.no_proxy.is_empty()).then(|| proxy.no_proxy.join(","));
    [("HTTP_PROXY", &proxy.http), ("HTTPS_PROXY", &proxy.https), ("NO_PROXY", &no_proxy)]
        .into_iter()
        .filter_map(|(name, value)| value.as_ref().map(|value| format!("{name}={value}")))
        .collect()
}

/// The one function that quotes values for the host's shell.
fn quote(what: &'static str, value: &str) -> Result<String, UserDataError> {
    // A line of an embedded file must not end it; a value with newlines is quoted in one line.
    if value.contains(['\n', '\r']) {
        let escaped = value.replace('\\', "\\\\").replace('\'', "\\'").replace('\n', "\\n").replace('\r', "\\r");
        return if value.contains('\0') { Err(UserDataError::Nul { what }) } else { Ok(format!("$'{escaped}'")) };
    }
    shlex::try_quote(value).map(std::borrow::Cow::into_owned).map_err(|_| UserDataError::Nul { what })
}

/// Docker separates the parts of a bind mount with colons.
fn mountable(path: &Path) -> Result<&str, UserDataError> {
    let text = path.to_str().filter(|text| !text.contains(':'));
    text.ok_or_else(|| UserDataError::Path { path: path.display().to_string() })
}

#[cfg(test)]
mod tests;
