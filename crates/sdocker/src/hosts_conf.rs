//! `sdocker-hosts.conf`, the list of hosts that the first `sdocker` kept and other tools read: the current host comes first.
//!
//! It is a copy for other tools, edited in place: what they added stays, byte for byte. sdocker's own truth is the journal, so that a
//! broken copy keeps no command from its work: it is set aside, and written anew.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    path::PathBuf,
};

use crate::error::Context as _;
use docker_remote::Endpoint;
use host_provisioner::{InstanceId, InstanceType};
use jsonc_parser::{
    ParseOptions,
    cst::{CstArray, CstInputValue, CstNode, CstRootNode},
};
use serde::{Deserialize, Serialize, de::IgnoredAny};
use whole_file::{Links, read_text};

use crate::{
    Error,
    layout::{create_private, host_name},
};

/// The largest file that is read; an entry has a hundred bytes.
const MOST: u64 = 1 << 20;

/// The file.
#[derive(Clone, Debug)]
pub(crate) struct HostsConf {
    path: PathBuf,
}

/// An entry of `sdocker-hosts.conf`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct ActiveHost {
    /// Its instance.
    pub instance_id: InstanceId,
    /// The name or address by which it is reached.
    pub instance_dns: String,
    /// The port of its daemon's TLS endpoint. The first `sdocker` wrote a number, the fork a string.
    #[serde(deserialize_with = "port")]
    pub port: u16,
    /// The instance's type.
    pub instance_type: InstanceType,
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
    /// `<instance-type>_<instance-id>`.
    pub fn name(&self) -> String {
        host_name(&self.instance_type, &self.instance_id)
    }

    /// Where its daemon listens.
    pub fn endpoint(&self) -> Endpoint {
        Endpoint { host: self.instance_dns.clone(), port: self.port }
    }
}

impl HostsConf {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// The entries, the current host first. A missing file has none; one that can't be used has those of its entries that can.
    pub(crate) fn hosts(&self) -> Vec<ActiveHost> {
        self.read().unwrap_or_else(|_| self.usable())
    }

    /// Sets a file aside that can't be used, and writes it anew, with those of its entries that can be used and these hosts. Says what was
    /// done, where anything was.
    pub(crate) fn mend(&self, known: impl FnOnce() -> Vec<ActiveHost>) -> Option<String> {
        let trouble = self.read().err()?;
        let mut hosts = self.usable();
        let is_new = |host: &ActiveHost| hosts.iter().all(|other| other.instance_id != host.instance_id);
        let more: Vec<ActiveHost> = known().into_iter().filter(is_new).collect();
        hosts.extend(more);
        let mended = self.set_aside().and_then(|to| {
            self.put_first(&hosts)?;
            Ok(to)
        });
        Some(match mended {
            Ok(to) => {
                format!(
                    "{trouble:#}: it was set aside as {}, and written anew from sdocker's own records",
                    to.display()
                )
            }
            Err(error) => format!("{trouble:#}: it is not used, and can't be written anew: {error:#}"),
        })
    }

    fn read(&self) -> crate::Result<Vec<ActiveHost>> {
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

    /// The entries that are entries, whatever is between them.
    fn usable(&self) -> Vec<ActiveHost> {
        let text = self.text().ok().flatten().unwrap_or_default();
        let whole: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        let entries = whole.get("ActiveHosts").and_then(|hosts| hosts.as_array()).into_iter().flatten();
        entries.filter_map(|entry| serde_json::from_value(entry.clone()).ok()).collect()
    }

    /// Renames the file to the first free name of `<name>.broken`, `<name>.broken.1`, ...
    fn set_aside(&self) -> crate::Result<PathBuf> {
        let first = self.path.with_added_extension("broken");
        let numbered = (1_u32..).map(|count| first.with_added_extension(count.to_string()));
        let is_free =
            |path: &PathBuf| matches!(path.symlink_metadata(), Err(error) if error.kind() == io::ErrorKind::NotFound);
        let to = std::iter::once(first.clone()).chain(numbered.take(1000)).find(is_free);
        let to = to.with_context(|| format!("no name beside {} is free", first.display()))?;
        fs::rename(&self.path, &to).with_context(|| format!("cannot set {} aside", self.path.display()))?;
        Ok(to)
    }

    /// Puts hosts first, in this order; older entries of the same instances go.
    pub(crate) fn put_first(&self, first: &[ActiveHost]) -> crate::Result<()> {
        self.edit(|hosts| {
            for (position, host) in first.iter().enumerate() {
                take_out(hosts, &host.instance_id);
                hosts.insert(
                    position,
                    CstInputValue::Object(vec![
                        ("InstanceId".to_owned(), host.instance_id.as_str().into()),
                        ("InstanceDns".to_owned(), host.instance_dns.as_str().into()),
                        ("Port".to_owned(), CstInputValue::Number(host.port.to_string())),
                        ("InstanceType".to_owned(), host.instance_type.as_str().into()),
                    ]),
                );
            }
        })
    }

    /// Removes the entry of an instance, if there is one.
    pub(crate) fn remove(&self, instance: &InstanceId) -> crate::Result<()> {
        if self.hosts().iter().all(|host| host.instance_id != *instance) {
            return Ok(());
        }
        self.edit(|hosts| take_out(hosts, instance))
    }

    fn edit(&self, change: impl FnOnce(&CstArray)) -> crate::Result<()> {
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
        if self.read().is_err() {
            self.set_aside()?;
        }
        let text =
            self.text()?.filter(|text| !text.trim().is_empty()).unwrap_or_else(|| "{\"ActiveHosts\":[]}\n".to_owned());
        let root = CstRootNode::parse(&text, &strict())
            .map_err(|error| self.malformed(error.line_display(), error.column_display(), &error.kind().to_string()))?;
        let hosts = root.object_value_or_set().array_value_or_set("ActiveHosts");
        change(&hosts);
        whole_file::replace(&self.path, root.to_string().as_bytes(), 0o600).with_context(failed)
    }

    fn text(&self) -> crate::Result<Option<String>> {
        match read_text(&self.path, MOST, Links::Follow) {
            Ok(text) if text.trim().is_empty() => Ok(None),
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", self.path.display())),
        }
    }

    fn malformed(&self, line: usize, column: usize, what: &str) -> Error {
        crate::Error::new(format!("{}:{line}:{column}: {what}", self.path.display()))
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
        assert_eq!(conf.hosts(), []);
        conf.put_first(&[host("i-1")]).expect("written");
        conf.put_first(&[host("i-2")]).expect("written");
        conf.put_first(&[host("i-1")]).expect("written");
        assert_eq!(conf.hosts(), [host("i-1"), host("i-2")]);
        conf.remove(&"i-1".into()).expect("written");
        conf.remove(&"i-1".into()).expect("gone already is no error");
        assert_eq!(conf.hosts(), [host("i-2")]);
        // Several keep their order, whatever was there.
        conf.put_first(&[host("i-3"), host("i-2"), host("i-1")]).expect("written");
        assert_eq!(conf.hosts(), [host("i-3"), host("i-2"), host("i-1")]);
        conf.put_first(&[host("i-1"), host("i-4")]).expect("written");
        assert_eq!(conf.hosts(), [host("i-1"), host("i-4"), host("i-3"), host("i-2")]);
    }

    #[test]
    fn what_other_tools_wrote_stays() {
        let (_folder, conf) = conf();
        fs::create_dir_all(conf.path().parent().expect("a folder")).expect("made");
        let theirs = r#"{"Extra": {"b": 1,  "a": 2}, "ActiveHosts": [{"InstanceId": "i-01d", "InstanceDns": "x", "Port": "1111", "InstanceType": "t3.medium", "Note": "mine"}]}"#;
        fs::write(conf.path(), theirs).expect("written");
        conf.put_first(&[host("i-1")]).expect("edited");
        conf.remove(&"i-1".into()).expect("edited");
        assert_eq!(
            fs::read_to_string(conf.path()).expect("readable").replace([' ', '\n'], ""),
            theirs.replace(' ', "")
        );
        assert!(fs::read_to_string(conf.path()).expect("readable").contains(r#"{"b": 1,  "a": 2}"#));
    }

    #[test]
    fn a_broken_file_is_set_aside_and_written_anew() {
        let (_folder, conf) = conf();
        fs::create_dir_all(conf.path().parent().expect("a folder")).expect("made");
        let entry = |id: &str| {
            format!(
                r#"{{"InstanceId": "{id}", "InstanceDns": "{id}.ec2.internal", "Port": 1111, "InstanceType": "c5.xlarge"}}"#
            )
        };
        let astray = format!(r#"{{"ActiveHosts": [{}, {}, 7]}}"#, entry("../../etc"), entry("i-3"));
        let cases =
            ["{\"ActiveHosts\": [", "[]", "{\"ActiveHosts\": [{\"InstanceId\": 5}]}", "{\"ActiveHosts\": {}}", &astray];
        for (number, broken) in cases.into_iter().enumerate() {
            fs::write(conf.path(), broken).expect("written");
            let said = conf.mend(|| vec![host("i-1"), host("i-2")]).expect("it is broken");
            assert!(said.starts_with(&format!("{}:1:", conf.path().display())), "{said}");
            let kept: &[ActiveHost] = if broken == astray { &[host("i-3")] } else { &[] };
            assert_eq!(conf.hosts(), [kept, &[host("i-1"), host("i-2")]].concat(), "{broken}");
            assert_eq!(conf.mend(Vec::new), None, "once is enough");
            let aside = match number {
                0 => conf.path().with_added_extension("broken"),
                number => conf.path().with_added_extension(format!("broken.{number}")),
            };
            assert_eq!(fs::read_to_string(aside).expect("kept"), broken);
        }
        // A folder in its place, and a pipe that nobody writes to.
        fs::remove_file(conf.path()).expect("removed");
        fs::create_dir(conf.path()).expect("made");
        assert!(conf.mend(|| vec![host("i-1")]).is_some());
        fs::remove_file(conf.path()).expect("removed");
        assert!(std::process::Command::new("mkfifo").arg(conf.path()).status().expect("coreutils").success());
        conf.put_first(&[host("i-1")]).expect("written");
        assert_eq!(conf.hosts(), [host("i-1")]);
    }
}
