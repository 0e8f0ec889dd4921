"""What tests ask of the front: JSON at `/__control/NAME`, of the account and the Region that the query names."""

import json

from moto.backends import get_backend

from account import ACCOUNT, REGION
from consistency import USUAL
from iam import Policies, action_pattern
from machines import Machines


class EverythingBut:
    """The policies of a role that was never given these actions, and has all others: no explicit deny."""

    def __init__(self, actions):
        self.missing = [action_pattern(action) for action in actions]

    def refusal(self, action, resource, context, kind):
        missing = any(pattern(action) for pattern in self.missing)
        return f"because no {kind} allows the {action} action" if missing else None


class Control:
    """Each method is a name; its argument is the body, and what it returns the answer."""

    def __init__(self, state, accounts):
        self.state, self.accounts = state, accounts

    def answer(self, name, query, body):
        method = getattr(self, f"on_{name}", None)
        if method is None:
            return 404, {"message": f"no control {name}"}
        place = self.accounts.get(query.get("account", ACCOUNT), query.get("region", REGION))
        with self.state.faults.lock:
            return 200, method(place, json.loads(body) if body else None)

    # Of the calls since the last change of faults.

    def on_faults(self, _, faults):
        self.state.faults.released.set()
        self.state.faults.start_over(faults or [])

    def on_release(self, *_):
        self.state.faults.released.set()

    def on_fired(self, *_):
        return self.state.faults.fired()

    def on_calls(self, *_):
        return self.state.faults.calls

    def on_used(self, *_):
        return sorted(self.state.faults.used)

    def on_refused(self, *_):
        return sorted(self.state.faults.refused)

    def on_held(self, *_):
        return self.state.faults.held

    # Of permissions.

    def on_deny(self, _, actions):
        self.state.policies = EverythingBut(actions) if actions else None

    def on_policy(self, _, document):
        self.state.policies = Policies([document]) if document else None

    def on_organization(self, _, document):
        self.state.organization = Policies([document]) if document else None

    def on_encoded(self, _, encoded):
        self.state.encoded = encoded

    # Of what AWS knows later.

    def on_late(self, _, settings):
        self.state.consistency.late({**USUAL, **settings})

    def on_early(self, *_):
        return self.state.consistency.early

    def on_pages(self, _, length):
        self.state.pages.usual = length

    # Of the Price List.

    def on_prices(self, _, how):
        self.state.prices.asked.clear()
        self.state.prices.how = how

    def on_priced(self, *_):
        return self.state.prices.asked

    # Of hosts.

    def on_hosts(self, _, folders):
        self.state.hosts_folders = folders

    def on_daemon(self, _, path):
        self.state.daemon = path

    def on_machines(self, _, value):
        self.state.machines = Machines(value["folder"], value["hidden"])

    def on_shut_down(self, place, instance):
        # https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_ChangingInstanceInitiatedShutdownBehavior.html
        found = next(known for known in get_backend("ec2")[place.account][place.region].all_instances() if known.id == instance)
        host = self.state.running.pop(instance, None)
        if host:
            host.end()
        if found.instance_initiated_shutdown_behavior == "stop":
            found.stop()
            self.state.stopped[instance] = host
        else:
            found.terminate()
        found.state_reason.code = "Client.InstanceInitiatedShutdown"
        found.state_reason.message = "Client.InstanceInitiatedShutdown: Instance initiated shutdown"

    def on_names(self, _, name):
        self.state.name_of_all = name

    # Of an account in a Region.

    def on_seed(self, place, _):
        return place.seed

    def on_instances(self, place, _):
        tokens = {instance: token for (_, _, token), (_, _, launched) in self.state.tokens.items() for instance in launched}
        return [{**instance, "token": tokens.get(instance["id"])} for instance in place.live_instances()]

    def on_forget(self, place, _):
        # Nor do they hold anything.
        self.state.consistency.held.clear()
        place.forget_ended()

    def on_shared(self, place, _):
        return place.shared()

    def on_launch(self, place, value):
        return place.launch(value["tags"])

    def on_domain(self, place, fields):
        domain = place.domains[fields.get("DomainId", place.seed["domain"])]
        domain.update(fields)
        # What there is none of is left out of AWS's answers, and not null.
        for name in [name for name, value in domain.items() if value is None]:
            del domain[name]

    def on_profile(self, place, tags):
        place.profile_tags = tags

    def on_dns(self, place, attributes):
        place.dns(attributes)

    def on_crowd(self, place, count):
        place.crowd(count)

    def on_volume_key(self, place, key):
        place.volume_key = key

    def on_quotas(self, place, quotas):
        place.quotas = quotas
