//! What configuring comes to, and doing it.

use std::{
    fmt, fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use atomic_write_file::AtomicWriteFile;

use crate::{Error, config_yaml, error::file, undo::Before};

/// The folders that the SDK's versions use below the home: `temp` by the convention of old, `tmp` where 2.203 and later see Studio's
/// metadata (they take `~/tmp` whatever the configuration says, without following links).
const FOLDERS: [&str; 2] = ["tmp", "temp"];

/// What to configure.
#[derive(Clone, Debug)]
pub struct Request {
    /// The user's home directory.
    pub home: PathBuf,
    /// Where the temporary folders are to lie.
    pub shared: SharedFolder,
    /// Where to remember what was there before, for [`undo`](crate::undo()).
    pub record: PathBuf,
}

/// Where the temporary folders are to lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SharedFolder {
    /// In the home, which the host sees at the same path.
    Home,
    /// In this folder, which the host sees; the home itself it does not. The folders in the home become links.
    At(PathBuf),
    /// Nowhere: no storage is shared. The folders are made in the home, for what needs no bind mount.
    Nowhere,
}

/// What is to be done, in order. Doing it twice does nothing more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What is to be done.
    pub actions: Vec<Action>,
    record: PathBuf,
}

/// Something to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Make a folder.
    MakeFolder(PathBuf),
    /// Make a link.
    Link {
        /// The link.
        link: PathBuf,
        /// Where it leads.
        target: PathBuf,
    },
    /// Set `local.container_root`.
    SetContainerRoot {
        /// The file.
        file: PathBuf,
        /// The value.
        value: String,
    },
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MakeFolder(path) => write!(f, "make {}", path.display()),
            Self::Link { link, target } => write!(f, "link {} to {}", link.display(), target.display()),
            Self::SetContainerRoot { file, value } => {
                write!(f, "set local.container_root to {value} in {}", file.display())
            }
        }
    }
}

/// What configuring would do.
///
/// # Errors
/// A configuration file that can't be read or is not what the SDK takes; a folder in the way.
pub fn plan(request: &Request) -> Result<Plan, Error> {
    let mut actions = Vec::new();
    for name in FOLDERS {
        let folder = request.home.join(name);
        match &request.shared {
            SharedFolder::Home | SharedFolder::Nowhere if folder.is_dir() => {}
            SharedFolder::Home | SharedFolder::Nowhere => actions.push(Action::MakeFolder(folder)),
            SharedFolder::At(shared) => {
                let target = shared.join(name);
                if !target.is_dir() {
                    actions.push(Action::MakeFolder(target.clone()));
                }
                match fs::symlink_metadata(&folder) {
                    Ok(found) if found.is_symlink() && fs::read_link(&folder).is_ok_and(|led| led == target) => {
                        continue;
                    }
                    // An empty folder, or a link that leads elsewhere, is replaced; undo puts neither of them back in the way.
                    Ok(found) if found.is_dir() && !is_empty(&folder) => {
                        return Err(Error::FolderInTheWay { path: folder, target });
                    }
                    _ => actions.push(Action::Link { link: folder, target }),
                }
            }
        }
    }
    let config = request.home.join(".sagemaker/config.yaml");
    let value = request.home.join(FOLDERS[0]);
    let present = match read(&config)? {
        Some(text) => config_yaml::container_root(&config, &text)?,
        None => None,
    };
    let value = value.to_string_lossy().into_owned();
    if present.as_deref() != Some(value.as_str()) {
        actions.push(Action::SetContainerRoot { file: config, value });
    }
    Ok(Plan { actions, record: request.record.clone() })
}

/// Does what a plan says, and remembers what was there before.
///
/// # Errors
/// A file or folder that can't be written. What was done until then is remembered.
pub fn apply(plan: &Plan) -> Result<(), Error> {
    if plan.actions.is_empty() {
        return Ok(());
    }
    let mut before = Before::load(&plan.record)?;
    for action in &plan.actions {
        before.remember(action)?;
        before.save(&plan.record)?;
        match action {
            Action::MakeFolder(path) => fs::create_dir_all(path).map_err(file("create", path))?,
            Action::Link { link, target } => replace_with_link(link, target).map_err(file("link", link))?,
            Action::SetContainerRoot { file: path, value } => {
                let text = read(path)?.unwrap_or_default();
                write(path, &config_yaml::with_container_root(path, &text, Some(value))?)?;
            }
        }
    }
    Ok(())
}

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none())
}

fn replace_with_link(link: &Path, target: &Path) -> io::Result<()> {
    match fs::symlink_metadata(link) {
        Ok(found) if found.is_dir() => fs::remove_dir(link)?,
        Ok(_) => fs::remove_file(link)?,
        Err(_) => {}
    }
    std::os::unix::fs::symlink(target, link)
}

pub(crate) fn read(path: &Path) -> Result<Option<String>, Error> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(file("read", path)(error)),
    }
}

pub(crate) fn write(path: &Path, text: &str) -> Result<(), Error> {
    let write = || -> io::Result<()> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut file = AtomicWriteFile::open(path)?;
        file.write_all(text.as_bytes())?;
        file.commit()
    };
    write().map_err(file("write", path))
}

#[cfg(test)]
mod tests;
