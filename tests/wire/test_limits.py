"""The strictness of the endpoint: what EC2 and EFS are known to refuse, is refused, and what they take is taken."""

import base64
import unittest

from moto import mock_aws
import boto3

import models
from limits import Limits
from models import Refused

REGION, ACCOUNT = "eu-west-1", "123456789012"
GROUP = {"GroupName": "DockerHost", "GroupDescription": "d", "VpcId": "vpc-00000000"}
TARGET = "fsmt-00000000"


def code(service, action, request):
    try:
        models.check(service, action, request)
        limits = Limits(ACCOUNT, REGION)
        limits.check(service, action, request)
        limits.agree(service, action, request)
    except Refused as refused:
        return refused.code
    return None


def ec2(action, **request):
    """Keys have __ in place of a dot."""
    form = {key.replace("__", "."): value for key, value in request.items()}
    return code("ec2", action, {"Action": action, "Version": "2016-11-15", **form})


@mock_aws
class Models(unittest.TestCase):
    def test_ec2_parameters_have_names_and_types(self):
        self.assertIsNone(ec2("DescribeInstances", InstanceId__1="i-00000000", MaxResults="5"))
        for refused, request in (
            ("UnknownParameter", {"InstanceIds__1": "i-00000000"}), ("UnknownParameter", {"Filter__1__Nme": "x"}),
            ("UnknownParameter", {"InstanceId__1__2": "i-0"}), ("InvalidParameterValue", {"MaxResults": "many"}),
            ("InvalidParameterValue", {"DryRun": "yes"}), ("InvalidParameterValue", {"InstanceId__2": "i-00000000"}),
            ("InvalidParameterValue", {"Filter__1__Name": "instance-idd", "Filter__1__Value__1": "x"}),
            ("FilterLimitExceeded", {"Filter__1__Name": "instance-id"}), ("InvalidInstanceID.Malformed", {"InstanceId__1": "i-x"}),
        ):
            self.assertEqual(ec2("DescribeInstances", **request), refused, request)
        self.assertEqual(ec2("DescribeInstancez"), "InvalidAction")
        self.assertEqual(ec2("CreateSecurityGroup", GroupName="g"), "MissingParameter")
        self.assertEqual(ec2("DescribeSecurityGroups", MaxResults="4"), "InvalidParameterValue")
        self.assertEqual(ec2("RunInstances", MinCount="1", MaxCount="1", InstanceType="c5.xlrge"), "InvalidParameterValue")

    def test_filters_are_those_of_the_documents(self):
        for action, names in {
            "DescribeInstances": ["instance-id", "tag-key", "tag:sdocker:host", "client-token", "instance.group-id"],
            "DescribeSecurityGroups": ["vpc-id", "group-name"], "DescribeNetworkInterfaces": ["group-id"],
            "DescribeImages": ["name", "state", "virtualization-type"], "DescribeInstanceTypeOfferings": ["instance-type"],
        }.items():
            for name in names:
                self.assertIsNone(ec2(action, Filter__1__Name=name, Filter__1__Value__1="x"), name)
            self.assertEqual(ec2(action, Filter__1__Name="of-nothing", Filter__1__Value__1="x"), "InvalidParameterValue", action)

    def test_json_services(self):
        for expected, service, action, request in (
            (None, "sagemaker", "DescribeDomain", {"DomainId": "d-wire"}),
            ("ValidationException", "sagemaker", "DescribeDomain", {"DomainId": "wire"}),
            ("ValidationException", "sagemaker", "DescribeDomain", {}),
            ("ValidationException", "sagemaker", "DescribeDomain", {"DomainId": "d-wire", "Name": "x"}),
            (None, "elasticfilesystem", "ModifyMountTargetSecurityGroups", {"MountTargetId": TARGET, "SecurityGroups": ["sg-00000000"]}),
            ("BadRequest", "elasticfilesystem", "ModifyMountTargetSecurityGroups", {"MountTargetId": TARGET, "SecurityGroups": ["g"]}),
            ("BadRequest", "elasticfilesystem", "DescribeMountTargets", {"FileSystemId": "fs-studio"}),
        ):
            self.assertEqual(code(service, action, request), expected, request)
        many = {"MountTargetId": TARGET, "SecurityGroups": [f"sg-{n:08x}" for n in range(6)]}
        self.assertEqual(code("elasticfilesystem", "ModifyMountTargetSecurityGroups", many), "SecurityGroupLimitExceeded")
        with self.assertRaises(Refused):
            models.check_answer("sagemaker", "DescribeDomain", {"SubnetIds": "subnet-1"})


@mock_aws
class Values(unittest.TestCase):
    def test_names_and_descriptions_of_groups(self):
        self.assertIsNone(ec2("CreateSecurityGroup", **GROUP))
        for field, value in (
            ("GroupDescription", "the domain's EFS"), ("GroupDescription", "x" * 256), ("GroupDescription", "größe"),
            ("GroupName", "sg-1"), ("GroupName", ""), ("GroupName", "a'b"), ("GroupName", "x" * 256),
        ):
            self.assertEqual(ec2("CreateSecurityGroup", **{**GROUP, field: value}), "InvalidParameterValue", value)
        rule = {"IpPermissions__1__IpProtocol": "tcp", "IpPermissions__1__FromPort": "1", "IpPermissions__1__ToPort": "1"}
        described = {"IpPermissions__1__IpRanges__1__CidrIp": "10.0.0.0/8", "IpPermissions__1__IpRanges__1__Description": "Studio's"}
        self.assertEqual(ec2("AuthorizeSecurityGroupIngress", GroupId="sg-00000000", **rule, **described), "InvalidParameterValue")
        self.assertEqual(ec2("AuthorizeSecurityGroupIngress", GroupId="sg-00000000", IpPermissions__1__ToPort="70000"), "InvalidParameterValue")

    def test_names_of_groups_are_unique_whatever_their_case(self):
        client = boto3.client("ec2", region_name=REGION)
        vpc = client.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        client.create_security_group(GroupName="dockerhost", Description="d", VpcId=vpc)
        self.assertEqual(ec2("CreateSecurityGroup", **{**GROUP, "VpcId": vpc}), "InvalidGroup.Duplicate")

    def test_tags(self):
        tags = lambda *pairs: {
            "TagSpecification__1__ResourceType": "security-group",
            **{f"TagSpecification__1__Tag__{n}__{part}": text for n, pair in enumerate(pairs, 1) for part, text in zip(("Key", "Value"), pair)},
        }
        for expected, pairs in (
            (None, [("k" * 127, "v" * 256)]), (None, [(f"k{n}", "") for n in range(50)]), ("TagLimitExceeded", [(f"k{n}", "") for n in range(51)]),
            ("InvalidParameterValue", [("k" * 128, "")]), ("InvalidParameterValue", [("", "v")]), ("InvalidParameterValue", [("k", "v" * 257)]),
            ("InvalidParameterValue", [("aws:k", "v")]), ("InvalidParameterValue", [("AWS:k", "v")]), ("InvalidParameterValue", [("k", "aws:v")]),
            ("InvalidParameterValue", [("k", "1"), ("k", "2")]), (None, [("k", "1"), ("K", "2")]),
        ):
            self.assertEqual(ec2("CreateSecurityGroup", **GROUP, **tags(*pairs)), expected, pairs[0])

    def test_rules_of_a_group(self):
        client = boto3.client("ec2", region_name=REGION)
        vpc = client.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        group = client.create_security_group(GroupName="g", Description="d", VpcId=vpc)["GroupId"]
        asked = lambda *ports: {
            f"IpPermissions__{n}__{part}": value
            for n, port in enumerate(ports, 1)
            for part, value in (("IpProtocol", "tcp"), ("FromPort", str(port)), ("ToPort", str(port)), ("Groups__1__GroupId", group))
        }
        self.assertIsNone(ec2("AuthorizeSecurityGroupIngress", GroupId=group, **asked(*range(60))))
        refused = ec2("AuthorizeSecurityGroupIngress", GroupId=group, **asked(*range(61)))
        self.assertEqual(refused, "RulesPerSecurityGroupLimitExceeded")
        self.assertEqual(ec2("AuthorizeSecurityGroupIngress", GroupId=group, **asked(1, 1)), "InvalidParameterValue")
        client.authorize_security_group_ingress(GroupId=group, IpProtocol="tcp", FromPort=1, ToPort=1, CidrIp="10.0.0.0/8")
        refused = ec2("AuthorizeSecurityGroupIngress", GroupId=group, **asked(*range(60)))
        self.assertEqual(refused, "RulesPerSecurityGroupLimitExceeded")


@mock_aws
class Launches(unittest.TestCase):
    def launch(self, **changed):
        image = boto3.client("ec2", region_name=REGION).describe_images(Owners=["amazon"])["Images"][0]
        disk = {"DeviceName": image["RootDeviceName"], "Ebs__VolumeType": "gp3", "Ebs__VolumeSize": "400"}
        usual = {
            "ImageId": image["ImageId"], "InstanceType": "c5.xlarge", "MinCount": "1", "MaxCount": "1", "ClientToken": "t",
            "UserData": base64.b64encode(b"x").decode(), **{f"BlockDeviceMapping__1__{key}": value for key, value in disk.items()},
        }
        return ec2("RunInstances", **{**usual, **changed})

    def test_what_a_launch_may_be(self):
        self.assertIsNone(self.launch())
        size = "BlockDeviceMapping__1__Ebs__VolumeSize"
        encoded = lambda length: base64.b64encode(b"x" * length).decode()
        for expected, changed in (
            (None, {"UserData": encoded(16384)}), ("InvalidParameterValue", {"UserData": encoded(16385)}),
            ("InvalidParameterValue", {"UserData": "#!/bin/sh"}), ("InvalidParameterValue", {"ClientToken": "t" * 65}),
            ("InvalidParameterValue", {"ClientToken": "é"}), (None, {size: "65536"}), ("InvalidParameterValue", {size: "65537"}),
            ("InvalidParameterValue", {size: "0"}), ("InvalidBlockDeviceMapping", {size: "1"}), ("InvalidParameterValue", {"MinCount": "0"}),
            ("InvalidParameterCombination", {"MinCount": "2"}), ("InvalidKeyPair.NotFound", {"KeyName": "none"}),
            ("InvalidParameterValue", {"KeyName": "k" * 256}), ("InvalidAMIID.Malformed", {"ImageId": "ami-1"}),
            ("InvalidAMIID.NotFound", {"ImageId": "ami-00000000"}),
            ("InvalidParameterValue", {"IamInstanceProfile__Arn": "arn:aws:iam::123456789012:role/hosts"}),
            ("InvalidParameterValue", {"IamInstanceProfile__Arn": "arn:aws:iam::123456789012:instance-profile/none"}),
            ("SecurityGroupsPerInterfaceLimitExceeded", {f"SecurityGroupId__{n + 1}": f"sg-{n:08x}" for n in range(6)}),
        ):
            self.assertEqual(self.launch(**changed), expected, changed)

    def test_groups_and_subnet_are_of_one_network(self):
        client = boto3.client("ec2", region_name=REGION)
        vpcs = [client.create_vpc(CidrBlock=f"10.{n}.0.0/16")["Vpc"]["VpcId"] for n in (0, 1)]
        subnet = client.create_subnet(VpcId=vpcs[0], CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
        groups = [client.create_security_group(GroupName="g", Description="d", VpcId=vpc)["GroupId"] for vpc in vpcs]
        self.assertIsNone(self.launch(SubnetId=subnet, SecurityGroupId__1=groups[0]))
        self.assertEqual(self.launch(SubnetId=subnet, SecurityGroupId__1=groups[1]), "InvalidParameter")


if __name__ == "__main__":
    unittest.main()
