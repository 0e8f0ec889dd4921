//! The steps of a host's life: a file for each kind of thing that a creation makes or changes, and one executor that drives them.
//!
//! A kind says, side by side: what it intends (what the journal holds before anything is changed), how it applies, what a lost outcome came
//! to, how it is undone, which calls that comes to, and which permissions they need. [`StepKind`] lists the kinds. Whatever looks at a
//! creation iterates over that list or matches on it: the executor, `--dry-run`, the policy, preflight and the failure matrix.

mod call;
pub(crate) mod executor;
mod instance;
mod mount_access;
mod permission;
mod planned;
mod security_group;
mod work;

pub(crate) use call::Asks;
pub use call::PlannedCall;
pub(crate) use executor::Executor;
pub(crate) use instance::{Asked, LaunchStep, WantedLaunch, recorded};
pub(crate) use mount_access::AccessStep;
pub use permission::{Action, Condition, On, Permission, Task, Whose, permissions};
pub(crate) use planned::{Made, PlannedStep, steps};
pub(crate) use security_group::{GroupStep, WantedGroup};
pub(crate) use work::Work;

use std::future::Future;

use crate::{Activity, CloudError, Intent, OpenRecord, ProvisionError, Record, RecordedInstance};

/// The kinds of steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StepKind {
    /// A security group, with its rules.
    SecurityGroup,
    /// A host's way to a mount target: a group on the target's list.
    MountAccess,
    /// An instance.
    Instance,
}

impl StepKind {
    /// All of them, in the order in which a creation takes them.
    pub const ALL: [Self; 3] = [Self::SecurityGroup, Self::MountAccess, Self::Instance];

    /// What its calls need.
    pub fn permissions(self) -> &'static [Permission] {
        match self {
            Self::SecurityGroup => GroupStep::PERMISSIONS,
            Self::MountAccess => AccessStep::PERMISSIONS,
            Self::Instance => LaunchStep::PERMISSIONS,
        }
    }
}

/// A kind of step.
///
/// The first half works from a plan, the second from the journal alone, as a process that comes later has nothing else.
pub(crate) trait Kind {
    /// What a plan says of one.
    type Wanted: Send + Sync;
    /// What is there once it is done.
    type Made: Send + Sync;
    /// What the journal holds of one.
    type Intended: Clone + Send + Sync;
    /// What finds it again.
    type Target: Send + Sync;

    /// What its calls need.
    const PERMISSIONS: &'static [Permission];
    /// Whether it ends with its host. What hosts share does not.
    const ENDS_WITH_HOST: bool;
    /// Whether [`complete`](Self::complete) tells observers of something of its own, after the step itself.
    const COMPLETION_SPEAKS: bool = false;

    /// What observers are told of it.
    fn activity(wanted: &Self::Wanted) -> Activity;

    /// What the journal is to hold before anything is changed.
    fn intend(wanted: &Self::Wanted) -> Intent;

    /// What is there already, whoever made it. Then nothing is intended.
    fn present(
        work: &Work,
        wanted: &Self::Wanted,
    ) -> impl Future<Output = Result<Option<Self::Made>, ProvisionError>> + Send;

    /// Makes the change, once the intent is durable.
    fn apply(
        work: &Work,
        wanted: &Self::Wanted,
        slot: &mut Slot<'_>,
    ) -> impl Future<Output = Result<Applied<Self::Made>, ProvisionError>> + Send;

    /// Writes into the journal what was made: into the intent, and of the instance, where that is what was made.
    fn note(made: &Self::Made, intent: &mut Intent, instance: &mut Option<RecordedInstance>);

    /// What else it needs, once the journal knows what is there.
    fn complete(
        work: &Work,
        wanted: &Self::Wanted,
        made: Self::Made,
        origin: Origin,
        slot: Option<Slot<'_>>,
    ) -> impl Future<Output = Result<Self::Made, ProvisionError>> + Send;

    /// What the journal holds of one that was made.
    fn known(intended: &Self::Intended) -> Option<Self::Target>;

    /// What an intent came to whose outcome was lost.
    fn resolve(
        work: &Work,
        intended: &Self::Intended,
        record: &Record,
    ) -> impl Future<Output = Result<Resolved<Self::Target>, ProvisionError>> + Send;

    /// Takes away what was made. What is gone already is no error, so that this may be repeated.
    fn undo(
        work: &Work,
        target: Self::Target,
        intended: &Self::Intended,
        record: &Record,
    ) -> impl Future<Output = Result<Undone, ProvisionError>> + Send;
}

/// The place in the journal of a step that is being done.
pub(crate) struct Slot<'r> {
    pub(crate) open: &'r mut OpenRecord,
    pub(crate) number: usize,
}

/// Who made what is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// This creation.
    Created,
    /// Somebody else, between our look and our call.
    Adopted,
    /// Somebody else, before.
    Present,
}

/// What applying came to.
pub(crate) enum Applied<M> {
    /// It is there, and this creation made it.
    Made(M),
    /// It is there, and somebody else made it.
    Found(M),
    /// It is not there.
    Refused(ProvisionError),
    /// Nobody knows. The journal keeps the intent, for whoever resolves it.
    Unknown(ProvisionError),
}

impl<M> Applied<M> {
    /// What an error of the one call says.
    pub(crate) fn failed(error: CloudError) -> Self {
        if error.outcome_is_unknown() { Self::Unknown(error.into()) } else { Self::Refused(error.into()) }
    }
}

/// What a lost outcome came to.
pub(crate) enum Resolved<T> {
    /// It is there, and this creation made it.
    Made(T),
    /// This creation made none.
    Never,
    /// It can't be told who made what is there; it is left, and named.
    Untold(String),
}

/// What became of a step that was to be undone.
pub(crate) enum Undone {
    /// It is gone; what it was.
    Gone(String),
    /// There was nothing.
    Nothing,
    /// Others use it by now; what it is.
    InUse(String),
}

/// How an instance ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By this call.
    Now,
    /// Before this call.
    Already,
}
