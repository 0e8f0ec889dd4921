//! The reads that a plan needs, all at once.

use std::collections::BTreeSet;

use futures_util::future::{join_all, try_join_all};
use studio_discovery::{FileSystemId, StudioEnvironment};

use crate::{
    Architecture, Cloud, HostRequest, Image, ImageFilter, InstanceTypeInfo, MountTarget, MountTargetId, ProvisionError,
    SecurityGroup, Warning, group_plan, instance_type,
};

/// What the cloud looks like before a host is planned.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Survey {
    /// The instance type.
    pub instance_type: InstanceTypeInfo,
    /// The images to choose from: those of the right kind, or the one that the configuration names.
    pub images: Vec<Image>,
    /// The mount targets of every file system that the app has mounted.
    pub mount_targets: Vec<MountTarget>,
    /// The groups of the VPC that may be the domain's, by their names; or those that an administrator prepared, as far as they may be read.
    pub groups: Vec<SecurityGroup>,
    /// The groups of the mount targets, where prepared groups must be let in by them as they are; those that may be read.
    pub mount_target_groups: Vec<(MountTargetId, Vec<SecurityGroup>)>,
    /// What could not be read, and what is lost by it.
    pub warnings: Vec<Warning>,
}

impl Survey {
    /// Reads what a plan needs, with independent calls at the same time.
    ///
    /// # Cancel safety
    /// It only reads, and can be dropped at any time.
    ///
    /// # Errors
    /// An instance type or image that does not exist, and every failed call but a refused `ec2:DescribeInstanceTypes`, in place
    /// of which the type's name is read.
    pub async fn take(
        cloud: &Cloud,
        environment: &StudioEnvironment,
        request: &HostRequest,
    ) -> Result<Self, ProvisionError> {
        let guess = instance_type::guess(&request.instance_type);
        let guessed_filter = guess.as_ref().map(image_filter);
        let (answer, guessed_images, groups, mount_targets) = tokio::try_join!(
            describe_type(cloud, request),
            images(cloud, request, guessed_filter.as_ref()),
            groups(cloud, environment, request),
            mount_targets(cloud, environment),
        )?;
        let mut warnings = Vec::new();
        let instance_type = match answer {
            TypeAnswer::Known(info) => info,
            TypeAnswer::Unknown => return Err(unknown_type(request)),
            TypeAnswer::Refused => {
                warnings.push(Warning::TypeNotDescribed { instance_type: request.instance_type.clone() });
                guess.ok_or_else(|| unknown_type(request))?
            }
        };
        let filter = image_filter(&instance_type);
        let images = match guessed_images {
            Some(images) if request.config.image.is_some() || guessed_filter.as_ref() == Some(&filter) => images,
            _ => images(cloud, request, Some(&filter)).await?.unwrap_or_default(),
        };
        let mount_target_groups = match request.config.security_groups[..] {
            [] => Vec::new(),
            _ => mount_target_groups(cloud, &mount_targets).await,
        };
        Ok(Self { instance_type, images, mount_targets, groups, mount_target_groups, warnings })
    }
}

enum TypeAnswer {
    Known(InstanceTypeInfo),
    Unknown,
    Refused,
}

fn unknown_type(request: &HostRequest) -> ProvisionError {
    ProvisionError::UnknownInstanceType {
        instance_type: request.instance_type.clone(),
        suggestions: instance_type::suggestions(&request.instance_type),
    }
}

async fn describe_type(cloud: &Cloud, request: &HostRequest) -> Result<TypeAnswer, ProvisionError> {
    match cloud.instance_types.describe(&request.instance_type).await {
        Ok(Some(info)) => Ok(TypeAnswer::Known(info)),
        Ok(None) => Ok(TypeAnswer::Unknown),
        Err(error) if error.is_access_denied() => Ok(TypeAnswer::Refused),
        Err(error) => Err(error.into()),
    }
}

/// Names of the images that AWS publishes for this purpose: the ECS-optimised Amazon Linux 2023 image, which brings Docker, and
/// the Deep Learning Base image with NVIDIA's driver. Found by name and owner, because `ssm:GetParameter` is not among the
/// permissions that the first `sdocker` asked for.
///
/// The names hold a date and, of the ECS-optimised ones, a kernel (aws/amazon-ecs-ami, `al2023.pkr.hcl`): the newest date counts, whatever the
/// kernel.
///
/// The engine does not matter: Docker in Docker on a GPU type needs the driver on the host as well.
fn image_filter(instance_type: &InstanceTypeInfo) -> ImageFilter {
    let name = match (instance_type.nvidia_gpus > 0, instance_type.architecture) {
        (false, architecture) => format!("al2023-ami-ecs-hvm-2023.0.????????-kernel-*-{}", architecture.as_str()),
        (true, Architecture::X86_64) => {
            "Deep Learning Base OSS Nvidia Driver GPU AMI (Amazon Linux 2023) ????????".to_owned()
        }
        (true, Architecture::Arm64) => {
            "Deep Learning ARM64 Base OSS Nvidia Driver GPU AMI (Amazon Linux 2023) ????????".to_owned()
        }
    };
    ImageFilter { names: vec![name] }
}

/// The images to choose from; `None` where it is not known yet what to ask for.
async fn images(
    cloud: &Cloud,
    request: &HostRequest,
    filter: Option<&ImageFilter>,
) -> Result<Option<Vec<Image>>, ProvisionError> {
    if let Some(id) = &request.config.image {
        let image = cloud.images.describe(id).await?;
        return match image {
            Some(image) => Ok(Some(vec![image])),
            None => Err(ProvisionError::UnknownImage { image: id.clone() }),
        };
    }
    match filter {
        Some(filter) => Ok(Some(cloud.images.list(filter).await?)),
        None => Ok(None),
    }
}

async fn groups(
    cloud: &Cloud,
    environment: &StudioEnvironment,
    request: &HostRequest,
) -> Result<Vec<SecurityGroup>, ProvisionError> {
    let given = &request.config.security_groups;
    if given.is_empty() {
        return Ok(cloud.security_groups.find(&environment.vpc, &group_plan::names(&environment.domain)).await?);
    }
    match cloud.security_groups.describe(given).await {
        // Nor did a policy for prepared groups allow it before; what the launch says of them will do.
        Err(error) if error.is_access_denied() => Ok(Vec::new()),
        found => Ok(found?),
    }
}

/// What can't be read may be as it should: a policy for prepared groups need not allow these reads.
async fn mount_target_groups(cloud: &Cloud, mount_targets: &[MountTarget]) -> Vec<(MountTargetId, Vec<SecurityGroup>)> {
    let of = async |target: &MountTarget| {
        let ids = cloud.mount_targets.security_groups(&target.id).await.ok()?;
        Some((target.id.clone(), cloud.security_groups.describe(&ids).await.ok()?))
    };
    join_all(mount_targets.iter().map(of)).await.into_iter().flatten().collect()
}

async fn mount_targets(cloud: &Cloud, environment: &StudioEnvironment) -> Result<Vec<MountTarget>, ProvisionError> {
    let file_systems: BTreeSet<&FileSystemId> = environment
        .efs
        .iter()
        .filter(|_| environment.app.kind.home_is_efs())
        .map(|efs| &efs.file_system)
        .chain(environment.shared_mounts.iter().map(|mount| &mount.file_system))
        .collect();
    let lists = file_systems.into_iter().map(|file_system| cloud.mount_targets.list(file_system));
    Ok(try_join_all(lists).await?.into_iter().flatten().collect())
}
