"""What AWS knows a moment later than it answers ("Eventual consistency", EC2 developer guide), unless a test asks for other things.

`groups`: so many calls that name a new security group do not find it; of the actions that `of` fits, with `*` for anything. `instances`:
so many reads and terminations of a new instance do not find it (the guide's own example). `pending`: so many of the reads after that find
it pending, without its name (EC2 API reference, `Instance`: "not available until the instance enters the running state"). `releases`: so many deletions of a group are refused after an instance of it was ended (EC2 user guide, "Delete a
security group": DependencyViolation). `fates`: what the next launches come to after they were accepted (EC2 user guide, "Troubleshoot instance
launch issues"), a code and a message of StateReason each.

They are counted in calls, so that no test waits for longer than the program's own pauses.
"""

import fnmatch
import re
from xml.etree import ElementTree

from moto.backends import get_backend
from moto.ec2.models.instances import StateReason

from models import Refused

# As moto writes it.
RUNNING = re.compile(r"<instanceState>\s*<code>16</code>\s*<name>running</name>\s*</instanceState>")
USUAL = {"groups": 1, "instances": 0, "pending": 1, "releases": 1}


class Consistency:
    """What is not known yet, of all accounts: ids are never the same."""

    def __init__(self):
        self.late(USUAL)
        self.unseen, self.missing, self.unnamed, self.held = {}, {}, {}, {}

    def late(self, settings):
        self.groups, self.instances, self.pending, self.releases = (settings[name] for name in USUAL)
        self.early = 0
        self.of, self.fates = settings.get("of", "*"), list(settings.get("fates", []))

    def before(self, service, action, request):
        """Refuses a call that comes too early."""
        try:
            self.refuse_early(service, action, request)
        except Refused:
            self.early += 1
            raise

    def refuse_early(self, service, action, request):
        # A filter that matches nothing is no error.
        named = [value for name, value in request.items() if isinstance(value, str) and not name.startswith("Filter.")]
        named += request.get("SecurityGroups", [])
        for group in named if fnmatch.fnmatchcase(action, self.of) else ():
            if spend(self.unseen, group):
                code = "InvalidGroup.NotFound" if service == "ec2" else "SecurityGroupNotFound"
                raise Refused(code, f"The security group '{group}' does not exist")
        if action == "TerminateInstances" and (unknown := [value for value in named if spend(self.missing, value)]):
            raise Refused("InvalidInstanceID.NotFound", f"The instance ID '{unknown[0]}' does not exist")
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
        if call.action == "StartInstances":
            for named in re.findall(r"<instanceId>(i-[0-9a-f]+)</instanceId>", text):
                self.unnamed[named] = self.pending
        if call.action == "RunInstances":
            for named in re.findall(r"<instanceId>(i-[0-9a-f]+)</instanceId>", text):
                self.missing[named], self.unnamed[named] = self.instances, self.pending
                if self.fates:
                    die(backend.get_instance(named), *self.fates.pop(0))
                text = without_name(text)
        if call.action == "DescribeInstances":
            return self.known(text)
        return text.encode()

    def known(self, text):
        """The reservations, one for each launch, with what is known of their instances."""
        whole = ElementTree.fromstring(text)
        if whole.tag.startswith("{"):
            ElementTree.register_namespace("", whole.tag[1:].partition("}")[0])
        reservations = whole.find("{*}reservationSet")
        for reservation in list(reservations if reservations is not None else []):
            instances = reservation.find("{*}instancesSet")
            for instance in list(instances):
                named = instance.findtext("{*}instanceId")
                if spend(self.missing, named):
                    instances.remove(instance)
                elif spend(self.unnamed, named):
                    forget_name(instance)
            if not len(instances):
                reservations.remove(reservation)
        return ElementTree.tostring(whole, encoding="utf-8", xml_declaration=True)


def without_name(text):
    nameless = re.sub(r"<privateDnsName>[^<]*<", "<privateDnsName><", text)
    return RUNNING.sub("<instanceState><code>0</code><name>pending</name></instanceState>", nameless)


def forget_name(instance):
    for name in instance.iterfind(".//{*}privateDnsName"):
        name.text = ""
    state = instance.find("{*}instanceState")
    if state.findtext("{*}name") == "running":
        state.find("{*}code").text, state.find("{*}name").text = "0", "pending"


def spend(counts, name):
    """Whether one was left."""
    left = counts.get(name, 0)
    if left:
        counts[name] = left - 1
    return left > 0


def die(instance, code, message):
    instance.terminate()
    instance.state_reason = StateReason(f"{code}: {message}", code)
