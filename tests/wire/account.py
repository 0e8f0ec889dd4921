"""The account: a Studio domain in moto's VPC, somebody else's VPC beside it, and the answers of services that moto lacks."""

import base64
import functools

import boto3

REGION = "eu-west-1"
ACCOUNT = "123456789012"
USER = f"arn:aws:sts::{ACCOUNT}:assumed-role/studio/app"


class Account:
    """What the front knows of the account beside moto."""

    def __init__(self, moto_url):
        """A VPC with three subnets in three zones, two of them with a mount target, and the app's security group."""
        self.url = moto_url
        ec2, efs = self.client("ec2"), self.client("efs")
        network = lambda cidr: ec2.create_vpc(CidrBlock=cidr)["Vpc"]["VpcId"]
        subnet = lambda vpc, cidr, zone: ec2.create_subnet(VpcId=vpc, CidrBlock=cidr, AvailabilityZone=f"{REGION}{zone}")["Subnet"]["SubnetId"]
        security_group = lambda vpc, name: ec2.create_security_group(GroupName=name, Description=name, VpcId=vpc)["GroupId"]
        vpc, elsewhere = network("10.0.0.0/16"), network("10.1.0.0/16")
        subnets = [subnet(vpc, f"10.0.{n}.0/24", zone) for n, zone in ((1, "a"), (2, "b"), (3, "c"))]
        group, efs_group = security_group(vpc, "studio-apps"), security_group(vpc, "efs")
        self.client("iam").create_instance_profile(InstanceProfileName="hosts")
        file_system = efs.create_file_system(CreationToken="studio")["FileSystemId"]
        targets = [
            efs.create_mount_target(FileSystemId=file_system, SubnetId=subnet, SecurityGroups=[efs_group])["MountTargetId"]
            for subnet in reversed(subnets[:2])
        ]
        self.seed = {
            "region": REGION, "account": ACCOUNT, "domain": "d-wire", "profile": "ana", "vpc": vpc, "subnets": subnets,
            "group": group, "efs_group": efs_group, "file_system": file_system, "mount_targets": targets,
            "elsewhere": {
                "vpc": elsewhere, "subnet": subnet(elsewhere, "10.1.1.0/24", "a"), "group": security_group(elsewhere, "others"),
            },
        }
        self.domain = {
            "DomainId": "d-wire", "AppNetworkAccessType": "VpcOnly", "VpcId": vpc, "SubnetIds": subnets,
            "HomeEfsFileSystemId": file_system,
            "DefaultUserSettings": {"SecurityGroups": [group], "ExecutionRole": f"arn:aws:iam::{ACCOUNT}:role/studio"},
        }
        self.lifecycle_configs = {}
        self.quotas = {}

    @functools.cache
    def client(self, service):
        return boto3.client(service, region_name=REGION, endpoint_url=self.url)

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
        """Sets DNS attributes of the domain's VPC."""
        for attribute, value in attributes.items():
            self.client("ec2").modify_vpc_attribute(VpcId=self.seed["vpc"], **{attribute: {"Value": value}})

    def crowd(self, count):
        """Gives each mount target this many security groups."""
        ec2, efs = self.client("ec2"), self.client("efs")
        groups = [self.seed["efs_group"]]
        for n in range(1, count):
            name = f"crowd-{len(ec2.describe_security_groups()['SecurityGroups'])}-{n}"
            groups.append(ec2.create_security_group(GroupName=name, Description=name, VpcId=self.seed["vpc"])["GroupId"])
        for target in self.seed["mount_targets"]:
            efs.modify_mount_target_security_groups(MountTargetId=target, SecurityGroups=groups)

    def live_instances(self):
        live = []
        for page in self.client("ec2").get_paginator("describe_instances").paginate():
            for reservation in page["Reservations"]:
                for instance in reservation["Instances"]:
                    if instance["State"]["Name"] not in ("terminated", "shutting-down"):
                        tags = {tag["Key"]: tag["Value"] for tag in instance.get("Tags", [])}
                        live.append({"id": instance["InstanceId"], "tags": tags})
        return live

    def shared(self):
        """What hosts share: the VPC's security groups by their names, and the groups of each mount target."""
        ec2, efs = self.client("ec2"), self.client("efs")
        groups = ec2.describe_security_groups(Filters=[{"Name": "vpc-id", "Values": [self.seed["vpc"]]}])["SecurityGroups"]
        of_target = lambda target: sorted(efs.describe_mount_target_security_groups(MountTargetId=target)["SecurityGroups"])
        return {
            "groups": {group["GroupName"]: group["GroupId"] for group in groups},
            "mount_targets": {target: of_target(target) for target in self.seed["mount_targets"]},
        }

    def sagemaker(self, action, request):
        profile_arn = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:user-profile/d-wire/ana"
        if action == "DescribeDomain" and request["DomainId"] == "d-wire":
            return 200, self.domain
        if action == "DescribeUserProfile" and request["UserProfileName"] == "ana":
            return 200, {
                "DomainId": "d-wire", "UserProfileName": "ana", "UserProfileArn": profile_arn,
                "HomeEfsFileSystemUid": "200005", "UserSettings": {},
            }
        if action == "DescribeSpace":
            return 200, {
                "DomainId": "d-wire", "SpaceName": request["SpaceName"],
                "OwnershipSettings": {"OwnerUserProfileName": "ana"}, "SpaceSharingSettings": {"SharingType": "Private"},
            }
        if action == "ListTags" and request["ResourceArn"] == profile_arn:
            # Two pages, to see that both are read.
            if "NextToken" not in request:
                return 200, {"Tags": [{"Key": "team", "Value": "forecasting"}], "NextToken": "2"}
            return 200, {"Tags": [{"Key": "cost-center", "Value": "42"}]}
        if action == "CreateStudioLifecycleConfig":
            kind, name = request["StudioLifecycleConfigAppType"], request["StudioLifecycleConfigName"]
            if name in self.lifecycle_configs:
                return 400, {"__type": "ResourceInUse", "message": f"{name} exists already"}
            self.lifecycle_configs[name] = (kind, base64.b64decode(request["StudioLifecycleConfigContent"]).decode())
            return 200, {"StudioLifecycleConfigArn": f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:studio-lifecycle-config/{name}"}
        return 400, {"__type": "ResourceNotFound", "message": f"{action}: there is none"}

    def service_quota(self, request):
        """GetServiceQuota, of the quotas that were set."""
        service, code = request["ServiceCode"], request["QuotaCode"]
        if service != "ec2" or code not in self.quotas:
            message = "The request failed because the specified quota does not exist."
            return 400, {"__type": "NoSuchResourceException", "Message": message}
        quota_arn = f"arn:aws:servicequotas:{REGION}:{ACCOUNT}:{service}/{code}"
        return 200, {"Quota": {"ServiceCode": service, "QuotaCode": code, "QuotaArn": quota_arn, "Value": self.quotas[code]}}
