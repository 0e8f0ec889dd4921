//! Ports of a host at localhost.

use sdocker::forward::{Forwarded, Forwarding};

/// Which local port reaches which port of the host.
pub fn forwarding(forwarding: &Forwarding) -> String {
    let line = |port: &Forwarded| format!("{} reaches {} of {}", port.local, port.host, forwarding.host);
    let lines: Vec<String> = forwarding.ports.iter().map(line).collect();
    format!("{}; Ctrl-C ends it", lines.join("\n"))
}
