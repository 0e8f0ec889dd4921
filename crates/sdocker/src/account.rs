//! What a host says of itself, and how long it is to stay: in the folder that it shares with this home, else, where it shares no storage with
//! this app, beside its daemon.

use std::{collections::BTreeMap, path::Path, time::Duration};

use docker_remote::{Client, StageLine};
use whole_file::Links;

use crate::{error::Context as _, layout::create_private};

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
    let files = tokio::time::timeout(DAEMON_WITHIN, client.files_of_host(FOLDER, MOST_OF_ALL)).await;
    let files: BTreeMap<String, Vec<u8>> = files.context("the daemon does not answer")??;
    let text = |name: &str| files.get(name).map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    for (name, bytes) in &files {
        // Of a name that a container on the host may have chosen, only what it is here.
        if let Some(log @ ("bootstrap.log" | "dockerd.log")) = name.strip_prefix("logs/") {
            create_private(&folder.join("logs"))?;
            let file = folder.join("logs").join(log);
            whole_file::replace(&file, bytes, 0o600).with_context(|| format!("cannot write {}", file.display()))?;
        }
    }
    let stages = text("status").map(|text| docker_remote::stages_in(&text)).unwrap_or_default();
    Ok(Account { life: text("life.json"), kept: text(KEEP), stages })
}

/// Tells a host that shares no storage until when it is to stay.
///
/// # Errors
/// Its daemon does not take it.
pub(crate) async fn tell(client: &Client, until: i64) -> crate::Result<()> {
    let text = format!("{until}\n");
    let told = tokio::time::timeout(DAEMON_WITHIN, client.write_to_host(FOLDER, KEEP, text.as_bytes())).await;
    Ok(told.context("the daemon does not answer")??)
}
