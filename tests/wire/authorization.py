"""What AWS authorizes of a call: actions on resources, in a context.

From the service authorization reference, "Actions, resources, and condition keys for Amazon EC2", "... for Amazon Elastic File
System", "... for Amazon SageMaker AI" and "... for Service Quotas"; what differs or adds to it has its source beside it. Keys that a
resource does not have there are not in its context, so that a condition on them never holds.
"""

import base64
import re
import zlib
from collections import namedtuple

from moto.backends import get_backend

from iam import context_of

# `call` is the action of the call itself, which another service may make further calls for.
Ask = namedtuple("Ask", "action resource context call")

# EC2's actions without resource-level permissions.
UNNARROWED = {
    "DescribeAvailabilityZones", "DescribeImages", "DescribeInstanceTypeOfferings", "DescribeInstanceTypes", "DescribeInstances",
    "DescribeNetworkInterfaceAttribute", "DescribeNetworkInterfaces", "DescribeRouteTables", "DescribeSecurityGroupRules",
    "DescribeSecurityGroups", "DescribeSpotPriceHistory", "DescribeSubnets", "DescribeVpcEndpoints", "DescribeVpcs", "GetEbsDefaultKmsKeyId",
}
RULES = {
    "AuthorizeSecurityGroupEgress", "AuthorizeSecurityGroupIngress", "RevokeSecurityGroupEgress", "RevokeSecurityGroupIngress",
}
KINDS = {"i": "instance", "sg": "security-group", "subnet": "subnet", "vpc": "vpc", "eni": "network-interface", "vol": "volume"}


class Missing(Exception):
    """The call names what does not exist: then AWS says that, having nothing to authorize."""

    def __init__(self, code, what, status=400):
        super().__init__(f"{what} does not exist")
        self.code, self.status = code, status


class Unknown(Exception):
    """It is not known here how the call is authorized."""


class Authorization:
    """What an account in a Region authorizes."""

    def __init__(self, account, region):
        self.account, self.region = account, region

    def asked(self, service, action, request):
        """What is authorized of a call, in this order. `request` is EC2's form, or a dictionary."""
        name = f"{service}:{action}"
        ask = lambda resource, keys=None, other=None: Ask(
            other or name, resource, context_of({"aws:RequestedRegion": self.region, "ec2:Region": self.region, **(keys or {})}), name
        )
        if service == "ec2":
            return list(self.ec2(action, request, ask))
        if service == "elasticfilesystem":
            return list(self.efs(action, request, ask))
        if service == "sagemaker":
            return [ask(self.sagemaker(action, request))]
        if name == "servicequotas:GetServiceQuota":
            return [ask(f"arn:aws:servicequotas:{self.region}:{self.account}:{request['ServiceCode']}/{request['QuotaCode']}")]
        if name == "pricing:GetProducts":
            return [ask("*")]
        raise Unknown(f"how {name} is authorized")

    def ec2(self, action, form, ask):
        if action in UNNARROWED:
            yield ask("*")
        elif action == "RunInstances":
            yield from self.run_instances(form, ask)
        elif action == "CreateSecurityGroup":
            tags = tags_by_kind(form).get("security-group", {})
            yield ask(self.arn("security-group/*"), request_tags(tags))
            yield ask(self.vpc_arn(form["VpcId"]), {"ec2:VpcID": form["VpcId"], **self.resource_tags(form["VpcId"])})
            yield from self.create_tags(action, {"security-group": tags}, ask)
        elif action in RULES | {"DeleteSecurityGroup"}:
            # That the group alone counts, and not `security-group-rule/*`: VPC user guide, "VPC policy examples".
            yield ask(*self.group(form["GroupId"]))
        elif action in ("StartInstances", "TerminateInstances"):
            for instance in numbered(form, "InstanceId"):
                yield ask(*self.existing_instance(instance))
        elif action == "ModifyNetworkInterfaceAttribute":
            yield from self.change_interface(form["NetworkInterfaceId"], numbered(form, "SecurityGroupId"), ask)
        elif action == "CreateTags":
            for resource in numbered(form, "ResourceId"):
                tags = dict(zip(numbered(form, "Tag", ".Key"), numbered(form, "Tag", ".Value")))
                yield ask(self.arn(f"{KINDS[resource.split('-')[0]]}/{resource}"), {**self.resource_tags(resource), **request_tags(tags)})
        elif action == "DescribeVpcAttribute":
            yield ask(self.vpc_arn(form["VpcId"]), {"ec2:VpcID": form["VpcId"], **self.resource_tags(form["VpcId"])})
        else:
            raise Unknown(f"how ec2:{action} is authorized")

    def run_instances(self, form, ask):
        """The first four kinds are made by the launch, or named in it always; the others where they are named."""
        tags = tags_by_kind(form)
        spot = form.get("InstanceMarketOptions.MarketType") == "spot"
        profile = form.get("IamInstanceProfile.Arn")
        subnet = self.existing_subnet(form["SubnetId"])
        place = {"ec2:AvailabilityZone": subnet.availability_zone}
        within = {"ec2:Vpc": self.vpc_arn(subnet.vpc_id)}
        instance = {
            "ec2:InstanceType": form["InstanceType"],
            "ec2:InstanceMarketType": "spot" if spot else "on-demand",
            "ec2:MetadataHttpTokens": form.get("MetadataOptions.HttpTokens", "optional"),
            **({"ec2:InstanceProfile": profile} if profile else {}),
        }
        disk = {"ec2:Encrypted": form.get("BlockDeviceMapping.1.Ebs.Encrypted", "false")}
        yield ask(self.arn("instance/*"), {**place, **instance, **request_tags(tags.get("instance", {}))})
        yield ask(self.arn("volume/*"), {**place, **disk, **request_tags(tags.get("volume", {}))})
        interface = {**place, **within, "ec2:Subnet": self.arn(f"subnet/{subnet.id}"), **request_tags(tags.get("network-interface", {}))}
        yield ask(self.arn("network-interface/*"), interface)
        # The ARN of an image has no account.
        yield ask(f"arn:aws:ec2:{self.region}::image/{form['ImageId']}", {"ec2:ImageID": form["ImageId"]})
        yield ask(self.arn(f"subnet/{subnet.id}"), {**place, **within, "ec2:SubnetID": subnet.id, **self.resource_tags(subnet.id)})
        for named in numbered(form, "SecurityGroupId"):
            yield ask(*self.group(named))
        if "KeyName" in form:
            yield ask(self.arn(f"key-pair/{form['KeyName']}"), {"ec2:KeyPairName": form["KeyName"]})
        if spot and "spot-instances-request" in tags:
            # Not evaluated where the Spot request is not tagged: EC2 user guide, "Example policies ... Work with Spot Instances".
            yield ask(self.arn("spot-instances-request/*"), request_tags(tags["spot-instances-request"]))
        yield from self.create_tags("RunInstances", tags, ask)
        if profile:
            # A role of the profile's name: IAM user guide, "Grant a user permissions to pass a role to an AWS service".
            role = f"arn:aws:iam::{self.account}:role/{profile.rpartition('/')[2]}"
            yield ask(role, {"iam:PassedToService": "ec2.amazonaws.com"}, "iam:PassRole")

    def create_tags(self, creator, tags, ask):
        """EC2 user guide, "Grant permission to tag Amazon EC2 resources during creation"."""
        for kind, of_kind in tags.items():
            if of_kind:
                yield ask(self.arn(f"{kind}/*"), {"ec2:CreateAction": creator, **request_tags(of_kind)}, "ec2:CreateTags")

    def change_interface(self, named, groups, ask):
        """A network interface's groups are changed, by the caller or by EFS."""
        action = "ec2:ModifyNetworkInterfaceAttribute"
        interface = self.backend().enis.get(named)
        if interface is None:
            raise Missing("InvalidNetworkInterfaceID.NotFound", f"The networkInterface ID '{named}'")
        place = {"ec2:Subnet": self.arn(f"subnet/{interface.subnet.id}"), "ec2:Vpc": self.vpc_arn(interface.subnet.vpc_id)}
        yield ask(self.arn(f"network-interface/{named}"), {"ec2:NetworkInterfaceID": named, **place, **self.resource_tags(named)}, action)
        # The groups count as well, although the reference has them as optional: EC2 refuses the action "on resource:
        # arn:aws:ec2:...:security-group/sg-..." (github.com/deckhouse/deckhouse/pull/10854).
        for each in groups:
            yield ask(*self.group(each), action)

    def efs(self, action, request, ask):
        """EFS reads and changes the interface's groups with the caller's permissions: EFS API reference, "Permissions" of each call."""
        file_system = lambda of: f"arn:aws:elasticfilesystem:{self.region}:{self.account}:file-system/{of}"
        if "FileSystemId" in request:
            yield ask(file_system(request["FileSystemId"]))
            return
        target = get_backend("efs")[self.account][self.region].mount_targets_by_id.get(request["MountTargetId"])
        if target is None:
            raise Missing("MountTargetNotFound", request["MountTargetId"], 404)
        yield ask(file_system(target.file_system_id))
        if action == "DescribeMountTargetSecurityGroups":
            yield ask("*", other="ec2:DescribeNetworkInterfaceAttribute")
        elif action == "ModifyMountTargetSecurityGroups":
            yield from self.change_interface(target.network_interface_id, request["SecurityGroups"], ask)

    def sagemaker(self, action, request):
        domain = request.get("DomainId")
        if action == "ListTags":
            return request["ResourceArn"]
        if action == "CreateStudioLifecycleConfig":
            name = f"studio-lifecycle-config/{request['StudioLifecycleConfigName']}"
        elif action == "DescribeDomain":
            name = f"domain/{domain}"
        elif action == "DescribeUserProfile":
            name = f"user-profile/{domain}/{request['UserProfileName']}"
        elif action == "DescribeSpace":
            name = f"space/{domain}/{request['SpaceName']}"
        else:
            raise Unknown(f"how sagemaker:{action} is authorized")
        return f"arn:aws:sagemaker:{self.region}:{self.account}:{name}"

    def arn(self, resource):
        return f"arn:aws:ec2:{self.region}:{self.account}:{resource}"

    def vpc_arn(self, vpc):
        return self.arn(f"vpc/{vpc}")

    def group(self, named):
        """A security group that exists: its ARN and its keys."""
        found = self.backend().get_security_group_from_id(named)
        if found is None:
            raise Missing("InvalidGroup.NotFound", f"The security group '{named}'")
        keys = {"ec2:SecurityGroupID": named, "ec2:Vpc": self.vpc_arn(found.vpc_id), **self.resource_tags(named)}
        return self.arn(f"security-group/{named}"), keys

    def existing_instance(self, named):
        found = next((instance for instance in self.backend().all_instances() if instance.id == named), None)
        if found is None:
            raise Missing("InvalidInstanceID.NotFound", f"The instance ID '{named}'")
        return self.arn(f"instance/{named}"), {"ec2:InstanceID": named, "ec2:InstanceType": found.instance_type, **self.resource_tags(named)}

    def existing_subnet(self, named):
        found = next((zone[named] for zone in self.backend().subnets.values() if named in zone), None)
        if found is None:
            raise Missing("InvalidSubnetID.NotFound", f"The subnet ID '{named}'")
        return found

    def backend(self):
        return get_backend("ec2")[self.account][self.region]

    def resource_tags(self, resource):
        tags = self.backend().tags.get(resource, {})
        return {f"{prefix}:ResourceTag/{key}": value for prefix in ("aws", "ec2") for key, value in dict(tags).items()}


def denial(organization, policies, ask):
    """Why an ask is refused, in AWS's words; None where it is allowed.

    IAM user guide, "Policy evaluation logic": an explicit deny goes first, then the organization's service control policies have to allow,
    then the role's own; without any policies of a kind, that kind refuses nothing.
    """
    for kind, some in (("service control policy", organization), ("identity-based policy", policies)):
        why = some and some.refusal(ask.action, ask.resource, ask.context, kind)
        if why:
            return why
    return None


def refusal(user, ask, why, encoded):
    """The code, the message and the HTTP status with which a service refuses; EC2 with nothing but an encoded message, if so."""
    service = ask.call.split(":")[0]
    who = f"User: {user} is not authorized to perform: {ask.action}"
    if service == "ec2":
        # EC2 API reference, "Error codes"; the words are those of github.com/deckhouse/deckhouse/pull/10854.
        words = f"You are not authorized to perform this operation. {who} on resource: {ask.resource} {why}."
        # EC2 user guide, "Troubleshoot", "Unauthorized": what the message says can be decoded by those who may.
        decodable = base64.urlsafe_b64encode(zlib.compress(words.encode())).decode()
        if encoded:
            words = "You are not authorized to perform this operation."
        return "UnauthorizedOperation", f"{words} Encoded authorization failure message: {decodable}", 403
    if service == "elasticfilesystem":
        # EFS names its own actions (github.com/kubernetes-sigs/aws-efs-csi-driver/issues/489) and not the calls that it makes with
        # the caller's permissions (github.com/aws/aws-parallelcluster/issues/1139).
        named = f"{who} on the specified resource"
        unnamed = "User is not authorized to perform that action on the specified resource"
        return "AccessDeniedException", named if ask.action == ask.call else unnamed, 403
    return "AccessDeniedException", f"{who} on resource: {ask.resource} {why}", 400


def request_tags(tags):
    keys = {f"aws:RequestTag/{key}": value for key, value in tags.items()}
    return {**keys, "aws:TagKeys": sorted(tags)} if tags else {}


def tags_by_kind(form):
    """The tags of a form's TagSpecification parameters, by the kind of resource."""
    kinds = {}
    for key, value in form.items():
        number = re.fullmatch(r"TagSpecification\.(\d+)\.ResourceType", key)
        if number:
            prefix = f"TagSpecification.{number[1]}.Tag."
            names = {key: name for key, name in form.items() if key.startswith(prefix) and key.endswith(".Key")}
            kinds[value] = {name: form.get(key.removesuffix("Key") + "Value", "") for key, name in names.items()}
    return kinds


def numbered(form, name, field=""):
    return [value for key, value in form.items() if re.fullmatch(rf"{name}\.\d+{re.escape(field)}", key)]
