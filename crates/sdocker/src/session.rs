//! One command's view of Studio and the cloud, loaded once.

use host_provisioner::Provisioner;
use studio_discovery::{Discovery, LocalFacts, LocalSources};
use tokio_util::sync::CancellationToken;

use std::sync::Arc;

use crate::{
    Observer, Surroundings,
    client_files::HostFiles,
    clouds::{self, Clouds},
    lookup::Lookup,
    progress::Progress,
};

/// What this app knows of itself without asking anybody.
pub(crate) fn local_facts(surroundings: &Surroundings) -> crate::Result<LocalFacts> {
    let sources = LocalSources {
        metadata_root: clouds::metadata_root(surroundings)?,
        home: surroundings.home.clone(),
        region: surroundings.region.clone(),
        aws_region: surroundings.aws_region.clone(),
        region_name: surroundings.region_name.clone(),
    };
    Ok(LocalFacts::read(&sources)?)
}

/// A Studio app with its cloud.
#[derive(Clone)]
pub struct Session {
    /// What the app knows of itself.
    pub facts: LocalFacts,
    /// The cloud of its Region.
    pub clouds: Clouds,
}

impl Session {
    /// Opens the cloud of the app's Region.
    ///
    /// # Cancel safety
    /// It only reads, and can be dropped at any time.
    pub async fn open(surroundings: &Surroundings, observer: &dyn Observer) -> crate::Result<Self> {
        let facts = local_facts(surroundings)?;
        for conflict in facts.region_conflicts() {
            observer.warn(conflict);
        }
        let clouds = clouds::open(surroundings, Some(facts.region()), observer).await?;
        Ok(Self { facts, clouds })
    }

    /// Asks SageMaker about the app's domain.
    ///
    /// # Cancel safety
    /// It only reads, and can be dropped at any time.
    pub async fn discover(&self, observer: &dyn Observer) -> crate::Result<Discovery> {
        let waiting = observer.asking("asking SageMaker about this app's domain");
        let discovery = studio_discovery::discover(&self.facts, self.clouds.studio.as_ref()).await?;
        drop(waiting);
        for warning in &discovery.warnings {
            observer.warn(warning);
        }
        Ok(discovery)
    }
}

/// A provisioner over a cloud and this home.
pub(crate) fn provisioner(
    clouds: &Clouds,
    lookup: &Lookup,
    progress: &Progress<'_>,
    stop: CancellationToken,
) -> Provisioner {
    let files = Arc::new(HostFiles::new(lookup));
    Provisioner::new(clouds.cloud.clone(), lookup.journal.clone(), files, progress.observer(), stop)
}
