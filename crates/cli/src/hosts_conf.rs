//! `sdocker-hosts.conf`, the list of hosts that the first `sdocker` kept and other tools read: the current host comes first.
//!
//! It is edited in place: what other tools added stays, byte for byte.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    path::PathBuf,
};

use anyhow::Context as _;
use host_provisioner::{InstanceId, InstanceType};
use jsonc_parser::{
    ParseOptions,
    cst::{CstArray, CstInputValue, CstNode, CstRootNode},
};
use serde::{Deserialize, Serialize, de::IgnoredAny};

use crate::{
    failure::Hinted,
    layout::{create_private, host_name},
    whole_file,
};

/// The file.
#[derive(Clone, Debug)]
pub(crate) struct HostsConf {
    path: PathBuf,
}

/// An entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ActiveHost {
    pub(crate) instance_id: InstanceId,
    pub(crate) instance_dns: String,
    /// The first `sdocker` wrote a number, the fork a string.
    #[serde(deserialize_with = "port")]
    pub(crate) port: u16,
    pub(crate) instance_type: InstanceType,
}

fn port<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u16, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Port {
        Number(u16),
        Text(String),
    }
    match Port::deserialize(deserializer)? {
        Port::Number(port) => Ok(port),
        Port::Text(text) => text.trim().parse().map_err(serde::de::Error::custom),
    }
}

impl ActiveHost {
    pub(crate) fn name(&self) -> String {
        host_name(&self.instance_type, &self.instance_id)
    }
}

impl HostsConf {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// The entries, the current host first. A missing file has none.
    pub(crate) fn hosts(&self) -> anyhow::Result<Vec<ActiveHost>> {
        let Some(text) = self.text()? else { return Ok(Vec::new()) };
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Whole {
            #[serde(default)]
            active_hosts: Option<Vec<ActiveHost>>,
        }
        // serde would take an array for a struct as well.
        let object = serde_json::from_str::<BTreeMap<String, IgnoredAny>>(&text);
        let whole: Whole = object.and_then(|_| serde_json::from_str(&text)).map_err(|error| {
            let full = error.to_string();
            let what = full.rsplit_once(" at line ").map_or(full.as_str(), |(what, _)| what);
            self.malformed(error.line().max(1), error.column().max(1), what)
        })?;
        Ok(whole.active_hosts.unwrap_or_default())
    }

    /// Puts a host first; an older entry of the same instance goes.
    pub(crate) fn put_first(&self, host: &ActiveHost) -> anyhow::Result<()> {
        self.edit(|hosts| {
            take_out(hosts, &host.instance_id);
            hosts.insert(
                0,
                CstInputValue::Object(vec![
                    ("InstanceId".to_owned(), host.instance_id.as_str().into()),
                    ("InstanceDns".to_owned(), host.instance_dns.as_str().into()),
                    ("Port".to_owned(), CstInputValue::Number(host.port.to_string())),
                    ("InstanceType".to_owned(), host.instance_type.as_str().into()),
                ]),
            );
        })
    }

    /// Removes the entry of an instance, if there is one.
    pub(crate) fn remove(&self, instance: &InstanceId) -> anyhow::Result<()> {
        if self.hosts()?.iter().all(|host| host.instance_id != *instance) {
            return Ok(());
        }
        self.edit(|hosts| take_out(hosts, instance))
    }

    fn edit(&self, change: impl FnOnce(&CstArray)) -> anyhow::Result<()> {
        let failed = || format!("cannot write {}", self.path.display());
        if let Some(folder) = self.path.parent() {
            create_private(folder)?;
        }
        // Several apps share one home: the file is read and replaced under a lock.
        let lock = File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .open(self.path.with_added_extension("lock"))
            .with_context(failed)?;
        lock.lock().with_context(failed)?;
        self.hosts()?;
        let text =
            self.text()?.filter(|text| !text.trim().is_empty()).unwrap_or_else(|| "{\"ActiveHosts\":[]}\n".to_owned());
        let root = CstRootNode::parse(&text, &strict())
            .map_err(|error| self.malformed(error.line_display(), error.column_display(), &error.kind().to_string()))?;
        let hosts = root.object_value_or_set().array_value_or_set("ActiveHosts");
        change(&hosts);
        whole_file::replace(&self.path, root.to_string().as_bytes(), 0o600).with_context(failed)
    }

    fn text(&self) -> anyhow::Result<Option<String>> {
        match fs::read_to_string(&self.path) {
            Ok(text) if text.trim().is_empty() => Ok(None),
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", self.path.display())),
        }
    }

    fn malformed(&self, line: usize, column: usize, what: &str) -> anyhow::Error {
        let path = self.path.display();
        Hinted::new(format!("{path}:{line}:{column}: {what}"))
            .hint("expected {\"ActiveHosts\":[{\"InstanceId\",\"InstanceDns\",\"Port\",\"InstanceType\"}]}")
            .hint(format!("correct {path}, or move it away; `sdocker recover` finds the hosts again"))
            .into()
    }

    #[cfg(test)]
    fn path(&self) -> &std::path::Path {
        &self.path
    }
}

fn strict() -> ParseOptions {
    ParseOptions {
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
    }
}

fn take_out(hosts: &CstArray, instance: &InstanceId) {
    let is_it = |node: &CstNode| {
        let entry = node.to_serde_value();
        entry.is_some_and(|entry| entry.get("InstanceId").and_then(|id| id.as_str()) == Some(instance.as_str()))
    };
    for entry in hosts.elements().into_iter().filter(is_it) {
        entry.remove();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(id: &str) -> ActiveHost {
        ActiveHost {
            instance_id: id.into(),
            instance_dns: format!("{id}.ec2.internal"),
            port: 1111,
            instance_type: "c5.xlarge".into(),
        }
    }

    fn conf() -> (tempfile::TempDir, HostsConf) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let conf = HostsConf::new(folder.path().join("home/sdocker-hosts.conf"));
        (folder, conf)
    }

    #[test]
    fn the_current_host_comes_first_and_each_once() {
        let (_folder, conf) = conf();
        assert_eq!(conf.hosts().expect("missing is empty"), []);
        conf.put_first(&host("i-1")).expect("written");
        conf.put_first(&host("i-2")).expect("written");
        conf.put_first(&host("i-1")).expect("written");
        assert_eq!(conf.hosts().expect("readable"), [host("i-1"), host("i-2")]);
        conf.remove(&"i-1".into()).expect("written");
        conf.remove(&"i-1".into()).expect("gone already is no error");
        assert_eq!(conf.hosts().expect("readable"), [host("i-2")]);
    }

    #[test]
    fn what_other_tools_wrote_stays() {
        let (_folder, conf) = conf();
        fs::create_dir_all(conf.path().parent().expect("a folder")).expect("made");
        let theirs = r#"{"Extra": {"b": 1,  "a": 2}, "ActiveHosts": [{"InstanceId": "i-01d", "InstanceDns": "x", "Port": "1111", "InstanceType": "t3.medium", "Note": "mine"}]}"#;
        fs::write(conf.path(), theirs).expect("written");
        conf.put_first(&host("i-1")).expect("edited");
        conf.remove(&"i-1".into()).expect("edited");
        assert_eq!(
            fs::read_to_string(conf.path()).expect("readable").replace([' ', '\n'], ""),
            theirs.replace(' ', "")
        );
        assert!(fs::read_to_string(conf.path()).expect("readable").contains(r#"{"b": 1,  "a": 2}"#));
    }

    #[test]
    fn a_malformed_file_is_reported_and_left() {
        let (_folder, conf) = conf();
        fs::create_dir_all(conf.path().parent().expect("a folder")).expect("made");
        for broken in ["{\"ActiveHosts\": [", "[]", "{\"ActiveHosts\": [{\"InstanceId\": 5}]}", "{\"ActiveHosts\": {}}"]
        {
            fs::write(conf.path(), broken).expect("written");
            let error = conf.put_first(&host("i-1")).expect_err(broken).to_string();
            assert!(error.starts_with(&format!("{}:1:", conf.path().display())), "{error}");
            assert_eq!(fs::read_to_string(conf.path()).expect("readable"), broken);
        }
    }
}
