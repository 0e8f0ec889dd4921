//! The end of hosts: instances are seen to go, then what is kept of them here goes.

mod departure;
mod in_use;

use std::{collections::HashMap, time::Duration};

use futures_util::future::join_all;
use host_provisioner::{
    Ended, Entry, InstanceId, JournalError, Place, ProvisionError, Provisioner, PurgeReport, Record, Terminated,
};
use serde::{Serialize, Serializer};
use studio_discovery::{DomainId, OwnerName};
use tokio_util::sync::CancellationToken;

use crate::{
    Error, HostSelector, Observer, Stop, Surroundings,
    client_files::HostFiles,
    link,
    lookup::{self, KnownHost, Lookup},
    places::Places,
    progress::Progress,
    session::{self, Session},
};

pub(crate) use in_use::running;
pub use in_use::{InUse, in_use};

/// How long the work on one host may take to come to its end after it was asked to stop. It can be repeated.
const GRACE: Duration = Duration::from_millis(1500);

/// Which hosts are to be ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// The one that the Docker CLI talks to, and never another one instead.
    Current,
    /// The host that is meant. An instance that this home does not know may be a host of another home of the same user.
    Host(HostSelector),
    /// Every host that this home knows, unfinished ones included.
    All,
}

/// What is to be ended.
#[derive(Debug)]
pub struct Target(Kind);

#[derive(Debug)]
enum Kind {
    Known(Box<KnownHost>),
    /// A creation that got no instance, as far as its record knows, or none with an address.
    Unfinished(Box<Record>),
    /// An instance that may be a host of another home.
    Unknown(InstanceId),
    /// A host of which nothing is known, because its record can't be read.
    Unreadable(JournalError),
}

impl Kind {
    fn record(&self) -> Option<&Record> {
        match self {
            Self::Known(host) => host.record.as_ref(),
            Self::Unfinished(record) => Some(record),
            Self::Unknown(_) | Self::Unreadable(_) => None,
        }
    }

    /// Whether its creation launched this instance.
    fn launched(&self, instance: &InstanceId) -> bool {
        self.record().is_some_and(|record| record.launches().any(|(_, launch)| launch.id.as_ref() == Some(instance)))
    }

    fn place(&self) -> Option<Place> {
        match self {
            Self::Known(host) => host.place(),
            _ => self.record().map(|record| record.place.clone()),
        }
    }
}

impl Target {
    /// Its name, for people.
    pub fn name(&self) -> String {
        match &self.0 {
            Kind::Known(host) => host.name.clone(),
            Kind::Unfinished(record) => format!("host {}", record.host),
            Kind::Unknown(instance) => instance.to_string(),
            Kind::Unreadable(_) => "a host whose record can't be read".to_owned(),
        }
    }
}

/// What is to be ended.
///
/// # Errors
/// A journal that can't be read; no current host, where it is asked for.
pub fn targets(which: &Which, lookup: &Lookup) -> crate::Result<Vec<Target>> {
    if *which == Which::Current {
        let end = |other: &KnownHost| {
            format!("`sdocker terminate-host --instance-id {}` ends {}", other.instance, other.name)
        };
        return Ok(vec![Target(Kind::Known(Box::new(lookup.current(end)?)))]);
    }
    let hosts = lookup.hosts()?;
    // A creation whose instance has no address yet is no host that could be used, but one that can be ended.
    let without_address = lookup.journal.records()?.into_iter().filter(|record| record.instance.is_none());
    let mut unfinished = without_address.map(|record| Kind::Unfinished(Box::new(record)));
    let kinds = match which {
        Which::Host(selector) => match (selector.choose(&hosts)?, selector.instance()) {
            (Some(host), _) => vec![Kind::Known(Box::new(host))],
            (None, Some(instance)) => {
                let launched = unfinished.find(|target| target.launched(&instance));
                vec![launched.unwrap_or(Kind::Unknown(instance))]
            }
            (None, None) => return Err(lookup::unknown(selector, &hosts)),
        },
        Which::Current | Which::All => {
            let mut kinds: Vec<Kind> = hosts.into_iter().map(|host| Kind::Known(Box::new(host))).collect();
            kinds.extend(unfinished);
            kinds.extend(lookup.journal.entries()?.into_iter().filter_map(|entry| match entry {
                Entry::Unusable(error) => Some(Kind::Unreadable(error)),
                Entry::Idle(_) | Entry::Busy(_) => None,
            }));
            kinds
        }
    };
    Ok(kinds.into_iter().map(Target).collect())
}

/// What became of hosts that were to be ended, as `terminate-host --output json` prints it.
#[derive(Debug, Default, Serialize)]
#[non_exhaustive]
pub struct Terminations {
    /// Those that have ended.
    pub terminated: Vec<TerminatedHost>,
    /// Those that could not be ended, by their names.
    #[serde(serialize_with = "failures", skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<(String, Error)>,
    /// Those that were not ended, or not to the end, because the work was asked to stop.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<String>,
    /// Those of these that are being ended.
    #[serde(skip)]
    pub unfinished: Vec<String>,
    /// What became of the security groups; `None` where they were not to be removed, or were not reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purged: Option<PurgeReport>,
}

/// A host that has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TerminatedHost {
    /// Its instance; a creation that was cleared may have had none.
    #[serde(rename = "instance_id")]
    pub instance: Option<InstanceId>,
    /// Whether the instance had ended before.
    pub already: bool,
}

/// Each with the name of its host.
fn failures<S: Serializer>(failed: &[(String, Error)], serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Failure<'f> {
        host: &'f str,
        error: String,
    }
    serializer.collect_seq(failed.iter().map(|(host, error)| Failure { host, error: format!("{error:#}") }))
}

/// Ends hosts: a few one after the other, many together, with calls for all. Nodes of a Swarm that goes on leave it first, so that their tasks go on
/// elsewhere. With `purge`, removes the security groups as well once no host is left to end.
///
/// # Cancel safety
/// Not to be dropped: what was begun then is finished by a recovery. Stopping is for `stop`: hosts that are being ended are given a moment,
/// and the others are left as they are.
///
/// # Errors
/// Only of the security groups; what went wrong with a host is in the answer.
pub async fn terminate(
    targets: Vec<Target>,
    purge: bool,
    surroundings: &Surroundings,
    lookup: &Lookup,
    observer: &dyn Observer,
    stop: &dyn Stop,
) -> crate::Result<Terminations> {
    let progress = Progress::new(observer);
    let mut done = Terminations::default();
    let mut places = Places::new(surroundings, observer);
    let targets = each_once(targets);
    let _ = for_a_moment(stop.token(), departure::leave_swarms(&targets, surroundings, lookup, observer)).await;
    let mut owner = None;
    // Those of one place ask its cloud together.
    let mut provisioners: HashMap<Option<Place>, Provisioner> = HashMap::new();
    for wave in waves(targets) {
        let records = wave.iter().filter_map(|target| target.0.record());
        let hosts: Vec<_> = records.map(|record| record.host.clone()).collect();
        if !stop.take_on_several(&hosts) {
            done.left.extend(wave.iter().map(Target::name));
            continue;
        }
        let ending = async {
            let mut endings = Vec::new();
            for target in &wave {
                let provisioner = match &target.0 {
                    Kind::Unreadable(error) => Err(Error::new(lookup::unusable(error))),
                    target => {
                        let place = target.place();
                        match provisioners.get(&place) {
                            Some(known) => Ok(known.clone()),
                            None => places.of(place.as_ref()).await.map(|clouds| {
                                let made = session::provisioner(&clouds, lookup, &progress, stop.token().clone());
                                provisioners.insert(place, made.clone());
                                made
                            }),
                        }
                    }
                };
                // A host without a record is ended only where its tags say that it is this user's.
                if target.0.record().is_none() && owner.is_none() {
                    owner = places.owner(lookup).await;
                }
                endings.push((target, provisioner));
            }
            let owner = owner.as_ref().map(|(domain, owner)| (domain, owner));
            let endings = endings.into_iter().map(|(target, provisioner)| async move {
                let ended = async { Ok(end(&target.0, owner, &provisioner?, lookup, observer).await?) };
                for_a_moment(stop.token(), ended).await
            });
            progress.drive(join_all(endings)).await
        };
        let outcomes: Vec<Option<crate::Result<Terminated>>> = ending.await;
        let is_stopped = stop.token().is_cancelled();
        for (target, outcome) in wave.iter().zip(outcomes) {
            let name = target.name();
            match outcome {
                Some(Ok(terminated)) => {
                    if let Err(error) = link::stop_serving(surroundings, &name).await {
                        observer.warn(format!("files and ports are still served, to nobody: {error:#}"));
                    }
                    done.terminated.push(TerminatedHost {
                        instance: terminated.instance,
                        already: terminated.ended == Ended::Already,
                    });
                }
                Some(Err(error))
                    if !(is_stopped && matches!(error.cause(), Some(ProvisionError::StillThere { .. }))) =>
                {
                    done.failed.push((name, error));
                }
                // Asked to stop, an instance is not seen to go.
                _ => {
                    done.left.push(name.clone());
                    done.unfinished.push(name);
                }
            }
        }
    }
    if done.failed.is_empty() && done.left.is_empty() && purge {
        let purging = purge_groups(lookup, surroundings, observer, &progress, stop.token().clone());
        done.purged = for_a_moment(stop.token(), purging).await.transpose()?;
    }
    Ok(done)
}

/// So many hosts are ended one after the other, so that who changes their mind keeps the rest.
const FEW: usize = 8;

/// So many at most are ended together.
const WAVE: usize = 100;

/// What is ended at a time.
fn waves(targets: Vec<Target>) -> Vec<Vec<Target>> {
    let size = if targets.len() <= FEW { 1 } else { WAVE };
    let mut targets = targets.into_iter();
    std::iter::from_fn(|| Some(targets.by_ref().take(size).collect::<Vec<_>>()).filter(|wave| !wave.is_empty()))
        .collect()
}

/// Every host once, however often it was named.
fn each_once(targets: Vec<Target>) -> Vec<Target> {
    let mut each: Vec<Target> = Vec::new();
    for target in targets {
        // What has no name of its own is not told apart from others.
        let is_again = |other: &Target| !matches!(target.0, Kind::Unreadable(_)) && other.name() == target.name();
        if !each.iter().any(is_again) {
            each.push(target);
        }
    }
    each
}

/// The outcome of work that can be repeated, unless it takes longer than a moment after it was asked to stop.
async fn for_a_moment<T>(stop: &CancellationToken, work: impl Future<Output = T>) -> Option<T> {
    let moment = async {
        stop.cancelled().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        biased;
        outcome = work => Some(outcome),
        () = moment => None,
    }
}

impl Terminations {
    /// What went wrong, as one error. `None`: nothing did.
    pub fn error(self) -> Option<Error> {
        let mut failed = self.failed;
        match failed.len() {
            0 => None,
            1 => {
                let (name, error) = failed.remove(0);
                let refused = matches!(
                    error.cause(),
                    Some(
                        ProvisionError::NotAHost { .. } | ProvisionError::NotYours { .. } | ProvisionError::Busy { .. }
                    )
                );
                if refused {
                    return Some(error);
                }
                let mut whole = Error::new(format!("{name} could not be terminated"));
                if may_remain(&error) {
                    whole = whole.remains(name);
                }
                Some(whole.because(error))
            }
            several => {
                let mut whole = Error::new(format!("{several} hosts could not be terminated"));
                for (name, error) in failed {
                    if may_remain(&error) {
                        whole = whole.remains(name);
                    }
                    whole = whole.also(error);
                }
                Some(whole)
            }
        }
    }
}

async fn end(
    target: &Kind,
    owner: Option<(&DomainId, &OwnerName)>,
    provisioner: &Provisioner,
    lookup: &Lookup,
    observer: &dyn Observer,
) -> Result<Terminated, ProvisionError> {
    match target {
        Kind::Unfinished(record) => provisioner.terminate(&record.host).await,
        Kind::Known(host) => match &host.record {
            Some(record) => provisioner.terminate(&record.host).await,
            None => {
                let ended = provisioner.terminate_unrecorded(&host.instance, true, owner).await;
                if ended.is_ok() {
                    let forgotten = HostFiles::new(lookup).forget_named(&host.name, &host.instance, None).await;
                    if let Err(error) = forgotten {
                        observer.warn(format!("{} is gone, but not all that was kept of it: {error:#}", host.name));
                    }
                }
                ended
            }
        },
        Kind::Unreadable(_) => unreachable!("it was refused"),
        Kind::Unknown(instance) => provisioner.terminate_unrecorded(instance, false, owner).await,
    }
}

/// Whether a host that was to be ended may be there still, beside what the error itself lists.
fn may_remain(error: &Error) -> bool {
    match error.cause::<ProvisionError>() {
        Some(ProvisionError::NotAHost { .. } | ProvisionError::NotYours { .. } | ProvisionError::Busy { .. }) => false,
        Some(error) => error.remains().is_empty(),
        None => true,
    }
}

async fn purge_groups(
    lookup: &Lookup,
    surroundings: &Surroundings,
    observer: &dyn Observer,
    progress: &Progress<'_>,
    stop: tokio_util::sync::CancellationToken,
) -> crate::Result<PurgeReport> {
    let session = Session::open(surroundings, observer).await?;
    let environment = session.discover(observer).await?.environment;
    let provisioner = session::provisioner(&session.clouds, lookup, progress, stop);
    Ok(progress.drive(provisioner.purge(&environment)).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_that_is_named_twice_is_ended_once() {
        let unknown = |id: &str| Target(Kind::Unknown(id.into()));
        let torn = || Target(Kind::Unreadable(JournalError::Newer { path: "a.json".into(), found: 9 }));
        let each = each_once(vec![unknown("i-1"), torn(), unknown("i-2"), unknown("i-1"), torn()]);
        let names: Vec<String> = each.iter().map(Target::name).collect();
        assert_eq!(names.iter().filter(|name| *name == "i-1").count(), 1, "{names:?}");
        assert_eq!(names.len(), 4, "two records that can't be read are two: {names:?}");
    }

    #[test]
    fn its_json_is_what_programs_read() {
        let json = |done: &Terminations| serde_json::to_string(done).expect("JSON");
        assert_eq!(json(&Terminations::default()), r#"{"terminated":[]}"#);
        let ended = |instance: Option<&str>, already| TerminatedHost { instance: instance.map(Into::into), already };
        let mut purged = PurgeReport::default();
        purged.removed.push("a group".to_owned());
        let done = Terminations {
            terminated: vec![ended(Some("i-1"), true), ended(None, false)],
            failed: vec![("c5.xlarge_i-2".to_owned(), Error::new("refused").because(Error::new("by EC2")))],
            left: vec!["c5.xlarge_i-3".to_owned()],
            unfinished: vec!["c5.xlarge_i-3".to_owned()],
            purged: Some(purged),
        };
        assert_eq!(
            json(&done),
            r#"{"terminated":[{"instance_id":"i-1","already":true},{"instance_id":null,"already":false}],"failed":[{"host":"c5.xlarge_i-2","error":"refused: by EC2"}],"left":["c5.xlarge_i-3"],"purged":{"removed":["a group"],"kept":[]}}"#
        );
    }
}
