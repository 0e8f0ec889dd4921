//! What of the app's file tree is EFS, from `/proc/self/mountinfo`.
//!
//! Studio mounts EFS in three ways: by address in Classic (`10.0.1.5:/200005`), by name (`fs-1.efs.eu-west-1.amazonaws.com:/`), and
//! through the mount helper's local TLS proxy (`127.0.0.1:/`) at `/mnt/custom-file-systems/efs/<fs-id>_<fsap-id>`, to which links
//! in the home point. Lines that can't be read are left out.

use std::{
    fs,
    path::{Component, Path, PathBuf},
};

use procfs_core::process::MountInfo;

use crate::{AccessPointId, EfsHome, FileSystemId, SharedMount};

/// A mount that is EFS, or some other NFS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LocalMount {
    file_system: Option<FileSystemId>,
    access_point: Option<AccessPointId>,
    remote_path: PathBuf,
    paths: Vec<PathBuf>,
}

/// The NFS mounts, sorted by path.
pub(crate) fn parse(mountinfo: &str) -> Vec<LocalMount> {
    let mut mounts: Vec<LocalMount> = mountinfo.lines().filter_map(mount).collect();
    mounts.sort_by(|a, b| a.paths.cmp(&b.paths));
    mounts.dedup_by(|a, b| a.paths == b.paths);
    mounts
}

/// The mounts, with the links in a home that lead to them, so that the host can have them at the links' paths as well. A link to a
/// folder below a mount becomes a mount of that folder, after all others.
pub(crate) fn with_links(mounts: Vec<LocalMount>, home: &Path) -> Vec<LocalMount> {
    let mut links: Vec<(PathBuf, PathBuf)> =
        [home.to_owned(), home.join("custom-file-systems"), home.join("custom-file-systems/efs")]
            .iter()
            .filter_map(|folder| fs::read_dir(folder).ok())
            .flat_map(|entries| entries.flatten())
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_symlink()))
            .filter_map(|entry| Some((fs::canonicalize(entry.path()).ok()?, entry.path())))
            .collect();
    links.sort();
    let mut found = mounts;
    for (target, link) in links {
        if found.iter().any(|mount| mount.paths.contains(&link)) {
            continue;
        }
        if let Some(mount) = found.iter_mut().find(|mount| *mount.mount_point() == *target) {
            mount.paths.push(link);
            continue;
        }
        // The innermost mount is the one that the target lies on.
        let around = found.iter().filter(|mount| target.starts_with(mount.mount_point()));
        let Some(around) = around.max_by_key(|mount| mount.mount_point().as_os_str().len()) else { continue };
        let below = target.strip_prefix(around.mount_point()).unwrap_or(&target);
        let folder = LocalMount { remote_path: around.remote_path.join(below), paths: vec![link], ..around.clone() };
        found.push(folder);
    }
    found
}

fn mount(line: &str) -> Option<LocalMount> {
    let info = MountInfo::from_line(line).ok()?;
    if !matches!(info.fs_type.as_str(), "nfs" | "nfs4") {
        return None;
    }
    let source = unescape(info.mount_source.as_deref()?);
    let (server, remote) = source.split_once(":/")?;
    let mount_point = PathBuf::from(unescape(info.mount_point.to_str()?));
    let by_name = server.split('.').next().and_then(|name| name.parse::<FileSystemId>().ok());
    let by_folder = mount_point.file_name().and_then(|name| name.to_str()).and_then(ids);
    let (file_system, access_point) = match by_folder {
        Some((file_system, access_point)) => (Some(file_system), access_point),
        None => (by_name, None),
    };
    // A bind mount of a part of a mount shows that part as its root.
    let below = unescape(&info.root);
    let remote_path = Path::new("/").join(remote).join(below.trim_start_matches('/'));
    // The kernel writes whole paths. A host is to mount nothing that only looks like one.
    let is_whole = |path: &Path| path.is_absolute() && !path.components().any(|part| part == Component::ParentDir);
    if !is_whole(&mount_point) || !is_whole(&remote_path) {
        return None;
    }
    Some(LocalMount { file_system, access_point, remote_path, paths: vec![mount_point] })
}

/// `<fs-id>_<fsap-id>`, or `<fs-id>`.
fn ids(folder: &str) -> Option<(FileSystemId, Option<AccessPointId>)> {
    let (file_system, access_point) = match folder.split_once('_') {
        Some((file_system, access_point)) => (file_system, Some(access_point)),
        None => (folder, None),
    };
    let access_point = access_point.and_then(|id| id.parse::<AccessPointId>().ok());
    Some((file_system.parse().ok()?, access_point))
}

/// The kernel writes spaces, tabs, newlines and backslashes of paths as octal escapes (proc(5)).
fn unescape(text: &str) -> String {
    ["\\040", "\\011", "\\012", "\\134"]
        .iter()
        .zip([" ", "\t", "\n", "\\"])
        .fold(text.to_owned(), |text, (escape, character)| text.replace(escape, character))
}

impl LocalMount {
    fn mount_point(&self) -> &Path {
        &self.paths[0]
    }

    /// The mount point, then links to it.
    pub(crate) fn paths(&self) -> &[PathBuf] {
        &self.paths
    }

    /// The mount as the host takes it over; `None` where it is not known to be EFS. A mount by address is the domain's own file
    /// system when it shows the owner's folder.
    pub(crate) fn shared(&self, domain: Option<&EfsHome>) -> Option<SharedMount> {
        let by_address =
            || domain.filter(|efs| self.remote_path.starts_with(format!("/{}", efs.uid))).map(|efs| &efs.file_system);
        let file_system = self.file_system.as_ref().or_else(by_address)?;
        Some(SharedMount {
            file_system: file_system.clone(),
            access_point: self.access_point.clone(),
            remote_path: self.remote_path.clone(),
            paths: self.paths.clone(),
        })
    }
}

/// The folder of an app that its hosts see as well: the home where it is on EFS itself; else the user's own part of the domain's file system,
/// where Studio links it into the home; else the first mount by its path, which others may write to.
pub(crate) fn shared_folder<'m>(
    home_is_efs: bool,
    home: &'m Path,
    mounts: impl Iterator<Item = &'m [PathBuf]> + Clone,
) -> Option<&'m Path> {
    if home_is_efs {
        return Some(home);
    }
    let own = home.join("user-default-efs");
    let own_mount = mounts.clone().find(|paths| paths.contains(&own));
    own_mount.or_else(|| mounts.min()).and_then(|paths| paths.first()).map(PathBuf::as_path)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLASSIC: &str =
        "615 544 0:167 / /home/sagemaker-user rw,relatime - nfs4 10.0.1.5:/200005 rw,vers=4.1,rsize=1048576";
    const SPACE: &str = "712 640 0:98 / /mnt/custom-file-systems/efs/fs-0a1_fsap-0b2 rw,relatime master:1 - nfs4 127.0.0.1:/ rw,vers=4.1";

    #[test]
    fn classic_mounts_by_address() {
        let mounts = parse(CLASSIC);
        let domain = EfsHome { file_system: "fs-1".into(), uid: 200005 };
        let shared = mounts[0].shared(Some(&domain)).expect("it is the owner's folder");
        assert_eq!((shared.file_system, shared.remote_path), ("fs-1".into(), PathBuf::from("/200005")));
        assert_eq!(shared.paths, [PathBuf::from("/home/sagemaker-user")]);
        assert_eq!(mounts[0].shared(None), None, "an address alone names no file system");
        let other = EfsHome { file_system: "fs-1".into(), uid: 20000 };
        assert_eq!(mounts[0].shared(Some(&other)), None, "/200005 is not below /20000");
    }

    #[test]
    fn spaces_mount_through_access_points() {
        let home = tempfile::tempdir().expect("a temporary folder");
        let link = |target: &Path, name: &str| {
            std::os::unix::fs::symlink(target, home.path().join(name)).expect("linked");
            home.path().join(name)
        };
        let mut mounts = parse(SPACE);
        let real = home.path().join("real");
        mounts[0].paths[0] = real.clone();
        fs::create_dir_all(real.join(".sdocker/local-mode/tmp")).expect("made");
        let default = link(&real, "user-default-efs");
        let temporary = link(&real.join(".sdocker/local-mode/tmp"), "tmp");
        link(Path::new("/nowhere"), "dangling");
        link(Path::new("/usr"), "elsewhere");

        let shared: Vec<_> = with_links(mounts, home.path()).iter().filter_map(|mount| mount.shared(None)).collect();
        let expected = |remote: &str, paths: &[&PathBuf]| SharedMount {
            file_system: "fs-0a1".into(),
            access_point: Some("fsap-0b2".into()),
            remote_path: remote.into(),
            paths: paths.iter().map(|path| (*path).clone()).collect(),
        };
        assert_eq!(shared, [expected("/", &[&real, &default]), expected("/.sdocker/local-mode/tmp", &[&temporary])]);
    }

    #[test]
    fn other_lines_are_left_out() {
        let text = format!("garbage\n\n36 35 98:0 / / rw - ext4 /dev/root rw\n{CLASSIC}\n1 2 3\n{CLASSIC}\n");
        assert_eq!(parse(&text).len(), 1);
    }

    /// Found by the fuzz target `mountinfo`.
    #[test]
    fn a_mount_that_is_no_whole_path_is_left_out() {
        for (mount_point, root, remote) in
            [("-", "/", "/"), ("/a/../b", "/", "/"), ("/a", "/../b", "/"), ("/a", "/", "/../b")]
        {
            let line = format!("1 2 0:3 {root} {mount_point} rw - nfs4 fs-9.efs.eu-west-1.amazonaws.com:{remote} rw");
            assert_eq!(parse(&line), [], "{line}");
        }
    }

    #[test]
    fn names_and_escapes_are_read() {
        let line = r"1 2 0:3 /sub /a\040b rw - nfs4 fs-9.efs.eu-west-1.amazonaws.com:/data rw";
        let shared = parse(line)[0].shared(None).expect("the name holds the id");
        assert_eq!(shared.file_system, "fs-9".into());
        assert_eq!((shared.remote_path, shared.paths), (PathBuf::from("/data/sub"), vec![PathBuf::from("/a b")]));
    }
}
