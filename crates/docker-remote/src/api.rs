//! Versions of Docker's API, and which of them a daemon answers.

use std::{fmt, str::FromStr};

use serde::Deserialize;

/// A version of Docker's API, such as 1.44.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
#[non_exhaustive]
pub struct ApiVersion {
    /// The number before the dot.
    pub major: usize,
    /// The number after it.
    pub minor: usize,
}

impl ApiVersion {
    /// A version.
    pub const fn new(major: usize, minor: usize) -> Self {
        Self { major, minor }
    }

    /// The first Docker Engine that speaks it (docs.docker.com/reference/api/engine, "API version matrix"); `None` where that is not
    /// known here.
    pub fn engine(self) -> Option<&'static str> {
        const ENGINES: [(ApiVersion, &str); 13] = [
            (ApiVersion::new(1, 40), "19.03"),
            (ApiVersion::new(1, 41), "20.10"),
            (ApiVersion::new(1, 42), "23.0"),
            (ApiVersion::new(1, 43), "24.0"),
            (ApiVersion::new(1, 44), "25.0"),
            (ApiVersion::new(1, 45), "26.0"),
            (ApiVersion::new(1, 46), "27.0"),
            (ApiVersion::new(1, 47), "27.2"),
            (ApiVersion::new(1, 48), "28.0"),
            (ApiVersion::new(1, 49), "28.1"),
            (ApiVersion::new(1, 50), "28.2"),
            (ApiVersion::new(1, 51), "28.3"),
            (ApiVersion::new(1, 52), "29.0"),
        ];
        ENGINES.into_iter().find_map(|(version, engine)| (version == self).then_some(engine))
    }
}

/// As Docker writes it.
impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// A text is no version of Docker's API.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no version of Docker's API")]
pub struct NoApiVersion(String);

impl FromStr for ApiVersion {
    type Err = NoApiVersion;

    fn from_str(text: &str) -> Result<Self, NoApiVersion> {
        let parsed = text.split_once('.').and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
        parsed.map(|(major, minor)| Self { major, minor }).ok_or_else(|| NoApiVersion(text.to_owned()))
    }
}

impl TryFrom<String> for ApiVersion {
    type Error = NoApiVersion;

    fn try_from(text: String) -> Result<Self, NoApiVersion> {
        text.parse()
    }
}

/// The versions of the API that a daemon answers. It refuses clients that ask for another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApiRange {
    /// The oldest; `None` where the daemon does not say.
    pub oldest: Option<ApiVersion>,
    /// The newest.
    pub newest: ApiVersion,
}

impl ApiRange {
    /// Whether clients that speak this version at most are too old for the daemon. Newer ones than the daemon itself agree with it on
    /// an older version.
    pub fn refuses(&self, client: ApiVersion) -> bool {
        self.oldest.is_some_and(|oldest| client < oldest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_numbers_and_not_text() {
        let version = |text: &str| text.parse::<ApiVersion>().expect("a version");
        assert!(version("1.9") < version("1.41"));
        assert!(version("1.52") < version("2.0"));
        assert_eq!(version("1.44").to_string(), "1.44");
        for text in ["", "1", "1.", "1.4a", "v1.44", "1.44.1", "-1.2"] {
            assert_eq!(text.parse::<ApiVersion>(), Err(NoApiVersion(text.to_owned())));
        }
    }

    #[test]
    fn a_daemon_refuses_what_is_older_than_its_oldest() {
        let range = |oldest| ApiRange { oldest, newest: ApiVersion::new(1, 52) };
        let today = range(Some(ApiVersion::new(1, 44)));
        assert!(today.refuses(ApiVersion::new(1, 41)) && today.refuses(ApiVersion::new(1, 43)));
        assert!(!today.refuses(ApiVersion::new(1, 44)) && !today.refuses(ApiVersion::new(1, 60)));
        assert!(!range(None).refuses(ApiVersion::new(1, 12)));
    }

    #[test]
    fn engines_by_the_version_that_they_brought() {
        assert_eq!(ApiVersion::new(1, 44).engine(), Some("25.0"));
        assert_eq!(ApiVersion::new(1, 60).engine(), None);
    }
}
