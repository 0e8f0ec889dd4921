//! Whether a host could be created, proved as far as it can be without spending anything.

mod clients;
mod examination;
mod finding;
mod hosts;
mod registry;
mod repair;
mod socket;
mod studio;

use self::finding::Findings;
use crate::{Observer, Surroundings, lookup::Lookup, permission::Caller, places::Places, session::Session};

pub use examination::{Examination, Fix};
pub use finding::{Diagnosis, Finding, State};

/// Reads what a creation reads, asks EC2 whether it would allow each change, and looks at what Docker clients and Local Mode need here.
///
/// # Cancel safety
/// Without [`Examination::fix`] it only reads, and can be dropped at any time. With it, what is mended stays so; what is kept of a host
/// that has ended may be removed in part, and the next examination offers to remove the rest.
pub async fn examine(asked: &Examination, surroundings: &Surroundings, observer: &dyn Observer) -> Diagnosis {
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
    socket::examine(surroundings, &lookup, &mut findings).await;
    let mut places = Places::new(surroundings, observer);
    hosts::examine(surroundings, &lookup, &mut places, &mut findings).await;
    let mut findings = findings.into_list();
    if asked.fix != Fix::Nothing {
        repair::all(asked.fix, &mut findings, &lookup, &mut places, asked.programs_say, surroundings, observer).await;
    }
    Diagnosis::of(findings)
}
