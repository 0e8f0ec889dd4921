//! The Docker Swarm of a home's hosts.

use std::fmt::Write as _;

use sdocker::swarm::{Mended, NodeReport, SharedImage, SwarmReport};

use crate::columns::align;

/// The nodes, a row each, and how far the jobs are.
pub fn swarm(report: &SwarmReport) -> String {
    let head = ["NODE", "ROLE", "STATE", "TASKS", "ZONE", "MARKET", "EXPIRES"];
    let mut text = align(Some(head.into()), report.nodes.iter().map(node));
    if !text.ends_with('\n') {
        text.push('\n');
    }
    if report.waiting > 0 {
        let _ = writeln!(text, "{} tasks wait for a node", report.waiting);
    }
    for job in &report.jobs {
        let running = if job.running > 0 { format!(", {} running", job.running) } else { String::new() };
        let _ = writeln!(text, "job {}: {} of {} done{running}", job.name, job.completed, job.wanted);
        for repeated in &job.repeated {
            let _ =
                writeln!(text, "  run {} was started more than once: {}", repeated.run, repeated.nodes.join(", then "));
        }
    }
    text
}

fn node(node: &NodeReport) -> [String; 7] {
    let role = match (node.leader, node.manager) {
        (true, _) => "leader",
        (false, true) => "manager",
        (false, false) => "worker",
    };
    let label = |key: &str| node.labels.get(key).cloned().unwrap_or_default();
    let state = match node.availability.as_str() {
        "active" => node.state.clone(),
        availability => format!("{}, {availability}", node.state),
    };
    let expires = node.expires.map(|expires| expires.to_string()).unwrap_or_default();
    [
        node.name.clone(),
        role.to_owned(),
        state,
        node.running.to_string(),
        label("sdocker.zone"),
        label("sdocker.market"),
        expires.split('.').next().unwrap_or_default().to_owned(),
    ]
}

/// What was done to mend a Swarm.
pub fn mended(mended: &Mended) -> String {
    let listed = |names: &[String], what: &str| names.iter().map(|name| format!("{name} {what}\n")).collect::<String>();
    let mut text = listed(&mended.removed, "has ended, and was removed from the Swarm");
    text += &listed(&mended.promoted, "is a manager now");
    if text.is_empty() { "there was nothing to mend\n".to_owned() } else { text }
}

/// Images that all nodes have.
pub fn shared_images(shared: &[SharedImage]) -> String {
    let line = |one: &SharedImage| format!("{} is {} on {} nodes\n", one.image, one.shared, one.hosts.len());
    shared.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_mended_is_said_or_that_there_was_nothing() {
        assert_eq!(mended(&Mended::default()), "there was nothing to mend\n");
        let mut done = Mended::default();
        done.removed.push("one".to_owned());
        done.promoted.push("two".to_owned());
        assert_eq!(mended(&done), "one has ended, and was removed from the Swarm\ntwo is a manager now\n");
    }
}
