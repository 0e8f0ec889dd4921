"""Lists in pages: all of their items come, in pages that EC2 and EFS might make, to those who follow the tokens."""

import json
import re
import unittest
from collections import namedtuple

from answers import Answer
from models import Refused
from pages import Pages, is_further

Call = namedtuple("Call", "service action request account region")
XMLNS = "http://ec2.amazonaws.com/doc/2016-11-15/"
IMAGES = {"Filter.1.Name": "name", "Filter.1.Value.1": "al2023-*"}


def ec2(action="DescribeImages", **request):
    return Call("ec2", action, {key.replace("__", "."): value for key, value in request.items()}, "123456789012", "eu-west-1")


def images(count):
    items = "".join(f"<item><imageId>ami-{n}</imageId></item>" for n in range(count))
    body = f'<DescribeImagesResponse xmlns="{XMLNS}"><requestId>r</requestId><imagesSet>{items}</imagesSet></DescribeImagesResponse>'
    return Answer(200, "text/xml", body.encode())


def pages_of(call, answer):
    """The items of each page of an EC2 list."""
    pages, found = Pages(), []
    body = pages.first(call, answer).body
    while True:
        found.append(re.findall(rb"<imageId>([^<]+)<", body))
        token = re.search(rb"<nextToken>([^<]+)</nextToken>", body)
        if not token:
            return found
        further = call._replace(request={**call.request, "NextToken": token[1].decode()})
        assert is_further(further) and not is_further(call)
        body = pages.further(further)


class Lists(unittest.TestCase):
    def test_a_list_comes_in_pages(self):
        self.assertEqual([len(page) for page in pages_of(ec2(), images(5))], [2, 2, 1])
        self.assertEqual(pages_of(ec2(), images(0)), [[]])

    def test_a_filtered_list_begins_with_an_empty_page(self):
        call = ec2()._replace(request=IMAGES)
        self.assertEqual([len(page) for page in pages_of(call, images(3))], [0, 2, 1])
        self.assertEqual(pages_of(call, images(0)), [[], []])

    def test_what_is_named_comes_whole(self):
        self.assertEqual([len(page) for page in pages_of(ec2(ImageId__1="ami-0"), images(5))], [5])

    def test_a_maximum_does_not_go_with_ids(self):
        for action, ids in (("DescribeInstances", "InstanceId__1"), ("DescribeNetworkInterfaces", "NetworkInterfaceId__1"), ("DescribeImages", "ImageId__1")):
            Pages().check(ec2(action, MaxResults="5"))
            with self.assertRaises(Refused, msg=action) as refused:
                Pages().check(ec2(action, MaxResults="5", **{ids: "x"}))
            self.assertEqual(refused.exception.code, "InvalidParameterCombination")
        Pages().check(ec2("DescribeSecurityGroups", MaxResults="5", GroupId__1="sg-0"))

    def test_a_token_is_of_its_list(self):
        pages = Pages()
        token = re.search(rb"<nextToken>(\w+)", pages.first(ec2(), images(3)).body)[1].decode()
        pages.further(ec2(NextToken=token))
        # A lost answer is asked for again.
        pages.further(ec2(NextToken=token))
        for other in (ec2(NextToken="other"), ec2(NextToken=token, Owner__1="amazon"), ec2(NextToken=token)._replace(region="us-east-1")):
            with self.assertRaises(Refused) as refused:
                pages.further(other)
            self.assertEqual(refused.exception.code, "InvalidParameterValue")

    def test_efs_has_markers(self):
        targets = [{"MountTargetId": f"fsmt-{n}"} for n in range(3)]
        call = Call("elasticfilesystem", "DescribeMountTargets", {"FileSystemId": "fs-0"}, "123456789012", "eu-west-1")
        pages = Pages()
        first = json.loads(pages.first(call, Answer(200, "application/json", json.dumps({"MountTargets": targets}).encode())).body)
        further = call._replace(request={**call.request, "Marker": first["NextMarker"]})
        second = json.loads(pages.further(further))
        self.assertEqual(first["MountTargets"] + second["MountTargets"], targets)
        self.assertNotIn("NextMarker", second)


if __name__ == "__main__":
    unittest.main()
