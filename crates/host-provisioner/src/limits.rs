//! What EC2 takes: the documented limits of every value that a host's calls carry, asked of a plan before anything is made.

use studio_discovery::Tag;

use crate::{GroupPlan, HostGroups, HostPlan, HostRequest, MAX_TAGS, MarketChoice, OnIdle, ProvisionError};

/// Characters of a group's name or description (EC2 API reference, `CreateSecurityGroup`).
const MAX_DESCRIPTION: usize = 255;
/// Inbound rules of a group (VPC user guide, "Amazon VPC quotas": 60 unless the account's quota was raised, each peer of a port is one).
const MAX_RULES: usize = 60;
/// The tags of a host by which it is known: `Name`, and at most five of sdocker's own.
const OWN_TAGS: usize = 6;
/// GiB of a gp3 volume (EC2 API reference, `EbsBlockDevice`).
const VOLUME_GIB: std::ops::RangeInclusive<u32> = 1..=65_536;

/// Whether EC2 takes what a plan's calls will carry.
///
/// # Errors
/// [`ProvisionError::NotTaken`] for the first value that it does not.
pub(crate) fn check(plan: &HostPlan) -> Result<(), ProvisionError> {
    if let HostGroups::Named { docker, nfs } = &plan.groups {
        for group in std::iter::once(docker).chain(nfs) {
            check_group(group)?;
        }
    }
    if !VOLUME_GIB.contains(&plan.root_volume.size_gib) {
        return not_taken(
            format!("a root volume of {} GiB (EBSVolumeSize)", plan.root_volume.size_gib),
            format!("a gp3 volume has {} to {} GiB", VOLUME_GIB.start(), VOLUME_GIB.end()),
        );
    }
    check_asked_tags(&plan.asked_tags)?;
    if let Some(key) = &plan.key_name {
        // EC2 API reference, `CreateKeyPair`.
        if key.is_empty() || key.len() > 255 || !key.chars().all(|c| matches!(c, ' '..='~')) {
            return not_taken(format!("{key:?} as the name of a key pair (Key)"), "it has 1 to 255 ASCII characters");
        }
    }
    if let Some(arn) = &plan.instance_profile_arn
        && !is_instance_profile(arn)
    {
        let form = "it is of the form arn:aws:iam::ACCOUNT:instance-profile/NAME";
        return not_taken(format!("{arn:?} as the ARN of an instance profile (InstanceProfileArn)"), form);
    }
    Ok(())
}

/// Whether a host can stop that is asked to, instead of being terminated.
///
/// # Errors
/// [`ProvisionError::CannotStop`].
pub(crate) fn check_stop(request: &HostRequest) -> Result<(), ProvisionError> {
    if request.on_idle == OnIdle::Terminate {
        return Ok(());
    }
    // EC2 user guide, "Behavior of Spot Instance interruptions": a Spot Instance stops only where its request is persistent, and then only EC2
    // starts it again after an interruption. A persistent request goes on asking for instances after its instance was terminated.
    if request.market != MarketChoice::OnDemand {
        return Err(ProvisionError::CannotStop {
            what: "a Spot instance",
            why: "EC2 stops only those of persistent Spot requests, and sdocker's are for one time",
        });
    }
    if request.swarm {
        return Err(ProvisionError::CannotStop {
            what: "a node of a Swarm",
            why: "one that is down is taken off the Swarm's list",
        });
    }
    Ok(())
}

/// The tags that EC2 takes, and the keys of those that it does not.
///
/// EC2 API reference, `Tag`: 1 to 127 characters of a key, 256 of a value; EC2 user guide, "Tag restrictions": `aws:` is AWS's own, a key
/// is there once, any character is allowed.
pub(crate) fn takes_tags<'a>(tags: impl IntoIterator<Item = &'a Tag>) -> (Vec<Tag>, Vec<String>) {
    let reserved = |text: &str| text.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("aws:"));
    let mut taken: Vec<Tag> = Vec::new();
    let mut left_out = Vec::new();
    for tag in tags {
        let (key, value) = (tag.key.chars().count(), tag.value.chars().count());
        let fits = (1..=127).contains(&key) && value <= 256 && !reserved(&tag.key) && !reserved(&tag.value);
        if fits && taken.iter().all(|before| before.key != tag.key) {
            taken.push(tag.clone());
        } else {
            left_out.push(tag.key.clone());
        }
    }
    (taken, left_out)
}

/// Tags that a user asked for are made as they are, or nothing is.
fn check_asked_tags(tags: &[Tag]) -> Result<(), ProvisionError> {
    for tag in tags {
        if tag.key == "Name" || tag.key.to_lowercase().starts_with("sdocker:") {
            return not_taken(format!("the tag {} (Tags)", tag.key), "sdocker gives it a value itself");
        }
    }
    if let Some(key) = takes_tags(tags).1.first() {
        let why = "a key has 1 to 127 characters, a value up to 256, none begins with aws:, and each key is there once";
        return not_taken(format!("the tag {key:?} (Tags)"), why);
    }
    if tags.len() > MAX_TAGS - OWN_TAGS {
        let why = format!("EC2 takes {MAX_TAGS}, and {OWN_TAGS} are sdocker's own");
        return not_taken(format!("{} tags (Tags)", tags.len()), why);
    }
    Ok(())
}

fn check_group(group: &GroupPlan) -> Result<(), ProvisionError> {
    if group.existing.is_none() {
        if !is_description(&group.name) || group.name.is_empty() || group.name.to_lowercase().starts_with("sg-") {
            return not_taken(format!("{:?} as the name of a security group", group.name), DESCRIPTION);
        }
        if !is_description(&group.description) {
            return not_taken(format!("{:?} as the description of a security group", group.description), DESCRIPTION);
        }
    }
    let rules = group.present_ingress + group.missing_ingress.len();
    if !group.missing_ingress.is_empty() && rules > MAX_RULES {
        let why = format!(
            "a group has {MAX_RULES} inbound rules, and each port needs one for each security group of the app: \
             take some of AdditionalPorts away"
        );
        return not_taken(format!("{rules} inbound rules of security group {}", group.name), why);
    }
    Ok(())
}

const DESCRIPTION: &str = "up to 255 letters, digits, spaces and ._-:/()#,@[]+=&;{}!$*, and no name begins with sg-";

fn is_description(text: &str) -> bool {
    text.len() <= MAX_DESCRIPTION
        && text.chars().all(|c| c.is_ascii_alphanumeric() || " ._-:/()#,@[]+=&;{}!$*".contains(c))
}

/// IAM API reference, `InstanceProfile`: the name has 1 to 128 of these characters, and a path may be before it.
fn is_instance_profile(arn: &str) -> bool {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let [arn, partition, service, region, account, resource] = parts[..] else { return false };
    let Some(name) = resource.strip_prefix("instance-profile/").and_then(|path| path.rsplit('/').next()) else {
        return false;
    };
    arn == "arn"
        && partition.starts_with("aws")
        && service == "iam"
        && region.is_empty()
        && account.len() == 12
        && account.bytes().all(|digit| digit.is_ascii_digit())
        && (1..=128).contains(&name.len())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c))
}

fn not_taken(what: String, why: impl Into<String>) -> Result<(), ProvisionError> {
    Err(ProvisionError::NotTaken { what, why: why.into() })
}

#[cfg(test)]
mod tests;
