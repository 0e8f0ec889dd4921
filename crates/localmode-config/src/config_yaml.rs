//! `~/.sagemaker/config.yaml`, edited in place: comments, order and foreign keys stay.
//!
//! The SDK's schema (sagemaker `local/local_session.py` and its `config` module, 2.80 to 3.x): an object with the required key `local`
//! and nothing else; in it only `local_code` (bool), `region_name` (string), `serving_port` (integer), `container_root` (string) and
//! `container_config` (object). Anything more, and the SDK raises a ValidationError.

use std::path::Path;

use yaml_serde::Value;
use yamlpatch::{Op, Patch, apply_yaml_patches};
use yamlpath::{Document, route};

use crate::Error;

/// The value of `local.container_root`.
pub(crate) fn container_root(path: &Path, text: &str) -> Result<Option<String>, Error> {
    let local = local(path, text)?;
    Ok(local.as_ref().and_then(|local| local.get("container_root")).and_then(Value::as_str).map(str::to_owned))
}

/// The text with `local.container_root` set to this value, or without it.
pub(crate) fn with_container_root(path: &Path, text: &str, value: Option<&str>) -> Result<String, Error> {
    let set = |value: &str| Value::String(value.to_owned());
    let local = local(path, text)?;
    let present = local.as_ref().is_some_and(|local| local.get("container_root").is_some());
    let has_other_keys = local.as_ref().and_then(Value::as_mapping).is_some_and(|local| !local.is_empty());
    let patch = match (value, present) {
        (None, false) => return Ok(text.to_owned()),
        (None, true) => Patch { route: route!("local", "container_root"), operation: Op::Remove },
        (Some(value), true) => Patch { route: route!("local", "container_root"), operation: Op::Replace(set(value)) },
        (Some(value), false) if has_other_keys => {
            Patch { route: route!("local"), operation: Op::Add { key: "container_root".to_owned(), value: set(value) } }
        }
        // Nothing but comments, or `local:` without a value, which the patcher can't add to.
        (Some(value), false) => return Ok(appended(text, value, local.is_some())),
    };
    let not_editable = |why: String| Error::NotEditable { path: path.to_owned(), why };
    let document = Document::new(text).map_err(|error| not_editable(error.to_string()))?;
    let edited = apply_yaml_patches(&document, &[patch]).map_err(|error| not_editable(error.to_string()))?;
    let edited = edited.source().to_owned();
    // The patcher works on text; what it made must say what it was told to.
    match container_root(path, &edited) {
        Ok(found) if found.as_deref() == value => Ok(edited),
        _ => Err(not_editable("its layout is unusual".to_owned())),
    }
}

fn appended(text: &str, value: &str, has_local: bool) -> String {
    // A JSON string is a YAML string as well.
    let value = Value::String(value.to_owned());
    let line = yamlpatch::serialize_flow(&value).unwrap_or_default();
    let kept: Vec<&str> = text.lines().filter(|line| !(has_local && line.trim_start().starts_with("local:"))).collect();
    let mut text = kept.join("\n");
    if !text.is_empty() {
        text.push('\n');
    }
    format!("{text}local:\n  container_root: {line}\n")
}

/// The object `local`; `None` where the file has none.
fn local(path: &Path, text: &str) -> Result<Option<Value>, Error> {
    let malformed = |line, column, expected: String| Error::Malformed { path: path.to_owned(), line, column, expected };
    let whole: Value = yaml_serde::from_str(text).map_err(|error| {
        let place = error.location();
        let (line, column) = place.map_or((1, 1), |place| (place.line(), place.column()));
        malformed(line, column, error.to_string())
    })?;
    let line_of = |key: &str| 1 + text.lines().position(|line| line.trim_start().starts_with(key)).unwrap_or_default();
    match whole {
        Value::Null => Ok(None),
        Value::Mapping(whole) => match whole.get("local") {
            None => Ok(None),
            Some(local @ (Value::Mapping(_) | Value::Null)) => {
                let root = local.get("container_root");
                if root.is_some_and(|root| !root.is_string()) {
                    return Err(malformed(
                        line_of("container_root"),
                        1,
                        "expected a path as local.container_root".to_owned(),
                    ));
                }
                Ok(Some(local.clone()))
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
