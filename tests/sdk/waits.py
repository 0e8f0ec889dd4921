"""One thing that needs a Docker host, asked of a daemon that may have none yet; it fails where the client gives up.

waits.py volume|run|build|load|testcontainers NAME IMAGE
"""

import io
import sys

import docker
from testcontainers.core.container import DockerContainer
from testcontainers.core.waiting_utils import wait_for_logs

what, name, image = sys.argv[1:]
client = docker.from_env()
if what == "volume":
    client.volumes.create(name)
elif what == "run":
    assert client.containers.run(image, ["echo", "done"], name=name) == b"done\n"
elif what == "build":
    built, _ = client.images.build(fileobj=io.BytesIO(f"FROM {image}\nLABEL by=docker-py\n".encode()), tag=name)
    assert built.labels["by"] == "docker-py"
elif what == "load":
    with open("box.tar", "rb") as archive:
        (loaded,) = client.images.load(archive)
    assert image in loaded.tags, loaded.tags
else:
    # Not `exec`: on a busy machine docker-py itself loses what comes together with the head of the response.
    with DockerContainer(image).with_command(["sh", "-c", "echo done; sleep 1000"]) as container:
        wait_for_logs(container, "done")
