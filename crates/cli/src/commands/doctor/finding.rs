//! What `doctor` found out, and how it says so.

use std::fmt;

use console::{Style, StyledObject};
use serde::Serialize;

use super::repair::Repair;
use crate::{failure, permission::Caller};

/// What was found out about something.
#[derive(Debug, Serialize)]
pub(super) struct Finding {
    pub(super) subject: &'static str,
    pub(super) state: State,
    pub(super) what: String,
    /// The IAM action that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) action: Option<String>,
    /// Why it matters, where it is not as it should be.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) why: &'static str,
    /// How to mend it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) fix: Vec<String>,
    /// What `--fix` does about it.
    #[serde(skip)]
    pub(super) repair: Option<Repair>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    /// It is as it should be.
    Ok,
    /// It was not, and was mended.
    Fixed,
    /// It can't be known without changing something.
    Unproven,
    /// A host would come up, but something would be missing.
    Warning,
    /// No host would come up.
    Failed,
}

impl State {
    fn label(self) -> StyledObject<&'static str> {
        let style = Style::new();
        match self {
            Self::Ok => style.green().apply_to("ok"),
            Self::Fixed => style.green().apply_to("fixed"),
            Self::Unproven => style.dim().apply_to("unproven"),
            Self::Warning => style.yellow().apply_to("warning"),
            Self::Failed => style.red().bold().apply_to("FAILED"),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<9} {}: {}", self.state.label(), self.subject, self.what)
    }
}

/// As lines for people: what several findings in a row have in common is said once.
pub(super) fn lines(findings: &[Finding]) -> Vec<String> {
    let advice = |finding: &Finding| {
        let why = (!finding.why.is_empty()).then(|| format!("why: {}", finding.why));
        let lines = why.into_iter().chain(finding.fix.iter().map(|fix| format!("fix: {fix}")));
        if finding.state == State::Fixed { Vec::new() } else { lines.collect::<Vec<_>>() }
    };
    let mut lines = Vec::new();
    for (position, finding) in findings.iter().enumerate() {
        lines.push(finding.to_string());
        let said = advice(finding);
        if findings.get(position + 1).is_none_or(|next| advice(next) != said) {
            lines.extend(said.into_iter().map(|line| format!("          {line}")));
        }
    }
    lines
}

/// The findings so far.
#[derive(Debug, Default)]
pub(super) struct Findings(Vec<Finding>);

impl Findings {
    pub(super) fn into_list(self) -> Vec<Finding> {
        self.0
    }

    pub(super) fn ok(&mut self, subject: &'static str, what: impl Into<String>) {
        self.add(subject, State::Ok, what);
    }

    /// Adds a finding, to which the caller may add more.
    pub(super) fn add(&mut self, subject: &'static str, state: State, what: impl Into<String>) -> &mut Finding {
        let finding =
            Finding { subject, state, what: what.into(), action: None, why: "", fix: Vec::new(), repair: None };
        self.0.push_mut(finding)
    }

    /// An error that keeps hosts from coming up.
    pub(super) fn error(&mut self, subject: &'static str, error: &anyhow::Error, caller: &Caller) {
        self.add(subject, State::Failed, format!("{error:#}")).fix = failure::hints(error, caller);
    }
}

impl Finding {
    pub(super) fn because(&mut self, why: &'static str) -> &mut Self {
        self.why = why;
        self
    }

    pub(super) fn fix(&mut self, fix: impl Into<String>) -> &mut Self {
        self.fix.push(fix.into());
        self
    }

    pub(super) fn repair(&mut self, repair: Repair) {
        self.repair = Some(repair);
    }
}
