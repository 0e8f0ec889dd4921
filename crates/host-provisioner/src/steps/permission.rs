//! What the calls of steps, of the survey and of an examination need of IAM, as data: for `sdocker policy`, for the messages of refused
//! calls, and for tests that hold every call against it.
//!
//! What IAM can narrow is from the service authorization reference ("Actions, resources, and condition keys for Amazon EC2", "... for
//! Amazon Elastic File System", "... for Service Quotas").

use super::StepKind;

/// What a user may be allowed to do with hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Task {
    /// Creating a host, with its clean-up.
    Create,
    /// Looking at hosts.
    Status,
    /// Ending hosts.
    Terminate,
    /// Settling what was interrupted.
    Recover,
    /// Removing what hosts share.
    Purge,
    /// What an examination asks, beside what it asks on behalf of a creation.
    Doctor,
}

impl Task {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Create, Self::Status, Self::Terminate, Self::Recover, Self::Purge, Self::Doctor];
}

/// Something that is to be allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Permission {
    /// The name of the policy's statement that it belongs to. All of one name have the same reason, and conditions that go together.
    pub statement: &'static str,
    /// What.
    pub actions: &'static [Action],
    /// On what.
    pub on: &'static [On],
    /// Under which condition.
    pub condition: Condition,
    /// For what.
    pub tasks: &'static [Task],
    /// Whether it is needed even where an administrator has made the groups and the mount target's access.
    pub even_prepared: bool,
    /// Whether it is needed only there.
    pub only_prepared: bool,
    /// Whether it is needed only where hosts mount file systems.
    pub only_for_mounts: bool,
    /// Whether it is needed only where hosts stop when they are idle.
    pub only_for_stops: bool,
    /// Why.
    pub why: &'static str,
}

/// An IAM action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Action {
    /// Its name, such as `ec2:RunInstances`.
    pub name: &'static str,
    /// The call that needs it as well, where it is never called itself.
    pub within: Option<&'static str>,
}

impl Action {
    /// An action that is called.
    pub(crate) const fn called(name: &'static str) -> Self {
        Self { name, within: None }
    }

    /// An action that another call needs as well.
    pub(crate) const fn within(name: &'static str, call: &'static str) -> Self {
        Self { name, within: Some(call) }
    }

    /// Whether it only looks.
    pub fn reads(&self) -> bool {
        let name = self.name.split(':').nth(1).unwrap_or_default();
        ["Describe", "Get", "List"].iter().any(|verb| name.starts_with(verb))
    }
}

/// A kind of resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum On {
    /// Everything: IAM can't narrow it.
    Everything,
    /// The domain's VPC.
    Vpc,
    /// The domain's subnets.
    Subnets,
    /// Security groups.
    SecurityGroups,
    /// The groups that an administrator has prepared; all, where none is named.
    PreparedGroups,
    /// The domain's file systems.
    FileSystems,
    /// The network interfaces of the file systems' mount targets.
    MountTargetInterfaces,
    /// What a launch makes: instances.
    Instances,
    /// What a launch makes: network interfaces.
    Interfaces,
    /// What a launch makes: volumes.
    Volumes,
    /// What a launch on Spot makes: its request.
    SpotRequests,
    /// Machine images.
    Images,
    /// Key pairs.
    KeyPairs,
    /// The role of the hosts' instance profile; where there is none, nothing is allowed.
    PassedRole,
    /// EC2's quotas, and Amazon VPC's of security groups per network interface.
    Quotas,
}

/// A condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Condition {
    /// None.
    None,
    /// Only in the domain's VPC.
    InVpc,
    /// Only with sdocker's tags in the request.
    TaggedInRequest(Whose),
    /// Only what has sdocker's tags.
    Tagged(Whose),
    /// Only with sdocker's tags in the request, with IMDSv2 only, and of the types that are allowed.
    Instance(Whose),
    /// Only with sdocker's tags in the request, and encrypted.
    EncryptedVolume(Whose),
    /// Only in this call, by its name without the service.
    CreatedBy(&'static str),
    /// Only for EC2 to take on.
    PassedToEc2,
}

/// Whose tags they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// A host is its owner's.
    Owner,
    /// Groups are the domain's.
    Domain,
}

impl Permission {
    /// A read that IAM can't narrow.
    pub(crate) const READ: Self = Self {
        statement: "Reads",
        actions: &[],
        on: &[On::Everything],
        condition: Condition::None,
        tasks: &[],
        even_prepared: true,
        only_prepared: false,
        only_for_mounts: false,
        only_for_stops: false,
        why: "finds image, instance type, groups and instances; the interface's attribute is what EFS reads, with the caller's own \
              permissions, to tell a mount target's groups",
    };

    /// Of what hosts share.
    pub(crate) const OF_SHARED: Self = Self { even_prepared: false, ..Self::READ };
}

/// What surveys and examinations read beside what steps do.
const READS: &[Permission] = &[
    Permission {
        actions: &[Action::called("ec2:DescribeImages"), Action::called("ec2:DescribeInstanceTypes")],
        tasks: &[Task::Create, Task::Doctor],
        ..Permission::READ
    },
    Permission {
        actions: &[Action::called("ec2:DescribeInstanceTypeOfferings"), Action::called("ec2:GetEbsDefaultKmsKeyId")],
        tasks: &[Task::Doctor],
        ..Permission::READ
    },
    Permission {
        statement: "Network",
        actions: &[Action::called("ec2:DescribeVpcAttribute")],
        on: &[On::Vpc],
        tasks: &[Task::Doctor],
        why: "tells whether the VPC's DNS gives and resolves the names by which hosts are reached",
        ..Permission::READ
    },
    Permission {
        statement: "Quotas",
        actions: &[Action::called("servicequotas:GetServiceQuota")],
        on: &[On::Quotas],
        tasks: &[Task::Doctor],
        why: "tells how many virtual CPUs the account may run, and how many security groups a mount target can have",
        ..Permission::READ
    },
];

/// Everything that this crate's calls need: of reads, then of each kind of step.
pub fn permissions() -> impl Iterator<Item = &'static Permission> {
    READS.iter().chain(StepKind::ALL.into_iter().flat_map(StepKind::permissions))
}
