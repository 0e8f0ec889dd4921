//! One command's view of Studio and the cloud, loaded once.

use host_provisioner::Provisioner;
use studio_discovery::{Discovery, LocalFacts, LocalSources};
use tokio_util::sync::CancellationToken;

use std::sync::Arc;

use crate::{
    client_files::HostFiles,
    clouds::{self, Clouds},
    lookup::Lookup,
    printer::Printer,
    progress::Progress,
    waiting::Waiting,
    world::World,
};

/// What this app knows of itself without asking anybody.
pub(crate) fn local_facts(world: &World) -> anyhow::Result<LocalFacts> {
    let sources = LocalSources {
        metadata_root: clouds::metadata_root(world)?,
        home: world.home.clone(),
        region: world.region_option.clone(),
        aws_region: world.aws_region.clone(),
        region_name: world.region_name.clone(),
    };
    Ok(LocalFacts::read(&sources)?)
}

/// A Studio app with its cloud.
pub(crate) struct Session {
    pub(crate) facts: LocalFacts,
    pub(crate) clouds: Clouds,
}

impl Session {
    /// Opens the cloud of the app's Region.
    pub(crate) async fn open(world: &World, printer: &Printer) -> anyhow::Result<Self> {
        let facts = local_facts(world)?;
        for conflict in facts.region_conflicts() {
            printer.warn(conflict);
        }
        let clouds = clouds::open(world, Some(facts.region()), printer).await?;
        Ok(Self { facts, clouds })
    }

    /// Asks SageMaker about the app's domain.
    pub(crate) async fn discover(&self, printer: &Printer) -> anyhow::Result<Discovery> {
        let waiting = Waiting::visibly(printer, "asking SageMaker about this app's domain");
        let discovery = studio_discovery::discover(&self.facts, self.clouds.studio.as_ref()).await?;
        drop(waiting);
        for warning in &discovery.warnings {
            printer.warn(warning);
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
