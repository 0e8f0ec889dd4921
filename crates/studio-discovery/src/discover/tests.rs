use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use mockall::predicate::eq;

use super::*;
use crate::{AccountId, AppKind, DomainDescription, DomainId, MockStudioApi, Region, SpaceName, StudioApp, SubnetId};

fn facts(kind: AppKind, profile: Option<&str>, space: Option<&str>) -> LocalFacts {
    LocalFacts {
        region: Region::new("eu-west-1"),
        region_conflicts: Vec::new(),
        account: AccountId::new("123456789012"),
        domain: DomainId::new("d-1"),
        app: StudioApp { kind, name: "default".into(), arn: "arn".into() },
        profile: profile.map(Into::into),
        space: space.map(Into::into),
        execution_role: None,
        home: "/home/sagemaker-user".into(),
        mounts: Vec::new(),
    }
}

fn domain() -> DomainDescription {
    DomainDescription {
        vpc_only: true,
        vpc: Some("vpc-1".into()),
        subnets: vec!["subnet-b".into(), "subnet-a".into()],
        default_security_groups: vec!["sg-domain".into()],
        space_security_groups: vec!["sg-space".into()],
        default_execution_role: Some("arn:aws:iam::123456789012:role/domain".into()),
        space_execution_role: Some("arn:aws:iam::123456789012:role/space".into()),
        file_system: Some("fs-1".into()),
    }
}

fn profile() -> UserProfileDescription {
    UserProfileDescription {
        arn: Some("arn:profile".into()),
        security_groups: vec!["sg-ann".into()],
        execution_role: None,
        efs_uid: Some(200_005),
    }
}

/// SageMaker with a user profile `ann` and what is given.
fn api(domain: DomainDescription, profile: UserProfileDescription, space: Option<SpaceDescription>) -> MockStudioApi {
    let mut api = MockStudioApi::new();
    api.expect_describe_domain().with(eq(DomainId::new("d-1"))).returning(move |_| Ok(domain.clone()));
    api.expect_describe_user_profile()
        .with(eq(DomainId::new("d-1")), eq(UserProfileName::new("ann")))
        .returning(move |_, _| Ok(profile.clone()));
    if let Some(space) = space {
        api.expect_describe_space().returning(move |_, _| Ok(space.clone()));
    }
    api.expect_list_tags()
        .with(eq("arn:profile"))
        .returning(|_| Ok(vec![Tag::new("team", "b"), Tag::new("cost", "1")]));
    api
}

async fn found(facts: &LocalFacts, api: &MockStudioApi) -> StudioEnvironment {
    let discovery = discover(facts, api).await.expect("discovered");
    assert_eq!(discovery.warnings, []);
    discovery.environment
}

#[tokio::test]
async fn a_user_profiles_app() {
    let environment = found(&facts(AppKind::KernelGateway, Some("ann"), None), &api(domain(), profile(), None)).await;
    insta::assert_json_snapshot!(environment);
}

#[tokio::test]
async fn the_domains_defaults_stand_in_for_what_the_profile_lacks() {
    let bare = UserProfileDescription { security_groups: Vec::new(), ..profile() };
    let environment = found(&facts(AppKind::JupyterServer, Some("ann"), None), &api(domain(), bare, None)).await;
    assert_eq!(environment.security_groups, ["sg-domain".into()]);
    let none = DomainDescription { default_security_groups: Vec::new(), file_system: None, ..domain() };
    let bare = UserProfileDescription { security_groups: Vec::new(), efs_uid: None, ..profile() };
    let environment = found(&facts(AppKind::JupyterServer, Some("ann"), None), &api(none, bare, None)).await;
    assert_eq!(environment.shared_folder(), None, "a home that is on no file system of the domain's");
    assert_eq!((environment.security_groups, environment.efs), (Vec::new(), None));
}

#[tokio::test]
async fn a_space_belongs_to_its_owner() {
    let space = SpaceDescription { shared: false, owner: Some("ann".into()), efs_uid: None };
    let environment =
        found(&facts(AppKind::JupyterLab, None, Some("lab")), &api(domain(), profile(), Some(space))).await;
    assert_eq!((environment.owner, environment.space), ("ann".into(), Some(SpaceName::new("lab"))));
    assert_eq!(environment.security_groups, ["sg-ann".into()]);
    assert_eq!(environment.efs, Some(EfsHome { file_system: "fs-1".into(), uid: 200_005 }));
}

#[tokio::test]
async fn a_shared_space_has_its_own_groups_and_in_classic_its_own_home() {
    let space = SpaceDescription { shared: true, owner: Some("ann".into()), efs_uid: Some(300_001) };
    let shared = |kind| facts(kind, None, Some("team"));
    let classic = found(&shared(AppKind::KernelGateway), &api(domain(), profile(), Some(space.clone()))).await;
    assert_eq!(classic.security_groups, ["sg-space".into()]);
    assert_eq!(classic.efs.map(|efs| efs.uid), Some(300_001));
    let lab = found(&shared(AppKind::JupyterLab), &api(domain(), profile(), Some(space))).await;
    assert_eq!(lab.security_groups, ["sg-space".into()]);
    assert_eq!(lab.efs.map(|efs| efs.uid), Some(200_005), "the access point in a space is the owner's");
}

/// Spaces of Classic are made without an owner: whoever works in one, hosts are the space's.
#[tokio::test]
async fn a_shared_space_of_classic_needs_no_owner() {
    for kind in [AppKind::JupyterServer, AppKind::KernelGateway] {
        let space = SpaceDescription { shared: false, owner: None, efs_uid: Some(300_001) };
        // No user profile is asked about: the mock would refuse another than `ann`.
        let api = api(domain(), profile(), Some(space));
        let facts = facts(kind, None, Some("team"));
        assert_eq!(owner_of(&facts, &api).await.expect("the space").as_str(), "space/team");
        let environment = found(&facts, &api).await;
        assert_eq!(environment.owner.as_str(), "space/team");
        assert_eq!(environment.security_groups, ["sg-space".into()]);
        assert_eq!(
            environment.efs,
            Some(EfsHome { file_system: "fs-1".into(), uid: 300_001 }),
            "the space's own folder"
        );
        let role = environment.execution_role.expect("the spaces' role");
        assert_eq!((role.as_str(), environment.tags), ("arn:aws:iam::123456789012:role/space", Vec::new()));
    }
}

#[tokio::test]
async fn what_can_not_work_is_refused() {
    let app = facts(AppKind::KernelGateway, Some("ann"), None);
    let refused = async |domain| discover(&app, &api(domain, profile(), None)).await.expect_err("refused");
    let public = refused(DomainDescription { vpc_only: false, ..domain() }).await;
    assert!(matches!(public, DiscoveryError::NotVpcOnly { .. }));
    assert!(hint(&public).is_some_and(|hint| hint.contains("--app-network-access-type VpcOnly")));
    let no_vpc = refused(DomainDescription { vpc: None, ..domain() }).await;
    assert_eq!(no_vpc.to_string(), "the response to sagemaker:DescribeDomain for d-1 has no VpcId");
    let no_subnets = refused(DomainDescription { subnets: Vec::<SubnetId>::new(), ..domain() }).await;
    assert_eq!(no_subnets.to_string(), "the response to sagemaker:DescribeDomain for d-1 has no SubnetIds");

    let orphan = SpaceDescription { shared: false, owner: None, efs_uid: None };
    let error = discover(&facts(AppKind::JupyterLab, None, Some("lab")), &api(domain(), profile(), Some(orphan)))
        .await
        .expect_err("refused");
    assert!(matches!(error, DiscoveryError::NoOwner { .. }), "{error}");
}

#[tokio::test]
async fn tags_that_may_not_be_read_are_done_without_and_said() {
    let denied = || ApiError::AccessDenied {
        action: "sagemaker:ListTags",
        resource: "arn:profile".into(),
        message: String::new(),
    };
    let mut api = MockStudioApi::new();
    api.expect_describe_domain().returning(|_| Ok(domain()));
    api.expect_describe_user_profile().returning(|_, _| Ok(profile()));
    api.expect_list_tags().times(1).returning(move |_| Err(denied()));
    let app = facts(AppKind::KernelGateway, Some("ann"), None);
    let discovery = discover(&app, &api).await.expect("it goes on");
    assert_eq!(discovery.environment.tags, []);
    assert!(discovery.warnings[0].to_string().contains("sagemaker:ListTags"), "{}", discovery.warnings[0]);
}

/// Answers nobody until two calls are under way.
struct Together(Arc<AtomicUsize>, MockStudioApi);

impl Together {
    async fn both(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
        while self.0.load(Ordering::SeqCst) < 2 {
            tokio::task::yield_now().await;
        }
    }
}

#[async_trait]
impl StudioApi for Together {
    async fn describe_domain(&self, id: &DomainId) -> Result<DomainDescription, ApiError> {
        self.both().await;
        self.1.describe_domain(id).await
    }

    async fn describe_user_profile(
        &self,
        domain: &DomainId,
        profile: &UserProfileName,
    ) -> Result<UserProfileDescription, ApiError> {
        self.both().await;
        self.1.describe_user_profile(domain, profile).await
    }

    async fn describe_space(&self, domain: &DomainId, space: &SpaceName) -> Result<SpaceDescription, ApiError> {
        self.1.describe_space(domain, space).await
    }

    async fn list_tags(&self, arn: &str) -> Result<Vec<Tag>, ApiError> {
        self.1.list_tags(arn).await
    }
}

#[tokio::test(start_paused = true)]
async fn the_domain_and_the_profile_are_asked_at_the_same_time() {
    let api = Together(Arc::default(), api(domain(), profile(), None));
    let app = facts(AppKind::KernelGateway, Some("ann"), None);
    let discovery = tokio::time::timeout(std::time::Duration::from_secs(1), discover(&app, &api)).await;
    discovery.expect("neither waits for the other").expect("discovered");
}
