//! The users that Studio runs a client as.

use std::{
    ffi::OsStr,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, OnceLock, PoisonError},
};

/// A user whom Studio gives an app.
///
/// In Studio Classic the app is in a user namespace of its own, whose one user is the profile's `HomeEfsFileSystemUid` towards the file
/// system: it is not root there, whatever it is called inside, and files of all others belong to nobody (SageMaker guide, "Access control
/// and SageMaker Studio notebooks": "the user inside the container is mapped to a non-privileged user on the host").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StudioUser {
    /// Root, in the app's own namespace.
    KernelGateway,
    /// `sagemaker-user`, in the app's own namespace.
    JupyterServer,
    /// `sagemaker-user` with the group `users`, as everybody sees it.
    Space,
}

/// Runs a program as a user, in a namespace that maps one user and one group: INSIDE GROUP_INSIDE OUTSIDE GROUP_OUTSIDE PROGRAM...
const IN_NAMESPACE: &str = r#"
    ulimit -n 256
    unshare --user sleep 60 </dev/null >/dev/null 2>&1 &
    until echo "$1 $3 1" >"/proc/$!/uid_map"; do kill -0 "$!" || exit 125; done 2>/dev/null
    echo "$2 $4 1" >"/proc/$!/gid_map" || exit 125
    exec 9<"/proc/$!/ns/user"
    kill "$!"
    exec nsenter --user=/proc/self/fd/9 --setuid "$1" --setgid "$2" bash -c 'exec 9<&-; exec "$@"' - "${@:5}"
"#;
const OUTSIDE_NAMESPACES: &str = r#"
    ulimit -n 256
    exec setpriv --reuid "$3" --regid "$4" --clear-groups -- "${@:5}"
"#;

impl StudioUser {
    /// User and group, as the app sees itself.
    fn inside(self) -> (u32, u32) {
        match self {
            Self::KernelGateway => (0, 0),
            Self::JupyterServer | Self::Space => (1000, 100),
        }
    }

    /// User and group, as the file system sees the app.
    pub fn outside(self) -> (u32, u32) {
        match self {
            Self::KernelGateway | Self::JupyterServer => (200_005, 1001),
            Self::Space => (1000, 100),
        }
    }

    /// The value of `AppType` in Studio's metadata.
    pub(crate) fn app_type(self) -> &'static str {
        match self {
            Self::KernelGateway => "KernelGateway",
            Self::JupyterServer => "JupyterServer",
            Self::Space => "JupyterLab",
        }
    }

    /// A program that this user runs, with few open files allowed.
    pub fn command(self, program: impl AsRef<OsStr>) -> Command {
        let (script, (uid, gid), (outer_uid, outer_gid)) = match self {
            Self::Space => (OUTSIDE_NAMESPACES, self.inside(), self.outside()),
            _ => (IN_NAMESPACE, self.inside(), self.outside()),
        };
        let mut command = Command::new("bash");
        command.args(["-c", script, "as"]).args([uid, gid, outer_uid, outer_gid].map(|id| id.to_string()));
        command.arg(program);
        command
    }

    /// Gives a folder to this user, with all that is in it.
    ///
    /// # Panics
    /// It can't be given.
    pub fn own(self, folder: &Path) {
        let (uid, gid) = self.outside();
        let status = Command::new("chown").args(["-hR", &format!("{uid}:{gid}")]).arg(folder).status();
        assert!(status.is_ok_and(|status| status.success()), "{} can't be given", folder.display());
    }
}

/// Where everybody can run a program, wherever it was built.
///
/// # Panics
/// It can't be put there.
pub(crate) fn for_everybody(binary: &Path) -> PathBuf {
    // An app may have a /tmp of its own.
    const PLACES: &str = "/var/tmp";
    const NAME: &str = "sdocker-tests-";
    static PLACE: OnceLock<PathBuf> = OnceLock::new();
    let place = PLACE.get_or_init(|| {
        // Nothing is run at the end of a test's process: what others left goes now.
        for other in fs::read_dir(PLACES).into_iter().flatten().flatten() {
            let name = other.file_name().to_string_lossy().into_owned();
            if name.strip_prefix(NAME).is_some_and(|process| !Path::new("/proc").join(process).exists()) {
                let _ = fs::remove_dir_all(other.path());
            }
        }
        let folder = Path::new(PLACES).join(format!("{NAME}{}", std::process::id()));
        fs::create_dir_all(&folder).expect("made");
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).expect("set");
        folder
    });
    let copy = place.join(binary.file_name().expect("a program"));
    // Tests of this process run at the same time, and one of them is the first.
    static FIRST: Mutex<()> = Mutex::new(());
    let _first = FIRST.lock().unwrap_or_else(PoisonError::into_inner);
    if !copy.exists() && fs::hard_link(binary, &copy).is_err() {
        fs::copy(binary, &copy).expect("copied");
    }
    copy
}
