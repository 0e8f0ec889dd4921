//! What configuring comes to, and doing it.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

use crate::{Error, aside, config_yaml, error::file, undo::Before};

/// Where the SDK puts its data: 2.203 and later take `~/tmp` where they see Studio's metadata, whatever the configuration says, and
/// without following links. It is named in the configuration for the others.
const NEEDED: &str = "tmp";
/// What older notebooks use by convention. Nothing needs it.
const CONVENTIONAL: &str = "temp";

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
#[non_exhaustive]
pub struct Plan {
    /// What is to be done.
    pub actions: Vec<Action>,
    /// What is the user's, and stays as it is.
    pub left: Vec<Left>,
    record: PathBuf,
}

/// Something to be done. What is in the way is moved aside as it is, and given back by [`undo`](crate::undo()).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Make a folder.
    MakeFolder {
        /// The folder.
        folder: PathBuf,
        /// Where to move what is there now.
        aside: Option<PathBuf>,
    },
    /// Make a link.
    Link {
        /// The link.
        link: PathBuf,
        /// Where it leads.
        target: PathBuf,
        /// Where to move what is there now.
        aside: Option<PathBuf>,
    },
    /// Set `local.container_root`.
    SetContainerRoot {
        /// The file.
        file: PathBuf,
        /// The value.
        value: String,
    },
}

impl Action {
    /// What of the user's it moves aside, and where to.
    pub fn moves(&self) -> Option<(&Path, &Path)> {
        match self {
            Self::MakeFolder { folder: path, aside } | Self::Link { link: path, aside, .. } => {
                Some((path, aside.as_deref()?))
            }
            Self::SetContainerRoot { .. } => None,
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((path, aside)) = self.moves() {
            write!(f, "move {} aside to {}, and ", path.display(), aside.display())?;
        }
        match self {
            Self::MakeFolder { folder, .. } => write!(f, "make {}", folder.display()),
            Self::Link { link, target, .. } => write!(f, "link {} to {}", link.display(), target.display()),
            Self::SetContainerRoot { file, value } => {
                write!(f, "set local.container_root to {value} in {}", file.display())
            }
        }
    }
}

/// Something of the user's that stays as it is, although Local Mode would have it otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Left {
    /// What, and why.
    pub what: String,
    /// What the user can do about it; lines to be added to a file begin with two spaces.
    pub advice: Vec<String>,
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

/// What configuring would do.
///
/// # Errors
/// A record of earlier changes that can't be read.
pub fn plan(request: &Request) -> Result<Plan, Error> {
    let before = Before::load(&request.record)?;
    let mut plan = Plan { actions: Vec::new(), left: Vec::new(), record: request.record.clone() };
    for name in [NEEDED, CONVENTIONAL] {
        let path = request.home.join(name);
        match &request.shared {
            SharedFolder::At(shared) => plan.link(&path, &shared.join(name), &before),
            SharedFolder::Home | SharedFolder::Nowhere if path.is_dir() => {}
            SharedFolder::Home => plan.folder(&path, name == NEEDED),
            SharedFolder::Nowhere => plan.folder(&path, false),
        }
    }
    let config = request.home.join(".sagemaker/config.yaml");
    let value = request.home.join(NEEDED).to_string_lossy().into_owned();
    let edited = read(&config).and_then(|text| {
        let text = text.unwrap_or_default();
        Ok(config_yaml::with_container_root(&config, &text, Some(&value))? != text)
    });
    match edited {
        Ok(false) => {}
        Ok(true) => plan.actions.push(Action::SetContainerRoot { file: config, value }),
        Err(error) => plan.left.push(not_edited(&config, &value, &error)),
    }
    Ok(plan)
}

impl Plan {
    fn folder(&mut self, folder: &Path, is_needed: bool) {
        let folder = folder.to_owned();
        match fs::symlink_metadata(&folder) {
            Err(_) => self.actions.push(Action::MakeFolder { folder, aside: None }),
            Ok(_) if is_needed => {
                let aside = Some(aside::place_for(&folder));
                self.actions.push(Action::MakeFolder { folder, aside });
            }
            Ok(_) => self.left.push(Left {
                what: format!("{} is left unchanged: it is not a folder", folder.display()),
                advice: Vec::new(),
            }),
        }
    }

    fn link(&mut self, link: &Path, target: &Path, before: &Before) {
        let led = fs::read_link(link).ok();
        let leads_there = led.as_deref() == Some(target);
        let is_needed = link.ends_with(NEEDED);
        let aside = match (fs::symlink_metadata(link), led) {
            (Err(_), _) => None,
            // One that was made before, to another place.
            (_, Some(led)) if leads_there || before.made_link(link, &led) => None,
            _ if is_needed => Some(aside::place_for(link)),
            _ => {
                return self.left.push(Left {
                    what: format!("{} is left unchanged: a host can't see it", link.display()),
                    advice: vec![format!("containers share {} with this app", link.with_file_name(NEEDED).display())],
                });
            }
        };
        if !target.is_dir() {
            self.actions.push(Action::MakeFolder { folder: target.to_owned(), aside: None });
        }
        if !leads_there {
            self.actions.push(Action::Link { link: link.to_owned(), target: target.to_owned(), aside });
        }
    }
}

fn not_edited(config: &Path, value: &str, error: &Error) -> Left {
    let mut what = format!("{} is left unchanged: {error}", config.display());
    if let Error::File { source, .. } = error {
        what = format!("{what}: {source}");
    }
    let mut advice = vec!["SDKs before 2.203, and others outside Studio, need these lines in it:".to_owned()];
    advice.extend(config_yaml::lines(value).lines().map(|line| format!("  {line}")));
    Left { what, advice }
}

/// What was done of a plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Applied {
    /// What was done.
    pub done: Vec<Action>,
    /// What stays as it is, with what the plan left already.
    pub left: Vec<Left>,
}

/// Does what a plan says, and remembers what was there before, each time before it is changed. What can't be moved out of the way
/// stays as it is.
///
/// # Errors
/// A file or folder that can't be written. What else can be done is done.
pub fn apply(plan: &Plan) -> Result<Applied, Error> {
    let mut applied = Applied { done: Vec::new(), left: plan.left.clone() };
    if plan.actions.is_empty() {
        return Ok(applied);
    }
    let mut before = Before::load(&plan.record)?;
    let mut failed = None;
    for action in &plan.actions {
        before.remember(action)?;
        before.save(&plan.record)?;
        match carry_out(action) {
            Ok(None) => applied.done.push(action.clone()),
            Ok(Some(left)) => applied.left.push(left),
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    match failed {
        None => Ok(applied),
        Some(error) => Err(error),
    }
}

fn carry_out(action: &Action) -> Result<Option<Left>, Error> {
    if let Some((path, to)) = action.moves()
        && let Err(error) = aside::move_to(path, to)
    {
        let what = format!("{} is left unchanged: it cannot be moved to {}: {error}", path.display(), to.display());
        let advice = "Local Mode needs a folder there: move it away, and run `sdocker configure`";
        return Ok(Some(Left { what, advice: vec![advice.to_owned()] }));
    }
    let done = match action {
        Action::MakeFolder { folder, .. } => fs::create_dir_all(folder).map_err(file("create", folder)),
        Action::Link { link, target, .. } => make_link(link, target).map_err(file("link", link)),
        Action::SetContainerRoot { file: path, value } => {
            let text = read(path)?.unwrap_or_default();
            match config_yaml::with_container_root(path, &text, Some(value)) {
                Ok(text) => write(path, &text),
                Err(error) => return Ok(Some(not_edited(path, value, &error))),
            }
        }
    };
    if let (Err(_), Some((path, to))) = (&done, action.moves()) {
        // What was moved for nothing goes back; where it can't, undo does it.
        let _ = aside::give_back(to, path);
    }
    done.map(|()| None)
}

/// A link of ours that leads elsewhere is replaced; nothing else is.
fn make_link(link: &Path, target: &Path) -> io::Result<()> {
    if fs::symlink_metadata(link).is_ok_and(|found| found.is_symlink()) {
        fs::remove_file(link)?;
    }
    std::os::unix::fs::symlink(target, link)
}

pub(crate) fn read(path: &Path) -> Result<Option<String>, Error> {
    match whole_file::read_text(path, 4 << 20, whole_file::Links::Follow) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(file("read", path)(error)),
    }
}

pub(crate) fn write(path: &Path, text: &str) -> Result<(), Error> {
    whole_file::replace(path, text.as_bytes(), 0o600).map_err(file("write", path))
}

#[cfg(test)]
mod tests;
