//! The Docker CLI's context store, written as the CLI itself writes it.
//!
//! The layout is the CLI's own (docker/cli, `cli/context/store`): a context's folder is named by the SHA-256 of its name, with
//! `contexts/meta/<id>/meta.json` and `contexts/tls/<id>/docker/{ca,cert,key}.pem`. The current context is the field
//! `currentContext` of `config.json`, in which everything else stays as it is.
//!
//! What is made is for its owner alone, where the CLI lets others read what is no secret; what is there keeps its mode, and links stay
//! links.

mod config_json;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use config_json::ConfigJson;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{DockerHost, Error, error::file};

/// The context store of one Docker configuration folder.
#[derive(Clone, Debug)]
pub struct ContextStore {
    folder: PathBuf,
}

/// A context to be written: of a host that has answered.
#[derive(Clone, Debug)]
pub struct ContextSpec<'a> {
    host: &'a DockerHost,
    name: &'a str,
    description: &'a str,
}

impl<'a> ContextSpec<'a> {
    /// A context for a host that has answered.
    pub fn for_host(host: &'a DockerHost, name: &'a str, description: &'a str) -> Self {
        Self { host, name, description }
    }
}

/// A context in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Context {
    /// Its name.
    pub name: String,
    /// Its description; may be empty.
    pub description: String,
    /// The endpoint of its daemon, such as `tcp://ip-10-0-0-1.ec2.internal:1111`; `None` where it has none for Docker.
    pub host: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", expecting = "an object")]
struct Meta {
    name: String,
    #[serde(default)]
    metadata: Metadata,
    #[serde(default)]
    endpoints: Endpoints,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", expecting = "an object")]
struct Metadata {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    description: String,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(expecting = "an object")]
struct Endpoints {
    #[serde(skip_serializing_if = "Option::is_none")]
    docker: Option<DockerEndpoint>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", expecting = "an object")]
struct DockerEndpoint {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    host: String,
    #[serde(default, rename = "SkipTLSVerify")]
    skip_tls_verify: bool,
}

impl ContextStore {
    /// The store in a Docker configuration folder (`DOCKER_CONFIG`, by default `~/.docker`). It is made when it is first written.
    pub fn new(docker_config: impl Into<PathBuf>) -> Self {
        Self { folder: docker_config.into() }
    }

    /// The folders in which files are written, whether they exist or not.
    pub fn written(&self) -> Vec<PathBuf> {
        let config = self.folder.join("config.json");
        let config = whole_file::target(&config).unwrap_or(config);
        let folders = [self.folder.join("contexts/meta"), self.folder.join("contexts/tls"), self.folder.clone()];
        folders.into_iter().chain(config.parent().map(Path::to_owned)).collect()
    }

    /// Every context, sorted by name, without the CLI's built-in `default`; then those that can't be read, or are malformed.
    ///
    /// # Errors
    /// A store that can't be read.
    pub fn list(&self) -> Result<Vec<Result<Context, Error>>, Error> {
        let all = self.folder.join("contexts/meta");
        let listing = match fs::read_dir(&all) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            listing => listing.map_err(file("read", &all))?,
        };
        let mut contexts = Vec::new();
        for entry in listing {
            let path = entry.map_err(file("read", &all))?.path().join("meta.json");
            contexts.extend(read(&path).transpose());
        }
        let name = |context: &Result<Context, Error>| context.as_ref().ok().map(|context| context.name.clone());
        contexts.sort_by_key(|context| (context.is_err(), name(context)));
        Ok(contexts)
    }

    /// A context by name.
    ///
    /// # Errors
    /// A context that can't be read, or is malformed.
    pub fn get(&self, name: &str) -> Result<Option<Context>, Error> {
        read(&self.meta(name).join("meta.json"))
    }

    /// Writes a context; one of the same name is replaced. The current context stays what it is.
    ///
    /// # Errors
    /// A name that can't be a context's, or a file that can't be written.
    pub fn create(&self, spec: &ContextSpec<'_>) -> Result<(), Error> {
        if !is_name(spec.name) {
            return Err(Error::ContextName { name: spec.name.to_owned() });
        }
        let meta = Meta {
            name: spec.name.to_owned(),
            metadata: Metadata { description: spec.description.to_owned() },
            endpoints: Endpoints {
                docker: Some(DockerEndpoint { host: spec.host.endpoint().to_string(), skip_tls_verify: false }),
            },
        };
        let credentials = spec.host.credentials();
        let tls = self.tls(spec.name).join("docker");
        // The certificates come first: a context is there as soon as its meta.json is.
        for (name, pem) in
            [("ca.pem", &credentials.ca), ("cert.pem", &credentials.certificate), ("key.pem", &credentials.key)]
        {
            write(&tls.join(name), pem.as_bytes(), 0o600)?;
        }
        let path = self.meta(spec.name).join("meta.json");
        let json = serde_json::to_vec(&meta).map_err(|error| malformed(&path, &error))?;
        write(&path, &json, 0o600)
    }

    /// Writes a context for a socket of this machine; one of the same name is replaced. Whoever answers there is this machine's, so nothing need
    /// have answered before.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub fn create_for_socket(&self, name: &str, description: &str, socket: &Path) -> Result<(), Error> {
        if !is_name(name) {
            return Err(Error::ContextName { name: name.to_owned() });
        }
        let docker = DockerEndpoint { host: format!("unix://{}", socket.display()), skip_tls_verify: false };
        let meta = Meta {
            name: name.to_owned(),
            metadata: Metadata { description: description.to_owned() },
            endpoints: Endpoints { docker: Some(docker) },
        };
        let path = self.meta(name).join("meta.json");
        let json = serde_json::to_vec(&meta).map_err(|error| malformed(&path, &error))?;
        write(&path, &json, 0o600)
    }

    /// Removes a context; gone already is no error. Where it was the current one, the fallback becomes current if it (still)
    /// exists, else the CLI's `default`.
    ///
    /// # Errors
    /// A file that can't be removed, or a config.json that can't be edited.
    pub fn remove(&self, name: &str, fallback: Option<&str>) -> Result<(), Error> {
        if self.current()?.as_deref() == Some(name) {
            let fallback = match fallback {
                Some(fallback) if fallback != name => self.get(fallback)?.map(|context| context.name),
                _ => None,
            };
            self.config().set_current(fallback.as_deref())?;
        }
        for folder in [self.meta(name), self.tls(name)] {
            match fs::remove_dir_all(&folder) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(file("remove", folder)(error)),
                _ => {}
            }
        }
        Ok(())
    }

    /// The current context by config.json; `None` for the CLI's `default`. The environment may override it, which is not looked
    /// at here.
    ///
    /// # Errors
    /// A config.json that can't be read, or is malformed.
    pub fn current(&self) -> Result<Option<String>, Error> {
        self.config().current()
    }

    /// Makes a context the current one; `None`: the CLI's `default`.
    ///
    /// # Errors
    /// No such context; a config.json that can't be edited.
    pub fn use_context(&self, name: Option<&str>) -> Result<(), Error> {
        if let Some(name) = name
            && self.get(name)?.is_none()
        {
            return Err(Error::NoContext { name: name.to_owned() });
        }
        self.config().set_current(name)
    }

    fn config(&self) -> ConfigJson {
        ConfigJson::new(self.folder.join("config.json"))
    }

    fn meta(&self, name: &str) -> PathBuf {
        self.folder.join("contexts/meta").join(id(name))
    }

    fn tls(&self, name: &str) -> PathBuf {
        self.folder.join("contexts/tls").join(id(name))
    }
}

/// The name of a context's folder.
fn id(name: &str) -> String {
    use std::fmt::Write as _;
    Sha256::digest(name.as_bytes()).iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// What the CLI takes as a name: `^[a-zA-Z0-9][a-zA-Z0-9_.+-]+$`, and not its own `default`.
fn is_name(name: &str) -> bool {
    let mut characters = name.chars();
    name.len() > 1
        && name != "default"
        && characters.next().is_some_and(|first| first.is_ascii_alphanumeric())
        && characters.all(|other| other.is_ascii_alphanumeric() || "_.+-".contains(other))
}

fn read(path: &Path) -> Result<Option<Context>, Error> {
    let text = match whole_file::read_text(path, 1 << 20, whole_file::Links::Follow) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        text => text.map_err(file("read", path))?,
    };
    let meta: Meta = serde_json::from_str(&text).map_err(|error| malformed(path, &error))?;
    Ok(Some(Context {
        name: meta.name,
        description: meta.metadata.description,
        host: meta.endpoints.docker.map(|docker| docker.host),
    }))
}

fn malformed(path: &Path, error: &serde_json::Error) -> Error {
    let (line, column, said) = (error.line().max(1), error.column().max(1), error.to_string());
    // The place is said before; serde says it again.
    let expected = said.rsplit_once(" at line ").map_or(said.as_str(), |(what, _)| what).to_owned();
    Error::Malformed { path: path.to_owned(), line, column, expected }
}

fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Error> {
    whole_file::replace(path, bytes, mode).map_err(file("write", path))
}

#[cfg(test)]
mod tests;
