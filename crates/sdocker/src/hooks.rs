//! The user's own scripts, which a host runs as root before and after its bootstrap.

use std::{
    fs::{self, Metadata},
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use whole_file::Links;

use crate::{
    Error,
    checksum::sha256,
    error::{Context as _, Result},
    layout::Layout,
};

const PRE: &str = "pre-bootstrap.sh";
const POST: &str = "post-bootstrap.sh";

/// As much as a host reads of one: `user_data/shared.sh` of host-provisioner has the same bound.
const LONGEST: u64 = 128 * 1024;

/// The scripts that a new host is to run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hooks {
    pre: Option<Hook>,
    post: Option<Hook>,
}

#[derive(Clone, Debug)]
struct Hook {
    name: &'static str,
    file: PathBuf,
    text: Vec<u8>,
}

impl Hooks {
    /// The user's, from SDOCKER_HOME, else from the AWS-samples fork's folder.
    ///
    /// # Errors
    /// One that can't be read, is too long, or is somebody else's: it would be root on the host, where the user's files are.
    pub(crate) fn find(layout: &Layout) -> Result<Self> {
        let hook = |name| {
            let mut files = layout.configuration_folders().into_iter().map(|folder| folder.join(name));
            files.find_map(|file| Hook::read(name, file).transpose()).transpose()
        };
        Ok(Self { pre: hook(PRE)?, post: hook(POST)? })
    }

    /// What the host is told of them.
    pub(crate) fn told(&self) -> host_provisioner::Hooks {
        let sum = |hook: &Option<Hook>| hook.as_ref().map(Hook::sum);
        host_provisioner::Hooks { pre: sum(&self.pre), post: sum(&self.post) }
    }

    /// A line for each.
    pub(crate) fn announced(&self) -> impl Iterator<Item = String> {
        let all = self.pre.iter().chain(&self.post);
        all.map(|hook| format!("{} will run on the host as root (SHA-256 {:.12})", hook.file.display(), hook.sum()))
    }

    /// Puts them where the host looks for them.
    pub(crate) fn share(&self, shared_home: &Path) -> Result<()> {
        for hook in self.pre.iter().chain(&self.post) {
            let shared = shared_home.join(hook.name);
            if hook.file != shared {
                whole_file::replace(&shared, &hook.text, 0o600)
                    .with_context(|| format!("cannot copy {} to {}", hook.file.display(), shared.display()))?;
            }
        }
        Ok(())
    }
}

impl Hook {
    fn read(name: &'static str, file: PathBuf) -> Result<Option<Self>> {
        let look = |path: &Path| fs::metadata(path).map(Some).or_else(missing);
        // A host without its hook would not be the one that was asked for.
        let cannot_look = || format!("cannot look at {}", file.display());
        let Some(found) = look(&file).with_context(cannot_look)? else { return Ok(None) };
        if !found.is_file() {
            return Ok(None);
        }
        // Whoever owns the folder can put there what they like; on EFS everybody may be somebody else than on this machine.
        let folder = file.parent().map(look).transpose().with_context(cannot_look)?.flatten();
        if let Some(why) = folder.and_then(|folder| strange(&found, &folder)) {
            let what = format!("{} would run on the host as root, but {why}", file.display());
            return Err(Error::new(what).hint("make it your own (`chown`, `chmod go-w`), or remove it"));
        }
        let text = whole_file::read(&file, LONGEST, Links::Follow)
            .with_context(|| format!("cannot read {}, which a host would run", file.display()))?;
        Ok(Some(Self { name, file, text }))
    }

    fn sum(&self) -> String {
        sha256(&self.text)
    }
}

/// Why a script is not what the owner of its folder wrote.
fn strange(found: &Metadata, folder: &Metadata) -> Option<&'static str> {
    if found.uid() != folder.uid() && found.uid() != 0 {
        return Some("it belongs to another user than its folder");
    }
    (found.mode() & 0o002 != 0).then_some("every user can write it")
}

fn missing(error: io::Error) -> io::Result<Option<Metadata>> {
    if error.kind() == io::ErrorKind::NotFound { Ok(None) } else { Err(error) }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;
    use crate::Surroundings;

    #[test]
    fn what_runs_as_root_is_the_users_own_and_said() {
        let home = tempfile::tempdir().expect("a folder");
        let layout = Layout::new(&Surroundings::new(home.path()));
        let (own, shared) = (home.path().join(".sdocker"), home.path().join("shared"));
        for folder in [&own, &shared] {
            fs::create_dir(folder).expect("made");
        }
        let find = || Hooks::find(&layout);
        assert_eq!(find().expect("there is none").announced().count(), 0);
        // A link to itself can't be followed, by root neither.
        let hook = own.join(PRE);
        symlink(&hook, &hook).expect("linked");
        let error = find().expect_err("it is not known what it is");
        assert!(format!("{error:#}").starts_with(&format!("cannot look at {}", hook.display())), "{error:#}");
        fs::remove_file(&hook).expect("removed");

        fs::write(&hook, "").expect("written");
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(find().expect("it is there").told().pre.as_deref(), Some(empty));
        fs::write(&hook, "echo").expect("written");
        let hooks = find().expect("it is there");
        let said: Vec<String> = hooks.announced().collect();
        assert!(said.len() == 1 && said[0].starts_with(&format!("{} will run", hook.display())), "{said:?}");
        assert_eq!(hooks.told().post, None);
        hooks.share(&shared).expect("shared");
        assert_eq!(fs::read_to_string(shared.join(PRE)).expect("it is there"), "echo");

        fs::set_permissions(&hook, fs::Permissions::from_mode(0o666)).expect("set");
        let error = find().expect_err("anybody's").to_string();
        assert!(error.contains("every user can write it"), "{error}");
        fs::set_permissions(&hook, fs::Permissions::from_mode(0o600)).expect("set");
        fs::write(&hook, vec![b'#'; 200 * 1024]).expect("written");
        assert!(find().is_err(), "too long");
        fs::remove_file(&hook).expect("removed");
        // What another host's creation left is run by nobody.
        assert_eq!(find().expect("none any more").told(), host_provisioner::Hooks::default());
    }

    #[test]
    fn another_users_script_is_refused() {
        let home = tempfile::tempdir().expect("a folder");
        let folder = home.path().metadata().expect("there");
        let mine = home.path().join("mine");
        fs::write(&mine, "").expect("written");
        assert_eq!(strange(&mine.metadata().expect("there"), &folder), None);
        // Only root can give a file away; whose these are, is so everywhere.
        if std::os::unix::fs::chown(&mine, Some(1234), None).is_ok() {
            let why = strange(&mine.metadata().expect("there"), &folder);
            assert_eq!(why, Some("it belongs to another user than its folder"));
        }
    }
}
