//! What of EFS a host mounts, and from which mount target.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use studio_discovery::{FileSystemId, SharedMount, StudioEnvironment, SubnetId};

use crate::{HostMount, MountTarget, ProvisionError};

/// The mounts of one subnet, with the mount targets they come from.
pub(super) struct SubnetMounts {
    pub(super) host_mounts: Vec<HostMount>,
    pub(super) mount_targets: Vec<MountTarget>,
}

/// What of the app's file tree the host is to mount at the same paths.
///
/// In Studio Classic the home is the owner's folder on EFS, and images differ in where they mount it; so the host has it at
/// each of those paths. In spaces it is exactly what the app has mounted.
pub(super) fn wanted(environment: &StudioEnvironment) -> Vec<SharedMount> {
    let mut wanted: Vec<SharedMount> = Vec::new();
    if environment.app.kind.home_is_efs()
        && let Some(efs) = &environment.efs
    {
        let mut paths: Vec<PathBuf> = vec![PathBuf::from("/root"), PathBuf::from("/home/sagemaker-user")];
        if !paths.contains(&environment.home) {
            paths.push(environment.home.clone());
        }
        wanted.push(SharedMount {
            file_system: efs.file_system.clone(),
            access_point: None,
            remote_path: Path::new("/").join(efs.uid.to_string()),
            paths,
        });
    }
    for mount in &environment.shared_mounts {
        // The Classic home is among the mounts as well, under the one path that this app's image uses.
        let known = wanted.iter().any(|home| {
            mount.paths.iter().all(|path| home.paths.contains(path))
                || (home.file_system == mount.file_system
                    && home.access_point == mount.access_point
                    && home.remote_path == mount.remote_path)
        });
        if !known {
            wanted.push(mount.clone());
        }
    }
    wanted
}

/// The mounts with the subnet's own mount targets; `None` where one of the file systems has none there. A mount target that is
/// still being made counts: it will be there before the host is.
pub(super) fn in_subnet(
    wanted: &[SharedMount],
    subnet: &SubnetId,
    mount_targets: &[MountTarget],
) -> Option<SubnetMounts> {
    let own = |file_system: &FileSystemId| {
        mount_targets.iter().find(|target| target.subnet == *subnet && target.file_system == *file_system)
    };
    let host_mounts: Option<Vec<HostMount>> = wanted
        .iter()
        .map(|mount| {
            own(&mount.file_system).map(|target| HostMount {
                file_system: mount.file_system.clone(),
                access_point: mount.access_point.clone(),
                address: target.address,
                remote_path: mount.remote_path.clone(),
                paths: mount.paths.clone(),
            })
        })
        .collect();
    let file_systems: BTreeSet<&FileSystemId> = wanted.iter().map(|mount| &mount.file_system).collect();
    let mount_targets = file_systems.into_iter().filter_map(own).cloned().collect();
    host_mounts.map(|host_mounts| SubnetMounts { host_mounts, mount_targets })
}

/// Which file system it was that no subnet has a mount target of.
pub(super) fn why_none(
    wanted: &[SharedMount],
    environment: &StudioEnvironment,
    candidates: Vec<SubnetId>,
    mount_targets: &[MountTarget],
) -> ProvisionError {
    let reaches = |subnet: &SubnetId, file_system: &FileSystemId| {
        mount_targets.iter().any(|target| target.subnet == *subnet && target.file_system == *file_system)
    };
    let missing = wanted
        .iter()
        .map(|mount| &mount.file_system)
        .find(|file_system| candidates.iter().any(|subnet| !reaches(subnet, file_system)));
    let Some(file_system) = missing else {
        return ProvisionError::NoSubnet { domain: environment.domain.clone() };
    };
    let with_mount_target = environment.subnets.iter().filter(|subnet| reaches(subnet, file_system)).cloned().collect();
    ProvisionError::NoMountTarget { file_system: file_system.clone(), subnets: candidates, with_mount_target }
}
