//! Putting back what was there before.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{
    Action, Error, aside, config_yaml,
    error::file,
    plan::{read, write},
};

/// What was there before, kept in a file until it is put back.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Before {
    version: u32,
    /// Folders that were made.
    folders: Vec<PathBuf>,
    /// Folders above them and above the configuration file, which were missing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    parents: Vec<PathBuf>,
    /// Links that were made.
    links: Vec<Link>,
    /// What was moved aside.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    moved: Vec<Moved>,
    /// The configuration file.
    config: Option<Config>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Link {
    link: PathBuf,
    target: PathBuf,
    /// Where a link that was there led: version 1 replaced links.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    before: Option<PathBuf>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Moved {
    path: PathBuf,
    to: PathBuf,
}

#[derive(Debug, Serialize, Deserialize)]
struct Config {
    path: PathBuf,
    /// The whole text; `None` where there was no file.
    before: Option<String>,
    /// The text that was written.
    after: String,
}

/// Version 2 moves aside what version 1 removed.
const VERSION: u32 = 2;

impl Default for Before {
    fn default() -> Self {
        Self {
            version: VERSION,
            folders: Vec::new(),
            parents: Vec::new(),
            links: Vec::new(),
            moved: Vec::new(),
            config: None,
        }
    }
}

impl Before {
    pub(crate) fn load(path: &Path) -> Result<Self, Error> {
        let Some(text) = read(path)? else { return Ok(Self::default()) };
        let malformed = |line, column, expected| Error::Malformed { path: path.to_owned(), line, column, expected };
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        // What a newer version remembers may be more than this one knows how to put back.
        if let Ok(Versioned { version }) = serde_json::from_str(&text)
            && version > VERSION
        {
            return Err(malformed(
                1,
                1,
                format!("version {version} was written by a newer sdocker, which can undo it"),
            ));
        }
        let mut before: Self = serde_json::from_str(&text)
            .map_err(|error| malformed(error.line().max(1), error.column().max(1), error.to_string()))?;
        before.version = VERSION;
        Ok(before)
    }

    pub(crate) fn save(&self, path: &Path) -> Result<(), Error> {
        let text = serde_json::to_string_pretty(self).unwrap_or_default();
        write(path, &format!("{text}\n"))
    }

    /// Whether a link is one of those that were made.
    pub(crate) fn made_link(&self, link: &Path, target: &Path) -> bool {
        self.links.iter().any(|made| made.link == link && made.target == target)
    }

    pub(crate) fn remember(&mut self, action: &Action) -> Result<(), Error> {
        if let Some((path, to)) = action.moves() {
            self.moved.push(Moved { path: path.to_owned(), to: to.to_owned() });
        }
        match action {
            Action::MakeFolder { folder, .. } => {
                self.remember_parents(folder);
                if !self.folders.contains(folder) {
                    self.folders.push(folder.clone());
                }
            }
            Action::Link { link, target, .. } => {
                let known = self.links.iter_mut().find(|known| known.link == *link);
                match known {
                    Some(known) => known.target = target.clone(),
                    None => self.links.push(Link { link: link.clone(), target: target.clone(), before: None }),
                }
            }
            Action::SetContainerRoot { file, value } => {
                self.remember_parents(&whole_file::target(file).unwrap_or_else(|_| file.clone()));
                let text = read(file)?;
                let after = config_yaml::with_container_root(file, text.as_deref().unwrap_or_default(), Some(value));
                let after = after.unwrap_or_default();
                match &mut self.config {
                    // What was there before the first time is what undo puts back.
                    Some(known) => known.after = after,
                    None => self.config = Some(Config { path: file.clone(), before: text, after }),
                }
            }
        }
        Ok(())
    }

    fn remember_parents(&mut self, path: &Path) {
        let missing = path.ancestors().skip(1).take_while(|folder| matches!(folder.try_exists(), Ok(false)));
        let missing: Vec<PathBuf> =
            missing.filter(|folder| !self.parents.contains(&folder.to_path_buf())).map(Path::to_owned).collect();
        self.parents.extend(missing.into_iter().rev());
    }
}

/// What undo did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Undone {
    /// What was put back or removed.
    pub done: Vec<String>,
    /// What stays, and why.
    pub kept: Vec<String>,
}

/// Puts back what was there before [`apply`](crate::apply()), as its record says, and removes the record. What the user has changed
/// since stays; folders go only when they are empty. What was moved aside and can't go back, because something else has taken its
/// place, stays where it is, and the record with it: another undo gives it back.
///
/// # Errors
/// A file that can't be read or written; the record then remains.
pub fn undo(record: &Path) -> Result<Undone, Error> {
    let before = Before::load(record)?;
    let mut undone = Undone::default();
    if let Some(config) = &before.config {
        undo_config(config, &mut undone)?;
    }
    for link in before.links.iter().rev() {
        if fs::read_link(&link.link).is_ok_and(|target| target == link.target) {
            fs::remove_file(&link.link).map_err(file("remove", &link.link))?;
            if let Some(before) = &link.before {
                std::os::unix::fs::symlink(before, &link.link).map_err(file("link", &link.link))?;
            }
            undone.done.push(format!("removed the link {}", link.link.display()));
        }
    }
    for folder in before.folders.iter().rev() {
        match fs::remove_dir(folder) {
            Ok(()) => undone.done.push(format!("removed {}", folder.display())),
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {
                undone.kept.push(format!("{} holds files", folder.display()));
            }
            // Gone, or something else by now.
            Err(_) => {}
        }
    }
    let mut remaining = Before::default();
    for moved in before.moved.into_iter().rev() {
        give_back(moved, &mut undone, &mut remaining);
    }
    for folder in before.parents.iter().rev() {
        let _ = fs::remove_dir(folder);
    }
    if !remaining.moved.is_empty() {
        remaining.save(record)?;
        return Ok(undone);
    }
    match fs::remove_file(record) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(file("remove", record)(error)),
        _ => Ok(undone),
    }
}

fn give_back(moved: Moved, undone: &mut Undone, remaining: &mut Before) {
    match aside::give_back(&moved.to, &moved.path) {
        Ok(()) => undone.done.push(format!("put back {}", moved.path.display())),
        // It was never moved, or the user has taken it back.
        Err(_) if fs::symlink_metadata(&moved.to).is_err() => {
            if let Some(folder) = moved.to.parent() {
                let _ = fs::remove_dir(folder);
            }
        }
        Err(error) => {
            let why = match error.kind() {
                io::ErrorKind::AlreadyExists => format!("{} is there again", moved.path.display()),
                _ => error.to_string(),
            };
            undone.kept.push(format!("{} stays where it is: {why}", moved.to.display()));
            remaining.moved.insert(0, moved);
        }
    }
}

fn undo_config(config: &Config, undone: &mut Undone) -> Result<(), Error> {
    let path = &config.path;
    match (read(path)?, &config.before) {
        (None, _) => {}
        (Some(now), Some(before)) if now == *before => {}
        (Some(now), Some(before)) if now == config.after => {
            write(path, before)?;
            undone.done.push(format!("put back {}", path.display()));
        }
        (Some(now), None) if now == config.after => {
            // A link that led nowhere stays.
            let target = whole_file::target(path).map_err(file("read", path))?;
            fs::remove_file(&target).map_err(file("remove", &target))?;
            undone.done.push(format!("removed {}", path.display()));
        }
        // Edited since: only our own value goes back.
        (Some(now), before) => {
            let value = match before {
                Some(before) => config_yaml::container_root(path, before)?,
                None => None,
            };
            match config_yaml::with_container_root(path, &now, value.as_deref()) {
                Ok(text) => {
                    write(path, &text)?;
                    undone.done.push(format!("put back local.container_root in {}", path.display()));
                }
                Err(error) => undone.kept.push(format!("local.container_root in {} stays: {error}", path.display())),
            }
        }
    }
    Ok(())
}
