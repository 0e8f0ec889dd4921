//! The least IAM policy that each command needs.

mod forms;
mod scope;
mod size;
mod statement;
mod statements;

use futures_util::future::try_join_all;

pub use forms::{cloudformation, document, explained, explanation, terraform};
pub use scope::{Narrowing, Scope};
pub use size::{Fit, LONGEST, fitting};
pub use statement::Statement;
pub use statements::{For, Task, allowing, statements};

use crate::{Observer, Surroundings, session::Session};

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
