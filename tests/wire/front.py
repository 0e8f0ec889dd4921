"""An AWS endpoint for tests: moto, with what it lacks before it.

The front refuses what AWS refuses (models.py, limits.py), authorizes every call as AWS does, answers SageMaker's and Service Quotas'
calls, answers dry runs, makes RunInstances idempotent by its ClientToken, adds latency, injects faults, writes down every call, and
plays the hosts: an instance's address is a loopback address, on which a TLS server answers like dockerd once the host's certificate
appears, as a booting host would.

The account of a call is that of its access key, the Region that of its credential scope. See control.py for what tests can ask.
"""

import argparse
import http.client
import json
import logging
import os
import random
import re
import select
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler
from xml.etree import ElementTree

from moto.moto_api._internal import mock_random
from moto.server import ThreadedMotoServer

import answers
import authorization
import models
import moto_pace
from account import Accounts, account_of
from answers import Answer
from consistency import Consistency
from control import Control
from faults import PAGE, Faults
from hosts import Host, Server
from limits import Limits
from pages import Pages, is_further
from prices import Prices

EFS_ACTIONS = [
    ("GET", r"/2015-02-01/mount-targets/([^/]+)/security-groups", "DescribeMountTargetSecurityGroups"),
    ("PUT", r"/2015-02-01/mount-targets/([^/]+)/security-groups", "ModifyMountTargetSecurityGroups"),
    ("GET", r"/2015-02-01/mount-targets", "DescribeMountTargets"),
]
SCOPE = re.compile(r"Credential=([^/]+)/[^/]+/([^/]+)/([^/]+)/")


class State:
    """What the front knows beside the accounts."""

    def __init__(self):
        self.faults = Faults()
        self.lock = threading.RLock()
        self.tokens = {}
        self.running = {}
        # The hosts of instances that are stopped.
        self.stopped = {}
        self.hosts_folders = []
        # The socket of the daemon that all hosts lead to.
        self.daemon = None
        # Where hosts are machines with a real daemon.
        self.machines = None
        self.name_of_all = ""
        # The role's policies, and the organization's service control policies. None: nothing is refused.
        self.policies = self.organization = None
        self.encoded = False
        self.consistency = Consistency()
        self.pages = Pages()
        self.prices = Prices()

    def refused(self, asks, dry):
        """The first ask that is refused, with why; None where all are allowed.

        It is written down, but for a launch that is only asked about with other groups than its own: these do not exist yet, and no policy
        allows those that stand in for them.
        """
        for ask in asks:
            with self.faults.lock:
                self.faults.used.add(ask.action)
            why = authorization.denial(self.organization, self.policies, ask)
            if why:
                stands_in = dry and ask.action == "ec2:RunInstances" and ":security-group/" in ask.resource
                if not stands_in:
                    with self.faults.lock:
                        self.faults.refused.add(ask.action)
                return ask, why
        return None


class Call:
    """A call of a service: who makes it, where, of what, and with what."""

    def __init__(self, handler, body):
        scope = SCOPE.search(handler.headers.get("Authorization", ""))
        key, self.region, self.service = scope.groups() if scope else ("", "", "unknown")
        self.account = account_of(key)
        self.body = body
        self.action, self.request = self.read(handler)
        self.dry = self.service == "ec2" and self.request.get("DryRun") == "true"
        # A further page is a call of its own: what tests say of calls of the list is of its first page.
        self.further = is_further(self)
        self.name = f"{self.service}:{self.action}{' (dry run)' if self.dry else ' (further page)' if self.further else ''}"

    def read(self, handler):
        if self.service == "ec2":
            form = dict(urllib.parse.parse_qsl(self.body.decode(), keep_blank_values=True))
            return form["Action"], form
        if self.service in ("sagemaker", "servicequotas", "pricing"):
            return handler.headers["X-Amz-Target"].split(".")[1], json.loads(self.body or "{}")
        url = urllib.parse.urlparse(handler.path)
        for method, pattern, action in EFS_ACTIONS:
            found = re.fullmatch(pattern, url.path)
            if self.service == "elasticfilesystem" and method == handler.command and found:
                target = {"MountTargetId": found[1]} if found.groups() else {}
                return action, {**dict(urllib.parse.parse_qsl(url.query)), **target, **json.loads(self.body or "{}")}
        raise authorization.Unknown(f"{handler.command} {handler.path} of {self.service}")


class Front(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # One packet an answer, at once: else Nagle's algorithm and delayed acknowledgements add 40 ms to each.
    wbufsize = -1
    disable_nagle_algorithm = True

    def log_message(self, *args):
        pass

    def send(self, answer, cut=False):
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.kind)
        self.send_header("Content-Length", str(len(answer.body)))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body[: len(answer.body) // 4] if cut else answer.body)
        if cut:
            self.drop()

    def drop(self):
        self.close_connection = True
        self.wfile.flush()
        self.connection.close()

    def handle_any(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = urllib.parse.urlparse(self.path)
        if url.path.startswith("/__control/"):
            status, value = control.answer(url.path.removeprefix("/__control/"), dict(urllib.parse.parse_qsl(url.query)), body)
            return self.send(Answer(status, answers.JSON, json.dumps(value).encode()))
        if options.latency:
            time.sleep(options.latency / 1000)
        try:
            call = Call(self, body)
        except authorization.Unknown as unknown:
            return self.send(answers.error("ec2", "InvalidAction", f"the front does not know {unknown}", 400))
        if call.service == "pricing" or call.action == "DescribeSpotPriceHistory":
            return self.price(call)
        fault = state.faults.next(call.name, call.account, call.region)
        if fault and not fault.done:
            return self.fail(fault, call, None)
        answer = self.serve(call)
        return self.fail(fault, call, answer) if fault else self.send(answer)

    def price(self, call):
        """Not written down with the account's calls: it comes whenever it comes, beside them."""
        if state.prices.how == "silent":
            state.prices.note(call, "silent")
            return state.faults.keep_silent(call.name, self.connection)
        if state.prices.how == "page":
            state.prices.note(call, "page")
            return self.send(Answer(200, "text/html; charset=utf-8", PAGE, request=None))
        ask = authorization.Authorization(call.account, call.region).asked(call.service, call.action, call.request)[0]
        why = authorization.denial(state.organization, state.policies, ask)
        if why:
            state.prices.note(call, "denied")
            user = accounts.get(call.account, call.region).user
            return self.send(answers.error(call.service, *authorization.refusal(user, ask, why, state.encoded)))
        answer = state.prices.answer(self, call) if call.service == "pricing" else state.prices.spot_answer(call, state.pages)
        self.send(answer)

    def fail(self, fault, call, answer):
        """Answers in place of AWS, or not at all; `answer` is AWS's, where the call took effect."""
        if fault.kind == "error":
            return self.send(answers.refused(call.service, **fault.rest))
        if fault.kind == "throttle":
            return self.send(answers.throttled(call.service))
        if fault.kind == "failure":
            return self.send(answers.failed(call.service))
        if fault.kind == "page":
            return self.send(Answer(fault.rest["status"], "text/html; charset=utf-8", PAGE, request=None))
        if fault.kind == "empty":
            return self.send(Answer(200, "text/plain", b"", request=None))
        if fault.kind == "cut":
            return self.send(answer or answers.failed(call.service), cut=True)
        if fault.kind == "hold":
            state.faults.hold(call.name)
        elif fault.kind == "silent":
            state.faults.keep_silent(call.name, self.connection)
        return self.drop()

    def serve(self, call):
        """AWS's answer."""
        place = accounts.get(call.account, call.region)
        try:
            limits = Limits(call.account, call.region, place.quotas)
            models.check(call.service, call.action, call.request)
            limits.check(call.service, call.action, call.request)
            state.pages.check(call)
            asked = authorization.Authorization(call.account, call.region).asked(call.service, call.action, call.request)
            refused = state.refused(asked, call.dry)
            if not refused:
                limits.agree(call.service, call.action, call.request)
        except (authorization.Missing, models.Refused) as no:
            return answers.error(call.service, no.code, str(no), no.status)
        except authorization.Unknown as unknown:
            return answers.error(call.service, "InvalidAction", f"the front does not know {unknown}", 400)
        if refused:
            return answers.error(call.service, *authorization.refusal(place.user, *refused, state.encoded))
        if not call.dry:
            try:
                if call.further:
                    return Answer(200, answers.XML if call.service == "ec2" else answers.JSON, state.pages.further(call))
                state.consistency.before(call.service, call.action, call.request)
            except models.Refused as no:
                return answers.error(call.service, no.code, str(no), no.status)
        if call.service in ("sagemaker", "servicequotas"):
            if call.service == "sagemaker":
                # A tag a page, to see that all are read.
                status, value = place.sagemaker(call.action, call.request, state.pages.usual or 1)
            else:
                status, value = place.service_quota(call.request)
            if status != 200:
                return answers.error(call.service, *value, status)
            models.check_answer(call.service, call.action, value)
            return answers.result(value)
        if call.dry:
            # EC2 API reference, "Error codes". Some of moto's calls know no dry run.
            return answers.error("ec2", "DryRunOperation", "Request would have succeeded, but DryRun flag is set.", 412)
        if call.name == "ec2:RunInstances":
            return self.run_instances(call)
        if call.name == "ec2:GetEbsDefaultKmsKeyId":
            # moto has none.
            return answers.ec2(call.action, f"<kmsKeyId>{place.volume_key}</kmsKeyId>")
        body = by_token(call) if call.name == "ec2:DescribeInstances" else call.body
        answer = self.forward(call, body)
        if call.service == "ec2":
            answer.body = reachable(answer.body)
            if call.action == "TerminateInstances" and answer.status == 200:
                for instance in re.findall(rb"<instanceId>(i-[0-9a-f]+)</instanceId>", answer.body):
                    host = state.running.pop(instance.decode(), None)
                    if host:
                        host.end()
            if call.action == "StartInstances" and answer.status == 200:
                for instance in re.findall(rb"<instanceId>(i-[0-9a-f]+)</instanceId>", answer.body):
                    host = state.stopped.pop(instance.decode(), None)
                    if host:
                        state.running[instance.decode()] = host.again()
            if answer.status == 200:
                answer.body = state.consistency.after(call, answer.body)
        return state.pages.first(call, answer)

    def run_instances(self, call):
        form = sorted(call.request.items())
        token = (call.account, call.region, call.request["ClientToken"])
        with state.lock:
            if token in state.tokens:
                before, answer, _ = state.tokens[token]
                if before != form:
                    return answers.error("ec2", "IdempotentParameterMismatch", "the token was used with other parameters", 400)
                return answer
            # "Amazon EC2 launches the largest possible number of instances above the specified minimum count" (EC2 API reference, RunInstances,
            # MaxCount); moto launches the minimum.
            answer = self.forward(call, re.sub(rb"(?<![^&])MinCount=[0-9]+", b"MinCount=" + call.request["MaxCount"].encode(), call.body))
            private = addresses(answer) if state.machines else {}
            answer.body = reachable(answer.body)
            if answer.status == 200:
                launched = addresses(answer)
                state.tokens[token] = (form, answer, list(launched))
                for instance, address in launched.items():
                    if state.machines:
                        state.running[instance] = state.machines.launch(private[instance].encode(), call.request["UserData"])
                        state.running[instance].start()
                    elif state.hosts_folders:
                        name = f"{call.request['InstanceType']}_{instance}"
                        host = Host([os.path.join(folder, name) for folder in state.hosts_folders], address, state.daemon)
                        state.running[instance] = host
                        host.start()
                answer.body = state.consistency.after(call, answer.body)
            return answer

    def forward(self, call, body):
        connection = http.client.HTTPConnection("127.0.0.1", moto_port, timeout=60)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "content-length", "connection")}
        headers["x-moto-account-id"] = call.account
        connection.request(self.command, self.path, body, headers)
        response = connection.getresponse()
        body = response.read()
        if call.service == "elasticfilesystem" and response.status >= 400:
            said = json.loads(body)
            return answers.error(call.service, said.get("ErrorCode", "BadRequest"), said.get("Message", ""), response.status)
        return Answer(response.status, response.getheader("Content-Type", "text/plain"), body)

    do_GET = do_POST = do_PUT = do_DELETE = handle_any


def addresses(answer):
    """The instances of a launch, in their order, with their addresses."""
    if answer.status != 200:
        return {}
    launched = ElementTree.fromstring(answer.body).findall("{*}instancesSet/{*}item")
    return {instance.findtext("{*}instanceId"): instance.findtext("{*}privateIpAddress") for instance in launched}


def by_token(call):
    """moto has no filter client-token: the instances of the token, by their ids, instead."""
    form = urllib.parse.parse_qsl(call.body.decode())
    names = {value: key.rsplit(".", 1)[0] for key, value in form if key.endswith(".Name")}
    if "client-token" not in names:
        return call.body
    filter_key = names["client-token"]
    wanted = {(call.account, call.region, value) for key, value in form if key.startswith(f"{filter_key}.Value")}
    ids = [instance for token, (_, _, launched) in state.tokens.items() if token in wanted for instance in launched]
    form = [(key, value) for key, value in form if not key.startswith(f"{filter_key}.")]
    form.append((f"{filter_key}.Name", "instance-id"))
    form.extend((f"{filter_key}.Value.{n}", value) for n, value in enumerate(ids or ["i-00000000000000000"], 1))
    return urllib.parse.urlencode(form).encode()


def reachable(answer):
    """An instance's address becomes one at which there is its host: a loopback address, on which the front can serve, or a machine's. It has no
    DNS name, or one that was chosen."""
    if state.machines:
        of = lambda found: b"<privateIpAddress>%s<" % state.machines.address(found[1]).encode()
        answer = re.sub(rb"<privateIpAddress>(10\.[0-9.]+)<", of, answer)
    answer = re.sub(rb"<privateIpAddress>10\.\d+\.", b"<privateIpAddress>127.%d." % network, answer)
    name = state.name_of_all.encode()
    return re.sub(rb"<privateDnsName>[^<]*</privateDnsName>", b"<privateDnsName>%s</privateDnsName>" % name, answer)


def own_network():
    """The second part of the addresses at which this endpoint's hosts are. Others that serve at the same time have other ones: who listens at a
    network's first address has it."""
    for number in range(1, 255):
        holder = socket.socket()
        try:
            holder.bind((f"127.{number}.0.1", 1110))
            holder.listen()
        except OSError:
            holder.close()
            continue
        return number, holder
    raise RuntimeError("every network is taken")


def one_of_many():
    """Becomes a front of its own for each connection to a socket, whose path it prints: what to talk to its owner by. To load moto takes two
    seconds of CPU time, and to make an account another one; to fork takes none."""
    folder = tempfile.mkdtemp()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(os.path.join(folder, "socket"))
    listener.listen()
    # Nobody waits for those that ended.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    print(f"FRONTS {folder}/socket", flush=True)
    while sys.stdin not in (ready := select.select([listener, sys.stdin], [], [])[0]):
        connection = ready[0].accept()[0]
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            listener.close()
            # Else all of them would make the same ids.
            random.seed()
            mock_random.seed()
            return connection.makefile("r"), connection.makefile("w")
        connection.close()
    shutil.rmtree(folder)
    os._exit(0)


def serve_moto():
    """moto's own server, with the state that this process has, and its port."""
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    _, port = moto.get_host_and_port()
    accounts.are_at(f"http://127.0.0.1:{port}")
    return moto, port


logging.getLogger("werkzeug").setLevel(logging.ERROR)
parser = argparse.ArgumentParser()
parser.add_argument("--latency", type=float, default=0, help="milliseconds before each call")
parser.add_argument("--many", action="store_true", help="serve one endpoint for each connection to a socket")
options = parser.parse_args()
moto_pace.install()
accounts = Accounts()
moto, moto_port = serve_moto()
accounts.get()
owner, told = sys.stdin, sys.stdout
if options.many:
    moto.stop()
    owner, told = one_of_many()
    _, moto_port = serve_moto()
network, _holder = own_network()
state = State()
control = Control(state, accounts)
server = Server(("127.0.0.1", 0), Front)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(f"READY http://127.0.0.1:{server.server_address[1]}", file=told, flush=True)
owner.read()
os._exit(0)
