//! Whether a host is still there: the one rule by which every command decides.
//!
//! - Each host is asked about in its own place, and nowhere else.
//! - It has ended where it is *seen* to have ended; or where its own place does not list it any more and its age explains that.
//! - Everything else is doubt. Of a host in doubt nothing is removed.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use jiff::Timestamp;
use studio_discovery::AccountId;

use crate::{Cloud, CloudError, Instance, InstanceFilter, InstanceId, Place, Record};

/// How long EC2 lists an instance that was terminated (EC2 user guide, "How instance termination works": "usually about an hour"), and so
/// how old one must be at least that ended and is not listed.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(3600);

/// A host that is asked about.
#[derive(Clone, Copy, Debug)]
pub struct AskedAbout<'a> {
    /// Its instance.
    pub instance: &'a InstanceId,
    /// Its record, where there is one: it knows the host's place and age.
    pub record: Option<&'a Record>,
}

/// What is known of a host's instance.
#[derive(Clone, Debug)]
pub enum Presence {
    /// It is there, running or stopped.
    Alive(Box<Instance>),
    /// It has ended: seen so, or forgotten by EC2 since.
    Ended(Option<Box<Instance>>),
    /// It can't be told.
    Unknown(Doubt),
}

/// Why it can't be told whether a host is there. Its `Display` goes on after "cannot tell what became of it: ".
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Doubt {
    /// It is in another place than the one that was asked.
    Elsewhere {
        /// Where it is.
        host: Place,
        /// What was asked.
        asked: Place,
    },
    /// The credentials are another account's.
    OtherAccount {
        /// Where it is.
        host: Place,
        /// Whose credentials they are.
        credentials: AccountId,
    },
    /// The credentials see nothing of its VPC, and so may be another account's.
    Unproven {
        /// Where it is.
        host: Place,
        /// What the credentials do not see.
        vpc: String,
    },
    /// It is not listed, and was launched too recently for EC2 to have forgotten it.
    TooYoung {
        /// Where it was looked for.
        asked: Place,
    },
    /// It is not listed, and nothing is known of its place or age.
    NotListed {
        /// Where it was looked for.
        asked: Place,
    },
    /// The place could not be asked.
    Failed(Arc<CloudError>),
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Elsewhere { host, asked } => write!(f, "it is in {host}, and {asked} was asked"),
            Self::OtherAccount { host, credentials } => {
                write!(f, "it is in {host}, and the credentials are those of account {credentials}")
            }
            Self::Unproven { host, vpc } => {
                write!(
                    f,
                    "it is in {host}, and these credentials, which may be another account's, see nothing of its VPC {vpc}"
                )
            }
            Self::TooYoung { asked } => {
                write!(f, "{asked} does not list it, although it was launched less than an hour ago")
            }
            Self::NotListed { asked } => {
                write!(f, "{asked} does not list it, and its Region and account are not recorded")
            }
            Self::Failed(error) => write!(f, "{error}"),
        }
    }
}

impl Doubt {
    /// Why a call failed, where that is the reason.
    pub fn error(&self) -> Option<&CloudError> {
        match self {
            Self::Failed(error) => Some(error),
            _ => None,
        }
    }
}

impl Cloud {
    /// What is known here of these hosts, one answer each, with one call for all of them.
    ///
    /// # Cancel safety
    /// It only reads, and can be dropped at any time.
    pub async fn presence(&self, hosts: &[AskedAbout<'_>]) -> Vec<Presence> {
        let here = self.territory.place();
        let is_here = |host: &AskedAbout<'_>| host.record.is_none_or(|record| here.reaches(&record.place));
        let ids: Vec<InstanceId> =
            hosts.iter().filter(|host| is_here(host)).map(|host| host.instance.clone()).collect();
        let listed = match ids.as_slice() {
            [] => Ok(BTreeMap::new()),
            _ => self
                .instances
                .list(&InstanceFilter { ids, ..InstanceFilter::default() })
                .await
                .map(by_id)
                .map_err(Arc::new),
        };
        let mut answers = Vec::new();
        for host in hosts {
            answers.push(match (host.record, &listed) {
                (Some(record), _) if !is_here(host) => {
                    Presence::Unknown(Doubt::Elsewhere { host: record.place.clone(), asked: here.clone() })
                }
                (_, Err(error)) => Presence::Unknown(Doubt::Failed(error.clone())),
                (record, Ok(listed)) => match (listed.get(host.instance), record) {
                    (Some(found), _) if found.state.is_ended() => Presence::Ended(Some(Box::new(found.clone()))),
                    (Some(found), _) => Presence::Alive(Box::new(found.clone())),
                    (None, Some(record)) => self.unlisted(record).await,
                    (None, None) => Presence::Unknown(Doubt::NotListed { asked: here.clone() }),
                },
            });
        }
        answers
    }

    /// Of a host that its place does not list.
    async fn unlisted(&self, record: &Record) -> Presence {
        if let Err(doubt) = self.prove_place(record).await {
            return Presence::Unknown(doubt);
        }
        let now = Timestamp::now();
        let long_ago = |time: Timestamp| now.duration_since(time) > FORGOTTEN_AFTER.try_into().unwrap_or_default();
        if long_ago(launched(record)) || long_ago(record.expires) {
            Presence::Ended(None)
        } else {
            Presence::Unknown(Doubt::TooYoung { asked: self.territory.place() })
        }
    }

    /// Whether calls and credentials are those of a record's place, proved by what the credentials see there.
    ///
    /// # Errors
    /// They are not, or that can't be told.
    pub(crate) async fn prove_place(&self, record: &Record) -> Result<(), Doubt> {
        let (host, asked) = (record.place.clone(), self.territory.place());
        if !asked.reaches(&host) {
            return Err(Doubt::Elsewhere { host, asked });
        }
        let seen = self.territory.seen(&record.vpc).await.map_err(|error| Doubt::Failed(Arc::new(error)))?;
        match (&host.account, seen.account) {
            (Some(account), Some(credentials)) if *account == credentials => Ok(()),
            (Some(_), Some(credentials)) => Err(Doubt::OtherAccount { host, credentials }),
            _ if seen.sees_vpc => Ok(()),
            _ => Err(Doubt::Unproven { host, vpc: record.vpc.to_string() }),
        }
    }
}

fn by_id(instances: Vec<Instance>) -> BTreeMap<InstanceId, Instance> {
    instances.into_iter().map(|instance| (instance.id.clone(), instance)).collect()
}

/// When the last launch of a record was asked for.
pub(crate) fn launched(record: &Record) -> Timestamp {
    let launches = record.launches().map(|(_, launch)| launch.asked);
    launches.max().unwrap_or(record.created)
}

#[cfg(all(test, feature = "fake"))]
mod tests;
