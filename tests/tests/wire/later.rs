//! What AWS knows a moment later than it answers, and launches that fail after they were accepted.

use sdocker_tests::Front;
use serde_json::json;

const CREATE: [&str; 5] = ["create-host", "--instance-type", "c5.xlarge", "--output", "json"];

/// Names and addresses come late, new groups are not found yet, and what ended holds its groups for a while.
#[test]
fn what_aws_knows_later_is_waited_for() {
    let Some(front) = Front::start() else { return };
    let home = front.home();
    front.late(&json!({"groups": 2, "instances": 2, "pending": 2, "releases": 2}));
    home.sdocker(&CREATE).expect(0);
    assert_eq!(home.sdocker(&["status", "--output", "json"]).expect(0).json()["daemon"]["answers"], json!(true));
    home.sdocker(&["terminate-current-host"]).expect(0);
    assert_eq!((front.live(), home.records()), (Vec::new(), Vec::new()));
}

/// Whichever of the calls that name a new group is the first to come too early.
#[test]
fn a_new_group_that_any_call_does_not_find_is_waited_for() {
    let Some(front) = Front::start() else { return };
    let home = front.home();
    let before = front.shared();
    for action in [
        "AuthorizeSecurityGroupIngress",
        "AuthorizeSecurityGroupEgress",
        "RevokeSecurityGroupEgress",
        "ModifyMountTargetSecurityGroups",
        "RunInstances",
    ] {
        front.late(&json!({"groups": 1, "of": action, "pending": 0}));
        home.sdocker(&CREATE).expect(0);
        assert!(front.too_early() > 0, "{action}");
        let purged = home.sdocker(&["terminate-host", "--all", "--purge", "--output", "json"]).expect(0).json();
        assert_eq!(purged["purged"]["kept"], json!([]), "{action}");
        assert_eq!(front.shared(), before, "{action}");
    }
}

/// An undo right after the creation of groups and instance: not found is not gone yet, and in use is not somebody else's use.
#[test]
fn an_undo_right_after_leaves_nothing() {
    let Some(front) = Front::start() else { return };
    let home = front.home();
    let before = front.shared();
    front.late(&json!({"groups": 2, "instances": 2, "pending": 2, "releases": 2}));
    // Each of these comes after something was made: the second group, the rules of the first, the instance.
    for (action, nth) in
        [("ec2:CreateSecurityGroup", 1), ("ec2:AuthorizeSecurityGroupIngress", 0), ("ec2:DescribeInstances", 1)]
    {
        front.error_once(action, nth, "OperationNotPermitted");
        let run = home.sdocker(&CREATE).expect(1);
        assert!(front.fired()[0] > 0, "{action} {nth}: {}", run.stderr);
        front.reset();
        assert_eq!((front.live(), home.records()), (Vec::new(), Vec::new()), "{action} {nth}: {}", run.stderr);
        assert_eq!(front.shared(), before, "{action} {nth}: {}", run.stderr);
    }
}

/// Each way in which an accepted launch fails (EC2 user guide, "Troubleshoot instance launch issues"): the reason is EC2's own, and nothing
/// stays.
#[test]
fn a_launch_that_fails_after_it_was_accepted_leaves_nothing() {
    let Some(front) = Front::start() else { return };
    let home = front.home();
    let before = front.shared();
    let fates = [
        ("Server.InsufficientInstanceCapacity", "There was insufficient capacity available to satisfy the request"),
        ("Server.InternalError", "An internal error caused the instance to terminate during launch"),
        ("Client.InternalError", "Client error on launch"),
        ("Client.VolumeLimitExceeded", "The limit on the number of EBS volumes was exceeded"),
        ("Client.InvalidKMSKey.InvalidState", "The KMS key provided is in an incorrect state"),
    ];
    for (code, message) in fates {
        // Where there is no capacity after all, the next placement is tried.
        let fate = json!([code, message]);
        let placements =
            if code == "Server.InsufficientInstanceCapacity" { vec![fate.clone(), fate] } else { vec![fate] };
        front.late(&json!({"fates": placements}));
        let run = home.sdocker(&CREATE).expect(1);
        let error = run.json()["error"]["message"].as_str().expect("a message").to_owned();
        assert!(error.contains(message) && error.contains(code), "{code}: {error}");
        assert_eq!(
            run.stderr.contains("kms:CreateGrant"),
            code == "Client.InternalError" || code.contains("KMSKey"),
            "{code}: {}",
            run.stderr
        );
        assert_eq!((front.live(), home.records()), (Vec::new(), Vec::new()), "{code}");
        assert_eq!(front.shared(), before, "{code}: {}", run.stderr);
    }
    front.late(&json!({"fates": [["Server.InsufficientInstanceCapacity", "none after all"]]}));
    home.sdocker(&CREATE).expect(0);
    assert_eq!((front.live().len(), home.records().len()), (1, 1), "the next placement has some");
    home.sdocker(&["terminate-host", "--all", "--purge"]).expect(0);
}
