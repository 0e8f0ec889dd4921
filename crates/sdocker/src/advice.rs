//! What to do about an error, and what remains of the work that it ended.

use std::collections::HashSet;

use crate::{
    error::{Error, causes},
    permission::{self, Caller},
};

type AnyError<'e> = &'e (dyn std::error::Error + 'static);

/// What stays, although nothing is left to be done about it by `sdocker recover`.
pub fn leaves(error: AnyError<'_>) -> Vec<String> {
    let own = causes(error).into_iter().filter_map(|cause| cause.downcast_ref::<Error>());
    own.flat_map(|error| error.own_leaves().iter().cloned().chain(error.others().flat_map(self::leaves))).collect()
}

/// What may remain.
pub fn remains(error: AnyError<'_>) -> Vec<String> {
    let mut remains = Vec::new();
    for cause in causes(error) {
        if let Some(error) = cause.downcast_ref::<host_provisioner::ProvisionError>() {
            remains.extend(error.remains());
        }
        if let Some(error) = cause.downcast_ref::<Error>() {
            remains.extend(error.own_remains().iter().cloned());
            remains.extend(error.others().flat_map(self::remains));
        }
    }
    remains.dedup();
    remains
}

/// What was undone before the error was given.
pub fn undone(error: AnyError<'_>) -> Vec<String> {
    let undone = causes(error).into_iter().filter_map(|cause| match cause.downcast_ref() {
        Some(host_provisioner::ProvisionError::Undone { report, .. }) => Some(report.undone.clone()),
        _ => None,
    });
    undone.flatten().collect()
}

/// What to do about an error of this caller's.
pub fn hints(error: AnyError<'_>, caller: &Caller) -> Vec<String> {
    let mut hints: Vec<String> = Vec::new();
    for cause in causes(error) {
        if let Some(error) = cause.downcast_ref::<Error>() {
            hints.extend(error.own_hints().iter().cloned());
            hints.extend(error.others().flat_map(|error| self::hints(error, caller)));
        }
        if let Some(error) = cause.downcast_ref::<host_provisioner::ProvisionError>() {
            hints.extend(provisioning_hints(error, caller));
        }
        if let Some(error) = cause.downcast_ref::<host_provisioner::CloudError>() {
            hints.extend(cloud_hints(error, caller));
        }
        if let Some(error) = cause.downcast_ref::<studio_discovery::DiscoveryError>() {
            hints.extend(discovery_hints(error, caller));
        }
        if let Some(error) = cause.downcast_ref::<studio_discovery::ApiError>() {
            hints.extend(api_hints(error, caller));
        }
    }
    let of_recovery = error.downcast_ref::<Error>().is_some_and(Error::is_of_recovery);
    if !remains(error).is_empty() && !of_recovery {
        hints.push("run `sdocker recover` to clean up what may remain".to_owned());
    }
    let mut seen = HashSet::new();
    hints.retain(|hint| seen.insert(hint.clone()));
    hints
}

pub(crate) fn provisioning_hints(error: &host_provisioner::ProvisionError, caller: &Caller) -> Vec<String> {
    use host_provisioner::ProvisionError as E;
    let list = |items: Vec<String>| items.join(", ");
    match error {
        E::UnknownInstanceType { suggestions, .. } if !suggestions.is_empty() => {
            vec![format!("did you mean {}?", list(suggestions.iter().map(ToString::to_string).collect()))]
        }
        E::UnknownInstanceType { .. } => {
            vec!["`aws ec2 describe-instance-type-offerings` lists the Region's instance types".to_owned()]
        }
        E::UnknownImage { .. } => {
            vec![
                "check ImageId in sdocker.conf, or remove it: the newest image that fits is found by itself".to_owned(),
            ]
        }
        E::WrongArchitecture { type_architecture, .. } => {
            vec![format!("take an image for {type_architecture}, or remove ImageId from sdocker.conf")]
        }
        E::NoDriver { .. } => vec![
            "take g4dn, g5, g6, p4 or later; or name an image with Docker and a driver for them as ImageId in sdocker.conf"
                .to_owned(),
        ],
        E::NoImage { .. } => vec!["name an Amazon Linux 2023 image with Docker as ImageId in sdocker.conf".to_owned()],
        E::UnknownSubnet { known, .. } => {
            vec![format!("the domain's subnets are {}", list(known.iter().map(ToString::to_string).collect()))]
        }
        E::NoMountTarget { file_system, with_mount_target, .. } if with_mount_target.is_empty() => {
            vec![format!(
                "ask an administrator to create a mount target of {file_system} in one of the domain's subnets"
            )]
        }
        E::NoMountTarget { with_mount_target, .. } => {
            let subnets = list(with_mount_target.iter().map(ToString::to_string).collect());
            vec![format!("these of the domain's subnets have one: {subnets}; take one with --subnet-id")]
        }
        E::NoAppSecurityGroup => vec![
            "ask an administrator to give the user profile a security group, or name groups in HostSGs in sdocker.conf"
                .to_owned(),
        ],
        E::MountTargetFull { mount_target, .. } => full(mount_target),
        E::NoCapacity { .. } => {
            vec![
                "name several instance types, as in c5.xlarge,c6i.xlarge, or keep trying with --retry-for 30m; --spot-or-on-demand \
                 widens the choice"
                    .to_owned(),
            ]
        }
        E::NotAHost { .. } => vec!["`sdocker list-hosts` and `sdocker recover` show which hosts there are".to_owned()],
        E::Doubtful { doubt, instance, .. } => doubt_hints(doubt, instance.as_ref(), caller),
        E::NoAnswerYet { instance, .. } => vec![
            "it may still be booting: run `sdocker recover` again in a few minutes to take it into use".to_owned(),
            format!("`sdocker terminate-host --instance-id {instance}` ends it"),
        ],
        E::NotYours { owner, .. } => vec![format!("{owner}, or an administrator, can terminate it")],
        E::Busy { .. } => vec!["wait for the other sdocker command to end, and try again".to_owned()],
        E::Undone { error, report } => {
            let remaining = report.remains.iter().filter_map(|remaining| remaining.why.as_deref());
            std::iter::once(error.as_ref())
                .chain(remaining)
                .flat_map(|error| provisioning_hints(error, caller))
                .collect()
        }
        E::TooFew { source, others, .. } => {
            let each = std::iter::once(source.as_ref()).chain(others);
            each.flat_map(|error| provisioning_hints(error, caller)).collect()
        }
        E::NotUndone { report } => {
            let remaining = report.remains.iter().filter_map(|remaining| remaining.why.as_deref());
            remaining.flat_map(|error| provisioning_hints(error, caller)).collect()
        }
        E::Cloud(error) => cloud_hints(error, caller),
        other => other.hint().map(str::to_owned).into_iter().collect(),
    }
}

/// What to do about a mount target that takes no more groups.
pub(crate) fn full(mount_target: &host_provisioner::MountTargetId) -> Vec<String> {
    vec![
        format!(
            "ask an administrator to remove a security group from {mount_target} that nobody needs, to raise the quota of Amazon VPC for \
             security groups per network interface, or to prepare groups and"
        ),
        "  name them in HostSGs in sdocker.conf; or take another subnet with --subnet-id".to_owned(),
    ]
}

/// What to do about a host in doubt.
fn doubt_hints(
    doubt: &host_provisioner::Doubt,
    instance: Option<&host_provisioner::InstanceId>,
    caller: &Caller,
) -> Vec<String> {
    use host_provisioner::Doubt as D;
    let id = instance.map_or("ID", |instance| instance.as_str());
    match doubt {
        D::Failed(error) => cloud_hints(error, caller),
        D::Elsewhere { host, .. } => vec![format!("look where it is: in {host}")],
        D::OtherAccount { host, .. } | D::Unproven { host, .. } => {
            vec![format!("use credentials of its account, in {host} (AWS_PROFILE, or in Studio the app's own)")]
        }
        D::TooYoung { .. } => vec!["try again in a few minutes".to_owned()],
        D::NotListed { .. } => vec![
            "look in its own Region, with --region".to_owned(),
            format!("if it has certainly ended, remove {id} from sdocker-hosts.conf"),
        ],
        _ => Vec::new(),
    }
}

pub(crate) fn cloud_hints(error: &host_provisioner::CloudError, caller: &Caller) -> Vec<String> {
    use host_provisioner::CloudErrorKind as K;
    match &error.kind {
        K::AccessDenied { refused } => {
            permission::hints(refused.as_deref().unwrap_or(error.action), &error.message, caller)
        }
        K::Credentials if error.hint().is_none() => credential_hints(),
        K::NoAnswer { endpoint, region, .. } => unreachable_hints(endpoint, region, &error.message),
        K::ForeignAnswer(_) => foreign_hints(),
        _ => error.hint().map(str::to_owned).into_iter().collect(),
    }
}

fn discovery_hints(error: &studio_discovery::DiscoveryError, caller: &Caller) -> Vec<String> {
    match error {
        // Transparent: the error of the call is not among the causes itself.
        studio_discovery::DiscoveryError::Api(error) => api_hints(error, caller),
        other => studio_discovery::hint(other).into_iter().collect(),
    }
}

fn api_hints(error: &studio_discovery::ApiError, caller: &Caller) -> Vec<String> {
    use studio_discovery::ApiError as E;
    match error {
        E::AccessDenied { action, message, .. } => permission::hints(action, message, caller),
        E::Credentials { hint, .. } => hint.map_or_else(credential_hints, |hint| vec![hint.to_owned()]),
        E::Unreachable { endpoint, region, source, .. } => {
            let causes = std::iter::successors(Some(source.as_ref() as &(dyn std::error::Error + 'static)), |error| {
                error.source()
            });
            let why = causes.last().map(ToString::to_string).unwrap_or_default();
            unreachable_hints(endpoint, region, &why)
        }
        E::ForeignAnswer { .. } => foreign_hints(),
        _ => Vec::new(),
    }
}

fn credential_hints() -> Vec<String> {
    vec!["in Studio, restart the app to get new credentials; elsewhere, log in again (`aws sts get-caller-identity` shows whether it worked)".to_owned()]
}

fn foreign_hints() -> Vec<String> {
    vec![
        "something between this app and AWS answered in its place, such as a proxy: check HTTPS_PROXY and NO_PROXY, or ask who runs it \
         to let AWS's endpoints through"
            .to_owned(),
    ]
}

fn unreachable_hints(endpoint: &str, region: &str, why: &str) -> Vec<String> {
    // rustls: "invalid peer certificate: UnknownIssuer".
    if why.contains("certificate") {
        return vec![format!(
            "{endpoint} presents a certificate that is not trusted: if a proxy inspects TLS, name a file with its CA in AWS_CA_BUNDLE"
        )];
    }
    vec![format!(
        "check that this app can reach {endpoint}, by a VPC endpoint, a NAT gateway or a proxy (HTTPS_PROXY), and that {region} is the right \
         Region (--region)"
    )]
}
