//! To what a policy is narrowed.

use studio_discovery::StudioEnvironment;

/// Narrowing by hand, outside Studio.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// The account.
    #[arg(long, value_name = "ID")]
    account: Option<String>,
    /// The domain's VPC.
    #[arg(long, value_name = "ID")]
    vpc_id: Option<String>,
    /// The SageMaker domain.
    #[arg(long, value_name = "ID")]
    domain_id: Option<String>,
    /// The user profile whose hosts they are.
    #[arg(long, value_name = "NAME")]
    owner: Option<String>,
    /// The domain's EFS file system.
    #[arg(long, value_name = "ID")]
    file_system_id: Option<String>,
}

/// What is known of the place; `None` narrows by nothing.
#[derive(Clone, Debug, Default)]
pub(super) struct Scope {
    pub(super) region: Option<String>,
    pub(super) account: Option<String>,
    pub(super) vpc: Option<String>,
    pub(super) domain: Option<String>,
    pub(super) owner: Option<String>,
    pub(super) file_systems: Vec<String>,
}

impl Scope {
    pub(super) fn of(environment: &StudioEnvironment) -> Self {
        let mut file_systems: Vec<String> = environment
            .efs
            .iter()
            .map(|efs| efs.file_system.to_string())
            .chain(environment.shared_mounts.iter().map(|mount| mount.file_system.to_string()))
            .collect();
        file_systems.sort();
        file_systems.dedup();
        Self {
            region: Some(environment.region.to_string()),
            account: Some(environment.account.to_string()),
            vpc: Some(environment.vpc.to_string()),
            domain: Some(environment.domain.to_string()),
            owner: Some(environment.owner.to_string()),
            file_systems,
        }
    }

    /// What the options say goes before what was found.
    pub(super) fn apply(&mut self, options: &Options) {
        let set = |field: &mut Option<String>, option: &Option<String>| {
            if option.is_some() {
                field.clone_from(option);
            }
        };
        set(&mut self.account, &options.account);
        set(&mut self.vpc, &options.vpc_id);
        set(&mut self.domain, &options.domain_id);
        set(&mut self.owner, &options.owner);
        if let Some(file_system) = &options.file_system_id {
            self.file_systems = vec![file_system.clone()];
        }
    }

    /// An ARN of this Region and account.
    pub(super) fn arn(&self, service: &str, resource: &str) -> String {
        let partition = match self.region.as_deref() {
            Some(region) if region.starts_with("cn-") => "aws-cn",
            Some(region) if region.starts_with("us-gov-") => "aws-us-gov",
            _ => "aws",
        };
        let part = |part: &Option<String>| part.clone().unwrap_or_else(|| "*".to_owned());
        format!("arn:{partition}:{service}:{}:{}:{resource}", part(&self.region), part(&self.account))
    }
}
