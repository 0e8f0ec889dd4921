//! What the app knows of itself without asking anybody: its metadata file, its mounts, its Region.

use std::{
    io,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use whole_file::Links;

use crate::{
    AccountId, AppKind, DiscoveryError, DomainId, InvalidId, Region, RegionConflict, RegionSources, RoleArn, SpaceName,
    StudioApp, UserProfileName,
    mounts::{self, LocalMount},
};

/// The largest file that is read: the mounts of a machine with very many containers have some megabytes.
const MOST: u64 = 16 << 20;
const METADATA: &str = "opt/ml/metadata/resource-metadata.json";
const MOUNTS: &str = "proc/self/mountinfo";

/// Where the facts are read from. Nothing else is looked at.
#[derive(Clone, Debug)]
pub struct LocalSources {
    /// The folder that prefixes Studio's metadata files and `/proc`: `/` in Studio.
    pub metadata_root: PathBuf,
    /// The user's home directory.
    pub home: PathBuf,
    /// A Region that the user asks for, which goes before the app's own.
    pub region: Option<String>,
    /// `AWS_REGION`, which is used only where the app's ARN names no Region.
    pub aws_region: Option<String>,
    /// Studio's own variable, `REGION_NAME`, which comes last.
    pub region_name: Option<String>,
}

/// What the app knows of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalFacts {
    pub(crate) region: Region,
    pub(crate) region_conflicts: Vec<RegionConflict>,
    pub(crate) account: AccountId,
    pub(crate) domain: DomainId,
    pub(crate) app: StudioApp,
    pub(crate) profile: Option<UserProfileName>,
    pub(crate) space: Option<SpaceName>,
    pub(crate) execution_role: Option<RoleArn>,
    pub(crate) home: PathBuf,
    pub(crate) mounts: Vec<LocalMount>,
}

/// The file, of which unknown keys are ignored. Source: SageMaker's own documentation and packages; what is missing for which app
/// is in this crate's tests.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", expecting = "a JSON object")]
struct Metadata {
    app_type: Option<String>,
    domain_id: Option<String>,
    user_profile_name: Option<String>,
    space_name: Option<String>,
    resource_arn: Option<String>,
    resource_name: Option<String>,
    execution_role_arn: Option<String>,
}

impl LocalFacts {
    /// Reads the metadata file and the mounts.
    ///
    /// # Errors
    /// Not a Studio app, or one that is not supported; a malformed file, with line and column; no Region.
    pub fn read(sources: &LocalSources) -> Result<Self, DiscoveryError> {
        let path = sources.metadata_root.join(METADATA);
        let text = match whole_file::read(&path, MOST, Links::Follow) {
            Ok(bytes) => text(&path, bytes)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(DiscoveryError::NotStudio { path }),
            Err(source) => return Err(DiscoveryError::Unreadable { path, source }),
        };
        // Without a list of mounts nothing is shared, which the plan says.
        let mounts = whole_file::read(&sources.metadata_root.join(MOUNTS), MOST, Links::Follow).unwrap_or_default();
        let mut facts = Self::parse(&path, &text, sources)?;
        facts.mounts = mounts::with_links(mounts::parse(&String::from_utf8_lossy(&mounts)), &facts.home);
        Ok(facts)
    }

    fn parse(path: &Path, text: &str, sources: &LocalSources) -> Result<Self, DiscoveryError> {
        // Editors of another system begin a file with a byte order mark.
        let metadata: Metadata =
            serde_json::from_str(text.trim_start_matches('\u{feff}')).map_err(|error| DiscoveryError::Malformed {
                path: path.to_owned(),
                line: error.line().max(1),
                column: error.column().max(1),
                expected: error.to_string(),
            })?;
        let given = |field: &Option<String>| field.clone().filter(|value| !value.is_empty());
        let missing = |field, why| DiscoveryError::MissingField { path: path.to_owned(), field, why };
        let arn = given(&metadata.resource_arn);
        let kind = kind(&metadata, arn.as_deref())?;
        let domain =
            given(&metadata.domain_id).ok_or_else(|| missing("DomainId", "it is needed to look up the domain"))?;
        let arn = arn.ok_or_else(|| missing("ResourceArn", "it is needed for the Region and the account ID"))?;
        // arn:<partition>:sagemaker:<region>:<account>:app/...
        let part = |index| arn.split(':').nth(index).filter(|part| !part.is_empty());
        let invalid = |field| move |source| DiscoveryError::InvalidField { path: path.to_owned(), field, source };
        let choice = RegionSources {
            asked: sources.region.clone(),
            app: part(3).map(str::to_owned),
            aws_region: sources.aws_region.clone(),
            region_name: sources.region_name.clone(),
        };
        let choice = choice.choose().map_err(DiscoveryError::InvalidRegion)?.ok_or(DiscoveryError::NoRegion)?;
        let account = part(4).ok_or_else(|| missing("ResourceArn", "expected the account ID as its fifth part"))?;
        let (profile, space) = (given(&metadata.user_profile_name), given(&metadata.space_name));
        if profile.is_none() && space.is_none() {
            return Err(missing("UserProfileName", "it, or SpaceName, is needed to tell whose app this is"));
        }
        Ok(Self {
            region: choice.region,
            region_conflicts: choice.conflicts,
            account: account.parse().map_err(invalid("ResourceArn"))?,
            domain: domain.parse().map_err(invalid("DomainId"))?,
            app: StudioApp { kind, name: given(&metadata.resource_name).unwrap_or_default(), arn: arn.clone() },
            profile: parsed(profile).map_err(invalid("UserProfileName"))?,
            space: parsed(space).map_err(invalid("SpaceName"))?,
            execution_role: parsed(given(&metadata.execution_role_arn)).map_err(invalid("ExecutionRoleArn"))?,
            home: sources.home.clone(),
            mounts: Vec::new(),
        })
    }

    /// The Region: the one that the user asked for, else the app's own.
    pub fn region(&self) -> &Region {
        &self.region
    }

    /// Who names another Region.
    pub fn region_conflicts(&self) -> &[RegionConflict] {
        &self.region_conflicts
    }

    /// The account that the app belongs to.
    pub fn account(&self) -> &AccountId {
        &self.account
    }

    /// The domain.
    pub fn domain(&self) -> &DomainId {
        &self.domain
    }

    /// The user profile, where the app is one's own; a space names its owner only to SageMaker.
    pub fn profile(&self) -> Option<&UserProfileName> {
        self.profile.as_ref()
    }

    /// The execution role, where the app's metadata name it.
    pub fn execution_role(&self) -> Option<&RoleArn> {
        self.execution_role.as_ref()
    }

    /// The app.
    pub fn app(&self) -> &StudioApp {
        &self.app
    }

    /// The folder of this app that is on EFS, by the rule of [`StudioEnvironment::shared_folder`](crate::StudioEnvironment::shared_folder), as far
    /// as it is known without asking anybody.
    pub fn shared_folder(&self) -> Option<&Path> {
        mounts::shared_folder(self.app.kind.home_is_efs(), &self.home, self.mounts.iter().map(LocalMount::paths))
    }

    /// The home directory.
    pub fn home(&self) -> &Path {
        &self.home
    }
}

fn text(path: &Path, bytes: Vec<u8>) -> Result<String, DiscoveryError> {
    String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let expected = "expected JSON, found bytes that are not UTF-8".to_owned();
        DiscoveryError::Malformed { path: path.to_owned(), line, column: 1, expected }
    })
}

fn parsed<I: std::str::FromStr<Err = InvalidId>>(name: Option<String>) -> Result<Option<I>, InvalidId> {
    name.map(|name| name.parse()).transpose()
}

fn kind(metadata: &Metadata, arn: Option<&str>) -> Result<AppKind, DiscoveryError> {
    // Classic's Jupyter server may have no AppType; the ARN names it: app/<domain>/<user profile>/<app type>/<name>.
    let from_arn = arn.and_then(|arn| arn.rsplit(':').next()).and_then(|app| {
        let mut parts = app.split('/');
        (parts.next() == Some("app")).then(|| parts.nth(2).map(str::to_owned)).flatten()
    });
    let name = metadata.app_type.clone().filter(|kind| !kind.is_empty()).or(from_arn);
    match name.as_deref() {
        Some("KernelGateway") => Ok(AppKind::KernelGateway),
        Some("JupyterServer") => Ok(AppKind::JupyterServer),
        Some("JupyterLab") => Ok(AppKind::JupyterLab),
        Some("CodeEditor") => Ok(AppKind::CodeEditor),
        None if metadata.domain_id.is_some() => Ok(AppKind::JupyterServer),
        None => Err(DiscoveryError::UnsupportedApp {
            what: "a SageMaker notebook instance".to_owned(),
            why: "it runs its own Docker daemon, so it needs no host: use `docker` and Local Mode there directly",
        }),
        Some(other) => Err(DiscoveryError::UnsupportedApp {
            what: format!("a Studio app of type {other}"),
            why: "run sdocker in a JupyterLab or Code Editor space, or in a terminal of Studio Classic",
        }),
    }
}

#[cfg(test)]
mod tests;
