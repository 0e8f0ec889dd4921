//! Identifiers as types, so that a subnet can't be passed where a security group belongs, and so that what was read from a file, a tag or
//! a command line is known to be a name: none of them can lead a path astray.

use std::fmt;

/// What the identifiers of one kind look like.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    expected: &'static str,
    prefix: &'static str,
    alphabet: Alphabet,
    max: usize,
}

/// The characters of an identifier, after its prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alphabet {
    /// Hexadecimal digits, as in resource ids (EC2 user guide, "Resource IDs": 8 of them, or 17).
    Hex,
    /// Twelve decimal digits.
    Account,
    /// Lower-case letters, digits and hyphens.
    Label,
    /// ASCII letters, digits, `-` and `_`.
    Word,
    /// Lower-case letters, digits, hyphens and dots, the first of them a letter or digit, and no two dots in a row.
    Dotted,
    /// As [`Word`](Self::Word), perhaps after `space/`.
    Owner,
    /// ASCII that can be printed, without blanks.
    Printable,
}

impl Shape {
    /// Identifiers of this prefix and alphabet. `expected` ends the sentence "expected ...".
    pub const fn new(expected: &'static str, prefix: &'static str, alphabet: Alphabet, max: usize) -> Self {
        Self { expected, prefix, alphabet, max }
    }

    /// Whether a text is one of them.
    ///
    /// # Errors
    /// It is not.
    pub fn check(&self, text: &str) -> Result<(), InvalidId> {
        let is_one = text.len() <= self.max
            && text.strip_prefix(self.prefix).is_some_and(|rest| !rest.is_empty() && self.alphabet.spells(rest));
        if is_one {
            return Ok(());
        }
        // What is refused may be of any length and hold anything; an error is one line.
        let found = text.chars().take(80).flat_map(char::escape_debug).collect();
        Err(InvalidId { found, expected: self.expected })
    }
}

impl Alphabet {
    fn spells(self, text: &str) -> bool {
        let all = |allowed: fn(char) -> bool| text.chars().all(allowed);
        match self {
            Self::Hex => all(|c| matches!(c, '0'..='9' | 'a'..='f')),
            Self::Account => text.len() == 12 && all(|c| c.is_ascii_digit()),
            Self::Label => all(|c| matches!(c, '0'..='9' | 'a'..='z' | '-')),
            Self::Word => all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_'),
            Self::Dotted => {
                all(|c| matches!(c, '0'..='9' | 'a'..='z' | '-' | '.'))
                    && text.starts_with(|c: char| c.is_ascii_alphanumeric())
                    && !text.contains("..")
            }
            Self::Owner => Self::Word.spells(text.strip_prefix(SPACE).unwrap_or(text)) && text != SPACE,
            Self::Printable => all(|c| c.is_ascii_graphic()),
        }
    }
}

/// A text that is not the identifier that it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidId {
    found: String,
    expected: &'static str,
}

impl fmt::Display for InvalidId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {}, found `{}`", self.expected, self.found)
    }
}

impl std::error::Error for InvalidId {}

/// Declares newtypes around a string, one per kind of identifier, each with its [`Shape`]. What is parsed or deserialized is checked.
/// The caller's crate needs `serde`.
#[macro_export]
macro_rules! identifiers {
    ($($(#[$doc:meta])* $name:ident = $shape:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
        pub struct $name(String);

        impl $name {
            /// Wraps an identifier as AWS or this program itself spelled it; nothing is checked or changed. What comes from a file, a tag
            /// or a command line is parsed instead.
            pub fn new(id: impl Into<String>) -> Self {
                Self(id.into())
            }

            /// The identifier as AWS spells it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::InvalidId;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                const SHAPE: $crate::Shape = $shape;
                SHAPE.check(text).map(|()| Self(text.to_owned()))
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(id: &str) -> Self {
                Self::new(id)
            }
        }

        impl From<String> for $name {
            fn from(id: String) -> Self {
                Self(id)
            }
        }
    )*};
}

identifiers! {
    /// An AWS Region's code, such as `eu-west-1`.
    Region = Shape::new("a Region's code, such as eu-west-1", "", Alphabet::Label, 32);
    /// A twelve-digit AWS account id.
    AccountId = Shape::new("an account's twelve digits", "", Alphabet::Account, 12);
    /// A SageMaker domain, `d-...`.
    DomainId = Shape::new("a SageMaker domain, such as d-0123456789ab", "d-", Alphabet::Label, 63);
    /// The name of a user profile in a SageMaker domain (SageMaker API reference, `UserProfileName`).
    UserProfileName = Shape::new("a user profile's name: letters, digits and hyphens", "", Alphabet::Word, 63);
    /// Whose a host is: the name of a user profile, or `space/` and the name of a shared space that nobody owns. No user profile's name
    /// holds a slash, so that a space and a user profile of one name are told apart.
    OwnerName = Shape::new("a user profile's name, or `space/` and a space's", "", Alphabet::Owner, 69);
    /// The name of a space in a SageMaker domain (SageMaker API reference, `SpaceName`).
    SpaceName = Shape::new("a space's name: letters, digits and hyphens", "", Alphabet::Word, 63);
    /// A VPC, `vpc-...`.
    VpcId = Shape::new("a VPC, such as vpc-0123456789abcdef0", "vpc-", Alphabet::Label, 64);
    /// A subnet, `subnet-...`.
    SubnetId = Shape::new("a subnet, such as subnet-0123456789abcdef0", "subnet-", Alphabet::Label, 64);
    /// A security group, `sg-...`.
    SecurityGroupId = Shape::new("a security group, such as sg-0123456789abcdef0", "sg-", Alphabet::Label, 64);
    /// An EFS file system, `fs-...`.
    FileSystemId = Shape::new("an EFS file system, such as fs-0123456789abcdef0", "fs-", Alphabet::Label, 64);
    /// An EFS access point, `fsap-...`.
    AccessPointId = Shape::new("an EFS access point, such as fsap-0123456789abcdef0", "fsap-", Alphabet::Label, 64);
    /// An IAM role's ARN.
    RoleArn = Shape::new("an IAM role's ARN", "arn:", Alphabet::Printable, 2048);
}

/// What the owner's name begins with where a space has no other owner than itself.
const SPACE: &str = "space/";

impl OwnerName {
    /// A shared space that no user profile owns.
    pub fn of_space(space: &SpaceName) -> Self {
        Self(format!("{SPACE}{space}"))
    }
}

impl From<UserProfileName> for OwnerName {
    fn from(profile: UserProfileName) -> Self {
        Self(profile.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_identifier_is_refused_and_said_in_one_line() {
        for good in ["d-0123456789ab", "d-studio"] {
            assert_eq!(good.parse::<DomainId>().expect(good).as_str(), good);
        }
        for wrong in ["", "d-", "d-../x", "D-1", "d-1\n", "0d-1", &format!("d-{}", "1".repeat(80))] {
            assert!(wrong.parse::<DomainId>().is_err(), "{wrong}");
        }
        for good in ["ann", "space/team-1", "space"] {
            assert_eq!(good.parse::<OwnerName>().expect(good).as_str(), good);
        }
        for wrong in ["", "space/", "space/../x", "team/ann", "space/space/x", "/ann"] {
            assert!(wrong.parse::<OwnerName>().is_err(), "{wrong}");
        }
        assert_eq!(OwnerName::of_space(&"team".into()), "space/team".parse().expect("one"));
        let error = "../\u{1b}[2J".parse::<SubnetId>().expect_err("no subnet").to_string();
        assert_eq!(error, "expected a subnet, such as subnet-0123456789abcdef0, found `../\\u{1b}[2J`");
        let error = serde_json::from_str::<VpcId>(r#""vpc-1/..""#).expect_err("no VPC").to_string();
        assert!(error.starts_with("expected a VPC, such as vpc-0123456789abcdef0, found `vpc-1/..`"), "{error}");
        assert_eq!(serde_json::to_string(&VpcId::new("vpc-1")).expect("text"), r#""vpc-1""#);
    }
}
