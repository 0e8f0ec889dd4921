//! Giving up a record that can't be settled, because its user says so by name. Nothing in the cloud is changed.

use std::path::PathBuf;

use host_provisioner::{
    AskedAbout, ClientFiles as _, CloudError, Entry, HostId, Instance, InstanceFilter, JournalError, Opened, Presence,
    ProvisionError, Record, StepState, TAG_HOST,
};
use serde::Serialize;
use studio_discovery::Tag;

use crate::{
    Error, Observer, Surroundings, client_files::HostFiles, clouds::Clouds, layout::host_name, lookup::Lookup,
    places::Places,
};

/// A record that was given up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Forgotten {
    /// Its host, by the name that people know it by.
    pub host: String,
    /// What nobody sees to any more, should it be there.
    pub may_remain: Vec<String>,
    /// Where the record is kept, for people to read.
    pub kept_as: PathBuf,
}

/// Gives up a record: by the host's name, its instance, or the name of the record's file. What is kept of the host here goes with it.
///
/// # Errors
/// An instance of it that is seen running; a record that `recover` settles; without `sure`, what may remain, so that nobody gives up what they
/// have not seen.
pub(crate) async fn forget(
    which: &str,
    sure: bool,
    surroundings: &Surroundings,
    observer: &dyn Observer,
) -> crate::Result<Forgotten> {
    let lookup = Lookup::new(surroundings);
    let mut places = Places::new(surroundings, observer);
    match find(which, &lookup)? {
        Found::Record(host) => {
            // From now on nobody else changes it.
            let open = match lookup.journal.open(&host).await? {
                Opened::Open(open) => open,
                Opened::Busy => return Err(ProvisionError::Busy { host }.into()),
                Opened::Missing => return Err(Error::new(format!("the record of {which} is gone by now"))),
            };
            let record = open.record().clone();
            let clouds = places.of(Some(&record.place)).await;
            let may_remain = of_record(&record, clouds).await?;
            let name = name(&record);
            agreed(sure, &name, host.as_str(), &may_remain)?;
            if let Err(error) = HostFiles::new(&lookup).forget(&record).await {
                observer.warn(format!("{name} is forgotten, but not all that was kept of it: {error}"));
            }
            Ok(Forgotten { host: name, may_remain, kept_as: open.set_aside()? })
        }
        Found::Unusable { stem, path, error } => {
            let mut may_remain = Vec::new();
            match places.of(None).await {
                Ok(clouds) => {
                    let host = HostId::new(stem.clone());
                    let records = lookup.journal.records()?;
                    // One that was launched with others is tagged with what their names begin with; those of the others are known.
                    let is_anothers = |instance: &Instance| {
                        records.iter().any(|record| record.launches().any(|(_, launch)| launch.launched(instance)))
                    };
                    let mut none = Ok(());
                    for tag in [&host, &host.family()] {
                        let tags = vec![Tag::new(TAG_HOST, tag.as_str())];
                        let filter = InstanceFilter { tags, ..InstanceFilter::default() };
                        none = none.and(none_runs(&clouds, &filter, |found| !is_anothers(found), &stem).await?);
                    }
                    match none {
                        Ok(()) => may_remain.push(format!(
                            "an instance outside of {}, where none is tagged with {TAG_HOST}={stem}",
                            clouds.cloud.territory.place()
                        )),
                        Err(error) => may_remain.push(format!("an instance: {error}")),
                    }
                }
                Err(error) => may_remain.push(format!("an instance: {error:#}")),
            }
            may_remain.push("whatever else its record names".to_owned());
            agreed(sure, &stem, &stem, &may_remain).map_err(|refused| refused.because(error))?;
            let kept_as = lookup.journal.set_aside(&path)?.ok_or_else(|| {
                Error::new(format!("another sdocker command is working on {}", path.display()))
                    .hint("wait for it to end")
            })?;
            Ok(Forgotten { host: stem, may_remain, kept_as })
        }
    }
}

enum Found {
    Record(HostId),
    Unusable { stem: String, path: PathBuf, error: JournalError },
}

fn find(which: &str, lookup: &Lookup) -> crate::Result<Found> {
    let mut known = Vec::new();
    for entry in lookup.journal.entries()? {
        match entry {
            Entry::Idle(record) | Entry::Busy(record) => {
                let launched =
                    record.launches().any(|(_, launch)| launch.id.as_ref().is_some_and(|id| id.as_str() == which));
                if launched || record.host.as_str() == which || record.name().is_some_and(|name| name == which) {
                    return Ok(Found::Record(record.host));
                }
                known.push(record.host.to_string());
            }
            Entry::Unusable(error) => {
                let Some((path, stem)) = error.path().and_then(|path| Some((path, path.file_stem()?))) else {
                    continue;
                };
                let (path, stem) = (path.to_owned(), stem.to_string_lossy().into_owned());
                if stem == which {
                    return Ok(Found::Unusable { stem, path, error });
                }
                known.push(stem);
            }
        }
    }
    let error = Error::new(format!("there is no record of {which}"));
    Err(if known.is_empty() { error } else { error.hint(format!("there are records of {}", known.join(", "))) })
}

/// What may be there of a record's host.
///
/// # Errors
/// An instance is seen running; nothing is left to give up.
async fn of_record(record: &Record, clouds: crate::Result<Clouds>) -> crate::Result<Vec<String>> {
    let unsettled = |state| matches!(state, StepState::Intended | StepState::Created);
    let clouds = match clouds {
        Ok(clouds) => clouds,
        Err(error) => {
            let left = record.steps.iter().filter(|step| unsettled(step.state));
            return Ok(left.map(|step| format!("{}: {error:#}", step.intent)).collect());
        }
    };
    let mut may_remain = Vec::new();
    let launches: Vec<_> = record.launches().filter(|(state, _)| *state != StepState::Gone).collect();
    let known: Vec<_> = launches.iter().filter_map(|(_, launch)| launch.id.as_ref()).collect();
    let asked: Vec<_> = known.iter().map(|instance| AskedAbout { instance, record: Some(record) }).collect();
    for (instance, presence) in known.iter().zip(clouds.cloud.presence(&asked).await) {
        match presence {
            Presence::Alive(found) => return Err(running(&found, record.host.as_str())),
            Presence::Ended(_) => {}
            Presence::Unknown(doubt) => may_remain.push(format!("instance {instance}: {doubt}")),
        }
    }
    for (_, launch) in launches.iter().filter(|(_, launch)| launch.id.is_none()) {
        let token = Some(launch.client_token.clone());
        let filter = InstanceFilter { client_token: token, ..InstanceFilter::default() };
        let is_it = |found: &Instance| launch.launched(found);
        let why = none_runs(&clouds, &filter, is_it, record.host.as_str()).await?.err();
        let why = why.map(|error| format!(": {error}")).unwrap_or_default();
        may_remain.push(format!("an instance with client token {}{why}", launch.client_token));
    }
    let others = record.steps.iter().filter(|step| unsettled(step.state));
    let others = others.filter(|step| !matches!(step.intent, host_provisioner::Intent::Instance(_)));
    may_remain.extend(others.map(|step| step.intent.to_string()));
    if may_remain.is_empty() {
        return Err(Error::new(format!("nothing remains of {} that would be unknown", name(record)))
            .hint("`sdocker recover` cleans up its record"));
    }
    Ok(may_remain)
}

/// Whether no instance that this matches is alive; the inner error says why that can't be told.
async fn none_runs(
    clouds: &Clouds,
    filter: &InstanceFilter,
    is_it: impl Fn(&Instance) -> bool,
    host: &str,
) -> crate::Result<Result<(), CloudError>> {
    match clouds.cloud.instances.list(filter).await {
        Ok(found) => match found.into_iter().find(|instance| !instance.state.is_ended() && is_it(instance)) {
            Some(instance) => Err(running(&instance, host)),
            None => Ok(Ok(())),
        },
        Err(error) => Ok(Err(error)),
    }
}

fn running(instance: &Instance, host: &str) -> Error {
    let (id, state) = (&instance.id, instance.state.as_str());
    Error::new(format!("the record of {host} is kept: its instance {id} is {state}"))
        .remains(format!("instance {id}"))
        .hint(format!("`sdocker terminate-host --instance-id {id}` ends it"))
}

fn agreed(sure: bool, name: &str, record: &str, may_remain: &[String]) -> crate::Result<()> {
    if sure {
        return Ok(());
    }
    let mut refused = Error::new(format!("the record of {name} is kept until you have seen what may remain"));
    for what in may_remain {
        refused = refused.leaves(what);
    }
    Err(refused.hint(format!(
        "if none of it exists any more, or somebody else takes care of it: `sdocker recover --forget {record} --yes`"
    )))
}

fn name(record: &Record) -> String {
    match &record.instance {
        Some(instance) => host_name(&record.instance_type, &instance.id),
        None => format!("host {}", record.host),
    }
}
