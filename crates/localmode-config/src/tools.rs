//! The programs that Local Mode needs beside the SDK, and the SDK.

use std::fmt;

use crate::{ComposeVerdict, Sdk, Version, compose_accepted};

/// The oldest SDK that Local Mode on a remote host works with: it is the first that finds its Docker host by the context.
pub const OLDEST_SDK: Version = (2, 80);

/// What was found on this machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tools {
    /// Whether there is the Docker CLI.
    pub docker: bool,
    /// What `docker compose version` says; `None` where the plugin is missing.
    pub compose_plugin: Option<String>,
    /// Whether there is a `docker-compose` program.
    pub compose_program: bool,
    /// The SageMaker Python SDK.
    pub sdk: Option<Sdk>,
}

/// Something that Local Mode needs and does not find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// The Docker CLI.
    Docker,
    /// Docker Compose, in any form.
    Compose,
    /// A `docker-compose` program that calls the plugin, for an SDK that does not take the plugin itself.
    ComposeProgram,
    /// The SDK, or one that is new enough.
    Sdk,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Docker => "the Docker CLI",
            Self::Compose => "Docker Compose",
            Self::ComposeProgram => "a docker-compose program, which this SDK needs beside this Docker Compose",
            Self::Sdk => "the SageMaker Python SDK, 2.80 or newer",
        })
    }
}

impl Tools {
    /// What Local Mode needs and does not find, in the order in which it should be installed.
    pub fn missing(&self) -> Vec<Missing> {
        let mut missing = Vec::new();
        if !self.docker {
            missing.push(Missing::Docker);
        }
        if self.sdk.is_none_or(|sdk| sdk.sagemaker < OLDEST_SDK) {
            missing.push(Missing::Sdk);
        }
        match self.compose() {
            ComposeVerdict::Refused(_) if self.compose_plugin.is_some() => missing.push(Missing::ComposeProgram),
            ComposeVerdict::Refused(_) => missing.push(Missing::Compose),
            ComposeVerdict::Plugin | ComposeVerdict::Program => {}
        }
        missing
    }

    /// What the SDK makes of the Docker Compose that is there; the newest SDK is assumed if none is installed.
    pub fn compose(&self) -> ComposeVerdict {
        let sdk = self.sdk.unwrap_or(Sdk::new((u32::MAX, 0)));
        compose_accepted(sdk, self.compose_plugin.as_deref(), self.compose_program)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_depends_on_the_sdk() {
        let v5 = Some("Docker Compose version v5.0.0".to_owned());
        let tools = |sdk: Option<Version>, plugin: &Option<String>, program| Tools {
            docker: true,
            compose_plugin: plugin.clone(),
            compose_program: program,
            sdk: sdk.map(Sdk::new),
        };
        assert_eq!(Tools::default().missing(), [Missing::Docker, Missing::Sdk, Missing::Compose]);
        assert_eq!(tools(Some((2, 257)), &None, true).missing(), []);
        assert_eq!(tools(Some((2, 79)), &None, true).missing(), [Missing::Sdk]);
        // A plugin whose version the SDK does not know needs a program before it; a program alone is enough.
        assert_eq!(tools(Some((2, 257)), &v5, false).missing(), [Missing::ComposeProgram]);
        assert_eq!(tools(Some((3, 27)), &v5, true).missing(), []);
        assert_eq!(tools(None, &None, false).missing(), [Missing::Sdk, Missing::Compose]);
    }
}
