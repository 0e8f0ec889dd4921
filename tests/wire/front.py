"""An AWS endpoint for tests: moto, with what it lacks before it.

The front answers SageMaker's DescribeDomain, DescribeUserProfile, DescribeSpace and ListTags, makes RunInstances idempotent by its
ClientToken, adds latency, injects faults, writes down every call, and plays the hosts: an instance's address is a loopback address,
on which a TLS server answers like dockerd once the host's certificate appears, as a booting host would.

Control, as JSON: GET /__control/{seed,log,held,instances}, POST /__control/{reset,faults,hosts,domain,deny,release}.
"""

import argparse
import base64
import http.client
import json
import logging
import os
import re
import ssl
import sys
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
from moto.server import ThreadedMotoServer

REGION = "eu-west-1"
ACCOUNT = "123456789012"
EFS_ACTIONS = [
    ("GET", r"/2015-02-01/mount-targets/[^/]+/security-groups", "DescribeMountTargetSecurityGroups"),
    ("PUT", r"/2015-02-01/mount-targets/[^/]+/security-groups", "ModifyMountTargetSecurityGroups"),
    ("GET", r"/2015-02-01/mount-targets", "DescribeMountTargets"),
]


class State:
    """What the front knows beside moto."""

    def __init__(self):
        self.lock = threading.RLock()
        self.faults = []
        self.log = []
        self.counts = {}
        self.tokens = {}
        self.running = {}
        self.held = []
        self.release = threading.Event()
        self.hosts_folder = None
        self.denied = set()
        self.seed = {}
        self.domain = {}
        self.lifecycle_configs = {}

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


state = State()


def seed(moto_url):
    """A VPC with three subnets in three zones, two of them with a mount target, and the app's security group."""
    client = lambda service: boto3.client(service, region_name=REGION, endpoint_url=moto_url)
    ec2, efs = client("ec2"), client("efs")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{n}.0/24", AvailabilityZone=f"{REGION}{zone}")["Subnet"]["SubnetId"]
        for n, zone in ((1, "a"), (2, "b"), (3, "c"))
    ]
    group = ec2.create_security_group(GroupName="studio-apps", Description="apps", VpcId=vpc)["GroupId"]
    efs_group = ec2.create_security_group(GroupName="efs", Description="efs", VpcId=vpc)["GroupId"]
    file_system = efs.create_file_system(CreationToken="studio")["FileSystemId"]
    targets = [
        efs.create_mount_target(FileSystemId=file_system, SubnetId=subnet, SecurityGroups=[efs_group])["MountTargetId"]
        for subnet in reversed(subnets[:2])
    ]
    state.seed = {
        "region": REGION, "account": ACCOUNT, "domain": "d-wire", "profile": "ana", "vpc": vpc, "subnets": subnets,
        "group": group, "efs_group": efs_group, "file_system": file_system, "mount_targets": targets,
    }
    state.domain = {
        "DomainId": "d-wire", "AppNetworkAccessType": "VpcOnly", "VpcId": vpc, "SubnetIds": subnets,
        "HomeEfsFileSystemId": file_system,
        "DefaultUserSettings": {"SecurityGroups": [group], "ExecutionRole": f"arn:aws:iam::{ACCOUNT}:role/studio"},
    }


def sagemaker(action, request):
    profile_arn = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:user-profile/d-wire/ana"
    if action == "DescribeDomain" and request["DomainId"] == "d-wire":
        return 200, state.domain
    if action == "DescribeUserProfile" and request["UserProfileName"] == "ana":
        return 200, {
            "DomainId": "d-wire", "UserProfileName": "ana", "UserProfileArn": profile_arn,
            "HomeEfsFileSystemUid": "200005", "UserSettings": {},
        }
    if action == "DescribeSpace":
        return 200, {
            "DomainId": "d-wire", "SpaceName": request["SpaceName"],
            "OwnershipSettings": {"OwnerUserProfileName": "ana"}, "SpaceSharingSettings": {"SharingType": "Private"},
        }
    if action == "ListTags" and request["ResourceArn"] == profile_arn:
        # Two pages, to see that both are read.
        if "NextToken" not in request:
            return 200, {"Tags": [{"Key": "team", "Value": "forecasting"}], "NextToken": "2"}
        return 200, {"Tags": [{"Key": "cost-center", "Value": "42"}]}
    if action == "CreateStudioLifecycleConfig":
        kind, name = request["StudioLifecycleConfigAppType"], request["StudioLifecycleConfigName"]
        if name in state.lifecycle_configs:
            return 400, {"__type": "ResourceInUse", "message": f"{name} exists already"}
        state.lifecycle_configs[name] = (kind, base64.b64decode(request["StudioLifecycleConfigContent"]).decode())
        return 200, {"StudioLifecycleConfigArn": f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:studio-lifecycle-config/{name}"}
    return 400, {"__type": "ResourceNotFound", "message": f"{action}: there is none"}


def error(service, code, message, status):
    if service == "ec2":
        body = (
            f'<?xml version="1.0"?><Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors>'
            "<RequestID>1</RequestID></Response>"
        )
        return status, "text/xml", body.encode()
    body = json.dumps({"__type": code, "ErrorCode": code, "message": message, "Message": message})
    return status, "application/json", body.encode()


class Daemon(BaseHTTPRequestHandler):
    """Answers like dockerd, as far as a probe and the Docker CLI's ping ask."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path = re.sub(r"^/v[0-9.]+", "", self.path)
        answers = {
            "/version": {"Version": "27.0.0-front", "ApiVersion": "1.46", "MinAPIVersion": "1.24", "Os": "linux"},
            "/_ping": "OK",
            "/info": {"ID": "front", "ContainersRunning": 0, "ServerVersion": "27.0.0-front"},
        }
        found = answers.get(path)
        body = (found if isinstance(found, str) else json.dumps(found or {"message": "page not found"})).encode()
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


class Host(threading.Thread):
    """A host that boots: it takes its identity from the shared folder, and serves."""

    def __init__(self, instance, kind, address):
        super().__init__(daemon=True)
        self.instance, self.kind, self.address = instance, kind, address
        self.ended = threading.Event()
        self.server = None

    def run(self):
        folder = os.path.join(state.hosts_folder, f"{self.kind}_{self.instance}")
        key = os.path.join(folder, "certs/server/key.pem")
        while not os.path.exists(key):
            if self.ended.wait(0.005):
                return
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(os.path.join(folder, "certs/server/cert.pem"), key)
        context.load_verify_locations(os.path.join(folder, "certs/server/ca.pem"))
        context.verify_mode = ssl.CERT_REQUIRED
        os.remove(key)
        self.server = Server((self.address, 1111), Daemon)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        with open(os.path.join(folder, "status"), "a", encoding="utf-8") as status:
            status.write(f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} ready done\n")
        if not self.ended.is_set():
            self.server.serve_forever(poll_interval=0.05)

    def end(self):
        self.ended.set()
        if self.server:
            self.server.shutdown()
            self.server.server_close()


class Server(ThreadingHTTPServer):
    """A server for clients that break connections, as tests make them do."""

    daemon_threads = True

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], (ConnectionError, ssl.SSLError)):
            super().handle_error(request, client_address)


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
        self.end_headers()
        self.wfile.write(body)

    def answer_json(self, value, status=200):
        self.answer(status, "application/json", json.dumps(value).encode())

    def control(self, body):
        name = self.path.removeprefix("/__control/")
        value = json.loads(body) if body else None
        with state.lock:
            if name == "seed":
                return self.answer_json(state.seed)
            if name == "log":
                return self.answer_json(state.log)
            if name == "held":
                return self.answer_json(state.held)
            if name == "instances":
                return self.answer_json(live_instances())
            if name == "reset":
                state.faults, state.log, state.counts, state.held = [], [], {}, []
                state.release = threading.Event()
            elif name == "faults":
                state.faults, state.log, state.counts, state.held = value, [], {}, []
                state.release = threading.Event()
            elif name == "release":
                state.release.set()
            elif name == "hosts":
                state.hosts_folder = value
            elif name == "deny":
                state.denied = set(value)
            elif name == "domain":
                state.domain.update(value)
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
        prefix, action = self.action(service, body)
        name = f"{prefix}:{action}"
        fault = state.next_fault(name)
        kind = fault["kind"] if fault else None
        if name in state.denied:
            code = "UnauthorizedOperation" if service == "ec2" else "AccessDeniedException"
            message = f"User: arn:aws:sts::{ACCOUNT}:assumed-role/studio/app is not authorized to perform: {name}"
            return self.answer(*error(service, code, message, 403 if service == "ec2" else 400))
        if "ec2:CreateTags" in state.denied and service == "ec2" and b"TagSpecification" in body:
            message = f"User: arn:aws:sts::{ACCOUNT}:assumed-role/studio/app is not authorized to perform: ec2:CreateTags"
            return self.answer(*error(service, "UnauthorizedOperation", message, 403))
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
        status, content, answer = self.serve(service, action, body)
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

    def action(self, service, body):
        if service == "ec2":
            return "ec2", urllib.parse.parse_qs(body.decode()).get("Action", ["?"])[0]
        if service == "sagemaker":
            return "sagemaker", self.headers.get("X-Amz-Target", "?.?").split(".")[1]
        if service == "elasticfilesystem":
            path = urllib.parse.urlparse(self.path).path
            for method, pattern, action in EFS_ACTIONS:
                if method == self.command and re.fullmatch(pattern, path):
                    return service, action
        return service, f"{self.command} {self.path}"

    def serve(self, service, action, body):
        if service == "sagemaker":
            status, value = sagemaker(action, json.loads(body or "{}"))
            return status, "application/x-amz-json-1.1", json.dumps(value).encode()
        if service == "ec2" and action == "RunInstances":
            return self.run_instances(body)
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

    def run_instances(self, body):
        form = urllib.parse.parse_qs(body.decode())
        token = form["ClientToken"][0]
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
                    host = Host(instance, form["InstanceType"][0], address)
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
    """An instance's address becomes a loopback address, on which the front can serve; it has no DNS name."""
    # The second part tells this endpoint from others that serve at the same time.
    own = b"<privateIpAddress>127.%d." % (os.getpid() % 254 + 1)
    answer = re.sub(rb"<privateIpAddress>10\.\d+\.", own, answer)
    return re.sub(rb"<privateDnsName>[^<]*</privateDnsName>", b"<privateDnsName></privateDnsName>", answer)


def live_instances():
    ec2 = boto3.client("ec2", region_name=REGION, endpoint_url=f"http://127.0.0.1:{moto_port}")
    live = []
    for page in ec2.get_paginator("describe_instances").paginate():
        for reservation in page["Reservations"]:
            for instance in reservation["Instances"]:
                if instance["State"]["Name"] not in ("terminated", "shutting-down"):
                    tags = {tag["Key"]: tag["Value"] for tag in instance.get("Tags", [])}
                    live.append({"id": instance["InstanceId"], "tags": tags})
    return live


logging.getLogger("werkzeug").setLevel(logging.ERROR)
parser = argparse.ArgumentParser()
parser.add_argument("--latency", type=float, default=0, help="milliseconds before each call")
options = parser.parse_args()
moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
moto.start()
moto_host, moto_port = moto.get_host_and_port()
seed(f"http://127.0.0.1:{moto_port}")
server = Server(("127.0.0.1", 0), Front)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(f"READY http://127.0.0.1:{server.server_address[1]}", flush=True)
sys.stdin.read()
os._exit(0)
