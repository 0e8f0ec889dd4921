//! What interrupted work left, and what became of it.

use sdocker::{
    Forgotten,
    durations::minute,
    recovery::{Orphan, Recovery, Settled},
};

/// What was settled, what could not be, and which hosts have no record.
pub fn recovery(report: &Recovery) -> String {
    let mut lines: Vec<String> = report.settled.iter().flat_map(settled).collect();
    lines.extend(report.unusable.iter().cloned());
    lines.extend(report.orphans.iter().flat_map(orphan));
    lines.extend(report.left.iter().map(|host| format!("{host}: left as it is")));
    if lines.is_empty() {
        lines.push("nothing to settle".to_owned());
    }
    lines.join("\n")
}

fn settled(settled: &Settled) -> Vec<String> {
    let what = match settled.outcome {
        "adopted" => "came up: it is in use now",
        "undone" => "creation undone",
        "terminated" => "termination finished",
        "ended" => "had ended by itself: its records are removed",
        "unknown" => "left as it is",
        "busy" => "another sdocker command is working on it",
        _ => "could not be settled",
    };
    let mut lines = vec![format!("{}: {what}", settled.host)];
    lines.extend(settled.details.iter().map(|detail| format!("  {detail}")));
    lines
}

fn orphan(orphan: &Orphan) -> Vec<String> {
    let launched = orphan.launched.as_deref().unwrap_or("at an unknown time");
    let (id, kind, state) = (&orphan.instance_id, &orphan.instance_type, orphan.state);
    let outcome = if orphan.outcome == "listed" { "" } else { orphan.outcome };
    let line = format!("host without a record: {id} ({kind}, {state}, launched {launched}) {outcome}");
    let mut lines = vec![line.trim_end().to_owned()];
    if let Some(disk) = &orphan.disk {
        let decide_by = disk.decide_by.parse().map_or_else(|_| disk.decide_by.clone(), minute);
        let by = if disk.is_due { "now".to_owned() } else { format!("by {decide_by}") };
        lines.push(format!("  {}; decide {by} what becomes of it", disk.in_words()));
        lines.push(format!("  `sdocker use {id}` starts it, `sdocker rm {id}` terminates it and deletes its disk"));
    }
    lines
}

/// A record that was given up, and what may remain.
pub fn forgotten(forgotten: &Forgotten) -> String {
    let mut lines =
        vec![format!("{}: forgotten; its record is kept as {}", forgotten.host, forgotten.kept_as.display())];
    lines.extend(forgotten.may_remain.iter().map(|what| format!("  may remain: {what}")));
    lines.join("\n")
}
