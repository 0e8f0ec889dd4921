//! Which host a user means.

use std::{fmt, str::FromStr};

use host_provisioner::InstanceId;

use crate::{Error, lookup::KnownHost};

/// A host as a user names it: by its name as it is printed, by its instance's id, or by the beginning of either, where that fits one host only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostSelector(String);

/// What a user wrote is no name of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a host is named like c5.xlarge_i-0123456789abcdef0 or i-0123456789abcdef0, or by the beginning of that")]
pub struct NotAHost;

impl HostSelector {
    /// The host that is meant, among these; `None` where it is none of them.
    ///
    /// # Errors
    /// It could be several.
    pub(crate) fn choose(&self, hosts: &[KnownHost]) -> crate::Result<Option<KnownHost>> {
        if let Some(exact) = hosts.iter().find(|host| host.name == self.0 || host.instance.as_str() == self.0) {
            return Ok(Some(exact.clone()));
        }
        let begins = |host: &&KnownHost| host.name.starts_with(&self.0) || host.instance.as_str().starts_with(&self.0);
        match hosts.iter().filter(begins).collect::<Vec<_>>().as_slice() {
            [] => Ok(None),
            [one] => Ok(Some((*one).clone())),
            several => {
                let names: Vec<&str> = several.iter().map(|host| host.name.as_str()).collect();
                Err(Error::new(format!("`{self}` could be {}", names.join(" or "))).hint("write more of the name"))
            }
        }
    }

    /// Whether it may mean a host of this name.
    pub(crate) fn fits(&self, name: &str) -> bool {
        name.starts_with(&self.0) || name.rsplit_once('_').is_some_and(|(_, instance)| instance.starts_with(&self.0))
    }

    /// The instance, where a whole id was given.
    pub(crate) fn instance(&self) -> Option<InstanceId> {
        self.0.parse().ok()
    }
}

impl FromStr for HostSelector {
    type Err = NotAHost;

    fn from_str(text: &str) -> Result<Self, NotAHost> {
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        if !text.is_empty() && text.chars().all(is_name) && !text.starts_with('-') {
            Ok(Self(text.to_owned()))
        } else {
            Err(NotAHost)
        }
    }
}

impl From<InstanceId> for HostSelector {
    fn from(instance: InstanceId) -> Self {
        Self(instance.to_string())
    }
}

impl fmt::Display for HostSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(instance_type: &str, instance: &str) -> KnownHost {
        KnownHost {
            name: format!("{instance_type}_{instance}"),
            instance: instance.into(),
            instance_type: instance_type.into(),
            address: "10.0.0.1".to_owned(),
            port: 1111,
            current: false,
            record: None,
        }
    }

    #[test]
    fn a_host_is_named_by_anything_that_fits_it_alone() {
        let hosts = [host("c5.xlarge", "i-0123"), host("c5.2xlarge", "i-0199"), host("m5.large", "i-02")];
        let chosen = |text: &str| {
            let selector: HostSelector = text.parse().expect("a name");
            selector.choose(&hosts).map(|host| host.map(|host| host.instance.to_string()))
        };
        for (text, expected) in [
            ("c5.xlarge_i-0123", Some("i-0123")),
            ("i-0123", Some("i-0123")),
            ("c5.x", Some("i-0123")),
            ("i-019", Some("i-0199")),
            ("m5", Some("i-02")),
            // A whole id, although others begin with it.
            ("i-02", Some("i-02")),
            ("t3", None),
        ] {
            assert_eq!(chosen(text).expect(text).as_deref(), expected, "{text}");
        }
        let error = chosen("i-01").expect_err("two begin so");
        assert_eq!(error.to_string(), "`i-01` could be c5.xlarge_i-0123 or c5.2xlarge_i-0199");
        for wrong in ["", "../x", "a b", "--all", "\u{1b}[2J"] {
            assert_eq!(wrong.parse::<HostSelector>(), Err(NotAHost), "{wrong:?}");
        }
    }
}
