//! Which paths a host can see.

use std::path::{Path, PathBuf};

/// Whether a host that has these folders at the same paths sees this path. Containers get bind mounts by the path as it is written,
/// so that links are not followed.
pub fn visible_on_host(path: &Path, shared: &[PathBuf]) -> bool {
    shared.iter().any(|folder| path.starts_with(folder))
}

/// Those of the paths that the host can't see: Docker would, silently, give containers an empty folder in their place.
pub fn not_visible<'p>(paths: impl IntoIterator<Item = &'p Path>, shared: &[PathBuf]) -> Vec<&'p Path> {
    paths.into_iter().filter(|path| !visible_on_host(path, shared)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_lies_below_a_shared_folder_is_visible() {
        let shared = [PathBuf::from("/root"), PathBuf::from("/home/sagemaker-user/user-default-efs")];
        assert!(visible_on_host(Path::new("/root/project"), &shared));
        assert!(!visible_on_host(Path::new("/rootless"), &shared));
        let paths = [Path::new("/home/sagemaker-user/data"), Path::new("/root")];
        assert_eq!(not_visible(paths, &shared), [Path::new("/home/sagemaker-user/data")]);
    }
}
