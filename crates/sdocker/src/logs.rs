//! The logs of a host, which it puts beside the rest of what it says of itself.

use std::io;

use whole_file::Links;

use crate::{
    Error, Observer, Result, account,
    client_files::HostFiles,
    error::Context as _,
    lookup::{KnownHost, Lookup},
};

/// The most of a log's end that is read. The hosts' own are far shorter.
const MOST: u64 = 1 << 20;

/// A log of a host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[non_exhaustive]
pub enum HostLog {
    /// What the host did to come up.
    #[default]
    Bootstrap,
    /// What its Docker daemon said last. The host writes it down each minute.
    Dockerd,
}

impl HostLog {
    /// The name by which a user knows it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bootstrap => "bootstrap",
            Self::Dockerd => "dockerd",
        }
    }
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
    let read = whole_file::within(account::ANSWERS_WITHIN, move || whole_file::read_end(&file, MOST, Links::Refuse));
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
