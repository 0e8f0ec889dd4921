//! The policy that `sdocker policy` prints: exact, and enough, at an endpoint that enforces it as AWS does.

#![expect(clippy::print_stdout, reason = "the matrix says how many cases ran")]

use std::{collections::BTreeSet, process::Stdio};

use sdocker_tests::{EndpointFault, Front, Home, Run};
use serde_json::{Value, json};

const CREATE: [&str; 3] = ["create-host", "--instance-type", "c5.xlarge"];
const PURGE: [&str; 3] = ["terminate-host", "--all", "--purge"];
const TASKS: [&str; 7] = ["create", "status", "keep", "terminate", "recover", "purge", "lifecycle-config"];

/// An endpoint with a user who works in two apps.
struct TwoApps {
    front: Front,
    /// A KernelGateway app.
    home: Home,
    /// A JupyterLab space, whose owner SageMaker has to be asked for.
    space: Home,
    began: Value,
    /// How its hosts get files; they are not waited for where these travel over their daemons, which this endpoint's have not.
    files: &'static [&'static str],
}

impl TwoApps {
    fn new() -> Option<Self> {
        let front = Front::start()?;
        let space = front.home();
        let metadata = json!({
            "AppType": "JupyterLab",
            "DomainId": "d-wire",
            "SpaceName": "lab",
            "ExecutionRoleArn": "arn:aws:iam::123456789012:role/studio",
            "ResourceArn": "arn:aws:sagemaker:eu-west-1:123456789012:app/d-wire/lab/JupyterLab/default",
            "ResourceName": "default",
        });
        let file = space.join("studio-root/opt/ml/metadata/resource-metadata.json");
        std::fs::write(file, metadata.to_string()).expect("written");
        let home = front.home();
        let began = front.shared();
        Some(Self { front, home, space, began, files: &[] })
    }

    /// The same user in a space of a domain without EFS, which lends its files.
    fn sharing() -> Option<Self> {
        let front = Front::start()?;
        front.change_domain(&json!({"HomeEfsFileSystemId": null}));
        let [home, space] = [(); 2].map(|()| {
            let mut home = front.home();
            home.be_space("d-wire", "");
            home
        });
        let began = front.shared();
        Some(Self { front, home, space, began, files: &["--files", "share", "--no-wait"] })
    }

    /// Creates a host.
    fn create(&self) -> Run {
        self.home.sdocker(&[&CREATE[..], self.files].concat())
    }

    /// The policy of these tasks here, which nothing is refused for while it is asked for.
    fn policy(&self, tasks: &str, options: &[&str]) -> Value {
        self.front.enforce(&Value::Null);
        self.home.sdocker(&[&["policy", "--for", tasks], options].concat()).expect(0).json()
    }

    /// What an exercise uses, and what it is refused, while this policy is enforced.
    fn run(&self, exercise: &Exercise, policy: &Value) -> Seen {
        self.front.reset();
        (exercise.prepare)(self);
        self.front.enforce(policy);
        if let Some((action, code)) = exercise.error {
            self.front.error_once(action, 0, code);
        } else {
            self.front.reset();
        }
        let run = (exercise.act)(self);
        self.front.enforce(&Value::Null);
        Seen { run, used: self.front.used(), refused: self.front.refused() }
    }

    /// Clears what an exercise left, while this policy is enforced; then all must be as it began.
    fn clear(&self, policy: &Value, case: &str) {
        self.front.reset();
        self.front.boot_into(&self.home);
        self.front.enforce(policy);
        self.home.sdocker(&["recover", "--terminate"]).expect(0);
        self.home.sdocker(&PURGE).expect(0);
        self.front.enforce(&Value::Null);
        assert_eq!((self.front.live(), self.home.records()), (Vec::new(), Vec::new()), "{case}");
        assert_eq!(self.front.shared(), self.began, "{case}");
    }
}

struct Seen {
    run: Run,
    used: BTreeSet<String>,
    refused: BTreeSet<String>,
}

/// Something that a task does.
struct Exercise {
    task: &'static str,
    name: &'static str,
    /// What is there before, without a policy.
    prepare: fn(&TwoApps),
    /// An error that the first call of an action gets, with its code.
    error: Option<(&'static str, &'static str)>,
    act: fn(&TwoApps) -> Run,
    /// The exit code where nothing is refused.
    code: i32,
}

impl Exercise {
    const fn new(task: &'static str, name: &'static str, prepare: fn(&TwoApps), act: fn(&TwoApps) -> Run) -> Self {
        Self { task, name, prepare, error: None, act, code: 0 }
    }
}

fn nothing(_: &TwoApps) {}

fn a_host(studio: &TwoApps) {
    studio.create().expect(0);
}

fn three_hosts(studio: &TwoApps) {
    studio.home.sdocker(&[&CREATE[..], studio.files, &["--count", "3"]].concat()).expect(0);
}

/// A host that no record knows.
fn an_orphan(studio: &TwoApps) {
    a_host(studio);
    for file in std::fs::read_dir(studio.home.join(".sdocker/journal")).expect("a journal").flatten() {
        std::fs::remove_file(file.path()).expect("removed");
    }
    std::fs::remove_file(studio.home.join(".sdocker/sdocker-hosts.conf")).expect("removed");
}

/// Groups that no host uses.
fn the_groups(studio: &TwoApps) {
    a_host(studio);
    studio.home.sdocker(&["terminate-host", "--all"]).expect(0);
}

/// Groups that no host that ended lately can hold.
fn groups_of_long_ago(studio: &TwoApps) {
    the_groups(studio);
    studio.front.forget_ended();
}

/// A creation that died after this call took effect.
fn killed_after(studio: &TwoApps, action: &str) {
    studio.front.fault(action, 0, EndpointFault::HoldAfter);
    let mut child = spawn(studio);
    assert!(studio.front.wait_until_held(&mut child), "it gets to {action}");
    child.kill().expect("it can be killed");
    child.wait().expect("it ends");
    studio.front.release();
}

fn spawn(studio: &TwoApps) -> std::process::Child {
    // It waits, in vain.
    let files = studio.files.iter().filter(|option| **option != "--no-wait").copied().collect::<Vec<_>>();
    let mut command = studio.home.sdocker_command(&[&CREATE[..], &files].concat());
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs")
}

/// A creation that is asked to stop while it waits for a host that does not come up.
fn create_and_stop(studio: &TwoApps) -> Run {
    let elsewhere = Home::new();
    studio.front.boot_into(&elsewhere);
    let mut child = spawn(studio);
    while studio.front.live().is_empty() {
        if child.try_wait().expect("a child").is_some() {
            break;
        }
    }
    // It may have ended, where it was refused something.
    studio.home.run("kill", &["-s", "TERM", &child.id().to_string()]);
    let run = Run::new(child.wait_with_output().expect("it ends"));
    studio.front.boot_into(&studio.home);
    run
}

/// The exercises in which every action of every task is used.
fn exercises() -> Vec<Exercise> {
    let purge_in_use = Exercise::new("purge", "groups that something else uses", groups_of_long_ago, |studio| {
        studio.home.sdocker(&PURGE)
    });
    let create_undone = Exercise::new("create", "a creation that is undone", nothing, create_and_stop);
    vec![
        Exercise::new("create", "a creation", nothing, TwoApps::create),
        Exercise { code: 143, ..create_undone },
        Exercise::new("create", "three at once", nothing, |studio| {
            studio.home.sdocker(&[&CREATE[..], studio.files, &["--count", "3"]].concat())
        }),
        Exercise::new("create", "in a space", nothing, |studio| {
            studio.space.sdocker(&[&CREATE[..], &["--dry-run"]].concat())
        }),
        Exercise::new("status", "list-hosts", a_host, |studio| studio.home.sdocker(&["list-hosts"])),
        Exercise::new("status", "status", a_host, |studio| studio.home.sdocker(&["status"])),
        Exercise::new("keep", "keep", a_host, |studio| studio.home.sdocker(&["keep"])),
        Exercise::new("terminate", "the current host", a_host, |studio| {
            studio.home.sdocker(&["terminate-current-host"])
        }),
        Exercise::new("terminate", "all hosts", a_host, |studio| studio.home.sdocker(&["terminate-host", "--all"])),
        Exercise::new("terminate", "three at once", three_hosts, |studio| {
            studio.home.sdocker(&["terminate-host", "--all"])
        }),
        Exercise::new("purge", "groups", the_groups, |studio| studio.home.sdocker(&PURGE)),
        Exercise { error: Some(("ec2:DeleteSecurityGroup", "DependencyViolation")), ..purge_in_use },
        Exercise::new("purge", "in a space", nothing, |studio| studio.space.sdocker(&PURGE)),
        Exercise::new("recover", "a launch", |studio| killed_after(studio, "ec2:RunInstances"), recover),
        Exercise::new("recover", "a group", |studio| killed_after(studio, "ec2:CreateSecurityGroup"), recover),
        Exercise::new("recover", "an orphan, to adopt it", an_orphan, |studio| {
            studio.home.sdocker(&["recover", "--adopt"])
        }),
        Exercise::new("recover", "an orphan, to end it", an_orphan, |studio| {
            studio.home.sdocker(&["recover", "--terminate"])
        }),
        Exercise::new("recover", "in a space", nothing, |studio| studio.space.sdocker(&["recover"])),
        Exercise::new("lifecycle-config", "a lifecycle configuration", nothing, |studio| {
            let name = format!("sdocker-{}", std::time::UNIX_EPOCH.elapsed().expect("after 1970").as_nanos());
            studio.home.sdocker(&["lifecycle-config", "--create", &name])
        }),
    ]
}

fn recover(studio: &TwoApps) -> Run {
    studio.home.sdocker(&["recover"])
}

fn actions(policy: &Value) -> BTreeSet<String> {
    let statements = policy["Statement"].as_array().expect("statements").iter();
    let all = statements.flat_map(|statement| match &statement["Action"] {
        Value::Array(several) => several.clone(),
        one => vec![one.clone()],
    });
    // Prices are asked for beside the work, and once a day: see `prices.rs`.
    let all = all.map(|action| action.as_str().expect("a name").to_owned());
    all.filter(|action| !["pricing:GetProducts", "ec2:DescribeSpotPriceHistory"].contains(&action.as_str())).collect()
}

/// The policy without an action.
fn without(policy: &Value, action: &str) -> Value {
    let mut policy = policy.clone();
    let statements = policy["Statement"].as_array_mut().expect("statements");
    for statement in statements.iter_mut() {
        let left = match statement["Action"].take() {
            Value::Array(several) => several,
            one => vec![one],
        };
        statement["Action"] = left.into_iter().filter(|allowed| allowed != action).collect();
    }
    statements.retain(|statement| statement["Action"] != json!([]));
    policy
}

/// Each task alone, with its own policy: nothing is refused, and nothing is allowed that is not used.
#[test]
fn each_tasks_policy_is_exact() {
    let Some(studio) = TwoApps::new() else { return };
    let whole = studio.policy("create,status,keep,terminate,recover,purge", &[]);
    let mut all = BTreeSet::new();
    for task in TASKS {
        let policy = studio.policy(task, &[]);
        let mut used = BTreeSet::new();
        for exercise in exercises().iter().filter(|exercise| exercise.task == task) {
            let seen = studio.run(exercise, &policy);
            assert_eq!(seen.refused, BTreeSet::new(), "{task}, {}: {:?}", exercise.name, seen.run);
            used.extend(seen.used);
            seen.run.expect(exercise.code);
            studio.clear(&whole, exercise.name);
        }
        assert_eq!(used, actions(&policy), "{task}");
        if task != "lifecycle-config" {
            all.extend(used);
        }
    }
    assert_eq!(all, actions(&whole));
}

/// Where the app lends its files, the policy without EFS is enough for everything, and all of it is used: no mount target is looked at, no
/// group for NFS made.
#[test]
fn files_that_are_lent_need_nothing_of_efs() {
    let Some(studio) = TwoApps::sharing() else { return };
    let tasks = ["create", "status", "terminate", "recover", "purge"];
    let policy = studio.policy(&tasks.join(","), &["--files", "share"]);
    let with_efs = actions(&studio.policy(&tasks.join(","), &["--files", "efs"]));
    let efs: Vec<_> = with_efs.iter().filter(|action| !actions(&policy).contains(*action)).collect();
    assert!(efs.len() >= 3 && efs.iter().any(|action| action.starts_with("elasticfilesystem:")), "{efs:?}");
    assert!(!policy.to_string().contains("elasticfilesystem"), "{policy}");
    let mut used = BTreeSet::new();
    // A host whose daemon does not answer is not the current one, and is not adopted.
    let answered = ["the current host", "an orphan, to adopt it"];
    for exercise in
        exercises().iter().filter(|exercise| tasks.contains(&exercise.task) && !answered.contains(&exercise.name))
    {
        let seen = studio.run(exercise, &policy);
        assert_eq!(seen.refused, BTreeSet::new(), "{}: {:?}", exercise.name, seen.run);
        used.extend(seen.used);
        seen.run.expect(exercise.code);
        let shared = studio.front.shared();
        let groups: Vec<&String> = shared["groups"].as_object().expect("groups").keys().collect();
        assert!(groups.iter().all(|group| !group.starts_with("EFSDockerHost")), "{}: {groups:?}", exercise.name);
        studio.clear(&policy, exercise.name);
    }
    assert_eq!(used, actions(&policy));
}

/// What `doctor` asks beside what it asks on behalf of a creation is its own policy, exactly.
#[test]
fn doctors_policy_is_exact() {
    let Some(studio) = TwoApps::new() else { return };
    let own = actions(&studio.policy("doctor", &[]));
    let of_creation = studio.policy("create,terminate", &[]);
    let policy = studio.policy("create,terminate,doctor", &[]);
    let mut used = BTreeSet::new();
    for (home, prepare) in [(&studio.home, nothing as fn(&TwoApps)), (&studio.home, a_host), (&studio.space, nothing)] {
        prepare(&studio);
        studio.front.reset();
        studio.front.enforce(&policy);
        let run = home.sdocker(&["doctor"]).expect(0);
        studio.front.enforce(&Value::Null);
        assert_eq!(studio.front.refused(), BTreeSet::new(), "{}", run.stdout);
        used.extend(studio.front.used());
    }
    studio.clear(&policy, "doctor");
    assert_eq!(own.difference(&used).collect::<Vec<_>>(), Vec::<&String>::new(), "nothing is unused");
    let unexpected: Vec<_> = used.difference(&own).filter(|action| !actions(&of_creation).contains(*action)).collect();
    assert_eq!(unexpected, Vec::<&String>::new(), "nothing is missing");
}

/// In every form in which it is printed, and under the whole policy, the whole flow passes.
#[test]
fn the_whole_flow_passes_under_every_form() {
    let Some(studio) = TwoApps::new() else { return };
    let print = |form: &str| studio.home.sdocker(&["policy", form]).expect(0);
    let policy = studio.home.sdocker(&["policy"]).expect(0).json();
    let template = print("--cloudformation").json();
    assert_eq!(template["Resources"]["SdockerPolicy"]["Properties"]["PolicyDocument"], policy);
    assert_eq!(in_terraform(&print("--terraform").stdout), policy);

    studio.front.enforce(&policy);
    studio.front.reset();
    for arguments in
        [&CREATE[..], &["list-hosts"], &["status"], &["keep"], &CREATE, &["terminate-current-host"], &["recover"]]
    {
        studio.home.sdocker(arguments).expect(0);
    }
    assert_eq!((studio.front.live().len(), studio.front.refused()), (1, BTreeSet::new()));
    studio.clear(&policy, "the whole policy");
}

/// The document in a Terraform resource: what `jsonencode` is given is JSON, but for `$${` and `%%{`.
fn in_terraform(resource: &str) -> Value {
    let (_, after) = resource.split_once("jsonencode(").expect("a document");
    let (document, _) = after.rsplit_once(')').expect("a document");
    serde_json::from_str(&document.replace("$${", "${").replace("%%{", "%{")).expect("JSON")
}

/// A Spot launch of a host with a role, which the policy must name.
#[test]
fn a_role_is_passed_only_where_the_policy_names_it() {
    let Some(studio) = TwoApps::new() else { return };
    let conf = json!({"InstanceProfileArn": "arn:aws:iam::123456789012:instance-profile/hosts"});
    std::fs::create_dir_all(studio.home.join(".sdocker")).expect("a folder");
    std::fs::write(studio.home.join(".sdocker/sdocker.conf"), conf.to_string()).expect("written");
    let policy = studio.policy("create,terminate", &["--pass-role", "arn:aws:iam::123456789012:role/hosts"]);
    let create = [&CREATE[..], &["--spot"]].concat();
    let whole = studio.policy("create,terminate,recover,purge", &[]);
    for (policy, code) in [(&policy, 0), (&without(&policy, "iam:PassRole"), 1)] {
        studio.front.reset();
        studio.front.enforce(policy);
        let run = studio.home.sdocker(&create).expect(code);
        studio.front.enforce(&Value::Null);
        let statement = r#""Action":"iam:PassRole","Resource":"arn:aws:iam::123456789012:role/hosts""#;
        assert_eq!(run.stderr.contains(statement), code == 1, "{}", run.stderr);
        assert_eq!(studio.front.live().len(), usize::from(code == 0));
        studio.clear(&whole, "a role");
    }
}

/// Where an administrator has prepared groups and mount targets: no changes to either, and nothing that is not used.
#[test]
fn prepared_groups_need_no_more_than_launching_and_ending() {
    let Some(studio) = TwoApps::new() else { return };
    let group = studio.front.seed()["group"].clone();
    for home in [&studio.home, &studio.space] {
        std::fs::create_dir_all(home.join(".sdocker")).expect("a folder");
        std::fs::write(home.join(".sdocker/sdocker.conf"), json!({"HostSGs": [group]}).to_string()).expect("written");
    }
    let policy = studio.policy("create,status,keep,terminate", &["--prepared"]);
    let mut used = BTreeSet::new();
    for exercise in
        exercises().iter().filter(|exercise| ["create", "status", "keep", "terminate"].contains(&exercise.task))
    {
        let seen = studio.run(exercise, &policy);
        assert_eq!(seen.refused, BTreeSet::new(), "{}: {:?}", exercise.name, seen.run);
        used.extend(seen.used);
        seen.run.expect(exercise.code);
        studio.front.enforce(&policy);
        studio.home.sdocker(&["terminate-host", "--all"]).expect(0);
        studio.front.enforce(&Value::Null);
        assert_eq!((studio.front.live(), studio.home.records()), (Vec::new(), Vec::new()), "{}", exercise.name);
        assert_eq!(studio.front.shared(), studio.began, "{}", exercise.name);
    }
    assert_eq!(used, actions(&policy));
}

/// What is outside the user's own is refused, whoever calls: other users' hosts, launches without tags or elsewhere, others' groups.
#[test]
fn the_policy_is_narrow() {
    let Some(studio) = TwoApps::new() else { return };
    let front = &studio.front;
    a_host(&studio);
    let own = front.live()[0].clone();
    let of = |owner: &str, domain: &str| json!({"sdocker:host": "1", "sdocker:domain": domain, "sdocker:owner": owner});
    let [bens, abroad, untagged] =
        [of("ben", "d-wire"), of("ana", "d-else"), json!({})].map(|tags| front.launch(&tags));
    let alive = front.live();
    let (seed, shared) = (front.seed(), front.shared());
    let id = |value: &Value| value.as_str().expect("an id").to_owned();
    let [vpc, subnet, group] = [&seed["vpc"], &seed["subnets"][0], &shared["groups"]["DockerHost-d-wire"]].map(id);
    let elsewhere = &seed["elsewhere"];
    let [other_vpc, other_subnet, other_group] = ["vpc", "subnet", "group"].map(|what| id(&elsewhere[what]));
    let apps = id(&seed["group"]);

    let policy = studio.policy("create,status,keep,terminate,recover,purge", &[]);
    front.enforce(&policy);
    let tags = |kinds: &[&str], owner: &str, domain: &str| {
        let mut parameters = Vec::new();
        for (n, kind) in kinds.iter().enumerate() {
            parameters.push((format!("TagSpecification.{}.ResourceType", n + 1), (*kind).to_owned()));
            let pairs = [("sdocker:host", "1"), ("sdocker:domain", domain), ("sdocker:owner", owner)];
            for (m, (key, value)) in pairs.into_iter().enumerate() {
                let tag = format!("TagSpecification.{}.Tag.{}", n + 1, m + 1);
                parameters.push((format!("{tag}.Key"), key.to_owned()));
                parameters.push((format!("{tag}.Value"), value.to_owned()));
            }
        }
        parameters
    };
    let call = |action: &str, named: &[(&str, &str)], tags: &[(String, String)]| {
        let tags = tags.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let parameters: Vec<_> = named.iter().copied().chain(tags).chain([("DryRun", "true")]).collect();
        front.ec2(action, &parameters)
    };
    let allowed = |answer: (String, String)| assert_eq!(answer.0, "DryRunOperation", "{}", answer.1);
    let refused = |action: &str, resource: &str, answer: (String, String)| {
        let expected = format!("perform: {action} on resource: arn:aws:ec2:eu-west-1:123456789012:{resource} ");
        assert!(answer.0 == "UnauthorizedOperation" && answer.1.contains(&expected), "{action} {resource}: {answer:?}");
    };

    let made = ["instance", "volume", "network-interface"];
    let launch_as = |of: [&str; 3], subnet: &str, group: &str, tags: &[(String, String)]| {
        let [kind, tokens, encrypted] = of;
        let named = [
            ("ImageId", "ami-0000000000000000b"),
            ("MinCount", "1"),
            ("MaxCount", "1"),
            ("ClientToken", "t"),
            ("InstanceType", kind),
            ("MetadataOptions.HttpTokens", tokens),
            ("BlockDeviceMapping.1.DeviceName", "/dev/xvda"),
            ("BlockDeviceMapping.1.Ebs.Encrypted", encrypted),
            ("SubnetId", subnet),
            ("SecurityGroupId.1", group),
        ];
        call("RunInstances", &named, tags)
    };
    let sound = ["c5.xlarge", "required", "true"];
    let launch = |subnet: &str, group: &str, tags: &[(String, String)]| launch_as(sound, subnet, group, tags);
    let run = |resource: &str, answer| refused("ec2:RunInstances", resource, answer);
    let own_tags = tags(&made, "ana", "d-wire");
    allowed(launch(&subnet, &group, &own_tags));
    run("instance/*", launch(&subnet, &group, &[]));
    run("volume/*", launch(&subnet, &group, &tags(&made[..1], "ana", "d-wire")));
    run("network-interface/*", launch(&subnet, &group, &tags(&made[..2], "ana", "d-wire")));
    run("instance/*", launch(&subnet, &group, &tags(&made, "ben", "d-wire")));
    run("instance/*", launch(&subnet, &group, &tags(&made, "ana", "d-else")));
    run(&format!("subnet/{other_subnet}"), launch(&other_subnet, &group, &own_tags));
    run(&format!("security-group/{other_group}"), launch(&subnet, &other_group, &own_tags));
    // Another group of the same VPC opens another network; IMDSv1 gives away the host's role, and plain volumes what is on them.
    run(&format!("security-group/{apps}"), launch(&subnet, &apps, &own_tags));
    run("instance/*", launch_as(["c5.xlarge", "optional", "true"], &subnet, &group, &own_tags));
    run("volume/*", launch_as(["c5.xlarge", "required", "false"], &subnet, &group, &own_tags));
    allowed(launch_as(["p4d.24xlarge", "required", "true"], &subnet, &group, &own_tags));
    front.enforce(&studio.policy("create", &["--instance-types", "c5.*,m5.large"]));
    allowed(launch(&subnet, &group, &own_tags));
    allowed(launch_as(["m5.large", "required", "true"], &subnet, &group, &own_tags));
    for kind in ["p4d.24xlarge", "m5.xlarge", "c5d.xlarge"] {
        run("instance/*", launch_as([kind, "required", "true"], &subnet, &group, &own_tags));
    }
    // What an administrator has prepared, and nothing else.
    front.enforce(&studio.policy("create", &["--prepared", "--security-groups", &group]));
    allowed(launch(&subnet, &group, &own_tags));
    run(&format!("security-group/{apps}"), launch(&subnet, &apps, &own_tags));
    front.enforce(&policy);

    let terminate = |instance: &str| call("TerminateInstances", &[("InstanceId.1", instance)], &[]);
    allowed(terminate(&own));
    for other in [&bens, &abroad, &untagged] {
        refused("ec2:TerminateInstances", &format!("instance/{other}"), terminate(other));
        // Nor can it be made one's own.
        let taking = [("ResourceId.1", other.as_str()), ("Tag.1.Key", "sdocker:owner"), ("Tag.1.Value", "ana")];
        refused("ec2:CreateTags", &format!("instance/{other}"), call("CreateTags", &taking, &[]));
    }

    let create = |vpc: &str, tags: &[(String, String)]| {
        call("CreateSecurityGroup", &[("GroupName", "x"), ("GroupDescription", "x"), ("VpcId", vpc)], tags)
    };
    let group_tags = tags(&["security-group"], "ana", "d-wire");
    allowed(create(&vpc, &group_tags));
    refused("ec2:CreateSecurityGroup", "security-group/*", create(&vpc, &[]));
    refused("ec2:CreateSecurityGroup", &format!("vpc/{other_vpc}"), create(&other_vpc, &group_tags));
    let changes = [
        "AuthorizeSecurityGroupIngress",
        "AuthorizeSecurityGroupEgress",
        "RevokeSecurityGroupEgress",
        "DeleteSecurityGroup",
    ];
    for action in changes {
        allowed(call(action, &[("GroupId", &group)], &[]));
        let named = format!("ec2:{action}");
        refused(&named, &format!("security-group/{apps}"), call(action, &[("GroupId", &apps)], &[]));
    }

    // Without asking anybody it is narrowed to the Region that is given, in its own partition.
    let offline = studio.home.sdocker(&["policy", "--offline", "--region", "cn-north-1"]).expect(0).stdout;
    assert!(offline.contains("arn:aws-cn:ec2:cn-north-1:*:instance/*"), "{offline}");
    assert!(!offline.contains("arn:aws:") && !offline.contains(":ec2:*"), "{offline}");

    // The binary does not even ask: it knows whose host it is by the tags.
    let run = studio.home.sdocker(&["terminate-host", "--instance-id", &bens]).expect(1);
    assert!(run.stderr.contains("is the host of ben"), "{}", run.stderr);
    assert_eq!(front.live(), alive);
}

/// Two domains in one VPC, each user under the policy of the own domain, do not lock one another out: each domain has groups of its own.
#[test]
fn two_domains_in_one_vpc_have_groups_of_their_own() {
    let Some(studio) = TwoApps::new() else { return };
    let front = &studio.front;
    let seed = front.seed();
    let neighbour = seed["neighbour"]["domain"].as_str().expect("a domain");
    let next = front.home_in_domain(neighbour);
    front.boot_into_any(&[&studio.home, &next]);
    front.enforce(&Value::Null);
    let policies = [&studio.home, &next].map(|home| home.sdocker(&["policy"]).expect(0).json());
    for (home, policy) in [&studio.home, &next].into_iter().zip(&policies) {
        front.enforce(policy);
        front.reset();
        home.sdocker(&CREATE).expect(0);
        assert_eq!(front.refused(), BTreeSet::new());
    }
    let shared = front.shared();
    for kind in ["DockerHost", "EFSDockerHost"] {
        let groups = ["d-wire", neighbour].map(|domain| shared["groups"][format!("{kind}-{domain}")].clone());
        assert!(groups.iter().all(Value::is_string) && groups[0] != groups[1], "{shared}");
    }
    // Each ends its own; the other's groups stay on the other's mount targets.
    for (home, policy) in [&next, &studio.home].into_iter().zip(policies.iter().rev()) {
        front.enforce(policy);
        let purged = home.sdocker(&PURGE).expect(0);
        assert!(!purged.stdout.contains("kept"), "{}", purged.stdout);
    }
    front.enforce(&Value::Null);
    assert_eq!((front.live(), front.shared()), (Vec::new(), studio.began.clone()));
}

/// The groups of the first `sdocker` have no tags. They are used, and said to be; no second one is put on a mount target, and once they are tagged
/// as is said the policy suffices.
#[test]
fn groups_of_the_first_sdocker_are_used_and_said() {
    let Some(studio) = TwoApps::new() else { return };
    let front = &studio.front;
    front.know_at_once();
    let seed = front.seed();
    let [vpc, apps] = [&seed["vpc"], &seed["group"]].map(|id| id.as_str().expect("an id"));
    for name in ["DockerHost", "EFSDockerHost"] {
        let made = front.ec2("CreateSecurityGroup", &[("GroupName", name), ("GroupDescription", "x"), ("VpcId", vpc)]);
        assert_eq!(made.0, "");
    }
    let id = |name: &str| front.shared()["groups"][name].as_str().expect("a group").to_owned();
    let [docker, nfs] = ["DockerHost", "EFSDockerHost"].map(id);
    for (group, peer, from, to) in [(&docker, apps, "0", "65535"), (&nfs, nfs.as_str(), "2049", "2049")] {
        let rule = [
            ("GroupId", group.as_str()),
            ("IpPermissions.1.IpProtocol", "tcp"),
            ("IpPermissions.1.FromPort", from),
            ("IpPermissions.1.ToPort", to),
            ("IpPermissions.1.Groups.1.GroupId", peer),
        ];
        let allowed = front.ec2("AuthorizeSecurityGroupIngress", &rule);
        assert_eq!(allowed.0, "", "{}", allowed.1);
    }
    let before = front.shared()["groups"].clone();
    let run = studio.home.sdocker(&CREATE).expect(0);
    let tagging =
        |group: &str| format!("aws ec2 create-tags --resources {group} --tags Key=sdocker:domain,Value=d-wire");
    for group in [&docker, &nfs] {
        assert!(run.stderr.contains(&tagging(group)), "{}", run.stderr);
    }
    assert_eq!(front.shared()["groups"], before, "no other group is made");
    let on_targets = front.shared()["mount_targets"].to_string();
    assert_eq!(on_targets.matches(&nfs).count(), 1, "{on_targets}");

    studio.home.sdocker(&["terminate-host", "--all"]).expect(0);
    for group in [&docker, &nfs] {
        let tags = [("ResourceId.1", group.as_str()), ("Tag.1.Key", "sdocker:domain"), ("Tag.1.Value", "d-wire")];
        assert_eq!(front.ec2("CreateTags", &tags).0, "");
    }
    let policy = studio.policy("create,terminate,recover,purge", &[]);
    front.enforce(&policy);
    let run = studio.home.sdocker(&CREATE).expect(0);
    assert!(!run.stderr.contains("create-tags"), "{}", run.stderr);
    assert_eq!(front.shared()["groups"], before);
    studio.clear(&policy, "adopted groups");
}

/// Where tags can't be given, an untagged launch is not allowed in their studio: neither where the groups have to be made, nor where
/// they are there.
#[test]
fn an_untagged_launch_is_refused() {
    let Some(studio) = TwoApps::new() else { return };
    let policy = studio.policy("create,status,keep,terminate,recover,purge", &[]);
    for (prepare, case) in [(nothing as fn(&TwoApps), "no groups"), (the_groups, "groups")] {
        prepare(&studio);
        let before = studio.front.shared();
        studio.front.reset();
        studio.front.enforce(&without(&policy, "ec2:CreateTags"));
        let run = studio.home.sdocker(&CREATE).expect(1);
        assert!(run.stderr.contains("ec2:CreateTags"), "{case}: {}", run.stderr);
        assert!(studio.front.refused().contains("ec2:CreateTags"), "{case}");
        assert_eq!((studio.front.live(), studio.home.records()), (Vec::new(), Vec::new()), "{case}");
        assert_eq!(studio.front.shared(), before, "{case}");
        studio.clear(&policy, case);
    }
}

/// Where a role may tag some kinds of resources and not others, the least goes first: the tags by which a host is found stay.
#[test]
fn only_the_tags_that_are_refused_go() {
    let Some(studio) = TwoApps::new() else { return };
    let cases: [(&[&str], &str); 2] = [
        (&["instance", "volume"], "the host's network interface carries no tags"),
        (&["instance"], "the host's volume and network interface carry no tags"),
    ];
    for (kinds, said) in cases {
        let mut taggable: Vec<String> = kinds.iter().map(|kind| format!("arn:aws:ec2:*:*:{kind}/*")).collect();
        taggable.push("arn:aws:ec2:*:*:security-group/*".to_owned());
        let all = ["sagemaker:*", "elasticfilesystem:*", "ec2:Describe*", "ec2:*Security*", "ec2:RunInstances"];
        let all = [&all[..], &["ec2:TerminateInstances", "ec2:Modify*"]].concat();
        studio.front.enforce(&json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": all, "Resource": "*"},
            {"Effect": "Allow", "Action": "ec2:CreateTags", "Resource": taggable},
        ]}));
        // Refused as often as there is something less to tag.
        studio.front.reset();
        let doctor = studio.home.sdocker(&["doctor", "--output", "json"]);
        assert!(doctor.stdout.contains("ec2:CreateTags"), "{kinds:?}: {}", doctor.stdout);
        let run = studio.home.sdocker(&CREATE).expect(0);
        assert!(run.stderr.contains(said), "{kinds:?}: {}", run.stderr);
        assert!(studio.front.refused().contains("ec2:CreateTags"), "{kinds:?}");
        let [host] = &studio.front.instances()[..] else { panic!("one host") };
        assert_eq!(host["tags"]["sdocker:owner"], json!("ana"), "{kinds:?}");
        studio.clear(&Value::Null, said);
    }
}

/// Where an organization demands tags, its refusal is not got around by a launch without them.
#[test]
fn a_refusal_that_demands_tags_is_never_answered_by_fewer() {
    let Some(studio) = TwoApps::new() else { return };
    let allow = json!({"Effect": "Allow", "Action": "*", "Resource": "*"});
    // AWS Organizations user guide, "Require a tag on specified created resources", and a policy that allows certain tags only, which a
    // launch without any would get past.
    let made = ["arn:aws:ec2:*:*:instance/*", "arn:aws:ec2:*:*:volume/*"];
    let demands = json!({"Effect": "Deny", "Action": "ec2:RunInstances", "Resource": made,
        "Condition": {"Null": {"aws:RequestTag/CostCenter": "true"}}});
    let forbids = json!({"Effect": "Deny", "Action": "ec2:CreateTags", "Resource": "*",
        "Condition": {"ForAnyValue:StringEquals": {"aws:TagKeys": ["team"]}}});
    // An encoded message does not say whether something is missing or forbidden.
    let cases = [(&demands, "demanded", false), (&forbids, "forbidden", false), (&forbids, "forbidden, encoded", true)];
    for (statement, case, encoded) in cases {
        the_groups(&studio);
        studio.front.encode_refusals(encoded);
        let policy = json!({"Version": "2012-10-17", "Statement": [allow, statement]});
        studio.front.enforce_organization(&policy);
        studio.front.reset();
        let run = studio.home.sdocker(&CREATE).expect(1);
        let launches = studio.front.log().iter().filter(|action| *action == "ec2:RunInstances").count();
        assert_eq!(launches, 1, "{case}: {}", run.stderr);
        assert!(!studio.front.refused().is_empty(), "{case}");
        assert_eq!(run.stderr.contains("aws sts decode-authorization-message"), encoded, "{case}: {}", run.stderr);
        assert_eq!((studio.front.live(), studio.home.records()), (Vec::new(), Vec::new()), "{case}");
        studio.front.enforce_organization(&Value::Null);
        studio.clear(&Value::Null, case);
    }
}

/// What an organization demands can be given: by `Tags` in sdocker.conf and `--tag`, on everything that a creation makes.
#[test]
fn tags_that_an_organization_demands_can_be_given() {
    let Some(studio) = TwoApps::new() else { return };
    let made = ["instance", "volume", "network-interface", "security-group"];
    let resources: Vec<_> = made.iter().map(|kind| format!("arn:aws:ec2:*:*:{kind}/*")).collect();
    let launches = json!({"Effect": "Deny", "Action": "ec2:RunInstances", "Resource": resources[..3],
        "Condition": {"Null": {"aws:RequestTag/team": "true"}}});
    let groups = json!({"Effect": "Deny", "Action": "ec2:CreateSecurityGroup", "Resource": resources[3],
        "Condition": {"Null": {"aws:RequestTag/CostCenter": "true"}}});
    let allow = json!({"Effect": "Allow", "Action": "*", "Resource": "*"});
    let policy = json!({"Version": "2012-10-17", "Statement": [allow, launches, groups]});
    studio.front.enforce_organization(&policy);
    let policy = studio.policy("create,terminate,recover,purge", &[]);
    studio.front.enforce(&policy);
    studio.home.sdocker(&CREATE).expect(1);
    assert_eq!((studio.front.live(), studio.home.records()), (Vec::new(), Vec::new()));

    let conf = json!({"Tags": {"CostCenter": "42", "team": "from the file"}});
    std::fs::write(studio.home.join(".sdocker/sdocker.conf"), conf.to_string()).expect("written");
    studio.home.sdocker(&[&CREATE[..], &["--tag", "team=data=science"]].concat()).expect(0);
    let [host] = &studio.front.instances()[..] else { panic!("one host") };
    let tags = &host["tags"];
    assert_eq!(
        (&tags["CostCenter"], &tags["team"], &tags["sdocker:owner"]),
        (&json!("42"), &json!("data=science"), &json!("ana"))
    );
    // What sdocker gives itself, and what EC2 does not take, is said before anything is made.
    for wrong in ["sdocker:owner=ben", "Name=mine", "aws:x=1", "=1", "x"] {
        let run = studio.home.sdocker(&[&CREATE[..], &["--tag", wrong]].concat());
        assert!(matches!(run.code, Some(1 | 2)), "{wrong}: {run:?}");
    }
    assert_eq!(studio.front.live().len(), 1);
    studio.clear(&policy, "tags");
}

/// The request of a Spot Instance has the host's tags; a role that may not give it any gets the host nevertheless.
#[test]
fn a_spot_request_is_tagged_where_it_may_be() {
    let Some(studio) = TwoApps::new() else { return };
    let spot = [&CREATE[..], &["--spot"]].concat();
    let policy = studio.policy("create,terminate,recover,purge", &[]);
    studio.front.enforce(&policy);
    studio.front.reset();
    let run = studio.home.sdocker(&spot).expect(0);
    assert_eq!(studio.front.refused(), BTreeSet::new());
    assert!(!run.stderr.contains("carries no tags"), "{}", run.stderr);

    let mut earlier = policy.clone();
    for statement in earlier["Statement"].as_array_mut().expect("statements") {
        if let Some(resources) = statement["Resource"].as_array_mut() {
            resources.retain(|resource| !resource.to_string().contains("spot-instances-request"));
        }
    }
    assert_ne!(earlier, policy);
    studio.front.enforce(&earlier);
    studio.front.reset();
    let run = studio.home.sdocker(&spot).expect(0);
    assert!(!studio.front.refused().is_empty());
    assert!(run.stderr.contains("the host's Spot request carries no tags"), "{}", run.stderr);
    let hosts = studio.front.instances();
    assert!(hosts.len() == 2 && hosts.iter().all(|host| host["tags"]["sdocker:owner"] == "ana"), "{hosts:?}");
    studio.clear(&policy, "Spot");
}

/// Each action of each task's policy taken away: what then can't be done names it; and all is cleared once it is given back.
#[test]
fn each_action_that_is_missing_is_named() {
    let cases = std::thread::scope(|scope| {
        let half = |tasks: &'static [&'static str]| scope.spawn(move || missing_actions(tasks).unwrap_or_default());
        [half(&["create"]), half(&TASKS[1..])].map(|half| half.join().expect("every case is named and cleared"))
    });
    println!("{} cases of a missing action", cases.iter().sum::<usize>());
}

/// How many actions these tasks have.
fn missing_actions(tasks: &[&'static str]) -> Option<usize> {
    let studio = TwoApps::new()?;
    let whole = studio.policy("create,status,keep,terminate,recover,purge", &[]);
    let mut cases = 0;
    for task in tasks {
        let policy = studio.policy(task, &[]);
        for action in actions(&policy) {
            let reduced = without(&policy, &action);
            let exercises = exercises();
            let mut seen = exercises.iter().filter(|exercise| exercise.task == *task).map(|exercise| {
                let seen = studio.run(exercise, &reduced);
                studio.clear(&whole, &format!("{action} of {task}, {}", exercise.name));
                seen
            });
            let seen = seen.find(|seen| seen.refused.contains(&action));
            let seen = seen.unwrap_or_else(|| panic!("{task} uses {action}"));
            let said = format!("{}{}", seen.run.stdout, seen.run.stderr);
            assert!(said.contains(&action), "{task} without {action}: {said}");
            cases += 1;
        }
    }
    Some(cases)
}
