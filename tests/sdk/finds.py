"""Whether a client finds the daemon that the environment or Docker's context names.

finds.py docker-py|testcontainers ID
"""

import sys

import docker
from testcontainers.core.docker_client import DockerClient

client = docker.from_env() if sys.argv[1] == "docker-py" else DockerClient().client
assert client.info()["ID"] == sys.argv[2]
