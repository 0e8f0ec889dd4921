//! A local Docker socket whose host is launched when it is needed.

use sdocker::on_demand::{SocketState, Up};

use crate::columns::align;

/// A socket that answers, and where it leads.
pub fn up(up: &Up) -> String {
    let host = match &up.host {
        Some(host) => format!("it leads to {host}, which exists already"),
        None => format!("the first command that needs one launches a {}", up.instance_type),
    };
    format!("docker's context is {}; {host}", up.context)
}

/// A socket, while there is no host.
pub fn no_host(socket: &SocketState) -> String {
    let none = ("host", "none: the first command that needs one launches it".to_owned());
    align(None, std::iter::once(none).chain(rows(socket)).map(|(name, value)| [name.to_owned(), value]))
}

/// What there is to say of a socket beside its host, a row each.
pub(super) fn rows(state: &SocketState) -> Vec<(&'static str, String)> {
    let mut rows = vec![("socket", format!("{} (a {} on demand)", state.socket.display(), state.instance_type))];
    if state.since.is_empty() {
        rows.push(("", "nobody answers it yet: its process was started again just now".to_owned()));
    }
    rows.extend(state.launching.iter().map(|told| ("launching", told.clone())));
    rows.extend(state.failure.iter().map(|why| ("no launch", why.clone())));
    rows.extend(state.ended.iter().map(|ended| ("before", ended.clone())));
    if let Some(holdings) = state.holdings.as_ref().filter(|_| !state.stops) {
        let is_there = state.host.as_ref() == Some(&holdings.host);
        rows.push((if is_there { "goes with it" } else { "went with it" }, holdings.to_string()));
    }
    rows
}
