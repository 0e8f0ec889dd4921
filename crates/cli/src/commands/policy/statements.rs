//! The statements: what is allowed, on what, under which condition, and why.
//!
//! What IAM can narrow is from the service authorization reference ("Actions, resources, and condition keys for Amazon EC2", "...
//! for Amazon Elastic File System", "... for Amazon SageMaker AI").

use clap::ValueEnum;
use host_provisioner::{TAG_DOMAIN, TAG_HOST, TAG_OWNER};
use serde_json::{Map, Value, json};

use super::scope::Scope;

/// What a user may be allowed to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Task {
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
    /// `lifecycle-config --create`.
    LifecycleConfig,
}

/// A statement that allows something.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Statement {
    pub(super) sid: &'static str,
    pub(super) actions: Vec<&'static str>,
    pub(super) resources: Vec<String>,
    pub(super) condition: Option<Value>,
    pub(super) why: &'static str,
}

impl Statement {
    pub(super) fn to_json(&self) -> Value {
        let mut statement = Map::new();
        statement.insert("Sid".to_owned(), json!(self.sid));
        statement.insert("Effect".to_owned(), json!("Allow"));
        statement.insert("Action".to_owned(), one_or_many(&self.actions));
        statement.insert("Resource".to_owned(), one_or_many(&self.resources));
        if let Some(condition) = &self.condition {
            statement.insert("Condition".to_owned(), condition.clone());
        }
        Value::Object(statement)
    }
}

fn one_or_many<T: serde::Serialize>(items: &[T]) -> Value {
    match items {
        [one] => json!(one),
        many => json!(many),
    }
}

/// The statements for these tasks. `prepared`: an administrator has made the groups and the mount target's access.
pub(super) fn statements(tasks: &[Task], prepared: bool, scope: &Scope) -> Vec<Statement> {
    let any = |wanted: &[Task]| tasks.iter().any(|task| wanted.contains(task));
    let creates = any(&[Task::Create]);
    let undoes_groups = any(&[Task::Create, Task::Recover, Task::Purge]) && !prepared;
    let mut statements = Vec::new();
    if any(&[Task::Create, Task::Recover, Task::Purge]) {
        statements.push(studio(scope));
        statements.push(studio_tags(scope));
    }
    if let Some(reads) = reads(tasks, prepared) {
        statements.push(reads);
    }
    if creates || undoes_groups {
        statements.push(mount_target_reads(scope, prepared));
    }
    if undoes_groups {
        statements.extend(mount_target_changes(scope));
    }
    if creates {
        if !prepared {
            statements.extend(group_creation(scope));
        }
        statements.extend(launch(scope));
        statements.push(tagging(scope, prepared));
    }
    if undoes_groups {
        statements.push(group_deletion(scope));
    }
    if any(&[Task::Create, Task::Terminate, Task::Recover]) {
        statements.push(termination(scope));
    }
    if any(&[Task::LifecycleConfig]) {
        statements.push(lifecycle_config(scope));
    }
    statements
}

fn lifecycle_config(scope: &Scope) -> Statement {
    Statement {
        sid: "LifecycleConfig",
        actions: vec!["sagemaker:CreateStudioLifecycleConfig"],
        resources: vec![scope.arn("sagemaker", "studio-lifecycle-config/*")],
        condition: None,
        why: "registers the script that installs sdocker when an app starts",
    }
}

fn studio(scope: &Scope) -> Statement {
    let resources = match &scope.domain {
        Some(domain) => ["domain", "user-profile", "space"]
            .map(|kind| match kind {
                "domain" => scope.arn("sagemaker", &format!("domain/{domain}")),
                kind => scope.arn("sagemaker", &format!("{kind}/{domain}/*")),
            })
            .to_vec(),
        None => vec!["*".to_owned()],
    };
    Statement {
        sid: "Studio",
        actions: vec!["sagemaker:DescribeDomain", "sagemaker:DescribeSpace", "sagemaker:DescribeUserProfile"],
        resources,
        condition: None,
        why: "finds the domain's network and file system, and whose app this is",
    }
}

fn studio_tags(scope: &Scope) -> Statement {
    let resource = match &scope.domain {
        Some(domain) => scope.arn("sagemaker", &format!("user-profile/{domain}/*")),
        None => "*".to_owned(),
    };
    Statement {
        sid: "StudioTags",
        actions: vec!["sagemaker:ListTags"],
        resources: vec![resource],
        condition: None,
        why: "reads the user profile's tags, which the host gets as well; without it the host has only sdocker's own tags",
    }
}

fn reads(tasks: &[Task], prepared: bool) -> Option<Statement> {
    let any = |wanted: &[Task]| tasks.iter().any(|task| wanted.contains(task));
    let mut actions = Vec::new();
    if any(&[Task::Create]) {
        actions.extend(["ec2:DescribeImages", "ec2:DescribeInstanceTypes"]);
    }
    if any(&[Task::Create, Task::Status, Task::Terminate, Task::Recover, Task::Purge]) {
        actions.push("ec2:DescribeInstances");
    }
    if any(&[Task::Purge]) && !prepared {
        actions.push("ec2:DescribeNetworkInterfaces");
    }
    if any(&[Task::Create, Task::Recover, Task::Purge]) && !prepared {
        actions.push("ec2:DescribeSecurityGroups");
    }
    (!actions.is_empty()).then(|| Statement {
        sid: "Reads",
        actions,
        resources: vec!["*".to_owned()],
        condition: None,
        why: "finds image, instance type, groups and instances; EC2 lets none of these reads be narrowed to a resource",
    })
}

fn mount_target_reads(scope: &Scope, prepared: bool) -> Statement {
    let mut actions = vec!["elasticfilesystem:DescribeMountTargets"];
    if !prepared {
        actions.insert(0, "elasticfilesystem:DescribeMountTargetSecurityGroups");
    }
    Statement {
        sid: "MountTargets",
        actions,
        resources: file_systems(scope),
        condition: None,
        why: "finds the mount target in the host's own subnet, and the groups it has",
    }
}

fn mount_target_changes(scope: &Scope) -> [Statement; 2] {
    [
        Statement {
            sid: "MountTargetAccess",
            actions: vec!["elasticfilesystem:ModifyMountTargetSecurityGroups"],
            resources: file_systems(scope),
            condition: None,
            why: "adds EFSDockerHost to the mount target beside the groups it has, and takes it off again",
        },
        Statement {
            sid: "MountTargetInterface",
            actions: vec!["ec2:DescribeNetworkInterfaceAttribute", "ec2:ModifyNetworkInterfaceAttribute"],
            resources: vec!["*".to_owned()],
            condition: None,
            why: "EFS reads and changes a mount target's groups on its network interface with the caller's own permissions (EFS API \
                  reference); sdocker never makes these calls itself",
        },
    ]
}

fn group_creation(scope: &Scope) -> Vec<Statement> {
    vec![
        Statement {
            sid: "CreateGroupsInVpc",
            actions: vec!["ec2:CreateSecurityGroup"],
            resources: vec![vpc(scope)],
            condition: None,
            why: "creates DockerHost and EFSDockerHost, in the domain's VPC only",
        },
        Statement {
            sid: "CreateTaggedGroups",
            actions: vec!["ec2:CreateSecurityGroup"],
            resources: vec![scope.arn("ec2", "security-group/*")],
            condition: Some(request_tags(scope, false)),
            why: "the groups carry sdocker's tags from the start",
        },
        Statement {
            sid: "GroupRules",
            actions: vec![
                "ec2:AuthorizeSecurityGroupEgress",
                "ec2:AuthorizeSecurityGroupIngress",
                "ec2:RevokeSecurityGroupEgress",
            ],
            resources: vec![scope.arn("ec2", "security-group/*")],
            condition: Some(resource_tags(scope, false)),
            why: "opens the daemon's port, 8080 and AdditionalPorts to the app's groups, and NFS between host and mount target; only on \
                  groups that sdocker made",
        },
    ]
}

fn launch(scope: &Scope) -> Vec<Statement> {
    let own = ["instance/*", "network-interface/*", "volume/*"].map(|kind| scope.arn("ec2", kind)).to_vec();
    let mut used = ["key-pair/*", "security-group/*", "subnet/*"].map(|kind| scope.arn("ec2", kind)).to_vec();
    // Public images belong to no account.
    used.insert(0, Scope { account: Some(String::new()), ..scope.clone() }.arn("ec2", "image/*"));
    vec![
        Statement {
            sid: "LaunchTagged",
            actions: vec!["ec2:RunInstances"],
            resources: own,
            condition: Some(request_tags(scope, true)),
            why: "launches a host, and only with the tags by which its owner and end are known",
        },
        Statement {
            sid: "LaunchWith",
            actions: vec!["ec2:RunInstances"],
            resources: used,
            condition: None,
            why: "the launch names an image, a subnet, security groups and possibly a key pair; where InstanceProfileArn is set, add \
                  iam:PassRole on that role",
        },
    ]
}

fn tagging(scope: &Scope, prepared: bool) -> Statement {
    let calls: Vec<&str> = if prepared { vec!["RunInstances"] } else { vec!["CreateSecurityGroup", "RunInstances"] };
    Statement {
        sid: "TagOnCreate",
        actions: vec!["ec2:CreateTags"],
        resources: vec![scope.arn("ec2", "*/*")],
        condition: Some(json!({"StringEquals": {"ec2:CreateAction": calls}})),
        why: "tags in the call that creates, and never afterwards",
    }
}

fn group_deletion(scope: &Scope) -> Statement {
    Statement {
        sid: "DeleteGroups",
        actions: vec!["ec2:DeleteSecurityGroup"],
        resources: vec![scope.arn("ec2", "security-group/*")],
        condition: Some(resource_tags(scope, false)),
        why: "undoes a failed creation, and purges; only groups that sdocker made",
    }
}

fn termination(scope: &Scope) -> Statement {
    Statement {
        sid: "Terminate",
        actions: vec!["ec2:TerminateInstances"],
        resources: vec![scope.arn("ec2", "instance/*")],
        condition: Some(resource_tags(scope, true)),
        why: "ends hosts of this owner, and no other instance",
    }
}

fn file_systems(scope: &Scope) -> Vec<String> {
    if scope.file_systems.is_empty() {
        return vec![scope.arn("elasticfilesystem", "file-system/*")];
    }
    scope.file_systems.iter().map(|id| scope.arn("elasticfilesystem", &format!("file-system/{id}"))).collect()
}

fn vpc(scope: &Scope) -> String {
    scope.arn("ec2", &format!("vpc/{}", scope.vpc.as_deref().unwrap_or("*")))
}

fn request_tags(scope: &Scope, owned: bool) -> Value {
    tags("aws:RequestTag", scope, owned)
}

fn resource_tags(scope: &Scope, owned: bool) -> Value {
    tags("aws:ResourceTag", scope, owned)
}

/// A condition on sdocker's tags: the domain's, and the owner's for what is one user's own. Groups are the domain's.
fn tags(key: &str, scope: &Scope, owned: bool) -> Value {
    let mut equals = Map::new();
    if let Some(domain) = &scope.domain {
        equals.insert(format!("{key}/{TAG_DOMAIN}"), json!(domain));
    }
    if let (true, Some(owner)) = (owned, &scope.owner) {
        equals.insert(format!("{key}/{TAG_OWNER}"), json!(owner));
    }
    if equals.is_empty() {
        return json!({"StringLike": {format!("{key}/{TAG_HOST}"): "*"}});
    }
    json!({"StringEquals": equals})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope() -> Scope {
        Scope {
            region: Some("eu-west-1".to_owned()),
            account: Some("123456789012".to_owned()),
            vpc: Some("vpc-1".to_owned()),
            domain: Some("d-1".to_owned()),
            owner: Some("ana".to_owned()),
            file_systems: vec!["fs-1".to_owned()],
        }
    }

    fn actions(tasks: &[Task], prepared: bool) -> Vec<&'static str> {
        let mut actions: Vec<_> =
            statements(tasks, prepared, &scope()).into_iter().flat_map(|statement| statement.actions).collect();
        actions.sort_unstable();
        actions.dedup();
        actions
    }

    #[test]
    fn keeping_needs_nothing_and_looking_one_read() {
        assert_eq!(actions(&[Task::Keep], false), Vec::<&str>::new());
        assert_eq!(actions(&[Task::Status], false), ["ec2:DescribeInstances"]);
        assert_eq!(actions(&[Task::Terminate], false), ["ec2:DescribeInstances", "ec2:TerminateInstances"]);
    }

    #[test]
    fn with_prepared_groups_nothing_shared_is_changed() {
        let all = Task::value_variants();
        for action in actions(all, true) {
            assert!(!action.contains("SecurityGroup") && !action.contains("NetworkInterface"), "{action}");
        }
    }

    #[test]
    fn sids_are_unique_and_every_statement_says_why() {
        let all = statements(Task::value_variants(), false, &scope());
        let mut sids: Vec<_> = all.iter().map(|statement| statement.sid).collect();
        sids.sort_unstable();
        sids.dedup();
        assert_eq!(sids.len(), all.len());
        assert!(all.iter().all(|statement| !statement.why.is_empty()));
    }

    #[test]
    fn the_whole_policy_fits_an_inline_policy_of_a_role() {
        let all: Vec<Value> =
            statements(Task::value_variants(), false, &scope()).iter().map(Statement::to_json).collect();
        let characters = serde_json::to_string(&all).expect("it is JSON").len();
        // IAM quotas: 10,240 characters for a role's inline policies, 6,144 for a managed policy.
        assert!(characters < 6144, "{characters}");
    }

    #[test]
    fn the_whole_policy() {
        let all: Vec<Value> =
            statements(Task::value_variants(), false, &scope()).iter().map(Statement::to_json).collect();
        insta::assert_json_snapshot!(all);
    }
}
