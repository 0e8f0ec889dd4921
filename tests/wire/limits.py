"""What EC2 and EFS refuse although their models allow it: limits that their documents state in prose, each with its source.

A limit of a value is of every parameter whose name matches; limits of a whole request, and those that depend on what exists, are functions.
"""

import base64
import binascii
import re
from collections import Counter

from moto.backends import get_backend

from models import Refused

API = "https://docs.aws.amazon.com/AWSEC2/latest/APIReference"
GUIDE = "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide"

# Characters of names and descriptions of security groups and their rules, and how many.
# {API}/API_CreateSecurityGroup.html, {API}/API_IpRange.html
DESCRIPTION = re.compile(r"[a-zA-Z0-9 ._\-:/()#,@\[\]+=&;{}!$*]{0,255}")
SAID = "are strings less than 256 characters from the following set:  a-zA-Z0-9. _-:/()#,@[]+=&;{}!$*"


def described(what):
    """github.com/cds-snc/notification-terraform/pull/561 and github.com/aws-cloudformation/cfn-lint/issues/173 have EC2's words."""
    return lambda value: None if DESCRIPTION.fullmatch(value) else f"Invalid {what}. Valid {what.split()[-1]}s {SAID}"


def group_name(value):
    """{API}/API_CreateSecurityGroup.html: can't start with sg-."""
    if value.lower().startswith("sg-"):
        return f"Invalid group name. Group names can't start with 'sg-': {value}"
    return described("security group name")(value) if value else "The group name must not be empty"


def tag_key(value):
    """{API}/API_Tag.html: 127 Unicode characters, though {GUIDE}/Using_Tags.html#tag-restrictions has 128; `aws:` is AWS's own."""
    if not 1 <= len(value) <= 127:
        return f"Tag key exceeds the maximum length of 127 characters, or is empty: '{value}'"
    return "Tag keys starting with 'aws:' are reserved for internal use" if value.lower().startswith("aws:") else None


def tag_value(value):
    """The same pages: 256 characters, `aws:` reserved as well."""
    if len(value) > 256:
        return "Tag value exceeds the maximum length of 256 characters"
    return "Tag values starting with 'aws:' are reserved for internal use" if value.lower().startswith("aws:") else None


def user_data(value):
    """{GUIDE}/instancedata-add-user-data.html: 16 KB, in raw form, before it is base64-encoded."""
    try:
        raw = base64.b64decode(value, validate=True)
    except binascii.Error:
        return "Invalid BASE64 encoding of user data."
    return "User data is limited to 16384 bytes" if len(raw) > 16384 else None


def client_token(value):
    """{API}/API_RunInstances.html: at most 64 ASCII characters."""
    return None if re.fullmatch(r"[\x21-\x7e]{1,64}", value) else "Client tokens are at most 64 ASCII characters"


def port(value):
    """{API}/API_IpPermission.html: ports of TCP and UDP."""
    return None if re.fullmatch(r"[0-9]+", value) and int(value) <= 65535 else f"Invalid value '{value}' for port. Must be in range 0-65535"


def count(value):
    """{API}/API_RunInstances.html: between 1 and the quota."""
    return None if int(value) >= 1 else f"Invalid value '{value}' for a count. Must be at least 1"


def key_name(value):
    """{API}/API_CreateKeyPair.html: up to 255 ASCII characters."""
    return None if re.fullmatch(r"[\x20-\x7e]{1,255}", value) else "Key names are at most 255 ASCII characters"


def profile_arn(value):
    """https://docs.aws.amazon.com/IAM/latest/APIReference/API_InstanceProfile.html; EC2's words: github.com/hashicorp/terraform/issues/1885"""
    arn = r"arn:aws[a-z-]*:iam::[0-9]{12}:instance-profile/([\x21-\x7e]+/)?[\w+=,.@-]{1,128}"
    return None if re.fullmatch(arn, value) else "Invalid IAM Instance Profile ARN"


VALUES = [
    ("CreateSecurityGroup", r"GroupName", group_name),
    ("CreateSecurityGroup", r"GroupDescription", described("security group description")),
    (".*SecurityGroup(Ingress|Egress)", r"IpPermissions\.\d+\.\w+\.\d+\.Description", described("rule description")),
    (".*SecurityGroup(Ingress|Egress)", r"IpPermissions\.\d+\.(FromPort|ToPort)", port),
    (".*", r"(TagSpecification\.\d+\.)?Tag\.\d+\.Key", tag_key),
    (".*", r"(TagSpecification\.\d+\.)?Tag\.\d+\.Value", tag_value),
    ("RunInstances", r"UserData", user_data),
    ("RunInstances", r"ClientToken", client_token),
    ("RunInstances", r"(Min|Max)Count", count),
    ("RunInstances", r"KeyName", key_name),
    ("RunInstances", r"IamInstanceProfile\.Arn", profile_arn),
]

# {API}/API_EbsBlockDevice.html: GiB by volume type.
VOLUME_SIZES = {
    "gp2": (1, 16384), "gp3": (1, 65536), "io1": (4, 16384), "io2": (4, 65536), "st1": (125, 16384), "sc1": (125, 16384), "standard": (1, 1024),
}
# https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html#vpc-limits-security-groups: each can be raised; these are the defaults.
RULES_PER_GROUP, GROUPS_PER_INTERFACE = 60, 5
# What Service Quotas calls the second of them.
SECURITY_GROUPS = "L-2AFB9258"
# {GUIDE}/Using_Tags.html#tag-restrictions
TAGS_PER_RESOURCE = 50
# {GUIDE}/resource-ids.html: 8 or 17 hexadecimal digits. The error codes: {API}/errors-overview.html
IDS = {
    "ImageId": ("ami", "InvalidAMIID.Malformed"), "SubnetId": ("subnet", "InvalidSubnetID.Malformed"),
    "SecurityGroupId": ("sg", "InvalidGroupId.Malformed"), "GroupId": ("sg", "InvalidGroupId.Malformed"),
    "InstanceId": ("i", "InvalidInstanceID.Malformed"), "VpcId": ("vpc", "InvalidVpcID.NotFound"),
    "NetworkInterfaceId": ("eni", "InvalidNetworkInterfaceId.Malformed"),
}


class Limits:
    """The limits of an account in a Region."""

    def __init__(self, account, region, quotas=None):
        """`quotas`: what was raised, by its code."""
        self.quotas = quotas if quotas is not None else {}
        self.ec2 = get_backend("ec2")[account][region]
        self.profiles = get_backend("iam")[account]["aws"].instance_profiles

    def check(self, service, action, request):
        """Refuses a request that is beyond a limit."""
        if service == "elasticfilesystem" and action == "ModifyMountTargetSecurityGroups":
            # https://docs.aws.amazon.com/efs/latest/ug/API_ModifyMountTargetSecurityGroups.html: on the target's network interface.
            if len(request.get("SecurityGroups", [])) > self.most_groups():
                raise Refused("SecurityGroupLimitExceeded", "The maximum number of security groups per interface has been reached.")
        if service != "ec2":
            return
        for name, value in request.items():
            self.value(action, name, value)
        self.tags(request)
        specific = getattr(self, f"on_{action}", None)
        if specific:
            specific(request)

    def agree(self, service, action, request):
        """Refuses resources that don't go together. Asked of a caller who may use each of them: a dry run tells one who may not so."""
        if (service, action) != ("ec2", "RunInstances"):
            return
        subnet = next((zone[request["SubnetId"]] for zone in self.ec2.subnets.values() if request.get("SubnetId") in zone), None)
        for named in numbered(request, "SecurityGroupId"):
            group = self.ec2.get_security_group_from_id(named)
            if subnet and group and group.vpc_id != subnet.vpc_id:
                message = f"Security group {named} and subnet {subnet.id} belong to different networks."
                raise Refused("InvalidParameter", message)

    def value(self, action, name, value):
        for actions, names, limit in VALUES:
            if re.fullmatch(actions, action) and re.fullmatch(names, name):
                why = limit(value)
                if why:
                    raise Refused("InvalidParameterValue", why)
        prefix, code = IDS.get(re.sub(r"\.\d+$", "", name), (None, None))
        if prefix and not re.fullmatch(rf"{prefix}-([0-9a-f]{{8}}|[0-9a-f]{{17}})", value):
            raise Refused(code, f'Invalid id: "{value}"')

    def tags(self, request):
        keys, kinds = {}, []
        for name, value in request.items():
            of = re.fullmatch(r"((?:TagSpecification\.\d+\.)?)Tag\.\d+\.Key", name)
            if of:
                keys.setdefault(of[1], []).append(value)
            if re.fullmatch(r"TagSpecification\.\d+\.ResourceType", name):
                kinds.append(value)
        for of in keys.values():
            if len(of) > TAGS_PER_RESOURCE:
                raise Refused("TagLimitExceeded", f"The maximum number of Tags for a resource has been reached: {len(of)}")
            if len(set(of)) < len(of):
                raise Refused("InvalidParameterValue", f"Duplicate tag key '{Counter(of).most_common(1)[0][0]}' specified.")
        if len(set(kinds)) < len(kinds):
            raise Refused("InvalidParameterValue", "The same resource type may not be specified more than once in tag specifications")

    def on_CreateSecurityGroup(self, request):
        # {API}/API_CreateSecurityGroup.html: names are case-insensitive, and unique within the VPC.
        name, vpc = request["GroupName"].lower(), request.get("VpcId")
        if any(group.name.lower() == name for group in self.ec2.groups[vpc].values()):
            message = f"The security group '{request['GroupName']}' already exists for VPC '{vpc}'"
            raise Refused("InvalidGroup.Duplicate", message)

    def on_AuthorizeSecurityGroupIngress(self, request):
        self.rules(request, "ingress_rules")

    def on_AuthorizeSecurityGroupEgress(self, request):
        self.rules(request, "egress_rules")

    def rules(self, request, direction):
        """Each peer of a port range is a rule of its own: vpc-limits-security-groups."""
        group = self.ec2.get_security_group_from_id(request.get("GroupId"))
        asked = [
            (tuple(request.get(f"IpPermissions.{of[1]}.{part}") for part in ("IpProtocol", "FromPort", "ToPort")), value)
            for name, value in request.items()
            if (of := re.fullmatch(r"IpPermissions\.(\d+)\.(?:Groups\.\d+\.GroupId|IpRanges\.\d+\.CidrIp|Ipv6Ranges\.\d+\.CidrIpv6)", name))
        ]
        if len(set(asked)) < len(asked):
            raise Refused("InvalidParameterValue", "The same permission must not appear multiple times")
        # moto has a rule for each peer, as EC2 does.
        present = len(getattr(group, direction)) if group else 0
        if present + len(asked) > RULES_PER_GROUP:
            raise Refused("RulesPerSecurityGroupLimitExceeded", "The maximum number of rules per security group has been reached.")

    def on_StartInstances(self, request):
        # {GUIDE}/ec2-instance-lifecycle.html: only what is stopped can be started; one that runs or is about to is left as it is. The code:
        # {API}/errors-overview.html; EC2's words: github.com/canonical/ubuntu-pro-client/pull/1697
        for named in numbered(request, "InstanceId"):
            instance = next((instance for instance in self.ec2.all_instances() if instance.id == named), None)
            if instance and instance.state in ("stopping", "shutting-down", "terminated"):
                raise Refused("IncorrectInstanceState", f"The instance '{named}' is not in a state from which it can be started.")

    def on_ModifyNetworkInterfaceAttribute(self, request):
        self.groups_of_interface(numbered(request, "SecurityGroupId"))

    def most_groups(self):
        return int(self.quotas.get(SECURITY_GROUPS, GROUPS_PER_INTERFACE))

    def groups_of_interface(self, groups):
        if len(groups) > self.most_groups():
            message = "The maximum number of security groups per interface has been reached."
            raise Refused("SecurityGroupsPerInterfaceLimitExceeded", message)
        if len(set(groups)) < len(groups):
            raise Refused("InvalidParameterValue", "The same security group must not appear multiple times")

    def on_RunInstances(self, request):
        if int(request["MinCount"]) > int(request["MaxCount"]):
            raise Refused("InvalidParameterCombination", "MinCount is more than MaxCount")
        self.groups_of_interface(numbered(request, "SecurityGroupId"))
        # {API}/errors-overview.html
        if "KeyName" in request and request["KeyName"] not in self.ec2.key_pairs:
            raise Refused("InvalidKeyPair.NotFound", f"The key pair '{request['KeyName']}' does not exist")
        profile = request.get("IamInstanceProfile.Arn")
        if profile and profile not in self.profiles and all(profile != known.arn for known in self.profiles.values()):
            raise Refused("InvalidParameterValue", f"Value ({profile}) for parameter iamInstanceProfile.arn is invalid. Invalid IAM Instance Profile ARN")
        self.volumes(request)

    def volumes(self, request):
        image = self.ec2.amis.get(request.get("ImageId"))
        if image is None:
            raise Refused("InvalidAMIID.NotFound", f"The image id '[{request.get('ImageId')}]' does not exist")
        for name, value in request.items():
            of = re.fullmatch(r"(BlockDeviceMapping\.\d+)\.Ebs\.VolumeSize", name)
            if not of:
                continue
            size, kind = int(value), request.get(f"{of[1]}.Ebs.VolumeType", "gp2")
            least, most = VOLUME_SIZES[kind]
            if not least <= size <= most:
                message = f"Volume of size {size}GB is invalid for volume type {kind}: between {least} and {most}"
                raise Refused("InvalidParameterValue", message)
            # {API}/API_EbsBlockDevice.html: not smaller than the snapshot.
            if request.get(f"{of[1]}.DeviceName") == image.root_device_name and size < root_size(image):
                message = f"Volume of size {size}GB is smaller than snapshot '{image.ebs_snapshot.id}', expect size >= {root_size(image)}GB"
                raise Refused("InvalidBlockDeviceMapping", message)


def root_size(image):
    return image.block_device_mappings[0]["Ebs"]["VolumeSize"]


def numbered(request, name):
    return [value for key, value in request.items() if re.fullmatch(rf"{name}\.\d+", key)]
