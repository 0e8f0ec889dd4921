//! `sdocker.conf` as something to look at and to change: in place, so that what the user wrote stays.

use std::path::PathBuf;

use jsonc_parser::{ParseOptions, cst::CstRootNode};
use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    keys::{KEYS, Key},
    parse, read_text,
};
use crate::{Error, error::Context as _, lock::lock_of};

/// What a new file begins with.
const EMPTY: &str = "{\n}\n";

/// The file of a home, which may not exist yet.
#[derive(Clone, Debug)]
pub struct ConfigFile {
    path: PathBuf,
    text: Option<String>,
}

/// A setting, and where its value comes from.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Setting {
    /// Its key.
    pub key: &'static str,
    /// Its value, as the file has it; `null`: none.
    pub value: Value,
    /// Where the value comes from.
    pub from: Source,
    /// What it means.
    pub about: &'static str,
}

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Source {
    /// The file.
    #[serde(rename = "sdocker.conf")]
    File,
    /// Nobody said anything else.
    #[serde(rename = "default")]
    Default,
}

impl ConfigFile {
    /// The first of these files that exists, else the first.
    ///
    /// # Errors
    /// One that can't be read.
    pub(crate) fn find(candidates: &[PathBuf]) -> crate::Result<Self> {
        for path in candidates {
            if let Some(text) = read_text(path)? {
                return Ok(Self { path: path.clone(), text: Some(text) });
            }
        }
        Ok(Self { path: candidates.first().cloned().unwrap_or_default(), text: None })
    }

    /// Where it is, or would be.
    pub fn path(&self) -> &std::path::Path {
        &self.path
    }

    /// Whether it is there.
    pub fn exists(&self) -> bool {
        self.text.is_some()
    }

    /// Every setting.
    ///
    /// # Errors
    /// The file is not what it should be: with line and column.
    pub fn settings(&self) -> crate::Result<Vec<Setting>> {
        let text = self.text.as_deref().unwrap_or_default();
        parse(&self.path, text)?;
        let said: Map<String, Value> = serde_json::from_str(plain(text)).unwrap_or_default();
        let setting = |key: &Key| {
            let said = said.get(key.name).filter(|value| !value.is_null());
            let from = if said.is_some() { Source::File } else { Source::Default };
            let value = said.cloned().or_else(|| key.default()).unwrap_or_default();
            Setting { key: key.name, value, from, about: key.about }
        };
        Ok(KEYS.iter().map(setting).collect())
    }

    /// Gives a key a value, from words of a command line; without words, takes the key out. Everything else in the file stays as it is.
    ///
    /// # Errors
    /// A value that can't be meant; a file that is not what it should be, or can't be written.
    pub fn set(&self, key: &Key, words: &[String]) -> crate::Result<()> {
        let _lock = lock_of(&self.path).with_context(|| format!("cannot lock {}", self.path.display()))?;
        let before = read_text(&self.path)?;
        let after = edited(before.as_deref().unwrap_or_default(), key, words);
        let after = after.with_context(|| format!("{} can't be edited", self.path.display()))?;
        if let Err(wrong) = super::checked(&after) {
            // What was wrong before is said of the file, and not of the value.
            parse(&self.path, before.as_deref().unwrap_or_default())?;
            let value = words.join(" ");
            let hint = wrong.advice.unwrap_or_else(|| format!("{} is: {}", key.name, key.about));
            return Err(Error::new(format!("{} can't be {value}: {}", key.name, wrong.what)).hint(hint));
        }
        if before.is_none() && words.is_empty() {
            return Ok(());
        }
        let failed = || format!("cannot write {}", self.path.display());
        whole_file::replace(&self.path, after.as_bytes(), 0o600).with_context(failed)
    }

    /// Makes an empty file, where there is none.
    ///
    /// # Errors
    /// It can't be written.
    pub fn create(&self) -> crate::Result<()> {
        if self.exists() {
            return Ok(());
        }
        let failed = || format!("cannot write {}", self.path.display());
        whole_file::replace(&self.path, EMPTY.as_bytes(), 0o600).with_context(failed)
    }
}

/// Without the mark that some editors begin files with.
fn plain(text: &str) -> &str {
    text.trim_start_matches('\u{feff}')
}

/// The text with another value of this key; `None` where it is no JSON object.
fn edited(text: &str, key: &Key, words: &[String]) -> Option<String> {
    let mark = &text[..text.len() - plain(text).len()];
    let text = plain(text);
    let text = if text.trim().is_empty() { EMPTY } else { text };
    let root = CstRootNode::parse(text, &ParseOptions::default()).ok()?;
    let object = root.object_value()?;
    match (object.get(key.name), words) {
        (Some(found), []) => found.remove(),
        (None, []) => {}
        (Some(found), words) => found.set_value(cst(key.value(words))),
        (None, words) => {
            object.append(key.name, cst(key.value(words)));
        }
    }
    Some(format!("{mark}{root}"))
}

/// A value as the editor of the file takes it.
fn cst(value: Value) -> jsonc_parser::cst::CstInputValue {
    use jsonc_parser::cst::CstInputValue as Input;
    match value {
        Value::Null => Input::Null,
        Value::Bool(value) => Input::Bool(value),
        Value::Number(value) => Input::Number(value.to_string()),
        Value::String(value) => Input::String(value),
        Value::Array(values) => Input::Array(values.into_iter().map(cst).collect()),
        Value::Object(values) => Input::Object(values.into_iter().map(|(key, value)| (key, cst(value))).collect()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;

    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn one_value_is_changed_and_nothing_else() {
        let port = Key::named("Port").expect("a key");
        let text = "\u{feff}{\n\t\"Whatever\":   [1,2],\n\t\"Port\": 1111\n}\n";
        assert_eq!(edited(text, port, &words(&["2222"])).as_deref(), Some(&*text.replace("1111", "2222")));
        let without = edited(text, port, &[]).expect("edited");
        assert!(without.contains("\"Whatever\":   [1,2]") && !without.contains("Port"), "{without}");
        assert_eq!(edited("[]", port, &words(&["2222"])), None);
    }

    #[test]
    fn a_file_is_made_read_and_kept_from_what_cannot_be_meant() {
        let folder = tempfile::tempdir().expect("made");
        let path = folder.path().join("new/sdocker.conf");
        let find = || ConfigFile::find(std::slice::from_ref(&path)).expect("readable");
        let set = |name: &str, value: &[&str]| find().set(Key::named(name).expect(name), &words(value));
        let setting = |name: &str| {
            let all = find().settings().expect("well-formed");
            all.into_iter().find(|setting| setting.key == name).expect(name)
        };
        assert_eq!((setting("Port").value, setting("Port").from), (json!(1111), Source::Default));
        set("EBSVolumeSize", &[]).expect("nothing to take out");
        assert!(!path.exists(), "nothing is made for nothing");

        set("InstanceType", &["c5.xlarge"]).expect("set");
        set("Tags", &["CostCenter=42"]).expect("set");
        assert_eq!((setting("InstanceType").value, setting("InstanceType").from), (json!("c5.xlarge"), Source::File));
        let before = fs::read_to_string(&path).expect("written");
        for (key, value, expected) in [
            ("Port", "many", "Port can't be many: invalid type: string \"many\", expected a whole number up to 65535"),
            ("Port", "8080", "Port can't be 8080: port 8080 is that of model endpoints"),
            ("MaxLifetime", "soon", "MaxLifetime can't be soon: `soon` is not a duration"),
            ("Market", "free", "Market can't be free: unknown variant `free`, expected one of `on-demand`"),
            ("SubnetId", "vpc-1", "SubnetId can't be vpc-1: "),
        ] {
            let error = set(key, &[value]).expect_err(key).to_string();
            assert!(error.starts_with(expected), "{error}");
        }
        assert_eq!(fs::read_to_string(&path).expect("there"), before, "what is refused is not written");
        set("InstanceType", &[]).expect("taken out");
        assert_eq!(fs::read_to_string(&path).expect("there"), "{\n  \"Tags\": {\n    \"CostCenter\": \"42\"\n  }\n}\n");

        fs::write(&path, "{\"Port\": 0}").expect("written");
        let error = set("Key", &["mine"]).expect_err("it is broken").to_string();
        assert!(error.contains("sdocker.conf:1:10: expected a port"), "{error}");
        set("Port", &["1111"]).expect("that mends it");
    }
}
