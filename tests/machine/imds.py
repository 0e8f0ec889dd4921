"""EC2's instance metadata service, version 2 only, as cloud-init and a host use it.

    imds.py ADDRESS INSTANCE_ID MAC FOLDER

FOLDER holds what a test may change while it runs: `user-data`, and `spot-action` once EC2 takes the instance back.
"""

import http.server
import json
import pathlib
import sys

address, instance, mac, folder = sys.argv[1], sys.argv[2], sys.argv[3], pathlib.Path(sys.argv[4])
TOKEN = "test-token"


def answer(path):
    version, _, path = path.strip("/").partition("/")
    if not path:
        return "dynamic\nmeta-data\nuser-data" if version else "latest\n2021-03-23"
    if path == "user-data":
        return (folder / "user-data").read_bytes()
    if path == "dynamic/instance-identity":
        return "document"
    if path == "dynamic/instance-identity/document":
        return json.dumps({"instanceId": instance, "instanceType": "c5.xlarge", "region": "eu-west-1"})
    facts = {
        "ami-id": "ami-0aaaaaaaaaaaaaaaa",
        "hostname": "ip-10-83-0-50.ec2.internal",
        "instance-id": instance,
        "instance-type": "c5.xlarge",
        "local-hostname": "ip-10-83-0-50.ec2.internal",
        "local-ipv4": "10.83.0.50",
        "mac": mac,
        f"network/interfaces/macs/{mac}/device-number": "0",
        f"network/interfaces/macs/{mac}/interface-id": "eni-0aaaaaaaaaaaaaaaa",
        f"network/interfaces/macs/{mac}/local-hostname": "ip-10-83-0-50.ec2.internal",
        f"network/interfaces/macs/{mac}/local-ipv4s": "10.83.0.50",
        f"network/interfaces/macs/{mac}/mac": mac,
        f"network/interfaces/macs/{mac}/subnet-ipv4-cidr-block": "10.83.0.0/24",
        f"network/interfaces/macs/{mac}/vpc-id": "vpc-0aaaaaaaaaaaaaaaa",
        "placement/availability-zone": "eu-west-1a",
        "placement/region": "eu-west-1",
    }
    action = folder / "spot-action"
    if action.exists():
        facts["spot/instance-action"] = action.read_text()
    name = path.removeprefix("meta-data").strip("/")
    if name in facts:
        return facts[name]
    below = {key[len(name) :].strip("/") for key in facts if not name or key.startswith(name + "/")}
    return "\n".join(sorted({key.split("/")[0] + ("/" if "/" in key else "") for key in below})) or None


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def reply(self, status, text=""):
        body = text if isinstance(text, bytes) else text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_PUT(self):
        if self.path.strip("/") == "latest/api/token" and self.headers.get("X-aws-ec2-metadata-token-ttl-seconds"):
            self.reply(200, TOKEN)
        else:
            self.reply(400)

    def do_GET(self):
        if self.headers.get("X-aws-ec2-metadata-token") != TOKEN:
            return self.reply(401)
        text = answer(self.path)
        self.reply(404) if text is None else self.reply(200, text)


http.server.ThreadingHTTPServer((address, 80), Handler).serve_forever()
