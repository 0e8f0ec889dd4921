//! Each host's own place: it is asked about there, and nowhere else.

use std::collections::HashMap;

use host_provisioner::{AskedAbout, CloudName, Instance, Place, Presence, ProvisionError};
use studio_discovery::{DomainId, LocalFacts, OwnerName, Region, owner_of};

use crate::{
    CloudChoice, Error, Observer, Surroundings,
    clouds::{self, Clouds},
    lookup::{KnownHost, Lookup},
    session::local_facts,
};

/// The clouds of hosts, each opened once.
pub(crate) struct Places<'a> {
    surroundings: &'a Surroundings,
    observer: &'a dyn Observer,
    opened: HashMap<(CloudChoice, Option<Region>), Clouds>,
}

/// What is known of a host.
pub(crate) enum Look {
    /// It is there, running or stopped.
    Alive(Box<Instance>),
    /// It has ended; seen so, where there is something to see.
    Ended(Option<Box<Instance>>),
    /// It can't be told, and why.
    Unknown(Error),
}

impl<'a> Places<'a> {
    /// Opens no cloud yet.
    pub(crate) fn new(surroundings: &'a Surroundings, observer: &'a dyn Observer) -> Self {
        Self { surroundings, observer, opened: HashMap::new() }
    }

    /// The cloud of a place; of this app's own, where the place is not known.
    ///
    /// # Errors
    /// A place other than the one that was asked for on the command line; a cloud that can't be opened.
    pub(crate) async fn of(&mut self, place: Option<&Place>) -> crate::Result<Clouds> {
        let key = match place {
            Some(place) => {
                self.refuse_others(place)?;
                (choice(place.cloud), Some(place.region.clone()))
            }
            None => {
                let facts = local_facts(self.surroundings).ok();
                (clouds::choose(self.surroundings), facts.as_ref().map(LocalFacts::region).cloned())
            }
        };
        if let Some(opened) = self.opened.get(&key) {
            return Ok(opened.clone());
        }
        let opened = clouds::open_in(self.surroundings, key.0, key.1.as_ref(), self.observer).await?;
        self.opened.insert(key, opened.clone());
        Ok(opened)
    }

    fn refuse_others(&self, place: &Place) -> crate::Result<()> {
        let asked = self.surroundings.cloud.filter(|asked| *asked != choice(place.cloud)).map(|asked| match asked {
            CloudChoice::Aws => "--cloud aws".to_owned(),
            CloudChoice::Sandbox => "--cloud sandbox".to_owned(),
        });
        let in_aws = place.cloud == CloudName::Aws;
        let other_region = |asked: &&String| in_aws && **asked != place.region.as_str();
        let region = self.surroundings.region.as_ref().filter(other_region).map(|asked| format!("--region {asked}"));
        let Some(asked) = asked.or(region) else { return Ok(()) };
        let error = Error::new(format!("it is in {place}, not where {asked} looks"));
        Err(error.hint(format!("without {asked}, sdocker looks for each host in its own place")))
    }

    /// What is known of these hosts, one answer each.
    pub(crate) async fn look(&mut self, hosts: &[KnownHost]) -> Vec<Look> {
        let mut answers: Vec<Option<Look>> = hosts.iter().map(|_| None).collect();
        let mut by_place: HashMap<Option<Place>, Vec<usize>> = HashMap::new();
        for (position, host) in hosts.iter().enumerate() {
            by_place.entry(host.place()).or_default().push(position);
        }
        for (place, positions) in by_place {
            match self.of(place.as_ref()).await {
                Ok(clouds) => {
                    let asked: Vec<AskedAbout<'_>> = positions
                        .iter()
                        .map(|position| &hosts[*position])
                        .map(|host| AskedAbout { instance: &host.instance, record: host.record.as_ref() })
                        .collect();
                    let found = clouds.cloud.presence(&asked).await;
                    for (position, presence) in positions.into_iter().zip(found) {
                        answers[position] = Some(look(&hosts[position], presence));
                    }
                }
                Err(error) => {
                    // An error is one host's; the others of its place have the same.
                    let text = format!("{error:#}");
                    for position in &positions {
                        answers[*position] = Some(Look::Unknown(Error::new(text.clone())));
                    }
                    answers[positions[0]] = Some(Look::Unknown(error));
                }
            }
        }
        answers.into_iter().flatten().collect()
    }

    /// What is known of one host.
    pub(crate) async fn look_at(&mut self, host: &KnownHost) -> Look {
        let looked = self.look(std::slice::from_ref(host)).await.pop();
        looked.unwrap_or_else(|| Look::Unknown(Error::new("it was not looked at")))
    }

    /// Whose hosts this app's user may end: by the app itself, else by this home's records where they agree.
    pub(crate) async fn owner(&mut self, lookup: &Lookup) -> Option<(DomainId, OwnerName)> {
        if let Ok(facts) = local_facts(self.surroundings)
            && let Ok(clouds) = self.of(None).await
            && let Ok(owner) = owner_of(&facts, clouds.studio.as_ref()).await
        {
            return Some((facts.domain().clone(), owner));
        }
        let records = lookup.journal.records().ok()?;
        let mut owners: Vec<_> = records.into_iter().map(|record| (record.domain, record.owner)).collect();
        owners.dedup();
        if owners.len() == 1 { owners.pop() } else { None }
    }
}

fn choice(cloud: CloudName) -> CloudChoice {
    match cloud {
        CloudName::Aws => CloudChoice::Aws,
        CloudName::Sandbox => CloudChoice::Sandbox,
    }
}

fn look(host: &KnownHost, presence: Presence) -> Look {
    match presence {
        Presence::Alive(instance) => Look::Alive(instance),
        Presence::Ended(instance) => Look::Ended(instance),
        Presence::Unknown(doubt) => {
            let instance = Some(host.instance.clone());
            Look::Unknown(ProvisionError::Doubtful { host: host.name.clone(), instance, doubt }.into())
        }
    }
}
