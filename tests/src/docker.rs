//! The Docker programs of the suites, as `tests/docker/prepare` made them.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use crate::{Home, skip};

/// Which Docker a home of the sandbox has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Docker {
    /// This system's daemon (20.10 on Debian 12) and `docker-compose`, with the CLI 20.10.
    Old,
    /// Today's daemon, with the old clients.
    TodaysDaemon,
    /// Today's daemon, CLI, Compose and buildx.
    Todays,
}

impl Docker {
    /// Puts its programs first on a home's PATH; whether they are there, which is said where they are not.
    ///
    /// # Panics
    /// The home can't be written.
    pub fn be_used(self, home: &mut Home) -> bool {
        let Some(prepared) = std::env::var_os("SDOCKER_DOCKER").map(PathBuf::from) else {
            if self != Self::Old {
                skip("SDOCKER_DOCKER names what tests/docker/prepare made: use scripts/test");
            }
            return self == Self::Old;
        };
        let folders: &[&str] = match self {
            Self::Old => &["old/client"],
            Self::TodaysDaemon => &["old/client", "today/daemon"],
            Self::Todays => &["today/client", "today/daemon"],
        };
        for folder in folders.iter().rev() {
            home.put_on_path(&prepared.join(folder));
        }
        if self == Self::Todays {
            // Those of the home come before the system's.
            let plugins = home.join(".docker/cli-plugins");
            fs::create_dir_all(&plugins).expect("made");
            for plugin in ["docker-buildx", "docker-compose"] {
                symlink(prepared.join("today/plugins").join(plugin), plugins.join(plugin)).expect("linked");
            }
        }
        true
    }
}

/// Gives each of these hosts an image of the files in a folder, with these instructions of a Dockerfile.
///
/// # Panics
/// A host does not take it.
pub fn import_image(home: &Home, hosts: &[impl AsRef<str>], folder: &Path, instructions: &[&str], name: &str) {
    let script = "tar -C \"$0\" -c . | docker --context \"$@\"";
    for host in hosts {
        let mut arguments = vec!["-c", script, folder.to_str().expect("UTF-8"), host.as_ref(), "import"];
        arguments.extend(instructions.iter().flat_map(|instruction| ["-c", instruction]));
        home.run("sh", &[&arguments[..], &["-", name]].concat()).expect(0);
    }
}

/// Gives hosts an image of BuildKit, as today's dockerd has it, by a name of which the registry refuses at once: buildx takes what they have.
///
/// # Panics
/// A host does not take it.
pub fn import_buildkit(home: &Home, hosts: &[&str], name: &str) {
    let prepared = PathBuf::from(std::env::var_os("SDOCKER_DOCKER").expect("what tests/docker/prepare made"));
    let instructions = ["ENTRYPOINT [\"buildkitd\"]", "ENV PATH=/usr/sbin:/usr/bin"];
    import_image(home, hosts, &prepared.join("today/buildkit"), &instructions, name);
}
