//! The statements: what is allowed, on what, under which condition, and why.
//!
//! What IAM can narrow is from the service authorization reference ("Actions, resources, and condition keys for Amazon EC2", "...
//! for Amazon Elastic File System", "... for Amazon SageMaker AI", "... for Service Quotas").

use serde_json::json;

use super::{
    scope::Scope,
    statement::{Of, Statement, in_vpc, tagged, tagged_in_request},
};

/// What a user may be allowed to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    pub fn value_variants() -> &'static [Self] {
        use Task as T;
        &[T::Create, T::Status, T::Keep, T::Terminate, T::Recover, T::Purge, T::Doctor, T::EcrLogin, T::LifecycleConfig]
    }
}

/// For whom the statements are.
struct Wanted<'a> {
    tasks: &'a [Task],
    /// An administrator has made the groups and the mount target's access.
    prepared: bool,
    scope: &'a Scope,
}

impl Wanted<'_> {
    fn any(&self, tasks: &[Task]) -> bool {
        self.tasks.iter().any(|task| tasks.contains(task))
    }

    /// For tasks that deal with groups and mount targets, unless an administrator does.
    fn shared(&self, tasks: &[Task]) -> bool {
        !self.prepared && self.any(tasks)
    }
}

/// The statements for these tasks. `prepared`: an administrator has made the groups and the mount target's access.
pub fn statements(tasks: &[Task], prepared: bool, scope: &Scope) -> Vec<Statement> {
    let wanted = Wanted { tasks, prepared, scope };
    let parts = [studio, reads, mount_targets, groups, instances, others];
    parts.into_iter().flat_map(|part| part(&wanted)).collect()
}

/// What the whole policy has for an action: about resources of this ARN's kind, where it is known.
pub fn allowing(action: &str, arn: Option<&str>, scope: &Scope) -> Vec<Statement> {
    let about = |statement: &Statement| arn.is_none_or(|arn| statement.is_about(arn));
    let mut all = statements(Task::value_variants(), false, scope);
    all.retain(|statement| statement.actions.contains(&action) && about(statement));
    for statement in &mut all {
        statement.actions.retain(|allowed| *allowed == action);
    }
    all
}

fn studio(wanted: &Wanted<'_>) -> Vec<Statement> {
    if !wanted.any(&[Task::Create, Task::Recover, Task::Purge, Task::Doctor]) {
        return Vec::new();
    }
    let scope = wanted.scope;
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

fn reads(wanted: &Wanted<'_>) -> Vec<Statement> {
    let scope = wanted.scope;
    let mut actions = Vec::new();
    if wanted.any(&[Task::Create, Task::Doctor]) {
        actions.extend(["ec2:DescribeImages", "ec2:DescribeInstanceTypes"]);
    }
    if wanted.any(&[Task::Doctor]) {
        actions.push("ec2:DescribeInstanceTypeOfferings");
    }
    if wanted.any(&[Task::Create, Task::Status, Task::Terminate, Task::Recover, Task::Purge, Task::Doctor]) {
        actions.push("ec2:DescribeInstances");
    }
    if wanted.shared(&[Task::Create, Task::Recover, Task::Purge, Task::Doctor]) {
        actions.push("ec2:DescribeNetworkInterfaceAttribute");
    }
    if wanted.shared(&[Task::Purge]) {
        actions.push("ec2:DescribeNetworkInterfaces");
    }
    if wanted.shared(&[Task::Create, Task::Recover, Task::Purge, Task::Doctor]) {
        actions.push("ec2:DescribeSecurityGroups");
    }
    let mut statements = Vec::new();
    if !actions.is_empty() {
        statements.push(Statement {
            sid: "Reads",
            actions,
            resources: vec!["*".to_owned()],
            condition: None,
            why: "finds image, instance type, groups and instances; the interface's attribute is what EFS reads, with the caller's own \
                  permissions, to tell a mount target's groups",
        });
    }
    if wanted.any(&[Task::Doctor]) {
        statements.push(Statement {
            sid: "Network",
            actions: vec!["ec2:DescribeVpcAttribute"],
            resources: vec![vpc(scope)],
            condition: None,
            why: "tells whether the VPC's DNS gives and resolves the names by which hosts are reached",
        });
        statements.push(Statement {
            sid: "Quotas",
            actions: vec!["servicequotas:GetServiceQuota"],
            resources: vec![scope.arn("servicequotas", "ec2/*")],
            condition: None,
            why: "tells how many virtual CPUs the account may run",
        });
    }
    statements
}

/// What is left where no host mounts EFS.
pub fn without_mount_targets(statements: Vec<Statement>) -> Vec<Statement> {
    let of_mount_targets = |statement: &Statement| statement.sid.starts_with("MountTarget");
    statements.into_iter().filter(|statement| !of_mount_targets(statement)).collect()
}

fn mount_targets(wanted: &Wanted<'_>) -> Vec<Statement> {
    let scope = wanted.scope;
    let mut reads = Vec::new();
    if wanted.shared(&[Task::Create, Task::Recover, Task::Purge, Task::Doctor]) {
        reads.push("elasticfilesystem:DescribeMountTargetSecurityGroups");
    }
    if wanted.any(&[Task::Create, Task::Doctor]) || wanted.shared(&[Task::Purge]) {
        reads.push("elasticfilesystem:DescribeMountTargets");
    }
    let mut statements = Vec::new();
    if !reads.is_empty() {
        statements.push(Statement {
            sid: "MountTargets",
            actions: reads,
            resources: scope.arns("elasticfilesystem", "file-system", &scope.file_systems),
            condition: None,
            why: "finds the mount target in the host's own subnet, and the groups it has",
        });
    }
    if wanted.shared(&[Task::Create, Task::Recover, Task::Purge]) {
        statements.push(Statement {
            sid: "MountTargetAccess",
            actions: vec!["elasticfilesystem:ModifyMountTargetSecurityGroups"],
            resources: scope.arns("elasticfilesystem", "file-system", &scope.file_systems),
            condition: None,
            why: "adds EFSDockerHost to the mount target beside the groups it has, and takes it off again",
        });
        let mut resources = scope.arns("ec2", "network-interface", &scope.interfaces);
        resources.push(scope.arn("ec2", "security-group/*"));
        statements.push(Statement {
            sid: "MountTargetInterface",
            actions: vec!["ec2:ModifyNetworkInterfaceAttribute"],
            resources,
            condition: in_vpc(scope),
            why: "EFS changes a mount target's groups on its network interface with the caller's own permissions (EFS API reference); \
                  sdocker never makes this call itself",
        });
    }
    statements
}

fn groups(wanted: &Wanted<'_>) -> Vec<Statement> {
    let scope = wanted.scope;
    let all = || vec![scope.arn("ec2", "security-group/*")];
    let mut statements = Vec::new();
    if wanted.shared(&[Task::Create]) {
        statements.push(Statement {
            sid: "CreateGroupsInVpc",
            actions: vec!["ec2:CreateSecurityGroup"],
            resources: vec![vpc(scope)],
            condition: None,
            why: "creates DockerHost and EFSDockerHost, in the domain's VPC only",
        });
        statements.push(Statement {
            sid: "CreateTaggedGroups",
            actions: vec!["ec2:CreateSecurityGroup"],
            resources: all(),
            condition: tagged_in_request(scope, Of::Domain),
            why: "the groups carry sdocker's tags from the start",
        });
        statements.push(Statement {
            sid: "GroupRules",
            actions: vec![
                "ec2:AuthorizeSecurityGroupEgress",
                "ec2:AuthorizeSecurityGroupIngress",
                "ec2:RevokeSecurityGroupEgress",
            ],
            resources: all(),
            condition: tagged(scope, Of::Domain),
            why: "opens the daemon's port, 8080 and AdditionalPorts to the app's groups, and NFS between host and mount target; only on \
                  groups that sdocker made",
        });
    }
    if wanted.shared(&[Task::Create, Task::Recover, Task::Purge]) {
        statements.push(Statement {
            sid: "DeleteGroups",
            actions: vec!["ec2:DeleteSecurityGroup"],
            resources: all(),
            condition: tagged(scope, Of::Domain),
            why: "undoes a failed creation, and purges; only groups that sdocker made",
        });
    }
    statements
}

fn instances(wanted: &Wanted<'_>) -> Vec<Statement> {
    let mut statements = Vec::new();
    if wanted.any(&[Task::Create]) {
        statements.extend(launch(wanted));
    }
    if wanted.any(&[Task::Create, Task::Terminate, Task::Recover]) {
        statements.push(Statement {
            sid: "Terminate",
            actions: vec!["ec2:TerminateInstances"],
            resources: vec![wanted.scope.arn("ec2", "instance/*")],
            condition: tagged(wanted.scope, Of::Owner),
            why: "ends hosts of this owner, and no other instance",
        });
    }
    statements
}

fn launch(wanted: &Wanted<'_>) -> Vec<Statement> {
    let scope = wanted.scope;
    let ec2 = |kinds: &[&str]| kinds.iter().map(|kind| scope.arn("ec2", kind)).collect::<Vec<_>>();
    let made = ["instance/*", "network-interface/*", "volume/*"];
    // The ARN of an image has no account.
    let image = Scope { account: Some(String::new()), ..scope.clone() }.arn("ec2", "image/*");
    let mut within = scope.arns("ec2", "subnet", &scope.subnets);
    within.push(scope.arn("ec2", "security-group/*"));
    let mut tagged_kinds = made.to_vec();
    let mut creators = vec!["RunInstances"];
    if !wanted.prepared {
        tagged_kinds.push("security-group/*");
        creators.insert(0, "CreateSecurityGroup");
    }
    let mut statements = vec![
        Statement {
            sid: "LaunchTagged",
            actions: vec!["ec2:RunInstances"],
            resources: ec2(&made),
            condition: tagged_in_request(scope, Of::Owner),
            why: "launches a host, and only with the tags by which its owner and end are known",
        },
        Statement {
            sid: "LaunchWithin",
            actions: vec!["ec2:RunInstances"],
            resources: within,
            condition: in_vpc(scope),
            why: "the launch names a subnet and security groups: the domain's VPC's",
        },
        Statement {
            sid: "LaunchWith",
            actions: vec!["ec2:RunInstances"],
            // A Spot request without tags of its own is not looked at (EC2 user guide, example policies for Spot Instances).
            resources: [vec![image], ec2(&["key-pair/*"])].concat(),
            condition: None,
            why: "the launch names an image, and a key pair where Key is set",
        },
        Statement {
            sid: "TagOnCreate",
            actions: vec!["ec2:CreateTags"],
            resources: ec2(&tagged_kinds),
            condition: Some(json!({"StringEquals": {"ec2:CreateAction": creators}})),
            why: "tags in the call that creates, and never afterwards",
        },
    ];
    if let Some(role) = &scope.passed_role {
        statements.push(Statement {
            sid: "PassRole",
            actions: vec!["iam:PassRole"],
            resources: vec![role.clone()],
            condition: Some(
                json!({"StringEquals": {"iam:PassedToService": ["ec2.amazonaws.com", "ec2.amazonaws.com.cn"]}}),
            ),
            why: "gives hosts the role of InstanceProfileArn",
        });
    }
    statements
}

fn others(wanted: &Wanted<'_>) -> Vec<Statement> {
    let mut statements = Vec::new();
    if wanted.any(&[Task::EcrLogin]) {
        statements.push(Statement {
            sid: "EcrLogin",
            actions: vec!["ecr:GetAuthorizationToken"],
            resources: vec!["*".to_owned()],
            condition: None,
            why: "logs the Docker CLI in to Amazon ECR; what it may pull and push is for each repository to say",
        });
    }
    if wanted.any(&[Task::LifecycleConfig]) {
        statements.push(Statement {
            sid: "LifecycleConfig",
            actions: vec!["sagemaker:CreateStudioLifecycleConfig"],
            resources: vec![wanted.scope.arn("sagemaker", "studio-lifecycle-config/*")],
            condition: None,
            why: "registers the script that installs sdocker when an app starts",
        });
    }
    statements
}

fn vpc(scope: &Scope) -> String {
    scope.arn("ec2", &format!("vpc/{}", scope.vpc.as_deref().unwrap_or("*")))
}

#[cfg(test)]
mod tests;
