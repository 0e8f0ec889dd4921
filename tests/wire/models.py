"""Requests held against the services' own models, as botocore has them: names, required members, types, enumerations, patterns, lengths.

EC2's query protocol is read back into the shape of its model first. A model's filters are listed in its documentation only.
"""

import functools
import re

from botocore.loaders import Loader
from botocore.model import ServiceModel

NAMES = {"ec2": "ec2", "elasticfilesystem": "efs", "sagemaker": "sagemaker", "servicequotas": "service-quotas", "pricing": "pricing"}


class Refused(Exception):
    """AWS refuses the request, with this code."""

    def __init__(self, code, message, status=400):
        super().__init__(message)
        self.code, self.status = code, status


@functools.cache
def model(service):
    name = NAMES[service]
    return ServiceModel(Loader().load_service_model(name, "service-2"), name)


def check(service, action, request):
    """Refuses a request that the service's model does not allow. `request` is EC2's form, or a dictionary."""
    if action not in model(service).operation_names:
        raise Refused("InvalidAction", f"The action {action} is not valid for this web service.")
    shape = model(service).operation_model(action).input_shape
    if service == "ec2":
        request = from_form(shape, {key: value for key, value in request.items() if key not in ("Action", "Version")})
        check_filters(action, shape, request)
    invalid = Invalid(service)
    invalid.check(shape, request, "")


def check_answer(service, action, value):
    """An answer that the front makes up has the types of the model as well."""
    Invalid(service).check(model(service).operation_model(action).output_shape, value, "")


class Invalid:
    """What is wrong with a value, in the words of its service."""

    def __init__(self, service):
        self.service = service

    def refuse(self, path, value, why):
        if self.service == "ec2":
            raise Refused("InvalidParameterValue", f"Value ({value}) for parameter {path} is invalid. {why}")
        code = "BadRequest" if self.service == "elasticfilesystem" else "ValidationException"
        raise Refused(code, f"1 validation error detected: Value '{value}' at '{path}' failed to satisfy constraint: {why}")

    def missing(self, path):
        if self.service == "ec2":
            raise Refused("MissingParameter", f"The request must contain the parameter {path}")
        self.refuse(path, "null", "Member must not be null")

    def check(self, shape, value, path):
        kind = shape.type_name
        within = lambda name: f"{path}.{name}" if path else name
        if kind == "structure":
            self.of_type(dict, value, path)
            for name in shape.required_members:
                if name not in value:
                    self.missing(within(name))
            for name, member in value.items():
                if name not in shape.members:
                    self.unknown(within(name))
                self.check(shape.members[name], member, within(name))
        elif kind == "list":
            self.of_type(list, value, path)
            self.sized(shape, len(value), value, path)
            for n, member in enumerate(value, 1):
                self.check(shape.member, member, within(str(n)))
        elif kind == "map":
            self.of_type(dict, value, path)
            for name, member in value.items():
                self.check(shape.value, member, within(name))
        elif kind == "string":
            self.of_type(str, value, path)
            self.sized(shape, len(value), value, path)
            if shape.enum and value not in shape.enum:
                self.refuse(path, value, f"Member must satisfy enum value set: [{', '.join(shape.enum)}]")
            pattern = shape.metadata.get("pattern")
            if pattern and not re.search(python(pattern), value):
                self.refuse(path, value, f"Member must satisfy regular expression pattern: {pattern}")
        elif kind in ("integer", "long", "double", "float"):
            self.of_type((int, float) if kind in ("double", "float") else int, value, path)
            self.sized(shape, value, value, path)
        elif kind == "boolean":
            self.of_type(bool, value, path)

    def of_type(self, wanted, value, path):
        if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
            self.refuse(path, value, f"it is no {getattr(wanted, '__name__', 'number')}")

    def unknown(self, path):
        if self.service == "ec2":
            raise Refused("UnknownParameter", f"The parameter {path} is not recognized")
        self.refuse(path, "...", "Member must not be there")

    def sized(self, shape, size, value, path):
        least, most = shape.metadata.get("min"), shape.metadata.get("max")
        if least is not None and size < least:
            self.refuse(path, value, f"Member must have a length or value of at least {least}")
        if most is not None and size > most:
            self.refuse(path, value, f"Member must have a length or value of at most {most}")


def python(pattern):
    """A model's pattern in Python's dialect, which has no classes of Unicode."""
    return pattern.replace(r"[\p{L}\p{Z}\p{N}_.:/=+\-@]", r"[\w\s.:/=+\-@]").replace(r"\p{L}\p{Z}\p{N}", r"\w\s")


def from_form(shape, form):
    """A form of the query protocol, in the shape of its model. Values get their types; what no member takes is refused."""
    tree = {}
    for key, value in form.items():
        at = tree
        *path, last = key.split(".")
        for name in path:
            at = at.setdefault(name, {})
            if not isinstance(at, dict):
                raise Refused("UnknownParameter", f"The parameter {key} is not recognized")
        at[last] = value
    return read(shape, tree, "")


def read(shape, tree, path):
    kind = shape.type_name
    if kind == "structure":
        if not isinstance(tree, dict):
            raise Refused("UnknownParameter", f"The parameter {path} is not recognized")
        # Smithy, "AWS EC2 query protocol": queryName, else the location's name with a capital.
        names = {query_name(name, member): (name, member) for name, member in shape.members.items()}
        found = {}
        for name, below in tree.items():
            if name not in names:
                raise Refused("UnknownParameter", f"The parameter {path}{name} is not recognized")
            member_name, member = names[name]
            found[member_name] = read(member, below, f"{path}{name}.")
        return found
    if kind == "list":
        numbers = sorted(tree, key=lambda number: int(number) if number.isdecimal() else 0) if isinstance(tree, dict) else []
        if numbers != [str(n + 1) for n in range(len(numbers))] or not numbers:
            raise Refused("InvalidParameterValue", f"The list {path[:-1]} is not numbered from 1")
        return [read(shape.member, tree[number], f"{path}{number}.") for number in numbers]
    if isinstance(tree, dict):
        raise Refused("UnknownParameter", f"The parameter {path}{next(iter(tree))} is not recognized")
    if kind in ("integer", "long"):
        if not re.fullmatch(r"-?[0-9]+", tree):
            raise Refused("InvalidParameterValue", f"Invalid value '{tree}' for {path[:-1]}. Must be an integer.")
        return int(tree)
    if kind == "boolean":
        if tree not in ("true", "false"):
            raise Refused("InvalidParameterValue", f"Invalid value '{tree}' for {path[:-1]}. Must be true or false.")
        return tree == "true"
    return tree


def query_name(name, member):
    if "queryName" in member.serialization:
        return member.serialization["queryName"]
    location = member.serialization.get("name", name)
    return location[0].upper() + location[1:]


@functools.cache
def filters(action):
    """The names of an action's filters."""
    member = model("ec2").operation_model(action).input_shape.members["Filters"]
    return [name.replace("&lt;key&gt;", "<key>") for name in re.findall(r"<li>\s*<p>\s*<code>([^<]+)</code>", member.documentation)]


def check_filters(action, shape, request):
    if "Filters" not in shape.members:
        return
    known = filters(action)
    for asked in request.get("Filters", []):
        name = asked.get("Name", "")
        if not (name in known or (name.startswith("tag:") and len(name) > 4)):
            raise Refused("InvalidParameterValue", f"The filter '{name}' is invalid")
        # EC2 user guide, "Filter your resources": at least one value, and at most 200.
        if not 1 <= len(asked.get("Values", [])) <= 200:
            raise Refused("FilterLimitExceeded", f"The number of values of filter '{name}' is out of range")
