//! The list of mounts, whose paths others choose: they become mounts of the host.
#![no_main]

use async_trait::async_trait;
use libfuzzer_sys::fuzz_target;
use sdocker_fuzz::{empty_folder, put};
use studio_discovery::{
    ApiError, DomainDescription, DomainId, LocalFacts, LocalSources, SpaceDescription, SpaceName, StudioApi, Tag,
    UserProfileDescription, UserProfileName, discover,
};

const METADATA: &[u8] =
    br#"{"AppType": "KernelGateway", "DomainId": "d-1", "UserProfileName": "ana", "ResourceName": "app",
    "ResourceArn": "arn:aws:sagemaker:eu-west-1:123456789012:app/d-1/ana/KernelGateway/app"}"#;

struct Domain;

#[async_trait]
impl StudioApi for Domain {
    async fn describe_domain(&self, _: &DomainId) -> Result<DomainDescription, ApiError> {
        let mut domain = DomainDescription::default();
        domain.vpc_only = true;
        domain.vpc = Some("vpc-1".into());
        domain.subnets = vec!["subnet-1".into()];
        domain.default_security_groups = vec!["sg-1".into()];
        domain.file_system = Some("fs-1".into());
        Ok(domain)
    }

    async fn describe_user_profile(
        &self,
        _: &DomainId,
        _: &UserProfileName,
    ) -> Result<UserProfileDescription, ApiError> {
        let mut profile = UserProfileDescription::default();
        profile.efs_uid = Some(200005);
        Ok(profile)
    }

    async fn describe_space(&self, _: &DomainId, _: &SpaceName) -> Result<SpaceDescription, ApiError> {
        Ok(SpaceDescription::default())
    }

    async fn list_tags(&self, _: &str) -> Result<Vec<Tag>, ApiError> {
        Ok(Vec::new())
    }
}

fuzz_target!(|input: &[u8]| {
    let root = empty_folder();
    put(&root.join("opt/ml/metadata/resource-metadata.json"), METADATA);
    put(&root.join("proc/self/mountinfo"), input);
    let sources = LocalSources {
        metadata_root: root.to_owned(),
        home: root.join("home"),
        region: None,
        aws_region: None,
        region_name: None,
    };
    let facts = LocalFacts::read(&sources).expect("lines that can't be read are left out");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let found = runtime.block_on(discover(&facts, &Domain)).expect("a domain with everything");
    for mount in &found.environment.shared_mounts {
        for path in mount.paths.iter().chain([&mount.remote_path]) {
            assert!(path.is_absolute(), "{path:?}");
            let up = path.components().any(|part| part == std::path::Component::ParentDir);
            assert!(!up, "a path of a mount leads up: {path:?}");
        }
    }
});
