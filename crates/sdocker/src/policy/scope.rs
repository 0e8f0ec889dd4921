//! To what a policy is narrowed.

use host_provisioner::{MountTarget, NetworkInterfaceId};
use studio_discovery::{LocalFacts, StudioEnvironment};

/// Narrowing by hand, outside Studio.
#[derive(Clone, Debug, Default)]
pub struct Narrowing {
    /// The account.
    pub account: Option<String>,
    /// The domain's VPC.
    pub vpc_id: Option<String>,
    /// The SageMaker domain.
    pub domain_id: Option<String>,
    /// The user profile whose hosts they are.
    pub owner: Option<String>,
    /// The domain's EFS file system.
    pub file_system_id: Option<String>,
    /// The role of the instance profile that InstanceProfileArn in sdocker.conf names.
    pub pass_role: Option<String>,
    /// The instance types that may be launched, with `*` and `?`.
    pub instance_types: Vec<String>,
    /// The groups that an administrator has prepared.
    pub security_groups: Vec<String>,
    /// The customer-managed key by which the account encrypts volumes.
    pub kms_key: Option<String>,
}

/// What is known of the place; `None` narrows by nothing.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Scope {
    /// The Region.
    pub region: Option<String>,
    /// The account.
    pub account: Option<String>,
    /// The domain's VPC.
    pub vpc: Option<String>,
    /// The SageMaker domain.
    pub domain: Option<String>,
    /// The user profile whose hosts they are.
    pub owner: Option<String>,
    /// The subnets that hosts are launched in.
    pub subnets: Vec<String>,
    /// The EFS file systems that hosts mount.
    pub file_systems: Vec<String>,
    /// The network interfaces of the file systems' mount targets.
    pub interfaces: Vec<String>,
    /// The role that a host gets.
    pub passed_role: Option<String>,
    /// The instance types that may be launched, with `*` and `?`; all, where none is named.
    pub instance_types: Vec<String>,
    /// The groups that an administrator has prepared; all of the VPC, where none is named.
    pub prepared_groups: Vec<String>,
    /// The customer-managed key by which the account encrypts volumes.
    pub kms_key: Option<String>,
}

impl Scope {
    /// What an app knows of itself, without asking anybody.
    pub fn of_app(facts: &LocalFacts) -> Self {
        Self {
            region: Some(facts.region().to_string()),
            account: Some(facts.account().to_string()),
            domain: Some(facts.domain().to_string()),
            owner: facts.profile().map(ToString::to_string),
            ..Self::default()
        }
    }

    /// What SageMaker says of the app as well.
    pub fn of(environment: &StudioEnvironment) -> Self {
        Self {
            region: Some(environment.region.to_string()),
            account: Some(environment.account.to_string()),
            vpc: Some(environment.vpc.to_string()),
            domain: Some(environment.domain.to_string()),
            owner: Some(environment.owner.to_string()),
            subnets: environment.subnets.iter().map(ToString::to_string).collect(),
            file_systems: environment.file_systems().iter().map(ToString::to_string).collect(),
            ..Self::default()
        }
    }

    /// Names the interfaces of these mount targets, in place of all.
    pub fn with_mount_targets(mut self, targets: &[MountTarget]) -> Self {
        let interfaces = targets.iter().filter_map(|target| target.interface.as_ref());
        self.interfaces = interfaces.map(NetworkInterfaceId::to_string).collect();
        self.interfaces.sort();
        self
    }

    /// What the options say goes before what was found.
    pub fn apply(&mut self, options: &Narrowing) {
        let set = |field: &mut Option<String>, option: &Option<String>| {
            if option.is_some() {
                field.clone_from(option);
            }
        };
        set(&mut self.account, &options.account);
        set(&mut self.vpc, &options.vpc_id);
        set(&mut self.domain, &options.domain_id);
        set(&mut self.owner, &options.owner);
        set(&mut self.passed_role, &options.pass_role);
        set(&mut self.kms_key, &options.kms_key);
        self.instance_types.clone_from(&options.instance_types);
        self.prepared_groups.clone_from(&options.security_groups);
        // What was found of another place does not narrow this one.
        if options.vpc_id.is_some() {
            self.subnets.clear();
            self.interfaces.clear();
        }
        if let Some(file_system) = &options.file_system_id {
            self.file_systems = vec![file_system.clone()];
            self.interfaces.clear();
        }
    }

    /// ARNs of these resources of a kind; of all where none is known.
    pub fn arns(&self, service: &str, kind: &str, ids: &[String]) -> Vec<String> {
        if ids.is_empty() {
            return vec![self.arn(service, &format!("{kind}/*"))];
        }
        ids.iter().map(|id| self.arn(service, &format!("{kind}/{id}"))).collect()
    }

    /// The ARN of the VPC.
    pub fn vpc_arn(&self) -> String {
        let vpcs: Vec<String> = self.vpc.iter().cloned().collect();
        self.shared_arns("vpc", &vpcs).concat()
    }

    /// ARNs of what may be in a VPC that another account shares with this one: then they hold that account's id (VPC user guide, "Share your
    /// VPC with other accounts"). An id is of one resource, whatever the account.
    pub fn shared_arns(&self, kind: &str, ids: &[String]) -> Vec<String> {
        let anybodys = Self { account: None, ..self.clone() };
        if ids.is_empty() { self } else { &anybodys }.arns("ec2", kind, ids)
    }

    /// An ARN of this Region and account.
    pub fn arn(&self, service: &str, resource: &str) -> String {
        let partition = match self.region.as_deref() {
            Some(region) if region.starts_with("cn-") => "aws-cn",
            Some(region) if region.starts_with("us-gov-") => "aws-us-gov",
            _ => "aws",
        };
        let part = |part: &Option<String>| part.clone().unwrap_or_else(|| "*".to_owned());
        format!("arn:{partition}:{service}:{}:{}:{resource}", part(&self.region), part(&self.account))
    }
}
