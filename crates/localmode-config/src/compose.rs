//! Which Docker Compose an SDK accepts.

/// The major and minor number of a version.
pub type Version = (u32, u32);

/// Whether Local Mode finds a Docker Compose that it accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ComposeVerdict {
    /// It takes `docker compose`.
    Plugin,
    /// It takes the `docker-compose` program.
    Program,
    /// It takes neither; why.
    Refused(&'static str),
}

/// An installed SageMaker Python SDK: the versions of the packages that run Docker Compose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sdk {
    /// `sagemaker` itself.
    pub sagemaker: Version,
    /// `sagemaker-core`, which holds the local mode of 3.x.
    pub core: Option<Version>,
    /// `sagemaker-train`, which holds the local training of 3.x.
    pub train: Option<Version>,
}

impl Sdk {
    /// The SDK of this version, with packages of the same age.
    pub fn new(sagemaker: Version) -> Self {
        Self { sagemaker, core: None, train: None }
    }

    /// The rules by which its packages look for Compose: any of them may be the one that a job runs.
    fn rules(&self) -> impl Iterator<Item = ComposeRule> {
        let own = ComposeRule::of_sagemaker(self.sagemaker);
        // Version 3 holds no code of its own. Its parts are as old as it is, and count their minor versions as it does, or are newer:
        // sagemaker 3.22 wants sagemaker-core 2.22 and sagemaker-train 1.22 at least.
        let parts = [(self.core, 2), (self.train, 1)].map(|(part, major)| match part {
            Some((at, minor)) if at >= major => ComposeRule::of_sagemaker((at - major + 3, minor)),
            _ => own,
        });
        let of_parts = self.sagemaker.0 >= 3;
        [own].into_iter().filter(move |_| !of_parts).chain(parts.into_iter().filter(move |_| of_parts))
    }
}

/// How a package decides whether `docker compose` will do: by its `_get_compose_cmd_prefix`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ComposeRule {
    /// It does not look for the plugin.
    Never,
    /// `"v2" in output`
    ContainsV2,
    /// `re.search(r"v(\d+)", output)`, which must be 2 or more.
    NumberAfterV,
    /// `re.search(r"version\s+v?(\d+)", output)`, which must be 2 or more.
    NumberAfterVersion,
}

impl ComposeRule {
    fn of_sagemaker(version: Version) -> Self {
        match version {
            version if version < (2, 185) => Self::Never,
            version if version < (3, 8) => Self::ContainsV2,
            version if version < (3, 22) => Self::NumberAfterV,
            _ => Self::NumberAfterVersion,
        }
    }

    /// Whether it takes a plugin that says this of its version.
    fn takes(self, said: &str) -> bool {
        let number = match self {
            Self::Never => None,
            Self::ContainsV2 => return said.contains("v2"),
            Self::NumberAfterV => said.match_indices('v').find_map(|(at, v)| leading_number(&said[at + v.len()..])),
            Self::NumberAfterVersion => said.match_indices("version").find_map(|(at, word)| {
                let rest = &said[at + word.len()..];
                let number = rest.trim_start();
                // Something must be between the word and the number.
                let number = (number.len() < rest.len()).then_some(number)?;
                leading_number(number.strip_prefix('v').unwrap_or(number))
            }),
        };
        number.is_some_and(|number| number >= 2)
    }
}

/// The number that a text begins with. What is too large for a number is a large one.
fn leading_number(text: &str) -> Option<u64> {
    let digits = &text[..text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len())];
    (!digits.is_empty()).then(|| digits.parse().unwrap_or(u64::MAX))
}

/// What an SDK makes of `docker compose version`'s output (`None` where the plugin is missing) and of a `docker-compose` on `PATH`.
///
/// Each package that runs Compose takes the plugin if its rule says so, else the program. Source: `_get_compose_cmd_prefix` of sagemaker
/// `local/image.py` (2.x), sagemaker-core `local/image.py` and sagemaker-train `local/local_container.py` (3.x); the suite `sdk` asks them.
pub fn compose_accepted(sdk: Sdk, plugin_version: Option<&str>, has_program: bool) -> ComposeVerdict {
    let takes_plugin = |rule: ComposeRule| plugin_version.is_some_and(|said| rule.takes(said));
    if sdk.rules().all(takes_plugin) {
        return ComposeVerdict::Plugin;
    }
    match plugin_version {
        _ if has_program => ComposeVerdict::Program,
        Some(_) if sdk.rules().all(|rule| rule == ComposeRule::Never) => {
            ComposeVerdict::Refused("this SDK knows only the `docker-compose` program")
        }
        Some(_) => ComposeVerdict::Refused(
            "this SDK does not accept this version of `docker compose`, and needs a `docker-compose` program",
        ),
        None => ComposeVerdict::Refused("there is neither the compose plugin nor a `docker-compose` program"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Docker's own Compose, Debian's, and a later one say.
    const V2: &str = "Docker Compose version v2.29.1";
    const DEBIANS: &str = "Docker Compose version 2.40.3-3";
    const V5: &str = "Docker Compose version v5.0.0";

    #[test]
    fn each_sdk_accepts_what_it_looks_for() {
        let taken = |sdk| {
            [V2, DEBIANS, V5].map(|said| compose_accepted(Sdk::new(sdk), Some(said), false) == ComposeVerdict::Plugin)
        };
        for (sdk, expected) in [
            ((2, 80), [false, false, false]),
            ((2, 184), [false, false, false]),
            ((2, 185), [true, false, false]),
            ((2, 257), [true, false, false]),
            ((3, 7), [true, false, false]),
            ((3, 8), [true, false, true]),
            ((3, 21), [true, false, true]),
            ((3, 22), [true, true, true]),
        ] {
            assert_eq!(taken(sdk), expected, "{sdk:?}");
        }
        assert_eq!(compose_accepted(Sdk::new((2, 80)), Some(V2), true), ComposeVerdict::Program);
        assert!(matches!(compose_accepted(Sdk::new((3, 27)), None, false), ComposeVerdict::Refused(_)));
    }

    #[test]
    fn the_parts_of_version_3_decide_each_for_itself() {
        let parts = |core, train| Sdk { sagemaker: (3, 0), core: Some(core), train: Some(train) };
        assert_eq!(compose_accepted(parts((2, 22), (1, 22)), Some(DEBIANS), false), ComposeVerdict::Plugin);
        // Training would not find it.
        let mixed = parts((2, 22), (1, 21));
        assert!(matches!(compose_accepted(mixed, Some(DEBIANS), false), ComposeVerdict::Refused(_)));
        assert_eq!(compose_accepted(mixed, Some(DEBIANS), true), ComposeVerdict::Program);
        // Version 2 brings a sagemaker-core of its own, which runs no Compose.
        let old = Sdk { sagemaker: (2, 257), core: Some((1, 0)), train: None };
        assert_eq!(compose_accepted(old, Some(V2), false), ComposeVerdict::Plugin);
    }

    #[test]
    fn numbers_are_found_as_regular_expressions_find_them() {
        for (rule, said, expected) in [
            (ComposeRule::NumberAfterV, "version v1, v2", false),
            (ComposeRule::NumberAfterV, "version: v12", true),
            (ComposeRule::NumberAfterV, "dev 3", false),
            (ComposeRule::NumberAfterVersion, "version2", false),
            (ComposeRule::NumberAfterVersion, "version\t v99999999999999999999", true),
            (ComposeRule::NumberAfterVersion, "versions version 1.29", false),
            (ComposeRule::NumberAfterVersion, "versión", false),
        ] {
            assert_eq!(rule.takes(said), expected, "{rule:?} {said}");
        }
    }
}
