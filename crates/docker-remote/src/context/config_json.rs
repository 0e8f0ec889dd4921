//! The Docker CLI's `config.json`, of which one field is ours to change.

use std::{fs, io, path::PathBuf};

use jsonc_parser::{
    ParseOptions,
    cst::{CstObject, CstObjectProp, CstRootNode},
};
use serde::de::IgnoredAny;
use whole_file::{Links, Lock};

use crate::{Error, error::file};

/// The largest file that is read.
const MOST: u64 = 4 << 20;

/// What the CLI writes into a new file.
const EMPTY: &str = "{\n\t\"auths\": {}\n}";

pub(super) struct ConfigJson {
    path: PathBuf,
}

impl ConfigJson {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    pub(super) fn current(&self) -> Result<Option<String>, Error> {
        let Some(text) = self.text()? else { return Ok(None) };
        let root = self.parse(&text)?;
        let current = root.object_value().and_then(|object| fields(&object).pop());
        let current = current.and_then(|field| field.to_serde_value());
        Ok(current
            .and_then(|value| value.as_str().map(str::to_owned))
            .filter(|name| !name.is_empty() && name != "default"))
    }

    pub(super) fn set_current(&self, name: Option<&str>) -> Result<(), Error> {
        if self.current()?.as_deref() == name {
            return Ok(());
        }
        let _lock = self.lock()?;
        let text = self.text()?.unwrap_or_else(|| EMPTY.to_owned());
        let root = self.parse(&text)?;
        let object = root.object_value_or_set();
        let mut fields = fields(&object);
        match (fields.pop(), name) {
            (Some(field), Some(name)) => field.set_value(name.into()),
            (None, Some(name)) => {
                object.append("currentContext", name.into());
            }
            (last, None) => fields.into_iter().chain(last).for_each(CstObjectProp::remove),
        }
        // It may hold registries' passwords, which the CLI keeps to their owner as well (docker/cli, `cli/config/configfile`).
        whole_file::replace(&self.path, root.to_string().as_bytes(), 0o600).map_err(file("write", &self.path))
    }

    /// Several processes of one home may edit the file; the CLI itself takes no lock.
    fn lock(&self) -> Result<Lock, Error> {
        use std::os::unix::fs::DirBuilderExt as _;
        if let Some(folder) = self.path.parent() {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(file("create", folder))?;
        }
        let path = self.path.with_file_name(".config.json.sdocker-lock");
        let lock = whole_file::lock_file(&path).map_err(file("open", &path))?;
        Lock::wait(lock).map_err(file("lock", &path))
    }

    fn text(&self) -> Result<Option<String>, Error> {
        match whole_file::read_text(&self.path, MOST, Links::Follow) {
            Ok(text) if text.trim().is_empty() => Ok(None),
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(file("read", &self.path)(error)),
        }
    }

    fn parse(&self, text: &str) -> Result<CstRootNode, Error> {
        let strict = ParseOptions {
            allow_comments: false,
            allow_loose_object_property_names: false,
            allow_trailing_commas: false,
            allow_missing_commas: false,
            allow_single_quoted_strings: false,
            allow_hexadecimal_numbers: false,
            allow_unary_plus_numbers: false,
            allow_bare_decimal_point_numbers: false,
            allow_non_finite_numbers: false,
            allow_extended_string_escapes: false,
        };
        let malformed =
            |line, column, expected: String| Error::Malformed { path: self.path.clone(), line, column, expected };
        let root = CstRootNode::parse(text, &strict)
            .map_err(|error| malformed(error.line_display(), error.column_display(), error.kind().to_string()))?;
        if root.object_value().is_none() {
            return Err(malformed(1, 1, "expected a JSON object".to_owned()));
        }
        // It takes control characters within strings, which the CLI does not ("invalid character in string literal").
        serde_json::from_str::<IgnoredAny>(text).map_err(|error| super::malformed(&self.path, &error))?;
        Ok(root)
    }
}

/// Every `currentContext`: of several the CLI takes the last, and in any case of its letters (Go's encoding/json, `Unmarshal`).
fn fields(object: &CstObject) -> Vec<CstObjectProp> {
    let is_ours = |field: &CstObjectProp| {
        let name = field.name().and_then(|name| name.decoded_value().ok());
        name.is_some_and(|name| name.eq_ignore_ascii_case("currentContext"))
    };
    object.properties().into_iter().filter(is_ours).collect()
}
