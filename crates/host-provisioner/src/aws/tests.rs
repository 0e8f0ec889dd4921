//! Every call of every client, answered by something that is not AWS: never a result, never a plain no.

use std::{future::Future, pin::Pin};

use aws_config::{BehaviorVersion, Region, SdkConfig, retry::RetryConfig};
use aws_sdk_ec2::config::{Credentials, SharedCredentialsProvider};
use aws_smithy_runtime_api::client::{
    http::{HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector, http_client_fn},
    orchestrator::{HttpRequest, HttpResponse},
    runtime_components::RuntimeComponents,
};
use aws_smithy_types::body::SdkBody;

use super::*;
use crate::{
    CloudError, CloudErrorKind, DryRun, ImageFilter, InstanceFilter, Market, QuotaClass, Rule, Tagged,
    fake::environment, provisioner::tests::request,
};

/// A connection on which every request gets the same answer.
#[derive(Clone, Debug)]
struct Canned {
    status: u16,
    headers: Vec<(&'static str, &'static str)>,
    body: &'static str,
}

impl HttpConnector for Canned {
    fn call(&self, _request: HttpRequest) -> HttpConnectorFuture {
        let status = aws_smithy_runtime_api::http::StatusCode::try_from(self.status).expect("a status");
        let mut response = HttpResponse::new(status, SdkBody::from(self.body));
        for (name, value) in &self.headers {
            response.headers_mut().insert(*name, *value);
        }
        HttpConnectorFuture::ready(Ok(response))
    }
}

/// The same, of which the bodies of all requests are kept.
#[derive(Clone, Debug)]
struct Recorded {
    canned: Canned,
    bodies: Arc<std::sync::Mutex<Vec<String>>>,
}

impl HttpConnector for Recorded {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let body = String::from_utf8_lossy(request.body().bytes().unwrap_or_default()).into_owned();
        self.bodies.lock().expect("not poisoned").push(body);
        self.canned.call(request)
    }
}

impl Recorded {
    fn new(status: u16, body: &'static str) -> Self {
        Self { canned: Canned { status, headers: vec![], body }, bodies: Arc::default() }
    }

    fn bodies(&self) -> Vec<String> {
        std::mem::take(&mut self.bodies.lock().expect("not poisoned"))
    }
}

fn answering(canned: &Canned) -> Cloud {
    over(SharedHttpConnector::new(canned.clone()))
}

fn over(connector: SharedHttpConnector) -> Cloud {
    let client = http_client_fn(move |_: &HttpConnectorSettings, _: &RuntimeComponents| connector.clone());
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-west-1"))
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new("id", "secret", None, None, "test")))
        .http_client(client)
        .retry_config(RetryConfig::disabled())
        .build();
    cloud(&config)
}

type Asked<'a> = Pin<Box<dyn Future<Output = Result<String, CloudError>> + 'a>>;

/// Every call that provisioning makes, by its name.
async fn every_call(cloud: &Cloud) -> Vec<(&'static str, Asked<'_>)> {
    fn told<'a, T: std::fmt::Debug + 'a>(call: impl Future<Output = Result<T, CloudError>> + 'a) -> Asked<'a> {
        Box::pin(async move { call.await.map(|result| format!("{result:?}")) })
    }
    let spec: &'static crate::LaunchSpec = Box::leak(Box::new({
        let account = Arc::new(crate::fake::Account::studio());
        let survey = crate::Survey::take(&Cloud::of(account), &environment(), &request("h")).await.expect("a survey");
        let plan = crate::HostPlan::new(&environment(), &request("h"), &survey).expect("a plan");
        plan.launch_spec(&plan.placements[0], Market::OnDemand, &["sg-1".into()], Tagged::Nothing)
    }));
    macro_rules! leak {
        ($value:expr) => {
            &*Box::leak(Box::new($value))
        };
    }
    let rule: &'static [Rule] = Box::leak(Box::new([Rule::port(1111, crate::Peer::Group("sg-app".into()))]));
    let groups: &'static [studio_discovery::SecurityGroupId] = leak!([studio_discovery::SecurityGroupId::new("sg-1")]);
    let group = &groups[0];
    vec![
        ("list images", told(cloud.images.list(leak!(ImageFilter { names: vec!["al2023*".to_owned()] })))),
        ("describe an image", told(cloud.images.describe(leak!("ami-1".into())))),
        ("describe a type", told(cloud.instance_types.describe(leak!("c5.xlarge".into())))),
        ("zones of a type", told(cloud.instance_types.zones(leak!("c5.xlarge".into())))),
        ("find groups", told(cloud.security_groups.find(leak!("vpc-1".into()), leak!(["DockerHost".to_owned()])))),
        ("describe groups", told(cloud.security_groups.describe(groups))),
        ("create a group", told(cloud.security_groups.create(leak!("vpc-1".into()), "DockerHost", "a", &[]))),
        ("authorize ingress", told(cloud.security_groups.authorize_ingress(group, rule))),
        ("authorize egress", told(cloud.security_groups.authorize_egress(group, rule))),
        ("revoke egress", told(cloud.security_groups.revoke_default_egress(group))),
        ("delete a group", told(cloud.security_groups.delete(group))),
        ("interfaces of a group", told(cloud.security_groups.interfaces_using(group))),
        ("list mount targets", told(cloud.mount_targets.list(leak!("fs-1".into())))),
        ("groups of a mount target", told(cloud.mount_targets.security_groups(leak!("fsmt-1".into())))),
        ("set groups of a mount target", told(cloud.mount_targets.set_security_groups(leak!("fsmt-1".into()), groups))),
        ("launch", told(cloud.instances.run(spec))),
        ("describe an instance", told(cloud.instances.describe(leak!("i-1".into())))),
        ("list instances", told(cloud.instances.list(leak!(InstanceFilter::default())))),
        ("terminate", told(cloud.instances.terminate(leak!("i-1".into())))),
        ("DNS of a VPC", told(cloud.networks.dns(leak!("vpc-1".into())))),
        ("a quota", told(cloud.quotas.vcpus(QuotaClass::Standard, Market::OnDemand))),
        ("Spot prices", told(cloud.spot_prices.current(leak!("c5.xlarge".into())))),
        ("a dry run", told(cloud.dry_runs.dry_run(leak!(DryRun::Terminate("i-1".into()))))),
    ]
}

#[tokio::test]
async fn what_is_not_awss_answer_is_no_answer_to_any_call() {
    const PAGE: &str = "<!DOCTYPE html><html><head><title>Blocked</title></head><body>by policy</body></html>";
    let html = |status| Canned { status, headers: vec![("content-type", "text/html")], body: PAGE };
    let named = ("x-amzn-RequestId", "7560489e-8bc7-4a56-a09a-757ce6f4832a");
    let foreign = [
        html(200),
        html(302),
        html(403),
        html(407),
        html(451),
        html(500),
        html(503),
        Canned { status: 200, headers: vec![], body: "" },
        Canned { status: 204, headers: vec![], body: "" },
        Canned { status: 200, headers: vec![named], body: "" },
        Canned { status: 403, headers: vec![], body: "" },
        Canned { status: 200, headers: vec![], body: "{}" },
        Canned { status: 403, headers: vec![], body: "{\"code\": \"Blocked\", \"message\": \"by policy\"}" },
        Canned { status: 200, headers: vec![named], body: "{\"MountTargets\": [" },
        Canned { status: 200, headers: vec![], body: "<DescribeInstancesResponse/>" },
        Canned {
            status: 200,
            headers: vec![named],
            body: "<DescribeInstancesResponse><requestId>1</requestId><reservationSet>",
        },
    ];
    let mut cases = 0;
    for canned in foreign {
        let cloud = answering(&canned);
        for (name, call) in every_call(&cloud).await {
            // EFS's one write reads nothing of its answer's body: here the header is what tells, and this one has it.
            if name == "set groups of a mount target" && canned.status == 200 && canned.headers.contains(&named) {
                continue;
            }
            let error = call.await.expect_err(name);
            assert!(matches!(error.kind, CloudErrorKind::ForeignAnswer(_)), "{name}, {canned:?}: {error:?}");
            assert!(error.outcome_is_unknown(), "{name}");
            let text = error.to_string();
            assert!(text.contains(&format!("not AWS's (HTTP status {}", canned.status)), "{text}");
            assert!(canned.body != PAGE || text.contains("text/html: \"Blocked by policy\""), "{text}");
            cases += 1;
        }
    }
    assert!(cases > 300, "{cases}");
}

#[tokio::test]
async fn awss_own_answers_stay_what_they_are() {
    let named = ("x-amzn-RequestId", "7560489e-8bc7-4a56-a09a-757ce6f4832a");
    // EC2's own form names the request in the document.
    let none = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<DescribeInstancesResponse><requestId>1</requestId><reservationSet/>\
                </DescribeInstancesResponse>";
    let cloud = answering(&Canned { status: 200, headers: vec![], body: none });
    assert_eq!(cloud.instances.describe(&"i-1".into()).await.expect("AWS's"), None);

    let refused = "<?xml version=\"1.0\"?><Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>no</Message></Error>\
                   </Errors><RequestID>1</RequestID></Response>";
    let cloud = answering(&Canned { status: 403, headers: vec![], body: refused });
    let error = cloud.instances.terminate(&"i-1".into()).await.expect_err("refused");
    assert!(error.is_access_denied() && !error.outcome_is_unknown(), "{error:?}");

    let cloud = answering(&Canned { status: 204, headers: vec![named], body: "" });
    cloud.mount_targets.set_security_groups(&"fsmt-1".into(), &[]).await.expect("done");
    let body = "{\"ErrorCode\": \"MountTargetNotFound\", \"Message\": \"no such mount target\"}";
    let headers = vec![named, ("x-amzn-ErrorType", "MountTargetNotFound")];
    let cloud = answering(&Canned { status: 404, headers, body });
    assert!(cloud.mount_targets.security_groups(&"fsmt-1".into()).await.expect_err("gone").is_not_found());
}

/// What an image says of its further volumes does not keep them after their host's end, or unencrypted.
#[tokio::test]
async fn every_volume_of_an_image_ends_with_its_host() {
    let image = "<?xml version=\"1.0\"?><DescribeImagesResponse><requestId>1</requestId><imagesSet><item><imageId>ami-1</imageId>\
                 <architecture>x86_64</architecture><rootDeviceName>/dev/xvda</rootDeviceName><blockDeviceMapping>\
                 <item><deviceName>/dev/xvda</deviceName><ebs><volumeSize>30</volumeSize></ebs></item>\
                 <item><deviceName>/dev/sdf</deviceName><ebs><deleteOnTermination>false</deleteOnTermination></ebs></item>\
                 <item><deviceName>/dev/sdb</deviceName><virtualName>ephemeral0</virtualName></item>\
                 </blockDeviceMapping></item></imagesSet></DescribeImagesResponse>";
    let cloud = answering(&Canned { status: 200, headers: vec![], body: image });
    let image = cloud.images.describe(&"ami-1".into()).await.expect("AWS's").expect("there is one");
    assert_eq!(image.other_volumes, ["/dev/sdf"]);

    let account = Arc::new(crate::fake::Account::studio());
    let mut survey = crate::Survey::take(&Cloud::of(account), &environment(), &request("h")).await.expect("a survey");
    for known in &mut survey.images {
        known.other_volumes.clone_from(&image.other_volumes);
    }
    let plan = crate::HostPlan::new(&environment(), &request("h"), &survey).expect("a plan");
    let recorded = Recorded::new(200, "");
    let cloud = over(SharedHttpConnector::new(recorded.clone()));
    let spec = plan.launch_spec(&plan.placements[0], Market::OnDemand, &["sg-1".into()], Tagged::Everything);
    cloud.instances.run(&spec).await.expect_err("no answer");
    let [body] = &recorded.bodies()[..] else { panic!("one request") };
    for said in ["DeviceName=%2Fdev%2Fsdf", "Ebs.DeleteOnTermination=true", "Ebs.Encrypted=true"] {
        assert!(body.contains(&format!("BlockDeviceMapping.2.{said}")), "{body}");
    }
}

/// An organization may demand tags of Spot requests as well; a launch on demand makes none.
#[tokio::test]
async fn a_spot_request_has_the_hosts_tags() {
    let account = Arc::new(crate::fake::Account::studio());
    let survey = crate::Survey::take(&Cloud::of(account), &environment(), &request("h")).await.expect("a survey");
    let plan = crate::HostPlan::new(&environment(), &request("h"), &survey).expect("a plan");
    let recorded = Recorded::new(200, "");
    let cloud = over(SharedHttpConnector::new(recorded.clone()));
    for (market, tagged, expected) in [
        (Market::Spot, Tagged::Everything, true),
        (Market::Spot, Tagged::AllButSpotRequest, false),
        (Market::OnDemand, Tagged::Everything, false),
    ] {
        let spec = plan.launch_spec(&plan.placements[0], market, &["sg-1".into()], tagged);
        cloud.instances.run(&spec).await.expect_err("no answer");
        let [body] = &recorded.bodies()[..] else { panic!("one request") };
        assert_eq!(body.contains("ResourceType=spot-instances-request"), expected, "{market:?} {tagged:?}: {body}");
        assert!(body.contains("ResourceType=network-interface"), "{body}");
    }
    assert_eq!(Tagged::Everything.less(Market::OnDemand), Some(Tagged::InstanceAndVolume));
    assert_eq!(Tagged::Everything.less(Market::Spot), Some(Tagged::AllButSpotRequest));
}

/// A connection on which each request gets the next answer; the last one again and again.
#[derive(Clone, Debug)]
struct Scripted {
    answers: Arc<std::sync::Mutex<Vec<Canned>>>,
    bodies: Arc<std::sync::Mutex<Vec<String>>>,
}

impl HttpConnector for Scripted {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let mut answers = self.answers.lock().expect("not poisoned");
        let next = if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() };
        Recorded { canned: next, bodies: self.bodies.clone() }.call(request)
    }
}

/// In a VPC that another account shares, the app's group can be that account's.
#[tokio::test]
async fn a_rule_names_the_account_of_anothers_group() {
    let canned = |status, body| Canned { status, headers: vec![], body };
    let unknown = canned(
        400,
        "<?xml version=\"1.0\"?><Response><Errors><Error><Code>InvalidGroup.NotFound</Code><Message>no</Message></Error></Errors>\
         <RequestID>1</RequestID></Response>",
    );
    let groups = canned(
        200,
        "<?xml version=\"1.0\"?><DescribeSecurityGroupsResponse><requestId>1</requestId><securityGroupInfo>\
         <item><groupId>sg-1</groupId><ownerId>111111111111</ownerId></item>\
         <item><groupId>sg-app</groupId><ownerId>222222222222</ownerId></item>\
         <item><groupId>sg-own</groupId><ownerId>111111111111</ownerId></item></securityGroupInfo></DescribeSecurityGroupsResponse>",
    );
    let done = canned(
        200,
        "<?xml version=\"1.0\"?><AuthorizeSecurityGroupIngressResponse><requestId>1</requestId><return>true</return>\
         </AuthorizeSecurityGroupIngressResponse>",
    );
    let rules = ["sg-app", "sg-own"].map(|peer| Rule::port(1111, crate::Peer::Group(peer.into())));
    let asked = async |answers: Vec<Canned>| {
        let script = Scripted { answers: Arc::new(answers.into()), bodies: Arc::default() };
        let cloud = over(SharedHttpConnector::new(script.clone()));
        let result = cloud.security_groups.authorize_ingress(&"sg-1".into(), &rules).await;
        let bodies = script.bodies.lock().expect("not poisoned").clone();
        (result, bodies)
    };
    let (result, bodies) = asked(vec![unknown.clone(), groups.clone(), done.clone()]).await;
    result.expect("taken with its account");
    assert_eq!(bodies.len(), 3, "{bodies:?}");
    assert!(!bodies[0].contains("UserId"), "{}", bodies[0]);
    assert_eq!(bodies[2].matches("UserId=").count(), 1, "its own account needs no naming: {}", bodies[2]);
    assert!(bodies[2].contains("IpPermissions.1.Groups.1.UserId=222222222222"), "{}", bodies[2]);

    let (result, bodies) = asked(vec![done]).await;
    assert!(result.is_ok() && bodies.len() == 1, "nobody is asked where that is not needed: {bodies:?}");
    // A group that nobody knows stays unknown.
    let (result, bodies) = asked(vec![unknown]).await;
    assert!(result.expect_err("no such group").is_not_found() && bodies.len() == 2, "{bodies:?}");
}

#[tokio::test]
async fn what_leaves_a_group_is_closed_for_ipv6_as_well() {
    let none = "<?xml version=\"1.0\"?><Response><Errors><Error><Code>InvalidPermission.NotFound</Code><Message>no</Message></Error>\
                </Errors><RequestID>1</RequestID></Response>";
    let recorded = Recorded::new(400, none);
    let cloud = over(SharedHttpConnector::new(recorded.clone()));
    cloud.security_groups.revoke_default_egress(&"sg-1".into()).await.expect("gone already");
    let bodies = recorded.bodies();
    assert!(bodies.len() == 2 && bodies[0].contains("CidrIp=0.0.0.0%2F0"), "{bodies:?}");
    assert!(bodies[1].contains("CidrIpv6=%3A%3A%2F0"), "{bodies:?}");
}

/// The newest price of each zone counts, in whatever order they come, and what can't be one does not.
#[tokio::test]
async fn a_spot_price_is_the_newest_of_its_zone() {
    let answer = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<DescribeSpotPriceHistoryResponse><requestId>1</requestId><spotPriceHistorySet>\
        <item><spotPrice>0.071000</spotPrice><timestamp>2026-01-02T10:00:00.000Z</timestamp><availabilityZone>eu-west-1a</availabilityZone></item>\
        <item><spotPrice>0.070200</spotPrice><timestamp>2026-01-02T12:00:00.000Z</timestamp><availabilityZone>eu-west-1a</availabilityZone></item>\
        <item><spotPrice>0.090000</spotPrice><timestamp>2026-01-01T10:00:00.000Z</timestamp><availabilityZone>eu-west-1a</availabilityZone></item>\
        <item><spotPrice>0.074100</spotPrice><timestamp>2026-01-02T10:00:00.000Z</timestamp><availabilityZone>eu-west-1b</availabilityZone></item>\
        <item><spotPrice>none</spotPrice><timestamp>2026-01-02T10:00:00.000Z</timestamp><availabilityZone>eu-west-1c</availabilityZone></item>\
        </spotPriceHistorySet><nextToken></nextToken></DescribeSpotPriceHistoryResponse>";
    let recorded = Recorded::new(200, answer);
    let cloud = over(SharedHttpConnector::new(recorded.clone()));
    let found = cloud.spot_prices.current(&"c5.xlarge".into()).await.expect("AWS's");
    assert_eq!(found.into_iter().collect::<Vec<_>>(), [("eu-west-1a".into(), 0.0702), ("eu-west-1b".into(), 0.0741)]);
    // An empty token ends the list.
    let bodies = recorded.bodies();
    assert_eq!(bodies.len(), 1);
    assert!(bodies[0].contains("InstanceType.1=c5.xlarge") && bodies[0].contains("StartTime=20"), "{bodies:?}");
}
