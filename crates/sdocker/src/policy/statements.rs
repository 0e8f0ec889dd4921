//! The statements: what is allowed, on what, under which condition, and why. What hosts need stands beside the steps that need it, in
//! [`host_provisioner::permissions`]; here it is narrowed to a place, and what else commands need is added.
//!
//! What IAM can narrow is from the service authorization reference ("Actions, resources, and condition keys for Amazon SageMaker AI").

use host_provisioner::{Condition, On, Permission, permissions};
use serde_json::{Value, json};

use super::{
    scope::Scope,
    statement::{Statement, encrypted_volume, in_vpc, instance, tagged, tagged_in_request},
};

/// What a user may be allowed to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum Task {
    /// `create-host`, its clean-up included.
    Create,
    /// `list-hosts` and `status`.
    Status,
    /// `keep`, which needs nothing.
    Keep,
    /// `terminate-current-host` and `terminate-host`.
    Terminate,
    /// `recover`.
    Recover,
    /// `terminate-* --purge`.
    Purge,
    /// What `doctor` asks in addition to what `create-host` needs.
    Doctor,
    /// `ecr-login`.
    EcrLogin,
    /// `lifecycle-config --create`.
    LifecycleConfig,
}

impl Task {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Create,
        Self::Status,
        Self::Keep,
        Self::Terminate,
        Self::Recover,
        Self::Purge,
        Self::Doctor,
        Self::EcrLogin,
        Self::LifecycleConfig,
    ];
}

/// What [`host_provisioner::permissions`] calls the same.
fn of_steps(task: Task) -> Option<host_provisioner::Task> {
    Some(match task {
        Task::Create => host_provisioner::Task::Create,
        Task::Status => host_provisioner::Task::Status,
        Task::Terminate => host_provisioner::Task::Terminate,
        Task::Recover => host_provisioner::Task::Recover,
        Task::Purge => host_provisioner::Task::Purge,
        Task::Doctor => host_provisioner::Task::Doctor,
        Task::Keep | Task::EcrLogin | Task::LifecycleConfig => return None,
    })
}

/// What hosts are like that a policy is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct For {
    /// Whether an administrator has made the groups and the mount target's access.
    pub prepared: bool,
    /// Whether they mount EFS.
    pub mounts: bool,
    /// Whether they stop when they are idle, and are started again.
    pub stops: bool,
}

impl Default for For {
    /// Those that are created without any option.
    fn default() -> Self {
        Self { prepared: false, mounts: true, stops: false }
    }
}

impl For {
    /// The same, where an administrator has made the groups and the mount target's access.
    #[must_use]
    pub fn prepared(self, prepared: bool) -> Self {
        Self { prepared, ..self }
    }

    /// The same, whether they mount EFS.
    #[must_use]
    pub fn mounts(self, mounts: bool) -> Self {
        Self { mounts, ..self }
    }

    /// The same, whether they stop when they are idle.
    #[must_use]
    pub fn stops(self, stops: bool) -> Self {
        Self { stops, ..self }
    }
}

/// The statements for these tasks.
pub fn statements(tasks: &[Task], hosts: For, scope: &Scope) -> Vec<Statement> {
    let of_hosts: Vec<host_provisioner::Task> = tasks.iter().copied().filter_map(of_steps).collect();
    let needed = permissions().filter(|permission| {
        permission.tasks.iter().any(|task| of_hosts.contains(task))
            && (if hosts.prepared { permission.even_prepared } else { !permission.only_prepared })
            && (hosts.mounts || !permission.only_for_mounts)
            && (hosts.stops || !permission.only_for_stops)
    });
    let mut statements = studio(tasks, scope);
    for permission in needed {
        add(&mut statements, permission, scope);
    }
    statements.extend(others(tasks, scope));
    statements
}

/// Adds what a permission allows to the statement of its name.
fn add(statements: &mut Vec<Statement>, permission: &Permission, scope: &Scope) {
    let resources: Vec<String> = permission.on.iter().flat_map(|on| resources(*on, scope)).collect();
    if resources.is_empty() {
        return;
    }
    let index = statements.iter().position(|statement| statement.sid == permission.statement).unwrap_or_else(|| {
        statements.push(Statement {
            sid: permission.statement,
            actions: Vec::new(),
            resources: Vec::new(),
            condition: None,
            why: permission.why,
        });
        statements.len() - 1
    });
    let statement = &mut statements[index];
    let new_actions = permission.actions.iter().map(|action| action.name);
    for action in new_actions {
        if !statement.actions.contains(&action) {
            statement.actions.push(action);
        }
    }
    for resource in resources {
        if !statement.resources.contains(&resource) {
            statement.resources.push(resource);
        }
    }
    statement.condition = condition(permission.condition, statement.condition.take(), scope);
}

fn resources(on: On, scope: &Scope) -> Vec<String> {
    let all = |kind: &str| vec![scope.arn("ec2", &format!("{kind}/*"))];
    match on {
        On::Vpc => vec![scope.vpc_arn()],
        On::Subnets => scope.shared_arns("subnet", &scope.subnets),
        On::SecurityGroups => all("security-group"),
        On::PreparedGroups => scope.arns("ec2", "security-group", &scope.prepared_groups),
        On::FileSystems => scope.arns("elasticfilesystem", "file-system", &scope.file_systems),
        On::MountTargetInterfaces => scope.shared_arns("network-interface", &scope.interfaces),
        On::Instances => all("instance"),
        On::Interfaces => all("network-interface"),
        On::Volumes => all("volume"),
        On::SpotRequests => all("spot-instances-request"),
        // The ARN of an image has no account.
        On::Images => vec![Scope { account: Some(String::new()), ..scope.clone() }.arn("ec2", "image/*")],
        On::KeyPairs => all("key-pair"),
        On::PassedRole => scope.passed_role.iter().cloned().collect(),
        On::Quotas => {
            let of_interfaces = format!("vpc/{}", host_provisioner::GROUPS_PER_INTERFACE);
            vec![scope.arn("servicequotas", "ec2/*"), scope.arn("servicequotas", &of_interfaces)]
        }
        // Whatever is not narrowed here.
        _ => vec!["*".to_owned()],
    }
}

/// The condition of a statement that had another one before.
fn condition(condition: Condition, before: Option<Value>, scope: &Scope) -> Option<Value> {
    match condition {
        Condition::InVpc => in_vpc(scope),
        Condition::TaggedInRequest(whose) => tagged_in_request(scope, whose),
        Condition::Tagged(whose) => tagged(scope, whose),
        Condition::Instance(whose) => instance(scope, whose),
        Condition::EncryptedVolume(whose) => encrypted_volume(scope, whose),
        Condition::CreatedBy(call) => {
            let before = before.and_then(|mut before| before.pointer_mut(CREATORS).map(Value::take));
            let mut calls: Vec<Value> = before.and_then(|calls| calls.as_array().cloned()).unwrap_or_default();
            calls.push(json!(call));
            Some(json!({"StringEquals": {"ec2:CreateAction": calls}}))
        }
        Condition::PassedToEc2 => {
            Some(json!({"StringEquals": {"iam:PassedToService": ["ec2.amazonaws.com", "ec2.amazonaws.com.cn"]}}))
        }
        _ => None,
    }
}

/// Where [`Condition::CreatedBy`] keeps its calls.
const CREATORS: &str = "/StringEquals/ec2:CreateAction";

/// What the whole policy has for an action: about resources of this ARN's kind, where it is known.
pub fn allowing(action: &str, arn: Option<&str>, scope: &Scope) -> Vec<Statement> {
    let about = |statement: &Statement| arn.is_none_or(|arn| statement.is_about(arn));
    let mut all = statements(&Task::ALL, For::default().stops(true), scope);
    all.retain(|statement| statement.actions.contains(&action) && about(statement));
    for statement in &mut all {
        statement.actions.retain(|allowed| *allowed == action);
    }
    all
}

fn studio(tasks: &[Task], scope: &Scope) -> Vec<Statement> {
    if !tasks.iter().any(|task| matches!(task, Task::Create | Task::Recover | Task::Purge | Task::Doctor)) {
        return Vec::new();
    }
    let of_domain = |kinds: &[&str]| match &scope.domain {
        Some(domain) => kinds.iter().map(|kind| scope.arn("sagemaker", &kind.replace("{domain}", domain))).collect(),
        None => vec!["*".to_owned()],
    };
    vec![
        Statement {
            sid: "Studio",
            actions: vec!["sagemaker:DescribeDomain", "sagemaker:DescribeSpace", "sagemaker:DescribeUserProfile"],
            resources: of_domain(&["domain/{domain}", "user-profile/{domain}/*", "space/{domain}/*"]),
            condition: None,
            why: "finds the domain's network and file system, and whose app this is",
        },
        Statement {
            sid: "StudioTags",
            actions: vec!["sagemaker:ListTags"],
            resources: of_domain(&["user-profile/{domain}/*"]),
            condition: None,
            why: "reads the user profile's tags, which the host gets as well; without it the host has only sdocker's own tags",
        },
    ]
}

fn others(tasks: &[Task], scope: &Scope) -> Vec<Statement> {
    let mut statements = Vec::new();
    if let (true, Some(key)) = (tasks.contains(&Task::Create), &scope.kms_key) {
        statements.extend(of_key(key, scope));
    }
    if tasks.contains(&Task::Create) {
        // IAM can narrow neither ("Actions, resources, and condition keys for AWS Price List", "... for Amazon EC2").
        statements.push(Statement {
            sid: "Prices",
            actions: vec!["pricing:GetProducts"],
            resources: vec!["*".to_owned()],
            condition: None,
            why: "says what a host costs, and allows `--max-cost`; without it the cost is unknown",
        });
        statements.push(Statement {
            sid: "SpotPrices",
            actions: vec!["ec2:DescribeSpotPriceHistory"],
            resources: vec!["*".to_owned()],
            condition: None,
            why: "says what a host costs on Spot; without it that is unknown, and `--max-cost` works nevertheless",
        });
    }
    if tasks.contains(&Task::EcrLogin) {
        statements.push(Statement {
            sid: "EcrLogin",
            actions: vec!["ecr:GetAuthorizationToken"],
            resources: vec!["*".to_owned()],
            condition: None,
            why: "logs the Docker CLI in to Amazon ECR; what it may pull and push is for each repository to say",
        });
    }
    if tasks.contains(&Task::LifecycleConfig) {
        statements.push(Statement {
            sid: "LifecycleConfig",
            actions: vec!["sagemaker:CreateStudioLifecycleConfig"],
            resources: vec![scope.arn("sagemaker", "studio-lifecycle-config/*")],
            condition: None,
            why: "registers the script that installs sdocker when an app starts",
        });
    }
    statements
}

/// What a launch needs of a customer-managed key, on whose behalf EC2 acts (EBS user guide, "Requirements for Amazon EBS encryption",
/// "Permissions for users").
fn of_key(key: &str, scope: &Scope) -> [Statement; 2] {
    let region = scope.region.as_deref().unwrap_or("*");
    let suffix = if region.starts_with("cn-") { ".cn" } else { "" };
    let by_ec2 = json!({"StringLike": {"kms:ViaService": format!("ec2.{region}.amazonaws.com{suffix}")}});
    let mut granted = by_ec2.clone();
    granted["Bool"] = json!({"kms:GrantIsForAWSResource": "true"});
    [
        Statement {
            sid: "VolumeKey",
            actions: vec!["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncrypt*"],
            resources: vec![key.to_owned()],
            condition: Some(by_ec2),
            why: "encrypts the host's volume by the account's own key, and only as EC2 does it for a launch",
        },
        Statement {
            sid: "VolumeKeyGrant",
            actions: vec!["kms:CreateGrant"],
            resources: vec![key.to_owned()],
            condition: Some(granted),
            why: "lets EC2 use the key for as long as the volume is there",
        },
    ]
}

#[cfg(test)]
mod tests;
