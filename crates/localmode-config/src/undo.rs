//! Putting back what was there before.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{
    Action, Error, config_yaml,
    error::file,
    plan::{read, write},
};

/// What was there before, kept in a file until it is put back.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Before {
    version: u32,
    /// Folders that were made.
    folders: Vec<PathBuf>,
    /// Links that were made, with where they lead and what the link led to before.
    links: Vec<Link>,
    /// The configuration file.
    config: Option<Config>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Link {
    link: PathBuf,
    target: PathBuf,
    before: Option<PathBuf>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Config {
    path: PathBuf,
    /// The whole text; `None` where there was no file.
    before: Option<String>,
    /// The text that was written.
    after: String,
}

const VERSION: u32 = 1;

impl Before {
    pub(crate) fn load(path: &Path) -> Result<Self, Error> {
        let Some(text) = read(path)? else { return Ok(Self { version: VERSION, ..Self::default() }) };
        serde_json::from_str(&text).map_err(|error| Error::Malformed {
            path: path.to_owned(),
            line: error.line().max(1),
            column: error.column().max(1),
            expected: error.to_string(),
        })
    }

    pub(crate) fn save(&self, path: &Path) -> Result<(), Error> {
        let text = serde_json::to_string_pretty(self).unwrap_or_default();
        write(path, &format!("{text}\n"))
    }

    pub(crate) fn remember(&mut self, action: &Action) -> Result<(), Error> {
        match action {
            Action::MakeFolder(path) if !self.folders.contains(path) => self.folders.push(path.clone()),
            Action::MakeFolder(_) => {}
            Action::Link { link, target } => {
                let known = self.links.iter().any(|known| known.link == *link);
                if !known {
                    let before = fs::read_link(link).ok();
                    self.links.push(Link { link: link.clone(), target: target.clone(), before });
                }
            }
            Action::SetContainerRoot { file, value } => {
                let text = read(file)?;
                let after = config_yaml::with_container_root(file, text.as_deref().unwrap_or_default(), Some(value))?;
                match &mut self.config {
                    // What was there before the first time is what undo puts back.
                    Some(known) => known.after = after,
                    None => self.config = Some(Config { path: file.clone(), before: text, after }),
                }
            }
        }
        Ok(())
    }
}

/// What undo did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Undone {
    /// What was put back or removed.
    pub done: Vec<String>,
    /// What stays, and why.
    pub kept: Vec<String>,
}

/// Puts back what was there before [`apply`](crate::apply()), as its record says, and removes the record. What the user has changed
/// since stays; folders go only when they are empty.
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
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(_) => undone.kept.push(format!("{} holds files", folder.display())),
        }
    }
    match fs::remove_file(record) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(file("remove", record)(error)),
        _ => Ok(undone),
    }
}

fn undo_config(config: &Config, undone: &mut Undone) -> Result<(), Error> {
    let path = &config.path;
    match (read(path)?, &config.before) {
        (None, _) => {}
        (Some(now), Some(before)) if now == config.after => {
            write(path, before)?;
            undone.done.push(format!("put back {}", path.display()));
        }
        (Some(now), None) if now == config.after => {
            fs::remove_file(path).map_err(file("remove", path))?;
            undone.done.push(format!("removed {}", path.display()));
        }
        // Edited since: only our own value goes back.
        (Some(now), before) => {
            let value = match before {
                Some(before) => config_yaml::container_root(path, before)?,
                None => None,
            };
            write(path, &config_yaml::with_container_root(path, &now, value.as_deref())?)?;
            undone.done.push(format!("put back local.container_root in {}", path.display()));
        }
    }
    Ok(())
}
