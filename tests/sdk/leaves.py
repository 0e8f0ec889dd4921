"""A run of tests with testcontainers, which leaves a container, a network, a volume and an image behind, because it is killed: ryuk is to remove
them.

leaves.py IMAGE
"""

import io
import socket
import sys
import time

import docker.errors
from testcontainers.core.container import DockerContainer, Reaper
from testcontainers.core.docker_client import DockerClient
from testcontainers.core.labels import LABEL_SESSION_ID, SESSION_ID
from testcontainers.core.network import Network

image = sys.argv[1]
# Docker ends what comes to a port before its container listens (or resets it, where something was sent already), and 4.15 takes that for a
# connection. What ryuk says stays unread, as ever.
for _ in range(20):
    try:
        Reaper.delete_instance()
        Reaper.get_instance()
        Reaper._socket.settimeout(10)
        if Reaper._socket.recv(4, socket.MSG_PEEK) == b"ACK\n":
            break
    except (docker.errors.APIError, ConnectionError) as error:
        print(error, flush=True)
    time.sleep(0.5)
else:
    sys.exit("ryuk doesn't answer")
labels = {LABEL_SESSION_ID: SESSION_ID}
with Network() as network:
    container = DockerContainer(image).with_command(["sleep", "1000"]).with_network(network).start()
    client = DockerClient().client
    client.volumes.create("left", labels=labels)
    dockerfile = f"FROM {image}\nLABEL by=testcontainers\n".encode()
    client.images.build(fileobj=io.BytesIO(dockerfile), tag="left:1", labels=labels, rm=True)
    print("LABEL", f"{LABEL_SESSION_ID}={SESSION_ID}", flush=True)
    time.sleep(600)
