use super::*;
use crate::{group_plan, provisioner::tests::request};

fn tag(key: &str, value: &str) -> Tag {
    Tag::new(key, value)
}

#[test]
fn our_own_groups_are_taken() {
    let vpc = "vpc-1".into();
    let groups = [
        group_plan::docker_group((&vpc, &"d-1".into()), &["sg-app".into()], &request("h")),
        group_plan::nfs_group(&vpc, &"d-1".into()),
    ];
    for group in groups {
        check_group(&group).expect("it is taken");
    }
}

#[test]
fn names_and_descriptions_of_groups() {
    let plan = group_plan::nfs_group(&"vpc-1".into(), &"d-1".into());
    let long = "x".repeat(256);
    for (name, description, taken) in [
        ("DockerHost", "of the domain", true),
        ("a.b_c-d:e/f(g)h#i,j@k[l]m+n=o&p;q{r}s!t$u*v 9", "", true),
        ("DockerHost", "the domain's", false),
        ("DockerHost", "größe", false),
        ("DockerHost", &long, false),
        ("", "", false),
        ("sg-mine", "", false),
        ("SG-mine", "", false),
        ("a\"b", "", false),
        (&long, "", false),
    ] {
        let group = GroupPlan { name: name.to_owned(), description: description.to_owned(), ..plan.clone() };
        assert_eq!(check_group(&group).is_ok(), taken, "{name} {description}");
    }
}

#[test]
fn rules_of_a_group() {
    let plan = |ports: usize, groups: usize, present: usize| {
        let mut request = request("h");
        // Beside the daemon's port and the endpoints'.
        request.config.additional_ports = (20_000..).take(ports - 2).collect();
        let groups: Vec<_> = (0..groups).map(|n| format!("sg-{n}").as_str().into()).collect();
        GroupPlan {
            present_ingress: present,
            ..group_plan::docker_group((&"vpc-1".into(), &"d-1".into()), &groups, &request)
        }
    };
    assert!(check_group(&plan(60, 1, 0)).is_ok());
    assert!(check_group(&plan(30, 2, 0)).is_ok());
    let error = check_group(&plan(31, 2, 0)).expect_err("too many");
    assert!(error.to_string().contains("62 inbound rules of security group DockerHost-d-1"), "{error}");
    assert!(error.to_string().contains("AdditionalPorts"), "{error}");
    assert!(check_group(&plan(30, 2, 1)).is_err(), "those that are there count");
}

#[test]
fn tags_of_a_user_profile() {
    let (long_key, long_value) = ("k".repeat(128), "v".repeat(257));
    let given = [
        tag("team", "ünïcode"),
        tag(&long_key, ""),
        tag("k", &long_value),
        tag("aws:createdBy", "x"),
        tag("AWS:x", "x"),
        tag("k2", "aws:x"),
        tag("", "x"),
        tag("team", "again"),
        tag("Team", ""),
    ];
    let (taken, left_out) = takes_tags(&given);
    assert_eq!(taken, [tag("team", "ünïcode"), tag("Team", "")]);
    assert_eq!(left_out, [&long_key, "k", "aws:createdBy", "AWS:x", "k2", "", "team"]);
}

#[test]
fn instance_profiles() {
    for arn in
        ["arn:aws:iam::123456789012:instance-profile/hosts", "arn:aws-cn:iam::123456789012:instance-profile/a/b/h+1@x"]
    {
        assert!(is_instance_profile(arn), "{arn}");
    }
    for arn in [
        "",
        "hosts",
        "arn:aws:iam::123456789012:role/hosts",
        "arn:aws:iam::123456789012:instance-profile/",
        "arn:aws:iam:eu-west-1:123456789012:instance-profile/hosts",
        "arn:aws:iam::1234:instance-profile/hosts",
        "arn:aws:iam::123456789012:instance-profile/h osts",
    ] {
        assert!(!is_instance_profile(arn), "{arn}");
    }
}
