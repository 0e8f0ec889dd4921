"""Tags of moto's EC2, found by the resource that has them: moto looks through those of the whole account, once for each instance that it lists."""

from moto.ec2.models.core import TaggedEC2Resource
from moto.ec2.utils import EC2_PREFIX_TO_RESOURCE, get_prefix


def get_tags(resource):
    kind = EC2_PREFIX_TO_RESOURCE.get(get_prefix(resource.id), "") if resource.id else ""
    # Not by index, which would make a set of tags for a resource without any.
    tags = resource.ec2_backend.tags.get(resource.id, {})
    return [{"resource_id": resource.id, "key": key, "value": value, "resource_type": kind} for key, value in tags.items()]


def install():
    TaggedEC2Resource.get_tags = get_tags
