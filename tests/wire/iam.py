"""What IAM's evaluation of identity-based policies says of a call, as far as policies of this project go.

From the IAM user guide: "Policy evaluation logic", "IAM JSON policy elements reference" (Action, Resource, Condition operators,
multivalued context keys). What is not modelled raises `Unsupported` when the policy is read, and never passes silently.
"""

import functools
import re

ELEMENTS = {"Sid", "Effect", "Action", "Resource", "Condition"}


class Unsupported(ValueError):
    """A policy says something that is not modelled here."""


class Policies:
    """The policies of a role."""

    def __init__(self, documents):
        self.statements = []
        for document in documents:
            unknown = set(document) - {"Version", "Id", "Statement"}
            if unknown:
                raise Unsupported(f"policy elements {sorted(unknown)}")
            # Without this version, policy variables and more would be read in another way.
            if document.get("Version") != "2012-10-17":
                raise Unsupported(f"version {document.get('Version')}")
            self.statements.extend(Statement(statement) for statement in many(document["Statement"]))

    def refusal(self, action, resource, context, kind="identity-based policy"):
        """Why a call is refused, in AWS's words; None where it is allowed."""
        effects = {statement.effect for statement in self.statements if statement.applies(action, resource, context)}
        if "Deny" in effects:
            return f"with an explicit deny in {a(kind)}"
        if "Allow" not in effects:
            return f"because no {kind} allows the {action} action"
        return None


class Statement:
    """One statement of a policy."""

    def __init__(self, document):
        unknown = set(document) - ELEMENTS
        if unknown:
            raise Unsupported(f"statement elements {sorted(unknown)}")
        self.effect = document["Effect"]
        if self.effect not in ("Allow", "Deny"):
            raise Unsupported(f"effect {self.effect}")
        self.actions = [action_pattern(action) for action in many(document["Action"])]
        self.resources = [arn_pattern(resource) for resource in many(document["Resource"])]
        self.conditions = [
            Condition(operator, key, many(values))
            for operator, keys in document.get("Condition", {}).items()
            for key, values in keys.items()
        ]

    def applies(self, action, resource, context):
        return (
            any(pattern(action) for pattern in self.actions)
            and any(pattern(resource) for pattern in self.resources)
            and all(condition.holds(context) for condition in self.conditions)
        )


class Condition:
    """One key of one operator: the values are alternatives. Keys' names are matched without regard to case, values with."""

    def __init__(self, operator, key, values):
        # "Multivalued context keys": ForAllValues and ForAnyValue compare a set; IfExists lets an absent key pass.
        self.set, _, name = operator.rpartition(":")
        self.if_exists = name.endswith("IfExists")
        name = name.removesuffix("IfExists")
        if self.set not in ("", "ForAllValues", "ForAnyValue") or name not in OPERATORS or (name == "Null" and (self.set or self.if_exists)):
            raise Unsupported(f"condition operator {operator}")
        if any("${" in str(value) for value in values):
            raise Unsupported(f"a policy variable in {values}")
        self.name, self.key = name, key.lower()
        self.matchers = [] if name == "Null" else [OPERATORS[name](text(value)) for value in values]
        self.absent = [text(value) for value in values] if name == "Null" else []

    def holds(self, context):
        found = context.get(self.key)
        if self.name == "Null":
            return ("true" if found is None else "false") in self.absent
        if found is None:
            return self.if_exists or self.set == "ForAllValues"
        matches = lambda value: any(matcher(text(value)) for matcher in self.matchers)
        if self.set:
            return (all if self.set == "ForAllValues" else any)(matches(value) for value in many(found))
        if isinstance(found, list):
            raise Unsupported(f"{self.key} has many values, and {self.name} is for one")
        return matches(found)


def context_of(keys):
    """A request context in which keys are found whatever their case."""
    return {key.lower(): value for key, value in keys.items()}


def a(kind):
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"


def many(value):
    """One or several, as several."""
    return value if isinstance(value, list) else [value]


def text(value):
    return str(value).lower() if isinstance(value, bool) else str(value)


@functools.cache
def wildcards(pattern, flags=0):
    """`*` is any characters or none, `?` is one."""
    pieces = (".*" if piece == "*" else "." if piece == "?" else re.escape(piece) for piece in re.split(r"([*?])", pattern))
    compiled = re.compile("".join(pieces), flags | re.DOTALL)
    return lambda value: compiled.fullmatch(value) is not None


def action_pattern(pattern):
    """Actions are matched without regard to case."""
    if pattern != "*" and ":" not in pattern:
        raise Unsupported(f"action {pattern}")
    return wildcards(pattern, re.IGNORECASE)


def arn_pattern(pattern):
    """Wildcards do not reach over the colons of an ARN, but in its last part ("IAM JSON policy elements: Resource").

    An action without resource-level permissions is allowed by `*` alone: its resource is `*`, which is no ARN.
    """
    if "${" in pattern:
        raise Unsupported(f"a policy variable in {pattern}")
    if pattern == "*":
        return lambda arn: True
    parts = pattern.split(":", 5)
    if len(parts) != 6 or parts[0] != "arn":
        raise Unsupported(f"resource {pattern}")
    matchers = [wildcards(part) for part in parts]

    def matches(arn):
        found = arn.split(":", 5)
        return len(found) == 6 and all(matcher(part) for matcher, part in zip(matchers, found))

    return matches


# "IAM JSON policy elements: Condition operators". ArnEquals and ArnLike are one.
OPERATORS = {
    "StringEquals": lambda expected: lambda value: value == expected,
    "StringEqualsIgnoreCase": lambda expected: lambda value: value.lower() == expected.lower(),
    "StringLike": wildcards,
    "ArnEquals": arn_pattern,
    "ArnLike": arn_pattern,
    "Bool": lambda expected: lambda value: value.lower() == expected.lower(),
    "Null": None,
}
