//! Hosts that were ended.

use sdocker::termination::{TerminatedHost, Terminations};

/// What was ended, and what became of the security groups.
pub fn terminations(done: &Terminations) -> String {
    let line = |host: &TerminatedHost| match (&host.instance, host.already) {
        (Some(instance), false) => format!("terminated {instance}"),
        (Some(instance), true) => format!("{instance} had ended already; its records are removed"),
        (None, _) => "an unfinished creation was cleared".to_owned(),
    };
    let mut lines: Vec<String> = done.terminated.iter().map(line).collect();
    if lines.is_empty() {
        lines.push("no hosts to terminate".to_owned());
    }
    if let Some(purged) = &done.purged {
        lines.extend(purged.removed.iter().map(|what| format!("removed {what}")));
        lines.extend(purged.kept.iter().map(|what| format!("kept {what}")));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_was_ended_is_said_as_well() {
        assert_eq!(terminations(&Terminations::default()), "no hosts to terminate");
    }
}
