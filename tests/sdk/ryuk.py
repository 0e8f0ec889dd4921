"""Stands in for testcontainers/ryuk, which no registry gives here: as it listens, acknowledges and cleans up (github.com/testcontainers/moby-ryuk,
reaper.go and config.go).
"""

# ryuk itself listens as soon as it runs, and testcontainers 4.15 does not wait for more than that: before all else is loaded.
import socket

listener = socket.create_server(("", 8080))

import http.client
import json
import os
import threading
import urllib.parse

CONNECTION_TIMEOUT = 60
RECONNECTION_TIMEOUT = float(os.environ.get("RYUK_RECONNECTION_TIMEOUT", "10s").removesuffix("s"))
REMOVE_RETRIES = 10
LABEL = "org.testcontainers.ryuk"


class Docker(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect("/var/run/docker.sock")


def ask(method, path, **parameters):
    daemon = Docker("docker")
    daemon.request(method, f"{path}?{urllib.parse.urlencode(parameters)}")
    answer = daemon.getresponse()
    said = answer.read()
    if answer.status >= 400 and answer.status != 404:
        raise OSError(f"{method} {path}: {answer.status} {said!r}")
    return json.loads(said) if said.startswith((b"[", b"{")) else None


class Clients:
    """Those that are connected, and what they asked for."""

    def __init__(self):
        self.changed = threading.Condition()
        self.count, self.seen, self.filters = 0, False, []

    def serve(self, listener):
        while True:
            connection, _ = listener.accept()
            with self.changed:
                self.count, self.seen = self.count + 1, True
                print(f"client connected, {self.count} in all", flush=True)
                self.changed.notify_all()
            threading.Thread(target=self.handle, args=[connection], daemon=True).start()

    def handle(self, connection):
        try:
            for line in connection.makefile("r", newline="\n"):
                if line := line.rstrip("\r\n"):
                    self.filters.append(urllib.parse.parse_qs(line))
                    connection.sendall(b"ACK\n")
        except ConnectionError as error:
            print(f"scan: {error}", flush=True)
        finally:
            connection.close()
            with self.changed:
                self.count -= 1
                print(f"client disconnected, {self.count} left", flush=True)
                self.changed.notify_all()

    def have_gone(self):
        with self.changed:
            if not self.changed.wait_for(lambda: self.seen, CONNECTION_TIMEOUT):
                return
            while True:
                self.changed.wait_for(lambda: self.count == 0)
                if not self.changed.wait_for(lambda: self.count > 0, RECONNECTION_TIMEOUT):
                    return


def remove(path, **parameters):
    for left in reversed(range(REMOVE_RETRIES)):
        try:
            return ask("DELETE", path, **parameters)
        except OSError as error:
            print(error, flush=True)
            if not left:
                raise


def prune(filters):
    chosen = {"filters": json.dumps(filters)}
    for container in ask("GET", "/containers/json", all=1, **chosen):
        if container["Labels"].get(LABEL) != "true":
            remove(f"/containers/{container['Id']}", force=1, v=1)
    for network in ask("GET", "/networks", **chosen):
        remove(f"/networks/{network['Id']}")
    for volume in ask("GET", "/volumes", **chosen)["Volumes"] or []:
        remove(f"/volumes/{volume['Name']}", force=1)
    for image in ask("GET", "/images/json", **chosen):
        remove(f"/images/{image['Id']}")


ask("GET", "/_ping")
clients = Clients()
threading.Thread(target=clients.serve, args=[listener], daemon=True).start()
print("ryuk: Started!", flush=True)
clients.have_gone()
for filters in clients.filters:
    prune(filters)
