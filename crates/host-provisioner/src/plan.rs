//! The plan of a host: pure, so that the same environment, request and survey give the same plan, byte for byte.

mod mounts;

use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use studio_discovery::{
    AccountId, DomainId, OwnerName, Region, SecurityGroupId, StudioEnvironment, SubnetId, Tag, VpcId,
};

use crate::{
    Bootstrap, ClientToken, Engine, EngineChoice, GroupPlan, HostId, HostRequest, Identity, Image, InstanceType,
    InstanceTypeInfo, LaunchSpec, Market, MarketChoice, MountTarget, OnIdle, ProvisionError, RootVolume, Survey,
    TAG_DOMAIN, TAG_EXPIRES, TAG_HOST, TAG_OWNER, TAG_STOPS, Tagged, UserData, Warning, Zone, group_plan,
    instance_type, limits, render_user_data,
};

/// EC2 takes at most this many tags on a resource (EC2 user guide, "Tag restrictions").
pub const MAX_TAGS: usize = 50;

/// Everything that creating a host will do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct HostPlan {
    /// The host.
    pub host: HostId,
    /// The Region.
    pub region: Region,
    /// The account.
    pub account: AccountId,
    /// The domain.
    pub domain: DomainId,
    /// Whose host it is.
    pub owner: OwnerName,
    /// The VPC.
    pub vpc: VpcId,
    /// When creation began.
    pub created: Timestamp,
    /// When the host ends itself at the latest.
    pub expires: Timestamp,
    /// The instance type.
    pub instance_type: InstanceType,
    /// The image.
    pub image: Image,
    /// The root volume.
    pub root_volume: RootVolume,
    /// The security groups.
    pub groups: HostGroups,
    /// Where to launch it: the first placement with capacity.
    pub placements: Vec<Placement>,
    /// How to pay for it: the first of these that has capacity in some placement.
    pub markets: Vec<Market>,
    /// What its end by itself is.
    #[serde(skip_serializing_if = "OnIdle::is_default")]
    pub on_idle: OnIdle,
    /// The name of an EC2 key pair.
    pub key_name: Option<String>,
    /// The ARN of an instance profile.
    pub instance_profile_arn: Option<String>,
    /// Tags of the instance, its volume and its network interface.
    pub tags: Vec<Tag>,
    /// Those of them that the user asked for; groups get them as well.
    #[serde(skip)]
    pub asked_tags: Vec<Tag>,
    /// What the user should know.
    #[serde(skip)]
    pub warnings: Vec<Warning>,
}

/// The security groups of a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "a plan has one of these")]
pub enum HostGroups {
    /// Those that an administrator prepared (`HostSGs`).
    Given(Vec<SecurityGroupId>),
    /// `DockerHost-<domain>`, and `EFSDockerHost-<domain>` where EFS is mounted; or earlier ones that are the domain's.
    Named {
        /// Reached from the app.
        docker: GroupPlan,
        /// Shared with the mount targets; `None` where nothing is mounted.
        nfs: Option<GroupPlan>,
    },
}

/// A place for the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Placement {
    /// The subnet.
    pub subnet: SubnetId,
    /// Its zone, where a mount target tells.
    pub zone: Option<Zone>,
    /// The subnet's own mount targets, one per file system.
    pub mount_targets: Vec<MountTarget>,
    /// What the host does at boot there.
    pub bootstrap: Bootstrap,
    /// The same, as cloud-init runs it.
    #[serde(skip)]
    pub user_data: UserData,
}

/// The absolute paths of the app's file tree that its host will have at the same places, with everything below them.
pub fn shared_paths(environment: &StudioEnvironment) -> Vec<PathBuf> {
    mounts::wanted(environment).into_iter().flat_map(|mount| mount.paths).collect()
}

impl HostPlan {
    /// Tags of the security groups that creation makes.
    pub(crate) fn group_tags(&self) -> Vec<Tag> {
        let own = [
            Tag::new(TAG_HOST, self.host.as_str()),
            Tag::new(TAG_DOMAIN, self.domain.as_str()),
            Tag::new(TAG_OWNER, self.owner.as_str()),
        ];
        own.into_iter().chain(self.asked_tags.iter().cloned()).collect()
    }

    /// A launch of this host, with a new token.
    pub fn launch_spec(
        &self,
        placement: &Placement,
        market: Market,
        groups: &[SecurityGroupId],
        tagged: Tagged,
    ) -> LaunchSpec {
        LaunchSpec {
            client_token: ClientToken::generate(),
            instance_type: self.instance_type.clone(),
            image: self.image.id.clone(),
            subnet: placement.subnet.clone(),
            security_groups: groups.to_vec(),
            root_volume: self.root_volume.clone(),
            other_volumes: self.image.other_volumes.clone(),
            on_idle: self.on_idle,
            key_name: self.key_name.clone(),
            instance_profile_arn: self.instance_profile_arn.clone(),
            market,
            tags: if tagged == Tagged::Nothing { Vec::new() } else { self.tags.clone() },
            tagged,
            user_data: placement.user_data.clone(),
            bootstrap: placement.bootstrap.clone(),
        }
    }

    /// Plans a host.
    ///
    /// # Errors
    /// Everything that can be known to fail before anything is changed: no image, wrong architecture, an unknown subnet, no
    /// mount target, no security group, user data that is too large, a value that EC2 does not take.
    pub fn new(
        environment: &StudioEnvironment,
        request: &HostRequest,
        survey: &Survey,
    ) -> Result<Self, ProvisionError> {
        limits::check_stop(request)?;
        let image = choose_image(request, survey)?;
        let mut warnings = survey.warnings.clone();
        if matches!(request.identity, Identity::Embedded { .. }) {
            warnings.push(Warning::KeyInUserData);
        }
        let volume_gib = match image.root_size_gib {
            Some(least) if least > request.config.volume_gib => {
                warnings.push(Warning::VolumeGrown { to_gib: least });
                least
            }
            _ => request.config.volume_gib,
        };
        let lifetime = SignedDuration::try_from(request.max_lifetime).unwrap_or(SignedDuration::MAX);
        let expires = request.now.saturating_add(lifetime).unwrap_or(jiff::Timestamp::MAX);
        let placements = placements(environment, request, survey)?;
        let mounts_anything = placements.iter().any(|placement| !placement.mount_targets.is_empty());
        let (tags, left_out) = tags(environment, request, expires, volume_gib);
        if !left_out.is_empty() {
            warnings.push(Warning::TagsLeftOut { keys: left_out });
        }
        let groups = groups(environment, request, survey, mounts_anything)?;
        warnings.extend(group_plan::lacks_of_given(environment, request, &survey.groups));
        let given = &request.config.security_groups;
        // Where the host is launched first; elsewhere only if there is no capacity.
        if let Some(placement) = placements.first().filter(|_| !given.is_empty()) {
            let read = &survey.mount_target_groups;
            warnings.extend(group_plan::shut_to_given(given, &placement.mount_targets, read));
        }
        if let HostGroups::Named { docker, nfs } = &groups {
            let of_domain = Tag::new(TAG_DOMAIN, environment.domain.as_str());
            let planned = std::iter::once(docker).chain(nfs);
            for group in planned {
                warnings.extend(group.adopted(&survey.groups, &environment.domain));
                warnings.extend(group.strange(&survey.groups, &of_domain));
            }
        }
        let plan = Self {
            host: request.host.clone(),
            region: environment.region.clone(),
            account: environment.account.clone(),
            domain: environment.domain.clone(),
            owner: environment.owner.clone(),
            vpc: environment.vpc.clone(),
            created: request.now,
            expires,
            instance_type: request.instance_type.clone(),
            root_volume: RootVolume { device: image.root_device.clone(), size_gib: volume_gib },
            image,
            groups,
            placements,
            markets: match request.market {
                MarketChoice::OnDemand => vec![Market::OnDemand],
                MarketChoice::Spot => vec![Market::Spot],
                MarketChoice::SpotOrOnDemand => vec![Market::Spot, Market::OnDemand],
            },
            on_idle: request.on_idle,
            key_name: request.config.key_name.clone(),
            instance_profile_arn: request.config.instance_profile_arn.clone(),
            tags,
            asked_tags: request.config.tags.clone(),
            warnings,
        };
        limits::check(&plan)?;
        Ok(plan)
    }

    /// The plan of another host that is asked for in the same way: only its name differs, which one of its tags holds, and its user data does not.
    #[must_use]
    pub fn of_another(&self, host: HostId) -> Self {
        let mut plan = self.clone();
        for tag in plan.tags.iter_mut().filter(|tag| tag.key == TAG_HOST) {
            tag.value = host.to_string();
        }
        for placement in &mut plan.placements {
            placement.bootstrap.host = host.clone();
        }
        plan.host = host;
        plan
    }
}

fn choose_image(request: &HostRequest, survey: &Survey) -> Result<Image, ProvisionError> {
    let instance_type = &survey.instance_type;
    if request.config.image.is_none() && instance_type::has_old_gpus(&request.instance_type) {
        return Err(ProvisionError::NoDriver { instance_type: request.instance_type.clone() });
    }
    let fits = |image: &&Image| image.architecture == instance_type.architecture;
    // ISO 8601 in UTC sorts by time; the id breaks ties, so that the choice never depends on the order of the answer.
    let newest = survey.images.iter().filter(fits).max_by_key(|image| (&image.created, &image.id));
    match (newest, &request.config.image, survey.images.first()) {
        (Some(image), _, _) => Ok(image.clone()),
        (None, Some(_), Some(image)) => Err(ProvisionError::WrongArchitecture {
            image: image.id.clone(),
            image_architecture: image.architecture.as_str(),
            instance_type: request.instance_type.clone(),
            type_architecture: instance_type.architecture.as_str(),
        }),
        _ => Err(ProvisionError::NoImage { instance_type: request.instance_type.clone() }),
    }
}

fn engine(request: &HostRequest, instance_type: &InstanceTypeInfo) -> Engine {
    let nvidia = instance_type.nvidia_gpus > 0;
    let dind = || {
        let image = request.config.dind_nvidia_image.as_ref().filter(|_| nvidia);
        Engine::Dind { image: image.unwrap_or(&request.config.dind_image).clone() }
    };
    match request.engine {
        // In its container a daemon would not be where the other nodes look for it.
        _ if request.swarm => Engine::Native { nvidia },
        EngineChoice::Dind => dind(),
        EngineChoice::Native => Engine::Native { nvidia },
        // Someone who names an image for GPU types wants that image.
        EngineChoice::Auto if nvidia && request.config.dind_nvidia_image.is_none() => Engine::Native { nvidia },
        EngineChoice::Auto => dind(),
    }
}

fn placements(
    environment: &StudioEnvironment,
    request: &HostRequest,
    survey: &Survey,
) -> Result<Vec<Placement>, ProvisionError> {
    let candidates = match &request.subnet {
        None => environment.subnets.clone(),
        Some(subnet) if environment.subnets.contains(subnet) => vec![subnet.clone()],
        Some(subnet) => {
            let known = environment.subnets.clone();
            return Err(ProvisionError::UnknownSubnet { subnet: subnet.clone(), known });
        }
    };
    let wanted = mounts::wanted(environment);
    let mut placements = Vec::new();
    for subnet in &candidates {
        let Some(mounts) = mounts::in_subnet(&wanted, subnet, &survey.mount_targets) else { continue };
        let bootstrap = Bootstrap {
            host: request.host.clone(),
            region: environment.region.clone(),
            engine: engine(request, &survey.instance_type),
            daemon_port: request.config.daemon_port,
            endpoint_port: group_plan::ENDPOINT_PORT,
            additional_ports: group_plan::opened_ports(request).split_off(2),
            mounts: mounts.host_mounts,
            identity: request.identity.clone(),
            shared_home: request.shared_home.clone(),
            hooks: request.hooks.clone(),
            max_lifetime: request.max_lifetime,
            idle_timeout: request.idle_timeout,
            on_idle: request.on_idle,
            proxy: request.proxy.clone(),
            swarm: request.swarm,
            spot: request.market != MarketChoice::OnDemand,
        };
        placements.push(Placement {
            subnet: subnet.clone(),
            zone: mounts.mount_targets.first().map(|target| target.zone.clone()),
            user_data: render_user_data(&bootstrap)?,
            mount_targets: mounts.mount_targets,
            bootstrap,
        });
    }
    if placements.is_empty() {
        return Err(mounts::why_none(&wanted, environment, candidates, &survey.mount_targets));
    }
    Ok(placements)
}

fn groups(
    environment: &StudioEnvironment,
    request: &HostRequest,
    survey: &Survey,
    mounts_anything: bool,
) -> Result<HostGroups, ProvisionError> {
    if !request.config.security_groups.is_empty() {
        if let Some(elsewhere) = survey.groups.iter().find(|group| group.vpc != environment.vpc) {
            return Err(ProvisionError::NotTaken {
                what: format!("security group {} (HostSGs) for a host of domain {}", elsewhere.id, environment.domain),
                why: format!("it is in {}, and the domain in {}", elsewhere.vpc, environment.vpc),
            });
        }
        return Ok(HostGroups::Given(request.config.security_groups.clone()));
    }
    if environment.security_groups.is_empty() {
        return Err(ProvisionError::NoAppSecurityGroup);
    }
    let (vpc, domain) = (&environment.vpc, &environment.domain);
    let docker = group_plan::docker_group((vpc, domain), &environment.security_groups, request);
    let nfs = mounts_anything.then(|| group_plan::nfs_group(vpc, domain));
    Ok(HostGroups::Named {
        docker: docker.against(&survey.groups, domain),
        nfs: nfs.map(|nfs| nfs.against(&survey.groups, domain)),
    })
}

/// The host's tags, and the keys of the user profile's that EC2 does not take or has no room for.
fn tags(
    environment: &StudioEnvironment,
    request: &HostRequest,
    expires: Timestamp,
    volume_gib: u32,
) -> (Vec<Tag>, Vec<String>) {
    // Whole seconds: a tag is read by people.
    let expires = Timestamp::from_second(expires.as_second()).unwrap_or(expires);
    let mut own = vec![
        Tag::new("Name", "DockerHost"),
        Tag::new(TAG_HOST, request.host.as_str()),
        Tag::new(TAG_DOMAIN, environment.domain.as_str()),
        Tag::new(TAG_OWNER, environment.owner.as_str()),
        Tag::new(TAG_EXPIRES, expires.to_string()),
    ];
    if request.on_idle == OnIdle::Stop {
        own.push(Tag::new(TAG_STOPS, volume_gib.to_string()));
    }
    // What was asked for may be what the organization demands: it goes before the profile's, and `limits::check` refuses what can't be had.
    let asked = &request.config.tags;
    // Those that AWS itself gave, and those that every host has anyway, are not missed.
    let profile = environment.tags.iter().filter(|tag| {
        let of_aws = tag.key.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("aws:"));
        !of_aws && own.iter().chain(asked).all(|own| own.key != tag.key)
    });
    let (mut tags, mut left_out) = limits::takes_tags(profile);
    let room = MAX_TAGS.saturating_sub(own.len() + asked.len());
    left_out.extend(tags.drain(tags.len().min(room)..).map(|tag| tag.key));
    tags.extend(own);
    tags.extend(asked.iter().cloned());
    tags.sort();
    (tags, left_out)
}

#[cfg(all(test, feature = "fake"))]
mod tests;
