//! What is built: an image's name, its platforms, and the hosts that build for them.

use std::{fmt, str::FromStr};

use host_provisioner::Architecture;
use serde::{Serialize, Serializer};

use crate::lookup::KnownHost;

/// An image to be built for several architectures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageBuild {
    /// What the list is called in its registry.
    pub name: ImageName,
    /// What it is built for: a host of each architecture is needed.
    pub platforms: Vec<Platform>,
    /// The folder or URL that it is built from, as `docker build` takes it.
    pub context: String,
    /// Options for `docker build`, but for the name and the platform.
    pub options: Vec<String>,
    /// The image of BuildKit for a buildx builder over the hosts, where one is wanted.
    pub buildkit_image: Option<String>,
}

/// An image that was built.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct BuiltImage {
    /// Its name.
    #[serde(rename = "image")]
    pub name: ImageName,
    /// The digest of its manifest list.
    pub digest: String,
    /// The platforms in it.
    #[serde(rename = "platforms")]
    pub parts: Vec<BuiltPart>,
}

/// The image of one platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct BuiltPart {
    /// The platform.
    pub platform: Platform,
    /// The host that built it.
    pub host: String,
    /// The digest that it was pushed with; a buildx builder tells only the list's.
    pub digest: Option<String>,
}

/// A platform that hosts build for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Platform {
    /// `linux/amd64`.
    Amd64,
    /// `linux/arm64`.
    Arm64,
}

impl Platform {
    fn processor(self) -> Architecture {
        match self {
            Self::Amd64 => Architecture::X86_64,
            Self::Arm64 => Architecture::Arm64,
        }
    }

    /// The architecture, as Docker names it.
    pub fn architecture(self) -> &'static str {
        self.processor().go_name()
    }

    pub(super) fn runs_on(self, host: &KnownHost) -> bool {
        host.instance_type.architecture() == Some(self.processor())
    }

    /// A type of instance that has it.
    pub(super) fn example(self) -> &'static str {
        match self {
            Self::Amd64 => "c5.xlarge",
            Self::Arm64 => "c7g.xlarge",
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "linux/{}", self.architecture())
    }
}

impl Serialize for Platform {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl FromStr for Platform {
    type Err = String;

    /// As `docker build --platform` takes it.
    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix("linux/").unwrap_or(text) {
            "amd64" | "x86_64" => Ok(Self::Amd64),
            "arm64" | "arm64/v8" | "aarch64" => Ok(Self::Arm64),
            _ => Err(format!("no host builds for `{text}`: EC2 has linux/amd64 and linux/arm64")),
        }
    }
}

/// The name of an image in a registry, with a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageName {
    repository: String,
    tag: String,
}

impl ImageName {
    /// The name without a tag.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The name of one architecture's image.
    pub(super) fn of(&self, platform: Platform) -> String {
        format!("{self}-{}", platform.architecture())
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.repository, self.tag)
    }
}

impl Serialize for ImageName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl FromStr for ImageName {
    type Err = String;

    /// Without a tag it is `latest`, as everywhere in Docker.
    fn from_str(text: &str) -> Result<Self, String> {
        if text.contains('@') {
            return Err("it has a digest, which only the built image will have".to_owned());
        }
        let (repository, tag) = match text.rsplit_once(':') {
            Some((repository, tag)) if !tag.contains('/') => (repository, tag),
            _ => (text, "latest"),
        };
        // Docker's own clients know the rest, and say it.
        let is_word = |c: char| c.is_ascii_graphic();
        let is_named = !repository.is_empty() && !tag.is_empty() && text.chars().all(is_word) && !text.starts_with('-');
        let name = Self { repository: repository.to_owned(), tag: tag.to_owned() };
        is_named.then_some(name).ok_or_else(|| "expected REGISTRY/NAME:TAG".to_owned())
    }
}

/// A platform, and the host that builds for it.
pub(super) struct Way {
    pub(super) platform: Platform,
    pub(super) host: KnownHost,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_as_docker_reads_them() {
        for (text, repository, tag) in [
            ("localhost:5000/a", "localhost:5000/a", "latest"),
            ("localhost:5000/a/b:1", "localhost:5000/a/b", "1"),
            ("1.dkr.ecr.eu-west-1.amazonaws.com/train:v2", "1.dkr.ecr.eu-west-1.amazonaws.com/train", "v2"),
        ] {
            let name: ImageName = text.parse().expect("a name");
            assert_eq!((name.repository.as_str(), name.tag.as_str()), (repository, tag), "{text}");
            assert_eq!(name.of(Platform::Arm64), format!("{repository}:{tag}-arm64"));
        }
        for wrong in ["", ":1", "a:", "a@sha256:00", "-t", "a b"] {
            wrong.parse::<ImageName>().expect_err(wrong);
        }
    }

    #[test]
    fn platforms_are_those_of_ec2() {
        for (text, platform) in [
            ("linux/amd64", Platform::Amd64),
            ("amd64", Platform::Amd64),
            ("linux/arm64", Platform::Arm64),
            ("linux/arm64/v8", Platform::Arm64),
        ] {
            assert_eq!(text.parse(), Ok(platform), "{text}");
        }
        for wrong in ["windows/amd64", "linux/386", "linux/arm/v7", ""] {
            wrong.parse::<Platform>().expect_err(wrong);
        }
    }

    #[test]
    fn its_json_is_what_programs_read() {
        let part = |platform, digest: Option<&str>| BuiltPart {
            platform,
            host: "c5.xlarge_i-1".to_owned(),
            digest: digest.map(str::to_owned),
        };
        let built = BuiltImage {
            name: "registry/image".parse().expect("a name"),
            digest: "sha256:1".to_owned(),
            parts: vec![part(Platform::Amd64, Some("sha256:2")), part(Platform::Arm64, None)],
        };
        assert_eq!(
            serde_json::to_string(&built).expect("JSON"),
            r#"{"image":"registry/image:latest","digest":"sha256:1","platforms":[{"platform":"linux/amd64","host":"c5.xlarge_i-1","digest":"sha256:2"},{"platform":"linux/arm64","host":"c5.xlarge_i-1","digest":null}]}"#
        );
    }
}
