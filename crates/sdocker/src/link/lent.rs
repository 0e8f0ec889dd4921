//! The folders that this app lends a host.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

use host_files::Share;
use serde::{Deserialize, Serialize};

use crate::{CloudChoice, Error, Surroundings, clouds, error::Context as _};

/// Below these a path of the app can't hide what the host itself needs.
const SHAREABLE: [&str; 5] = ["/home", "/root", "/tmp", "/opt/ml", "/mnt"];

/// What Studio tells an app of itself. The SDK gives it to containers.
const METADATA: &str = "/opt/ml/metadata";

/// Where the SDK puts its data in the home.
const SDK_FOLDER: &str = "tmp";

/// The folders that an app lends a host; remembered for as long as the host lasts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Lent {
    folders: Vec<Folder>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Folder {
    path: PathBuf,
    #[serde(default)]
    read_only: bool,
    #[serde(default)]
    without_dot_entries: bool,
    /// What is hidden in it, and lent all the same.
    #[serde(default)]
    shown: Vec<PathBuf>,
}

impl From<Share> for Folder {
    fn from(share: Share) -> Self {
        let Share { path, read_only, without_dot_entries, shown } = share;
        Self { path, read_only, without_dot_entries, shown }
    }
}

impl Folder {
    /// Lends a folder that is in this one along with it, even if it is hidden there.
    fn take_in(&mut self, inner: &Self) {
        let is_hidden = |path: &Path| {
            path.strip_prefix(&self.path).is_ok_and(|below| below.as_os_str().as_encoded_bytes().starts_with(b"."))
        };
        if self.without_dot_entries
            && is_hidden(&inner.path)
            && !self.shown.iter().any(|path| inner.path.starts_with(path))
        {
            self.shown.retain(|path| !path.starts_with(&inner.path));
            self.shown.push(inner.path.clone());
        }
    }
}

impl Lent {
    /// The folders of these texts, `PATH[:ro]` each; without any, what an app lends by default: the home without what is hidden in it,
    /// the SDK's folder, and what Studio tells of the app, to be read.
    ///
    /// # Errors
    /// One that can't be lent.
    pub fn of(texts: &[String], surroundings: &Surroundings) -> crate::Result<Self> {
        let mut lent = Self::default();
        if texts.is_empty() {
            for share in by_default(surroundings) {
                // One that is hidden in another stays so.
                let _ = lent.add(share);
            }
        }
        for text in texts {
            lent.add(share(text, surroundings)?)?;
        }
        Ok(lent)
    }

    /// Adds a folder. One that is in another comes with it, and can't be another way than that is.
    fn add(&mut self, share: Share) -> crate::Result<()> {
        let mut added = Folder::from(share);
        for folder in &self.folders {
            let (inner, outer) = if added.path.starts_with(&folder.path) { (&added, folder) } else { (folder, &added) };
            if inner.read_only != outer.read_only && inner.path.starts_with(&outer.path) {
                let [inner, outer] = [inner, outer].map(|folder| folder.path.display());
                let why =
                    format!("{inner} can't be read-only or not by itself: it is in {outer}, which is shared as well");
                return Err(
                    Error::new(why).hint("share the folders beside it that are needed, in place of what both are in")
                );
            }
        }
        if let Some(outer) = self.folders.iter_mut().find(|folder| added.path.starts_with(&folder.path)) {
            outer.take_in(&added);
            return Ok(());
        }
        let (inner, beside): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.folders).into_iter().partition(|folder| folder.path.starts_with(&added.path));
        self.folders = beside;
        for inner in inner {
            added.take_in(&inner);
        }
        self.folders.push(added);
        Ok(())
    }

    /// The folders.
    pub fn shares(&self) -> Vec<Share> {
        let share = |folder: &Folder| Share {
            path: folder.path.clone(),
            read_only: folder.read_only,
            without_dot_entries: folder.without_dot_entries,
            shown: folder.shown.clone(),
        };
        self.folders.iter().map(share).collect()
    }

    pub(crate) fn write(&self, file: &Path) -> crate::Result<()> {
        let text = serde_json::to_vec_pretty(self)?;
        whole_file::replace(file, &text, 0o600).with_context(|| format!("cannot write {}", file.display()))
    }

    /// What was remembered; `None` where nothing was.
    pub(crate) fn read(file: &Path) -> crate::Result<Option<Self>> {
        let text = match whole_file::read(file, 1 << 20, whole_file::Links::Refuse) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::new(format!("cannot read {}", file.display())).because(error)),
        };
        let lent = serde_json::from_slice(&text).with_context(|| format!("{} is broken", file.display()))?;
        Ok(Some(lent))
    }
}

impl Lent {
    /// Whether containers see this path of the app.
    pub(crate) fn shows(&self, path: &Path) -> bool {
        self.folders.iter().any(|folder| {
            let Ok(below) = path.strip_prefix(&folder.path) else { return false };
            let is_hidden = folder.without_dot_entries && below.as_os_str().as_encoded_bytes().starts_with(b".");
            !is_hidden || folder.shown.iter().any(|shown| path.starts_with(shown))
        })
    }

    /// What it means for a host that no process serves it.
    pub(crate) fn unserved(&self) -> String {
        let no_port = "no port is at localhost";
        if self.folders.is_empty() {
            return no_port.to_owned();
        }
        format!("containers see nothing of this app's files ({self}), and {no_port}")
    }
}

impl fmt::Display for Lent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.folders.is_empty() {
            return f.write_str("none");
        }
        for (position, folder) in self.folders.iter().enumerate() {
            let between = if position == 0 { "" } else { ", " };
            let read_only = if folder.read_only { " (read-only)" } else { "" };
            let hidden = if folder.without_dot_entries { " without its dot entries" } else { "" };
            write!(f, "{between}{}{hidden}", folder.path.display())?;
            for (position, shown) in folder.shown.iter().enumerate() {
                write!(f, "{}{}", if position == 0 { ", but with " } else { " and " }, shown.display())?;
            }
            write!(f, "{read_only}")?;
        }
        Ok(())
    }
}

fn by_default(surroundings: &Surroundings) -> Vec<Share> {
    let real = |path: &Path| fs::canonicalize(path).ok().filter(|path| path.is_dir() && is_shareable(path));
    let mut shares = Vec::new();
    if let Some(home) = real(&surroundings.home).filter(|_| !holds_hosts(surroundings)) {
        shares.push(Share { without_dot_entries: true, ..Share::new(home) });
    }
    if let Some(folder) = real(&surroundings.home.join(SDK_FOLDER)) {
        shares.push(Share::new(folder));
    }
    if let Some(metadata) = real(Path::new(METADATA)) {
        shares.push(Share { read_only: true, ..Share::new(metadata) });
    }
    shares
}

/// Whether hosts run in this very home: their daemons would wait for files that they themselves serve.
fn holds_hosts(surroundings: &Surroundings) -> bool {
    clouds::choose(surroundings) == CloudChoice::Sandbox
}

fn is_shareable(path: &Path) -> bool {
    SHAREABLE.iter().any(|root| path.starts_with(root) && path != Path::new(root))
}

/// A folder that may be lent, by its true path.
///
/// # Errors
/// There is none, or it may not.
pub fn share(text: &str, surroundings: &Surroundings) -> crate::Result<Share> {
    let (path, read_only) = match text.strip_suffix(":ro") {
        Some(path) => (path, true),
        None => (text, false),
    };
    let asked = match path.strip_prefix("~/") {
        // A shell writes it out; sdocker.conf has no shell.
        Some(below) => surroundings.home.join(below),
        None => surroundings.cwd.clone().unwrap_or_default().join(path),
    };
    let path = fs::canonicalize(asked).with_context(|| format!("cannot share {path}"))?;
    if !path.is_dir() {
        return Err(Error::new(format!("{} is no folder", path.display())).hint("share the folder that it is in"));
    }
    if !is_shareable(&path) {
        let roots = SHAREABLE.join(", ");
        return Err(Error::new(format!("{} can't be shared", path.display()))
            .hint(format!("folders below {roots} can be shared")));
    }
    let real = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let keys = real(&surroundings.sdocker_home);
    // The home as it is by default: its dot entries, the keys among them, are kept from containers.
    let is_home = path == real(&surroundings.home);
    let hides_keys = is_home
        && !holds_hosts(surroundings)
        && keys.strip_prefix(&path).is_ok_and(|below| below.to_string_lossy().starts_with('.'));
    if path.starts_with(&keys) || (keys.starts_with(&path) && !hides_keys) {
        let error = Error::new(format!("{} can't be shared: the keys to your hosts are in it", path.display()));
        return Err(error.hint("share folders beside them"));
    }
    Ok(Share { read_only, without_dot_entries: is_home, ..Share::new(path) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_shared_by_what_they_are() {
        let place = tempfile::tempdir().expect("made");
        let home = fs::canonicalize(place.path()).expect("there").join("home");
        let mut surroundings = Surroundings::new(&home);
        surroundings.cloud = Some(CloudChoice::Aws);
        for folder in ["work/inner", ".sdocker/hosts", "tmp"] {
            fs::create_dir_all(home.join(folder)).expect("made");
        }
        fs::write(home.join("f"), "").expect("written");
        std::os::unix::fs::symlink("work", home.join("link")).expect("linked");
        let at = |name: &str| home.join(name).display().to_string();
        let work = Share::new(home.join("work"));
        assert_eq!(share(&at("work"), &surroundings).expect("shared"), work);
        assert_eq!(share(&(at("link") + ":ro"), &surroundings).expect("shared"), Share { read_only: true, ..work });
        let whole = share(&at(""), &surroundings).expect("shared");
        assert_eq!(whole, Share { without_dot_entries: true, ..Share::new(&home) });
        for (wrong, why) in [
            (at("none"), "cannot share"),
            (at("f"), "is no folder"),
            (at(".sdocker"), "keys"),
            (at(".sdocker/hosts"), "keys"),
            (place.path().display().to_string(), "keys"),
            ("/tmp".to_owned(), "can't be shared"),
            ("/usr/bin".to_owned(), "can't be shared"),
            ("/".to_owned(), "can't be shared"),
        ] {
            let error = share(&wrong, &surroundings).expect_err(&wrong).to_string();
            assert!(error.contains(why), "{error}");
        }
        let paths = |texts: &[&str]| {
            let texts: Vec<String> = texts.iter().map(|text| at(text)).collect();
            let lent = Lent::of(&texts, &surroundings).expect("shared");
            lent.shares().into_iter().map(|share| share.path).filter(|path| path.starts_with(&home)).collect::<Vec<_>>()
        };
        // Everything in the home comes with it; folders in each other are one.
        assert_eq!(paths(&[]), std::slice::from_ref(&home));
        assert_eq!(paths(&["work/inner", "work", "tmp"]), [home.join("work"), home.join("tmp")]);
        fs::create_dir_all(home.join(".config")).expect("made");
        assert_eq!(paths(&[".config:ro", "tmp"]), [home.join(".config"), home.join("tmp")]);
        // What is hidden in the home is shared with it where it is named, in whatever order.
        fs::create_dir_all(home.join(".cache/x/y")).expect("made");
        for texts in [["", ".config", ".cache/x"], [".config", ".cache/x/y", ""], [".cache/x", "", ".cache/x/y"]] {
            let lent = Lent::of(&texts.map(at), &surroundings).expect("shared");
            let [folder] = &lent.folders[..] else { panic!("{lent:?}") };
            let named: Vec<&str> = texts.into_iter().filter(|text| !text.is_empty() && *text != ".cache/x/y").collect();
            let shown: Vec<&Path> = folder.shown.iter().map(|path| path.strip_prefix(&home).expect("in it")).collect();
            if texts[1] == ".cache/x/y" {
                assert_eq!(shown, [Path::new(".config"), Path::new(".cache/x/y")]);
            } else {
                assert_eq!(shown, named.iter().map(Path::new).collect::<Vec<_>>());
            }
            assert!(
                folder.without_dot_entries && lent.to_string().contains("without its dot entries, but with "),
                "{lent}"
            );
        }
        for (texts, why) in [
            ([".config:ro", ""], "can't be read-only or not"),
            (["work", "work/inner:ro"], "can't be read-only or not"),
            (["", ".sdocker"], "keys"),
            (["", ".sdocker/hosts"], "keys"),
        ] {
            let error = Lent::of(&texts.map(at), &surroundings).expect_err("refused").to_string();
            assert!(error.contains(why), "{error}");
        }
        let file = place.path().join("links/host.json");
        let lent = Lent::of(&[], &surroundings).expect("shared");
        lent.write(&file).expect("written");
        assert_eq!(Lent::read(&file).expect("read"), Some(lent));
        assert_eq!(Lent::read(&place.path().join("none")).expect("nothing"), None);
    }

    #[test]
    fn who_lends_no_files_misses_none() {
        assert_eq!(Lent::default().unserved(), "no port is at localhost");
    }
}
