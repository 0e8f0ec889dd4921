//! Several hosts at once: each a host like any other, with a record of its own.

use docker_remote::DockerHost;
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use host_provisioner::{Creation, Order, ProvisionError, Provisioner, Several, UndoReport};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::{Flow, NewHost, Receiver, is_interruption, not_ready_yet, prepare, pricing};
use crate::{
    Error, Fate, HostRequest, Observer, Stop, Surroundings,
    client_files::HostFiles,
    error::Context as _,
    hosts_conf::ActiveHost,
    lookup::Lookup,
    observer::Labelled,
    progress::Progress,
    session::{self, Session},
    swarm::{self, Member},
};

/// How many hosts are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Count {
    /// All of them.
    pub of: usize,
    /// With fewer than these, none is to stay.
    pub at_least: usize,
}

impl Count {
    /// So many, and at least these; `None` where there is none, or more are to be there at least than there are.
    pub fn new(of: usize, at_least: usize) -> Option<Self> {
        (at_least >= 1 && at_least <= of).then_some(Self { of, at_least })
    }
}

/// Hosts that were created together.
#[non_exhaustive]
pub struct NewHosts {
    /// Those that were; the first is the current one.
    pub hosts: Vec<NewHost>,
    /// Those that were not, where enough others were.
    pub failed: Vec<FailedHost>,
    /// What was done beside the hosts.
    pub notes: Vec<String>,
    /// What is not as it should be, and did not keep the hosts from coming up.
    pub warnings: Vec<String>,
}

/// One of several hosts that was not created. What was made for it is undone, as far as its error says.
#[derive(Debug)]
#[non_exhaustive]
pub struct FailedHost {
    /// Which one, from 1.
    pub number: usize,
    /// Why.
    pub error: Error,
}

/// One of them that is as far as was asked for.
struct Ready {
    creation: Creation,
    host: ActiveHost,
    new: NewHost,
    /// `None` where it was not waited for.
    answered: Option<DockerHost>,
}

/// One of them that did not become ready.
struct Unready {
    position: usize,
    creation: Creation,
    error: Error,
}

/// Creates several hosts at once, and makes the first the current one: all of them, or at least so many, or none. Those that fail are undone,
/// one by one.
///
/// # Cancel safety
/// As [`create`](super::create).
///
/// # Errors
/// Too few could be created, and none was. What may remain nevertheless is listed.
pub async fn create_several(
    asked: &HostRequest,
    count: Count,
    surroundings: &Surroundings,
    session: Option<Session>,
    observer: &dyn Observer,
    stop: &dyn Stop,
) -> crate::Result<NewHosts> {
    let lookup = Lookup::new(surroundings);
    let prepared = prepare(asked, count.of, surroundings, &lookup, session, observer, true).await?;
    prepared.check(surroundings, &lookup, observer).await?;
    let asked = &prepared.asked;
    let progress = Progress::new(observer);
    let (mut hosts, mut orders) = (Vec::new(), Vec::new());
    for (position, host) in prepared.planned.hosts().iter().enumerate() {
        hosts.push(host.plans[0].host.clone());
        let observer = progress.observer_of(label(position, count));
        orders.push(Order { plans: host.plans.clone(), observer });
    }
    if !stop.take_on_several(&hosts) {
        return Err(ProvisionError::Interrupted.into());
    }
    let provisioner = session::provisioner(&prepared.session.clouds, &lookup, &progress, stop.token().clone());
    let previous = prepared.previous_context.as_deref();
    let creating = provisioner.create_several(&orders, count.at_least, asked.retry_for, previous);
    let Several { created, failed, .. } = progress.drive(creating).await?;
    let mut failed: Vec<FailedHost> =
        failed.into_iter().map(|(position, error)| FailedHost { number: position + 1, error: error.into() }).collect();

    let receiver = Receiver::User;
    let flow = Flow { asked, receiver, surroundings, observer, lookup: &lookup, stop, prepared: &prepared };
    let together = Together { flow, count, progress: &progress, provisioner: &provisioner };
    let (mut ready, unready) = together.bring_up(created).await;
    if ready.len() < count.at_least || stop.token().is_cancelled() {
        let made = ready.len();
        let (mut creations, errors): (Vec<_>, Vec<_>) =
            unready.into_iter().map(|one| ((one.position, one.creation), one.error)).unzip();
        creations.extend(creations_of(ready));
        let Count { of, at_least } = count;
        let too_few = format!("{made} of {of} hosts became ready, but at least {at_least} were wanted");
        return Err(together.give_up(&too_few, creations, errors).await);
    }
    failed.extend(together.leave_out(unready).await);
    failed.sort_by_key(|failed| failed.number);
    let mut finished = if asked.swarm { together.form_swarm(&ready).await } else { Ok(()) };
    if finished.is_ok() {
        finished = together.make_current(&ready).await;
    }
    if let Err(error) = finished {
        return Err(together.give_up("no host was created", creations_of(ready), vec![error]).await);
    }
    if !stop.commit(Fate::HandedOver) {
        return Err(together.give_up("no host was created", creations_of(ready), Vec::new()).await);
    }
    for (_, one) in &mut ready {
        one.creation.hand_over()?;
    }
    let flow = &together.flow;
    let mut done = NewHosts { hosts: Vec::new(), failed, notes: Vec::new(), warnings: Vec::new() };
    for (position, (_, one)) in ready.into_iter().enumerate() {
        let Ready { host, mut new, answered, .. } = one;
        match answered {
            // The Docker CLI talks to the first.
            Some(answered) if position == 0 => flow.look_at_clients(&host, &mut new, answered).await?,
            Some(answered) => new.answered = Some(answered),
            None => new.notes.push(not_ready_yet(&host)),
        }
        pricing::remember(&mut new, &prepared, &lookup);
        done.hosts.push(new);
    }
    if asked.wait {
        done.notes = flow.configure();
    }
    let warnings = progress.warnings().into_iter().chain(prepared.planned.warnings().cloned());
    done.warnings = warnings.map(|warning| warning.to_string()).collect();
    Ok(done)
}

fn creations_of(ready: Vec<(usize, Ready)>) -> Vec<(usize, Creation)> {
    ready.into_iter().map(|(position, one)| (position, one.creation)).collect()
}

fn label(position: usize, count: Count) -> String {
    format!("host {} of {}", position + 1, count.of)
}

/// Hosts on their way.
struct Together<'a> {
    flow: Flow<'a>,
    count: Count,
    progress: &'a Progress<'a>,
    provisioner: &'a Provisioner,
}

impl Together<'_> {
    /// Brings each as far as was asked for. As soon as too many have failed, the others are given up.
    async fn bring_up(&self, created: Vec<(usize, Creation)>) -> (Vec<(usize, Ready)>, Vec<Unready>) {
        let stop = self.flow.stop.token().child_token();
        let may_fail = created.len().saturating_sub(self.count.at_least);
        let ways = created.into_iter().map(|(position, creation)| self.bring_up_one(position, creation, &stop));
        let mut ways: FuturesUnordered<_> = ways.collect();
        let (mut ready, mut unready) = (Vec::new(), Vec::new());
        while let Some(outcome) = ways.next().await {
            match outcome {
                Ok(one) => ready.push(one),
                Err(one) => unready.push(one),
            }
            if unready.len() > may_fail {
                stop.cancel();
            }
        }
        ready.sort_by_key(|(position, _)| *position);
        unready.sort_by_key(|one| one.position);
        (ready, unready)
    }

    async fn bring_up_one(
        &self,
        position: usize,
        mut creation: Creation,
        stop: &CancellationToken,
    ) -> Result<(usize, Ready), Unready> {
        let flow = &self.flow;
        let label = label(position, self.count);
        let observer = Labelled { observer: flow.observer, label: &label };
        let embedded = flow.prepared.planned.hosts()[position].embedded.as_ref();
        let outcome = async {
            let (host, new) = flow.introduce(&mut creation, embedded, stop).await?;
            let answered = match flow.asked.wait {
                true => Some(flow.wait_for(&host, &new, &observer, stop).await?),
                false => None,
            };
            Ok((host, new, answered))
        };
        match outcome.await {
            Ok((host, new, answered)) => Ok((position, Ready { creation, host, new, answered })),
            Err(error) => Err(Unready { position, creation, error }),
        }
    }

    /// Makes one Swarm of them; the first, which becomes the current one, is a manager.
    async fn form_swarm(&self, ready: &[(usize, Ready)]) -> crate::Result<()> {
        let mut members = Vec::new();
        for (_, Ready { creation, host, answered, .. }) in ready {
            let answered = answered.as_ref().context("the hosts of a Swarm are waited for")?;
            let client = answered.client().clone();
            let address = creation.instance().private_address.context("the instance has no address")?;
            let nvidia = swarm::has_nvidia(&client).await?;
            let labels = swarm::labels(creation.instance(), nvidia, Some(creation.record().expires));
            members.push(Member { name: host.name(), client, address, labels });
        }
        let stop = self.flow.stop.token();
        tokio::select! {
            formed = swarm::form(&members, self.flow.observer) => formed,
            // The hosts that form it end.
            () = stop.cancelled() => Err(ProvisionError::Interrupted.into()),
        }
    }

    /// Writes the contexts of all; the first is the current one.
    async fn make_current(&self, ready: &[(usize, Ready)]) -> crate::Result<()> {
        let files = HostFiles::new(self.flow.lookup);
        let listed = files.list_first(ready.iter().map(|(_, one)| one.host.clone()).collect()).await;
        match listed {
            // A copy for other tools: hosts that work are not given up for it.
            Err(error) if self.flow.asked.wait => tracing::warn!("{error:#}"),
            listed => listed?,
        }
        for (position, (_, Ready { host, answered, .. })) in ready.iter().enumerate().rev() {
            match answered {
                Some(answered) if position == 0 => files.make_current(host, answered).await?,
                Some(answered) => files.keep_context(host, answered).await?,
                None => {}
            }
        }
        Ok(())
    }

    /// Undoes those that did not become ready, where enough others did.
    async fn leave_out(&self, unready: Vec<Unready>) -> Vec<FailedHost> {
        let mut failed = Vec::new();
        for Unready { position, creation, error } in unready {
            let report = self.progress.drive(self.provisioner.undo_several(vec![creation])).await;
            failed.push(FailedHost { number: position + 1, error: remaining(error, &report) });
        }
        failed
    }

    /// Undoes all of them.
    async fn give_up(&self, what: &str, mut creations: Vec<(usize, Creation)>, mut errors: Vec<Error>) -> Error {
        creations.sort_by_key(|(position, _)| *position);
        let creations = creations.into_iter().map(|(_, creation)| creation).collect();
        let report = self.progress.drive(self.provisioner.undo_several(creations)).await;
        // Those that were given up because of others say nothing of their own.
        errors.retain(|error| !is_interruption(error));
        if self.flow.stop.token().is_cancelled() || errors.is_empty() {
            return ProvisionError::Undone { error: Box::new(ProvisionError::Interrupted), report }.into();
        }
        let whole = Error::new(format!("{what}; undone: {}", report.undone.join(", ")));
        let whole = remaining(whole.because(errors.remove(0)), &report);
        errors.into_iter().fold(whole, Error::also)
    }
}

fn remaining(error: Error, report: &UndoReport) -> Error {
    report.remains.iter().fold(error, |error, remaining| error.remains(remaining.to_string()))
}
