//! An account with a SageMaker Studio domain in it.

use std::{
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
};

use studio_discovery::{
    AccountId, AppKind, DomainDescription, EfsHome, StudioApp, StudioEnvironment, Tag, UserProfileDescription,
};

use super::{State, SubnetState, state::MountTargetState};
use crate::{Architecture, Image, InstanceTypeInfo, MountTarget, SecurityGroup};

impl State {
    /// A `VpcOnly` domain `d-studio` of user profile `ana`, with three subnets in three zones of which the first two have a mount
    /// target of the domain's EFS file system, and images and instance types of each kind.
    pub fn studio() -> Self {
        let mut state = Self::default();
        let zones = ["eu-west-1a", "eu-west-1b", "eu-west-1c"];
        for (position, zone) in (1_u8..).zip(zones) {
            state.subnets.push(SubnetState {
                id: format!("subnet-{position}").into(),
                vpc: "vpc-studio".into(),
                zone: zone.into(),
                network: [10, 0, position],
                on_demand_capacity: None,
                spot_capacity: None,
            });
        }
        for (id, name) in [("sg-app", "studio-apps"), ("sg-efs", "efs")] {
            state.groups.push(SecurityGroup {
                id: id.into(),
                name: name.to_owned(),
                vpc: "vpc-studio".into(),
                ingress: Vec::new(),
                egress: Vec::new(),
                tags: Vec::new(),
            });
        }
        for (position, zone) in (1_u8..3).zip(zones) {
            state.mount_targets.push(MountTargetState {
                target: MountTarget {
                    id: format!("fsmt-{position}").into(),
                    file_system: "fs-studio".into(),
                    subnet: format!("subnet-{position}").into(),
                    vpc: Some("vpc-studio".into()),
                    zone: zone.into(),
                    interface: Some(format!("eni-{position}").into()),
                    address: IpAddr::V4(Ipv4Addr::new(10, 0, position, 4)),
                    available: true,
                },
                groups: vec!["sg-efs".into()],
            });
        }
        state.images = images();
        state.instance_types = instance_types();
        state.domain = DomainDescription {
            vpc_only: true,
            vpc: Some("vpc-studio".into()),
            subnets: state.subnets.iter().map(|subnet| subnet.id.clone()).collect(),
            default_security_groups: vec!["sg-app".into()],
            space_security_groups: Vec::new(),
            default_execution_role: Some("arn:aws:iam::123456789012:role/studio".into()),
            space_execution_role: None,
            file_system: Some("fs-studio".into()),
        };
        state.account = Some("123456789012".into());
        state.region = "eu-west-1".into();
        state.domain_id = "d-studio".into();
        state.profile_name = "ana".into();
        state.profile = UserProfileDescription {
            arn: Some("arn:aws:sagemaker:eu-west-1:123456789012:user-profile/d-studio/ana".to_owned()),
            security_groups: Vec::new(),
            execution_role: None,
            efs_uid: Some(200_005),
        };
        state.profile_tags = vec![Tag::new("team", "forecasting")];
        state
    }
}

fn images() -> Vec<Image> {
    let image = |id: &str, name: &str, created: &str, architecture, size| Image {
        id: id.into(),
        name: name.to_owned(),
        created: format!("{created}T00:00:00.000Z"),
        architecture,
        root_device: "/dev/xvda".to_owned(),
        root_size_gib: Some(size),
        other_volumes: Vec::new(),
    };
    let (x86, arm) = (Architecture::X86_64, Architecture::Arm64);
    let gpu = "Base OSS Nvidia Driver GPU AMI (Amazon Linux 2023)";
    vec![
        image("ami-old", "al2023-ami-ecs-hvm-2023.0.20250101-kernel-6.1-x86_64", "2025-01-01", x86, 30),
        image("ami-x86", "al2023-ami-ecs-hvm-2023.0.20260901-kernel-6.1-x86_64", "2026-09-01", x86, 30),
        image("ami-arm", "al2023-ami-ecs-hvm-2023.0.20260901-kernel-6.1-arm64", "2026-09-01", arm, 30),
        image("ami-gpu", &format!("Deep Learning {gpu} 20260901"), "2026-09-01", x86, 75),
        image("ami-arm-gpu", &format!("Deep Learning ARM64 {gpu} 20260901"), "2026-09-01", arm, 75),
        image("ami-other", "debian-12-amd64-20260901", "2026-09-01", x86, 8),
    ]
}

fn instance_types() -> Vec<InstanceTypeInfo> {
    let kind = |name: &str, architecture, nvidia_gpus, gib: u64, vcpus| InstanceTypeInfo {
        instance_type: name.into(),
        architecture,
        nvidia_gpus,
        memory_mib: Some(gib * 1024),
        vcpus: Some(vcpus),
    };
    let (x86, arm) = (Architecture::X86_64, Architecture::Arm64);
    vec![
        kind("t3.medium", x86, 0, 4, 2),
        kind("t3.xlarge", x86, 0, 16, 4),
        kind("m5.large", x86, 0, 8, 2),
        kind("m5.xlarge", x86, 0, 16, 4),
        kind("m5.2xlarge", x86, 0, 32, 8),
        kind("c5.large", x86, 0, 4, 2),
        kind("c5.xlarge", x86, 0, 8, 4),
        kind("c5.2xlarge", x86, 0, 16, 8),
        kind("c5.4xlarge", x86, 0, 32, 16),
        kind("m7g.large", arm, 0, 8, 2),
        kind("c7g.xlarge", arm, 0, 8, 4),
        kind("g4dn.xlarge", x86, 1, 16, 4),
        kind("g5.xlarge", x86, 1, 16, 4),
        kind("g5g.xlarge", arm, 1, 8, 4),
        kind("p3.2xlarge", x86, 1, 61, 8),
    ]
}

/// What [`studio_discovery::discover`] finds in an app of user profile `ana`, in the domain that [`State::studio`] describes.
pub fn environment() -> StudioEnvironment {
    StudioEnvironment {
        region: "eu-west-1".into(),
        account: AccountId::new("123456789012"),
        domain: "d-studio".into(),
        app: StudioApp { kind: AppKind::KernelGateway, arn: "arn:app".to_owned(), name: "app".to_owned() },
        owner: "ana".into(),
        space: None,
        vpc: "vpc-studio".into(),
        subnets: vec!["subnet-1".into(), "subnet-2".into(), "subnet-3".into()],
        security_groups: vec!["sg-app".into()],
        execution_role: None,
        efs: Some(EfsHome { file_system: "fs-studio".into(), uid: 200_005 }),
        home: PathBuf::from("/home/sagemaker-user"),
        shared_mounts: Vec::new(),
        tags: vec![Tag::new("team", "forecasting")],
    }
}
