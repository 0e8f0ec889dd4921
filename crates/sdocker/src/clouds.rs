//! Which cloud it is, and how it is reached.

#[cfg(feature = "aws")]
pub(crate) mod aws;
#[cfg(feature = "aws")]
mod connections;
#[cfg(feature = "aws")]
mod price_list;

use std::{path::PathBuf, sync::Arc};

use host_provisioner::{Cloud, sandbox::Sandbox};
use studio_discovery::{LifecycleConfigs, Region, StudioApi};

use crate::{CloudChoice, Error, Observer, Surroundings, layout::Layout};

/// A cloud, and the SageMaker of its Region.
#[derive(Clone)]
pub struct Clouds {
    pub cloud: Cloud,
    pub studio: Arc<dyn StudioApi>,
    /// The sandbox has none.
    pub lifecycle_configs: Option<Arc<dyn LifecycleConfigs>>,
    /// The sandbox has none.
    pub(crate) price_list: Option<PriceList>,
}

#[cfg(feature = "aws")]
pub(crate) use price_list::PriceList;

/// There is none without AWS.
#[cfg(not(feature = "aws"))]
#[derive(Clone, Copy, Debug)]
pub(crate) enum PriceList {}

#[cfg(not(feature = "aws"))]
impl PriceList {
    #[expect(clippy::unused_async, reason = "the other build awaits")]
    pub(crate) async fn price(&self, _: &Region, _: crate::cost::Product<'_>) -> crate::Result<Option<f64>> {
        match *self {}
    }
}

/// Where hosts run: as the user chose; else in AWS where anything points there; else in the sandbox.
pub(crate) fn choose(surroundings: &Surroundings) -> CloudChoice {
    // What is there and can't be read is there: reading it says why.
    let in_studio =
        || is_there(&metadata_file(&surroundings.metadata_root.clone().unwrap_or_else(|| PathBuf::from("/"))));
    match surroundings.cloud {
        Some(choice) => choice,
        None if cfg!(feature = "aws") && (surroundings.points_at_aws() || in_studio()) => CloudChoice::Aws,
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
pub(crate) fn metadata_root(surroundings: &Surroundings) -> crate::Result<PathBuf> {
    if choose(surroundings) == CloudChoice::Aws {
        return Ok(surroundings.metadata_root.clone().unwrap_or_else(|| PathBuf::from("/")));
    }
    if let Some(root) = &surroundings.metadata_root
        && is_there(&metadata_file(root))
    {
        return Ok(root.clone());
    }
    let root = Layout::new(surroundings).sandbox().join("studio");
    open_sandbox(surroundings)?.write_metadata(&root)?;
    Ok(root)
}

fn open_sandbox(surroundings: &Surroundings) -> crate::Result<Sandbox> {
    let missing = Sandbox::PROGRAMS.into_iter().find(|(program, _)| surroundings.which(program).is_none());
    let error = if !rustix::process::geteuid().is_root() {
        Error::new("the sandbox needs root").hint("run sdocker with sudo")
    } else if let Some((program, package)) = missing {
        Error::new(format!("the sandbox needs {program}"))
            .hint(format!("on Debian and Ubuntu: `sudo apt-get install {package}`"))
    } else {
        return Ok(Sandbox::open(&Layout::new(surroundings).sandbox())?);
    };
    Err(match surroundings.cloud {
        Some(_) => error,
        None => error.hint("nothing here points to AWS, so hosts run in the sandbox; --cloud aws uses AWS"),
    })
}

/// The cloud in a Region.
pub(crate) async fn open(
    surroundings: &Surroundings,
    region: Option<&Region>,
    observer: &dyn Observer,
) -> crate::Result<Clouds> {
    open_in(surroundings, choose(surroundings), region, observer).await
}

/// This cloud in a Region.
pub(crate) async fn open_in(
    surroundings: &Surroundings,
    choice: CloudChoice,
    region: Option<&Region>,
    observer: &dyn Observer,
) -> crate::Result<Clouds> {
    match choice {
        CloudChoice::Sandbox => {
            if surroundings.cloud.is_none() && choose(surroundings) == CloudChoice::Sandbox {
                observer.info("no AWS here: using the sandbox on this machine (--cloud aws for AWS)");
            }
            let sandbox = open_sandbox(surroundings)?;
            Ok(Clouds {
                cloud: sandbox.cloud(),
                studio: sandbox.studio_api(),
                lifecycle_configs: None,
                price_list: None,
            })
        }
        CloudChoice::Aws => open_aws(surroundings, region).await,
    }
}

/// What a server said to a GET request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer {
    pub status: u16,
    /// Whether it speaks as registries of images do.
    pub is_registry: bool,
}

/// Asks a server as AWS is asked: through the proxies of the environment, believing the same certificates.
#[cfg(feature = "aws")]
pub(crate) async fn ask(url: &str, surroundings: &Surroundings) -> crate::Result<Answer> {
    connections::ask(url, surroundings).await
}

#[cfg(not(feature = "aws"))]
#[expect(clippy::unused_async, reason = "the other build awaits")]
pub(crate) async fn ask(_url: &str, _surroundings: &Surroundings) -> crate::Result<Answer> {
    Err(Error::new("this sdocker was built without AWS"))
}

#[cfg(feature = "aws")]
async fn open_aws(surroundings: &Surroundings, region: Option<&Region>) -> crate::Result<Clouds> {
    let config = aws::config(surroundings, region).await?;
    let sagemaker = Arc::new(studio_discovery::aws::SageMakerApi::new(&config));
    Ok(Clouds {
        cloud: host_provisioner::aws::cloud(&config),
        studio: sagemaker.clone(),
        lifecycle_configs: Some(sagemaker),
        price_list: Some(PriceList::new(&config, surroundings)),
    })
}

#[cfg(not(feature = "aws"))]
#[expect(clippy::unused_async, reason = "the other build awaits")]
async fn open_aws(_world: &Surroundings, _region: Option<&Region>) -> crate::Result<Clouds> {
    Err(Error::new("this sdocker was built without AWS").hint("build it with the feature `aws`"))
}
