//! Which Region it is: decided here, for everyone who asks.

use std::fmt;

use crate::{InvalidId, Region};

/// Where a Region may be named, the first that counts first. Empty text names none.
#[derive(Clone, Debug, Default)]
pub struct RegionSources {
    /// What the user asked for with this command: `--region`.
    pub asked: Option<String>,
    /// The fourth field of the app's ARN: the Region that the domain is in, always.
    pub app: Option<String>,
    /// `AWS_REGION`, which may have been set for something else.
    pub aws_region: Option<String>,
    /// `REGION_NAME`, Studio's own variable, which may have been set for something else as well.
    pub region_name: Option<String>,
}

/// A Region, and who named another.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RegionChoice {
    /// The Region.
    pub region: Region,
    /// Those that named another.
    pub conflicts: Vec<RegionConflict>,
}

/// Two places name different Regions. Its `Display` says which one counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegionConflict {
    region: String,
    named_by: &'static str,
    other: String,
    other_named_by: &'static str,
}

impl fmt::Display for RegionConflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { region, named_by, other, other_named_by } = self;
        write!(f, "{other_named_by} says Region {other}, but {named_by} says {region}, which is used")
    }
}

impl RegionSources {
    /// The Region; `None` where nothing names one.
    ///
    /// # Errors
    /// What counts is not the code of a Region.
    pub fn choose(&self) -> Result<Option<RegionChoice>, InvalidId> {
        let sources = [
            ("--region", &self.asked),
            ("the app's ARN", &self.app),
            ("AWS_REGION", &self.aws_region),
            ("REGION_NAME", &self.region_name),
        ];
        let mut named = sources
            .into_iter()
            .filter_map(|(by, text)| Some((by, text.as_deref()?)))
            .filter(|(_, text)| !text.is_empty());
        let Some((named_by, region)) = named.next() else { return Ok(None) };
        let conflicts = named.filter(|(_, other)| *other != region).map(|(other_named_by, other)| RegionConflict {
            region: region.to_owned(),
            named_by,
            other: other.to_owned(),
            other_named_by,
        });
        Ok(Some(RegionChoice { conflicts: conflicts.collect(), region: region.parse()? }))
    }
}
