//! What an examination found out.

use serde::Serialize;

use crate::{Error, advice, lookup::KnownHost, permission::Caller};

/// What an examination came to, as `doctor --output json` prints it.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct Diagnosis {
    /// Whether a host could be expected to come up.
    pub ready: bool,
    /// What was found.
    pub findings: Vec<Finding>,
}

impl Diagnosis {
    pub(super) fn of(findings: Vec<Finding>) -> Self {
        Self { ready: findings.iter().all(|finding| finding.state != State::Failed), findings }
    }
}

/// What was found out about something.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// What it is about, such as `app` or `plan`.
    pub subject: &'static str,
    /// How it is.
    pub state: State,
    /// What was found.
    pub what: String,
    /// The IAM action that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// Why it matters, where it is not as it should be.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub why: &'static str,
    /// How to mend it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fix: Vec<String>,
    /// What `--fix` does about it.
    #[serde(skip)]
    pub(super) repair: Option<Repair>,
}

/// A way to mend something.
#[derive(Debug)]
pub enum Repair {
    /// Put there what Local Mode needs.
    SetUp,
    /// Remove the Docker context of a host that is gone.
    RemoveContext(String),
    /// Remove what is kept of a host that has ended.
    ForgetHost(Box<KnownHost>),
}

/// How something is, from good to bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
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

/// The findings so far.
#[derive(Debug, Default)]
pub(super) struct Findings(Vec<Finding>);

impl Findings {
    pub(super) fn into_list(self) -> Vec<Finding> {
        self.0
    }

    pub(super) fn append(&mut self, others: Self) {
        self.0.extend(others.0);
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
    pub(super) fn error(&mut self, subject: &'static str, error: &Error, caller: &Caller) {
        self.add(subject, State::Failed, format!("{error:#}")).fix = advice::hints(error, caller);
    }
}

impl Finding {
    /// Whether it can be mended here.
    pub fn is_repairable(&self) -> bool {
        self.repair.is_some()
    }

    /// Adds why it matters.
    pub fn because(&mut self, why: &'static str) -> &mut Self {
        self.why = why;
        self
    }

    /// Adds a way to mend it.
    pub fn fix(&mut self, fix: impl Into<String>) -> &mut Self {
        self.fix.push(fix.into());
        self
    }

    /// Says what mends it.
    pub fn repair(&mut self, repair: Repair) {
        self.repair = Some(repair);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_json_is_what_programs_read() {
        let mut findings = Findings::default();
        findings.ok("app", "an app");
        findings.add("plan", State::Unproven, "a plan").because("it matters").fix("mend it");
        let json = |diagnosis: &Diagnosis| serde_json::to_string(diagnosis).expect("JSON");
        let findings = findings.into_list();
        assert_eq!(
            json(&Diagnosis::of(findings)),
            r#"{"ready":true,"findings":[{"subject":"app","state":"ok","what":"an app"},{"subject":"plan","state":"unproven","what":"a plan","why":"it matters","fix":["mend it"]}]}"#
        );
        let mut findings = Findings::default();
        findings.add("plan", State::Failed, "none");
        assert!(!Diagnosis::of(findings.into_list()).ready);
    }
}
