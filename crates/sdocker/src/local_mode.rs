//! `sdocker configure`: everything that the SageMaker Python SDK's Local Mode needs on this side.

use std::{
    fs,
    path::{Path, PathBuf},
};

use host_provisioner::shared_paths;
use localmode_config::{Action, Left, Request, SharedFolder, not_visible, plan, undo};
use serde::{Serialize, Serializer};
use studio_discovery::{AppKind, LocalFacts, StudioEnvironment};

use crate::{
    Error, Observer, Surroundings, clients, detours,
    error::Context as _,
    link::{self, Lent},
    lookup::Lookup,
    request::Ways,
    session::Session,
    setup::{self, Found},
};

/// Where the SDK puts its data in the home, whatever its configuration says.
const SDK_FOLDER: &str = "tmp";

/// How long an instance metadata service may take to be connected to: it is next door, or there is none.
const METADATA_WITHIN: std::time::Duration = std::time::Duration::from_secs(1);

/// What configuring Local Mode did, or would do.
#[derive(Debug, Default, Serialize)]
#[non_exhaustive]
pub struct Configured {
    /// What was done; what would be, where nothing was to be changed.
    pub actions: Vec<String>,
    /// What stays although it was asked to go, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub kept: Vec<String>,
    /// What stays as it is although Local Mode would have it otherwise, and why.
    #[serde(serialize_with = "in_words", skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<Left>,
    /// Whether nothing was to be changed.
    pub dry_run: bool,
    #[serde(skip)]
    moves: Vec<Action>,
    #[serde(skip)]
    environment: Option<StudioEnvironment>,
}

fn in_words<S: Serializer>(left: &[Left], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(left.iter().map(ToString::to_string))
}

/// Puts back what was there before Local Mode was configured.
///
/// # Errors
/// A record or a file that can't be read or written.
pub fn deconfigure(surroundings: &Surroundings) -> crate::Result<Configured> {
    let undone = undo(&Lookup::new(surroundings).layout.configure_record())?;
    Ok(Configured { actions: undone.done, kept: undone.kept, ..Configured::default() })
}

/// Configures Local Mode; with `dry_run`, only says how.
///
/// # Cancel safety
/// It can be dropped at any time, and repeated. Nothing is changed before SageMaker has answered, and nothing is waited for after.
///
/// # Errors
/// No Studio app, or one of whose domain SageMaker does not tell; a file that can't be read or written.
pub async fn configure(
    surroundings: &Surroundings,
    dry_run: bool,
    observer: &dyn Observer,
) -> crate::Result<Configured> {
    let lookup = Lookup::new(surroundings);
    let session = Session::open(surroundings, observer).await?;
    let environment = session.discover(observer).await?.environment;
    let plan = plan(&request(surroundings, &session.facts, &lookup))?;
    let (actions, left) = if dry_run {
        (plan.actions, plan.left)
    } else {
        let applied = localmode_config::apply(&plan)?;
        (applied.done, applied.left)
    };
    Ok(Configured {
        actions: actions.iter().map(ToString::to_string).collect(),
        left,
        dry_run,
        moves: if dry_run { Vec::new() } else { actions },
        environment: Some(environment),
        ..Configured::default()
    })
}

/// Warns of everything that stands in Local Mode's way after it was configured. `folders` hold data for containers.
///
/// # Cancel safety
/// It only reads, and can be dropped at any time.
pub async fn warn_of_obstacles(
    configured: &Configured,
    folders: &[PathBuf],
    surroundings: &Surroundings,
    observer: &dyn Observer,
) {
    let Some(environment) = &configured.environment else { return };
    let lookup = Lookup::new(surroundings);
    warn_of_left(&configured.left, observer);
    warn_of_moves(&configured.moves, observer);
    if let Ok(host) = lookup.current(|_| String::new()) {
        clients::warn(&clients::obstacles(surroundings, &host).await, observer);
        detours::warn(&detours::blocked_from(surroundings, &lookup, &host).await, surroundings.in_notebook, observer);
    }
    warn_of_invisible(surroundings, environment, folders, observer);
    warn_of_credentials(surroundings, observer).await;
    for missing in Found::look(surroundings, &setup::default_bin(surroundings), None).tools().missing() {
        observer.warn(format!("Local Mode does not find {missing}"));
        observer.hint("`sdocker setup` installs it");
    }
    if !environment.app.kind.home_is_efs() {
        observer.hint(
            "a host that was created before this sees the folders only if it was created by this version of sdocker",
        );
    }
}

/// Configures Local Mode for an app, and returns what was done.
pub fn apply(
    surroundings: &Surroundings,
    facts: &LocalFacts,
    lookup: &Lookup,
    ways: Ways,
    observer: &dyn Observer,
) -> crate::Result<Vec<String>> {
    let mut request = request(surroundings, facts, lookup);
    match request.shared {
        _ if ways.lends && !ways.mounts => {
            make_real(&request.home.join(SDK_FOLDER))?;
            request.shared = SharedFolder::Home;
        }
        SharedFolder::Nowhere if ways.lends => request.shared = SharedFolder::Home,
        // This host is lent nothing, whatever others are.
        SharedFolder::Home if !ways.lends && !facts.app().kind.home_is_efs() => request.shared = SharedFolder::Nowhere,
        _ => {}
    }
    let applied = localmode_config::apply(&plan(&request)?)?;
    warn_of_left(&applied.left, observer);
    warn_of_moves(&applied.done, observer);
    Ok(applied.done.iter().map(|action| format!("Local Mode: {action}")).collect())
}

/// In a space, whose home is an EBS volume, the folders that Local Mode uses must lie on EFS before the host is planned, because the
/// host mounts what is there then. Whether anything was changed.
///
/// What can't be done is said, and never keeps a host from being created.
pub fn prepare_space(
    surroundings: &Surroundings,
    facts: &LocalFacts,
    lookup: &Lookup,
    observer: &dyn Observer,
) -> bool {
    let request = request(surroundings, facts, lookup);
    if !matches!(request.shared, SharedFolder::At(_)) {
        return false;
    }
    match plan(&request).and_then(|plan| Ok((localmode_config::apply(&plan)?, plan.actions.is_empty()))) {
        Ok((applied, was_done)) => {
            // What is left is said once the host is there, by `apply`.
            warn_of_moves(&applied.done, observer);
            !was_done
        }
        Err(error) => {
            let error = Error::from(error);
            observer.warn(format!("Local Mode's folders are not ready, so containers will not share them: {error:#}"));
            observer.hint("fix it, run `sdocker configure`, then create another host");
            true
        }
    }
}

/// Replaces a link by a folder: the SDK does not follow it, and where it leads the host may see nothing. What it leads to stays.
fn make_real(folder: &Path) -> crate::Result<()> {
    if folder.is_symlink() {
        fs::remove_file(folder).with_context(|| format!("cannot remove the link {}", folder.display()))?;
        fs::create_dir(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    Ok(())
}

fn warn_of_left(left: &[Left], observer: &dyn Observer) {
    for left in left {
        observer.warn(left);
        for advice in &left.advice {
            observer.hint(advice);
        }
    }
}

/// What is the user's and lies elsewhere now.
fn warn_of_moves(done: &[Action], observer: &dyn Observer) {
    for (path, to) in done.iter().filter_map(Action::moves) {
        observer.warn(format!("moved {} to {}: Local Mode needs that path", path.display(), to.display()));
        observer.hint("`sdocker configure --undo` moves it back");
    }
}

fn request(surroundings: &Surroundings, facts: &LocalFacts, lookup: &Lookup) -> Request {
    let shared = match facts.shared_folder() {
        _ if facts.app().kind.home_is_efs() => SharedFolder::Home,
        Some(efs) => SharedFolder::At(efs.join(".sdocker/local-mode")),
        None if Ways::lends_by_default(facts.app().kind, surroundings) => SharedFolder::Home,
        None => SharedFolder::Nowhere,
    };
    Request { home: surroundings.home.clone(), shared, record: lookup.layout.configure_record() }
}

/// The folders that the app lends the current host, or would lend the next one.
fn lent(surroundings: &Surroundings, kind: AppKind) -> Vec<PathBuf> {
    let current = Lookup::new(surroundings).current(|_| String::new()).ok();
    let lent = match current {
        Some(host) => link::lent(surroundings, &host.name).ok().flatten(),
        None if Ways::lends_by_default(kind, surroundings) => Lent::of(&[], surroundings).ok(),
        None => None,
    };
    lent.map(|lent| lent.shares().into_iter().map(|share| share.path).collect()).unwrap_or_default()
}

/// Warns where the SDK would give containers no credentials: it takes a metadata service that this app reaches for one that they reach too.
async fn warn_of_credentials(surroundings: &Surroundings, observer: &dyn Observer) {
    let Some(service) = surroundings.instance_metadata.as_ref().filter(|_| !surroundings.use_short_lived_credentials)
    else {
        return;
    };
    let connected = tokio::time::timeout(METADATA_WITHIN, tokio::net::TcpStream::connect(service)).await;
    if let Ok(Ok(_)) = connected {
        observer.warn(format!(
            "this app reaches an instance metadata service at {service}, and containers on a host do not: with temporary credentials the \
             SageMaker Python SDK gives them none"
        ));
        observer.hint(
            "set USE_SHORT_LIVED_CREDENTIALS=1, as `sdocker env` does: containers then have this app's credentials until those expire",
        );
    }
}

fn warn_of_invisible(
    surroundings: &Surroundings,
    environment: &StudioEnvironment,
    folders: &[PathBuf],
    observer: &dyn Observer,
) {
    let mut shared = shared_paths(environment);
    shared.extend(lent(surroundings, environment.app.kind));
    let cwd = surroundings.cwd.clone().unwrap_or_default();
    let mut looked_at: Vec<PathBuf> = folders.iter().map(|folder| cwd.join(folder)).collect();
    looked_at.extend(surroundings.cwd.clone());
    for path in not_visible(looked_at.iter().map(PathBuf::as_path), &shared) {
        observer.warn(format!(
            "{} is not on storage that a host sees: containers would get an empty folder in its place",
            path.display()
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Notice, observer::MockObserver};

    #[tokio::test]
    async fn containers_without_credentials_are_said() {
        let service = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let mut surroundings = Surroundings::new("/nowhere");
        let said = async |surroundings: &Surroundings| {
            let warnings = std::sync::Arc::new(std::sync::Mutex::new(0));
            let counted = warnings.clone();
            let mut observer = MockObserver::new();
            observer.expect_notice().returning(move |notice| {
                if let (Notice::Warning(_), Ok(mut counted)) = (notice, counted.lock()) {
                    *counted += 1;
                }
            });
            warn_of_credentials(surroundings, &observer).await;
            *warnings.lock().expect("not poisoned")
        };
        assert_eq!(said(&surroundings).await, 0);
        surroundings.instance_metadata = Some(service.local_addr().expect("an address").to_string());
        assert_eq!(said(&surroundings).await, 1);
        surroundings.use_short_lived_credentials = true;
        assert_eq!(said(&surroundings).await, 0);
    }

    #[test]
    fn its_json_is_what_programs_read() {
        let json = |configured: &Configured| serde_json::to_string(configured).expect("JSON");
        assert_eq!(json(&Configured::default()), r#"{"actions":[],"dry_run":false}"#);
        let undone = Configured { actions: vec!["a".to_owned()], kept: vec!["b".to_owned()], ..Configured::default() };
        assert_eq!(json(&undone), r#"{"actions":["a"],"kept":["b"],"dry_run":false}"#);
    }
}
