//! How a host is told to stay: through the folder that it shares with this home, else through its daemon.

use std::{path::Path, time::Duration};

use docker_remote::Client;
use jiff::Timestamp;

use crate::{
    Error, Result,
    account::{self, Account, KEEP},
    durations,
    error::Context as _,
    status::Life,
};

/// A host says each minute that it is there; one that has not for so long may be gone, or its clock is not ours.
const SEEN_WITHIN: Duration = Duration::from_secs(600);

/// Keeps the host of this shared folder for so long, and never for less long than it was kept before. Returns until when.
pub(crate) fn until(folder: &Path, name: &str, now: Timestamp, duration: Duration) -> Result<Timestamp> {
    // What is not there yet, or not readable, forbids nothing: the host itself keeps to its limits.
    let account = account::shared(folder).unwrap_or_default();
    let (until, is_new) = decide(&account, name, now, duration)?;
    if is_new {
        let file = folder.join(KEEP);
        whole_file::replace(&file, format!("{}\n", until.as_second()).as_bytes(), 0o600)
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(until)
}

/// The same for a host that shares no folder with this app.
pub(crate) async fn through(
    client: &Client,
    folder: &Path,
    name: &str,
    now: Timestamp,
    duration: Duration,
) -> Result<Timestamp> {
    let account = account::through(client, folder).await.map_err(|error| {
        Error::new(format!("{name} shares no folder with this app, and can't be kept through its daemon"))
            .hint("create the next host with a larger --idle-timeout or --max-lifetime")
            .because(error)
    })?;
    let (until, is_new) = decide(&account, name, now, duration)?;
    if is_new {
        account::tell(client, until.as_second()).await.with_context(|| format!("{name} can't be kept"))?;
    }
    Ok(until)
}

/// Until when a host stays that is to be kept for so long, and whether it has to be told.
fn decide(account: &Account, name: &str, now: Timestamp, duration: Duration) -> Result<(Timestamp, bool)> {
    let life = account.life.as_ref().and_then(|text| serde_json::from_str::<Life>(text).ok()).unwrap_or_default();
    let time = |text: &Option<String>| text.as_deref().and_then(|text| text.parse::<Timestamp>().ok());
    if let Some(seen) = time(&life.checked_at)
        && now.duration_since(seen).unsigned_abs() > SEEN_WITHIN
        && seen < now
    {
        let error = Error::new(format!("{name} was last seen at {}, so it may have ended", durations::minute(seen)));
        return Err(error.hint(format!("`sdocker status` asks EC2 what happened to {name}")));
    }
    let until = now.checked_add(duration).map_err(|_| Error::new("the time to keep the host for is out of range"))?;
    if let Some(latest) = time(&life.keepable_until)
        && until > latest
    {
        let error = Error::new(format!(
            "{name} can be kept until {} at most: seven times its maximum lifetime, from its launch",
            durations::minute(latest)
        ));
        return Err(
            error.hint("create a host with a larger --max-lifetime, or keep this one for a shorter time (--for)")
        );
    }
    let before = account.kept.as_ref().and_then(|text| Timestamp::from_second(text.trim().parse().ok()?).ok());
    match before {
        Some(before) if before > until => Ok((before, false)),
        _ => Ok((until, true)),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn now() -> Timestamp {
        "2026-11-26T12:00:00Z".parse().expect("a time")
    }

    fn host(life: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("status"), "").expect("written");
        fs::write(folder.path().join("life.json"), life).expect("written");
        folder
    }

    fn kept(folder: &Path) -> String {
        fs::read_to_string(folder.join(KEEP)).unwrap_or_default()
    }

    #[test]
    fn a_keep_is_never_shorter_than_the_one_before() {
        let host = host(r#"{"checked_at": "2026-11-26T11:59:30Z"}"#);
        let long = until(host.path(), "host", now(), 30 * HOUR).expect("kept");
        assert_eq!(kept(host.path()), format!("{}\n", long.as_second()));
        assert_eq!(until(host.path(), "host", now(), HOUR).expect("kept"), long);
        assert_eq!(kept(host.path()), format!("{}\n", long.as_second()));
    }

    #[test]
    fn nothing_is_promised_of_a_host_that_was_not_seen_for_long() {
        let host = host(r#"{"checked_at": "2026-11-26T11:40:00Z"}"#);
        let error = until(host.path(), "host", now(), HOUR).expect_err("refused").to_string();
        assert_eq!(error, "host was last seen at 2026-11-26 11:40 UTC, so it may have ended");
        assert_eq!(kept(host.path()), "");
    }

    #[test]
    fn a_host_has_a_limit_of_its_own() {
        let host = host(r#"{"checked_at": "2026-11-26T12:00:20Z", "keepable_until": "2026-11-26T13:30:00Z"}"#);
        until(host.path(), "host", now(), HOUR).expect("kept");
        let error = until(host.path(), "host", now(), 2 * HOUR).expect_err("refused").to_string();
        assert!(error.starts_with("host can be kept until 2026-11-26 13:30 UTC at most"), "{error}");
    }

    #[test]
    fn a_pipe_in_the_shared_folder_is_not_waited_for() {
        let host = host("{}");
        fs::remove_file(host.path().join("life.json")).expect("there");
        for name in ["life.json", KEEP] {
            let made = std::process::Command::new("mkfifo").arg(host.path().join(name)).status().expect("it runs");
            assert!(made.success());
        }
        let until = until(host.path(), "host", now(), HOUR).expect("kept");
        assert_eq!(kept(host.path()), format!("{}\n", until.as_second()));
    }

    #[test]
    fn what_can_not_be_read_forbids_nothing() {
        let host = host("{");
        until(host.path(), "host", now(), HOUR).expect("kept");
    }
}
