//! The logs of a host, which it puts beside the rest of what it says of itself; of one that failed, as they were kept.

use std::{
    io,
    path::{Path, PathBuf},
};

use whole_file::Links;

use crate::{
    Error, HostSelector, Observer, Result, account,
    client_files::HostFiles,
    error::Context as _,
    lookup::{KnownHost, Lookup, unknown},
};

/// The most of a log's end that is read. The hosts' own are far shorter.
const MOST: u64 = 1 << 20;

/// A log of a host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[non_exhaustive]
pub enum HostLog {
    /// What the host did while it was coming up.
    #[default]
    Bootstrap,
    /// The last output of its Docker daemon, which the host saves each minute.
    Dockerd,
    /// Its stages, warnings and end, and what was using it when it last checked.
    Life,
}

impl HostLog {
    /// The name by which a user knows it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bootstrap => "bootstrap",
            Self::Dockerd => "dockerd",
            Self::Life => "life",
        }
    }
}

/// A log, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogText {
    /// The host.
    pub host: String,
    /// The log's end.
    pub text: String,
    /// Whether the host failed and was terminated: nothing is added any more.
    pub is_over: bool,
}

impl LogText {
    /// What it has beyond what it had. Its first lines may be gone: all of it is new where no end of the old begins it.
    pub fn added_since(&self, before: &str) -> &str {
        let ends = before.split_inclusive('\n').scan(before, |rest, line| {
            let end = *rest;
            *rest = &rest[line.len()..];
            Some(end)
        });
        ends.into_iter().find_map(|end| self.text.strip_prefix(end)).unwrap_or(&self.text)
    }
}

/// The log of the host that is meant. Where no host is of that name, or none at all is here: of one that failed, the newest of them.
pub(crate) async fn of(
    host: Option<&HostSelector>,
    log: HostLog,
    lookup: &Lookup,
    observer: &dyn Observer,
) -> Result<LogText> {
    let hosts = lookup.hosts_aside().await?;
    let is_known = match host {
        Some(selector) => selector.choose(&hosts)?.is_some(),
        None => !hosts.is_empty(),
    };
    let failed = if is_known { None } else { newest_failed(host, lookup) };
    match (failed, host) {
        (Some(name), _) => {
            observer.warn(format!("{name} failed and was terminated: this was kept of it"));
            let folder = lookup.layout.failed(&name);
            let text = kept(&folder, log).with_context(|| format!("no {} log of {name} was kept", log.name()))?;
            Ok(LogText { host: name, text, is_over: true })
        }
        (None, Some(selector)) if !is_known => Err(unknown(selector, &hosts)),
        (None, _) => {
            let host = lookup.find_aside(host, observer).await?;
            let text = read(&host, log, lookup, observer).await?;
            Ok(LogText { host: host.name, text, is_over: false })
        }
    }
}

fn newest_failed(host: Option<&HostSelector>, lookup: &Lookup) -> Option<String> {
    let mut failed: Vec<_> = std::fs::read_dir(lookup.layout.failed(""))
        .ok()?
        .filter_map(io::Result::ok)
        .filter_map(|one| Some((one.metadata().ok()?.modified().ok()?, one.file_name().into_string().ok()?)))
        .filter(|(_, name)| host.is_none_or(|selector| selector.fits(name)))
        .collect();
    failed.sort_unstable();
    failed.pop().map(|(_, name)| name)
}

/// What was kept of a host, where it was: the files of all logs are in one folder there.
fn kept(folder: &Path, log: HostLog) -> Option<String> {
    let text = |name: &str| Some(String::from_utf8_lossy(&end(folder.join(name)).ok()?).into_owned());
    match log {
        HostLog::Life => account::life_log(text("status"), text("life.json")).or_else(|| text("life.log")),
        log => text(&format!("{}.log", log.name())),
    }
}

fn end(file: PathBuf) -> io::Result<Vec<u8>> {
    whole_file::within(account::ANSWERS_WITHIN, move || whole_file::read_end(&file, MOST, Links::Refuse))
}

/// A log as it is now; as it was last seen here, where the host does not answer, which is said.
pub(crate) async fn read(host: &KnownHost, log: HostLog, lookup: &Lookup, observer: &dyn Observer) -> Result<String> {
    let folder = lookup.layout.host(&host.name);
    let mut silent = None;
    if !account::is_shared(&folder) {
        let fetch = async {
            let client = HostFiles::new(lookup).client(&host.entry()).await?;
            account::through(&client, &folder).await
        };
        silent = fetch.await.err();
    }
    let file = folder.join("logs").join(format!("{}.log", log.name()));
    let shown = file.display().to_string();
    let read = match log {
        HostLog::Life if account::is_shared(&folder) => {
            let text = |name: &str| Some(String::from_utf8_lossy(&end(folder.join(name)).ok()?).into_owned());
            let life = account::life_log(text("status"), text("life.json"));
            life.map(String::into_bytes).ok_or_else(|| io::ErrorKind::NotFound.into())
        }
        _ => end(file),
    };
    match (read, silent) {
        (Ok(bytes), silent) => {
            if let Some(error) = silent {
                observer.warn(format!("{} does not say more now: {error:#}", host.name));
            }
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        }
        (Err(error), silent) if error.kind() == io::ErrorKind::NotFound => {
            let none = Error::new(format!("there is no {} log of {} here", log.name(), host.name))
                .hint(format!("`sdocker status {}` shows how far the host is", host.name));
            Err(silent.into_iter().fold(none, Error::because))
        }
        (Err(error), _) => Err(error).with_context(|| format!("cannot read {shown}")),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, sync::Mutex};

    use super::*;
    use crate::{Notice, Surroundings, layout::create_private};

    #[tokio::test]
    async fn a_host_that_failed_is_found_by_its_name() {
        let home = tempfile::tempdir().expect("made");
        let lookup = Lookup::new(&Surroundings::new(home.path()));
        let told = Mutex::new(Vec::new());
        let observer = |notice| told.lock().expect("whole").push(notice);
        let none = of(None, HostLog::Bootstrap, &lookup, &observer).await.expect_err("nothing is there");
        assert!(none.to_string().contains("there is no current host"), "{none}");
        for (number, name) in ["c5.xlarge_i-0a", "m5.large_i-0b"].into_iter().enumerate() {
            let folder = lookup.layout.failed(name);
            create_private(&folder).expect("made");
            fs::write(folder.join("bootstrap.log"), format!("pulled nothing for {name}\n")).expect("written");
            let status = "2026-01-01T00:00:00Z image failed no route to the registry\n";
            fs::write(folder.join("status"), status).expect("written");
            let when = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(number as u64);
            fs::File::open(&folder).expect("there").set_modified(when).expect("set");
        }
        let log = async |name: Option<&str>, log| {
            let selector = name.map(|name| name.parse().expect("a name"));
            of(selector.as_ref(), log, &lookup, &observer).await
        };
        let newest = log(None, HostLog::Bootstrap).await.expect("kept");
        assert_eq!((newest.host.as_str(), newest.is_over), ("m5.large_i-0b", true));
        for name in ["c5", "i-0a"] {
            assert_eq!(
                log(Some(name), HostLog::Bootstrap).await.expect("kept").text,
                "pulled nothing for c5.xlarge_i-0a\n"
            );
        }
        assert!(
            matches!(&told.lock().expect("whole")[0], Notice::Warning(said) if said.contains("failed and was terminated"))
        );
        assert!(log(Some("c5"), HostLog::Life).await.expect("kept").text.contains("no route to the registry"));
        assert!(
            log(Some("c5"), HostLog::Dockerd).await.expect_err("none").to_string().contains("no dockerd log of c5")
        );
        assert!(log(Some("g5"), HostLog::Bootstrap).await.expect_err("none").to_string().contains("no host g5"));
    }

    #[test]
    fn what_was_shown_is_not_shown_again() {
        let added = |before: &str, now: &str| {
            let log = LogText { host: String::new(), text: now.to_owned(), is_over: false };
            log.added_since(before).to_owned()
        };
        assert_eq!(added("", "a\n"), "a\n");
        assert_eq!(added("a\nb\n", "a\nb\nc\n"), "c\n");
        assert_eq!(added("a\nb\n", "a\nb\n"), "");
        assert_eq!(added("a\nb", "a\nb and more\nc\n"), " and more\nc\n");
        // A log of which only the end is kept.
        assert_eq!(added("a\nb\nc\n", "b\nc\nd\n"), "d\n");
        assert_eq!(added("a\nb\nc\n", "x\ny\n"), "x\ny\n");
    }
}
