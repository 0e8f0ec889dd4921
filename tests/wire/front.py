"""An AWS endpoint for tests: moto, with what it lacks before it.

The front answers SageMaker's and Service Quotas' calls, authorizes every call as AWS does, answers dry runs, makes RunInstances
idempotent by its ClientToken, adds latency, injects faults, writes down every call, and plays the hosts: an instance's address is a
loopback address, on which a TLS server answers like dockerd once the host's certificate appears, as a booting host would.

Control, as JSON: GET /__control/{seed,log,used,refused,held,instances,shared}, POST /__control/{reset,faults,hosts,domain,
names,dns,crowd,quotas,policy,deny,release,launch}.
"""

import argparse
import http.client
import json
import logging
import os
import re
import sys
import threading
import time
import urllib.parse
import uuid
from http.server import BaseHTTPRequestHandler
from xml.sax.saxutils import escape

from moto.server import ThreadedMotoServer

import authorization
from account import Account
from hosts import Host, Server
from iam import Policies

EFS_ACTIONS = [
    ("GET", r"/2015-02-01/mount-targets/([^/]+)/security-groups", "DescribeMountTargetSecurityGroups"),
    ("PUT", r"/2015-02-01/mount-targets/([^/]+)/security-groups", "ModifyMountTargetSecurityGroups"),
    ("GET", r"/2015-02-01/mount-targets", "DescribeMountTargets"),
]


class State:
    """What the front knows of the calls."""

    def __init__(self):
        self.lock = threading.RLock()
        self.tokens = {}
        self.running = {}
        self.hosts_folder = None
        self.keeps_names = False
        # None: nothing is refused.
        self.policies = None
        self.start_over([])

    def start_over(self, faults):
        self.faults, self.log, self.counts, self.held = faults, [], {}, []
        self.used, self.refusals = set(), set()
        self.release = threading.Event()

    def next_fault(self, action):
        with self.lock:
            number = self.counts.get(action, 0)
            self.counts[action] = number + 1
            self.log.append(action)
            for fault in self.faults:
                first = fault.get("nth", 0)
                if fault["action"] == action and first <= number < first + fault.get("times", 1):
                    return fault
        return None

    def refused(self, asks):
        """The first ask that is refused, with why; None where all are allowed."""
        for ask in asks:
            with self.lock:
                self.used.add(ask.action)
            why = self.policies and self.policies.refusal(ask.action, ask.resource, ask.context)
            if why:
                with self.lock:
                    self.refusals.add(ask.action)
                return ask, why
        return None


state = State()


def error(service, code, message, status):
    if service == "ec2":
        body = (
            f'<?xml version="1.0"?><Response><Errors><Error><Code>{code}</Code><Message>{escape(message)}</Message></Error></Errors>'
            "<RequestID>1</RequestID></Response>"
        )
        return status, "text/xml", body.encode()
    body = json.dumps({"__type": code, "ErrorCode": code, "message": message, "Message": message})
    return status, "application/json", body.encode()


def everything_but(actions):
    """The policies of a role that may do all but this."""
    statements = [{"Effect": "Allow", "Action": "*", "Resource": "*"}, {"Effect": "Deny", "Action": actions, "Resource": "*"}]
    return Policies([{"Version": "2012-10-17", "Statement": statements}])


class Front(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # One packet an answer, at once: else Nagle's algorithm and delayed acknowledgements add 40 ms to each.
    wbufsize = -1
    disable_nagle_algorithm = True

    def log_message(self, *args):
        pass

    def answer(self, status, kind, body):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        # On every answer of AWS ("Common response headers" of each service); what lacks it did not come from there.
        self.send_header("x-amzn-RequestId", str(uuid.uuid4()))
        self.end_headers()
        self.wfile.write(body)

    def answer_json(self, value, status=200):
        self.answer(status, "application/json", json.dumps(value).encode())

    def control(self, body):
        name = self.path.removeprefix("/__control/")
        value = json.loads(body) if body else None
        with state.lock:
            if name == "seed":
                return self.answer_json(account.seed)
            if name == "log":
                return self.answer_json(state.log)
            if name == "used":
                return self.answer_json(sorted(state.used))
            if name == "refused":
                return self.answer_json(sorted(state.refusals))
            if name == "shared":
                return self.answer_json(account.shared())
            if name == "held":
                return self.answer_json(state.held)
            if name == "instances":
                return self.answer_json(account.live_instances())
            if name == "launch":
                return self.answer_json(account.launch(value["tags"]))
            if name == "reset":
                state.start_over([])
            elif name == "faults":
                state.start_over(value)
            elif name == "release":
                state.release.set()
            elif name == "hosts":
                state.hosts_folder = value
            elif name == "deny":
                state.policies = everything_but(value) if value else None
            elif name == "policy":
                state.policies = Policies([value]) if value else None
            elif name == "domain":
                account.domain.update(value)
            elif name == "names":
                state.keeps_names = value
            elif name == "dns":
                account.dns(value)
            elif name == "crowd":
                account.crowd(value)
            elif name == "quotas":
                account.quotas = value
            else:
                return self.answer_json({"message": f"no control {name}"}, 404)
        return self.answer_json(None)

    def handle_any(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        if self.path.startswith("/__control/"):
            return self.control(body)
        if options.latency:
            time.sleep(options.latency / 1000)
        scope = re.search(r"Credential=[^/]+/[^/]+/[^/]+/([^/]+)/", self.headers.get("Authorization", ""))
        service = scope.group(1) if scope else "unknown"
        try:
            action, request = self.call(service, body)
            dry = service == "ec2" and request.get("DryRun") == "true"
            name = f"{service}:{action}{' (dry run)' if dry else ''}"
            fault = state.next_fault(name)
            refused = state.refused(authorization.asked(service, action, request))
        except authorization.Missing as missing:
            return self.answer(*error(service, missing.code, str(missing), missing.status))
        except authorization.Unknown as unknown:
            return self.answer(*error(service, "InvalidAction", f"the front does not know {unknown}", 400))
        if refused:
            return self.answer(*error(service, *authorization.refusal(*refused)))
        kind = fault["kind"] if fault else None
        if kind == "error":
            return self.answer(*error(service, fault.get("code", "InternalError"), "injected", fault.get("status", 400)))
        if kind == "throttle":
            code = "RequestLimitExceeded" if service == "ec2" else "ThrottlingException"
            return self.answer(*error(service, code, "injected", 400))
        if kind == "drop-before":
            return self.drop()
        if kind == "hold-before":
            self.hold(name)
            return self.drop()
        status, content, answer = self.serve(service, action, body, request)
        if kind == "drop-after":
            return self.drop()
        if kind == "hold-after":
            self.hold(name)
            return self.drop()
        return self.answer(status, content, answer)

    def hold(self, name):
        with state.lock:
            state.held.append(name)
            release = state.release
        release.wait(30)

    def drop(self):
        self.close_connection = True
        self.connection.close()

    def call(self, service, body):
        """The action that is called, and with what."""
        if service == "ec2":
            form = dict(urllib.parse.parse_qsl(body.decode(), keep_blank_values=True))
            return form["Action"], form
        if service in ("sagemaker", "servicequotas"):
            return self.headers["X-Amz-Target"].split(".")[1], json.loads(body or "{}")
        url = urllib.parse.urlparse(self.path)
        for method, pattern, action in EFS_ACTIONS:
            found = re.fullmatch(pattern, url.path)
            if service == "elasticfilesystem" and method == self.command and found:
                target = {"MountTargetId": found[1]} if found.groups() else {}
                return action, {**dict(urllib.parse.parse_qsl(url.query)), **target, **json.loads(body or "{}")}
        raise authorization.Unknown(f"{self.command} {self.path} of {service}")

    def serve(self, service, action, body, request):
        if service in ("sagemaker", "servicequotas"):
            status, value = account.sagemaker(action, request) if service == "sagemaker" else account.service_quota(request)
            return status, "application/x-amz-json-1.1", json.dumps(value).encode()
        if service == "ec2" and request.get("DryRun") == "true":
            # EC2 API reference, "Error codes". Some of moto's calls know no dry run.
            return error(service, "DryRunOperation", "Request would have succeeded, but DryRun flag is set.", 412)
        if service == "ec2" and action == "RunInstances":
            return self.run_instances(body, request)
        if service == "ec2" and action == "DescribeInstances":
            body = by_token(body)
        status, content, answer = self.forward(body)
        if service == "ec2":
            answer = loopback(answer)
            if action == "TerminateInstances" and status == 200:
                for instance in re.findall(rb"<instanceId>(i-[0-9a-f]+)</instanceId>", answer):
                    host = state.running.pop(instance.decode(), None)
                    if host:
                        host.end()
        return status, content, answer

    def run_instances(self, body, form):
        token = form["ClientToken"]
        with state.lock:
            if token in state.tokens:
                before, answer = state.tokens[token]
                if before != sorted(form.items()):
                    return error("ec2", "IdempotentParameterMismatch", "the token was used with other parameters", 400)
                return answer
            status, content, answer = self.forward(body)
            answer = loopback(answer)
            result = (status, content, answer)
            if status == 200:
                state.tokens[token] = (sorted(form.items()), result)
                instance = re.search(rb"<instanceId>(i-[0-9a-f]+)</instanceId>", answer).group(1).decode()
                address = re.search(rb"<privateIpAddress>([0-9.]+)</privateIpAddress>", answer).group(1).decode()
                if state.hosts_folder:
                    folder = os.path.join(state.hosts_folder, f"{form['InstanceType']}_{instance}")
                    host = Host(folder, address)
                    state.running[instance] = host
                    host.start()
            return result

    def forward(self, body):
        connection = http.client.HTTPConnection("127.0.0.1", moto_port, timeout=60)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "content-length", "connection")}
        connection.request(self.command, self.path, body, headers)
        response = connection.getresponse()
        answer = response.read()
        return response.status, response.getheader("Content-Type", "text/plain"), answer

    do_GET = do_POST = do_PUT = do_DELETE = handle_any


def by_token(body):
    """moto has no filter client-token: the instances of the token, by their ids, instead."""
    form = urllib.parse.parse_qsl(body.decode())
    names = {value: key.rsplit(".", 1)[0] for key, value in form if key.endswith(".Name")}
    if "client-token" not in names:
        return body
    filter_key = names["client-token"]
    wanted = {value for key, value in form if key.startswith(f"{filter_key}.Value")}
    ids = [
        re.search(rb"<instanceId>(i-[0-9a-f]+)</instanceId>", answer[2]).group(1).decode()
        for token, (_, answer) in state.tokens.items()
        if token in wanted
    ]
    form = [(key, value) for key, value in form if not key.startswith(f"{filter_key}.")]
    form.append((f"{filter_key}.Name", "instance-id"))
    form.extend((f"{filter_key}.Value.{n}", value) for n, value in enumerate(ids or ["i-00000000000000000"], 1))
    return urllib.parse.urlencode(form).encode()


def loopback(answer):
    """An instance's address becomes a loopback address, on which the front can serve; it has no DNS name, or one that is unknown."""
    # The second part tells this endpoint from others that serve at the same time.
    own = b"<privateIpAddress>127.%d." % (os.getpid() % 254 + 1)
    answer = re.sub(rb"<privateIpAddress>10\.\d+\.", own, answer)
    name = b"no-such-host.invalid" if state.keeps_names else b""
    return re.sub(rb"<privateDnsName>[^<]*</privateDnsName>", b"<privateDnsName>%s</privateDnsName>" % name, answer)


logging.getLogger("werkzeug").setLevel(logging.ERROR)
parser = argparse.ArgumentParser()
parser.add_argument("--latency", type=float, default=0, help="milliseconds before each call")
options = parser.parse_args()
moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
moto.start()
moto_host, moto_port = moto.get_host_and_port()
account = Account(f"http://127.0.0.1:{moto_port}")
server = Server(("127.0.0.1", 0), Front)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(f"READY http://127.0.0.1:{server.server_address[1]}", flush=True)
sys.stdin.read()
os._exit(0)
