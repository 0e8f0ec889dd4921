"""Where moto takes most of its time, in less: it looks through the tags of the whole account for each instance that it lists, and finds out anew what
it has: for each call which services, and which calls of one; for each value of an answer what that may be called in its own classes."""

import functools

from moto import backends
from moto.core import responses
from moto.core.serialize import XFormedAttributePicker
from moto.ec2.models.core import TaggedEC2Resource
from moto.ec2.utils import EC2_PREFIX_TO_RESOURCE, get_prefix

looked_up = XFormedAttributePicker.get_possible_keys
keys = {}


def get_tags(resource):
    kind = EC2_PREFIX_TO_RESOURCE.get(get_prefix(resource.id), "") if resource.id else ""
    # Not by index, which would make a set of tags for a resource without any.
    tags = resource.ec2_backend.tags.get(resource.id, {})
    return [{"resource_id": resource.id, "key": key, "value": value, "resource_type": kind} for key, value in tags.items()]


def get_possible_keys(picker, context):
    """They depend on nothing else: botocore keeps its shapes, and each is in one structure."""
    place = (context.shape, context.key, type(context.obj))
    if place not in keys:
        keys[place] = list(looked_up(picker, context))
    return keys[place]


def install():
    TaggedEC2Resource.get_tags = get_tags
    XFormedAttributePicker.get_possible_keys = get_possible_keys
    responses.method_names_from_class = functools.cache(responses.method_names_from_class)
    services = frozenset(backends.list_of_moto_modules())
    backends.list_of_moto_modules = lambda: services
