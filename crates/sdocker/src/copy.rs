//! Files from here to a host and back, through its daemon's connection.

mod archive;

use std::{
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
    str::FromStr,
};

use docker_remote::{Client, HostPath};
use futures_util::StreamExt as _;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

pub use archive::Amount;

use crate::{
    Error, HostSelector, Observer, Result,
    client_files::HostFiles,
    error::Context as _,
    lookup::{KnownHost, Lookup},
};

/// Where something is that is copied, as a user writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CopyPath {
    /// Here.
    Here(PathBuf),
    /// On a host, the current one where none is named, by its path from the root.
    Host(Option<HostSelector>, String),
}

impl FromStr for CopyPath {
    type Err = String;

    /// As of scp and `docker cp`: what begins with `/` or `.`, or has a `/` before its first colon, is here.
    fn from_str(text: &str) -> Result<Self, String> {
        let here = || Ok(Self::Here(PathBuf::from(text)));
        match text.split_once(':') {
            _ if text.is_empty() => Err("it is empty".to_owned()),
            _ if text.starts_with(['/', '.']) => here(),
            None => here(),
            Some((host, _)) if host.contains('/') => here(),
            Some((_, path)) if !path.starts_with('/') => {
                Err(format!("`{text}`: a path on a host begins with `/`; a file here of this name is `./{text}`"))
            }
            Some(("", path)) => Ok(Self::Host(None, path.to_owned())),
            Some((host, path)) => {
                let host = host.parse().map_err(|error| format!("`{host}`: {error}"))?;
                Ok(Self::Host(Some(host), path.to_owned()))
            }
        }
    }
}

/// What was copied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Copied {
    /// The host.
    pub host: String,
    /// Where it is now, here or on the host.
    pub to: String,
    /// How much it is.
    #[serde(flatten)]
    pub amount: Amount,
}

/// Copies a file or a folder.
pub(crate) async fn copy(
    from: &CopyPath,
    to: &CopyPath,
    lookup: &Lookup,
    observer: &dyn Observer,
    stop: &CancellationToken,
) -> Result<Copied> {
    match (from, to) {
        (CopyPath::Host(host, path), CopyPath::Here(target)) => {
            let (host, client) = reach(host.as_ref(), lookup, observer).await?;
            let _copying = observer.asking("copying");
            let source = client.host_path(path).await?;
            let source = source.with_context(|| format!("there is no {path} on {}", host.name))?;
            let taken = stop.run_until_cancelled(take(&source, path, target)).await;
            let (to, amount) = closed(source, taken).await?;
            Ok(Copied { host: host.name, to: to.display().to_string(), amount })
        }
        (CopyPath::Here(source), CopyPath::Host(host, path)) => {
            let what = fs::symlink_metadata(source).with_context(|| format!("cannot read {}", source.display()))?;
            let (host, client) = reach(host.as_ref(), lookup, observer).await?;
            let _copying = observer.asking("copying");
            let (folder, name) = destination(&client, path, &name_of(source)?, what.is_dir(), &host.name).await?;
            let given = stop.run_until_cancelled(give(source, &folder.at, &name)).await;
            let amount = closed(folder.at, given).await?;
            let to = format!("{}/{name}", folder.path.trim_end_matches('/'));
            Ok(Copied { host: host.name, to, amount })
        }
        (CopyPath::Here(_), CopyPath::Here(_)) => {
            Err(Error::new("both paths are local: one of them must be HOST:/PATH")
                .hint("`:/PATH` is a path on the current host; `cp` copies local files"))
        }
        (CopyPath::Host(..), CopyPath::Host(..)) => {
            Err(Error::new("both paths are on hosts: one of them must be local"))
        }
    }
}

async fn reach(host: Option<&HostSelector>, lookup: &Lookup, observer: &dyn Observer) -> Result<(KnownHost, Client)> {
    let host = lookup.find(host, observer)?;
    let client = HostFiles::new(lookup).client(&host.entry()).await?;
    Ok((host, client))
}

/// What became of a copy, once nothing of it is left on the host but the copy.
async fn closed<T>(at: HostPath, outcome: Option<Result<T>>) -> Result<T> {
    let closed = at.close().await;
    let done = outcome.unwrap_or_else(|| Err(Error::new("the copy was stopped; what was copied by then is there")))?;
    closed?;
    Ok(done)
}

/// A folder of a host.
struct Folder {
    path: String,
    at: HostPath,
}

/// The folder on the host that takes it, and its name there: what is a folder takes it by its own name, as with `cp`.
async fn destination(
    client: &Client,
    path: &str,
    own_name: &str,
    is_folder: bool,
    host: &str,
) -> Result<(Folder, String)> {
    if let Some(at) = client.host_path(path).await? {
        if at.is_folder() {
            return Ok((Folder { path: path.to_owned(), at }, own_name.to_owned()));
        }
        at.close().await?;
        if is_folder {
            return Err(Error::new(format!("{path} on {host} is no folder")));
        }
    }
    let missing = || Error::new(format!("there is no folder {path} on {host}"));
    let (parent, name) = path.rsplit_once('/').filter(|(_, name)| !name.is_empty()).ok_or_else(missing)?;
    let parent = if parent.is_empty() { "/" } else { parent };
    let no_parent = || {
        let hint =
            format!("`sdocker shell {host} -- mkdir -p {}` makes it", shlex::try_quote(parent).unwrap_or_default());
        Error::new(format!("there is no folder {parent} on {host}")).hint(hint)
    };
    match client.host_path(parent).await? {
        Some(at) if at.is_folder() => Ok((Folder { path: parent.to_owned(), at }, name.to_owned())),
        Some(at) => {
            at.close().await?;
            Err(no_parent())
        }
        None => Err(no_parent()),
    }
}

/// The name by which it is known where it comes to.
fn name_of(path: &Path) -> Result<String> {
    let whole = path.file_name().is_none().then(|| path.canonicalize()).transpose();
    let whole = whole.with_context(|| format!("cannot read {}", path.display()))?;
    let name = whole.as_deref().unwrap_or(path).file_name().map(OsStr::to_string_lossy);
    name.map(std::borrow::Cow::into_owned)
        .with_context(|| format!("{} has no name: name what is in it", path.display()))
}

async fn take(source: &HostPath, path: &str, target: &Path) -> Result<(PathBuf, Amount)> {
    let target = if target.is_dir() { target.join(name_of_host(path)?) } else { target.to_owned() };
    if source.is_folder() && target.symlink_metadata().is_ok() && !target.is_dir() {
        return Err(Error::new(format!("{} is no folder", target.display())));
    }
    let mut pieces = std::pin::pin!(source.archive());
    let (sender, archive) = archive::taken(source.is_folder(), &target);
    let sent = async {
        while let Some(piece) = pieces.next().await {
            // Nobody takes it any more: that one says why.
            if sender.send(piece?).await.is_err() {
                break;
            }
        }
        drop(sender);
        Ok(())
    };
    let (sent, taken) = tokio::join!(sent, archive);
    // An archive that breaks off is no archive, either.
    sent.map_err(|error: docker_remote::Error| Error::wrapping(error))?;
    let amount = flat(taken).with_context(|| format!("cannot write {}", target.display()))?;
    Ok((target, amount))
}

fn name_of_host(path: &str) -> Result<&OsStr> {
    Path::new(path).file_name().with_context(|| format!("{path} has no name: name the place that it is to have here"))
}

async fn give(source: &Path, folder: &HostPath, name: &str) -> Result<Amount> {
    let (archive, given) = archive::given(source, name);
    let (unpacked, given) = tokio::join!(folder.unpack(archive), given);
    // What was not to be read is why the daemon did not get a whole archive.
    let amount = flat(given).with_context(|| format!("cannot read {}", source.display()));
    match (amount, unpacked) {
        (Ok(amount), Ok(())) => Ok(amount),
        (Err(error), Ok(())) => Err(error),
        (Err(error), Err(_))
            if error.cause::<io::Error>().is_none_or(|error| error.kind() != io::ErrorKind::BrokenPipe) =>
        {
            Err(error)
        }
        (_, Err(error)) => Err(error.into()),
    }
}

fn flat<T>(done: std::result::Result<io::Result<T>, tokio::task::JoinError>) -> io::Result<T> {
    done.unwrap_or_else(|stopped| Err(io::Error::other(stopped)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_here_or_on_a_host() {
        let path = |text: &str| text.parse::<CopyPath>();
        for here in ["x", "a/b", "/a:b", "./a:b", "..", "a/b:c"] {
            assert_eq!(path(here), Ok(CopyPath::Here(here.into())));
        }
        let host = "c5.xlarge_i-0123456789abcdef0".parse::<HostSelector>().expect("a name");
        assert_eq!(path(&format!("{host}:/a:b")), Ok(CopyPath::Host(Some(host), "/a:b".to_owned())));
        assert_eq!(path(":/"), Ok(CopyPath::Host(None, "/".to_owned())));
        for wrong in ["", "c5:x", ":", "a b:/x", "-x:/y"] {
            assert!(path(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_has_no_name_of_its_own_has_its_folders() {
        let folder = tempfile::tempdir().expect("made");
        let data = folder.path().join("data");
        fs::create_dir_all(data.join("in")).expect("made");
        assert_eq!(name_of(&data).expect("named"), "data");
        assert_eq!(name_of(&data.join("in/..")).expect("named"), "data");
        assert!(name_of(Path::new("/")).is_err());
    }

    #[test]
    fn its_json_is_what_programs_read() {
        let amount = Amount { files: 2, bytes: 7, left_out: 1 };
        let copied = Copied { host: "c5.xlarge_i-1".to_owned(), to: "/here".to_owned(), amount };
        let json = r#"{"host":"c5.xlarge_i-1","to":"/here","files":2,"bytes":7}"#;
        assert_eq!(serde_json::to_string(&copied).expect("JSON"), json);
    }
}
