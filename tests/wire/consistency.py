"""What AWS knows a moment later than it answers ("Eventual consistency", EC2 developer guide), as far as a test asks for it.

`groups`: so many calls that name a new security group do not find it. `pending`: so many reads of a new instance lack its name and
address (EC2 API reference, `Instance`: the name is not there until it runs). `releases`: so many deletions of a group are refused after
an instance of it was ended. `fates`: what the next launches come to after they were accepted (EC2 user guide, "Troubleshoot instance
launch issues"), a code and a message of StateReason each.
"""

import re

from moto.backends import get_backend
from moto.ec2.models.instances import StateReason

from models import Refused


class Consistency:
    """What is not known yet, of all accounts: ids are never the same."""

    def __init__(self):
        self.late({})
        self.unseen, self.unnamed, self.held = {}, {}, {}

    def late(self, settings):
        self.groups, self.pending, self.releases = (settings.get(name, 0) for name in ("groups", "pending", "releases"))
        self.fates = list(settings.get("fates", []))

    def before(self, service, action, request):
        """Refuses a call that comes too early."""
        # A filter that matches nothing is no error.
        named = [value for name, value in request.items() if isinstance(value, str) and not name.startswith("Filter.")]
        named += request.get("SecurityGroups", [])
        for group in named:
            if spend(self.unseen, group):
                code = "InvalidGroup.NotFound" if service == "ec2" else "SecurityGroupNotFound"
                raise Refused(code, f"The security group '{group}' does not exist")
        if action == "DeleteSecurityGroup" and spend(self.held, request.get("GroupId")):
            raise Refused("DependencyViolation", f"resource {request['GroupId']} has a dependent object")

    def after(self, call, body):
        """The answer, without what is not known yet."""
        text = body.decode()
        if call.action == "CreateSecurityGroup":
            self.unseen.update(dict.fromkeys(re.findall(r"<groupId>(sg-[0-9a-f]+)</groupId>", text), self.groups))
        backend = get_backend("ec2")[call.account][call.region]
        if call.action == "TerminateInstances":
            ended = set(re.findall(r"<instanceId>(i-[0-9a-f]+)</instanceId>", text))
            for instance in backend.all_instances():
                if instance.id in ended:
                    self.held.update({group.id: self.releases for group in instance.security_groups})
        if call.action == "RunInstances":
            for named in re.findall(r"<instanceId>(i-[0-9a-f]+)</instanceId>", text):
                self.unnamed[named] = self.pending
                if self.fates:
                    die(backend.get_instance(named), *self.fates.pop(0))
        if call.action in ("RunInstances", "DescribeInstances"):
            text = re.sub(r"<instanceId>(i-[0-9a-f]+)</instanceId>.*?(?=<instanceId>|\Z)", self.blank, text, flags=re.DOTALL)
        return text.encode()

    def blank(self, item):
        if not spend(self.unnamed, item[1]):
            return item[0]
        return re.sub(r"<(privateIpAddress|privateDnsName)>[^<]*<", r"<\1><", item[0])


def spend(counts, name):
    """Whether one was left."""
    left = counts.get(name, 0)
    if left:
        counts[name] = left - 1
    return left > 0


def die(instance, code, message):
    instance.terminate()
    instance.state_reason = StateReason(f"{code}: {message}", code)
