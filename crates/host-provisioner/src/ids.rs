//! Identifiers of EC2 and EFS resources, and of hosts.

use studio_discovery::{Alphabet, Shape};

studio_discovery::identifiers! {
    /// An EC2 instance, `i-...`.
    InstanceId = Shape::new("an instance's id, such as i-0123456789abcdef0", "i-", Alphabet::Hex, 34);
    /// An EC2 instance type, such as `c5.xlarge`.
    InstanceType = Shape::new("an instance type, such as c5.xlarge", "", Alphabet::Dotted, 64);
    /// An Amazon Machine Image, `ami-...`.
    ImageId = Shape::new("an image's id, such as ami-0123456789abcdef0", "ami-", Alphabet::Label, 64);
    /// An EFS mount target, `fsmt-...`.
    MountTargetId = Shape::new("a mount target, such as fsmt-0123456789abcdef0", "fsmt-", Alphabet::Label, 64);
    /// A network interface, `eni-...`.
    NetworkInterfaceId = Shape::new("a network interface, such as eni-0123456789abcdef0", "eni-", Alphabet::Label, 64);
    /// An Availability Zone's name, such as `eu-west-1a`.
    Zone = Shape::new("an Availability Zone's name, such as eu-west-1a", "", Alphabet::Label, 64);
    /// The idempotence token of a `RunInstances` call: calls with the same token launch at most one instance. EC2 takes up to 64 ASCII
    /// characters (EC2 API reference, "Ensuring idempotency").
    ClientToken = Shape::new("a client token of up to 64 characters", "", Alphabet::Printable, 64);
    /// sdocker's own name for a host, made before anything exists in the cloud; the value of the tag `sdocker:host`.
    HostId = Shape::new("a host's name: letters, digits and hyphens", "", Alphabet::Word, 64);
}

impl HostId {
    /// A new name that no other host has.
    pub fn generate() -> Self {
        Self::new(uuid::Uuid::new_v4().simple().to_string())
    }

    /// New names for hosts that are created together: what they begin with tells that they were.
    pub fn generate_several(count: usize) -> Vec<Self> {
        let family = Self::generate();
        match count {
            0 | 1 => vec![family],
            _ => (1..=count).map(|number| Self::new(format!("{family}-{number}"))).collect(),
        }
    }

    /// What the names of hosts that were created together begin with, which is what an instance that was launched with others is tagged with; of a
    /// host that was created by itself, its name.
    #[must_use]
    pub fn family(&self) -> Self {
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        match self.as_str().rsplit_once('-') {
            Some((family, number)) if !family.is_empty() && is_number(number) => Self::new(family.to_owned()),
            _ => self.clone(),
        }
    }
}

impl ClientToken {
    /// A new token, never used before.
    pub fn generate() -> Self {
        Self::new(uuid::Uuid::new_v4().to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_aws_gives_are_taken_and_paths_are_not() {
        for id in ["i-1a2b3c4d", "i-0123456789abcdef0", "i-1"] {
            assert!(id.parse::<InstanceId>().is_ok(), "{id}");
        }
        for name in ["c5.xlarge", "u-6tb1.112xlarge", "mac2-m2pro.metal", "u7i-12tb.224xlarge", "c5.xlrage"] {
            assert!(name.parse::<InstanceType>().is_ok(), "{name}");
        }
        let several = HostId::generate_several(12);
        assert!(
            several.iter().all(|host| host.family() == several[0].family() && host.as_str().parse::<HostId>().is_ok())
        );
        let alone = HostId::generate_several(1);
        assert_eq!((several.len(), &alone[0].family()), (12, &alone[0]));
        assert!(HostId::generate().as_str().parse::<HostId>().is_ok());
        assert!(ClientToken::generate().as_str().parse::<ClientToken>().is_ok());
        assert!("i-".parse::<InstanceId>().is_err() && "i-xyz".parse::<InstanceId>().is_err());
        for wrong in ["", ".", "..", "../i-1", "i-1/../../x", "i-1\0", "c5./x", "/etc", "c5..x", "a b", "é"] {
            assert!(wrong.parse::<InstanceId>().is_err(), "{wrong}");
            assert!(wrong.parse::<InstanceType>().is_err(), "{wrong}");
            assert!(wrong.parse::<HostId>().is_err(), "{wrong}");
            assert!(serde_json::from_value::<InstanceId>(wrong.into()).is_err(), "{wrong}");
        }
    }
}
