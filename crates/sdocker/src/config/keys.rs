//! The keys of `sdocker.conf`: what each means, and how its value is written on a command line.

use serde_json::Value;

/// A key of `sdocker.conf`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Key {
    /// Its name in the file.
    pub name: &'static str,
    /// What holds where the file does not have it, as JSON; `None`: nothing.
    default: Option<&'static str>,
    kind: Kind,
    /// What it means, in a line.
    pub about: &'static str,
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Number,
    Switch,
    Texts,
    Numbers,
    Tags,
}

const fn key(name: &'static str, kind: Kind, default: Option<&'static str>, about: &'static str) -> Key {
    Key { name, default, kind, about }
}

/// Every key. Those of 2022 keep their names.
pub const KEYS: &[Key] = &[
    key("InstanceType", Kind::Text, None, "what `sdocker create` launches if no type is named"),
    key("ImageId", Kind::Text, None, "the host's AMI, instead of the newest suitable one"),
    key("Key", Kind::Text, None, "an EC2 key pair, for SSH to the host"),
    key("Port", Kind::Number, Some("1111"), "the Docker daemon's port"),
    key("EBSVolumeSize", Kind::Number, Some("400"), "size of the root volume, in GiB"),
    key("InstanceProfileArn", Kind::Text, None, "the host's instance profile"),
    key(
        "HostSGs",
        Kind::Texts,
        None,
        "security groups that an administrator prepared: none is then created or changed",
    ),
    key("DockerImageURI", Kind::Text, Some("\"docker:29-dind\""), "the image of the engine dind"),
    key("DockerImageNvidiaURI", Kind::Text, None, "the same for GPU types"),
    key("AdditionalPorts", Kind::Numbers, None, "more ports to open and publish"),
    key("Tags", Kind::Tags, None, "tags of everything that is created for a host"),
    key("Engine", Kind::Text, Some("\"auto\""), "auto, dind or native"),
    key("IdleTimeout", Kind::Text, Some("\"60m\""), "end the host after this long without use; or never"),
    key("OnIdle", Kind::Text, Some("\"terminate\""), "terminate or stop the host then; a stopped one keeps its disk"),
    key("MaxLifetime", Kind::Text, Some("\"12h\""), "terminate the host after this long, whatever runs on it"),
    key("MaxCost", Kind::Number, None, "terminate the host before it costs more than this, in US dollars"),
    key("SubnetId", Kind::Text, None, "the subnet, instead of the domain's first that fits"),
    key("Market", Kind::Text, Some("\"on-demand\""), "on-demand, spot or spot-or-on-demand"),
    key("Files", Kind::Text, None, "how the host gets this app's files: share, efs or none"),
    key("Shares", Kind::Texts, None, "folders to share instead of the home, such as \"/data:ro\""),
    key("Timeout", Kind::Text, Some("\"15m\""), "how long a new host may take to become ready"),
    key("KeepFailed", Kind::Switch, Some("false"), "keep a host that does not become ready, for debugging"),
];

impl Key {
    /// The key that a user means: whatever its case, and as the option of `create-host` of the same name. `None`: there is none.
    pub fn named(name: &str) -> Option<&'static Self> {
        let plain = |name: &str| name.replace(['-', '_'], "").to_lowercase();
        KEYS.iter().find(|key| plain(key.name) == plain(name))
    }

    /// The key that a user means, as [`named`](Self::named).
    ///
    /// # Errors
    /// There is none: in words, with the nearest name or all of them.
    pub fn parse(name: &str) -> Result<&'static Self, String> {
        Self::named(name).ok_or_else(|| match Self::nearest(name) {
            Some(nearest) => format!("there is no such setting; did you mean {nearest}?"),
            None => {
                let names: Vec<&str> = KEYS.iter().map(|key| key.name).collect();
                format!("there is no such setting; there are {}", names.join(", "))
            }
        })
    }

    /// The name that is nearest to a mistaken one.
    pub fn nearest(name: &str) -> Option<&'static str> {
        let lower = name.to_lowercase();
        let scored = KEYS.iter().map(|known| (strsim::jaro_winkler(&lower, &known.name.to_lowercase()), known.name));
        scored.filter(|(score, _)| *score > 0.8).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, known)| known)
    }

    /// What holds where the file does not say it.
    pub fn default(&self) -> Option<Value> {
        self.default.and_then(|text| serde_json::from_str(text).ok())
    }

    /// The value that words of a command line are, as the file has it. What is no such value comes out as text, which reading the file refuses.
    pub(super) fn value(&self, words: &[String]) -> Value {
        let text = |word: &String| Value::from(word.as_str());
        let json = |word: &String| serde_json::from_str(word).unwrap_or_else(|_| text(word));
        match (self.kind, words) {
            // As the file has it.
            (Kind::Texts | Kind::Numbers | Kind::Tags, [one]) if one.trim_start().starts_with(['[', '{']) => json(one),
            (Kind::Texts, words) => words.iter().map(text).collect(),
            (Kind::Numbers, words) => words.iter().map(json).collect(),
            (Kind::Tags, words) => {
                let pairs =
                    words.iter().map(|word| word.split_once('=').map(|(key, value)| (key.to_owned(), value.into())));
                pairs.collect::<Option<serde_json::Map<_, _>>>().map_or_else(|| words.join(" ").into(), Value::Object)
            }
            (Kind::Number | Kind::Switch, [one]) => json(one),
            (_, words) => words.join(" ").into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_are_found_as_people_write_them() {
        for name in ["InstanceType", "instancetype", "instance-type", "INSTANCE_TYPE"] {
            assert_eq!(Key::named(name).map(|key| key.name), Some("InstanceType"), "{name}");
        }
        assert_eq!(Key::named("Whatever"), None);
    }

    #[test]
    fn words_become_values_of_their_kind() {
        let value = |name: &str, words: &[&str]| {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            Key::named(name).expect(name).value(&words)
        };
        assert_eq!(value("Port", &["2222"]), json!(2222));
        assert_eq!(value("Port", &["many"]), json!("many"));
        // An id of digits alone is text nevertheless.
        assert_eq!(value("Key", &["123"]), json!("123"));
        assert_eq!(value("AdditionalPorts", &["80", "6006"]), json!([80, 6006]));
        assert_eq!(value("AdditionalPorts", &["[80, 6006]"]), json!([80, 6006]));
        assert_eq!(value("HostSGs", &["sg-1"]), json!(["sg-1"]));
        assert_eq!(value("Tags", &["a=1", "b=x=y"]), json!({"a": "1", "b": "x=y"}));
        assert_eq!(value("Tags", &["a"]), json!("a"));
        assert_eq!(value("KeepFailed", &["true"]), json!(true));
    }
}
