"""Lists in pages, as small as AWS may make them.

EC2 API reference, "Query requests", "Pagination", and the model of each action: a list goes on for as long as there is a NextToken, and
the page of a filtered list may be empty and still have one, because EC2 looks through so many items a call and filters those
(github.com/boto/boto3/issues/2888, of DescribeInstanceTypes). A list of resources by their ids comes whole. EFS API reference,
DescribeMountTargets: the same with Marker and NextMarker; how many items a page has is for EFS to decide.

Here a filtered list of EC2 begins with an empty page, and each page has as few items as shows that they are put together; unless times are measured.
"""

import functools
import json
import uuid
from xml.etree import ElementTree

from botocore.loaders import Loader

from models import NAMES, Refused, model, query_name

# Items a page, whatever maximum the caller asks for.
ITEMS = 2


class List:
    """How an action lists: the members of its request and answer that pages need, None where it has no pages."""

    def __init__(self, service, action, pages):
        operation = model(service).operation_model(action)
        self.members = operation.input_shape.members
        self.token = self.sent(pages["input_token"])
        self.limit = self.sent(pages["limit_key"])
        answer = operation.output_shape.members
        of_answer = lambda name: answer[name].serialization.get("name", name)
        self.next, self.items = of_answer(pages["output_token"]), of_answer(pages["result_key"])
        lists = [name for name, member in self.members.items() if member.type_name == "list" and name.endswith("Ids")]
        self.ids = [self.sent(name) for name in lists]
        # "You cannot specify this parameter and the instance IDs parameter in the same request", its documentation says of some; and
        # EC2 of images as well (github.com/aws/aws-sdk-ruby/issues/3028).
        words = "cannot specify this parameter and the"
        self.either = action == "DescribeImages" or words in self.members[pages["limit_key"]].documentation

    def sent(self, name):
        return query_name(name, self.members[name])

    def names_ids(self, request):
        """Whether the request names what it asks for: such a list comes whole."""
        return any(key.startswith(tuple(f"{name}." for name in self.ids)) for key in request)


@functools.cache
def listing(service, action):
    """The List of an action, None where it has no pages."""
    if service not in ("ec2", "elasticfilesystem"):
        return None
    pages = Loader().load_service_model(NAMES[service], "paginators-1")["pagination"].get(action)
    return List(service, action, pages) if pages else None


def is_further(call):
    """Whether a call asks for a page that is not the first."""
    how = listing(call.service, call.action)
    return bool(how and how.token in call.request)


class Pages:
    """The lists that were begun."""

    def __init__(self):
        self.rest = {}
        # The length of a page, if they are as they usually are: then none is empty.
        self.usual = None

    def check(self, call):
        """Refuses what can't go together."""
        how = listing(call.service, call.action)
        if how and how.either and how.limit in call.request and how.names_ids(call.request):
            # EC2's words: github.com/yuuki/grabeni/pull/7.
            ids = how.ids[0][0].lower() + how.ids[0][1:-2]
            raise Refused("InvalidParameterCombination", f"The parameter {ids}sSet cannot be used with the parameter maxResults")

    def further(self, call):
        """The page that a token asks for."""
        how = listing(call.service, call.action)
        token = call.request[how.token]
        found = self.rest.get(token)
        if found is None or found[0] != parameters(call, how):
            # github.com/boto/boto3/issues/2673 has EC2's words; EFS API reference, BadRequest.
            code = "InvalidParameterValue" if call.service == "ec2" else "BadRequest"
            raise Refused(code, f"Value ( {token} ) for parameter {how.token} is invalid. The token is invalid.")
        return self.page(call, how, *found[1:])

    def first(self, call, answer):
        """The first page of an answer that has everything."""
        how = listing(call.service, call.action)
        if how is None or answer.status != 200 or how.names_ids(call.request):
            return answer
        read = ElementTree.fromstring if call.service == "ec2" else json.loads
        whole = read(answer.body)
        filtered = any(key.startswith("Filter.") for key in call.request)
        answer.body = self.page(call, how, whole, 0, filtered and not self.usual)
        return answer

    def page(self, call, how, whole, start, empty=False):
        """So many of the items from this one on."""
        ec2 = call.service == "ec2"
        within = whole.find(f"{{*}}{how.items}") if ec2 else whole[how.items]
        items = list(within if within is not None else [])
        # MaxResults is "the maximum number of items", and at least 5; EFS takes no notice of MaxItems.
        end = start if empty else start + (self.usual or ITEMS)
        token = None
        if empty or end < len(items):
            token = uuid.uuid4().hex
            self.rest[token] = (parameters(call, how), whole, end)
        return as_xml(whole, how, items[start:end], token) if ec2 else as_json(whole, how, items[start:end], token)


def as_json(whole, how, items, token):
    value = {**whole, how.items: items, how.next: token}
    return json.dumps({key: part for key, part in value.items() if part is not None}).encode()


def as_xml(whole, how, items, token):
    space = whole.tag.partition("}")[0] + "}" if whole.tag.startswith("{") else ""
    ElementTree.register_namespace("", space.strip("{}"))
    root = ElementTree.Element(whole.tag)
    root.extend(part for part in whole if part.tag not in (f"{space}{how.items}", f"{space}{how.next}"))
    ElementTree.SubElement(root, f"{space}{how.items}").extend(items)
    if token:
        ElementTree.SubElement(root, f"{space}{how.next}").text = token
    return ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)


def parameters(call, how):
    """A request but for its place in the list: it has to be the same for every page."""
    of_pages = (how.token, how.limit)
    return (call.account, call.region, call.action, sorted((key, value) for key, value in call.request.items() if key not in of_pages))
