"""The accounts: in each Region of each, two Studio domains in one VPC of moto's, somebody else's VPC beside it, and the answers of
services that moto lacks."""

import base64
import re
import threading

import boto3
from moto.backends import get_backend

from limits import GROUPS_PER_INTERFACE, SECURITY_GROUPS

# Where the suites are, unless a test says otherwise.
REGION = "eu-west-1"
ACCOUNT = "123456789012"
DOMAIN = "d-wire"
# A second domain in the same VPC, with a file system of its own.
NEIGHBOUR = "d-next"


def account_of(access_key):
    """The account of an access key: of `test` the suites' own, of `test-999999999999` that one."""
    found = re.fullmatch(r"test-([0-9]{12})", access_key)
    return found[1] if found else ACCOUNT


class Account:
    """What the front knows of one account in one Region beside moto."""

    def __init__(self, moto_url, account, region, number):
        """A VPC with three subnets in three zones, two of them with a mount target of each domain, and the apps' security group."""
        self.url, self.account, self.region, self.clients = moto_url, account, region, {}
        ec2, efs = self.client("ec2"), self.client("efs")
        network = lambda cidr: ec2.create_vpc(CidrBlock=cidr)["Vpc"]["VpcId"]
        subnet = lambda vpc, cidr, zone: ec2.create_subnet(VpcId=vpc, CidrBlock=cidr, AvailabilityZone=f"{region}{zone}")["Subnet"]["SubnetId"]
        security_group = lambda vpc, name: ec2.create_security_group(GroupName=name, Description=name, VpcId=vpc)["GroupId"]
        # Networks differ in their second and third number, so that instances differ at the front's loopback addresses as well.
        first, third = 2 * number, 8 * number
        vpc, elsewhere = network(f"10.{first}.0.0/16"), network(f"10.{first + 1}.0.0/16")
        subnets = [subnet(vpc, f"10.{first}.{third + n}.0/24", zone) for n, zone in ((1, "a"), (2, "b"), (3, "c"))]
        group, efs_group = security_group(vpc, "studio-apps"), security_group(vpc, "efs")
        if not self.client("iam").list_instance_profiles()["InstanceProfiles"]:
            self.client("iam").create_instance_profile(InstanceProfileName="hosts")
        self.user = f"arn:aws:sts::{account}:assumed-role/studio/app"

        def file_system(name):
            created = efs.create_file_system(CreationToken=name)["FileSystemId"]
            targets = [
                efs.create_mount_target(FileSystemId=created, SubnetId=subnet, SecurityGroups=[efs_group])["MountTargetId"]
                for subnet in reversed(subnets[:2])
            ]
            return created, targets

        # A domain is in one account and one Region.
        suffix = "" if (account, region) == (ACCOUNT, REGION) else f"-{region}-{account}"
        domain, neighbour = f"{DOMAIN}{suffix}", f"{NEIGHBOUR}{suffix}"
        own, targets = file_system(domain)
        next_own, next_targets = file_system(neighbour)
        self.seed = {
            "region": region, "account": account, "domain": domain, "profile": "ana", "vpc": vpc, "subnets": subnets,
            "group": group, "efs_group": efs_group, "file_system": own, "mount_targets": targets,
            "neighbour": {"domain": neighbour, "file_system": next_own, "mount_targets": next_targets},
            "elsewhere": {
                "vpc": elsewhere, "subnet": subnet(elsewhere, f"10.{first + 1}.{third + 4}.0/24", "a"),
                "group": security_group(elsewhere, "others"),
            },
        }
        self.domains = {
            name: {
                "DomainId": name, "AppNetworkAccessType": "VpcOnly", "VpcId": vpc, "SubnetIds": subnets, "HomeEfsFileSystemId": efs_of,
                "DefaultUserSettings": {"SecurityGroups": [group], "ExecutionRole": f"arn:aws:iam::{account}:role/studio"},
            }
            for name, efs_of in ((domain, own), (neighbour, next_own))
        }
        self.profile_tags = {"team": "forecasting", "cost-center": "42"}
        self.lifecycle_configs = {}
        self.quotas = {}
        # EC2 API reference, GetEbsDefaultKmsKeyId.
        self.volume_key = "alias/aws/ebs"

    def client(self, service):
        if service not in self.clients:
            client = boto3.client(service, region_name=self.region, endpoint_url=self.url)
            name_account = lambda request, **_: request.headers.update({"x-moto-account-id": self.account})
            client.meta.events.register("before-send", name_account)
            self.clients[service] = client
        return self.clients[service]

    def launch(self, tags):
        """An instance that somebody else launches; its id."""
        described = [{"ResourceType": "instance", "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}]
        image = self.client("ec2").describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
        answer = self.client("ec2").run_instances(
            ImageId=image, InstanceType="c5.large", MinCount=1, MaxCount=1, SubnetId=self.seed["subnets"][0],
            **({"TagSpecifications": described} if tags else {}),
        )
        return answer["Instances"][0]["InstanceId"]

    def dns(self, attributes):
        """Sets DNS attributes of the domains' VPC."""
        for attribute, value in attributes.items():
            self.client("ec2").modify_vpc_attribute(VpcId=self.seed["vpc"], **{attribute: {"Value": value}})

    def crowd(self, count):
        """Gives each mount target of the first domain this many security groups."""
        ec2, efs = self.client("ec2"), self.client("efs")
        groups = [self.seed["efs_group"]]
        for n in range(1, count):
            name = f"crowd-{len(ec2.describe_security_groups()['SecurityGroups'])}-{n}"
            groups.append(ec2.create_security_group(GroupName=name, Description=name, VpcId=self.seed["vpc"])["GroupId"])
        for target in self.seed["mount_targets"]:
            efs.modify_mount_target_security_groups(MountTargetId=target, SecurityGroups=groups)

    def live_instances(self):
        """Asked again and again by tests that wait: without a request."""
        found = (instance for reservation in self.reservations() for instance in reservation.instances)
        live = (instance for instance in found if instance.state not in ("terminated", "shutting-down"))
        return [{"id": instance.id, "tags": {tag["key"]: tag["value"] for tag in instance.get_tags()}} for instance in live]

    def reservations(self):
        # A list: requests change it meanwhile.
        return list(get_backend("ec2")[self.account][self.region].reservations.values())

    def forget_ended(self):
        """Lists instances that ended no more."""
        for reservation in self.reservations():
            reservation.instances = [instance for instance in reservation.instances if instance.state != "terminated"]

    def shared(self):
        """What hosts share: the VPC's security groups by their names, and the groups of each mount target."""
        ec2, efs = self.client("ec2"), self.client("efs")
        groups = ec2.describe_security_groups(Filters=[{"Name": "vpc-id", "Values": [self.seed["vpc"]]}])["SecurityGroups"]
        of_target = lambda target: sorted(efs.describe_mount_target_security_groups(MountTargetId=target)["SecurityGroups"])
        targets = self.seed["mount_targets"] + self.seed["neighbour"]["mount_targets"]
        return {
            "groups": {group["GroupName"]: group["GroupId"] for group in groups},
            "mount_targets": {target: of_target(target) for target in targets},
        }

    def sagemaker(self, action, request, tags_a_page):
        """The status and the answer of a call; an error is a code and a message."""
        arn = lambda name: f"arn:aws:sagemaker:{self.region}:{self.account}:{name}"
        domain = self.domains.get(request.get("DomainId"))
        if action == "DescribeDomain" and domain:
            return 200, domain
        if action == "DescribeUserProfile" and domain and request["UserProfileName"] == "ana":
            return 200, {
                "DomainId": request["DomainId"], "UserProfileName": "ana", "UserProfileArn": arn(f"user-profile/{request['DomainId']}/ana"),
                "HomeEfsFileSystemUid": "200005", "UserSettings": {},
            }
        if action == "DescribeSpace" and domain:
            return 200, {
                "DomainId": request["DomainId"], "SpaceName": request["SpaceName"],
                "OwnershipSettings": {"OwnerUserProfileName": "ana"}, "SpaceSharingSettings": {"SharingType": "Private"},
            }
        if action == "ListTags" and request["ResourceArn"] in (arn(f"user-profile/{name}/ana") for name in self.domains):
            tags = [{"Key": key, "Value": value} for key, value in self.profile_tags.items()]
            start = int(request.get("NextToken", "0"))
            end = start + tags_a_page
            more = {"NextToken": str(end)} if end < len(tags) else {}
            return 200, {"Tags": tags[start:end], **more}
        if action == "CreateStudioLifecycleConfig":
            kind, name = request["StudioLifecycleConfigAppType"], request["StudioLifecycleConfigName"]
            if name in self.lifecycle_configs:
                return 400, ("ResourceInUse", f"{name} exists already")
            self.lifecycle_configs[name] = (kind, base64.b64decode(request["StudioLifecycleConfigContent"]).decode())
            return 200, {"StudioLifecycleConfigArn": arn(f"studio-lifecycle-config/{name}")}
        return 400, ("ResourceNotFound", f"{action}: there is none")

    def service_quota(self, request):
        """GetServiceQuota, of the quotas that were set, and of security groups per interface."""
        service, code = request["ServiceCode"], request["QuotaCode"]
        quotas = {SECURITY_GROUPS: float(GROUPS_PER_INTERFACE), **self.quotas}
        if service != ("vpc" if code == SECURITY_GROUPS else "ec2") or code not in quotas:
            return 400, ("NoSuchResourceException", "The request failed because the specified quota does not exist.")
        quota_arn = f"arn:aws:servicequotas:{self.region}:{self.account}:{service}/{code}"
        return 200, {"Quota": {"ServiceCode": service, "QuotaCode": code, "QuotaArn": quota_arn, "Value": quotas[code]}}


class Accounts:
    """Every account in every Region, each made when it is first called."""

    def __init__(self):
        self.url, self.made, self.lock = None, {}, threading.Lock()

    def are_at(self, moto_url):
        """Where moto is from now on."""
        self.url = moto_url
        for account in self.made.values():
            account.url, account.clients = moto_url, {}

    def get(self, account=ACCOUNT, region=REGION):
        place = (account, region)
        with self.lock:
            if place not in self.made:
                self.made[place] = Account(self.url, account, region, len(self.made))
            return self.made[place]
