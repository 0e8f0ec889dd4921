//! `sdocker keep`: put off the end of a host, through the storage it shares. That needs no permission in AWS.

use std::time::Duration;

use anyhow::Context as _;
use host_provisioner::InstanceId;
use jiff::Timestamp;
use serde::Serialize;

use sdocker::{Error, Surroundings, durations, lookup::Lookup};

use crate::{printer::Printer, progress::Progress};

/// Put off the end of a host: neither idleness nor age end it before then.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// For how long, from now.
    #[arg(long = "for", value_name = "DURATION", value_parser = durations::parse, default_value = "4h")]
    duration: Duration,
    /// The host, instead of the current one.
    #[arg(long, value_name = "ID", value_parser = str::parse::<InstanceId>)]
    instance_id: Option<InstanceId>,
}

#[derive(Debug, Serialize)]
struct Kept {
    name: String,
    until: String,
}

pub(crate) async fn run(args: &Args, surroundings: &Surroundings, printer: &Printer) -> anyhow::Result<()> {
    let lookup = Lookup::new(surroundings);
    let host = lookup.find(args.instance_id.as_ref(), &Progress::new(printer))?;
    let folder = lookup.layout.host(&host.name);
    // The host writes its status there; a folder without one is not shared with the host.
    if !folder.join("status").exists() {
        let error = Error::new(format!("{} shares no folder with this app, so it can't be told to stay", host.name));
        return Err(error.hint("create the next host with a larger --idle-timeout or --max-lifetime").into());
    }
    let until = Timestamp::now() + args.duration;
    let file = folder.join("keep-until");
    // The host, which reads it, is root.
    let text = format!("{}\n", until.as_second());
    whole_file::replace(&file, text.as_bytes(), 0o600).with_context(|| format!("cannot write {}", file.display()))?;
    if let Some(record) = &host.record
        && until > record.expires
        && let host_provisioner::Opened::Open(mut open) = lookup.journal.open(&record.host).await?
    {
        open.update(|record| record.expires = until)?;
    }
    let kept = Kept { until: until.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(), name: host.name };
    printer.result(&kept, || {
        let until = until.strftime("%Y-%m-%d %H:%M UTC");
        format!("{} stays until {until} at least; the host takes note within a minute", kept.name)
    })
}
