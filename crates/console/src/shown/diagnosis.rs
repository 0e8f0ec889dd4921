//! Whether a host could be created, and what was found.

use console::{Style, StyledObject};
use sdocker::doctor::{Diagnosis, Finding, State};

/// The findings, and what they come to.
pub fn diagnosis(diagnosis: &Diagnosis) -> String {
    let mut lines = lines(&diagnosis.findings);
    lines.push(if diagnosis.ready { "a host can be created" } else { "no host can be created" }.to_owned());
    lines.join("\n")
}

fn label(state: State) -> StyledObject<&'static str> {
    let style = Style::new();
    match state {
        State::Ok => style.green().apply_to("ok"),
        State::Fixed => style.green().apply_to("fixed"),
        State::Unproven => style.dim().apply_to("unproven"),
        State::Warning => style.yellow().apply_to("warning"),
        State::Failed => style.red().bold().apply_to("FAILED"),
    }
}

/// What several findings in a row have in common is said once.
fn lines(findings: &[Finding]) -> Vec<String> {
    let advice = |finding: &Finding| {
        let why = (!finding.why.is_empty()).then(|| format!("why: {}", finding.why));
        let lines = why.into_iter().chain(finding.fix.iter().map(|fix| format!("fix: {fix}")));
        if finding.state == State::Fixed { Vec::new() } else { lines.collect::<Vec<_>>() }
    };
    let mut lines = Vec::new();
    for (position, finding) in findings.iter().enumerate() {
        lines.push(format!("{:<9} {}: {}", label(finding.state), finding.subject, finding.what));
        let said = advice(finding);
        if findings.get(position + 1).is_none_or(|next| advice(next) != said) {
            lines.extend(said.into_iter().map(|line| format!("          {line}")));
        }
    }
    lines
}
