//! Which cloud it is, and how it is reached.

#[cfg(feature = "aws")]
pub(crate) mod aws;
#[cfg(feature = "aws")]
mod connections;

use std::{path::PathBuf, sync::Arc};

use host_provisioner::{Cloud, sandbox::Sandbox};
use studio_discovery::{LifecycleConfigs, Region, StudioApi};

use crate::{args::CloudChoice, failure::Hinted, layout::Layout, printer::Printer, world::World};

/// A cloud, and the SageMaker of its Region.
#[derive(Clone)]
pub(crate) struct Clouds {
    pub(crate) cloud: Cloud,
    pub(crate) studio: Arc<dyn StudioApi>,
    /// The sandbox has none.
    pub(crate) lifecycle_configs: Option<Arc<dyn LifecycleConfigs>>,
}

/// Where hosts run: as the user chose; else in AWS where anything points there; else in the sandbox.
pub(crate) fn choose(world: &World) -> CloudChoice {
    // What is there and can't be read is there: reading it says why.
    let in_studio = || is_there(&metadata_file(&world.metadata_root.clone().unwrap_or_else(|| PathBuf::from("/"))));
    match world.cloud {
        Some(choice) => choice,
        None if cfg!(feature = "aws") && (world.has_aws_settings || in_studio()) => CloudChoice::Aws,
        None => CloudChoice::Sandbox,
    }
}

/// Whether a file is there, or may be: only "no such file" says that it is not.
fn is_there(path: &std::path::Path) -> bool {
    !matches!(path.symlink_metadata(), Err(error) if error.kind() == std::io::ErrorKind::NotFound)
}

fn metadata_file(root: &std::path::Path) -> PathBuf {
    root.join("opt/ml/metadata/resource-metadata.json")
}

/// The folder that prefixes Studio's metadata files. The sandbox plays Studio where nobody else does.
pub(crate) fn metadata_root(world: &World) -> anyhow::Result<PathBuf> {
    if choose(world) == CloudChoice::Aws {
        return Ok(world.metadata_root.clone().unwrap_or_else(|| PathBuf::from("/")));
    }
    if let Some(root) = &world.metadata_root
        && is_there(&metadata_file(root))
    {
        return Ok(root.clone());
    }
    let root = Layout::new(world).sandbox().join("studio");
    open_sandbox(world)?.write_metadata(&root)?;
    Ok(root)
}

fn open_sandbox(world: &World) -> anyhow::Result<Sandbox> {
    let missing = Sandbox::PROGRAMS.into_iter().find(|(program, _)| world.which(program).is_none());
    let error = if !rustix::process::geteuid().is_root() {
        Hinted::new("the sandbox needs root").hint("run sdocker with sudo")
    } else if let Some((program, package)) = missing {
        Hinted::new(format!("the sandbox needs {program}"))
            .hint(format!("on Debian and Ubuntu: `sudo apt-get install {package}`"))
    } else {
        return Ok(Sandbox::open(&Layout::new(world).sandbox())?);
    };
    Err(match world.cloud {
        Some(_) => error.into(),
        None => error.hint("there is no AWS here, so hosts run in the sandbox; --cloud aws takes AWS").into(),
    })
}

/// The cloud in a Region.
pub(crate) async fn open(world: &World, region: Option<&Region>, printer: &Printer) -> anyhow::Result<Clouds> {
    open_in(world, choose(world), region, printer).await
}

/// This cloud in a Region.
pub(crate) async fn open_in(
    world: &World,
    choice: CloudChoice,
    region: Option<&Region>,
    printer: &Printer,
) -> anyhow::Result<Clouds> {
    match choice {
        CloudChoice::Sandbox => {
            if world.cloud.is_none() && choose(world) == CloudChoice::Sandbox {
                printer.info("no AWS here: using the sandbox on this machine (--cloud aws for AWS)");
            }
            let sandbox = open_sandbox(world)?;
            Ok(Clouds { cloud: sandbox.cloud(), studio: sandbox.studio_api(), lifecycle_configs: None })
        }
        CloudChoice::Aws => open_aws(world, region).await,
    }
}

#[cfg(feature = "aws")]
async fn open_aws(world: &World, region: Option<&Region>) -> anyhow::Result<Clouds> {
    let config = aws::config(world, region).await?;
    let sagemaker = Arc::new(studio_discovery::aws::SageMakerApi::new(&config));
    Ok(Clouds {
        cloud: host_provisioner::aws::cloud(&config),
        studio: sagemaker.clone(),
        lifecycle_configs: Some(sagemaker),
    })
}

#[cfg(not(feature = "aws"))]
#[expect(clippy::unused_async, reason = "the other build awaits")]
async fn open_aws(_world: &World, _region: Option<&Region>) -> anyhow::Result<Clouds> {
    Err(Hinted::new("this sdocker was built without AWS").hint("build it with the feature `aws`").into())
}
