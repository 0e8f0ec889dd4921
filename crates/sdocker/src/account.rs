//! What a host says of itself, and how long it is to stay: in the folder that it shares with this home, else, where it shares no storage with
//! this app, beside its daemon.

use std::{collections::BTreeMap, path::Path, time::Duration};

use docker_remote::{Client, StageLine};
use whole_file::Links;

use crate::{error::Context as _, layout::create_private, status::Life};

/// Where a host that shares no storage has it (`account` in its scripts, host-provisioner's `user_data/host.sh`).
const FOLDER: &str = "/run/sdocker/account";

/// How long shared storage has to answer.
pub(crate) const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// How long a daemon has.
const DAEMON_WITHIN: Duration = Duration::from_secs(20);

/// The largest account of a host's life that is read; it has a kilobyte.
const MOST: u64 = 256 * 1024;

/// The most that is read through a daemon: the same of each file, in an archive.
const MOST_OF_ALL: usize = 4 << 20;

/// The file by which a host is told to stay. The host, which is root on the file system, reads it each minute.
pub(crate) const KEEP: &str = "keep-until";

/// A host's account of itself, as far as there is one.
#[derive(Debug, Default)]
pub(crate) struct Account {
    /// What it writes about its own life each minute.
    pub life: Option<String>,
    /// Its bootstrap.
    pub stages: Vec<StageLine>,
    /// Until when it was told to stay.
    pub kept: Option<String>,
}

/// Whether a host writes into the folder that this home has of it.
pub(crate) fn is_shared(folder: &Path) -> bool {
    folder.join("status").symlink_metadata().is_ok()
}

/// The account in a shared folder, as far as the storage answers.
pub(crate) fn shared(folder: &Path) -> std::io::Result<Account> {
    let folder = folder.to_owned();
    whole_file::within(ANSWERS_WITHIN, move || {
        let text = |name: &str| shared_text(&folder.join(name));
        let stages = docker_remote::read_stages(&folder.join("status")).unwrap_or_default();
        Ok(Account { life: text("life.json"), kept: text(KEEP), stages })
    })
}

/// A small file of the folder that a host shares: the host writes there, and what runs on it may be anybody's.
fn shared_text(path: &Path) -> Option<String> {
    whole_file::read_text(path, MOST, Links::Refuse).ok()
}

/// The account of a host that shares no storage. Its logs are put into the folder that this home has of it, where those of others are.
///
/// # Errors
/// The host has none: it was created before there was this. Its daemon does not answer.
pub(crate) async fn through(client: &Client, folder: &Path) -> crate::Result<Account> {
    let files: BTreeMap<String, Vec<u8>> = client.files_of_host(FOLDER, MOST_OF_ALL, DAEMON_WITHIN).await?;
    let text = |name: &str| files.get(name).map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    for (name, bytes) in &files {
        // Of a name that a container on the host may have chosen, only what it is here.
        if let Some(log @ ("bootstrap.log" | "dockerd.log")) = name.strip_prefix("logs/") {
            create_private(&folder.join("logs"))?;
            let file = folder.join("logs").join(log);
            whole_file::replace(&file, bytes, 0o600).with_context(|| format!("cannot write {}", file.display()))?;
        }
    }
    if let Some(life) = life_log(text("status"), text("life.json")) {
        create_private(&folder.join("logs"))?;
        let file = folder.join("logs/life.log");
        whole_file::replace(&file, life.as_bytes(), 0o600)
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    let stages = text("status").map(|text| docker_remote::stages_in(&text)).unwrap_or_default();
    Ok(Account { life: text("life.json"), kept: text(KEEP), stages })
}

/// What a host said of its own life, in lines: its stages, warnings and end, and last what it saw when it looked at itself last.
pub(crate) fn life_log(status: Option<String>, life: Option<String>) -> Option<String> {
    let mut log = status.clone().unwrap_or_default();
    if !log.is_empty() && !log.ends_with('\n') {
        log.push('\n');
    }
    let seen = life.as_deref().and_then(|life| serde_json::from_str::<Life>(life).ok());
    if let Some(life) = &seen {
        let at = |time: &Option<String>| time.clone().unwrap_or_else(|| "never".to_owned());
        let use_of_it = match &life.idle_since {
            Some(since) => format!("not in use since {since}, ends at {} unless used", at(&life.idle_deadline)),
            None => format!("in use: {}", life.uses.join(", ")),
        };
        let end = format!("ends at {} at the latest", at(&life.expires_at));
        log.push_str(&format!("{} life looked {use_of_it}; {end}\n", at(&life.checked_at)));
        log.extend(life.notices.iter().map(|notice| format!("{} life notice {notice}\n", at(&life.checked_at))));
    }
    (status.is_some() || seen.is_some()).then_some(log)
}

/// Tells a host that shares no storage until when it is to stay.
///
/// # Errors
/// Its daemon does not take it.
pub(crate) async fn tell(client: &Client, until: i64) -> crate::Result<()> {
    let text = format!("{until}\n");
    Ok(client.write_to_host(FOLDER, KEEP, text.as_bytes(), DAEMON_WITHIN).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_life_is_its_stages_and_the_last_look() {
        let status = "2026-01-01T00:00:00Z boot done".to_owned();
        let life = r#"{"checked_at":"T1","expires_at":"T9","idle_since":null,"uses":["1 running containers: web"],"notices":["the disk is 91 % full"]}"#;
        let log = life_log(Some(status.clone()), Some(life.to_owned())).expect("one");
        assert_eq!(
            log,
            "2026-01-01T00:00:00Z boot done\nT1 life looked in use: 1 running containers: web; ends at T9 at the latest\n\
             T1 life notice the disk is 91 % full\n"
        );
        let idle = r#"{"checked_at":"T1","expires_at":"T9","idle_since":"T0","idle_deadline":"T3"}"#;
        let log = life_log(None, Some(idle.to_owned())).expect("one");
        assert!(log.contains("not in use since T0, ends at T3 unless used"), "{log}");
        // What it wrote may be torn.
        assert_eq!(life_log(Some(status.clone()), Some("{".to_owned())), Some(format!("{status}\n")));
        assert_eq!(life_log(None, None), None);
    }
}
