//! The least IAM policy that each command needs.

mod forms;
mod scope;
mod size;
mod statement;
mod statements;

use futures_util::future::try_join_all;
use host_provisioner::OnIdle;

pub use forms::{cloudformation, document, explained, explanation, terraform};
pub use scope::{Narrowing, Scope};
pub use size::{Fit, LONGEST, fitting};
pub use statement::Statement;
pub use statements::{For, Task, allowing, statements};

use crate::{Files, Observer, Surroundings, config, lookup::Lookup, session::Session};

/// What a policy is asked for.
#[derive(Clone, Debug, Default)]
pub struct PolicyRequest {
    /// The tasks to allow; all, where none is named.
    pub tasks: Vec<Task>,
    /// Whether an administrator has made the groups and the mount target's access.
    pub prepared: bool,
    /// How its hosts get the app's files; by default over EFS as well.
    pub files: Option<Files>,
    /// What its hosts do when they are idle; by default what `sdocker.conf` says.
    pub on_idle: Option<OnIdle>,
    /// Whether it is for every user profile of the domain.
    pub domain_wide: bool,
    /// Whether nobody is asked about the domain.
    pub offline: bool,
    /// What it is limited to beside what is found out.
    pub narrowing: Narrowing,
}

/// The least statements that the tasks need, limited to this app's domain as far as SageMaker and EFS tell; the observer is told to what they are not
/// limited.
///
/// # Cancel safety
/// It only reads, and can be dropped at any time.
pub async fn least(asked: &PolicyRequest, surroundings: &Surroundings, observer: &dyn Observer) -> Vec<Statement> {
    let mut scope = Scope::default();
    if !asked.offline {
        match discovered(surroundings, observer).await {
            Ok(found) => scope = found,
            Err(error) => observer.warn(format!("the policy is not limited to a domain: {error:#}")),
        }
    }
    scope.apply(&asked.narrowing);
    if scope.region.is_none() {
        scope.region = surroundings.region.clone().or_else(|| surroundings.aws_region.clone());
    }
    if asked.domain_wide {
        scope.owner = None;
    }
    // A home without settings that can be read may still have a policy.
    let configured = || config::read(&Lookup::new(surroundings).layout.configuration_files()).ok()?.on_idle;
    let hosts = For::default()
        .prepared(asked.prepared)
        .mounts(!matches!(asked.files, Some(Files::Share | Files::None)))
        .stops(asked.on_idle.or_else(configured) == Some(OnIdle::Stop));
    let tasks: &[Task] = if asked.tasks.is_empty() { &Task::ALL } else { asked.tasks.as_slice() };
    let Fit { statements, widened } = fitting(&scope, |scope| statements(tasks, hosts, scope));
    for line in widened {
        observer.warn(line);
    }
    statements
}

/// As much as SageMaker and EFS say of this app's domain.
///
/// # Cancel safety
/// It only reads, and can be dropped at any time.
pub async fn discovered(surroundings: &Surroundings, observer: &dyn Observer) -> crate::Result<Scope> {
    let session = Session::open(surroundings, observer).await?;
    let environment = session.discover(observer).await?.environment;
    let scope = Scope::of(&environment);
    let mount_targets = &session.clouds.cloud.mount_targets;
    let found = try_join_all(environment.file_systems().iter().map(|id| mount_targets.list(id))).await;
    match found {
        Ok(targets) => Ok(scope.with_mount_targets(&targets.concat())),
        Err(error) => {
            observer.warn(format!("the policy is not limited to the mount targets: {error}"));
            Ok(scope)
        }
    }
}
