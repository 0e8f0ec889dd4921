//! `~/.sagemaker/config.yaml`, edited in place: comments, order and foreign keys stay.
//!
//! The SDK's schema (sagemaker `local/local_session.py` and its `config` module, 2.80 to 3.x): an object with the required key `local`
//! and nothing else; in it only `local_code` (bool), `region_name` (string), `serving_port` (integer), `container_root` (string) and
//! `container_config` (object). Anything more, and the SDK raises a ValidationError.

use std::{fmt::Write as _, path::Path};

use yaml_serde::{Mapping, Value};
use yamlpatch::{Op, Patch, apply_yaml_patches};
use yamlpath::{Document, route};

use crate::Error;

/// The value of `local.container_root`.
pub(crate) fn container_root(path: &Path, text: &str) -> Result<Option<String>, Error> {
    Ok(root_in(&document(path, text)?).and_then(Value::as_str).map(str::to_owned))
}

/// The lines that say this value, for a file that has none of them.
pub(crate) fn lines(value: &str) -> String {
    format!("local:\n  container_root: {}\n", scalar(value))
}

/// The text with `local.container_root` set to this value, or without it.
///
/// What comes out differs from what went in by that value alone: in what it means, and in its bytes. A file in which that can't be
/// done for sure (anchors, several documents, an unusual style) is not edited.
pub(crate) fn with_container_root(path: &Path, text: &str, value: Option<&str>) -> Result<String, Error> {
    let before = document(path, text)?;
    let present = root_in(&before);
    if present.and_then(Value::as_str) == value {
        return Ok(text.to_owned());
    }
    let not_editable = |why: String| Error::NotEditable { path: path.to_owned(), why };
    let unusual = || not_editable("its layout is unusual".to_owned());
    let other_keys = before.get("local").and_then(Value::as_mapping).is_some_and(|local| !local.is_empty());
    let patched = |operation: Op<'_>, replaces: bool| {
        let route = if replaces { route!("local", "container_root") } else { route!("local") };
        let document = Document::new(text).map_err(|error| not_editable(error.to_string()))?;
        let edited = apply_yaml_patches(&document, &[Patch { route, operation }]);
        edited.map(|edited| edited.source().to_owned()).map_err(|error| not_editable(error.to_string()))
    };
    let set = |value: &str| Value::String(value.to_owned());
    let edited = match (value, present.is_some()) {
        (None, _) => patched(Op::Remove, true)?,
        (Some(value), true) => patched(Op::Replace(set(value)), true)?,
        (Some(value), false) if other_keys => {
            patched(Op::Add { key: "container_root".to_owned(), value: set(value) }, false)?
        }
        // The patcher can't add to `local:` without a value, nor to an empty file.
        (Some(value), false) => extended(text, value, before.get("local").is_some()).ok_or_else(unusual)?,
    };
    let after = document(path, &edited).map_err(|_| unusual())?;
    let removed = removed(text, &edited);
    let is_clean = match (value, present.is_some()) {
        (None, _) => true,
        // Comments, anchors and tags beside the old value would go with it.
        (Some(_), true) => !removed.contains(['\n', '#', '&', '*', '!', '|', '>']),
        (Some(_), false) => removed.is_empty() || removed == "{}",
    };
    if is_clean && normal(after) == with_root(before, value) { Ok(edited) } else { Err(unusual()) }
}

/// The text with `local` added at its end, or with the key below its `local:`, which has no value; `None` where there is no such line.
fn extended(text: &str, value: &str, has_local: bool) -> Option<String> {
    let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
    if !has_local {
        let gap = if text.is_empty() || text.ends_with('\n') { "" } else { newline };
        return Some(format!("{text}{gap}{}", lines(value).replace('\n', newline)));
    }
    let mut extended = String::with_capacity(text.len() + value.len() + 32);
    let mut found = false;
    for line in text.split_inclusive('\n') {
        let rest = line.strip_prefix("local:").filter(|_| !found).map(str::trim);
        let is_comment = |rest: &str| rest.is_empty() || rest.starts_with('#');
        match rest {
            Some(rest) if is_comment(rest) => {
                let gap = if line.ends_with('\n') { "" } else { newline };
                let _ = write!(extended, "{line}{gap}  container_root: {}{newline}", scalar(value));
                found = true;
            }
            Some(rest) if rest.strip_prefix("{}").is_some_and(|rest| is_comment(rest.trim_start())) => {
                extended.push_str(&line.replacen("{}", &format!("{{container_root: {}}}", scalar(value)), 1));
                found = true;
            }
            _ => extended.push_str(line),
        }
    }
    found.then_some(extended)
}

/// A JSON string is a YAML string as well, in any style.
fn scalar(value: &str) -> String {
    serde_json::Value::from(value).to_string()
}

/// What of a text is missing in another that was made of it by one change.
fn removed<'t>(before: &'t str, after: &str) -> &'t str {
    let common = |pairs: &mut dyn Iterator<Item = (char, char)>| {
        pairs.take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8()).sum::<usize>()
    };
    let start = common(&mut before.chars().zip(after.chars()));
    let (before, after) = (&before[start..], &after[start..]);
    let end = common(&mut before.chars().rev().zip(after.chars().rev()));
    &before[..before.len() - end]
}

fn root_in(whole: &Value) -> Option<&Value> {
    whole.get("local")?.get("container_root")
}

/// The same document with this value. An empty `local` and one without a value mean the same.
fn with_root(mut whole: Value, value: Option<&str>) -> Value {
    if let Some(value) = value {
        if whole.is_null() {
            whole = Value::Mapping(Mapping::new());
        }
        let local = whole.as_mapping_mut().map(|whole| whole.entry("local".into()).or_insert(Value::Null));
        if let Some(local) = local {
            if local.is_null() {
                *local = Value::Mapping(Mapping::new());
            }
            if let Some(local) = local.as_mapping_mut() {
                local.insert("container_root".into(), value.into());
            }
        }
    } else if let Some(local) = whole.get_mut("local").and_then(Value::as_mapping_mut) {
        local.remove("container_root");
    }
    normal(whole)
}

fn normal(mut whole: Value) -> Value {
    if let Some(local) = whole.get_mut("local")
        && local.as_mapping().is_some_and(Mapping::is_empty)
    {
        *local = Value::Null;
    }
    whole
}

/// The document, where it is what the SDK takes.
fn document(path: &Path, text: &str) -> Result<Value, Error> {
    let malformed = |line, column, expected: String| Error::Malformed { path: path.to_owned(), line, column, expected };
    let whole: Value = yaml_serde::from_str(text).map_err(|error| {
        let place = error.location();
        let (line, column) = place.map_or((1, 1), |place| (place.line(), place.column()));
        malformed(line, column, error.to_string())
    })?;
    let line_of = |key: &str| 1 + text.lines().position(|line| line.trim_start().starts_with(key)).unwrap_or_default();
    match &whole {
        Value::Null => Ok(whole),
        Value::Mapping(mapping) => match mapping.get("local") {
            None => Ok(whole),
            Some(local @ (Value::Mapping(_) | Value::Null)) => {
                let root = local.get("container_root");
                if root.is_some_and(|root| !root.is_string()) {
                    return Err(malformed(
                        line_of("container_root"),
                        1,
                        "expected a path as local.container_root".to_owned(),
                    ));
                }
                Ok(whole)
            }
            Some(_) => Err(malformed(line_of("local"), 1, "expected a mapping as local".to_owned())),
        },
        _ => Err(malformed(1, 1, "expected a mapping with the key local".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str, value: &str) -> String {
        with_container_root(Path::new("config.yaml"), text, Some(value)).expect(text)
    }

    #[test]
    fn comments_order_and_other_keys_stay() {
        let text = "# mine\nlocal:\n  local_code: true  # keep\n  # where data goes\n  container_root: /old\n  serving_port: 8080\n";
        assert_eq!(set(text, "/home/me/tmp"), text.replace("/old", "/home/me/tmp"));
        let without = "local:\n  local_code: true # keep\n  container_config: {shm_size: 1G}\n";
        let edited = set(without, "/home/me/tmp");
        assert!(edited.starts_with(without.trim_end()), "{edited}");
        assert_eq!(container_root(Path::new("x"), &edited).expect("valid").as_deref(), Some("/home/me/tmp"));
        let back = with_container_root(Path::new("x"), &edited, None).expect("editable");
        assert_eq!(container_root(Path::new("x"), &back).expect("valid"), None);
    }

    #[test]
    fn files_without_the_key_get_it() {
        for text in ["", "\n", "# only a comment\n", "local:\n", "local: {}\n"] {
            let edited = set(text, "/home/me/tmp");
            assert_eq!(
                container_root(Path::new("x"), &edited).expect("valid").as_deref(),
                Some("/home/me/tmp"),
                "{text}"
            );
            assert!(edited.contains("# only") == text.contains("# only"));
        }
    }

    #[test]
    fn only_the_value_changes() {
        let cases = [
            ("other:\n  local: x\n", "other:\n  local: x\nlocal:\n  container_root: \"/t\"\n"),
            (
                "# local:\n  # local:\nlocal: # mine\n",
                "# local:\n  # local:\nlocal: # mine\n  container_root: \"/t\"\n",
            ),
            ("local: {} # mine", "local: {container_root: \"/t\"} # mine"),
            ("local:\r\n", "local:\r\n  container_root: \"/t\"\r\n"),
            ("# no newline", "# no newline\nlocal:\n  container_root: \"/t\"\n"),
            ("local:", "local:\n  container_root: \"/t\"\n"),
        ];
        for (text, expected) in cases {
            assert_eq!(set(text, "/t"), expected, "{text}");
        }
    }

    #[test]
    fn odd_paths_survive_quoting() {
        for path in ["/home/a b/tmp", "/home/it's: #1/tmp", "/home/\"q\"/tmp", "/home/ü/tmp"] {
            for text in ["", "local:\n  local_code: true\n", "local:\n  container_root: x\n"] {
                let edited = set(text, path);
                assert_eq!(container_root(Path::new("x"), &edited).expect("valid").as_deref(), Some(path), "{edited}");
            }
        }
    }

    #[test]
    fn what_the_sdk_would_refuse_is_refused_with_its_place() {
        let cases = [
            ("local:\n  - a\n", "config.yaml:1:1: expected a mapping as local"),
            ("- local\n", "config.yaml:1:1: expected a mapping with the key local"),
            ("local:\n  container_root: [a]\n", "config.yaml:2:1: expected a path as local.container_root"),
        ];
        for (text, expected) in cases {
            let error = with_container_root(Path::new("config.yaml"), text, Some("/x")).expect_err(text);
            assert_eq!(error.to_string(), expected);
        }
        let broken =
            with_container_root(Path::new("config.yaml"), "local:\n  a: [1\nb: }", Some("/x")).expect_err("broken");
        assert!(matches!(broken, Error::Malformed { line: 2.., .. }), "{broken}");
    }
}
