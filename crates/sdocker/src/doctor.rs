//! Whether a host could be created, proved as far as it can be without spending anything.

mod clients;
mod finding;
mod hosts;
mod registry;
mod repair;
mod studio;

use host_provisioner::InstanceType;
use studio_discovery::SubnetId;

use self::finding::Findings;
use crate::{Observer, Surroundings, lookup::Lookup, permission::Caller, places::Places, session::Session};

pub use finding::{Finding, State};

/// What an examination mends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fix {
    /// Nothing.
    #[default]
    Nothing,
    /// What is kept here of hosts that are gone.
    Leftovers,
    /// That, and what Local Mode does not find: it is installed, as [`setup`](crate::setup) does.
    All,
}

/// What is examined.
#[derive(Clone, Debug)]
pub struct Examination {
    /// The EC2 instance type to launch.
    pub instance_type: InstanceType,
    /// The subnet, instead of the first of the domain's that has a mount target.
    pub subnet: Option<SubnetId>,
    /// What to mend. Nothing in AWS is changed.
    pub fix: Fix,
    /// What becomes of what package managers print that mend something.
    pub programs_say: crate::setup::ProgramsSay,
}

/// Reads what a creation reads, asks EC2 whether it would allow each change, and looks at what Docker clients and Local Mode need here.
///
/// # Cancel safety
/// Without [`Examination::fix`] it only reads, and can be dropped at any time. With it, what is mended stays so; what is kept of a host
/// that has ended may be removed in part, and the next examination offers to remove the rest.
pub async fn examine(asked: &Examination, surroundings: &Surroundings, observer: &dyn Observer) -> Vec<Finding> {
    let lookup = Lookup::new(surroundings);
    let mut findings = Findings::default();
    match Session::open(surroundings, observer).await {
        Ok(session) => studio::examine(asked, surroundings, &session, &lookup, &mut findings).await,
        Err(error) => {
            findings.error("app", &error, &Caller::of(surroundings));
            clients::files(surroundings, &lookup, None, &mut findings);
        }
    }
    clients::tools(surroundings, &mut findings);
    clients::environment(surroundings, &lookup, &mut findings);
    let mut places = Places::new(surroundings, observer);
    hosts::examine(surroundings, &lookup, &mut places, &mut findings).await;
    let mut findings = findings.into_list();
    if asked.fix != Fix::Nothing {
        repair::all(asked.fix, &mut findings, &lookup, &mut places, asked.programs_say, surroundings, observer).await;
    }
    findings
}
