//! Which values of `sdocker.conf` can't be meant, each with its place: what AWS or the host would refuse after money is spent.

use std::str::FromStr;

use jsonc_parser::{
    CollectOptions, ParseOptions,
    ast::{Object, Value},
    common::Ranged as _,
    parse_to_ast,
};

/// The ports of a host on which something else listens.
const TAKEN: [(u16, &str); 2] = [
    (22, "the host's SSH server listens there"),
    // The engine dind starts its daemon on it (docker-library/docker, `dockerd-entrypoint.sh`), behind the port of `Port`.
    (2376, "the daemon itself listens there in the engine dind"),
];
/// The SDK's `serving_port`, which every host opens.
const ENDPOINT: u16 = 8080;

/// A value that can't be meant.
pub(super) struct Wrong {
    pub line: usize,
    pub column: usize,
    pub what: String,
    /// What to write in its place, where its key says more than its form.
    pub advice: Option<String>,
}

/// The first wrong value of a file whose types are right.
pub(super) fn check(text: &str) -> Result<(), Wrong> {
    let parsed = parse_to_ast(text, &CollectOptions::default(), &ParseOptions::default());
    let Ok(Some(Value::Object(settings))) = parsed.map(|parsed| parsed.value) else { return Ok(()) };
    Check { text, settings: &settings }.all()
}

/// An id in its own type; an error with its place where it is none.
pub(super) fn id<T: FromStr<Err: std::fmt::Display>>(
    text: &str,
    key: &str,
    given: Option<String>,
) -> Result<Option<T>, Wrong> {
    let Some(given) = given else { return Ok(None) };
    given.trim().parse().map(Some).map_err(|error: T::Err| {
        let (line, column) = position_of(text, key);
        Wrong { line, column, what: error.to_string(), advice: Some(format!("name another, or remove {key}")) }
    })
}

/// Where the value of a key is.
fn position_of(text: &str, key: &str) -> (usize, usize) {
    let parsed = parse_to_ast(text, &CollectOptions::default(), &ParseOptions::default());
    match parsed.map(|parsed| parsed.value) {
        Ok(Some(Value::Object(settings))) => {
            let check = Check { text, settings: &settings };
            check.value(key).map_or((1, 1), |value| check.position(value))
        }
        _ => (1, 1),
    }
}

struct Check<'t> {
    text: &'t str,
    settings: &'t Object<'t>,
}

impl Check<'_> {
    fn all(&self) -> Result<(), Wrong> {
        self.port()?;
        self.volume()?;
        self.additional_ports()?;
        self.groups()?;
        self.shares()?;
        self.max_cost()?;
        let ids = [
            "InstanceType",
            "ImageId",
            "Key",
            "InstanceProfileArn",
            "DockerImageURI",
            "DockerImageNvidiaURI",
            "SubnetId",
        ];
        for key in ids {
            if let Some(value) = self.value(key)
                && text_of(value).is_some_and(|text| text.trim().is_empty())
            {
                return Err(self.wrong(value, format!("{key} is empty"), format!("name one, or remove {key}")));
            }
        }
        Ok(())
    }

    fn port(&self) -> Result<(), Wrong> {
        let Some(value) = self.value("Port") else { return Ok(()) };
        let port = self.port_in(value)?;
        let advice = "take another port, such as 1111".to_owned();
        if port == ENDPOINT {
            return Err(self.wrong(value, format!("port {port} is that of model endpoints"), advice));
        }
        // 2376 is no collision here: it is the host's own port, before the container's.
        match taken(port).filter(|_| port != 2376) {
            Some(why) => Err(self.wrong(value, format!("port {port} is taken: {why}"), advice)),
            None => Ok(()),
        }
    }

    fn additional_ports(&self) -> Result<(), Wrong> {
        let Some(Value::Array(ports)) = self.value("AdditionalPorts") else { return Ok(()) };
        let daemon = self.value("Port").map_or(Ok(1111), |value| self.port_in(value))?;
        let mut seen = Vec::new();
        for value in &ports.elements {
            let port = self.port_in(value)?;
            let advice = format!("remove {port} from AdditionalPorts");
            let what = match taken(port) {
                _ if port == daemon => Some(format!("port {port} is the Docker daemon's own (Port)")),
                Some(why) => Some(format!("port {port} is taken: {why}")),
                None if seen.contains(&port) => Some(format!("port {port} is listed twice")),
                None => None,
            };
            if let Some(what) = what {
                return Err(self.wrong(value, what, advice));
            }
            seen.push(port);
        }
        Ok(())
    }

    fn groups(&self) -> Result<(), Wrong> {
        let Some(Value::Array(groups)) = self.value("HostSGs") else { return Ok(()) };
        let mut seen = Vec::new();
        for value in &groups.elements {
            let id = text_of(value).unwrap_or_default().trim();
            if !id.starts_with("sg-") {
                let what = match id {
                    "" => "the id of a security group is empty".to_owned(),
                    other => format!("`{other}` is not the id of a security group"),
                };
                let advice = "write ids like sg-0123456789abcdef0, or remove HostSGs: sdocker then creates the groups"
                    .to_owned();
                return Err(self.wrong(value, what, advice));
            }
            if seen.contains(&id) {
                return Err(self.wrong(
                    value,
                    format!("{id} is listed twice"),
                    format!("remove one {id} from HostSGs"),
                ));
            }
            seen.push(id);
        }
        Ok(())
    }

    /// A folder that is relative to wherever a command is run would be another one each time.
    fn shares(&self) -> Result<(), Wrong> {
        let Some(Value::Array(folders)) = self.value("Shares") else { return Ok(()) };
        let relative =
            folders.elements.iter().find(|folder| !text_of(folder).unwrap_or_default().starts_with(['/', '~']));
        relative.map_or(Ok(()), |folder| {
            let what = format!("expected an absolute path, found {}", folder.text(self.text));
            Err(self.wrong(folder, what, "begin it with / or ~/".to_owned()))
        })
    }

    fn max_cost(&self) -> Result<(), Wrong> {
        let Some(value) = self.value("MaxCost") else { return Ok(()) };
        let usd = match value {
            Value::NumberLit(number) => number.value.parse::<f64>().ok(),
            _ => None,
        };
        if usd.is_some_and(|usd| usd > 0.0) {
            return Ok(());
        }
        let what = format!("expected an amount of US dollars above 0, found {}", value.text(self.text));
        Err(self.wrong(value, what, "name more, or remove MaxCost".to_owned()))
    }

    /// A gp3 volume has 1 GiB to 64 TiB (EBS user guide, "General Purpose SSD volumes").
    fn volume(&self) -> Result<(), Wrong> {
        let Some(value) = self.value("EBSVolumeSize") else { return Ok(()) };
        match number(value) {
            Some(1..=65_536) => Ok(()),
            _ => Err(self.wrong(
                value,
                format!("expected a volume size between 1 and 65536 GiB, found {}", value.text(self.text)),
                "take a size in between, or remove EBSVolumeSize: the default is 400".to_owned(),
            )),
        }
    }

    fn port_in(&self, value: &Value<'_>) -> Result<u16, Wrong> {
        let port = number(value).and_then(|port| u16::try_from(port).ok()).filter(|port| *port != 0);
        port.ok_or_else(|| {
            let what = format!("expected a port between 1 and 65535, found {}", value.text(self.text));
            self.wrong(value, what, "take a port in between".to_owned())
        })
    }

    /// A setting; `null` is none.
    fn value(&self, key: &str) -> Option<&Value<'_>> {
        let value = &self.settings.properties.iter().find(|property| property.name.as_str() == key)?.value;
        (!matches!(value, Value::NullKeyword(_))).then_some(value)
    }

    fn wrong(&self, value: &Value<'_>, what: String, advice: String) -> Wrong {
        let (line, column) = self.position(value);
        Wrong { line, column, what, advice: Some(advice) }
    }

    /// Line and column.
    fn position(&self, value: &Value<'_>) -> (usize, usize) {
        let before = &self.text[..value.start()];
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        (before.matches('\n').count() + 1, column)
    }
}

fn taken(port: u16) -> Option<&'static str> {
    TAKEN.into_iter().find(|(taken, _)| *taken == port).map(|(_, why)| why)
}

fn number(value: &Value<'_>) -> Option<u32> {
    match value {
        Value::NumberLit(number) => number.value.parse().ok(),
        _ => None,
    }
}

fn text_of<'v>(value: &'v Value<'_>) -> Option<&'v str> {
    match value {
        Value::StringLit(text) => Some(&text.value),
        _ => None,
    }
}
