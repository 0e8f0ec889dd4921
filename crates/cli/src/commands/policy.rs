//! `sdocker policy`: the least IAM policy that each command needs.

use host_provisioner::OnIdle;
use sdocker::{
    Files, Surroundings,
    policy::{self, Narrowing, PolicyRequest, Task, cloudformation, document, terraform},
};
use sdocker_console::{Printer, Progress};
use studio_discovery::SecurityGroupId;

/// Print the smallest IAM policy that the commands need.
///
/// Attach it to the execution role of the domain, the user profile or the space.
///
/// In Studio, it is limited to this domain's VPC, file system and user profile; elsewhere, limit it with the options.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The tasks to allow, instead of all.
    #[arg(long = "for", value_enum, value_delimiter = ',', value_name = "TASKS")]
    tasks: Vec<Task>,
    /// For administrators who prepare the security groups and the mount target themselves (HostSGs in sdocker.conf): no changes to
    /// groups or mount targets at all.
    #[arg(long)]
    prepared: bool,
    /// For hosts that are created with this value of `--files`: share and none leave out everything about EFS and its mount targets.
    #[arg(long, value_enum, value_name = "HOW")]
    files: Option<Files>,
    /// For hosts that are created with this value of `--on-idle`: stop adds the permission to start them again. [default: OnIdle in
    /// sdocker.conf]
    #[arg(long, value_enum, value_name = "WHAT")]
    on_idle: Option<OnIdle>,
    /// For every user profile of the domain, instead of this one.
    #[arg(long)]
    domain_wide: bool,
    /// Print a Terraform resource.
    #[arg(long, conflicts_with = "cloudformation")]
    terraform: bool,
    /// Print a CloudFormation template.
    #[arg(long)]
    cloudformation: bool,
    /// Explain why each statement is there.
    #[arg(long, conflicts_with_all = ["terraform", "cloudformation"])]
    explain: bool,
    /// Make no AWS calls: limit the policy by the options only.
    #[arg(long)]
    offline: bool,
    #[command(flatten)]
    scope: Options,
}

/// Narrowing by hand, outside Studio.
#[derive(Debug, clap::Args)]
struct Options {
    /// The account.
    #[arg(long, value_name = "ID")]
    account: Option<String>,
    /// The domain's VPC.
    #[arg(long, value_name = "ID")]
    vpc_id: Option<String>,
    /// The SageMaker domain.
    #[arg(long, value_name = "ID")]
    domain_id: Option<String>,
    /// The user profile that owns the hosts.
    #[arg(long, value_name = "NAME")]
    owner: Option<String>,
    /// The domain's EFS file system.
    #[arg(long, value_name = "ID")]
    file_system_id: Option<String>,
    /// The role of the instance profile that InstanceProfileArn in sdocker.conf names.
    #[arg(long, value_name = "ARN")]
    pass_role: Option<String>,
    /// The instance types that may be launched, such as `c5.*,g4dn.xlarge`, instead of all.
    #[arg(long, value_delimiter = ',', value_name = "TYPES")]
    instance_types: Vec<String>,
    /// With --prepared: the groups that HostSGs in sdocker.conf names, instead of all groups of the VPC.
    #[arg(long, value_delimiter = ',', value_name = "IDS", requires = "prepared", value_parser = str::parse::<SecurityGroupId>)]
    security_groups: Vec<SecurityGroupId>,
    /// The customer managed KMS key that the account encrypts volumes with, if any.
    #[arg(long, value_name = "ARN")]
    kms_key: Option<String>,
}

impl Options {
    fn narrowing(&self) -> Narrowing {
        Narrowing {
            account: self.account.clone(),
            vpc_id: self.vpc_id.clone(),
            domain_id: self.domain_id.clone(),
            owner: self.owner.clone(),
            file_system_id: self.file_system_id.clone(),
            pass_role: self.pass_role.clone(),
            instance_types: self.instance_types.clone(),
            security_groups: self.security_groups.iter().map(ToString::to_string).collect(),
            kms_key: self.kms_key.clone(),
        }
    }
}

pub(crate) async fn run(args: &Args, surroundings: &Surroundings, printer: &Printer) -> anyhow::Result<()> {
    let asked = PolicyRequest {
        tasks: args.tasks.clone(),
        prepared: args.prepared,
        files: args.files,
        on_idle: args.on_idle,
        domain_wide: args.domain_wide,
        offline: args.offline,
        narrowing: args.scope.narrowing(),
    };
    let statements = policy::least(&asked, surroundings, &Progress::new(printer)).await;
    let document = document(&statements);
    if args.explain {
        return printer.result(&policy::explanation(&statements), || policy::explained(&statements));
    }
    let text = if args.terraform {
        terraform(&document)
    } else if args.cloudformation {
        cloudformation(&document)
    } else {
        serde_json::to_string_pretty(&document)?
    };
    printer.stdout(&text);
    Ok(())
}
