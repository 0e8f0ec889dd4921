//! What `create-host --count` prints.

use sdocker::{Surroundings, creation::NewHosts, link::lent};
use sdocker_console::{Printer, Progress};
use serde::Serialize;

use super::outcome::{Created, clients_work, end};
use crate::commands::link;

/// New hosts, as `--output json` prints them; the first is the current one.
#[derive(Debug, Serialize)]
struct AllCreated {
    hosts: Vec<Created>,
    failed: Vec<Failed>,
    warnings: Vec<String>,
    notes: Vec<String>,
}

/// A host that was not created, while enough others were.
#[derive(Debug, Serialize)]
struct Failed {
    number: usize,
    error: String,
}

pub(super) fn print(
    mut new: NewHosts,
    surroundings: &Surroundings,
    observer: &Progress<'_>,
    printer: &Printer,
) -> anyhow::Result<()> {
    let lends =
        |name: &str| lent(surroundings, name).is_ok_and(|lent| lent.is_some_and(|lent| !lent.shares().is_empty()));
    if let Some(first) = new.hosts.first_mut().filter(|host| host.answered.is_some()) {
        let name = first.record.name().unwrap_or_default();
        first.notes.extend(link::start(surroundings, &name, printer));
        if new.hosts.len() > 1 && lends(&name) {
            new.warnings
                .push(format!("this app's files are live on {name} only, until another host is the current one"));
        }
    }
    let all = AllCreated {
        hosts: new.hosts.iter().map(Created::of).collect(),
        failed: new
            .failed
            .iter()
            .map(|failed| Failed { number: failed.number, error: format!("{:#}", failed.error) })
            .collect(),
        warnings: new.warnings.clone(),
        notes: new.notes.clone(),
    };
    printer.result(&all, || {
        let mut lines: Vec<String> = all.hosts.iter().map(Created::state).collect();
        lines.extend(new.hosts.first().map(|host| end("each", host)));
        lines.extend(all.hosts.iter().flat_map(|host| host.notes.clone()));
        lines.extend(all.notes.iter().cloned());
        lines.join("\n") + "\n"
    })?;
    for Failed { number, error } in &all.failed {
        printer.warn(format!("host {number} was not created: {error}"));
    }
    if let Some(first) = new.hosts.first()
        && clients_work(first, surroundings, observer, printer)
    {
        let name = first.record.name().unwrap_or_default();
        printer.hint(format!("`docker ps` talks to {name} now; `docker --context` or `sdocker use` takes another"));
    }
    Ok(())
}
