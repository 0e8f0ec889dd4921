//! Whether the process is to be started, and what there is to say of its beginning.

use std::{process::Command, time::Duration};

use super::{FolderState, LinkState, has_gone, is_running, lent, log, start};
use crate::{Observer, Surroundings, lookup::Lookup};

/// How long a command waits for files and ports. They come later all the same.
const SETTLES_WITHIN: Duration = Duration::from_secs(30);

/// Whether this app lends a host any folders, as far as that can be read.
pub fn lends(surroundings: &Surroundings, host: &str) -> bool {
    lent(surroundings, host).is_ok_and(|lent| lent.is_some_and(|lent| !lent.shares().is_empty()))
}

/// Starts the process for a host by a command that calls [`serve`](super::serve), and waits until it has got as far as it gets at first. Returns
/// what there is to say of what works; the observer is told what does not, since the host works without it.
pub fn begin(surroundings: &Surroundings, host: &str, command: Command, observer: &dyn Observer) -> Vec<String> {
    // Ports come when there are any; folders are to be there when the host is handed over.
    let lends = lends(surroundings, host);
    let within = if lends { SETTLES_WITHIN } else { Duration::ZERO };
    match start(surroundings, host, command, within) {
        Ok(Some(state)) => told(&state, observer),
        Ok(None) if !lends => Vec::new(),
        Ok(None) => {
            vec!["this app's files and ports are not available yet; `sdocker status` shows their state".to_owned()]
        }
        Err(error) => {
            observer.warn(format!("this app's files and ports are not served: {error:#}"));
            observer.hint(format!("{} says more; the next command tries again", log(surroundings).display()));
            Vec::new()
        }
    }
}

fn told(state: &LinkState, observer: &dyn Observer) -> Vec<String> {
    let mut notes = Vec::new();
    for folder in &state.folders {
        match (folder.state, &folder.why) {
            (FolderState::Shared, _) => notes.push(format!("{} is live in containers", folder.path.display())),
            (_, why) => {
                let why = why.as_deref().unwrap_or("no reason is known");
                observer.warn(format!("containers can't see {}: {why}", folder.path.display()));
            }
        }
    }
    if let Some(why) = &state.unreachable {
        observer.warn(format!("container ports are not available on localhost: {why}"));
    }
    notes
}

/// Starts the process for the current host, by the command that `command` makes for its name, where it should run and does not. Nothing waits for
/// it, and nothing fails for it.
pub fn begin_again(surroundings: &Surroundings, command: impl FnOnce(&str) -> Command, observer: &dyn Observer) {
    if is_running(surroundings) {
        return;
    }
    let lookup = Lookup::new(surroundings);
    let Ok(host) = lookup.current(|_| String::new()) else { return };
    if has_gone(surroundings, &host.name) {
        return;
    }
    // A host that is nobody's yet, or that was created before there was this, is served from `use` on.
    match lent(surroundings, &host.name) {
        Ok(Some(_)) if lookup.has_key(&host.name) => {}
        Ok(_) => return,
        Err(error) => return observer.warn(format!("{error:#}")),
    }
    if let Err(error) = start(surroundings, &host.name, command(&host.name), Duration::ZERO) {
        tracing::warn!("{error:#}");
    }
}
