//! What `doctor --fix` mends: only here, and only what nobody can miss.

use tokio_util::sync::CancellationToken;

use super::{
    examination::Fix,
    finding::{Finding, Repair, State},
};
use crate::{
    Observer, Surroundings,
    client_files::HostFiles,
    lookup::{KnownHost, Lookup},
    places::Places,
    progress::Progress,
    session,
    setup::{self, ProgramsSay, SetupRequest},
};

/// Mends what can be mended, and says so in the findings.
pub(super) async fn all(
    fix: Fix,
    findings: &mut [Finding],
    lookup: &Lookup,
    places: &mut Places<'_>,
    programs_say: ProgramsSay,
    surroundings: &Surroundings,
    observer: &dyn Observer,
) {
    // One setup is enough for everything that is missing.
    let mut set_up = None;
    for finding in findings {
        let wanted = |repair: &mut Repair| fix == Fix::All || !matches!(repair, Repair::SetUp);
        let Some(repair) = finding.repair.take_if(wanted) else { continue };
        let outcome = match repair {
            Repair::SetUp => {
                set_up.get_or_insert_with(|| set_up_by_default(programs_say, surroundings, observer)).clone()
            }
            Repair::RemoveContext(name) => lookup.contexts.remove(&name, None).map_err(|error| error.to_string()),
            Repair::ForgetHost(host) => {
                forget(&host, lookup, places, observer).await.map_err(|error| format!("{error:#}"))
            }
        };
        match outcome {
            Ok(()) => finding.state = State::Fixed,
            Err(error) => {
                finding.fix(format!("--fix could not do it: {error}"));
            }
        }
    }
}

fn set_up_by_default(say: ProgramsSay, surroundings: &Surroundings, observer: &dyn Observer) -> Result<(), String> {
    let asked = SetupRequest { programs_say: say, ..SetupRequest::default() };
    setup::set_up(&asked, surroundings, observer).map(drop).map_err(|error| format!("{error:#}"))
}

/// Terminating a host that has ended removes its files and its record, and nothing else. It is looked at once more before, in its place.
async fn forget(
    host: &KnownHost,
    lookup: &Lookup,
    places: &mut Places<'_>,
    observer: &dyn Observer,
) -> crate::Result<()> {
    match &host.record {
        Some(record) => {
            let clouds = places.of(host.place().as_ref()).await?;
            let progress = Progress::new(observer);
            let provisioner = session::provisioner(&clouds, lookup, &progress, CancellationToken::new());
            progress.drive(provisioner.terminate(&record.host)).await?;
            Ok(())
        }
        None => HostFiles::new(lookup).forget_named(&host.name, &host.instance, None).await,
    }
}
