"""What else speaks to the daemon: docker-py and testcontainers, with the environment that `sdocker env` prints.

clients.py IMAGE FOLDER
"""

import pathlib
import sys
import urllib.request

import docker
from testcontainers.core.container import DockerContainer
from testcontainers.core.waiting_utils import wait_for_logs

image, folder = sys.argv[1], pathlib.Path(sys.argv[2])

client = docker.from_env()
assert client.ping()
(folder / "given").write_text("from docker-py")
# `run(remove=True)` reads the log after it asked for the container's removal: on a busy machine, dockerd 20.10 loses what a short one wrote.
container = client.containers.run(
    image, ["cat", "/data/given"], detach=True, volumes={str(folder): {"bind": "/data", "mode": "ro"}}
)
assert container.wait()["StatusCode"] == 0
said = container.logs()
container.remove()
assert said == b"from docker-py", said
built, _ = client.images.build(fileobj=__import__("io").BytesIO(f"FROM {image}\nLABEL by=docker-py\n".encode()), tag="built:test")
assert built.labels["by"] == "docker-py"

serve = ["python3", "-m", "http.server", "8000", "--directory", "/etc"]
with DockerContainer(image).with_command(serve).with_exposed_ports(8000) as container:
    wait_for_logs(container, "Serving HTTP")
    url = f"http://{container.get_container_host_ip()}:{container.get_exposed_port(8000)}/hostname"
    with urllib.request.urlopen(url, timeout=10) as answer:
        assert answer.status == 200
print("RESULT {}")
