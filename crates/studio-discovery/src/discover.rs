//! Asking SageMaker about the app's domain.

use std::fmt;

use crate::{
    ApiError, DiscoveryError, EfsHome, LocalFacts, OwnerName, SpaceDescription, StudioApi, StudioEnvironment, Tag,
    UserProfileDescription, UserProfileName,
};

/// What discovery found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Discovery {
    /// The app and the domain around it.
    pub environment: StudioEnvironment,
    /// What could not be read, and what is lost by it.
    pub warnings: Vec<DiscoveryWarning>,
}

/// Something that could not be read, although the work goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DiscoveryWarning {
    /// `sagemaker:ListTags` failed: the user profile's tags are not known.
    TagsNotRead {
        /// Why.
        why: String,
    },
}

impl fmt::Display for DiscoveryWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TagsNotRead { why } => write!(f, "the host won't have the user profile's tags: {why}"),
        }
    }
}

/// Asks SageMaker about the domain, the owner and the space of an app. Calls that do not need each other's answers run at the
/// same time.
///
/// # Cancel safety
/// It only reads, and can be dropped at any time.
///
/// # Errors
/// A failed call (but for the tags), a domain that is not `VpcOnly`, an answer without what every domain has.
pub async fn discover(facts: &LocalFacts, api: &dyn StudioApi) -> Result<Discovery, DiscoveryError> {
    let domain = async { api.describe_domain(&facts.domain).await.map_err(DiscoveryError::from) };
    let (domain, owner) = tokio::try_join!(domain, owner(facts, api))?;
    if !domain.vpc_only {
        return Err(DiscoveryError::NotVpcOnly { domain: facts.domain.clone() });
    }
    let incomplete = |field| DiscoveryError::Incomplete {
        action: "sagemaker:DescribeDomain",
        resource: facts.domain.to_string(),
        field,
    };
    let vpc = domain.vpc.ok_or_else(|| incomplete("VpcId"))?;
    if domain.subnets.is_empty() {
        return Err(incomplete("SubnetIds"));
    }

    let shared_space = owner.space.as_ref().filter(|space| space.shared || facts.app.kind.home_is_efs());
    let first_of = |lists: [Vec<_>; 2]| lists.into_iter().find(|list| !list.is_empty()).unwrap_or_default();
    let security_groups = match shared_space {
        Some(_) => first_of([domain.space_security_groups, domain.default_security_groups]),
        None => first_of([owner.profile.security_groups, domain.default_security_groups]),
    };
    // A shared space of Classic has a home of its own on EFS; every other app that sees EFS sees its owner's folder.
    let space_uid = shared_space.and_then(|space| space.efs_uid).filter(|_| facts.app.kind.home_is_efs());
    let uid = space_uid.or(owner.profile.efs_uid);
    let efs = domain.file_system.zip(uid).map(|(file_system, uid)| EfsHome { file_system, uid });
    let mut shared_mounts: Vec<_> = facts.mounts.iter().filter_map(|mount| mount.shared(efs.as_ref())).collect();
    shared_mounts.sort_by(|a, b| a.paths.cmp(&b.paths));

    let space_role = shared_space.and(domain.space_execution_role);
    let role = facts.execution_role.clone().or(owner.profile.execution_role).or(space_role);
    let role = role.or(domain.default_execution_role);
    Ok(Discovery {
        environment: StudioEnvironment {
            region: facts.region.clone(),
            account: facts.account.clone(),
            domain: facts.domain.clone(),
            app: facts.app.clone(),
            owner: owner.name,
            space: facts.space.clone(),
            vpc,
            subnets: domain.subnets,
            security_groups,
            execution_role: role,
            efs,
            home: facts.home.clone(),
            shared_mounts,
            tags: owner.tags,
        },
        warnings: owner.warnings,
    })
}

/// Whose app it is: its own user profile, or the owner of its space, which only SageMaker knows. A shared space of Classic may have none:
/// it has a folder of its own on EFS (SageMaker API reference, DescribeSpace, `HomeEfsFileSystemUid`: "The ID of the space's profile in the
/// Amazon EFS file system volume"; `OwnershipSettings` came with JupyterLab and Code Editor spaces, which always name an owner). Its hosts
/// belong to the space then, and so to each of its members, as all else in it does.
///
/// # Cancel safety
/// It only reads, and can be dropped at any time.
///
/// # Errors
/// A failed `sagemaker:DescribeSpace`; a space without an owner.
pub async fn owner_of(facts: &LocalFacts, api: &dyn StudioApi) -> Result<OwnerName, DiscoveryError> {
    Ok(owner_and_space(facts, api).await?.0.name())
}

/// Who owns an app.
enum Whose {
    Profile(UserProfileName),
    Space(OwnerName),
}

impl Whose {
    fn name(self) -> OwnerName {
        match self {
            Self::Profile(profile) => profile.into(),
            Self::Space(space) => space,
        }
    }
}

async fn owner_and_space(
    facts: &LocalFacts,
    api: &dyn StudioApi,
) -> Result<(Whose, Option<SpaceDescription>), DiscoveryError> {
    let space = match &facts.space {
        Some(name) => Some((name, api.describe_space(&facts.domain, name).await?)),
        None => None,
    };
    let whose = match (&facts.profile, &space) {
        (Some(profile), _) => Whose::Profile(profile.clone()),
        (None, Some((space, description))) => match &description.owner {
            Some(owner) => Whose::Profile(owner.clone()),
            None if facts.app.kind.home_is_efs() => Whose::Space(OwnerName::of_space(space)),
            None => return Err(DiscoveryError::NoOwner { space: (*space).clone() }),
        },
        (None, None) => unreachable!("facts name a user profile or a space"),
    };
    Ok((whose, space.map(|(_, description)| description)))
}

struct Owner {
    name: OwnerName,
    profile: UserProfileDescription,
    space: Option<SpaceDescription>,
    tags: Vec<Tag>,
    warnings: Vec<DiscoveryWarning>,
}

async fn owner(facts: &LocalFacts, api: &dyn StudioApi) -> Result<Owner, DiscoveryError> {
    let (whose, space) = owner_and_space(facts, api).await?;
    let profile = match &whose {
        Whose::Profile(name) => api.describe_user_profile(&facts.domain, name).await?,
        Whose::Space(_) => UserProfileDescription::default(),
    };
    let mut warnings = Vec::new();
    let tags = match &profile.arn {
        Some(arn) => match api.list_tags(arn).await {
            Ok(tags) => tags,
            Err(error @ (ApiError::AccessDenied { .. } | ApiError::NotFound { .. })) => {
                warnings.push(DiscoveryWarning::TagsNotRead { why: error.to_string() });
                Vec::new()
            }
            Err(error) => return Err(error.into()),
        },
        None => Vec::new(),
    };
    let mut tags = tags;
    tags.sort();
    Ok(Owner { name: whose.name(), profile, space, tags, warnings })
}

/// What to do about an error; `None` where there is nothing to add to its message.
pub fn hint(error: &DiscoveryError) -> Option<String> {
    Some(match error {
        DiscoveryError::NotStudio { .. } => {
            "run sdocker inside SageMaker Studio, or try it on this machine with `--cloud sandbox`".to_owned()
        }
        DiscoveryError::Malformed { .. }
        | DiscoveryError::MissingField { .. }
        | DiscoveryError::InvalidField { .. }
        | DiscoveryError::Unreadable { .. } => "Studio writes this file when an app starts: restart the app".to_owned(),
        DiscoveryError::NotVpcOnly { domain } => format!(
            "ask an administrator to set the network access of {domain} to VPC only (`aws sagemaker update-domain --domain-id {domain} \
             --app-network-access-type VpcOnly`); its apps must be deleted and made anew for that"
        ),
        DiscoveryError::NoOwner { space } => {
            format!("a space without an owner is left from a deleted user profile: make a new space instead of {space}")
        }
        DiscoveryError::NoRegion | DiscoveryError::InvalidRegion(_) => "set AWS_REGION, or give --region".to_owned(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
