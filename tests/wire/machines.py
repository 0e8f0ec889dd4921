"""Hosts with a real daemon: the sandbox's, with the identity that an instance's user data brings, each in a mount namespace of its own in
which folders of the client's are not what they are for the client. Needs root."""

import base64
import gzip
import ipaddress
import os
import re
import shlex
import subprocess
import threading

PROVISIONER = os.path.join(os.path.dirname(__file__), "../../crates/host-provisioner/src")
SCRIPTS = ("sandbox/host.sh", "user_data/certify.sh", "user_data/endpoint-forward.sh", "user_data/uses.sh")
EMBEDDED = re.compile(r"^cat >(\S+) <<'SDOCKER-END'\n(.*?)^SDOCKER-END$", re.MULTILINE | re.DOTALL)

# As the sandbox gives its hosts addresses (sandbox/addresses.rs), but from the last one down.
FIRST = int(ipaddress.ip_address("198.18.0.0"))
LAST = 0x7FFF
LEASES = "/run/sdocker/addresses"


class Machines:
    """The machines of an endpoint: where they are, and what they do not see."""

    def __init__(self, folder, hidden):
        self.folder, self.hidden = folder, hidden
        self.leases = {}
        self.lock = threading.Lock()

    def address(self, private):
        """The address by which the client reaches the instance that moto gave this one."""
        with self.lock:
            if private not in self.leases:
                self.leases[private] = self.lease(private)
            return str(ipaddress.ip_address(FIRST + 4 * self.leases[private] + 2))

    def place(self, private):
        return os.path.join(self.folder, f"machine-{private.decode()}")

    def lease(self, private):
        os.makedirs(LEASES, exist_ok=True)
        for number in range(LAST, 0, -1):
            try:
                with open(os.path.join(LEASES, str(number)), "x", encoding="utf-8") as lease:
                    lease.write(self.place(private))
                return number
            except FileExistsError:
                continue
        raise RuntimeError("every address is leased")

    def launch(self, private, user_data):
        self.address(private)
        return Machine(self, private, gzip.decompress(base64.b64decode(user_data)).decode())


class Machine:
    """A host that boots."""

    def __init__(self, machines, private, user_data):
        self.folder, self.hidden = machines.place(private), machines.hidden
        offset = 4 * machines.leases[private] + 2
        embedded = dict(EMBEDDED.findall(user_data))
        given = dict(line.split("=", 1) for line in embedded["/etc/sdocker/settings"].splitlines() if "=" in line)
        os.makedirs(os.path.join(self.folder, "certs"), 0o700)
        for path, text in embedded.items():
            if path.startswith("/etc/sdocker/tls/"):
                self.write(os.path.join("certs", os.path.basename(path)), text)
        for script in SCRIPTS:
            with open(os.path.join(PROVISIONER, script), encoding="utf-8") as file:
                self.write(os.path.basename(script), file.read())
        settings = {
            "link": f"sd{offset:x}",
            "namespace": f"sdocker-sd{offset:x}",
            "outer": str(ipaddress.ip_address(FIRST + offset - 1)),
            "inner": str(ipaddress.ip_address(FIRST + offset)),
            "lease": os.path.join(LEASES, str(machines.leases[private])),
            "port": shlex.split(given["daemon_port"])[0],
            "endpoint_port": shlex.split(given["endpoint_port"])[0],
            "shared": "",
            "max_lifetime": shlex.split(given["max_lifetime"])[0],
            "idle_timeout": shlex.split(given["idle_timeout"])[0],
            "stops": given.get("stops", ""),
        }
        self.write("settings", "".join(f"{name}={shlex.quote(value)}\n" for name, value in settings.items()))
        self.process = None

    def write(self, name, text):
        with open(os.path.join(self.folder, name), "w", encoding="utf-8") as file:
            file.write(text)

    def start(self):
        """Boots where the folders that are hidden from it are others, and empty."""
        script = 'for folder in "${@:2}"; do mount -t tmpfs tmpfs "$folder" || exit; done; cd / && exec bash "$1/host.sh" run "$1"'
        with open(os.path.join(self.folder, "bootstrap.log"), "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                ["setsid", "unshare", "-m", "bash", "-c", script, "boot", self.folder, *self.hidden], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def end(self):
        self.process.terminate()
